/* SPDX-License-Identifier: MIT */
/*
 * A bound for open files. The file of a segment is opened when first needed; where more than so
 * many are open, those go that have not been used since the hand passed them last, round the ring.
 *
 * A file is closed only if nobody but the list of segments has a reference to its segment. A reader
 * adds its reference and then loads the file; who closes takes the file out and then looks at the
 * count. Both in one total order, so either the reader finds no file, and opens it anew, or it is
 * seen: then the file is put back (or, if another was opened meanwhile, kept until the segment is
 * unused). That the one reference is the list's says `listed`, which is cleared before the list
 * gives up its own: a segment that was removed stays open for who reads it, for its name is gone.
 */
#include "log/log_private.h"

#include <assert.h>

enum { HANDLES_MOST = 128 };

void handles_init(struct firn_log *log)
{
    log->handles.grace = &log->grace;
    log->handles.most = HANDLES_MOST;
    pthread_mutex_init(&log->handles.lock, NULL);
}

void handles_done(struct firn_log *log)
{
    pthread_mutex_destroy(&log->handles.lock);
}

/* ---- the ring; with the lock ---- */

static void link_segment(struct handles *handles, struct segment *segment)
{
    struct segment *hand = handles->hand;
    if (!hand)
        handles->hand = hand = segment->file_next = segment->file_previous = segment;
    segment->file_next = hand;
    segment->file_previous = hand->file_previous;
    hand->file_previous->file_next = segment;
    hand->file_previous = segment;
    handles->count++;
    handles->opened++;
}

static void unlink_segment(struct handles *handles, struct segment *segment)
{
    if (handles->hand == segment)
        handles->hand = segment->file_next == segment ? NULL : segment->file_next;
    segment->file_next->file_previous = segment->file_previous;
    segment->file_previous->file_next = segment->file_next;
    segment->file_next = segment->file_previous = NULL;
    handles->count--;
}

static bool is_alone(const struct segment *segment)
{
    return atomic_load(&segment->refs) == 1 && atomic_load(&segment->listed);
}

static void try_close(struct handles *handles, struct segment *segment)
{
    if (!is_alone(segment))
        return;
    disk_close(segment->late_file);
    segment->late_file = NULL;
    struct firn_file *none = NULL, *file = atomic_exchange(&segment->file, NULL);
    if (!is_alone(segment)) {
        if (!atomic_compare_exchange_strong(&segment->file, &none, file))
            segment->late_file = file;
        return;
    }
    disk_close(file);
    handles->closed++;
    if (!atomic_load(&segment->file))
        unlink_segment(handles, segment);
}

static void sweep(struct handles *handles, const struct segment *keep, size_t most)
{
    size_t steps = 2 * handles->count; /* the first round may only find that all were used */
    while (handles->count > most && steps-- > 0) {
        struct segment *segment = handles->hand;
        assert(segment != NULL);
        handles->hand = segment->file_next;
        if (segment != keep &&
            !atomic_exchange_explicit(&segment->file_used, false, memory_order_relaxed))
            try_close(handles, segment);
    }
}

/* ---- the segments ---- */

void handles_opened(struct segment *segment)
{
    struct handles *handles = atomic_load(&segment->handles);
    if (!handles)
        return;
    if (handles->count >= handles->most)
        grace_reclaim(handles->grace); /* old lists have references too */
    pthread_mutex_lock(&handles->lock);
    if (!segment->file_next)
        link_segment(handles, segment);
    sweep(handles, segment, handles->most);
    pthread_mutex_unlock(&handles->lock);
}

bool handles_relieve(struct segment *segment)
{
    struct handles *handles = atomic_load(&segment->handles);
    if (!handles)
        return false;
    grace_reclaim(handles->grace);
    pthread_mutex_lock(&handles->lock);
    uint64_t before = handles->closed;
    sweep(handles, segment, 0);
    bool any = handles->closed > before;
    pthread_mutex_unlock(&handles->lock);
    return any;
}

void handles_list(struct firn_log *log, struct segment *segment)
{
    atomic_store(&segment->handles, &log->handles);
    atomic_store(&segment->listed, true);
    if (atomic_load(&segment->file))
        handles_opened(segment);
}

void handles_unlist(struct segment *segment)
{
    atomic_store(&segment->listed, false);
}

void handles_get_stats(struct handles *handles, struct firn_log_stats *stats)
{
    pthread_mutex_lock(&handles->lock);
    stats->open_files = handles->count;
    stats->file_opens = handles->opened;
    stats->file_evictions = handles->closed;
    pthread_mutex_unlock(&handles->lock);
}

void handles_forget(struct segment *segment)
{
    struct handles *handles = atomic_load(&segment->handles);
    if (!handles)
        return;
    pthread_mutex_lock(&handles->lock);
    if (segment->file_next)
        unlink_segment(handles, segment);
    pthread_mutex_unlock(&handles->lock);
}
