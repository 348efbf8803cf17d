/* SPDX-License-Identifier: MIT */
/* What does not work: options, sizes, a full disk, a disk that fails; and figures. */
#include "fixture.h"

#include "disk/disk.h"

/* ---- opening ---- */

static void checks_its_options(void **state)
{
    struct fixture *f = *state;
    struct firn_stack *stack = NULL;
    f->options.journal_bytes = 65535;
    FAILS(fixture_try_open(f), FIRN_EINVAL);
    f->options.journal_bytes = UINT64_MAX;
    FAILS(fixture_try_open(f), FIRN_EINVAL);
    f->options.journal_bytes = 0;
    FAILS(firn_stack_open("", NULL, &stack, &f->err), FIRN_EINVAL);
    FAILS(firn_stack_open(NULL, NULL, &stack, &f->err), FIRN_EINVAL);
    f->options.must_exist = true;
    FAILS(fixture_try_open(f), FIRN_ENOENT);
    f->options.must_exist = false;
    f->options.read_only = true;
    FAILS(fixture_try_open(f), FIRN_ENOENT);
    assert_int_equal(fixture_size(f, f->lock), UINT64_MAX);
    f->options.read_only = false;
    OK(disk_make_dir(f->disk, f->path, &f->err));
    FAILS(fixture_try_open(f), FIRN_EINVAL);
    OK(disk_remove_dir(f->disk, f->path, &f->err));
    OK(firn_stack_close(NULL, &f->err));
}

static void destroy_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct firn_stack *stack = f->stack;
    OK(firn_stack_push(stack, "abc", 3, NULL, &f->err));
    f->stack = NULL;
    OK(firn_stack_destroy(stack, &f->err));
    assert_int_equal(fixture_size(f, f->path), UINT64_MAX);
    assert_int_equal(fixture_size(f, f->journal), UINT64_MAX);
    assert_int_equal(fixture_size(f, f->lock), UINT64_MAX);
    fixture_open(f);
    expect(f, "", 0);
    fixture_close(f);
    f->options.read_only = true;
    fixture_open(f);
    stack = f->stack;
    f->stack = NULL;
    FAILS(firn_stack_destroy(stack, &f->err), FIRN_EREADONLY);
    fixture_open(f);
}

/* ---- sizes ---- */

static void one_change_has_a_limit(void **state)
{
    enum { MANY = 40000, LIMIT = (JOURNAL_LEAST - 8192) / 2 - 64 };
    struct fixture *f = *state;
    uint8_t *bytes = calloc(1, MANY);
    assert_non_null(bytes);
    uint64_t size = fixture_size(f, f->path);
    FAILS(firn_stack_push(f->stack, bytes, LIMIT + 1, NULL, &f->err), FIRN_ETOOBIG);
    assert_non_null(strstr(f->err.message, "journal_bytes"));
    FAILS(firn_stack_push(f->stack, bytes, MANY, NULL, &f->err), FIRN_ETOOBIG);
    assert_int_equal(fixture_size(f, f->path), size);
    OK(firn_stack_push(f->stack, bytes, LIMIT, NULL, &f->err));
    OK(firn_stack_extend(f->stack, 1 << 20, NULL, &f->err)); /* zeros do not count */
    OK(firn_stack_zero(f->stack, 10, 1 << 20, &f->err));
    OK(firn_stack_push(f->stack, bytes, LIMIT, NULL, &f->err));
    free(bytes);
    assert_int_equal(firn_stack_length(f->stack), 2 * LIMIT + (1 << 20));
}

/* Zeros have no content; their places count nevertheless. */
static void so_has_the_number_of_places(void **state)
{
    enum { MANY = 4000 };
    static struct firn_stack_write writes[MANY];
    struct fixture *f = *state;
    struct firn_stack_change change = {.append_zeros = MANY, .writes = writes, .write_count = MANY};
    for (uint64_t i = 0; i < MANY; i++)
        writes[i] = (struct firn_stack_write){i, NULL, 1};
    FAILS(firn_stack_apply(f->stack, &change, NULL, &f->err), FIRN_ETOOBIG);
    change.write_count = MANY / 4;
    OK(firn_stack_apply(f->stack, &change, NULL, &f->err));
    assert_int_equal(firn_stack_length(f->stack), MANY);
}

/* With an environment of its own and a journal of the usual size. */
static void the_usual_limit_is_large(void **state)
{
    enum { MUCH = 30 << 20 };
    struct fixture *f = *state;
    f->options.journal_bytes = 0;
    fixture_reopen(f);
    uint8_t *bytes = malloc(MUCH);
    assert_non_null(bytes);
    memset(bytes, 7, MUCH);
    OK(firn_stack_push(f->stack, bytes, MUCH, NULL, &f->err));
    expect(f, bytes, MUCH);
    free(bytes);
}

/* Neither when they are made, nor by recovery, nor at the end. */
static void many_zeros_are_not_written(void **state)
{
    enum { MANY = 32 << 20 };
    struct fixture *f = *state;
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_FAIL,
        .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE,
        .path = f->path,
        .offset = MANY / 2,
        .length = 1,
        .code = FIRN_EIO,
        .times = FIRN_FAULTY_ALWAYS,
    };
    uint8_t bytes[100];
    OK(firn_stack_push(f->stack, "abc", 3, NULL, &f->err));
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    for (int round = 0; round < 2; round++) {
        OK(firn_stack_extend(f->stack, MANY, NULL, &f->err));
        if (round == 0)
            fixture_kill(f);
        else
            fixture_close(f);
        fixture_open(f);
        assert_int_equal(firn_stack_length(f->stack), 3 + MANY);
        OK(firn_stack_get(f->stack, MANY / 2, bytes, sizeof bytes, &f->err));
        for (size_t i = 0; i < sizeof bytes; i++)
            assert_int_equal(bytes[i], 0);
        OK(firn_stack_get(f->stack, 0, bytes, 3, &f->err));
        assert_memory_equal(bytes, "abc", 3);
        OK(firn_stack_discard(f->stack, MANY, &f->err));
        fixture_reopen(f);
    }
}

/* ---- a full disk ---- */

static void a_full_disk_passes(void **state)
{
    struct fixture *f = *state;
    static uint8_t bytes[20000];
    firn_faulty_set_capacity(f->faulty, 256 * 1024);
    uint64_t length = 0;
    int rc;
    memset(bytes, 3, sizeof bytes);
    while ((rc = firn_stack_push(f->stack, bytes, sizeof bytes, NULL, &f->err)) == 0)
        length += sizeof bytes;
    assert_int_equal(rc, FIRN_ENOSPC);
    assert_true(length > 60000);
    assert_int_equal(firn_stack_length(f->stack), length);
    FAILS(firn_stack_extend(f->stack, 1 << 20, NULL, &f->err), FIRN_ENOSPC);
    OK(firn_stack_pop(f->stack, bytes, 10, &f->err)); /* what needs no space goes on */
    OK(firn_stack_set(f->stack, 0, "x", 1, &f->err));
    firn_faulty_set_capacity(f->faulty, 4 << 20);
    OK(firn_stack_push(f->stack, bytes, sizeof bytes, NULL, &f->err));
    fixture_reopen(f);
    assert_int_equal(firn_stack_length(f->stack), length - 10 + sizeof bytes);
}

/* ---- a disk that fails ---- */

static void a_failed_write_poisons(void **state)
{
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_FAIL,
        .ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
        .code = FIRN_EIO,
        .at = 1,
        .times = 1,
    };
    struct fixture *f = *state;
    bool done;
    char byte;
    OK(firn_stack_push(f->stack, "abc", 3, NULL, &f->err));
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    int rc = firn_stack_push(f->stack, "def", 3, NULL, &f->err);
    assert_true(rc == FIRN_EPOISONED || rc == FIRN_EIO);
    FAILS(firn_stack_push(f->stack, "g", 1, NULL, &f->err), FIRN_EPOISONED);
    FAILS(firn_stack_pop(f->stack, &byte, 1, &f->err), FIRN_EPOISONED);
    FAILS(firn_stack_try_extend(f->stack, 99, "g", 1, &done, &f->err), FIRN_EPOISONED);
    FAILS(firn_stack_cas(f->stack, 0, "x", "y", 1, &done, &f->err), FIRN_EPOISONED);
    FAILS(firn_stack_push(f->stack, NULL, 0, NULL, &f->err), FIRN_EPOISONED);
    expect(f, "abc", 3);
    struct firn_stack *stack = f->stack;
    f->stack = NULL;
    FAILS(firn_stack_close(stack, &f->err), FIRN_EPOISONED);
    fixture_open(f);
    uint64_t length = firn_stack_length(f->stack);
    assert_true(length == 3 || length == 6);
    expect(f, "abcdef", (size_t)length);
}

static void verify_finds_what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct firn_stack_check check;
    OK(firn_stack_extend(f->stack, 20000, NULL, &f->err));
    OK(firn_stack_verify(f->stack, &check, &f->err));
    assert_int_equal(check.bytes, 20000);
    assert_int_equal(check.unreadable + check.damaged_slots, 0);
    fixture_reopen(f);
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_FAIL,
        .ops = FIRN_FAULTY_READ,
        .path = f->path,
        .offset = 9000,
        .length = 1,
        .code = FIRN_EIO,
        .times = FIRN_FAULTY_ALWAYS,
    };
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    FAILS(firn_stack_verify(f->stack, &check, &f->err), FIRN_EDAMAGED);
    assert_int_equal(check.bytes, 20000);
    assert_int_equal(check.unreadable, 4096);
    firn_faulty_clear(f->faulty, 0);
}

/* ---- figures ---- */

static void tells_its_figures(void **state)
{
    struct fixture *f = *state;
    struct firn_stack_info info;
    OK(firn_stack_push(f->stack, "abc", 3, NULL, &f->err));
    firn_stack_get_info(f->stack, &info);
    assert_int_equal(info.length, 3);
    assert_false(info.recovered);
    if (f->kind.no_journal) {
        assert_int_equal(info.journal_bytes + info.commit.syncs, 0);
        return;
    }
    assert_int_equal(info.journal_bytes, JOURNAL_LEAST);
    assert_true(info.journal_pending > 3);
    assert_int_equal(info.commit.syncs, 1);
    fixture_kill(f);
    fixture_open(f);
    firn_stack_get_info(f->stack, &info);
    assert_true(info.recovered);
    assert_int_equal(info.replayed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(checks_its_options, in_memory),
        CLOSED_IN(checks_its_options, single_memory),
        TEST_IN(destroy_leaves_nothing, in_memory),
        TEST_IN(destroy_leaves_nothing, on_files),
        TEST_IN(destroy_leaves_nothing, single_memory),
        TEST_IN(one_change_has_a_limit, in_memory),
        TEST_IN(so_has_the_number_of_places, in_memory),
        TEST_IN(the_usual_limit_is_large, in_memory),
        TEST_IN(many_zeros_are_not_written, in_simulator),
        TEST_IN(a_full_disk_passes, in_simulator),
        TEST_IN(a_full_disk_passes, single_simulator),
        TEST_IN(a_failed_write_poisons, in_simulator),
        TEST_IN(a_failed_write_poisons, single_simulator),
        TEST_IN(verify_finds_what_cannot_be_read, in_simulator),
        TEST_IN(verify_finds_what_cannot_be_read, single_simulator),
        TEST_IN(tells_its_figures, in_simulator),
        TEST_IN(tells_its_figures, single_simulator),
    };
    return cmocka_run_group_tests_name("stack/limits", tests, NULL, NULL);
}
