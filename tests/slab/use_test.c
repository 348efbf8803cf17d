/* SPDX-License-Identifier: MIT */
/* What is refused; the bytes of slices; looking for what is wrong. */
#include "slab_fixture.h"

/* ---- what is refused ---- */

static void expect_refused(struct fixture *f, struct firn_slab *slab, struct firn_slab_slice slice,
                           int code)
{
    struct firn_slab_slice found = {7, 7};
    struct firn_slab_slice with_none[2] = {slice, {0, 0}};
    FAILS(firn_slab_dealloc(slab, slice, &f->err), code);
    FAILS(firn_slab_dealloc_many(slab, with_none, 2, &f->err), code);
    FAILS(firn_slab_realloc(slab, slice, 100, &found, &f->err), code);
    assert_int_equal(found.offset, 7);
}

static void slices_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice first = slab_alloc(f, slab, 16), second = slab_alloc(f, slab, 16);
    slab_alloc(f, slab, 16);
    slab_dealloc(f, slab, second);
    struct firn_stack_info before, after;
    firn_stack_get_info(f->stack, &before);
    expect_refused(f, slab, second, FIRN_ENOENT);
    expect_refused(f, slab, SLICE(second.offset, 5), FIRN_ENOENT);
    expect_refused(f, slab, SLICE(first.offset, 17), FIRN_ENOENT);
    expect_refused(f, slab, SLICE(first.offset + 1, 1), FIRN_EINVAL);
    expect_refused(f, slab, SLICE(first.offset + 8, 8), FIRN_EINVAL);
    expect_refused(f, slab, SLICE(first.offset, 0), FIRN_EINVAL);
    expect_refused(f, slab, SLICE(32, 16), FIRN_ERANGE);
    expect_refused(f, slab, SLICE(0, 16), FIRN_ERANGE);
    expect_refused(f, slab, SLICE(ARENA + 48, 16), FIRN_ERANGE);
    expect_refused(f, slab, SLICE(ARENA + 32, 17), FIRN_ERANGE);
    expect_refused(f, slab, SLICE(ARENA, UINT64_MAX), FIRN_ERANGE);
    expect_refused(f, slab, SLICE(UINT64_MAX - 15, 16), FIRN_ERANGE);
    firn_stack_get_info(f->stack, &after);
    assert_int_equal(after.commit.items, before.commit.items);
    slab_expect(slab, 3, 1);
    firn_slab_close(slab);
}

static void the_same_slice_twice_in_a_step_is_refused(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice large = slab_alloc(f, slab, 40), other = slab_alloc(f, slab, 1);
    struct firn_slab_slice twice[3] = {other, large, other};
    struct firn_slab_slice overlap[2] = {SLICE(large.offset + 16, 8), large};
    FAILS(firn_slab_dealloc_many(slab, twice, 3, &f->err), FIRN_EINVAL);
    FAILS(firn_slab_dealloc_many(slab, overlap, 2, &f->err), FIRN_EINVAL);
    slab_expect(slab, 4, 0);
    OK(firn_slab_dealloc_many(slab, twice, 2, &f->err));
    firn_slab_close(slab);
}

static void free_blocks_are_not_used(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice large = slab_alloc(f, slab, 40);
    char byte = 'x';
    slab_alloc(f, slab, 1);
    OK(firn_slab_realloc(slab, large, 20, &(struct firn_slab_slice){0}, &f->err));
    OK(firn_slab_read(slab, large, 31, &byte, 1, &f->err));
    FAILS(firn_slab_read(slab, large, 32, &byte, 1, &f->err), FIRN_ENOENT);
    FAILS(firn_slab_write(slab, large, 39, &byte, 1, &f->err), FIRN_ENOENT);
    FAILS(firn_slab_zero(slab, large, 0, 33, &f->err), FIRN_ENOENT);
    FAILS(firn_slab_read(slab, SLICE(8, 8), 0, &byte, 1, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_read(slab, SLICE(ARENA, 65), 0, &byte, 1, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_write(slab, SLICE(UINT64_MAX, 1), 0, &byte, 1, &f->err), FIRN_ERANGE);
    firn_slab_close(slab);
}

/* Somebody writes where nobody may: what is read then is not believed. */
static void an_overwritten_link_is_found(void **state)
{
    static const uint64_t links[] = {1, 48, 64, 80, 49, 1 << 30};
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice first = slab_alloc(f, slab, 1), second = slab_alloc(f, slab, 1), slice;
    slab_alloc(f, slab, 1);
    slab_dealloc(f, slab, first);
    slab_dealloc(f, slab, second);
    const uint64_t two[2] = {1, 1};
    struct firn_slab_slice both[2];
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        OK(firn_stack_set(f->stack, second.offset, &links[i], 8, &f->err));
        if (links[i] != 48)
            FAILS(firn_slab_alloc(slab, 1, &slice, &f->err), FIRN_EDAMAGED);
    }
    OK(firn_stack_set(f->stack, second.offset, &first.offset, 8, &f->err));
    OK(firn_stack_set(f->stack, first.offset, &second.offset, 8, &f->err)); /* a circle */
    FAILS(firn_slab_alloc_many(slab, two, 2, both, &f->err), FIRN_EDAMAGED);
    slab_expect(slab, 3, 2);
    OK(firn_stack_zero(f->stack, first.offset, 8, &f->err));
    OK(firn_slab_alloc_many(slab, two, 2, both, &f->err));
    firn_slab_close(slab);
}

static void what_one_change_cannot_carry_is_refused(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice large = slab_alloc(f, slab, 100000), slice;
    slab_alloc(f, slab, 1);
    FAILS(firn_slab_dealloc(slab, large, &f->err), FIRN_ETOOBIG);
    FAILS(firn_slab_realloc(slab, large, 200000, &slice, &f->err), FIRN_ETOOBIG);
    OK(firn_slab_realloc(slab, large, 95000, &large, &f->err));
    slab_expect(slab, 12501, 625);
    firn_slab_close(slab);
}

/* ---- use ---- */

static void writes_and_reads(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 12), part;
    char found[13] = "";
    OK(firn_slab_write(slab, slice, 0, "hello world!", 12, &f->err));
    OK(firn_slab_read(slab, slice, 0, found, 12, &f->err));
    assert_string_equal(found, "hello world!");
    OK(firn_slab_part(slice, 6, 5, &part, &f->err));
    OK(firn_slab_write(slab, part, 1, "OR", 2, &f->err));
    OK(firn_slab_zero(slab, part, 4, 1, &f->err));
    OK(firn_slab_read(slab, slice, 0, found, 12, &f->err));
    assert_memory_equal(found, "hello wORl\0!", 12);
    FAILS(firn_slab_part(slice, 6, 7, &part, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_part(slice, 13, 0, &part, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_part(slice, 1, UINT64_MAX, &part, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_read(slab, slice, 12, found, 1, &f->err), FIRN_ERANGE);
    FAILS(firn_slab_write(slab, slice, 5, found, 8, &f->err), FIRN_ERANGE);
    OK(firn_slab_part(slice, 12, 0, &part, &f->err));
    assert_int_equal(part.offset, 0);
    OK(firn_slab_read(slab, part, 0, found, 0, &f->err));
    OK(firn_slab_write(slab, slice, 12, found, 0, &f->err));
    firn_slab_close(slab);
}

static void data_and_handles_survive(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 5), found;
    struct firn_slab_slice other = slab_alloc(f, slab, 40);
    uint8_t stored[FIRN_SLAB_STORED], reserved[FIRN_SLAB_RESERVED] = {0}, none[24] = {0};
    static const uint8_t expected[16] = {48, 0, 0, 0, 0, 0, 0, 0, 5};
    char bytes[6] = "";
    OK(firn_slab_get_reserved(slab, reserved, &f->err));
    assert_memory_equal(reserved, none, sizeof none);
    OK(firn_slab_write(slab, slice, 0, "hello", 5, &f->err));
    firn_slab_store(slice, stored);
    assert_memory_equal(stored, expected, sizeof stored);
    memcpy(reserved, stored, sizeof stored);
    memcpy(reserved + 16, "my root.", 8);
    OK(firn_slab_set_reserved(slab, reserved, &f->err));
    slab_reopen(f, &slab);
    memset(reserved, 0, sizeof reserved);
    OK(firn_slab_get_reserved(slab, reserved, &f->err));
    assert_memory_equal(reserved + 16, "my root.", 8);
    OK(firn_slab_load(slab, reserved, &found, &f->err));
    OK(firn_slab_read(slab, found, 0, bytes, 5, &f->err));
    assert_string_equal(bytes, "hello");
    slab_dealloc(f, slab, found);
    FAILS(firn_slab_load(slab, reserved, &found, &f->err), FIRN_ENOENT);
    slab_dealloc(f, slab, other);
    firn_slab_store(other, stored);
    FAILS(firn_slab_load(slab, stored, &found, &f->err), FIRN_ERANGE);
    memset(stored, 0, sizeof stored);
    OK(firn_slab_load(slab, stored, &found, &f->err));
    firn_slab_close(slab);
}

/* ---- check ---- */

struct leaks {
    struct firn_slab_slice at[8];
    size_t count;
};

static void note_leak(void *arg, struct firn_slab_slice leaked)
{
    struct leaks *leaks = arg;
    assert_true(leaks->count < 8);
    leaks->at[leaks->count++] = leaked;
}

static void check_finds_what_is_lost(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice a = slab_alloc(f, slab, 20), b = slab_alloc(f, slab, 1);
    struct firn_slab_slice c = slab_alloc(f, slab, 16), d = slab_alloc(f, slab, 50);
    struct firn_slab_slice slices[4] = {d, {0, 0}, b, c};
    struct leaks leaks = {.count = 0};
    struct firn_slab_live live = {slices, 4, note_leak, &leaks};
    struct firn_slab_findings check;
    slab_dealloc(f, slab, b);
    OK(firn_slab_check(f->stack, NULL, &check, &f->err));
    assert_int_equal(check.blocks, 8);
    assert_int_equal(check.free_blocks, 1);
    assert_int_equal(check.leaked_blocks + check.live_blocks, 0);
    FAILS(firn_slab_check(f->stack, &live, &check, &f->err), FIRN_EDAMAGED);
    assert_int_equal(check.bad_slices, 1);
    assert_int_equal(check.first_bad, 2);
    assert_int_equal(check.leaked_blocks, 2);
    live.count = 1;
    leaks.count = 0;
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_int_equal(check.leaked_blocks, 3);
    assert_int_equal(leaks.count, 2);
    assert_int_equal(leaks.at[0].offset, a.offset);
    assert_int_equal(leaks.at[0].length, 32);
    OK(firn_slab_dealloc_many(slab, leaks.at, leaks.count, &f->err));
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_int_equal(check.leaked_blocks, 0);
    assert_int_equal(check.free_blocks, 4);
    slices[1] = SLICE(d.offset + 16, 16);
    slices[2] = SLICE(d.offset + 1, 1);
    slices[3] = SLICE(d.offset, 65);
    live.count = 4;
    FAILS(firn_slab_check(f->stack, &live, &check, &f->err), FIRN_EDAMAGED);
    assert_int_equal(check.bad_slices, 3);
    assert_int_equal(check.first_bad, 1);
    firn_slab_close(slab);
}

static void a_broken_list_is_found(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slices[3];
    struct firn_slab_findings check;
    for (int i = 0; i < 3; i++)
        slices[i] = slab_alloc(f, slab, 1);
    OK(firn_slab_dealloc_many(slab, slices, 3, &f->err));
    firn_slab_close(slab);
    OK(firn_stack_set(f->stack, slices[0].offset, &slices[1].offset, 8, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
    assert_non_null(strstr(f->err.message, "byte 48 it comes back to the block at byte 64"));
    FAILS(firn_slab_check(f->stack, NULL, &check, &f->err), FIRN_EDAMAGED);
    assert_true(check.cycle && !check.bad_link);
    assert_int_equal(check.bad_at, 48);
    assert_int_equal(check.free_blocks, 3);
    OK(firn_stack_set(f->stack, slices[1].offset, "\61\0\0\0\0\0\0\0", 8, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
    assert_non_null(strstr(f->err.message, "byte 64 it leads to where no block begins: byte 49"));
    FAILS(firn_slab_check(f->stack, NULL, &check, &f->err), FIRN_EDAMAGED);
    assert_true(!check.cycle && check.bad_link);
    assert_int_equal(check.bad_at, 64);
    assert_int_equal(check.free_blocks, 2);
    OK(firn_stack_set(f->stack, slices[1].offset, &slices[0].offset, 8, &f->err));
    OK(firn_stack_zero(f->stack, slices[0].offset, 8, &f->err));
    firn_slab_close(slab_open(f));
}

/* Blocks that lie far apart, in more than a page of the map. */
static void many_blocks_are_free(void **state)
{
    enum { FAR = 70000 };
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice near = slab_alloc(f, slab, 8), gap = slab_alloc(f, slab, 8 * FAR);
    struct firn_slab_slice far = slab_alloc(f, slab, 8), found;
    slab_dealloc(f, slab, far);
    slab_dealloc(f, slab, near);
    FAILS(firn_slab_dealloc(slab, near, &f->err), FIRN_ENOENT);
    FAILS(firn_slab_dealloc(slab, SLICE(gap.offset, gap.length + 8), &f->err), FIRN_ENOENT);
    FAILS(firn_slab_dealloc(slab, SLICE(near.offset, gap.length + 8), &f->err), FIRN_ENOENT);
    OK(firn_slab_zero(slab, gap, 0, gap.length, &f->err));
    slab_reopen(f, &slab);
    slab_expect(slab, FAR + 2, 2);
    FAILS(firn_slab_read(slab, far, 0, &found, 1, &f->err), FIRN_ENOENT);
    assert_int_equal(slab_alloc(f, slab, 1).offset, near.offset);
    assert_int_equal(slab_alloc(f, slab, 1).offset, far.offset);
    firn_slab_close(slab);
}

/* Upwards, and downwards; also where a link lies in two of the pieces in which opening reads. */
static void a_long_list_comes_back(void **state)
{
    enum { COUNT = 1000 };
    static uint64_t lengths[COUNT];
    static struct firn_slab_slice slices[COUNT], again[COUNT];
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 9);
    for (int i = 0; i < COUNT; i++)
        lengths[i] = 9;
    OK(firn_slab_alloc_many(slab, lengths, COUNT, slices, &f->err));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++)
            OK(firn_slab_write(slab, slices[i], 0, "123456789", 9, &f->err));
        OK(firn_slab_dealloc_many(slab, slices, COUNT, &f->err));
        slab_reopen(f, &slab);
        slab_expect(slab, COUNT, COUNT);
        OK(firn_slab_alloc_many(slab, lengths, COUNT, again, &f->err));
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(again[i].offset, slices[COUNT - 1 - i].offset);
        memcpy(slices, again, sizeof slices);
    }
    firn_slab_close(slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(slices_that_cannot_be_are_refused, in_memory),
        TEST_IN(the_same_slice_twice_in_a_step_is_refused, in_memory),
        TEST_IN(free_blocks_are_not_used, in_memory),
        TEST_IN(an_overwritten_link_is_found, in_memory),
        TEST_IN(what_one_change_cannot_carry_is_refused, in_memory),
        EVERYWHERE(writes_and_reads),
        EVERYWHERE(data_and_handles_survive),
        TEST_IN(check_finds_what_is_lost, in_memory),
        TEST_IN(a_broken_list_is_found, in_memory),
        TEST_IN(many_blocks_are_free, in_memory),
        TEST_IN(a_long_list_comes_back, in_memory),
    };
    return cmocka_run_group_tests_name("slab/use", tests, NULL, NULL);
}
