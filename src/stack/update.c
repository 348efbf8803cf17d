/* SPDX-License-Identifier: MIT */
/* Changes that are one thing: at the end, or in place. */
#include "stack/stack_private.h"

/* What is changed is known before; `offset` is where the end was, without what is cut off. */
struct simple {
    struct firn_stack_change change;
    uint64_t offset;
};

static int decide(void *arg, struct firn_stack *stack, uint64_t length,
                  struct firn_stack_change *change, struct firn_error *err)
{
    struct simple *simple = arg;
    (void)stack, (void)err;
    *change = simple->change;
    simple->offset = length - change->cut; /* of no matter where that is too much */
    return 0;
}

int firn_stack_apply(struct firn_stack *stack, const struct firn_stack_change *change,
                     uint64_t *offset, struct firn_error *err)
{
    struct simple simple = {.change = *change};
    int rc = stack_change(stack, decide, &simple, err);
    if (rc == 0 && offset)
        *offset = simple.offset;
    return rc;
}

int firn_stack_push(struct firn_stack *stack, const void *bytes, size_t size, uint64_t *offset,
                    struct firn_error *err)
{
    const struct iovec buffer = {(void *)(uintptr_t)bytes, size};
    const struct firn_stack_change change = {.append = &buffer, .append_count = 1};
    return firn_stack_apply(stack, &change, offset, err);
}

int firn_stack_extend(struct firn_stack *stack, uint64_t bytes, uint64_t *offset,
                      struct firn_error *err)
{
    const struct firn_stack_change change = {.append_zeros = bytes};
    return firn_stack_apply(stack, &change, offset, err);
}

int firn_stack_discard(struct firn_stack *stack, uint64_t bytes, struct firn_error *err)
{
    const struct firn_stack_change change = {.cut = bytes};
    return firn_stack_apply(stack, &change, NULL, err);
}

int firn_stack_atrunc(struct firn_stack *stack, uint64_t cut, const void *bytes, size_t size,
                      struct firn_error *err)
{
    const struct iovec buffer = {(void *)(uintptr_t)bytes, size};
    const struct firn_stack_change change = {.cut = cut, .append = &buffer, .append_count = 1};
    return firn_stack_apply(stack, &change, NULL, err);
}

static int write_range(struct firn_stack *stack, uint64_t offset, const void *bytes, uint64_t size,
                       struct firn_error *err)
{
    const struct firn_stack_write write = {offset, bytes, size};
    const struct firn_stack_change change = {.writes = &write, .write_count = 1};
    return firn_stack_apply(stack, &change, NULL, err);
}

int firn_stack_set(struct firn_stack *stack, uint64_t offset, const void *bytes, size_t size,
                   struct firn_error *err)
{
    return write_range(stack, offset, bytes, size, err);
}

int firn_stack_zero(struct firn_stack *stack, uint64_t offset, uint64_t bytes,
                    struct firn_error *err)
{
    return write_range(stack, offset, NULL, bytes, err);
}
