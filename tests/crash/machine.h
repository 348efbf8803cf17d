/* SPDX-License-Identifier: MIT */
/* A simulated machine with one log on it, and the model of what that log must hold. */
#ifndef TESTS_CRASH_MACHINE_H
#define TESTS_CRASH_MACHINE_H

#include <firn/faulty.h>

#include "explore.h"
#include "model.h"

#define MACHINE_DIR "log"
enum { MACHINE_SEGMENT = 640 }; /* bytes of a segment, as campaigns explore it */

struct machine {
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_log *log;
    struct model model;
    enum firn_durability durability;
    uint64_t segment_bytes;
    struct firn_error err; /* of the last call that failed */
    char why[700];         /* what is wrong, where a check said false */
};

/*
 * Operations, by letter: a append one; g append a group of three; r append one that does not fit
 * beside anything else, so that the log rotates; t truncate in the middle; u truncate the last
 * record; b remove the beginning up to the middle; x all of it; c close and open again; f flush;
 * s stream a record; p prepare space; w run the background work; z append a group that is
 * compressed; k append a batch that a client built (one of those behind a torn one is proof that
 * the log was durable up to there, which is true only where each is a group by itself: for mode
 * each); n commit the positions of two named cursors, at the end and in the middle; d remove the
 * second one; y compact; v trim to the last two records, but for what the cursors have not read.
 */
#define MACHINE_OPERATIONS "agrtbc"

/* Its kind is an enum firn_durability. */
extern const struct explore_ops machine_explored;

void machine_init(struct machine *machine, enum firn_durability durability, uint64_t segment_bytes);
/* A copy of storage and model, with nothing open. */
void machine_copy(const struct machine *from, struct machine *to);
void machine_done(struct machine *machine);

int machine_open(struct machine *machine);
/* Closes, if it is open; the result is that of firn_log_close. */
int machine_close(struct machine *machine);
/* Does one operation, and the background work after it. 0, or what the call returned. */
int machine_do(struct machine *machine, char operation);
/* The same without background work, with a size for what is appended (0: as usual). */
int machine_only(struct machine *machine, char operation, size_t value_bytes);
int machine_truncate(struct machine *machine, uint64_t index);
int machine_remove(struct machine *machine, uint64_t index);
/* Commits positions of the two cursors, in one group. */
int machine_commit(struct machine *machine, uint64_t first, uint64_t second);
void machine_background(struct machine *machine);
/* Learns from the log's figures what is durable. */
void machine_acknowledge(struct machine *machine);

/* Everything is there, reads and verifies, and nothing else: makes what is there the model. */
bool machine_check(struct machine *machine);
/* Opens, checks, appends, closes, opens again. Leaves it closed. Nothing may be left open. */
bool machine_check_life(struct machine *machine);
bool machine_check_leaks(struct machine *machine);

#endif
