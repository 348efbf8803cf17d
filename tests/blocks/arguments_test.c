/* SPDX-License-Identifier: MIT */
/* Shapes, buffers, names and indexes; and buffers that storage uses up piecemeal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks/blocks_private.h"

/* ---- shapes --------------------------------------------------------------------------------- */

static int check_shape(uint64_t count, unsigned shift, uint64_t *bytes)
{
    struct firn_error err = {0};
    int rc = block_check_shape(&block_file_limits, "x", count, shift, bytes, &err);
    assert_int_equal(err.code, rc);
    assert_true(rc == 0 || strncmp(err.message, "x: ", 3) == 0);
    return rc;
}

static void shapes_of_files(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    assert_int_equal(check_shape(4, 12, &bytes), 0);
    assert_true(bytes == 16384);
    assert_int_equal(check_shape(1, 11, &bytes), FIRN_EINVAL);
    assert_int_equal(check_shape(1, 29, &bytes), FIRN_EINVAL);
    assert_int_equal(check_shape(1, 64, &bytes), FIRN_EINVAL);
    assert_int_equal(check_shape(0, 12, &bytes), FIRN_EINVAL);
    assert_int_equal(check_shape(UINT64_C(1) << (63 - 28), 28, &bytes), FIRN_EINVAL);
    assert_int_equal(check_shape((UINT64_C(1) << (64 - 28)) + 1, 28, &bytes), FIRN_EINVAL);
    assert_true(bytes == 16384);
    assert_int_equal(check_shape((UINT64_C(1) << (63 - 28)) - 1, 28, &bytes), 0);
    assert_true(bytes == (UINT64_C(1) << 63) - (UINT64_C(1) << 28));
}

static void shapes_of_memory(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 70; shift++) {
        int rc = block_check_shape(&block_memory_limits, "x", 1, shift, NULL, NULL);
        assert_int_equal(rc, shift >= 6 && shift <= 28 ? 0 : FIRN_EINVAL);
    }
}

static void chunks_of_large_stores(void **state)
{
    (void)state;
    assert_int_equal(block_chunk_shift(12), 21);
    assert_int_equal(block_chunk_shift(13), 22);
    for (unsigned shift = 14; shift <= 23; shift++)
        assert_int_equal(block_chunk_shift(shift), 23);
    for (unsigned shift = 24; shift <= 28; shift++)
        assert_int_equal(block_chunk_shift(shift), shift);
}

/* ---- buffers -------------------------------------------------------------------------------- */

enum { LENGTHS = 8, END = -1 };

/* A store of blocks of 6 bytes. */
static int check_pairs(const int *lengths)
{
    static uint8_t bytes[16];
    struct iovec iov[LENGTHS];
    int count = 0;
    for (; lengths[count] != END; count++)
        iov[count] = (struct iovec){bytes, (size_t)lengths[count]};
    return block_check_pairs("x", iov, count, 6, NULL);
}

static void pairs_of_buffers(void **state)
{
    (void)state;
    static const int good[][LENGTHS] = {
        {END},
        {2, 4, END},
        {2, 4, 2, 4, END},
        {2, 4, 2, 3, END},
        {2, 4, 0, 0, END},
        {0, 6, 6, 0, END},
        {0, 0, END},
    };
    static const int bad[][LENGTHS] = {
        {2, 4, 2, END},                                   /* odd */
        {6, 0, 0, END},          {2, 4, 2, 5, 2, 4, END}, /* large, in the middle */
        {2, 4, 2, 5, END},                                /* large, at the end */
        {2, 4, 2, 2, 2, 2, END},                          /* small, not the last */
        {2, 4, 2, 2, 2, 4, END}, {2, 4, 0, 0, 2, 4, END}, {2, 4, 0, 0, 0, 0, END},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(check_pairs(good[i]), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(check_pairs(bad[i]), FIRN_EINVAL);
    assert_int_equal(block_check_pairs("x", NULL, -2, 6, NULL), FIRN_EINVAL);
}

static void stores_stay_within_the_blocks(void **state)
{
    (void)state;
    static const struct firn_block block = {.count = 3, .shift = 12};
    static const struct firn_block most = {.count = (UINT64_C(1) << 35) - 1, .shift = 28};
    static uint8_t bytes[1];
    const struct iovec two[] = {{bytes, 48}, {bytes, 4048}, {bytes, 48}, {bytes, 4048}};
    const struct iovec huge[] = {{bytes, SIZE_MAX}, {bytes, 2}};
    const struct iovec wrapping[] = {{bytes, 2}, {bytes, SIZE_MAX}};
    uint64_t sum = 7;
    assert_int_equal(block_check_store(&block, "x", 1, two, 4, &sum, NULL), 0);
    assert_true(sum == 8192);
    assert_int_equal(block_check_store(&block, "x", 2, two, 4, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_store(&block, "x", 3, two, 2, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_store(&block, "x", UINT64_MAX, two, 2, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_store(&block, "x", UINT64_C(1) << 52, two, 2, &sum, NULL),
                     FIRN_ERANGE);
    assert_int_equal(block_check_store(&block, "x", 0, huge, 2, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_store(&most, "x", 0, huge, 2, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_load(&most, "x", 0, wrapping, 2, &sum, NULL), FIRN_ERANGE);
    assert_int_equal(block_check_load(&block, "x", 0, two, -1, &sum, NULL), FIRN_EINVAL);
    assert_int_equal(block_check_load(&block, "x", 2, two, 3, &sum, NULL), FIRN_ERANGE);
    assert_true(sum == 8192);
    assert_int_equal(block_check_load(&block, "x", 2, two, 2, &sum, NULL), 0);
    assert_true(sum == 4096);
    assert_int_equal(block_check_load(&block, "x", 3, NULL, 0, &sum, NULL), 0);
    assert_true(sum == 0);
}

/* A file that does as much of each call as the script says, and remembers what it was given. */
struct piecemeal {
    struct firn_file base;
    const size_t *script;
    int calls;
    char given[8][16]; /* all that was left, before each call */
};

static int use_some(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                    size_t *done, struct firn_error *err)
{
    struct piecemeal *file = (struct piecemeal *)base;
    (void)offset, (void)err;
    for (int i = 0; i < count; i++)
        strncat(file->given[file->calls], iov[i].iov_base, iov[i].iov_len);
    *done = file->script[file->calls++];
    return 0;
}

static int write_some(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                      unsigned flags, size_t *done, struct firn_error *err)
{
    (void)flags;
    return use_some(base, iov, count, offset, done, err);
}

static const struct firn_file_ops piecemeal_ops = {
    .size = sizeof piecemeal_ops, .readv = use_some, .writev = write_some};

static void buffers_are_used_up_piecemeal(void **state)
{
    (void)state;
    char bytes[] = "12345678";
    static const size_t script[] = {1, 1, 3, 3}, too_many[] = {2, 4}, all[] = {3};
    for (int writing = 0; writing < 2; writing++) {
        struct iovec iov[] = {{bytes, 2}, {bytes + 2, 2}, {bytes + 4, 4}};
        struct piecemeal file = {.base = {&piecemeal_ops}, .script = script};
        size_t got = 0;
        int rc = writing ? disk_writev_full(&file.base, iov, 3, 0, 0, NULL)
                         : disk_readv_full(&file.base, iov, 3, 0, &got, NULL);
        assert_int_equal(rc, 0);
        assert_int_equal(file.calls, 4);
        assert_string_equal(file.given[0], "12345678");
        assert_string_equal(file.given[1], "2345678");
        assert_string_equal(file.given[2], "345678");
        assert_string_equal(file.given[3], "678");
        /* empty ones between and at the end are gone with the last byte */
        struct iovec gaps[] = {{bytes, 2}, {bytes, 0}, {bytes + 2, 1}, {bytes, 0}};
        file = (struct piecemeal){.base = {&piecemeal_ops}, .script = all};
        rc = writing ? disk_writev_full(&file.base, gaps, 4, 0, 0, NULL)
                     : disk_readv_full(&file.base, gaps, 4, 0, &got, NULL);
        assert_int_equal(rc, 0);
        assert_int_equal(file.calls, 1);
        /* and more than there was is nonsense */
        struct iovec beyond[] = {{bytes, 2}, {bytes + 2, 1}};
        file = (struct piecemeal){.base = {&piecemeal_ops}, .script = too_many + 1};
        rc = writing ? disk_writev_full(&file.base, beyond, 2, 0, 0, NULL)
                     : disk_readv_full(&file.base, beyond, 2, 0, &got, NULL);
        assert_int_equal(rc, FIRN_EIO);
    }
}

/* ---- names ---------------------------------------------------------------------------------- */

static void names_of_files(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        enum block_name_fault fault;
        uint16_t index;
        unsigned shift;
    } table[] = {
        {"0ccc-7", BLOCK_NAME_GOOD, 0x0ccc, 7},
        {"cc-09", BLOCK_NAME_GOOD, 0x00cc, 9},
        {"0000000f-0", BLOCK_NAME_GOOD, 0x000f, 0},
        {"FFFF-28", BLOCK_NAME_GOOD, 0xffff, 28},
        {"", BLOCK_NAME_BAD_INDEX, 0, 0},
        {"-9", BLOCK_NAME_BAD_INDEX, 0, 0},
        {"x0-9", BLOCK_NAME_BAD_INDEX, 0, 0},
        {"10000-9", BLOCK_NAME_BAD_INDEX, 0, 0},
        {"ffffffffffffffffffff-9", BLOCK_NAME_BAD_INDEX, 0, 0},
        {"f0", BLOCK_NAME_MISSING_FIELDS, 0, 0},
        {"f0-a", BLOCK_NAME_BAD_SHIFT, 0, 0},
        {"f0-", BLOCK_NAME_BAD_SHIFT, 0, 0},
        {"f0--", BLOCK_NAME_BAD_SHIFT, 0, 0},
        {"f0-99999999999999999999", BLOCK_NAME_BAD_SHIFT, 0, 0},
        {"f0-9-", BLOCK_NAME_TOO_MANY_FIELDS, 0, 0},
        {"f0-9-1", BLOCK_NAME_TOO_MANY_FIELDS, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint16_t index = 0;
        unsigned shift = 0;
        assert_int_equal(block_name_parse(table[i].options, &index, &shift), table[i].fault);
        assert_int_equal(index, table[i].index);
        assert_int_equal(shift, table[i].shift);
        assert_true(strlen(block_name_fault_text(table[i].fault)) > 0);
    }
}

static void names_begin_with_that_of_the_sequence(void **state)
{
    (void)state;
    assert_string_equal(block_name_options("seq.0001-12", "seq"), "0001-12");
    assert_string_equal(block_name_options("a.b.0001-12", "a.b"), "0001-12");
    assert_string_equal(block_name_options("seq.", "seq"), "");
    assert_null(block_name_options("seq", "seq"));
    assert_null(block_name_options("seq.0001-12.tmp", "seq"));
    assert_null(block_name_options("sequence.0001-12", "seq"));
    assert_null(block_name_options("se.0001-12", "seq"));
    assert_null(block_name_options("a.b.0001-12", "a"));
}

/* ---- indexes -------------------------------------------------------------------------------- */

static void indexes_wrap(void **state)
{
    (void)state;
    enum { ZERO = 0, ONE = 1, QUARTER = 0xffff >> 2, HALF = 0xffff >> 1, MAX = 0xffff };
    static const struct {
        uint16_t a, b;
        int result, reversed;
    } table[] = {
        {MAX, ONE, -1, 1},
        {ZERO, QUARTER, -1, 1},
        {MAX, QUARTER, 2, 2},
        {MAX, HALF, 2, 2},
        {ZERO, ZERO, 0, 0},
        {MAX, MAX, 0, 0},
        {ZERO, ONE, -1, 1},
        {MAX, QUARTER - 1, -1, 1},
        {ZERO, QUARTER + 1, 2, 2},
        {ZERO, 0x8000, 2, 2},
        {0x8000, 0x8000 + QUARTER, -1, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(block_index_compare(table[i].a, table[i].b), table[i].result);
        assert_int_equal(block_index_compare(table[i].b, table[i].a), table[i].reversed);
    }
}

static void short_tables_are_refused(void **state)
{
    (void)state;
    static const struct firn_block_ops ops = {.size = 8};
    static const struct firn_block_allocator_ops allocator_ops = {.size = 8};
    const struct firn_block block = {.ops = &ops, .count = 1, .shift = 12};
    const struct firn_block_allocator allocator = {.ops = &allocator_ops};
    struct firn_block *good;
    assert_int_equal(block_check(&block, NULL), FIRN_EINVAL);
    assert_int_equal(block_check(NULL, NULL), FIRN_EINVAL);
    assert_int_equal(block_allocator_check(&allocator, NULL), FIRN_EINVAL);
    assert_int_equal(block_allocator_check(NULL, NULL), FIRN_EINVAL);
    assert_int_equal(firn_block_void_new(1, 12, &good, NULL), 0);
    assert_int_equal(block_check(good, NULL), 0);
    firn_block_close(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_of_files),
        cmocka_unit_test(shapes_of_memory),
        cmocka_unit_test(chunks_of_large_stores),
        cmocka_unit_test(pairs_of_buffers),
        cmocka_unit_test(stores_stay_within_the_blocks),
        cmocka_unit_test(buffers_are_used_up_piecemeal),
        cmocka_unit_test(names_of_files),
        cmocka_unit_test(names_begin_with_that_of_the_sequence),
        cmocka_unit_test(indexes_wrap),
        cmocka_unit_test(short_tables_are_refused),
    };
    return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
