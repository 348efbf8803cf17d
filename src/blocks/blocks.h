/* SPDX-License-Identifier: MIT */
/*
 * What the floors above use of blocks: one inline wrapper per function of the tables in
 * <firn/blocks.h>, whose comments are the contract.
 *
 * For what stands on them:
 * - One store of many pairs is cheaper than many stores: up to 8 MiB it is one durable write, above
 *   that the disk works while the next piece is copied. After a crash any sectors of a store that
 *   was in progress may be there, later ones without earlier ones; nothing outside its range.
 * - Space is zeroed in the background for small stores only, and where there is an environment.
 *   block_prepare right after block_allocate, off the way of appends, makes all stores as cheap as
 *   they can be; of blocks that were retrieved, from the first empty block on.
 * - What a load finds in a life that began with a crash, or after a poisoned one, may stand in the
 *   page cache only: the blocks that may have been in flight (in a stream: the last one that is not
 *   empty, and those before it that its last sync may have covered) are stored again before
 *   anybody builds on them.
 * - A poisoned run is not opened anew alone: close all, and retrieve.
 * - A load takes what it reads out of the page cache, a store what fills whole chunks: they are in
 *   the caller's memory.
 * - A release ends the handle only if it succeeds. Poison of one run does not keep it from being
 *   released; poison of a sequence (names that could not be synced) keeps all of them.
 */
#ifndef BLOCKS_BLOCKS_H
#define BLOCKS_BLOCKS_H

#include <firn/blocks.h>

/* Whether the table is complete for this version: FIRN_EINVAL. For whoever is handed blocks. */
int block_check(const struct firn_block *block, struct firn_error *err);
int block_allocator_check(const struct firn_block_allocator *allocator, struct firn_error *err);

static inline uint64_t block_bytes(const struct firn_block *block)
{
    return block->count << block->shift;
}

static inline int block_load(struct firn_block *block, uint64_t first, const struct iovec *iov,
                             int count, struct firn_error *err)
{
    return block->ops->load(block, first, iov, count, err);
}

static inline int block_store(struct firn_block *block, uint64_t first, const struct iovec *iov,
                              int count, struct firn_error *err)
{
    return block->ops->store(block, first, iov, count, err);
}

/* 0 where it can't be done. */
static inline int block_prepare(struct firn_block *block, uint64_t first, uint64_t number,
                                struct firn_error *err)
{
    return block->ops->prepare ? block->ops->prepare(block, first, number, err) : 0;
}

static inline int block_allocate(struct firn_block_allocator *allocator, struct firn_block **block,
                                 struct firn_error *err)
{
    return allocator->ops->allocate(allocator, block, err);
}

static inline int block_release(struct firn_block_allocator *allocator, struct firn_block *block,
                                struct firn_error *err)
{
    return allocator->ops->release(allocator, block, err);
}

static inline int block_retrieve(struct firn_block_allocator *allocator,
                                 firn_block_retrieve_fn *each, void *arg, struct firn_error *err)
{
    return allocator->ops->retrieve(allocator, each, arg, err);
}

#endif
