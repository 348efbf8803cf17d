/* SPDX-License-Identifier: MIT */
/* Batches for tests, and cmocka with the headers that it wants before it. */
#ifndef TESTS_LOG_MAKE_BATCH_H
#define TESTS_LOG_MAKE_BATCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/prng.h"
#include "log/batch.h"
#include "log/record.h"

static inline struct firn_slice slice_of(const void *data, size_t size)
{
    return (struct firn_slice){.data = data, .size = size};
}

static inline struct firn_slice slice_text(const char *text)
{
    return slice_of(text, strlen(text));
}

/* The highest timestamp; the first one where there are no records is 0. */
static inline int64_t highest_time(const struct firn_record *records, size_t count)
{
    int64_t highest = count > 0 ? records[0].timestamp : 0;
    for (size_t i = 1; i < count; i++) {
        if (records[i].timestamp > highest)
            highest = records[i].timestamp;
    }
    return highest;
}

/* What firn itself writes in the header for `count` records without gaps. */
static inline struct batch header_for(uint64_t base, const struct firn_record *records,
                                      size_t count)
{
    return (struct batch){
        .base = base,
        .bytes = BATCH_HEADER,
        .generation = 1,
        .last_delta = (uint32_t)count - 1,
        .base_time = count > 0 ? records[0].timestamp : 0,
        .max_time = highest_time(records, count),
        .producer_id = -1,
        .producer_epoch = -1,
        .distance = -1,
        .count = (uint32_t)count,
    };
}

/*
 * Writes a batch of `records` (their `index` is what counts, from header->base on) to malloc'ed
 * memory of exactly its size, so that a sanitizer sees every byte read behind it. Completes
 * header->bytes and header->crc.
 */
static inline uint8_t *make_batch_as(struct batch *header, const struct firn_record *records)
{
    size_t size = BATCH_HEADER;
    for (uint32_t i = 0; i < header->count; i++) {
        uint64_t time_delta = (uint64_t)records[i].timestamp - (uint64_t)header->base_time;
        size += record_bytes(record_body_bytes(&records[i], (int64_t)time_delta,
                                               (uint32_t)(records[i].index - header->base)));
    }
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    uint8_t *at = bytes + BATCH_HEADER;
    for (uint32_t i = 0; i < header->count; i++) {
        int64_t time_delta = (int64_t)((uint64_t)records[i].timestamp -
                                       (uint64_t)header->base_time);
        uint32_t index_delta = (uint32_t)(records[i].index - header->base);
        size_t body = record_body_bytes(&records[i], time_delta, index_delta);
        at = record_put(at, &records[i], body, time_delta, index_delta);
    }
    assert_ptr_equal(at, bytes + size);
    header->bytes = (uint32_t)size;
    batch_put(bytes, header);
    header->crc = batch_crc(bytes, size);
    batch_set_crc(bytes, header->crc);
    return bytes;
}

/* The same for records without gaps; sets their indexes. */
static inline uint8_t *make_batch(uint64_t base, struct firn_record *records, size_t count,
                                  struct batch *header)
{
    for (size_t i = 0; i < count; i++)
        records[i].index = base + i;
    *header = header_for(base, records, count);
    return make_batch_as(header, records);
}

/* Changes a batch and makes its checksum right again. */
static inline void mend_crc(uint8_t *bytes, size_t size)
{
    batch_set_crc(bytes, batch_crc(bytes, size));
}

/*
 * A batch of three records that python3-kafka built (kafka.record.default_records of 2.0.2):
 *   0: 1700000000000, "key", "value one", headers h1 = "x", h2 = none
 *   1: 1700000000005, none, ""
 *   2: 1699999999990, "", none, headers "" = ""
 */
static const uint8_t golden_batch[105] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x5d, 0x00, 0x00, 0x00,
    0x00, 0x02, 0xdc, 0x1e, 0x38, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x01,
    0x8b, 0xcf, 0xe5, 0x68, 0x00, 0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x05, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00,
    0x03, 0x36, 0x00, 0x00, 0x00, 0x06, 0x6b, 0x65, 0x79, 0x12, 0x76, 0x61, 0x6c, 0x75, 0x65,
    0x20, 0x6f, 0x6e, 0x65, 0x04, 0x04, 0x68, 0x31, 0x02, 0x78, 0x04, 0x68, 0x32, 0x01, 0x0c,
    0x00, 0x0a, 0x02, 0x01, 0x00, 0x00, 0x10, 0x00, 0x13, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00,
};

#endif
