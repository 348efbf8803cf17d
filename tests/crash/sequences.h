/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of a few operations x every crash point x what may survive there, in scenes, as a
 * program; see explore.h.
 *
 * Its arguments: none: as much as a minute or two allow, or less where sanitizers slow it down;
 * --full: for as long as it takes; or what a failure printed: one sequence, one crash point, one
 * outcome.
 */
#ifndef TESTS_CRASH_SEQUENCES_H
#define TESTS_CRASH_SEQUENCES_H

#include "explore.h"

struct sequences_effort {
    unsigned length; /* of the longest sequences */
    unsigned step;   /* every so many-th of these */
    struct explore_effort each;
};

struct sequences_scene {
    const char *name;
    const void *kind;       /* for explore_ops.init */
    const char *setup;      /* "": created by the first operation */
    const char *operations; /* of the sequences; "": none */
    const char *scripts;    /* sequences before these, with blanks between them; NULL: none */
    unsigned sparse;        /* so many times fewer of the longest; 0: all */
    void (*adapt)(struct sequences_effort *effort); /* or NULL */
};

struct sequences {
    const struct explore_ops *ops;
    const char *program; /* as in test-crash-PROGRAM */
    const char *option;  /* what a scene is called on its command line */
    const char *label;   /* before a scene's name, in notes */
    const struct sequences_scene *scenes;
    int scene_count;
    bool apart;        /* each scene in a process of its own */
    unsigned shortest; /* sequences */
    const char *last;  /* operations behind each */
    struct sequences_effort full, usual, less;
    /* Instead of all sequences of that length; or NULL. */
    void (*try_length)(struct explore *explore, const struct sequences_scene *scene,
                       unsigned length);
};

/* For main to return. */
int sequences_main(const struct sequences *sequences, int argc, char **argv);

#endif
