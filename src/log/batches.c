/* SPDX-License-Identifier: MIT */
/* Whole batches, in and out. */
#include <string.h>

#include <firn/transfer.h>

#include "base/codec.h"
#include "log/cursor.h"

/* ---- in ---- */

enum { AT_MAGIC = 16 };

static int check_records(const struct firn_log *log, const uint8_t *bytes,
                         const struct batch *batch, struct firn_error *err)
{
    struct record_iterator it;
    struct firn_record record;
    if (record_check_all(bytes, batch) < 0)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "the records of a batch are malformed");
    record_iterate(&it, bytes, batch);
    for (const uint8_t *start = it.at; record_next(&it, &record, NULL) == 0; start = it.at)
        if ((uint64_t)(it.at - start) > log->record_limit + BATCH_HEADER)
            return firn_error_set(err, FIRN_ETOOBIG, 0,
                                  "a record has %zu bytes; the limit of this log is %llu",
                                  (size_t)(it.at - start), (unsigned long long)log->record_limit);
    return 0;
}

static int check_batch(const struct firn_log *log, const uint8_t *bytes, size_t size,
                       struct batch *batch, struct firn_error *err)
{
    if (size >= BATCH_HEADER && bytes[AT_MAGIC] < 2)
        return firn_error_set(err, FIRN_ENOTSUP, 0,
                              "a batch of format %d; firn stores those of format 2",
                              bytes[AT_MAGIC]);
    enum batch_fault fault = batch_check(bytes, size, batch);
    if (fault != BATCH_OK)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "a batch does not check: %s",
                              batch_fault_text(fault));
    if (batch->bytes != size)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "a batch of %u bytes in %zu", batch->bytes,
                              size);
    if (batch->count == 0 || batch->count != batch->last_delta + 1)
        return firn_error_set(err, FIRN_EDAMAGED, 0,
                              "a batch of %u records whose last one has number %u", batch->count,
                              batch->last_delta);
    if ((batch->attributes & BATCH_COMPRESSION) >= CODECS)
        return firn_error_set(err, FIRN_ENOTSUP, 0, "a batch with compression %d, which is unknown",
                              batch->attributes & BATCH_COMPRESSION);
    return batch->attributes & BATCH_COMPRESSION ? 0 : check_records(log, bytes, batch, err);
}

int firn_log_append_batch(struct firn_log *log, const void *bytes, size_t size,
                          const struct firn_append_options *options, struct firn_appended *appended,
                          struct firn_error *err)
{
    struct batch batch;
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    if (!bytes)
        return firn_error_set(err, FIRN_EINVAL, 0, "no batch to append");
    int rc = check_batch(log, bytes, size, &batch, err);
    return rc < 0 ? rc : log_append_ready(log, bytes, &batch, options, appended, err);
}

/* ---- out ---- */

/* A cursor whose batch at hand holds `index`. */
static int open_at(struct firn_log *log, uint64_t index, struct firn_cursor **out,
                   struct firn_error *err)
{
    struct firn_cursor *cursor;
    int rc = firn_cursor_open(log, NULL, &cursor, err);
    if (rc < 0)
        return rc;
    cursor->plain = true;
    rc = cursor_load(cursor, index, err);
    if (rc == FIRN_EEND)
        firn_error_set(err, rc, 0, "%s: record %llu is not there yet", log->dir,
                       (unsigned long long)index);
    if (rc < 0)
        firn_cursor_close(cursor);
    else
        *out = cursor;
    return rc;
}

static uint64_t next_of(const struct firn_cursor *cursor)
{
    return cursor->batch.base + cursor->batch.last_delta + 1;
}

static void copy_batches(struct firn_cursor *cursor, uint8_t *to, size_t size,
                         struct firn_batches *batches)
{
    *batches = (struct firn_batches){.first_index = cursor->batch.base};
    do {
        memcpy(to + batches->bytes, cursor->bytes, cursor->batch.bytes);
        batches->bytes += cursor->batch.bytes;
        batches->next_index = next_of(cursor);
    } while (cursor_load(cursor, batches->next_index, NULL) == 0 &&
             cursor->batch.base == batches->next_index &&
             cursor->batch.bytes <= size - batches->bytes);
}

int firn_log_read_batches(struct firn_log *log, uint64_t index, void *buffer, size_t size,
                          struct firn_batches *batches, struct firn_error *err)
{
    struct firn_cursor *cursor;
    int rc = open_at(log, index, &cursor, err);
    if (rc < 0)
        return rc;
    if (cursor->batch.bytes > size) {
        batches->bytes = cursor->batch.bytes;
        rc = firn_error_set(err, FIRN_ETOOBIG, 0, "the batch of record %llu has %u bytes, not %zu",
                            (unsigned long long)index, cursor->batch.bytes, size);
    } else {
        copy_batches(cursor, buffer, size, batches);
    }
    firn_cursor_close(cursor);
    return rc;
}

/* Adds what follows in the segment, by headers. */
static void extend(const struct firn_cursor *cursor, uint64_t most, struct firn_range *range)
{
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    scan_init(&scan, cursor->scan.file, range->offset + range->length,
              segment_durable_end(cursor->segment), 0);
    while (range->length < most && scan_peek(&scan, &batch, &fault, NULL) == 0 &&
           batch.base == range->next_index && batch.bytes <= most - range->length) {
        range->length += batch.bytes;
        range->next_index = batch.base + batch.last_delta + 1;
        scan_skip(&scan, &batch);
    }
    scan_done(&scan);
}

int firn_log_find_batches(struct firn_log *log, uint64_t index, uint64_t most,
                          struct firn_range *range, struct firn_error *err)
{
    struct firn_cursor *cursor;
    int rc = open_at(log, index, &cursor, err);
    if (rc < 0)
        return rc;
    *range = (struct firn_range){
        .fd = disk_descriptor(cursor->scan.file),
        .offset = cursor->scan.position - cursor->batch.bytes,
        .length = cursor->batch.bytes,
        .first_index = cursor->batch.base,
        .next_index = next_of(cursor),
        .held = segment_ref(cursor->segment),
    };
    extend(cursor, most, range);
    firn_cursor_close(cursor);
    return 0;
}

void firn_range_release(struct firn_range *range)
{
    if (!range)
        return;
    segment_unref(range->held);
    range->held = NULL;
    range->fd = -1;
}
