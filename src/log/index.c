/* SPDX-License-Identifier: MIT */
/*
 * Entries in memory. Chunk k holds FIRST << k of them and is never moved: a reader that has seen
 * `count` finds every entry below it, whatever the writer does meanwhile. All three fields ascend
 * (the times not strictly), so each lookup is one binary search: for the chunk by its first entry,
 * from the largest on, and then inside it.
 */
#include "log/index.h"

#include <stdlib.h>

#include "log/index_private.h"

enum { FIRST = 16, CHUNKS = 24 };

struct index {
    struct grace_item retired;
    _Atomic unsigned refs;
    _Atomic size_t count;
    struct index_entry *_Atomic chunks[CHUNKS];
};

struct index *index_new(void)
{
    struct index *index = calloc(1, sizeof *index);
    if (index)
        atomic_init(&index->refs, 1);
    return index;
}

struct index *index_ref(struct index *index)
{
    atomic_fetch_add_explicit(&index->refs, 1, memory_order_relaxed);
    return index;
}

void index_unref(struct index *index)
{
    if (!index || atomic_fetch_sub_explicit(&index->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned k = 0; k < CHUNKS; k++)
        free(atomic_load_explicit(&index->chunks[k], memory_order_relaxed));
    free(index);
}

static void release(struct grace_item *item)
{
    index_unref((struct index *)item);
}

void index_retire(struct index *index, struct grace *grace)
{
    if (!index)
        return;
    grace_retire(grace, &index->retired, release);
    grace_reclaim(grace);
}

/* ---- places --------------------------------------------------------------------------------- */

/* Entries in all the chunks before chunk k. */
static size_t chunk_start(unsigned k)
{
    return ((size_t)FIRST << k) - FIRST;
}

static unsigned chunk_of(size_t i)
{
    return 63 - (unsigned)__builtin_clzll(i / FIRST + 1);
}

static struct index_entry *chunk_at(const struct index *index, unsigned k)
{
    /* What it points to is ordered by the load of `count`. */
    return atomic_load_explicit(&index->chunks[k], memory_order_relaxed);
}

static struct index_entry *entry_at(const struct index *index, size_t i)
{
    unsigned k = chunk_of(i);
    return chunk_at(index, k) + (i - chunk_start(k));
}

size_t index_count(const struct index *index)
{
    return atomic_load_explicit(&index->count, memory_order_acquire);
}

void index_get(const struct index *index, size_t i, struct index_entry *entry)
{
    *entry = *entry_at(index, i);
}

size_t index_memory(const struct index *index)
{
    size_t bytes = sizeof *index;
    for (unsigned k = 0; k < CHUNKS; k++) {
        if (chunk_at(index, k) != NULL)
            bytes += sizeof(struct index_entry) * FIRST << k;
    }
    return bytes;
}

/* ---- adding --------------------------------------------------------------------------------- */

int index_push(struct index *index, const struct index_entry *entry)
{
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    unsigned k = chunk_of(count);
    if (k >= CHUNKS)
        return FIRN_ENOMEM;
    struct index_entry *chunk = chunk_at(index, k);
    if (chunk == NULL) {
        chunk = malloc(sizeof *chunk * FIRST << k);
        if (chunk == NULL)
            return FIRN_ENOMEM;
        atomic_store_explicit(&index->chunks[k], chunk, memory_order_relaxed);
    }
    chunk[count - chunk_start(k)] = *entry;
    atomic_store_explicit(&index->count, count + 1, memory_order_release);
    return 0;
}

int index_add(struct index *index, uint32_t relative, uint32_t position, int64_t max_time)
{
    struct index_entry entry = {relative, position, max_time};
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    if (count > 0) {
        const struct index_entry *last = entry_at(index, count - 1);
        if (position < last->position || position - last->position < INDEX_INTERVAL)
            return 0;
        if (relative <= last->relative)
            return 0;
        if (max_time < last->max_time)
            entry.max_time = last->max_time;
    }
    return index_push(index, &entry);
}

void index_cut(struct index *index, uint32_t position)
{
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    while (count > 0 && entry_at(index, count - 1)->position >= position)
        count--;
    atomic_store_explicit(&index->count, count, memory_order_release);
}

/* ---- looking up ----------------------------------------------------------------------------- */

enum field { RELATIVE, POSITION, TIME };

/* Whether the entry lies at or before what is looked for (TIME: truly before). */
static inline bool is_before(const struct index_entry *entry, enum field field, int64_t value)
{
    switch (field) {
    case RELATIVE:
        return entry->relative <= value;
    case POSITION:
        return entry->position <= value;
    case TIME:
        break;
    }
    return entry->max_time < value;
}

/* How many entries lie before: they come first. Inlined, so that `field` costs nothing. */
static inline size_t count_before(const struct index *index, size_t count, enum field field,
                                  int64_t value)
{
    if (count == 0)
        return 0;
    unsigned k = chunk_of(count - 1);
    while (k > 0 && !is_before(chunk_at(index, k), field, value))
        k--;
    const struct index_entry *chunk = chunk_at(index, k);
    size_t start = chunk_start(k);
    size_t size = (size_t)FIRST << k;
    if (size > count - start)
        size = count - start;
    const struct index_entry *at = chunk;
    while (size > 1) {
        size_t half = size / 2;
        at = is_before(at + half, field, value) ? at + half : at;
        size -= half;
    }
    return start + (size_t)(at - chunk) + (is_before(at, field, value) ? 1 : 0);
}

bool index_floor(const struct index *index, uint32_t relative, struct index_entry *entry)
{
    size_t before = count_before(index, index_count(index), RELATIVE, relative);
    if (before == 0)
        return false;
    *entry = *entry_at(index, before - 1);
    return true;
}

bool index_floor_position(const struct index *index, uint32_t position, struct index_entry *entry)
{
    size_t before = count_before(index, index_count(index), POSITION, position);
    if (before == 0)
        return false;
    *entry = *entry_at(index, before - 1);
    return true;
}

bool index_ceil_time(const struct index *index, int64_t time, struct index_entry *entry)
{
    size_t count = index_count(index);
    size_t before = count_before(index, count, TIME, time);
    if (before == count)
        return false;
    *entry = *entry_at(index, before);
    return true;
}
