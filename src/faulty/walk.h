/* SPDX-License-Identifier: MIT */
#ifndef FAULTY_WALK_H
#define FAULTY_WALK_H

#include "faulty/crash.h"

/* One descent through a tree, deciding on every choice on the way. */
struct faulty_walk {
    const struct faulty_tree *from;
    struct faulty_tree *to; /* NULL: decide only */
    struct faulty_draw draw;
    uint64_t *counts; /* outcomes by node; 0: not computed yet */
    uint64_t visited; /* choices met so far */
    struct faulty_versions versions;
    bool torn; /* a tear by number: where, and what is there then */
    uint32_t torn_node;
    uint64_t torn_sector;
    uint8_t torn_bytes[FAULTY_SECTOR];
    firn_faulty_line_fn *line;
    void *arg;
    char path[1024];
};

/* How many outcomes a node has, with all that hangs on it. */
uint64_t faulty_walk_count(struct faulty_walk *walk, uint32_t number);

/* Decides on a node and all below it; `value` is its part of the number of the outcome. */
int faulty_walk_node(struct faulty_walk *walk, uint32_t number, uint64_t value);

#endif
