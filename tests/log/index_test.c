/* SPDX-License-Identifier: MIT */
#include "make_batch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "disk/disk.h"
#include "log/index.h"

enum { STORE_BYTES = 1 << 30 };

/* ---- in memory ------------------------------------------------------------------------------ */

/* An index with up to `count` entries whose fields ascend by random steps (times now and then). */
static struct index *random_index(struct prng *prng, size_t count)
{
    struct index *index = index_new();
    assert_non_null(index);
    uint32_t relative = 0, position = 0;
    int64_t time = -20;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(index_add(index, relative, position, time), 0);
        relative += 1 + (uint32_t)prng_below(prng, 5);
        position += INDEX_INTERVAL + (uint32_t)prng_below(prng, 5);
        time += (int64_t)prng_below(prng, 3);
    }
    assert_int_equal(index_count(index), count);
    return index;
}

static void assert_entry(bool found, const struct index_entry *got, const struct index *index,
                         size_t expected)
{
    struct index_entry want;
    assert_int_equal(found, expected < index_count(index));
    if (!found)
        return;
    index_get(index, expected, &want);
    assert_int_equal(got->relative, want.relative);
    assert_int_equal(got->position, want.position);
    assert_true(got->max_time == want.max_time);
}

/* What a walk over all entries finds; index_count where there is none. */
static size_t naive_floor(const struct index *index, uint32_t value, bool by_position)
{
    size_t found = index_count(index);
    for (size_t i = 0; i < index_count(index); i++) {
        struct index_entry entry;
        index_get(index, i, &entry);
        if ((by_position ? entry.position : entry.relative) <= value)
            found = i;
    }
    return found;
}

static size_t naive_ceil(const struct index *index, int64_t time)
{
    size_t i = 0;
    for (; i < index_count(index); i++) {
        struct index_entry entry;
        index_get(index, i, &entry);
        if (entry.max_time >= time)
            break;
    }
    return i;
}

/* That it is what index_floor finds, with what stands behind it. */
static void assert_floor_next(const struct index *index, uint32_t relative, size_t floor)
{
    struct index_entry entry, next, expected = {0};
    bool found = index_floor_next(index, relative, &entry, &next);
    assert_int_equal(found, floor < index_count(index));
    if (!found)
        return;
    if (floor + 1 < index_count(index))
        index_get(index, floor + 1, &expected);
    assert_int_equal(next.relative, expected.relative);
    assert_int_equal(next.position, expected.position);
    index_get(index, floor, &expected);
    assert_int_equal(entry.relative, expected.relative);
    assert_int_equal(entry.position, expected.position);
}

static void assert_lookups_are_right(const struct index *index)
{
    size_t count = index_count(index);
    struct index_entry last = {0}, entry;
    if (count > 0)
        index_get(index, count - 1, &last);
    for (uint32_t relative = 0; relative <= last.relative + 2; relative++) {
        bool found = index_floor(index, relative, &entry);
        assert_entry(found, &entry, index, naive_floor(index, relative, false));
        assert_floor_next(index, relative, naive_floor(index, relative, false));
    }
    for (size_t i = 0; i < count; i++) {
        index_get(index, i, &last);
        for (int step = -1; step <= 1; step++) {
            uint32_t position = last.position + (uint32_t)step;
            if (position == UINT32_MAX)
                continue;
            bool found = index_floor_position(index, position, &entry);
            assert_entry(found, &entry, index, naive_floor(index, position, true));
        }
    }
    for (int64_t time = -22; time <= (int64_t)count * 3; time++) {
        bool found = index_ceil_time(index, time, &entry);
        assert_entry(found, &entry, index, naive_ceil(index, time));
    }
}

static void lookups_find_what_a_walk_finds(void **state)
{
    (void)state;
    struct prng prng = prng_new(11);
    /* all sizes around the borders of chunks (16, 48, 112) */
    for (size_t count = 0; count <= 130; count++) {
        struct index *index = random_index(&prng, count);
        assert_lookups_are_right(index);
        index_unref(index);
    }
}

static void nothing_is_found_below_the_first_entry(void **state)
{
    (void)state;
    struct index *index = index_new();
    struct index_entry entry;
    assert_false(index_floor(index, UINT32_MAX, &entry));
    assert_false(index_floor_position(index, UINT32_MAX, &entry));
    assert_false(index_ceil_time(index, INT64_MIN, &entry));
    index_add(index, 7, 9000, 5);
    assert_false(index_floor(index, 6, &entry));
    assert_true(index_floor(index, 7, &entry));
    assert_false(index_floor_position(index, 8999, &entry));
    assert_true(index_floor_position(index, UINT32_MAX, &entry));
    assert_true(index_ceil_time(index, INT64_MIN, &entry));
    assert_false(index_ceil_time(index, 6, &entry));
    index_unref(index);
    index_unref(NULL);
}

static void entries_keep_their_distance_and_order(void **state)
{
    (void)state;
    struct index *index = index_new();
    struct index_entry entry;
    index_add(index, 5, 100, 50);
    index_add(index, 6, 100 + INDEX_INTERVAL - 1, 51); /* too near */
    index_add(index, 5, 100 + INDEX_INTERVAL, 51);     /* index does not ascend */
    index_add(index, 9, 50, 51);                       /* position does not */
    assert_int_equal(index_count(index), 1);
    index_add(index, 6, 100 + INDEX_INTERVAL, 40); /* lower time: that of the last counts */
    assert_int_equal(index_count(index), 2);
    index_get(index, 1, &entry);
    assert_true(entry.max_time == 50);
    index_unref(index);
}

static void a_cut_drops_what_lies_behind(void **state)
{
    (void)state;
    struct prng prng = prng_new(12);
    for (size_t keep = 0; keep <= 60; keep++) {
        struct index *index = random_index(&prng, 60);
        struct index_entry entry = {0};
        if (keep < 60)
            index_get(index, keep, &entry);
        index_cut(index, keep < 60 ? entry.position : UINT32_MAX);
        assert_int_equal(index_count(index), keep);
        assert_lookups_are_right(index);
        assert_int_equal(index_add(index, 1000, 60 * (INDEX_INTERVAL + 5), 1000), 0);
        assert_int_equal(index_count(index), keep + 1);
        assert_lookups_are_right(index);
        index_unref(index);
    }
}

static void memory_is_little_at_first(void **state)
{
    (void)state;
    struct prng prng = prng_new(13);
    struct index *index = random_index(&prng, 1);
    assert_true(index_memory(index) < 1024);
    index_unref(index);
    index = random_index(&prng, 5000);
    assert_true(index_memory(index) >= 5000 * 8);
    assert_true(index_memory(index) < 3 * 5000 * sizeof(struct index_entry));
    index_unref(index);
}

/* ---- beside a writer ------------------------------------------------------------------------ */

enum { SHARED_ENTRIES = 20000, READERS = 2 };

struct shared {
    struct index *index;
    atomic_bool done;
};

/* Entry i is (2 i, i * INDEX_INTERVAL, i / 3). */
static void *read_while_it_grows(void *arg)
{
    struct shared *shared = arg;
    struct prng prng = prng_new(17);
    size_t seen = 0, wrong = 0;
    bool done;
    do {
        done = atomic_load(&shared->done);
        size_t count = index_count(shared->index);
        wrong += count < seen;
        seen = count;
        if (count == 0)
            continue;
        struct index_entry entry;
        uint32_t i = (uint32_t)prng_below(&prng, count);
        wrong += !index_floor(shared->index, 2 * i + 1, &entry) || entry.relative != 2 * i;
        wrong += !index_floor_position(shared->index, i * INDEX_INTERVAL, &entry) ||
                 entry.position != i * INDEX_INTERVAL;
        wrong += !index_ceil_time(shared->index, i / 3, &entry) || entry.relative != i / 3 * 6;
    } while (!done);
    return (void *)(uintptr_t)wrong;
}

static void readers_need_no_lock(void **state)
{
    (void)state;
    struct shared shared = {.index = index_new()};
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_while_it_grows, &shared), 0);
    for (uint32_t i = 0; i < SHARED_ENTRIES; i++)
        index_add(shared.index, 2 * i, i * INDEX_INTERVAL, i / 3);
    atomic_store(&shared.done, true);
    for (int i = 0; i < READERS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(readers[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(index_count(shared.index), SHARED_ENTRIES);
    index_unref(shared.index);
}

/* ---- files ---------------------------------------------------------------------------------- */

static const char index_name[] = "d/00000000000000000042.index";
static const char time_name[] = "d/00000000000000000042.timeindex";

static struct firn_disk *disk_with_dir(void)
{
    struct firn_disk *disk;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    assert_int_equal(disk_make_dir(disk, "d", NULL), 0);
    return disk;
}

static size_t read_file(struct firn_disk *disk, const char *path, uint8_t *bytes, size_t size)
{
    struct firn_file *file;
    size_t got;
    assert_int_equal(disk_open(disk, path, FIRN_OPEN_READ, &file, NULL), 0);
    assert_int_equal(disk_read_full(file, bytes, size, 0, &got, NULL), 0);
    disk_close(file);
    return got;
}

static void write_file(struct firn_disk *disk, const char *path, const void *bytes, size_t size)
{
    struct firn_file *file;
    unsigned flags = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE;
    assert_int_equal(disk_open(disk, path, flags, &file, NULL), 0);
    assert_int_equal(disk_truncate(file, 0, NULL), 0);
    assert_int_equal(disk_write_full(file, bytes, size, 0, 0, NULL), 0);
    disk_close(file);
}

static void files_are_as_kafka_has_them(void **state)
{
    (void)state;
    struct firn_disk *disk = disk_with_dir();
    struct index *index = index_new();
    uint8_t bytes[64];
    index_add(index, 0, 0, 0x0102030405060708);
    index_add(index, 0x11223344, 0x8000, 0x0102030405060708); /* does not raise the time */
    index_add(index, 0x11223345, 0x55667788, 0x0102030405060709);
    assert_int_equal(index_store(index, disk, "d", 42, NULL), 0);
    assert_int_equal(read_file(disk, index_name, bytes, sizeof bytes), 24);
    assert_memory_equal(bytes,
                        "\0\0\0\0\0\0\0\0\x11\x22\x33\x44\0\0\x80\0\x11\x22\x33\x45\x55\x66"
                        "\x77\x88",
                        24);
    assert_int_equal(read_file(disk, time_name, bytes, sizeof bytes), 24);
    assert_memory_equal(bytes, "\1\2\3\4\5\6\7\x08\0\0\0\0\1\2\3\4\5\6\7\x09\x11\x22\x33\x45", 24);
    index_unref(index);
    firn_disk_free(disk);
}

static void what_is_stored_is_loaded(void **state)
{
    (void)state;
    struct firn_disk *disk = disk_with_dir();
    struct prng prng = prng_new(14);
    /* 768 places and 512 times fill a chunk of the reader */
    static const size_t counts[] = {5000, 0, 1, 2, 511, 512, 767, 768, 769, 1536};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct index *index = random_index(&prng, counts[c]), *loaded;
        assert_int_equal(index_store(index, disk, "d", 42, NULL), 0);
        assert_int_equal(index_load(disk, "d", 42, STORE_BYTES, &loaded, NULL), 0);
        assert_int_equal(index_count(loaded), counts[c]);
        for (size_t i = 0; i < counts[c]; i++) {
            struct index_entry a, b;
            index_get(index, i, &a);
            index_get(loaded, i, &b);
            assert_memory_equal(&a, &b, sizeof a);
        }
        index_unref(loaded);
        index_unref(index);
    }
    firn_disk_free(disk);
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    struct firn_disk *disk = disk_with_dir();
    struct prng prng = prng_new(15);
    struct index *index = random_index(&prng, 3), *loaded = NULL;
    struct firn_error err = {0};
    assert_int_equal(index_load(disk, "d", 42, STORE_BYTES, &loaded, &err), FIRN_ENOENT);
    assert_int_equal(err.code, FIRN_ENOENT);
    assert_int_equal(index_store(index, disk, "d", 42, NULL), 0);
    assert_int_equal(disk_remove(disk, time_name, NULL), 0);
    assert_int_equal(index_load(disk, "d", 42, STORE_BYTES, &loaded, NULL), FIRN_ENOENT);
    assert_int_equal(index_store(index, disk, "d", 42, NULL), 0);
    assert_int_equal(disk_remove(disk, index_name, NULL), 0);
    assert_int_equal(index_load(disk, "d", 42, STORE_BYTES, &loaded, NULL), FIRN_ENOENT);
    assert_null(loaded);
    index_unref(index);
    firn_disk_free(disk);
}

/* Writes both files from 32-bit numbers, times as their low halves, and loads them. */
static int load_numbers(const uint32_t *places, size_t place_count, const uint32_t *times,
                        size_t time_count, uint64_t store_bytes)
{
    struct firn_disk *disk = disk_with_dir();
    uint8_t bytes[256] = {0};
    for (size_t i = 0; i < place_count; i++)
        store_be_u32(bytes + 4 * i, places[i]);
    write_file(disk, index_name, bytes, 4 * place_count);
    for (size_t i = 0; i < time_count; i += 2) {
        store_be_u64(bytes + 6 * i, times[i]);
        store_be_u32(bytes + 6 * i + 8, times[i + 1]);
    }
    write_file(disk, time_name, bytes, 6 * time_count);
    struct index *index = NULL;
    struct firn_error err = {0};
    int rc = index_load(disk, "d", 42, store_bytes, &index, &err);
    assert_true((rc == 0) == (index != NULL));
    assert_int_equal(err.code, rc);
    if (rc != 0)
        assert_non_null(strstr(err.message, "00000000000000000042."));
    index_unref(index);
    firn_disk_free(disk);
    return rc;
}

#define NUMBERS(...) (const uint32_t[]){__VA_ARGS__}, sizeof((uint32_t[]){__VA_ARGS__}) / 4

static void what_can_not_be_is_refused(void **state)
{
    (void)state;
    const uint64_t all = STORE_BYTES;
    /* pairs (relative, position), pairs (time, relative) */
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 10, 5), all), 0);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0), all), 0);
    assert_int_equal(load_numbers(NUMBERS(3, 70, 5, 200), NUMBERS(9, 3), all), 0);
    /* zeros, as a hole in a file has them */
    assert_int_equal(load_numbers(NUMBERS(0, 0, 0, 0), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 0, 0), all), FIRN_EDAMAGED);
    /* not ascending, or too near */
    assert_int_equal(load_numbers(NUMBERS(5, 0, 5, 99), NUMBERS(9, 5), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(5, 0, 4, 99), NUMBERS(9, 5), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 99, 5, 99), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 99, 5, 0), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 60), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 9, 5), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 10, 0), all), FIRN_EDAMAGED);
    /* behind the store's end, or negative */
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0), 62), 0);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0), 61), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 1u << 31, 61), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 1, 1u << 31), NUMBERS(9, 0), UINT64_MAX),
                     FIRN_EDAMAGED);
    /* a time for an entry that is not there, and none for the first */
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 10, 4), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 0, 10, 6), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 5), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5, 61), NUMBERS(9, 1), all), FIRN_EDAMAGED);
    /* odd sizes */
    assert_int_equal(load_numbers(NUMBERS(0, 0, 5), NUMBERS(9, 0), all), FIRN_EDAMAGED);
    assert_int_equal(load_numbers(NUMBERS(0), NUMBERS(9, 0), all), FIRN_EDAMAGED);
}

static void every_truncation_of_a_file_is_told(void **state)
{
    (void)state;
    struct firn_disk *disk = disk_with_dir();
    struct index *index = index_new(), *loaded;
    for (uint32_t i = 0; i < 6; i++)
        index_add(index, 10 * i, i * INDEX_INTERVAL, i);
    static const char *const names[] = {index_name, time_name};
    uint8_t bytes[256];
    for (int n = 0; n < 2; n++) {
        assert_int_equal(index_store(index, disk, "d", 42, NULL), 0);
        size_t size = read_file(disk, names[n], bytes, sizeof bytes);
        size_t entry = n == 0 ? 8 : 12;
        for (size_t cut = 0; cut < size; cut++) {
            write_file(disk, names[n], bytes, cut);
            int rc = index_load(disk, "d", 42, STORE_BYTES, &loaded, NULL);
            /* a time index without its last entries is one in which the time does not rise */
            bool fits = n == 1 && cut > 0 && cut % entry == 0;
            assert_int_equal(rc, fits ? 0 : FIRN_EDAMAGED);
            if (rc == 0)
                index_unref(loaded);
        }
    }
    index_unref(index);
    firn_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups_find_what_a_walk_finds),
        cmocka_unit_test(nothing_is_found_below_the_first_entry),
        cmocka_unit_test(entries_keep_their_distance_and_order),
        cmocka_unit_test(a_cut_drops_what_lies_behind),
        cmocka_unit_test(memory_is_little_at_first),
        cmocka_unit_test(readers_need_no_lock),
        cmocka_unit_test(files_are_as_kafka_has_them),
        cmocka_unit_test(what_is_stored_is_loaded),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(what_can_not_be_is_refused),
        cmocka_unit_test(every_truncation_of_a_file_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
