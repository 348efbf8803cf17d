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

/* The same, for who holds the stack. */
struct stack_step {
    stack_decide *decide;
    /* After `decide`, before anybody else's: whether its change is staged. NULL: nothing. */
    void (*settle)(void *arg, bool staged);
    void *arg;
    const void *holder;
};
int stack_step(struct firn_stack *stack, const struct stack_step *step, struct firn_error *err);

/* Lets `look`, which changes nothing, see what a decision would; in a read-only stack too. */
int stack_observe(struct firn_stack *stack, stack_decide *look, void *arg, struct firn_error *err);

/*
 * From now on the holder alone changes the length (FIRN_EBUSY for others). FIRN_EBUSY: somebody
 * holds the stack; FIRN_ENOTSUP: it is changed without a journal, so not in several places at once.
 */
int stack_hold(struct firn_stack *stack, const void *holder, struct firn_error *err);
void stack_let_go(struct firn_stack *stack);

/* For messages. */
const char *stack_path(const struct firn_stack *stack);
/* Most bytes that a change with so many ranges can carry. */
uint64_t stack_most(const struct firn_stack *stack, size_t ranges);

/* Within a decision. FIRN_ERANGE: beyond the end. */
int stack_read_staged(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                      struct firn_error *err);

#endif
