/* SPDX-License-Identifier: MIT */
/*
 * Removing records from the end and from the beginning.
 *
 * Truncation changes files in several places, so an intent is made durable first, and opening
 * finishes what a crash interrupted (cut.c: what is kept of a batch that the cut divides). The file
 * is cut behind it, which leaves nothing stale for a later append to meet.
 *
 * Removing the beginning makes the new first index durable; files follow at leisure.
 */
#include <stdlib.h>

#include "log/cut.h"
#include "log/log_private.h"

/* ---- redo, also at opening ---- */

struct later {
    struct firn_log *log;
    uint64_t cut_segment;
    uint64_t highest; /* found in this pass; 0: none */
};

static int note_later(void *arg, const char *name, const struct firn_entry *entry)
{
    struct later *later = arg;
    uint64_t base;
    (void)entry;
    if (segment_parse_name(name, &base) && base > later->cut_segment && base > later->highest)
        later->highest = base;
    return 0;
}

/* Removes the segments behind the cut, the highest first. */
static int remove_later(struct firn_log *log, uint64_t cut_segment, struct firn_error *err)
{
    for (;;) {
        struct later later = {log, cut_segment, 0};
        int rc = disk_list(log->disk, log->dir, note_later, &later, err);
        if (rc < 0)
            return rc;
        if (later.highest == 0)
            return disk_sync_dir(log->disk, log->dir, err);
        rc = segment_remove_files(log->disk, log->dir, later.highest, err);
        if (rc < 0)
            return rc;
    }
}

int log_finish_truncation(struct firn_log *log, struct firn_error *err)
{
    const struct intent *intent = &log->checkpoint.intent;
    int rc = age_discard(log, intent->cut.segment,
                         err); /* durably so before anything is replaced */
    if (rc == 0)
        rc = remove_later(log, intent->cut.segment, err);
    if (rc == 0)
        rc = cut_store(log, intent, err);
    if (rc < 0)
        return rc;
    struct checkpoint next = log->checkpoint;
    next.intent = (struct intent){0};
    rc = checkpoint_store(log->checkpoint_file, &next, true, err);
    if (rc < 0)
        return rc;
    if (intent->has_file)
        cut_forget(log);
    log->checkpoint = next;
    return 0;
}

/* ---- truncation ---- */

/* Of the index of a segment, what lies before `changed`. */
static void keep_entries(struct firn_log *log, struct segment *old, uint64_t changed,
                         struct index *index)
{
    struct index *entries;
    bool rebuilt;
    if (cache_get(log, old, &entries, &rebuilt, NULL) < 0)
        return;
    for (size_t i = 0; i < index_count(entries); i++) {
        struct index_entry entry;
        index_get(entries, i, &entry);
        if (entry.position >= changed)
            break;
        index_add(index, entry.relative, entry.position, entry.max_time);
    }
    index_unref(entries);
}

/*
 * The segment as it is after the cut: a new object, since readers may still look up in the index of
 * the old one. Entries from `changed` on are made anew.
 */
static struct segment *cut_segment(struct firn_log *log, struct segment *old, uint64_t changed,
                                   const struct place *cut)
{
    struct segment *segment = segment_new(log->disk, log->dir, old->base, true);
    struct index *index = index_new();
    if (!segment || !index) {
        segment_unref(segment);
        index_unref(index);
        return NULL;
    }
    keep_entries(log, old, changed, index);
    (void)age_inherit(log, old, segment, cut->index); /* else they are as old as what follows */
    atomic_store(&segment->index, index);
    atomic_store(&segment->space.reserved_end, cut->position);
    atomic_store(&segment->written_end, cut->position);
    atomic_store(&segment->durable_end, cut->position);
    bool rebuilt;
    segment_resume_index(segment, cut->position, &rebuilt, NULL);
    return segment;
}

/* After the redo: the log in memory ends at the cut. In a freeze. */
static int shrink(struct firn_log *log, struct segment *old, uint64_t changed,
                  const struct place *cut, struct firn_error *err)
{
    struct segment *segment = cut_segment(log, old, changed, cut);
    int rc = segment ? list_replace_end(log, segment) : FIRN_ENOMEM;
    if (rc < 0) {
        segment_unref(segment);
        return firn_error_set(err, rc, 0, "%s: no memory to truncate", log->dir);
    }
    segment_unref(log->active);
    log->active = segment_ref(segment);
    log->unsynced = false;
    log->written_next = cut->index;
    atomic_store(&log->written_index, cut->index);
    lock_take(&log->commit.lock);
    log->staging = (struct staging){
        .segment = segment, .position = cut->position, .next_index = cut->index};
    log->place = *cut;
    lock_release(&log->commit.lock);
    return 0;
}

static int store_intent(struct firn_log *log, const struct checkpoint *next, struct firn_error *err)
{
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint stored = *next;
    stored.generation = log->checkpoint.generation + 1;
    stored.clean = false;
    int rc = checkpoint_store(log->checkpoint_file, &stored, false, err);
    if (rc == 0)
        log->checkpoint = stored;
    pthread_mutex_unlock(&log->checkpoint_lock);
    return rc;
}

/* From here on a failure leaves the store half-way: opening finishes it, this handle does not. */
static int carry_out(struct firn_log *log, struct segment *segment, const struct checkpoint *next,
                     uint64_t changed, struct firn_error *err)
{
    int rc = store_intent(log, next, err);
    if (rc < 0)
        return rc;
    log->life_started = true;
    log->generation = log->checkpoint.generation;
    prepare_finish(log, segment);
    prepare_forget(log);
    atomic_store_explicit(&log->durable_next, next->intent.cut.index, memory_order_release);
    atomic_fetch_add(&log->truncations, 1);
    follow_publish(log, &next->intent.cut);
    pthread_mutex_lock(&log->checkpoint_lock);
    rc = log_finish_truncation(log, err);
    pthread_mutex_unlock(&log->checkpoint_lock);
    if (rc == 0)
        rc = shrink(log, segment, changed, &next->intent.cut, err);
    atomic_fetch_add(&log->truncations, 1);
    follow_publish(log, &next->intent.cut);
    follow_wake(log);
    return rc;
}

static bool lies_before(const struct place *a, const struct place *b)
{
    return a->segment != b->segment ? a->segment < b->segment : a->position < b->position;
}

static int truncate_frozen(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    uint64_t next = atomic_load(&log->durable_next), lowest = atomic_load(&log->lowest);
    if (index < lowest || index > next)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "%s: can't truncate at %llu: it holds records %llu up to %llu",
                              log->dir, (unsigned long long)index, (unsigned long long)lowest,
                              (unsigned long long)next);
    if (index == next)
        return 0;
    struct segment *segment = list_find(log, index);
    if (!segment)
        return firn_error_set(err, FIRN_EDAMAGED, 0,
                              "%s: can't truncate at %llu: the segment that held it is missing",
                              log->dir, (unsigned long long)index);
    struct checkpoint planned = log->checkpoint;
    int rc = cut_plan(log, segment, index, &planned, err);
    if (reserve_release(log, rc))
        rc = cut_plan(log, segment, index, &planned, err);
    uint64_t changed = planned.durable.position;
    /* Forwards it goes only when the indexes of what it passes are on storage. */
    if (lies_before(&log->checkpoint.durable, &planned.durable))
        planned.durable = log->checkpoint.durable;
    if (rc == 0) {
        struct firn_error cause = {0};
        rc = carry_out(log, segment, &planned, changed, &cause);
        if (rc < 0) {
            commit_poison(&log->commit, &cause);
            if (err)
                *err = cause;
        }
    }
    segment_unref(segment);
    return rc;
}

static int refuse_read_only(const struct firn_log *log, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
}

int firn_log_truncate(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    if (log->options.read_only)
        return refuse_read_only(log, err);
    pthread_mutex_lock(&log->admin);
    int rc = commit_freeze(&log->commit, err);
    if (rc == 0) {
        rc = truncate_frozen(log, index, err);
        stats_add(&log->stats, EVENT_TRUNCATION, rc == 0);
        commit_thaw(&log->commit);
    }
    pthread_mutex_unlock(&log->admin);
    return rc;
}

/* ---- removal of the beginning ---- */

static int store_first(struct firn_log *log, uint64_t index, uint64_t keep_from)
{
    struct firn_error cause = {0};
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint next = log->checkpoint;
    next.first_index = index;
    next.clean = false;
    if (next.durable.segment < keep_from)
        next.durable = (struct place){keep_from, 0, keep_from};
    int rc = checkpoint_store(log->checkpoint_file, &next, true, &cause);
    if (rc == 0)
        log->checkpoint = next;
    pthread_mutex_unlock(&log->checkpoint_lock);
    if (rc < 0)
        commit_poison(&log->commit, &cause);
    return rc;
}

/* Unlinks what lies wholly below `keep_from`, the lowest first. */
static int remove_segments(struct firn_log *log, uint64_t keep_from, struct firn_error *err)
{
    int rc = 0;
    for (;;) {
        struct segment *first = list_first(log);
        uint64_t base = first ? first->base : UINT64_MAX;
        uint64_t next = list_next_base(log, base);
        segment_unref(first);
        if (base >= keep_from)
            return rc;
        if (list_keep(log, next, UINT64_MAX) < 0)
            return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to remove", log->dir);
        stats_add(&log->stats, EVENT_SEGMENT_REMOVED, 1);
        int result = segment_remove_files(log->disk, log->dir, base, rc == 0 ? err : NULL);
        rc = rc == 0 ? result : rc;
    }
}

struct leftover {
    uint64_t below;
    uint64_t lowest; /* found in this pass; UINT64_MAX: none */
};

static int note_leftover(void *arg, const char *name, const struct firn_entry *entry)
{
    struct leftover *leftover = arg;
    uint64_t base;
    (void)entry;
    if (segment_parse_name(name, &base) && base < leftover->below && base < leftover->lowest)
        leftover->lowest = base;
    return 0;
}

int log_remove_leftovers(struct firn_log *log, struct firn_error *err)
{
    pthread_mutex_lock(&log->checkpoint_lock);
    uint64_t below = log->checkpoint.first_index;
    pthread_mutex_unlock(&log->checkpoint_lock);
    struct segment *first = list_first(log);
    if (first)
        below = first->base;
    segment_unref(first);
    int rc = 0;
    if (log->leftover_cut)
        cut_forget(log);
    log->leftover_cut = false;
    while (rc == 0 && log->leftovers) {
        struct leftover leftover = {below, UINT64_MAX};
        rc = disk_list(log->disk, log->dir, note_leftover, &leftover, err);
        if (rc == 0 && leftover.lowest == UINT64_MAX)
            log->leftovers = false;
        else if (rc == 0)
            rc = segment_remove_files(log->disk, log->dir, leftover.lowest, err);
    }
    return rc;
}

int log_remove_below(struct firn_log *log, struct firn_error *err)
{
    int rc = log_remove_leftovers(log, err);
    if (rc < 0)
        return rc;
    struct segment *segment = list_find(log, atomic_load(&log->lowest));
    if (!segment)
        return 0;
    uint64_t keep_from = segment->base;
    segment_unref(segment);
    return remove_segments(log, keep_from, err);
}

/* The log is empty, and goes on at `index` with a new segment. In a freeze. */
static int begin_at(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    struct segment *active = log->active;
    int rc = store_first(log, index, index);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "%s: the new first index could not be stored", log->dir);
    if (active)
        prepare_finish(log, active);
    prepare_forget(log);
    log->written_next = index;
    atomic_store(&log->written_index, index);
    lock_take(&log->commit.lock);
    log->staging = (struct staging){.next_index = index};
    log->place = (struct place){index, 0, index};
    lock_release(&log->commit.lock);
    atomic_store_explicit(&log->durable_next, index, memory_order_release);
    atomic_store_explicit(&log->lowest, index, memory_order_release);
    follow_announce(log);
    segment_unref(active);
    log->active = NULL;
    log->unsynced = false;
    return remove_segments(log, index, err);
}

/* Nothing is held any more: the segment that grew goes too. */
static int remove_all(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    struct segment *active = log->active;
    if (!active || active->base == index || log->staging.next_index != index)
        return 0; /* something was appended meanwhile */
    return begin_at(log, index, err);
}

static int start_frozen(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    uint64_t next = log->staging.next_index;
    if (next == index)
        return 0;
    if (atomic_load(&log->lowest) != next || index < next)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: the next index is %llu, and can't become %llu", log->dir,
                              (unsigned long long)next, (unsigned long long)index);
    return begin_at(log, index, err);
}

int log_start_at(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    pthread_mutex_lock(&log->admin);
    int rc = commit_freeze(&log->commit, err);
    if (rc == 0) {
        rc = start_frozen(log, index, err);
        commit_thaw(&log->commit);
    }
    pthread_mutex_unlock(&log->admin);
    return rc;
}

int log_remove_locked(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    if (index <= atomic_load(&log->lowest))
        return 0;
    int rc = index > atomic_load(&log->durable_next) ? commit_force(&log->commit, err) : 0;
    if (rc < 0)
        return rc;
    uint64_t next = atomic_load(&log->durable_next);
    if (index > next)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "%s: can't remove up to %llu: next index is %llu", log->dir,
                              (unsigned long long)index, (unsigned long long)next);
    lock_take(&log->commit.lock);
    bool poisoned = log->commit.poisoned;
    if (poisoned)
        commit_poisoned(&log->commit, err);
    lock_release(&log->commit.lock);
    if (poisoned)
        return FIRN_EPOISONED;
    struct segment *segment = list_find(log, index);
    uint64_t keep_from = segment ? segment->base : 0; /* 0: it is missing */
    segment_unref(segment);
    rc = store_first(log, index, keep_from);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "%s: the new first index could not be stored", log->dir);
    atomic_store_explicit(&log->lowest, index, memory_order_release);
    follow_announce(log);
    stats_add(&log->stats, EVENT_REMOVAL, 1);
    rc = remove_segments(log, keep_from, err);
    if (rc < 0 || index < atomic_load(&log->durable_next))
        return rc;
    rc = commit_freeze(&log->commit, err);
    if (rc == 0) {
        rc = remove_all(log, index, err);
        commit_thaw(&log->commit);
    }
    return rc;
}

int firn_log_remove_before(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    if (log->options.read_only)
        return refuse_read_only(log, err);
    pthread_mutex_lock(&log->admin);
    int rc = log_remove_locked(log, index, err);
    pthread_mutex_unlock(&log->admin);
    return rc;
}
