/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a pipe fails, as failures.h has it. A poisoned pipe says why; no room for a
 * change is no more than an error that passes.
 */
#include <string.h>

#include "failures.h"
#include "pipe_machine.h"

static const char script[] = "wWmtTbgwdfcpogWLLLbLwTgcaLtfLbmgLcdT";
static const struct pipe_shape shapes[] = {
    {16, 12, 0, false},
    {600, 40, 0, false},
    {65536, 20, UINT64_C(8) << 20, false},
};
static const struct failure_scene scenes[] = {
    {"small", &shapes[0], script, 1},
    {"pages", &shapes[1], script, 1},
    {"parts", &shapes[2], "TLgLbwLcL", 3}, /* groups that are written in parts */
};

/* A poisoned pipe refuses, and names the first cause; what is durable can still be read. */
static bool check_poison(struct failure_run *run, struct pipe_machine *machine)
{
    struct firn_error first = machine->err;
    int rc = pipe_machine_write(machine, 0, 1);
    if (rc != FIRN_EPOISONED)
        return failure_wrong(run, "poison does not stay", firn_error_name(rc));
    if (strcmp(first.message, machine->err.message) != 0)
        return failure_wrong(run, "poison changes its cause", machine->err.message);
    uint64_t durable = firn_pipe_durable_epoch(machine->pipe);
    pipe_machine_background(machine);
    if (firn_pipe_durable_epoch(machine->pipe) != durable)
        return failure_wrong(run, "more became durable", "after it was poisoned");
    rc = firn_pipe_flush(machine->pipe, &machine->err);
    return rc == FIRN_EPOISONED ||
           failure_wrong(run, "flush of a poisoned pipe", firn_error_name(rc));
}

static bool failed(struct failure_run *run, void *of, char operation, int rc)
{
    struct pipe_machine *machine = of;
    bool is_poisoned = machine->pipe && firn_pipe_flush(machine->pipe, NULL) == FIRN_EPOISONED;
    if (failure_is_passing(run) && (is_poisoned || rc == FIRN_EPOISONED))
        return failure_wrong(run, "poisoned by what passes", machine->err.message);
    if (!is_poisoned)
        return true;
    if (rc == FIRN_EPOISONED && operation != 'c' && !check_poison(run, machine))
        return false;
    pipe_machine_close(machine);
    return true;
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &pipe_machine_explored,
        .program = "test-crash-pipe_errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, NULL, argc, argv);
}
