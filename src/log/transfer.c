/* SPDX-License-Identifier: MIT */
#include "log/transfer.h"

#include <stdlib.h>

#include "base/crc.h"
#include "commit/env.h"

enum {
    CHUNK = 256 * 1024,
    FLUSH_BYTES = 16 * 1024 * 1024, /* between flushes */
};

int transfer_flush(struct transfer *transfer, struct firn_error *err)
{
    int rc = firn_log_flush(transfer->to, err);
    if (rc < 0)
        return rc;
    transfer->unflushed = 0;
    transfer->done.next_index = transfer->next;
    rc = transfer->progress ? transfer->progress(transfer->arg, &transfer->done) : 0;
    if (rc != 0)
        firn_error_set(err, rc, 0, "%s: ended by its caller", transfer->to->dir);
    return rc;
}

static int count(struct transfer *transfer, const struct batch *batch, struct firn_error *err)
{
    transfer->next += (uint64_t)batch->last_delta + 1;
    transfer->done.records += batch->count;
    transfer->done.bytes += batch->bytes;
    transfer->unflushed += batch->bytes;
    return transfer->unflushed >= FLUSH_BYTES ? transfer_flush(transfer, err) : 0;
}

/* ---- large ones, by way of a file ---- */

/* Copies the batch, and gives the checksum of what lies behind its header. */
static int copy_bytes(const struct batch *batch, struct firn_file *from, uint64_t position,
                      struct firn_file *to, uint8_t *chunk, uint32_t *crc, struct firn_error *err)
{
    *crc = 0;
    for (uint64_t at = 0; at < batch->bytes;) {
        size_t size = batch->bytes - at < CHUNK ? (size_t)(batch->bytes - at) : CHUNK, got;
        int rc = disk_read_full(from, chunk, size, position + at, &got, err);
        if (rc == 0 && got < size)
            rc = firn_error_set(err, FIRN_ERANGE, 0, "a batch was truncated while it was copied");
        if (rc == 0)
            rc = disk_write_full(to, chunk, size, at, 0, err);
        if (rc < 0)
            return rc;
        size_t skip = at == 0 ? BATCH_HEADER : 0;
        *crc = crc32c(*crc, chunk + skip, size - skip);
        at += size;
    }
    return 0;
}

/* The checksum with the header as it is in `batch`. */
static uint32_t whole_crc(const struct batch *batch, uint32_t rest)
{
    uint8_t header[BATCH_HEADER];
    batch_put(header, batch);
    uint32_t crc = crc32c(0, header + BATCH_CRC_FROM, BATCH_HEADER - BATCH_CRC_FROM);
    return crc32c_combine(crc, rest, batch->bytes - BATCH_HEADER);
}

static int fill_aside(struct batch *batch, struct firn_file *from, uint64_t position,
                      struct firn_file *to, struct firn_error *err)
{
    uint32_t rest;
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to copy a batch");
    int rc = copy_bytes(batch, from, position, to, chunk, &rest, err);
    free(chunk);
    if (rc == 0 && whole_crc(batch, rest) != batch->crc)
        rc = firn_error_set(err, FIRN_EDAMAGED, 0, "the batch of record %llu changed meanwhile",
                            (unsigned long long)batch->base);
    if (rc == 0)
        rc = disk_sync(to, err);
    if (rc == 0 && !batch_is_foreign(batch)) {
        batch->distance = 0; /* it will be the first in its segment */
        batch->crc = whole_crc(batch, rest);
    }
    return rc;
}

static int copy_large(struct transfer *transfer, const struct batch *batch, struct firn_file *file,
                      uint64_t position, const struct firn_append_options *options,
                      struct firn_error *err)
{
    struct firn_log *log = transfer->to;
    struct segment *segment;
    struct batch copy = *batch;
    int rc = log_aside_new(log, &segment, err);
    if (rc < 0)
        return rc;
    rc = fill_aside(&copy, file, position, atomic_load(&segment->file), err);
    if (rc == 0)
        rc = log_adopt(log, segment, &copy, options, NULL, err);
    log_aside_done(log, segment);
    return rc;
}

/* ---- any ---- */

int transfer_batch(struct transfer *transfer, const struct batch *batch, const uint8_t *bytes,
                   struct firn_file *file, uint64_t position, struct firn_error *err)
{
    struct firn_log *log = transfer->to;
    const struct firn_append_options options = {
        .no_wait = true, .if_next = true, .next_index = transfer->next};
    size_t most = env_pool_buffers(log->env) / 2 * COMMIT_BUFFER_ROOM;
    bool fits = batch->bytes <= most && batch->bytes <= log_segment_most(log);
    int rc = bytes && fits ? log_append_ready(log, bytes, batch, &options, NULL, err)
                           : copy_large(transfer, batch, file, position, &options, err);
    return rc == 0 ? count(transfer, batch, err) : rc;
}

int transfer_gap(struct transfer *transfer, uint64_t until, struct firn_error *err)
{
    uint64_t most = transfer->to->options.segment_records;
    int rc = 0;
    while (rc == 0 && transfer->next < until) {
        uint64_t left = until - transfer->next;
        uint8_t bytes[BATCH_HEADER];
        struct batch empty = {
            .base = transfer->next,
            .last_delta = (uint32_t)((left < most ? left : most) - 1),
            .base_time = -1,
            .max_time = -1,
            .producer_id = -1,
            .producer_epoch = -1,
        };
        batch_seal(&empty, NULL, 0, bytes);
        rc = transfer_batch(transfer, &empty, bytes, NULL, 0, err);
    }
    return rc;
}
