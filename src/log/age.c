/* SPDX-License-Identifier: MIT */
/*
 * The marks of a segment stand in memory while it grows and until they are stored; those of other
 * segments are read when somebody asks. The file, <base>.appendtime: "FIRNAPT1", 12 bytes a mark
 * (time i64, relative index u32, big-endian), CRC-32C of all that. It is replaced in place: one
 * that a crash tore is not believed, and then records are as old as the next mark behind them.
 */
#include "log/age.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "log/log_private.h"

enum { MAGIC_BYTES = 8, MARK_BYTES = 12, CRC_BYTES = 4, MARKS_MOST = 1 << 24 };

static const char magic[MAGIC_BYTES + 1] = "FIRNAPT1";

void age_marks_free(struct age_marks *marks)
{
    free(marks->at);
    *marks = (struct age_marks){0};
}

static int add(struct age_marks *marks, uint32_t relative, int64_t time)
{
    if (marks->count == marks->capacity) {
        size_t capacity = marks->capacity ? 2 * marks->capacity : 16;
        struct age_mark *at = realloc(marks->at, capacity * sizeof *at);
        if (!at)
            return FIRN_ENOMEM;
        marks->at = at;
        marks->capacity = capacity;
    }
    assert(marks->at);
    marks->at[marks->count++] = (struct age_mark){time, relative};
    return 0;
}

/* All below `index` was appended by `time`. Without memory, it is as old as the next mark. */
static void mark(struct firn_log *log, struct segment *segment, uint64_t index, int64_t time)
{
    struct age_marks *marks = &segment->marks;
    uint32_t relative = (uint32_t)(index - segment->base);
    pthread_mutex_lock(&log->age_lock);
    const struct age_mark *last = marks->count ? &marks->at[marks->count - 1] : NULL;
    bool known = last && last->relative == relative && last->time <= time;
    if (!known && add(marks, relative, time) == 0)
        marks->changed = true;
    pthread_mutex_unlock(&log->age_lock);
}

void age_note(struct firn_log *log, struct segment *segment, uint64_t index, int64_t now)
{
    int64_t last = atomic_load_explicit(&log->last_write, memory_order_relaxed);
    if (now >= segment->mark_due) {
        if (last != INT64_MIN)
            mark(log, segment, index, last);
        segment->mark_due = now + AGE_STEP_MS;
    }
    if (now > last) /* a clock that went back counts as one that stands still */
        atomic_store_explicit(&log->last_write, now, memory_order_relaxed);
}

void age_note_end(struct firn_log *log, struct segment *segment, uint64_t index)
{
    int64_t last = atomic_load(&log->last_write);
    if (last != INT64_MIN)
        mark(log, segment, index, last);
}

/* ---- the file ------------------------------------------------------------------------------- */

static int path_of(const struct firn_log *log, uint64_t base, char *path, size_t size,
                   struct firn_error *err)
{
    char name[LOG_NAME_SIZE];
    segment_name(base, "appendtime", name);
    return disk_path_join(path, size, log->dir, name, err);
}

static size_t file_bytes(size_t count)
{
    return MAGIC_BYTES + count * MARK_BYTES + CRC_BYTES;
}

static void encode(const struct age_marks *marks, uint8_t *bytes)
{
    memcpy(bytes, magic, MAGIC_BYTES);
    uint8_t *at = bytes + MAGIC_BYTES;
    for (size_t i = 0; i < marks->count; i++, at += MARK_BYTES) {
        store_be_i64(at, marks->at[i].time);
        store_be_u32(at + 8, marks->at[i].relative);
    }
    store_be_u32(at, crc32c(0, bytes, (size_t)(at - bytes)));
}

/* A copy of the file's content; NULL without a message if there is nothing new or no memory. */
static uint8_t *encoded(struct firn_log *log, struct segment *segment, size_t *size)
{
    uint8_t *bytes = NULL;
    pthread_mutex_lock(&log->age_lock);
    if (segment->marks.changed) {
        *size = file_bytes(segment->marks.count);
        bytes = malloc(*size);
    }
    if (bytes) {
        encode(&segment->marks, bytes);
        segment->marks.changed = false;
    }
    pthread_mutex_unlock(&log->age_lock);
    return bytes;
}

static int store(struct firn_log *log, struct segment *segment, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    size_t size;
    uint8_t *bytes = encoded(log, segment, &size);
    if (!bytes)
        return 0;
    int rc = path_of(log, segment->base, path, sizeof path, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, err);
    if (rc == 0) {
        uint64_t before = 0;
        rc = disk_size_of(file, &before, err);
        if (rc == 0)
            rc = disk_write_full(file, bytes, size, 0, 0, err);
        if (rc == 0 && before > size)
            rc = disk_truncate(file, size, err);
        if (rc == 0)
            rc = disk_sync(file, err);
        disk_close(file);
    }
    free(bytes);
    if (rc < 0) {
        (void)age_discard(log, segment->base, NULL); /* none is better than half of one */
        pthread_mutex_lock(&log->age_lock);
        segment->marks.changed = true;
        pthread_mutex_unlock(&log->age_lock);
    }
    return rc;
}

int age_store(struct firn_log *log, struct segment *segment, bool finished, struct firn_error *err)
{
    int rc = store(log, segment, err);
    pthread_mutex_lock(&log->age_lock);
    if (rc == 0 && finished && !segment->marks.changed)
        age_marks_free(&segment->marks);
    pthread_mutex_unlock(&log->age_lock);
    return rc;
}

int age_discard(struct firn_log *log, uint64_t base, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = path_of(log, base, path, sizeof path, err);
    if (rc == 0)
        rc = disk_remove(log->disk, path, err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

static int decode(const uint8_t *bytes, size_t size, uint32_t end, struct age_marks *marks)
{
    if (size < file_bytes(0) || (size - file_bytes(0)) % MARK_BYTES != 0 ||
        memcmp(bytes, magic, MAGIC_BYTES) != 0 ||
        crc32c(0, bytes, size - CRC_BYTES) != load_be_u32(bytes + size - CRC_BYTES))
        return FIRN_EDAMAGED;
    const uint8_t *last = bytes + size - CRC_BYTES;
    int rc = 0;
    for (const uint8_t *at = bytes + MAGIC_BYTES; rc == 0 && at < last; at += MARK_BYTES)
        if (load_be_u32(at + 8) <= end)
            rc = add(marks, load_be_u32(at + 8), load_be_i64(at));
    return rc;
}

/* Marks at or below the relative index `end`. FIRN_ENOENT, FIRN_EDAMAGED, FIRN_EIO, FIRN_ENOMEM. */
static int load(struct firn_log *log, uint64_t base, uint32_t end, struct age_marks *marks)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    uint64_t size;
    size_t got = 0;
    int rc = path_of(log, base, path, sizeof path, NULL);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_READ, &file, NULL);
    if (rc < 0)
        return rc;
    rc = disk_size_of(file, &size, NULL);
    if (rc == 0 && size > file_bytes(MARKS_MOST))
        rc = FIRN_EDAMAGED;
    uint8_t *bytes = rc == 0 ? malloc((size_t)size + 1) : NULL;
    if (rc == 0 && !bytes)
        rc = FIRN_ENOMEM;
    if (rc == 0)
        rc = disk_read_full(file, bytes, (size_t)size, 0, &got, NULL);
    if (rc == 0)
        rc = decode(bytes, got, end, marks);
    free(bytes);
    disk_close(file);
    return rc;
}

int age_check(struct firn_log *log, uint64_t base)
{
    struct age_marks marks = {0};
    int rc = load(log, base, INT32_MAX, &marks);
    age_marks_free(&marks);
    return rc == FIRN_ENOENT ? 0 : rc;
}

/* ---- segments that grow --------------------------------------------------------------------- */

int age_resume(struct firn_log *log, struct segment *segment, uint64_t end, bool anew,
               struct firn_error *err)
{
    struct age_marks marks = {0};
    int rc = load(log, segment->base, (uint32_t)(end - segment->base), &marks);
    if (rc < 0)
        age_marks_free(&marks);
    if (rc == FIRN_ENOMEM)
        return firn_error_set(err, rc, 0, "%s: no memory", log->dir);
    segment->marks = marks;
    if (marks.count)
        atomic_store(&log->last_write, marks.at[marks.count - 1].time);
    log->age_healed = rc == FIRN_EDAMAGED;
    if (anew || rc < 0) {
        atomic_store(&log->last_write, log_now(log));
        age_note_end(log, segment, end);
        (void)age_store(log, segment, false, NULL);     /* closing tries again */
        return disk_sync_dir(log->disk, log->dir, err); /* lest an old file comes back */
    }
    return 0;
}

int age_inherit(struct firn_log *log, struct segment *old, struct segment *segment, uint64_t end)
{
    struct age_marks marks = {0};
    uint32_t last = (uint32_t)(end - old->base);
    int rc = 0;
    pthread_mutex_lock(&log->age_lock);
    bool here = old->marks.count > 0;
    for (size_t i = 0; rc == 0 && i < old->marks.count; i++)
        if (old->marks.at[i].relative <= last)
            rc = add(&marks, old->marks.at[i].relative, old->marks.at[i].time);
    pthread_mutex_unlock(&log->age_lock);
    if (!here)
        rc = load(log, old->base, last, &marks);
    if (rc < 0)
        age_marks_free(&marks);
    marks.changed = marks.count > 0;
    segment->marks = marks;
    return rc == FIRN_ENOMEM ? rc : 0;
}

/* ---- looking up ----------------------------------------------------------------------------- */

/* How many marks are not later than `time`. */
static size_t count_until(const struct age_marks *marks, int64_t time)
{
    size_t count = 0;
    while (count < marks->count && marks->at[count].time <= time)
        count++;
    return count;
}

/* In the marks of one segment; *later: one of them is. */
static void look(const struct segment *segment, const struct age_marks *marks, int64_t time,
                 uint64_t *index, bool *later)
{
    size_t count = count_until(marks, time);
    *later = count < marks->count;
    if (count > 0 && marks->at)
        *index = segment->base + marks->at[count - 1].relative;
}

uint64_t age_index_at(struct firn_log *log, int64_t time)
{
    uint64_t index = 0, end = atomic_load(&log->durable_next);
    bool later = false;
    if (!log->options.read_only && atomic_load(&log->last_write) <= time)
        return end;
    struct segment *segment = list_first(log);
    while (segment && !later) {
        struct segment *next = list_after(log, segment->base);
        pthread_mutex_lock(&log->age_lock);
        bool here = segment->marks.count > 0;
        if (here)
            look(segment, &segment->marks, time, &index, &later);
        pthread_mutex_unlock(&log->age_lock);
        struct age_marks marks = {0};
        if (!here && load(log, segment->base, INT32_MAX, &marks) == 0)
            look(segment, &marks, time, &index, &later);
        age_marks_free(&marks);
        segment_unref(segment);
        segment = next;
    }
    segment_unref(segment);
    return index < end ? index : end;
}
