/* SPDX-License-Identifier: MIT */
/*
 * Retention: each limit gives the lowest index that it lets stay, and the highest of these counts.
 */
#include <inttypes.h>
#include <stdio.h>

#include <firn/keep.h>

#include "commit/env.h"
#include "log/log_private.h"

#define PERIOD_MS 60000u
#define NS_PER_MS 1000000u

/* ---- limits --------------------------------------------------------------------------------- */

static uint64_t by_records(struct firn_log *log, uint64_t most)
{
    uint64_t next = atomic_load(&log->durable_next);
    return next > most ? next - most : 0;
}

static uint64_t by_age(struct firn_log *log, uint64_t age_ms)
{
    int64_t now = log_now(log);
    return age_ms < (uint64_t)now ? age_index_at(log, now - (int64_t)age_ms) : 0;
}

/* The segment, and the place in it, behind which the log has `most` bytes; NULL: it has no more. */
static struct segment *segment_at(struct firn_log *log, uint64_t most, uint64_t *position)
{
    int phase = grace_enter(&log->grace);
    struct segment_list *list = atomic_load(&log->list);
    struct segment *found = NULL;
    for (size_t i = list ? list->count : 0; i > 0 && !found; i--) {
        uint64_t bytes = segment_durable_end(list->at[i - 1]);
        if (bytes > most) {
            found = segment_ref(list->at[i - 1]);
            *position = bytes - most;
        } else {
            most -= bytes;
        }
    }
    grace_exit(&log->grace, phase);
    return found;
}

/* Base of the first batch of the segment at or behind `position`, or of the next segment. */
static int first_batch_at(struct firn_log *log, struct segment *segment, uint64_t position,
                          uint64_t *base, struct firn_error *err)
{
    struct firn_file *file;
    struct index *index;
    struct index_entry entry = {0};
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    bool rebuilt;
    int rc = segment_file(segment, &file, err);
    if (rc == 0)
        rc = cache_get(log, segment, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    if (!index_floor_position(index, (uint32_t)position, &entry))
        entry.position = 0;
    index_unref(index);
    scan_init(&scan, file, entry.position, segment_durable_end(segment), 0);
    *base = segment->base;
    while ((rc = scan_peek(&scan, &batch, &fault, err)) == 0) {
        *base = batch.base;
        if (scan.position >= position)
            break;
        scan_skip(&scan, &batch);
        *base = batch.base + batch.last_delta + 1;
    }
    scan_done(&scan);
    return rc == FIRN_EEND || rc == FIRN_EDAMAGED ? 0 : rc; /* damage: more stays than need be */
}

static int by_bytes(struct firn_log *log, uint64_t most, uint64_t *index, struct firn_error *err)
{
    uint64_t position;
    struct segment *segment = segment_at(log, most, &position);
    if (!segment)
        return 0;
    int rc = first_batch_at(log, segment, position, index, err);
    segment_unref(segment);
    return rc;
}

/* What is to go, and the limit that says so. */
struct plan {
    uint64_t lowest, next;
    const char *why;
    char keeper[FIRN_CURSOR_NAME_MAX + 1]; /* cursor that has not read the rest of it; "": none */
};

static void raise_to(struct plan *plan, uint64_t index, const char *why)
{
    if (index <= plan->next)
        return;
    plan->next = index;
    plan->why = why;
}

/* What a cursor has not read stays. */
static void lower_to(struct plan *plan, uint64_t unread, const char *keeper)
{
    if (unread >= plan->next)
        return;
    plan->next = unread > plan->lowest ? unread : plan->lowest;
    snprintf(plan->keeper, sizeof plan->keeper, "%s", keeper);
}

static int make_plan(struct firn_log *log, const struct firn_retention *keep, struct plan *plan,
                     struct firn_error *err)
{
    uint64_t index = 0, end = atomic_load(&log->durable_next);
    plan->lowest = plan->next = atomic_load(&log->lowest);
    plan->why = NULL;
    plan->keeper[0] = '\0';
    if (keep->before_index)
        raise_to(plan, keep->before_index < end ? keep->before_index : end,
                 "below the given index");
    if (keep->max_records)
        raise_to(plan, by_records(log, keep->max_records), "beyond the number of records to keep");
    if (keep->max_age_ms)
        raise_to(plan, by_age(log, keep->max_age_ms), "older than what is to be kept");
    int rc = keep->max_bytes ? by_bytes(log, keep->max_bytes, &index, err) : 0;
    raise_to(plan, index, "beyond the bytes to keep");
    return rc;
}

/* ---- trimming ------------------------------------------------------------------------------- */

static void count_segments(struct firn_log *log, uint64_t next, struct firn_trimmed *trimmed)
{
    int phase = grace_enter(&log->grace);
    struct segment_list *list = atomic_load(&log->list);
    uint64_t end = atomic_load(&log->durable_next);
    for (size_t i = 0; list && i < list->count; i++) {
        uint64_t behind = i + 1 < list->count ? list->at[i + 1]->base : end;
        if (behind > next)
            break;
        trimmed->segments++;
        trimmed->bytes += segment_durable_end(list->at[i]);
    }
    grace_exit(&log->grace, phase);
}

static void describe(const struct plan *plan, struct firn_trimmed *trimmed)
{
    if (!plan->why)
        snprintf(trimmed->text, sizeof trimmed->text, "nothing goes: all is within the limits");
    else if (plan->next == plan->lowest)
        snprintf(trimmed->text, sizeof trimmed->text,
                 "nothing goes: cursor '%s' has not read on from %" PRIu64, plan->keeper,
                 plan->lowest);
    else
        snprintf(trimmed->text, sizeof trimmed->text,
                 "%" PRIu64 " records, %" PRIu64 " to %" PRIu64 ", go: %s%s%s%s",
                 plan->next - plan->lowest, plan->lowest, plan->next - 1, plan->why,
                 *plan->keeper ? "; cursor '" : "", plan->keeper,
                 *plan->keeper ? "' has not read the rest" : "");
}

/* What lies from `unread` on stays, where that is not UINT64_MAX: `keeper` has not read it. */
static int carry_out(struct firn_log *log, const struct firn_retention *retention, bool dry_run,
                     uint64_t unread, const char *keeper, struct firn_trimmed *trimmed,
                     struct firn_error *err)
{
    struct plan plan;
    int rc = make_plan(log, retention, &plan, err);
    if (rc < 0)
        return rc;
    lower_to(&plan, unread, keeper);
    *trimmed = (struct firn_trimmed){.first_index = plan.lowest, .next_index = plan.next};
    if (plan.next > plan.lowest)
        count_segments(log, plan.next, trimmed);
    describe(&plan, trimmed);
    if (plan.next == plan.lowest || dry_run)
        return 0;
    rc = retention->keep_unread ? named_confirm(log, err) : 0;
    return rc == 0 ? log_remove_locked(log, plan.next, err) : rc;
}

static int trim_unread(struct firn_log *log, const struct firn_retention *retention, bool dry_run,
                       struct firn_trimmed *trimmed, struct firn_error *err)
{
    char keeper[FIRN_CURSOR_NAME_MAX + 1] = "";
    uint64_t unread = UINT64_MAX;
    int rc = retention->keep_unread ? named_lowest(log, &unread, keeper, err) : 0;
    return rc == 0 ? carry_out(log, retention, dry_run, unread, keeper, trimmed, err) : rc;
}

static int trim(struct firn_log *log, const struct firn_retention *retention, bool dry_run,
                uint64_t patience_ns, struct firn_trimmed *trimmed, struct firn_error *err)
{
    struct firn_trimmed done;
    bool hold = retention->keep_unread && !dry_run;
    pthread_mutex_lock(&log->admin); /* nobody truncates between the plan and the removal */
    int rc = hold ? named_hold(log, patience_ns, err) : 0;
    if (rc == 0) {
        rc = trim_unread(log, retention, dry_run, &done, err);
        if (hold)
            named_release(log);
    }
    stats_add(&log->stats, EVENT_TRIM, rc == 0 && !dry_run);
    pthread_mutex_unlock(&log->admin);
    if (rc == 0 && trimmed)
        *trimmed = done;
    return rc;
}

int firn_log_trim(struct firn_log *log, const struct firn_retention *retention, bool dry_run,
                  struct firn_trimmed *trimmed, struct firn_error *err)
{
    if (!dry_run && log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    return trim(log, retention, dry_run, NAMED_PATIENCE_NS, trimmed, err);
}

/* ---- in the background ---------------------------------------------------------------------- */

static void retain_task(void *arg)
{
    struct firn_log *log = arg;
    pthread_mutex_lock(&log->retain.lock);
    struct firn_retention what = log->retain.what;
    uint64_t period_ns = log->retain.period_ns;
    pthread_mutex_unlock(&log->retain.lock);
    if (period_ns == 0)
        return;
    (void)trim(log, &what, false, NAMED_BACKGROUND_NS, NULL, NULL);
    worker_post_at(env_worker(log->env), &log->retain.task, wait_now_ns() + period_ns);
}

int retain_init(struct firn_log *log, struct firn_error *err)
{
    int rc = worker_task_init(env_worker(log->env), &log->retain.task, retain_task, log,
                              WORKER_NORMAL);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    pthread_mutex_init(&log->retain.lock, NULL);
    return 0;
}

void retain_done(struct firn_log *log)
{
    if (!log->retain.task.worker)
        return;
    worker_task_done(&log->retain.task);
    pthread_mutex_destroy(&log->retain.lock);
}

int firn_log_set_retention(struct firn_log *log, const struct firn_retention *retention,
                           uint64_t period_ms, struct firn_error *err)
{
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    if (period_ms > UINT64_MAX / NS_PER_MS / 2)
        period_ms = UINT64_MAX / NS_PER_MS / 2;
    pthread_mutex_lock(&log->retain.lock);
    log->retain.what = retention ? *retention : (struct firn_retention){0};
    log->retain.period_ns = retention ? (period_ms ? period_ms : PERIOD_MS) * NS_PER_MS : 0;
    pthread_mutex_unlock(&log->retain.lock);
    if (retention)
        worker_post(env_worker(log->env), &log->retain.task);
    return 0;
}
