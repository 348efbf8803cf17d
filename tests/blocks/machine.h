/* SPDX-License-Identifier: MIT */
/*
 * A sequence of files in the simulator, what is done to it, and a model of what it must hold: the
 * first byte of each file, in order. For tests/crash/explore.h, and for tests of failures.
 */
#ifndef TESTS_BLOCKS_MACHINE_H
#define TESTS_BLOCKS_MACHINE_H

#include <firn/faulty.h>

#include "blocks/blocks.h"
#include "crash/explore.h"

enum { MACHINE_FILES = 12, MACHINE_SHIFT = 12 };

struct files {
    uint8_t stamps[MACHINE_FILES];
    int count;
};

struct model {
    struct files now, next; /* `next`: perhaps, when an operation was interrupted or failed */
    bool maybe_next;
    uint8_t last_stamp;
};

struct machine_shape {
    uint64_t blocks; /* of a file */
    bool env;        /* with background work, done by 'e' */
};

struct machine {
    const struct machine_shape *shape;
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_block_allocator *allocator;
    struct firn_block *blocks[MACHINE_FILES];
    int count;
    struct model model;
    struct firn_error err;
    char why[600];
};

extern const struct explore_ops machine_ops;

void machine_init(void *machine, const void *shape);
void machine_copy(const void *from, void *to);
void machine_done(void *machine);
/* Breaks the lock that a crash or failure left. After an error it may have to be closed. */
int machine_open(void *machine);
int machine_close(void *machine);
/*
 * a: allocates a file and stamps it; s, l: stamps the first file by a small store, or by one of all
 * its blocks; r: releases the first; g: loads all first blocks; p: prepares the last file; e: does
 * background work; c: closes and opens.
 */
int machine_operate(void *machine, char operation);
/* Opened: what is there is what the model says, which is certain then. */
bool machine_check(void *machine);
/* Closed: opens, checks, goes on, closes, twice. */
bool machine_check_life(void *machine);

#endif
