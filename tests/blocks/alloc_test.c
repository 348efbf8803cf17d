/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a sequence's life made to fail once, those of the simulator included: the
 * call says so, or does without; nothing acknowledged is lost, and the next try works. (That
 * nothing leaks is for the sanitizers to say.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "machine.h"

static const char script[] = "aaesegpalgrcsgerrgca";
static const struct machine_shape shape = {.blocks = 600, .env = true};

/* Allocations count during the call only. */
#define COUNTED(rc, call)                                                                          \
    do {                                                                                           \
        alloc_paused = false;                                                                      \
        (rc) = (call);                                                                             \
        alloc_paused = true;                                                                       \
    } while (0)

static uint64_t failing, denied, step = 1;

static void check_denied(struct machine *m, int rc)
{
    if (rc != FIRN_ENOMEM && rc != FIRN_ENOSPC && rc != FIRN_EPOISONED)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)failing, firn_error_name(rc),
                 m->err.message);
    denied++;
}

/* Once denied, it works. */
static void open_again(struct machine *m)
{
    machine_close(m);
    assert_int_equal(machine_open(m), 0);
    if (!machine_check(m))
        fail_msg("allocation %llu: %s", (unsigned long long)failing, m->why);
}

static void run(struct machine *m)
{
    int rc;
    COUNTED(rc, machine_open(m));
    if (rc < 0) {
        check_denied(m, rc);
        open_again(m);
    }
    for (const char *operation = script; *operation; operation++) {
        COUNTED(rc, machine_operate(m, *operation));
        if (rc == 0)
            continue;
        check_denied(m, rc);
        if (rc == FIRN_EPOISONED || *operation == 'c')
            open_again(m);
        else
            m->model.maybe_next = false;
    }
}

static void every_allocation_of_a_sequence_fails(void **state)
{
    (void)state;
    alloc_paused = true;
    for (bool failed = true; failed;) {
        struct machine m;
        machine_init(&m, &shape);
        failing += step;
        alloc_fail_in = (int)failing;
        run(&m);
        failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        machine_close(&m);
        if (!machine_check_life(&m))
            fail_msg("allocation %llu: %s", (unsigned long long)failing, m.why);
        machine_done(&m);
    }
    printf("note: %llu allocations failed, %llu calls said so\n",
           (unsigned long long)(failing / step - 1), (unsigned long long)denied);
    assert_true(failing > 50 && denied > 30);
}

/* ---- single calls --------------------------------------------------------------------------- */

static struct firn_disk *disk;

static int create_file(struct firn_block **block)
{
    const struct firn_block_options options = {.disk = disk};
    int rc = firn_block_file_create("file", 4, 12, &options, block, NULL);
    if (rc == 0)
        assert_int_equal(disk->ops->remove(disk, "file", NULL), 0);
    return rc;
}

static int new_memory(struct firn_block **block)
{
    return firn_block_memory_new(4, 12, block, NULL);
}

static int new_void(struct firn_block **block)
{
    return firn_block_void_new(4, 12, block, NULL);
}

static int from_allocator(struct firn_block_allocator *allocator, struct firn_block **block)
{
    struct firn_block *unused;
    int rc = block_allocate(allocator, &unused, NULL);
    if (rc == 0)
        rc = block_release(allocator, unused, NULL);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
    return rc == 0 ? new_void(block) : rc;
}

static int allocate_memory(struct firn_block **block)
{
    struct firn_block_allocator *allocator;
    int rc = firn_block_memory_allocator_new(4, 12, &allocator, NULL);
    return rc == 0 ? from_allocator(allocator, block) : rc;
}

static int allocate_void(struct firn_block **block)
{
    struct firn_block_allocator *allocator;
    int rc = firn_block_void_allocator_new(4, 12, &allocator, NULL);
    return rc == 0 ? from_allocator(allocator, block) : rc;
}

static void single_calls_without_memory(void **state)
{
    (void)state;
    static int (*const calls[])(struct firn_block **) = {create_file, new_memory, new_void,
                                                         allocate_memory, allocate_void};
    alloc_paused = true;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int rc = FIRN_ENOMEM, at = 0;
        struct firn_block *block = NULL;
        while (rc < 0) {
            alloc_fail_in = ++at;
            COUNTED(rc, calls[i](&block));
            assert_true(rc == 0 || rc == FIRN_ENOMEM || rc == FIRN_ENOSPC);
            assert_true((rc == 0) == (block != NULL));
        }
        assert_true(at > 1);
        alloc_fail_in = 0;
        firn_block_close(block);
    }
    firn_disk_free(disk);
}

int main(void)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    if (effort && strcmp(effort, "less") == 0)
        step = 11;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_sequence_fails),
        cmocka_unit_test(single_calls_without_memory),
    };
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
