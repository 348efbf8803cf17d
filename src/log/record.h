/* SPDX-License-Identifier: MIT */
/* Records inside a batch: sizes, writing, reading. */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include <firn/log.h>

#include "log/batch.h"

/* Bytes of key, value and headers. */
uint64_t record_data_bytes(const struct firn_record *record);
/* What a user wants to append: FIRN_EINVAL, FIRN_ETOOBIG beyond `most` bytes. */
int record_check(const struct firn_record *record, uint64_t most, struct firn_error *err);
/* For firn_record_free; NULL: no memory. */
struct firn_record *record_copy(const struct firn_record *record);

/*
 * Bytes of the body of `record` (what its length field counts), for these deltas. Deltas of times
 * wrap around, so that any two times go into one batch.
 */
size_t record_body_bytes(const struct firn_record *record, int64_t time_delta,
                         uint32_t index_delta);

/* Bytes of the whole record: the length field and the body. */
size_t record_bytes(size_t body_bytes);

/* Writes to memory that is large enough; returns the byte behind the record. */
uint8_t *record_put(uint8_t *out, const struct firn_record *record, size_t body_bytes,
                    int64_t time_delta, uint32_t index_delta);

/*
 * Writes it in pieces: `put` is called with successive bytes that make up the record (for records
 * that span buffers).
 */
typedef void record_sink(void *arg, const void *bytes, size_t size);
void record_put_pieces(record_sink *put, void *arg, const struct firn_record *record,
                       size_t body_bytes, int64_t time_delta, uint32_t index_delta);

/* Where records stand in a batch that has been checked. */
struct record_iterator {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t base;
    int64_t base_time;
    int64_t append_time; /* max_time where the batch has append time */
    bool use_append_time;
    uint32_t left;
    uint32_t least_delta; /* of the next record */
    uint32_t last_delta;  /* most that any may have */
};

/* `bytes` is a whole, uncompressed batch. */
void record_iterate(struct record_iterator *it, const uint8_t *bytes, const struct batch *batch);

/* The same where the records stand apart from the header: unpacked, or cut. */
void record_iterate_bytes(struct record_iterator *it, const uint8_t *records, size_t size,
                          const struct batch *batch);

/*
 * Reads the next record into `record` (slices point into the batch; `record->headers` stays NULL,
 * header_count is set) and, if `headers_at` is not NULL, where its headers begin.
 * 0; FIRN_EEND behind the last; FIRN_EDAMAGED if the structure is impossible (also if index deltas
 * do not ascend, a length is out of bounds, or bytes are left over behind the last record).
 */
int record_next(struct record_iterator *it, struct firn_record *record, const uint8_t **headers_at);

/*
 * Reads `count` headers into `headers`: `at` is record_next's `headers_at`, `end` the iterator's
 * `at` after it. FIRN_EDAMAGED, also if they do not end at `end`.
 */
int record_read_headers(const uint8_t *at, const uint8_t *end, size_t count,
                        struct firn_header *headers);

/*
 * Checks every record of a whole uncompressed batch, headers and the unused attributes (zero)
 * included. FIRN_EDAMAGED.
 */
int record_check_all(const uint8_t *bytes, const struct batch *batch);

/* What record_next does not look at, of the record in [start, end). */
int record_check_rest(const uint8_t *start, const uint8_t *headers_at, const uint8_t *end,
                      size_t header_count);

/* The same where the records stand apart from the header. */
int record_check_bytes(const uint8_t *records, size_t size, const struct batch *batch);

#endif
