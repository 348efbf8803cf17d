/* SPDX-License-Identifier: MIT */
/* A simulated machine with one pipe on it, and the model of what that pipe must hold. */
#ifndef TESTS_CRASH_PIPE_MACHINE_H
#define TESTS_CRASH_PIPE_MACHINE_H

#include <firn/faulty.h>
#include <firn/pipe.h>

#include "explore.h"
#include "pipe_model.h"

#define PIPE_MACHINE_PATH "pipe"
#define PIPE_MACHINE_JOURNAL "pipe.journal"

struct pipe_shape {
    uint64_t chunk_bytes, chunks;
    uint64_t journal_bytes; /* 0: the least */
    bool refuse;            /* when the journal is full */
};

struct pipe_machine {
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_pipe *pipe;
    struct pipe_model model;
    struct pipe_shape shape;
    struct firn_error err; /* of the last call that failed */
    char why[700];         /* what is wrong, where a check said false */
};

/*
 * Operations, by letter. Staged only: w write one chunk; m write several, in several buffers; t a
 * transaction of three places, one of them twice; d two transactions, which overlap (in one group);
 * p a transaction, and then a plain write to one of its chunks. Durable: W, T write and transaction
 * that are waited for; g grow; f flush; o force the last epoch. L write as much as half of the
 * journal holds and wait, so that the ring turns. b background work; c close and open again; a
 * begin a transaction and abandon it. Where the journal refuses when it is full: R write until it
 * does, and try to grow then.
 */
#define PIPE_MACHINE_OPERATIONS "wmtdpWTgfcb"

/* Its kind is a struct pipe_shape. */
extern const struct explore_ops pipe_machine_explored;

void pipe_machine_init(struct pipe_machine *machine, const struct pipe_shape *shape);
/* A copy of storage and model, with nothing open. */
void pipe_machine_copy(const struct pipe_machine *from, struct pipe_machine *to);
void pipe_machine_done(struct pipe_machine *machine);

int pipe_machine_open(struct pipe_machine *machine);
/* Closes, if it is open; the result is that of firn_pipe_close. */
int pipe_machine_close(struct pipe_machine *machine);
/* Does one operation. 0, or what the call returned. */
int pipe_machine_do(struct pipe_machine *machine, char operation);
int pipe_machine_grow(struct pipe_machine *machine, uint64_t chunks);
/* Writes `count` chunks from `index` on; staged only. */
int pipe_machine_write(struct pipe_machine *machine, uint64_t index, uint64_t count);
void pipe_machine_background(struct pipe_machine *machine);
/* Learns what is durable. */
void pipe_machine_acknowledge(struct pipe_machine *machine);

/* What is staged, and what is durable, reads as the model has it. */
bool pipe_machine_check_reads(struct pipe_machine *machine);
/* After opening: one of the states that may be there; it verifies; it becomes the model. */
bool pipe_machine_check(struct pipe_machine *machine);
/* Opened for reading only, it is what opening it for writing will find, and nothing changes. */
bool pipe_machine_check_read_only(struct pipe_machine *machine);
/* Opens, checks, writes, closes, opens again. Leaves it closed. Nothing may be left open. */
bool pipe_machine_check_life(struct pipe_machine *machine);
bool pipe_machine_check_leaks(struct pipe_machine *machine);

#endif
