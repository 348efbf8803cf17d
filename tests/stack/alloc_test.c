/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a workload made to fail once. The call says FIRN_ENOMEM and has changed
 * nothing, or does without; the stack stays usable, save where memory was wanted for a write in
 * progress, which poisons it and is said to; nothing acknowledged is lost. (That nothing leaks is
 * for the sanitizers to say.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/stack.h>

#include "lib/alloc.h"

enum { MOST = 200000, SMALL = 300, LARGE = 20000, MANY = 30 };

struct content {
    uint8_t bytes[MOST];
    size_t length;
};

struct work {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_stack *stack;
    struct firn_error err;
    struct content held, after;
    bool unknown; /* it may be `after`, too */
    bool no_journal;
    uint64_t denied; /* calls that said FIRN_ENOMEM */
    bool poisoned;
};

static uint64_t failing; /* for messages */
static uint8_t bytes[LARGE], found[MOST];

/* Allocations count during the call only. */
#define COUNTED(rc, call)                                                                          \
    do {                                                                                           \
        alloc_paused = false;                                                                      \
        (rc) = (call);                                                                             \
        alloc_paused = true;                                                                       \
    } while (0)

/* The storage in RAM says that it is full where it gets no page. */
static bool is_denied(int rc)
{
    return rc == FIRN_ENOMEM || rc == FIRN_ENOSPC;
}

static void count_result(struct work *work, int rc)
{
    if (is_denied(rc))
        work->denied++;
    else if (rc == FIRN_EPOISONED)
        work->poisoned = true;
    else if (rc < 0)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)failing, firn_error_name(rc),
                 work->err.message);
}

/* ---- life ---- */

static int start(struct work *work, bool read_only)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc;
    COUNTED(rc, firn_env_new(&env_options, &work->env, &work->err));
    if (rc < 0)
        return rc;
    const struct firn_stack_options options = {.disk = work->disk,
                                               .env = work->env,
                                               .read_only = read_only,
                                               .no_journal = work->no_journal,
                                               .journal_bytes = 64 * 1024};
    COUNTED(rc, firn_stack_open("stack", &options, &work->stack, &work->err));
    if (rc == 0)
        return 0;
    assert_int_equal(firn_env_free(work->env), 0);
    return rc;
}

/* Denied once, it works the next time. */
static void start_somehow(struct work *work, bool read_only)
{
    int rc = start(work, read_only);
    count_result(work, rc);
    if (rc < 0)
        rc = start(work, read_only);
    if (rc < 0)
        fail_msg("allocation %llu: opening: %s", (unsigned long long)failing, work->err.message);
}

static int finish(struct work *work)
{
    int rc;
    COUNTED(rc, firn_stack_close(work->stack, &work->err));
    work->stack = NULL;
    assert_int_equal(firn_env_free(work->env), 0);
    return rc;
}

/* ---- changes ---- */

/* After a call: what is there now. */
static void changed(struct work *work, int rc)
{
    bool was_poisoned = work->poisoned;
    count_result(work, rc);
    if (was_poisoned)
        return;
    work->unknown = rc < 0 && firn_stack_push(work->stack, NULL, 0, NULL, NULL) == FIRN_EPOISONED;
    work->poisoned |= work->unknown;
    if (rc == 0)
        work->held = work->after;
}

static void append(struct content *content, const void *from, size_t size)
{
    assert_true(content->length + size <= MOST);
    memcpy(content->bytes + content->length, from, size);
    content->length += size;
}

static void push(struct work *work, size_t size)
{
    int rc;
    append(&work->after, bytes, size);
    COUNTED(rc, firn_stack_push(work->stack, bytes, size, NULL, &work->err));
    changed(work, rc);
}

static void pop(struct work *work)
{
    int rc;
    work->after.length -= SMALL;
    COUNTED(rc, firn_stack_pop(work->stack, found, SMALL, &work->err));
    changed(work, rc);
}

static void extend(struct work *work)
{
    static const uint8_t zeros[LARGE];
    int rc;
    append(&work->after, zeros, LARGE);
    COUNTED(rc, firn_stack_extend(work->stack, LARGE, NULL, &work->err));
    changed(work, rc);
}

static void cas(struct work *work)
{
    int rc;
    bool done = false;
    memcpy(work->after.bytes + 10, bytes, SMALL);
    COUNTED(rc, firn_stack_cas(work->stack, 10, work->held.bytes + 10, bytes, SMALL, &done,
                               &work->err));
    assert_true(rc < 0 || done);
    changed(work, rc);
}

static int add_one(void *arg, void *at, size_t size)
{
    uint8_t *byte = at;
    (void)arg;
    for (size_t i = 0; i < size; i++)
        byte[i]++;
    return 0;
}

static void process(struct work *work)
{
    int rc;
    add_one(NULL, work->after.bytes + 5, SMALL);
    COUNTED(rc, firn_stack_process(work->stack, 5, SMALL, add_one, NULL, &work->err));
    changed(work, rc);
}

static int by_nothing(void *arg, const void *tail, size_t size, const void **made, size_t *new_size)
{
    (void)arg, (void)size;
    *made = tail;
    *new_size = 1;
    return 0;
}

static void replace(struct work *work)
{
    int rc;
    work->after.length -= SMALL - 1;
    COUNTED(rc, firn_stack_replace(work->stack, SMALL, by_nothing, NULL, &work->err));
    changed(work, rc);
}

/* More ranges than there is room for without an allocation. */
static void write_many(struct work *work)
{
    struct firn_stack_write writes[MANY];
    const struct firn_stack_change change = {.writes = writes,
                                             .write_count = work->no_journal ? 1 : MANY};
    int rc;
    for (size_t i = 0; i < MANY; i++) {
        writes[i] = (struct firn_stack_write){i * 10, bytes + i, 5};
        if (i < change.write_count)
            memcpy(work->after.bytes + i * 10, bytes + i, 5);
    }
    COUNTED(rc, firn_stack_apply(work->stack, &change, NULL, &work->err));
    changed(work, rc);
}

/* ---- looking ---- */

static void look(struct work *work)
{
    struct firn_stack_reader *reader;
    struct firn_stack_check check;
    size_t got = 0;
    int rc = FIRN_ENOMEM;
    for (int again = 0; again < 2 && rc == FIRN_ENOMEM; again++) {
        COUNTED(rc, firn_stack_peek(work->stack, 0, found, MOST, &got, &work->err));
        count_result(work, rc);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(got, work->held.length);
    assert_memory_equal(found, work->held.bytes, got);
    COUNTED(rc, firn_stack_reader_open(work->stack, 0, &reader, &work->err));
    count_result(work, rc);
    if (rc == 0)
        firn_stack_reader_close(reader);
    COUNTED(rc, firn_stack_verify(work->stack, &check, &work->err));
    count_result(work, rc);
}

static void background(struct work *work)
{
    alloc_paused = false;
    for (int i = 0; i < 20; i++)
        firn_env_run(work->env);
    alloc_paused = true;
    work->poisoned |= firn_stack_push(work->stack, NULL, 0, NULL, NULL) == FIRN_EPOISONED;
}

static void run(struct work *work)
{
    static const char script[] = "pxLlocrPmLblLxLomlcPb";
    start_somehow(work, false);
    for (const char *step = script; *step && !work->poisoned; step++) {
        work->after = work->held;
        memset(bytes, 1 + (int)(step - script), sizeof bytes);
        if (*step == 'p')
            push(work, SMALL);
        else if (*step == 'L' && work->held.length >= SMALL)
            push(work, LARGE);
        else if (*step == 'x')
            extend(work);
        else if (*step == 'b')
            background(work);
        else if (work->held.length < 2 * SMALL || *step == 'l')
            look(work);
        else if (*step == 'o')
            pop(work);
        else if (*step == 'c')
            cas(work);
        else if (*step == 'r')
            replace(work);
        else if (*step == 'P')
            process(work);
        else if (*step == 'm')
            write_many(work);
    }
    int rc = finish(work);
    count_result(work, rc);
}

/* One of the states that may be, seen without and with recovery; and it goes on. */
static void check(struct work *work)
{
    size_t got = 0;
    work->poisoned = false;
    for (int read_only = 1; read_only >= 0; read_only--) {
        assert_int_equal(start(work, read_only), 0);
        assert_int_equal(firn_stack_peek(work->stack, 0, found, MOST, &got, &work->err), 0);
        if (work->unknown && got == work->after.length &&
            memcmp(found, work->after.bytes, got) == 0)
            work->held = work->after;
        if (got != work->held.length || memcmp(found, work->held.bytes, got) != 0)
            fail_msg("allocation %llu: no state that may be", (unsigned long long)failing);
        if (read_only)
            assert_int_equal(finish(work), 0);
    }
    work->after = work->held;
    push(work, SMALL);
    look(work);
    assert_int_equal(finish(work), 0);
}

static void every_allocation_fails(void **state)
{
    struct work *work = calloc(1, sizeof *work);
    bool no_journal = *(const bool *)*state;
    uint64_t at = 0, denied = 0, poisoned = 0;
    assert_non_null(work);
    alloc_paused = true;
    for (bool failed = true; failed;) {
        memset(work, 0, sizeof *work);
        work->no_journal = no_journal;
        failing = ++at;
        assert_int_equal(firn_disk_memory_new(&work->disk, NULL), 0);
        alloc_fail_in = (int)at;
        run(work);
        failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        denied += work->denied;
        poisoned += work->poisoned;
        check(work);
        firn_disk_free(work->disk);
    }
    free(work);
    printf("note: %llu allocations failed: %llu calls said so, %llu poisoned the stack\n",
           (unsigned long long)at - 1, (unsigned long long)denied, (unsigned long long)poisoned);
    assert_true(denied > 0);
}

int main(void)
{
    static const bool without = true, with = false;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_allocation_fails, (void *)(uintptr_t)&with),
        cmocka_unit_test_prestate(every_allocation_fails, (void *)(uintptr_t)&without),
    };
    return cmocka_run_group_tests_name("stack/alloc", tests, NULL, NULL);
}
