/* SPDX-License-Identifier: MIT */
/*
 * Repair: what verify finds is put right. A segment with damage is written anew: what is whole
 * stays, what is not is copied aside, durably, before the segment takes the old one's place, and an
 * empty batch takes its indexes. A crash leaves each segment as it was, or repaired; a copy may be
 * there twice then.
 *
 * The segment that grows is finished before, and the next append begins another one: so that what
 * is written anew lies behind no writer and no place that the checkpoint remembers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/pieces.h"
#include "log/rewrite.h"
#include "log/unpack.h"

enum { LARGE = 1024 * 1024, CHUNK = 256 * 1024 };

/* Files of one kind, by the segments' bases, ascending. */
struct bases {
    uint64_t *at;
    size_t count;
};

struct repair {
    struct firn_log *log;
    firn_finding_fn *each;
    void *arg;
    struct bases stores, indexes, ages;
    bool checkpoint, cursors;
    struct firn_repaired done;
    struct buffer space;
    uint32_t generation; /* of the batch before */
    struct firn_error left;
    bool any_left; /* something could not be repaired: `left` says what */
};

/* ---- what there is to do -------------------------------------------------------------------- */

static int note(struct bases *bases, uint64_t base)
{
    if (bases->count && bases->at[bases->count - 1] == base)
        return 0;
    uint64_t *at = realloc(bases->at, (bases->count + 1) * sizeof *at);
    if (!at)
        return FIRN_ENOMEM;
    bases->at = at;
    bases->at[bases->count++] = base;
    return 0;
}

static bool is_of(const char *name, const char *suffix, uint64_t *base)
{
    char store[LOG_NAME_SIZE];
    if (strlen(name) < 20 || strcmp(name + 20, suffix) != 0)
        return false;
    snprintf(store, sizeof store, "%.20s.log", name);
    return segment_parse_name(store, base);
}

static int note_finding(void *arg, const struct firn_finding *finding)
{
    struct repair *repair = arg;
    const char *name = finding->file;
    uint64_t base;
    int rc = 0;
    if (is_of(name, ".log", &base))
        rc = note(&repair->stores, base);
    else if (is_of(name, ".index", &base))
        rc = note(&repair->indexes, base);
    else if (is_of(name, ".appendtime", &base))
        rc = note(&repair->ages, base);
    repair->checkpoint |= strcmp(name, CHECKPOINT_NAME) == 0;
    repair->cursors |= strcmp(name, NAMED_FILE) == 0;
    return rc == 0 && repair->each ? repair->each(repair->arg, finding) : rc;
}

static int find_all(struct repair *repair, struct firn_error *err)
{
    int rc = firn_log_verify(repair->log, note_finding, repair, NULL, err);
    return rc == FIRN_EDAMAGED ? 0 : rc;
}

/* ---- one segment ---------------------------------------------------------------------------- */

struct mend {
    struct repair *repair;
    struct segment *segment;
    struct rewrite rewrite;
    struct scan scan;
    uint64_t expected, next, end;
};

/* A name that nobody has yet. */
static int open_aside(struct mend *at, uint64_t offset, char *path, size_t size,
                      struct firn_file **file, struct firn_error *err)
{
    struct firn_log *log = at->repair->log;
    int rc = FIRN_EEXIST;
    for (unsigned n = 0; rc == FIRN_EEXIST; n++) {
        char name[96];
        snprintf(name, sizeof name, "damaged-%020" PRIu64 "-%" PRIu64 "-%u.bin", at->segment->base,
                 offset, n);
        rc = disk_path_join(path, size, log->dir, name, err);
        if (rc == 0)
            rc = disk_open(log->disk, path,
                           FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE, file, err);
    }
    return rc;
}

static int copy_bytes(struct mend *at, uint64_t from, uint64_t to, struct firn_file *file,
                      struct firn_error *err)
{
    struct buffer *space = &at->repair->space;
    uint64_t start = from;
    buffer_clear(space);
    if (buffer_reserve(space, CHUNK) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to copy");
    while (from < to) {
        size_t part = to - from < CHUNK ? (size_t)(to - from) : CHUNK, got;
        int rc = disk_read_full(at->rewrite.from, space->data, part, from, &got, err);
        if (rc == 0)
            rc = disk_write_full(file, space->data, got, from - start, 0, err);
        if (rc < 0)
            return rc;
        if (got < part)
            break;
        from += got;
    }
    return disk_sync(file, err);
}

/* The directory is synced before the segment is replaced. */
static int copy_aside(struct mend *at, uint64_t offset, uint64_t length, struct firn_error *err)
{
    struct repair *repair = at->repair;
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    int rc = open_aside(at, offset, path, sizeof path, &file, err);
    if (rc < 0)
        return rc;
    rc = copy_bytes(at, offset, offset + length, file, err);
    disk_close(file);
    if (rc < 0)
        disk_remove(repair->log->disk, path, NULL);
    return rc;
}

/* Empty batches for the indexes up to `next`. */
static int fill(struct mend *at, uint64_t next, struct firn_error *err)
{
    if (next <= at->expected)
        return 0;
    if (next - at->segment->base > INT32_MAX)
        return firn_error_set(
            err, FIRN_ETOOBIG, 0, "%s: records %llu to %llu are missing, more than a segment holds",
            at->repair->log->dir, (unsigned long long)at->expected, (unsigned long long)next - 1);
    const struct batch gap = {
        .base = at->expected,
        .last_delta = (uint32_t)(next - at->expected) - 1,
        .generation = at->repair->generation,
        .base_time = -1,
    };
    at->repair->done.records += next - at->expected;
    at->expected = next;
    return rewrite_gap(&at->rewrite, &gap, err);
}

static int close_range(struct mend *at, uint64_t offset, uint64_t length, uint64_t next,
                       struct firn_error *err)
{
    int rc = length ? copy_aside(at, offset, length, err) : 0;
    if (rc == 0)
        rc = fill(at, next, err);
    if (rc < 0)
        return rc;
    at->repair->done.ranges++;
    at->repair->done.bytes += length;
    scan_seek(&at->scan, offset + length, at->end);
    return 0;
}

static int close_hole(struct mend *at, uint64_t position, struct firn_error *err)
{
    struct firn_hole hole;
    int rc = locate_hole(at->repair->log, at->segment, position, at->expected, &hole, err);
    return rc == 0 ? close_range(at, hole.offset, hole.length, hole.next_index, err) : rc;
}

static int check_pieces(struct mend *at, const struct batch *batch, uint64_t position,
                        struct firn_error *err)
{
    struct pieces pieces = {0};
    struct firn_record record;
    const uint8_t *headers;
    int rc;
    pieces_start(&pieces, at->scan.file, position, batch, 0);
    while ((rc = pieces_next(&pieces, &record, &headers, err)) == 0)
        if (record_check_rest(pieces.bytes.data, headers, pieces.it.at, record.header_count) < 0)
            break;
    pieces_done(&pieces);
    return rc == FIRN_EEND ? 0 : rc == 0 ? FIRN_EDAMAGED : rc;
}

/* As verify does. */
static int check_records(struct mend *at, const struct batch *batch, const uint8_t *bytes,
                         uint64_t position, struct firn_error *err)
{
    struct unpacked all;
    if (!bytes)
        return check_pieces(at, batch, position, err);
    int rc = unpack_batch(bytes, batch, &at->repair->space, &all, err);
    if (rc == FIRN_ENOTSUP)
        return 0;
    if (rc == 0)
        rc = record_check_bytes(all.records, all.size, batch);
    return rc == 0 || rc == FIRN_ENOMEM ? rc : FIRN_EDAMAGED;
}

/* No checksum covers the generation: one that is out of order becomes that of the batch before. */
static int keep(struct mend *at, struct batch *batch, const uint8_t *bytes, uint64_t position,
                struct firn_error *err)
{
    struct repair *repair = at->repair;
    if (batch->generation < repair->generation || batch->generation > repair->log->generation) {
        batch->generation = repair->generation;
        repair->done.ranges++;
    }
    repair->generation = batch->generation;
    at->expected = batch->base + batch->last_delta + 1;
    return rewrite_keep(&at->rewrite, batch, bytes, position, err);
}

static int mend_step(struct mend *at, struct firn_error *err)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault;
    uint64_t position = at->scan.position;
    int rc = scan_next_within(&at->scan, LARGE, &batch, &bytes, &fault, err);
    if (rc == 0 && !bytes && (batch.attributes & BATCH_COMPRESSION)) {
        scan_seek(&at->scan, position, at->end);
        rc = scan_next(&at->scan, &batch, &bytes, &fault, err);
    }
    if (rc == FIRN_EDAMAGED || (rc == 0 && batch.base != at->expected))
        return close_hole(at, position, err);
    if (rc < 0)
        return rc;
    if (batch.base + batch.last_delta >= at->next) /* another file holds these too */
        return close_range(at, position, batch.bytes, at->next, err);
    rc = check_records(at, &batch, bytes, position, err);
    if (rc == FIRN_EDAMAGED)
        return close_range(at, position, batch.bytes, batch.base + batch.last_delta + 1, err);
    return rc == 0 ? keep(at, &batch, bytes, position, err) : rc;
}

/* The segment written anew, without what is damaged. */
static int write_anew(struct mend *at, struct firn_error *err)
{
    int rc;
    scan_init(&at->scan, at->rewrite.from, 0, at->end, CHUNK);
    do {
        rc = mend_step(at, err);
    } while (rc == 0);
    scan_done(&at->scan);
    if (rc == FIRN_EEND && at->expected < at->next)
        at->repair->done.ranges++;
    rc = rc == FIRN_EEND ? fill(at, at->next, err) : rc;
    return rc == 0 ? rewrite_finish(&at->rewrite, err) : rc;
}

/* The generation of the batch before the segment. */
static void find_generation(struct repair *repair, const struct segment *segment)
{
    struct firn_log *log = repair->log;
    struct segment *before = segment->base ? list_find(log, segment->base - 1) : NULL;
    struct firn_file *file;
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    repair->generation = 0;
    if (before && segment_file(before, &file, NULL) == 0) {
        scan_init(&scan, file, 0, segment_durable_end(before), 0);
        while (scan_peek(&scan, &batch, &fault, NULL) == 0) {
            repair->generation = batch.generation;
            scan_skip(&scan, &batch);
        }
        scan_done(&scan);
    }
    segment_unref(before);
}

/* ---- the log -------------------------------------------------------------------------------- */

/* The segment that grows grows no more: the next append begins another one. */
static int finish_last(struct firn_log *log, struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = commit_freeze(&log->commit, err);
    if (rc < 0)
        return rc;
    if (log->staging.segment) {
        uint64_t next = log->staging.next_index;
        rc = log_finish_active(log, &cause);
        prepare_forget(log);
        lock_take(&log->commit.lock);
        log->staging = (struct staging){.next_index = next};
        log->place = (struct place){next, 0, next};
        lock_release(&log->commit.lock);
        follow_announce(log);
    }
    if (rc < 0)
        commit_poison(&log->commit, &cause);
    if (rc < 0 && err)
        *err = cause;
    commit_thaw(&log->commit);
    return rc;
}

/* What the committer would finish is another object now. */
static int exchange_active(struct firn_log *log, struct segment *old, struct firn_error *err)
{
    int rc = commit_freeze(&log->commit, err);
    if (rc < 0)
        return rc;
    if (log->active == old) {
        log->active = list_find(log, old->base);
        segment_unref(old);
    }
    commit_thaw(&log->commit);
    return 0;
}

static int mend_segment(struct repair *repair, struct segment *segment, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    struct firn_repaired before = repair->done;
    struct mend at = {.repair = repair, .segment = segment, .expected = segment->base};
    at.end = segment_durable_end(segment);
    at.next = list_next_base(log, segment->base);
    if (at.next == UINT64_MAX)
        at.next = atomic_load(&log->durable_next);
    find_generation(repair, segment);
    int rc = rewrite_begin(&at.rewrite, log, segment, err);
    if (rc < 0)
        return rc;
    rc = write_anew(&at, err);
    if (rc == 0)
        rc = rewrite_swap(&at.rewrite, err);
    else
        rewrite_abandon(&at.rewrite);
    if (rc < 0)
        repair->done = before;
    return rc == 0 ? exchange_active(log, segment, err) : rc;
}

/* What can't be read now, or not be put right: the rest is done. */
static int leave(struct repair *repair, int rc, const struct firn_error *why)
{
    if ((rc != FIRN_EIO && rc != FIRN_ETOOBIG) || log_check_poison(repair->log, NULL) < 0)
        return rc;
    repair->any_left = true;
    repair->left = *why;
    return 0;
}

static int mend_stores(struct repair *repair, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < repair->stores.count; i++) {
        struct firn_error why = {0};
        uint64_t base = repair->stores.at[i];
        struct segment *segment = list_find(log, base);
        if (segment && segment->base == base) {
            rc = mend_segment(repair, segment, &why);
            rc = rc < 0 ? leave(repair, rc, &why) : 0;
        }
        segment_unref(segment);
        if (rc < 0 && err)
            *err = why;
    }
    return rc;
}

/* Records before the first segment are nowhere: the log begins behind them. */
static int give_up_missing_start(struct repair *repair, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    struct segment *first = list_first(log);
    uint64_t base = first ? first->base : atomic_load(&log->durable_next);
    uint64_t lowest = atomic_load(&log->lowest);
    segment_unref(first);
    if (base <= lowest)
        return 0;
    repair->done.ranges++;
    repair->done.records += base - lowest;
    return log_remove_locked(log, base, err);
}

/* ---- what is derived ------------------------------------------------------------------------ */

/* What the segment that grows has in memory was loaded from the file. */
static int mend_growing(struct firn_log *log, struct segment *segment, struct firn_error *err)
{
    int64_t max_time = INT64_MIN;
    struct index *index = index_new();
    int rc = index ? commit_freeze(&log->commit, err)
                   : firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
    if (rc < 0) {
        index_unref(index);
        return rc;
    }
    uint64_t end = segment_durable_end(segment);
    rc = segment_build_index(segment, index, 0, end, &max_time, err);
    if (rc == 0) {
        segment->max_time = max_time;
        segment->indexed_end = 0;
        index = atomic_exchange(&segment->index, index);
    }
    index_retire(index, &log->grace);
    commit_thaw(&log->commit);
    grace_reclaim(&log->grace);
    return rc;
}

static int mend_index(struct repair *repair, uint64_t base, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    struct segment *segment = list_find(log, base);
    struct index *index;
    int rc = 0;
    segment_discard_index(log->disk, log->dir, base);
    bool finished = segment && segment->base == base && list_next_base(log, base) != UINT64_MAX;
    if (finished)
        rc = segment_rebuild_index(segment, &index, err);
    if (finished && rc == 0) {
        rc = index_replace(index, log->disk, log->dir, base, err);
        index_unref(index);
    }
    if (segment && segment->base == base && !finished)
        rc = mend_growing(log, segment, err);
    segment_unref(segment);
    repair->done.files++;
    return rc;
}

static int mend_cursors(struct repair *repair, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    struct named_table table;
    int rc = named_hold(log, NAMED_PATIENCE_NS, err);
    if (rc < 0)
        return rc;
    rc = named_load(log->disk, log->dir, &table, err);
    if (rc == 0) {
        rc = named_store(log->disk, log->dir, &table, err);
        named_done(&table);
    }
    named_release(log);
    repair->done.files += rc == 0;
    return rc;
}

static int mend_files(struct repair *repair, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < repair->indexes.count; i++)
        rc = mend_index(repair, repair->indexes.at[i], err);
    for (size_t i = 0; rc == 0 && i < repair->ages.count; i++) {
        rc = age_discard(log, repair->ages.at[i], err);
        repair->done.files++;
    }
    if (rc == 0 && repair->indexes.count + repair->ages.count)
        rc = disk_sync_dir(log->disk, log->dir, err);
    return rc == 0 && repair->cursors ? mend_cursors(repair, err) : rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

/* With `admin`. */
static int mend_all(struct repair *repair, struct firn_error *err)
{
    struct firn_log *log = repair->log;
    int rc = log_check_poison(log, err);
    if (rc == 0)
        rc = find_all(repair, err);
    if (rc < 0 || repair->stores.count + repair->indexes.count + repair->ages.count +
                          repair->checkpoint + repair->cursors ==
                      0)
        return rc;
    rc = rewrite_prepare(log, err); /* writes the checkpoint anew */
    if (rc == 0 && repair->checkpoint) {
        log->checkpoint_missing = false;
        log->slots = (struct checkpoint_slots){.equal = true, .alike = true};
        repair->done.files++;
    }
    if (rc == 0 && repair->stores.count) {
        rc = finish_last(log, err);
        if (rc == 0)
            rc = rewrite_prepare(log, err);
        if (rc == 0)
            rc = mend_stores(repair, err);
        if (rc == 0)
            rc = give_up_missing_start(repair, err);
    }
    return rc == 0 ? mend_files(repair, err) : rc;
}

static void release(struct repair *repair)
{
    free(repair->stores.at);
    free(repair->indexes.at);
    free(repair->ages.at);
    buffer_free(&repair->space);
}

int firn_log_repair(struct firn_log *log, firn_finding_fn *each, void *arg,
                    struct firn_repaired *repaired, struct firn_error *err)
{
    struct repair repair = {.log = log, .each = each, .arg = arg};
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    pthread_mutex_lock(&log->compact.turn);
    pthread_mutex_lock(&log->admin);
    int rc = mend_all(&repair, err);
    pthread_mutex_unlock(&log->admin);
    pthread_mutex_unlock(&log->compact.turn);
    if (rc == 0 && repaired)
        *repaired = repair.done;
    if (rc == 0 && repair.any_left) {
        rc = repair.left.code;
        if (err)
            *err = repair.left;
    }
    release(&repair);
    return rc;
}
