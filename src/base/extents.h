/* SPDX-License-Identifier: MIT */
/*
 * A map from ranges of a file to where their newest content lies: what is put later covers what was
 * there. Ranges never overlap; they are found and walked in the order of their offsets.
 *
 * Nodes come from a pool that several maps share. Putting one range takes at most EXTENT_NODES of
 * them, and never fails: who puts has reserved them before, at a time when failing did no harm.
 * Nothing here is for several threads, but the number of spare nodes may be read by any.
 */
#ifndef BASE_EXTENTS_H
#define BASE_EXTENTS_H

#include <bsd/sys/tree.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

enum { EXTENT_NODES = 2 };

struct extent {
    RB_ENTRY(extent) entry;
    uint64_t from, to; /* the range [from, to) */
    uint64_t position; /* of its first byte, wherever the owner keeps it */
    void *memory;      /* owner's */
};

struct extent_block;

struct extent_pool {
    struct extent *free; /* linked by `memory` */
    struct extent_block *blocks;
    _Atomic size_t spare; /* how many are free */
};

RB_HEAD(extent_tree, extent);

struct extents {
    struct extent_tree tree;
    uint64_t bytes; /* in its ranges */
    size_t count;
};

/* Sees to it that at least `nodes` are free. FIRN_ENOMEM. */
int extent_pool_reserve(struct extent_pool *pool, size_t nodes);
/* All maps that use it are empty, or not used any more. */
void extent_pool_done(struct extent_pool *pool);

/* Zeroed is an empty map. */
void extents_put(struct extents *extents, struct extent_pool *pool, uint64_t from, uint64_t to,
                 uint64_t position, void *memory);

/* The first one that ends behind `at`: it holds `at`, or begins later. NULL: none. */
struct extent *extents_find(const struct extents *extents, uint64_t at);
struct extent *extents_first(const struct extents *extents);
struct extent *extents_next(struct extent *extent);

/* Gives all nodes back. */
void extents_clear(struct extents *extents, struct extent_pool *pool);

#endif
