/* SPDX-License-Identifier: MIT */
#include "blocks/blocks.h"

void firn_block_close(struct firn_block *block)
{
    if (block)
        block->ops->close(block);
}

int firn_block_allocator_close(struct firn_block_allocator *allocator, struct firn_error *err)
{
    return allocator ? allocator->ops->close(allocator, err) : 0;
}
