/* SPDX-License-Identifier: MIT */
/* Restarts, killed processes, clones, handles, clocks; and that everything repeats. */
#include <poll.h>

#include "prng.h"
#include "support.h"

/* ---- kill and restart ---------------------------------------------------------------------- */

static void test_kill(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_file *file = file_create(sim, "f");
    struct firn_lock *lock = NULL;
    struct firn_lock *second = NULL;
    uint8_t boot[2][16];
    int64_t holder = 0;
    uint64_t size = 0;
    assert_int_equal(disk->ops->process_id(disk), 1000);
    disk->ops->boot_id(disk, boot[0]);
    OK(file_write(file, "abc", 3, 0));
    OK(disk->ops->lock(disk, "lock", &lock, &holder, NULL));
    FAILS(FIRN_ELOCKED, disk->ops->lock(disk, "lock", &second, &holder, NULL));
    assert_int_equal(holder, 1000);
    firn_faulty_kill(sim);
    assert_int_equal(disk->ops->process_id(disk), 1001);
    assert_false(disk->ops->process_alive(disk, 1000));
    assert_true(disk->ops->process_alive(disk, 1001));
    FAILS(FIRN_ECLOSED, file_write(file, "xyz", 3, 0));
    FAILS(FIRN_ECLOSED, file->ops->size_of(file, &size, NULL));
    OK(disk->ops->lock(disk, "lock", &second, &holder, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "abc"); /* the page cache lives on */
    disk->ops->boot_id(disk, boot[1]);
    assert_memory_equal(boot[0], boot[1], 16);
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(sim, &counts);
    assert_int_equal(counts.files, 1);
    assert_int_equal(counts.locks, 2);
    assert_true(counts.effects > 0);
    file_close(file);
    disk->ops->unlock(lock); /* which is not the second one */
    FAILS(FIRN_ELOCKED, disk->ops->lock(disk, "lock", &lock, &holder, NULL));
    assert_int_equal(holder, 1001);
    disk->ops->unlock(second);
    firn_faulty_free(sim);
}

static void test_other_processes_survive_a_kill(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_file *writer = file_create(sim, "f");
    firn_faulty_set_process(sim, 77);
    struct firn_file *reader = file_open(sim, "f", FIRN_OPEN_READ);
    firn_faulty_set_process(sim, 1000);
    firn_faulty_kill(sim);
    FAILS(FIRN_ECLOSED, file_sync(writer));
    OK(file_sync(reader));
    assert_true(disk->ops->process_alive(disk, 77));
    assert_false(disk->ops->process_alive(disk, 78));
    file_close(writer);
    file_close(reader);
    firn_faulty_free(sim);
}

static void test_restart_kills_all(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_file *file = file_create(sim, "f");
    struct firn_lock *lock = NULL;
    struct firn_lock *again = NULL;
    uint8_t boot[2][16];
    disk->ops->boot_id(disk, boot[0]);
    OK(disk->ops->lock(disk, "lock", &lock, NULL, NULL));
    OK(name_sync_dir(sim, ""));
    firn_faulty_kill(sim);
    uint64_t real = disk->ops->clock(disk, FIRN_CLOCK_REAL);
    firn_faulty_power_off(sim);
    assert_true(firn_faulty_is_off(sim));
    FAILS(FIRN_EIO, disk->ops->lock(disk, "lock", &again, NULL, NULL));
    OK(firn_faulty_restart(sim, 0, NULL));
    assert_false(firn_faulty_is_off(sim));
    FAILS(FIRN_ECLOSED, file_sync(file));
    OK(disk->ops->lock(disk, "lock", &again, NULL, NULL));
    assert_int_equal(disk->ops->process_id(disk), 1000); /* ids begin anew with the machine */
    assert_false(disk->ops->process_alive(disk, 1001));
    assert_true(disk->ops->clock(disk, FIRN_CLOCK_REAL) > real);
    disk->ops->boot_id(disk, boot[1]);
    assert_memory_not_equal(boot[0], boot[1], 16);
    disk->ops->unlock(again);
    firn_faulty_free(sim); /* with handles open */
    FAILS(FIRN_ECLOSED, file_sync(file));
    FAILS(FIRN_ECLOSED, file_write(file, "x", 1, 0));
    file_close(file);
    disk = NULL;
    struct firn_faulty *other = sim_new(2);
    firn_faulty_disk(other)->ops->unlock(lock);
    firn_faulty_free(other);
}

static void test_removed_file_stays_while_open(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "abc");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(name_remove(sim, "f"));
    OK(name_sync_dir(sim, ""));
    put_text(sim, "f", "xyz");
    char bytes[4];
    size_t done = 0;
    OK(file_read(file, bytes, 4, 0, &done));
    assert_int_equal(done, 3);
    assert_memory_equal(bytes, "abc", 3);
    OK(file_write(file, "1", 1, 0));
    assert_int_equal(firn_faulty_outcomes(sim), 1); /* nobody can find it again */
    file_close(file);
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "xyz");
    firn_faulty_free(sim);
}

static void pull_plug(void *arg, struct firn_faulty *sim, const struct firn_faulty_event *event)
{
    (void)arg, (void)event;
    firn_faulty_power_off(sim);
}

static void test_crash_in_a_callback(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_CALL, .ops = FIRN_FAULTY_WRITE_DURABLE, .call = pull_plug};
    OK(firn_faulty_fail(sim, &fault, NULL, NULL));
    FAILS(FIRN_EIO, file_write_durable(file, "new", 3, 0)); /* durable, but nobody was told */
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    file_close(file);
    firn_faulty_free(sim);
}

/* ---- clones -------------------------------------------------------------------------------- */

static void test_clone_is_independent(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "new", 3, 0));
    struct firn_faulty *copy = sim_clone(sim);
    struct firn_file *other = file_open(copy, "f", FIRN_OPEN_WRITE);
    OK(file_write_durable(other, "COPY", 4, 0));
    OK(name_rename(copy, "f", "g"));
    expect_text(sim, "f", FIRN_FAULTY_CURRENT, "new");
    expect_text(sim, "f", FIRN_FAULTY_DURABLE, "old");
    OK(file_write_durable(file, "ORIGINAL", 8, 0));
    OK(name_remove(sim, "f"));
    expect_text(copy, "g", FIRN_FAULTY_CURRENT, "COPY");
    expect_text(copy, "g", FIRN_FAULTY_CURRENT, "COPY");
    file_close(file);
    firn_faulty_free(sim); /* before the clone */
    OK(file_sync(other));
    file_close(other);
    OK(firn_faulty_restart(copy, 0, NULL));
    expect_text(copy, "f", FIRN_FAULTY_CURRENT, "COPY");
    firn_faulty_free(copy);
}

static void test_clone_of_a_dead_machine(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "old");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    firn_faulty_crash_at(sim, 1);
    FAILS(FIRN_EIO, file_write(file, "new", 3, 0));
    struct firn_faulty *copy = sim_clone(sim);
    assert_true(firn_faulty_is_off(copy));
    assert_int_equal(firn_faulty_outcomes(copy), 2);
    OK(firn_faulty_restart(copy, 1, NULL));
    expect_text(copy, "f", FIRN_FAULTY_CURRENT, "new");
    assert_true(firn_faulty_is_off(sim));
    /* a second crash, during what comes after the first */
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(copy, &counts);
    assert_int_equal(counts.restarts, 1);
    firn_faulty_crash_at(copy, counts.mutations + 1);
    struct firn_file *again = file_open(copy, "f", FIRN_OPEN_WRITE);
    FAILS(FIRN_EIO, file_write(again, "now", 3, 0));
    assert_int_equal(firn_faulty_outcomes(copy), 2);
    file_close(again);
    file_close(file);
    firn_faulty_free(copy);
    firn_faulty_free(sim);
}

/* ---- repeating ----------------------------------------------------------------------------- */

/* A long random run, with chance faults and crashes; all that can be seen of it goes into a number.
 */
static uint64_t random_run(uint64_t seed)
{
    struct firn_faulty *sim = sim_new(seed);
    struct prng random = prng_new(seed);
    struct firn_faulty_fault fault = {
        .ops = FIRN_FAULTY_ANY, .times = FIRN_FAULTY_ALWAYS, .chance = 20000};
    OK(firn_faulty_fail(sim, &fault, NULL, NULL));
    fault.what = FIRN_FAULTY_LOSE;
    OK(firn_faulty_fail(sim, &fault, NULL, NULL));
    uint64_t hash = 0;
    for (size_t i = 0; i < 300; i++) {
        char path[8];
        (void)snprintf(path, sizeof(path), "%c", 'a' + (int)prng_below(&random, 3));
        struct firn_disk *disk = firn_faulty_disk(sim);
        struct firn_file *file = NULL;
        int rc = disk->ops->open(disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL);
        size_t n = 1 + prng_below(&random, 3000);
        uint64_t offset = prng_below(&random, 20000);
        int byte = (int)prng_below(&random, 256);
        if (rc == 0) {
            rc = prng_below(&random, 2) == 0 ? file_fill(file, byte, n, offset)
                                             : file_fill_durable(file, byte, n, offset);
            rc = rc * 31 + (prng_below(&random, 3) == 0 ? file_sync(file) : 0);
            rc = rc * 31 + (prng_below(&random, 9) == 0 ? file_truncate(file, offset) : 0);
            file_close(file);
        }
        if (prng_below(&random, 9) == 0) {
            rc = rc * 31 + name_rename(sim, "a", "b");
        }
        if (prng_below(&random, 5) == 0) {
            rc = rc * 31 + name_sync_dir(sim, "");
        }
        if (prng_below(&random, 40) == 0) {
            OK(firn_faulty_restart_random(sim, prng_next(&random), NULL));
        }
        uint64_t now = disk->ops->clock(disk, FIRN_CLOCK_REAL);
        hash = (hash ^ (uint64_t)rc ^ now ^ firn_faulty_hash(sim)) * 0x9e3779b97f4a7c15u;
    }
    firn_faulty_free(sim);
    return hash;
}

static void test_same_seed_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_true(random_run(seed) == random_run(seed));
    }
    assert_true(random_run(1) != random_run(2));
}

static void test_hash(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_faulty *other = sim_new(2);
    uint64_t empty = firn_faulty_hash(sim);
    assert_true(empty == firn_faulty_hash(other));
    put_text(sim, "f", "abc");
    uint64_t one = firn_faulty_hash(sim);
    assert_true(one != empty);
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_write(file, "xyz", 3, 0));
    assert_true(firn_faulty_hash(sim) == one); /* only what is durable counts */
    OK(file_sync(file));
    assert_true(firn_faulty_hash(sim) != one);
    OK(file_write_durable(file, "abc", 3, 0));
    assert_true(firn_faulty_hash(sim) == one);
    OK(file_truncate(file, 4)); /* a zero more */
    OK(file_sync(file));
    assert_true(firn_faulty_hash(sim) != one);
    file_close(file);
    put_text(other, "g", "abc");
    assert_true(firn_faulty_hash(other) != one);
    firn_faulty_free(other);
    firn_faulty_free(sim);
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void test_shared_memory(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_share *share[2] = {NULL, NULL};
    void *memory[2] = {NULL, NULL};
    FAILS(FIRN_ENOENT, disk->ops->share(disk, "p", 64, false, &share[0], &memory[0], NULL));
    OK(disk->ops->share(disk, "p", 64, true, &share[0], &memory[0], NULL));
    FAILS(FIRN_ERANGE, disk->ops->share(disk, "p", 65, false, &share[1], &memory[1], NULL));
    firn_faulty_set_process(sim, 5);
    OK(disk->ops->share(disk, "p", 64, false, &share[1], &memory[1], NULL));
    OK(name_sync_dir(sim, ""));
    assert_int_equal(((char *)memory[0])[0], 0);
    strcpy(memory[0], "position");
    assert_string_equal(memory[1], "position");
    struct firn_file *file = file_open(sim, "p", FIRN_OPEN_WRITE);
    char bytes[8];
    size_t done = 0;
    OK(file_read(file, bytes, 8, 0, &done));
    assert_memory_equal(bytes, "position", 8);
    OK(file_sync(file));
    /* the size is durable, memory never is: gone in outcome 0, else kept */
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, 0, NULL));
    expect_fill(copy, "p", 0, 64, 0);
    firn_faulty_free(copy);
    copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, FIRN_FAULTY_ALL, NULL));
    expect_fill(copy, "p", 'p', 1, 0);
    expect_fill(copy, "p", 0, 56, 8);
    firn_faulty_free(copy);
    /* another process sees it after a kill */
    disk->ops->unshare(share[1]);
    firn_faulty_set_process(sim, 1000);
    firn_faulty_kill(sim);
    OK(disk->ops->share(disk, "p", 64, false, &share[1], &memory[1], NULL));
    assert_string_equal(memory[1], "position");
    strcpy(memory[0], "written by a dead process");
    assert_string_equal(memory[1], "position");
    disk->ops->unshare(share[0]);
    disk->ops->unshare(share[1]);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_shared_memory_as_an_outcome(void **state)
{
    (void)state;
    struct firn_faulty_options options = {.shared_outcomes = true};
    struct firn_faulty *sim = NULL;
    OK(firn_faulty_new(&options, &sim, NULL));
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_share *share = NULL;
    void *memory = NULL;
    OK(disk->ops->share(disk, "p", 64, true, &share, &memory, NULL));
    OK(firn_faulty_settle(sim, NULL));
    assert_int_equal(firn_faulty_outcomes(sim), 1);
    strcpy(memory, "x");
    assert_int_equal(firn_faulty_outcomes(sim), 2);
    for (uint64_t i = 0; i < 2; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        expect_fill(copy, "p", i == 0 ? 0 : 'x', 1, 0);
        firn_faulty_free(copy);
    }
    disk->ops->unshare(share);
    firn_faulty_free(sim);
}

static void test_wake_ups(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    struct firn_event *event = NULL;
    int fd = -1;
    OK(disk->ops->event_new(disk, &event, &fd, NULL));
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    disk->ops->event_signal(event);
    disk->ops->event_signal(event);
    assert_int_equal(poll(&poll_fd, 1, 0), 1);
    disk->ops->event_clear(event);
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    disk->ops->event_free(event);
    firn_faulty_free(sim);
}

static void test_clocks(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct firn_disk *disk = firn_faulty_disk(sim);
    firn_faulty_set_clock(sim, FIRN_CLOCK_REAL, 5000000000);
    uint64_t start = disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC);
    disk->ops->sleep(disk, 1000000000);
    uint64_t real = disk->ops->clock(disk, FIRN_CLOCK_REAL);
    uint64_t monotonic = disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC);
    assert_in_range(real, 6000000000, 6000010000);
    assert_in_range(monotonic - start, 1000000000, 1000010000);
    firn_faulty_advance(sim, 1000);
    assert_true(disk->ops->clock(disk, FIRN_CLOCK_MONOTONIC) >= monotonic + 1000);
    firn_faulty_free(sim);
}

static void test_trace_and_pending(void **state)
{
    (void)state;
    struct firn_faulty_options options = {.trace = 4};
    struct firn_faulty *sim = NULL;
    OK(firn_faulty_new(&options, &sim, NULL));
    OK(name_make_dir(sim, "events"));
    struct firn_file *file = file_create(sim, "/events/0.log");
    char bytes[8];
    size_t done = 0;
    OK(file_fill_durable(file, 'x', 1100, 0));
    OK(file_read(file, bytes, 8, 0, &done));
    (void)fault_add(sim, FIRN_FAULTY_FAIL, FIRN_FAULTY_RENAME);
    FAILS(FIRN_EIO, name_rename(sim, "events/0.log", "events/1.log"));
    OK(file_fill(file, 'y', 2, 1099));
    struct lines lines = {.length = 0};
    firn_faulty_trace(sim, lines_add, &lines);
    assert_string_equal(lines.text, "3: write events/0.log 1100 bytes at 0 durable\n"
                                    "-: read events/0.log 8 bytes at 0\n"
                                    "-: rename events/0.log to events/1.log: FIRN_EIO\n"
                                    "4: write events/0.log 2 bytes at 1099\n");
    lines.length = 0;
    firn_faulty_pending(sim, lines_add, &lines);
    assert_string_equal(lines.text, "events: made by 1\n"
                                    "events/0.log: made by 2\n"
                                    "events/0.log: written by 4: 2 bytes at 1099\n"
                                    "events/0.log: grown by 4 to 1101 bytes\n");
    lines.length = 0;
    firn_faulty_differences(sim, lines_add, &lines);
    assert_string_equal(lines.text, "events: the name is not durable\n"
                                    "events/0.log: the name is not durable\n"
                                    "events/0.log: 1101 bytes, 1100 durable\n"
                                    "events/0.log: bytes 1099 to 1101 differ\n");
    file_close(file);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_other_processes_survive_a_kill),
        cmocka_unit_test(test_restart_kills_all),
        cmocka_unit_test(test_removed_file_stays_while_open),
        cmocka_unit_test(test_crash_in_a_callback),
        cmocka_unit_test(test_clone_is_independent),
        cmocka_unit_test(test_clone_of_a_dead_machine),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_shared_memory),
        cmocka_unit_test(test_shared_memory_as_an_outcome),
        cmocka_unit_test(test_wake_ups),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_trace_and_pending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
