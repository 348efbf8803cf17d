/* SPDX-License-Identifier: MIT */
/*
 * Entries in memory: places, and apart from them the times, of the entries that raise it only, for
 * these are few. Both lie in chunks: chunk k holds FIRST << k of them and is never moved, so a
 * reader that has seen `count` finds all below it, whatever the writer does meanwhile. A rise is
 * published before its place.
 *
 * All fields ascend, so each lookup is one binary search: for the chunk by its first entry, from
 * the largest on, and then inside it. Relative indexes mostly ascend evenly: where the entry would
 * stand then is looked at first, which saves touching memory all over a large chunk.
 */
#include "log/index.h"

#include <stdlib.h>

#include "log/index_private.h"

enum { FIRST = 16, CHUNKS = 24 };

struct place_entry {
    uint32_t relative, position;
};

/* The highest timestamp from entry `number` on. */
struct rise {
    int64_t time;
    size_t number;
};

struct index {
    struct grace_item retired;
    _Atomic unsigned refs;
    _Atomic size_t count, rise_count;
    struct place_entry *_Atomic places[CHUNKS];
    struct rise *_Atomic rises[CHUNKS];
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
    for (unsigned k = 0; k < CHUNKS; k++) {
        free(atomic_load_explicit(&index->places[k], memory_order_relaxed));
        free(atomic_load_explicit(&index->rises[k], memory_order_relaxed));
    }
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
}

/* ---- chunks --------------------------------------------------------------------------------- */

/* Entries in all the chunks before chunk k. */
static size_t chunk_start(unsigned k)
{
    return ((size_t)FIRST << k) - FIRST;
}

static unsigned chunk_of(size_t i)
{
    return 63 - (unsigned)__builtin_clzll(i / FIRST + 1);
}

/* What a chunk's pointer leads to is ordered by the load of the count. */
static struct place_entry *places_at(const struct index *index, unsigned k)
{
    return atomic_load_explicit(&index->places[k], memory_order_relaxed);
}

static struct place_entry *place_at(const struct index *index, size_t i)
{
    unsigned k = chunk_of(i);
    return places_at(index, k) + (i - chunk_start(k));
}

static struct rise *rise_at(const struct index *index, size_t i)
{
    unsigned k = chunk_of(i);
    return atomic_load_explicit(&index->rises[k], memory_order_relaxed) + (i - chunk_start(k));
}

size_t index_count(const struct index *index)
{
    return atomic_load_explicit(&index->count, memory_order_acquire);
}

static size_t rise_count(const struct index *index)
{
    return atomic_load_explicit(&index->rise_count, memory_order_acquire);
}

/* How many rises come first that have a lower time, or with `by_number` at most that number. */
static size_t rises_before(const struct index *index, size_t count, bool by_number, int64_t value)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct rise *rise = rise_at(index, middle);
        if (by_number ? (int64_t)rise->number <= value : rise->time < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void index_get(const struct index *index, size_t i, struct index_entry *entry)
{
    const struct place_entry *place = place_at(index, i);
    size_t rises = rises_before(index, rise_count(index), true, (int64_t)i);
    *entry = (struct index_entry){place->relative, place->position,
                                  rise_at(index, rises - 1)->time};
}

size_t index_memory(const struct index *index)
{
    size_t bytes = sizeof *index;
    for (unsigned k = 0; k < CHUNKS; k++) {
        if (places_at(index, k) != NULL)
            bytes += sizeof(struct place_entry) * FIRST << k;
        if (atomic_load_explicit(&index->rises[k], memory_order_relaxed) != NULL)
            bytes += sizeof(struct rise) * FIRST << k;
    }
    return bytes;
}

/* ---- adding --------------------------------------------------------------------------------- */

static int push_rise(struct index *index, int64_t time, size_t number)
{
    size_t count = atomic_load_explicit(&index->rise_count, memory_order_relaxed);
    if (count > 0 && rise_at(index, count - 1)->time >= time)
        return 0;
    unsigned k = chunk_of(count);
    struct rise *chunk = atomic_load_explicit(&index->rises[k], memory_order_relaxed);
    if (chunk == NULL) {
        chunk = malloc(sizeof *chunk * FIRST << k);
        if (chunk == NULL)
            return FIRN_ENOMEM;
        atomic_store_explicit(&index->rises[k], chunk, memory_order_relaxed);
    }
    chunk[count - chunk_start(k)] = (struct rise){time, number};
    atomic_store_explicit(&index->rise_count, count + 1, memory_order_release);
    return 0;
}

int index_push(struct index *index, const struct index_entry *entry)
{
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    unsigned k = chunk_of(count);
    if (k >= CHUNKS)
        return FIRN_ENOMEM;
    struct place_entry *chunk = places_at(index, k);
    if (chunk == NULL) {
        chunk = malloc(sizeof *chunk * FIRST << k);
        if (chunk == NULL)
            return FIRN_ENOMEM;
        atomic_store_explicit(&index->places[k], chunk, memory_order_relaxed);
    }
    if (push_rise(index, entry->max_time, count) != 0)
        return FIRN_ENOMEM;
    chunk[count - chunk_start(k)] = (struct place_entry){entry->relative, entry->position};
    atomic_store_explicit(&index->count, count + 1, memory_order_release);
    return 0;
}

int index_add(struct index *index, uint32_t relative, uint32_t position, int64_t max_time)
{
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    if (count > 0) {
        const struct place_entry *last = place_at(index, count - 1);
        if (position < last->position || position - last->position < INDEX_INTERVAL)
            return 0;
        if (relative <= last->relative)
            return 0;
    }
    struct index_entry entry = {relative, position, max_time};
    return index_push(index, &entry);
}

void index_cut(struct index *index, uint32_t position)
{
    size_t count = atomic_load_explicit(&index->count, memory_order_relaxed);
    size_t rises = atomic_load_explicit(&index->rise_count, memory_order_relaxed);
    while (count > 0 && place_at(index, count - 1)->position >= position)
        count--;
    while (rises > 0 && rise_at(index, rises - 1)->number >= count)
        rises--;
    atomic_store_explicit(&index->count, count, memory_order_release);
    atomic_store_explicit(&index->rise_count, rises, memory_order_release);
}

void index_cut_untimed(struct index *index)
{
    size_t rises = atomic_load_explicit(&index->rise_count, memory_order_relaxed);
    if (rises > 0)
        atomic_store_explicit(&index->count, rise_at(index, rises - 1)->number + 1,
                              memory_order_release);
}

/* ---- looking up ----------------------------------------------------------------------------- */

enum field { RELATIVE, POSITION };

static inline bool is_before(const struct place_entry *entry, enum field field, uint32_t value)
{
    return (field == RELATIVE ? entry->relative : entry->position) <= value;
}

/*
 * Narrows at[0 .. *size) to what holds the last entry that lies before: in steps that double, from
 * where it would stand.
 */
static inline const struct place_entry *guess(const struct place_entry *at, size_t *size,
                                              uint32_t value)
{
    uint64_t first = at->relative, last = at[*size - 1].relative;
    if (value < first || value >= last)
        return at;
    size_t low = (size_t)((value - first) * (*size - 1) / (last - first)), high = low;
    for (size_t step = 1; at[low].relative > value; step *= 2) {
        high = low;
        low = low > step ? low - step : 0;
    }
    for (size_t step = 1; high == low || at[high].relative <= value; step *= 2) {
        low = high;
        high = high + step < *size ? high + step : *size - 1;
    }
    *size = high - low;
    return at + low;
}

/* How many entries lie before: they come first. Inlined, so that `field` costs nothing. */
static inline size_t count_before(const struct index *index, size_t count, enum field field,
                                  uint32_t value)
{
    if (count == 0)
        return 0;
    unsigned k = chunk_of(count - 1);
    while (k > 0 && !is_before(places_at(index, k), field, value))
        k--;
    const struct place_entry *chunk = places_at(index, k);
    size_t start = chunk_start(k);
    size_t size = (size_t)FIRST << k;
    if (size > count - start)
        size = count - start;
    const struct place_entry *at = chunk;
    if (field == RELATIVE && size > 1)
        at = guess(at, &size, value);
    while (size > 1) {
        size_t half = size / 2;
        at = is_before(at + half, field, value) ? at + half : at;
        size -= half;
    }
    return start + (size_t)(at - chunk) + (is_before(at, field, value) ? 1 : 0);
}

bool index_floor_next(const struct index *index, uint32_t relative, struct index_entry *entry,
                      struct index_entry *next)
{
    size_t count = index_count(index);
    size_t before = count_before(index, count, RELATIVE, relative);
    if (before == 0)
        return false;
    const struct place_entry *place = place_at(index, before - 1);
    *entry = (struct index_entry){place->relative, place->position, INT64_MIN};
    *next = (struct index_entry){.max_time = INT64_MIN};
    if (before < count) {
        place = place_at(index, before);
        *next = (struct index_entry){place->relative, place->position, INT64_MIN};
    }
    return true;
}

bool index_floor(const struct index *index, uint32_t relative, struct index_entry *entry)
{
    size_t before = count_before(index, index_count(index), RELATIVE, relative);
    if (before > 0)
        index_get(index, before - 1, entry);
    return before > 0;
}

bool index_floor_position(const struct index *index, uint32_t position, struct index_entry *entry)
{
    size_t before = count_before(index, index_count(index), POSITION, position);
    if (before > 0)
        index_get(index, before - 1, entry);
    return before > 0;
}

bool index_ceil_time(const struct index *index, int64_t time, struct index_entry *entry)
{
    size_t count = index_count(index), rises = rise_count(index);
    size_t before = rises_before(index, rises, false, time);
    if (before == rises || rise_at(index, before)->number >= count)
        return false;
    index_get(index, rise_at(index, before)->number, entry);
    return true;
}
