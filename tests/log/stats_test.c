/* SPDX-License-Identifier: MIT */
/* That what a log counts is what was done to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <firn/firn.h>

enum { EACH = 10, RECORDS = 35 };

static void append(struct firn_log *log, size_t count)
{
    struct firn_record records[5] = {0};
    for (size_t i = 0; i < count; i++)
        records[i].value = (struct firn_slice){"value", 5};
    assert_int_equal(firn_log_append(log, records, count, NULL, NULL, NULL), 0);
}

static struct firn_log *open_log(struct firn_disk *disk, struct firn_env *env, bool read_only)
{
    struct firn_log_options options = {
        .disk = disk, .env = env, .segment_records = EACH, .read_only = read_only};
    struct firn_log *log;
    assert_int_equal(firn_log_open("log", &options, &log, NULL), 0);
    return log;
}

static struct firn_log_stats stats_of(struct firn_log *log)
{
    struct firn_log_stats stats;
    memset(&stats, 0xff, sizeof stats);
    firn_log_get_stats(log, &stats);
    return stats;
}

static void read_at(struct firn_log *log, uint64_t index)
{
    struct firn_record *record;
    assert_int_equal(firn_log_read(log, index, &record, NULL), 0);
    firn_record_free(record);
}

static void check_changes(struct firn_log *log)
{
    assert_int_equal(firn_log_truncate(log, RECORDS - 2, NULL), 0);
    assert_int_equal(firn_log_truncate(log, RECORDS, NULL), FIRN_ERANGE);
    assert_int_equal(firn_log_remove_before(log, EACH + 1, NULL), 0);
    assert_int_equal(firn_log_remove_before(log, EACH, NULL), 0); /* nothing to do */
    struct firn_retention retention = {.max_records = 5};
    assert_int_equal(firn_log_trim(log, &retention, true, NULL, NULL), 0);
    assert_int_equal(stats_of(log).trims, 0);
    assert_int_equal(firn_log_trim(log, &retention, false, NULL, NULL), 0);
    struct firn_log_stats stats = stats_of(log);
    assert_int_equal(stats.truncations, 1);
    assert_int_equal(stats.removals, 2);
    assert_int_equal(stats.trims, 1);
    assert_int_equal(stats.segments_removed, 2);
}

static void what_was_done_is_counted(void **state)
{
    (void)state;
    static const struct firn_env_options manual = {.manual = true};
    struct firn_disk *disk;
    struct firn_env *env;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    assert_int_equal(firn_env_new(&manual, &env, NULL), 0);
    struct firn_log *log = open_log(disk, env, false);
    assert_int_equal(stats_of(log).appends, 0);
    for (int i = 0; i < RECORDS / 5; i++)
        append(log, 5);
    struct firn_log_stats stats = stats_of(log);
    assert_int_equal(stats.appends, RECORDS / 5);
    assert_int_equal(stats.records, RECORDS);
    struct firn_log_info info;
    assert_int_equal(firn_log_get_info(log, &info, NULL), 0);
    assert_int_equal(stats.bytes, info.bytes);
    assert_int_equal(stats.rotations, (RECORDS + EACH - 1) / EACH);
    firn_env_run(env);
    stats = stats_of(log);
    assert_true(stats.checkpoints > 0 && stats.settle_ns.count > 0);
    uint64_t read = stats.batches_read;
    read_at(log, 0);
    read_at(log, EACH);
    stats = stats_of(log);
    assert_int_equal(stats.batches_read, read + 2);
    assert_int_equal(stats.damaged_reads, 0);
    assert_true(stats.open_files > 0 && stats.file_opens >= stats.open_files);

    struct firn_log *follower = open_log(disk, NULL, true);
    uint64_t refreshes = stats_of(follower).refreshes;
    append(log, 1);
    read_at(follower, RECORDS);
    assert_int_equal(stats_of(follower).refreshes, refreshes + 1);
    assert_int_equal(stats_of(follower).appends, 0);
    const struct firn_position position = {.name = "a", .index = 3};
    for (int i = 0; i < 2; i++)
        assert_int_equal(firn_log_commit_positions(follower, &position, 1, NULL), 0);
    assert_int_equal(firn_log_remove_position(follower, "b", NULL), FIRN_ENOENT);
    assert_int_equal(stats_of(follower).position_commits, 2);
    assert_int_equal(stats_of(follower).position_stores, 2);
    assert_int_equal(stats_of(follower).sleeps, 0);
    assert_int_equal(firn_log_wait(follower, 1000, 20000, NULL), FIRN_ETIMEDOUT);
    assert_true(stats_of(follower).sleeps > 0);
    assert_int_equal(firn_log_close(follower, NULL), 0);
    check_changes(log);
    assert_int_equal(firn_log_close(log, NULL), 0);
    firn_env_free(env);
    firn_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_done_is_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
