/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a stream's life made to fail once, those of the blocks and of the simulator
 * included: the call says so, or does without; nothing acknowledged is lost, and the next try
 * works. (That nothing leaks is for the sanitizers to say.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash/stream_machine.h"
#include "lib/alloc.h"

static const struct stream_shape shapes[] = {{5, true, false}, {3, false, true}};
static uint64_t failing, denied, poisoned, step = 1;

/* Allocations count during the call only. */
#define COUNTED(rc, call)                                                                          \
    do {                                                                                           \
        alloc_paused = false;                                                                      \
        (rc) = (call);                                                                             \
        alloc_paused = true;                                                                       \
    } while (0)

static void check_denied(struct stream_machine *machine, int rc)
{
    if (rc != FIRN_ENOMEM && rc != FIRN_ENOSPC && rc != FIRN_EPOISONED)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)failing, firn_error_name(rc),
                 machine->err.message);
    if (machine->err.code != rc || !machine->err.message[0])
        fail_msg("allocation %llu: %s without message", (unsigned long long)failing,
                 firn_error_name(rc));
    denied++;
}

/* Once denied, it works. */
static void open_again(struct stream_machine *machine)
{
    stream_machine_close(machine);
    if (stream_machine_open(machine) < 0)
        fail_msg("allocation %llu: opening: %s", (unsigned long long)failing, machine->err.message);
    if (!stream_machine_check(machine))
        fail_msg("allocation %llu: %s", (unsigned long long)failing, machine->why);
}

static void run(struct stream_machine *machine, const char *script)
{
    int rc;
    COUNTED(rc, stream_machine_open(machine));
    if (rc < 0) {
        check_denied(machine, rc);
        open_again(machine);
    }
    for (; *script; script++) {
        COUNTED(rc, stream_machine_do(machine, *script));
        if (machine->broken[0])
            fail_msg("allocation %llu: %s", (unsigned long long)failing, machine->broken);
        if (rc == 0)
            continue;
        check_denied(machine, rc);
        bool is_poisoned = stream_machine_is_poisoned(machine);
        poisoned += is_poisoned;
        if (!machine->stream || is_poisoned || rc == FIRN_EPOISONED || *script == 'l')
            open_again(machine);
        else if (!stream_machine_check_reads(machine))
            fail_msg("allocation %llu: %s", (unsigned long long)failing, machine->why);
    }
}

static bool run_without(const struct stream_shape *shape, const char *script)
{
    struct stream_machine *machine = malloc(sizeof *machine);
    assert_non_null(machine);
    stream_machine_init(machine, shape);
    alloc_fail_in = (int)failing;
    run(machine, script);
    bool failed = alloc_fail_in == 0;
    alloc_fail_in = 0;
    stream_machine_close(machine);
    if (!stream_machine_check_life(machine))
        fail_msg("allocation %llu: %s", (unsigned long long)failing, machine->why);
    stream_machine_done(machine);
    free(machine);
    return failed;
}

static void every_allocation_of_a_life_fails(void **state)
{
    static const char *const scripts[] = {"gsbLpSsvWclsahxsSkBFscS", "gpsbzBLSvcahxSkzBc"};
    (void)state;
    uint64_t tried = 0;
    alloc_paused = true;
    for (int i = 0; i < 2; i++) {
        failing = step;
        while (run_without(&shapes[i], scripts[i])) {
            failing += step;
            tried++;
        }
    }
    printf("note: %llu allocations failed: %llu calls said so, %llu poisoned the stream\n",
           (unsigned long long)tried, (unsigned long long)denied, (unsigned long long)poisoned);
    assert_true(tried > 50 && denied > 30);
}

/* ---- recovery ---- */

/* The power goes in an append, of which some is there. */
static struct stream_machine *crashed(uint64_t seed)
{
    struct stream_machine *machine = malloc(sizeof *machine);
    struct firn_faulty_counts counts;
    assert_non_null(machine);
    stream_machine_init(machine, &shapes[0]);
    assert_int_equal(stream_machine_open(machine), 0);
    for (const char *operation = "ggsLSB"; *operation; operation++)
        assert_int_equal(stream_machine_do(machine, *operation), 0);
    firn_faulty_get_counts(machine->faulty, &counts);
    firn_faulty_crash_at(machine->faulty, counts.mutations + 1);
    assert_int_equal(stream_machine_do(machine, 'L'), FIRN_EPOISONED);
    stream_machine_close(machine);
    assert_int_equal(firn_faulty_restart_random(machine->faulty, seed, NULL), 0);
    return machine;
}

static bool recover_without(uint64_t seed)
{
    struct stream_machine *machine = crashed(seed);
    int rc;
    alloc_fail_in = (int)failing;
    COUNTED(rc, stream_machine_open(machine));
    bool failed = alloc_fail_in == 0;
    alloc_fail_in = 0;
    if (rc < 0)
        check_denied(machine, rc);
    stream_machine_close(machine);
    if (!stream_machine_check_life(machine))
        fail_msg("seed %llu, allocation %llu: %s", (unsigned long long)seed,
                 (unsigned long long)failing, machine->why);
    stream_machine_done(machine);
    free(machine);
    return failed;
}

static void recovery_without_memory(void **state)
{
    (void)state;
    alloc_paused = true;
    for (uint64_t seed = 1; seed <= 6; seed++)
        for (failing = 1; recover_without(seed); failing++)
            ;
    assert_true(failing > 10);
}

int main(void)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_life_fails),
        cmocka_unit_test(recovery_without_memory),
    };
    if (effort && strcmp(effort, "less") == 0)
        step = 3;
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
