/* SPDX-License-Identifier: MIT */
/* A part in memory: made, filled, let go. */
#include <assert.h>
#include <stdlib.h>

#include "stream/part_private.h"

static int allocate(struct part *part)
{
    if (part->capacity > SIZE_MAX || part->count > SIZE_MAX / META_BYTES)
        return FIRN_ENOMEM;
    part->metas = calloc((size_t)part->count, META_BYTES);
    part->data = calloc(1, (size_t)part->capacity);
    return part->metas && part->data ? 0 : FIRN_ENOMEM;
}

static void init(struct part *part, struct firn_block *block)
{
    part->block = block;
    part->count = block->count;
    part->shift = block->shift;
    part->payload = (UINT32_C(1) << block->shift) - META_BYTES;
    part->capacity = part->count * part->payload;
    part->settled = true;
    lock_init(&part->meta_lock);
    atomic_init(&part->references, 1);
    atomic_init(&part->base, UINT64_MAX);
    atomic_init(&part->own, 0);
    atomic_init(&part->used, 0);
    atomic_init(&part->spilled, 0);
    atomic_init(&part->span, NULL);
}

int part_new(struct firn_block *block, struct part **out, struct firn_error *err)
{
    if (block->shift < FIRN_STREAM_SHIFT_MIN || block->shift > FIRN_STREAM_SHIFT_MAX)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "the block shift is %u; a stream's may be %u to %u", block->shift,
                              FIRN_STREAM_SHIFT_MIN, FIRN_STREAM_SHIFT_MAX);
    struct part *part = calloc(1, sizeof *part);
    if (part)
        init(part, block);
    if (!part || allocate(part) < 0) {
        if (part)
            part->block = NULL; /* stays the caller's */
        part_free(part);
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for %llu blocks of %llu bytes",
                              (unsigned long long)block->count, 1ULL << block->shift);
    }
    *out = part;
    return 0;
}

void part_free(struct part *part)
{
    if (!part)
        return;
    firn_block_close(part->block);
    lock_done(&part->meta_lock);
    free(atomic_load_explicit(&part->span, memory_order_relaxed));
    free(part->metas);
    free(part->data);
    free(part);
}

void part_append(struct part *part, const void *bytes, size_t size, bool spilled)
{
    assert(!part->pending && part->settled);
    assert(size > 0 && size <= FIRN_STREAM_APPEND_MAX && part->state.used < part->capacity);
    assert(!spilled || (part->state.used == 0 && size <= part->capacity));
    uint64_t fits = part_least(size, part->capacity - part->state.used);
    memcpy(part->data + part->state.used, bytes, (size_t)fits);
    part->next = part->state;
    part->next.used += fits;
    if (fits == size)
        part->next.ended = part->next.used;
    if (spilled)
        part->next.spilled = size;
    part->pending_size = size;
    part->pending = true;
}

void part_undo(struct part *part)
{
    assert(part->pending);
    memset(part->data + part->state.used, 0, (size_t)(part->next.used - part->state.used));
    part->next = part->state;
    part->pending = false;
}
