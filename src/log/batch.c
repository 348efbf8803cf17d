/* SPDX-License-Identifier: MIT */
/* The header of a batch, field by field, and what can be checked without storage. */
#include "log/batch.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

/* Where the fields stand. */
enum {
    AT_BASE = 0,
    AT_LENGTH = 8,
    AT_GENERATION = BATCH_LENGTH_FROM,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = BATCH_CRC_FROM,
    AT_LAST_DELTA = 23,
    AT_BASE_TIME = 27,
    AT_MAX_TIME = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_DISTANCE = 53,
    AT_COUNT = 57,
};

enum { MAGIC = 2, RECORD_LEAST = 7 /* bytes of the smallest record */ };

_Static_assert(AT_COUNT + 4 == BATCH_HEADER, "the fields fill the header");

static bool counts_fit(const struct batch *batch)
{
    if (batch->last_delta > INT32_MAX || batch->count > batch->last_delta + 1)
        return false;
    if (batch->base > (uint64_t)INT64_MAX - batch->last_delta)
        return false;
    if ((batch->attributes & BATCH_COMPRESSION) != 0)
        return true;
    return batch->count <= (batch->bytes - BATCH_HEADER) / RECORD_LEAST;
}

static bool header_is_zero(const uint8_t *bytes)
{
    static const uint8_t zeros[BATCH_HEADER];
    return memcmp(bytes, zeros, BATCH_HEADER) == 0;
}

enum batch_fault batch_parse(const uint8_t *bytes, size_t size, struct batch *batch)
{
    if (size < BATCH_HEADER)
        return BATCH_SHORT;
    uint32_t length = load_be_u32(bytes + AT_LENGTH);
    if (length < BATCH_HEADER - BATCH_LENGTH_FROM || length > BATCH_MAX - BATCH_LENGTH_FROM)
        return header_is_zero(bytes) ? BATCH_ZERO : BATCH_BAD_LENGTH;
    if (bytes[AT_MAGIC] != MAGIC)
        return BATCH_BAD_MAGIC;
    struct batch found = {
        .base = load_be_u64(bytes + AT_BASE),
        .bytes = length + BATCH_LENGTH_FROM,
        .generation = load_be_u32(bytes + AT_GENERATION),
        .crc = load_be_u32(bytes + AT_CRC),
        .attributes = load_be_u16(bytes + AT_ATTRIBUTES),
        .last_delta = load_be_u32(bytes + AT_LAST_DELTA),
        .base_time = load_be_i64(bytes + AT_BASE_TIME),
        .max_time = load_be_i64(bytes + AT_MAX_TIME),
        .producer_id = load_be_i64(bytes + AT_PRODUCER_ID),
        .producer_epoch = load_be_i16(bytes + AT_PRODUCER_EPOCH),
        .distance = load_be_i32(bytes + AT_DISTANCE),
        .count = load_be_u32(bytes + AT_COUNT),
    };
    if (!counts_fit(&found))
        return BATCH_BAD_COUNT;
    *batch = found;
    return BATCH_OK;
}

enum batch_fault batch_check(const uint8_t *bytes, size_t size, struct batch *batch)
{
    struct batch found;
    enum batch_fault fault = batch_parse(bytes, size, &found);
    if (fault != BATCH_OK)
        return fault;
    if (size < found.bytes)
        return BATCH_SHORT;
    if (batch_crc(bytes, found.bytes) != found.crc)
        return BATCH_BAD_CRC;
    *batch = found;
    return BATCH_OK;
}

const char *batch_fault_text(enum batch_fault fault)
{
    switch (fault) {
    case BATCH_OK:
        return "nothing wrong";
    case BATCH_SHORT:
        return "cut short";
    case BATCH_ZERO:
        return "zeros where a batch should be";
    case BATCH_BAD_LENGTH:
        return "impossible length";
    case BATCH_BAD_MAGIC:
        return "not a batch of format 2";
    case BATCH_BAD_COUNT:
        return "impossible counts or index";
    case BATCH_BAD_CRC:
        return "bad checksum";
    }
    return "unknown fault";
}

void batch_put(uint8_t *bytes, const struct batch *batch)
{
    assert(batch->bytes >= BATCH_HEADER && batch->bytes <= BATCH_MAX);
    store_be_u64(bytes + AT_BASE, batch->base);
    store_be_u32(bytes + AT_LENGTH, batch->bytes - BATCH_LENGTH_FROM);
    store_be_u32(bytes + AT_GENERATION, batch->generation);
    bytes[AT_MAGIC] = MAGIC;
    store_be_u32(bytes + AT_CRC, batch->crc);
    store_be_u16(bytes + AT_ATTRIBUTES, batch->attributes);
    store_be_u32(bytes + AT_LAST_DELTA, batch->last_delta);
    store_be_i64(bytes + AT_BASE_TIME, batch->base_time);
    store_be_i64(bytes + AT_MAX_TIME, batch->max_time);
    store_be_i64(bytes + AT_PRODUCER_ID, batch->producer_id);
    store_be_i16(bytes + AT_PRODUCER_EPOCH, batch->producer_epoch);
    store_be_i32(bytes + AT_DISTANCE, batch->distance);
    store_be_u32(bytes + AT_COUNT, batch->count);
}

uint32_t batch_crc(const uint8_t *bytes, size_t size)
{
    assert(size >= BATCH_HEADER);
    return crc32c(0, bytes + BATCH_CRC_FROM, size - BATCH_CRC_FROM);
}

void batch_set_base(uint8_t *bytes, uint64_t base)
{
    store_be_u64(bytes + AT_BASE, base);
}

void batch_set_crc(uint8_t *bytes, uint32_t crc)
{
    store_be_u32(bytes + AT_CRC, crc);
}

void batch_set_generation(uint8_t *bytes, uint32_t generation)
{
    store_be_u32(bytes + AT_GENERATION, generation);
}

void batch_set_distance(uint8_t *bytes, uint32_t distance)
{
    store_be_u32(bytes + AT_DISTANCE, distance);
}

void batch_seal(struct batch *batch, const uint8_t *records, size_t size, uint8_t *out)
{
    batch->bytes = BATCH_HEADER + (uint32_t)size;
    batch_put(out, batch);
    uint32_t crc = crc32c(0, out + BATCH_CRC_FROM, BATCH_HEADER - BATCH_CRC_FROM);
    batch->crc = crc32c(crc, records, size);
    batch_set_crc(out, batch->crc);
}
