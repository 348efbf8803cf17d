/* SPDX-License-Identifier: MIT */
/*
 * The index files. Input: how it is meant (bit 0: entries are differences, so that most ascend;
 * else the files' bytes as they are; bit 1: entries go in by index_add), the store's size, and
 * then the entries. What loads points into the store and ascends; every look-up finds what a search
 * from one end finds; written and loaded again, and cut, it is still the same.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "log/index.h"

enum { DIFFERENCES = 1, ADD = 2 };
enum { ENTRIES_MOST = 4096, PLACE_BYTES = 8, TIME_BYTES = 12 };

#define DIR ""
#define INDEX_NAME "00000000000000000007.index"
#define TIMES_NAME "00000000000000000007.timeindex"

struct entries {
    struct index_entry *at;
    size_t count;
};

/* ---- look-ups ------------------------------------------------------------------------------- */

static bool same_entry(const struct index_entry *a, const struct index_entry *b)
{
    return a->relative == b->relative && a->position == b->position && a->max_time == b->max_time;
}

static void check_floor(const struct index *index, const struct entries *entries, uint32_t value)
{
    struct index_entry found, *relative = NULL, *position = NULL;
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->at[i].relative <= value)
            relative = &entries->at[i];
        if (entries->at[i].position <= value)
            position = &entries->at[i];
    }
    require(index_floor(index, value, &found) == (relative != NULL), "floor finds one if any");
    require(relative == NULL || same_entry(&found, relative), "floor by index");
    require(index_floor_position(index, value, &found) == (position != NULL),
            "floor by position finds one if any");
    require(position == NULL || same_entry(&found, position), "floor by position");
}

static void check_ceil(const struct index *index, const struct entries *entries, int64_t time)
{
    struct index_entry found;
    const struct index_entry *first = NULL;
    for (size_t i = 0; first == NULL && i < entries->count; i++) {
        if (entries->at[i].max_time >= time)
            first = &entries->at[i];
    }
    require(index_ceil_time(index, time, &found) == (first != NULL), "ceil finds one if any");
    require(first == NULL || same_entry(&found, first), "ceil by time");
}

static void check_lookups(const struct index *index, const struct entries *entries)
{
    static const uint32_t edges[] = {0, 1, INT32_MAX, UINT32_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        check_floor(index, entries, edges[i]);
    check_ceil(index, entries, INT64_MIN);
    check_ceil(index, entries, INT64_MAX);
    size_t step = 1 + entries->count / 16;
    for (size_t i = 0; i < entries->count; i += step) {
        const struct index_entry *entry = &entries->at[i];
        for (uint32_t d = 0; d < 3; d++) {
            check_floor(index, entries, entry->relative + d - 1);
            check_floor(index, entries, entry->position + d - 1);
            check_ceil(index, entries, (int64_t)((uint64_t)entry->max_time + d - 1));
        }
    }
}

/* ---- an index as a whole -------------------------------------------------------------------- */

static struct entries entries_of(const struct index *index)
{
    struct entries entries = {.count = index_count(index)};
    entries.at = must_alloc(entries.count * sizeof *entries.at);
    for (size_t i = 0; i < entries.count; i++)
        index_get(index, i, &entries.at[i]);
    return entries;
}

static void check_order(const struct entries *entries, uint64_t store_bytes)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct index_entry *entry = &entries->at[i];
        require(entry->position < store_bytes, "an entry lies in the store");
        require(entry->relative <= INT32_MAX && entry->position <= INT32_MAX, "Kafka's bounds");
        if (i == 0)
            continue;
        const struct index_entry *before = entry - 1;
        require(before->relative < entry->relative && before->position < entry->position &&
                    before->max_time <= entry->max_time,
                "entries ascend");
    }
}

/* Stored under another name and loaded, it has the same entries. */
static void check_stored(struct firn_disk *disk, const struct index *index,
                         const struct entries *entries, uint64_t store_bytes)
{
    struct index *again;
    require(index_store(index, disk, DIR, 8, NULL) == 0, "an index is stored");
    require(index_load(disk, DIR, 8, store_bytes, &again, NULL) == 0, "and loaded again");
    require(index_count(again) == entries->count, "with all entries");
    for (size_t i = 0; i < entries->count; i++) {
        struct index_entry entry;
        index_get(again, i, &entry);
        require(same_entry(&entry, &entries->at[i]), "and the same ones");
    }
    index_unref(again);
}

static void check_cut(struct index *index, struct entries *entries, uint32_t position)
{
    index_cut(index, position);
    while (entries->count > 0 && entries->at[entries->count - 1].position >= position)
        entries->count--;
    require(index_count(index) == entries->count, "a cut leaves what lies before it");
    check_lookups(index, entries);
}

static void check_index(struct firn_disk *disk, struct index *index, uint64_t store_bytes)
{
    struct entries entries = entries_of(index);
    check_order(&entries, store_bytes);
    check_lookups(index, &entries);
    check_stored(disk, index, &entries, store_bytes);
    require(index_memory(index) >= entries.count * sizeof *entries.at, "it takes memory");
    if (entries.count > 0)
        check_cut(index, &entries, entries.at[entries.count / 2].position);
    free(entries.at);
}

/* ---- where entries come from ---------------------------------------------------------------- */

struct source {
    struct input in;
    uint32_t relative, position;
    int64_t time;
};

/* Differences are small as a rule; an odd first byte makes any of them large or negative. */
static bool next_entry(struct source *source, struct index_entry *entry, bool *has_time)
{
    if (source->in.left == 0)
        return false;
    uint8_t kind = input_u8(&source->in);
    uint32_t relative = input_u8(&source->in), position = input_u16(&source->in);
    int64_t time = input_u8(&source->in) - 16;
    if (kind & 1)
        relative = (uint32_t)input_u64(&source->in);
    if (kind & 2)
        position = (uint32_t)input_u64(&source->in);
    if (kind & 4)
        time = (int64_t)input_u64(&source->in);
    source->relative += relative;
    source->position += position;
    source->time = (int64_t)((uint64_t)source->time + (uint64_t)time);
    *entry = (struct index_entry){source->relative, source->position, source->time};
    *has_time = (kind & 8) == 0;
    return true;
}

static void put_differences(struct firn_disk *disk, struct input in)
{
    struct source source = {.in = in};
    struct index_entry entry;
    struct bytes places = {0}, times = {0};
    bool has_time;
    while (places.size < PLACE_BYTES * ENTRIES_MOST && next_entry(&source, &entry, &has_time)) {
        uint8_t place[PLACE_BYTES], time[TIME_BYTES];
        store_be_u32(place, entry.relative);
        store_be_u32(place + 4, entry.position);
        store_be_i64(time, entry.max_time);
        store_be_u32(time + 8, entry.relative);
        bytes_append(&places, place, sizeof place);
        if (has_time)
            bytes_append(&times, time, sizeof time);
    }
    put_file(disk, INDEX_NAME, places.data, places.size);
    put_file(disk, TIMES_NAME, times.data, times.size);
    bytes_done(&places);
    bytes_done(&times);
}

static void put_plain(struct firn_disk *disk, struct input in)
{
    size_t size;
    const uint8_t *places = input_bytes(&in, input_u16(&in), &size);
    put_file(disk, INDEX_NAME, places, size);
    put_file(disk, TIMES_NAME, in.at, in.left);
}

static void check_files(struct firn_disk *disk, uint64_t store_bytes)
{
    struct firn_error err = {0};
    struct index *index;
    int rc = index_load(disk, DIR, 7, store_bytes, &index, &err);
    require(rc == 0 || rc == FIRN_EDAMAGED, "an index loads, or is damaged");
    require(rc == 0 || (err.code == rc && err.message[0] != '\0'), "damage is explained");
    if (rc != 0)
        return;
    check_index(disk, index, store_bytes);
    index_unref(index);
}

/* Entries as the log adds them: what does not fit is passed over. */
static void check_added(struct firn_disk *disk, struct input in)
{
    struct source source = {.in = in};
    struct index_entry entry;
    struct index *index = index_new();
    bool unused;
    require(index != NULL, "memory for an index");
    while (index_count(index) < ENTRIES_MOST && next_entry(&source, &entry, &unused)) {
        uint32_t position = entry.position & INT32_MAX, relative = entry.relative & INT32_MAX;
        require(index_add(index, relative, position, entry.max_time) == 0, "an entry is added");
    }
    check_index(disk, index, UINT64_C(1) << 31);
    index_unref(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t how = input_u8(&in);
    uint64_t store_bytes = (uint64_t)input_u16(&in) << (how >> 4);
    struct firn_disk *disk = memory_disk();
    if (how & ADD) {
        check_added(disk, in);
    } else {
        if (how & DIFFERENCES)
            put_differences(disk, in);
        else
            put_plain(disk, in);
        check_files(disk, store_bytes);
    }
    firn_disk_free(disk);
    return 0;
}
