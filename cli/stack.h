/* SPDX-License-Identifier: MIT */
/* What the parts of firn stack share: the call, and the stack that it is about. */
#ifndef CLI_STACK_H
#define CLI_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include <firn/stack.h>

#include "figures.h"

struct stack_options {
    struct number from;
    bool json, create, quiet;
};

struct stack_call {
    struct stack_options options;
    const char *file;
    const char *bytes; /* the operand behind the file, or NULL */
    struct firn_stack *stack;
};

/* All of them: STATUS_... (report.h), all being said. */
int stack_open_to_read(struct stack_call *call);
/* With room for a change of so many bytes. */
int stack_open_to_write(struct stack_call *call, uint64_t bytes);
/* Releases what was opened. A failure to close is one of the whole. */
int stack_close(struct stack_call *call, int status);

/* The library's message, and what to do. */
int stack_report(const struct firn_error *err);

/* ---- what can be done ---- */

int stack_push(struct stack_call *call);
int stack_pop(struct stack_call *call);
int stack_peek(struct stack_call *call);
int stack_info(struct stack_call *call);
int stack_verify(struct stack_call *call);

#endif
