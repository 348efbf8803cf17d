/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a stack fails, as failures.h has it. A poisoned stack says why, and what is
 * durable can be read; a change that fails without poison has changed nothing.
 */
#include <string.h>

#include "failures.h"
#include "stack_machine.h"

static const char script[] = "pxosMaSzbMMbPeDfkwcrRmMMEbMCndkPMkp";
static const struct stack_shape shapes[] = {{0, 0, false}, {12000, 0, false}, {0, 0, true}};
static const struct failure_scene scenes[] = {
    {"small", &shapes[0], script, 1},
    {"pages", &shapes[1], script, 2},
    {"single", &shapes[2], "pPxodkefDEnkpdP", 1},
};

/* A poisoned stack refuses, and names the first cause. */
static bool check_poison(struct failure_run *run, struct stack_machine *machine)
{
    struct firn_error first = machine->err, again = {0};
    int rc = firn_stack_push(machine->stack, "x", 1, NULL, &again);
    if (rc != FIRN_EPOISONED)
        return failure_wrong(run, "poison does not stay", firn_error_name(rc));
    if (first.code == FIRN_EPOISONED && strcmp(first.message, again.message) != 0)
        return failure_wrong(run, "poison changes its cause", again.message);
    return true;
}

static bool failed(struct failure_run *run, void *of, char operation, int rc)
{
    struct stack_machine *machine = of;
    (void)operation;
    if (!machine->stack)
        return true;
    if (stack_machine_is_poisoned(machine)) {
        if (failure_is_passing(run))
            return failure_wrong(run, "poisoned", machine->err.message);
        if (!check_poison(run, machine))
            return false;
        stack_machine_close(machine);
        return true;
    }
    if (rc == FIRN_EPOISONED)
        return failure_wrong(run, "poisoned for a moment", machine->err.message);
    return true;
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &stack_machine_explored,
        .program = "test-crash-stack_errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, NULL, argc, argv);
}
