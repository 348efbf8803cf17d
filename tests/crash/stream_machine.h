/* SPDX-License-Identifier: MIT */
/* A simulated machine with one stream on a sequence of files, and the model of what it must hold.
 */
#ifndef TESTS_CRASH_STREAM_MACHINE_H
#define TESTS_CRASH_STREAM_MACHINE_H

#include <firn/env.h>
#include <firn/faulty.h>
#include <firn/stream.h>

#include "explore.h"
#include "stream_model.h"

struct stream_shape {
    uint32_t blocks; /* of a part */
    bool spans;      /* appends go on in the next part */
    bool env;        /* with background work, done by 'z' */
};

struct stream_machine {
    const struct stream_shape *shape;
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
    struct stream_model model;
    unsigned opened;       /* how often; every other time with a look at every block */
    bool cut_seen;         /* by who only read: opening to write cuts it, too */
    bool notes_stay;       /* what a close that failed has cleared is in the cache only, perhaps */
    struct firn_error err; /* of the last call that failed */
    char why[700];         /* what is wrong, where a check said false */
    char broken[200];      /* what was wrong during an operation */
};

/*
 * Operations, by letter. Appends, which grow the stream where there is no room: s of 100 bytes; b
 * what fills the block; B 700 bytes more than that; L into the third block; H 550 blocks, which are
 * stored in pieces; F what fills the part; S 500 bytes more than that; W a block more; 0 of no
 * bytes. How they are made goes by turns: in one call; with a retry of the sync; synced by the end
 * only; with the stream growing before the sync. g grow; p prepare; a advance to the end; h shrink;
 * x release; X release by force; k the same two while a reader has a chunk; v verify and read; l
 * load; c close and open; z background work.
 */
#define STREAM_MACHINE_OPERATIONS "sbBLFSWgpahxXkvlcz"

/* Its kind is a struct stream_shape. */
extern const struct explore_ops stream_machine_explored;

void stream_machine_init(struct stream_machine *machine, const struct stream_shape *shape);
/* A copy of storage and model, with nothing open. */
void stream_machine_copy(const struct stream_machine *from, struct stream_machine *to);
void stream_machine_done(struct stream_machine *machine);

/* Breaks the lock that a crash left. */
int stream_machine_open(struct stream_machine *machine);
/* Closes, if it is open; the result is that of the first that failed. */
int stream_machine_close(struct stream_machine *machine);
/* Does one operation. 0, or what the call returned. */
int stream_machine_do(struct stream_machine *machine, char operation);
int stream_machine_append(struct stream_machine *machine, uint32_t size);
bool stream_machine_is_poisoned(struct stream_machine *machine);

/* What is synced, from the offset on, reads as the model has it. */
bool stream_machine_check_reads(struct stream_machine *machine);
/* After opening: one of the states that may be there; it verifies; it becomes the model. */
bool stream_machine_check(struct stream_machine *machine);
/* Opened for reading only, it is what opening it for writing will find, and nothing changes. */
bool stream_machine_check_read_only(struct stream_machine *machine);
/* Closed, each file is as the model has it, byte for byte. */
bool stream_machine_check_files(struct stream_machine *machine);
/* Opens, checks, appends, closes, opens again. Leaves it closed. Nothing may be left open. */
bool stream_machine_check_life(struct stream_machine *machine);
bool stream_machine_check_leaks(struct stream_machine *machine);

#endif
