/* SPDX-License-Identifier: MIT */
/* A simulated machine with one stack on it, and the model of what that stack must hold. */
#ifndef TESTS_CRASH_STACK_MACHINE_H
#define TESTS_CRASH_STACK_MACHINE_H

#include <firn/faulty.h>

#include "explore.h"
#include "stack_model.h"

#define STACK_MACHINE_PATH "stack"

struct stack_shape {
    uint64_t length;        /* that it is given when it is created */
    uint64_t journal_bytes; /* 0: the least */
    bool no_journal;
};

/*
 * What is acknowledged; and, where a change failed and may have happened nevertheless, or is about
 * to be made, what it leaves.
 */
struct stack_machine {
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_stack *stack;
    struct content held, after;
    bool unknown;     /* it may be `after` */
    uint64_t counter; /* changes ever tried */
    struct stack_shape shape;
    struct firn_error err; /* of the last call that failed */
    char why[700];         /* what is wrong, where a check said false */
};

/* Beside those of stack_model.h: b background work; k close and open again. */
#define STACK_MACHINE_OPERATIONS STACK_OPERATIONS "bk"

/* Its kind is a struct stack_shape. */
extern const struct explore_ops stack_machine_explored;

void stack_machine_init(struct stack_machine *machine, const struct stack_shape *shape);
void stack_machine_done(struct stack_machine *machine);

int stack_machine_open(struct stack_machine *machine);
/* Closes, if it is open; the result is that of firn_stack_close. */
int stack_machine_close(struct stack_machine *machine);
/* Does one operation. 0, or what the call returned. */
int stack_machine_do(struct stack_machine *machine, char operation);
bool stack_machine_is_poisoned(struct stack_machine *machine);

/* It reads as the model has it. */
bool stack_machine_check_reads(struct stack_machine *machine);
/* After opening: what may be there, which becomes the model; it verifies. */
bool stack_machine_check(struct stack_machine *machine);
/* Opened for reading only, it is what opening it for writing will find, and nothing changes. */
bool stack_machine_check_read_only(struct stack_machine *machine);
/*
 * Closed: another implementation opens the file, if it does, and finds what may be there; it cuts
 * the end or appends, and may leave the file longer than its header says.
 */
bool stack_machine_use_otherwise(struct stack_machine *machine);
/* Opens, checks, changes, closes, opens again. Leaves it closed. Nothing may be left open. */
bool stack_machine_check_life(struct stack_machine *machine);

#endif
