/* SPDX-License-Identifier: MIT */
/*
 * Following a writer: a handle that only reads takes over what the position says. Segments that it
 * knows stay the objects that they are; those that are new, or all of them after a truncation or
 * with another writer, are looked for in the directory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/follow.h"
#include "log/log_private.h"

enum { TRIES = 1000 };

struct snapshot {
    uint32_t sequence, generation;
    int64_t writer;
    struct place place;
    uint64_t lowest, truncations;
};

/* False: the writer is changing it just now, or died while it did. */
static bool take(const struct position *position, struct snapshot *s)
{
    for (int i = 0; i < TRIES; i++) {
        s->sequence = atomic_load_explicit(&position->sequence, memory_order_acquire);
        s->writer = atomic_load_explicit(&position->writer, memory_order_acquire);
        s->place.segment = atomic_load_explicit(&position->segment, memory_order_acquire);
        s->place.position = atomic_load_explicit(&position->end, memory_order_acquire);
        s->place.index = atomic_load_explicit(&position->next, memory_order_acquire);
        s->lowest = atomic_load_explicit(&position->lowest, memory_order_acquire);
        s->truncations = atomic_load_explicit(&position->truncations, memory_order_acquire);
        s->generation = atomic_load_explicit(&position->generation, memory_order_acquire);
        uint32_t after = atomic_load_explicit(&position->sequence, memory_order_acquire);
        if (after == s->sequence && after % 2 == 0)
            return true;
    }
    return false;
}

/* ---- the list ------------------------------------------------------------------------------- */

struct bases {
    uint64_t *at;
    size_t count, capacity;
};

static int note_base(void *arg, const char *name, const struct firn_entry *entry)
{
    struct bases *bases = arg;
    uint64_t base;
    (void)entry;
    if (!segment_parse_name(name, &base))
        return 0;
    if (bases->count == bases->capacity) {
        size_t capacity = bases->capacity ? 2 * bases->capacity : 16;
        uint64_t *at = realloc(bases->at, capacity * sizeof *at);
        if (!at)
            return FIRN_ENOMEM;
        bases->at = at;
        bases->capacity = capacity;
    }
    bases->at[bases->count++] = base;
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The segment as it is now. FIRN_ENOENT: it was removed meanwhile. */
static int look_at(struct firn_log *log, uint64_t base, bool anew, const struct place *place,
                   struct segment **out)
{
    char path[DISK_PATH_SIZE];
    struct firn_entry entry;
    struct segment *segment = anew ? NULL : list_find(log, base);
    if (segment && segment->base != base) {
        segment_unref(segment);
        segment = NULL;
    }
    if (!segment)
        segment = segment_new(log->disk, log->dir, base, false);
    int rc = segment ? segment_path(segment, path, sizeof path, NULL) : FIRN_ENOMEM;
    bool grew = rc == 0 && !atomic_load(&segment->space.finished);
    if (rc == 0 && grew)
        rc = disk_stat(log->disk, path, &entry, NULL);
    if (rc == 0 && grew) {
        uint64_t end = base == place->segment ? place->position : entry.size;
        atomic_store(&segment->written_end, end);
        atomic_store_explicit(&segment->durable_end, end, memory_order_release);
        atomic_store(&segment->space.finished, base != place->segment);
    }
    if (rc < 0)
        segment_unref(segment);
    else
        *out = segment;
    return rc;
}

static int rebuild(struct firn_log *log, const struct snapshot *s, bool anew)
{
    struct bases bases = {0};
    size_t count = 0;
    int rc = disk_list(log->disk, log->dir, note_base, &bases, NULL);
    struct segment **segments = rc == 0 ? calloc(bases.count + 1, sizeof(struct segment *)) : NULL;
    if (rc == 0 && !segments)
        rc = FIRN_ENOMEM;
    if (rc == 0 && bases.count)
        qsort(bases.at, bases.count, sizeof *bases.at, compare);
    for (size_t i = 0; rc == 0 && i < bases.count; i++) {
        bool below = i + 1 < bases.count && bases.at[i + 1] <= s->lowest;
        if (below || bases.at[i] > s->place.segment)
            continue;
        rc = look_at(log, bases.at[i], anew, &s->place, &segments[count]);
        count += rc == 0;
        rc = rc == FIRN_ENOENT ? 0 : rc;
    }
    if (rc == 0)
        rc = list_set(log, segments, count);
    for (size_t i = 0; rc < 0 && i < count; i++)
        segment_unref(segments[i]);
    free(segments);
    free(bases.at);
    return rc;
}

/* ---- taking over ---------------------------------------------------------------------------- */

static bool is_alive(struct firn_log *log, int64_t writer)
{
    return writer > 0 && disk_process_alive(log->disk, writer);
}

/* With the lock. A failure leaves all as it was: the next refresh tries again. */
static int apply(struct firn_log *log, struct snapshot *s, bool anew)
{
    struct segment *last = list_find(log, UINT64_MAX);
    bool same = last && last->base == s->place.segment && !anew &&
                s->lowest == atomic_load(&log->lowest);
    int rc = 0;
    if (anew && s->place.index < atomic_load(&log->durable_next))
        atomic_store(&log->durable_next, s->place.index);
    if (same)
        atomic_store_explicit(&last->durable_end, s->place.position, memory_order_release);
    else
        rc = rebuild(log, s, anew);
    segment_unref(last);
    if (rc < 0)
        return rc;
    if (s->lowest > atomic_load(&log->lowest))
        atomic_store_explicit(&log->lowest, s->lowest, memory_order_release);
    atomic_store(&log->follow.generation, s->generation);
    atomic_store(&log->follow.followed, true);
    atomic_store(&log->written_index, s->place.index);
    atomic_store_explicit(&log->durable_next, s->place.index, memory_order_release);
    return 0;
}

/* With the lock. */
static void refresh(struct firn_log *log)
{
    struct follow *follow = &log->follow;
    struct snapshot s;
    if (!take(follow->position, &s))
        return;
    bool truncating = s.truncations % 2 != 0;
    if (truncating && is_alive(log, s.writer)) {
        if (s.place.index < atomic_load(&log->durable_next))
            atomic_store(&log->durable_next, s.place.index);
        atomic_store(&log->truncations, s.truncations);
        return; /* the next one looks again */
    }
    stats_add(&log->stats, EVENT_REFRESH, 1);
    bool anew = s.truncations != atomic_load(&log->truncations);
    if (truncating || apply(log, &s, anew) == 0) {
        /* A writer that died while it truncated: what can be read stays as it is. */
        atomic_store(&log->truncations, s.truncations + truncating);
        atomic_store(&follow->seen, s.sequence);
    }
}

void follow_refresh(struct firn_log *log)
{
    struct follow *follow = &log->follow;
    if (!log->options.read_only || !follow->position)
        return;
    uint32_t now = atomic_load_explicit(&follow->position->sequence, memory_order_acquire);
    if (now % 2 != 0 || now == atomic_load_explicit(&follow->seen, memory_order_acquire))
        return;
    pthread_mutex_lock(&follow->lock);
    refresh(log);
    pthread_mutex_unlock(&follow->lock);
}

static int map(struct firn_log *log)
{
    struct follow *follow = &log->follow;
    char path[DISK_PATH_SIZE];
    void *memory;
    int rc = disk_path_join(path, sizeof path, log->dir, POSITION_NAME, NULL);
    if (rc == 0)
        rc = disk_share(log->disk, path, sizeof *follow->position, false, &follow->share, &memory,
                        NULL);
    if (rc == 0)
        follow->position = memory;
    return rc;
}

bool follow_attach(struct firn_log *log)
{
    struct follow *follow = &log->follow;
    struct snapshot s;
    uint8_t boot[sizeof follow->position->boot];
    if (map(log) < 0 || !take(follow->position, &s))
        return false;
    disk_boot_id(log->disk, boot);
    bool truncating = s.truncations % 2 != 0;
    bool alive = memcmp(follow->position->boot, boot, sizeof boot) == 0 && is_alive(log, s.writer);
    bool pending = truncating && alive; /* it is just being opened, perhaps: looks again soon */
    atomic_store(&log->truncations, s.truncations + (truncating && !alive));
    atomic_store(&follow->seen, pending ? s.sequence + 1 : s.sequence);
    if (!alive || truncating || apply(log, &s, true) < 0)
        return false;
    log->generation = log->checkpoint.generation = s.generation;
    snprintf(log->recovery.text, sizeof log->recovery.text,
             "not looked at: process %lld is writing to it", (long long)s.writer);
    return true;
}
