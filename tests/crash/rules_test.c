/* SPDX-License-Identifier: MIT */
/*
 * The scenarios that broke a design once, by the number of the rule that forbids them:
 *
 * 1   failed_sync_then_reopen, killed_then_reopen
 * 2   failed_zeroing_is_not_the_writers
 * 3   thin_volume_poisons
 * 5   stale_batch_behind_zeros
 * 6   damaged_middle_is_kept, torn_unless_a_later_batch_says_otherwise
 * 7   a_batch_inside_a_value, flipped_generation
 * 8   rotation_at_every_point
 * 9   bytes_behind_the_clean_marker
 * 10  truncation_at_every_point
 * 11  removal_at_every_point, destruction_at_every_point
 * 13  stale_indexes_count_for_nothing
 * 19  a_position_in_the_page_cache_only
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log/batch.h"
#include "machine.h"

#define STORE MACHINE_DIR "/00000000000000000000.log"

enum { SEGMENT = 640 };

static void start(struct machine *machine, enum firn_durability durability, uint64_t segment)
{
    machine_init(machine, durability, segment);
    assert_int_equal(machine_open(machine), 0);
}

static void check_open(struct machine *machine)
{
    if (machine_open(machine) < 0)
        fail_msg("opening: %s", machine->err.message);
    if (!machine_check(machine))
        fail_msg("%s", machine->why);
}

static void check_life(struct machine *machine)
{
    if (!machine_check_life(machine))
        fail_msg("%s", machine->why);
}

static uint64_t next_index(struct machine *machine)
{
    struct firn_log_info info;
    int rc = firn_log_get_info(machine->log, &info, NULL);
    assert_true(rc == 0 || rc == FIRN_EDAMAGED); /* of times; the rest is filled in */
    return info.next_index;
}

/* The page cache shows what the disk has not got: once a reader was told, it must stay. */
static void lose_power_after_telling(struct machine *machine)
{
    check_open(machine);
    assert_int_equal(next_index(machine), 3);
    firn_faulty_power_off(machine->faulty);
    machine_close(machine);
    assert_int_equal(firn_faulty_restart(machine->faulty, 0, NULL), 0);
    check_life(machine);
    machine_done(machine);
}

static void failed_sync_then_reopen(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_faulty_fault lost = {.what = FIRN_FAULTY_LOSE,
                                     .ops = FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITE_DURABLE,
                                     .times = FIRN_FAULTY_ALWAYS};
    start(&machine, FIRN_DURABILITY_OS, 65536);
    for (int i = 0; i < 3; i++)
        assert_int_equal(machine_do(&machine, 'a'), 0);
    assert_int_equal(firn_faulty_fail(machine.faulty, &lost, NULL, NULL), 0);
    assert_int_equal(machine_only(&machine, 'f', 0), FIRN_EPOISONED);
    firn_faulty_clear(machine.faulty, 0);
    assert_int_equal(machine_close(&machine), FIRN_EPOISONED);
    lose_power_after_telling(&machine);
}

static void killed_then_reopen(void **state)
{
    (void)state;
    struct machine machine;
    start(&machine, FIRN_DURABILITY_OS, 65536);
    for (int i = 0; i < 3; i++)
        assert_int_equal(machine_do(&machine, 'a'), 0);
    firn_faulty_kill(machine.faulty);
    machine_close(&machine);
    lose_power_after_telling(&machine);
}

static void failed_zeroing_is_not_the_writers(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_faulty_fault lost = {.what = FIRN_FAULTY_FAIL, .ops = FIRN_FAULTY_SYNC};
    start(&machine, FIRN_DURABILITY_EACH, 1024 * 1024);
    assert_int_equal(machine_do(&machine, 'a'), 0);
    assert_int_equal(firn_faulty_fail(machine.faulty, &lost, NULL, NULL), 0);
    assert_int_equal(firn_log_prepare(machine.log, 500000, NULL), FIRN_EIO);
    firn_faulty_clear(machine.faulty, 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(machine_do(&machine, 'g'), 0);
    firn_faulty_power_off(machine.faulty);
    machine_close(&machine);
    assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
    check_life(&machine);
    machine_done(&machine);
}

static void thin_volume_poisons(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_faulty_counts counts;
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    assert_int_equal(machine_do(&machine, 'a'), 0);
    firn_faulty_get_counts(machine.faulty, &counts);
    firn_faulty_set_backing(machine.faulty, 0);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 40; i++)
        rc = machine_only(&machine, 'a', 4000);
    assert_int_equal(rc, FIRN_EPOISONED);
    firn_faulty_set_backing(machine.faulty, UINT64_MAX);
    assert_int_equal(machine_only(&machine, 'a', 0), FIRN_EPOISONED);
    machine_close(&machine);
    assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
    check_life(&machine);
    machine_done(&machine);
}

/* Each outcome of a loss of power at each point of one operation. */
static void everywhere(enum firn_durability durability, uint64_t segment, const char *setup,
                       char operation, size_t then_bytes)
{
    for (uint64_t point = 1;; point++) {
        struct machine machine, after;
        struct firn_faulty_counts counts;
        start(&machine, durability, segment);
        for (const char *c = setup; *c; c++)
            assert_int_equal(machine_only(&machine, *c, 600), 0);
        firn_faulty_get_counts(machine.faulty, &counts);
        firn_faulty_crash_at(machine.faulty, counts.mutations + point);
        machine_only(&machine, operation, 600);
        bool off = firn_faulty_is_off(machine.faulty);
        machine_close(&machine);
        uint64_t outcomes = firn_faulty_outcomes(machine.faulty);
        for (uint64_t which = 0; off && which < outcomes && which < 1024; which++) {
            machine_copy(&machine, &after);
            assert_int_equal(firn_faulty_restart(after.faulty, which, NULL), 0);
            check_open(&after);
            assert_int_equal(machine_only(&after, 'a', then_bytes), 0);
            assert_int_equal(machine_only(&after, 'f', 0), 0);
            firn_faulty_power_off(after.faulty);
            machine_close(&after);
            assert_int_equal(firn_faulty_restart(after.faulty, 0, NULL), 0);
            check_life(&after);
            machine_done(&after);
        }
        machine_done(&machine);
        if (!off)
            return;
    }
}

/* Of two batches only the second survives; then another of the first one's size is appended. */
static void stale_batch_behind_zeros(void **state)
{
    (void)state;
    everywhere(FIRN_DURABILITY_OS, 65536, "fggg", 'f', 600);
    everywhere(FIRN_DURABILITY_EACH, 65536, "aa", 'g', 600);
}

static void rotation_at_every_point(void **state)
{
    (void)state;
    everywhere(FIRN_DURABILITY_EACH, 1024, "a", 'a', 30);
    everywhere(FIRN_DURABILITY_OS, 1024, "aa", 'f', 30);
}

static void truncation_at_every_point(void **state)
{
    (void)state;
    everywhere(FIRN_DURABILITY_EACH, 4096, "gaga", 't', 30);
    everywhere(FIRN_DURABILITY_EACH, 1024, "aaaa", 't', 30);
}

static void removal_at_every_point(void **state)
{
    (void)state;
    everywhere(FIRN_DURABILITY_EACH, 1024, "aaaa", 'b', 30);
}

/* Records that can be read, of those below `next`. */
static uint64_t count_readable(struct machine *machine, uint64_t next)
{
    struct firn_record *record;
    uint64_t readable = 0;
    const struct model_state *last = model_last(&machine->model);
    for (uint64_t index = 0; index < next; index++) {
        if (firn_log_read(machine->log, index, &record, NULL) < 0)
            continue;
        assert_true(model_equals(last->stamps[index], record));
        firn_record_free(record);
        readable++;
    }
    return readable;
}

static void flip_and_open(struct machine *machine, uint64_t byte)
{
    firn_faulty_power_off(machine->faulty);
    machine_close(machine);
    assert_int_equal(firn_faulty_restart(machine->faulty, 0, NULL), 0);
    assert_int_equal(firn_faulty_flip_bit(machine->faulty, STORE, byte, 3, NULL), 0);
    assert_int_equal(machine_open(machine), 0);
}

static void damaged_middle_is_kept(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_recovery recovery;
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    for (int i = 0; i < 4; i++)
        assert_int_equal(machine_only(&machine, 'a', 100), 0);
    flip_and_open(&machine, 200); /* in the second batch */
    firn_log_get_recovery(machine.log, &recovery);
    assert_int_equal(recovery.damaged_ranges, 1);
    assert_int_equal(recovery.cut_bytes, 0);
    assert_int_equal(next_index(&machine), 4);
    assert_int_equal(count_readable(&machine, 4), 3);
    machine_done(&machine);
}

/*
 * One durable batch, and two that were written and never synced, the first of which is bad: torn,
 * if firn wrote the second, which says so; damage, if a client built it, since nothing else is
 * known of it then.
 */
static void bad_batch_before_a_good_one(bool client, struct firn_recovery *recovery)
{
    struct machine machine;
    struct batch second;
    void *store;
    size_t size, first;
    start(&machine, FIRN_DURABILITY_OS, 65536);
    assert_int_equal(machine_do(&machine, 'g'), 0);
    assert_int_equal(machine_do(&machine, 'f'), 0);
    assert_int_equal(
        firn_faulty_get(machine.faulty, STORE, FIRN_FAULTY_CURRENT, &store, &size, NULL), 0);
    assert_int_equal(batch_check(store, size, &second), BATCH_OK);
    first = second.bytes;
    free(store);
    assert_int_equal(machine_only(&machine, 'g', 100), 0);
    assert_int_equal(machine_only(&machine, 'g', 100), 0);
    machine_background(&machine);
    firn_faulty_kill(machine.faulty);
    machine_close(&machine);
    assert_int_equal(
        firn_faulty_get(machine.faulty, STORE, FIRN_FAULTY_CURRENT, &store, &size, NULL), 0);
    uint8_t *bad = (uint8_t *)store + first, *good;
    assert_int_equal(batch_check(bad, size - first, &second), BATCH_OK);
    good = bad + second.bytes;
    assert_int_equal(batch_check(good, size - first - second.bytes, &second), BATCH_OK);
    bad[80] ^= 1;
    second.producer_id = client ? 7 : -1;
    batch_put(good, &second);
    batch_set_crc(good, batch_crc(good, second.bytes));
    assert_int_equal(firn_faulty_put(machine.faulty, STORE, store, size, NULL), 0);
    free(store);
    assert_int_equal(machine_open(&machine), 0);
    firn_log_get_recovery(machine.log, recovery);
    assert_int_equal(next_index(&machine), client ? 9 : 3);
    assert_int_equal(count_readable(&machine, next_index(&machine)), client ? 6 : 3);
    machine_done(&machine);
}

static void torn_unless_a_later_batch_says_otherwise(void **state)
{
    (void)state;
    struct firn_recovery recovery;
    bad_batch_before_a_good_one(false, &recovery);
    assert_int_equal(recovery.damaged_ranges, 0);
    assert_true(recovery.cut_bytes > 0);
    bad_batch_before_a_good_one(true, &recovery);
    assert_int_equal(recovery.damaged_ranges, 1);
    assert_int_equal(recovery.cut_bytes, 0);
}

static void a_batch_inside_a_value(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_record *read;
    void *store;
    size_t size;
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    for (int i = 0; i < 3; i++)
        assert_int_equal(machine_only(&machine, 'a', 100), 0);
    assert_int_equal(
        firn_faulty_get(machine.faulty, STORE, FIRN_FAULTY_CURRENT, &store, &size, NULL), 0);
    uint64_t end = 0; /* a batch of record 0 to 2 as the value of record 3, and what follows it */
    for (int i = 0; i < 3; i++) {
        const unsigned char *b = (const unsigned char *)store + end;
        end += 12 + ((uint64_t)b[10] << 8 | b[11]);
    }
    ((unsigned char *)store)[7] = 4; /* a base that would fit behind the damage */
    struct firn_record record = {.timestamp = 1, .value = {store, (size_t)end}};
    assert_int_equal(firn_log_append(machine.log, &record, 1, NULL, NULL, NULL), 0);
    assert_int_equal(firn_log_append(machine.log, &record, 1, NULL, NULL, NULL), 0);
    flip_and_open(&machine, end + 30); /* in the header of record 3 */
    assert_int_equal(next_index(&machine), 5);
    assert_int_equal(firn_log_read(machine.log, 3, &read, NULL), FIRN_EDAMAGED);
    assert_int_equal(firn_log_read(machine.log, 4, &read, NULL), 0);
    assert_int_equal(read->value.size, end);
    firn_record_free(read);
    free(store);
    machine_done(&machine);
}

static void bytes_behind_the_clean_marker(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_recovery recovery;
    void *store;
    size_t size;
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    assert_int_equal(machine_do(&machine, 'a'), 0);
    assert_int_equal(machine_close(&machine), 0);
    assert_int_equal(
        firn_faulty_get(machine.faulty, STORE, FIRN_FAULTY_CURRENT, &store, &size, NULL), 0);
    unsigned char *longer = calloc(1, size + 100);
    assert_non_null(longer);
    memcpy(longer, store, size);
    longer[size + 50] = 1;
    assert_int_equal(firn_faulty_put(machine.faulty, STORE, longer, size + 100, NULL), 0);
    free(longer);
    free(store);
    check_open(&machine);
    firn_log_get_recovery(machine.log, &recovery);
    assert_false(recovery.clean);
    assert_int_equal(recovery.cut_bytes, 51);
    machine_close(&machine);
    check_life(&machine);
    machine_done(&machine);
}

static void stale_indexes_count_for_nothing(void **state)
{
    (void)state;
    struct machine machine;
    unsigned char wrong_places[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 90};
    unsigned char wrong_times[24] = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                     0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    start(&machine, FIRN_DURABILITY_EACH, SEGMENT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(machine_do(&machine, 'r'), 0);
    firn_faulty_power_off(machine.faulty);
    machine_close(&machine);
    assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
    assert_int_equal(firn_faulty_put(machine.faulty, MACHINE_DIR "/00000000000000000002.index",
                                     wrong_places, sizeof wrong_places, NULL),
                     0);
    assert_int_equal(firn_faulty_put(machine.faulty, MACHINE_DIR "/00000000000000000002.timeindex",
                                     wrong_times, sizeof wrong_times, NULL),
                     0);
    check_life(&machine);
    machine_done(&machine);
}

/*
 * No checksum covers a batch's generation, the bytes 12 to 15. Torn or flipped, it costs nothing:
 * not that batch, and not those behind it.
 */
static void flipped_generation(void **state)
{
    (void)state;
    struct machine machine;
    void *store;
    size_t size;
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    assert_int_equal(machine_do(&machine, 'a'), 0);
    assert_int_equal(machine_close(&machine), 0);
    assert_int_equal(
        firn_faulty_get(machine.faulty, STORE, FIRN_FAULTY_CURRENT, &store, &size, NULL), 0);
    free(store);
    check_open(&machine);
    for (int i = 0; i < 3; i++)
        assert_int_equal(machine_only(&machine, 'a', 0), 0);
    firn_faulty_power_off(machine.faulty);
    machine_close(&machine);
    assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        struct machine flipped;
        struct firn_recovery recovery;
        uint64_t batch = bit < 32 ? 0 : size; /* before the checkpoint, and behind it */
        machine_copy(&machine, &flipped);
        assert_int_equal(
            firn_faulty_flip_bit(flipped.faulty, STORE, batch + 12 + bit / 8 % 4, bit % 8, NULL),
            0);
        assert_int_equal(machine_open(&flipped), 0);
        firn_log_get_recovery(flipped.log, &recovery);
        assert_int_equal(recovery.damaged_ranges, 0);
        assert_int_equal(recovery.cut_bytes, 0);
        assert_int_equal(next_index(&flipped), 4);
        assert_int_equal(count_readable(&flipped, 4), 4);
        if (batch)
            assert_int_equal(firn_log_verify(flipped.log, NULL, NULL, NULL, &flipped.err), 0);
        machine_done(&flipped);
    }
    machine_done(&machine);
}

/* The last segment, or all of them, taken away: a hole, for ever, and no index is given twice. */
static void missing_segments(void **state)
{
    (void)state;
    for (uint64_t keep = 0; keep < 3; keep++) {
        struct machine machine;
        struct firn_cursor *cursor;
        const struct firn_record *record;
        struct firn_hole hole;
        start(&machine, FIRN_DURABILITY_EACH, SEGMENT);
        for (int i = 0; i < 3; i++)
            assert_int_equal(machine_do(&machine, 'r'), 0);
        assert_int_equal(machine_close(&machine), 0);
        struct firn_disk *disk = firn_faulty_disk(machine.faulty);
        for (uint64_t base = keep; base < 3; base++) {
            char path[64];
            snprintf(path, sizeof path, MACHINE_DIR "/%020llu.log", (unsigned long long)base);
            assert_int_equal(disk->ops->remove(disk, path, NULL), 0);
        }
        for (uint64_t life = 0; life < 3; life++) {
            assert_int_equal(machine_open(&machine), 0);
            assert_int_equal(next_index(&machine), 3 + life);
            assert_int_equal(count_readable(&machine, 3), keep);
            assert_int_equal(firn_cursor_open(machine.log, NULL, &cursor, NULL), 0);
            for (uint64_t i = 0; i < keep; i++)
                assert_int_equal(firn_cursor_next(cursor, &record, NULL), 0);
            assert_int_equal(firn_cursor_next(cursor, &record, NULL), FIRN_EDAMAGED);
            assert_int_equal(firn_cursor_hole(cursor, &hole), 0);
            assert_int_equal(hole.first_index, keep);
            assert_int_equal(hole.next_index, 3);
            firn_cursor_close(cursor);
            if (firn_log_verify(machine.log, NULL, NULL, NULL, NULL) != FIRN_EDAMAGED)
                fail_msg("%llu kept, life %llu: verify finds nothing", (unsigned long long)keep,
                         (unsigned long long)life);
            assert_int_equal(machine_only(&machine, 'a', 0), 0);
            assert_int_equal(machine_close(&machine), 0);
        }
        machine_done(&machine);
    }
}

/* Destroyed half-way, it is whole, empty, or gone; never a part of it, never damaged. */
static void check_destroyed(struct machine *machine, uint64_t held)
{
    struct firn_log_info info;
    struct firn_recovery recovery;
    struct firn_position position;
    if (machine_open(machine) < 0)
        fail_msg("opening: %s", machine->err.message);
    assert_int_equal(firn_log_get_info(machine->log, &info, NULL), 0);
    assert_int_equal(info.damaged_ranges, 0);
    firn_log_get_recovery(machine->log, &recovery);
    int rc = firn_log_get_position(machine->log, "first", &position, NULL);
    assert_true(rc == FIRN_ENOENT || (rc == 0 && !recovery.created));
    if (info.lowest_index != info.next_index) {
        assert_int_equal(info.next_index, held);
        assert_int_equal(count_readable(machine, held), held);
    }
    assert_int_equal(firn_log_verify(machine->log, NULL, NULL, NULL, NULL), 0);
    struct firn_record record = {.timestamp = 1};
    assert_int_equal(firn_log_append(machine->log, &record, 1, NULL, NULL, NULL), 0);
    firn_log_close(machine->log, NULL);
    machine->log = NULL;
    assert_int_equal(firn_env_free(machine->env), 0);
    machine->env = NULL;
    machine_done(machine);
}

static void destruction_at_every_point(void **state)
{
    (void)state;
    bool off = true;
    for (uint64_t point = 1; off; point++) {
        struct machine machine, after;
        struct firn_faulty_counts counts;
        start(&machine, FIRN_DURABILITY_EACH, SEGMENT);
        for (int i = 0; i < 3; i++)
            assert_int_equal(machine_do(&machine, 'r'), 0);
        assert_int_equal(machine_do(&machine, 'n'), 0);
        firn_faulty_get_counts(machine.faulty, &counts);
        firn_faulty_crash_at(machine.faulty, counts.mutations + point);
        firn_log_destroy(machine.log, NULL);
        machine.log = NULL;
        assert_int_equal(firn_env_free(machine.env), 0);
        off = firn_faulty_is_off(machine.faulty);
        uint64_t outcomes = firn_faulty_outcomes(machine.faulty);
        for (uint64_t which = 0; off && which < outcomes && which < 1024; which++) {
            machine_copy(&machine, &after);
            assert_int_equal(firn_faulty_restart(after.faulty, which, NULL), 0);
            check_destroyed(&after, 3);
        }
        machine_done(&machine);
    }
}

/* Retention believes a position that another handle could not make durable: then it must last. */
static void a_position_in_the_page_cache_only(void **state)
{
    (void)state;
    struct machine machine;
    struct firn_log *reader;
    struct firn_position position = {.name = "first", .index = 2};
    const struct firn_retention keep = {.max_records = 1, .keep_unread = true};
    struct firn_faulty_fault lost = {.what = FIRN_FAULTY_FAIL, .ops = FIRN_FAULTY_SYNC_DIR};
    start(&machine, FIRN_DURABILITY_EACH, 65536);
    for (int i = 0; i < 6; i++)
        assert_int_equal(machine_do(&machine, 'a'), 0);
    const struct firn_log_options options = {.disk = firn_faulty_disk(machine.faulty),
                                             .read_only = true};
    assert_int_equal(firn_log_open(MACHINE_DIR, &options, &reader, NULL), 0);
    assert_int_equal(firn_log_commit_positions(reader, &position, 1, NULL), 0);
    assert_int_equal(firn_faulty_fail(machine.faulty, &lost, NULL, NULL), 0);
    position.index = 5;
    assert_int_equal(firn_log_commit_positions(reader, &position, 1, NULL), FIRN_EIO);
    firn_faulty_clear(machine.faulty, 0);
    assert_int_equal(firn_log_trim(machine.log, &keep, false, NULL, NULL), 0);
    firn_log_close(reader, NULL);
    firn_faulty_power_off(machine.faulty);
    machine_close(&machine);
    assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
    assert_int_equal(machine_open(&machine), 0);
    struct firn_log_info info;
    assert_int_equal(firn_log_get_info(machine.log, &info, NULL), 0);
    assert_int_equal(info.lowest_index, 5);
    assert_int_equal(firn_log_get_position(machine.log, "first", &position, NULL), 0);
    assert_int_equal(position.index, 5);
    machine_done(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_generation),
        cmocka_unit_test(missing_segments),
        cmocka_unit_test(torn_unless_a_later_batch_says_otherwise),
        cmocka_unit_test(destruction_at_every_point),
        cmocka_unit_test(failed_sync_then_reopen),
        cmocka_unit_test(killed_then_reopen),
        cmocka_unit_test(failed_zeroing_is_not_the_writers),
        cmocka_unit_test(thin_volume_poisons),
        cmocka_unit_test(stale_batch_behind_zeros),
        cmocka_unit_test(damaged_middle_is_kept),
        cmocka_unit_test(a_batch_inside_a_value),
        cmocka_unit_test(rotation_at_every_point),
        cmocka_unit_test(bytes_behind_the_clean_marker),
        cmocka_unit_test(truncation_at_every_point),
        cmocka_unit_test(removal_at_every_point),
        cmocka_unit_test(stale_indexes_count_for_nothing),
        cmocka_unit_test(a_position_in_the_page_cache_only),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
