/* SPDX-License-Identifier: MIT */
#include "make_batch.h"

#include "base/varint.h"

enum { MAX_HEADERS = 5, RECORDS = 12, POOL = 20000 };

/* ---- golden --------------------------------------------------------------------------------- */

static const struct firn_header golden_headers[] = {
    {{"h1", 2}, {"x", 1}},
    {{"h2", 2}, {NULL, 0}},
    {{"", 0}, {"", 0}},
};

static const struct firn_record golden_records[] = {
    {0, 1700000000000, {"key", 3}, {"value one", 9}, golden_headers, 2},
    {1, 1700000000005, {NULL, 0}, {"", 0}, NULL, 0},
    {2, 1699999999990, {"", 0}, {NULL, 0}, golden_headers + 2, 1},
};

static void assert_slices_equal(const struct firn_slice *a, const struct firn_slice *b)
{
    assert_true((a->data == NULL) == (b->data == NULL));
    assert_int_equal(a->size, b->size);
    if (a->size > 0)
        assert_memory_equal(a->data, b->data, a->size);
}

static void assert_records_equal(const struct firn_record *got, const struct firn_record *want,
                                 const uint8_t *headers_at, const uint8_t *end)
{
    assert_true(got->index == want->index && got->timestamp == want->timestamp);
    assert_slices_equal(&got->key, &want->key);
    assert_slices_equal(&got->value, &want->value);
    assert_null(got->headers);
    assert_int_equal(got->header_count, want->header_count);
    struct firn_header headers[MAX_HEADERS];
    assert_int_equal(record_read_headers(headers_at, end, got->header_count, headers), 0);
    for (size_t i = 0; i < got->header_count; i++) {
        assert_slices_equal(&headers[i].key, &want->headers[i].key);
        assert_slices_equal(&headers[i].value, &want->headers[i].value);
    }
}

static void assert_batch_holds(const uint8_t *bytes, const struct batch *batch,
                               const struct firn_record *records, size_t count)
{
    struct record_iterator it;
    record_iterate(&it, bytes, batch);
    for (size_t i = 0; i < count; i++) {
        struct firn_record record;
        const uint8_t *headers_at;
        assert_int_equal(record_next(&it, &record, &headers_at), 0);
        assert_records_equal(&record, &records[i], headers_at, it.at);
    }
    struct firn_record none;
    assert_int_equal(record_next(&it, &none, NULL), FIRN_EEND);
    assert_int_equal(record_next(&it, &none, NULL), FIRN_EEND);
    assert_int_equal(record_check_all(bytes, batch), 0);
}

static void a_foreign_batch_is_read(void **state)
{
    (void)state;
    struct batch batch;
    assert_int_equal(batch_check(golden_batch, sizeof golden_batch, &batch), BATCH_OK);
    assert_batch_holds(golden_batch, &batch, golden_records, 3);
}

static void the_same_records_give_the_same_bytes(void **state)
{
    (void)state;
    struct batch batch = header_for(0, golden_records, 3);
    batch.generation = 0;
    uint8_t *bytes = make_batch_as(&batch, golden_records);
    assert_int_equal(batch.bytes, sizeof golden_batch);
    assert_memory_equal(bytes, golden_batch, sizeof golden_batch);
    free(bytes);
}

/* ---- round trips ---------------------------------------------------------------------------- */

/* Where random slices point to. */
struct pool {
    struct prng prng;
    uint8_t bytes[POOL];
    struct firn_header headers[RECORDS][MAX_HEADERS];
    struct firn_record records[RECORDS];
};

/* Sizes are mostly small, and often where a length takes one byte more (64, 8192). */
static struct firn_slice random_slice(struct pool *pool, bool may_be_none)
{
    static const size_t edges[] = {0, 1, 62, 63, 64, 65, 8190, 8191, 8192, 8193};
    uint64_t kind = prng_below(&pool->prng, 8);
    if (kind == 0 && may_be_none)
        return slice_of(NULL, 0);
    size_t size = prng_below(&pool->prng, 200);
    if (kind == 1)
        size = edges[prng_below(&pool->prng, sizeof edges / sizeof edges[0])];
    return slice_of(pool->bytes + prng_below(&pool->prng, POOL - size), size);
}

static size_t random_records(struct pool *pool)
{
    size_t count = 1 + prng_below(&pool->prng, RECORDS);
    uint64_t index = prng_skewed(&pool->prng) >> 2;
    for (size_t i = 0; i < count; i++) {
        struct firn_record *record = &pool->records[i];
        *record = (struct firn_record){.index = index + i, .headers = pool->headers[i]};
        record->timestamp = (int64_t)prng_skewed(&pool->prng);
        if (prng_below(&pool->prng, 2) == 0)
            record->timestamp = (int64_t)(0 - (uint64_t)record->timestamp);
        record->key = random_slice(pool, true);
        record->value = random_slice(pool, true);
        if (prng_below(&pool->prng, 3) == 0)
            record->header_count = prng_below(&pool->prng, MAX_HEADERS + 1);
        for (size_t h = 0; h < record->header_count; h++) {
            pool->headers[i][h].key = random_slice(pool, false);
            pool->headers[i][h].value = random_slice(pool, true);
        }
    }
    return count;
}

static struct pool *pool_new(uint64_t seed)
{
    struct pool *pool = calloc(1, sizeof *pool);
    assert_non_null(pool);
    pool->prng = prng_new(seed);
    prng_fill(&pool->prng, pool->bytes, POOL);
    return pool;
}

static void random_records_come_back(void **state)
{
    (void)state;
    struct pool *pool = pool_new(5);
    for (int i = 0; i < 1000; i++) {
        size_t count = random_records(pool);
        struct batch batch = header_for(pool->records[0].index, pool->records, count);
        uint8_t *bytes = make_batch_as(&batch, pool->records);
        struct batch found;
        assert_int_equal(batch_check(bytes, batch.bytes, &found), BATCH_OK);
        assert_batch_holds(bytes, &found, pool->records, count);
        free(bytes);
    }
    free(pool);
}

struct collected {
    uint8_t *at;
    size_t pieces;
};

static void collect(void *arg, const void *bytes, size_t size)
{
    struct collected *collected = arg;
    assert_true(size > 0);
    memcpy(collected->at, bytes, size);
    collected->at += size;
    collected->pieces++;
}

static void pieces_are_the_same_bytes(void **state)
{
    (void)state;
    struct pool *pool = pool_new(6);
    for (int i = 0; i < 200; i++) {
        size_t count = random_records(pool);
        for (size_t r = 0; r < count; r++) {
            const struct firn_record *record = &pool->records[r];
            int64_t time_delta = record->timestamp;
            uint32_t index_delta = (uint32_t)prng_skewed(&pool->prng) >> 1;
            size_t body = record_body_bytes(record, time_delta, index_delta);
            size_t size = record_bytes(body);
            uint8_t *whole = malloc(size);
            uint8_t *pieces = malloc(size);
            struct collected collected = {.at = pieces};
            assert_ptr_equal(record_put(whole, record, body, time_delta, index_delta),
                             whole + size);
            record_put_pieces(collect, &collected, record, body, time_delta, index_delta);
            assert_ptr_equal(collected.at, pieces + size);
            assert_memory_equal(whole, pieces, size);
            free(whole);
            free(pieces);
        }
    }
    free(pool);
}

static void extreme_numbers_come_back(void **state)
{
    (void)state;
    struct firn_record records[4] = {
        {.index = 0, .timestamp = INT64_MAX},
        {.index = 1, .timestamp = INT64_MIN},
        {.index = 1u << 30, .timestamp = 0},
        {.index = INT32_MAX, .timestamp = -1},
    };
    struct batch batch = header_for(0, records, 4);
    batch.last_delta = INT32_MAX;
    uint8_t *bytes = make_batch_as(&batch, records);
    assert_batch_holds(bytes, &batch, records, 4);
    free(bytes);

    for (size_t i = 0; i < 4; i++)
        records[i].index += (uint64_t)INT64_MAX - INT32_MAX;
    batch.base = records[0].index;
    bytes = make_batch_as(&batch, records);
    assert_int_equal(batch_check(bytes, batch.bytes, &batch), BATCH_OK);
    assert_batch_holds(bytes, &batch, records, 4);
    free(bytes);
}

static void a_large_value_comes_back(void **state)
{
    (void)state;
    enum { LARGE = 3 << 20 };
    uint8_t *value = malloc(LARGE);
    struct prng prng = prng_new(7);
    prng_fill(&prng, value, LARGE);
    struct firn_record record = {.value = slice_of(value, LARGE)};
    struct batch batch;
    uint8_t *bytes = make_batch(1, &record, 1, &batch);
    assert_batch_holds(bytes, &batch, &record, 1);
    free(bytes);
    free(value);
}

/* ---- what a header says about its records --------------------------------------------------- */

static void append_time_is_every_records_time(void **state)
{
    (void)state;
    struct firn_record records[2] = {{.timestamp = 100}, {.timestamp = 200}};
    struct batch batch;
    free(make_batch(0, records, 2, &batch));
    batch.attributes = BATCH_APPEND_TIME;
    batch.max_time = 777;
    uint8_t *bytes = make_batch_as(&batch, records);
    records[0].timestamp = records[1].timestamp = 777;
    assert_batch_holds(bytes, &batch, records, 2);
    free(bytes);
}

static void gaps_between_indexes_are_kept(void **state)
{
    (void)state;
    struct firn_record records[3] = {{.index = 12}, {.index = 15}, {.index = 19}};
    struct batch batch = header_for(10, records, 3);
    batch.last_delta = 11;
    uint8_t *bytes = make_batch_as(&batch, records);
    assert_batch_holds(bytes, &batch, records, 3);
    batch.last_delta = 8; /* less than the last record has */
    assert_int_equal(record_check_all(bytes, &batch), FIRN_EDAMAGED);
    free(bytes);
}

static void a_gap_batch_yields_nothing(void **state)
{
    (void)state;
    struct batch batch = header_for(10, NULL, 0);
    batch.last_delta = 41;
    uint8_t *bytes = make_batch_as(&batch, NULL);
    assert_int_equal(batch_check(bytes, batch.bytes, &batch), BATCH_OK);
    assert_batch_holds(bytes, &batch, NULL, 0);
    free(bytes);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* Reads `size` bytes as the only record (base 0, last delta 10) of a batch, headers too. */
static int read_one(const char *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, bytes, size);
    struct batch batch = {.last_delta = 10, .count = 1};
    struct record_iterator it;
    struct firn_record record;
    struct firn_header headers[MAX_HEADERS];
    const uint8_t *headers_at;
    record_iterate_bytes(&it, copy, size, &batch);
    int rc = record_next(&it, &record, &headers_at);
    if (rc == 0) {
        assert_true(record.header_count <= MAX_HEADERS);
        rc = record_read_headers(headers_at, it.at, record.header_count, headers);
    }
    if (rc == 0 && record_next(&it, &record, NULL) != FIRN_EEND)
        rc = FIRN_EDAMAGED;
    free(copy);
    return rc;
}

#define READ_ONE(text) read_one(text, sizeof text - 1)

static void impossible_records_are_damage(void **state)
{
    (void)state;
    /* length, attributes, time delta, index delta, key, value, header count */
    assert_int_equal(READ_ONE("\x0c\0\0\0\1\1\0"), 0);
    assert_int_equal(READ_ONE(""), FIRN_EDAMAGED);
    assert_int_equal(READ_ONE("\x0a\0\0\0\1\1\0"), FIRN_EDAMAGED);   /* too short to hold it */
    assert_int_equal(READ_ONE("\x0e\0\0\0\1\1\0"), FIRN_EDAMAGED);   /* longer than the batch */
    assert_int_equal(READ_ONE("\x0e\0\0\0\1\1\0\0"), FIRN_EDAMAGED); /* a byte left in it */
    assert_int_equal(READ_ONE("\x0c\0\0\0\1\1\0\0"), FIRN_EDAMAGED); /* a byte left behind it */
    assert_int_equal(READ_ONE("\x0b\0\0\0\1\1\0"), FIRN_EDAMAGED);   /* negative length */
    assert_int_equal(READ_ONE("\x0c\0\0\1\1\1\0"), FIRN_EDAMAGED);   /* negative index delta */
    assert_int_equal(READ_ONE("\x0c\0\0\x14\1\1\0"), 0);
    assert_int_equal(READ_ONE("\x0c\0\0\x16\1\1\0"), FIRN_EDAMAGED); /* above the last delta */
    assert_int_equal(READ_ONE("\x0c\0\0\0\3\1\0"), FIRN_EDAMAGED);   /* key of -2 bytes */
    assert_int_equal(READ_ONE("\x0c\0\0\0\1\3\0"), FIRN_EDAMAGED);   /* value of -2 bytes */
    assert_int_equal(READ_ONE("\x0e\0\0\0\2k\1\0"), 0);
    assert_int_equal(READ_ONE("\x0e\0\0\0\x06k\1\0"), FIRN_EDAMAGED); /* key beyond the record */
    assert_int_equal(READ_ONE("\x0e\0\0\0\1\x06v\0"), FIRN_EDAMAGED); /* value beyond it */
    assert_int_equal(READ_ONE("\x0c\0\0\0\1\1\1"), FIRN_EDAMAGED);    /* -1 headers */
    assert_int_equal(READ_ONE("\x0c\0\0\0\1\1\2"), FIRN_EDAMAGED);    /* a header, and no room */
    assert_int_equal(READ_ONE("\x10\0\0\0\1\1\2\0\1"), 0);
    assert_int_equal(READ_ONE("\x10\0\0\0\1\1\2\1\1"), FIRN_EDAMAGED);   /* header without key */
    assert_int_equal(READ_ONE("\x10\0\0\0\1\1\2\0\3"), FIRN_EDAMAGED);   /* its value: -2 bytes */
    assert_int_equal(READ_ONE("\x12\0\0\0\1\1\2\0\1\0"), FIRN_EDAMAGED); /* a byte behind it */
}

/* What shows already without reading the headers. */
static void header_counts_must_have_room(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x0e\0\0\0\1\1\0\0",       /* no header, and a byte left */
        "\x0e\0\0\0\1\1\2\0",       /* one, and a single byte */
        "\x10\0\0\0\1\1\4\0\0",     /* two in two bytes */
        "\x12\0\0\0\1\1\x06\0\0\0", /* three in three */
    };
    struct batch batch = {.last_delta = 10, .count = 1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct record_iterator it;
        struct firn_record record;
        size_t size = 1 + (size_t)(uint8_t)bad[i][0] / 2;
        record_iterate_bytes(&it, (const uint8_t *)bad[i], size, &batch);
        assert_int_equal(record_next(&it, &record, NULL), FIRN_EDAMAGED);
    }
}

static void varints_have_their_limits(void **state)
{
    (void)state;
    /* an index delta with needless bytes is one; with six it is none */
    assert_int_equal(READ_ONE("\x14\0\0\x82\x80\x80\x80\0\1\1\0"), 0);
    assert_int_equal(READ_ONE("\x16\0\0\x82\x80\x80\x80\x80\0\1\1\0"), FIRN_EDAMAGED);
    /* a time delta may take ten, not eleven */
    assert_int_equal(READ_ONE("\x1e\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\1\0\1\1\0"), 0);
    assert_int_equal(READ_ONE("\x20\0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0\0\1\1\0"),
                     FIRN_EDAMAGED);
    /* a length beyond 32 bits */
    assert_int_equal(READ_ONE("\x8c\x80\x80\x80\x10\0\0\0\1\1\0"), FIRN_EDAMAGED);
}

static void attributes_are_tolerated_until_all_is_checked(void **state)
{
    (void)state;
    assert_int_equal(READ_ONE("\x0c\x5a\0\0\1\1\0"), 0);
    uint8_t bytes[BATCH_HEADER + 7] = {0};
    struct batch batch = {.bytes = sizeof bytes, .count = 1};
    memcpy(bytes + BATCH_HEADER, "\x0c\0\0\0\1\1\0", 7);
    assert_int_equal(record_check_all(bytes, &batch), 0);
    bytes[BATCH_HEADER + 1] = 0x5a;
    assert_int_equal(record_check_all(bytes, &batch), FIRN_EDAMAGED);
}

static void indexes_must_ascend(void **state)
{
    (void)state;
    struct firn_record records[3] = {{.index = 0}, {.index = 2}, {.index = 2}};
    struct batch batch = header_for(0, records, 3);
    batch.last_delta = 5;
    uint8_t *bytes = make_batch_as(&batch, records);
    struct record_iterator it;
    struct firn_record record;
    record_iterate(&it, bytes, &batch);
    assert_int_equal(record_next(&it, &record, NULL), 0);
    assert_int_equal(record_next(&it, &record, NULL), 0);
    assert_int_equal(record_next(&it, &record, NULL), FIRN_EDAMAGED);
    free(bytes);
}

static void the_count_must_be_right(void **state)
{
    (void)state;
    struct firn_record records[3] = {{0}};
    struct batch batch;
    uint8_t *bytes = make_batch(0, records, 3, &batch);
    batch.count = 2;
    assert_int_equal(record_check_all(bytes, &batch), FIRN_EDAMAGED);
    batch.count = 4;
    batch.last_delta = 3;
    assert_int_equal(record_check_all(bytes, &batch), FIRN_EDAMAGED);
    free(bytes);
}

static void every_truncation_is_damage(void **state)
{
    (void)state;
    struct batch batch;
    assert_int_equal(batch_check(golden_batch, sizeof golden_batch, &batch), BATCH_OK);
    for (batch.bytes = BATCH_HEADER; batch.bytes < sizeof golden_batch; batch.bytes++) {
        uint8_t *bytes = malloc(batch.bytes);
        memcpy(bytes, golden_batch, batch.bytes);
        assert_int_equal(record_check_all(bytes, &batch), FIRN_EDAMAGED);
        free(bytes);
    }
}

static void assert_within(const struct firn_slice *slice, const uint8_t *bytes, size_t size)
{
    if (slice->data == NULL) {
        assert_int_equal(slice->size, 0);
        return;
    }
    const uint8_t *data = slice->data;
    assert_true(data >= bytes && data <= bytes + size);
    assert_true(slice->size <= (size_t)(bytes + size - data));
}

static void whatever_the_bytes_are_slices_stay_within(void **state)
{
    (void)state;
    struct prng prng = prng_new(8);
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[sizeof golden_batch];
        memcpy(bytes, golden_batch, sizeof bytes);
        for (uint64_t n = 1 + prng_below(&prng, 4); n > 0; n--) {
            size_t at = BATCH_HEADER + prng_below(&prng, sizeof bytes - BATCH_HEADER);
            bytes[at] = (uint8_t)prng_skewed(&prng);
        }
        struct batch batch = {.bytes = sizeof bytes, .last_delta = 2, .count = 3};
        struct record_iterator it;
        struct firn_record record;
        int read = 0;
        record_iterate(&it, bytes, &batch);
        while (record_next(&it, &record, NULL) == 0) {
            assert_within(&record.key, bytes, sizeof bytes);
            assert_within(&record.value, bytes, sizeof bytes);
            read++;
        }
        assert_true(read <= 3);
        (void)record_check_all(bytes, &batch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_batch_is_read),
        cmocka_unit_test(the_same_records_give_the_same_bytes),
        cmocka_unit_test(random_records_come_back),
        cmocka_unit_test(pieces_are_the_same_bytes),
        cmocka_unit_test(extreme_numbers_come_back),
        cmocka_unit_test(a_large_value_comes_back),
        cmocka_unit_test(append_time_is_every_records_time),
        cmocka_unit_test(gaps_between_indexes_are_kept),
        cmocka_unit_test(a_gap_batch_yields_nothing),
        cmocka_unit_test(impossible_records_are_damage),
        cmocka_unit_test(header_counts_must_have_room),
        cmocka_unit_test(varints_have_their_limits),
        cmocka_unit_test(attributes_are_tolerated_until_all_is_checked),
        cmocka_unit_test(indexes_must_ascend),
        cmocka_unit_test(the_count_must_be_right),
        cmocka_unit_test(every_truncation_is_damage),
        cmocka_unit_test(whatever_the_bytes_are_slices_stay_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
