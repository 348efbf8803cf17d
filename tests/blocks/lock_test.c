/* SPDX-License-Identifier: MIT */
/* The lock of a sequence: whose it is, what becomes of it, and how it is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sequence_world.h"

static int try_open(struct world *w, struct firn_block_options options)
{
    struct firn_block_allocator *allocator = NULL;
    options.disk = w->disk;
    int rc = firn_block_sequence_open("dir", "seq", COUNT, SHIFT, &options, &allocator, &w->err);
    assert_int_equal(rc == 0, allocator != NULL);
    assert_true(rc == 0 || w->err.code == rc);
    if (rc == 0)
        w->allocator = allocator;
    return rc;
}

static const struct firn_block_options plain = {0}, breaking = {.break_dead_lock = true},
                                       reading = {.read_only = true},
                                       reading_anyway = {.read_only = true,
                                                         .break_dead_lock = true};

static void expect_holder(struct world *w, const char *text, int64_t process, bool alive)
{
    struct firn_block_holder holder;
    assert_int_equal(firn_block_sequence_holder(w->disk, "dir", "seq", &holder, &w->err), 0);
    assert_string_equal(holder.text, text);
    assert_true(holder.process == process && holder.alive == alive);
}

static void one_handle_at_a_time(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    expect_no_lock(&w);
    open_it(&w);
    expect_holder(&w, "1000", 1000, true);
    assert_int_equal(try_open(&w, plain), FIRN_ELOCKED);
    assert_non_null(strstr(w.err.message, "1000"));
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    assert_int_equal(try_open(&w, reading), FIRN_ELOCKED);
    firn_faulty_set_process(w.faulty, 1001);
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    assert_int_equal(firn_block_allocator_close(w.allocator, &w.err), 0);
    expect_no_lock(&w);
    open_it(&w);
    expect_holder(&w, "1001", 1001, true);
    stop(&w);
}

/* The process is gone: its handle closes nothing any more. */
static void die(struct world *w)
{
    firn_faulty_kill(w->faulty);
    struct block_sequence *sequence = (struct block_sequence *)w->allocator;
    sequence->locked = false;
    assert_int_equal(firn_block_allocator_close(w->allocator, NULL), 0);
    w->allocator = NULL;
}

static void a_dead_lock_is_broken_on_demand(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    stamp(&w, block, 5);
    firn_block_close(block);
    die(&w);
    expect_holder(&w, "1000", 1000, false);
    assert_int_equal(try_open(&w, plain), FIRN_ELOCKED);
    assert_non_null(strstr(w.err.message, "1000, which is gone"));
    assert_int_equal(try_open(&w, reading), FIRN_ELOCKED);
    assert_int_equal(try_open(&w, breaking), 0);
    expect_holder(&w, "1001", 1001, true);
    expect_files(&w, "seq.0001-12 seq.lock");
    expect_stamps(&w, "\5");
    stop(&w);
}

static void a_lock_is_broken_by_what_it_says(void **state)
{
    (void)state;
    static const char message[] = "hands off until the backup is done, please, or I will be so sad";
    struct world w;
    start(&w);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", "1", &w.err),
                     FIRN_ENOENT);
    assert_int_equal(disk_make_link(w.disk, message, "dir/seq.lock", NULL), 0);
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    assert_non_null(strstr(w.err.message, "hands off"));
    expect_holder(&w, message, 0, true);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", "hands", &w.err),
                     FIRN_EMISMATCH);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", message, &w.err), 0);
    expect_files(&w, "");
    open_it(&w);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", message, &w.err),
                     FIRN_EMISMATCH);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", "1000", &w.err), 0);
    assert_int_equal(firn_block_allocator_close(w.allocator, &w.err), FIRN_ENOENT);
    firn_faulty_free(w.faulty);
}

/* What is no link, and texts that are nearly process ids. */
static void strange_locks_hold(void **state)
{
    (void)state;
    static const char *const texts[] = {"-5", "12x", "99999999999999999999", "0", " 7"};
    struct world w;
    start(&w);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(disk_make_link(w.disk, texts[i], "dir/seq.lock", NULL), 0);
        expect_holder(&w, texts[i], 0, true);
        assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
        remove_file(&w, "seq.lock");
    }
    put(&w, "seq.lock", 1, 10);
    expect_holder(&w, "", 0, true);
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", "", &w.err), 0);
    open_it(&w);
    stop(&w);
}

/* Somebody else finds the same dead lock, breaks it and takes it, just before it is removed. */
static void take_it_first(void *arg, struct firn_faulty *faulty,
                          const struct firn_faulty_event *event)
{
    struct world *w = arg;
    (void)faulty, (void)event;
    assert_int_equal(disk_remove(w->disk, "dir/seq.lock", NULL), 0);
    assert_int_equal(disk_make_link(w->disk, "1001", "dir/seq.lock", NULL), 0);
}

static void of_two_that_break_it_one_has_it(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    open_it(&w);
    die(&w);
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                      .ops = FIRN_FAULTY_CREATE,
                                      .path = "dir/seq.lock.guard",
                                      .call = take_it_first,
                                      .arg = &w};
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    expect_holder(&w, "1001", 1001, true);
    expect_files(&w, "seq.lock");
    firn_faulty_free(w.faulty);
}

static void only_one_breaks_at_a_time(void **state)
{
    (void)state;
    struct world w;
    struct firn_lock *guard;
    start(&w);
    open_it(&w);
    die(&w);
    assert_int_equal(disk_lock(w.disk, "dir/seq.lock.guard", &guard, NULL, NULL), 0);
    assert_int_equal(try_open(&w, breaking), FIRN_ELOCKED);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "seq", "1000", &w.err),
                     FIRN_ELOCKED);
    disk_unlock(w.disk, guard);
    assert_int_equal(try_open(&w, breaking), 0);
    stop(&w);
}

static void reading_takes_no_lock(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    struct list list = {0};
    start(&w);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    stamp(&w, block, 5);
    firn_block_close(block);
    put(&w, "seq.0002-12.tmp", 1, 10);
    die(&w);
    assert_int_equal(try_open(&w, reading_anyway), 0);
    expect_holder(&w, "1000", 1000, false);
    expect_stamps(&w, "\5");
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 0);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), FIRN_EREADONLY);
    assert_int_equal(block_release(w.allocator, list.at[0], &w.err), FIRN_EREADONLY);
    const struct iovec pair[] = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(block_store(list.at[0], 0, pair, 2, &w.err), FIRN_EREADONLY);
    close_list(&list);
    assert_int_equal(firn_block_allocator_close(w.allocator, &w.err), 0);
    expect_files(&w, "seq.0001-12 seq.0002-12.tmp seq.lock");
    firn_faulty_free(w.faulty);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct world w;
    struct firn_block_holder holder;
    start(&w);
    assert_int_equal(firn_block_sequence_holder(w.disk, "dir", "", &holder, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_holder(w.disk, NULL, "x", &holder, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_holder(w.disk, "dir", "a/b", &holder, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_holder(w.disk, "dir", "x", NULL, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_holder(w.disk, "no", "x", &holder, NULL), FIRN_ENOENT);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "dir", "x", NULL, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_break_lock(w.disk, "no", "x", "1", NULL), FIRN_ENOENT);
    firn_faulty_free(w.faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_handle_at_a_time),
        cmocka_unit_test(a_dead_lock_is_broken_on_demand),
        cmocka_unit_test(a_lock_is_broken_by_what_it_says),
        cmocka_unit_test(strange_locks_hold),
        cmocka_unit_test(of_two_that_break_it_one_has_it),
        cmocka_unit_test(only_one_breaks_at_a_time),
        cmocka_unit_test(reading_takes_no_lock),
        cmocka_unit_test(arguments_are_checked),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
