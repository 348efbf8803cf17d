/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a sequence's life fails, as failures.h has it. What is poisoned is closed; what
 * is not has changed nothing.
 */
#include "crash/failures.h"
#include "machine.h"

static const char script[] = "aaesegpalgrcsgealrrgcaesrg";
static const struct machine_shape small = {.blocks = 20, .env = true};
static const struct machine_shape large = {.blocks = 700, .env = true}; /* 'l' takes two chunks */
static const struct failure_scene scenes[] = {
    {"small", &small, script, 1},
    {"large", &large, script, 11},
};

static bool failed(struct failure_run *run, void *machine, char operation, int rc)
{
    struct machine *m = machine;
    if (failure_is_passing(run) && rc == FIRN_EPOISONED)
        return failure_wrong(run, "poisoned by what passes", m->err.message);
    if (rc == FIRN_EPOISONED || operation == 'c')
        machine_close(m);
    else
        m->model.maybe_next = false;
    return true;
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &machine_ops,
        .program = "test-blocks-errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, NULL, argc, argv);
}
