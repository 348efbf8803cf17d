/* SPDX-License-Identifier: MIT */
/*
 * Writers, readers, streams, copies, truncation, removal and verification of one log at the same
 * time, on a memory disk. What the records say is checked; that nothing races is the sanitizer's
 * business.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "base/codec.h"

/* cmocka's assertions may not fail in other threads than the test's. */
static void check_equal(int line, long long found, long long expected)
{
    if (found == expected)
        return;
    fprintf(stderr, "threads_test.c:%d: %lld, not %lld\n", line, found, expected);
    abort();
}

enum { WRITERS = 4, APPENDS = 1500, READERS = 3, CHANGES = 25 };
enum { STREAMS = 12, STREAM_PIECE = 50000, STREAM_PIECES = 14, COPIES = 8 };

struct shared {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    atomic_bool stop;
    atomic_uint appended;
};

/* A record says its writer, its number there, and repeats both. */
struct body {
    uint64_t writer, number;
    uint64_t check;
    uint8_t padding[100];
};

static uint64_t mix(uint64_t writer, uint64_t number)
{
    return (writer + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ number;
}

static void *write_records(void *arg)
{
    struct shared *shared = arg;
    static atomic_uint next_writer;
    uint64_t writer = atomic_fetch_add(&next_writer, 1);
    for (uint64_t i = 0; i < APPENDS; i++) {
        struct body bodies[3] = {0};
        struct firn_record records[3];
        size_t count = i % 10 == 0 ? 3 : 1;
        for (size_t k = 0; k < count; k++) {
            bodies[k].writer = writer;
            bodies[k].number = i;
            bodies[k].check = mix(writer, i);
            size_t size = offsetof(struct body, padding) + i % 100;
            records[k] = (struct firn_record){.value = {&bodies[k], size}};
        }
        const struct firn_append_options options = {.no_wait = i % 4 == 0};
        check_equal(__LINE__, firn_log_append(shared->log, records, count, &options, NULL, NULL),
                    0);
        atomic_fetch_add(&shared->appended, 1);
    }
    return NULL;
}

/* Records that are too long for a spool's memory. */
static void *stream_records(void *arg)
{
    static const uint8_t zeros[STREAM_PIECE];
    struct shared *shared = arg;
    for (uint64_t i = 0; i < STREAMS; i++) {
        const struct body body = {.writer = 99, .number = i, .check = mix(99, i)};
        struct firn_spool *spool;
        check_equal(__LINE__, firn_spool_open(shared->log, NULL, 0, &spool, NULL), 0);
        check_equal(__LINE__, firn_spool_write(spool, &body, sizeof body, NULL), 0);
        for (int piece = 0; piece < STREAM_PIECES; piece++)
            check_equal(__LINE__, firn_spool_write(spool, zeros, sizeof zeros, NULL), 0);
        if (i % 4 == 3)
            firn_spool_abandon(spool);
        else
            check_equal(__LINE__, firn_spool_finish(spool, NULL, NULL, NULL), 0);
    }
    return NULL;
}

/* Copies what changes meanwhile: whole, or refused. */
static void *copy_log(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < COPIES; i++) {
        char dir[32];
        snprintf(dir, sizeof dir, "copy-%d", i % 3);
        struct firn_error err = {0};
        int rc = firn_log_copy(shared->log, dir, NULL, NULL, NULL, &err);
        if (rc < 0 && rc != FIRN_ERANGE && rc != FIRN_EMISMATCH)
            fprintf(stderr, "copying: %s\n", err.message);
        check_equal(__LINE__, rc == FIRN_ERANGE || rc == FIRN_EMISMATCH ? 0 : rc, 0);
    }
    return NULL;
}

static void check_record(const struct firn_record *record)
{
    struct body body;
    check_equal(__LINE__, true, record->value.size >= offsetof(struct body, padding));
    memcpy(&body, record->value.data, offsetof(struct body, padding));
    check_equal(__LINE__, body.check == mix(body.writer, body.number), true);
}

static void read_some(struct shared *shared, unsigned round)
{
    const struct firn_cursor_options options = {.staged = round % 2 == 0, .at_end = round % 3 == 0};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    int rc = firn_cursor_open(shared->log, &options, &cursor, NULL);
    check_equal(__LINE__, rc, 0);
    uint64_t expected = firn_cursor_index(cursor);
    for (int i = 0; i < 3000 && rc == 0; i++) {
        rc = options.at_end ? firn_cursor_prev(cursor, &record, NULL)
                            : firn_cursor_next(cursor, &record, NULL);
        if (rc == 0) {
            check_equal(__LINE__, record->index == (options.at_end ? expected - 1 : expected),
                        true);
            expected = options.at_end ? expected - 1 : expected + 1;
            check_record(record);
        }
    }
    if (rc != 0 && rc != FIRN_EEND)
        check_equal(__LINE__, rc, FIRN_ERANGE); /* truncated or removed meanwhile */
    firn_cursor_close(cursor);
}

static void *read_records(void *arg)
{
    struct shared *shared = arg;
    for (unsigned round = 0; !atomic_load(&shared->stop); round++)
        read_some(shared, round);
    return NULL;
}

static void *change_shape(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < CHANGES; i++) {
        while (atomic_load(&shared->appended) < (unsigned)(WRITERS * APPENDS / CHANGES * i))
            sched_yield(); /* spread over the writers' work */
        struct firn_log_info info;
        int rc = firn_log_get_info(shared->log, &info, NULL);
        check_equal(__LINE__, true, rc == 0 || rc == FIRN_ERANGE);
        uint64_t half = info.lowest_index + (info.next_index - info.lowest_index) / 2;
        if (i % 3 == 0)
            check_equal(__LINE__,
                        firn_log_truncate(shared->log, half + (info.next_index - half) / 2, NULL),
                        0);
        else if (i % 3 == 1)
            check_equal(__LINE__, firn_log_remove_before(shared->log, half, NULL), 0);
        else
            firn_log_flush(shared->log, NULL);
    }
    return NULL;
}

static void test_all_at_once(void **state)
{
    (void)state;
    struct shared shared = {0};
    pthread_t writers[WRITERS], readers[READERS], changer, streamer, copier;
    assert_int_equal(firn_disk_memory_new(&shared.disk, NULL), 0);
    assert_int_equal(firn_env_new(NULL, &shared.env, NULL), 0);
    const struct firn_log_options options = {
        .disk = shared.disk,
        .env = shared.env,
        .segment_bytes = 32 * 1024,
        .segment_overflow_bytes = 1024 * 1024,
        .compression = codec_can_pack(FIRN_COMPRESSION_LZ4) ? FIRN_COMPRESSION_LZ4
                                                            : FIRN_COMPRESSION_NONE,
    };
    assert_int_equal(firn_log_open("log", &options, &shared.log, NULL), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_records, &shared), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_records, &shared), 0);
    assert_int_equal(pthread_create(&changer, NULL, change_shape, &shared), 0);
    assert_int_equal(pthread_create(&streamer, NULL, stream_records, &shared), 0);
    assert_int_equal(pthread_create(&copier, NULL, copy_log, &shared), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    pthread_join(streamer, NULL);
    pthread_join(copier, NULL);
    pthread_join(changer, NULL);
    atomic_store(&shared.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(firn_log_flush(shared.log, NULL), 0);
    assert_int_equal(firn_log_verify(shared.log, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);

    struct firn_recovery recovery;
    assert_int_equal(firn_log_open("log", &options, &shared.log, NULL), 0);
    firn_log_get_recovery(shared.log, &recovery);
    assert_true(recovery.clean);
    assert_int_equal(firn_log_verify(shared.log, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);
    assert_int_equal(firn_env_free(shared.env), 0);
    firn_disk_free(shared.disk);
}

/* Segments get their names while their space is zeroed by these names. */
static void *prepare_space(void *arg)
{
    struct shared *shared = arg;
    while (!atomic_load(&shared->stop))
        check_equal(__LINE__, firn_log_prepare(shared->log, 1 << 20, NULL), 0);
    return NULL;
}

static void test_preparing_while_segments_change(void **state)
{
    (void)state;
    struct shared shared = {0};
    pthread_t writer, preparer;
    assert_int_equal(firn_disk_memory_new(&shared.disk, NULL), 0);
    const struct firn_log_options options = {.disk = shared.disk, .segment_bytes = 2048};
    assert_int_equal(firn_log_open("log", &options, &shared.log, NULL), 0);
    assert_int_equal(pthread_create(&preparer, NULL, prepare_space, &shared), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_records, &shared), 0);
    pthread_join(writer, NULL);
    atomic_store(&shared.stop, true);
    pthread_join(preparer, NULL);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);
    firn_disk_free(shared.disk);
}

/* ---- compaction --------------------------------------------------------------------------- */

enum { KEYED = 6000, KEYS = 50, KEY_READERS = 8 };

/* The value says its key and a number that ascends for each key. */
struct keyed {
    uint64_t key, number, check;
    uint8_t padding[40];
};

static void *write_keyed(void *arg)
{
    struct shared *shared = arg;
    for (uint64_t i = 0; i < KEYED; i++) {
        struct keyed body = {.key = i * 7 % KEYS, .number = i, .check = mix(i * 7 % KEYS, i)};
        struct firn_record record = {.key = {&body.key, sizeof body.key},
                                     .value = {&body, sizeof body}};
        const struct firn_append_options options = {.no_wait = i % 8 != 0};
        check_equal(__LINE__, firn_log_append(shared->log, &record, 1, &options, NULL, NULL), 0);
        atomic_fetch_add(&shared->appended, 1);
    }
    atomic_store(&shared->stop, true);
    return NULL;
}

static void check_keyed(const struct firn_record *record, uint64_t index)
{
    struct keyed body;
    check_equal(__LINE__, (long long)record->value.size, sizeof body);
    memcpy(&body, record->value.data, sizeof body);
    check_equal(__LINE__, body.check == mix(body.key, body.number), true);
    check_equal(__LINE__, (long long)body.number, (long long)index);
}

static void *read_keyed(void *arg)
{
    struct shared *shared = arg;
    for (unsigned round = 0; !atomic_load(&shared->stop); round++) {
        const struct firn_cursor_options options = {.at_end = round % 2 == 0};
        struct firn_cursor *cursor;
        const struct firn_record *record;
        check_equal(__LINE__, firn_cursor_open(shared->log, &options, &cursor, NULL), 0);
        uint64_t place = firn_cursor_index(cursor);
        int rc;
        while ((rc = options.at_end ? firn_cursor_prev(cursor, &record, NULL)
                                    : firn_cursor_next(cursor, &record, NULL)) == 0) {
            check_equal(__LINE__, options.at_end ? record->index < place : record->index >= place,
                        true);
            place = options.at_end ? record->index : record->index + 1;
            check_keyed(record, record->index);
        }
        if (rc != FIRN_EEND)
            check_equal(__LINE__, rc, FIRN_ERANGE); /* trimmed meanwhile */
        firn_cursor_close(cursor);
    }
    return NULL;
}

static void *compact_log(void *arg)
{
    struct shared *shared = arg;
    const struct firn_compaction little = {.memory_bytes = 1000};
    while (!atomic_load(&shared->stop)) {
        check_equal(__LINE__, firn_log_compact(shared->log, &little, NULL, NULL), 0);
        sched_yield();
    }
    return NULL;
}

static void *trim_log(void *arg)
{
    struct shared *shared = arg;
    const struct firn_retention keep = {.max_records = 2000};
    while (!atomic_load(&shared->stop)) {
        check_equal(__LINE__, firn_log_trim(shared->log, &keep, false, NULL, NULL), 0);
        sched_yield();
    }
    return NULL;
}

/* The last value of each key is there, and of older ones what the last segment has. */
static void check_last(struct firn_log *log)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    bool seen[KEYS] = {false};
    check_equal(__LINE__, firn_log_compact(log, NULL, NULL, NULL), 0);
    check_equal(__LINE__, firn_cursor_open(log, NULL, &cursor, NULL), 0);
    while (firn_cursor_next(cursor, &record, NULL) == 0)
        seen[record->index * 7 % KEYS] |= record->index + KEYS >= KEYED;
    for (int i = 0; i < KEYS; i++)
        assert_true(seen[i]);
    firn_cursor_close(cursor);
    assert_int_equal(firn_log_verify(log, NULL, NULL, NULL, NULL), 0);
}

static void test_compaction(void **state)
{
    (void)state;
    struct shared shared = {0};
    const struct firn_compaction what = {0};
    pthread_t writer, readers[KEY_READERS], compactor, trimmer;
    assert_int_equal(firn_disk_memory_new(&shared.disk, NULL), 0);
    assert_int_equal(firn_env_new(NULL, &shared.env, NULL), 0);
    const struct firn_log_options options = {
        .disk = shared.disk, .env = shared.env, .segment_bytes = 16 * 1024};
    assert_int_equal(firn_log_open("log", &options, &shared.log, NULL), 0);
    assert_int_equal(firn_log_set_compaction(shared.log, &what, 1, NULL), 0);
    for (int i = 0; i < KEY_READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_keyed, &shared), 0);
    assert_int_equal(pthread_create(&compactor, NULL, compact_log, &shared), 0);
    assert_int_equal(pthread_create(&trimmer, NULL, trim_log, &shared), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_keyed, &shared), 0);
    pthread_join(writer, NULL);
    pthread_join(compactor, NULL);
    pthread_join(trimmer, NULL);
    for (int i = 0; i < KEY_READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(firn_log_flush(shared.log, NULL), 0);
    check_last(shared.log);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);
    struct firn_recovery recovery;
    assert_int_equal(firn_log_open("log", &options, &shared.log, NULL), 0);
    firn_log_get_recovery(shared.log, &recovery);
    assert_true(recovery.clean);
    check_last(shared.log);
    assert_int_equal(firn_log_close(shared.log, NULL), 0);
    assert_int_equal(firn_env_free(shared.env), 0);
    firn_disk_free(shared.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_preparing_while_segments_change),
        cmocka_unit_test(test_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
