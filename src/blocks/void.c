/* SPDX-License-Identifier: MIT */
/* Blocks that keep nothing: for streams that need not outlive the process, and for measuring. */
#include <stdlib.h>
#include <string.h>

#include "blocks/blocks_private.h"

static const char what[] = "void blocks";

struct allocator {
    struct firn_block_allocator base;
    uint64_t count;
    unsigned shift;
    _Atomic uint64_t open; /* handles */
};

struct nothing {
    struct firn_block base;
    struct allocator *allocator; /* may be NULL */
};

static void nothing_close(struct firn_block *block)
{
    struct nothing *nothing = (struct nothing *)block;
    if (nothing->allocator)
        atomic_fetch_sub(&nothing->allocator->open, 1);
    free(nothing);
}

static int nothing_load(struct firn_block *block, uint64_t first, const struct iovec *iov,
                        int count, struct firn_error *err)
{
    uint64_t bytes;
    int rc = block_check_load(block, what, first, iov, count, &bytes, err);
    for (int i = 0; i < count && rc == 0; i++)
        if (iov[i].iov_len > 0)
            memset(iov[i].iov_base, 0, iov[i].iov_len);
    return rc;
}

static int nothing_store(struct firn_block *block, uint64_t first, const struct iovec *iov,
                         int count, struct firn_error *err)
{
    uint64_t bytes;
    return block_check_store(block, what, first, iov, count, &bytes, err);
}

static const struct firn_block_ops nothing_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = nothing_close,
    .load = nothing_load,
    .store = nothing_store,
};

static int new_nothing(uint64_t count, unsigned shift, struct allocator *allocator,
                       struct firn_block **block, struct firn_error *err)
{
    struct nothing *nothing = malloc(sizeof *nothing);
    if (!nothing)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a handle of %s", what);
    *nothing = (struct nothing){{&nothing_ops, count, shift}, allocator};
    *block = &nothing->base;
    return 0;
}

int firn_block_void_new(uint64_t count, unsigned shift, struct firn_block **block,
                        struct firn_error *err)
{
    int rc = block_check_shape(&block_memory_limits, what, count, shift, NULL, err);
    return rc == 0 ? new_nothing(count, shift, NULL, block, err) : rc;
}

/* ---- the allocator ---- */

static int allocator_allocate(struct firn_block_allocator *base, struct firn_block **block,
                              struct firn_error *err)
{
    struct allocator *allocator = (struct allocator *)base;
    int rc = new_nothing(allocator->count, allocator->shift, allocator, block, err);
    if (rc == 0)
        atomic_fetch_add(&allocator->open, 1);
    return rc;
}

/* In any order: none of them is left in a sequence. */
static int allocator_release(struct firn_block_allocator *base, struct firn_block *block,
                             struct firn_error *err)
{
    struct allocator *allocator = (struct allocator *)base;
    struct nothing *nothing = (struct nothing *)block;
    if (block->ops != &nothing_ops || nothing->allocator != allocator)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: not of this allocator", what);
    nothing_close(block);
    return 0;
}

static int allocator_retrieve(struct firn_block_allocator *base, firn_block_retrieve_fn *each,
                              void *arg, struct firn_error *err)
{
    (void)base, (void)each, (void)arg, (void)err;
    return 0;
}

static int allocator_close(struct firn_block_allocator *base, struct firn_error *err)
{
    struct allocator *allocator = (struct allocator *)base;
    uint64_t open = atomic_load(&allocator->open);
    if (open > 0)
        return firn_error_set(err, FIRN_EBUSY, 0, "%s: %llu handles are open", what,
                              (unsigned long long)open);
    free(allocator);
    return 0;
}

static const struct firn_block_allocator_ops allocator_ops = {
    .size = sizeof(struct firn_block_allocator_ops),
    .allocate = allocator_allocate,
    .release = allocator_release,
    .retrieve = allocator_retrieve,
    .close = allocator_close,
};

int firn_block_void_allocator_new(uint64_t count, unsigned shift, struct firn_block_allocator **out,
                                  struct firn_error *err)
{
    int rc = block_check_shape(&block_memory_limits, what, count, shift, NULL, err);
    if (rc < 0)
        return rc;
    struct allocator *allocator = calloc(1, sizeof *allocator);
    if (!allocator)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an allocator");
    allocator->base.ops = &allocator_ops;
    allocator->count = count;
    allocator->shift = shift;
    *out = &allocator->base;
    return 0;
}
