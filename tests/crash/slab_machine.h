/* SPDX-License-Identifier: MIT */
/* A simulated machine with one slab on it, and the model of what that slab must hold. */
#ifndef TESTS_CRASH_SLAB_MACHINE_H
#define TESTS_CRASH_SLAB_MACHINE_H

#include <firn/faulty.h>

#include "explore.h"
#include "slab_model.h"

#define SLAB_MACHINE_PATH "slab"

struct slab_shape {
    uint64_t block_size;
    uint64_t journal_bytes; /* 0: the least */
};

/*
 * What is acknowledged; and, where a change failed and may have happened nevertheless, or is about
 * to be made, what it leaves.
 */
struct slab_machine {
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_stack *stack;
    struct firn_slab *slab;
    struct slab_model held, after;
    bool unknown;     /* it may be `after` */
    bool used;        /* that it was created is known to somebody */
    uint64_t counter; /* changes ever tried */
    struct slab_shape shape;
    struct firn_error err; /* of the last call that failed */
    char why[700];         /* what is wrong, where a check said false */
};

/* Beside those of slab_model.h: b background work; k close and open again. */
#define SLAB_MACHINE_OPERATIONS SLAB_OPERATIONS "bk"

/* Its kind is a struct slab_shape. */
extern const struct explore_ops slab_machine_explored;

void slab_machine_init(struct slab_machine *machine, const struct slab_shape *shape);
void slab_machine_done(struct slab_machine *machine);

/* Opens the slab, or creates it where the stack is empty. */
int slab_machine_open(struct slab_machine *machine);
/* Closes, if it is open; the result is that of firn_stack_close. */
int slab_machine_close(struct slab_machine *machine);
/* Does one operation. 0, or what the call returned. */
int slab_machine_do(struct slab_machine *machine, char operation);
bool slab_machine_is_poisoned(struct slab_machine *machine);

/*
 * After opening: what may be there, which becomes the model; the list is whole, every block is
 * free or of one slice, and the slab knows which.
 */
bool slab_machine_check(struct slab_machine *machine);
/* Opened for reading only, it is what opening it for writing will find. */
bool slab_machine_check_read_only(struct slab_machine *machine);
/* Opens, checks, changes, closes, opens again. Leaves it closed. Nothing may be left open. */
bool slab_machine_check_life(struct slab_machine *machine);

#endif
