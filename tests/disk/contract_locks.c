/* SPDX-License-Identifier: MIT */
/* The contract of locks, shared memory, wake-ups, processes and clocks. */
#include "contract.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- locks ----------------------------------------------------------------------------------- */

static struct firn_lock *lock(struct contract_world *w, const char *name)
{
    struct firn_lock *lock = NULL;
    int64_t holder = -77;
    OK(w, disk_lock(w->disk, contract_path(w, name), &lock, &holder, &w->err));
    assert_non_null(lock);
    assert_int_equal(holder, -77);
    return lock;
}

static void a_second_handle_is_locked_out(struct contract_world *w)
{
    for (int i = 0; i < 20; i++) {
        struct firn_lock *first = lock(w, "LOCK");
        struct firn_lock *second = NULL;
        int64_t holder = 0;
        const char *path = contract_path(w, "LOCK");
        FAILS(w, FIRN_ELOCKED, disk_lock(w->disk, path, &second, &holder, &w->err));
        assert_int_equal(holder, disk_process_id(w->disk));
        FAILS(w, FIRN_ELOCKED, disk_lock(w->disk, path, &second, NULL, &w->err));
        assert_null(second);
        assert_non_null(strstr(w->err.message, "LOCK"));
        disk_unlock(w->disk, first);
        assert_true(contract_exists(w, "LOCK"));
        assert_false(contract_exists(w, "LOCK.pid"));
    }
}

static void locks_of_two_files_are_two_locks(struct contract_world *w)
{
    struct firn_lock *a = lock(w, "A");
    struct firn_lock *b = lock(w, "B");
    struct firn_lock *again = NULL;
    disk_unlock(w->disk, a);
    FAILS(w, FIRN_ELOCKED, disk_lock(w->disk, contract_path(w, "B"), &again, NULL, &w->err));
    a = lock(w, "A");
    disk_unlock(w->disk, b);
    disk_unlock(w->disk, a);
    disk_unlock(w->disk, NULL);
}

static void a_lock_needs_a_directory(struct contract_world *w)
{
    struct firn_lock *none = NULL;
    int64_t holder = 77;
    FAILS(w, FIRN_ENOENT, disk_lock(w->disk, contract_path(w, "e/L"), &none, &holder, &w->err));
    OK(w, disk_make_dir(w->disk, contract_path(w, "d"), &w->err));
    FAILS(w, FIRN_EINVAL, disk_lock(w->disk, contract_path(w, "d"), &none, &holder, &w->err));
    assert_null(none);
    assert_int_equal(holder, 77);
}

static void a_locked_directory_can_be_destroyed(struct contract_world *w)
{
    for (int i = 0; i < 2; i++) {
        OK(w, disk_make_dir(w->disk, contract_path(w, "d"), &w->err));
        struct firn_lock *held = lock(w, "d/LOCK");
        OK(w, disk_remove(w->disk, contract_path(w, "d/LOCK"), &w->err));
        disk_unlock(w->disk, held);
        OK(w, disk_remove_dir(w->disk, contract_path(w, "d"), &w->err));
    }
}

enum { THREADS = 6, ROUNDS = 50 };

struct race {
    struct firn_disk *disk;
    const char *path;
    atomic_int inside;
    atomic_int taken;
    atomic_int failures;
};

static void *race_for_lock(void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct firn_lock *held = NULL;
        int rc = disk_lock(race->disk, race->path, &held, NULL, NULL);
        if (rc == 0) {
            if (atomic_fetch_add(&race->inside, 1) != 0)
                atomic_fetch_add(&race->failures, 1);
            atomic_fetch_add(&race->taken, 1);
            atomic_fetch_sub(&race->inside, 1);
            disk_unlock(race->disk, held);
        } else if (rc != FIRN_ELOCKED) {
            atomic_fetch_add(&race->failures, 1);
        }
    }
    return NULL;
}

static void one_thread_at_a_time_has_the_lock(struct contract_world *w)
{
    pthread_t threads[THREADS];
    struct race race = {.disk = w->disk, .path = contract_path(w, "LOCK")};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_for_lock, &race), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(race.failures, 0);
    assert_true(race.taken >= 1);
}

static void an_open_file_is_locked(struct contract_world *w)
{
    struct firn_file *first = contract_open(w, "f", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE);
    struct firn_file *second = contract_open(w, "f", FIRN_OPEN_WRITE);
    struct firn_file *other = contract_open(w, "g", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE);
    for (int i = 0; i < 3; i++) {
        OK(w, disk_lock_file(first, &w->err));
        OK(w, disk_lock_file(first, &w->err));
        FAILS(w, FIRN_ELOCKED, disk_lock_file(second, &w->err));
        assert_non_null(strstr(w->err.message, "f: "));
        disk_close(second);
        second = contract_open(w, "f", FIRN_OPEN_READ);
        FAILS(w, FIRN_ELOCKED, disk_lock_file(second, &w->err));
        disk_close(first);
        first = second;
        second = contract_open(w, "f", FIRN_OPEN_WRITE);
    }
    OK(w, disk_lock_file(other, &w->err));
    disk_close(first);
    disk_close(second);
    disk_close(other);
}

/* ---- shared memory --------------------------------------------------------------------------- */

static void shares_of_a_file_are_the_same_memory(struct contract_world *w)
{
    struct firn_share *first = NULL;
    struct firn_share *second = NULL;
    void *a = NULL;
    void *b = NULL;
    const char *path = contract_path(w, "s");
    OK(w, disk_share(w->disk, path, 4096, true, &first, &a, &w->err));
    for (size_t i = 0; i < 4096; i++)
        assert_int_equal(((char *)a)[i], 0);
    OK(w, disk_share(w->disk, path, 100, false, &second, &b, &w->err));
    memcpy(a, "position", 8);
    assert_memory_equal(b, "position", 8);
    ((char *)b)[99] = 'x';
    assert_int_equal(((char *)a)[99], 'x');
    disk_unshare(w->disk, first);
    assert_memory_equal(b, "position", 8);
    OK(w, disk_share(w->disk, path, 4096, true, &first, &a, &w->err)); /* keeps what is there */
    assert_memory_equal(a, "position", 8);
    disk_unshare(w->disk, second);
    disk_unshare(w->disk, first);
    disk_unshare(w->disk, NULL);
}

static void shares_have_limits(struct contract_world *w)
{
    struct firn_share *share = NULL;
    void *memory = NULL;
    const char *path = contract_path(w, "s");
    FAILS(w, FIRN_ENOENT, disk_share(w->disk, path, 64, false, &share, &memory, &w->err));
    FAILS(w, FIRN_EINVAL, disk_share(w->disk, path, 0, true, &share, &memory, &w->err));
    FAILS(w, FIRN_EINVAL, disk_share(w->disk, path, 64 * 1024 + 1, true, &share, &memory, &w->err));
    contract_make(w, "s", "");
    FAILS(w, FIRN_ERANGE, disk_share(w->disk, path, 64, false, &share, &memory, &w->err));
    assert_null(share);
    assert_null(memory);
    OK(w, disk_share(w->disk, path, 64 * 1024, true, &share, &memory, &w->err));
    ((char *)memory)[64 * 1024 - 1] = 'x';
    disk_unshare(w->disk, share);
}

/* ---- wake-ups -------------------------------------------------------------------------------- */

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

static void a_signal_makes_the_descriptor_readable(struct contract_world *w)
{
    struct firn_event *event = NULL;
    int fd = -2;
    OK(w, disk_event_new(w->disk, &event, &fd, &w->err));
    assert_true(fd >= -1);
    for (int round = 0; round < 3 && fd >= 0; round++) {
        assert_false(readable(fd));
        for (int i = 0; i < 1 + 100 * round; i++)
            disk_event_signal(w->disk, event);
        assert_true(readable(fd));
        disk_event_clear(w->disk, event);
    }
    for (int i = 0; i < 100000 && fd >= 0; i++) /* more than a pipe holds */
        disk_event_signal(w->disk, event);
    disk_event_clear(w->disk, event);
    disk_event_clear(w->disk, event);
    assert_true(fd < 0 || !readable(fd));
    disk_event_free(w->disk, event);
    disk_event_free(w->disk, NULL);
}

/* ---- processes, clocks, space ---------------------------------------------------------------- */

static void ids_tell_who_and_when(struct contract_world *w)
{
    uint8_t first[16];
    uint8_t second[16];
    memset(first, 1, sizeof first);
    memset(second, 2, sizeof second);
    disk_boot_id(w->disk, first);
    disk_boot_id(w->disk, second);
    assert_memory_equal(first, second, sizeof first);
    assert_true(disk_process_id(w->disk) > 0);
    assert_true(disk_process_alive(w->disk, disk_process_id(w->disk)));
    assert_false(disk_process_alive(w->disk, 0));
    assert_false(disk_process_alive(w->disk, -1));
}

static void the_dead_are_not_alive(struct contract_world *w)
{
    int wait_here[2];
    char byte = 0;
    assert_int_equal(disk_process_id(w->disk), getpid());
    assert_int_equal(pipe(wait_here), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(wait_here[1]);
        _exit(read(wait_here[0], &byte, 1) == 0 ? 0 : 1);
    }
    assert_true(disk_process_alive(w->disk, child));
    (void)close(wait_here[1]);
    (void)close(wait_here[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_false(disk_process_alive(w->disk, child));
    assert_true(disk_process_alive(w->disk, getppid()));
    assert_false(disk_process_alive(w->disk, INT64_MAX));
}

static void clocks_go_on(struct contract_world *w)
{
    uint64_t last = disk_clock(w->disk, FIRN_CLOCK_MONOTONIC);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = disk_clock(w->disk, FIRN_CLOCK_MONOTONIC);
        assert_true(now >= last);
        last = now;
    }
    disk_sleep(w->disk, 2000000);
    assert_true(disk_clock(w->disk, FIRN_CLOCK_MONOTONIC) - last >= 2000000);
    disk_sleep(w->disk, 0);
}

static void the_real_clock_is_the_time_of_day(struct contract_world *w)
{
    uint64_t before = (uint64_t)time(NULL);
    uint64_t now = disk_clock(w->disk, FIRN_CLOCK_REAL) / 1000000000U;
    assert_in_range(now, before - 2, before + 2); /* time() is that of the last tick */
}

static void free_space_is_told(struct contract_world *w)
{
    uint64_t bytes = 0;
    OK(w, disk_free_space(w->disk, contract_path(w, "."), &bytes, &w->err));
    assert_true(bytes > 0);
    bytes = 77;
    FAILS(w, FIRN_ENOENT, disk_free_space(w->disk, contract_path(w, "e"), &bytes, &w->err));
    assert_int_equal(bytes, 77);
}

static void the_table_is_complete(struct contract_world *w)
{
    OK(w, disk_check(w->disk, &w->err));
    struct firn_file *file = contract_open(w, "f", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE);
    assert_true(file->ops->size >= sizeof(struct firn_file_ops));
    disk_close(file);
}

const struct contract_case contract_locks[] = {
    {"a second handle is locked out", a_second_handle_is_locked_out, 0},
    {"locks of two files are two locks", locks_of_two_files_are_two_locks, 0},
    {"a lock needs a directory", a_lock_needs_a_directory, 0},
    {"a locked directory can be destroyed", a_locked_directory_can_be_destroyed, 0},
    {"an open file is locked", an_open_file_is_locked, 0},
    {"one thread at a time has the lock", one_thread_at_a_time_has_the_lock, 0},
    {"shares of a file are the same memory", shares_of_a_file_are_the_same_memory, 0},
    {"shares have limits", shares_have_limits, 0},
    {"a signal makes the descriptor readable", a_signal_makes_the_descriptor_readable, 0},
    {"ids tell who and when", ids_tell_who_and_when, 0},
    {"the dead are not alive", the_dead_are_not_alive, CONTRACT_REAL_PROCESSES},
    {"clocks go on", clocks_go_on, 0},
    {"the real clock is the time of day", the_real_clock_is_the_time_of_day, CONTRACT_REAL_TIME},
    {"free space is told", free_space_is_told, 0},
    {"the table is complete", the_table_is_complete, 0},
    {NULL, NULL, 0},
};
