/* SPDX-License-Identifier: MIT */
/* Changes that read first, or depend on what is there. */
#include <stdlib.h>
#include <string.h>

#include "stack/stack_private.h"

/* What the caller gave, and what a decision makes of it. */
struct compound {
    uint64_t offset, length;
    const void *expected, *bytes;
    size_t size;
    uint64_t zeros, cut;
    void *old; /* what is read */
    bool done;
    firn_stack_replace_fn *replace;
    firn_stack_process_fn *process;
    void *arg;
    struct iovec append;
    struct firn_stack_write write;
};

static void append(struct compound *compound, struct firn_stack_change *change, const void *bytes,
                   size_t size)
{
    compound->append = (struct iovec){(void *)(uintptr_t)bytes, size};
    change->append = &compound->append;
    change->append_count = 1;
}

static void overwrite(struct compound *compound, struct firn_stack_change *change,
                      const void *bytes, size_t size)
{
    compound->write = (struct firn_stack_write){compound->offset, bytes, size};
    change->writes = &compound->write;
    change->write_count = 1;
}

/* The last `size` bytes, with their place. */
static int read_tail(struct firn_stack *stack, uint64_t length, void *buffer, size_t size,
                     struct firn_error *err)
{
    if (size > length)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: the last %zu bytes; it has %llu",
                              stack->path, size, (unsigned long long)length);
    return stack_read_staged(stack, length - size, buffer, size, err);
}

/* ---- the end ---- */

static int decide_splice(void *arg, struct firn_stack *stack, uint64_t length,
                         struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    change->cut = compound->cut;
    append(compound, change, compound->bytes, compound->size);
    return read_tail(stack, length, compound->old, (size_t)compound->cut, err);
}

int firn_stack_splice(struct firn_stack *stack, void *removed, size_t cut, const void *bytes,
                      size_t size, struct firn_error *err)
{
    struct compound compound = {.old = removed, .cut = cut, .bytes = bytes, .size = size};
    return stack_change(stack, decide_splice, &compound, err);
}

int firn_stack_pop(struct firn_stack *stack, void *buffer, size_t size, struct firn_error *err)
{
    return firn_stack_splice(stack, buffer, size, NULL, 0, err);
}

/* ---- only with that length ---- */

static int decide_try(void *arg, struct firn_stack *stack, uint64_t length,
                      struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    (void)stack, (void)err;
    compound->done = length == compound->length;
    if (!compound->done)
        return STACK_NOTHING;
    change->cut = compound->cut;
    change->append_zeros = compound->zeros;
    append(compound, change, compound->bytes, compound->size);
    return 0;
}

static int try_change(struct firn_stack *stack, struct compound *compound, bool *done,
                      struct firn_error *err)
{
    int rc = stack_change(stack, decide_try, compound, err);
    if (rc == 0)
        *done = compound->done;
    return rc;
}

int firn_stack_try_extend(struct firn_stack *stack, uint64_t length, const void *bytes, size_t size,
                          bool *done, struct firn_error *err)
{
    struct compound compound = {.length = length, .bytes = bytes, .size = size};
    return try_change(stack, &compound, done, err);
}

int firn_stack_try_extend_zeros(struct firn_stack *stack, uint64_t length, uint64_t bytes,
                                bool *done, struct firn_error *err)
{
    struct compound compound = {.length = length, .zeros = bytes};
    return try_change(stack, &compound, done, err);
}

int firn_stack_try_discard(struct firn_stack *stack, uint64_t length, uint64_t bytes, bool *done,
                           struct firn_error *err)
{
    struct compound compound = {.length = length, .cut = bytes};
    return try_change(stack, &compound, done, err);
}

/* ---- in place ---- */

static int decide_swap(void *arg, struct firn_stack *stack, uint64_t length,
                       struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    (void)length;
    overwrite(compound, change, compound->bytes, compound->size);
    return stack_read_staged(stack, compound->offset, compound->old, compound->size, err);
}

int firn_stack_swap(struct firn_stack *stack, uint64_t offset, const void *bytes, void *old,
                    size_t size, struct firn_error *err)
{
    struct compound compound = {.offset = offset, .bytes = bytes, .old = old, .size = size};
    return stack_change(stack, decide_swap, &compound, err);
}

static int no_memory(const struct firn_stack *stack, size_t size, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for %zu bytes", stack->path, size);
}

static int decide_cas(void *arg, struct firn_stack *stack, uint64_t length,
                      struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    int rc = decide_swap(arg, stack, length, change, err);
    if (rc < 0)
        return rc;
    compound->done = compound->size == 0 ||
                     memcmp(compound->old, compound->expected, compound->size) == 0;
    return compound->done ? 0 : STACK_NOTHING;
}

int firn_stack_cas(struct firn_stack *stack, uint64_t offset, const void *expected,
                   const void *bytes, size_t size, bool *done, struct firn_error *err)
{
    struct compound compound = {.offset = offset,
                                .expected = expected,
                                .bytes = bytes,
                                .old = malloc(size + 1),
                                .size = size};
    if (!compound.old)
        return no_memory(stack, size, err);
    int rc = stack_change(stack, decide_cas, &compound, err);
    free(compound.old);
    if (rc == 0)
        *done = compound.done;
    return rc;
}

/* ---- by a function of the caller's ---- */

static int ended(const struct firn_stack *stack, int rc, struct firn_error *err)
{
    return firn_error_set(err, rc, 0, "%s: the caller's function ended the change", stack->path);
}

static int decide_replace(void *arg, struct firn_stack *stack, uint64_t length,
                          struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    const void *bytes = NULL;
    size_t size = 0;
    int rc = read_tail(stack, length, compound->old, (size_t)compound->cut, err);
    if (rc < 0)
        return rc;
    rc = compound->replace(compound->arg, compound->old, (size_t)compound->cut, &bytes, &size);
    if (rc != 0)
        return ended(stack, rc, err);
    change->cut = compound->cut;
    append(compound, change, bytes, size);
    return 0;
}

int firn_stack_replace(struct firn_stack *stack, size_t size, firn_stack_replace_fn *replace,
                       void *arg, struct firn_error *err)
{
    struct compound compound = {
        .cut = size, .old = malloc(size + 1), .replace = replace, .arg = arg};
    if (!compound.old)
        return no_memory(stack, size, err);
    int rc = stack_change(stack, decide_replace, &compound, err);
    free(compound.old);
    return rc;
}

static int decide_process(void *arg, struct firn_stack *stack, uint64_t length,
                          struct firn_stack_change *change, struct firn_error *err)
{
    struct compound *compound = arg;
    (void)length;
    int rc = stack_read_staged(stack, compound->offset, compound->old, compound->size, err);
    if (rc < 0)
        return rc;
    rc = compound->process(compound->arg, compound->old, compound->size);
    if (rc != 0)
        return ended(stack, rc, err);
    overwrite(compound, change, compound->old, compound->size);
    return 0;
}

int firn_stack_process(struct firn_stack *stack, uint64_t offset, size_t size,
                       firn_stack_process_fn *process, void *arg, struct firn_error *err)
{
    struct compound compound = {
        .offset = offset, .size = size, .old = malloc(size + 1), .process = process, .arg = arg};
    if (!compound.old)
        return no_memory(stack, size, err);
    int rc = stack_change(stack, decide_process, &compound, err);
    free(compound.old);
    return rc;
}
