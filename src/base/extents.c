/* SPDX-License-Identifier: MIT */
/*
 * A red-black tree of ranges, keyed by where they begin. Since they don't overlap, their ends
 * ascend too, so the one that holds an offset is the last that begins at or before it.
 */
#include "base/extents.h"

#include <assert.h>
#include <stdlib.h>

enum { BLOCK_NODES = 255 };

struct extent_block {
    struct extent_block *next;
    struct extent nodes[BLOCK_NODES];
};

static int compare(const struct extent *a, const struct extent *b)
{
    return (a->from > b->from) - (a->from < b->from);
}

/* Not all of what it makes is used here. */
RB_GENERATE_INTERNAL(extent_tree, extent, entry, compare, static __attribute__((unused)))

/* ---- nodes ---- */

static void give(struct extent_pool *pool, struct extent *node)
{
    node->memory = pool->free;
    pool->free = node;
    atomic_fetch_add_explicit(&pool->spare, 1, memory_order_relaxed);
}

static struct extent *take(struct extent_pool *pool)
{
    struct extent *node = pool->free;
    assert(node);
    pool->free = node->memory;
    atomic_fetch_sub_explicit(&pool->spare, 1, memory_order_relaxed);
    return node;
}

int extent_pool_reserve(struct extent_pool *pool, size_t nodes)
{
    while (atomic_load_explicit(&pool->spare, memory_order_relaxed) < nodes) {
        struct extent_block *block = malloc(sizeof *block);
        if (!block)
            return FIRN_ENOMEM;
        block->next = pool->blocks;
        pool->blocks = block;
        for (size_t i = 0; i < BLOCK_NODES; i++)
            give(pool, &block->nodes[i]);
    }
    return 0;
}

void extent_pool_done(struct extent_pool *pool)
{
    while (pool->blocks) {
        struct extent_block *next = pool->blocks->next;
        free(pool->blocks);
        pool->blocks = next;
    }
    pool->free = NULL;
    atomic_store(&pool->spare, 0);
}

/* ---- a map ---- */

static void insert(struct extents *extents, struct extent *node)
{
    RB_INSERT(extent_tree, &extents->tree, node);
    extents->bytes += node->to - node->from;
    extents->count++;
}

static void drop(struct extents *extents, struct extent_pool *pool, struct extent *node)
{
    RB_REMOVE(extent_tree, &extents->tree, node);
    extents->bytes -= node->to - node->from;
    extents->count--;
    give(pool, node);
}

struct extent *extents_find(const struct extents *extents, uint64_t at)
{
    struct extent *found = NULL;
    for (struct extent *node = RB_ROOT(&extents->tree); node;) {
        if (node->to > at) {
            found = node;
            node = RB_LEFT(node, entry);
        } else {
            node = RB_RIGHT(node, entry);
        }
    }
    return found;
}

struct extent *extents_first(const struct extents *extents)
{
    return extents_find(extents, 0);
}

struct extent *extents_next(struct extent *extent)
{
    return extent_tree_RB_NEXT(extent);
}

/* `node` begins before `from` and reaches into [from, to): keeps what lies outside. */
static void cut_end(struct extents *extents, struct extent_pool *pool, struct extent *node,
                    uint64_t from, uint64_t to)
{
    uint64_t end = node->to;
    node->to = from;
    extents->bytes -= end - from;
    if (end <= to)
        return;
    struct extent *rest = take(pool);
    *rest = (struct extent){.from = to, .to = end, .memory = node->memory};
    rest->position = node->position + (to - node->from);
    insert(extents, rest);
}

/* Begins later without leaving its place among the others. */
static void cut_start(struct extents *extents, struct extent *node, uint64_t to)
{
    extents->bytes -= to - node->from;
    node->position += to - node->from;
    node->from = to;
}

void extents_put(struct extents *extents, struct extent_pool *pool, uint64_t from, uint64_t to,
                 uint64_t position, void *memory)
{
    assert(from < to);
    struct extent *node = extents_find(extents, from);
    if (node && node->from == from && node->to == to) { /* the usual one: written again */
        node->position = position;
        node->memory = memory;
        return;
    }
    if (node && node->from < from) {
        cut_end(extents, pool, node, from, to);
        node = extents_next(node);
    }
    while (node && node->to <= to) {
        struct extent *next = extents_next(node);
        drop(extents, pool, node);
        node = next;
    }
    if (node && node->from < to)
        cut_start(extents, node, to);
    struct extent *added = take(pool);
    *added = (struct extent){.from = from, .to = to, .position = position, .memory = memory};
    insert(extents, added);
}

void extents_clear(struct extents *extents, struct extent_pool *pool)
{
    struct extent *node = RB_ROOT(&extents->tree);
    while (node) { /* leaves first, without turning the tree */
        struct extent *below = RB_LEFT(node, entry) ? RB_LEFT(node, entry) : RB_RIGHT(node, entry);
        if (below) {
            node = below;
            continue;
        }
        struct extent *parent = RB_PARENT(node, entry);
        if (parent && RB_LEFT(parent, entry) == node)
            RB_LEFT(parent, entry) = NULL;
        else if (parent)
            RB_RIGHT(parent, entry) = NULL;
        give(pool, node);
        node = parent;
    }
    *extents = (struct extents){0};
}
