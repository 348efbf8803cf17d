/* SPDX-License-Identifier: MIT */
/*
 * Streamed append. A value that stays short is kept in memory, and appended like any other. One
 * that does not goes to a file of its own, where it stands as it will in the log: header of the
 * batch, start of the record, value, headers. The lengths that come before the value are known at
 * the end only; so room is left for their longest form, which decoders accept. The file becomes a
 * segment.
 */
#include <firn/spool.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc.h"
#include "base/varint.h"
#include "commit/env.h"
#include "log/log_private.h"

enum {
    CHUNK = FIRN_SPOOL_BYTES / 2,  /* bytes in memory; what is more goes to the file */
    WRITEBACK = 8 * 1024 * 1024,   /* bytes between calls that start it */
    FIXED = 2 * VARINT_MAX_32 + 3, /* a record's bytes before the value, but for the key */
};

struct firn_spool {
    struct firn_log *log;
    struct firn_record *head; /* key and headers */
    uint64_t limit;           /* bytes of the value */
    size_t prefix;            /* bytes before the value, in the file */
    struct buffer suffix;     /* bytes behind it: the headers */

    uint8_t *memory;
    size_t buffered;
    struct segment *segment; /* the file, once there is one */
    uint64_t written;        /* bytes of the value in it, */
    uint32_t crc;            /* and their sum */
    bool failed;
};

/* ---- begin ---- */

static int put_number(struct buffer *to, int64_t number)
{
    uint8_t bytes[VARINT_MAX];
    return buffer_append(to, bytes, (size_t)(varint_put(bytes, number) - bytes));
}

static int put_slice(struct buffer *to, const struct firn_slice *slice)
{
    int rc = put_number(to, slice->data ? (int64_t)slice->size : -1);
    return rc == 0 && slice->size ? buffer_append(to, slice->data, slice->size) : rc;
}

static int make_suffix(struct firn_spool *spool)
{
    const struct firn_record *head = spool->head;
    int rc = put_number(&spool->suffix, (int64_t)head->header_count);
    for (size_t i = 0; rc == 0 && i < head->header_count; i++) {
        rc = put_slice(&spool->suffix, &head->headers[i].key);
        if (rc == 0)
            rc = put_slice(&spool->suffix, &head->headers[i].value);
    }
    return rc;
}

static size_t key_bytes(const struct firn_slice *key)
{
    return key->data ? varint_size((int64_t)key->size) + key->size : 1;
}

/* What is left for the value, of the record limit and of a segment. */
static int set_limit(struct firn_spool *spool, uint64_t wanted, struct firn_error *err)
{
    struct firn_log *log = spool->log;
    uint64_t most = log_segment_most(log), taken = spool->prefix + spool->suffix.size;
    uint64_t record = log->options.record_bytes, head = record_data_bytes(spool->head);
    if (taken > most || (record && head > record))
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "%s: key and headers of a record have %llu bytes", log->dir,
                              (unsigned long long)head);
    spool->limit = most - taken;
    if (record && record - head < spool->limit)
        spool->limit = record - head;
    if (wanted && wanted < spool->limit)
        spool->limit = wanted;
    return 0;
}

int firn_spool_open(struct firn_log *log, const struct firn_record *head, uint64_t limit,
                    struct firn_spool **out, struct firn_error *err)
{
    struct firn_record none = {0};
    if (head)
        none = *head;
    none.value = (struct firn_slice){0};
    int rc = record_check(&none, UINT64_MAX, err);
    if (rc < 0)
        return rc;
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    struct firn_spool *spool = calloc(1, sizeof *spool);
    if (spool) {
        spool->log = log;
        spool->head = record_copy(&none);
        spool->memory = malloc(CHUNK);
    }
    if (!spool || !spool->head || !spool->memory || make_suffix(spool) < 0) {
        firn_spool_abandon(spool);
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to stream a record", log->dir);
    }
    spool->prefix = BATCH_HEADER + FIXED + key_bytes(&spool->head->key);
    rc = set_limit(spool, limit, err);
    if (rc < 0)
        firn_spool_abandon(spool);
    else
        *out = spool;
    return rc;
}

/* ---- the file ---- */

static int write_value(struct firn_spool *spool, const void *bytes, size_t size,
                       struct firn_error *err)
{
    struct firn_file *file = atomic_load(&spool->segment->file);
    uint64_t at = spool->prefix + spool->written;
    int rc = disk_write_full(file, bytes, size, at, 0, err);
    if (rc < 0)
        return rc;
    spool->crc = crc32c(spool->crc, bytes, size);
    spool->written += size;
    uint64_t started = at / WRITEBACK * WRITEBACK, end = (at + size) / WRITEBACK * WRITEBACK;
    if (end > started)
        (void)disk_writeback_start(file, started, end - started, NULL);
    return 0;
}

int spool_spill(struct firn_spool *spool, struct firn_error *err)
{
    int rc = spool->segment ? 0 : log_aside_new(spool->log, &spool->segment, err);
    if (rc == 0 && spool->buffered)
        rc = write_value(spool, spool->memory, spool->buffered, err);
    spool->buffered = 0;
    return rc;
}

/* ---- the value ---- */

static int take(struct firn_spool *spool, const uint8_t *bytes, size_t size, struct firn_error *err)
{
    if (size > CHUNK - spool->buffered) {
        int rc = spool_spill(spool, err);
        if (rc == 0 && size >= CHUNK)
            return write_value(spool, bytes, size, err);
        if (rc < 0)
            return rc;
    }
    if (size)
        memcpy(spool->memory + spool->buffered, bytes, size);
    spool->buffered += size;
    return 0;
}

int firn_spool_write(struct firn_spool *spool, const void *bytes, size_t size,
                     struct firn_error *err)
{
    if (spool->failed)
        return firn_error_set(err, FIRN_EIO, 0, "%s: the streamed record failed before: abandon it",
                              spool->log->dir);
    if (size && !bytes)
        return firn_error_set(err, FIRN_EINVAL, 0, "a size but no bytes");
    int rc;
    if (size > spool->limit - spool->written - spool->buffered)
        rc = firn_error_set(err, FIRN_ETOOBIG, 0,
                            "%s: a streamed record beyond the limit of %llu bytes", spool->log->dir,
                            (unsigned long long)spool->limit);
    else
        rc = take(spool, bytes, size, err);
    spool->failed = rc < 0;
    return rc;
}

/* ---- finish ---- */

/* The longest form of a number of 32 bits. */
static uint8_t *put_long(uint8_t *to, int64_t number)
{
    uint64_t u = varint_zigzag(number);
    for (int i = 0; i < VARINT_MAX_32 - 1; i++, u >>= 7)
        *to++ = (uint8_t)(u | 0x80);
    *to++ = (uint8_t)u;
    return to;
}

/* Header and start of the record, in front of the value, and its headers behind it. */
static int complete_file(struct firn_spool *spool, struct batch *batch, struct firn_error *err)
{
    const struct firn_slice *key = &spool->head->key;
    struct firn_file *file = atomic_load(&spool->segment->file);
    uint8_t *prefix = malloc(spool->prefix);
    if (!prefix)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to stream a record",
                              spool->log->dir);
    uint64_t end = spool->prefix + spool->written + spool->suffix.size;
    uint8_t *at = prefix + BATCH_HEADER;
    at = put_long(at, (int64_t)(end - BATCH_HEADER - VARINT_MAX_32));
    memset(at, 0, 3); /* attributes, both deltas */
    at = varint_put(at + 3, key->data ? (int64_t)key->size : -1);
    if (key->data)
        memcpy(at, key->data, key->size);
    put_long(at + key->size, (int64_t)spool->written);
    batch->bytes = (uint32_t)end;
    batch_put(prefix, batch);
    uint32_t crc = crc32c(0, prefix + BATCH_CRC_FROM, spool->prefix - BATCH_CRC_FROM);
    crc = crc32c_combine(crc, spool->crc, spool->written);
    batch->crc = crc32c(crc, spool->suffix.data, spool->suffix.size);
    batch_set_crc(prefix, batch->crc);
    int rc = disk_write_full(file, prefix, spool->prefix, 0, 0, err);
    if (rc == 0)
        rc = disk_write_full(file, spool->suffix.data, spool->suffix.size,
                             spool->prefix + spool->written, 0, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    free(prefix);
    return rc;
}

static int finish_file(struct firn_spool *spool, const struct firn_append_options *options,
                       struct firn_appended *appended, struct firn_error *err)
{
    int64_t time = spool->head->timestamp ? spool->head->timestamp : log_now(spool->log);
    struct batch batch = {
        .base_time = time,
        .max_time = time,
        .producer_id = -1,
        .producer_epoch = -1,
        .count = 1,
    };
    int rc = spool_spill(spool, err);
    if (rc == 0)
        rc = complete_file(spool, &batch, err);
    if (rc == 0)
        rc = log_adopt(spool->log, spool->segment, &batch, options, appended, err);
    return rc;
}

static int finish_memory(struct firn_spool *spool, const struct firn_append_options *options,
                         struct firn_appended *appended, struct firn_error *err)
{
    struct firn_log *log = spool->log;
    struct firn_record record = *spool->head;
    struct firn_append_options at = options ? *options : (struct firn_append_options){0};
    struct firn_appended where;
    record.value = (struct firn_slice){spool->memory, spool->buffered};
    at.no_wait = true;
    int rc = firn_log_append(log, &record, 1, &at, &where, err);
    if (rc == 0)
        rc = commit_wait(&log->commit, where.epoch, WAIT_FOREVER, err);
    if (rc == 0 && appended)
        *appended = where;
    return rc;
}

int firn_spool_finish(struct firn_spool *spool, const struct firn_append_options *options,
                      struct firn_appended *appended, struct firn_error *err)
{
    int rc;
    uint64_t bytes = record_data_bytes(spool->head) + spool->buffered;
    if (spool->failed)
        rc = firn_error_set(err, FIRN_EIO, 0, "%s: the streamed record failed before",
                            spool->log->dir);
    else if (!spool->segment && bytes <= spool->log->record_limit)
        rc = finish_memory(spool, options, appended, err);
    else
        rc = finish_file(spool, options, appended, err);
    firn_spool_abandon(spool);
    return rc;
}

void firn_spool_abandon(struct firn_spool *spool)
{
    if (!spool)
        return;
    log_aside_done(spool->log, spool->segment);
    buffer_free(&spool->suffix);
    free(spool->memory);
    free(spool->head);
    free(spool);
}
