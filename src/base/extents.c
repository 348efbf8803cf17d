/* SPDX-License-Identifier: MIT */
/*
 * A tree of two levels: arrays of ranges (leaves) in order, and over them an array of where each
 * begins. Both are searched by halving. With half a million small ranges this costs a quarter of
 * what a red-black tree does, whose every step is a miss of the cache.
 *
 * A leaf that is full is divided in the middle. From then on each half takes HALF more places
 * before it is divided in turn, so n places ever taken make at most n / HALF leaves beside the
 * first: that is what reserving counts on.
 */
#include "base/extents.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LEAF = 126, HALF = LEAF / 2 };

struct extent_leaf {
    struct extent_leaf *next_free;
    size_t count;
    uint64_t from[LEAF], to[LEAF], position[LEAF];
    void *memory[LEAF];
};

/* ---- memory ---- */

static void give_leaf(struct extent_pool *pool, struct extent_leaf *leaf)
{
    leaf->next_free = pool->free;
    pool->free = leaf;
    pool->free_count++;
}

static struct extent_leaf *take_leaf(struct extent_pool *pool)
{
    struct extent_leaf *leaf = pool->free;
    assert(leaf);
    pool->free = leaf->next_free;
    pool->free_count--;
    leaf->count = 0;
    return leaf;
}

void extent_pool_done(struct extent_pool *pool)
{
    while (pool->free) {
        struct extent_leaf *next = pool->free->next_free;
        free(pool->free);
        pool->free = next;
    }
    pool->free_count = 0;
}

static int make_room(struct extents *extents, size_t leaves)
{
    if (leaves <= extents->room)
        return 0;
    size_t room = leaves + leaves / 2;
    uint64_t *first = realloc(extents->first, room * sizeof *first);
    if (!first)
        return FIRN_ENOMEM;
    extents->first = first;
    struct extent_leaf **leaf = realloc(extents->leaf, room * sizeof(struct extent_leaf *));
    if (!leaf)
        return FIRN_ENOMEM;
    extents->leaf = leaf;
    extents->room = room;
    return 0;
}

int extents_reserve(struct extents *extents, struct extent_pool *pool, size_t places)
{
    size_t leaves = 1 + (extents->placed + places) / HALF;
    if (make_room(extents, leaves) < 0)
        return FIRN_ENOMEM;
    while (pool->free_count + extents->leaves < leaves) {
        struct extent_leaf *leaf = malloc(sizeof *leaf);
        if (!leaf)
            return FIRN_ENOMEM;
        give_leaf(pool, leaf);
    }
    return 0;
}

size_t extents_reserved(const struct extents *extents, const struct extent_pool *pool)
{
    size_t leaves = pool->free_count + extents->leaves;
    leaves = leaves < extents->room ? leaves : extents->room;
    size_t places = leaves * HALF; /* the last one before another leaf is needed does not count */
    return places > extents->placed ? places - extents->placed - 1 : 0;
}

void extents_clear(struct extents *extents, struct extent_pool *pool)
{
    for (size_t i = 0; i < extents->leaves; i++)
        give_leaf(pool, extents->leaf[i]);
    free(extents->first);
    free(extents->leaf);
    *extents = (struct extents){0};
}

/* ---- finding ---- */

/* How many of the numbers, which ascend, are at most `at`. */
static size_t count_up_to(const uint64_t *numbers, size_t count, uint64_t at)
{
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        bool beyond = numbers[low + half] <= at;
        low = beyond ? low + half + 1 : low;
        count = beyond ? count - half - 1 : half;
    }
    return low;
}

/* The leaf that a range beginning at `from` belongs to. */
static size_t find_leaf(const struct extents *extents, uint64_t from)
{
    size_t below = count_up_to(extents->first, extents->leaves, from);
    return below ? below - 1 : 0;
}

bool extents_find(const struct extents *extents, uint64_t at, struct extent_cursor *cursor)
{
    if (extents->leaves == 0)
        return false;
    size_t i = find_leaf(extents, at);
    const struct extent_leaf *leaf = extents->leaf[i];
    size_t slot = count_up_to(leaf->from, leaf->count, at);
    if (slot > 0 && leaf->to[slot - 1] > at)
        slot--;
    if (slot == leaf->count) {
        i++;
        slot = 0;
    }
    *cursor = (struct extent_cursor){extents, i, (unsigned)slot};
    return i < extents->leaves;
}

bool extents_next(struct extent_cursor *cursor)
{
    if (++cursor->slot < cursor->extents->leaf[cursor->leaf]->count)
        return true;
    cursor->slot = 0;
    return ++cursor->leaf < cursor->extents->leaves;
}

struct extent extents_get(const struct extent_cursor *cursor)
{
    const struct extent_leaf *leaf = cursor->extents->leaf[cursor->leaf];
    unsigned slot = cursor->slot;
    return (struct extent){leaf->from[slot], leaf->to[slot], leaf->position[slot],
                           leaf->memory[slot]};
}

/* ---- changing ---- */

/* Moves the ranges from `slot` on by `by` places. */
static void shift(struct extent_leaf *leaf, size_t slot, int by)
{
    size_t to = by > 0 ? slot + 1 : slot - 1;
    size_t bytes = (leaf->count - slot) * sizeof(uint64_t);
    memmove(leaf->from + to, leaf->from + slot, bytes);
    memmove(leaf->to + to, leaf->to + slot, bytes);
    memmove(leaf->position + to, leaf->position + slot, bytes);
    memmove(leaf->memory + to, leaf->memory + slot, (leaf->count - slot) * sizeof *leaf->memory);
}

static void insert_leaf(struct extents *extents, size_t at, struct extent_leaf *leaf)
{
    assert(extents->leaves < extents->room);
    size_t behind = extents->leaves - at;
    memmove(extents->first + at + 1, extents->first + at, behind * sizeof *extents->first);
    memmove(extents->leaf + at + 1, extents->leaf + at, behind * sizeof(struct extent_leaf *));
    extents->leaf[at] = leaf;
    extents->first[at] = leaf->count ? leaf->from[0] : 0;
    extents->leaves++;
}

static void remove_leaf(struct extents *extents, struct extent_pool *pool, size_t at)
{
    give_leaf(pool, extents->leaf[at]);
    extents->leaves--;
    size_t behind = extents->leaves - at;
    memmove(extents->first + at, extents->first + at + 1, behind * sizeof *extents->first);
    memmove(extents->leaf + at, extents->leaf + at + 1, behind * sizeof(struct extent_leaf *));
}

static void divide(struct extents *extents, struct extent_pool *pool, size_t at)
{
    struct extent_leaf *low = extents->leaf[at], *high = take_leaf(pool);
    high->count = LEAF - HALF;
    low->count = HALF;
    memcpy(high->from, low->from + HALF, high->count * sizeof *low->from);
    memcpy(high->to, low->to + HALF, high->count * sizeof *low->to);
    memcpy(high->position, low->position + HALF, high->count * sizeof *low->position);
    memcpy(high->memory, low->memory + HALF, high->count * sizeof *low->memory);
    insert_leaf(extents, at + 1, high);
}

/* A leaf that is not full, with how many of its ranges begin at `from` or before. */
struct place {
    size_t at;
    struct extent_leaf *leaf;
    size_t slot;
};

static struct place find_place(struct extents *extents, struct extent_pool *pool, uint64_t from)
{
    if (extents->leaves == 0)
        insert_leaf(extents, 0, take_leaf(pool));
    size_t at = find_leaf(extents, from);
    if (extents->leaf[at]->count == LEAF) {
        divide(extents, pool, at);
        at += extents->first[at + 1] <= from;
    }
    struct extent_leaf *leaf = extents->leaf[at];
    return (struct place){at, leaf, count_up_to(leaf->from, leaf->count, from)};
}

static void insert_at(struct extents *extents, const struct place *place,
                      const struct extent *extent)
{
    struct extent_leaf *leaf = place->leaf;
    size_t slot = place->slot;
    shift(leaf, slot, 1);
    leaf->from[slot] = extent->from;
    leaf->to[slot] = extent->to;
    leaf->position[slot] = extent->position;
    leaf->memory[slot] = extent->memory;
    leaf->count++;
    extents->first[place->at] = leaf->from[0];
    extents->bytes += extent->to - extent->from;
    extents->count++;
    extents->placed++;
}

static void insert(struct extents *extents, struct extent_pool *pool, const struct extent *extent)
{
    struct place place = find_place(extents, pool, extent->from);
    insert_at(extents, &place, extent);
}

static void drop(struct extents *extents, struct extent_pool *pool,
                 const struct extent_cursor *cursor)
{
    struct extent_leaf *leaf = extents->leaf[cursor->leaf];
    extents->bytes -= leaf->to[cursor->slot] - leaf->from[cursor->slot];
    extents->count--;
    shift(leaf, cursor->slot + 1u, -1);
    leaf->count--;
    if (leaf->count == 0)
        remove_leaf(extents, pool, cursor->leaf);
    else
        extents->first[cursor->leaf] = leaf->from[0];
}

/* The range begins before `from` and reaches beyond it. */
static void cut_end(struct extents *extents, const struct extent_cursor *cursor, uint64_t from)
{
    uint64_t *to = &extents->leaf[cursor->leaf]->to[cursor->slot];
    extents->bytes -= *to - from;
    *to = from;
}

/* Begins later, without leaving its place among the others. */
static void cut_start(struct extents *extents, const struct extent_cursor *cursor, uint64_t to)
{
    struct extent_leaf *leaf = extents->leaf[cursor->leaf];
    uint64_t by = to - leaf->from[cursor->slot];
    leaf->from[cursor->slot] = to;
    leaf->position[cursor->slot] += by;
    extents->bytes -= by;
    extents->first[cursor->leaf] = leaf->from[0];
}

/* Takes [from, to) out of those that have part of it. */
static void clear_range(struct extents *extents, struct extent_pool *pool, uint64_t from,
                        uint64_t to)
{
    struct extent_cursor cursor;
    while (extents_find(extents, from, &cursor)) {
        struct extent found = extents_get(&cursor);
        if (found.from >= to)
            return;
        if (found.from < from) {
            cut_end(extents, &cursor, from);
            if (found.to <= to)
                continue;
            found.position += to - found.from;
            found.from = to;
            insert(extents, pool, &found);
            return;
        }
        if (found.to > to) {
            cut_start(extents, &cursor, to);
            return;
        }
        drop(extents, pool, &cursor);
    }
}

/* Whether nothing that is there begins below `to` or reaches over `from`. */
static bool is_free(const struct extents *extents, const struct place *place, uint64_t from,
                    uint64_t to)
{
    const struct extent_leaf *leaf = place->leaf;
    size_t slot = place->slot;
    if (slot > 0 && leaf->to[slot - 1] > from)
        return false;
    if (slot < leaf->count)
        return leaf->from[slot] >= to;
    return place->at + 1 == extents->leaves || extents->first[place->at + 1] >= to;
}

void extents_put(struct extents *extents, struct extent_pool *pool, const struct extent *extent)
{
    assert(extent->from < extent->to);
    struct place place = find_place(extents, pool, extent->from);
    struct extent_leaf *leaf = place.leaf;
    if (is_free(extents, &place, extent->from, extent->to)) {
        insert_at(extents, &place, extent);
        return;
    }
    size_t same = place.slot ? place.slot - 1 : 0;
    if (leaf->from[same] == extent->from && leaf->to[same] == extent->to) {
        leaf->position[same] = extent->position; /* written again */
        leaf->memory[same] = extent->memory;
        return;
    }
    clear_range(extents, pool, extent->from, extent->to);
    insert(extents, pool, extent);
}
