/* SPDX-License-Identifier: MIT */
/*
 * A segment is written anew beside the old one, synced, and renamed over it: a crash leaves one or
 * the other. Indexes on storage go durably before, since those of one do not fit the other; the
 * checkpoint's place lies behind the segment, in both slots, so no position in it is remembered.
 *
 * Readers of this process go on in the old segment object, whose file is open, until they look for
 * the segment again. The count of truncations moves on by two: so that cursors let go of the old
 * file, and followers in other processes, which know its size, look at the directory anew. It is
 * odd while a follower may see the new file with the old one's size.
 *
 * Batches that firn built say how far the log was durable before them, as a distance. In a finished
 * segment all before a batch was: so the distance of one that moves becomes 0.
 */
#include "log/rewrite.h"

#include "base/crc.h"

enum { FLUSH_BYTES = 256 * 1024 };

/* ---- the new store -------------------------------------------------------------------------- */

int rewrite_begin(struct rewrite *rewrite, struct firn_log *log, struct segment *old,
                  struct firn_error *err)
{
    *rewrite = (struct rewrite){.log = log, .max_time = INT64_MIN};
    int rc = segment_file(old, &rewrite->from, err);
    if (rc < 0)
        return rc;
    rewrite->old = segment_ref(old);
    rc = log_aside_new(log, &rewrite->fresh, err);
    if (rc == 0)
        rc = segment_file(rewrite->fresh, &rewrite->to, err);
    if (rc == 0) {
        rewrite->index = index_new();
        if (!rewrite->index)
            rc = firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
    }
    if (rc < 0)
        rewrite_abandon(rewrite);
    return rc;
}

void rewrite_abandon(struct rewrite *rewrite)
{
    if (rewrite->fresh)
        log_aside_done(rewrite->log, rewrite->fresh);
    segment_unref(rewrite->old);
    index_unref(rewrite->index);
    buffer_free(&rewrite->out);
    *rewrite = (struct rewrite){0};
}

static int flush(struct rewrite *rewrite, struct firn_error *err)
{
    struct buffer *out = &rewrite->out;
    int rc = disk_reserve(rewrite->to, rewrite->written, out->size, err);
    if (rc == 0)
        rc = disk_write_full(rewrite->to, out->data, out->size, rewrite->written, 0, err);
    if (rc == 0)
        rewrite->written += out->size;
    if (rc == 0)
        buffer_clear(out);
    return rc;
}

/* Enters a batch of the new store, which begins at its end. */
static int enter(struct rewrite *rewrite, const struct batch *batch, struct firn_error *err)
{
    uint64_t position = rewrite->written + rewrite->out.size;
    if (position + batch->bytes > BATCH_MAX)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: segment %llu would become too large",
                              rewrite->log->dir, (unsigned long long)rewrite->old->base);
    if (batch->max_time > rewrite->max_time)
        rewrite->max_time = batch->max_time;
    index_add(rewrite->index, (uint32_t)(batch->base - rewrite->old->base), (uint32_t)position,
              rewrite->max_time);
    return 0;
}

static int add(struct rewrite *rewrite, const void *bytes, size_t size, struct firn_error *err)
{
    if (buffer_append(&rewrite->out, bytes, size) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to write a segment anew",
                              rewrite->log->dir);
    return rewrite->out.size >= FLUSH_BYTES ? flush(rewrite, err) : 0;
}

static int put_gap(struct rewrite *rewrite, struct firn_error *err)
{
    uint8_t header[BATCH_HEADER] = {0};
    if (!rewrite->has_gap)
        return 0;
    rewrite->has_gap = false;
    batch_seal(&rewrite->gap, header, 0, header);
    int rc = enter(rewrite, &rewrite->gap, err);
    return rc == 0 ? add(rewrite, header, sizeof header, err) : rc;
}

int rewrite_gap(struct rewrite *rewrite, const struct batch *gap, struct firn_error *err)
{
    struct batch *before = &rewrite->gap;
    if (rewrite->has_gap && before->generation == gap->generation &&
        before->base + before->last_delta + 1 == gap->base) {
        before->last_delta += gap->last_delta + 1;
        return 0;
    }
    int rc = put_gap(rewrite, err);
    if (rc < 0)
        return rc;
    *before = (struct batch){
        .base = gap->base,
        .last_delta = gap->last_delta,
        .generation = gap->generation,
        .base_time = gap->base_time,
        .max_time = gap->base_time,
        .producer_id = -1,
        .producer_epoch = -1,
    };
    rewrite->has_gap = true;
    return 0;
}

int rewrite_records(struct rewrite *rewrite, const struct batch *batch, const uint8_t *records,
                    size_t size, struct firn_error *err)
{
    uint8_t header[BATCH_HEADER];
    struct batch sealed = *batch;
    int rc = put_gap(rewrite, err);
    if (!batch_is_foreign(batch))
        sealed.distance = 0;
    batch_seal(&sealed, records, size, header);
    if (rc == 0)
        rc = enter(rewrite, &sealed, err);
    if (rc == 0)
        rc = add(rewrite, header, sizeof header, err);
    return rc == 0 ? add(rewrite, records, size, err) : rc;
}

/* What lies behind the header of a large batch, from file to file. */
static int copy_body(struct rewrite *rewrite, const struct batch *batch, uint64_t position,
                     uint32_t *crc, struct firn_error *err)
{
    uint64_t at = position + BATCH_HEADER, end = position + batch->bytes;
    *crc = 0;
    while (at < end) {
        size_t part = end - at < FLUSH_BYTES ? (size_t)(end - at) : FLUSH_BYTES, got;
        struct buffer *out = &rewrite->out;
        if (buffer_reserve(out, part) < 0)
            return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to write a segment anew",
                                  rewrite->log->dir);
        int rc = disk_read_full(rewrite->from, out->data + out->size, part, at, &got, err);
        if (rc == 0 && got < part)
            rc = firn_error_set(err, FIRN_EDAMAGED, 0, "%s: segment %llu ends early",
                                rewrite->log->dir, (unsigned long long)rewrite->old->base);
        if (rc < 0)
            return rc;
        *crc = crc32c(*crc, out->data + out->size, part);
        out->size += part;
        at += part;
        rc = flush(rewrite, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The header goes last: its checksum follows from that of what was read, which may have changed. */
static int keep_large(struct rewrite *rewrite, struct batch *batch, uint64_t position,
                      struct firn_error *err)
{
    uint8_t header[BATCH_HEADER];
    uint32_t before, body = 0, least = BATCH_HEADER - BATCH_CRC_FROM;
    int rc = flush(rewrite, err);
    uint64_t start = rewrite->written;
    batch_put(header, batch);
    before = crc32c(0, header + BATCH_CRC_FROM, least);
    if (rc == 0)
        rc = enter(rewrite, batch, err);
    if (rc == 0)
        rc = add(rewrite, header, sizeof header, err);
    if (rc == 0)
        rc = copy_body(rewrite, batch, position, &body, err);
    if (rc < 0)
        return rc;
    if (crc32c_combine(before, body, batch->bytes - BATCH_HEADER) != batch->crc)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: segment %llu changed while it was read",
                              rewrite->log->dir, (unsigned long long)rewrite->old->base);
    if (position == start || batch_is_foreign(batch))
        return 0;
    batch_set_distance(header, 0);
    before = crc32c(0, header + BATCH_CRC_FROM, least);
    batch_set_crc(header, crc32c_combine(before, body, batch->bytes - BATCH_HEADER));
    return disk_write_full(rewrite->to, header, sizeof header, start, 0, err);
}

int rewrite_keep(struct rewrite *rewrite, const struct batch *batch, const uint8_t *bytes,
                 uint64_t position, struct firn_error *err)
{
    struct batch kept = *batch;
    int rc = put_gap(rewrite, err);
    if (rc < 0)
        return rc;
    if (!bytes)
        return keep_large(rewrite, &kept, position, err);
    bool moves = position != rewrite->written + rewrite->out.size;
    if (moves && !batch_is_foreign(batch))
        return rewrite_records(rewrite, batch, bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER,
                               err);
    uint8_t header[BATCH_HEADER];
    rc = enter(rewrite, batch, err);
    batch_put(header, batch); /* base and generation may differ from what stands in the store */
    if (rc == 0)
        rc = add(rewrite, header, sizeof header, err);
    return rc == 0 ? add(rewrite, bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER, err) : rc;
}

int rewrite_finish(struct rewrite *rewrite, struct firn_error *err)
{
    int rc = put_gap(rewrite, err);
    if (rc == 0)
        rc = flush(rewrite, err);
    if (rc == 0)
        rc = disk_truncate(rewrite->to, rewrite->written, err);
    return rc == 0 ? disk_sync(rewrite->to, err) : rc;
}

/* ---- in the place of the old one ------------------------------------------------------------ */

static int store_both(struct firn_log *log, struct firn_error *err)
{
    struct firn_error cause = {0};
    pthread_mutex_lock(&log->checkpoint_lock);
    struct checkpoint next = log->checkpoint;
    int rc = checkpoint_store(log->checkpoint_file, &next, true, &cause);
    if (rc == 0)
        log->checkpoint = next;
    pthread_mutex_unlock(&log->checkpoint_lock);
    if (rc < 0)
        commit_poison(&log->commit, &cause);
    if (rc < 0 && err)
        *err = cause;
    return rc;
}

int rewrite_prepare(struct firn_log *log, struct firn_error *err)
{
    int rc = 0;
    if (!atomic_load(&log->life_started)) {
        struct firn_error cause = {0};
        rc = commit_freeze(&log->commit, err);
        if (rc < 0)
            return rc;
        rc = log_begin_life(log, &cause);
        if (rc < 0)
            commit_poison(&log->commit, &cause);
        if (rc < 0 && err)
            *err = cause;
        commit_thaw(&log->commit);
    }
    if (rc == 0)
        rc = settle(log, err);
    return rc == 0 ? store_both(log, err) : rc;
}

/* The segment object that readers are to find. */
static void complete(struct rewrite *rewrite)
{
    struct segment *fresh = rewrite->fresh;
    fresh->base = rewrite->old->base;
    fresh->max_time = rewrite->max_time;
    atomic_store(&fresh->index, index_ref(rewrite->index));
    atomic_store(&fresh->space.reserved_end, rewrite->written);
    atomic_store(&fresh->written_end, rewrite->written);
    atomic_store(&fresh->durable_end, rewrite->written);
    if (rewrite->old->marks.count)
        (void)age_inherit(rewrite->log, rewrite->old, fresh, rewrite->old->base + INT32_MAX);
}

/* A failure leaves the old one, unless it can't be told which one is there. */
static int rename_over(struct rewrite *rewrite, struct firn_error *err)
{
    struct firn_log *log = rewrite->log;
    struct firn_error cause = {0};
    char from[DISK_PATH_SIZE], to[DISK_PATH_SIZE];
    int rc = segment_path(rewrite->fresh, from, sizeof from, err);
    if (rc == 0)
        rc = segment_path(rewrite->old, to, sizeof to, err);
    if (rc == 0)
        rc = disk_rename(log->disk, from, to, err);
    if (rc < 0)
        return rc;
    rewrite->fresh->spare_name[0] = '\0';
    rc = disk_sync_dir(log->disk, log->dir, &cause);
    if (rc == 0)
        return 0;
    commit_poison(&log->commit, &cause);
    if (err)
        *err = cause;
    return rc;
}

/* Everybody looks for segments again; the count is even before and after two of these. */
static void note_change(struct firn_log *log)
{
    atomic_fetch_add(&log->truncations, 1);
    follow_announce(log);
}

/* Readers find the new one from its entry in the list on, its file being open. */
static int exchange(struct rewrite *rewrite, struct firn_error *err)
{
    struct firn_log *log = rewrite->log;
    struct firn_error cause = {0};
    int rc = list_exchange(log, rewrite->old, rewrite->fresh);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "%s: no memory to replace a segment", log->dir);
    rc = rename_over(rewrite, err);
    if (rc == 0 || !rewrite->fresh->spare_name[0])
        return rc;
    if (list_exchange(log, rewrite->fresh, rewrite->old) < 0) {
        firn_error_set(&cause, FIRN_ENOMEM, 0, "%s: no memory to replace a segment", log->dir);
        commit_poison(&log->commit, &cause);
    }
    return rc;
}

/* Derived: what fails here is made anew when it is needed. */
static void store_index(struct rewrite *rewrite, struct segment *segment)
{
    struct firn_log *log = rewrite->log;
    struct index *index;
    bool rebuilt;
    if (cache_get(log, segment, &index, &rebuilt, NULL) < 0)
        return;
    if (index_replace(index, log->disk, log->dir, segment->base, NULL) == 0 &&
        disk_sync_dir(log->disk, log->dir, NULL) == 0)
        segment->indexed = true;
    index_unref(index);
    (void)age_store(log, segment, true, NULL);
}

int rewrite_swap(struct rewrite *rewrite, struct firn_error *err)
{
    struct firn_log *log = rewrite->log;
    complete(rewrite);
    segment_discard_index(log->disk, log->dir, rewrite->old->base);
    int rc = disk_sync_dir(log->disk, log->dir, err);
    if (rc == 0) {
        note_change(log);
        rc = exchange(rewrite, err);
        note_change(log);
    }
    store_index(rewrite, rc == 0 ? rewrite->fresh : rewrite->old);
    if (rc == 0)
        cache_stored(log, rewrite->fresh);
    rewrite_abandon(rewrite);
    return rc;
}
