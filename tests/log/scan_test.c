/* SPDX-License-Identifier: MIT */
#include "make_store.h"

#include "log/scan.h"

/* No zero byte at a batch's start, after the first three. */
static const uint64_t BASE = 0x1122334455;

static const size_t windows[] = {0, 1, 61, 100, 1000, 4096, 5000, 65536, 1 << 20};

/* Reads `count` batches from number `from` on, and compares them. */
static void assert_batches_come(struct scan *scan, const struct store *store, size_t from,
                                size_t count)
{
    for (size_t i = from; i < from + count; i++) {
        struct batch batch = {0};
        const uint8_t *bytes;
        enum batch_fault fault;
        assert_int_equal(scan_next(scan, &batch, &bytes, &fault, NULL), 0);
        assert_true(batch.base == store->batches[i].base);
        assert_int_equal(batch.bytes, store->batches[i].bytes);
        assert_memory_equal(bytes, store->bytes + store->at[i], batch.bytes);
        assert_true(scan->position == store->at[i + 1]);
    }
}

/* The next batch can't be had, whatever is called; the position stays. */
static void assert_fault(struct scan *scan, enum batch_fault expected, bool header_only)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    struct firn_error err = {0};
    uint64_t position = scan->position;
    int rc = header_only ? scan_peek(scan, &batch, &fault, &err)
                         : scan_next(scan, &batch, &bytes, &fault, &err);
    assert_int_equal(rc, FIRN_EDAMAGED);
    assert_int_equal(fault, expected);
    assert_int_equal(err.code, FIRN_EDAMAGED);
    assert_non_null(strstr(err.message, batch_fault_text(expected)));
    assert_true(scan->position == position);
}

static void assert_end(struct scan *scan)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault;
    assert_int_equal(scan_next(scan, &batch, &bytes, &fault, NULL), FIRN_EEND);
    assert_int_equal(scan_peek(scan, &batch, &fault, NULL), FIRN_EEND);
}

static uint64_t operations(const struct store *store)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(store->faulty, &counts);
    return counts.operations;
}

/* ---- all is well ---------------------------------------------------------------------------- */

static void any_window_serves(void **state)
{
    (void)state;
    struct prng prng = prng_new(21);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 50, 3000);
    store_save(&store);
    for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        for (size_t from = 0; from < store.count; from += 7) {
            struct scan scan;
            scan_init(&scan, store.file, store.at[from], store.size, windows[w]);
            assert_batches_come(&scan, &store, from, store.count - from);
            assert_end(&scan);
            assert_end(&scan);
            scan_done(&scan);
            scan_done(&scan);
        }
    }
    store_done(&store);
}

static void a_batch_larger_than_the_window_makes_it_grow(void **state)
{
    (void)state;
    struct prng prng = prng_new(22);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 5, 100);
    store_add_random(&store, &prng, 5, 100000);
    store_add_random(&store, &prng, 5, 100);
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 4096);
    assert_batches_come(&scan, &store, 0, 15);
    assert_true(scan.capacity < 310000);
    scan_seek(&scan, store.at[5], store.size);
    assert_batches_come(&scan, &store, 5, 10);
    assert_end(&scan);
    scan_done(&scan);
    store_done(&store);
}

static void reads_are_as_large_as_the_window(void **state)
{
    (void)state;
    enum { WINDOW = 64 * 1024 };
    struct prng prng = prng_new(23);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 250, 8000);
    store_save(&store);
    assert_true(store.size > 20 * WINDOW);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, WINDOW);
    uint64_t before = operations(&store);
    assert_batches_come(&scan, &store, 0, 1);
    assert_int_equal(scan.buffered % 4096, 0);
    assert_batches_come(&scan, &store, 1, 10);
    assert_int_equal((scan.buffer_at + scan.buffered) % 4096, 0);
    assert_batches_come(&scan, &store, 11, store.count - 11);
    uint64_t reads = operations(&store) - before;
    /* what is left of a window (half a batch and a page) is not read again */
    assert_true(reads <= store.size / (WINDOW - 20000) + 1);
    assert_int_equal(scan.capacity, WINDOW);
    scan_done(&scan);
    store_done(&store);
}

static void a_small_store_takes_little_memory(void **state)
{
    (void)state;
    struct prng prng = prng_new(24);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 5, 100);
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 0);
    assert_int_equal(scan.capacity, 0);
    assert_batches_come(&scan, &store, 0, 5);
    assert_int_equal(scan.capacity, 4096);
    scan_done(&scan);
    store_done(&store);
}

static void seeking_goes_anywhere(void **state)
{
    (void)state;
    struct prng prng = prng_new(25);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 100, 2000);
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 10000);
    for (int i = 0; i < 1000; i++) {
        size_t from = prng_below(&prng, store.count);
        size_t count = prng_below(&prng, 5);
        if (count > store.count - from)
            count = store.count - from;
        scan_seek(&scan, store.at[from], store.size);
        assert_batches_come(&scan, &store, from, count);
    }
    uint64_t before = operations(&store);
    size_t last = store.count - 1;
    scan_seek(&scan, store.at[last - 1], store.size);
    assert_batches_come(&scan, &store, last - 1, 2);
    scan_seek(&scan, store.at[last], store.size);
    assert_batches_come(&scan, &store, last, 1);
    assert_true(operations(&store) <= before + 1); /* the second time from the window */
    scan_seek(&scan, store.size + 5, store.size);
    assert_end(&scan);
    scan_done(&scan);
    store_done(&store);
}

static void peeking_reads_headers_only(void **state)
{
    (void)state;
    struct prng prng = prng_new(26);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 30, 30000);
    for (size_t i = 0; i < store.count; i++)
        store.bytes[store.at[i] + 70] ^= 1; /* nobody looks at it */
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 0);
    for (size_t i = 0; i < store.count; i++) {
        struct batch batch = {0};
        enum batch_fault fault;
        assert_int_equal(scan_peek(&scan, &batch, &fault, NULL), 0);
        assert_true(batch.base == store.batches[i].base);
        assert_true(scan.position == store.at[i]);
        assert_true(scan.buffered <= 8192);
        scan_skip(&scan, &batch);
        assert_true(scan.position == store.at[i + 1]);
    }
    assert_end(&scan);
    scan_seek(&scan, 0, store.size);
    assert_fault(&scan, BATCH_BAD_CRC, false);
    scan_done(&scan);
    store_done(&store);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void nothing_behind_the_end_is_read(void **state)
{
    (void)state;
    struct prng prng = prng_new(27);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 6, 100);
    store_save(&store);
    for (uint64_t end = 0; end <= store.size; end++) {
        size_t whole = 0;
        while (whole < store.count && store.at[whole + 1] <= end)
            whole++;
        firn_faulty_clear(store.faulty, 0);
        store_break(&store, end, store.size);
        struct scan scan;
        scan_init(&scan, store.file, 0, end, 0);
        assert_batches_come(&scan, &store, 0, whole);
        uint64_t left = end - store.at[whole];
        if (left == 0) {
            assert_end(&scan);
        } else {
            enum batch_fault fault = left <= 3 ? BATCH_ZERO : BATCH_SHORT;
            assert_fault(&scan, fault, false);
            assert_fault(&scan, fault, true);
        }
        scan_done(&scan);
    }
    store_done(&store);
}

static void zeros_behind_the_last_batch_are_told(void **state)
{
    (void)state;
    static const size_t zeros[] = {1, 60, 61, 100, 4096, 20000};
    for (size_t z = 0; z < sizeof zeros / sizeof zeros[0]; z++) {
        struct prng prng = prng_new(28);
        struct store store;
        store_init(&store, BASE);
        store_add_random(&store, &prng, 4, 100);
        store_append_zeros(&store, zeros[z]);
        store_save(&store);
        struct scan scan;
        scan_init(&scan, store.file, 0, store.size, 0);
        assert_batches_come(&scan, &store, 0, 4);
        assert_fault(&scan, BATCH_ZERO, false);
        assert_fault(&scan, BATCH_ZERO, true);
        scan_done(&scan);
        store_done(&store);
    }
}

static void a_file_shorter_than_the_end_is_short(void **state)
{
    (void)state;
    struct prng prng = prng_new(29);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 4, 10000);
    size_t cut = store.at[3] + 1000 + BATCH_HEADER;
    size_t end = store.size;
    if (cut >= end)
        cut = end - 1;
    for (store.size = cut; store.size >= store.at[3]; store.size -= 251) {
        store_save(&store);
        struct scan scan;
        scan_init(&scan, store.file, 0, end, 4096);
        assert_batches_come(&scan, &store, 0, 3);
        assert_fault(&scan, BATCH_SHORT, false);
        scan_done(&scan);
    }
    store_done(&store);
}

static void what_lay_behind_a_lower_end_is_read_again(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, BASE);
    store_add(&store, 1, "one", 3, 0);
    store_add(&store, 1, "two", 3, 0);
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 0);
    assert_batches_come(&scan, &store, 0, 2);
    uint8_t *second = store.bytes + store.at[1];
    second[store.batches[1].bytes - 2] = '2';
    mend_crc(second, store.batches[1].bytes);
    assert_int_equal(disk_write_full(store.file, store.bytes, store.size, 0, 0, NULL), 0);
    scan_seek(&scan, 0, store.at[1]);
    assert_batches_come(&scan, &store, 0, 1);
    assert_end(&scan);
    scan_seek(&scan, store.at[1], store.size);
    assert_batches_come(&scan, &store, 1, 1);
    scan_seek(&scan, 0, 0);
    assert_int_equal(scan.buffered, 0);
    scan_done(&scan);
    store_done(&store);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void every_truncated_or_flipped_batch_is_told(void **state)
{
    (void)state;
    struct prng prng = prng_new(30);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 3, 40);
    for (size_t bit = 8 * store.at[1]; bit < 8 * store.at[2]; bit++) {
        size_t at = bit / 8 - store.at[1];
        if (at < 8 || (at >= 12 && at < 16))
            continue; /* base and generation: the chain's business */
        store.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        store_save(&store);
        struct scan scan;
        struct batch batch;
        const uint8_t *bytes;
        enum batch_fault fault = BATCH_OK;
        scan_init(&scan, store.file, 0, store.size, 4096);
        assert_batches_come(&scan, &store, 0, 1);
        assert_int_equal(scan_next(&scan, &batch, &bytes, &fault, NULL), FIRN_EDAMAGED);
        assert_true(fault != BATCH_OK);
        assert_true(scan.position == store.at[1]);
        scan_seek(&scan, store.at[2], store.size);
        assert_batches_come(&scan, &store, 2, 1);
        scan_done(&scan);
        store.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    store_done(&store);
}

static void a_damaged_length_costs_no_memory(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, BASE);
    store_add(&store, 1, "x", 1, 0);
    store_append_zeros(&store, 4 << 20);
    store.bytes[9] = 0x3f; /* almost 4 MiB */
    store_save(&store);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 4096);
    assert_fault(&scan, BATCH_BAD_CRC, false);
    assert_true(scan.capacity <= 256 * 1024 + 3 * 4096); /* a piece */
    store.bytes[9] = 0x7f;
    store_save(&store);
    scan.file = store.file;
    scan_seek(&scan, 0, 0);
    scan_seek(&scan, 0, store.size);
    assert_fault(&scan, BATCH_SHORT, false);
    scan_done(&scan);
    store_done(&store);
}

static void a_bad_page_ahead_costs_nothing_before_it(void **state)
{
    (void)state;
    struct prng prng = prng_new(31);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 60, 1000);
    store_save(&store);
    uint64_t bad = store.size / 2 / 4096 * 4096;
    store_break(&store, bad, 4096);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 0);
    size_t before = 0;
    while (store.at[before + 1] <= bad)
        before++;
    assert_batches_come(&scan, &store, 0, before);
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault;
    struct firn_error err = {0};
    assert_int_equal(scan_next(&scan, &batch, &bytes, &fault, &err), FIRN_EIO);
    assert_int_equal(err.code, FIRN_EIO);
    assert_true(scan.position == store.at[before]);
    size_t behind = before;
    while (store.at[behind] < bad + 4096)
        behind++;
    scan_seek(&scan, store.at[behind], store.size);
    assert_batches_come(&scan, &store, behind, store.count - behind);
    firn_faulty_clear(store.faulty, 0);
    scan_seek(&scan, store.at[before], store.size);
    assert_batches_come(&scan, &store, before, store.count - before);
    scan_done(&scan);
    store_done(&store);
}

static void short_reads_are_gone_on_with(void **state)
{
    (void)state;
    struct prng prng = prng_new(32);
    struct store store;
    store_init(&store, BASE);
    store_add_random(&store, &prng, 20, 5000);
    store_save(&store);
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_SHORT,
                                      .ops = FIRN_FAULTY_READ,
                                      .times = FIRN_FAULTY_ALWAYS,
                                      .bytes = 700};
    assert_int_equal(firn_faulty_fail(store.faulty, &fault, NULL, NULL), 0);
    struct scan scan;
    scan_init(&scan, store.file, 0, store.size, 0);
    assert_batches_come(&scan, &store, 0, 20);
    assert_end(&scan);
    scan_done(&scan);
    store_done(&store);
}

/* ---- the last byte that is not zero --------------------------------------------------------- */

static uint64_t last_nonzero(struct store *store, uint64_t from, uint64_t to)
{
    uint64_t end = 12345678;
    assert_int_equal(scan_last_nonzero(store->file, from, to, &end, NULL), 0);
    return end;
}

static void the_last_nonzero_byte_is_found(void **state)
{
    (void)state;
    static const size_t places[] = {0,     1,     7,     8,     9,     63,    4095, 4096,
                                    16383, 16384, 16385, 32767, 32768, 39998, 39999};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct store store;
        store_init(&store, 0);
        store_append_zeros(&store, 40000);
        store_save(&store);
        assert_int_equal(last_nonzero(&store, 0, 40000), 0);
        assert_int_equal(last_nonzero(&store, 333, 40000), 333);
        size_t at = places[i];
        store.bytes[at] = 0x80;
        store_save(&store);
        assert_int_equal(last_nonzero(&store, 0, 40000), at + 1);
        assert_int_equal(last_nonzero(&store, 0, UINT64_MAX), at + 1);
        assert_int_equal(last_nonzero(&store, at, 40000), at + 1);
        assert_int_equal(last_nonzero(&store, at + 1, 40000), at + 1);
        assert_int_equal(last_nonzero(&store, 0, at), 0);
        assert_int_equal(last_nonzero(&store, 0, at + 1), at + 1);
        assert_int_equal(last_nonzero(&store, 50000, 60000), 50000);
        store_done(&store);
    }
}

static void an_unreadable_rest_is_an_error(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, 0);
    store_append_zeros(&store, 40000);
    store_save(&store);
    store_break(&store, 20000, 1);
    uint64_t end = 7;
    struct firn_error err = {0};
    assert_int_equal(scan_last_nonzero(store.file, 0, 40000, &end, &err), FIRN_EIO);
    assert_int_equal(err.code, FIRN_EIO);
    assert_int_equal(end, 7);
    assert_int_equal(scan_last_nonzero(store.file, 20001, 40000, &end, NULL), 0);
    store_done(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_window_serves),
        cmocka_unit_test(a_batch_larger_than_the_window_makes_it_grow),
        cmocka_unit_test(reads_are_as_large_as_the_window),
        cmocka_unit_test(a_small_store_takes_little_memory),
        cmocka_unit_test(seeking_goes_anywhere),
        cmocka_unit_test(peeking_reads_headers_only),
        cmocka_unit_test(nothing_behind_the_end_is_read),
        cmocka_unit_test(zeros_behind_the_last_batch_are_told),
        cmocka_unit_test(a_file_shorter_than_the_end_is_short),
        cmocka_unit_test(what_lay_behind_a_lower_end_is_read_again),
        cmocka_unit_test(every_truncated_or_flipped_batch_is_told),
        cmocka_unit_test(a_damaged_length_costs_no_memory),
        cmocka_unit_test(a_bad_page_ahead_costs_nothing_before_it),
        cmocka_unit_test(short_reads_are_gone_on_with),
        cmocka_unit_test(the_last_nonzero_byte_is_found),
        cmocka_unit_test(an_unreadable_rest_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
