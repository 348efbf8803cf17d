/* SPDX-License-Identifier: MIT */
#include "journal/redo.h"

#include <string.h>

#include "base/bytes.h"

enum {
    AT_CRC = 0,
    AT_MAGIC = 4,
    AT_SEQUENCE = 8,
    AT_SALT = 16,
    AT_BYTES = 24,
    AT_RANGES = 28,
    AT_CLAIM = 32,
    AT_LENGTH = 40,
};

#define ZEROS (UINT64_C(1) << 63)

void redo_encode(const struct redo *record, uint8_t *bytes)
{
    store_be_u32(bytes + AT_CRC, record->crc);
    memcpy(bytes + AT_MAGIC, REDO_MAGIC, 4);
    store_be_u64(bytes + AT_SEQUENCE, record->sequence);
    store_be_u64(bytes + AT_SALT, record->salt);
    store_be_u32(bytes + AT_BYTES, record->bytes);
    store_be_u32(bytes + AT_RANGES, record->ranges);
    store_be_u64(bytes + AT_CLAIM, record->claim);
    store_be_u64(bytes + AT_LENGTH, record->length);
}

bool redo_parse(const uint8_t *bytes, struct redo *record)
{
    *record = (struct redo){
        .crc = load_be_u32(bytes + AT_CRC),
        .sequence = load_be_u64(bytes + AT_SEQUENCE),
        .salt = load_be_u64(bytes + AT_SALT),
        .bytes = load_be_u32(bytes + AT_BYTES),
        .ranges = load_be_u32(bytes + AT_RANGES),
        .claim = load_be_u64(bytes + AT_CLAIM),
        .length = load_be_u64(bytes + AT_LENGTH),
    };
    return memcmp(bytes + AT_MAGIC, REDO_MAGIC, 4) == 0 &&
           REDO_HEADER + (uint64_t)record->ranges * REDO_RANGE <= record->bytes;
}

void redo_set_claim(uint8_t *bytes, uint64_t claim)
{
    store_be_u64(bytes + AT_CLAIM, claim);
}

void redo_set_crc(uint8_t *bytes, uint32_t crc)
{
    store_be_u32(bytes + AT_CRC, crc);
}

uint32_t redo_bytes(const uint8_t *bytes)
{
    return load_be_u32(bytes + AT_BYTES);
}

uint32_t redo_ranges(const uint8_t *bytes)
{
    return load_be_u32(bytes + AT_RANGES);
}

void redo_encode_range(const struct redo_range *range, uint8_t *bytes)
{
    store_be_u64(bytes, range->offset);
    store_be_u64(bytes + 8, range->bytes | (range->zeros ? ZEROS : 0));
}

struct redo_range redo_parse_range(const uint8_t *bytes)
{
    uint64_t count = load_be_u64(bytes + 8);
    return (struct redo_range){load_be_u64(bytes), count & ~ZEROS, (count & ZEROS) != 0};
}
