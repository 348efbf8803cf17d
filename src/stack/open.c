/* SPDX-License-Identifier: MIT */
/* A stack's handle: options, opening, closing. */
#include <stdlib.h>
#include <string.h>

#include "stack/stack_private.h"

enum { POOL_LEAST = 34 * 1024 * 1024, POOL_MARGIN = 1024 * 1024 };

/* ---- opening ---- */

static int check_options(const char *path, const struct firn_stack_options *options,
                         struct firn_error *err)
{
    uint64_t bytes = options->journal_bytes;
    if (bytes && bytes < JOURNAL_BYTES_LEAST)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: journal_bytes is %llu; the least is %llu",
                              path, (unsigned long long)bytes,
                              (unsigned long long)JOURNAL_BYTES_LEAST);
    if (bytes > STACK_MOST)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: journal_bytes is too large", path);
    return options->disk ? disk_check(options->disk, err) : 0;
}

/* A pool that holds what the journal allows; it is taken as needed. */
static uint64_t pool_bytes(const struct firn_stack_options *options)
{
    uint64_t half = options->journal_bytes / 2;
    return half + POOL_MARGIN + half / 256 > POOL_LEAST ? half + POOL_MARGIN + half / 256
                                                        : POOL_LEAST;
}

static int open_journal(struct firn_stack *stack, const struct firn_stack_options *options,
                        struct firn_error *err)
{
    const struct journal_options own = {
        .path = stack->path,
        .disk = stack->disk,
        .env = options->env,
        .read_only = options->read_only,
        .must_exist = options->must_exist,
        .journal_bytes = options->journal_bytes,
        .pool_bytes = pool_bytes(options),
        .length = STACK_HEADER,
        .may_create = true,
    };
    return journal_open(&own, &stack_kind, stack, &stack->journal, err);
}

static void free_stack(struct firn_stack *stack)
{
    lock_done(&stack->change_lock);
    free(stack->path);
    free(stack);
}

static struct firn_stack *new_stack(const char *path, const struct firn_stack_options *options)
{
    struct firn_stack *stack = calloc(1, sizeof *stack);
    if (!stack)
        return NULL;
    stack->path = strdup(path);
    stack->disk = options->disk ? options->disk : firn_disk_posix();
    stack->read_only = options->read_only;
    lock_init(&stack->change_lock);
    if (stack->path)
        return stack;
    free_stack(stack);
    return NULL;
}

int firn_stack_open(const char *path, const struct firn_stack_options *options,
                    struct firn_stack **out, struct firn_error *err)
{
    static const struct firn_stack_options none = {0};
    if (!options)
        options = &none;
    if (!path || !*path || !out)
        return firn_error_set(err, FIRN_EINVAL, 0, "no file given");
    int rc = check_options(path, options, err);
    if (rc < 0)
        return rc;
    struct firn_stack *stack = new_stack(path, options);
    if (!stack)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to open it", path);
    rc = options->no_journal ? single_open(stack, options, err) : open_journal(stack, options, err);
    if (rc < 0) {
        free_stack(stack);
        return rc;
    }
    *out = stack;
    return 0;
}

/* ---- closing ---- */

int firn_stack_close(struct firn_stack *stack, struct firn_error *err)
{
    if (!stack)
        return 0;
    int rc = stack->journal ? journal_close(stack->journal, err) : single_close(stack, err);
    free_stack(stack);
    return rc;
}

int firn_stack_destroy(struct firn_stack *stack, struct firn_error *err)
{
    int rc;
    if (stack->journal) {
        rc = journal_destroy(stack->journal, err);
    } else if (stack->read_only) {
        single_close(stack, NULL);
        rc = firn_error_set(err, FIRN_EREADONLY, 0, "opened read-only: not destroyed");
    } else {
        rc = single_destroy(stack, err);
    }
    free_stack(stack);
    return rc;
}

/* ---- who is inside ---- */

int stack_enter(struct firn_stack *stack, struct firn_error *err)
{
    if (stack->journal)
        return journal_enter(stack->journal, err);
    if (gate_enter(&stack->single.gate))
        return 0;
    int rc = firn_error_set(err, FIRN_ECLOSED, 0, "%s: it is being closed", stack->path);
    gate_leave(&stack->single.gate);
    return rc;
}

void stack_leave(struct firn_stack *stack)
{
    if (stack->journal)
        journal_leave(stack->journal);
    else
        gate_leave(&stack->single.gate);
}

int stack_writable(const struct firn_stack *stack, struct firn_error *err)
{
    if (!stack->read_only)
        return 0;
    return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", stack->path);
}
