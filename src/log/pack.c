/* SPDX-License-Identifier: MIT */
/*
 * Compressing what is appended together, before any lock is taken. Records that are appended one by
 * one share batches that grow in the group's buffers, and stay as they are, unless they are large.
 */
#include "log/pack.h"

#include "base/codec.h"

enum { ALONE_LEAST = 1024 }; /* bytes of a record that is worth compressing by itself */

bool pack_pays(const struct firn_log *log, size_t count, size_t bytes)
{
    if (log->options.compression == FIRN_COMPRESSION_NONE || bytes > BATCH_MAX)
        return false;
    return count > 1 || bytes >= ALONE_LEAST;
}

/* The records, one behind the other; `batch` gets their times. */
static bool put_records(const struct firn_record *records, size_t count, int64_t now, size_t bytes,
                        struct buffer *to, struct batch *batch)
{
    if (buffer_reserve(to, bytes) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t time = records[i].timestamp ? records[i].timestamp : now;
        if (i == 0)
            batch->base_time = batch->max_time = time;
        int64_t delta = time - batch->base_time;
        size_t body = record_body_bytes(&records[i], delta, (uint32_t)i);
        uint8_t *end = record_put(to->data + to->size, &records[i], body, delta, (uint32_t)i);
        to->size = (size_t)(end - to->data);
        if (time > batch->max_time)
            batch->max_time = time;
    }
    return true;
}

bool pack_records(const struct firn_log *log, const struct firn_record *records, size_t count,
                  int64_t now, size_t bytes, struct buffer *packed, struct batch *batch)
{
    static const uint8_t header[BATCH_HEADER];
    const struct firn_log_options *options = &log->options;
    struct buffer plain = {0};
    *batch = (struct batch){
        .attributes = (uint16_t)options->compression,
        .last_delta = (uint32_t)count - 1,
        .count = (uint32_t)count,
        .producer_id = -1,
        .producer_epoch = -1,
    };
    bool good = put_records(records, count, now, bytes, &plain, batch) &&
                buffer_append(packed, header, sizeof header) == 0 &&
                codec_pack((unsigned)options->compression, options->compression_level, plain.data,
                           plain.size, packed) == 0 &&
                packed->size < bytes;
    buffer_free(&plain);
    if (good) {
        batch->bytes = (uint32_t)packed->size;
        batch_put(packed->data, batch);
    } else {
        buffer_free(packed);
    }
    return good;
}
