/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a workload made to fail once. The call says FIRN_ENOMEM and has changed
 * nothing, not in the file, and not in what the slab knows; or the stack is poisoned, and opening
 * anew finds a slab that is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/slab.h>

#include "lib/alloc.h"

enum { MOST = 1 << 16, SLOTS = 24, BLOCK = 16, FEW = 20 };

struct work {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_stack *stack;
    struct firn_slab *slab;
    struct firn_error err;
    struct firn_slab_slice held[SLOTS]; /* those of length 0 are none */
    uint64_t denied;
    bool poisoned;
};

static uint64_t failing; /* for messages */
static uint8_t before[MOST], after[MOST];

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

/* ---- life ---- */

static int start_stack(struct work *work)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc;
    COUNTED(rc, firn_env_new(&env_options, &work->env, &work->err));
    if (rc < 0)
        return rc;
    const struct firn_stack_options options = {
        .disk = work->disk, .env = work->env, .journal_bytes = 64 * 1024};
    COUNTED(rc, firn_stack_open("stack", &options, &work->stack, &work->err));
    if (rc < 0)
        firn_env_free(work->env);
    return rc;
}

static void finish(struct work *work)
{
    firn_slab_close(work->slab);
    work->slab = NULL;
    firn_stack_close(work->stack, NULL);
    work->stack = NULL;
    assert_int_equal(firn_env_free(work->env), 0);
}

static int start(struct work *work)
{
    int rc = start_stack(work);
    if (rc < 0)
        return rc;
    if (firn_stack_length(work->stack) == 0)
        COUNTED(rc, firn_slab_create(work->stack, BLOCK, &work->slab, &work->err));
    else
        COUNTED(rc, firn_slab_open(work->stack, &work->slab, &work->err));
    if (rc < 0)
        finish(work);
    return rc;
}

/* Denied once, it works the next time. */
static void start_somehow(struct work *work)
{
    int rc = start(work);
    work->denied += is_denied(rc);
    if (rc < 0)
        rc = start(work);
    if (rc < 0)
        fail_msg("allocation %llu: opening: %s", (unsigned long long)failing, work->err.message);
}

/* ---- one change ---- */

static size_t look(struct work *work, uint8_t *bytes, uint64_t *free_blocks)
{
    struct firn_slab_info info;
    size_t got = 0;
    assert_int_equal(firn_stack_peek(work->stack, 0, bytes, MOST, &got, NULL), 0);
    firn_slab_get_info(work->slab, &info);
    *free_blocks = info.free_blocks;
    return got;
}

static int change(struct work *work, char step, struct firn_slab_slice *held)
{
    static const uint64_t lengths[SLOTS] = {5, 16, 40, 1, 1, 9, 16, 16, 3, 3, 70};
    struct firn_slab_slice many[FEW];
    int rc;
    switch (step) {
    case 'a':
        if (held[22].length > 0)
            return 0;
        COUNTED(rc, firn_slab_alloc(work->slab, 10, &held[22], &work->err));
        return rc;
    case 'm':
        if (held[0].length > 0)
            return 0;
        COUNTED(rc, firn_slab_alloc_many(work->slab, lengths, FEW, held, &work->err));
        return rc;
    case 'd':
        COUNTED(rc, firn_slab_dealloc(work->slab, held[22], &work->err));
        held[22].length = 0;
        return rc;
    case 'f':
        memcpy(many, held, sizeof many);
        for (int i = 0; i < FEW; i++)
            held[i].length = 0;
        COUNTED(rc, firn_slab_dealloc_many(work->slab, many, FEW, &work->err));
        return rc;
    case 'g':
        COUNTED(rc, firn_slab_realloc(work->slab, held[2], 100, &held[2], &work->err));
        return rc;
    case 's':
        COUNTED(rc, firn_slab_realloc(work->slab, held[2], 10, &held[2], &work->err));
        return rc;
    case 'w':
        if (held[2].length == 0)
            return 0;
        COUNTED(rc, firn_slab_write(work->slab, held[2], 3, "written", 7, &work->err));
        return rc;
    default:
        abort();
    }
}

static void check_slab(struct work *work)
{
    struct firn_slab_live live = {.slices = work->held, .count = SLOTS};
    struct firn_slab_findings check;
    for (int i = 0; i < SLOTS; i++)
        if (work->held[i].length == 0)
            work->held[i].offset = 0;
    if (firn_slab_check(work->stack, &live, &check, &work->err) < 0 || check.leaked_blocks)
        fail_msg("allocation %llu: %s", (unsigned long long)failing, work->err.message);
}

static void make(struct work *work, char step)
{
    struct firn_slab_slice held[SLOTS];
    uint64_t free_before, free_after;
    size_t bytes = look(work, before, &free_before);
    memcpy(held, work->held, sizeof held);
    int rc = change(work, step, held);
    work->poisoned = firn_stack_push(work->stack, NULL, 0, NULL, NULL) == FIRN_EPOISONED;
    if (rc < 0 && !is_denied(rc) && !work->poisoned)
        fail_msg("allocation %llu: %s", (unsigned long long)failing, work->err.message);
    work->denied += rc < 0;
    if (rc == 0)
        memcpy(work->held, held, sizeof held);
    if (work->poisoned)
        return;
    check_slab(work);
    if (rc == 0)
        return;
    assert_int_equal(look(work, after, &free_after), bytes);
    assert_memory_equal(after, before, bytes);
    assert_int_equal(free_after, free_before);
}

static void run(struct work *work)
{
    start_somehow(work);
    for (const char *step = "amdwgfmswfad"; *step && !work->poisoned; step++)
        make(work, *step);
    finish(work);
}

static void every_allocation_fails(void **state)
{
    uint64_t at = 0, denied = 0;
    (void)state;
    alloc_paused = true;
    for (bool failed = true; failed;) {
        struct work work = {.poisoned = false};
        struct firn_slab_findings check;
        failing = ++at;
        assert_int_equal(firn_disk_memory_new(&work.disk, NULL), 0);
        alloc_fail_in = (int)at;
        run(&work);
        failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        denied += work.denied;
        assert_int_equal(start(&work), 0);
        assert_int_equal(firn_slab_check(work.stack, NULL, &check, NULL), 0);
        finish(&work);
        firn_disk_free(work.disk);
    }
    printf("note: %llu allocations failed: %llu calls said so\n", (unsigned long long)at - 1,
           (unsigned long long)denied);
    assert_true(denied > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};
    return cmocka_run_group_tests_name("slab/alloc", tests, NULL, NULL);
}
