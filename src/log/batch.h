/* SPDX-License-Identifier: MIT */
/* A record batch (magic 2): its header, and the checks that need no storage. */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BATCH_HEADER = 61,      /* bytes before the first record */
    BATCH_CRC_FROM = 21,    /* the checksum covers the bytes from here on */
    BATCH_LENGTH_FROM = 12, /* batchLength counts the bytes from here on */
    BATCH_MAX = 0x7fffffff, /* bytes */
};

/* attributes */
enum {
    BATCH_COMPRESSION = 0x07,
    BATCH_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
};

struct batch {
    uint64_t base;       /* index of the first record */
    uint32_t bytes;      /* whole batch, header included */
    uint32_t generation; /* partitionLeaderEpoch */
    uint32_t crc;
    uint16_t attributes;
    uint32_t last_delta; /* index of the last record, less base */
    int64_t base_time;   /* ms */
    int64_t max_time;    /* ms */
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t distance; /* baseSequence: bytes back to the durable end when this was written */
    uint32_t count;   /* records; 0 only in a batch that fills a gap */
};

/* What is wrong with a header; 0 if nothing. */
enum batch_fault {
    BATCH_OK = 0,
    BATCH_SHORT,      /* less than a header, or than the batch, is there */
    BATCH_ZERO,       /* the first 61 bytes are zero: nothing was written here */
    BATCH_BAD_LENGTH, /* batchLength is too small or beyond BATCH_MAX */
    BATCH_BAD_MAGIC,
    BATCH_BAD_COUNT, /* counts, deltas or base impossible */
    BATCH_BAD_CRC,
};

/*
 * Reads the header at `bytes` into `batch`, if `size` bytes hold one; checks all that a header
 * alone can tell. BATCH_SHORT only for size < BATCH_HEADER: the batch itself may be longer.
 */
enum batch_fault batch_parse(const uint8_t *bytes, size_t size, struct batch *batch);

/* Parses, and checks the checksum: BATCH_SHORT unless all `batch->bytes` are there. */
enum batch_fault batch_check(const uint8_t *bytes, size_t size, struct batch *batch);

/* "bad checksum", ...: for messages. */
const char *batch_fault_text(enum batch_fault fault);

/* Writes the header, with `batch->crc` as it is. */
void batch_put(uint8_t *bytes, const struct batch *batch);

/* The checksum of a batch that is contiguous: bytes[BATCH_CRC_FROM..size). */
uint32_t batch_crc(const uint8_t *bytes, size_t size);

/* Sets single fields of a header in place. The checksum does not cover base and generation. */
void batch_set_base(uint8_t *bytes, uint64_t base);
void batch_set_crc(uint8_t *bytes, uint32_t crc);
void batch_set_generation(uint8_t *bytes, uint32_t generation);
void batch_set_distance(uint8_t *bytes, uint32_t distance);

/*
 * Whether a client built it: what its checksum covers is never touched then, and it does not say
 * how far the log was durable when it was written.
 */
static inline bool batch_is_foreign(const struct batch *batch)
{
    return batch->producer_id != -1 || batch->distance < 0;
}

/*
 * Writes the header of a batch of `size` bytes of records to `out`, with its length and checksum,
 * which are set in `batch` too.
 */
void batch_seal(struct batch *batch, const uint8_t *records, size_t size, uint8_t *out);

#endif
