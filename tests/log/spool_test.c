/* SPDX-License-Identifier: MIT */
/* Streamed records, in and out, in memory and on files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "lib/prng.h"

enum { SMALL = 1000, LARGE = 3 * 1024 * 1024 + 17, PIECE = 70000 };

struct fixture {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
    uint8_t *bytes; /* of the largest value */
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static void reopen(struct fixture *f)
{
    if (f->log)
        OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct prng prng = prng_new(5);
    *state = f;
    const struct firn_env_options manual = {.manual = true};
    OK(firn_disk_memory_new(&f->disk, &f->err));
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){.disk = f->disk, .env = f->env};
    f->bytes = malloc(LARGE);
    prng_fill(&prng, f->bytes, LARGE);
    reopen(f);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->log, NULL);
    assert_int_equal(firn_env_free(f->env), 0);
    firn_disk_free(f->disk);
    free(f->bytes);
    free(f);
    return 0;
}

static const struct firn_header header = {{"h", 1}, {"one", 3}};
static const struct firn_record head = {
    .timestamp = 77,
    .key = {"the key", 7},
    .headers = &header,
    .header_count = 1,
};

/* Pieces of odd sizes. */
static struct firn_spool *begin(struct fixture *f, size_t size)
{
    struct firn_spool *spool;
    OK(firn_spool_open(f->log, &head, 0, &spool, &f->err));
    for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece * 3 + 1) {
        if (piece > size - at)
            piece = size - at;
        OK(firn_spool_write(spool, f->bytes + at, piece, &f->err));
    }
    return spool;
}

static void stream(struct fixture *f, size_t size, uint64_t index)
{
    struct firn_appended where;
    struct firn_log_info info;
    OK(firn_spool_finish(begin(f, size), NULL, &where, &f->err));
    assert_int_equal(where.index, index);
    OK(firn_log_get_info(f->log, &info, &f->err));
    assert_int_equal(info.next_index, index + 1);
    OK(firn_log_wait_epoch(f->log, where.epoch, 0, &f->err));
}

static void append_text(struct fixture *f, const char *text, uint64_t index)
{
    struct firn_record record = {.timestamp = 1, .value = {text, strlen(text)}};
    struct firn_appended where;
    OK(firn_log_append(f->log, &record, 1, NULL, &where, &f->err));
    assert_int_equal(where.index, index);
}

static void check_head(const struct firn_record *record)
{
    assert_int_equal(record->timestamp, 77);
    assert_int_equal(record->key.size, 7);
    assert_memory_equal(record->key.data, "the key", 7);
    assert_int_equal(record->header_count, 1);
    assert_memory_equal(record->headers[0].value.data, "one", 3);
}

static void check_value(struct fixture *f, struct firn_cursor *cursor, size_t size)
{
    static uint8_t piece[PIECE];
    size_t at = 0, got = 1;
    while (got > 0) {
        OK(firn_cursor_read_value(cursor, at, piece, sizeof piece, &got, &f->err));
        assert_true(at + got <= size);
        assert_memory_equal(piece, f->bytes + at, got);
        at += got;
    }
    assert_int_equal(at, size);
    assert_int_equal(firn_cursor_read_value(cursor, size + 1, piece, 1, &got, &f->err),
                     FIRN_ERANGE);
}

/* text, small, large, text, large, in both directions, with values whole and in pieces. */
static void check_five(struct fixture *f, uint64_t value_bytes)
{
    static const size_t sizes[] = {5, SMALL, LARGE, 6, LARGE - 1};
    const struct firn_cursor_options options = {.value_bytes = value_bytes};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, &options, &cursor, &f->err));
    for (int i = 0; i < 10; i++) {
        int at = i < 5 ? i : 9 - i;
        OK(i < 5 ? firn_cursor_next(cursor, &record, &f->err)
                 : firn_cursor_prev(cursor, &record, &f->err));
        assert_int_equal(record->index, at);
        assert_int_equal(record->value.size, sizes[at]);
        assert_int_equal(record->value.data != NULL, !value_bytes || sizes[at] <= value_bytes);
        if (at == 0 || at == 3)
            continue;
        check_head(record);
        if (record->value.data)
            assert_memory_equal(record->value.data, f->bytes, sizes[at]);
        check_value(f, cursor, sizes[at]);
    }
    firn_cursor_close(cursor);
}

static void streamed_records_are_like_others(void **state)
{
    struct fixture *f = *state;
    append_text(f, "first", 0);
    stream(f, SMALL, 1);
    stream(f, LARGE, 2);
    append_text(f, "fourth", 3);
    stream(f, LARGE - 1, 4);
    for (int again = 0; again < 2; again++) {
        check_five(f, 0);
        check_five(f, 1);
        check_five(f, SMALL);
        check_five(f, LARGE - 1);
        OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
        reopen(f);
    }
    struct firn_record *record;
    OK(firn_log_read(f->log, 4, &record, &f->err));
    assert_int_equal(record->value.size, LARGE - 1);
    assert_memory_equal(record->value.data, f->bytes, LARGE - 1);
    firn_record_free(record);
}

static void an_empty_stream_is_an_empty_value(void **state)
{
    struct fixture *f = *state;
    struct firn_record *record;
    struct firn_spool *spool;
    OK(firn_spool_open(f->log, NULL, 0, &spool, &f->err));
    OK(firn_spool_finish(spool, NULL, NULL, &f->err));
    OK(firn_log_read(f->log, 0, &record, &f->err));
    assert_non_null(record->value.data);
    assert_int_equal(record->value.size, 0);
    assert_null(record->key.data);
    assert_true(record->timestamp > 1600000000000);
    firn_record_free(record);
}

static int count_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)entry;
    *(int *)arg += strncmp(name, "spool-", 6) == 0;
    return 0;
}

static int spool_files(struct fixture *f)
{
    int count = 0;
    OK(f->disk->ops->list(f->disk, "log", count_entry, &count, &f->err));
    return count;
}

static void nothing_remains_of_what_is_abandoned(void **state)
{
    struct fixture *f = *state;
    struct firn_spool *spool = begin(f, LARGE);
    assert_int_equal(spool_files(f), 1);
    firn_spool_abandon(spool);
    firn_spool_abandon(NULL);
    assert_int_equal(spool_files(f), 0);
    append_text(f, "first", 0);
}

static void appends_go_on_while_streams_are_open(void **state)
{
    struct fixture *f = *state;
    struct firn_spool *a = begin(f, LARGE), *b = begin(f, LARGE - 1);
    const struct firn_append_options wrong = {.if_next = true, .next_index = 7};
    const struct firn_append_options right = {.if_next = true, .next_index = 2};
    struct firn_appended where;
    f->err.message[0] = '\0';
    append_text(f, "first", 0);
    append_text(f, "second", 1);
    assert_int_equal(firn_spool_finish(begin(f, LARGE), &wrong, NULL, &f->err), FIRN_EMISMATCH);
    assert_int_equal(firn_spool_finish(begin(f, SMALL), &wrong, NULL, &f->err), FIRN_EMISMATCH);
    OK(firn_spool_finish(b, &right, &where, &f->err));
    assert_int_equal(where.index, 2);
    append_text(f, "fourth", 3);
    OK(firn_spool_finish(a, NULL, &where, &f->err));
    assert_int_equal(where.index, 4);
    assert_int_equal(spool_files(f), 0);
    OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
}

static void a_limit_refuses_what_is_too_long(void **state)
{
    struct fixture *f = *state;
    struct firn_spool *spool;
    OK(firn_spool_open(f->log, &head, 1000, &spool, &f->err));
    OK(firn_spool_write(spool, f->bytes, 1000, &f->err));
    assert_int_equal(firn_spool_write(spool, f->bytes, 1, &f->err), FIRN_ETOOBIG);
    assert_int_equal(firn_spool_write(spool, f->bytes, 1, &f->err), FIRN_EIO);
    assert_int_equal(firn_spool_finish(spool, NULL, NULL, &f->err), FIRN_EIO);
    f->options.segment_bytes = 1024 * 1024;
    f->options.segment_overflow_bytes = 512 * 1024;
    reopen(f);
    OK(firn_spool_open(f->log, &head, LARGE, &spool, &f->err));
    OK(firn_spool_write(spool, f->bytes, 1536 * 1024 - 200, &f->err));
    assert_int_equal(firn_spool_write(spool, f->bytes, 200, &f->err), FIRN_ETOOBIG);
    firn_spool_abandon(spool);
    f->options.record_bytes = 1100;
    reopen(f);
    OK(firn_spool_open(f->log, &head, 0, &spool, &f->err)); /* 11 bytes of key and header */
    OK(firn_spool_write(spool, f->bytes, 1089, &f->err));
    assert_int_equal(firn_spool_write(spool, f->bytes, 1, &f->err), FIRN_ETOOBIG);
    firn_spool_abandon(spool);
    f->options.record_bytes = 5;
    reopen(f);
    assert_int_equal(firn_spool_open(f->log, &head, 0, &spool, &f->err), FIRN_ETOOBIG);
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    assert_int_equal(info.next_index, 0);
    assert_int_equal(spool_files(f), 0);
}

/* A segment that is empty is replaced by one of the same name. */
static void a_stream_follows_a_truncation(void **state)
{
    struct fixture *f = *state;
    stream(f, LARGE, 0);
    stream(f, LARGE, 1);
    OK(firn_log_truncate(f->log, 1, &f->err));
    stream(f, LARGE - 1, 1);
    OK(firn_log_truncate(f->log, 0, &f->err));
    stream(f, LARGE, 0);
    append_text(f, "second", 1);
    OK(firn_log_remove_before(f->log, 2, &f->err));
    stream(f, LARGE, 2);
    reopen(f);
    OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
}

static void a_cursor_notices_that_its_value_is_gone(void **state)
{
    struct fixture *f = *state;
    const struct firn_cursor_options options = {.value_bytes = 1};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    uint8_t piece[10];
    size_t got;
    append_text(f, "first", 0);
    stream(f, LARGE, 1);
    OK(firn_cursor_open(f->log, &options, &cursor, &f->err));
    assert_int_equal(firn_cursor_read_value(cursor, 0, piece, 1, &got, &f->err), FIRN_EINVAL);
    OK(firn_cursor_next(cursor, &record, &f->err));
    OK(firn_cursor_next(cursor, &record, &f->err));
    append_text(f, "third", 2);
    OK(firn_log_truncate(f->log, 2, &f->err));
    OK(firn_cursor_read_value(cursor, 5, piece, sizeof piece, &got, &f->err));
    assert_memory_equal(piece, f->bytes + 5, sizeof piece);
    OK(firn_log_truncate(f->log, 1, &f->err));
    append_text(f, "other", 1);
    assert_int_equal(firn_cursor_read_value(cursor, 5, piece, sizeof piece, &got, &f->err),
                     FIRN_ERANGE);
    firn_cursor_close(cursor);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(streamed_records_are_like_others),        TEST(an_empty_stream_is_an_empty_value),
        TEST(nothing_remains_of_what_is_abandoned),    TEST(appends_go_on_while_streams_are_open),
        TEST(a_limit_refuses_what_is_too_long),        TEST(a_stream_follows_a_truncation),
        TEST(a_cursor_notices_that_its_value_is_gone),
    };
    return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
