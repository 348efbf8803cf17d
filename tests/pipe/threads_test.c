/* SPDX-License-Identifier: MIT */
/*
 * Writers, transactions, readers, growth, verification and closing of one pipe at the same time, in
 * RAM and on files in turn, with a journal so small that it is applied all the time. What the
 * chunks say is checked; that nothing races is the sanitizer's business.
 *
 * Arguments: none: a few rounds; --seconds=N: rounds for so long.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/log.h>
#include <firn/pipe.h>

#include "lib/prng.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(__LINE__, #condition);                                                             \
    } while (0)

/* cmocka's assertions may not fail in other threads than the test's. */
static void die(int line, const char *text)
{
    fprintf(stderr, "threads_test.c:%d: not so: %s\n", line, text);
    abort();
}

/*
 * The first chunks belong to the pairs: a transaction writes two of them, far apart, with the same
 * number. Behind them lies what single writes go to; and what growth adds.
 */
enum {
    WRITERS = 3,
    TRANSACTORS = 2,
    READERS = 2,
    WAITERS = 2,
    PAIRS = 8,
    SINGLES = 60,
    CHUNKS = 2 * PAIRS + SINGLES,
    GROWN_MOST = 200,
    BYTES = 200,
    THREADS = WRITERS + TRANSACTORS + READERS + WAITERS + 4,
};

struct shared {
    struct firn_pipe *pipe;
    atomic_bool stop;
    _Atomic uint64_t acknowledged[CHUNKS]; /* number of a write to it that is durable */
    _Atomic uint64_t numbers;
    _Atomic uint64_t changes, reads, grown;
    uint64_t seed;
    uint64_t rounds; /* of each writer */
};

struct thread {
    pthread_t id;
    struct shared *shared;
    unsigned number;
    struct prng prng;
};

struct body {
    uint64_t number, check;
    uint8_t rest[BYTES - 16];
};

/* ---- chunks ---- */

static void make_body(struct body *body, uint64_t index, uint64_t number)
{
    struct prng prng = prng_new(index << 40 ^ number);
    body->number = number;
    body->check = prng_next(&prng);
    memset(body->rest, (int)(body->check & 0xff), sizeof body->rest);
}

/* The number of what is there; a chunk is never torn. */
static uint64_t check_body(const struct body *body, uint64_t index)
{
    struct body made = {0};
    if (body->number)
        make_body(&made, index, body->number);
    MUST(memcmp(body, &made, sizeof made) == 0);
    return body->number;
}

/* Numbers ascend, so what is acknowledged stays, or is followed by something later. */
static void raise_to(_Atomic uint64_t *value, uint64_t number)
{
    uint64_t before = atomic_load(value);
    while (before < number && !atomic_compare_exchange_weak(value, &before, number))
        continue;
}

/* ---- who writes ---- */

static void wait_somehow(struct thread *thread, uint64_t epoch)
{
    struct firn_pipe *pipe = thread->shared->pipe;
    int rc = 0;
    switch (prng_below(&thread->prng, 4)) {
    case 0:
        rc = firn_pipe_force(pipe, epoch, NULL);
        break;
    case 1:
        rc = firn_pipe_wait_epoch(pipe, epoch, 60000000, NULL);
        break;
    case 2:
        rc = firn_pipe_flush(pipe, NULL);
        break;
    default:
        rc = firn_pipe_wait_epoch(pipe, epoch, FIRN_FOREVER, NULL);
        break;
    }
    MUST(rc == 0);
    MUST(firn_pipe_durable_epoch(pipe) >= epoch);
}

/*
 * Each writer has every third chunk, so that the numbers of one chunk ascend in the order in which
 * they are written.
 */
static void *write_singles(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    uint64_t own = thread->number % WRITERS;
    for (uint64_t i = 0; i < shared->rounds; i++) {
        uint64_t index = 2 * PAIRS + own + WRITERS * prng_below(&thread->prng, SINGLES / WRITERS);
        uint64_t number = atomic_fetch_add(&shared->numbers, 1) + 1, epoch;
        struct body body;
        const struct iovec iov[] = {{&body, 16}, {body.rest, sizeof body.rest}};
        make_body(&body, index, number);
        MUST(firn_pipe_write(shared->pipe, index, iov, 2, &epoch, NULL) == 0);
        struct body found;
        MUST(firn_pipe_read(shared->pipe, index, 1, &found, 0, NULL) == 0);
        MUST(check_body(&found, index) == number); /* a read sees what its thread has written */
        atomic_fetch_add(&shared->changes, 1);
        if (prng_below(&thread->prng, 8))
            continue;
        wait_somehow(thread, epoch);
        raise_to(&shared->acknowledged[index], number);
        MUST(firn_pipe_read(shared->pipe, index, 1, &found, FIRN_READ_DURABLE, NULL) == 0);
        MUST(check_body(&found, index) == number);
    }
    return NULL;
}

static void *commit_pairs(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    for (uint64_t i = 0; i < shared->rounds; i++) {
        uint64_t pair = prng_below(&thread->prng, PAIRS), epoch;
        uint64_t number = atomic_fetch_add(&shared->numbers, 1) + 1;
        struct firn_transaction *transaction;
        MUST(firn_pipe_begin(shared->pipe, &transaction, NULL) == 0);
        for (uint64_t k = 0; k < 2; k++) {
            struct body body;
            const struct iovec iov = {&body, sizeof body};
            uint64_t index = pair + k * PAIRS;
            make_body(&body, index, number);
            MUST(firn_transaction_write(transaction, index, &iov, 1, NULL) == 0);
        }
        atomic_fetch_add(&shared->changes, 1);
        if (prng_below(&thread->prng, 10) == 0) {
            firn_transaction_abandon(transaction);
            continue;
        }
        MUST(firn_transaction_commit(transaction, &epoch, NULL) == 0);
        if (prng_below(&thread->prng, 8) == 0)
            wait_somehow(thread, epoch);
    }
    return NULL;
}

static void *grow(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    while (!atomic_load(&shared->stop) && atomic_load(&shared->grown) < GROWN_MOST) {
        uint64_t count = firn_pipe_count(shared->pipe), more = 1 + prng_below(&thread->prng, 9);
        struct body body, found;
        const struct iovec iov = {&body, sizeof body};
        MUST(firn_pipe_grow(shared->pipe, more, NULL) == 0);
        MUST(firn_pipe_count(shared->pipe) == count + more);
        for (uint64_t index = count; index < count + more; index++) {
            MUST(firn_pipe_read(shared->pipe, index, 1, &found, 0, NULL) == 0);
            MUST(check_body(&found, index) == 0);
            make_body(&body, index, index);
            MUST(firn_pipe_write(shared->pipe, index, &iov, 1, NULL, NULL) == 0);
        }
        atomic_fetch_add(&shared->grown, more);
        for (int i = 0; i < 30; i++)
            sched_yield();
    }
    return NULL;
}

/* ---- who looks ---- */

static void *read_all(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    struct body *found = malloc((CHUNKS + GROWN_MOST + 16) * sizeof *found);
    MUST(found != NULL);
    while (!atomic_load(&shared->stop)) {
        uint64_t before[CHUNKS], count = firn_pipe_count(shared->pipe);
        unsigned flags = prng_below(&thread->prng, 2) ? FIRN_READ_DURABLE : 0;
        for (int i = 0; i < CHUNKS; i++)
            before[i] = atomic_load(&shared->acknowledged[i]);
        MUST(count <= CHUNKS + GROWN_MOST + 16);
        MUST(firn_pipe_read(shared->pipe, 0, count, found, flags, NULL) == 0);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t number = check_body(&found[i], i);
            MUST(i >= CHUNKS || number >= before[i]);
        }
        atomic_fetch_add(&shared->reads, count);
    }
    free(found);
    return NULL;
}

static void *verify(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    while (!atomic_load(&shared->stop)) {
        struct firn_pipe_check check;
        struct firn_error err = {0};
        int rc = firn_pipe_verify(shared->pipe, &check, &err);
        if (rc < 0)
            fprintf(stderr, "verify: %s\n", err.message);
        MUST(rc == 0);
        MUST(check.chunks >= CHUNKS && !check.unreadable && !check.damaged_slots);
        sched_yield();
    }
    return NULL;
}

static void *ask(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    uint64_t durable = 0;
    while (!atomic_load(&shared->stop)) {
        struct firn_pipe_info info;
        firn_pipe_get_info(shared->pipe, &info);
        MUST(info.chunks >= CHUNKS);
        MUST(info.commit.epoch_durable >= durable);
        MUST(info.journal_pending <= info.journal_bytes);
        durable = firn_pipe_durable_epoch(shared->pipe);
        MUST(durable >= info.commit.epoch_durable);
        sched_yield();
    }
    return NULL;
}

/* Waits by descriptor for one epoch after another, as others make them durable. */
static void *watch(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    struct firn_pipe_watch *opened;
    int fd;
    int rc = firn_pipe_watch_open(shared->pipe, 1, &opened, &fd, NULL);
    if (rc == FIRN_ENOTSUP)
        return NULL;
    MUST(rc == 0);
    while (!atomic_load(&shared->stop)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 1) == 1) {
            uint64_t durable = firn_pipe_durable_epoch(shared->pipe);
            firn_pipe_watch_set(opened, durable + 1);
        }
    }
    firn_pipe_watch_close(opened);
    return NULL;
}

/* Waits for what nobody makes durable but the background, or closing. */
static void *wait_to_the_end(void *arg)
{
    struct thread *thread = arg;
    struct shared *shared = thread->shared;
    int rc = 0;
    while (rc == 0 && !atomic_load(&shared->stop)) {
        struct firn_pipe_info info;
        firn_pipe_get_info(shared->pipe, &info);
        rc = firn_pipe_wait_epoch(shared->pipe, info.commit.epoch_staged, 1000000, NULL);
        MUST(rc == 0);
    }
    return NULL;
}

/* ---- a round ---- */

static struct firn_disk *disk;
static struct firn_env *env;
static char path[80];

static const struct firn_pipe_options options = {
    .chunk_bytes = BYTES,
    .initial_chunks = CHUNKS,
    .journal_bytes = 64 * 1024,
    .group_delay_us = 500,
};

static struct firn_pipe *open_pipe(void)
{
    struct firn_pipe_options own = options;
    struct firn_pipe *pipe;
    struct firn_error err = {0};
    own.disk = disk;
    own.env = env;
    if (firn_pipe_open(path, &own, &pipe, &err) < 0)
        fail_msg("opening: %s", err.message);
    return pipe;
}

/* After closing: everything is there, and the two of a pair are of one transaction. */
static void check_all(struct shared *shared)
{
    struct firn_pipe_info info;
    struct firn_pipe *pipe = open_pipe();
    uint64_t pairs[PAIRS];
    firn_pipe_get_info(pipe, &info);
    assert_false(info.recovered);
    assert_int_equal(info.chunks, CHUNKS + atomic_load(&shared->grown));
    for (uint64_t index = 0; index < info.chunks; index++) {
        struct body body;
        assert_int_equal(firn_pipe_read(pipe, index, 1, &body, 0, NULL), 0);
        uint64_t number = check_body(&body, index);
        if (index >= CHUNKS)
            assert_int_equal(number, index);
        else
            assert_true(number >= atomic_load(&shared->acknowledged[index]));
        if (index < PAIRS)
            pairs[index] = number;
        else if (index < 2 * PAIRS)
            assert_int_equal(number, pairs[index - PAIRS]);
    }
    assert_int_equal(firn_pipe_destroy(pipe, NULL), 0);
}

static void start(struct thread *threads, unsigned *count, struct shared *shared,
                  void *(*call)(void *), unsigned how_many)
{
    for (unsigned i = 0; i < how_many; i++, ++*count) {
        struct thread *thread = &threads[*count];
        thread->shared = shared;
        thread->number = i;
        thread->prng = prng_new(shared->seed * 1000 + *count);
        assert_int_equal(pthread_create(&thread->id, NULL, call, thread), 0);
    }
}

static void join(struct thread *threads, unsigned from, unsigned to)
{
    for (; from < to; from++)
        pthread_join(threads[from].id, NULL);
}

static void one_round(struct shared *shared)
{
    struct thread threads[THREADS];
    unsigned count = 0;
    shared->pipe = open_pipe();
    start(threads, &count, shared, write_singles, WRITERS);
    start(threads, &count, shared, commit_pairs, TRANSACTORS);
    unsigned writers = count;
    start(threads, &count, shared, grow, 1);
    start(threads, &count, shared, read_all, READERS);
    start(threads, &count, shared, verify, 1);
    start(threads, &count, shared, ask, 1);
    start(threads, &count, shared, watch, 1);
    start(threads, &count, shared, wait_to_the_end, WAITERS);
    assert_int_equal(count, THREADS);
    join(threads, 0, writers);
    atomic_store(&shared->stop, true);
    join(threads, writers, count);
    assert_int_equal(firn_pipe_close(shared->pipe, NULL), 0);
    check_all(shared);
}

static uint64_t seconds, rounds = 5, writes = 1500;

static void all_at_once(void **state)
{
    (void)state;
    uint64_t changes = 0, reads = 0, done = 0;
    time_t end = time(NULL) + (time_t)seconds;
    const char *tmp = getenv("TMPDIR");
    char dir[64];
    struct firn_disk *memory;
    snprintf(dir, sizeof dir, "%s/firn-threads-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(firn_disk_memory_new(&memory, NULL), 0);
    assert_int_equal(memory->ops->make_dir(memory, "tmp", NULL), 0);
    assert_int_equal(firn_env_new(NULL, &env, NULL), 0);
    for (; seconds ? time(NULL) < end : done < rounds; done++) {
        struct shared shared = {.seed = done + 1, .rounds = writes};
        disk = done % 2 ? firn_disk_posix() : memory;
        snprintf(path, sizeof path, "%s/pipe", done % 2 ? dir : "tmp");
        one_round(&shared);
        changes += atomic_load(&shared.changes);
        reads += atomic_load(&shared.reads);
    }
    assert_int_equal(firn_env_free(env), 0);
    firn_disk_free(memory);
    assert_int_equal(rmdir(dir), 0);
    printf("note: %llu rounds: %llu changes, %llu chunks read meanwhile\n",
           (unsigned long long)done, (unsigned long long)changes, (unsigned long long)reads);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_at_once)};
    if (effort && strcmp(effort, "less") == 0) {
        rounds = 2;
        writes = 400;
    }
    if (argc > 1 && strncmp(argv[1], "--seconds=", 10) == 0)
        seconds = strtoull(argv[1] + 10, NULL, 10);
    else
        alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
