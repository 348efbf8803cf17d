/* SPDX-License-Identifier: MIT */
/*
 * Long random lives by seed, for any machine that explore.h describes: operations of all kinds,
 * crashes at random points with random outcomes, kills without a loss of power, calls of the
 * storage that fail, crashes during recovery, and looks at what a crash left without changing it.
 */
#ifndef TESTS_CRASH_LIVES_H
#define TESTS_CRASH_LIVES_H

#include "explore.h"
#include "lib/prng.h"

struct lives_pace {
    unsigned lives;             /* of a seed */
    unsigned operations;        /* of a life, at most */
    unsigned mutations;         /* of a life, within which the power may go */
    unsigned recovery;          /* the same of a recovery */
    unsigned operations_a_look; /* on average */
};

#define LIVES_PACE                                                                                 \
    {                                                                                              \
        .lives = 25, .operations = 30, .mutations = 80, .recovery = 14, .operations_a_look = 10    \
    }

/* What is particular to a machine. */
struct lives {
    const char *name; /* of the program, behind test-crash- */
    const struct explore_ops *ops;
    uint64_t seeds; /* with full effort */
    struct lives_pace pace;
    /* As explore_ops.init, with a kind of its choice. */
    void (*init)(void *machine, struct prng *prng);
    /* Some operation. 0, or what the call returned. */
    int (*operate)(void *machine, struct prng *prng);
    /* What the operation showed to be wrong, whatever it returned, or NULL. NULL: not asked. */
    const char *(*broken)(const void *machine);
    /* Open, the storage failed, and the operation said `rc`: can nothing more be done? NULL: the
       storage does not fail. */
    bool (*is_dead)(void *machine, int rc);
    /* Reads what is there: what is wrong, or NULL. */
    const char *(*look)(void *machine, struct prng *prng);
    bool look_with_faults; /* in lives with calls that fail, too */
    /* Closed, before the next life: other options. NULL: none. */
    void (*vary)(void *machine, struct prng *prng);
    /* Closed and recoverable: somebody else is at it. NULL: nobody. */
    bool (*between)(void *machine, struct prng *prng);
    const char *counted; /* what `count` counts in the whole run, as the note calls it */
    uint64_t (*count)(const void *machine);
};

/* Arguments: none: some seeds; FIRST COUNT: these, where one alone that fails shows its trace. The
   result is main's. */
int lives_main(const struct lives *lives, int argc, char **argv);

#endif
