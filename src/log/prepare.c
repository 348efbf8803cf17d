/* SPDX-License-Identifier: MIT */
/*
 * Space ahead of the writer, reserved and zeroed (commit/ahead.h): in the segment that is written
 * to, by the background thread, a claim at a time; and the next segment, a spare under a name that
 * recovery removes, reserved and zeroed at its start. `ahead.lock` guards all of it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "commit/env.h"
#include "log/log_private.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- reserving ---- */

/* With the lock. The file is opened only where there is something to do: it may be gone else. */
static int reserve_locked(struct firn_log *log, struct segment *segment, uint64_t until,
                          struct firn_error *err)
{
    struct ahead_file *space = &segment->space;
    struct firn_file *file;
    if (until <= atomic_load(&space->reserved_end) || atomic_load(&space->finished))
        return 0;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    return ahead_reserve_locked(&log->prepare.ahead, space, file, until, log->options.segment_bytes,
                                err);
}

int prepare_reserve(struct firn_log *log, struct segment *segment, uint64_t until,
                    struct firn_error *err)
{
    pthread_mutex_lock(&log->prepare.ahead.lock);
    int rc = reserve_locked(log, segment, until, err);
    pthread_mutex_unlock(&log->prepare.ahead.lock);
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
    pthread_mutex_lock(&log->prepare.ahead.lock);
    int rc = spare_locked(log, bytes, err);
    pthread_mutex_unlock(&log->prepare.ahead.lock);
    return rc;
}

struct segment *prepare_take_spare(struct firn_log *log, uint64_t base, uint64_t bytes)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->ahead.lock);
    struct segment *spare = prepare->spare;
    if (spare && atomic_load(&spare->space.reserved_end) >= bytes) {
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
    pthread_mutex_unlock(&prepare->ahead.lock);
    return spare;
}

void prepare_named(struct firn_log *log, struct segment *segment)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->ahead.lock);
    prepare->first_pending = segment->next_pending;
    if (!prepare->first_pending)
        prepare->last_pending = NULL;
    segment->next_pending = NULL;
    pthread_mutex_unlock(&prepare->ahead.lock);
    segment_unref(segment);
}

/* ---- zeroing ---- */

void prepare_begin_naming(struct firn_log *log, struct segment *segment)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->ahead.lock);
    prepare->naming = segment;
    ahead_await_release(&prepare->ahead);
    pthread_mutex_unlock(&prepare->ahead.lock);
}

void prepare_end_naming(struct firn_log *log, struct segment *segment, bool named)
{
    struct prepare *prepare = &log->prepare;
    pthread_mutex_lock(&prepare->ahead.lock);
    prepare->naming = NULL;
    if (named)
        segment->spare_name[0] = '\0';
    pthread_mutex_unlock(&prepare->ahead.lock);
    wait_bump_and_wake_all(&prepare->ahead.released);
}

/* With the lock, lets it go meanwhile: until nobody zeroes, or is about to name the segment. */
static void await_name(struct firn_log *log, const struct segment *segment)
{
    struct ahead *ahead = &log->prepare.ahead;
    ahead_await_release(ahead);
    while (log->prepare.naming == segment) {
        uint32_t seen = wait_load(&ahead->released);
        pthread_mutex_unlock(&ahead->lock);
        wait_until_changed(&ahead->released, seen, WAIT_FOREVER);
        pthread_mutex_lock(&ahead->lock);
        ahead_await_release(ahead);
    }
}

/* With the lock, lets it go meanwhile. 0: there may be more to do; FIRN_EEND: goal is reached. */
static int zero_claim(struct firn_log *log, struct segment *segment, uint64_t goal,
                      struct firn_error *err)
{
    struct ahead *ahead = &log->prepare.ahead;
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    segment_ref(segment);
    await_name(log, segment); /* before it is looked at: it may get another meanwhile */
    int rc = FIRN_EEND;
    if (!atomic_load(&segment->space.finished))
        rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = segment_file(segment, &file, err);
    if (rc == 0)
        rc = ahead_zero_claim(ahead, &segment->space, log->disk, path, file, goal,
                              log->options.segment_bytes, err);
    segment_unref(segment);
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
    pthread_mutex_lock(&prepare->ahead.lock);
    bool more = false;
    uint64_t position = prepare->target_position;
    if (prepare->zeroing && prepare->target)
        more = zero_claim(log, prepare->target, position + ahead_of(position), NULL) == 0;
    if (wants_spare(log) && spare_locked(log, 0, NULL) == 0 && prepare->zeroing)
        zero_claim(log, prepare->spare, AHEAD_CLAIM, NULL);
    pthread_mutex_unlock(&prepare->ahead.lock);
    if (more)
        worker_post_at(env_worker(log->env), &prepare->task, wait_now_ns() + AHEAD_PAUSE_NS);
}

void prepare_await(struct firn_log *log, struct segment *segment, uint64_t from, uint64_t to)
{
    ahead_enter(&log->prepare.ahead, &segment->space, from, to, log->options.segment_bytes);
}

void prepare_finish(struct firn_log *log, struct segment *segment)
{
    ahead_finish(&log->prepare.ahead, &segment->space, log->options.segment_bytes);
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
    pthread_mutex_lock(&prepare->ahead.lock);
    set_target(prepare, active, position);
    prepare->zeroing = durable && group->bytes <= AHEAD_SMALL_GROUP;
    uint64_t enough = least(position + ahead_of(position) / 2, log->options.segment_bytes);
    bool due = (prepare->zeroing && active->space.zeroed_end < enough) || wants_spare(log);
    pthread_mutex_unlock(&prepare->ahead.lock);
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
    pthread_mutex_lock(&log->prepare.ahead.lock);
    rc = spare_locked(log, 0, err);
    if (rc == 0)
        *segment = segment_ref(log->prepare.spare);
    pthread_mutex_unlock(&log->prepare.ahead.lock);
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
    pthread_mutex_lock(&log->prepare.ahead.lock);
    uint64_t goal = position + least(bytes, log->options.segment_bytes);
    if (segment->space.entered_end < position)
        segment->space.entered_end = position;
    do {
        rc = zero_claim(log, segment, goal, err);
    } while (rc == 0);
    pthread_mutex_unlock(&log->prepare.ahead.lock);
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
    pthread_mutex_lock(&log->prepare.ahead.lock);
    set_target(&log->prepare, NULL, 0);
    discard_pending(log);
    pthread_mutex_unlock(&log->prepare.ahead.lock);
}

int prepare_init(struct firn_log *log, struct firn_error *err)
{
    struct prepare *prepare = &log->prepare;
    int rc = worker_task_init(env_worker(log->env), &prepare->task, prepare_task, log,
                              WORKER_NORMAL);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    ahead_init(&prepare->ahead);
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
    ahead_done(&prepare->ahead);
}
