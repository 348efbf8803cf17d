/* SPDX-License-Identifier: MIT */
/* A handle that only reads follows one that writes, on a memory disk and on files. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "log/log_private.h"

enum { SEGMENT = 600, MANY = 3000 };

struct fixture {
    struct firn_disk *disk; /* NULL: files */
    struct firn_log *writer, *reader;
    struct firn_log_options options;
    struct firn_error err;
    char dir[64];
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static void open_writer(struct fixture *f)
{
    OK(firn_log_open(f->dir, &f->options, &f->writer, &f->err));
}

static void close_writer(struct fixture *f)
{
    OK(firn_log_close(f->writer, &f->err));
    f->writer = NULL;
}

static struct firn_log *open_reader(struct fixture *f)
{
    const struct firn_log_options options = {.disk = f->disk, .read_only = true};
    struct firn_log *reader;
    OK(firn_log_open(f->dir, &options, &reader, &f->err));
    return reader;
}

static int setup(void **state, bool files)
{
    struct fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s/firn-follow-XXXXXX", tmp ? tmp : "/tmp");
    if (files)
        assert_non_null(mkdtemp(f->dir));
    else
        OK(firn_disk_memory_new(&f->disk, &f->err));
    f->options = (struct firn_log_options){.disk = f->disk, .segment_bytes = SEGMENT};
    open_writer(f);
    f->reader = open_reader(f);
    return 0;
}

static int setup_memory(void **state)
{
    return setup(state, false);
}

static int setup_files(void **state)
{
    return setup(state, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->reader, NULL);
    if (!f->writer)
        open_writer(f);
    OK(firn_log_destroy(f->writer, &f->err));
    firn_disk_free(f->disk);
    free(f);
    return 0;
}

static int append_one(struct fixture *f, uint64_t number, bool no_wait)
{
    const struct firn_append_options options = {.no_wait = no_wait};
    struct firn_record record = {.timestamp = 1000, .value = {&number, sizeof number}};
    return firn_log_append(f->writer, &record, 1, &options, NULL, &f->err);
}

/* Appends records with these indexes; their values are their indexes, plus `mark`. */
static void append(struct fixture *f, uint64_t from, uint64_t to, uint64_t mark)
{
    for (uint64_t index = from; index < to; index++)
        OK(append_one(f, index + mark, false));
}

static uint64_t number_of(const struct firn_record *record)
{
    uint64_t number = UINT64_MAX;
    if (record->value.size == sizeof number)
        memcpy(&number, record->value.data, sizeof number);
    return number;
}

static void assert_holds(struct fixture *f, uint64_t lowest, uint64_t next)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->reader, &info, &f->err));
    assert_int_equal(info.lowest_index, lowest);
    assert_int_equal(info.next_index, next);
}

/* The cursor gives exactly these and then nothing. */
static void assert_reads(struct fixture *f, struct firn_cursor *cursor, uint64_t from, uint64_t to)
{
    const struct firn_record *record;
    for (uint64_t index = from; index < to; index++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        assert_int_equal(record->index, index);
        assert_int_equal(number_of(record), index);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
}

static struct firn_cursor *open_cursor(struct fixture *f)
{
    struct firn_cursor *cursor;
    OK(firn_cursor_open(f->reader, NULL, &cursor, &f->err));
    return cursor;
}

/* A reader's index of the segment that grows grows with it. */
static void any_record_is_found_soon(void **state)
{
    struct fixture *f = *state;
    const struct firn_append_options staged = {.no_wait = true};
    uint8_t value[1000] = {0};
    close_writer(f);
    f->options.segment_bytes = 64 * 1024 * 1024;
    f->options.durability = FIRN_DURABILITY_OS;
    open_writer(f);
    for (uint64_t count = 0; count < 5000; count += 500) {
        for (uint64_t i = count; i < count + 500; i++) {
            memcpy(value, &i, sizeof i);
            const struct firn_record record = {.value = {value, sizeof value}};
            OK(firn_log_append(f->writer, &record, 1, &staged, NULL, &f->err));
        }
        OK(firn_log_flush(f->writer, &f->err));
        for (uint64_t i = count; i < count + 500; i += 7) {
            struct firn_record *record;
            OK(firn_log_read(f->reader, i, &record, &f->err));
            assert_int_equal(record->index, i);
            assert_memory_equal(record->value.data, &i, sizeof i);
            firn_record_free(record);
        }
    }
    struct segment *segment = list_find(f->reader, 4999);
    uint64_t end = segment_durable_end(segment);
    assert_true(end - atomic_load(&segment->extended_end) < 200 * 1024);
    segment_unref(segment);
}

static void what_is_durable_is_seen(void **state)
{
    struct fixture *f = *state;
    struct firn_cursor *cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 0);
    append(f, 0, 3, 0);
    assert_reads(f, cursor, 0, 3);
    OK(append_one(f, 3, true));
    assert_reads(f, cursor, 3, 3);
    OK(firn_log_flush(f->writer, &f->err));
    assert_reads(f, cursor, 3, 4);
    append(f, 4, 100, 0); /* many segments */
    assert_reads(f, cursor, 4, 100);
    assert_holds(f, 0, 100);
    OK(firn_log_verify(f->reader, NULL, NULL, NULL, &f->err));
    firn_cursor_close(cursor);
}

static void a_late_reader_sees_the_same(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 50, 0);
    OK(append_one(f, 50, true));
    firn_log_close(f->reader, NULL);
    f->reader = open_reader(f);
    assert_holds(f, 0, 50);
    struct firn_cursor *cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 50);
    OK(firn_log_flush(f->writer, &f->err));
    assert_reads(f, cursor, 50, 51);
    firn_cursor_close(cursor);
}

static void truncation_and_removal_are_noticed(void **state)
{
    struct fixture *f = *state;
    const struct firn_record *record;
    append(f, 0, 60, 0);
    struct firn_cursor *before = open_cursor(f), *behind = open_cursor(f);
    for (uint64_t i = 0; i < 50; i++)
        OK(firn_cursor_next(behind, &record, &f->err));
    OK(firn_cursor_next(before, &record, &f->err));
    OK(firn_log_truncate(f->writer, 40, &f->err));
    assert_holds(f, 0, 40);
    append(f, 40, 70, 1000);
    assert_int_equal(firn_cursor_next(behind, &record, &f->err), FIRN_ERANGE);
    assert_int_equal(firn_cursor_index(behind), 50);
    OK(firn_cursor_rejoin(behind, &f->err));
    assert_int_equal(firn_cursor_index(behind), 40);
    OK(firn_cursor_next(behind, &record, &f->err));
    assert_int_equal(number_of(record), 1040);
    assert_holds(f, 0, 70);
    OK(firn_cursor_seek(before, 40, &f->err));
    OK(firn_cursor_next(before, &record, &f->err));
    assert_int_equal(number_of(record), 1040);
    OK(firn_log_remove_before(f->writer, 60, &f->err));
    assert_int_equal(firn_cursor_next(before, &record, &f->err), FIRN_ERANGE);
    OK(firn_cursor_rejoin(before, &f->err));
    assert_int_equal(firn_cursor_index(before), 60);
    assert_holds(f, 60, 70);
    OK(firn_log_remove_before(f->writer, 70, &f->err));
    assert_holds(f, 70, 70);
    append(f, 70, 75, 0);
    OK(firn_cursor_seek(before, 70, &f->err));
    assert_reads(f, before, 70, 75);
    firn_cursor_close(before);
    firn_cursor_close(behind);
}

static void a_writer_that_comes_back_is_followed(void **state)
{
    struct fixture *f = *state;
    struct firn_writer_info info;
    append(f, 0, 10, 0);
    struct firn_cursor *cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 10);
    firn_log_get_writer(f->reader, &info);
    assert_true(info.alive && info.process_id > 0);
    uint32_t generation = info.generation;
    for (uint64_t life = 1; life < 5; life++) {
        close_writer(f);
        firn_log_get_writer(f->reader, &info);
        assert_false(info.alive);
        assert_reads(f, cursor, life * 10, life * 10);
        open_writer(f);
        append(f, life * 10, life * 10 + 10, 0);
        assert_reads(f, cursor, life * 10, life * 10 + 10);
    }
    firn_log_get_writer(f->reader, &info);
    assert_true(info.alive && info.generation > generation);
    firn_cursor_close(cursor);
}

/* Opened while nobody writes: as good as any other. */
static void a_writer_that_comes_later_is_followed(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 20, 0);
    close_writer(f);
    firn_log_close(f->reader, NULL);
    f->reader = open_reader(f);
    struct firn_cursor *cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 20);
    open_writer(f);
    append(f, 20, 40, 0);
    assert_reads(f, cursor, 20, 40);
    firn_cursor_close(cursor);
}

/* An opening that fails leaves readers as they were. */
static void a_writer_that_fails_to_open_disturbs_nobody(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 5, 0);
    close_writer(f);
    struct firn_log_options wrong = f->options;
    wrong.first_index = 1;
    assert_int_equal(firn_log_open(f->dir, &wrong, &f->writer, &f->err), FIRN_ERANGE);
    struct firn_cursor *cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 5);
    firn_cursor_close(cursor);
    firn_log_close(f->reader, NULL);
    f->reader = open_reader(f);
    cursor = open_cursor(f);
    assert_reads(f, cursor, 0, 5);
    firn_cursor_close(cursor);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static void waits_end(void **state)
{
    struct fixture *f = *state;
    struct firn_log *both[] = {f->writer, f->reader};
    append(f, 0, 1, 0);
    for (int i = 0; i < 2; i++) {
        OK(firn_log_wait(both[i], 0, FIRN_FOREVER, &f->err));
        OK(firn_log_wait(both[i], 0, 0, &f->err));
        assert_int_equal(firn_log_wait(both[i], 1, 0, &f->err), FIRN_ETIMEDOUT);
        assert_int_equal(firn_log_wait(both[i], 1, 2000, &f->err), FIRN_ETIMEDOUT);
        firn_log_interrupt(both[i]);
        assert_int_equal(firn_log_wait(both[i], 1, FIRN_FOREVER, &f->err), FIRN_ECLOSED);
        OK(firn_log_wait(both[i], 0, FIRN_FOREVER, &f->err));
    }
}

struct follower {
    struct fixture *f;
    struct firn_log *log;
    uint64_t read;
    int rc;
};

/* Reads all MANY records, waiting for each that is not there yet. */
static void *follow(void *arg)
{
    struct follower *follower = arg;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    follower->rc = firn_cursor_open(follower->log, NULL, &cursor, NULL);
    if (follower->rc < 0)
        return NULL;
    while (follower->read < MANY) {
        int rc = firn_cursor_next(cursor, &record, NULL);
        if (rc == FIRN_EEND) {
            follower->rc = firn_log_wait(follower->log, follower->read, FIRN_FOREVER, NULL);
            if (follower->rc < 0)
                break;
            continue;
        }
        if (rc < 0 || record->index != follower->read || number_of(record) != follower->read) {
            follower->rc = rc < 0 ? rc : FIRN_EDAMAGED;
            break;
        }
        follower->read++;
    }
    firn_cursor_close(cursor);
    return NULL;
}

static void followers_miss_nothing(void **state)
{
    struct fixture *f = *state;
    enum { FOLLOWERS = 4 };
    struct follower followers[FOLLOWERS];
    pthread_t threads[FOLLOWERS];
    for (int i = 0; i < FOLLOWERS; i++) {
        followers[i] = (struct follower){.f = f, .log = i ? open_reader(f) : f->writer};
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    for (uint64_t index = 0; index < MANY; index++)
        OK(append_one(f, index, index % 3 == 0));
    OK(firn_log_flush(f->writer, &f->err));
    for (int i = 0; i < FOLLOWERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(followers[i].rc, 0);
        assert_int_equal(followers[i].read, MANY);
        if (i)
            firn_log_close(followers[i].log, NULL);
    }
}

#define BOTH(test)                                                                                 \
    {#test ", in memory", test, setup_memory, teardown, NULL},                                     \
    {                                                                                              \
#test ", on files", test, setup_files, teardown, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_is_durable_is_seen),
        BOTH(any_record_is_found_soon),
        BOTH(a_late_reader_sees_the_same),
        BOTH(truncation_and_removal_are_noticed),
        BOTH(a_writer_that_comes_back_is_followed),
        BOTH(a_writer_that_comes_later_is_followed),
        BOTH(a_writer_that_fails_to_open_disturbs_nobody),
        BOTH(waits_end),
        BOTH(followers_miss_nothing),
    };
    alarm(100); /* a wait that nobody ends is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
