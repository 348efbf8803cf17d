/* SPDX-License-Identifier: MIT */
/* What is built on a stack: changes that depend on what all changes before them left. */
#ifndef STACK_STACK_H
#define STACK_STACK_H

#include <firn/stack.h>

enum { STACK_NOTHING = -1000 }; /* no result of anything else */

/*
 * Fills `*change`, which is zeroed. Called by one thread at a time, without another change in
 * between; `length` and stack_read_staged tell what all changes before it left, durable or not.
 * STACK_NOTHING: there is nothing to do. What else is not 0 is the result.
 */
typedef int stack_decide(void *arg, struct firn_stack *stack, uint64_t length,
                         struct firn_stack_change *change, struct firn_error *err);

/*
 * Makes the change that `decide` decides on, durably. Where it is none, or refused, what that
 * depends on is durable on return. The errors are those of firn_stack_apply.
 */
int stack_change(struct firn_stack *stack, stack_decide *decide, void *arg, struct firn_error *err);

/* Within a decision. FIRN_ERANGE: beyond the end. */
int stack_read_staged(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                      struct firn_error *err);

#endif
