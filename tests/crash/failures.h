/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call fails, one at a time: once, or from then on, for any machine that explore.h
 * describes. The operation says so, or it was background work; nothing acknowledged is lost when it
 * is opened anew, with and without a loss of power in between; nothing stays open.
 */
#ifndef TESTS_CRASH_FAILURES_H
#define TESTS_CRASH_FAILURES_H

#include "explore.h"

struct failure_scene {
    const char *name;
    const void *kind;   /* for explore_ops.init */
    const char *script; /* operations */
    uint64_t step;      /* every so many-th call fails */
};

/* One run of a script, with one fault. */
struct failure_run {
    const struct failures *failures;
    const struct failure_kind *kind;
    const struct failure_scene *scene;
    uint64_t at;
    bool hit;
    uint64_t reported;
    char why[800];
};

struct failures {
    const struct explore_ops *ops;
    const char *program; /* that repeats one: <program> KIND SCENE AT */
    const struct failure_scene *scenes;
    int scene_count;
    /*
     * After an operation that said `rc`: what must hold then; where nothing more can be done,
     * closes it. False, having called failure_wrong: it does not hold.
     */
    bool (*failed)(struct failure_run *run, void *machine, char operation, int rc);
};

/* Returns false. */
bool failure_wrong(struct failure_run *run, const char *what, const char *detail);
/* Whether nothing may be poisoned by what fails. */
bool failure_is_passing(const struct failure_run *run);

/* All kinds of faults as tests of their own, and `test` (NULL: none) before; or what a failure
   printed, again. The result is main's. */
int failures_main(const struct failures *failures, void (*test)(void **state), int argc,
                  char **argv);

#endif
