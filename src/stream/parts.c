/* SPDX-License-Identifier: MIT */
/*
 * The list of parts, and positions in it.
 *
 * Bases never decrease along the list, and empty parts at its end have UINT64_MAX: the part that
 * holds a position is the last one that begins at or before it. An append under way may have set
 * the base of a part, its own bytes and its span already; all of that lies at or behind the
 * stream's end, so it changes nothing for positions below.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "stream/stream_private.h"

/* ---- references ---- */

void part_hold(struct part *part)
{
    atomic_fetch_add_explicit(&part->references, 1, memory_order_relaxed);
}

void part_release(struct part *part)
{
    if (part && atomic_fetch_sub_explicit(&part->references, 1, memory_order_acq_rel) == 1)
        part_free(part);
}

struct part_list *parts_new(size_t count)
{
    struct part_list *list = calloc(1, sizeof *list + count * sizeof(struct part *));
    if (list)
        list->count = count;
    return list;
}

void parts_free(struct part_list *list)
{
    for (size_t i = 0; list && i < list->count; i++)
        part_release(list->parts[i]);
    free(list);
}

static void release_list(struct grace_item *item)
{
    parts_free((struct part_list *)(void *)item);
}

struct part_list *parts_of(const struct firn_stream *stream)
{
    return atomic_load_explicit(&stream->list, memory_order_acquire);
}

void parts_replace(struct firn_stream *stream, struct part_list *list)
{
    struct part_list *before = atomic_exchange(&stream->list, list);
    grace_retire(&stream->grace, &before->item, release_list);
}

/* ---- parts ---- */

static bool is_empty(const struct part *part)
{
    return atomic_load_explicit(&part->used, memory_order_acquire) == 0;
}

bool part_is_full(const struct part *part)
{
    return atomic_load_explicit(&part->used, memory_order_acquire) == part->capacity;
}

static uint64_t base_of(const struct part *part)
{
    return atomic_load_explicit(&part->base, memory_order_relaxed);
}

uint64_t part_length(const struct part *part)
{
    const struct span *span = atomic_load_explicit(&part->span, memory_order_acquire);
    return atomic_load_explicit(&part->own, memory_order_relaxed) + (span ? span->size : 0);
}

struct span *span_new(const void *trailing, size_t trailing_size, const void *spilled,
                      size_t spilled_size)
{
    struct span *span = malloc(sizeof *span + trailing_size + spilled_size);
    if (!span)
        return NULL;
    span->size = trailing_size + spilled_size;
    memcpy(span->bytes, trailing, trailing_size);
    memcpy(span->bytes + trailing_size, spilled, spilled_size);
    return span;
}

/* ---- positions ---- */

ptrdiff_t parts_locate(const struct part_list *list, uint64_t position)
{
    size_t from = 0, to = list->count; /* parts before `from` begin at or before the position */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (base_of(list->parts[middle]) <= position)
            from = middle + 1;
        else
            to = middle;
    }
    return from > 0 ? (ptrdiff_t)from - 1 : PARTS_NONE;
}

/* How many parts there are without the empty ones at the end. */
static size_t count_used(const struct part_list *list)
{
    size_t count = list->count;
    while (count > 0 && is_empty(list->parts[count - 1]))
        count--;
    return count;
}

ptrdiff_t parts_ending(const struct part_list *list)
{
    size_t used = count_used(list);
    if (used > 0 && !part_is_full(list->parts[used - 1]))
        return (ptrdiff_t)used - 1;
    return used < list->count ? (ptrdiff_t)used : PARTS_NONE;
}

ptrdiff_t parts_empty(const struct part_list *list)
{
    size_t used = count_used(list);
    return used < list->count ? (ptrdiff_t)used : PARTS_NONE;
}

/*
 * Parts that begin at `end` hold nothing as of then, though an append may be filling them. The
 * others' spans, and whether they are full, are as of `end` or later: so a part into which, or from
 * which on, an append is being stored is never taken for passed.
 */
size_t parts_passed(const struct part_list *list, uint64_t offset, uint64_t end)
{
    size_t last = 0; /* with bytes */
    bool last_full = false;
    for (size_t i = 0; i < list->count && base_of(list->parts[i]) < end; i++) {
        const struct part *part = list->parts[i];
        bool full = part_is_full(part); /* looked at before its length, which has the span then */
        if (base_of(part) + part_length(part) > offset)
            return i;
        if (!is_empty(part)) {
            last = i;
            last_full = full;
        }
    }
    return last + last_full;
}
