/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are free: a bit per block, in pages that are there where a block ever was free. What
 * it takes depends on how many blocks there are; what a call costs, on how many it is about.
 */
#ifndef SLAB_FREE_MAP_H
#define SLAB_FREE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct free_map {
    uint64_t **pages; /* NULL: none of its blocks is free */
    size_t count;
    uint64_t free; /* blocks */
};

/* All zero is an empty one. */
void free_map_done(struct free_map *map);
/* Sees to it that these blocks can be added. FIRN_ENOMEM. */
int free_map_reserve(struct free_map *map, uint64_t first, uint64_t blocks);
/* Adds blocks that are not in it, and reserved. */
void free_map_add(struct free_map *map, uint64_t first, uint64_t blocks);
/* Takes one out. */
void free_map_take(struct free_map *map, uint64_t block);
/* Whether one of these is free; `*found` is the first. */
bool free_map_finds(const struct free_map *map, uint64_t first, uint64_t blocks, uint64_t *found);

#endif
