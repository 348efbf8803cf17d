/* SPDX-License-Identifier: MIT */
/* The log's machine, as campaigns see it. */
#include "machine.h"

static void init(void *machine, const void *kind)
{
    machine_init(machine, *(const enum firn_durability *)kind, MACHINE_SEGMENT);
}

static void copy(const void *from, void *to)
{
    machine_copy(from, to);
}

static void take_model(void *machine, const void *from)
{
    struct machine *taker = machine;
    model_done(&taker->model);
    model_copy(&((const struct machine *)from)->model, &taker->model);
}

static void done(void *machine)
{
    machine_done(machine);
}

static int open_log(void *machine)
{
    return machine_open(machine);
}

static int close_log(void *machine)
{
    return machine_close(machine);
}

static int operate(void *machine, char operation)
{
    return machine_do(machine, operation);
}

static bool check(void *machine)
{
    return machine_check(machine);
}

static bool check_life(void *machine)
{
    return machine_check_life(machine);
}

static struct firn_faulty *faulty_of(const void *machine)
{
    return ((const struct machine *)machine)->faulty;
}

static uint64_t digest(const void *machine)
{
    return model_digest(&((const struct machine *)machine)->model);
}

static const char *why(const void *machine)
{
    return ((const struct machine *)machine)->why;
}

static struct firn_error *error(void *machine)
{
    return &((struct machine *)machine)->err;
}

static bool check_leaks(void *machine)
{
    return machine_check_leaks(machine);
}

static bool is_open(const void *machine)
{
    return ((const struct machine *)machine)->log != NULL;
}

static size_t possible(const void *machine)
{
    return ((const struct machine *)machine)->model.count;
}

const struct explore_ops machine_explored = {
    .machine_bytes = sizeof(struct machine),
    .init = init,
    .copy = copy,
    .take_model = take_model,
    .done = done,
    .open = open_log,
    .close = close_log,
    .operate = operate,
    .check = check,
    .check_life = check_life,
    .check_leaks = check_leaks,
    .is_open = is_open,
    .possible = possible,
    .faulty = faulty_of,
    .digest = digest,
    .why = why,
    .error = error,
};
