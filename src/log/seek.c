/* SPDX-License-Identifier: MIT */
/*
 * From a time to an index. Timestamps are their users', in any order; so a segment can be passed
 * over only if the highest one in it is too low, which its indexes say.
 */
#include "log/cursor.h"

/* Raises *max by the batches from `position` on: behind the last entry of an index. */
static int add_tail(struct segment *segment, uint64_t position, int64_t *max,
                    struct firn_error *err)
{
    struct firn_file *file;
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    scan_init(&scan, file, position, segment_durable_end(segment), 8 * 1024);
    while ((rc = scan_peek(&scan, &batch, &fault, err)) == 0) {
        if (batch.max_time > *max)
            *max = batch.max_time;
        scan_skip(&scan, &batch);
    }
    scan_done(&scan);
    if (rc == FIRN_EDAMAGED)
        *max = INT64_MAX; /* what lies behind is not known: it has to be looked at */
    return rc == FIRN_EEND || rc == FIRN_EDAMAGED ? 0 : rc;
}

static int last_entry(struct firn_log *log, struct segment *segment, struct index_entry *entry,
                      struct firn_error *err)
{
    struct index *index;
    bool rebuilt;
    *entry = (struct index_entry){.max_time = INT64_MIN};
    bool here = atomic_load(&segment->index) != NULL;
    if (!here && index_file_last(segment->disk, segment->dir, segment->base,
                                 segment_durable_end(segment), entry, NULL) == 0)
        return 0;
    int rc = cache_get(log, segment, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    size_t count = index_count(index);
    if (count > 0)
        index_get(index, count - 1, entry);
    index_unref(index);
    return 0;
}

/* The highest timestamp in a segment, or more. Remembered for those that do not grow. */
static int highest_time(struct firn_log *log, struct segment *segment, bool grows, int64_t *max,
                        struct firn_error *err)
{
    struct index_entry last;
    *max = atomic_load(&segment->highest_time);
    if (*max != INT64_MIN && !grows)
        return 0;
    int rc = last_entry(log, segment, &last, err);
    if (rc < 0)
        return rc;
    *max = last.max_time;
    rc = add_tail(segment, last.position, max, err);
    if (rc == 0 && !grows)
        atomic_store(&segment->highest_time, *max);
    return rc;
}

/* An index at or below the first record of that time in the segment: that of an entry. */
static int start_in(struct firn_log *log, struct segment *segment, int64_t time, uint64_t *start,
                    struct firn_error *err)
{
    struct index *index;
    struct index_entry at = {0};
    bool rebuilt;
    int rc = cache_get(log, segment, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    size_t count = index_count(index);
    if (index_ceil_time(index, time, &at)) {
        if (at.relative == 0 || !index_floor(index, at.relative - 1, &at))
            at.relative = 0;
    } else if (count > 0) {
        index_get(index, count - 1, &at);
    }
    index_unref(index);
    *start = segment->base + at.relative;
    return 0;
}

/* From the cursor's place to `end`: 0 and *index, or FIRN_EEND. Damage is passed over. */
static int walk_to_time(struct firn_cursor *cursor, int64_t time, uint64_t end, uint64_t *index,
                        struct firn_error *err)
{
    const struct firn_record *record;
    while (firn_cursor_index(cursor) < end) {
        int rc = firn_cursor_next(cursor, &record, err);
        if (rc == FIRN_EDAMAGED && firn_cursor_skip(cursor) == 0)
            continue;
        if (rc < 0)
            return rc;
        if (record->index < end && record->timestamp >= time) {
            *index = record->index;
            return 0;
        }
    }
    return FIRN_EEND;
}

static int find_in(struct firn_log *log, struct segment *segment, uint64_t end, int64_t time,
                   uint64_t *index, struct firn_error *err)
{
    uint64_t start;
    struct firn_cursor *cursor;
    int rc = start_in(log, segment, time, &start, err);
    if (rc < 0)
        return rc;
    const struct firn_cursor_options from = {.from = start};
    rc = firn_cursor_open(log, &from, &cursor, err);
    if (rc < 0)
        return rc;
    cursor->plain = true;
    rc = walk_to_time(cursor, time, end, index, err);
    firn_cursor_close(cursor);
    return rc;
}

int firn_log_find_time(struct firn_log *log, int64_t time, uint64_t *index, struct firn_error *err)
{
    follow_refresh(log);
    struct segment *segment = list_first(log);
    uint64_t next = atomic_load(&log->durable_next);
    int rc = FIRN_EEND;
    while (segment && rc == FIRN_EEND) {
        int64_t max;
        uint64_t next_base = list_next_base(log, segment->base);
        bool grows = next_base == UINT64_MAX;
        rc = highest_time(log, segment, grows, &max, err);
        if (rc == 0)
            rc = max < time ? FIRN_EEND
                            : find_in(log, segment, grows ? next : next_base, time, index, err);
        struct segment *following = list_after(log, segment->base);
        segment_unref(segment);
        segment = following;
    }
    segment_unref(segment);
    if (rc != FIRN_EEND)
        return rc;
    *index = next;
    return 0;
}
