/* SPDX-License-Identifier: MIT */
/*
 * Which indexes stay in memory.
 *
 * The writer's segment always has its index, and so does a finished one until it is on storage:
 * these are none of the cache's. All others are, up to a capacity: cursors that enter a segment
 * load its index and make it the one used last; the one used longest ago goes. Plain reads by index
 * use what is there and change no order: they fill room that nobody else has taken, and beyond it
 * they look up in the file.
 *
 * An index in memory is found without a lock: its pointer is loaded, and a reference taken, inside
 * a grace period.
 */
#include "log/log_private.h"

enum { EXTEND_BYTES = 128 * 1024 };

/* ---- the order; with the lock ---- */

static void unlink_segment(struct index_cache *cache, struct segment *segment)
{
    if (segment->newer)
        segment->newer->older = segment->older;
    else
        cache->newest = segment->older;
    if (segment->older)
        segment->older->newer = segment->newer;
    else
        cache->oldest = segment->newer;
    segment->newer = segment->older = NULL;
    segment->cache = NULL;
    cache->count--;
}

static void push_newest(struct index_cache *cache, struct segment *segment)
{
    segment->older = cache->newest;
    segment->newer = NULL;
    if (cache->newest)
        cache->newest->newer = segment;
    else
        cache->oldest = segment;
    cache->newest = segment;
    segment->cache = cache;
    cache->count++;
}

static void push_oldest(struct index_cache *cache, struct segment *segment)
{
    segment->newer = cache->oldest;
    segment->older = NULL;
    if (cache->oldest)
        cache->oldest->older = segment;
    else
        cache->newest = segment;
    cache->oldest = segment;
    segment->cache = cache;
    cache->count++;
}

/* Reclaiming is for who does not hold the lock: a segment that goes takes it to leave the order. */
static void drop_index(struct firn_log *log, struct segment *segment)
{
    index_retire(atomic_exchange(&segment->index, NULL), &log->grace);
}

static void evict(struct firn_log *log)
{
    struct index_cache *cache = &log->cache;
    while (cache->count > cache->capacity) {
        struct segment *oldest = cache->oldest;
        unlink_segment(cache, oldest);
        drop_index(log, oldest);
        cache->evictions++;
    }
}

/* ---- getting one ---- */

/* The one in memory, with a reference; NULL: none. */
static struct index *in_memory(struct firn_log *log, struct segment *segment)
{
    int phase = grace_enter(&log->grace);
    struct index *index = atomic_load_explicit(&segment->index, memory_order_acquire);
    if (index)
        index_ref(index);
    grace_exit(&log->grace, phase);
    return index;
}

static int load(struct firn_log *log, struct segment *segment, struct index **index, bool *rebuilt,
                struct firn_error *err)
{
    int rc = FIRN_EDAMAGED;
    stats_add(&log->stats, EVENT_INDEX_LOAD, 1);
    if (!atomic_load(&segment->distrusted))
        rc = index_load(segment->disk, segment->dir, segment->base, segment_durable_end(segment),
                        index, NULL);
    *rebuilt = rc < 0;
    stats_add(&log->stats, EVENT_INDEX_REBUILD, rc < 0);
    return rc < 0 ? segment_rebuild_index(segment, index, err) : rc;
}

/* Puts a loaded index in its place, if there is room for it or `newest` makes some. */
static void offer(struct firn_log *log, struct segment *segment, struct index *index, bool newest)
{
    struct index_cache *cache = &log->cache;
    struct index *none = NULL;
    pthread_mutex_lock(&cache->lock);
    bool room = newest ? cache->capacity > 0 : cache->count < cache->capacity;
    if (room && atomic_compare_exchange_strong(&segment->index, &none, index)) {
        index_ref(index);
        if (newest)
            push_newest(cache, segment);
        else
            push_oldest(cache, segment);
        evict(log);
    }
    pthread_mutex_unlock(&cache->lock);
    grace_reclaim(&log->grace);
}

int cache_get(struct firn_log *log, struct segment *segment, struct index **index, bool *rebuilt,
              struct firn_error *err)
{
    *rebuilt = false;
    *index = in_memory(log, segment);
    if (*index)
        return 0;
    int rc = load(log, segment, index, rebuilt, err);
    if (rc == 0)
        offer(log, segment, *index, false);
    return rc;
}

/*
 * A follower's segment grows: what was added since its index was made gets its entries, once it is
 * long enough to matter.
 */
static void extend(struct firn_log *log, struct segment *segment, struct index *index)
{
    struct index_entry last = {.max_time = INT64_MIN};
    uint64_t end = segment_durable_end(segment);
    uint64_t done = atomic_load_explicit(&segment->extended_end, memory_order_relaxed);
    if (segment->writable || end < done + EXTEND_BYTES || !log->follow.position)
        return;
    if (pthread_mutex_trylock(&log->follow.lock) != 0)
        return; /* somebody else is at it, or the next lookup is */
    if (index_count(index))
        index_get(index, index_count(index) - 1, &last);
    if (end > last.position + EXTEND_BYTES)
        (void)segment_build_index(segment, index, last.position, end, &last.max_time, NULL);
    atomic_store_explicit(&segment->extended_end, end, memory_order_relaxed);
    pthread_mutex_unlock(&log->follow.lock);
}

static bool is_full(struct firn_log *log)
{
    pthread_mutex_lock(&log->cache.lock);
    bool full = log->cache.count >= log->cache.capacity;
    pthread_mutex_unlock(&log->cache.lock);
    return full;
}

int cache_floor(struct firn_log *log, struct segment *segment, uint32_t relative,
                struct index_entry *entry, struct index_entry *next, bool *found,
                struct firn_error *err)
{
    bool rebuilt;
    struct index *index = in_memory(log, segment);
    if (!index && !atomic_load(&segment->distrusted) && is_full(log) &&
        index_file_floor(segment->disk, segment->dir, segment->base, segment_durable_end(segment),
                         relative, entry, next, found, NULL) == 0)
        return 0;
    int rc = index ? 0 : cache_get(log, segment, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    extend(log, segment, index);
    *found = index_floor_next(index, relative, entry, next);
    index_unref(index);
    return 0;
}

/* ---- using one ---- */

/* Makes a segment of the order its newest one. False: it is not in the order. */
static bool renew(struct index_cache *cache, struct segment *segment)
{
    pthread_mutex_lock(&cache->lock);
    bool known = segment->cache != NULL;
    if (known && cache->newest != segment) {
        unlink_segment(cache, segment);
        push_newest(cache, segment);
    }
    pthread_mutex_unlock(&cache->lock);
    return known;
}

void cache_touch(struct firn_log *log, struct segment *segment)
{
    struct index *index;
    bool rebuilt;
    if (log->cache.capacity == 0 || renew(&log->cache, segment))
        return;
    if (atomic_load_explicit(&segment->index, memory_order_acquire))
        return; /* the writer's, or not on storage yet */
    if (load(log, segment, &index, &rebuilt, NULL) < 0)
        return;
    offer(log, segment, index, true);
    index_unref(index);
}

void cache_stored(struct firn_log *log, struct segment *segment)
{
    struct index_cache *cache = &log->cache;
    pthread_mutex_lock(&cache->lock);
    if (!segment->cache && atomic_load(&segment->index)) {
        push_newest(cache, segment);
        evict(log);
    }
    pthread_mutex_unlock(&cache->lock);
    grace_reclaim(&log->grace);
}

void cache_distrust(struct firn_log *log, struct segment *segment)
{
    struct index *rebuilt;
    if (atomic_exchange(&segment->distrusted, true) ||
        segment_rebuild_index(segment, &rebuilt, NULL) < 0)
        return;
    struct index *old = atomic_load(&segment->index);
    while (old && !atomic_compare_exchange_weak(&segment->index, &old, rebuilt))
        ;
    if (old)
        index_retire(old, &log->grace);
    else
        offer(log, segment, rebuilt, true);
    if (!old)
        index_unref(rebuilt);
    grace_reclaim(&log->grace);
}

void cache_forget(struct segment *segment)
{
    struct index_cache *cache = atomic_load(&segment->cache);
    if (!cache)
        return;
    pthread_mutex_lock(&cache->lock);
    if (atomic_load(&segment->cache)) /* not evicted meanwhile */
        unlink_segment(cache, segment);
    pthread_mutex_unlock(&cache->lock);
}

void cache_init(struct firn_log *log)
{
    uint32_t wanted = log->options.cached_indexes;
    log->cache.capacity = wanted ? wanted : CACHE_DEFAULT;
    if (wanted == FIRN_INDEXES_ALL)
        log->cache.capacity = SIZE_MAX;
    if (wanted == FIRN_INDEXES_NONE)
        log->cache.capacity = 0;
    pthread_mutex_init(&log->cache.lock, NULL);
}
