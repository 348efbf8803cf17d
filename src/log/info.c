/* SPDX-License-Identifier: MIT */
/* What a log holds, in figures. */
#include <string.h>

#include "log/cursor.h"

uint32_t log_generation(struct firn_log *log)
{
    if (atomic_load(&log->follow.followed))
        return atomic_load(&log->follow.generation);
    pthread_mutex_lock(&log->checkpoint_lock);
    uint32_t generation = log->checkpoint.generation;
    pthread_mutex_unlock(&log->checkpoint_lock);
    return generation;
}

int log_check_poison(struct firn_log *log, struct firn_error *err)
{
    int rc = 0;
    if (log->options.read_only)
        return 0;
    lock_take(&log->commit.lock);
    if (log->commit.poisoned)
        rc = commit_poisoned(&log->commit, err);
    lock_release(&log->commit.lock);
    return rc;
}

static int first_time(struct firn_log *log, int64_t *time, struct firn_error *err)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    int rc = firn_cursor_open(log, NULL, &cursor, err);
    if (rc < 0)
        return rc;
    cursor->plain = true;
    rc = firn_cursor_next(cursor, &record, err);
    if (rc == 0)
        *time = record->timestamp;
    firn_cursor_close(cursor);
    return rc == FIRN_EEND ? 0 : rc;
}

/* The last batch's highest timestamp, from its header. */
static int last_time(struct firn_log *log, uint64_t index, int64_t *time, struct firn_error *err)
{
    struct segment *segment = list_find(log, index);
    struct firn_file *file;
    struct firn_hole hole;
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    uint64_t base;
    int rc = segment ? segment_file(segment, &file, err) : FIRN_EEND;
    if (rc == 0) {
        uint64_t end = segment_durable_end(segment);
        scan_init(&scan, file, 0, end, 8 * 1024);
        rc = locate(log, segment, &scan, end, index, false, &base, &hole, err);
        if (rc == 0)
            rc = scan_peek(&scan, &batch, &fault, err);
        if (rc == 0)
            *time = batch.max_time;
        scan_done(&scan);
    }
    segment_unref(segment);
    return rc == FIRN_EEND || rc == FIRN_ERANGE ? 0 : rc;
}

int firn_log_get_info(struct firn_log *log, struct firn_log_info *info, struct firn_error *err)
{
    struct firn_log_info found = {0};
    follow_refresh(log);
    found.segments = list_count(log, &found.bytes);
    found.next_index = atomic_load_explicit(&log->durable_next, memory_order_acquire);
    found.lowest_index = atomic_load_explicit(&log->lowest, memory_order_acquire);
    found.staged_index = found.next_index;
    found.writable = !log->options.read_only;
    found.damaged_ranges = log->hole_count;
    found.generation = log_generation(log);
    if (found.writable) {
        lock_take(&log->commit.lock);
        found.staged_index = log->staging.next_index;
        lock_release(&log->commit.lock);
    }
    int rc = 0;
    if (found.next_index > found.lowest_index) {
        rc = first_time(log, &found.first_timestamp, err);
        int last = last_time(log, found.next_index - 1, &found.last_timestamp,
                             rc == 0 ? err : NULL);
        rc = rc == 0 ? last : rc;
    }
    if (rc < 0 && found.damaged_ranges == 0)
        found.damaged_ranges = 1; /* the one just met */
    *info = found;
    return rc;
}

void firn_log_get_recovery(struct firn_log *log, struct firn_recovery *recovery)
{
    *recovery = log->recovery;
}

void firn_log_get_commit_stats(struct firn_log *log, struct firn_commit_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    if (!log->options.read_only)
        commit_get_stats(&log->commit, stats);
}
