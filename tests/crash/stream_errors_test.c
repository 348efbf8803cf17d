/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a stream's life fails, as failures.h has it. A poisoned stream says why, and
 * what was durable can be read; no room for an append, or a part, is an error that passes.
 */
#include <string.h>

#include "failures.h"
#include "stream_machine.h"

static const struct stream_shape shapes[] = {{3, true, false}, {3, false, true}};
static const struct failure_scene scenes[] = {
    {"spans", &shapes[0], "gsbBLpSsWvclsSahxsSkBFsccSS", 1},
    {"apart", &shapes[1], "gpsbzBLSsWvcsahxFsSkzBcS", 1},
};

/* It refuses, and names the first cause. */
static bool check_poison(struct failure_run *run, struct stream_machine *machine)
{
    struct firn_error first = machine->err;
    uint64_t end = firn_stream_end(machine->stream);
    struct stream_model *model = &machine->model;
    int rc = firn_stream_write(machine->stream, model, 10, NULL, &machine->err);
    if (rc != FIRN_EPOISONED)
        return failure_wrong(run, "poison does not stay", firn_error_name(rc));
    if (strcmp(first.message, machine->err.message) != 0)
        return failure_wrong(run, "poison changes its cause", machine->err.message);
    if (firn_stream_end(machine->stream) != end)
        return failure_wrong(run, "more can be read", "after it was poisoned");
    return stream_machine_check_reads(machine) ||
           failure_wrong(run, "a poisoned stream", machine->why);
}

static bool failed(struct failure_run *run, void *of, char operation, int rc)
{
    struct stream_machine *machine = of;
    if (operation == 'l' && machine->stream && stream_machine_do(machine, 'l') < 0)
        stream_machine_close(machine); /* what could not be loaded can be loaded again */
    bool is_poisoned = stream_machine_is_poisoned(machine);
    if (failure_is_passing(run) && (is_poisoned || rc == FIRN_EPOISONED))
        return failure_wrong(run, "poisoned by what passes", machine->err.message);
    if (machine->broken[0])
        return failure_wrong(run, "an operation", machine->broken);
    bool appending = strchr("sbBLFSW", operation) != NULL;
    if (is_poisoned && appending && rc == FIRN_EPOISONED && !check_poison(run, machine))
        return false;
    if (machine->stream && is_poisoned)
        stream_machine_close(machine);
    return true;
}

int main(int argc, char **argv)
{
    const struct failures failures = {
        .ops = &stream_machine_explored,
        .program = "test-crash-stream_errors",
        .scenes = scenes,
        .scene_count = sizeof scenes / sizeof *scenes,
        .failed = failed,
    };
    return failures_main(&failures, NULL, argc, argv);
}
