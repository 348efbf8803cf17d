/* SPDX-License-Identifier: MIT */
/* Creating, opening, handing out, taking back: one by one. */
#include "slab_fixture.h"

/* ---- create and open ---- */

static void create_writes_the_header(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    assert_int_equal(slab_info(slab).block_size, 16);
    assert_int_equal(firn_stack_length(f->stack), ARENA);
    slab_expect(slab, 0, 0);
    firn_slab_close(slab);
}

static void create_refuses_small_and_huge_blocks(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    FAILS(firn_slab_create(f->stack, 7, &slab, &f->err), FIRN_EINVAL);
    FAILS(firn_slab_create(f->stack, 0, &slab, &f->err), FIRN_EINVAL);
    FAILS(firn_slab_create(f->stack, UINT64_MAX, &slab, &f->err), FIRN_EINVAL);
    assert_null(slab);
    firn_slab_close(slab_create(f, 8));
}

static void create_refuses_a_stack_with_content(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    OK(firn_stack_push(f->stack, "data", 4, NULL, &f->err));
    FAILS(firn_slab_create(f->stack, 8, &slab, &f->err), FIRN_EEXIST);
    assert_null(slab);
}

static void open_refuses_an_empty_stack(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_ENOENT);
    firn_slab_close(slab_create(f, 8));
}

static void open_refuses_a_short_stack(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    OK(firn_stack_extend(f->stack, 24, NULL, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EFORMAT);
    OK(firn_stack_extend(f->stack, 23, NULL, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EFORMAT);
}

static void open_refuses_other_magic(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    OK(firn_stack_extend(f->stack, ARENA, NULL, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EFORMAT);
    OK(firn_stack_set(f->stack, 24, "ALSL\0\2\1\0\20\0\0\0\0\0\0\0", 16, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EFORMAT);
    OK(firn_stack_set(f->stack, 24, "ALSL\0\1\7\7", 8, &f->err)); /* others of the same format */
    firn_slab_close(slab_open(f));
}

static void open_refuses_a_header_that_cannot_be(void **state)
{
    static const uint8_t sizes[][8] = {{1}, {7}, {0}, {0, 0, 0, 0, 0, 0, 0, 0x80}};
    static const uint8_t heads[][8] = {{47}, {49}, {48}, {1}, {64}, {255, 255, 255, 255, 255}};
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    OK(firn_stack_extend(f->stack, ARENA, NULL, &f->err));
    OK(firn_stack_set(f->stack, 24, "ALSL\0\1\0\0", 8, &f->err));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        OK(firn_stack_set(f->stack, 32, sizes[i], 8, &f->err));
        FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
    }
    OK(firn_stack_set(f->stack, 32, "\20\0\0\0\0\0\0\0", 8, &f->err));
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        OK(firn_stack_set(f->stack, 40, heads[i], 8, &f->err));
        FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
    }
    assert_null(slab);
}

static void open_refuses_a_misaligned_end(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = NULL;
    firn_slab_close(slab_create(f, 8));
    OK(firn_stack_extend(f->stack, 1, NULL, &f->err));
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
    fixture_reopen(f);
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_EDAMAGED);
}

static void open_restores_the_block_size(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 32);
    slab_reopen(f, &slab);
    assert_int_equal(slab_info(slab).block_size, 32);
    firn_slab_close(slab);
}

static void one_slab_at_a_time_changes_the_length(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8), *other = NULL;
    struct firn_slab_slice slice = slab_alloc(f, slab, 8);
    bool done = true;
    FAILS(firn_slab_open(f->stack, &other, &f->err), FIRN_EBUSY);
    FAILS(firn_slab_create(f->stack, 8, &other, &f->err), FIRN_EBUSY);
    FAILS(firn_stack_push(f->stack, "x", 1, NULL, &f->err), FIRN_EBUSY);
    FAILS(firn_stack_discard(f->stack, 8, &f->err), FIRN_EBUSY);
    OK(firn_stack_try_discard(f->stack, 1, 1, &done, &f->err));
    assert_false(done);
    OK(firn_stack_set(f->stack, slice.offset, "in place", 8, &f->err));
    firn_slab_close(slab);
    OK(firn_stack_extend(f->stack, 8, NULL, &f->err));
    slab = slab_open(f);
    slab_expect(slab, 2, 0);
    firn_slab_close(slab);
    firn_slab_close(NULL);
}

static void a_slab_takes_a_journal_or_only_reads(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slice = slab_alloc(f, slab, 3), other;
    OK(firn_slab_write(slab, slice, 0, "abc", 3, &f->err));
    firn_slab_close(slab);
    fixture_close(f);
    f->options.no_journal = true;
    fixture_open(f);
    FAILS(firn_slab_open(f->stack, &slab, &f->err), FIRN_ENOTSUP);
    fixture_close(f);
    f->options.read_only = true;
    for (int single = 1; single >= 0; single--) {
        f->options.no_journal = single;
        fixture_open(f);
        slab = slab_open(f);
        char found[4] = "";
        OK(firn_slab_read(slab, slice, 0, found, 3, &f->err));
        assert_string_equal(found, "abc");
        FAILS(firn_slab_alloc(slab, 1, &other, &f->err), FIRN_EREADONLY);
        FAILS(firn_slab_dealloc(slab, slice, &f->err), FIRN_EREADONLY);
        FAILS(firn_slab_write(slab, slice, 0, "x", 1, &f->err), FIRN_EREADONLY);
        struct firn_slab_findings check;
        OK(firn_slab_check(f->stack, NULL, &check, &f->err));
        assert_int_equal(check.blocks, 1);
        firn_slab_close(slab);
        fixture_close(f);
    }
}

/* ---- allocation ---- */

static void nothing_is_an_empty_slice(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slice = slab_alloc(f, slab, 0);
    assert_int_equal(slice.offset, 0);
    slab_dealloc(f, slab, slice);
    slab_dealloc(f, slab, slice);
    slab_expect(slab, 0, 0);
    firn_slab_close(slab);
}

static void a_freed_block_is_the_next_one(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 16);
    slab_fill(f, slab, slice, 0xaa);
    slab_dealloc(f, slab, slice);
    slab_expect(slab, 1, 1);
    struct firn_slab_slice again = slab_alloc(f, slab, 7);
    assert_int_equal(again.offset, slice.offset);
    slab_expect_bytes(f, slab, slice, 0, 16, 0);
    slab_expect(slab, 1, 0);
    firn_slab_close(slab);
}

static void all_freed_blocks_come_back(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slices[3];
    for (int i = 0; i < 3; i++)
        slices[i] = slab_alloc(f, slab, 8);
    for (int i = 0; i < 3; i++)
        slab_dealloc(f, slab, slices[i]);
    slab_reopen(f, &slab);
    slab_expect(slab, 3, 3);
    for (int i = 2; i >= 0; i--)
        assert_int_equal(slab_alloc(f, slab, 1).offset, slices[i].offset);
    slab_expect(slab, 3, 0);
    firn_slab_close(slab);
}

static void more_than_a_block_at_the_end_is_cut_off(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slice = slab_alloc(f, slab, 17);
    uint64_t end = firn_stack_length(f->stack);
    assert_int_equal(slice.offset + 24, end);
    slab_dealloc(f, slab, slice);
    assert_int_equal(firn_stack_length(f->stack), end - 24);
    slab_expect(slab, 0, 0);
    firn_slab_close(slab);
}

static void one_block_at_the_end_joins_the_list(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    slab_dealloc(f, slab, slab_alloc(f, slab, 8));
    slab_expect(slab, 1, 1);
    assert_int_equal(firn_stack_length(f->stack), ARENA + 8);
    firn_slab_close(slab);
}

static void more_than_a_block_elsewhere_joins_the_list(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice large = slab_alloc(f, slab, 20), last = slab_alloc(f, slab, 1);
    slab_dealloc(f, slab, large);
    slab_expect(slab, 4, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(slab_alloc(f, slab, 8).offset, large.offset + 8 * i);
    assert_int_equal(slab_alloc(f, slab, 8).offset, last.offset + 8);
    firn_slab_close(slab);
}

static void more_than_a_block_never_comes_from_the_list(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice large = slab_alloc(f, slab, 32);
    slab_alloc(f, slab, 1);
    slab_dealloc(f, slab, large);
    assert_int_equal(slab_alloc(f, slab, 9).offset, ARENA + 5 * 8);
    slab_expect(slab, 7, 4);
    firn_slab_close(slab);
}

static void too_much_is_refused(void **state)
{
    static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63,
                                       UINT64_C(1) << 62};
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slice = slab_alloc(f, slab, 1), result;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        FAILS(firn_slab_alloc(slab, lengths[i], &result, &f->err), FIRN_ETOOBIG);
        FAILS(firn_slab_realloc(slab, slice, lengths[i], &result, &f->err), FIRN_ETOOBIG);
    }
    const uint64_t twice[] = {UINT64_C(1) << 61, UINT64_C(1) << 61, UINT64_C(1) << 61};
    struct firn_slab_slice three[3];
    FAILS(firn_slab_alloc_many(slab, twice, 3, three, &f->err), FIRN_ETOOBIG);
    slab_expect(slab, 1, 0);
    firn_slab_close(slab);
}

static void several_are_one_step(void **state)
{
    static const uint64_t lengths[] = {5, 0, 30, 8, 8};
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slices[5], one = slab_alloc(f, slab, 8), two = slab_alloc(f, slab, 8);
    struct firn_stack_info before, after;
    slab_dealloc(f, slab, one);
    slab_dealloc(f, slab, two);
    firn_stack_get_info(f->stack, &before);
    OK(firn_slab_alloc_many(slab, lengths, 5, slices, &f->err));
    firn_stack_get_info(f->stack, &after);
    assert_int_equal(after.commit.groups - before.commit.groups, 1);
    assert_int_equal(slices[0].offset, two.offset);
    assert_int_equal(slices[1].offset, 0);
    assert_int_equal(slices[2].offset, ARENA + 16);
    assert_int_equal(slices[3].offset, one.offset);
    assert_int_equal(slices[4].offset, ARENA + 48);
    OK(firn_slab_dealloc_many(slab, slices, 5, &f->err));
    slab_expect(slab, 7, 7);
    assert_int_equal(slab_alloc(f, slab, 1).offset, slices[4].offset);
    assert_int_equal(slab_alloc(f, slab, 1).offset, slices[3].offset);
    assert_int_equal(slab_alloc(f, slab, 1).offset, slices[2].offset);
    OK(firn_slab_alloc_many(slab, NULL, 0, NULL, &f->err));
    OK(firn_slab_dealloc_many(slab, NULL, 0, &f->err));
    firn_slab_close(slab);
}

static void several_at_the_end_are_cut_off(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 8);
    struct firn_slab_slice slices[4] = {slab_alloc(f, slab, 9), slab_alloc(f, slab, 1),
                                        slab_alloc(f, slab, 30), slab_alloc(f, slab, 17)};
    OK(firn_slab_dealloc_many(slab, slices, 4, &f->err));
    slab_expect(slab, 3, 3);
    slab_reopen(f, &slab);
    slab_expect(slab, 3, 3);
    firn_slab_close(slab);
}

/* ---- longer and shorter ---- */

static void realloc_keeps_the_blocks(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 16);
    slab_alloc(f, slab, 1);
    slab_fill(f, slab, slice, 0xaa);
    OK(firn_slab_realloc(slab, slice, 5, &slice, &f->err));
    assert_int_equal(slice.length, 5);
    OK(firn_slab_realloc(slab, slice, 5, &slice, &f->err));
    OK(firn_slab_realloc(slab, slice, 12, &slice, &f->err));
    assert_int_equal(slice.offset, ARENA);
    slab_expect_bytes(f, slab, slice, 0, 5, 0xaa);
    slab_expect_bytes(f, slab, slice, 5, 7, 0);
    slab_expect_bytes(f, slab, SLICE(ARENA, 16), 12, 4, 0xaa);
    slab_expect(slab, 2, 0);
    firn_slab_close(slab);
}

static void realloc_grows_and_shrinks_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 16);
    slab_fill(f, slab, slice, 0xaa);
    OK(firn_slab_realloc(slab, slice, 10, &slice, &f->err));
    OK(firn_slab_realloc(slab, slice, 40, &slice, &f->err));
    assert_int_equal(slice.offset, ARENA);
    slab_expect_bytes(f, slab, slice, 0, 10, 0xaa);
    slab_expect_bytes(f, slab, slice, 10, 30, 0);
    slab_expect(slab, 3, 0);
    slab_fill(f, slab, slice, 0xbb);
    OK(firn_slab_realloc(slab, slice, 20, &slice, &f->err));
    slab_expect(slab, 2, 0);
    slab_expect_bytes(f, slab, slice, 0, 20, 0xbb);
    OK(firn_slab_realloc(slab, slice, 33, &slice, &f->err));
    slab_expect_bytes(f, slab, slice, 20, 13, 0);
    firn_slab_close(slab);
}

static void realloc_moves_to_the_end(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice old = slab_alloc(f, slab, 30), slice = old;
    slab_alloc(f, slab, 1);
    slab_fill(f, slab, SLICE(old.offset, 32), 0xaa);
    OK(firn_slab_realloc(slab, slice, 40, &slice, &f->err));
    assert_int_equal(slice.offset, ARENA + 48);
    slab_expect_bytes(f, slab, slice, 0, 30, 0xaa);
    slab_expect_bytes(f, slab, slice, 30, 10, 0);
    slab_expect(slab, 6, 2);
    FAILS(firn_slab_dealloc(slab, old, &f->err), FIRN_ENOENT);
    slab_reopen(f, &slab);
    slab_expect_bytes(f, slab, slice, 0, 30, 0xaa);
    assert_int_equal(slab_alloc(f, slab, 1).offset, old.offset);
    assert_int_equal(slab_alloc(f, slab, 1).offset, old.offset + 16);
    firn_slab_close(slab);
}

static void realloc_gives_back_what_is_inside(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = slab_alloc(f, slab, 60);
    slab_alloc(f, slab, 1);
    slab_fill(f, slab, slice, 0xaa);
    OK(firn_slab_realloc(slab, slice, 20, &slice, &f->err));
    assert_int_equal(slice.offset, ARENA);
    slab_expect_bytes(f, slab, slice, 0, 20, 0xaa);
    slab_expect(slab, 5, 2);
    assert_int_equal(slab_alloc(f, slab, 1).offset, ARENA + 32);
    assert_int_equal(slab_alloc(f, slab, 1).offset, ARENA + 48);
    firn_slab_close(slab);
}

static void realloc_from_and_to_nothing(void **state)
{
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice slice = SLICE(0, 0);
    OK(firn_slab_realloc(slab, slice, 0, &slice, &f->err));
    OK(firn_slab_realloc(slab, slice, 20, &slice, &f->err));
    assert_int_equal(slice.offset, ARENA);
    OK(firn_slab_realloc(slab, slice, 0, &slice, &f->err));
    assert_int_equal(slice.offset, 0);
    assert_int_equal(slice.length, 0);
    slab_expect(slab, 0, 0);
    firn_slab_close(slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE(create_writes_the_header),
        TEST_IN(create_refuses_small_and_huge_blocks, in_memory),
        TEST_IN(create_refuses_a_stack_with_content, in_memory),
        TEST_IN(open_refuses_an_empty_stack, in_memory),
        TEST_IN(open_refuses_a_short_stack, in_memory),
        TEST_IN(open_refuses_other_magic, in_memory),
        TEST_IN(open_refuses_a_header_that_cannot_be, in_memory),
        EVERYWHERE(open_refuses_a_misaligned_end),
        EVERYWHERE(open_restores_the_block_size),
        TEST_IN(one_slab_at_a_time_changes_the_length, in_memory),
        EVERYWHERE(a_slab_takes_a_journal_or_only_reads),
        TEST_IN(nothing_is_an_empty_slice, in_memory),
        TEST_IN(a_freed_block_is_the_next_one, in_memory),
        EVERYWHERE(all_freed_blocks_come_back),
        TEST_IN(more_than_a_block_at_the_end_is_cut_off, in_memory),
        TEST_IN(one_block_at_the_end_joins_the_list, in_memory),
        TEST_IN(more_than_a_block_elsewhere_joins_the_list, in_memory),
        TEST_IN(more_than_a_block_never_comes_from_the_list, in_memory),
        TEST_IN(too_much_is_refused, in_memory),
        TEST_IN(several_are_one_step, in_memory),
        EVERYWHERE(several_at_the_end_are_cut_off),
        TEST_IN(realloc_keeps_the_blocks, in_memory),
        EVERYWHERE(realloc_grows_and_shrinks_at_the_end),
        EVERYWHERE(realloc_moves_to_the_end),
        TEST_IN(realloc_gives_back_what_is_inside, in_memory),
        TEST_IN(realloc_from_and_to_nothing, in_memory),
    };
    return cmocka_run_group_tests_name("slab/slab", tests, NULL, NULL);
}
