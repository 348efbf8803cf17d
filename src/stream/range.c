/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "stream/part_private.h"

static struct meta decoded(const struct part *part, uint64_t block)
{
    struct meta meta = {.complete = false};
    bool good = meta_decode(part_meta(part, block), &meta);
    assert(good);
    (void)good;
    return meta;
}

/* Where the append begins that spilled into `block`. */
static uint64_t begin_before(const struct part *part, uint64_t block)
{
    while (block-- > 0) {
        struct meta meta = decoded(part, block);
        if (meta.trail > 0)
            return (block + 1) * part->payload - meta.trail;
    }
    return 0;
}

static bool range_in(const struct part *part, uint64_t block, uint64_t *from, uint64_t *to)
{
    uint64_t left = block * part->payload;
    struct meta meta = decoded(part, block);
    if (meta.spilled > part->payload)
        return false;
    uint64_t first = left, end = left + meta_written(&meta, part->payload);
    if (meta.complete)
        end -= meta.trail;
    if (meta.spilled > 0)
        first = left < part->state.spilled ? left + meta.spilled : begin_before(part, block);
    if (first == end)
        return false;
    *from = first;
    *to = end;
    return true;
}

bool part_range(const struct part *part, uint64_t *block, uint64_t *from, uint64_t *to)
{
    uint64_t count = part_blocks(part, part->state.used), next = *block;
    if (next < count && range_in(part, next, from, to))
        return true;
    uint64_t begin, end;
    do
        next++;
    while (next < count && !range_in(part, next, &begin, &end));
    *block = part_least(next, part->count);
    if (next >= count)
        *block = part->count;
    return false;
}

bool part_block_range(const struct part *part, uint64_t *first, uint64_t *last)
{
    if (part->state.ended <= part->state.spilled)
        return false;
    *first = part->state.spilled / part->payload;
    *last = (part->state.ended - 1) / part->payload;
    return true;
}
