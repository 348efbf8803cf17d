/* SPDX-License-Identifier: MIT */
/*
 * A full disk, in the simulator and really (a small tmpfs, mounted in a namespace of this process
 * alone; skipped where that is not permitted): appends stop, removal and truncation go on, also of
 * a part of a compressed batch, the log can be closed and opened, and appends go on when there is
 * room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#include <sys/mount.h>
#endif

#include <cmocka.h>

#include <firn/faulty.h>
#include <firn/firn.h>

#include "base/codec.h"

enum { GROUP = 16, VALUE = 1500, SEGMENT = 256 * 1024, MOST = 100000 };

struct place {
    struct firn_faulty *faulty; /* NULL: really */
    char dir[64];
    char filler[80];
    struct firn_env *env;
    struct firn_log *log;
};

/* ---- room ---- */

static void fill_really(const char *path)
{
    static char bytes[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof bytes) > 0)
        continue;
    assert_int_equal(close(fd), 0);
}

static void take_room(struct place *place)
{
    struct firn_faulty_counts counts;
    if (!place->faulty) {
        fill_really(place->filler);
        return;
    }
    firn_faulty_get_counts(place->faulty, &counts);
    firn_faulty_set_capacity(place->faulty, counts.used);
}

static void give_room(struct place *place)
{
    if (place->faulty)
        firn_faulty_set_capacity(place->faulty, UINT64_MAX);
    else
        assert_int_equal(unlink(place->filler), 0);
}

/* ---- the log ---- */

static void open_log(struct place *place)
{
    struct firn_error err = {0};
    struct firn_log_options options = {
        .disk = place->faulty ? firn_faulty_disk(place->faulty) : NULL,
        .env = place->env,
        .segment_bytes = SEGMENT,
        .compression = codec_can_pack(FIRN_COMPRESSION_ZSTD)  ? FIRN_COMPRESSION_ZSTD
                       : codec_can_pack(FIRN_COMPRESSION_LZ4) ? FIRN_COMPRESSION_LZ4
                                                              : FIRN_COMPRESSION_NONE,
    };
    if (firn_log_open(place->dir, &options, &place->log, &err) < 0)
        fail_msg("%s", err.message);
}

/* Half of a value can be compressed. */
static void make_value(uint64_t index, uint8_t value[VALUE])
{
    uint64_t x = index * UINT64_C(0x9e3779b97f4a7c15) + 1;
    memset(value, 'x', VALUE);
    for (size_t i = 0; i < VALUE / 2; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        value[i] = (uint8_t)x;
    }
}

static uint64_t next_index(struct place *place)
{
    struct firn_log_info info;
    assert_int_equal(firn_log_get_info(place->log, &info, NULL), 0);
    return info.next_index;
}

static int append_group(struct place *place)
{
    static uint8_t values[GROUP][VALUE];
    struct firn_record records[GROUP] = {0};
    uint64_t next = next_index(place);
    for (size_t i = 0; i < GROUP; i++) {
        make_value(next + i, values[i]);
        records[i].value = (struct firn_slice){values[i], VALUE};
    }
    return firn_log_append(place->log, records, GROUP, NULL, NULL, NULL);
}

static void append_until_full(struct place *place)
{
    int rc = 0;
    take_room(place);
    for (int i = 0; rc == 0 && i < MOST; i++)
        rc = append_group(place);
    assert_int_equal(rc, FIRN_ENOSPC);
    firn_env_run(place->env); /* must not make it worse */
    take_room(place);
    assert_int_equal(append_group(place), FIRN_ENOSPC);
}

static void check_records(struct place *place, uint64_t from, uint64_t to)
{
    uint8_t value[VALUE];
    for (uint64_t i = from; i < to; i++) {
        struct firn_record *record;
        make_value(i, value);
        assert_int_equal(firn_log_read(place->log, i, &record, NULL), 0);
        assert_int_equal(record->value.size, VALUE);
        assert_memory_equal(record->value.data, value, VALUE);
        firn_record_free(record);
    }
    assert_int_equal(next_index(place), to);
}

static void work_on_a_full_disk(struct place *place)
{
    open_log(place);
    for (int i = 0; i < 60; i++)
        assert_int_equal(append_group(place), 0);
    firn_env_run(place->env);
    append_until_full(place);

    uint64_t end = next_index(place) - GROUP - GROUP / 2; /* in the middle of a batch */
    struct firn_error err = {0};
    if (firn_log_truncate(place->log, end, &err) < 0)
        fail_msg("%s", err.message);
    check_records(place, 0, end);
    append_until_full(place);
    end = next_index(place);
    uint64_t begin = 20 * GROUP + 5;
    assert_int_equal(firn_log_remove_before(place->log, begin, NULL), 0);
    check_records(place, begin, end);

    append_until_full(place);
    end = next_index(place);
    if (firn_log_close(place->log, &err) < 0)
        fail_msg("%s", err.message);
    take_room(place);
    open_log(place);
    struct firn_recovery recovery;
    firn_log_get_recovery(place->log, &recovery);
    assert_true(recovery.clean);
    check_records(place, begin, end);
    give_room(place);
    for (int i = 0; i < 20; i++)
        assert_int_equal(append_group(place), 0);
    firn_env_run(place->env);
    check_records(place, begin, end + (uint64_t)20 * GROUP);
    assert_int_equal(firn_log_verify(place->log, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(firn_log_close(place->log, NULL), 0);
}

static void in_the_simulator(void **state)
{
    (void)state;
    static const struct firn_env_options manual = {.manual = true};
    struct place place = {.dir = "log"};
    assert_int_equal(firn_faulty_new(NULL, &place.faulty, NULL), 0);
    assert_int_equal(firn_env_new(&manual, &place.env, NULL), 0);
    work_on_a_full_disk(&place);
    assert_int_equal(firn_env_free(place.env), 0);
    firn_faulty_free(place.faulty);
}

/* The power goes while something is written; what is torn is copied aside. */
static bool lose_power(uint64_t seed)
{
    static const struct firn_env_options manual = {.manual = true};
    struct firn_faulty_counts counts;
    struct firn_recovery recovery;
    struct place place = {.dir = "log"};
    assert_int_equal(firn_faulty_new(NULL, &place.faulty, NULL), 0);
    assert_int_equal(firn_env_new(&manual, &place.env, NULL), 0);
    open_log(&place);
    for (int i = 0; i < 20; i++)
        assert_int_equal(append_group(&place), 0);
    firn_env_run(place.env);
    uint64_t end = next_index(&place);
    firn_faulty_get_counts(place.faulty, &counts);
    firn_faulty_crash_at(place.faulty, counts.mutations + 1 + seed % 12);
    for (int i = 0; i < 12 && !firn_faulty_is_off(place.faulty); i++)
        end += append_group(&place) == 0 ? GROUP : 0;
    firn_log_close(place.log, NULL);
    assert_int_equal(firn_faulty_restart_random(place.faulty, seed, NULL), 0);
    take_room(&place);
    open_log(&place);
    firn_log_get_recovery(place.log, &recovery);
    assert_true(next_index(&place) >= end);
    check_records(&place, 0, next_index(&place));
    assert_int_equal(firn_log_remove_before(place.log, end / 2, NULL), 0);
    assert_int_equal(firn_log_close(place.log, NULL), 0);
    assert_int_equal(firn_env_free(place.env), 0);
    firn_faulty_free(place.faulty);
    return recovery.cut_bytes > 0;
}

static void after_a_loss_of_power(void **state)
{
    (void)state;
    unsigned torn = 0;
    for (uint64_t seed = 1; seed <= 60; seed++)
        torn += lose_power(seed);
    assert_true(torn > 5);
}

/* ---- really ---- */

#if defined(__linux__)

static bool mount_small(const char *dir)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", dir, "tmpfs", 0, "size=6m") == 0;
}

static void on_a_small_file_system(void **state)
{
    (void)state;
    static const struct firn_env_options manual = {.manual = true};
    char dir[] = "/tmp/firn-space-XXXXXX";
    struct place place = {0};
    assert_non_null(mkdtemp(dir));
    if (!mount_small(dir)) {
        (void)rmdir(dir);
        skip();
    }
    snprintf(place.dir, sizeof place.dir, "%s/log", dir);
    snprintf(place.filler, sizeof place.filler, "%s/filler", dir);
    assert_int_equal(firn_env_new(&manual, &place.env, NULL), 0);
    work_on_a_full_disk(&place);
    assert_int_equal(firn_env_free(place.env), 0);
    assert_int_equal(umount(dir), 0);
    (void)rmdir(dir);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_simulator),
        cmocka_unit_test(after_a_loss_of_power),
#if defined(__linux__)
        cmocka_unit_test(on_a_small_file_system),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
