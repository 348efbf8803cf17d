/* SPDX-License-Identifier: MIT */
/*
 * Settling: what is durable gets its indexes on storage and a checkpoint behind it, so that the
 * next opening after a crash scans only what follows. Done in the background, and at close together
 * with the clean marker. Indexes come before the checkpoint that passes them. Within a segment none
 * are due: there the committer moves the checkpoint on itself, or a writer in a hurry would leave
 * it far behind; and where the background does not come to it in time, from one to the next.
 */
#include "log/log_private.h"

enum {
    PARTS = 8, /* of a segment, after which its index is stored */
    OVERDUE_BYTES = 2 * LOG_CHECKPOINT_BYTES,
};

static struct place durable_place(struct firn_log *log)
{
    lock_take(&log->commit.lock);
    struct place place = log->place;
    lock_release(&log->commit.lock);
    return place;
}

static uint64_t settled_segment(struct firn_log *log)
{
    pthread_mutex_lock(&log->checkpoint_lock);
    uint64_t segment = log->checkpoint.durable.segment;
    pthread_mutex_unlock(&log->checkpoint_lock);
    return segment;
}

static int store_index(struct firn_log *log, struct segment *segment, struct firn_error *err)
{
    struct index *index;
    bool rebuilt;
    int rc = cache_get(log, segment, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    rc = index_store(index, log->disk, log->dir, segment->base, err);
    index_unref(index);
    if (rc == 0)
        rc = age_store(log, segment, true, err);
    if (rc == 0) {
        segment->indexed = true;
        cache_stored(log, segment);
    }
    return rc;
}

/* Indexes of the segments that end at or before `to`, from the last checkpoint's on. */
static int store_indexes(struct firn_log *log, uint64_t from, uint64_t to, struct firn_error *err)
{
    int rc = 0;
    bool any = false;
    struct segment *segment = list_find(log, from);
    while (rc == 0 && segment && segment->base < to) {
        if (!segment->indexed) {
            rc = store_index(log, segment, err);
            any = true;
        }
        struct segment *next = list_after(log, segment->base);
        segment_unref(segment);
        segment = next;
    }
    segment_unref(segment);
    if (rc == 0 && any)
        rc = disk_sync_dir(log->disk, log->dir, err);
    return rc;
}

/* Ages of what was scanned: what was appended up to a crash is no younger than the crash. */
static int resume_ages(struct firn_log *log, const struct segment_list *list, uint64_t from,
                       uint64_t next, struct firn_error *err)
{
    struct segment *last = list->at[list->count - 1];
    for (size_t i = 0; i + 1 < list->count; i++) {
        struct segment *segment = list->at[i];
        if (segment->base >= from && age_check(log, segment->base) == FIRN_EDAMAGED)
            (void)age_discard(log, segment->base, NULL);
    }
    return age_resume(log, last, next, true, err);
}

int settle_scanned(struct firn_log *log, uint64_t from, const struct place *end,
                   struct firn_error *err)
{
    struct segment_list *list = atomic_load(&log->list);
    bool store = !log->options.read_only;
    if (!list || list->count == 0) /* the checkpoint's name may not be durable yet */
        return store ? disk_sync_dir(log->disk, log->dir, err) : 0;
    for (size_t i = 0; i < list->count; i++) {
        struct segment *segment = list->at[i];
        if (store && segment->base >= from && segment->base < end->segment)
            (void)store_index(log, segment, NULL); /* it is made anew when needed */
        if (segment->base < end->segment)
            cache_stored(log, segment);
    }
    return store ? resume_ages(log, list, from, end->index, err) : 0; /* syncs the directory too */
}

static int store_checkpoint(struct firn_log *log, const struct checkpoint *next, bool both,
                            struct firn_error *err)
{
    struct checkpoint stored = *next;
    int rc = checkpoint_store(log->checkpoint_file, &stored, both, err);
    if (rc == 0)
        log->checkpoint = stored;
    stats_add(&log->stats, EVENT_CHECKPOINT, rc == 0);
    return rc;
}

/* The marks of age of the segment that grows, now and then. */
static int store_age(struct firn_log *log, uint64_t base, struct firn_error *err)
{
    int64_t now = log_now(log);
    if (now >= log->age_stored && now < log->age_stored + LOG_AGE_STORE_MS)
        return 0;
    log->age_stored = now;
    struct segment *segment = list_find(log, base);
    int rc = segment ? age_store(log, segment, false, err) : 0;
    segment_unref(segment);
    return rc;
}

static bool is_ahead(const struct place *a, const struct place *b)
{
    return a->segment != b->segment ? a->segment > b->segment : a->position > b->position;
}

/* Moves the checkpoint on to `place`, if that is ahead of it and `crosses` or in its segment. */
static int move_on(struct firn_log *log, const struct place *place, bool crosses,
                   struct firn_error *err)
{
    int rc = 0;
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint next = log->checkpoint;
    if (is_ahead(place, &next.durable) && (crosses || next.durable.segment == place->segment)) {
        next.durable = *place;
        rc = store_checkpoint(log, &next, false, err);
    }
    pthread_mutex_unlock(&log->checkpoint_lock);
    return rc;
}

int settle_here(struct firn_log *log, const struct place *place, struct firn_error *err)
{
    uint64_t settled = settled_segment(log);
    if (settled == place->segment)
        return move_on(log, place, false, err);
    /* Whoever has `admin` may wait for the committer: it does not wait for him. */
    if (place->position < OVERDUE_BYTES || pthread_mutex_trylock(&log->admin) != 0)
        return 0;
    int rc = store_indexes(log, settled, place->segment, NULL) < 0 ? 0
                                                                   : move_on(log, place, true, err);
    pthread_mutex_unlock(&log->admin);
    return rc;
}

/*
 * The index of the segment that grows, now and then, so that recovery need not read all of the
 * segment to make it anew. Nothing relies on it: a failure costs nothing else.
 */
static void store_part(struct firn_log *log, const struct place *place)
{
    struct index *index;
    bool rebuilt;
    struct segment *segment = list_find(log, place->segment);
    if (segment && segment->base == place->segment &&
        place->position >= segment->indexed_end + log->options.segment_bytes / PARTS &&
        cache_get(log, segment, &index, &rebuilt, NULL) == 0) {
        (void)index_store_part(index, log->disk, log->dir, segment->base, (uint32_t)place->position,
                               NULL);
        segment->indexed_end = place->position;
        index_unref(index);
    }
    segment_unref(segment);
}

int settle(struct firn_log *log, struct firn_error *err)
{
    struct place place = durable_place(log);
    int rc = store_indexes(log, settled_segment(log), place.segment, err);
    if (rc == 0)
        rc = store_age(log, place.segment, err);
    if (rc < 0)
        return rc; /* nothing is lost: the next one tries again */
    store_part(log, &place);
    struct firn_error cause = {0};
    rc = move_on(log, &place, true, &cause);
    if (rc < 0)
        commit_poison(&log->commit, &cause);
    if (rc < 0 && err)
        *err = cause;
    return rc;
}

void settle_task(void *arg)
{
    struct firn_log *log = arg;
    pthread_mutex_lock(&log->admin);
    lock_take(&log->commit.lock);
    bool poisoned = log->commit.poisoned;
    lock_release(&log->commit.lock);
    uint64_t start = wait_now_ns();
    if (!poisoned && log->life_started && settle(log, NULL) == 0)
        log_remove_below(log, NULL);
    if (!poisoned && log->life_started)
        reserve_keep(log);
    stats_settled(&log->stats, wait_now_ns() - start);
    pthread_mutex_unlock(&log->admin);
}

/* On a full disk a log is closed without those that are missing; they are made anew when needed. */
static int discard_indexes(struct firn_log *log, uint64_t from, struct firn_error *err)
{
    struct segment_list *list = atomic_load(&log->list);
    for (size_t i = 0; list && i < list->count; i++)
        if (list->at[i]->base >= from && !list->at[i]->indexed)
            segment_discard_index(log->disk, log->dir, list->at[i]->base);
    return disk_sync_dir(log->disk, log->dir, err);
}

int settle_clean(struct firn_log *log, struct firn_error *err)
{
    struct place place = durable_place(log);
    int rc = store_indexes(log, settled_segment(log), UINT64_MAX, err);
    if (rc == FIRN_ENOSPC)
        rc = discard_indexes(log, settled_segment(log), err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint next = log->checkpoint;
    struct segment_list *list = atomic_load(&log->list);
    next.durable = next.end = place;
    next.clean = true;
    next.segments = list ? list->count : 0;
    next.segments_crc = log_segments_crc(list);
    rc = store_checkpoint(log, &next, true, err);
    pthread_mutex_unlock(&log->checkpoint_lock);
    return rc;
}
