/* SPDX-License-Identifier: MIT */
/*
 * A map from ranges of a file to where their newest content lies: what is put later covers what was
 * there. Ranges never overlap; they are found and walked in the order of their offsets.
 *
 * Memory comes from a pool that several maps share, in leaves of many ranges each. Putting never
 * fails: who puts has reserved before, at a time when failing did no harm. Not for several threads
 * at a time, but for reading.
 */
#ifndef BASE_EXTENTS_H
#define BASE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

/* To put one range may take so many places: what it divides becomes two. */
enum { EXTENT_PLACES = 2 };

struct extent {
    uint64_t from, to; /* the range [from, to) */
    uint64_t position; /* of its first byte, wherever the owner keeps it */
    void *memory;      /* owner's */
};

struct extent_leaf;

struct extent_pool {
    struct extent_leaf *free;
    size_t free_count;
};

/* Zeroed is an empty map. */
struct extents {
    uint64_t *first; /* where the ranges of each leaf begin */
    struct extent_leaf **leaf;
    size_t leaves, room; /* used, and what the two arrays hold */
    size_t count;        /* ranges */
    uint64_t bytes;      /* in them */
    size_t placed;       /* places ever taken */
};

struct extent_cursor {
    const struct extents *extents;
    size_t leaf;
    unsigned slot;
};

/* Sees to it that `places` more can be taken. FIRN_ENOMEM. */
int extents_reserve(struct extents *extents, struct extent_pool *pool, size_t places);
/* How many can be taken. */
size_t extents_reserved(const struct extents *extents, const struct extent_pool *pool);

void extents_put(struct extents *extents, struct extent_pool *pool, const struct extent *extent);

/* The first one that ends behind `at`: it holds `at`, or begins later. False: there is none. */
bool extents_find(const struct extents *extents, uint64_t at, struct extent_cursor *cursor);
/* The one behind. False: there is none. */
bool extents_next(struct extent_cursor *cursor);
struct extent extents_get(const struct extent_cursor *cursor);

/* Empties it: the pool has all leaves again, and nothing is reserved. */
void extents_clear(struct extents *extents, struct extent_pool *pool);

/* All maps that use it are clear. */
void extent_pool_done(struct extent_pool *pool);

#endif
