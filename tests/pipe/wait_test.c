/* SPDX-License-Identifier: MIT */
/* Waiting for an epoch: with and without time-outs, by descriptors, and while the pipe closes. */
#include "fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum { AT_MOST_MS = 60000, LONG_US = 600000000, MORE = 10000 };

/* ---- results ---- */

static void knows_the_epochs_it_gave_out(void **state)
{
    struct fixture *f = *state;
    FAILS(firn_pipe_wait_epoch(f->pipe, UINT64_MAX, 0, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_wait_epoch(f->pipe, UINT64_MAX, FIRN_FOREVER, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_force(f->pipe, UINT64_MAX, &f->err), FIRN_EINVAL);
    uint64_t epoch = fill(f, 0, 1, 1);
    FAILS(firn_pipe_wait_epoch(f->pipe, epoch + 1, FIRN_FOREVER, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_force(f->pipe, epoch + 1, &f->err), FIRN_EINVAL);
    OK(firn_pipe_force(f->pipe, epoch, &f->err));
    OK(firn_pipe_wait_epoch(f->pipe, epoch, 0, &f->err)); /* durable already, for ever */
    fill_and_wait(f, 0, 1, 2);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, 0, &f->err));
    OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
}

static void flushes(void **state)
{
    struct fixture *f = *state;
    OK(firn_pipe_flush(f->pipe, &f->err)); /* nothing to do */
    uint64_t epoch = fill(f, 0, CHUNKS, 1);
    OK(firn_pipe_flush(f->pipe, &f->err));
    assert_true(firn_pipe_durable_epoch(f->pipe) >= epoch);
    expect_durable(f, 0, CHUNKS, 1);
    epoch = firn_pipe_durable_epoch(f->pipe);
    OK(firn_pipe_flush(f->pipe, &f->err));
    fill(f, 1, 1, 2);
    OK(firn_pipe_flush(f->pipe, &f->err));
    assert_true(firn_pipe_durable_epoch(f->pipe) > epoch);
}

/* group_bytes are staged, long before group_delay_us is over and without anybody who waits. */
static void begins_at_group_bytes(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    f->options.group_delay_us = UINT64_C(3600) * 1000000;
    f->options.group_bytes = 1000;
    fixture_open(f);
    uint64_t epoch = 0;
    for (uint64_t i = 0; i < 200; i++)
        epoch = fill(f, i % CHUNKS, 1, (uint8_t)i);
    const struct timespec shortly = {.tv_nsec = 1000000};
    for (int i = 0; i < AT_MOST_MS && firn_pipe_durable_epoch(f->pipe) == 0; i++)
        nanosleep(&shortly, NULL);
    assert_true(firn_pipe_durable_epoch(f->pipe) > 0);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, LONG_US, &f->err));
}

/* ---- closing ---- */

struct waiter {
    struct fixture *f;
    uint64_t epoch, timeout_us;
    struct sleeper sleeper;
    int rc;
    pthread_t thread;
};

static void *wait_for_it(void *arg)
{
    struct waiter *waiter = arg;
    struct firn_pipe *pipe = waiter->f->pipe;
    sleeper_begins(&waiter->sleeper);
    waiter->rc = firn_pipe_wait_epoch(pipe, waiter->epoch, waiter->timeout_us, NULL);
    return NULL;
}

/* In the middle of an I/O call, another thread begins to close. */
struct gate {
    atomic_bool reached, open;
};

static void wait_at_gate(void *arg, struct firn_faulty *faulty,
                         const struct firn_faulty_event *event)
{
    (void)faulty, (void)event;
    struct gate *gate = arg;
    const struct timespec shortly = {.tv_nsec = 1000000};
    atomic_store(&gate->reached, true);
    while (!atomic_load(&gate->open))
        nanosleep(&shortly, NULL);
}

static void hold_at(struct fixture *f, struct gate *gate, unsigned ops, const char *path)
{
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                            .ops = ops,
                                            .path = path,
                                            .times = 1,
                                            .call = wait_at_gate,
                                            .arg = gate};
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
}

static void *close_it(void *arg)
{
    struct waiter *closer = arg;
    struct firn_pipe *pipe = closer->f->pipe;
    sleeper_begins(&closer->sleeper);
    closer->rc = firn_pipe_close(pipe, NULL);
    return NULL;
}

static void *read_one(void *arg)
{
    struct waiter *reader = arg;
    uint8_t bytes[CHUNK];
    reader->rc = firn_pipe_read(reader->f->pipe, 0, 1, bytes, 0, NULL);
    if (reader->rc == 0)
        MUST(bytes[0] == 5 && bytes[CHUNK - 1] == 5);
    return NULL;
}

static void *grow_one(void *arg)
{
    struct waiter *grower = arg;
    grower->rc = firn_pipe_grow(grower->f->pipe, MORE, NULL);
    return NULL;
}

/* A call that is held in the middle of its I/O while another thread closes. */
static void close_waits_for(struct fixture *f, void *(*call)(void *), unsigned ops,
                            const char *path, uint64_t epoch)
{
    struct gate gate = {0};
    struct waiter caller = {.f = f, .epoch = epoch, .timeout_us = FIRN_FOREVER};
    struct waiter closer = {.f = f, .rc = 1};
    hold_at(f, &gate, ops, path);
    assert_int_equal(pthread_create(&caller.thread, NULL, call, &caller), 0);
    while (!atomic_load(&gate.reached))
        sched_yield();
    assert_int_equal(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
    sleeper_await(&closer.sleeper);
    atomic_store(&gate.open, true);
    pthread_join(caller.thread, NULL);
    pthread_join(closer.thread, NULL);
    f->pipe = NULL;
    assert_true(caller.rc == 0 || caller.rc == FIRN_ECLOSED);
    assert_int_equal(closer.rc, 0);
}

/* While a sync is held up. (With nobody at work, a manual environment does the work itself.) */
static void times_out(void **state)
{
    struct fixture *f = *state;
    struct gate gate = {0};
    struct waiter committer = {.f = f, .timeout_us = FIRN_FOREVER, .epoch = fill(f, 0, 1, 1)};
    FAILS(firn_pipe_wait_epoch(f->pipe, committer.epoch, 0, &f->err), FIRN_ETIMEDOUT);
    hold_at(f, &gate, FIRN_FAULTY_WRITE_DURABLE, "pipe.journal");
    assert_int_equal(pthread_create(&committer.thread, NULL, wait_for_it, &committer), 0);
    while (!atomic_load(&gate.reached))
        sched_yield();
    uint64_t later = fill(f, 1, 1, 2);
    static const uint64_t timeouts[] = {0, 1, 3000};
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
        FAILS(firn_pipe_wait_epoch(f->pipe, committer.epoch, timeouts[i], &f->err), FIRN_ETIMEDOUT);
        FAILS(firn_pipe_wait_epoch(f->pipe, later, timeouts[i], &f->err), FIRN_ETIMEDOUT);
    }
    assert_int_equal(firn_pipe_durable_epoch(f->pipe), 0);
    atomic_store(&gate.open, true);
    pthread_join(committer.thread, NULL);
    assert_int_equal(committer.rc, 0);
    OK(firn_pipe_wait_epoch(f->pipe, later, LONG_US, &f->err));
    OK(firn_pipe_wait_epoch(f->pipe, later, 0, &f->err));
}

static void close_waits_for_a_committer(void **state)
{
    struct fixture *f = *state;
    uint64_t epoch = fill(f, 0, 1, 5);
    close_waits_for(f, wait_for_it, FIRN_FAULTY_WRITE_DURABLE, "pipe.journal", epoch);
    expect_file(f, CHUNKS, 0, 5);
}

/* Threads that wait while it closes: what they wait for becomes durable, and they learn of it. */
static void close_wakes_waiters(void **state)
{
    struct fixture *f = *state;
    enum { WAITERS = 4 };
    struct gate gate = {0};
    struct waiter waiters[WAITERS], closer = {.f = f, .rc = 1};
    fill_and_wait(f, 2, 1, 7);
    waiters[0] = (struct waiter){.f = f, .epoch = fill(f, 0, 1, 5), .timeout_us = FIRN_FOREVER};
    hold_at(f, &gate, FIRN_FAULTY_WRITE_DURABLE, "pipe.journal");
    assert_int_equal(pthread_create(&waiters[0].thread, NULL, wait_for_it, &waiters[0]), 0);
    while (!atomic_load(&gate.reached))
        sched_yield();
    uint64_t later = fill(f, 1, 1, 6);
    for (int i = 1; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.f = f,
                                     .epoch = i == 1 ? waiters[0].epoch : later,
                                     .timeout_us = i == 3 ? LONG_US : FIRN_FOREVER};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, wait_for_it, &waiters[i]), 0);
        sleeper_await(&waiters[i].sleeper);
    }
    assert_int_equal(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
    sleeper_await(&closer.sleeper);
    atomic_store(&gate.open, true);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        assert_true(waiters[i].rc == 0 || waiters[i].rc == FIRN_ECLOSED);
    }
    pthread_join(closer.thread, NULL);
    f->pipe = NULL;
    assert_int_equal(closer.rc, 0);
    expect_file(f, CHUNKS, 0, 5);
    expect_file(f, CHUNKS, 1, 6);
}

static void close_waits_for_a_reader(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 1, 5);
    fixture_reopen(f);
    close_waits_for(f, read_one, FIRN_FAULTY_READ, NULL, 0);
    expect_file(f, CHUNKS, 0, 5);
}

static void close_waits_for_a_growth(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 1, 5);
    close_waits_for(f, grow_one, FIRN_FAULTY_RESERVE, "pipe", 0);
    uint64_t size = fixture_size(f, f->path);
    assert_true(size == CHUNKS * CHUNK || size == (CHUNKS + MORE) * CHUNK);
    fixture_open(f);
    expect(f, 0, 1, 5);
}

/* Writers that wait for a free buffer, which nobody will ever give back, are let go. */
static void *write_much(void *arg)
{
    struct waiter *writer = arg;
    static uint8_t bytes[LARGE_CHUNK * 4];
    const struct iovec iov = {bytes, sizeof bytes};
    struct firn_pipe *pipe = writer->f->pipe;
    sleeper_begins(&writer->sleeper);
    do
        writer->rc = firn_pipe_write(pipe, 0, &iov, 1, NULL, NULL);
    while (writer->rc == 0);
    return NULL;
}

/* The committer is held in its sync; the pool fills; the pipe closes. */
static void close_ends_writers_that_wait(void **state)
{
    struct fixture *f = *state;
    enum { WRITERS = 3 };
    const struct firn_env_options small = {.pool_bytes = 512 * 1024};
    struct waiter writers[WRITERS], committer = {.f = f, .timeout_us = FIRN_FOREVER};
    struct waiter closer = {.f = f, .rc = 1};
    struct gate gate = {0};
    fixture_close(f);
    fixture_store(f, f->path, NULL, 0);
    fixture_store(f, f->journal, NULL, 0);
    assert_int_equal(firn_env_free(f->env), 0);
    OK(firn_env_new(&small, &f->env, &f->err));
    f->options.env = f->env;
    f->options.chunk_bytes = LARGE_CHUNK;
    fixture_open(f);
    fill_and_wait(f, 0, 1, 5);
    hold_at(f, &gate, FIRN_FAULTY_WRITE_DURABLE, "pipe.journal");
    committer.epoch = fill(f, 0, 1, 6);
    assert_int_equal(pthread_create(&committer.thread, NULL, wait_for_it, &committer), 0);
    while (!atomic_load(&gate.reached))
        sched_yield();
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct waiter){.f = f};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_much, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        sleeper_await(&writers[i].sleeper);
    assert_int_equal(pthread_create(&closer.thread, NULL, close_it, &closer), 0);
    sleeper_await(&closer.sleeper);
    atomic_store(&gate.open, true);
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].rc, FIRN_ECLOSED);
    }
    pthread_join(committer.thread, NULL);
    pthread_join(closer.thread, NULL);
    f->pipe = NULL;
    assert_true(committer.rc == 0 || committer.rc == FIRN_ECLOSED);
    assert_int_equal(closer.rc, 0);
    fixture_open(f);
    OK(firn_pipe_flush(f->pipe, &f->err));
}

/* ---- descriptors ---- */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static struct firn_pipe_watch *watch(struct fixture *f, uint64_t epoch, int *fd)
{
    struct firn_pipe_watch *opened;
    *fd = -1;
    OK(firn_pipe_watch_open(f->pipe, epoch, &opened, fd, &f->err));
    assert_true(*fd >= 0);
    return opened;
}

static void watch_tells_when_durable(void **state)
{
    struct fixture *f = *state;
    int fd, other;
    uint64_t epoch = fill(f, 0, 1, 1);
    struct firn_pipe_watch *first = watch(f, epoch, &fd), *second = watch(f, epoch, &other);
    for (uint8_t i = 0; i < 20; i++) {
        assert_false(is_readable(fd, 0));
        fixture_background(f);
        assert_true(is_readable(fd, AT_MOST_MS));
        assert_true(is_readable(fd, 0)); /* it stays */
        assert_true(is_readable(other, AT_MOST_MS));
        uint64_t next = fill(f, 1, 1, i);
        assert_true(next > epoch);
        firn_pipe_watch_set(first, next);
        assert_false(is_readable(fd, 0));
        firn_pipe_watch_set(first, epoch); /* and back: that one is durable */
        assert_true(is_readable(fd, 0));
        firn_pipe_watch_set(first, next);
        firn_pipe_watch_set(second, next);
        epoch = next;
    }
    OK(firn_pipe_force(f->pipe, epoch, &f->err)); /* by whomever */
    assert_true(is_readable(fd, AT_MOST_MS));
    assert_true(is_readable(other, AT_MOST_MS));
    firn_pipe_watch_close(second);
    fill_and_wait(f, 2, 1, 2); /* one less does not matter to the others */
    firn_pipe_watch_close(first);
    firn_pipe_watch_close(NULL);
}

static void watch_begins_readable(void **state)
{
    struct fixture *f = *state;
    int fd;
    fill_and_wait(f, 0, 1, 1);
    struct firn_pipe_watch *opened = watch(f, firn_pipe_durable_epoch(f->pipe), &fd);
    assert_true(is_readable(fd, 0));
    firn_pipe_watch_close(opened);
}

/* Where waiting would end with an error, there is something to see too. */
static void watch_tells_of_errors(void **state)
{
    struct fixture *f = *state;
    int fd, other;
    struct firn_pipe_watch *never = watch(f, UINT64_MAX, &other); /* never given out */
    assert_true(is_readable(other, 0));
    firn_pipe_watch_close(never);
    fill_and_wait(f, 0, 1, 1);
    uint64_t epoch = fill(f, 0, 1, 2);
    struct firn_pipe_watch *opened = watch(f, epoch, &fd);
    assert_false(is_readable(fd, 0));
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_LOSE,
                                            .ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                            .path = "pipe.journal"};
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    fixture_background(f);
    assert_true(is_readable(fd, AT_MOST_MS));
    FAILS(firn_pipe_wait_epoch(f->pipe, epoch, 0, &f->err), FIRN_EPOISONED);
    firn_pipe_watch_close(opened);
    opened = watch(f, epoch, &fd); /* opened afterwards */
    assert_true(is_readable(fd, 0));
    firn_pipe_watch_close(opened);
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    FAILS(firn_pipe_close(pipe, &f->err), FIRN_EPOISONED);
}

/* In a storage of descriptors, the background alone makes it readable. */
static void watch_is_woken_by_the_background(void **state)
{
    struct fixture *f = *state;
    int fd;
    for (uint8_t i = 0; i < 20; i++) {
        uint64_t epoch = fill(f, 0, 1, i);
        struct firn_pipe_watch *opened = watch(f, epoch, &fd);
        assert_true(is_readable(fd, AT_MOST_MS));
        OK(firn_pipe_wait_epoch(f->pipe, epoch, 0, &f->err));
        firn_pipe_watch_close(opened);
    }
}

static int (*event_with_descriptor)(struct firn_disk *, struct firn_event **, int *,
                                    struct firn_error *);

static int event_without_descriptor(struct firn_disk *disk, struct firn_event **event, int *fd,
                                    struct firn_error *err)
{
    int rc = event_with_descriptor(disk, event, fd, err);
    if (rc == 0)
        *fd = -1;
    return rc;
}

/* A storage of somebody's own, which has wake-ups, but no descriptors. */
static void watch_wants_descriptors(void **state)
{
    struct fixture *f = *state;
    const struct firn_disk_ops *ops = f->disk->ops;
    struct firn_disk_ops without = *ops;
    struct firn_pipe_watch *opened = NULL;
    int fd = -7;
    event_with_descriptor = ops->event_new;
    without.event_new = event_without_descriptor;
    f->disk->ops = &without;
    FAILS(firn_pipe_watch_open(f->pipe, 1, &opened, &fd, &f->err), FIRN_ENOTSUP);
    f->disk->ops = ops;
    assert_null(opened);
    assert_int_equal(fd, -7);
    fill_and_wait(f, 0, 1, 1);
}

static void watch_without_descriptors(void **state)
{
    struct fixture *f = *state;
    const struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_EVENT, .code = FIRN_EMFILE};
    struct firn_pipe_watch *opened = NULL;
    int fd = -7;
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    FAILS(firn_pipe_watch_open(f->pipe, 1, &opened, &fd, &f->err), FIRN_EMFILE);
    assert_null(opened);
    assert_int_equal(fd, -7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(knows_the_epochs_it_gave_out, in_memory),
        TEST_IN(knows_the_epochs_it_gave_out, manual_memory),
        TEST_IN(times_out, manual_simulator),
        TEST_IN(times_out, in_simulator),
        TEST_IN(flushes, in_memory),
        TEST_IN(flushes, on_files),
        TEST_IN(begins_at_group_bytes, in_memory),
        TEST_IN(begins_at_group_bytes, on_files),
        TEST_IN(close_wakes_waiters, manual_simulator),
        TEST_IN(close_wakes_waiters, in_simulator),
        TEST_IN(close_waits_for_a_committer, manual_simulator),
        TEST_IN(close_waits_for_a_committer, in_simulator),
        TEST_IN(close_waits_for_a_reader, manual_simulator),
        TEST_IN(close_waits_for_a_growth, manual_simulator),
        TEST_IN(close_ends_writers_that_wait, in_simulator),
        TEST_IN(watch_tells_when_durable, manual_files),
        TEST_IN(watch_tells_when_durable, manual_simulator),
        TEST_IN(watch_begins_readable, on_files),
        TEST_IN(watch_tells_of_errors, manual_simulator),
        TEST_IN(watch_is_woken_by_the_background, on_files),
        TEST_IN(watch_without_descriptors, manual_simulator),
        TEST_IN(watch_wants_descriptors, manual_memory),
    };
    return cmocka_run_group_tests_name("wait", tests, NULL, NULL);
}
