/* SPDX-License-Identifier: MIT */
/* The log as a whole, on a memory disk and on files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/log.h>

struct fixture {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
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
    *state = f;
    const struct firn_env_options manual = {.manual = true};
    OK(firn_disk_memory_new(&f->disk, &f->err));
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){.disk = f->disk, .env = f->env};
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->log, NULL);
    assert_int_equal(firn_env_free(f->env), 0);
    firn_disk_free(f->disk);
    free(f);
    return 0;
}

static struct firn_record text_record(const char *text)
{
    return (struct firn_record){.timestamp = 1000, .value = {text, strlen(text)}};
}

/* Record number `i`: its text says so, and its length varies with it. */
static size_t make_text(uint64_t i, char *text, size_t size)
{
    int n = snprintf(text, size, "record %llu ", (unsigned long long)i);
    size_t length = (size_t)n + i * 7 % 40;
    memset(text + n, 'x', length - (size_t)n);
    return length;
}

static void append_numbered(struct fixture *f, uint64_t from, uint64_t count)
{
    for (uint64_t i = from; i < from + count; i++) {
        char text[128];
        struct firn_record record = {.timestamp = (int64_t)(1000 + i),
                                     .value = {text, make_text(i, text, sizeof text)}};
        struct firn_appended where;
        OK(firn_log_append(f->log, &record, 1, NULL, &where, &f->err));
        assert_int_equal(where.index, i);
    }
}

static void check_numbered(const struct firn_record *record, uint64_t i)
{
    char text[128];
    size_t size = make_text(i, text, sizeof text);
    assert_int_equal(record->index, i);
    assert_int_equal(record->timestamp, (int64_t)(1000 + i));
    assert_int_equal(record->value.size, size);
    assert_memory_equal(record->value.data, text, size);
    assert_null(record->key.data);
}

static int print_finding(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    print_message("%s at %llu+%llu, records %llu to %llu: %s\n", finding->file,
                  (unsigned long long)finding->offset, (unsigned long long)finding->length,
                  (unsigned long long)finding->first_index, (unsigned long long)finding->next_index,
                  finding->text);
    return 0;
}

static void check_range(struct fixture *f, uint64_t from, uint64_t to)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    assert_int_equal(firn_cursor_index(cursor), from);
    for (uint64_t i = from; i < to; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_numbered(record, i);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    for (uint64_t i = to; i-- > from;) {
        OK(firn_cursor_prev(cursor, &record, &f->err));
        check_numbered(record, i);
    }
    assert_int_equal(firn_cursor_prev(cursor, &record, &f->err), FIRN_EEND);
    firn_cursor_close(cursor);
    for (uint64_t i = from; i < to; i += 1 + (to - from) / 17) {
        struct firn_record *copy;
        OK(firn_log_read(f->log, i, &copy, &f->err));
        check_numbered(copy, i);
        firn_record_free(copy);
    }
    struct firn_record *none;
    assert_int_equal(firn_log_read(f->log, to, &none, &f->err), FIRN_ERANGE);
    OK(firn_log_verify(f->log, print_finding, NULL, NULL, &f->err));
}

static struct firn_log_info info_of(struct fixture *f)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    return info;
}

static void test_empty(void **state)
{
    struct fixture *f = *state;
    struct firn_recovery recovery;
    reopen(f);
    firn_log_get_recovery(f->log, &recovery);
    assert_true(recovery.created);
    check_range(f, 0, 0);
    reopen(f);
    firn_log_get_recovery(f->log, &recovery);
    assert_false(recovery.created);
    assert_true(recovery.clean);
    check_range(f, 0, 0);
}

static void test_append_and_reopen(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    append_numbered(f, 0, 100);
    check_range(f, 0, 100);
    reopen(f);
    struct firn_recovery recovery;
    firn_log_get_recovery(f->log, &recovery);
    assert_true(recovery.clean);
    check_range(f, 0, 100);
    append_numbered(f, 100, 50);
    check_range(f, 0, 150);
    assert_int_equal(info_of(f).generation, 2);
}

static void test_rotation(void **state)
{
    struct fixture *f = *state;
    f->options.segment_bytes = 1024;
    f->options.first_index = 42;
    reopen(f);
    append_numbered(f, 42, 200);
    assert_true(info_of(f).segments > 10);
    check_range(f, 42, 242);
    firn_env_run(f->env);
    append_numbered(f, 242, 10);
    reopen(f);
    check_range(f, 42, 252);
    append_numbered(f, 252, 10);
    check_range(f, 42, 262);
}

static void test_group(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    enum { COUNT = 3000 };
    static char texts[COUNT][128];
    static struct firn_record records[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        records[i] = (struct firn_record){
            .timestamp = (int64_t)(1000 + i),
            .value = {texts[i], make_text(i, texts[i], sizeof texts[i])}};
    struct firn_appended where;
    OK(firn_log_append(f->log, records, COUNT, NULL, &where, &f->err));
    assert_int_equal(where.index, 0);
    check_range(f, 0, COUNT);
    struct firn_verify_stats stats;
    OK(firn_log_verify(f->log, NULL, NULL, &stats, &f->err));
    assert_int_equal(stats.batches, 1);
    OK(firn_log_truncate(f->log, 1234, &f->err));
    check_range(f, 0, 1234);
    reopen(f);
    check_range(f, 0, 1234);
}

static void test_keys_headers_and_large(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    size_t size = 1000000;
    char *large = malloc(size);
    for (size_t i = 0; i < size; i++)
        large[i] = (char)(i * 31 >> 3);
    const struct firn_header headers[2] = {{{"one", 3}, {"", 0}}, {{"", 0}, {NULL, 0}}};
    struct firn_record record = {.timestamp = -5,
                                 .key = {"", 0},
                                 .value = {large, size},
                                 .headers = headers,
                                 .header_count = 2};
    OK(firn_log_append(f->log, &record, 1, NULL, NULL, &f->err));
    record = (struct firn_record){.timestamp = 7};
    OK(firn_log_append(f->log, &record, 1, NULL, NULL, &f->err));
    reopen(f);
    struct firn_record *copy;
    OK(firn_log_read(f->log, 0, &copy, &f->err));
    assert_int_equal(copy->timestamp, -5);
    assert_non_null(copy->key.data);
    assert_int_equal(copy->key.size, 0);
    assert_int_equal(copy->value.size, size);
    assert_memory_equal(copy->value.data, large, size);
    assert_int_equal(copy->header_count, 2);
    assert_memory_equal(copy->headers[0].key.data, "one", 3);
    assert_non_null(copy->headers[0].value.data);
    assert_null(copy->headers[1].value.data);
    firn_record_free(copy);
    OK(firn_log_read(f->log, 1, &copy, &f->err));
    assert_null(copy->key.data);
    assert_null(copy->value.data);
    firn_record_free(copy);
    free(large);
}

static void test_staged(void **state)
{
    struct fixture *f = *state;
    f->options.durability = FIRN_DURABILITY_OS;
    reopen(f);
    append_numbered(f, 0, 10);
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    firn_cursor_close(cursor);
    const struct firn_cursor_options staged = {.staged = true};
    OK(firn_cursor_open(f->log, &staged, &cursor, &f->err));
    for (uint64_t i = 0; i < 10; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_numbered(record, i);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    firn_env_run(f->env); /* written, not synced */
    append_numbered(f, 10, 10);
    assert_int_equal(info_of(f).next_index, 0);
    assert_int_equal(info_of(f).staged_index, 20);
    for (uint64_t i = 10; i < 20; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_numbered(record, i);
    }
    for (uint64_t i = 20; i-- > 0;) {
        OK(firn_cursor_prev(cursor, &record, &f->err));
        check_numbered(record, i);
    }
    firn_cursor_close(cursor);
    OK(firn_log_flush(f->log, &f->err));
    check_range(f, 0, 20);
}

static void test_epochs(void **state)
{
    struct fixture *f = *state;
    f->options.durability = FIRN_DURABILITY_GROUP;
    reopen(f);
    struct firn_record record = text_record("a");
    struct firn_appended first, second;
    OK(firn_log_append(f->log, &record, 1, NULL, &first, &f->err));
    OK(firn_log_append(f->log, &record, 1, NULL, &second, &f->err));
    assert_int_equal(first.epoch, second.epoch);
    assert_int_equal(firn_log_wait_epoch(f->log, first.epoch, 0, &f->err), FIRN_ETIMEDOUT);
    assert_int_equal(firn_log_wait_epoch(f->log, first.epoch + 1, 0, &f->err), FIRN_EINVAL);
    OK(firn_log_wait_epoch(f->log, first.epoch, FIRN_FOREVER, &f->err));
    OK(firn_log_append(f->log, &record, 1, NULL, &second, &f->err));
    assert_int_equal(second.epoch, first.epoch + 1);
    firn_env_run(f->env);
    OK(firn_log_wait_epoch(f->log, second.epoch, 0, &f->err));
    struct firn_commit_stats stats;
    firn_log_get_commit_stats(f->log, &stats);
    assert_int_equal(stats.groups, 2);
    assert_int_equal(stats.items, 3);
}

static void test_expected_index(void **state)
{
    struct fixture *f = *state;
    reopen(f);
    struct firn_record record = text_record("a");
    struct firn_append_options options = {.if_next = true};
    OK(firn_log_append(f->log, &record, 1, &options, NULL, &f->err));
    assert_int_equal(firn_log_append(f->log, &record, 1, &options, NULL, &f->err), FIRN_EMISMATCH);
    options.next_index = 1;
    OK(firn_log_append(f->log, &record, 1, &options, NULL, &f->err));
}

static void test_truncate(void **state)
{
    struct fixture *f = *state;
    f->options.segment_bytes = 1024;
    reopen(f);
    append_numbered(f, 0, 100);
    for (uint64_t cut = 99; cut > 0; cut -= 9) {
        OK(firn_log_truncate(f->log, cut, &f->err));
        check_range(f, 0, cut);
        if (cut % 2)
            reopen(f);
        append_numbered(f, cut, 3);
        check_range(f, 0, cut + 3);
    }
    assert_int_equal(firn_log_truncate(f->log, 1000, &f->err), FIRN_ERANGE);
    OK(firn_log_truncate(f->log, 0, &f->err));
    check_range(f, 0, 0);
    append_numbered(f, 0, 30);
    reopen(f);
    check_range(f, 0, 30);
}

static void test_truncate_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    reopen(f);
    append_numbered(f, 0, 100);
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (int i = 0; i < 80; i++)
        OK(firn_cursor_next(cursor, &record, &f->err));
    OK(firn_log_truncate(f->log, 90, &f->err));
    OK(firn_cursor_next(cursor, &record, &f->err));
    check_numbered(record, 80);
    OK(firn_log_truncate(f->log, 50, &f->err));
    append_numbered(f, 50, 50);
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_ERANGE);
    OK(firn_cursor_seek(cursor, 50, &f->err));
    OK(firn_cursor_next(cursor, &record, &f->err));
    check_numbered(record, 50);
    firn_cursor_close(cursor);
}

static void test_remove_before(void **state)
{
    struct fixture *f = *state;
    f->options.segment_bytes = 1024;
    reopen(f);
    append_numbered(f, 0, 100);
    uint64_t segments = info_of(f).segments;
    OK(firn_log_remove_before(f->log, 33, &f->err));
    check_range(f, 33, 100);
    assert_true(info_of(f).segments < segments);
    OK(firn_log_remove_before(f->log, 10, &f->err));
    assert_int_equal(firn_log_remove_before(f->log, 101, &f->err), FIRN_ERANGE);
    reopen(f);
    check_range(f, 33, 100);
    OK(firn_log_remove_before(f->log, 100, &f->err));
    check_range(f, 100, 100);
    reopen(f);
    check_range(f, 100, 100);
    append_numbered(f, 100, 5);
    check_range(f, 100, 105);
    f->options.first_index = 101;
    OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    assert_int_equal(firn_log_open("log", &f->options, &f->log, &f->err), FIRN_ERANGE);
}

static void test_one_writer(void **state)
{
    struct fixture *f = *state;
    struct firn_log *second;
    reopen(f);
    append_numbered(f, 0, 3);
    assert_int_equal(firn_log_open("log", &f->options, &second, &f->err), FIRN_ELOCKED);
    struct firn_log_options options = {.disk = f->disk, .read_only = true};
    OK(firn_log_open("log", &options, &second, &f->err));
    struct firn_record *copy, record = text_record("a");
    OK(firn_log_read(second, 2, &copy, &f->err));
    check_numbered(copy, 2);
    firn_record_free(copy);
    assert_int_equal(firn_log_append(second, &record, 1, NULL, NULL, &f->err), FIRN_EREADONLY);
    OK(firn_log_close(second, &f->err));
}

static void test_destroy(void **state)
{
    struct fixture *f = *state;
    struct firn_entry entry;
    f->options.segment_bytes = 1024;
    reopen(f);
    append_numbered(f, 0, 60);
    struct firn_log *log = f->log;
    f->log = NULL;
    OK(firn_log_destroy(log, &f->err));
    assert_int_equal(f->disk->ops->stat(f->disk, "log", &entry, &f->err), FIRN_ENOENT);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    f->options.record_bytes = 100;
    f->options.segment_bytes = 256;
    reopen(f);
    char value[256] = {0};
    struct firn_record records[4] = {{.value = {value, 101}}};
    assert_int_equal(firn_log_append(f->log, records, 1, NULL, NULL, &f->err), FIRN_ETOOBIG);
    assert_int_equal(firn_log_append(f->log, records, 0, NULL, NULL, &f->err), FIRN_EINVAL);
    for (int i = 0; i < 4; i++)
        records[i].value = (struct firn_slice){value, 60};
    assert_int_equal(firn_log_append(f->log, records, 4, NULL, NULL, &f->err), FIRN_ETOOBIG);
    OK(firn_log_append(f->log, records, 2, NULL, NULL, &f->err));
    f->options.segment_bytes = 100;
    assert_int_equal(firn_log_open("other", &f->options, &f->log, &f->err), FIRN_EINVAL);
}

static void test_not_a_log(void **state)
{
    struct fixture *f = *state;
    struct firn_file *file;
    struct firn_log *log;
    OK(f->disk->ops->make_dir(f->disk, "music", &f->err));
    OK(f->disk->ops->open(f->disk, "music/song.ogg", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file,
                          &f->err));
    file->ops->close(file);
    assert_int_equal(firn_log_open("music", &f->options, &log, &f->err), FIRN_EFORMAT);
    f->options.must_exist = true;
    assert_int_equal(firn_log_open("none", &f->options, &log, &f->err), FIRN_ENOENT);
    assert_int_equal(firn_log_open("music/song.ogg", &f->options, &log, &f->err), FIRN_ENOTDIR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_append_and_reopen),
        TEST(test_rotation),
        TEST(test_group),
        TEST(test_keys_headers_and_large),
        TEST(test_staged),
        TEST(test_epochs),
        TEST(test_expected_index),
        TEST(test_truncate),
        TEST(test_truncate_is_noticed),
        TEST(test_remove_before),
        TEST(test_one_writer),
        TEST(test_destroy),
        TEST(test_limits),
        TEST(test_not_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
