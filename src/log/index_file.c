/* SPDX-License-Identifier: MIT */
/*
 * Entries in files, as Kafka has them: <base>.index holds pairs (relative index, position), and
 * <base>.timeindex pairs (time, relative index), only for the entries that raise the time. Read
 * with suspicion: what does not ascend or does not fit the store is refused as a whole.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "disk/disk.h"
#include "log/batch.h"
#include "log/index_private.h"

enum {
    PLACE_BYTES = 8,
    TIME_BYTES = 12,
    CHUNK_BYTES = PLACE_BYTES * TIME_BYTES * 64, /* holds a whole number of either */
    PAGE_ENTRIES = 512,                          /* read at a time when one is looked up */
    NAME_SIZE = 64,
};

static int file_path(char *path, size_t size, const char *dir, uint64_t base, const char *suffix,
                     struct firn_error *err)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "%020" PRIu64 ".%s", base, suffix);
    return disk_path_join(path, size, dir, name, err);
}

/* ---- writing -------------------------------------------------------------------------------- */

struct writer {
    struct firn_file *file;
    uint64_t written;
    size_t used;
    uint8_t chunk[CHUNK_BYTES];
};

static int writer_flush(struct writer *writer, struct firn_error *err)
{
    int rc = disk_write_full(writer->file, writer->chunk, writer->used, writer->written, 0, err);
    writer->written += writer->used;
    writer->used = 0;
    return rc;
}

/* Room for `size` bytes more. */
static int writer_room(struct writer *writer, size_t size, uint8_t **at, struct firn_error *err)
{
    int rc = 0;
    if (writer->used + size > CHUNK_BYTES)
        rc = writer_flush(writer, err);
    *at = writer->chunk + writer->used;
    writer->used += size;
    return rc;
}

/* Of the first `count` entries. */
typedef int write_entries(struct writer *writer, const struct index *index, size_t count,
                          struct firn_error *err);

static int write_places(struct writer *writer, const struct index *index, size_t count,
                        struct firn_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct index_entry entry;
        uint8_t *at;
        index_get(index, i, &entry);
        rc = writer_room(writer, PLACE_BYTES, &at, err);
        store_be_u32(at, entry.relative);
        store_be_u32(at + 4, entry.position);
    }
    return rc;
}

static int write_times(struct writer *writer, const struct index *index, size_t count,
                       struct firn_error *err)
{
    int64_t last = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct index_entry entry;
        uint8_t *at;
        index_get(index, i, &entry);
        if (i > 0 && entry.max_time <= last)
            continue;
        last = entry.max_time;
        rc = writer_room(writer, TIME_BYTES, &at, err);
        store_be_i64(at, entry.max_time);
        store_be_u32(at + 8, entry.relative);
    }
    return rc;
}

/* `whole`: anew, and synced. */
static int store_file(const struct index *index, size_t count, struct firn_disk *disk,
                      const char *path, write_entries *write, bool whole, struct firn_error *err)
{
    struct writer writer = {0};
    int rc = disk_open(disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &writer.file, err);
    if (rc != 0)
        return rc;
    if (whole)
        rc = disk_truncate(writer.file, 0, err);
    if (rc == 0)
        rc = write(&writer, index, count, err);
    if (rc == 0)
        rc = writer_flush(&writer, err);
    if (rc == 0 && whole)
        rc = disk_sync(writer.file, err);
    disk_close(writer.file);
    return rc;
}

static int store(const struct index *index, size_t count, struct firn_disk *disk, const char *dir,
                 uint64_t base, bool whole, struct firn_error *err)
{
    char path[DISK_PATH_SIZE], times_path[DISK_PATH_SIZE];
    int rc = file_path(path, sizeof path, dir, base, "index", err);
    if (rc == 0)
        rc = file_path(times_path, sizeof times_path, dir, base, "timeindex", err);
    if (rc < 0)
        return rc;
    /* The times first: who reads meanwhile finds one for no entry, not an entry without its own. */
    rc = store_file(index, count, disk, times_path, write_times, whole, err);
    if (rc == 0)
        rc = store_file(index, count, disk, path, write_places, whole, err);
    if (rc < 0) { /* none is better than half of one */
        disk_remove(disk, path, NULL);
        disk_remove(disk, times_path, NULL);
    }
    return rc;
}

int index_store(const struct index *index, struct firn_disk *disk, const char *dir, uint64_t base,
                struct firn_error *err)
{
    return store(index, index_count(index), disk, dir, base, true, err);
}

int index_store_part(const struct index *index, struct firn_disk *disk, const char *dir,
                     uint64_t base, uint32_t position, struct firn_error *err)
{
    struct index_entry entry;
    size_t count = index_count(index);
    for (; count > 0; count--) {
        index_get(index, count - 1, &entry);
        if (entry.position < position)
            break;
    }
    return store(index, count, disk, dir, base, false, err);
}

/* Writes one of them under a name that recovery removes, and renames it. */
static int replace_file(const struct index *index, struct firn_disk *disk, const char *dir,
                        uint64_t base, const char *suffix, write_entries *write,
                        struct firn_error *err)
{
    char name[NAME_SIZE], aside[DISK_PATH_SIZE], path[DISK_PATH_SIZE];
    (void)snprintf(name, sizeof name, "spool-%020" PRIu64 ".%s", base, suffix);
    int rc = disk_path_join(aside, sizeof aside, dir, name, err);
    if (rc == 0)
        rc = file_path(path, sizeof path, dir, base, suffix, err);
    if (rc < 0)
        return rc;
    rc = store_file(index, index_count(index), disk, aside, write, true, err);
    if (rc == 0)
        rc = disk_rename(disk, aside, path, err);
    if (rc < 0)
        disk_remove(disk, aside, NULL);
    return rc;
}

int index_replace(const struct index *index, struct firn_disk *disk, const char *dir, uint64_t base,
                  struct firn_error *err)
{
    int rc = replace_file(index, disk, dir, base, "timeindex", write_times, err);
    return rc == 0 ? replace_file(index, disk, dir, base, "index", write_places, err) : rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct reader {
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    size_t entry_bytes;
    uint64_t size;     /* of the file */
    uint64_t position; /* of the byte behind the chunk */
    size_t used, have; /* bytes of the chunk */
    uint8_t chunk[CHUNK_BYTES];
};

static int not_an_index(const struct reader *reader, const char *why, struct firn_error *err)
{
    uint64_t entry = (reader->position - reader->have + reader->used) / reader->entry_bytes;
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: %s, at entry %" PRIu64, reader->path, why,
                          entry);
}

static int reader_open(struct reader *reader, struct firn_disk *disk, const char *dir,
                       uint64_t base, const char *suffix, size_t entry_bytes,
                       struct firn_error *err)
{
    *reader = (struct reader){.entry_bytes = entry_bytes};
    int rc = file_path(reader->path, sizeof reader->path, dir, base, suffix, err);
    if (rc == 0)
        rc = disk_open(disk, reader->path, FIRN_OPEN_READ, &reader->file, err);
    if (rc == 0)
        rc = disk_size_of(reader->file, &reader->size, err);
    if (rc == 0 && reader->size % entry_bytes != 0)
        rc = not_an_index(reader, "not a whole number of entries", err);
    return rc;
}

/* The next entry's bytes; FIRN_EEND behind the last. */
static int reader_next(struct reader *reader, const uint8_t **entry, struct firn_error *err)
{
    if (reader->used == reader->have) {
        if (reader->position == reader->size)
            return FIRN_EEND;
        uint64_t left = reader->size - reader->position;
        size_t part = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        size_t got;
        int rc = disk_read_full(reader->file, reader->chunk, part, reader->position, &got, err);
        if (rc != 0)
            return rc;
        reader->used = 0;
        reader->have = got;
        reader->position += got;
        if (got != part)
            return not_an_index(reader, "cut short while it was read", err);
    }
    *entry = reader->chunk + reader->used;
    reader->used += reader->entry_bytes;
    return 0;
}

/* The pair of the time index that comes next. */
struct times {
    struct reader reader;
    bool more; /* there is one */
    int64_t time;
    uint32_t relative;
};

static int times_advance(struct times *times, bool first, struct firn_error *err)
{
    const uint8_t *bytes = NULL;
    int rc = reader_next(&times->reader, &bytes, err);
    times->more = rc == 0;
    if (rc != 0)
        return rc == FIRN_EEND ? 0 : rc;
    int64_t time = load_be_i64(bytes);
    uint32_t relative = load_be_u32(bytes + 8);
    if (!first && (time <= times->time || relative <= times->relative))
        return not_an_index(&times->reader, "entries do not ascend", err);
    times->time = time;
    times->relative = relative;
    return 0;
}

static int check_place(const struct reader *places, const struct index_entry *entry,
                       const struct index_entry *last, uint64_t store_bytes, struct firn_error *err)
{
    if (entry->relative > INT32_MAX || entry->position > INT32_MAX)
        return not_an_index(places, "an impossible number", err);
    if (entry->position >= store_bytes)
        return not_an_index(places, "a position behind the store's end", err);
    if (last == NULL)
        return 0;
    if (entry->relative <= last->relative || entry->position <= last->position)
        return not_an_index(places, "entries do not ascend", err);
    if (entry->position - last->position < BATCH_HEADER)
        return not_an_index(places, "entries too close to each other", err);
    return 0;
}

/* The time of an entry: a new one from here on, or that of the last. */
static int join_time(struct times *times, struct index_entry *entry, const struct index_entry *last,
                     struct firn_error *err)
{
    if (times->more && times->relative == entry->relative) {
        entry->max_time = times->time;
        return times_advance(times, false, err);
    }
    if (last == NULL)
        return not_an_index(&times->reader, "no time for the first entry", err);
    entry->max_time = last->max_time;
    return 0;
}

static int load_entries(struct reader *places, struct times *times, uint64_t store_bytes,
                        struct index *index, struct firn_error *err)
{
    struct index_entry entry = {0}, last = {0};
    const struct index_entry *before = NULL;
    int rc = times_advance(times, true, err);
    while (rc == 0) {
        const uint8_t *bytes = NULL;
        rc = reader_next(places, &bytes, err);
        if (rc != 0)
            break;
        entry.relative = load_be_u32(bytes);
        entry.position = load_be_u32(bytes + 4);
        rc = check_place(places, &entry, before, store_bytes, err);
        if (rc == 0)
            rc = join_time(times, &entry, before, err);
        if (rc == 0 && index_push(index, &entry) != 0)
            rc = firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for it", places->path);
        last = entry;
        before = &last;
    }
    if (rc != FIRN_EEND)
        return rc;
    return times->more ? not_an_index(&times->reader, "a time for no entry", err) : 0;
}

int index_load(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
               struct index **index, struct firn_error *err)
{
    struct reader places = {.file = NULL};
    struct times times = {.more = false};
    struct index *found = index_new();
    if (found == NULL)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an index");
    int rc = reader_open(&places, disk, dir, base, "index", PLACE_BYTES, err);
    if (rc == 0)
        rc = reader_open(&times.reader, disk, dir, base, "timeindex", TIME_BYTES, err);
    if (rc == 0)
        rc = load_entries(&places, &times, store_bytes, found, err);
    disk_close(places.file);
    disk_close(times.reader.file);
    if (rc == 0)
        *index = found;
    else
        index_unref(found);
    return rc;
}

/* ---- looking up in the file ----------------------------------------------------------------- */

struct page {
    struct firn_file *file;
    uint64_t first; /* number of its first entry */
    size_t count;
    uint8_t bytes[PAGE_ENTRIES * PLACE_BYTES];
};

static int page_load(struct page *page, uint64_t number, uint64_t entries, struct firn_error *err)
{
    uint64_t first = number * PAGE_ENTRIES;
    size_t got;
    page->first = first;
    page->count = entries - first < PAGE_ENTRIES ? (size_t)(entries - first) : PAGE_ENTRIES;
    int rc = disk_read_full(page->file, page->bytes, page->count * PLACE_BYTES, first * PLACE_BYTES,
                            &got, err);
    if (rc == 0 && got < page->count * PLACE_BYTES)
        rc = FIRN_EDAMAGED;
    return rc;
}

static uint32_t page_relative(const struct page *page, size_t i)
{
    return load_be_u32(page->bytes + i * PLACE_BYTES);
}

/* The last page whose first entry is not above `relative`; the first one if there is none. */
static int find_page(struct page *page, uint64_t entries, uint32_t relative, struct firn_error *err)
{
    uint64_t low = 0, high = (entries + PAGE_ENTRIES - 1) / PAGE_ENTRIES;
    int rc = 0;
    while (rc == 0 && high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        rc = page_load(page, middle, entries, err);
        if (rc == 0 && page_relative(page, 0) <= relative)
            low = middle;
        else
            high = middle;
    }
    return rc == 0 ? page_load(page, low, entries, err) : rc;
}

static bool page_floor(const struct page *page, uint32_t relative, struct index_entry *entry,
                       struct index_entry *next)
{
    size_t low = 0, high = page->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page_relative(page, middle) <= relative)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    const uint8_t *bytes = page->bytes + (low - 1) * PLACE_BYTES;
    *entry = (struct index_entry){load_be_u32(bytes), load_be_u32(bytes + 4), INT64_MIN};
    *next = (struct index_entry){.max_time = INT64_MIN};
    bytes += PLACE_BYTES;
    if (low < page->count)
        *next = (struct index_entry){load_be_u32(bytes), load_be_u32(bytes + 4), INT64_MIN};
    return true;
}

int index_file_floor(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
                     uint32_t relative, struct index_entry *entry, struct index_entry *next,
                     bool *found, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct page page = {.file = NULL};
    uint64_t size = 0;
    int rc = file_path(path, sizeof path, dir, base, "index", err);
    if (rc == 0)
        rc = disk_open(disk, path, FIRN_OPEN_READ, &page.file, err);
    if (rc == 0)
        rc = disk_size_of(page.file, &size, err);
    if (rc == 0 && (size == 0 || size % PLACE_BYTES != 0))
        rc = FIRN_EDAMAGED;
    if (rc == 0)
        rc = find_page(&page, size / PLACE_BYTES, relative, err);
    disk_close(page.file);
    if (rc < 0)
        return rc;
    struct index_entry floor = {0};
    bool any = page_floor(&page, relative, &floor, next);
    if (any && floor.position >= store_bytes)
        return FIRN_EDAMAGED;
    *found = any;
    *entry = floor;
    return 0;
}

/* The last `entry_bytes` bytes of a file of such entries. */
static int read_last(struct firn_disk *disk, const char *dir, uint64_t base, const char *suffix,
                     size_t entry_bytes, uint8_t *entry, struct firn_error *err)
{
    struct reader reader;
    size_t got = 0;
    int rc = reader_open(&reader, disk, dir, base, suffix, entry_bytes, err);
    if (rc == 0 && reader.size == 0)
        rc = not_an_index(&reader, "empty", err);
    if (rc == 0)
        rc = disk_read_full(reader.file, entry, entry_bytes, reader.size - entry_bytes, &got, err);
    if (rc == 0 && got < entry_bytes)
        rc = not_an_index(&reader, "cut short while it was read", err);
    disk_close(reader.file);
    return rc;
}

int index_file_last(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
                    struct index_entry *entry, struct firn_error *err)
{
    uint8_t place[PLACE_BYTES], time[TIME_BYTES];
    int rc = read_last(disk, dir, base, "index", PLACE_BYTES, place, err);
    if (rc == 0)
        rc = read_last(disk, dir, base, "timeindex", TIME_BYTES, time, err);
    if (rc < 0)
        return rc;
    struct index_entry last = {load_be_u32(place), load_be_u32(place + 4), load_be_i64(time)};
    if (last.position >= store_bytes || load_be_u32(time + 8) > last.relative)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the last entries do not agree", dir);
    *entry = last;
    return 0;
}
