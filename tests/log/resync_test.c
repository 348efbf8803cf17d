/* SPDX-License-Identifier: MIT */
#include "make_store.h"

#include "log/scan.h"

static const uint64_t BASE = 5000;

enum { NONE = -1, ZEROS = 1000 };

/* What the log asks for a segment that is finished. */
static struct resync_bounds exact(const struct store *store, size_t bad)
{
    return (struct resync_bounds){.from = store->at[bad] + 1,
                                  .end = store->size,
                                  .least_base = store->batches[bad].base,
                                  .most_base = store->next_index,
                                  .most_generation = store->generation,
                                  .end_exact = true};
}

/* ... and for the last one, after a crash. */
static struct resync_bounds open_ended(const struct store *store, size_t bad)
{
    struct resync_bounds bounds = exact(store, bad);
    bounds.most_base = UINT64_MAX;
    bounds.end_exact = false;
    return bounds;
}

static struct resync resync(struct store *store, const struct resync_bounds *bounds)
{
    struct resync found;
    struct firn_error err = {0};
    int rc = scan_resync(store->file, bounds, &found, &err);
    assert_int_equal(rc, 0);
    assert_int_equal(err.code, 0);
    return found;
}

/* Batch number `expected` (NONE: nothing) is where the store goes on. */
static void assert_found(const struct store *store, const struct resync *found, int expected)
{
    if (!found->found && expected == NONE)
        return;
    if (!found->found)
        fail_msg("nothing found, expected batch %d", expected);
    if (expected == NONE)
        fail_msg("found something at byte %llu", (unsigned long long)found->position);
    assert_int_equal(found->position, store->at[expected]);
    assert_true(found->batch.base == store->batches[expected].base);
    assert_int_equal(found->batch.bytes, store->batches[expected].bytes);
}

static void assert_resync(struct store *store, const struct resync_bounds *bounds, int expected)
{
    struct resync found = resync(store, bounds);
    assert_found(store, &found, expected);
}

/* A store of `count` small batches of random bytes; with `open` followed by zeros. */
static void store_random(struct store *store, uint64_t seed, size_t count, size_t value_most,
                         bool open)
{
    struct prng prng = prng_new(seed);
    store_init(store, BASE);
    store_add_random(store, &prng, count, value_most);
    if (open)
        store_append_zeros(store, ZEROS);
}

static void flip(struct store *store, size_t at, unsigned bit)
{
    store->bytes[at] ^= (uint8_t)(1u << bit);
}

/* ---- one batch is damaged ------------------------------------------------------------------- */

/* Whichever bit it is, the store goes on with the next batch. */
static void behind_any_flipped_bit_the_next_batch_is_found(void **state)
{
    (void)state;
    enum { BATCHES = 5 };
    for (int open = 0; open <= 1; open++) {
        struct store store;
        store_random(&store, 41, BATCHES, 30, open != 0);
        for (size_t bad = 0; bad < BATCHES; bad++) {
            int expected = bad + 1 < BATCHES ? (int)bad + 1 : NONE;
            for (size_t bit = 8 * store.at[bad]; bit < 8 * store.at[bad + 1]; bit++) {
                flip(&store, bit / 8, bit % 8);
                store_save(&store);
                struct resync_bounds bounds = open ? open_ended(&store, bad) : exact(&store, bad);
                struct resync found = resync(&store, &bounds);
                if (found.found != (expected != NONE))
                    print_message("bit %zu of byte %zu of batch %zu, open %d\n", bit % 8,
                                  bit / 8 - store.at[bad], bad, open);
                assert_found(&store, &found, expected);
                flip(&store, bit / 8, bit % 8);
            }
        }
        store_done(&store);
    }
}

static void behind_garbage_of_any_length_the_next_batch_is_found(void **state)
{
    (void)state;
    struct prng prng = prng_new(42);
    struct store store;
    store_random(&store, 42, 8, 700, false);
    for (int i = 0; i < 200; i++) {
        size_t bad = prng_below(&prng, store.count - 1);
        size_t from = store.at[bad];
        size_t size = 1 + prng_below(&prng, store.at[store.count - 1] - from);
        uint8_t *kept = malloc(store.size);
        memcpy(kept, store.bytes, store.size);
        prng_fill(&prng, store.bytes + from, size);
        size_t next = bad + 1;
        while (store.at[next] < from + size)
            next++;
        store_save(&store);
        struct resync_bounds bounds = exact(&store, bad);
        assert_resync(&store, &bounds, (int)next);
        bounds = open_ended(&store, bad);
        assert_resync(&store, &bounds, (int)next);
        memcpy(store.bytes, kept, store.size);
        free(kept);
    }
    store_done(&store);
}

static void a_bad_page_is_stepped_over(void **state)
{
    (void)state;
    struct store store;
    store_random(&store, 43, 200, 500, false);
    store_save(&store);
    for (uint64_t page = 0; page + 4096 < store.size; page += 4096) {
        firn_faulty_clear(store.faulty, 0);
        store_break(&store, page, 4096);
        size_t bad = 0, next;
        while (store.at[bad + 1] <= page)
            bad++;
        for (next = bad + 1; store.at[next] < page + 4096;)
            next++;
        int expected = next < store.count ? (int)next : NONE;
        struct resync_bounds bounds = exact(&store, bad);
        assert_resync(&store, &bounds, expected);
        bounds = open_ended(&store, bad);
        assert_resync(&store, &bounds, expected);
    }
    store_done(&store);
}

static void a_file_that_can_not_be_read_holds_nothing(void **state)
{
    (void)state;
    struct store store;
    store_random(&store, 44, 10, 500, false);
    store_save(&store);
    store_break(&store, 0, store.size);
    struct resync_bounds bounds = exact(&store, 0);
    assert_resync(&store, &bounds, NONE);
    bounds = open_ended(&store, 0);
    assert_resync(&store, &bounds, NONE);
    bounds.from = bounds.end;
    assert_resync(&store, &bounds, NONE);
    store_done(&store);
}

/* ---- several are ---------------------------------------------------------------------------- */

static void damaged_batches_with_whole_headers_are_stepped_over(void **state)
{
    (void)state;
    struct store store;
    store_random(&store, 45, 20, 300, false);
    static const size_t bad[] = {3, 7, 8, 12, 19};
    for (size_t i = 0; i < 5; i++)
        flip(&store, store.at[bad[i]] + 62, 3); /* in the records */
    store_save(&store);
    for (size_t i = 0; i < 5; i++) {
        size_t next = bad[i] + 1;
        if (next == 8)
            next = 9; /* found by the chain: what follows directly is damaged too */
        int expected = next < 20 ? (int)next : NONE;
        struct resync_bounds bounds = exact(&store, bad[i]);
        assert_resync(&store, &bounds, expected);
        bounds = open_ended(&store, bad[i]);
        assert_resync(&store, &bounds, expected);
    }
    /* the same where the search has to find the chain */
    flip(&store, store.at[3] + 8, 6);
    store_save(&store);
    struct resync_bounds bounds = exact(&store, 3);
    assert_resync(&store, &bounds, 4);
    bounds = open_ended(&store, 3);
    assert_resync(&store, &bounds, 4);
    store_done(&store);
}

static void where_the_length_is_right_nothing_is_searched(void **state)
{
    (void)state;
    struct store store;
    store_random(&store, 48, 12, 300, false);
    flip(&store, store.at[3] + 62, 3);
    memset(store.bytes + store.at[8], 0xaa, 40); /* no chain goes over this */
    store_save(&store);
    struct resync_bounds bounds = exact(&store, 3);
    assert_resync(&store, &bounds, 4);
    bounds = open_ended(&store, 3);
    assert_resync(&store, &bounds, 4);
    store_done(&store);
}

static void a_chain_that_breaks_off_does_not_count(void **state)
{
    (void)state;
    struct store store;
    store_random(&store, 46, 12, 300, false);
    memset(store.bytes + store.at[3], 0xaa, 40);
    memset(store.bytes + store.at[8], 0xaa, 40);
    store_save(&store);
    struct resync_bounds bounds = exact(&store, 3);
    assert_resync(&store, &bounds, 9);
    bounds = open_ended(&store, 3);
    assert_resync(&store, &bounds, 9);
    store_done(&store);
}

static void indexes_and_generations_must_fit(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, BASE);
    for (int i = 0; i < 6; i++)
        store_add(&store, 2, "value", 5, 0);
    memset(store.bytes + store.at[1], 0xaa, 40);
    store_save(&store);
    struct resync_bounds good = exact(&store, 1), bounds = good;
    assert_resync(&store, &bounds, 2);
    bounds.most_base++;
    assert_resync(&store, &bounds, NONE);
    bounds.most_base = good.most_base - 1;
    assert_resync(&store, &bounds, NONE);
    bounds = good;
    bounds.end--;
    assert_resync(&store, &bounds, NONE);
    bounds.end = good.end + 1;
    assert_resync(&store, &bounds, NONE);
    bounds = good;
    bounds.most_generation = 0;
    assert_resync(&store, &bounds, NONE);
    bounds = good;
    bounds.least_base = store.batches[2].base + 1;
    assert_resync(&store, &bounds, 3);

    batch_set_generation(store.bytes + store.at[4], 0); /* falls */
    store_save(&store);
    assert_resync(&store, &good, 4);
    store_done(&store);
}

/* ---- a value holds batches ------------------------------------------------------------------ */

/* Some whole batches, the first with index `base`, that go into a value. */
struct inner {
    uint8_t *bytes;
    size_t size;
};

static struct inner make_inner(uint64_t base, size_t count, size_t behind)
{
    struct store store;
    store_init(&store, base);
    for (size_t i = 0; i < count; i++)
        store_add(&store, 1, "inner", 5, 0);
    store_append_zeros(&store, behind);
    memset(store.bytes + store.size - behind, 0x77, behind);
    struct inner inner = {store.bytes, store.size};
    store.bytes = NULL;
    store_done(&store);
    return inner;
}

enum { OUTER = 5, BAD = 2 };

/* Batch BAD of OUTER holds `inner`; it is damaged: in its value, or in its header. */
static void store_with_inner(struct store *store, const struct inner *inner, bool last, bool header,
                             bool open)
{
    store_init(store, BASE);
    for (int i = 0; i < BAD; i++)
        store_add(store, 1, "before", 6, 0);
    size_t size = inner->size + 100;
    uint8_t *value = malloc(size);
    memset(value, 0x55, size);
    memcpy(value + 100, inner->bytes, inner->size);
    store_add(store, 1, value, size, 0);
    free(value);
    for (int i = BAD + 1; i < OUTER && !last; i++)
        store_add(store, 1, "behind", 6, 0);
    if (open)
        store_append_zeros(store, ZEROS);
    if (header)
        memset(store->bytes + store->at[BAD], 0xaa, 20);
    else
        flip(store, store->at[BAD] + BATCH_HEADER + 30, 0);
    store_save(store);
}

static void a_batch_inside_a_value_is_not_taken(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 16; which++) {
        bool last = (which & 1) != 0, header = (which & 2) != 0, open = (which & 4) != 0;
        size_t behind = (which & 8) != 0 ? 50 : 0;
        if (last && header && open)
            continue; /* nothing tells it from the store's own: see the next test */
        /* from the damaged batch's own index to that of the store's end, and on */
        for (uint64_t base = BASE + BAD; base <= BASE + OUTER + 1; base++) {
            for (size_t count = 1; count <= 3; count++) {
                struct inner inner = make_inner(base, count, behind);
                struct store store;
                store_with_inner(&store, &inner, last, header, open);
                struct resync_bounds bounds = open ? open_ended(&store, BAD) : exact(&store, BAD);
                struct resync found = resync(&store, &bounds);
                if (found.found == last)
                    print_message("last %d header %d open %d base %d count %zu behind %zu\n", last,
                                  header, open, (int)(base - BASE), count, behind);
                assert_found(&store, &found, last ? NONE : BAD + 1);
                store_done(&store);
                free(inner.bytes);
            }
        }
    }
}

/* Known and accepted: a torn batch without header, last in the log, whose value is a batch. */
static void inside_a_headless_end_an_inner_batch_is_found(void **state)
{
    (void)state;
    struct inner inner = make_inner(BASE + BAD + 1, 1, 0);
    struct store store;
    store_with_inner(&store, &inner, true, true, true);
    struct resync_bounds bounds = open_ended(&store, BAD);
    struct resync found = resync(&store, &bounds);
    assert_true(found.found);
    assert_true(found.position > store.at[BAD] && found.position < store.at[BAD + 1]);
    store_done(&store);
    free(inner.bytes);
}

/* A length with a wrong bit that reaches behind all data: the batches inside it are the store's. */
static void a_length_too_long_does_not_hide_the_next_batches(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, BASE);
    for (int i = 0; i < 6; i++)
        store_add(&store, 1, "value", 5, 0);
    store_append_zeros(&store, 1 << 20);
    store.bytes[store.at[2] + 9] ^= 0x08; /* half a MiB more */
    store_save(&store);
    struct resync_bounds bounds = open_ended(&store, 2);
    assert_resync(&store, &bounds, 3);
    memset(store.bytes + store.at[5], 0xaa, 30); /* and a torn end */
    store_save(&store);
    assert_resync(&store, &bounds, 3);
    store_done(&store);
}

/* ---- torn groups ---------------------------------------------------------------------------- */

static void a_torn_group_belongs_to_the_chain_before_it(void **state)
{
    (void)state;
    struct store store;
    store_init(&store, BASE);
    for (int i = 0; i < 6; i++)
        store_add(&store, 1, "value", 5, 0);
    size_t durable = store.size;
    store_add(&store, 3, "value", 5, 0);
    store_add(&store, 3, "value", 5, (int32_t)(store.size - durable));
    store_append_zeros(&store, ZEROS);
    memset(store.bytes + store.at[2], 0xaa, 30); /* damage */
    memset(store.bytes + store.at[6], 0, 61);    /* the first batch of the group did not arrive */
    store_save(&store);
    struct resync_bounds bounds = open_ended(&store, 2);
    assert_resync(&store, &bounds, 3);
    bounds = open_ended(&store, 6);
    assert_resync(&store, &bounds, 7);
    store_done(&store);
}

/* ---- bounded work --------------------------------------------------------------------------- */

/* Bytes that look like something, everywhere. That they end in time is the test. */
static void hostile_bytes_are_got_through(void **state)
{
    (void)state;
    enum { SIZE = 4 << 20 };
    for (int kind = 0; kind < 4; kind++) {
        struct prng prng = prng_new(47);
        struct store store;
        store_init(&store, 0);
        store_append_zeros(&store, SIZE);
        if (kind == 0)
            prng_fill(&prng, store.bytes, SIZE);
        if (kind == 1)
            memset(store.bytes, 2, SIZE);
        /* headers without gap: each says that it reaches half of the way to the end, or (3) to a
           place where another one stands whose base fits */
        struct batch fake = {.count = 0, .last_delta = 0};
        for (size_t at = 0; kind >= 2 && at + BATCH_HEADER <= SIZE; at += BATCH_HEADER) {
            size_t far = (SIZE - at) / 2 / BATCH_HEADER * BATCH_HEADER;
            fake.bytes = (uint32_t)(far < BATCH_HEADER ? BATCH_HEADER : far);
            fake.base = kind == 3 ? at / BATCH_HEADER : 7;
            fake.last_delta = kind == 3 ? fake.bytes / BATCH_HEADER - 1 : 0;
            batch_put(store.bytes + at, &fake);
        }
        store_save(&store);
        struct resync_bounds bounds = {
            .from = 1, .end = SIZE, .most_base = UINT64_MAX, .most_generation = UINT32_MAX};
        assert_resync(&store, &bounds, NONE);
        bounds.end_exact = true;
        assert_resync(&store, &bounds, NONE);
        store_done(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_any_flipped_bit_the_next_batch_is_found),
        cmocka_unit_test(behind_garbage_of_any_length_the_next_batch_is_found),
        cmocka_unit_test(a_bad_page_is_stepped_over),
        cmocka_unit_test(a_file_that_can_not_be_read_holds_nothing),
        cmocka_unit_test(damaged_batches_with_whole_headers_are_stepped_over),
        cmocka_unit_test(where_the_length_is_right_nothing_is_searched),
        cmocka_unit_test(a_chain_that_breaks_off_does_not_count),
        cmocka_unit_test(indexes_and_generations_must_fit),
        cmocka_unit_test(a_batch_inside_a_value_is_not_taken),
        cmocka_unit_test(inside_a_headless_end_an_inner_batch_is_found),
        cmocka_unit_test(a_length_too_long_does_not_hide_the_next_batches),
        cmocka_unit_test(a_torn_group_belongs_to_the_chain_before_it),
        cmocka_unit_test(hostile_bytes_are_got_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
