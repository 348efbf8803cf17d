/* SPDX-License-Identifier: MIT */
/*
 * A segment that was written aside becomes the end of the log. Its bytes are durable before; what
 * is left is done while nobody stages: finish the segment before it, put in the base index and the
 * generation, give it its name. A crash in between leaves it without name, and it is removed.
 */
#include <inttypes.h>
#include <stdio.h>

#include "commit/env.h"
#include "log/log_private.h"

int log_aside_new(struct firn_log *log, struct segment **out, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    struct segment *segment = segment_new(log->disk, log->dir, 0, true);
    if (!segment)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a segment", log->dir);
    snprintf(segment->spare_name, sizeof segment->spare_name, "spool-%" PRIu64 ".tmp",
             atomic_fetch_add(&log->aside_count, 1));
    int rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE,
                       &file, err);
    if (rc < 0) {
        segment_unref(segment);
        return rc;
    }
    atomic_store(&segment->file, file);
    *out = segment;
    return 0;
}

void log_aside_done(struct firn_log *log, struct segment *segment)
{
    char path[DISK_PATH_SIZE];
    if (segment && segment->spare_name[0] && segment_path(segment, path, sizeof path, NULL) == 0)
        disk_remove(log->disk, path, NULL);
    segment_unref(segment);
}

static int check_next(const struct firn_log *log, const struct batch *batch,
                      const struct firn_append_options *options, struct firn_error *err)
{
    uint64_t next = log->staging.next_index;
    if (next > (uint64_t)INT64_MAX - batch->last_delta - 1)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: all indexes are used up", log->dir);
    if (!options || !options->if_next || options->next_index == next)
        return 0;
    return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: the next index is %llu, not %llu", log->dir,
                          (unsigned long long)next, (unsigned long long)options->next_index);
}

static int write_header(struct firn_log *log, struct segment *segment, struct batch *batch,
                        struct firn_error *err)
{
    uint8_t header[BATCH_HEADER];
    struct firn_file *file;
    batch->base = log->staging.next_index;
    batch->generation = log->generation;
    batch_put(header, batch);
    int rc = segment_file(segment, &file, err);
    if (rc == 0)
        rc = disk_write_full(file, header, sizeof header, 0, FIRN_WRITE_DURABLE, err);
    segment->base = batch->base;
    return rc;
}

static int add_index(struct firn_log *log, struct segment *segment, const struct batch *batch,
                     struct firn_error *err)
{
    struct index *index = index_new();
    if (!index)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a segment", log->dir);
    index_add(index, 0, 0, batch->max_time);
    atomic_store(&segment->index, index);
    segment->max_time = batch->max_time;
    atomic_store(&segment->space.reserved_end, batch->bytes);
    atomic_store(&segment->written_end, batch->bytes);
    atomic_store(&segment->durable_end, batch->bytes);
    return 0;
}

/* From here on the log ends with it. */
static void go_on_behind(struct firn_log *log, struct segment *segment, const struct batch *batch)
{
    uint64_t end = segment_durable_end(segment);
    struct place place = {segment->base, end, segment->base + batch->last_delta + 1};
    prepare_forget(log);
    prepare_await(log, segment, 0, end);
    segment_unref(log->active);
    log->active = segment_ref(segment);
    log->unsynced = false;
    log->written_next = place.index;
    log->write_time = log_now(log);
    age_note(log, segment, segment->base, log->write_time);
    lock_take(&log->commit.lock);
    log->staging = (struct staging){.segment = segment, .position = end, .next_index = place.index};
    log->place = place;
    lock_release(&log->commit.lock);
    atomic_store_explicit(&log->written_index, place.index, memory_order_release);
    atomic_store_explicit(&log->durable_next, place.index, memory_order_release);
    follow_announce(log);
    worker_post(env_worker(log->env), &log->settle);
}

static int poison(struct firn_log *log, const struct firn_error *cause, struct firn_error *err)
{
    commit_poison(&log->commit, cause);
    lock_take(&log->commit.lock);
    int rc = commit_poisoned(&log->commit, err);
    lock_release(&log->commit.lock);
    return rc;
}

/* What fails in the new segment is an error, and nothing else; what fails in the log poisons it. */
static int adopt_frozen(struct firn_log *log, struct segment *segment, struct batch *batch,
                        struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = log_begin_life(log, &cause);
    if (rc < 0)
        return poison(log, &cause, err);
    rc = add_index(log, segment, batch, err);
    if (rc == 0)
        rc = write_header(log, segment, batch, err);
    if (rc < 0)
        return rc;
    rc = log_finish_active(log, &cause);
    if (rc == 0 && log->active && log->active->base == segment->base) /* an empty one: replaced */
        segment_discard_index(log->disk, log->dir, segment->base);
    if (rc == 0)
        rc = log_name_segment(log, segment, &cause);
    if (rc == 0 && list_replace_end(log, segment_ref(segment)) < 0) {
        segment_unref(segment);
        rc = firn_error_set(&cause, FIRN_ENOMEM, 0, "%s: no memory for another segment", log->dir);
    }
    if (rc == 0) {
        go_on_behind(log, segment, batch);
        return 0;
    }
    return poison(log, &cause, err);
}

int log_adopt(struct firn_log *log, struct segment *segment, struct batch *batch,
              const struct firn_append_options *options, struct firn_appended *appended,
              struct firn_error *err)
{
    pthread_mutex_lock(&log->admin);
    int rc = commit_freeze(&log->commit, err);
    if (rc == 0) {
        rc = check_next(log, batch, options, err);
        if (rc == 0)
            rc = adopt_frozen(log, segment, batch, err);
        if (rc == 0 && appended)
            *appended = (struct firn_appended){batch->base, commit_durable(&log->commit)};
        commit_thaw(&log->commit);
    }
    pthread_mutex_unlock(&log->admin);
    return rc;
}
