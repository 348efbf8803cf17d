/* SPDX-License-Identifier: MIT */
/* For what is built on a stack: holding it, and looking at it. */
#include "stack/stack_private.h"

int stack_hold(struct firn_stack *stack, const void *holder, struct firn_error *err)
{
    int rc = 0;
    if (!stack->journal && !stack->read_only)
        return firn_error_set(err, FIRN_ENOTSUP, 0, "%s: a slab needs a stack with a journal",
                              stack->path);
    lock_take(&stack->change_lock);
    if (stack->holder)
        rc = firn_error_set(err, FIRN_EBUSY, 0, "%s: a slab is open in it already", stack->path);
    else
        stack->holder = holder;
    lock_release(&stack->change_lock);
    return rc;
}

void stack_let_go(struct firn_stack *stack)
{
    lock_take(&stack->change_lock);
    stack->holder = NULL;
    lock_release(&stack->change_lock);
}

int stack_observe(struct firn_stack *stack, stack_decide *look, void *arg, struct firn_error *err)
{
    struct firn_stack_change none = {0};
    if (!stack->read_only)
        return stack_change(stack, look, arg, err);
    int rc = stack_enter(stack, err);
    if (rc < 0)
        return rc;
    rc = look(arg, stack, firn_stack_length(stack), &none, err);
    stack_leave(stack);
    return rc == STACK_NOTHING ? 0 : rc;
}

const char *stack_path(const struct firn_stack *stack)
{
    return stack->path;
}

uint64_t stack_most(const struct firn_stack *stack, size_t ranges)
{
    return stack->journal ? journal_most(stack->journal, ranges) : UINT64_MAX;
}
