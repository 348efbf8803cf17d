/* SPDX-License-Identifier: MIT */
#include "slab/free_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

enum { WORD = 64, PAGE_WORDS = 512, PAGE_BLOCKS = WORD * PAGE_WORDS };

void free_map_done(struct free_map *map)
{
    for (size_t i = 0; i < map->count; i++)
        free(map->pages[i]);
    free(map->pages);
    *map = (struct free_map){0};
}

static int reserve_pages(struct free_map *map, uint64_t last)
{
    if (last < map->count)
        return 0;
    if (last >= SIZE_MAX / 4 / sizeof *map->pages)
        return FIRN_ENOMEM;
    size_t count = (size_t)last + 1;
    count = count < 2 * map->count ? 2 * map->count : count;
    uint64_t **pages = realloc(map->pages, count * sizeof *pages);
    if (!pages)
        return FIRN_ENOMEM;
    memset(pages + map->count, 0, (count - map->count) * sizeof *pages);
    map->pages = pages;
    map->count = count;
    return 0;
}

int free_map_reserve(struct free_map *map, uint64_t first, uint64_t blocks)
{
    if (blocks == 0)
        return 0;
    uint64_t last = (first + blocks - 1) / PAGE_BLOCKS;
    int rc = reserve_pages(map, last);
    for (uint64_t i = first / PAGE_BLOCKS; rc == 0 && i <= last; i++) {
        if (!map->pages[i])
            map->pages[i] = calloc(PAGE_WORDS, sizeof **map->pages);
        if (!map->pages[i])
            rc = FIRN_ENOMEM;
    }
    return rc;
}

static uint64_t *word_of(const struct free_map *map, uint64_t block)
{
    return &map->pages[block / PAGE_BLOCKS][block % PAGE_BLOCKS / WORD];
}

static uint64_t bit_of(uint64_t block)
{
    return UINT64_C(1) << block % WORD;
}

void free_map_add(struct free_map *map, uint64_t first, uint64_t blocks)
{
    for (uint64_t block = first; block < first + blocks; block++) {
        assert(!(*word_of(map, block) & bit_of(block)));
        *word_of(map, block) |= bit_of(block);
    }
    map->free += blocks;
}

void free_map_take(struct free_map *map, uint64_t block)
{
    assert(*word_of(map, block) & bit_of(block));
    *word_of(map, block) &= ~bit_of(block);
    map->free--;
}

/* The first free one from `block` on within its word; else the word's end. */
static uint64_t look_in_word(const struct free_map *map, uint64_t block)
{
    uint64_t bits = *word_of(map, block) >> block % WORD;
    return bits ? block + (uint64_t)__builtin_ctzll(bits) : (block / WORD + 1) * WORD;
}

bool free_map_finds(const struct free_map *map, uint64_t first, uint64_t blocks, uint64_t *found)
{
    uint64_t end = first + blocks;
    for (uint64_t block = first; block < end;) {
        uint64_t page = block / PAGE_BLOCKS;
        if (page >= map->count)
            return false;
        if (!map->pages[page]) {
            block = (page + 1) * PAGE_BLOCKS;
            continue;
        }
        uint64_t next = look_in_word(map, block);
        if (next < end && next / WORD == block / WORD) {
            *found = next;
            return true;
        }
        block = next;
    }
    return false;
}
