/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a log fails, as failures.h has it. A poisoned log says why; a full disk is no
 * more than an error that passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "failures.h"
#include "machine.h"

static const char script[] = "aagpfrngtawcgrbavfundagnzuckucxanvgsardxscagraygtyc";
static const enum firn_durability durabilities[] = {FIRN_DURABILITY_EACH, FIRN_DURABILITY_GROUP,
                                                    FIRN_DURABILITY_OS};
static const struct failure_scene scenes[] = {
    {"each", &durabilities[0], script, 1},
    {"group", &durabilities[1], script, 1},
    {"os", &durabilities[2], script, 1},
};

/* A poisoned log refuses, and names the first cause. */
static bool check_poison(struct failure_run *run, struct machine *machine)
{
    struct firn_error first = machine->err;
    int rc = machine_only(machine, 'a', 0);
    if (rc != FIRN_EPOISONED)
        return failure_wrong(run, "poison does not stay", firn_error_name(rc));
    if (strcmp(first.message, machine->err.message) != 0)
        return failure_wrong(run, "poison changes its cause", machine->err.message);
    rc = firn_log_flush(machine->log, &machine->err);
    return rc == FIRN_EPOISONED ||
           failure_wrong(run, "flush of a poisoned log", firn_error_name(rc));
}

static bool failed(struct failure_run *run, void *of, char operation, int rc)
{
    struct machine *machine = of;
    if (rc != FIRN_EPOISONED || operation == 'c')
        return true;
    if (!check_poison(run, machine))
        return false;
    machine_close(machine);
    return true;
}

/* Without closing it, the log goes on when there is room again. */
static void full_disk_passes(void **state)
{
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        struct machine machine;
        struct firn_faulty_counts counts;
        machine_init(&machine, (enum firn_durability)mode, 64 * 1024);
        assert_int_equal(machine_open(&machine), 0);
        assert_int_equal(machine_do(&machine, 'a'), 0);
        for (int round = 0; round < 4; round++) {
            firn_faulty_get_counts(machine.faulty, &counts);
            firn_faulty_set_capacity(machine.faulty, counts.used + 8192);
            int rc = 0, appended = 0;
            for (; rc == 0 && appended < 200; appended++)
                rc = machine_only(&machine, 'a', 4000);
            assert_int_equal(rc, FIRN_ENOSPC);
            assert_int_equal(machine_only(&machine, 'r', 0), FIRN_ENOSPC);
            machine_background(&machine);
            firn_faulty_set_capacity(machine.faulty, UINT64_MAX);
            assert_int_equal(machine_do(&machine, 'a'), 0);
            assert_int_equal(machine_do(&machine, 'r'), 0);
            assert_int_equal(machine_do(&machine, 'f'), 0);
        }
        assert_int_equal(machine_close(&machine), 0);
        if (!machine_check_life(&machine))
            fail_msg("%s: %s", scenes[mode].name, machine.why);
        machine_done(&machine);
    }
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &machine_explored,
        .program = "test-crash-errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, full_disk_passes, argc, argv);
}
