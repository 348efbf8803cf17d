/* SPDX-License-Identifier: MIT */
/*
 * Compaction by key, in steps of one segment, so that the background can do other things between:
 * first all finished segments are read, and the last index of each key noted; then those that hold
 * other records of these keys are written anew, from the first on. Where the keys do not fit in
 * memory, both is done again for the rest of them.
 *
 * A lock is held only where a segment takes the place of another. A truncation in between may have
 * removed the record that was the last of its key: then all begins anew.
 */
#include "log/compact.h"

#include <stdlib.h>

#include "commit/env.h"
#include "log/log_private.h"
#include "log/sift.h"

enum { RESTARTS = 100 };

#define PERIOD_MS 60000u
#define NS_PER_MS 1000000u
#define DELAY_MS (24u * 60 * 60 * 1000)
#define MEMORY_BYTES (16u * 1024 * 1024)

struct compact_run {
    struct firn_log *log;
    struct firn_compaction what;
    struct sift sift;
    bool began;
    bool writing;         /* keys are known */
    uint64_t at;          /* base of the next segment, or a lower index */
    uint64_t end;         /* base of the first that is not looked at */
    uint64_t truncations; /* of the log, when it began */
    unsigned restarts;
    bool unreadable; /* a segment could not be read; `why` says which */
    struct firn_error why;
    struct firn_compacted done;
};

/* ---- a run ---------------------------------------------------------------------------------- */

static struct compact_run *new_run(struct firn_log *log, const struct firn_compaction *options)
{
    static const struct firn_compaction none = {0};
    struct compact_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    run->log = log;
    run->what = options ? *options : none;
    if (run->what.tombstone_delay_ms == 0)
        run->what.tombstone_delay_ms = DELAY_MS;
    if (run->what.memory_bytes == 0)
        run->what.memory_bytes = MEMORY_BYTES;
    return run;
}

static void free_run(struct compact_run *run)
{
    if (!run)
        return;
    sift_done(&run->sift);
    free(run);
}

/* Not to be guessed by who chooses keys. */
static void make_secret(struct firn_log *log, uint64_t secret[2])
{
    const uint64_t key[2] = {disk_clock(log->disk, FIRN_CLOCK_REAL),
                             disk_clock(log->disk, FIRN_CLOCK_MONOTONIC)};
    struct {
        uint8_t boot[16];
        int64_t process;
        const void *place;
    } seed = {.process = disk_process_id(log->disk), .place = log};
    disk_boot_id(log->disk, seed.boot);
    struct siphash hash = siphash(key, &seed, sizeof seed);
    secret[0] = hash.low;
    secret[1] = hash.high;
}

static uint64_t tombstones_below(struct firn_log *log, uint64_t delay_ms)
{
    int64_t now = log_now(log);
    return delay_ms < (uint64_t)now ? age_index_at(log, now - (int64_t)delay_ms) : 0;
}

/* With `admin`: from the first segment on. */
static int begin(struct compact_run *run, struct firn_error *err)
{
    struct firn_log *log = run->log;
    uint64_t secret[2];
    int rc = log_check_poison(log, err);
    if (rc == 0 && list_count(log, NULL) > 1)
        rc = rewrite_prepare(log, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&log->checkpoint_lock);
    run->end = log->checkpoint.durable.segment;
    pthread_mutex_unlock(&log->checkpoint_lock);
    if (!atomic_load(&log->life_started)) /* there is one segment at most */
        run->end = 0;
    run->truncations = atomic_load(&log->truncations);
    make_secret(log, secret);
    keys_done(&run->sift.keys);
    keys_init(&run->sift.keys, secret, run->what.memory_bytes);
    run->sift.log = log;
    run->sift.tombstones_below = tombstones_below(log, run->what.tombstone_delay_ms);
    run->sift.incomplete = run->sift.waiting = false;
    run->began = true;
    run->writing = false;
    run->at = 0;
    run->done.passes = 1;
    return 0;
}

/* The next segment, with a reference, and where the one behind it begins; NULL: that was the last.
 */
static struct segment *take_next(struct compact_run *run, uint64_t *next)
{
    struct firn_log *log = run->log;
    struct segment *segment = list_find(log, run->at);
    if (segment && segment->base < run->at) {
        struct segment *after = list_after(log, segment->base);
        segment_unref(segment);
        segment = after;
    } else if (!segment) {
        segment = list_first(log);
    }
    *next = segment ? list_next_base(log, segment->base) : UINT64_MAX;
    if (segment && segment->base < run->end && *next != UINT64_MAX) {
        run->at = segment->base + 1;
        return segment;
    }
    segment_unref(segment);
    return NULL;
}

/* Unless the log was truncated meanwhile, what was written takes the segment's place. */
static int swap(struct compact_run *run, struct rewrite *rewrite, struct firn_error *err)
{
    struct firn_log *log = run->log;
    struct segment *old = rewrite->old;
    pthread_mutex_lock(&log->admin);
    struct segment *now = list_find(log, old->base);
    bool same = now == old && atomic_load(&log->truncations) == run->truncations;
    segment_unref(now);
    int rc = log_check_poison(log, err);
    if (rc == 0 && same) {
        rc = rewrite_swap(rewrite, err);
        run->truncations += 2;
    } else {
        rewrite_abandon(rewrite);
        rc = rc < 0 ? rc : FIRN_EAGAIN;
    }
    pthread_mutex_unlock(&log->admin);
    return rc;
}

static int write_anew(struct compact_run *run, struct segment *segment, uint64_t next,
                      struct firn_error *err)
{
    struct rewrite rewrite;
    struct sifted sifted;
    uint64_t before = segment_durable_end(segment);
    int rc = rewrite_begin(&rewrite, run->log, segment, err);
    if (rc < 0)
        return rc;
    rc = sift_segment(&run->sift, segment, next, &rewrite, &sifted, err);
    if (rc == 0)
        rc = rewrite_finish(&rewrite, err);
    uint64_t after = rewrite.written;
    if (rc == 0)
        rc = swap(run, &rewrite, err);
    else
        rewrite_abandon(&rewrite);
    if (rc < 0)
        return rc;
    run->done.segments++;
    run->done.records += sifted.records;
    run->done.tombstones += sifted.tombstones;
    run->done.bytes += before > after ? before - after : 0;
    return 0;
}

/* That may be otherwise the next time. */
static int note_unreadable(struct compact_run *run, const struct firn_error *why)
{
    run->unreadable = true;
    run->why = *why;
    return 0;
}

/* What can't be read stays as it is, and so do tombstones behind it. */
static int compact_segment(struct compact_run *run, struct segment *segment, uint64_t next,
                           struct firn_error *err)
{
    struct sifted sifted;
    bool incomplete = run->sift.incomplete;
    int rc = sift_segment(&run->sift, segment, next, NULL, &sifted, err);
    if (rc == FIRN_EDAMAGED || rc == FIRN_EIO) {
        run->sift.incomplete = true;
        return rc;
    }
    if (rc < 0 || sifted.records == 0)
        return rc;
    run->sift.incomplete = incomplete;
    rc = write_anew(run, segment, next, err);
    run->sift.incomplete |= rc < 0;
    /* Truncated, or removed: the next step looks. Or it would not fit into its place. */
    return rc == FIRN_EAGAIN || rc == FIRN_ETOOBIG ? 0 : rc;
}

/* FIRN_EEND: all is done. */
static int next_phase(struct compact_run *run)
{
    run->at = 0;
    run->sift.incomplete = false;
    run->writing = !run->writing;
    if (run->writing)
        return 0;
    if (!keys_advance(&run->sift.keys))
        return FIRN_EEND;
    run->done.passes++;
    return 0;
}

static int begin_locked(struct compact_run *run, struct firn_error *err)
{
    if (run->restarts++ == RESTARTS)
        return firn_error_set(err, FIRN_EBUSY, 0, "%s: truncated again and again meanwhile",
                              run->log->dir);
    pthread_mutex_lock(&run->log->admin);
    int rc = begin(run, err);
    pthread_mutex_unlock(&run->log->admin);
    return rc;
}

/* 0: there is more to do; FIRN_EEND. */
static int step(struct compact_run *run, struct firn_error *err)
{
    uint64_t next;
    if (!run->began || atomic_load(&run->log->truncations) != run->truncations)
        return begin_locked(run, err);
    struct segment *segment = take_next(run, &next);
    if (!segment)
        return next_phase(run);
    struct firn_error why = {0};
    int rc = run->writing ? compact_segment(run, segment, next, &why)
                          : sift_keys(&run->sift, segment, next, &why);
    segment_unref(segment);
    if (rc == FIRN_EDAMAGED)
        return 0;
    if (rc == FIRN_EIO && log_check_poison(run->log, NULL) == 0)
        return note_unreadable(run, &why);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* All is done, but for what could not be read. */
static int result(const struct compact_run *run, int rc, struct firn_error *err)
{
    if (rc != FIRN_EEND)
        return rc;
    if (run->unreadable && err)
        *err = run->why;
    return run->unreadable ? FIRN_EIO : 0;
}

int firn_log_compact(struct firn_log *log, const struct firn_compaction *options,
                     struct firn_compacted *compacted, struct firn_error *err)
{
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    struct compact_run *run = new_run(log, options);
    int rc = run ? 0 : firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to compact", log->dir);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&log->compact.turn);
    do {
        rc = step(run, err);
    } while (rc == 0);
    pthread_mutex_unlock(&log->compact.turn);
    if (rc == FIRN_EEND && compacted)
        *compacted = run->done;
    rc = result(run, rc, err);
    free_run(run);
    return rc;
}

/* ---- in the background ---------------------------------------------------------------------- */

/* Nothing was finished since the last run, and nothing waits to be old enough. */
static bool is_idle(struct firn_log *log)
{
    struct compact *compact = &log->compact;
    struct segment *last = list_find(log, UINT64_MAX);
    uint64_t end = last ? last->base : 0;
    segment_unref(last);
    return compact->done && compact->done_end == end &&
           compact->done_changes == atomic_load(&log->truncations);
}

/* With the lock: does one step. True: the next one is to follow at once. */
static bool step_background(struct firn_log *log)
{
    struct compact *compact = &log->compact;
    if (!compact->run) {
        compact->started_ns = wait_now_ns();
        compact->run = is_idle(log) ? NULL : new_run(log, &compact->what);
    }
    struct compact_run *run = compact->run;
    if (!run)
        return false;
    if (pthread_mutex_trylock(&compact->turn) != 0)
        return false;
    int rc = step(run, NULL);
    pthread_mutex_unlock(&compact->turn);
    if (rc == 0)
        return true;
    compact->done = result(run, rc, NULL) == 0 && !run->sift.waiting;
    compact->done_end = run->end;
    compact->done_changes = run->truncations;
    free_run(run);
    compact->run = NULL;
    return false;
}

static void compact_task(void *arg)
{
    struct firn_log *log = arg;
    struct compact *compact = &log->compact;
    pthread_mutex_lock(&compact->lock);
    uint64_t period_ns = compact->period_ns;
    bool more = period_ns && step_background(log);
    uint64_t due = compact->run ? wait_now_ns() + period_ns : compact->started_ns + period_ns;
    pthread_mutex_unlock(&compact->lock);
    if (more)
        worker_post(env_worker(log->env), &compact->task);
    else if (period_ns)
        worker_post_at(env_worker(log->env), &compact->task, due);
}

int compact_init(struct firn_log *log, struct firn_error *err)
{
    struct compact *compact = &log->compact;
    int rc = worker_task_init(env_worker(log->env), &compact->task, compact_task, log,
                              WORKER_NORMAL);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    pthread_mutex_init(&compact->lock, NULL);
    pthread_mutex_init(&compact->turn, NULL);
    return 0;
}

void compact_done(struct firn_log *log)
{
    struct compact *compact = &log->compact;
    if (!compact->task.worker)
        return;
    worker_task_done(&compact->task);
    free_run(compact->run);
    compact->run = NULL;
    pthread_mutex_destroy(&compact->lock);
    pthread_mutex_destroy(&compact->turn);
}

int firn_log_set_compaction(struct firn_log *log, const struct firn_compaction *options,
                            uint64_t period_ms, struct firn_error *err)
{
    struct compact *compact = &log->compact;
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    if (period_ms > UINT64_MAX / NS_PER_MS / 4)
        period_ms = UINT64_MAX / NS_PER_MS / 4;
    pthread_mutex_lock(&compact->lock);
    compact->what = options ? *options : (struct firn_compaction){0};
    compact->period_ns = options ? (period_ms ? period_ms : PERIOD_MS) * NS_PER_MS : 0;
    compact->done = false;
    free_run(compact->run);
    compact->run = NULL;
    pthread_mutex_unlock(&compact->lock);
    if (options)
        worker_post(env_worker(log->env), &compact->task);
    return 0;
}
