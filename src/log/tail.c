/* SPDX-License-Identifier: MIT */
/*
 * What follows the last checkpoint, after a crash.
 *
 * Batches are accepted as long as they check and continue the chain. Where one does not, it has to
 * be decided whether it is the torn end of a group that nobody was told about, or damage to what
 * was acknowledged. It is damage if anything proves that the log was durable beyond it:
 * - a later segment exists (its name appears only after this one is durable), or
 * - a later batch says so: firn's batches carry the distance back to the durable end at the time
 *   they were written; any valid batch that a client built, or
 * - the checkpoint or the clean marker says so.
 * Damage is kept and becomes a hole, and the log goes on behind it. A torn end is copied aside and
 * cut. What is kept is written anew before anybody is told of it: after a failed sync the page
 * cache still holds what the disk does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "log/log_private.h"

enum { CHUNK = 1024 * 1024 };

/* One segment's scan. */
struct segment_scan {
    struct firn_log *log;
    struct tail *tail;
    struct segment *segment;
    struct firn_file *file;
    struct index *index;
    uint64_t size;
    uint64_t next_base; /* of the next segment; UINT64_MAX: this is the last */
    uint64_t expected;  /* index of the next record */
    struct scan scan;
};

/* A place in this segment up to which the checkpoint file says that the log is durable. */
static struct place claimed_place(const struct segment_scan *at)
{
    const struct checkpoint *checkpoint = &at->log->checkpoint;
    struct place none = {at->segment->base, 0, at->segment->base};
    if (checkpoint->clean && checkpoint->end.segment == at->segment->base)
        return checkpoint->end;
    return checkpoint->durable.segment == at->segment->base ? checkpoint->durable : none;
}

/* Whether a batch of the chain that begins at `position` proves that `bad` was durable. */
static int chain_claims(struct segment_scan *at, uint64_t position, uint64_t bad, bool *claims,
                        struct firn_error *err)
{
    struct scan scan;
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault;
    int rc;
    *claims = false;
    scan_init(&scan, at->file, position, at->size, 0);
    do {
        position = scan.position;
        rc = scan_next_within(&scan, 0, &batch, &bytes, &fault, err);
        if (rc == 0)
            *claims = batch_is_foreign(&batch) || position - (uint64_t)batch.distance > bad;
    } while (rc == 0 && !*claims);
    scan_done(&scan);
    return rc == FIRN_ENOMEM ? rc : 0;
}

static int add_hole(struct segment_scan *at, uint64_t to, uint64_t next_index, const char *text)
{
    if (next_index < at->expected) /* another file holds records that this one claims too */
        next_index = at->expected;
    struct firn_hole hole = {
        .first_index = at->expected,
        .next_index = next_index,
        .segment = at->segment->base,
        .offset = at->scan.position,
        .length = to - at->scan.position,
    };
    int rc = log_add_hole(at->log, &hole, text);
    scan_seek(&at->scan, to, at->size > to ? at->size : to);
    at->expected = next_index;
    return rc;
}

/* What follows the bad bytes at the scan's position: 0: a hole, go on; FIRN_EEND: the end. */
static int judge(struct segment_scan *at, const char *text, struct firn_error *err)
{
    uint64_t bad = at->scan.position;
    bool last = at->next_base == UINT64_MAX, claims = false;
    struct resync_bounds bounds = {
        .from = bad + 1,
        .end = at->size,
        .least_base = at->expected,
        .most_base = at->next_base,
        .most_generation = at->log->checkpoint_missing ? UINT32_MAX
                                                       : at->log->checkpoint.generation,
        .end_exact = !last,
    };
    struct resync found = {0};
    int rc = bad < at->size ? scan_resync(at->file, &bounds, &found, err) : 0;
    if (rc == 0 && found.found && last)
        rc = chain_claims(at, found.position, bad, &claims, err);
    if (rc < 0)
        return rc;
    if (found.found && (!last || claims))
        return add_hole(at, found.position, found.batch.base, text);
    if (!last)
        return add_hole(at, at->size, at->next_base, text);
    struct place claimed = claimed_place(at);
    if (claimed.position > bad)
        return add_hole(at, claimed.position, claimed.index, text);
    return FIRN_EEND;
}

/*
 * No checksum covers a batch's generation: one that is impossible was torn, or a bit of it flipped.
 * The rest of the batch is right, and written anew with a possible one.
 */
static int heal_generation(struct segment_scan *at, struct batch *batch, uint64_t position,
                           struct firn_error *err)
{
    const struct firn_log *log = at->log;
    uint32_t least = at->tail->generation;
    uint32_t most = log->checkpoint_missing ? UINT32_MAX : log->checkpoint.generation;
    if (batch->generation <= most && (batch->generation >= least || least > most))
        return 0;
    uint8_t bytes[4];
    batch->generation = log->checkpoint_missing ? least : most;
    store_be_u32(bytes, batch->generation);
    if (log->options.read_only)
        return 0;
    return disk_write_full(at->file, bytes, sizeof bytes, position + BATCH_LENGTH_FROM, 0, err);
}

static void accept(struct segment_scan *at, const struct batch *batch, uint64_t position)
{
    struct segment *segment = at->segment;
    if (batch->max_time > segment->max_time)
        segment->max_time = batch->max_time;
    index_add(at->index, (uint32_t)(batch->base - segment->base), (uint32_t)position,
              segment->max_time);
    at->expected = batch->base + batch->last_delta + 1;
    at->tail->generation = batch->generation;
    at->log->recovery.kept_records += batch->count;
    at->log->recovery.scanned_bytes += batch->bytes;
}

/* 0: go on; FIRN_EEND: the segment's end. */
static int scan_step(struct segment_scan *at, struct firn_error *err)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    uint64_t position = at->scan.position;
    int rc = scan_next_within(&at->scan, 0, &batch, &bytes, &fault, err);
    if (rc == 0 && batch.base == at->expected) {
        rc = heal_generation(at, &batch, position, err);
        if (rc == 0)
            accept(at, &batch, position);
        return rc;
    }
    if (rc == FIRN_ENOMEM)
        return rc;
    if (rc == 0) {
        scan_seek(&at->scan, position, at->size);
        return judge(at, "a batch out of sequence", err);
    }
    if (rc == FIRN_EEND) {
        bool complete = at->next_base == UINT64_MAX ? claimed_place(at).position <= position
                                                    : at->expected >= at->next_base;
        return complete ? FIRN_EEND : judge(at, "the file ends early", err);
    }
    int result = judge(at, rc == FIRN_EIO ? "unreadable" : batch_fault_text(fault), err);
    return rc == FIRN_EIO && result == FIRN_EEND ? FIRN_EIO : result;
}

/* The generation of the last batch that begins before `end`, if it can be had. */
static int last_generation(struct segment *segment, struct index *index, uint64_t end,
                           uint32_t *generation, struct firn_error *err)
{
    struct index_entry entry = {0};
    struct firn_file *file;
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    if (index_count(index))
        index_get(index, index_count(index) - 1, &entry);
    scan_init(&scan, file, entry.position, end, 0);
    while ((rc = scan_peek(&scan, &batch, &fault, err)) == 0) {
        *generation = batch.generation;
        scan_skip(&scan, &batch);
    }
    scan_done(&scan);
    return rc == FIRN_ENOMEM ? rc : 0;
}

/*
 * What the batch before the first one says: the least that those behind it can have. It may be the
 * last one of the segment before.
 */
static int start_generation(struct segment_scan *at, struct segment *before, uint64_t from,
                            struct firn_error *err)
{
    if (from > 0)
        return last_generation(at->segment, at->index, from, &at->tail->generation, err);
    struct index *index;
    bool rebuilt;
    int rc = before ? cache_get(at->log, before, &index, &rebuilt, err) : FIRN_ENOENT;
    if (rc < 0)
        return before ? rc : 0;
    rc = last_generation(before, index, segment_durable_end(before), &at->tail->generation, err);
    index_unref(index);
    return rc;
}

static int scan_segment(struct segment_scan *at, struct segment *before, uint64_t from,
                        struct firn_error *err)
{
    struct segment *segment = at->segment;
    at->size = atomic_load(&segment->space.reserved_end);
    struct index *index = from > 0 ? segment_load_part(segment, from) : index_new();
    if (!index)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
    atomic_store(&segment->index, index);
    int rc = segment_file(segment, &at->file, err);
    bool rebuilt;
    if (rc == 0 && from > 0)
        rc = segment_resume_index(segment, from, &rebuilt, err);
    at->index = atomic_load(&segment->index);
    if (rc == 0 && segment->base == at->tail->from.segment)
        rc = start_generation(at, before, from, err);
    if (rc < 0)
        return rc;
    scan_init(&at->scan, at->file, from, at->size, 256 * 1024);
    do {
        rc = scan_step(at, err);
    } while (rc == 0);
    uint64_t end = at->scan.position < at->size ? at->scan.position : at->size;
    atomic_store(&segment->durable_end, end);
    atomic_store(&segment->written_end, end);
    scan_done(&at->scan);
    return rc == FIRN_EEND ? 0 : rc;
}

/* Its file stays open meanwhile. */
static int scan_held(struct segment_scan *at, struct segment *before, uint64_t from,
                     struct firn_error *err)
{
    struct tail *tail = at->tail;
    struct segment *segment = segment_ref(at->segment);
    int rc = scan_segment(at, before, from, err);
    if (rc == 0) {
        tail->end = (struct place){segment->base, segment_durable_end(segment), at->expected};
        tail->nonzero_end = tail->end.position;
    }
    if (rc == 0 && at->next_base == UINT64_MAX && at->size > tail->end.position)
        rc = scan_last_nonzero(at->file, tail->end.position, at->size, &tail->nonzero_end, err);
    segment_unref(segment);
    return rc;
}

/*
 * Where scanning begins: the checkpoint's place, or what is left of the log before it. A segment
 * that ends before that place is looked at whole.
 */
static void choose_start(struct firn_log *log, const struct segment_list *list, struct tail *tail)
{
    tail->from = log->checkpoint.durable;
    uint64_t base = list->at[0]->base;
    for (size_t i = 0; i < list->count && list->at[i]->base <= tail->from.segment; i++) {
        const struct segment *segment = list->at[i];
        base = segment->base;
        if (base == tail->from.segment &&
            atomic_load(&segment->space.reserved_end) >= tail->from.position)
            return;
    }
    tail->from = (struct place){base, 0, base};
}

int tail_scan(struct firn_log *log, struct tail *tail, struct firn_error *err)
{
    struct segment_list *list = atomic_load(&log->list);
    *tail = (struct tail){0};
    uint64_t first_index = log->checkpoint.first_index;
    tail->from = tail->end = (struct place){first_index, 0, first_index};
    if (!list || list->count == 0)
        return 0;
    choose_start(log, list, tail);
    uint64_t expected = tail->from.index;
    for (size_t i = 0; i < list->count; i++) {
        struct segment *segment = list->at[i];
        if (segment->base < tail->from.segment)
            continue;
        bool first = segment->base == tail->from.segment;
        struct segment_scan at = {
            .log = log,
            .tail = tail,
            .segment = segment,
            .next_base = i + 1 < list->count ? list->at[i + 1]->base : UINT64_MAX,
            .expected = first ? expected : segment->base,
        };
        int rc = scan_held(&at, i > 0 ? list->at[i - 1] : NULL, first ? tail->from.position : 0,
                           err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- repair ---- */

/* A name for what is cut that nobody has yet. */
static int aside_path(struct firn_log *log, const struct place *end, char *path, size_t size,
                      struct firn_error *err)
{
    bool exists = true;
    for (unsigned n = 0; exists; n++) {
        char name[96];
        snprintf(name, sizeof name, "torn-%020" PRIu64 "-%" PRIu64 "-%u.bin", end->segment,
                 end->position, n);
        int rc = disk_path_join(path, size, log->dir, name, err);
        if (rc == 0)
            rc = disk_exists(log->disk, path, &exists, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Copies [from, to) of one file to another place; sectors that can't be read become zeros. */
static int copy_range(struct firn_file *from_file, uint64_t from, uint64_t to,
                      struct firn_file *to_file, uint64_t at, struct firn_error *err)
{
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to copy");
    int rc = 0;
    while (rc == 0 && from < to) {
        size_t part = to - from < CHUNK ? (size_t)(to - from) : CHUNK, got;
        rc = disk_read_full(from_file, chunk, part, from, &got, err);
        if (rc == 0 && got == 0)
            break;
        if (rc == 0)
            rc = disk_write_full(to_file, chunk, got, at, 0, err);
        from += got;
        at += got;
    }
    free(chunk);
    return rc;
}

static int copy_aside(struct firn_log *log, const struct tail *tail, struct firn_file *file,
                      struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *aside;
    int rc = aside_path(log, &tail->end, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE,
                       &aside, err);
    if (rc < 0)
        return rc;
    rc = copy_range(file, tail->end.position, tail->nonzero_end, aside, 0, err);
    if (rc == 0)
        rc = disk_sync(aside, err);
    disk_close(aside);
    if (rc == 0)
        rc = disk_sync_dir(log->disk, log->dir, err);
    if (rc < 0)
        disk_remove(log->disk, path, NULL);
    log->recovery.cut_bytes = tail->nonzero_end - tail->end.position;
    return rc;
}

/* Writes [from, durable end) anew through a descriptor of its own, and cuts what lies behind. */
static int rewrite(struct firn_log *log, struct segment *segment, uint64_t from, bool cut,
                   struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    uint64_t end = segment_durable_end(segment);
    int rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE, &file, err);
    if (rc < 0)
        return rc;
    if (from < end)
        rc = copy_range(file, from, end, file, from, err);
    if (rc == 0 && cut)
        rc = disk_truncate(file, end, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    if (rc == 0 && from < end)
        log->recovery.rewritten_bytes += end - from;
    if (rc == 0 && cut)
        atomic_store(&segment->space.reserved_end, end);
    return rc;
}

int tail_repair(struct firn_log *log, const struct tail *tail, struct firn_error *err)
{
    struct segment_list *list = atomic_load(&log->list);
    int rc = 0;
    for (size_t i = 0; rc == 0 && list && i < list->count; i++) {
        struct segment *segment = list->at[i];
        struct firn_file *file;
        bool last = i + 1 == list->count;
        if (segment->base < tail->from.segment)
            continue;
        segment_discard_index(log->disk, log->dir, segment->base);
        rc = segment_file(segment, &file, err);
        bool torn = rc == 0 && last && tail->nonzero_end > tail->end.position;
        if (torn)
            rc = copy_aside(log, tail, file, err);
        if (torn && reserve_release(log, rc))
            rc = copy_aside(log, tail, file, err);
        if (rc == 0)
            rc = rewrite(log, segment,
                         segment->base == tail->from.segment ? tail->from.position : 0, last, err);
    }
    return rc == 0 ? disk_sync_dir(log->disk, log->dir, err) : rc;
}
