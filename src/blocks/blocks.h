/* SPDX-License-Identifier: MIT */
/*
 * What the floors above use of blocks: one inline wrapper per function of the tables in
 * <firn/blocks.h>, whose comments are the contract.
 */
#ifndef BLOCKS_BLOCKS_H
#define BLOCKS_BLOCKS_H

#include <firn/blocks.h>

/* Whether the table is complete for this version: FIRN_EINVAL. For whoever is handed blocks. */
int block_check(const struct firn_block *block, struct firn_error *err);
int block_allocator_check(const struct firn_block_allocator *allocator, struct firn_error *err);

/* NULL is fine. */
static inline void block_close(struct firn_block *block)
{
    if (block)
        block->ops->close(block);
}

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

/* NULL is fine. */
static inline int block_allocator_close(struct firn_block_allocator *allocator,
                                        struct firn_error *err)
{
    return allocator ? allocator->ops->close(allocator, err) : 0;
}

#endif
