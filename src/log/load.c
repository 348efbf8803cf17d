/* SPDX-License-Identifier: MIT */
/*
 * Fetching the batch that a cursor needs: the one that follows in the window where that serves,
 * else by way of the index. Every batch is checked once, when it is fetched.
 */
#include <stdlib.h>

#include "log/cursor.h"

#define TRUNCATION_PAUSE_NS 100000u

static bool holds(const struct firn_cursor *cursor, uint64_t index)
{
    return cursor->loaded && index >= cursor->batch.base &&
           index - cursor->batch.base <= cursor->batch.last_delta;
}

void cursor_drop(struct firn_cursor *cursor)
{
    cursor->loaded = false;
    cursor->starts_valid = false;
    segment_unref(cursor->segment);
    cursor->segment = NULL;
}

static uint64_t readable_end(const struct firn_cursor *cursor)
{
    const struct segment *segment = cursor->segment;
    return cursor->staged ? atomic_load_explicit(&segment->written_end, memory_order_acquire)
                          : segment_durable_end(segment);
}

static void accept_batch(struct firn_cursor *cursor, const uint8_t *bytes)
{
    cursor->bytes = bytes;
    cursor->loaded = true;
    cursor->in_copy = bytes && bytes == cursor->copy;
    cursor->starts_valid = false;
    cursor->ready = false;
}

/* The file of a segment is missing, or ends early: [first, next) is nowhere. */
static int missing(struct firn_cursor *cursor, uint64_t first, uint64_t next,
                   struct firn_error *err)
{
    const struct segment *segment = cursor->segment;
    cursor->hole = (struct firn_hole){.first_index = first, .next_index = next, .segment = first};
    if (segment) {
        cursor->hole.segment = segment->base;
        cursor->hole.offset = readable_end(cursor);
    }
    cursor->has_hole = true;
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: records %llu to %llu are missing",
                          cursor->log->dir, (unsigned long long)first,
                          (unsigned long long)next - 1);
}

/* Before the first segment, or without any. */
static int missing_start(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    struct segment *first = list_first(log);
    uint64_t lowest = atomic_load_explicit(&log->lowest, memory_order_acquire);
    uint64_t next = first ? first->base
                          : atomic_load_explicit(&log->durable_next, memory_order_acquire);
    segment_unref(first);
    if (index < lowest || index >= next)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: no segment holds record %llu", log->dir,
                              (unsigned long long)index);
    return missing(cursor, lowest, next, err);
}

/* The cursor's segment ends before `index`; `first` is the first that it does not have. */
static int missing_end(struct firn_cursor *cursor, uint64_t first, uint64_t index,
                       struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    uint64_t next = list_next_base(log, cursor->segment->base);
    if (next == UINT64_MAX)
        next = atomic_load_explicit(&log->durable_next, memory_order_acquire);
    if (index < next)
        return missing(cursor, first, next, err);
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: record %llu is not there any more", log->dir,
                          (unsigned long long)index);
}

static int enter_segment(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    struct segment *segment = list_find(cursor->log, index);
    struct firn_file *file;
    if (segment && segment == cursor->segment) {
        segment_unref(segment);
        return 0;
    }
    cursor_drop(cursor);
    if (!segment)
        return missing_start(cursor, index, err);
    int rc = segment_file(segment, &file, err);
    if (rc < 0) {
        segment_unref(segment);
        return rc;
    }
    cursor->segment = segment;
    cursor->scan.file = file;
    cursor->scan.buffered = 0;
    scan_seek(&cursor->scan, 0, 0);
    if (!cursor->plain)
        cache_touch(cursor->log, segment);
    return 0;
}

/* The next batch; one that is large comes without its bytes, where its records can be had without.
 */
static int next_batch(struct firn_cursor *cursor, const uint8_t **bytes, enum batch_fault *fault,
                      struct firn_error *err)
{
    struct scan *scan = &cursor->scan;
    uint64_t position = scan->position, value_most = cursor->value_most;
    uint64_t most = value_most < CURSOR_WINDOW_MOST ? CURSOR_WINDOW_MOST : value_most;
    int rc = scan_next_within(scan, most, &cursor->batch, bytes, fault, err);
    if (rc < 0 || *bytes || !(cursor->batch.attributes & BATCH_COMPRESSION))
        return rc;
    scan_seek(scan, position, scan->end);
    return scan_next(scan, &cursor->batch, bytes, fault, err);
}

/* Reads the batch at the scan's place, which should begin with record `base`. */
static int read_batch(struct firn_cursor *cursor, uint64_t base, struct firn_error *err)
{
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    struct segment *segment = cursor->segment;
    uint64_t position = cursor->scan.position;
    cursor->loaded = false;
    int rc = next_batch(cursor, &bytes, &fault, err);
    if (rc == 0 && cursor->batch.base == base) {
        accept_batch(cursor, bytes);
        stats_add(&cursor->log->stats, EVENT_BATCH_READ, 1);
        stats_add(&cursor->log->stats, EVENT_BYTES_READ, cursor->batch.bytes);
        return 0;
    }
    if (rc == FIRN_EEND || rc == FIRN_ENOMEM)
        return rc;
    int hole_rc = locate_hole(cursor->log, segment, position, base, &cursor->hole, err);
    if (hole_rc < 0)
        return hole_rc;
    cursor->has_hole = true;
    stats_add(&cursor->log->stats, EVENT_DAMAGE, 1);
    if (rc == FIRN_EIO)
        return rc;
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s/%020llu.log: damaged at byte %llu (%s): records %llu to %llu "
                          "can't be read",
                          segment->dir, (unsigned long long)segment->base,
                          (unsigned long long)position,
                          fault == BATCH_OK ? "wrong base index" : batch_fault_text(fault),
                          (unsigned long long)cursor->hole.first_index,
                          (unsigned long long)cursor->hole.next_index - 1);
}

/* For the next read. Hardly ever a change, so that readers do not hinder each other. */
static void note_count(struct segment *segment, uint32_t count)
{
    bool single = count == 1;
    if (atomic_load_explicit(&segment->singles, memory_order_relaxed) != single)
        atomic_store_explicit(&segment->singles, single, memory_order_relaxed);
}

/*
 * By way of the index; with `checked`, believing no header on the way. FIRN_ERANGE: the segment
 * ends before record *base.
 */
static int load_located(struct firn_cursor *cursor, uint64_t index, bool checked, uint64_t *base,
                        struct firn_error *err)
{
    cursor->loaded = false;
    cursor->scan.window = CURSOR_WINDOW_LEAST;
    int rc = locate(cursor->log, cursor->segment, &cursor->scan, readable_end(cursor), index,
                    checked, base, &cursor->hole, err);
    cursor->has_hole = rc == FIRN_EDAMAGED || rc == FIRN_EIO;
    if (rc == 0)
        rc = read_batch(cursor, *base, err);
    if (rc == 0)
        note_count(cursor->segment, cursor->batch.count);
    /* A damaged header claimed a record that lies behind its batch. */
    if (!checked && cursor->has_hole && index >= cursor->hole.next_index)
        return load_located(cursor, index, true, base, err);
    return rc;
}

static int load_from_file(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    uint64_t first = index;
    uint64_t following = cursor->loaded && !cursor->in_copy
                             ? cursor->batch.base + cursor->batch.last_delta + 1
                             : UINT64_MAX;
    int rc = enter_segment(cursor, index, err);
    if (rc < 0)
        return rc;
    if (following == index && cursor->loaded) {
        if (cursor->scan.window < CURSOR_WINDOW_MOST)
            cursor->scan.window *= 2;
        scan_seek(&cursor->scan, cursor->scan.position, readable_end(cursor));
        rc = read_batch(cursor, index, err);
    } else {
        rc = load_located(cursor, index, false, &first, err);
    }
    return rc == FIRN_ERANGE || rc == FIRN_EEND ? missing_end(cursor, first, index, err) : rc;
}

static int load_from_buffers(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    cursor->loaded = false;
    int rc = staged_copy(cursor->log, index, &cursor->copy, &cursor->copy_capacity, &cursor->batch,
                         err);
    if (rc == 0)
        accept_batch(cursor, cursor->copy);
    return rc;
}

/*
 * What was just read belongs to the log as it is, if no truncation came in between. The count is
 * odd while one is under way: what was read is right then too, but a failure may come from bytes
 * that are being changed.
 */
static bool undisturbed(const struct firn_cursor *cursor, int rc)
{
    follow_refresh(cursor->log);
    uint64_t now = atomic_load_explicit(&cursor->log->truncations, memory_order_acquire);
    return now == cursor->truncations && (rc == 0 || now % 2 == 0);
}

static int check_removed(struct firn_log *log, uint64_t index, struct firn_error *err)
{
    if (index >= atomic_load_explicit(&log->lowest, memory_order_acquire))
        return 0;
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: record %llu was removed", log->dir,
                          (unsigned long long)index);
}

static int load(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    int removed = check_removed(log, index, err);
    if (removed < 0)
        return removed;
    _Atomic uint64_t *limit = cursor->staged ? &log->written_index : &log->durable_next;
    if (index < atomic_load_explicit(limit, memory_order_acquire))
        return load_from_file(cursor, index, err);
    if (!cursor->staged)
        return FIRN_EEND;
    int rc = load_from_buffers(cursor, index, err);
    /* Between the look and the copy the group may have gone to the file. */
    if (rc == FIRN_EEND && index < atomic_load_explicit(limit, memory_order_acquire))
        rc = load_from_file(cursor, index, err);
    return rc;
}

int cursor_load(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    cursor->has_hole = false;
    if (holds(cursor, index) && undisturbed(cursor, 0))
        return 0;
    for (;;) {
        cursor->truncations = atomic_load_explicit(&log->truncations, memory_order_acquire);
        int rc = load(cursor, index, err);
        if (undisturbed(cursor, rc) && rc != 0 && rc != FIRN_EEND && check_removed(log, index, err))
            return FIRN_ERANGE; /* its file was removed while we were at it */
        if (undisturbed(cursor, rc))
            return rc;
        cursor_drop(cursor);
        if (cursor->truncations % 2)
            disk_sleep(log->disk, TRUNCATION_PAUSE_NS);
    }
}
