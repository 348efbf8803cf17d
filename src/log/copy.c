/* SPDX-License-Identifier: MIT */
/* A log's records, to another log or to a directory of Kafka's. */
#include <stdlib.h>
#include <string.h>

#include "log/cursor.h"
#include "log/transfer.h"

struct copy {
    struct firn_log *from;
    struct firn_cursor *cursor;
    struct transfer transfer;
    uint64_t end;
};

/* ---- the other log ---- */

/* A copy that is there, or a new one that begins at `first`. */
static int open_target(struct copy *copy, const char *dir, uint64_t first, struct firn_error *err)
{
    const struct firn_log_options *own = &copy->from->options;
    struct firn_log_options options = {
        .disk = copy->from->disk,
        .must_exist = true,
        .durability = FIRN_DURABILITY_OS,
        .segment_bytes = own->segment_bytes,
        .segment_overflow_bytes = own->segment_overflow_bytes,
        .segment_records = own->segment_records,
    };
    int rc = firn_log_open(dir, &options, &copy->transfer.to, err);
    if (rc != FIRN_ENOENT)
        return rc;
    options.must_exist = false;
    options.first_index = first;
    return firn_log_open(dir, &options, &copy->transfer.to, err);
}

/* The batch at hand is the same in both: what the copy has of its own is in the header. */
static bool same_batch(const struct firn_cursor *a, const struct firn_cursor *b)
{
    if (a->batch.base != b->batch.base || a->batch.bytes != b->batch.bytes ||
        a->batch.last_delta != b->batch.last_delta || a->batch.count != b->batch.count)
        return false;
    if (!a->bytes || !b->bytes)
        return a->batch.base_time == b->batch.base_time;
    return memcmp(a->bytes + BATCH_HEADER, b->bytes + BATCH_HEADER,
                  a->batch.bytes - BATCH_HEADER) == 0;
}

/* Whether the copy holds the record as the log does, or one of them does not have it. */
static bool agrees(struct copy *copy, uint64_t index)
{
    struct firn_cursor *other;
    bool same = true;
    if (firn_cursor_open(copy->transfer.to, NULL, &other, NULL) < 0)
        return false;
    other->value_most = TRANSFER_IN_MEMORY;
    if (cursor_load(copy->cursor, index, NULL) == 0 && cursor_load(other, index, NULL) == 0)
        same = same_batch(copy->cursor, other) || other->batch.count == 0;
    firn_cursor_close(other);
    return same;
}

/* The copy may be empty, or go on from where an earlier one ended. */
static int check_target(struct copy *copy, const char *dir, struct firn_error *err)
{
    struct firn_log_info info;
    firn_log_get_info(copy->transfer.to, &info, NULL);
    copy->transfer.next = copy->transfer.done.next_index = info.next_index;
    if (info.next_index > copy->end)
        return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: holds more than %s: not a copy of it",
                              dir, copy->from->dir);
    if (info.next_index == info.lowest_index ||
        (agrees(copy, info.lowest_index) && agrees(copy, info.next_index - 1)))
        return 0;
    return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: holds other records than %s", dir,
                          copy->from->dir);
}

/* ---- record by record ---- */

/* What can't be read. */
static int pass_over(struct copy *copy, int rc, struct firn_error *err)
{
    struct firn_hole hole;
    if (rc != FIRN_EDAMAGED || firn_cursor_hole(copy->cursor, &hole) < 0)
        return rc;
    copy->transfer.done.ranges_lost++;
    return transfer_gap(&copy->transfer, hole.next_index < copy->end ? hole.next_index : copy->end,
                        err);
}

/* The batch at hand, and before it what was removed while we were at it. */
static int put_batch(struct copy *copy, bool removed, struct firn_error *err)
{
    const struct firn_cursor *cursor = copy->cursor;
    const struct batch *batch = &cursor->batch;
    int rc = removed ? transfer_gap(&copy->transfer, batch->base, err) : 0;
    if (rc < 0)
        return rc;
    if (batch->count == 0 &&
        !batch_is_foreign(batch)) /* compaction may have put several into one */
        return transfer_gap(&copy->transfer, batch->base + batch->last_delta + 1, err);
    if (batch->base != copy->transfer.next)
        return firn_error_set(
            err, FIRN_EMISMATCH, 0, "%s: record %llu lies inside a batch: not a copy of %s",
            copy->transfer.to->dir, (unsigned long long)copy->transfer.next, copy->from->dir);
    return transfer_batch(&copy->transfer, batch, cursor->bytes, cursor->scan.file,
                          cursor->scan.position - batch->bytes, err);
}

static int copy_next(struct copy *copy, struct firn_error *err)
{
    uint64_t next = copy->transfer.next, lowest = atomic_load(&copy->from->lowest);
    bool removed = lowest > next;
    if (removed && lowest >= copy->end)
        return transfer_gap(&copy->transfer, copy->end, err);
    int rc = cursor_load(copy->cursor, removed ? lowest : next, err);
    if (rc == 0)
        return put_batch(copy, removed, err);
    if (rc == FIRN_ERANGE && atomic_load(&copy->from->lowest) > lowest)
        return 0; /* removed just now: looks again */
    if (rc == FIRN_EEND)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: truncated while it was copied",
                              copy->from->dir);
    return pass_over(copy, rc, err);
}

/* The base of the batch that holds the record, if that can be read. */
static uint64_t first_base(struct copy *copy, uint64_t index)
{
    return cursor_load(copy->cursor, index, NULL) == 0 ? copy->cursor->batch.base : index;
}

static int copy_all(struct copy *copy, const char *dir, struct firn_error *err)
{
    int rc = check_target(copy, dir, err);
    while (rc == 0 && copy->transfer.next < copy->end)
        rc = copy_next(copy, err);
    if (rc == 0)
        rc = transfer_flush(&copy->transfer, err);
    return rc;
}

/* Copies from record `from` on; the copy is closed. */
static int run(struct firn_log *log, const char *dir, uint64_t from, struct copy *copy,
               struct firn_error *err)
{
    struct firn_error close_err = {0};
    int rc = firn_cursor_open(log, NULL, &copy->cursor, err);
    if (rc < 0)
        return rc;
    copy->from = log;
    copy->cursor->plain = true;
    copy->cursor->value_most = TRANSFER_IN_MEMORY;
    copy->end = copy->transfer.done.end_index = atomic_load(&log->durable_next);
    rc = open_target(copy, dir, first_base(copy, from), err);
    if (rc == 0)
        rc = copy_all(copy, dir, err);
    if (rc == 0)
        rc = firn_log_remove_before(copy->transfer.to, from, err);
    int closed = firn_log_close(copy->transfer.to, &close_err);
    if (rc == 0 && closed < 0) {
        rc = closed;
        if (err)
            *err = close_err;
    }
    firn_cursor_close(copy->cursor);
    return rc;
}

int firn_log_copy(struct firn_log *log, const char *dir, firn_progress_fn *progress, void *arg,
                  struct firn_transferred *transferred, struct firn_error *err)
{
    struct copy copy = {.transfer = {.progress = progress, .arg = arg}};
    follow_refresh(log);
    int rc = run(log, dir, atomic_load(&log->lowest), &copy, err);
    if (transferred)
        *transferred = copy.transfer.done;
    return rc;
}

/* ---- for Kafka ---- */

static int note_any(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)arg, (void)name, (void)entry;
    return FIRN_EEXIST;
}

static int check_empty(struct firn_log *log, const char *dir, struct firn_error *err)
{
    int rc = disk_list(log->disk, dir, note_any, NULL, err);
    if (rc == FIRN_EEXIST)
        firn_error_set(err, rc, 0, "%s: not empty; an export needs a directory of its own", dir);
    return rc == FIRN_ENOENT ? 0 : rc;
}

struct extras {
    char (*names)[LOG_NAME_SIZE];
    size_t count;
};

/* What is firn's own. */
static int note_extra(void *arg, const char *name, const struct firn_entry *entry)
{
    struct extras *extras = arg;
    const char *dot = strrchr(name, '.');
    (void)entry;
    if (dot &&
        (strcmp(dot, ".log") == 0 || strcmp(dot, ".index") == 0 || strcmp(dot, ".timeindex") == 0))
        return 0;
    void *names = realloc(extras->names, (extras->count + 1) * sizeof *extras->names);
    if (!names)
        return FIRN_ENOMEM;
    extras->names = names;
    strncpy(extras->names[extras->count], name, LOG_NAME_SIZE - 1);
    extras->names[extras->count++][LOG_NAME_SIZE - 1] = '\0';
    return 0;
}

static int strip(struct firn_log *log, const char *dir, struct firn_error *err)
{
    struct extras extras = {0};
    int rc = disk_list(log->disk, dir, note_extra, &extras, err);
    for (size_t i = 0; rc == 0 && i < extras.count; i++) {
        char path[DISK_PATH_SIZE];
        rc = disk_path_join(path, sizeof path, dir, extras.names[i], err);
        if (rc == 0)
            rc = disk_remove(log->disk, path, err);
    }
    free(extras.names);
    return rc == 0 ? disk_sync_dir(log->disk, dir, err) : rc;
}

int firn_log_export(struct firn_log *log, const char *dir, uint64_t from,
                    firn_progress_fn *progress, void *arg, struct firn_transferred *transferred,
                    struct firn_error *err)
{
    struct copy copy = {.transfer = {.progress = progress, .arg = arg}};
    follow_refresh(log);
    uint64_t lowest = atomic_load(&log->lowest), next = atomic_load(&log->durable_next);
    if (from > next)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: the next index is %llu", log->dir,
                              (unsigned long long)next);
    int rc = check_empty(log, dir, err);
    if (rc == 0)
        rc = run(log, dir, from > lowest ? from : lowest, &copy, err);
    if (rc == 0)
        rc = strip(log, dir, err);
    if (transferred)
        *transferred = copy.transfer.done;
    return rc;
}
