/* SPDX-License-Identifier: MIT */
/*
 * The committer's side: completing the batches of a group, writing them, and going from one segment
 * to the next. In every mode a segment is durable, and without its prepared tail, before the name
 * of the next one appears; so the existence of a segment proves that all before it was durable.
 */
#include <assert.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "commit/env.h"
#include "commit/run.h"
#include "log/log_private.h"

/* ---- the life of a writer ---- */

int log_begin_life(struct firn_log *log, struct firn_error *err)
{
    if (log->life_started)
        return 0;
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint next = log->checkpoint;
    next.generation++;
    next.clean = false;
    int rc = checkpoint_confirm(log->checkpoint_file, &next, &log->slots, err);
    if (rc == 0) {
        log->checkpoint = next;
        log->slots = (struct checkpoint_slots){.equal = true, .alike = true};
        log->generation = next.generation;
        log->life_started = true;
    }
    pthread_mutex_unlock(&log->checkpoint_lock);
    return rc;
}

/* ---- from one segment to the next ---- */

static int sync_active(struct firn_log *log, struct firn_error *err)
{
    struct firn_file *file;
    int rc = segment_file(log->active, &file, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    if (rc == 0)
        log->unsynced = false;
    return rc;
}

int log_finish_active(struct firn_log *log, struct firn_error *err)
{
    struct segment *segment = log->active;
    if (!segment)
        return 0;
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    prepare_finish(log, segment);
    uint64_t end = atomic_load(&segment->written_end);
    rc = disk_truncate(file, end, err);
    if (rc == 0)
        rc = sync_active(log, err);
    if (rc < 0)
        return rc;
    atomic_store(&segment->space.reserved_end, end);
    atomic_store_explicit(&segment->durable_end, end, memory_order_release);
    return 0;
}

int log_name_segment(struct firn_log *log, struct segment *segment, struct firn_error *err)
{
    char from[DISK_PATH_SIZE], to[DISK_PATH_SIZE], name[LOG_NAME_SIZE];
    segment_name(segment->base, "log", name);
    int rc = disk_path_join(from, sizeof from, log->dir, segment->spare_name, err);
    if (rc == 0)
        rc = disk_path_join(to, sizeof to, log->dir, name, err);
    if (rc < 0)
        return rc;
    prepare_begin_naming(log, segment);
    rc = disk_rename(log->disk, from, to, err);
    if (rc == 0)
        rc = disk_sync_dir(log->disk, log->dir, err);
    prepare_end_naming(log, segment, rc == 0);
    return rc;
}

static int go_to(struct firn_log *log, struct segment *segment, struct firn_error *err)
{
    int rc = log_finish_active(log, err);
    if (rc == 0)
        rc = log_name_segment(log, segment, err);
    if (rc < 0)
        return rc;
    rc = list_append(log, segment_ref(segment));
    if (rc < 0) {
        segment_unref(segment);
        return firn_error_set(err, rc, 0, "%s: no memory for another segment", log->dir);
    }
    segment_unref(log->active);
    log->active = segment_ref(segment);
    prepare_named(log, segment);
    stats_add(&log->stats, EVENT_ROTATION, 1);
    worker_post(env_worker(log->env), &log->settle);
    return 0;
}

/* ---- a group ---- */

/* Completes one batch, all of it if it is our own, and enters it into the index. */
static void complete_batch(struct firn_log *log, struct commit_walk *walk)
{
    struct segment *segment = log->active;
    uint8_t *bytes = commit_bytes(walk->buffer) + walk->offset;
    uint64_t position = walk->buffer->position + walk->offset;
    struct batch batch;
    enum batch_fault fault = batch_parse(bytes, BATCH_HEADER, &batch);
    assert(fault == BATCH_OK);
    (void)fault;
    bool own = !batch_is_foreign(&batch);
    uint32_t crc = 0;
    batch_set_generation(bytes, log->generation);
    if (own)
        batch_set_distance(bytes, (uint32_t)(position - segment_durable_end(segment)));
    walk->offset += BATCH_CRC_FROM;
    commit_walk_on(walk, batch.bytes - BATCH_CRC_FROM, own ? &crc : NULL);
    if (own)
        batch_set_crc(bytes, crc);
    if (batch.max_time > segment->max_time)
        segment->max_time = batch.max_time;
    struct index *index = atomic_load_explicit(&segment->index, memory_order_relaxed);
    if (index)
        index_add(index, (uint32_t)(batch.base - segment->base), (uint32_t)position,
                  segment->max_time);
    age_note(log, segment, batch.base, log->write_time);
    log->written_next = batch.base + batch.last_delta + 1;
}

static void complete_run(struct firn_log *log, struct commit_buffer *first,
                         const struct commit_buffer *end)
{
    for (struct commit_walk walk = {.buffer = first}; walk.buffer != end;) {
        if (walk.offset == walk.buffer->used)
            walk = (struct commit_walk){.buffer = walk.buffer->next};
        else
            complete_batch(log, &walk);
    }
}

/* Writes the buffers [first, end), with `bytes`, which all belong to the active segment. */
static int write_run(struct firn_log *log, struct commit_buffer *first,
                     const struct commit_buffer *end, uint64_t bytes, bool durable,
                     struct firn_error *err)
{
    struct segment *segment = log->active;
    complete_run(log, first, end);
    prepare_await(log, segment, first->position, first->position + bytes);
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    bool at_once = durable && !log->unsynced;
    if (rc == 0)
        rc = commit_write_run(file, first, end, at_once ? FIRN_WRITE_DURABLE : 0, err);
    if (rc < 0)
        return rc;
    log->unsynced |= !at_once;
    log->settled_bytes += bytes;
    atomic_store_explicit(&segment->written_end, first->position + bytes, memory_order_release);
    return 0;
}

static int write_group(struct firn_log *log, struct commit_group *group, bool durable,
                       struct firn_error *err)
{
    struct commit_buffer *buffer = group->first;
    while (buffer) {
        struct segment *segment = buffer->file;
        struct commit_buffer *end = buffer;
        uint64_t bytes = 0;
        for (; end && end->file == segment; end = end->next)
            bytes += end->used;
        int rc = segment == log->active ? 0 : go_to(log, segment, err);
        if (rc == 0)
            rc = write_run(log, buffer, end, bytes, durable && !end, err);
        if (rc < 0)
            return rc;
        buffer = end;
    }
    return 0;
}

int log_write(void *owner, struct commit_group *group, bool durable, struct firn_error *err)
{
    struct firn_log *log = owner;
    log->write_time = log_now(log);
    int rc = log_begin_life(log, err);
    if (rc == 0)
        rc = write_group(log, group, durable, err);
    if (rc == 0 && durable && log->unsynced)
        rc = sync_active(log, err);
    if (rc == 0 && durable && log->settled_bytes >= LOG_CHECKPOINT_BYTES) {
        struct segment *active = log->active;
        struct place end = {active->base, atomic_load(&active->written_end), log->written_next};
        rc = settle_here(log, &end, err);
    }
    if (rc < 0)
        return rc;
    prepare_consider(log, group, durable);
    return 0;
}

void log_publish(void *owner, bool durable)
{
    struct firn_log *log = owner;
    struct segment *segment = log->active;
    if (!segment)
        return;
    atomic_store_explicit(&log->written_index, log->written_next, memory_order_release);
    if (!durable)
        return;
    atomic_store_explicit(&segment->durable_end, atomic_load(&segment->written_end),
                          memory_order_release);
    log->place = (struct place){segment->base, segment_durable_end(segment), log->written_next};
    atomic_store_explicit(&log->durable_next, log->written_next, memory_order_release);
    follow_publish(log, &log->place);
    if (log->settled_bytes < LOG_CHECKPOINT_BYTES)
        return;
    log->settled_bytes = 0;
    worker_post(env_worker(log->env), &log->settle);
}

void log_announce(void *owner)
{
    follow_wake(owner);
}

uint32_t log_segments_crc(struct segment_list *list)
{
    uint32_t crc = 0;
    for (size_t i = 0; list && i < list->count; i++) {
        uint8_t pair[16];
        store_be_u64(pair, list->at[i]->base);
        store_be_u64(pair + 8, segment_durable_end(list->at[i]));
        crc = crc32c(crc, pair, sizeof pair);
    }
    return crc;
}
