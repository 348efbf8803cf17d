/* SPDX-License-Identifier: MIT */
/* Which indexes stay in memory, while segments go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "log/log_private.h"

enum { RECORDS = 60, DEADLOCK_S = 60 };

static void touch(struct firn_log *log, uint64_t index)
{
    const struct firn_cursor_options options = {.from = index};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    assert_int_equal(firn_cursor_open(log, &options, &cursor, NULL), 0);
    assert_int_equal(firn_cursor_next(cursor, &record, NULL), 0);
    assert_int_equal(record->index, index);
    firn_cursor_close(cursor);
}

static uint64_t base_of(struct firn_log *log, size_t segment)
{
    int phase = grace_enter(&log->grace);
    uint64_t base = atomic_load(&log->list)->at[segment]->base;
    grace_exit(&log->grace, phase);
    return base;
}

/*
 * Two segments whose indexes are in memory leave the log while a reader holds the list with them.
 * The reader leaves; an index is loaded, so the oldest one has to go, and with it all that waited
 * for the reader: among it the other segment, which is still in the order of indexes.
 */
static void test_evicting_while_segments_go(void **state)
{
    (void)state;
    struct firn_disk *disk;
    struct firn_log *log;
    char value[100] = {0};
    const struct firn_record record = {.value = {value, sizeof value}};
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    struct firn_log_options options = {.disk = disk, .segment_bytes = 512, .cached_indexes = 2};
    assert_int_equal(firn_log_open("log", &options, &log, NULL), 0);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(firn_log_append(log, &record, 1, NULL, NULL, NULL), 0);
    assert_int_equal(firn_log_close(log, NULL), 0);
    assert_int_equal(firn_log_open("log", &options, &log, NULL), 0);
    uint64_t third = base_of(log, 2), fourth = base_of(log, 3);
    touch(log, base_of(log, 0));
    touch(log, base_of(log, 1));
    int phase = grace_enter(&log->grace);
    assert_int_equal(firn_log_remove_before(log, third, NULL), 0);
    grace_exit(&log->grace, phase);
    alarm(DEADLOCK_S);
    touch(log, third);
    touch(log, fourth);
    struct firn_log_stats stats;
    firn_log_get_stats(log, &stats);
    assert_in_range(stats.indexes, 1, 3);
    assert_int_equal(firn_log_close(log, NULL), 0);
    alarm(0);
    firn_disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evicting_while_segments_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
