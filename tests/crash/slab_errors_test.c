/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a slab fails, as failures.h has it. What is freed or handed out by a call that
 * failed without poison is what it was.
 */
#include "failures.h"
#include "slab_machine.h"

static const struct slab_shape shapes[] = {{16, 0}, {4000, 0}};
static const struct failure_scene scenes[] = {
    {"small", &shapes[0], "nwNmFfgbGesSlokwzRxmFnk", 1},
    {"pages", &shapes[1], "nNmwgbFlmsGoSewkzxmFnk", 3},
};

static bool failed(struct failure_run *run, void *of, char operation, int rc)
{
    struct slab_machine *machine = of;
    (void)operation;
    if (!machine->stack)
        return true;
    if (slab_machine_is_poisoned(machine)) {
        if (failure_is_passing(run))
            return failure_wrong(run, "poisoned", machine->err.message);
        slab_machine_close(machine);
        return true;
    }
    if (rc == FIRN_EPOISONED)
        return failure_wrong(run, "poisoned for a moment", machine->err.message);
    return true;
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &slab_machine_explored,
        .program = "test-crash-slab_errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, NULL, argc, argv);
}
