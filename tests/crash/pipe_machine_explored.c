/* SPDX-License-Identifier: MIT */
/* The pipe's machine, as campaigns see it. */
#include "pipe_machine.h"

static void init(void *machine, const void *kind)
{
    pipe_machine_init(machine, kind);
}

static void copy(const void *from, void *to)
{
    pipe_machine_copy(from, to);
}

static void take_model(void *machine, const void *from)
{
    struct pipe_machine *taker = machine;
    pipe_model_done(&taker->model);
    pipe_model_copy(&((const struct pipe_machine *)from)->model, &taker->model);
}

static void done(void *machine)
{
    pipe_machine_done(machine);
}

static int open_pipe(void *machine)
{
    return pipe_machine_open(machine);
}

static int close_pipe(void *machine)
{
    return pipe_machine_close(machine);
}

static int operate(void *machine, char operation)
{
    return pipe_machine_do(machine, operation);
}

static bool check(void *machine)
{
    return pipe_machine_check(machine);
}

static bool check_life(void *machine)
{
    return pipe_machine_check_life(machine);
}

static struct firn_faulty *faulty_of(const void *machine)
{
    return ((const struct pipe_machine *)machine)->faulty;
}

static uint64_t digest(const void *machine)
{
    return pipe_model_digest(&((const struct pipe_machine *)machine)->model);
}

static const char *why(const void *machine)
{
    return ((const struct pipe_machine *)machine)->why;
}

static struct firn_error *error(void *machine)
{
    return &((struct pipe_machine *)machine)->err;
}

static bool check_leaks(void *machine)
{
    return pipe_machine_check_leaks(machine);
}

static bool is_open(const void *machine)
{
    return ((const struct pipe_machine *)machine)->pipe != NULL;
}

static size_t possible(const void *machine)
{
    return ((const struct pipe_machine *)machine)->model.count;
}

static bool check_read_only(void *machine)
{
    return pipe_machine_check_read_only(machine);
}

const struct explore_ops pipe_machine_explored = {
    .machine_bytes = sizeof(struct pipe_machine),
    .init = init,
    .copy = copy,
    .take_model = take_model,
    .done = done,
    .open = open_pipe,
    .close = close_pipe,
    .operate = operate,
    .check = check,
    .check_life = check_life,
    .check_read_only = check_read_only,
    .check_leaks = check_leaks,
    .is_open = is_open,
    .possible = possible,
    .faulty = faulty_of,
    .digest = digest,
    .why = why,
    .error = error,
};
