/* SPDX-License-Identifier: MIT */
/* A segment: its names, its file, its index. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_private.h"

struct segment *segment_new(struct firn_disk *disk, const char *dir, uint64_t base, bool writable)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return NULL;
    atomic_init(&segment->refs, 1);
    segment->base = base;
    segment->disk = disk;
    segment->dir = dir;
    segment->writable = writable;
    segment->max_time = segment->mark_due = INT64_MIN;
    atomic_init(&segment->highest_time, INT64_MIN);
    return segment;
}

struct segment *segment_ref(struct segment *segment)
{
    atomic_fetch_add(&segment->refs, 1); /* before its file is looked at: handles.c */
    return segment;
}

void segment_unref(struct segment *segment)
{
    if (!segment || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) > 1)
        return;
    handles_forget(segment);
    disk_close(atomic_load(&segment->file));
    disk_close(segment->late_file);
    cache_forget(segment);
    index_unref(atomic_load(&segment->index));
    age_marks_free(&segment->marks);
    free(segment);
}

void segment_name(uint64_t base, const char *suffix, char name[LOG_NAME_SIZE])
{
    snprintf(name, LOG_NAME_SIZE, "%020" PRIu64 ".%s", base, suffix);
}

bool segment_parse_name(const char *name, uint64_t *base)
{
    if (strspn(name, "0123456789") != 20 || strcmp(name + 20, ".log") != 0)
        return false;
    uint64_t value = 0;
    for (int i = 0; i < 20; i++) {
        uint64_t digit = (uint64_t)(name[i] - '0');
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *base = value;
    return true;
}

int segment_path(const struct segment *segment, char *path, size_t size, struct firn_error *err)
{
    char name[LOG_NAME_SIZE];
    segment_name(segment->base, "log", name);
    return disk_path_join(path, size, segment->dir,
                          segment->spare_name[0] ? segment->spare_name : name, err);
}

static int open_file(struct segment *segment, struct firn_file **file, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    unsigned flags = segment->writable ? FIRN_OPEN_WRITE : FIRN_OPEN_READ;
    int rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(segment->disk, path, flags, file, err);
    if (rc == FIRN_EMFILE && handles_relieve(segment))
        rc = disk_open(segment->disk, path, flags, file, err);
    return rc;
}

int segment_file(struct segment *segment, struct firn_file **out, struct firn_error *err)
{
    struct firn_file *file = atomic_load(&segment->file);
    if (!atomic_load_explicit(&segment->file_used, memory_order_relaxed))
        atomic_store_explicit(&segment->file_used, true, memory_order_relaxed);
    if (!file) {
        int rc = open_file(segment, &file, err);
        if (rc < 0)
            return rc;
        struct firn_file *other = NULL;
        if (!atomic_compare_exchange_strong(&segment->file, &other, file)) {
            disk_close(file);
            file = other;
        } else {
            handles_opened(segment);
        }
    }
    *out = file;
    return 0;
}

int segment_build_index(struct segment *segment, struct index *index, uint64_t from, uint64_t to,
                        int64_t *max_time, struct firn_error *err)
{
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    struct scan scan;
    uint64_t expected = segment->base; /* of the first batch: the caller's, where not the start */
    bool chained = from == 0;
    scan_init(&scan, file, from, to, 0);
    for (;;) {
        struct batch batch;
        enum batch_fault fault;
        uint64_t position = scan.position;
        rc = scan_peek(&scan, &batch, &fault, err);
        if (rc < 0)
            break;
        if (batch.base < segment->base || batch.base - segment->base > INT32_MAX ||
            (chained && batch.base != expected))
            break;
        if (batch.max_time > *max_time)
            *max_time = batch.max_time;
        expected = batch.base + batch.last_delta + 1;
        chained = true;
        index_add(index, (uint32_t)(batch.base - segment->base), (uint32_t)position, *max_time);
        scan_skip(&scan, &batch);
    }
    scan_done(&scan);
    return rc == FIRN_EIO || rc == FIRN_ENOMEM ? rc : 0;
}

int segment_rebuild_index(struct segment *segment, struct index **out, struct firn_error *err)
{
    int64_t max_time = INT64_MIN;
    struct index *index = index_new();
    if (!index)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
    int rc = segment_build_index(segment, index, 0, segment_durable_end(segment), &max_time, err);
    if (rc == FIRN_ENOMEM) {
        index_unref(index);
        return rc;
    }
    *out = index;
    return 0;
}

int segment_remove_files(struct firn_disk *disk, const char *dir, uint64_t base,
                         struct firn_error *err)
{
    static const char *const suffixes[] = {"log", "index", "timeindex", "appendtime"};
    for (int i = 0; i < 4; i++) {
        char name[LOG_NAME_SIZE], path[DISK_PATH_SIZE];
        segment_name(base, suffixes[i], name);
        int rc = disk_path_join(path, sizeof path, dir, name, err);
        if (rc == 0)
            rc = disk_remove(disk, path, err);
        if (rc < 0 && rc != FIRN_ENOENT)
            return rc;
    }
    return 0;
}

/* The header of the batch that the entry names; false: none. */
static bool read_named(struct segment *segment, const struct index_entry *entry, uint64_t end,
                       struct batch *batch)
{
    struct firn_file *file;
    struct scan scan;
    enum batch_fault fault;
    if (segment_file(segment, &file, NULL) < 0)
        return false;
    scan_init(&scan, file, entry->position, end, BATCH_HEADER);
    int rc = scan_peek(&scan, batch, &fault, NULL);
    scan_done(&scan);
    return rc == 0 && batch->base == segment->base + entry->relative;
}

/* Zeros, which a loss of power may leave, would be a first entry too, but for the time. */
static bool first_is_right(struct segment *segment, const struct index *index, uint64_t end)
{
    struct index_entry first;
    struct batch batch;
    if (index_count(index) == 0)
        return true;
    index_get(index, 0, &first);
    return read_named(segment, &first, end, &batch) && batch.max_time == first.max_time;
}

struct index *segment_load_part(struct segment *segment, uint64_t end)
{
    struct index *index;
    uint64_t most = atomic_load(
        &segment->space.reserved_end); /* it may be ahead of the checkpoint */
    if (index_load(segment->disk, segment->dir, segment->base, most, &index, NULL) < 0)
        return index_new();
    index_cut_untimed(index);
    index_cut(index, (uint32_t)end);
    if (first_is_right(segment, index, end))
        return index;
    index_unref(index);
    return index_new();
}

int segment_resume_index(struct segment *segment, uint64_t end, bool *rebuilt,
                         struct firn_error *err)
{
    struct index_entry last = {.max_time = INT64_MIN};
    struct batch batch;
    struct index *index = atomic_load(&segment->index);
    if (index_count(index))
        index_get(index, index_count(index) - 1, &last);
    if (index_count(index) && !read_named(segment, &last, end, &batch)) {
        struct index *fresh = index_new();
        if (!fresh)
            return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
        atomic_store(&segment->index, fresh);
        index_unref(index);
        index = fresh;
        last = (struct index_entry){.max_time = INT64_MIN};
        *rebuilt = true;
    }
    segment->max_time = last.max_time;
    return segment_build_index(segment, index, last.position, end, &segment->max_time, err);
}

void segment_discard_index(struct firn_disk *disk, const char *dir, uint64_t base)
{
    static const char *const suffixes[] = {"index", "timeindex"};
    for (int i = 0; i < 2; i++) {
        char name[LOG_NAME_SIZE], path[DISK_PATH_SIZE];
        segment_name(base, suffixes[i], name);
        if (disk_path_join(path, sizeof path, dir, name, NULL) == 0)
            disk_remove(disk, path, NULL);
    }
}
