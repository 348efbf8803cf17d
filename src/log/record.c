/* SPDX-License-Identifier: MIT */
/*
 * Records: length | attributes, time delta, index delta | key | value | headers. Lengths are
 * zigzag varints, -1 for "none". Writing trusts its caller; reading trusts nothing but the batch's
 * extent, since a checksum only says that the bytes are those that somebody wrote.
 */
#include "log/record.h"

#include <assert.h>
#include <string.h>

#include "base/varint.h"

enum {
    BODY_LEAST = 6, /* one byte each: attributes, two deltas, two lengths, header count */
    START_MOST = VARINT_MAX_32 + 1 + VARINT_MAX + 2 * VARINT_MAX_32, /* up to the key's bytes */
};

/* ---- sizes ---------------------------------------------------------------------------------- */

static size_t slice_bytes(const struct firn_slice *slice)
{
    if (slice->data == NULL)
        return 1;
    return varint_size((int64_t)slice->size) + slice->size;
}

/* A header's key may be empty, not none. */
static size_t header_key_bytes(const struct firn_slice *key)
{
    return varint_size((int64_t)key->size) + key->size;
}

size_t record_body_bytes(const struct firn_record *record, int64_t time_delta, uint32_t index_delta)
{
    size_t bytes = 1 + varint_size(time_delta) + varint_size(index_delta);
    bytes += slice_bytes(&record->key) + slice_bytes(&record->value);
    bytes += varint_size((int64_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++)
        bytes += header_key_bytes(&record->headers[i].key) + slice_bytes(&record->headers[i].value);
    return bytes;
}

size_t record_bytes(size_t body_bytes)
{
    return varint_size((int64_t)body_bytes) + body_bytes;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The fixed part and the key's length: at most START_MOST bytes. */
static uint8_t *put_start(uint8_t *out, const struct firn_record *record, size_t body_bytes,
                          int64_t time_delta, uint32_t index_delta)
{
    out = varint_put(out, (int64_t)body_bytes);
    *out++ = 0;
    out = varint_put(out, time_delta);
    out = varint_put(out, index_delta);
    return varint_put(out, record->key.data == NULL ? -1 : (int64_t)record->key.size);
}

static uint8_t *put_bytes(uint8_t *out, const struct firn_slice *slice)
{
    if (slice->size > 0)
        memcpy(out, slice->data, slice->size);
    return out + slice->size;
}

static uint8_t *put_slice(uint8_t *out, const struct firn_slice *slice)
{
    if (slice->data == NULL)
        return varint_put(out, -1);
    return put_bytes(varint_put(out, (int64_t)slice->size), slice);
}

uint8_t *record_put(uint8_t *out, const struct firn_record *record, size_t body_bytes,
                    int64_t time_delta, uint32_t index_delta)
{
    out = put_start(out, record, body_bytes, time_delta, index_delta);
    if (record->key.data != NULL)
        out = put_bytes(out, &record->key);
    out = put_slice(out, &record->value);
    out = varint_put(out, (int64_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct firn_header *header = &record->headers[i];
        out = put_bytes(varint_put(out, (int64_t)header->key.size), &header->key);
        out = put_slice(out, &header->value);
    }
    return out;
}

static void pour(record_sink *put, void *arg, const struct firn_slice *slice)
{
    if (slice->data != NULL && slice->size > 0)
        put(arg, slice->data, slice->size);
}

static void pour_number(record_sink *put, void *arg, int64_t number)
{
    uint8_t bytes[VARINT_MAX];
    put(arg, bytes, (size_t)(varint_put(bytes, number) - bytes));
}

static void pour_slice(record_sink *put, void *arg, const struct firn_slice *slice)
{
    pour_number(put, arg, slice->data == NULL ? -1 : (int64_t)slice->size);
    pour(put, arg, slice);
}

void record_put_pieces(record_sink *put, void *arg, const struct firn_record *record,
                       size_t body_bytes, int64_t time_delta, uint32_t index_delta)
{
    uint8_t start[START_MOST];
    uint8_t *end = put_start(start, record, body_bytes, time_delta, index_delta);
    put(arg, start, (size_t)(end - start));
    pour(put, arg, &record->key);
    pour_slice(put, arg, &record->value);
    pour_number(put, arg, (int64_t)record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        pour_number(put, arg, (int64_t)record->headers[i].key.size);
        pour(put, arg, &record->headers[i].key);
        pour_slice(put, arg, &record->headers[i].value);
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

void record_iterate(struct record_iterator *it, const uint8_t *bytes, const struct batch *batch)
{
    assert((batch->attributes & BATCH_COMPRESSION) == 0);
    record_iterate_bytes(it, bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER, batch);
}

void record_iterate_bytes(struct record_iterator *it, const uint8_t *records, size_t size,
                          const struct batch *batch)
{
    *it = (struct record_iterator){
        .at = records,
        .end = records + size,
        .base = batch->base,
        .base_time = batch->base_time,
        .append_time = batch->max_time,
        .use_append_time = (batch->attributes & BATCH_APPEND_TIME) != 0,
        .left = batch->count,
        .last_delta = batch->last_delta,
    };
}

static inline int get_slice(const uint8_t **at, const uint8_t *end, struct firn_slice *slice)
{
    int32_t size;
    if (varint_get32(at, end, &size) != 0 || size < -1 || size > end - *at)
        return FIRN_EDAMAGED;
    *slice = (struct firn_slice){0};
    if (size >= 0) {
        *slice = (struct firn_slice){.data = *at, .size = (size_t)size};
        *at += size;
    }
    return 0;
}

/* The number of headers, which must have room (two bytes each), and nothing else be there. */
static inline int get_header_count(const uint8_t **at, const uint8_t *end, size_t *count)
{
    int32_t number;
    if (varint_get32(at, end, &number) != 0 || number < 0 || number > (end - *at) / 2)
        return FIRN_EDAMAGED;
    if (number == 0 && *at != end)
        return FIRN_EDAMAGED;
    *count = (size_t)number;
    return 0;
}

/* Wraps around, as the writer's subtraction does. */
static inline int64_t add_wrapping(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Time and index; `*at` stands behind the attributes. */
static inline int get_deltas(const struct record_iterator *it, const uint8_t **at,
                             const uint8_t *end, struct firn_record *record)
{
    int64_t time_delta;
    int32_t index_delta;
    if (varint_get(at, end, &time_delta) != 0 || varint_get32(at, end, &index_delta) != 0)
        return FIRN_EDAMAGED;
    if (index_delta < 0)
        return FIRN_EDAMAGED;
    uint32_t delta = (uint32_t)index_delta;
    if (delta < it->least_delta || delta > it->last_delta)
        return FIRN_EDAMAGED;
    record->index = it->base + delta;
    record->timestamp = it->use_append_time ? it->append_time
                                            : add_wrapping(it->base_time, time_delta);
    return 0;
}

int record_next(struct record_iterator *it, struct firn_record *record, const uint8_t **headers_at)
{
    if (it->left == 0)
        return it->at == it->end ? FIRN_EEND : FIRN_EDAMAGED;
    const uint8_t *at = it->at;
    int32_t body;
    if (varint_get32(&at, it->end, &body) != 0 || body < BODY_LEAST || body > it->end - at)
        return FIRN_EDAMAGED;
    const uint8_t *end = at + body;
    at++;
    struct firn_record found;
    if (get_deltas(it, &at, end, &found) != 0 || get_slice(&at, end, &found.key) != 0 ||
        get_slice(&at, end, &found.value) != 0 ||
        get_header_count(&at, end, &found.header_count) != 0)
        return FIRN_EDAMAGED;
    found.headers = NULL;
    *record = found;
    if (headers_at != NULL)
        *headers_at = at;
    it->at = end;
    it->left--;
    it->least_delta = (uint32_t)(found.index - it->base) + 1;
    return 0;
}

static int get_header(const uint8_t **at, const uint8_t *end, struct firn_header *header)
{
    if (get_slice(at, end, &header->key) != 0 || header->key.data == NULL)
        return FIRN_EDAMAGED;
    return get_slice(at, end, &header->value);
}

int record_read_headers(const uint8_t *at, const uint8_t *end, size_t count,
                        struct firn_header *headers)
{
    for (size_t i = 0; i < count; i++) {
        if (get_header(&at, end, &headers[i]) != 0)
            return FIRN_EDAMAGED;
    }
    return at == end ? 0 : FIRN_EDAMAGED;
}

/* The attributes of the record that begins at `at`, which has been read once. */
static uint8_t attributes_of(const uint8_t *at, const uint8_t *end)
{
    int32_t body = 0;
    int rc = varint_get32(&at, end, &body);
    assert(rc == 0);
    (void)rc;
    return *at;
}

int record_check_all(const uint8_t *bytes, const struct batch *batch)
{
    assert((batch->attributes & BATCH_COMPRESSION) == 0);
    return record_check_bytes(bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER, batch);
}

int record_check_rest(const uint8_t *start, const uint8_t *headers_at, const uint8_t *end,
                      size_t header_count)
{
    if (attributes_of(start, end) != 0)
        return FIRN_EDAMAGED;
    for (size_t i = 0; i < header_count; i++) {
        struct firn_header header;
        if (get_header(&headers_at, end, &header) != 0)
            return FIRN_EDAMAGED;
    }
    return headers_at == end ? 0 : FIRN_EDAMAGED;
}

int record_check_bytes(const uint8_t *records, size_t size, const struct batch *batch)
{
    struct record_iterator it;
    record_iterate_bytes(&it, records, size, batch);
    for (;;) {
        const uint8_t *start = it.at;
        const uint8_t *headers_at;
        struct firn_record record;
        int rc = record_next(&it, &record, &headers_at);
        if (rc != 0)
            return rc == FIRN_EEND ? 0 : rc;
        if (record_check_rest(start, headers_at, it.at, record.header_count) < 0)
            return FIRN_EDAMAGED;
    }
}
