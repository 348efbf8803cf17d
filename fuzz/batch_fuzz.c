/* SPDX-License-Identifier: MIT */
/*
 * The decoder of batches and records. Input: what to mend (below), where to cut the batch, and the
 * batch's bytes. Nothing may reach beyond them; what is accepted keeps the bounds that its header
 * states, gives the same when it is written and read again, and so does a part of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "log/record.h"

enum { MEND_CRC = 1, MEND_MAGIC = 2, MEND_LENGTH = 4, MEND_ATTRIBUTES = 8, MEND_COUNT = 16 };

/* A batch's records as they were read, with memory for the headers of each. */
struct decoded {
    struct firn_record *records;
    size_t count;
    bool whole;            /* all of them, with their headers, could be read */
    bool plain_attributes; /* no record has a bit set in its attributes */
    const uint8_t *end;    /* where reading stopped */
};

static void decoded_done(struct decoded *decoded)
{
    for (size_t i = 0; i < decoded->count; i++)
        free((void *)(uintptr_t)decoded->records[i].headers);
    free(decoded->records);
}

/* ---- mending -------------------------------------------------------------------------------- */

/* How many records follow one another in the bytes. */
static uint32_t count_records(const uint8_t *bytes, size_t size)
{
    const struct batch any = {.count = UINT32_MAX, .last_delta = INT32_MAX};
    struct record_iterator it;
    struct firn_record record;
    uint32_t count = 0;
    record_iterate_bytes(&it, bytes, size, &any);
    while (record_next(&it, &record, NULL) == 0)
        count++;
    return count;
}

static void mend(uint8_t *bytes, size_t size, unsigned what)
{
    if (size < BATCH_HEADER)
        return;
    if (what & MEND_MAGIC)
        bytes[16] = 2;
    if (what & MEND_LENGTH)
        store_be_u32(bytes + 8, (uint32_t)size - BATCH_LENGTH_FROM);
    if (what & MEND_ATTRIBUTES)
        bytes[22] &= (uint8_t)~BATCH_COMPRESSION;
    if (what & MEND_COUNT)
        store_be_u32(bytes + 57, count_records(bytes + BATCH_HEADER, size - BATCH_HEADER));
    if (what & MEND_CRC)
        mend_batch(bytes, size);
}

/* ---- the header ----------------------------------------------------------------------------- */

static bool parse(const uint8_t *bytes, size_t size, struct batch *batch)
{
    uint8_t again[BATCH_HEADER];
    enum batch_fault fault = batch_parse(bytes, size, batch);
    require(batch_fault_text(fault) != NULL, "a fault has a text");
    require((fault == BATCH_SHORT) == (size < BATCH_HEADER), "short is what has no header");
    if (fault != BATCH_OK)
        return false;
    require(batch->bytes >= BATCH_HEADER && batch->bytes <= BATCH_MAX, "a batch's size");
    require(batch->count <= (uint64_t)batch->last_delta + 1, "as many records as indexes");
    require(batch->last_delta <= INT64_MAX - batch->base, "indexes are positive");
    batch_put(again, batch);
    require(memcmp(again, bytes, BATCH_HEADER) == 0, "a header is written as it was read");
    return true;
}

static bool check(const uint8_t *bytes, size_t size, struct batch *batch)
{
    struct batch parsed;
    bool has_header = parse(bytes, size, &parsed);
    enum batch_fault fault = batch_check(bytes, size, batch);
    require(fault != BATCH_OK || has_header, "what checks has a header");
    if (!has_header)
        return false;
    bool whole = parsed.bytes <= size;
    require((fault == BATCH_SHORT) == !whole, "a batch that is not all there is short");
    require(!whole || (fault == BATCH_OK) == (batch_crc(bytes, parsed.bytes) == parsed.crc),
            "the checksum decides");
    return fault == BATCH_OK;
}

/* ---- records -------------------------------------------------------------------------------- */

static void check_slice(const struct firn_slice *slice, const uint8_t *from, const uint8_t *to)
{
    const uint8_t *data = slice->data;
    require(data != NULL || slice->size == 0, "none has no bytes");
    require(data == NULL || (data >= from && data <= to && slice->size <= (size_t)(to - data)),
            "a slice lies inside its record");
}

/* Reads the headers of the record that ends at `to`; false if they are malformed. */
static bool decode_headers(struct firn_record *record, const uint8_t *at, const uint8_t *to)
{
    require(at <= to && record->header_count <= (size_t)(to - at) / 2, "headers have room");
    struct firn_header *headers = must_alloc(record->header_count * sizeof *headers);
    record->headers = headers;
    if (record_read_headers(at, to, record->header_count, headers) != 0)
        return false;
    for (size_t i = 0; i < record->header_count; i++) {
        require(headers[i].key.data != NULL, "a header has a key");
        check_slice(&headers[i].key, at, to);
        check_slice(&headers[i].value, at, to);
    }
    return true;
}

static uint8_t attributes_at(const uint8_t *at)
{
    while (*at & 0x80)
        at++;
    return at[1];
}

static void check_record(const struct firn_record *record, const struct batch *batch,
                         const uint8_t *from, const uint8_t *to, const struct firn_record *before)
{
    require(record->index >= batch->base && record->index - batch->base <= batch->last_delta,
            "an index lies in its batch");
    require(before == NULL || before->index < record->index, "indexes ascend");
    check_slice(&record->key, from, to);
    check_slice(&record->value, from, to);
}

/* All records of a batch of which `size` bytes are there, or up to the first that is malformed. */
static void decode(struct decoded *decoded, const uint8_t *records, size_t size,
                   const struct batch *batch)
{
    struct record_iterator it;
    struct firn_record record;
    const uint8_t *headers_at;
    int rc;
    *decoded = (struct decoded){.whole = true, .plain_attributes = true};
    record_iterate_bytes(&it, records, size, batch);
    for (;;) {
        const uint8_t *start = it.at;
        rc = record_next(&it, &record, &headers_at);
        if (rc != 0)
            break;
        require(it.at > start && it.at <= records + size, "a record lies in its batch");
        const struct firn_record *last = NULL;
        if (decoded->count > 0)
            last = &decoded->records[decoded->count - 1];
        check_record(&record, batch, start, it.at, last);
        decoded->whole &= decode_headers(&record, headers_at, it.at);
        decoded->plain_attributes &= attributes_at(start) == 0;
        decoded->records = must_grow(decoded->records, (decoded->count + 1) * sizeof record);
        decoded->records[decoded->count++] = record;
        require(decoded->count <= batch->count, "no more records than the header says");
    }
    require(rc == FIRN_EEND || rc == FIRN_EDAMAGED, "reading ends at the end, or at damage");
    decoded->whole &= rc == FIRN_EEND;
    require(rc != FIRN_EEND || (decoded->count == batch->count && it.at == records + size),
            "the end is where the header says");
    decoded->end = it.at;
}

static bool same_slice(const struct firn_slice *a, const struct firn_slice *b)
{
    if ((a->data == NULL) != (b->data == NULL) || a->size != b->size)
        return false;
    return a->data == NULL || memcmp(a->data, b->data, a->size) == 0;
}

static void check_same(const struct firn_record *a, const struct firn_record *b)
{
    require(a->index == b->index && a->timestamp == b->timestamp, "the same place and time");
    require(same_slice(&a->key, &b->key) && same_slice(&a->value, &b->value), "the same bytes");
    require(a->header_count == b->header_count, "as many headers");
    for (size_t i = 0; i < a->header_count; i++)
        require(same_slice(&a->headers[i].key, &b->headers[i].key) &&
                    same_slice(&a->headers[i].value, &b->headers[i].value),
                "the same headers");
}

/* ---- written again -------------------------------------------------------------------------- */

static void append_piece(void *arg, const void *bytes, size_t size)
{
    bytes_append(arg, bytes, size);
}

static void put_record(struct bytes *out, const struct firn_record *record,
                       const struct batch *batch)
{
    int64_t time_delta = (int64_t)((uint64_t)record->timestamp - (uint64_t)batch->base_time);
    uint32_t index_delta = (uint32_t)(record->index - batch->base);
    size_t body = record_body_bytes(record, time_delta, index_delta);
    size_t size = record_bytes(body);
    uint8_t *at_once = must_alloc(size);
    require(record_put(at_once, record, body, time_delta, index_delta) == at_once + size,
            "a record takes as many bytes as was said");
    struct bytes pieces = {0};
    record_put_pieces(append_piece, &pieces, record, body, time_delta, index_delta);
    require(pieces.size == size && memcmp(pieces.data, at_once, size) == 0,
            "the same bytes at once and in pieces");
    bytes_append(out, at_once, size);
    bytes_done(&pieces);
    free(at_once);
}

static void check_written_again(const struct decoded *decoded, const struct batch *batch)
{
    struct bytes out = {must_alloc(0), 0};
    struct decoded again;
    for (size_t i = 0; i < decoded->count; i++)
        put_record(&out, &decoded->records[i], batch);
    require((batch->attributes & BATCH_APPEND_TIME) || out.size <= batch->bytes - BATCH_HEADER,
            "written, it takes no more bytes than before");
    decode(&again, out.data, out.size, batch);
    require(again.whole && again.count == decoded->count, "what was written can be read");
    for (size_t i = 0; i < decoded->count; i++)
        check_same(&decoded->records[i], &again.records[i]);
    decoded_done(&again);
    bytes_done(&out);
}

/* ---- cut ------------------------------------------------------------------------------------ */

/* Bytes of the first `count` records. */
static size_t size_of_first(const uint8_t *records, const struct batch *batch, uint32_t count)
{
    struct record_iterator it;
    struct firn_record record;
    record_iterate_bytes(&it, records, batch->bytes - BATCH_HEADER, batch);
    for (uint32_t i = 0; i < count; i++)
        (void)record_next(&it, &record, NULL);
    return (size_t)(it.at - records);
}

static void check_cut(const struct decoded *decoded, const uint8_t *bytes,
                      const struct batch *batch, uint32_t count)
{
    const uint8_t *records = bytes + BATCH_HEADER;
    size_t size = size_of_first(records, batch, count);
    int64_t max_time = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        if (decoded->records[i].timestamp > max_time)
            max_time = decoded->records[i].timestamp;
    }
    struct bytes cut = {must_alloc(BATCH_HEADER), BATCH_HEADER};
    struct batch kept = *batch;
    kept.count = count;
    kept.last_delta = (uint32_t)(decoded->records[count - 1].index - batch->base);
    kept.max_time = max_time;
    batch_seal(&kept, records, size, cut.data);
    bytes_append(&cut, records, size);
    struct batch found;
    struct decoded again;
    require(check(cut.data, cut.size, &found), "a batch that was cut checks");
    require(found.bytes == cut.size && found.count == count, "it is as long as was kept");
    decode(&again, cut.data + BATCH_HEADER, size, &found);
    require(again.whole && again.count == count, "what was kept can be read");
    require(again.records[count - 1].index <= found.base + found.last_delta, "its last index");
    for (size_t i = 0; i < count; i++)
        check_same(&decoded->records[i], &again.records[i]);
    decoded_done(&again);
    bytes_done(&cut);
}

static void check_records(const uint8_t *bytes, const struct batch *batch, uint8_t cut)
{
    struct decoded decoded;
    decode(&decoded, bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER, batch);
    bool good = record_check_all(bytes, batch) == 0;
    require(good == (decoded.whole && decoded.plain_attributes),
            "checking all accepts what reading all accepts");
    if (decoded.whole) {
        check_written_again(&decoded, batch);
        if (batch->count > 0)
            check_cut(&decoded, bytes, batch, 1 + cut % batch->count);
    }
    decoded_done(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t what = input_u8(&in), cut = input_u8(&in);
    struct bytes bytes = {must_alloc(in.left), in.left};
    struct batch batch;
    if (in.left > 0)
        memcpy(bytes.data, in.at, in.left);
    mend(bytes.data, bytes.size, what);
    if (check(bytes.data, bytes.size, &batch) && !(batch.attributes & BATCH_COMPRESSION))
        check_records(bytes.data, &batch, cut);
    bytes_done(&bytes);
    return 0;
}
