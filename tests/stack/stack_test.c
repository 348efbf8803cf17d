/* SPDX-License-Identifier: MIT */
/* What every call does, one by one. */
#include "fixture.h"

static void push(struct fixture *f, const char *text)
{
    uint64_t offset = UINT64_MAX, length = firn_stack_length(f->stack);
    OK(firn_stack_push(f->stack, text, strlen(text), &offset, &f->err));
    assert_int_equal(offset, length);
}

/* Now, and after it was closed. */
static void holds(struct fixture *f, const char *text)
{
    expect(f, text, strlen(text));
    fixture_reopen(f);
    expect(f, text, strlen(text));
}

/* ---- the end ---- */

static void grows_and_shrinks_at_the_end(void **state)
{
    struct fixture *f = *state;
    char taken[8] = "";
    uint64_t offset = 0;
    expect(f, "", 0);
    push(f, "hello");
    push(f, " world");
    push(f, "");
    holds(f, "hello world");
    OK(firn_stack_pop(f->stack, taken, 6, &f->err));
    assert_string_equal(taken, " world");
    OK(firn_stack_discard(f->stack, 1, &f->err));
    OK(firn_stack_pop(f->stack, NULL, 0, &f->err));
    holds(f, "hell");
    OK(firn_stack_extend(f->stack, 3, &offset, &f->err));
    assert_int_equal(offset, 4);
    OK(firn_stack_extend(f->stack, 0, NULL, &f->err));
    expect(f, "hell\0\0\0", 7);
    fixture_reopen(f);
    expect(f, "hell\0\0\0", 7);
    OK(firn_stack_discard(f->stack, 7, &f->err));
    holds(f, "");
}

static void takes_no_more_than_there_is(void **state)
{
    struct fixture *f = *state;
    char taken[8] = "-------";
    push(f, "abc");
    FAILS(firn_stack_pop(f->stack, taken, 4, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_discard(f->stack, 4, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_discard(f->stack, UINT64_MAX, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_atrunc(f->stack, 4, "x", 1, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_splice(f->stack, taken, 4, "x", 1, &f->err), FIRN_ERANGE);
    assert_string_equal(taken, "-------");
    FAILS(firn_stack_extend(f->stack, UINT64_MAX, NULL, &f->err), FIRN_ETOOBIG);
    FAILS(firn_stack_extend(f->stack, UINT64_C(1) << 62, NULL, &f->err), FIRN_ETOOBIG);
    holds(f, "abc");
}

/* Old bytes stay in the file until it is closed, and are never seen again. */
static void what_was_cut_off_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    uint8_t old[300], none[200] = {0};
    memset(old, 0xaa, sizeof old);
    for (int round = 0; round < 20; round++) {
        OK(firn_stack_push(f->stack, old, sizeof old, NULL, &f->err));
        OK(firn_stack_discard(f->stack, sizeof old, &f->err));
        OK(firn_stack_extend(f->stack, sizeof none, NULL, &f->err));
        expect(f, none, sizeof none);
        if (round % 5 == 0)
            fixture_reopen(f);
        expect(f, none, sizeof none);
        OK(firn_stack_discard(f->stack, sizeof none, &f->err));
    }
}

/* ---- reading ---- */

static void reads_what_is_there(void **state)
{
    struct fixture *f = *state;
    char found[8] = "-------";
    size_t got = 99;
    push(f, "abcdef");
    OK(firn_stack_get(f->stack, 2, found, 3, &f->err));
    assert_string_equal(found, "cde----");
    OK(firn_stack_get(f->stack, 6, found, 0, &f->err));
    FAILS(firn_stack_get(f->stack, 4, found, 3, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_get(f->stack, 7, found, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_get(f->stack, UINT64_MAX, found, 3, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_get(f->stack, UINT64_MAX - 1, found, 7, &f->err), FIRN_ERANGE);
    assert_string_equal(found, "cde----");
    OK(firn_stack_peek(f->stack, 4, found, 7, &got, &f->err));
    assert_int_equal(got, 2);
    assert_string_equal(found, "efe----");
    OK(firn_stack_peek(f->stack, 0, found, 3, &got, &f->err));
    assert_int_equal(got, 3);
    OK(firn_stack_peek(f->stack, 6, found, 7, &got, &f->err));
    assert_int_equal(got, 0);
    got = 99;
    FAILS(firn_stack_peek(f->stack, 7, found, 1, &got, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_peek(f->stack, UINT64_MAX, found, 1, &got, &f->err), FIRN_ERANGE);
    assert_int_equal(got, 99);
}

static void a_reader_moves_on(void **state)
{
    struct fixture *f = *state;
    struct firn_stack_reader *reader;
    char found[8] = "-------";
    size_t got;
    uint64_t position;
    push(f, "0123456789");
    OK(firn_stack_reader_open(f->stack, 2, &reader, &f->err));
    OK(firn_stack_reader_read(reader, found, 3, &got, &f->err));
    assert_int_equal(got, 3);
    assert_string_equal(found, "234----");
    assert_int_equal(firn_stack_reader_position(reader), 5);
    OK(firn_stack_reader_seek(reader, -2, FIRN_SEEK_END, &position, &f->err));
    assert_int_equal(position, 8);
    OK(firn_stack_reader_read(reader, found, 7, &got, &f->err));
    assert_int_equal(got, 2);
    OK(firn_stack_reader_read(reader, found, 7, &got, &f->err));
    assert_int_equal(got, 0);
    OK(firn_stack_reader_seek(reader, -9, FIRN_SEEK_HERE, NULL, &f->err));
    assert_int_equal(firn_stack_reader_position(reader), 1);
    FAILS(firn_stack_reader_seek(reader, -2, FIRN_SEEK_HERE, NULL, &f->err), FIRN_EINVAL);
    FAILS(firn_stack_reader_seek(reader, -1, FIRN_SEEK_START, NULL, &f->err), FIRN_EINVAL);
    FAILS(firn_stack_reader_seek(reader, INT64_MIN, FIRN_SEEK_END, NULL, &f->err), FIRN_EINVAL);
    FAILS(firn_stack_reader_seek(reader, 0, (enum firn_stack_whence)7, NULL, &f->err), FIRN_EINVAL);
    OK(firn_stack_reader_seek(reader, 500, FIRN_SEEK_START, NULL, &f->err));
    OK(firn_stack_reader_read(reader, found, 7, &got, &f->err));
    assert_int_equal(got, 0);
    OK(firn_stack_reader_seek(reader, 6, FIRN_SEEK_START, NULL, &f->err));
    OK(firn_stack_discard(f->stack, 3, &f->err));
    OK(firn_stack_reader_read(reader, found, 7, &got, &f->err));
    assert_int_equal(got, 1);
    firn_stack_reader_close(reader);
    firn_stack_reader_close(NULL);
}

/* ---- in place ---- */

static void overwrites_in_place(void **state)
{
    struct fixture *f = *state;
    char old[4] = "";
    push(f, "abcdef");
    OK(firn_stack_set(f->stack, 1, "BC", 2, &f->err));
    OK(firn_stack_set(f->stack, 6, "", 0, &f->err));
    OK(firn_stack_swap(f->stack, 3, "DEF", old, 3, &f->err));
    assert_string_equal(old, "def");
    holds(f, "aBCDEF");
    OK(firn_stack_zero(f->stack, 0, 2, &f->err));
    expect(f, "\0\0CDEF", 6);
    FAILS(firn_stack_set(f->stack, 4, "xyz", 3, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_set(f->stack, UINT64_MAX, "xyz", 3, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_zero(f->stack, 7, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_zero(f->stack, 1, UINT64_MAX, &f->err), FIRN_ERANGE);
    FAILS(firn_stack_swap(f->stack, 4, "xyz", old, 3, &f->err), FIRN_ERANGE);
    expect(f, "\0\0CDEF", 6);
}

/* ---- depending on what is there ---- */

static void tries_with_the_right_length_only(void **state)
{
    struct fixture *f = *state;
    bool done = false;
    push(f, "abc");
    OK(firn_stack_try_extend(f->stack, 3, "de", 2, &done, &f->err));
    assert_true(done);
    OK(firn_stack_try_extend(f->stack, 3, "xx", 2, &done, &f->err));
    assert_false(done);
    OK(firn_stack_try_discard(f->stack, 5, 1, &done, &f->err));
    assert_true(done);
    OK(firn_stack_try_discard(f->stack, 5, 1, &done, &f->err));
    assert_false(done);
    FAILS(firn_stack_try_discard(f->stack, 4, 5, &done, &f->err), FIRN_ERANGE);
    holds(f, "abcd");
    OK(firn_stack_try_extend_zeros(f->stack, 4, 2, &done, &f->err));
    assert_true(done);
    OK(firn_stack_try_extend_zeros(f->stack, 4, 2, &done, &f->err));
    assert_false(done);
    expect(f, "abcd\0\0", 6);
}

static void exchanges_what_is_expected(void **state)
{
    struct fixture *f = *state;
    bool done = false;
    push(f, "abcdef");
    OK(firn_stack_cas(f->stack, 2, "cd", "CD", 2, &done, &f->err));
    assert_true(done);
    OK(firn_stack_cas(f->stack, 2, "cd", "xx", 2, &done, &f->err));
    assert_false(done);
    FAILS(firn_stack_cas(f->stack, 5, "fg", "xx", 2, &done, &f->err), FIRN_ERANGE);
    holds(f, "abCDef");
}

static void cuts_and_appends_at_once(void **state)
{
    struct fixture *f = *state;
    char removed[4] = "";
    push(f, "abcdef");
    OK(firn_stack_atrunc(f->stack, 2, "EFGH", 4, &f->err));
    holds(f, "abcdEFGH");
    OK(firn_stack_atrunc(f->stack, 5, "x", 1, &f->err));
    holds(f, "abcx");
    OK(firn_stack_splice(f->stack, removed, 3, "BCDE", 4, &f->err));
    assert_string_equal(removed, "bcx");
    holds(f, "aBCDE");
    OK(firn_stack_splice(f->stack, removed, 3, NULL, 0, &f->err));
    assert_string_equal(removed, "CDE");
    holds(f, "aB");
}

/* ---- by a function ---- */

static int twice(void *arg, const void *tail, size_t size, const void **bytes, size_t *new_size)
{
    char *made = arg;
    memcpy(made, tail, size);
    memcpy(made + size, tail, size);
    *bytes = made;
    *new_size = 2 * size;
    return 0;
}

static int end_it(void *arg, const void *tail, size_t size, const void **bytes, size_t *new_size)
{
    (void)size;
    *bytes = tail;
    *new_size = 0;
    return *(int *)arg;
}

static int upper(void *arg, void *bytes, size_t size)
{
    char *at = bytes;
    for (size_t i = 0; i < size; i++)
        at[i] = (char)(at[i] - 'a' + 'A');
    return *(int *)arg;
}

static void functions_change_it(void **state)
{
    struct fixture *f = *state;
    char made[16];
    int good = 0, code = 1, error = FIRN_EINVAL;
    push(f, "abcdef");
    OK(firn_stack_replace(f->stack, 2, twice, made, &f->err));
    holds(f, "abcdefef");
    FAILS(firn_stack_replace(f->stack, 2, end_it, &code, &f->err), 1);
    FAILS(firn_stack_replace(f->stack, 2, end_it, &error, &f->err), FIRN_EINVAL);
    FAILS(firn_stack_replace(f->stack, 9, twice, made, &f->err), FIRN_ERANGE);
    OK(firn_stack_process(f->stack, 1, 3, upper, &good, &f->err));
    FAILS(firn_stack_process(f->stack, 0, 3, upper, &code, &f->err), 1);
    FAILS(firn_stack_process(f->stack, 6, 3, upper, &good, &f->err), FIRN_ERANGE);
    holds(f, "aBCDefef");
}

/* ---- anything at once ---- */

static void makes_one_change_of_many(void **state)
{
    struct fixture *f = *state;
    char first[] = "XY", last[] = "Z";
    const struct iovec append[] = {{first, 2}, {NULL, 0}, {last, 1}};
    const struct firn_stack_write writes[] = {
        {0, "1234", 4}, {1, NULL, 2}, {2, "ab", 2}, {4, "Q", 1}, {7, "", 0}};
    const struct firn_stack_change change = {.cut = 3,
                                             .append = append,
                                             .append_count = 3,
                                             .append_zeros = 2,
                                             .writes = writes,
                                             .write_count = 5};
    const struct firn_stack_change nothing = {0};
    struct firn_stack_change wrong = change;
    uint64_t offset = 0;
    push(f, "abcdef");
    if (f->kind.no_journal) {
        FAILS(firn_stack_apply(f->stack, &change, NULL, &f->err), FIRN_ENOTSUP);
        holds(f, "abcdef");
        return;
    }
    OK(firn_stack_apply(f->stack, &change, &offset, &f->err));
    assert_int_equal(offset, 3);
    expect(f, "1\0abQZ\0\0", 8);
    OK(firn_stack_apply(f->stack, &nothing, NULL, &f->err));
    wrong.cut = 9;
    FAILS(firn_stack_apply(f->stack, &wrong, NULL, &f->err), FIRN_ERANGE);
    wrong.cut = 8;
    FAILS(firn_stack_apply(f->stack, &wrong, NULL, &f->err), FIRN_ERANGE);
    fixture_reopen(f);
    expect(f, "1\0abQZ\0\0", 8);
}

#define BOTH(test) TEST_IN(test, in_memory), TEST_IN(test, single_memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(grows_and_shrinks_at_the_end),
        TEST_IN(grows_and_shrinks_at_the_end, on_files),
        TEST_IN(grows_and_shrinks_at_the_end, single_files),
        BOTH(takes_no_more_than_there_is),
        BOTH(what_was_cut_off_does_not_come_back),
        BOTH(reads_what_is_there),
        BOTH(a_reader_moves_on),
        BOTH(overwrites_in_place),
        BOTH(tries_with_the_right_length_only),
        BOTH(exchanges_what_is_expected),
        BOTH(cuts_and_appends_at_once),
        BOTH(functions_change_it),
        BOTH(makes_one_change_of_many),
    };
    return cmocka_run_group_tests_name("stack/stack", tests, NULL, NULL);
}
