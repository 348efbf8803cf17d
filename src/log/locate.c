/* SPDX-License-Identifier: MIT */
/* From an index to the place of its batch, and the extent of damage. */
#include "log/log_private.h"

enum { EXTENT_MOST = 64 * 1024 };

/* The bounds within which a segment's records must lie. */
static uint64_t end_index(struct firn_log *log, const struct segment *segment, bool *last)
{
    uint64_t next = list_next_base(log, segment->base);
    *last = next == UINT64_MAX;
    return *last ? atomic_load(&log->durable_next) : next;
}

int locate_hole(struct firn_log *log, struct segment *segment, uint64_t position, uint64_t expected,
                struct firn_hole *hole, struct firn_error *err)
{
    bool last;
    uint64_t end = segment_durable_end(segment);
    uint64_t next = end_index(log, segment, &last);
    if (next < expected)
        next = expected; /* another file holds records that this one claims too */
    struct resync_bounds bounds = {
        .from = position + 1,
        .end = end,
        .least_base = expected,
        .most_base = next,
        .most_generation = UINT32_MAX,
        .end_exact = true,
    };
    struct firn_file *file;
    struct resync found;
    int rc = segment_file(segment, &file, err);
    if (rc == 0)
        rc = scan_resync(file, &bounds, &found, err);
    if (rc < 0)
        return rc;
    *hole = (struct firn_hole){
        .first_index = expected,
        .next_index = found.found ? found.batch.base : next,
        .segment = segment->base,
        .offset = position,
        .length = (found.found ? found.position : end) - position,
    };
    return 0;
}

static int damaged(const struct segment *segment, uint64_t position, enum batch_fault fault,
                   struct firn_error *err)
{
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s/%020llu.log: damaged batch at byte %llu: %s; 'firn verify' lists all "
                          "damage",
                          segment->dir, (unsigned long long)segment->base,
                          (unsigned long long)position, batch_fault_text(fault));
}

/*
 * How much to read for a record that lies behind one entry and before the next, so that one read
 * serves: all of it; where records have a batch each, up to where this one's should end. Before the
 * next entry lie INDEX_INTERVAL bytes and one batch.
 */
static size_t extent(const struct segment *segment, const struct index_entry *entry,
                     const struct index_entry *next, uint64_t relative)
{
    if (next->position <= entry->position || next->relative <= entry->relative)
        return LOG_BATCH_TARGET;
    size_t bytes = next->position - entry->position;
    if (bytes > EXTENT_MOST)
        return 0;
    if (!atomic_load_explicit(&segment->singles, memory_order_relaxed))
        return bytes;
    size_t each = bytes / (next->relative - entry->relative);
    size_t likely = (size_t)(relative - entry->relative + 1) * each + each / 4;
    return likely < bytes ? likely : bytes;
}

/* A batch header at `position` that says `base`? */
static bool begins_at(struct scan *scan, uint64_t position, size_t size, uint64_t end,
                      uint64_t base)
{
    struct batch batch;
    enum batch_fault fault;
    scan_seek(scan, position, end);
    scan_fetch(scan, size);
    return scan_peek(scan, &batch, &fault, NULL) == 0 && batch.base == base;
}

/* Where to begin: the index entry below, if the batch there is what it says; else the start. */
static int begin(struct firn_log *log, struct segment *segment, struct scan *scan, uint64_t end,
                 uint64_t index, uint64_t *base, struct firn_error *err)
{
    bool found = false;
    struct index_entry entry, next;
    uint64_t relative = index - segment->base;
    int rc = cache_floor(log, segment, (uint32_t)relative, &entry, &next, &found, err);
    if (rc < 0)
        return rc;
    if (found) {
        *base = segment->base + entry.relative;
        if (begins_at(scan, entry.position, extent(segment, &entry, &next, relative), end, *base))
            return 0;
        cache_distrust(log, segment);
    }
    *base = segment->base;
    scan_seek(scan, 0, end);
    return 0;
}

/*
 * Goes from batch to batch until one holds `index`. Not `checked`, it believes the headers on the
 * way, which are not covered by a checksum in full: a damaged length leads astray.
 */
static int walk(struct scan *scan, bool checked, uint64_t index, uint64_t *base,
                enum batch_fault *fault, struct firn_error *err)
{
    for (;;) {
        struct batch batch;
        const uint8_t *bytes;
        uint64_t position = scan->position, end = scan->end;
        int rc = checked ? scan_next_within(scan, 0, &batch, &bytes, fault, err)
                         : scan_peek(scan, &batch, fault, err);
        if (rc < 0)
            return rc;
        if (checked)
            scan_seek(scan, position, end);
        *fault = BATCH_BAD_COUNT;
        if (batch.base != *base)
            return FIRN_EDAMAGED;
        if (index <= batch.base + batch.last_delta)
            return 0;
        scan_skip(scan, &batch);
        *base = batch.base + batch.last_delta + 1;
    }
}

int locate(struct firn_log *log, struct segment *segment, struct scan *scan, uint64_t end,
           uint64_t index, bool checked, uint64_t *base, struct firn_hole *hole,
           struct firn_error *err)
{
    enum batch_fault fault;
    int rc = begin(log, segment, scan, end, index, base, err);
    uint64_t start = scan->position, start_base = *base;
    if (rc == 0)
        rc = walk(scan, checked, index, base, &fault, err);
    if (rc == FIRN_EDAMAGED || rc == FIRN_EIO || rc == FIRN_EEND) {
        scan_seek(scan, start, end);
        *base = start_base;
        rc = walk(scan, true, index, base, &fault, err);
    }
    while (rc == FIRN_EDAMAGED || rc == FIRN_EIO) {
        uint64_t position = scan->position;
        int why = rc;
        rc = locate_hole(log, segment, position, *base, hole, err);
        if (rc < 0)
            return rc;
        if (index < hole->next_index)
            return why == FIRN_EIO ? why : damaged(segment, position, fault, err);
        scan_seek(scan, hole->offset + hole->length, end);
        *base = hole->next_index;
        rc = walk(scan, true, index, base, &fault, err);
    }
    if (rc == FIRN_EEND)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s/%020llu.log: ends before record %llu",
                              segment->dir, (unsigned long long)segment->base,
                              (unsigned long long)index);
    return rc;
}
