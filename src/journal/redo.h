/* SPDX-License-Identifier: MIT */
/*
 * A record of the journal: one change. All numbers are big-endian.
 *
 *   0  u32  CRC-32C of all that follows
 *   4  4    "FJNR"
 *   8  u64  sequence: one more than the record before
 *  16  u64  salt of this life: the first half of its nonce
 *  24  u32  bytes of the record, with this header
 *  28  u32  ranges
 *  32  u64  claim: all records below that sequence were durable when this one was written
 *  40  u64  length of the main file from this change on
 *  48       ranges x {u64 offset, u64 bytes}, then their new content
 *
 * The highest bit of a range's bytes says that its content is zeros: then the record holds none.
 */
#ifndef JOURNAL_REDO_H
#define JOURNAL_REDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDO_HEADER = 48, REDO_RANGE = 16, REDO_CRC_FROM = 4 };

#define REDO_MAGIC "FJNR"

struct redo {
    uint32_t crc;
    uint64_t sequence;
    uint64_t salt;
    uint32_t bytes;
    uint32_t ranges;
    uint64_t claim;
    uint64_t length;
};

/* Writes REDO_HEADER bytes. */
void redo_encode(const struct redo *record, uint8_t *bytes);
/* False: these are not the first bytes of a record. The checksum is the caller's business. */
bool redo_parse(const uint8_t *bytes, struct redo *record);

/* The fields that the committer completes, and those that others may read meanwhile. */
void redo_set_claim(uint8_t *bytes, uint64_t claim);
void redo_set_crc(uint8_t *bytes, uint32_t crc);
uint32_t redo_bytes(const uint8_t *bytes);
uint32_t redo_ranges(const uint8_t *bytes);

/* A range of the table: REDO_RANGE bytes. */
struct redo_range {
    uint64_t offset, bytes;
    bool zeros;
};

void redo_encode_range(const struct redo_range *range, uint8_t *bytes);
struct redo_range redo_parse_range(const uint8_t *bytes);

#endif
