/* SPDX-License-Identifier: MIT */
/*
 * A log of more segments than a process may have files open: handles are closed and opened anew,
 * but for those that somebody uses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

enum { SEGMENTS = 400, EACH = 4, RECORDS = SEGMENTS * EACH, BOUND = 128, SLACK = 24 };

struct place {
    struct firn_log *log;
    struct rlimit limit;
};

static void append_numbers(struct firn_log *log, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        struct firn_record record = {.value = {&i, sizeof i}};
        assert_int_equal(firn_log_append(log, &record, 1, NULL, NULL, NULL), 0);
        assert_int_equal(firn_log_flush(log, NULL), 0); /* so that each is a batch */
    }
}

static struct firn_log_options options = {.durability = FIRN_DURABILITY_OS,
                                          .segment_records = EACH};
static char dir[] = "/tmp/firn-handles-XXXXXX";

static int make_log(void **state)
{
    struct firn_log *log;
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(firn_log_open(dir, &options, &log, NULL), 0);
    append_numbers(log, 0, RECORDS);
    assert_int_equal(firn_log_close(log, NULL), 0);
    return 0;
}

static int destroy_log(void **state)
{
    struct firn_log *log;
    (void)state;
    assert_int_equal(firn_log_open(dir, &options, &log, NULL), 0);
    assert_int_equal(firn_log_destroy(log, NULL), 0);
    return 0;
}

static void open_place(struct place *place, uint64_t files)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &place->limit), 0);
    struct rlimit limit = {files, place->limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(firn_log_open(dir, &options, &place->log, NULL), 0);
}

static void close_place(struct place *place)
{
    assert_int_equal(firn_log_close(place->log, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &place->limit), 0);
}

static unsigned count_open(void)
{
    unsigned count = 0;
    DIR *fds = opendir("/proc/self/fd");
    if (!fds)
        return 0;
    while (readdir(fds))
        count++;
    (void)closedir(fds);
    return count;
}

static uint64_t number_of(const struct firn_record *record)
{
    uint64_t number;
    assert_int_equal(record->value.size, sizeof number);
    memcpy(&number, record->value.data, sizeof number);
    return number;
}

static void read_all(struct firn_log *log, uint64_t from, uint64_t step)
{
    for (uint64_t i = from; i < RECORDS; i += step) {
        struct firn_record *record;
        struct firn_error err = {0};
        if (firn_log_read(log, i, &record, &err) < 0)
            fail_msg("record %llu: %s", (unsigned long long)i, err.message);
        assert_int_equal(number_of(record), i);
        firn_record_free(record);
    }
}

static void few_are_open_however_many_there_are(void **state)
{
    (void)state;
    struct place place;
    open_place(&place, BOUND + 64);
    for (int round = 0; round < 3; round++) {
        read_all(place.log, 0, 1);
        assert_true(count_open() <= BOUND + SLACK);
        read_all(place.log, (uint64_t)round, EACH + 1);
        assert_true(count_open() <= BOUND + SLACK);
    }
    close_place(&place);
}

static void fewer_than_the_bound_are_enough(void **state)
{
    (void)state;
    struct place place;
    open_place(&place, 48);
    read_all(place.log, 0, 1);
    assert_true(count_open() <= 48 + 3);
    close_place(&place);
}

static void a_follower_keeps_to_the_bound_too(void **state)
{
    (void)state;
    static const struct firn_log_options reading = {.read_only = true};
    struct place place;
    struct firn_log *follower;
    open_place(&place, 2 * BOUND + 64);
    assert_int_equal(firn_log_open(dir, &reading, &follower, NULL), 0);
    read_all(follower, 0, 1);
    assert_true(count_open() <= BOUND + SLACK);
    append_numbers(place.log, RECORDS, 10); /* it looks at the directory anew */
    assert_int_equal(firn_log_wait(follower, RECORDS + 9, 5000000, NULL), 0);
    read_all(follower, 1, 3);
    assert_true(count_open() <= BOUND + SLACK);
    assert_int_equal(firn_log_close(follower, NULL), 0);
    close_place(&place);
}

static size_t read_range(const struct firn_range *range, uint8_t bytes[256])
{
    assert_true(range->length <= 256);
    assert_int_equal(pread(range->fd, bytes, range->length, (off_t)range->offset),
                     (ssize_t)range->length);
    return range->length;
}

/* More than the bound, each in a segment of its own. */
static void what_is_in_use_stays_open(void **state)
{
    (void)state;
    enum { HELD = BOUND + 20 };
    static struct firn_range ranges[HELD];
    static uint8_t before[HELD][256], after[256];
    struct place place;
    open_place(&place, BOUND + HELD);
    for (uint64_t i = 0; i < HELD; i++) {
        assert_int_equal(firn_log_find_batches(place.log, (2 + i) * EACH, 256, &ranges[i], NULL),
                         0);
        read_range(&ranges[i], before[i]);
    }
    read_all(place.log, 2 * EACH, 1);
    for (size_t i = 0; i < HELD; i++) {
        size_t size = read_range(&ranges[i], after);
        assert_memory_equal(before[i], after, size);
        firn_range_release(&ranges[i]);
    }
    read_all(place.log, 2 * EACH, EACH);
    assert_true(count_open() <= BOUND + SLACK);
    close_place(&place);
}

static void what_was_removed_stays_readable_for_who_has_it(void **state)
{
    (void)state;
    struct place place;
    struct firn_range range;
    uint8_t before[256], after[256];
    open_place(&place, BOUND + 64);
    assert_int_equal(firn_log_find_batches(place.log, 0, sizeof before, &range, NULL), 0);
    read_range(&range, before);
    assert_int_equal(firn_log_remove_before(place.log, 2 * EACH, NULL), 0);
    read_all(place.log, 2 * EACH, 1);
    read_all(place.log, 2 * EACH, 1);
    assert_memory_equal(before, after, read_range(&range, after));
    firn_range_release(&range);
    close_place(&place);
}

/* ---- at the same time ---- */

struct shared {
    struct firn_log *log;
    atomic_uint seed;
    atomic_ullong lowest;
    atomic_bool stop;
};

static void *read_here_and_there(void *arg)
{
    struct shared *shared = arg;
    uint64_t x = 88172645463325252u + atomic_fetch_add(&shared->seed, 1);
    for (int i = 0; i < 6000; i++) {
        struct firn_record *record;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t index = x % RECORDS;
        int rc = firn_log_read(shared->log, index, &record, NULL);
        bool right = rc == FIRN_ERANGE ? index < atomic_load(&shared->lowest) : rc == 0;
        if (rc == 0)
            right = record->value.size == 8 && memcmp(record->value.data, &index, 8) == 0;
        if (!right) {
            fprintf(stderr, "record %llu: %d\n", (unsigned long long)index, rc);
            abort();
        }
        if (rc == 0)
            firn_record_free(record);
    }
    return NULL;
}

static void *remove_bit_by_bit(void *arg)
{
    struct shared *shared = arg;
    for (uint64_t index = EACH; index < RECORDS / 2 && !atomic_load(&shared->stop); index += EACH) {
        atomic_store(&shared->lowest, index);
        if (firn_log_remove_before(shared->log, index, NULL) < 0)
            abort();
    }
    return NULL;
}

static void readers_and_removal_do_not_hinder_each_other(void **state)
{
    (void)state;
    enum { READERS = 4 };
    struct shared shared = {0};
    struct firn_disk *disk;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    struct firn_log_options in_memory = options;
    pthread_t readers[READERS], remover;
    in_memory.disk = disk;
    assert_int_equal(firn_log_open("log", &in_memory, &shared.log, NULL), 0);
    append_numbers(shared.log, 0, RECORDS);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_here_and_there, &shared), 0);
    assert_int_equal(pthread_create(&remover, NULL, remove_bit_by_bit, &shared), 0);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&shared.stop, true);
    pthread_join(remover, NULL);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);
    firn_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_are_open_however_many_there_are),
        cmocka_unit_test(fewer_than_the_bound_are_enough),
        cmocka_unit_test(a_follower_keeps_to_the_bound_too),
        cmocka_unit_test(what_is_in_use_stays_open),
        cmocka_unit_test(what_was_removed_stays_readable_for_who_has_it),
        cmocka_unit_test(readers_and_removal_do_not_hinder_each_other),
    };
    return cmocka_run_group_tests(tests, make_log, destroy_log);
}
