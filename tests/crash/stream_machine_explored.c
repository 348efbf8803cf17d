/* SPDX-License-Identifier: MIT */
/* The stream's machine, as campaigns see it. */
#include "stream_machine.h"

static void init(void *machine, const void *kind)
{
    stream_machine_init(machine, kind);
}

static void copy(const void *from, void *to)
{
    stream_machine_copy(from, to);
}

static void take_model(void *machine, const void *from)
{
    stream_model_copy(&((const struct stream_machine *)from)->model,
                      &((struct stream_machine *)machine)->model);
    ((struct stream_machine *)machine)->cut_seen = true; /* by a recovery that was interrupted */
}

static void done(void *machine)
{
    stream_machine_done(machine);
}

static int open_stream(void *machine)
{
    return stream_machine_open(machine);
}

static int close_stream(void *machine)
{
    return stream_machine_close(machine);
}

static int operate(void *machine, char operation)
{
    return stream_machine_do(machine, operation);
}

static bool check(void *machine)
{
    return stream_machine_check(machine);
}

static bool check_life(void *machine)
{
    return stream_machine_check_life(machine);
}

static struct firn_faulty *faulty_of(const void *machine)
{
    return ((const struct stream_machine *)machine)->faulty;
}

static uint64_t digest(const void *machine)
{
    return stream_model_digest(&((const struct stream_machine *)machine)->model);
}

static const char *why(const void *machine)
{
    return ((const struct stream_machine *)machine)->why;
}

static struct firn_error *error(void *machine)
{
    return &((struct stream_machine *)machine)->err;
}

static bool check_leaks(void *machine)
{
    return stream_machine_check_leaks(machine);
}

static bool is_open(const void *machine)
{
    return ((const struct stream_machine *)machine)->stream != NULL;
}

static size_t possible(const void *machine)
{
    return stream_model_possible(&((const struct stream_machine *)machine)->model);
}

static bool check_read_only(void *machine)
{
    return stream_machine_check_read_only(machine);
}

const struct explore_ops stream_machine_explored = {
    .machine_bytes = sizeof(struct stream_machine),
    .init = init,
    .copy = copy,
    .take_model = take_model,
    .done = done,
    .open = open_stream,
    .close = close_stream,
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
