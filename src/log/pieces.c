/* SPDX-License-Identifier: MIT */
/*
 * A record is put together in memory without its value, if that is long, and then read as any
 * other: so there is one decoder of records.
 */
#include "log/pieces.h"

#include "base/error.h"
#include "base/varint.h"
#include "disk/disk.h"

enum {
    START_MOST = VARINT_MAX_32 + 1 + VARINT_MAX + 2 * VARINT_MAX_32, /* up to the key */
};

/* Where the parts of a record lie in the file. */
struct parts {
    uint64_t body, key, value, headers, end;
    int32_t key_size, value_size; /* -1: none */
};

void pieces_start(struct pieces *pieces, struct firn_file *file, uint64_t position,
                  const struct batch *batch, uint64_t value_most)
{
    pieces->file = file;
    pieces->at = position + BATCH_HEADER;
    pieces->end = position + batch->bytes;
    pieces->value_most = value_most;
    record_iterate_bytes(&pieces->it, (const uint8_t *)"", 0, batch);
}

void pieces_done(struct pieces *pieces)
{
    buffer_free(&pieces->bytes);
}

/* [from, to) of the file, to the end of the buffer. */
static int read_part(struct pieces *pieces, uint64_t from, uint64_t to, struct firn_error *err)
{
    struct buffer *bytes = &pieces->bytes;
    size_t size = (size_t)(to - from), got;
    if (buffer_reserve(bytes, size + 1) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a record of %zu bytes", size);
    int rc = disk_read_full(pieces->file, bytes->data + bytes->size, size, from, &got, err);
    if (rc < 0)
        return rc;
    bytes->size += got;
    return got == size ? 0 : FIRN_EDAMAGED;
}

/* The fixed part, up to the key's length: in `start`, of `size` bytes. */
static int find_key(struct pieces *pieces, const uint8_t *start, size_t size, struct parts *parts)
{
    const uint8_t *at = start, *end = start + size;
    int32_t body = 0, index_delta;
    int64_t time_delta;
    if (varint_get32(&at, end, &body) < 0 || body < 0)
        return FIRN_EDAMAGED;
    const uint8_t *fixed = at++;
    parts->body = pieces->at + (uint64_t)(fixed - start);
    parts->end = parts->body + (uint64_t)body;
    if (parts->end > pieces->end || at > end || varint_get(&at, end, &time_delta) < 0 ||
        varint_get32(&at, end, &index_delta) < 0 || varint_get32(&at, end, &parts->key_size) < 0 ||
        parts->key_size < -1)
        return FIRN_EDAMAGED;
    parts->key = pieces->at + (uint64_t)(at - start);
    parts->value = parts->key + (uint64_t)(parts->key_size > 0 ? parts->key_size : 0);
    return parts->value <= parts->end ? 0 : FIRN_EDAMAGED;
}

/* Behind the key: the value's length, and where it stands. */
static int find_value(struct pieces *pieces, struct parts *parts, struct firn_error *err)
{
    uint8_t bytes[VARINT_MAX_32];
    const uint8_t *at = bytes;
    size_t size = parts->end - parts->value < sizeof bytes ? (size_t)(parts->end - parts->value)
                                                           : sizeof bytes;
    size_t got;
    int rc = disk_read_full(pieces->file, bytes, size, parts->value, &got, err);
    if (rc < 0)
        return rc;
    if (varint_get32(&at, bytes + got, &parts->value_size) < 0 || parts->value_size < -1)
        return FIRN_EDAMAGED;
    parts->value += (uint64_t)(at - bytes);
    parts->headers = parts->value + (uint64_t)(parts->value_size > 0 ? parts->value_size : 0);
    return parts->headers <= parts->end ? 0 : FIRN_EDAMAGED;
}

static int find_parts(struct pieces *pieces, struct parts *parts, struct firn_error *err)
{
    uint8_t start[START_MOST];
    uint64_t left = pieces->end - pieces->at;
    size_t size = left < sizeof start ? (size_t)left : sizeof start, got;
    int rc = disk_read_full(pieces->file, start, size, pieces->at, &got, err);
    if (rc == 0)
        rc = find_key(pieces, start, got, parts);
    return rc == 0 ? find_value(pieces, parts, err) : rc;
}

static int put_number(struct pieces *pieces, int64_t number)
{
    uint8_t bytes[VARINT_MAX];
    return buffer_append(&pieces->bytes, bytes, (size_t)(varint_put(bytes, number) - bytes));
}

/* Length, everything up to the key's end, the value's length and what of it is wanted, headers. */
static int assemble(struct pieces *pieces, const struct parts *parts, bool with_value,
                    struct firn_error *err)
{
    int32_t value_size = with_value ? parts->value_size : -1;
    uint64_t key_end = parts->key + (uint64_t)(parts->key_size > 0 ? parts->key_size : 0);
    uint64_t from = with_value ? parts->value : parts->headers;
    uint64_t body = (key_end - parts->body) + varint_size(value_size) + (parts->end - from);
    buffer_clear(&pieces->bytes);
    int rc = put_number(pieces, (int64_t)body);
    if (rc == 0)
        rc = read_part(pieces, parts->body, key_end, err);
    if (rc == 0)
        rc = put_number(pieces, value_size);
    if (rc == 0)
        rc = read_part(pieces, from, parts->end, err);
    if (rc == FIRN_ENOMEM)
        firn_error_set(err, rc, 0, "no memory for a record");
    return rc;
}

int pieces_next(struct pieces *pieces, struct firn_record *record, const uint8_t **headers_at,
                struct firn_error *err)
{
    struct parts parts = {0};
    if (pieces->it.left == 0)
        return pieces->at == pieces->end ? FIRN_EEND : FIRN_EDAMAGED;
    int rc = find_parts(pieces, &parts, err);
    if (rc < 0)
        return rc;
    bool with_value = parts.value_size <= 0 || (uint64_t)parts.value_size <= pieces->value_most;
    rc = assemble(pieces, &parts, with_value, err);
    if (rc < 0)
        return rc;
    pieces->it.at = pieces->bytes.data;
    pieces->it.end = pieces->bytes.data + pieces->bytes.size;
    rc = record_next(&pieces->it, record, headers_at);
    if (rc < 0)
        return rc == FIRN_EEND ? FIRN_EDAMAGED : rc;
    if (!with_value)
        record->value = (struct firn_slice){NULL, (size_t)parts.value_size};
    pieces->value_position = parts.value;
    pieces->at = parts.end;
    return 0;
}
