/* SPDX-License-Identifier: MIT */
/* Blocks in a file: creating, opening, loading and storing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "file_world.h"

/* ---- creating and opening ------------------------------------------------------------------- */

static void a_new_file_is_zero_and_durable(void **state)
{
    (void)state;
    struct world w;
    static const uint8_t zeros[8 * BLOCK];
    start(&w);
    assert_int_equal(create(&w, 8, false), 0);
    assert_true(w.block->count == 8 && w.block->shift == SHIFT);
    assert_true(block_bytes(w.block) == 8 * BLOCK);
    firn_block_close(w.block);
    w.block = NULL;
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    assert_int_equal(reopen(&w, false), 0);
    assert_true(w.block->count == 8 && w.block->shift == SHIFT);
    expect(&w, 0, zeros, sizeof zeros);
    stop(&w);
}

static void what_is_there_is_not_created(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 2, false), 0);
    assert_int_equal(store(&w, 0, BLOCK), 0);
    firn_block_close(w.block);
    w.block = NULL;
    assert_int_equal(create(&w, 8, false), FIRN_EEXIST);
    assert_int_equal(w.err.code, FIRN_EEXIST);
    assert_int_equal(reopen(&w, false), 0);
    assert_true(w.block->count == 2);
    expect(&w, 0, content, BLOCK);
    stop(&w);
}

static void creating_leaves_no_file_when_it_fails(void **state)
{
    (void)state;
    struct world w;
    uint64_t failures = 0;
    start(&w);
    firn_faulty_set_capacity(w.faulty, 4 * BLOCK);
    assert_int_equal(create(&w, 8, false), FIRN_ENOSPC);
    assert_false(exists(&w));
    firn_faulty_set_capacity(w.faulty, UINT64_MAX);
    for (uint64_t at = 1; w.block == NULL; at++, failures++) {
        struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_ANY & ~(unsigned)FIRN_FAULTY_REMOVE,
                                          .at = at};
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        if (create(&w, 8, false) < 0) {
            assert_int_equal(w.err.code, FIRN_EIO);
            assert_false(exists(&w));
        }
        firn_faulty_clear(w.faulty, 0);
    }
    assert_true(failures > 3);
    stop(&w);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    const struct firn_block_options options = {.disk = w.disk},
                                    read_only = {.disk = w.disk, .read_only = true};
    assert_int_equal(firn_block_file_create(path, 1, 11, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_create(path, 1, 29, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_create(path, 0, 12, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_create("", 1, 12, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_create(NULL, 1, 12, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_create(path, UINT64_C(1) << 50, 28, &options, &w.block, NULL),
                     FIRN_EINVAL);
    assert_int_equal(firn_block_file_create(path, 1, 12, &read_only, &w.block, NULL),
                     FIRN_EREADONLY);
    assert_int_equal(firn_block_file_create("no/file", 1, 12, &options, &w.block, NULL),
                     FIRN_ENOENT);
    assert_false(exists(&w));
    assert_int_equal(firn_block_file_open(path, 11, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_open(path, 29, &options, &w.block, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_file_open(path, 12, &options, &w.block, NULL), FIRN_ENOENT);
    stop(&w);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    struct world w;
    static const size_t bad[] = {0, 1, BLOCK - 1, BLOCK + 1, 3 * BLOCK + 512};
    start(&w);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(firn_faulty_put(w.faulty, path, content, bad[i], NULL), 0);
        assert_int_equal(reopen(&w, false), FIRN_EDAMAGED);
        assert_non_null(strstr(w.err.message, path));
    }
    const struct firn_block_options options = {.disk = w.disk};
    assert_int_equal(firn_faulty_put(w.faulty, path, content, 3 * BLOCK, NULL), 0);
    assert_int_equal(firn_block_file_open(path, 13, &options, &w.block, NULL), FIRN_EDAMAGED);
    assert_int_equal(reopen(&w, false), 0);
    assert_true(w.block->count == 3);
    expect(&w, 0, content, 3 * BLOCK);
    stop(&w);
}

static void a_read_only_file_is_not_stored_to(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    const struct firn_block_options options = {.disk = w.disk, .env = w.env, .read_only = true};
    assert_int_equal(firn_faulty_put(w.faulty, path, content, 3 * BLOCK, NULL), 0);
    uint64_t before = mutations(&w);
    assert_int_equal(firn_block_file_open(path, SHIFT, &options, &w.block, NULL), 0);
    assert_int_equal(store(&w, 0, BLOCK), FIRN_EREADONLY);
    assert_int_equal(block_prepare(w.block, 0, 1, &w.err), FIRN_EREADONLY);
    expect(&w, 1, content + BLOCK, 2 * BLOCK);
    firn_env_run(w.env);
    assert_true(mutations(&w) == before);
    stop(&w);
}

/* ---- loading and storing -------------------------------------------------------------------- */

static void what_is_stored_is_durable(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 1024, false), 0);
    assert_int_equal(store(&w, 0, 3 * BLOCK), 0);
    assert_int_equal(store(&w, 3, 700), 0);
    assert_int_equal(store(&w, 0, 0), 0);
    assert_int_equal(store(&w, 512, 2 * MIB), 0);
    firn_block_close(w.block);
    w.block = NULL;
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    assert_int_equal(reopen(&w, false), 0);
    expect(&w, 0, content, 3 * BLOCK + 700);
    expect(&w, 512, content + 512 * BLOCK, 2 * MIB);
    stop(&w);
}

static void a_short_store_keeps_the_rest_of_its_block(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 4, false), 0);
    assert_int_equal(store(&w, 0, 2 * BLOCK), 0);
    memset(content, 7, 100);
    assert_int_equal(store(&w, 0, 100), 0);
    expect(&w, 0, content, 2 * BLOCK);
    stop(&w);
}

static void stores_and_loads_stay_within(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 4, false), 0);
    uint64_t before = mutations(&w);
    assert_int_equal(store(&w, 3, BLOCK + 1), FIRN_ERANGE);
    assert_int_equal(store(&w, 4, 1), FIRN_ERANGE);
    assert_int_equal(load(&w, 3, BLOCK + 1), FIRN_ERANGE);
    assert_int_equal(load(&w, 4, 1), FIRN_ERANGE);
    struct iovec odd = {content, 10};
    assert_int_equal(block_store(w.block, 0, &odd, 1, &w.err), FIRN_EINVAL);
    assert_int_equal(block_load(w.block, 0, &odd, -1, &w.err), FIRN_EINVAL);
    assert_int_equal(block_prepare(w.block, 3, 2, &w.err), FIRN_ERANGE);
    assert_int_equal(block_prepare(w.block, 5, 0, &w.err), FIRN_ERANGE);
    assert_true(mutations(&w) == before);
    assert_int_equal(store(&w, 3, BLOCK), 0); /* nothing was poisoned */
    stop(&w);
}

static void a_file_that_was_cut_is_damaged(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(create(&w, 4, false), 0);
    assert_int_equal(firn_faulty_put(w.faulty, path, content, 2 * BLOCK, NULL), 0);
    expect(&w, 0, content, 2 * BLOCK);
    assert_int_equal(load(&w, 1, 2 * BLOCK), FIRN_EDAMAGED);
    stop(&w);
}

/* Somebody died while creating it. What is stored in it later stays. */
static void an_opened_file_is_durable(void **state)
{
    (void)state;
    struct world w;
    struct firn_file *file;
    start(&w);
    assert_int_equal(disk_open(w.disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL), 0);
    assert_int_equal(disk_reserve(file, 0, 8 * BLOCK, NULL), 0);
    disk_close(file);
    assert_int_equal(reopen(&w, false), 0);
    assert_int_equal(store(&w, 2, BLOCK), 0);
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    assert_int_equal(reopen(&w, false), 0);
    assert_true(w.block->count == 8);
    expect(&w, 2, content + 2 * BLOCK, BLOCK);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_is_zero_and_durable),
        cmocka_unit_test(what_is_there_is_not_created),
        cmocka_unit_test(creating_leaves_no_file_when_it_fails),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(an_opened_file_is_durable),
        cmocka_unit_test(a_read_only_file_is_not_stored_to),
        cmocka_unit_test(what_is_stored_is_durable),
        cmocka_unit_test(a_short_store_keeps_the_rest_of_its_block),
        cmocka_unit_test(stores_and_loads_stay_within),
        cmocka_unit_test(a_file_that_was_cut_is_damaged),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
