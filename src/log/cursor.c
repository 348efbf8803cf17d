/* SPDX-License-Identifier: MIT */
/* Cursors: records one after another, in both directions. */
#include "log/cursor.h"

#include <stdlib.h>
#include <string.h>

enum { READ_WINDOW = 8 * 1024 }; /* on the stack: most batches of single records fit */

static const struct firn_cursor_options no_options = {0};

/* Zeroed before. */
static void init(struct firn_cursor *cursor, struct firn_log *log,
                 const struct firn_cursor_options *options)
{
    follow_refresh(log);
    uint64_t lowest = atomic_load_explicit(&log->lowest, memory_order_acquire);
    cursor->log = log;
    cursor->from = options->from;
    cursor->to = options->to ? options->to : UINT64_MAX;
    cursor->staged = options->staged && !log->options.read_only;
    cursor->value_most = options->value_bytes ? options->value_bytes : UINT64_MAX;
    cursor->place = options->from > lowest ? options->from : lowest;
    scan_init(&cursor->scan, NULL, 0, 0, CURSOR_WINDOW_LEAST);
    cursor->truncations = atomic_load_explicit(&log->truncations, memory_order_acquire);
}

int firn_cursor_open(struct firn_log *log, const struct firn_cursor_options *options,
                     struct firn_cursor **out, struct firn_error *err)
{
    if (!options)
        options = &no_options;
    uint64_t to = options->to ? options->to : UINT64_MAX;
    if (to < options->from)
        return firn_error_set(err, FIRN_EINVAL, 0, "a range from %llu to %llu",
                              (unsigned long long)options->from, (unsigned long long)to);
    struct firn_cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a cursor");
    init(cursor, log, options);
    if (options->at_end) {
        struct firn_log_info info;
        int rc = firn_log_get_info(log, &info, NULL);
        uint64_t next = rc == 0 && cursor->staged ? info.staged_index
                                                  : atomic_load(&log->durable_next);
        next = next < to ? next : to;
        cursor->place = next > cursor->place ? next : cursor->place;
    }
    *out = cursor;
    return 0;
}

/* Releases all but the cursor itself. */
static void done(struct firn_cursor *cursor)
{
    cursor_drop(cursor);
    scan_done(&cursor->scan);
    free(cursor->copy);
    buffer_free(&cursor->space);
    pieces_done(&cursor->pieces);
    free(cursor->starts);
    free(cursor->headers);
}

void firn_cursor_close(struct firn_cursor *cursor)
{
    if (!cursor)
        return;
    done(cursor);
    free(cursor);
}

/* ---- the end was cut and grew again ---- */

static int replaced(const struct firn_cursor *cursor, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ERANGE, 0,
                          "%s: the log was truncated below record %llu, where this cursor stood",
                          cursor->log->dir, (unsigned long long)cursor->place);
}

/*
 * After a truncation: is the record that was read last still the one that the log holds? If its
 * batch has another generation, or is gone, the cursor's place lies in what was replaced.
 */
static int check_truncation(struct firn_cursor *cursor, struct firn_error *err)
{
    follow_refresh(cursor->log);
    uint64_t now = atomic_load_explicit(&cursor->log->truncations, memory_order_acquire);
    if (now == cursor->truncations)
        return 0;
    cursor_drop(cursor);
    if (!cursor->seen) {
        cursor->truncations = now;
        return 0;
    }
    int rc = cursor_load(cursor, cursor->seen_index, NULL);
    if (rc == FIRN_EEND || (rc == 0 && cursor->batch.generation != cursor->seen_generation))
        return replaced(cursor, err);
    return 0;
}

static void note_seen(struct firn_cursor *cursor, uint64_t index)
{
    cursor->seen = !cursor->in_copy;
    cursor->seen_index = index;
    cursor->seen_generation = cursor->batch.generation;
}

/* ---- records ---- */

static int read_headers(struct firn_cursor *cursor, const uint8_t *at, const uint8_t *end,
                        struct firn_error *err)
{
    struct firn_record *record = &cursor->record;
    if (record->header_count > cursor->header_capacity) {
        struct firn_header *headers = realloc(cursor->headers,
                                              record->header_count * sizeof *headers);
        if (!headers)
            return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for %zu headers",
                                  record->header_count);
        cursor->headers = headers;
        cursor->header_capacity = record->header_count;
    }
    record->headers = cursor->headers;
    return record_read_headers(at, end, record->header_count, cursor->headers);
}

/* The batch's checksum is right, but its records can't be had: a hole of its own. */
static int lose_batch(struct firn_cursor *cursor, int rc)
{
    const struct batch *batch = &cursor->batch;
    cursor->has_hole = true;
    cursor->hole = (struct firn_hole){
        .first_index = batch->base,
        .next_index = batch->base + batch->last_delta + 1,
        .segment = cursor->segment ? cursor->segment->base : 0,
        .offset = cursor->scan.position - batch->bytes,
        .length = batch->bytes,
    };
    return rc;
}

static int bad_structure(struct firn_cursor *cursor, struct firn_error *err)
{
    return lose_batch(
        cursor, firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the batch of record %llu is malformed",
                               cursor->log->dir, (unsigned long long)cursor->batch.base));
}

/* Before the first record of the batch. */
static void restart(struct firn_cursor *cursor)
{
    if (cursor->bytes)
        record_iterate_bytes(&cursor->it, cursor->unpacked.records, cursor->unpacked.size,
                             &cursor->batch);
    else
        pieces_start(&cursor->pieces, cursor->scan.file,
                     cursor->scan.position - cursor->batch.bytes, &cursor->batch,
                     cursor->value_most);
    cursor->it_index = cursor->batch.base;
}

/* Has the records of the batch at hand. */
static int unpack(struct firn_cursor *cursor, struct firn_error *err)
{
    int rc = 0;
    if (cursor->ready)
        return 0;
    if (cursor->bytes)
        rc = unpack_batch(cursor->bytes, &cursor->batch, &cursor->space, &cursor->unpacked, err);
    cursor->ready = rc == 0;
    if (rc == 0)
        restart(cursor);
    return rc == 0 || rc == FIRN_ENOMEM ? rc : lose_batch(cursor, rc);
}

/* Where the record that next_in_batch reads begins. */
static uint64_t record_start(const struct firn_cursor *cursor)
{
    return cursor->bytes ? (uint64_t)(cursor->it.at - cursor->unpacked.records) : cursor->pieces.at;
}

/* Before record number `i` of the batch, which begins at `start`. */
static void go_to_start(struct firn_cursor *cursor, size_t i, uint64_t start)
{
    struct record_iterator *it = cursor->bytes ? &cursor->it : &cursor->pieces.it;
    restart(cursor);
    it->left = cursor->batch.count - (uint32_t)i;
    if (cursor->bytes)
        it->at = cursor->unpacked.records + start;
    else
        cursor->pieces.at = start;
}

static void note_value(struct firn_cursor *cursor)
{
    struct firn_record *record = &cursor->record;
    cursor->value.known = true;
    cursor->value.memory = record->value.data;
    cursor->value.size = record->value.size;
    cursor->value.position = cursor->pieces.value_position;
    if (record->value.size > cursor->value_most)
        record->value.data = NULL;
}

static int next_in_batch(struct firn_cursor *cursor, struct firn_error *err)
{
    const uint8_t *headers;
    struct record_iterator *it = cursor->bytes ? &cursor->it : &cursor->pieces.it;
    struct record_iterator before = *it;
    uint64_t at = cursor->pieces.at;
    int rc = cursor->bytes ? record_next(it, &cursor->record, &headers)
                           : pieces_next(&cursor->pieces, &cursor->record, &headers, err);
    if (rc == 0 && cursor->record.header_count)
        rc = read_headers(cursor, headers, it->at, err);
    if (rc == FIRN_ENOMEM || rc == FIRN_EIO) { /* the next call reads this record again */
        *it = before;
        cursor->pieces.at = at;
    }
    if (rc == FIRN_EDAMAGED)
        return bad_structure(cursor, err);
    if (rc == 0) {
        note_value(cursor);
        cursor->it_index = cursor->record.index + 1;
    }
    return rc;
}

/* Sets the iterator before the record `index`, or the first one behind it. */
static int go_to_record(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    int rc = unpack(cursor, err);
    if (rc == 0 && cursor->it_index > index)
        restart(cursor);
    while (rc == 0 && cursor->it_index < index) {
        struct record_iterator *it = cursor->bytes ? &cursor->it : &cursor->pieces.it;
        struct record_iterator before = *it;
        uint64_t at = cursor->pieces.at;
        rc = next_in_batch(cursor, err);
        if (rc == 0 && cursor->record.index >= index) { /* those before it were compacted away */
            *it = before;
            cursor->pieces.at = at;
            cursor->it_index = index;
        }
    }
    return rc;
}

/* The record at the place, or the next one in its batch. FIRN_EEND: the batch has none. */
static int next_at_place(struct firn_cursor *cursor, struct firn_error *err)
{
    int rc = go_to_record(cursor, cursor->place, err);
    return rc == 0 ? next_in_batch(cursor, err) : rc;
}

int firn_cursor_next(struct firn_cursor *cursor, const struct firn_record **record,
                     struct firn_error *err)
{
    cursor->backward = cursor->value.known = false;
    int rc = check_truncation(cursor, err);
    if (rc < 0)
        return rc;
    while (cursor->place < cursor->to) {
        rc = cursor_load(cursor, cursor->place, err);
        if (rc < 0)
            return rc;
        rc = next_at_place(cursor, err);
        if (rc == FIRN_EEND) { /* the last indexes of the batch are gone */
            cursor->place = cursor->batch.base + cursor->batch.last_delta + 1;
            continue;
        }
        if (rc < 0)
            return rc;
        if (cursor->record.index >= cursor->to) {
            cursor->place = cursor->to;
            break;
        }
        note_seen(cursor, cursor->record.index);
        cursor->place = cursor->record.index + 1;
        *record = &cursor->record;
        return 0;
    }
    return FIRN_EEND;
}

/* Notes where each record of the batch begins. */
static int find_starts(struct firn_cursor *cursor, struct firn_error *err)
{
    if (cursor->starts_valid)
        return 0;
    size_t count = cursor->batch.count;
    int rc = unpack(cursor, err);
    if (rc < 0)
        return rc;
    if (count > cursor->starts_capacity) {
        uint64_t *starts = realloc(cursor->starts, count * sizeof *starts);
        if (!starts)
            return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to go backwards");
        cursor->starts = starts;
        cursor->starts_capacity = count;
    }
    restart(cursor);
    for (size_t i = 0; i < count; i++) {
        cursor->starts[i] = record_start(cursor);
        rc = next_in_batch(cursor, err);
        if (rc < 0)
            return rc == FIRN_EEND ? bad_structure(cursor, err) : rc;
    }
    cursor->starts_valid = true;
    return 0;
}

/* Reads record number `i` of the batch. */
static int read_at(struct firn_cursor *cursor, size_t i, struct firn_error *err)
{
    go_to_start(cursor, i, cursor->starts[i]);
    return next_in_batch(cursor, err);
}

/* The last record of the batch with an index below the place. */
static int prev_in_batch(struct firn_cursor *cursor, struct firn_error *err)
{
    size_t low = 0, high = cursor->batch.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int rc = read_at(cursor, middle, err);
        if (rc < 0)
            return rc;
        if (cursor->record.index < cursor->place)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? read_at(cursor, low - 1, err) : FIRN_EEND;
}

static uint64_t lowest_place(const struct firn_cursor *cursor)
{
    uint64_t lowest = atomic_load_explicit(&cursor->log->lowest, memory_order_acquire);
    return cursor->from > lowest ? cursor->from : lowest;
}

int firn_cursor_prev(struct firn_cursor *cursor, const struct firn_record **record,
                     struct firn_error *err)
{
    cursor->backward = true;
    cursor->value.known = false;
    int rc = check_truncation(cursor, err);
    if (rc < 0)
        return rc;
    while (cursor->place > lowest_place(cursor)) {
        rc = cursor_load(cursor, cursor->place - 1, err);
        if (rc == FIRN_EEND) /* the end was truncated to below the place */
            return replaced(cursor, err);
        if (rc == 0)
            rc = find_starts(cursor, err);
        if (rc < 0)
            return rc;
        rc = prev_in_batch(cursor, err);
        if (rc == FIRN_EEND) { /* the first indexes of the batch are gone */
            cursor->place = cursor->batch.base;
            continue;
        }
        if (rc < 0)
            return rc;
        if (cursor->record.index < lowest_place(cursor))
            break;
        note_seen(cursor, cursor->record.index);
        cursor->place = cursor->record.index;
        *record = &cursor->record;
        return 0;
    }
    return FIRN_EEND;
}

/* ---- places ---- */

int firn_cursor_seek(struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    follow_refresh(log);
    uint64_t lowest = atomic_load_explicit(&log->lowest, memory_order_acquire);
    uint64_t next = atomic_load_explicit(&log->durable_next, memory_order_acquire);
    if (cursor->staged) {
        lock_take(&log->commit.lock);
        next = log->staging.next_index;
        lock_release(&log->commit.lock);
    }
    if (index < lowest || index > next || index < cursor->from || index > cursor->to)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "%s: record %llu is not held; the log holds %llu up to %llu",
                              log->dir, (unsigned long long)index, (unsigned long long)lowest,
                              (unsigned long long)next);
    cursor->place = index;
    cursor->seen = false;
    cursor->has_hole = false;
    return 0;
}

uint64_t firn_cursor_index(const struct firn_cursor *cursor)
{
    return cursor->place;
}

uint32_t firn_cursor_generation(const struct firn_cursor *cursor)
{
    return cursor->seen ? cursor->seen_generation : 0;
}

int firn_cursor_hole(const struct firn_cursor *cursor, struct firn_hole *hole)
{
    if (!cursor->has_hole)
        return FIRN_EINVAL;
    *hole = cursor->hole;
    return 0;
}

int firn_cursor_skip(struct firn_cursor *cursor)
{
    if (!cursor->has_hole)
        return FIRN_EINVAL;
    cursor->place = cursor->backward ? cursor->hole.first_index : cursor->hole.next_index;
    cursor->has_hole = false;
    cursor->loaded = false;
    return 0;
}

/* ---- one record ---- */

/* The cursor found no record `index`: its batch is there, or the log ends before it. */
static int not_there(const struct firn_cursor *cursor, uint64_t index, struct firn_error *err)
{
    if (cursor->place > index)
        return firn_error_set(err, FIRN_ENOENT, 0,
                              "%s: there is no record %llu: it was compacted away",
                              cursor->log->dir, (unsigned long long)index);
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: record %llu is not held", cursor->log->dir,
                          (unsigned long long)index);
}

int firn_log_read(struct firn_log *log, uint64_t index, struct firn_record **out,
                  struct firn_error *err)
{
    uint8_t window[READ_WINDOW];
    struct firn_cursor cursor = {.plain = true};
    const struct firn_record *record;
    init(&cursor, log, &no_options);
    scan_lend(&cursor.scan, window, sizeof window);
    int rc = firn_cursor_seek(&cursor, index, err);
    cursor.to = index + 1;
    if (rc == 0)
        rc = firn_cursor_next(&cursor, &record, err);
    if (rc == FIRN_EEND)
        rc = not_there(&cursor, index, err);
    if (rc == 0) {
        *out = record_copy(record);
        if (!*out)
            rc = firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a record");
    }
    done(&cursor);
    return rc;
}
