/* SPDX-License-Identifier: MIT */
/*
 * Space ahead of the writer.
 *
 * Reserving: a writer writes only into reserved space, so that a full disk is noticed before an
 * index is given out. Steps grow with the segment, from 64 KiB to 32 MiB.
 *
 * Zeroing: a durable write into zeroed space is an overwrite that needs no journal of the file
 * system. The background thread zeroes in claims of at most 256 KiB, each synced through a file of
 * its own, with a pause between them: longer bursts hold up the writer's syncs. A claim lies ahead
 * of the writer; one that catches up waits until the claim is released. Writers of large groups and
 * those that never sync gain nothing by it, and do not get it.
 *
 * The next segment: a spare under a name that recovery removes, reserved and zeroed at its start.
 */
#include <inttypes.h>
#include <stdio.h>

#include "commit/env.h"
#include "log/log_private.h"

enum {
    CLAIM = 256 * 1024,
    PAGE = 4096,
    SMALL_GROUP = 64 * 1024, /* bytes; zeroing pays for groups up to this */
};
#define PAUSE_NS 2000000u

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t page_up(uint64_t position)
{
    return (position + PAGE - 1) / PAGE * PAGE;
}

/* How far ahead of `position` space is prepared. */
static uint64_t ahead_of(uint64_t position)
{
    if (position < LOG_RESERVE_STEP)
        return LOG_RESERVE_STEP;
    return least(position, LOG_RESERVE_AHEAD);
}

/* ---- reserving ---- */

/* With the lock. */
static int reserve_locked(struct firn_log *log, struct segment *segment, uint64_t until,
                          struct firn_error *err)
{
    uint64_t end = atomic_load(&segment->reserved_end);
    if (until <= end || atomic_load(&segment->finished))
        return 0; /* finished meanwhile: its caller plans anew */
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    uint64_t wanted = least(page_up(until + ahead_of(end)), log->options.segment_bytes);
    rc = FIRN_ENOSPC;
    if (wanted > until)
        rc = disk_reserve(file, end, wanted - end, err);
    if (rc == FIRN_ENOSPC) {
        wanted = until;
        rc = disk_reserve(file, end, wanted - end, err);
    }
    if (rc == 0)
        atomic_store_explicit(&segment->reserved_end, wanted, memory_order_release);
    return rc;
}

int prepare_reserve(struct firn_log *log, struct segment *segment, uint64_t until,
                    struct firn_error *err)
{
    pthread_mutex_lock(&log->prepare.lock);
    int rc = reserve_locked(log, segment, until, err);
    pthread_mutex_unlock(&log->prepare.lock);
    return rc;
}

/* ---- the next segment ---- */

static int spare_path(const struct segment *segment, char *path, size_t size)
{
    return segment_path(segment, path, size, NULL);
}

static void discard(struct firn_log *log, struct segment *segment)
{
    char path[DISK_PATH_SIZE];
    if (segment->spare_name[0] && spare_path(segment, path, sizeof path) == 0)
        disk_remove(log->disk, path, NULL);
    segment_unref(segment);
}

/* With the lock. */
static int new_spare(struct firn_log *log, uint64_t bytes, struct firn_error *err)
{
    struct segment *segment = segment_new(log->disk, log->dir, 0, true);
    struct index *index = index_new();
    if (segment)
        atomic_store(&segment->index, index);
    if (!segment || !index) {
        if (!segment)
            index_unref(index);
        segment_unref(segment);
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a segment", log->dir);
    }
    snprintf(segment->spare_name, sizeof segment->spare_name, "spare-%" PRIu64 ".tmp",
             ++log->prepare.spare_count);
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    int rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE,
                       &file, err);
    if (rc < 0) {
        segment_unref(segment);
        return rc;
    }
    atomic_store(&segment->file, file);
    rc = reserve_locked(log, segment, bytes, err);
    if (rc < 0)
        discard(log, segment);
    else
        log->prepare.spare = segment;
    return rc;
}

static int spare_locked(struct firn_log *log, uint64_t bytes, struct firn_error *err)
{
    bytes = bytes ? bytes : 1;
    if (!log->prepare.spare)
        return new_spare(log, bytes, err);
    return reserve_locked(log, log->prepare.spare, bytes, err);
}

int prepare_spare(struct firn_log *log, uint64_t bytes, struct firn_error *err)
{
    pthread_mutex_lock(&log->prepare.lock);
    int rc = spare_locked(log, bytes, err);
    pthread_mutex_unlock(&log->prepare.lock);
    return rc;
}

struct segment *prepare_take_spare(struct firn_log *log, uint64_t base, uint64_t bytes)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->lock);
    struct segment *spare = prepare->spare;
    if (spare && atomic_load(&spare->reserved_end) >= bytes) {
        prepare->spare = NULL;
        spare->base = base;
        if (prepare->last_pending)
            prepare->last_pending->next_pending = spare;
        else
            prepare->first_pending = spare;
        prepare->last_pending = spare;
    } else {
        spare = NULL;
    }
    pthread_mutex_unlock(&prepare->lock);
    return spare;
}

void prepare_named(struct firn_log *log, struct segment *segment)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->lock);
    prepare->first_pending = segment->next_pending;
    if (!prepare->first_pending)
        prepare->last_pending = NULL;
    segment->next_pending = NULL;
    pthread_mutex_unlock(&prepare->lock);
    segment_unref(segment);
}

/* ---- zeroing ---- */

/*
 * With the lock: the next claim of `segment` on the way to `goal`; false: that is reached. It lies
 * ahead of all that a writer has entered.
 */
static bool next_claim(const struct segment *segment, uint64_t goal, uint64_t *from, uint64_t *to)
{
    uint64_t entered = segment->entered_end;
    uint64_t gap = entered < LOG_RESERVE_STEP ? PAGE : CLAIM / 4;
    *from = segment->zeroed_end;
    if (*from < entered)
        *from = page_up(entered + gap);
    if (*from >= goal)
        return false;
    *to = least(*from + CLAIM, goal);
    return true;
}

static int zero(struct segment *segment, const char *path, uint64_t from, uint64_t to,
                struct firn_error *err)
{
    struct firn_file *file;
    int rc = disk_open(segment->disk, path, FIRN_OPEN_WRITE, &file, err);
    if (rc < 0)
        return rc;
    rc = disk_write_zeros(file, from, to - from, 0, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    return rc;
}

static void await_release(struct prepare *prepare)
{
    uint32_t seen = wait_load(&prepare->released);
    pthread_mutex_unlock(&prepare->lock);
    wait_until_changed(&prepare->released, seen, WAIT_FOREVER);
    pthread_mutex_lock(&prepare->lock);
}

/* With the lock, lets it go meanwhile. 0: there may be more to do; FIRN_EEND: goal is reached. */
static int zero_claim(struct firn_log *log, struct segment *segment, uint64_t goal,
                      struct firn_error *err)
{
    struct prepare *prepare = &log->prepare;
    char path[DISK_PATH_SIZE];
    uint64_t from, to;
    while (prepare->claimed)
        await_release(prepare);
    if (!next_claim(segment, least(goal, log->options.segment_bytes), &from, &to))
        return FIRN_EEND;
    int rc = reserve_locked(log, segment, to, err);
    if (rc == 0)
        rc = segment_path(segment, path, sizeof path, err);
    if (rc < 0)
        return rc;
    prepare->claimed = segment_ref(segment);
    prepare->claim_from = from;
    prepare->claim_to = to;
    pthread_mutex_unlock(&prepare->lock);
    rc = zero(segment, path, from, to, err);
    pthread_mutex_lock(&prepare->lock);
    if (rc == 0)
        segment->zeroed_end = to;
    prepare->claimed = NULL;
    segment_unref(segment);
    wait_bump_and_wake_all(&prepare->released);
    return rc;
}

static bool wants_spare(const struct firn_log *log)
{
    const struct prepare *prepare = &log->prepare;
    return !prepare->spare && !prepare->first_pending &&
           prepare->target_position > log->options.segment_bytes / 2;
}

static void prepare_task(void *arg)
{
    struct firn_log *log = arg;
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->lock);
    bool more = false;
    uint64_t position = prepare->target_position;
    if (prepare->zeroing && prepare->target)
        more = zero_claim(log, prepare->target, position + ahead_of(position), NULL) == 0;
    if (wants_spare(log) && spare_locked(log, 0, NULL) == 0 && prepare->zeroing)
        zero_claim(log, prepare->spare, CLAIM, NULL);
    pthread_mutex_unlock(&prepare->lock);
    if (more)
        worker_post_at(env_worker(log->env), &prepare->task, wait_now_ns() + PAUSE_NS);
}

void prepare_await(struct firn_log *log, struct segment *segment, uint64_t from, uint64_t to)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->lock);
    while (prepare->claimed == segment && prepare->claim_from < to && from < prepare->claim_to)
        await_release(prepare);
    to = least(to, log->options.segment_bytes);
    if (segment->entered_end < to)
        segment->entered_end = to;
    pthread_mutex_unlock(&prepare->lock);
}

void prepare_finish(struct firn_log *log, struct segment *segment)
{
    prepare_await(log, segment, 0, UINT64_MAX);
    pthread_mutex_lock(&log->prepare.lock);
    atomic_store(&segment->finished, true);
    pthread_mutex_unlock(&log->prepare.lock);
}

/* With the lock. */
static void set_target(struct prepare *prepare, struct segment *segment, uint64_t position)
{
    if (prepare->target != segment) {
        segment_unref(prepare->target);
        prepare->target = segment ? segment_ref(segment) : NULL;
    }
    prepare->target_position = position;
}

void prepare_consider(struct firn_log *log, const struct commit_group *group, bool durable)
{
    struct prepare *prepare = &log->prepare;
    struct segment *active = log->active;
    if (!active)
        return;
    uint64_t position = atomic_load(&active->written_end);
    pthread_mutex_lock(&prepare->lock);
    set_target(prepare, active, position);
    prepare->zeroing = durable && group->bytes <= SMALL_GROUP;
    uint64_t enough = least(position + ahead_of(position) / 2, log->options.segment_bytes);
    bool due = (prepare->zeroing && active->zeroed_end < enough) || wants_spare(log);
    pthread_mutex_unlock(&prepare->lock);
    if (due)
        worker_post(env_worker(log->env), &prepare->task);
}

/* The segment that the next append goes to, with a reference: staging's, or else the spare. */
static int segment_to_prepare(struct firn_log *log, struct segment **segment, uint64_t *position,
                              struct firn_error *err)
{
    int rc = commit_begin(&log->commit, err);
    if (rc < 0)
        return rc;
    *position = log->staging.position;
    *segment = log->staging.segment ? segment_ref(log->staging.segment) : NULL;
    commit_end(&log->commit);
    if (*segment)
        return 0;
    pthread_mutex_lock(&log->prepare.lock);
    rc = spare_locked(log, 0, err);
    if (rc == 0)
        *segment = segment_ref(log->prepare.spare);
    pthread_mutex_unlock(&log->prepare.lock);
    return rc;
}

int firn_log_prepare(struct firn_log *log, uint64_t bytes, struct firn_error *err)
{
    struct segment *segment;
    uint64_t position;
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    int rc = segment_to_prepare(log, &segment, &position, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&log->prepare.lock);
    uint64_t goal = position + least(bytes, log->options.segment_bytes);
    if (segment->entered_end < position)
        segment->entered_end = position;
    do {
        rc = zero_claim(log, segment, goal, err);
    } while (rc == 0);
    pthread_mutex_unlock(&log->prepare.lock);
    segment_unref(segment);
    return rc == FIRN_EEND ? 0 : rc;
}

/* With the lock: those that were taken, and that nothing is staged to. */
static void discard_pending(struct firn_log *log)
{
    struct prepare *prepare = &log->prepare;
    while (prepare->first_pending) {
        struct segment *next = prepare->first_pending->next_pending;
        discard(log, prepare->first_pending);
        prepare->first_pending = next;
    }
    prepare->last_pending = NULL;
}

void prepare_forget(struct firn_log *log)
{
    pthread_mutex_lock(&log->prepare.lock);
    set_target(&log->prepare, NULL, 0);
    discard_pending(log);
    pthread_mutex_unlock(&log->prepare.lock);
}

int prepare_init(struct firn_log *log, struct firn_error *err)
{
    struct prepare *prepare = &log->prepare;
    int rc = worker_task_init(env_worker(log->env), &prepare->task, prepare_task, log,
                              WORKER_NORMAL);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    pthread_mutex_init(&prepare->lock, NULL);
    wait_word_init(&prepare->released);
    return 0;
}

void prepare_done(struct firn_log *log)
{
    struct prepare *prepare = &log->prepare;
    discard_pending(log);
    if (prepare->spare)
        discard(log, prepare->spare);
    segment_unref(prepare->target);
    worker_task_done(&prepare->task);
    wait_word_done(&prepare->released);
    pthread_mutex_destroy(&prepare->lock);
}
