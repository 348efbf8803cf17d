/* SPDX-License-Identifier: MIT */
/* Compaction against a model: the last value of each key stays, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "base/codec.h"
#include "log/keys.h"
#include "log/log_private.h"
#include "prng.h"

enum { RECORDS = 4000, KEYS = 60, GROUP_MOST = 9, VALUE_MOST = 400, LARGE = 40000 };

/* What was appended at an index. */
struct made {
    unsigned key; /* KEYS: none */
    bool tombstone;
    size_t size;
    bool gone;
};

struct fixture {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
    struct prng prng;
    struct made made[RECORDS];
    uint64_t lowest, next;
    struct firn_compacted done;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static void reopen(struct fixture *f)
{
    OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct firn_env_options manual = {.manual = true};
    *state = f;
    OK(firn_disk_memory_new(&f->disk, &f->err));
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){.disk = f->disk,
                                           .env = f->env,
                                           .segment_bytes = 20000,
                                           .segment_overflow_bytes = 100000,
                                           .durability = FIRN_DURABILITY_OS};
    if (codec_can_pack(FIRN_COMPRESSION_ZSTD))
        f->options.compression = FIRN_COMPRESSION_ZSTD;
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
    f->prng = prng_new(7);
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

static char keys_at[RECORDS][16];
static uint8_t bytes[LARGE + RECORDS];

/* The value at an index is its own. */
static struct firn_slice value_of(const struct fixture *f, uint64_t index)
{
    const struct made *made = &f->made[index];
    return (struct firn_slice){made->tombstone ? NULL : bytes + index, made->size};
}

static struct firn_slice key_of(const struct fixture *f, uint64_t index)
{
    const struct made *made = &f->made[index];
    if (made->key == KEYS)
        return (struct firn_slice){0};
    int size = snprintf(keys_at[index], sizeof keys_at[index], "%u", made->key);
    return (struct firn_slice){keys_at[index], made->key == 0 ? 0 : (size_t)size}; /* one empty */
}

static void invent(struct fixture *f, struct made *made)
{
    uint64_t dice = prng_next(&f->prng) % 20;
    *made = (struct made){.key = (unsigned)(prng_next(&f->prng) % KEYS),
                          .size = (size_t)(prng_next(&f->prng) % VALUE_MOST)};
    if (dice == 0)
        made->key = KEYS;
    if (dice == 1)
        *made = (struct made){.key = made->key, .tombstone = true};
    if (dice == 2 && prng_next(&f->prng) % 5 == 0)
        made->size = LARGE;
}

static void append_until(struct fixture *f, uint64_t end)
{
    while (f->next < end) {
        struct firn_record records[GROUP_MOST] = {0};
        size_t count = 1 + prng_next(&f->prng) % GROUP_MOST;
        count = prng_next(&f->prng) % 2 ? 1 : count;
        for (size_t i = 0; i < count; i++) {
            invent(f, &f->made[f->next + i]);
            records[i].key = key_of(f, f->next + i);
            records[i].value = value_of(f, f->next + i);
        }
        OK(firn_log_append(f->log, records, count, NULL, NULL, &f->err));
        f->next += count;
    }
    OK(firn_log_flush(f->log, &f->err));
    firn_env_run(f->env);
}

/* What goes: older ones of a key; and of the last ones such as were deleted below `tombstones`. */
static void expect(struct fixture *f, uint64_t tombstones)
{
    struct segment *last = list_find(f->log, UINT64_MAX);
    bool seen[KEYS] = {false};
    for (uint64_t i = last->base; i > f->lowest; i--) {
        struct made *made = &f->made[i - 1];
        if (made->key == KEYS)
            continue;
        made->gone |= seen[made->key] || (made->tombstone && i - 1 < tombstones);
        seen[made->key] = true;
    }
    segment_unref(last);
}

static void check_record(struct fixture *f, uint64_t index, const struct firn_record *record)
{
    struct firn_slice key = key_of(f, index), value = value_of(f, index);
    assert_int_equal(record->index, index);
    assert_int_equal(!record->key.data, !key.data);
    assert_int_equal(record->key.size, key.size);
    assert_int_equal(!record->value.data, !value.data);
    assert_int_equal(record->value.size, value.size);
    if (value.size)
        assert_memory_equal(record->value.data, value.data, value.size);
}

static void check_reads(struct fixture *f)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (uint64_t i = f->lowest; i < f->next; i++) {
        struct firn_record *one;
        int rc = firn_log_read(f->log, i, &one, &f->err);
        if (rc != (f->made[i].gone ? FIRN_ENOENT : 0))
            fail_msg("%llu: %d %s", (unsigned long long)i, rc, f->err.message);
        if (rc < 0)
            continue;
        check_record(f, i, one);
        firn_record_free(one);
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_record(f, i, record);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    for (uint64_t i = f->next; i > f->lowest; i--) {
        if (f->made[i - 1].gone)
            continue;
        OK(firn_cursor_prev(cursor, &record, &f->err));
        check_record(f, i - 1, record);
    }
    assert_int_equal(firn_cursor_prev(cursor, &record, &f->err), FIRN_EEND);
    firn_cursor_close(cursor);
}

static int print_finding(void *arg, const struct firn_finding *finding)
{
    (void)arg;
    print_message("%s at %llu: %s\n", finding->file, (unsigned long long)finding->offset,
                  finding->text);
    return 0;
}

static void check(struct fixture *f)
{
    check_reads(f);
    OK(firn_log_verify(f->log, print_finding, NULL, NULL, &f->err));
}

static void check_all(struct fixture *f)
{
    struct firn_recovery recovery;
    check(f);
    reopen(f);
    firn_log_get_recovery(f->log, &recovery);
    assert_true(recovery.clean);
    check(f);
}

static void compact(struct fixture *f, const struct firn_compaction *options)
{
    OK(firn_log_compact(f->log, options, &f->done, &f->err));
}

static uint64_t count_gone(const struct fixture *f)
{
    uint64_t count = 0;
    for (uint64_t i = f->lowest; i < f->next; i++)
        count += f->made[i].gone;
    return count;
}

static void test_last_of_each_key(void **state)
{
    struct fixture *f = *state;
    struct firn_log_info before, after;
    compact(f, NULL); /* an empty log */
    append_until(f, 1000);
    firn_log_get_info(f->log, &before, NULL);
    compact(f, NULL);
    expect(f, 0);
    firn_log_get_info(f->log, &after, NULL);
    assert_true(f->done.segments > 3 && f->done.passes == 1 && f->done.tombstones == 0);
    assert_int_equal(f->done.records, count_gone(f));
    assert_int_equal(before.bytes - f->done.bytes, after.bytes);
    assert_true(after.bytes < before.bytes / 2);
    check_all(f);
    append_until(f, 2000); /* what was compacted is compacted again */
    compact(f, NULL);
    expect(f, 0);
    check_all(f);
    compact(f, NULL);
    assert_int_equal(f->done.segments, 0);
    check_all(f);
}

static void test_in_little_memory(void **state)
{
    struct fixture *f = *state;
    const struct firn_compaction little = {.memory_bytes = 1};
    append_until(f, 2000);
    compact(f, &little);
    expect(f, 0);
    assert_true(f->done.passes > 2);
    assert_int_equal(f->done.records, count_gone(f));
    check_all(f);
}

static void await_ms(struct fixture *f, uint64_t ms)
{
    uint64_t from = disk_clock(f->disk, FIRN_CLOCK_REAL);
    while (disk_clock(f->disk, FIRN_CLOCK_REAL) < from + ms * 1000000)
        disk_sleep(f->disk, 100000);
}

static void test_tombstones(void **state)
{
    struct fixture *f = *state;
    const struct firn_compaction short_delay = {.tombstone_delay_ms = 1};
    append_until(f, 1000);
    uint64_t old = f->next;
    await_ms(f, 5);
    compact(f, &short_delay);
    expect(f, old);
    assert_true(f->done.tombstones > 0);
    check_all(f);
}

static void test_beside_removal_and_truncation(void **state)
{
    struct fixture *f = *state;
    append_until(f, 1500);
    f->lowest = 333;
    OK(firn_log_remove_before(f->log, 333, &f->err));
    compact(f, NULL);
    expect(f, 0);
    check_all(f);
    for (int i = 0; i < 20; i++) { /* into what was compacted, and on from there */
        f->next = f->next - 37;
        OK(firn_log_truncate(f->log, f->next, &f->err));
        if (i % 5 == 0)
            check_all(f);
        for (uint64_t k = f->next; k < RECORDS; k++)
            f->made[k].gone = false;
        if (i % 7 == 0)
            append_until(f, f->next + 20);
    }
    check_all(f);
    append_until(f, 2500);
    compact(f, NULL);
    expect(f, 0);
    check_all(f);
}

/* A reader that stands in a segment that is replaced. */
static void test_cursor_meanwhile(void **state)
{
    struct fixture *f = *state;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    append_until(f, 1000);
    for (int rounds = 0; rounds < 3; rounds++) {
        OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
        for (uint64_t i = 0; i < 300; i++)
            OK(firn_cursor_next(cursor, &record, &f->err));
        uint64_t at = firn_cursor_index(cursor);
        compact(f, NULL);
        expect(f, 0);
        for (uint64_t i = at; i < f->next; i++) {
            if (f->made[i].gone)
                continue;
            OK(firn_cursor_next(cursor, &record, &f->err));
            check_record(f, i, record);
        }
        firn_cursor_close(cursor);
        append_until(f, f->next + 500);
    }
    check_all(f);
}

static void test_background(void **state)
{
    struct fixture *f = *state;
    const struct firn_compaction what = {0};
    append_until(f, 1000);
    OK(firn_log_set_compaction(f->log, &what, 0, &f->err));
    for (int i = 0; i < 100; i++)
        firn_env_run(f->env);
    expect(f, 0);
    check(f);
    OK(firn_log_set_compaction(f->log, NULL, 0, &f->err));
    check_all(f);
}

static void test_keys(void **state)
{
    (void)state;
    const uint64_t secret[2] = {1, 2};
    struct keys keys;
    uint64_t known = 0, passes = 0, index;
    keys_init(&keys, secret, 5000);
    do {
        for (uint64_t i = 0; i < 2000; i++) {
            const struct firn_slice key = {&i, sizeof i};
            assert_int_equal(keys_put(&keys, keys_hash(&keys, &key), i), 0);
            assert_int_equal(keys_put(&keys, keys_hash(&keys, &key), i + 7), 0);
        }
        for (uint64_t i = 0; i < 2000; i++) {
            const struct firn_slice key = {&i, sizeof i};
            if (!keys_get(&keys, keys_hash(&keys, &key), &index))
                continue;
            assert_int_equal(index, i + 7);
            known++;
        }
        assert_true(keys.count <= keys.most && keys.count > 0);
        passes++;
    } while (keys_advance(&keys));
    assert_int_equal(known, 2000);
    assert_in_range(passes, 13, 40);
    keys_done(&keys);
}

static void test_read_only(void **state)
{
    struct fixture *f = *state;
    struct firn_log *log;
    struct firn_log_options options = {.disk = f->disk, .read_only = true};
    OK(firn_log_open("log", &options, &log, &f->err));
    assert_int_equal(firn_log_compact(log, NULL, NULL, &f->err), FIRN_EREADONLY);
    assert_int_equal(firn_log_set_compaction(log, NULL, 0, &f->err), FIRN_EREADONLY);
    OK(firn_log_close(log, &f->err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    const struct CMUnitTest tests[] = {
        TEST(test_last_of_each_key), TEST(test_in_little_memory),
        TEST(test_tombstones),       TEST(test_beside_removal_and_truncation),
        TEST(test_cursor_meanwhile), TEST(test_background),
        TEST(test_read_only),        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
