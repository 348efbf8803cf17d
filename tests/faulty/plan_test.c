/* SPDX-License-Identifier: MIT */
/* Faults by plan. */
#include <time.h>

#include "support.h"

/* ---- errors -------------------------------------------------------------------------------- */

static void test_each_kind_fails(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    put_text(sim, "f", "abc");
    OK(name_make_dir(sim, "d"));
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_file *other = NULL;
    struct firn_lock *lock = NULL;
    struct firn_share *share = NULL;
    struct firn_event *event = NULL;
    struct firn_entry entry;
    void *memory = NULL;
    uint64_t bytes = 0;
    size_t done = 0;
    char text[8];
    int fd = -1;
    (void)fault_add_always(sim, FIRN_FAULTY_FAIL, 0, FIRN_EIO);
    FAILS(FIRN_EIO, disk->ops->open(disk, "f", FIRN_OPEN_READ, &other, NULL));
    FAILS(FIRN_EIO, disk->ops->open(disk, "g", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &other, NULL));
    FAILS(FIRN_EIO, file_read(file, text, 3, 0, &done));
    FAILS(FIRN_EIO, file_write(file, "x", 1, 0));
    FAILS(FIRN_EIO, file_write_durable(file, "x", 1, 0));
    FAILS(FIRN_EIO, file_sync(file));
    FAILS(FIRN_EIO, file_reserve(file, 0, 100));
    FAILS(FIRN_EIO, file_truncate(file, 0));
    FAILS(FIRN_EIO, file->ops->writeback_start(file, 0, 3, NULL));
    FAILS(FIRN_EIO, file->ops->writeback_await(file, 0, 3, NULL));
    FAILS(FIRN_EIO, file->ops->size_of(file, &bytes, NULL));
    FAILS(FIRN_EIO, disk->ops->stat(disk, "f", &entry, NULL));
    FAILS(FIRN_EIO, disk->ops->list(disk, "", NULL, NULL, NULL));
    FAILS(FIRN_EIO, name_make_dir(sim, "e"));
    FAILS(FIRN_EIO, name_remove(sim, "f"));
    FAILS(FIRN_EIO, disk->ops->remove_dir(disk, "d", NULL));
    FAILS(FIRN_EIO, name_rename(sim, "f", "g"));
    FAILS(FIRN_EIO, name_sync_dir(sim, ""));
    FAILS(FIRN_EIO, disk->ops->make_link(disk, "x", "l", NULL));
    FAILS(FIRN_EIO, disk->ops->read_link(disk, "l", text, sizeof(text), NULL));
    FAILS(FIRN_EIO, disk->ops->lock(disk, "f", &lock, NULL, NULL));
    FAILS(FIRN_EIO, disk->ops->share(disk, "f", 3, false, &share, &memory, NULL));
    FAILS(FIRN_EIO, disk->ops->event_new(disk, &event, &fd, NULL));
    FAILS(FIRN_EIO, disk->ops->free_space(disk, "", &bytes, NULL));
    firn_faulty_clear(sim, 0);
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "abc");
    assert_false(name_exists(sim, "g"));
    assert_true(name_exists(sim, "d"));
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(sim, &counts);
    assert_int_equal(counts.files, 1);
    assert_int_equal(counts.locks + counts.shares + counts.events, 0);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_which_operations_are_hit(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "a.log", "");
    put_text(sim, "a.index", "");
    struct firn_file *log = file_open(sim, "/a.log", FIRN_OPEN_WRITE);
    struct firn_file *index = file_open(sim, "a.index", FIRN_OPEN_WRITE);
    struct firn_faulty_fault fault = {
        .ops = FIRN_FAULTY_WRITE,
        .path = "*.log",
        .offset = 1000,
        .length = 10,
        .at = 2,
        .times = 2,
        .code = FIRN_ENOSPC,
    };
    int id = 0;
    OK(firn_faulty_fail(sim, &fault, &id, NULL));
    OK(file_fill(index, 1, 100, 990));
    OK(file_fill(log, 1, 100, 990)); /* fits, the first time */
    OK(file_fill(log, 1, 1000, 0));  /* touches it not */
    OK(file_fill(log, 1, 10, 1010));
    OK(file_fill_durable(log, 1, 1, 1000));
    FAILS(FIRN_ENOSPC, file_fill(log, 1, 1, 1009));
    FAILS(FIRN_ENOSPC, file_fill(log, 1, 5000, 0));
    OK(file_fill(log, 1, 1, 1009));
    assert_int_equal(firn_faulty_hits(sim, id), 2);
    file_close(log);
    file_close(index);
    firn_faulty_free(sim);
}

static void test_error_has_words(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_error err = {.code = 0};
    (void)fault_add_always(sim, FIRN_FAULTY_FAIL, FIRN_FAULTY_MAKE_DIR, FIRN_ENOSPC);
    FAILS(FIRN_ENOSPC, disk->ops->make_dir(disk, "/d", &err));
    assert_int_equal(err.code, FIRN_ENOSPC);
    assert_true(err.os_error != 0);
    assert_string_equal(err.message, "d: make_dir failed: no space left on the device (fault 1)");
    firn_faulty_free(sim);
}

static void test_wrong_faults_are_refused(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_faulty_fault no_call = {.what = FIRN_FAULTY_CALL};
    struct firn_faulty_fault no_bytes = {.what = FIRN_FAULTY_SHORT};
    struct firn_faulty_fault no_ops = {.what = FIRN_FAULTY_FLIP, .ops = FIRN_FAULTY_SYNC};
    FAILS(FIRN_EINVAL, firn_faulty_fail(sim, &no_call, NULL, NULL));
    FAILS(FIRN_EINVAL, firn_faulty_fail(sim, &no_bytes, NULL, NULL));
    FAILS(FIRN_EINVAL, firn_faulty_fail(sim, &no_ops, NULL, NULL));
    firn_faulty_free(sim);
}

static void test_short_reads_and_writes(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "0123456789");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_faulty_fault half = {
        .what = FIRN_FAULTY_SHORT, .bytes = FIRN_FAULTY_HALF, .times = 2};
    struct firn_faulty_fault one = {.what = FIRN_FAULTY_SHORT, .bytes = 1};
    char bytes[10];
    size_t done = 0;
    struct iovec iov[2] = {{bytes, 2}, {bytes + 2, 8}};
    OK(firn_faulty_fail(sim, &half, NULL, NULL));
    OK(file->ops->readv(file, iov, 2, 0, &done, NULL));
    assert_int_equal(done, 5);
    assert_memory_equal(bytes, "01234", 5);
    memcpy(bytes, "abcdefghij", 10);
    OK(file->ops->writev(file, iov, 2, 0, FIRN_WRITE_DURABLE, &done, NULL));
    assert_int_equal(done, 5);
    OK(firn_faulty_fail(sim, &one, NULL, NULL));
    OK(file->ops->writev(file, iov, 2, 9, FIRN_WRITE_DURABLE, &done, NULL));
    assert_int_equal(done, 1);
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "abcde5678a");
    struct firn_faulty_fault partial = {.what = FIRN_FAULTY_FAIL, .bytes = 3};
    OK(firn_faulty_fail(sim, &partial, NULL, NULL));
    FAILS(FIRN_EIO, file->ops->writev(file, iov, 2, 5, 0, &done, NULL));
    assert_int_equal(done, 3);
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "abcdeabc8a");
    file_close(file);
    firn_faulty_free(sim);
}

static void test_chance(void **state)
{
    (void)state;
    size_t hits[2] = {0, 0};
    for (size_t i = 0; i < 2; i++) {
        struct firn_faulty *sim = sim_new(7);
        struct firn_faulty_fault fault = {
            .ops = FIRN_FAULTY_STAT, .times = FIRN_FAULTY_ALWAYS, .chance = 250000};
        OK(firn_faulty_fail(sim, &fault, NULL, NULL));
        struct firn_entry entry;
        struct firn_disk *disk = firn_faulty_disk(sim);
        for (size_t k = 0; k < 1000; k++) {
            hits[i] = hits[i] * 31 + (disk->ops->stat(disk, "", &entry, NULL) != 0 ? k : 0);
        }
        assert_in_range(firn_faulty_hits(sim, 1), 150, 350);
        firn_faulty_free(sim);
    }
    assert_int_equal(hits[0], hits[1]);
}

/* ---- failed syncs -------------------------------------------------------------------------- */

static void test_failed_sync_leaves_clean_pages(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_SYNC);
    FAILS(FIRN_EIO, file_sync(file));
    OK(file_sync(file)); /* and pretends that all is well */
    file_close(file);
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
    /* kill, reopen: the page cache still has it, and another sync succeeds */
    firn_faulty_kill(sim);
    file = file_open(sim, "f", FIRN_OPEN_WRITE);
    char bytes[3];
    size_t done = 0;
    OK(file_read(file, bytes, 3, 0, &done));
    assert_memory_equal(bytes, "new", 3);
    OK(file_sync(file));
    file_close(file);
    /* it may have reached the disk, but then again */
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "old");
    firn_faulty_free(sim);
}

static void test_rewriting_lost_data_helps(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_SYNC);
    FAILS(FIRN_EIO, file_sync(file));
    OK(file_write_durable(file, "new", 3, 0));
    file_close(file);
    assert_int_equal(firn_faulty_outcomes(sim), 1);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    firn_faulty_free(sim);
}

static void test_lost_data_survives_in_part(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_reserve(file, 0, 2048));
    OK(file_sync(file));
    OK(file_fill(file, 'x', 2048, 0));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_SYNC);
    FAILS(FIRN_EIO, file_sync(file));
    OK(file_fill(file, 'y', 512, 512)); /* over a lost one; synced it can't come back */
    assert_int_equal(firn_faulty_outcomes(sim), 2 * 3 * 2 * 2);
    OK(file_sync(file));
    assert_int_equal(firn_faulty_outcomes(sim), 2 * 2 * 2);
    file_close(file);
    OK(firn_faulty_drop_caches(sim, NULL));
    expect_fill(sim, "f", 0, 512, 0);
    expect_fill(sim, "f", 'y', 512, 512);
    expect_fill(sim, "f", 0, 1024, 1024);
    firn_faulty_free(sim);
}

static void test_part_of_a_sector_is_lost(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaaaaa");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "111111", 6, 0));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE_DURABLE);
    FAILS(FIRN_EIO, file_write_durable(file, "22", 2, 2));
    OK(file_sync(file)); /* the error was reported; what is not lost is written */
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "112211");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "11aa11");
    file_close(file);
    const char *expected[] = {"11aa11", "111111", "112211"};
    assert_int_equal(firn_faulty_outcomes(sim), 3);
    for (uint64_t i = 0; i < 3; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        expect_text(copy, "f", FIRN_FAULTY_CURRENT, expected[i]);
        firn_faulty_free(copy);
    }
    firn_faulty_free(sim);
}

static void test_plain_failed_sync_loses_nothing(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    (void)fault_add(sim, FIRN_FAULTY_FAIL, FIRN_FAULTY_SYNC);
    FAILS(FIRN_EIO, file_sync(file));
    OK(file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "new");
    file_close(file);
    firn_faulty_free(sim);
}

static void test_error_is_reported_once_per_handle(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *a = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_file *b = file_open(sim, "f", FIRN_OPEN_READ);
    struct firn_file *d = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(a, "new", 3, 0));
    OK(firn_faulty_lose(sim, "f", 0, NULL)); /* behind everybody's back */
    struct firn_file *late = file_open(sim, "f", FIRN_OPEN_WRITE);
    FAILS(FIRN_EIO, file_write_durable(a, "x", 1, 3)); /* though it is durable */
    OK(file_sync(a));
    FAILS(FIRN_EIO, file_sync(b));
    OK(file_sync(b));
    FAILS(FIRN_EIO, d->ops->writeback_await(d, 0, 10, NULL));
    OK(file_sync(d));
    OK(file_sync(late));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "newx");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "oldx");
    file_close(a);
    file_close(b);
    file_close(d);
    file_close(late);
    firn_faulty_free(sim);
}

static void test_writeback_in_the_background_fails(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE);
    OK(file_write(file, "new", 3, 0)); /* the kernel finds out later */
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    FAILS(FIRN_EIO, file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
    OK(file_write(file, "now", 3, 0));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITEBACK);
    OK(file->ops->writeback_start(file, 0, 3, NULL));
    FAILS(FIRN_EIO, file->ops->writeback_await(file, 0, 3, NULL));
    OK(file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
    file_close(file);
    firn_faulty_free(sim);
}

/* Another thread's durable write on the same handle, in the middle of one that fails. */
struct intruder {
    struct firn_file *file;
    int rc;
    size_t calls;
};

static void intrude(void *arg, struct firn_faulty *sim, const struct firn_faulty_event *event)
{
    struct intruder *intruder = arg;
    assert_string_equal(event->path, "f");
    assert_int_equal(event->op, FIRN_FAULTY_WRITE_DURABLE);
    assert_int_equal(event->offset, 0);
    assert_int_equal(event->length, 3);
    firn_faulty_clear(sim, 0);
    intruder->calls++;
    intruder->rc = file_write_durable(intruder->file, "222", 3, 3);
}

/* What the first of two concurrent durable writers gets, whose data is lost; the other one's. */
static int race(bool same_handle, int *other)
{
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaabbb");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_file *second = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct intruder intruder = {.file = same_handle ? file : second};
    struct firn_faulty_fault call = {
        .what = FIRN_FAULTY_CALL,
        .ops = FIRN_FAULTY_WRITE_DURABLE,
        .call = intrude,
        .arg = &intruder,
    };
    OK(firn_faulty_fail(sim, &call, NULL, NULL));
    (void)fault_add(sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE_DURABLE);
    int rc = file_write_durable(file, "111", 3, 0);
    assert_int_equal(intruder.calls, 1);
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "111222");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "aaa222");
    file_close(file);
    file_close(second);
    firn_faulty_free(sim);
    *other = intruder.rc;
    return rc;
}

static void test_two_syncs_on_one_handle(void **state)
{
    (void)state;
    int other = 0;
    assert_int_equal(race(true, &other), 0); /* success, and the data is gone */
    assert_int_equal(other, FIRN_EIO);
    assert_int_equal(race(false, &other), FIRN_EIO);
    assert_int_equal(other, FIRN_EIO);
}

/* ---- silent faults ------------------------------------------------------------------------- */

static void test_flipped_bits(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "abc");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_faulty_fault flip = {
        .what = FIRN_FAULTY_FLIP, .ops = FIRN_FAULTY_READ, .byte = 1, .bit = 0};
    char bytes[3];
    size_t done = 0;
    OK(firn_faulty_fail(sim, &flip, NULL, NULL));
    OK(file_read(file, bytes, 3, 0, &done));
    assert_memory_equal(bytes, "acc", 3);
    OK(file_read(file, bytes, 3, 0, &done));
    assert_memory_equal(bytes, "abc", 3);
    flip.ops = FIRN_FAULTY_WRITE_DURABLE;
    OK(firn_faulty_fail(sim, &flip, NULL, NULL));
    OK(file_write_durable(file, "abc", 3, 0));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "abc");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "acc");
    OK(firn_faulty_flip_bit(sim, "f", 0, 1, NULL));
    FAILS(FIRN_ERANGE, firn_faulty_flip_bit(sim, "f", 3, 1, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "cbc");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "ccc");
    file_close(file);
    firn_faulty_free(sim);
}

static void test_misdirected_writes(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaaaaa");
    put_text(sim, "g", "bbbb");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_MISDIRECT, .to_offset = 3};
    OK(firn_faulty_fail(sim, &fault, NULL, NULL));
    OK(file_write_durable(file, "11", 2, 0));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "11aaaa");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "aaa11a");
    fault.to_path = "g";
    OK(firn_faulty_fail(sim, &fault, NULL, NULL));
    OK(file_write_durable(file, "22", 2, 6));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "11aaaa22");
    expect_text(sim, "g", FIRN_FAULTY_CURRENT, "bbbb");
    expect_text(sim, "g", FIRN_FAULTY_DURABLE, "bbb2"); /* nothing behind its end */
    file_close(file);
    OK(firn_faulty_drop_caches(sim, NULL));
    expect_text(sim, "g", FIRN_FAULTY_CURRENT, "bbb2");
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_get(sim, "f", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
    assert_int_equal(size, 8);
    assert_memory_equal(bytes, "aaa11a\0\0", 8);
    free(bytes);
    firn_faulty_free(sim);
}

static void test_forgotten_writes_and_lying_syncs(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "aaa");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    (void)fault_add(sim, FIRN_FAULTY_FORGET, FIRN_FAULTY_WRITE_DURABLE);
    OK(file_write_durable(file, "bbb", 3, 0));
    OK(file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "bbb");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "aaa");
    assert_int_equal(firn_faulty_outcomes(sim), 1);
    OK(file_write(file, "ccc", 3, 0));
    (void)fault_add(sim, FIRN_FAULTY_FORGET, FIRN_FAULTY_SYNC);
    OK(file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "aaa");
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    OK(file_sync(file));
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "ccc");
    file_close(file_create(sim, "g"));
    (void)fault_add(sim, FIRN_FAULTY_FORGET, FIRN_FAULTY_SYNC_DIR);
    OK(name_sync_dir(sim, ""));
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_slow_calls(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    put_text(sim, "f", "aaa");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_faulty_fault slow = {
        .what = FIRN_FAULTY_SLOW, .ops = FIRN_FAULTY_SYNC, .nanoseconds = 50000000};
    OK(firn_faulty_fail(sim, &slow, NULL, NULL));
    uint64_t before = disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC);
    OK(file_sync(file));
    uint64_t middle = disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC);
    OK(file_sync(file));
    uint64_t after = disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC);
    assert_in_range(middle - before, 50000000, 51000000);
    assert_in_range(after - middle, 1, 1000000);
    slow.really = true;
    slow.nanoseconds = 2000000;
    OK(firn_faulty_fail(sim, &slow, NULL, NULL));
    struct timespec start;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    OK(file_sync(file));
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    int64_t ns = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
    assert_true(ns >= 2000000);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_sectors_that_are_never_torn(void **state)
{
    (void)state;
    const struct firn_faulty_options options = {.whole_sectors = true};
    static const struct {
        uint64_t offset, bytes, done;
    } writes[] = {{0, 30, 0}, {0, 512, 512}, {0, 1500, 1024}, {500, 100, 12}, {100, 411, 0}};
    static uint8_t bytes[2000];
    struct firn_faulty *sim = NULL;
    size_t done = 0;
    OK(firn_faulty_new(&options, &sim, NULL));
    struct firn_file *file = file_create(sim, "f");
    OK(file_reserve(file, 0, 4096));
    OK(file_sync(file));
    OK(name_sync_dir(sim, ""));
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        const struct iovec iov = {bytes, sizeof(bytes)};
        struct firn_faulty_fault fault = {.what = FIRN_FAULTY_FAIL, .bytes = writes[i].bytes};
        memset(bytes, (int)i + 1, sizeof(bytes));
        OK(firn_faulty_fail(sim, &fault, NULL, NULL));
        FAILS(FIRN_EIO, file->ops->writev(file, &iov, 1, writes[i].offset, 0, &done, NULL));
        assert_int_equal(done, writes[i].done);
        fault.what = FIRN_FAULTY_SHORT;
        OK(firn_faulty_fail(sim, &fault, NULL, NULL));
        OK(file->ops->writev(file, &iov, 1, writes[i].offset, 0, &done, NULL));
        assert_int_equal((writes[i].offset + done) % 512, 0);
        assert_true(done > 0 && (done == writes[i].done || writes[i].done == 0));
    }
    assert_int_equal(firn_faulty_tears(sim), 0);
    FAILS(FIRN_EINVAL, firn_faulty_restart_torn(sim, 0, 1, NULL));
    file_close(file);
    firn_faulty_free(sim);
}

/* Draws by chance tear none either: each byte of a sector is as all others. */
static void test_sectors_are_not_torn_by_chance(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const struct firn_faulty_options options = {.whole_sectors = true};
        struct firn_faulty *sim = NULL;
        OK(firn_faulty_new(&options, &sim, NULL));
        struct firn_file *file = file_create(sim, "f");
        OK(file_fill(file, 'a', 4096, 0));
        OK(file_sync(file));
        OK(name_sync_dir(sim, ""));
        OK(file_fill(file, 'b', 4096, 0));
        OK(firn_faulty_restart_random(sim, seed, NULL));
        file_close(file);
        void *now = NULL;
        size_t size = 0;
        OK(firn_faulty_get(sim, "f", FIRN_FAULTY_CURRENT, &now, &size, NULL));
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(((uint8_t *)now)[i], ((uint8_t *)now)[i / 512 * 512]);
        }
        free(now);
        firn_faulty_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_fails),
        cmocka_unit_test(test_which_operations_are_hit),
        cmocka_unit_test(test_error_has_words),
        cmocka_unit_test(test_wrong_faults_are_refused),
        cmocka_unit_test(test_short_reads_and_writes),
        cmocka_unit_test(test_chance),
        cmocka_unit_test(test_failed_sync_leaves_clean_pages),
        cmocka_unit_test(test_rewriting_lost_data_helps),
        cmocka_unit_test(test_lost_data_survives_in_part),
        cmocka_unit_test(test_part_of_a_sector_is_lost),
        cmocka_unit_test(test_plain_failed_sync_loses_nothing),
        cmocka_unit_test(test_error_is_reported_once_per_handle),
        cmocka_unit_test(test_writeback_in_the_background_fails),
        cmocka_unit_test(test_two_syncs_on_one_handle),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_misdirected_writes),
        cmocka_unit_test(test_forgotten_writes_and_lying_syncs),
        cmocka_unit_test(test_slow_calls),
        cmocka_unit_test(test_sectors_that_are_never_torn),
        cmocka_unit_test(test_sectors_are_not_torn_by_chance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
