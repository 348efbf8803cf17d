/* SPDX-License-Identifier: MIT */
/* Sequences of files: names, order, errors, locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sequence_world.h"

/* ---- allocating and releasing --------------------------------------------------------------- */

static void files_come_and_go_in_order(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block[3];
    start(&w);
    open_it(&w);
    expect_files(&w, "seq.lock");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(block_allocate(w.allocator, &block[i], &w.err), 0);
        assert_true(block[i]->count == COUNT && block[i]->shift == SHIFT);
        stamp(&w, block[i], (uint8_t)(i + 1));
    }
    expect_files(&w, "seq.0001-12 seq.0002-12 seq.0003-12 seq.lock");
    assert_int_equal(block_release(w.allocator, block[1], &w.err), FIRN_EMISMATCH);
    assert_int_equal(block_release(w.allocator, block[2], &w.err), FIRN_EMISMATCH);
    assert_int_equal(block_release(w.allocator, block[0], &w.err), 0);
    expect_files(&w, "seq.0002-12 seq.0003-12 seq.lock");
    assert_int_equal(firn_block_allocator_close(w.allocator, &w.err), FIRN_EBUSY);
    firn_block_close(block[1]);
    firn_block_close(block[2]);
    reopen(&w);
    expect_stamps(&w, "\2\3");
    assert_int_equal(block_allocate(w.allocator, &block[0], &w.err), 0);
    stamp(&w, block[0], 9);
    firn_block_close(block[0]);
    expect_files(&w, "seq.0002-12 seq.0003-12 seq.0004-12 seq.lock");
    expect_stamps(&w, "\2\3\11");
    close_it(&w);
    expect_files(&w, "seq.0002-12 seq.0003-12 seq.0004-12");
    stop(&w);
}

static void what_was_allocated_is_durable(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    open_it(&w);
    for (uint8_t i = 1; i <= 3; i++) {
        assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
        stamp(&w, block, i);
        firn_block_close(block);
    }
    firn_faulty_power_off(w.faulty);
    close_it(&w);
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    remove_file(&w, "seq.lock");
    open_it(&w);
    expect_stamps(&w, "\1\2\3");
    stop(&w);
}

static void an_emptied_sequence_begins_anew(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    open_it(&w);
    expect_stamps(&w, "");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
        assert_int_equal(block_release(w.allocator, block, &w.err), 0);
    }
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    expect_files(&w, "seq.0004-12 seq.lock");
    assert_int_equal(block_release(w.allocator, block, &w.err), 0);
    reopen(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    expect_files(&w, "seq.0001-12 seq.lock");
    firn_block_close(block);
    stop(&w);
}

/* The handles are of one file; the second one has nothing to release. */
static void a_file_is_released_once(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block, *again, *other;
    struct list list = {0};
    start(&w);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 0);
    again = list.at[0];
    assert_int_equal(block_release(w.allocator, block, &w.err), 0);
    assert_int_equal(block_release(w.allocator, again, &w.err), FIRN_ERANGE);
    assert_int_equal(block_allocate(w.allocator, &other, &w.err), 0);
    assert_int_equal(block_release(w.allocator, again, &w.err), FIRN_ERANGE);
    firn_block_close(again);
    firn_block_close(other);
    stop(&w);
}

static void strangers_are_not_released(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *memory, *file, *theirs;
    struct firn_block_allocator *other;
    start(&w);
    open_it(&w);
    const struct firn_block_options options = {.disk = w.disk};
    assert_int_equal(firn_block_memory_new(1, 12, &memory, NULL), 0);
    assert_int_equal(firn_block_file_create("dir/x", 1, 12, &options, &file, NULL), 0);
    assert_int_equal(firn_block_sequence_open("dir", "other", 1, 12, &options, &other, NULL), 0);
    assert_int_equal(block_allocate(other, &theirs, NULL), 0);
    assert_int_equal(block_release(w.allocator, memory, &w.err), FIRN_EINVAL);
    assert_int_equal(block_release(w.allocator, file, &w.err), FIRN_EINVAL);
    assert_int_equal(block_release(w.allocator, theirs, &w.err), FIRN_EINVAL);
    firn_block_close(memory);
    firn_block_close(file);
    assert_int_equal(block_release(other, theirs, NULL), 0);
    assert_int_equal(firn_block_allocator_close(other, NULL), 0);
    stop(&w);
}

/* Files of other shapes, made by another life, or with other names for the same index. */
static void each_file_has_its_own_shape(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    put(&w, "seq.7-13", 1, 3 * 8192);
    put(&w, "seq.0008-12", 2, 4096);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    stamp(&w, block, 3);
    firn_block_close(block);
    expect_files(&w, "seq.0008-12 seq.0009-12 seq.7-13 seq.lock");
    struct list list = {0};
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 0);
    assert_int_equal(list.count, 3);
    assert_true(list.at[0]->shift == 13 && list.at[0]->count == 3);
    assert_true(list.at[1]->shift == 12 && list.at[1]->count == 1);
    assert_int_equal(block_release(w.allocator, list.at[0], &w.err), 0);
    expect_files(&w, "seq.0008-12 seq.0009-12 seq.lock");
    firn_block_close(list.at[1]);
    firn_block_close(list.at[2]);
    stop(&w);
}

static void the_index_wraps(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    put(&w, "seq.ffff-12", 1, 4096);
    put(&w, "seq.fffe-12", 0x7f, 4096);
    open_it(&w);
    for (uint8_t i = 2; i < 4; i++) {
        assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
        stamp(&w, block, i);
        firn_block_close(block);
    }
    expect_files(&w, "seq.0000-12 seq.0001-12 seq.fffe-12 seq.ffff-12 seq.lock");
    reopen(&w);
    expect_stamps(&w, "\x7f\1\2\3");
    struct list list = {0};
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 0);
    assert_int_equal(block_release(w.allocator, list.at[2], &w.err), FIRN_EMISMATCH);
    for (int i = 0; i < 4; i++)
        assert_int_equal(block_release(w.allocator, list.at[i], &w.err), 0);
    expect_files(&w, "seq.lock");
    stop(&w);
}

static void there_is_a_most_of_files(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block, *last;
    start(&w);
    for (unsigned i = 0xf000; i < 0xf000 + FIRN_BLOCK_SEQUENCE_MAX - 1; i++) {
        char name[20];
        snprintf(name, sizeof name, "seq.%04x-12", i & 0xffff);
        put(&w, name, 0, 4096);
    }
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &last, &w.err), 0);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), FIRN_ETOOBIG);
    firn_block_close(last);
    reopen(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), FIRN_ETOOBIG);
    struct list list = {.most = 1};
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 77);
    assert_int_equal(list.count, 1);
    assert_int_equal(block_release(w.allocator, list.at[0], &w.err), 0);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    firn_block_close(block);
    stop(&w);
}

/* ---- what is in the directory --------------------------------------------------------------- */

/* Opens, or not. */
static int try_open(struct world *w)
{
    const struct firn_block_options options = {.disk = w->disk};
    int rc = firn_block_sequence_open("dir", "seq", COUNT, SHIFT, &options, &w->allocator, &w->err);
    assert_true(rc == 0 || strstr(w->err.message, "seq"));
    return rc;
}

static void ranges_of_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *names; /* with spaces */
        int rc;
        unsigned start, end;
    } table[] = {
        {"seq.ffff-12 seq.0001-12", 0, 0xffff, 2},
        {"seq.0000-12 seq.3fff-12", FIRN_ETOOBIG, 0, 0},
        {"seq.0000-12 seq.3ffe-12", 0, 0, 0x3fff},
        {"seq.0001-12 seq.3fff-12", 0, 1, 0x4000},
        {"seq.ffff-12 seq.3fff-12", FIRN_ERANGE, 0, 0},
        {"seq.ffff-12 seq.7fff-12", FIRN_ERANGE, 0, 0},
        {"seq.0000-12 seq.4000-12", FIRN_ERANGE, 0, 0},
        {"seq.0001-12 seq.3000-12 seq.5000-12", FIRN_ETOOBIG, 0, 0},
        {"seq.0001-12 seq.0002-12 seq.9000-12", FIRN_ERANGE, 0, 0},
        {"seq.0000-12 seq.5555-12 seq.aaaa-12", FIRN_ERANGE, 0, 0},
        {"seq.1234-12", 0, 0x1234, 0x1235},
        {"seq.ffff-12", 0, 0xffff, 0},
        {"x.1234-12", 0, 1, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct world w;
        char names[100], *name, *rest = names;
        start(&w);
        strcpy(names, table[i].names);
        while ((name = strtok_r(rest, " ", &rest)))
            put(&w, name, 1, 4096);
        assert_int_equal(try_open(&w), table[i].rc);
        if (table[i].rc == 0) {
            struct block_sequence *sequence = (struct block_sequence *)w.allocator;
            assert_int_equal(sequence->start, table[i].start);
            assert_int_equal(sequence->end, table[i].end);
            stop(&w);
        } else {
            expect_no_lock(&w);
            firn_faulty_free(w.faulty);
        }
    }
}

static void names_that_can_not_be_understood(void **state)
{
    (void)state;
    static const char *const names[] = {"seq.",    "seq.-9",       "seq.x0-9",
                                        "seq.f0",  "seq.f0-a",     "seq.f0-9-",
                                        "seq.tmp", "seq.10000-12", "seq.0001-x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct world w;
        start(&w);
        put(&w, names[i], 1, 4096);
        assert_int_equal(try_open(&w), FIRN_EFORMAT);
        assert_non_null(strstr(w.err.message, names[i]));
        expect_no_lock(&w);
        remove_file(&w, names[i]);
        open_it(&w);
        stop(&w);
    }
}

static void what_is_not_of_the_sequence_stays(void **state)
{
    (void)state;
    static const char others[] = "a.seq.0001-12 seq seq.0001-12.tmp.x seq.x.tmp sequence.zz seqx";
    struct world w;
    struct firn_block *block;
    char names[100], *name, *rest = names;
    start(&w);
    strcpy(names, others);
    while ((name = strtok_r(rest, " ", &rest)))
        put(&w, name, 1, 10);
    assert_int_equal(disk_make_dir(w.disk, "dir/seq.d", NULL), 0);
    put(&w, "seq.0005-12.tmp", 1, 10); /* these two are what crashes left */
    put(&w, "seq.0005-13.tmp", 1, 10);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    firn_block_close(block);
    expect_files(&w, "a.seq.0001-12 seq seq.0001-12 seq.0001-12.tmp.x seq.d seq.lock seq.x.tmp "
                     "sequence.zz seqx");
    stop(&w);
}

static void retrieving_finds_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* put before and after opening */
        int rc;
        int given;
    } table[] = {
        {"seq.0001-12 seq.0003-12", NULL, FIRN_EDAMAGED, 0}, /* broken */
        {"seq.0001-12 seq.0001-13", NULL, FIRN_EDAMAGED, 0}, /* duplicate */
        {"seq.0001-12 seq.1-12", NULL, FIRN_EDAMAGED, 0},
        {"seq.0001-12", "seq.0002-12", FIRN_ERANGE, 0},
        {"seq.0002-12", "seq.0001-12", FIRN_ERANGE, 0},
        {"seq.0002-12", "seq.zz-12", FIRN_EFORMAT, 0},
        {"seq.0001-12 seq.0002-13 seq.0003-12", NULL, FIRN_EDAMAGED, 1}, /* its size */
        {"seq.0001-12 seq.0002-11", NULL, FIRN_EFORMAT, 1},
        {"seq.0001-12 seq.0002-29", NULL, FIRN_EFORMAT, 1},
        {"seq.0001-12 seq.0002-12", NULL, 0, 2},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct world w;
        struct list list = {0};
        char names[100], *name, *rest = names;
        start(&w);
        strcpy(names, table[i].before);
        while ((name = strtok_r(rest, " ", &rest)))
            put(&w, name, 1, 4096);
        open_it(&w);
        if (table[i].after)
            put(&w, table[i].after, 1, 4096);
        assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), table[i].rc);
        assert_int_equal(list.count, table[i].given);
        close_list(&list);
        stop(&w);
    }
}

/* A file that the sequence did not make is not replaced. */
static void what_is_in_the_way_stays(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    start(&w);
    open_it(&w);
    put(&w, "seq.0001-12", 1, 4096);
    put(&w, "seq.0002-12.tmp", 1, 4096);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), FIRN_EEXIST);
    remove_file(&w, "seq.0001-12");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
        firn_block_close(block);
    }
    expect_files(&w, "seq.0001-12 seq.0002-12 seq.lock");
    stop(&w);
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct world w;
    static char long_name[5000];
    start(&w);
    const struct firn_block_options options = {.disk = w.disk};
    struct firn_block_allocator **a = &w.allocator;
    assert_int_equal(firn_block_sequence_open("dir", "", 1, 12, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("dir", "a/b", 1, 12, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("dir", NULL, 1, 12, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("dir", "seq", 0, 12, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("dir", "seq", 1, 11, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("dir", "seq", 1, 29, &options, a, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_sequence_open("no", "seq", 1, 12, &options, a, NULL), FIRN_ENOENT);
    memset(long_name, 'x', sizeof long_name - 1);
    assert_int_equal(firn_block_sequence_open("dir", long_name, 1, 12, &options, a, NULL),
                     FIRN_ETOOBIG);
    expect_files(&w, "");
    firn_faulty_free(w.faulty);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void a_full_disk_passes(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block, *second;
    start(&w);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    firn_faulty_set_capacity(w.faulty, 2 * COUNT * 4096 - 1);
    assert_int_equal(block_allocate(w.allocator, &second, &w.err), FIRN_ENOSPC);
    expect_files(&w, "seq.0001-12 seq.lock");
    assert_int_equal(block_release(w.allocator, block, &w.err), 0);
    assert_int_equal(block_allocate(w.allocator, &second, &w.err), 0);
    expect_files(&w, "seq.0002-12 seq.lock");
    firn_block_close(second);
    stop(&w);
}

static void a_failed_sync_of_names_poisons(void **state)
{
    (void)state;
    for (int releasing = 0; releasing < 2; releasing++) {
        struct world w;
        struct firn_block *block, *second;
        struct list list = {0};
        char message[FIRN_ERROR_MESSAGE_SIZE];
        struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_SYNC_DIR};
        start(&w);
        open_it(&w);
        assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
        stamp(&w, block, 1);
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        int rc = releasing ? block_release(w.allocator, block, &w.err)
                           : block_allocate(w.allocator, &second, &w.err);
        assert_int_equal(rc, FIRN_EPOISONED);
        strcpy(message, w.err.message);
        assert_int_equal(block_allocate(w.allocator, &second, &w.err), FIRN_EPOISONED);
        assert_string_equal(w.err.message, message);
        assert_int_equal(block_release(w.allocator, block, &w.err), FIRN_EPOISONED);
        assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), FIRN_EPOISONED);
        stamp(&w, block, 2); /* it is open still */
        firn_block_close(block);
        reopen(&w);
        if (releasing)
            expect_stamps(&w, "");
        else
            expect_zero_last(&w, 2);
        stop(&w);
    }
}

/* What a dead process allocated without having synced the name is used: it stays. */
static void names_are_durable_once_it_is_open(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    struct list list = {0};
    struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_SYNC_DIR};
    start(&w);
    open_it(&w);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), FIRN_EPOISONED);
    firn_faulty_kill(w.faulty);
    close_it(&w);
    open_it(&w);
    assert_int_equal(block_retrieve(w.allocator, add_to_list, &list, &w.err), 0);
    assert_int_equal(list.count, 1);
    stamp(&w, list.at[0], 5);
    close_list(&list);
    firn_faulty_power_off(w.faulty);
    close_it(&w);
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    remove_file(&w, "seq.lock");
    open_it(&w);
    expect_stamps(&w, "\5");
    stop(&w);
}

static void a_poisoned_file_can_be_released(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block;
    struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_WRITE_DURABLE};
    char x = 1;
    const struct iovec pair[] = {{&x, 1}, {NULL, 0}};
    start(&w);
    open_it(&w);
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(block_store(block, 0, pair, 2, &w.err), FIRN_EPOISONED);
    assert_int_equal(block_release(w.allocator, block, &w.err), 0);
    expect_files(&w, "seq.lock");
    assert_int_equal(block_allocate(w.allocator, &block, &w.err), 0);
    stamp(&w, block, 1);
    firn_block_close(block);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_and_go_in_order),
        cmocka_unit_test(what_was_allocated_is_durable),
        cmocka_unit_test(an_emptied_sequence_begins_anew),
        cmocka_unit_test(a_file_is_released_once),
        cmocka_unit_test(strangers_are_not_released),
        cmocka_unit_test(each_file_has_its_own_shape),
        cmocka_unit_test(the_index_wraps),
        cmocka_unit_test(there_is_a_most_of_files),
        cmocka_unit_test(ranges_of_indexes),
        cmocka_unit_test(names_that_can_not_be_understood),
        cmocka_unit_test(what_is_not_of_the_sequence_stays),
        cmocka_unit_test(retrieving_finds_what_is_wrong),
        cmocka_unit_test(what_is_in_the_way_stays),
        cmocka_unit_test(arguments_are_checked),
        cmocka_unit_test(a_full_disk_passes),
        cmocka_unit_test(a_failed_sync_of_names_poisons),
        cmocka_unit_test(a_poisoned_file_can_be_released),
        cmocka_unit_test(names_are_durable_once_it_is_open),
    };
    return cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
}
