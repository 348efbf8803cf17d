/* SPDX-License-Identifier: MIT */
/* How blocks are written to a file; what fails; and space zeroed ahead of the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file_world.h"

/* ---- how it is written ---------------------------------------------------------------------- */

struct calls {
    char text[300]; /* a letter for each: Durable write, Write, Begin and End of writeback, Sync */
    size_t count;
    uint64_t skip;
};

static void note_call(void *arg, const char *line)
{
    struct calls *calls = arg;
    char letter = 0;
    if (calls->skip > 0) {
        calls->skip--;
        return;
    }
    if (strstr(line, "write ") && strstr(line, "durable"))
        letter = 'D';
    else if (strstr(line, "writeback"))
        letter = 'B';
    else if (strstr(line, "write "))
        letter = 'W';
    else if (strstr(line, "sync "))
        letter = 'S';
    if (letter)
        calls->text[calls->count++] = letter;
}

static void count_line(void *arg, const char *line)
{
    (void)line;
    ++*(uint64_t *)arg;
}

static void expect_calls(struct world *w, uint64_t first, size_t size, const char *expected)
{
    struct calls calls = {0};
    firn_faulty_trace(w->faulty, count_line, &calls.skip);
    assert_int_equal(store(w, first, size), 0);
    firn_faulty_trace(w->faulty, note_call, &calls);
    assert_string_equal(calls.text, expected);
}

static void a_store_is_one_durable_write_where_it_fits(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 1536, false), 0);
    expect_calls(&w, 0, 100, "D");
    expect_calls(&w, 0, BLOCK, "D");
    expect_calls(&w, 7, 2 * MIB, "D");
    expect_calls(&w, 0, 0, "");
    stop(&w);
}

/* While a chunk is written, the one before is on its way to the disk; a sync ends it. */
static void a_large_store_goes_in_chunks(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 1536, false), 0);
    expect_calls(&w, 0, 2 * MIB + 1, "WBWBBS");
    expect_calls(&w, 3, 4 * MIB, "WBWBBS");
    expect_calls(&w, 0, 6 * MIB, "WBWBBWBBS");
    expect(&w, 0, content, 6 * MIB);
    stop(&w);
}

/* The storage's tables, with an advise that remembers. */
static const struct firn_disk_ops *real_disk;
static struct firn_disk_ops watched_disk;
static struct firn_file_ops watched_file;
static uint64_t dropped_from, dropped_to;

static void watch_advice(struct firn_file *file, uint64_t offset, uint64_t length,
                         enum firn_advice advice)
{
    (void)file;
    if (advice != FIRN_ADVICE_DONT_NEED)
        return;
    if (dropped_from == dropped_to)
        dropped_from = offset;
    else
        assert_true(offset <= dropped_to);
    dropped_to = offset + length;
}

static int watch_open(struct firn_disk *disk, const char *name, unsigned flags,
                      struct firn_file **file, struct firn_error *err)
{
    int rc = real_disk->open(disk, name, flags, file, err);
    if (rc == 0) {
        watched_file = *(*file)->ops;
        watched_file.advise = watch_advice;
        (*file)->ops = &watched_file;
    }
    return rc;
}

static void expect_dropped(uint64_t from, uint64_t to)
{
    assert_true(dropped_from == from && dropped_to == to);
    dropped_from = dropped_to = 0;
}

/* Whole chunks go; the one that is being filled stays. What was read goes. */
static void the_page_cache_is_not_filled(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    real_disk = w.disk->ops;
    watched_disk = *real_disk;
    watched_disk.open = watch_open;
    w.disk->ops = &watched_disk;
    assert_int_equal(create(&w, 1536, false), 0);
    assert_int_equal(store(&w, 0, MIB), 0);
    expect_dropped(0, 0);
    assert_int_equal(store(&w, 256, MIB - 1), 0);
    expect_dropped(0, 0);
    assert_int_equal(store(&w, 511, BLOCK), 0);
    expect_dropped(0, 2 * MIB);
    assert_int_equal(store(&w, 512, 3 * MIB), 0);
    expect_dropped(2 * MIB, 4 * MIB);
    assert_int_equal(store(&w, 0, 5 * MIB + 5), 0);
    expect_dropped(0, 4 * MIB);
    assert_int_equal(load(&w, 0, 5 * MIB), 0);
    expect_dropped(0, 5 * MIB);
    stop(&w);
}

/* ---- poison --------------------------------------------------------------------------------- */

static void expect_poisoned(struct world *w, const char *message)
{
    struct firn_error err = {0};
    struct iovec pair[] = {{content, META}, {content, BLOCK - META}};
    assert_int_equal(block_store(w->block, 0, pair, 2, &err), FIRN_EPOISONED);
    assert_int_equal(err.code, FIRN_EPOISONED);
    assert_string_equal(err.message, message);
    assert_int_equal(block_load(w->block, 0, pair, 2, &err), FIRN_EPOISONED);
    assert_string_equal(err.message, message);
    assert_int_equal(block_prepare(w->block, 0, 1, &err), FIRN_EPOISONED);
    assert_string_equal(err.message, message);
}

static void a_failed_write_or_sync_poisons(void **state)
{
    (void)state;
    static const struct {
        enum firn_faulty_what what;
        unsigned ops;
        int code;
        size_t size;
    } table[] = {
        {FIRN_FAULTY_FAIL, FIRN_FAULTY_WRITE_DURABLE, FIRN_EIO, BLOCK},
        {FIRN_FAULTY_FAIL, FIRN_FAULTY_WRITE_DURABLE, FIRN_ENOSPC, 100},
        {FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE_DURABLE, FIRN_EIO, BLOCK},
        {FIRN_FAULTY_FAIL, FIRN_FAULTY_WRITE, FIRN_EIO, 3 * MIB},
        {FIRN_FAULTY_FAIL, FIRN_FAULTY_WRITEBACK, FIRN_EIO, 3 * MIB},
        {FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITEBACK, FIRN_EIO, 3 * MIB},
        {FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE, FIRN_EIO, 3 * MIB},
        {FIRN_FAULTY_FAIL, FIRN_FAULTY_SYNC, FIRN_EIO, 3 * MIB},
        {FIRN_FAULTY_LOSE, FIRN_FAULTY_SYNC, FIRN_ENOSPC, 3 * MIB},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct world w;
        char message[FIRN_ERROR_MESSAGE_SIZE];
        struct firn_faulty_fault fault = {
            .what = table[i].what, .ops = table[i].ops, .code = table[i].code};
        start(&w);
        assert_int_equal(create(&w, 1536, false), 0);
        assert_int_equal(store(&w, 1000, BLOCK), 0);
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        assert_int_equal(store(&w, 1, table[i].size), FIRN_EPOISONED);
        assert_true(strlen(w.err.message) > 5);
        strcpy(message, w.err.message);
        expect_poisoned(&w, message);
        expect_poisoned(&w, message);
        assert_int_equal(reopen(&w, false), 0); /* knows what is really there */
        expect(&w, 1000, content + 1000 * BLOCK, BLOCK);
        assert_int_equal(store(&w, 1, table[i].size), 0);
        assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
        assert_int_equal(reopen(&w, false), 0);
        expect(&w, 1, content + BLOCK, table[i].size);
        stop(&w);
    }
}

static void a_failed_load_poisons_nothing(void **state)
{
    (void)state;
    struct world w;
    struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_READ};
    start(&w);
    assert_int_equal(create(&w, 4, false), 0);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(load(&w, 0, BLOCK), FIRN_EIO);
    assert_int_equal(store(&w, 0, BLOCK), 0);
    expect(&w, 0, content, BLOCK);
    stop(&w);
}

static void short_reads_and_writes_go_on(void **state)
{
    (void)state;
    struct world w;
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_SHORT,
                                      .ops = FIRN_FAULTY_READ | FIRN_FAULTY_WRITE |
                                             FIRN_FAULTY_WRITE_DURABLE,
                                      .bytes = FIRN_FAULTY_HALF,
                                      .times = FIRN_FAULTY_ALWAYS};
    start(&w);
    assert_int_equal(create(&w, 1536, false), 0);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(store(&w, 0, 3 * BLOCK + 5), 0);
    assert_int_equal(store(&w, 5, 3 * MIB + 5), 0);
    expect(&w, 0, content, 3 * BLOCK + 5);
    expect(&w, 5, content + 5 * BLOCK, 3 * MIB + 5);
    stop(&w);
}

/* A copy with holes: the disk may be full before anything is written, and that passes. */
static void no_space_for_the_first_store_passes(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct firn_file *file;
    assert_int_equal(disk_open(w.disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL), 0);
    assert_int_equal(disk_truncate(file, 64 * BLOCK, NULL), 0);
    disk_close(file);
    firn_faulty_set_capacity(w.faulty, 32 * BLOCK);
    assert_int_equal(reopen(&w, false), 0);
    assert_int_equal(store(&w, 0, BLOCK), FIRN_ENOSPC);
    assert_int_equal(block_prepare(w.block, 0, 1, &w.err), FIRN_ENOSPC);
    firn_faulty_set_capacity(w.faulty, 64 * BLOCK);
    assert_int_equal(store(&w, 0, BLOCK), 0);
    firn_faulty_set_capacity(w.faulty, 0); /* all of it is set aside now */
    assert_int_equal(store(&w, 63, BLOCK), 0);
    stop(&w);
}

/* ---- zeroing ahead -------------------------------------------------------------------------- */

static uint64_t zeroed(struct world *w)
{
    return block_file_of(w->block)->space.zeroed_end;
}

static void space_is_zeroed_ahead_of_small_stores(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 16 * MIB / BLOCK, true), 0);
    for (int i = 0; i < 100; i++)
        firn_env_run(w.env);
    assert_true(zeroed(&w) == 8 * MIB);
    for (uint64_t at = 0; at < MOST / BLOCK; at += 16)
        assert_int_equal(store(&w, at, 16 * BLOCK), 0);
    for (int i = 0; i < 100; i++)
        firn_env_run(w.env);
    assert_true(zeroed(&w) == MOST + 8 * MIB);
    expect(&w, 0, content, MOST);
    stop(&w);
}

static void large_stores_have_nothing_zeroed(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(firn_faulty_put(w.faulty, path, content, MOST, NULL), 0);
    assert_int_equal(reopen(&w, true), 0);
    uint64_t before = mutations(&w);
    assert_int_equal(store(&w, 0, MIB), 0);
    firn_env_run(w.env);
    assert_true(mutations(&w) == before + 2); /* space, and the store */
    stop(&w);
}

/* Whatever lies ahead of a writer in a file that was there: only zeros are written over. */
static void nothing_but_zeros_is_zeroed(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    memset(content + 3 * MIB, 0, 2 * MIB);
    assert_int_equal(firn_faulty_put(w.faulty, path, content, MOST, NULL), 0);
    assert_int_equal(reopen(&w, true), 0);
    assert_int_equal(store(&w, 0, BLOCK), 0); /* all ahead is full */
    for (int i = 0; i < 20; i++)
        firn_env_run(w.env);
    assert_true(zeroed(&w) == 0);
    assert_int_equal(reopen(&w, true), 0);
    assert_int_equal(store(&w, 3 * MIB / BLOCK, BLOCK), 0);
    for (int i = 0; i < 20; i++)
        firn_env_run(w.env);
    assert_true(zeroed(&w) > 4 * MIB && zeroed(&w) <= 5 * MIB);
    assert_int_equal(block_prepare(w.block, 0, w.block->count, &w.err), 0);
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    assert_int_equal(reopen(&w, false), 0);
    expect(&w, 0, content, MOST);
    stop(&w);
}

static void preparing_needs_no_environment(void **state)
{
    (void)state;
    struct world w;
    struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_SYNC};
    start(&w);
    assert_int_equal(create(&w, MOST / BLOCK, false), 0);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(block_prepare(w.block, 0, w.block->count, &w.err), FIRN_EIO);
    assert_int_equal(block_prepare(w.block, 0, w.block->count, &w.err), 0); /* that passed */
    assert_true(zeroed(&w) == MOST);
    assert_int_equal(block_prepare(w.block, w.block->count, 0, &w.err), 0);
    assert_int_equal(store(&w, 0, MOST), 0);
    expect(&w, 0, content, MOST);
    stop(&w);
}

static void random_stores_meet_zeroing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        struct prng prng = prng_new(seed);
        start(&w);
        uint8_t *model = calloc(1, MOST);
        assert_non_null(model);
        assert_int_equal(create(&w, MOST / BLOCK, true), 0);
        for (int i = 0; i < 60; i++) {
            uint64_t first = prng_below(&prng, MOST / BLOCK);
            size_t size = prng_below(&prng, 10) ? 40 * BLOCK : MOST;
            size = 1 + prng_below(&prng, size < MOST - first * BLOCK ? size : MOST - first * BLOCK);
            assert_int_equal(store(&w, first, size), 0);
            memcpy(model + first * BLOCK, content + first * BLOCK, size);
            if (prng_below(&prng, 2))
                firn_env_run(w.env);
            if (prng_below(&prng, 10) == 0)
                assert_int_equal(reopen(&w, true), 0);
        }
        assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
        assert_int_equal(reopen(&w, true), 0);
        expect(&w, 0, model, MOST);
        free(model);
        stop(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_is_one_durable_write_where_it_fits),
        cmocka_unit_test(a_large_store_goes_in_chunks),
        cmocka_unit_test(the_page_cache_is_not_filled),
        cmocka_unit_test(a_failed_write_or_sync_poisons),
        cmocka_unit_test(a_failed_load_poisons_nothing),
        cmocka_unit_test(short_reads_and_writes_go_on),
        cmocka_unit_test(no_space_for_the_first_store_passes),
        cmocka_unit_test(space_is_zeroed_ahead_of_small_stores),
        cmocka_unit_test(large_stores_have_nothing_zeroed),
        cmocka_unit_test(nothing_but_zeros_is_zeroed),
        cmocka_unit_test(preparing_needs_no_environment),
        cmocka_unit_test(random_stores_meet_zeroing),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
