/* SPDX-License-Identifier: MIT */
/*
 * While the file is brought up to date: at each step of that, from inside its writes and syncs,
 * every chunk is read and some are written. Nobody is held up, and nobody sees anything but what
 * was written last, or what of it is durable.
 */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { BYTES = 512, MANY = 120, ROUNDS = 12, HALF = 50 };

struct onlooker {
    struct fixture *f;
    uint8_t now[MANY], durable[MANY]; /* what each chunk is made of */
    uint64_t epoch;                   /* of the last write */
    unsigned calls, writes;
    bool writing, inside;
};

static void check_chunks(struct onlooker *onlooker, unsigned flags, const uint8_t *expected)
{
    static uint8_t found[MANY * BYTES];
    MUST(firn_pipe_read(onlooker->f->pipe, 0, MANY, found, flags, NULL) == 0);
    for (size_t i = 0; i < sizeof found; i++)
        MUST(found[i] == expected[i / BYTES]);
}

/* Staged only; what the pool has no buffer for is left. */
static void write_one(struct onlooker *onlooker)
{
    uint8_t bytes[BYTES];
    const struct iovec iov = {bytes, sizeof bytes};
    unsigned index = ++onlooker->writes * 37 % MANY;
    memset(bytes, (int)onlooker->writes, sizeof bytes);
    int rc = firn_pipe_write(onlooker->f->pipe, index, &iov, 1, &onlooker->epoch, NULL);
    MUST(rc == 0 || rc == FIRN_EAGAIN);
    if (rc == 0)
        onlooker->now[index] = (uint8_t)onlooker->writes;
}

static void look(void *arg, struct firn_faulty *faulty, const struct firn_faulty_event *event)
{
    (void)faulty, (void)event;
    struct onlooker *onlooker = arg;
    if (onlooker->inside)
        return; /* that is its own read */
    onlooker->inside = true;
    onlooker->calls++;
    if (firn_pipe_durable_epoch(onlooker->f->pipe) >= onlooker->epoch)
        memcpy(onlooker->durable, onlooker->now, sizeof onlooker->now);
    check_chunks(onlooker, 0, onlooker->now);
    check_chunks(onlooker, FIRN_READ_DURABLE, onlooker->durable);
    if (onlooker->writing)
        write_one(onlooker);
    onlooker->inside = false;
}

/* Some of it is durable, some is staged over it. */
static void change(struct onlooker *onlooker, unsigned round)
{
    struct fixture *f = onlooker->f;
    for (unsigned i = 0; i < MANY; i += 2) {
        unsigned index = (i * 7 + round) % (MANY - 1);
        onlooker->now[index] = onlooker->now[index + 1] = (uint8_t)(round * 16 + i);
        onlooker->epoch = fill(f, index, 2, onlooker->now[index]);
        if (i == MANY / 2)
            OK(firn_pipe_flush(f->pipe, &f->err));
        if (i == MANY / 2)
            memcpy(onlooker->durable, onlooker->now, sizeof onlooker->now);
    }
}

static void flush(struct onlooker *onlooker)
{
    struct fixture *f = onlooker->f;
    OK(firn_pipe_flush(f->pipe, &f->err));
    memcpy(onlooker->durable, onlooker->now, sizeof onlooker->now);
}

static void watch_steps(struct fixture *f, bool writing)
{
    struct onlooker onlooker = {.f = f};
    struct firn_pipe_info info;
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                            .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_SYNC |
                                                   FIRN_FAULTY_READ,
                                            .path = "pipe",
                                            .times = FIRN_FAULTY_ALWAYS,
                                            .call = look,
                                            .arg = &onlooker};
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    f->options.journal_bytes = 256 * 1024;
    f->options.refuse_when_full = true; /* a writer that makes room would wait for itself */
    fixture_open(f);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        int id;
        change(&onlooker, round);
        onlooker.writing = writing;
        OK(firn_faulty_fail(f->faulty, &fault, &id, &f->err));
        firn_env_run(f->env); /* commits what is staged, or applies */
        firn_faulty_clear(f->faulty, id);
        onlooker.writing = false;
        flush(&onlooker);
        check_chunks(&onlooker, 0, onlooker.now);
        fixture_background(f);
        flush(&onlooker);
    }
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.applies >= 2);
    assert_true(onlooker.calls > 4);
    fixture_reopen(f);
    check_chunks(&onlooker, 0, onlooker.now);
}

static void reads_at_every_step(void **state)
{
    watch_steps(*state, false);
}

static void writes_at_every_step(void **state)
{
    watch_steps(*state, true);
}

/* ---- a reader in the middle of a chunk ---- */

struct overtaker {
    struct fixture *f;
    struct sleeper sleeper;
    atomic_bool go;
};

/* Writes, makes durable and applies what the reader is reading. */
static void *overtake(void *arg)
{
    struct overtaker *overtaker = arg;
    struct firn_pipe *pipe = overtaker->f->pipe;
    static uint8_t bytes[HALF * BYTES];
    const struct iovec iov = {bytes, sizeof bytes};
    memset(bytes, 2, sizeof bytes);
    while (!atomic_load(&overtaker->go))
        sched_yield();
    for (int i = 0; i < 2; i++) { /* half of the journal is enough to apply it */
        MUST(firn_pipe_write(pipe, 0, &iov, 1, NULL, NULL) == 0);
        MUST(firn_pipe_flush(pipe, NULL) == 0);
    }
    sleeper_begins(&overtaker->sleeper);
    fixture_background(overtaker->f);
    return NULL;
}

/* Half of the chunk has been read; the other thread gets as far as it can. */
static void let_overtake(void *arg, struct firn_faulty *faulty,
                         const struct firn_faulty_event *event)
{
    (void)faulty, (void)event;
    struct overtaker *overtaker = arg;
    atomic_store(&overtaker->go, true);
    sleeper_await(&overtaker->sleeper);
}

/* A chunk is read from the file in two parts: it is not changed in between. */
static void reader_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct overtaker overtaker = {.f = f};
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                      .ops = FIRN_FAULTY_READ,
                                      .path = "pipe",
                                      .call = let_overtake,
                                      .arg = &overtaker};
    uint8_t found[BYTES];
    pthread_t thread;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    f->options.journal_bytes = 64 * 1024;
    fixture_open(f);
    fill(f, 0, HALF, 1);
    fixture_reopen(f);
    fill_and_wait(f, MANY - 1, 1, 1);
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    fault.what = FIRN_FAULTY_SHORT;
    fault.bytes = FIRN_FAULTY_HALF;
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    assert_int_equal(pthread_create(&thread, NULL, overtake, &overtaker), 0);
    OK(firn_pipe_read(f->pipe, 7, 1, found, 0, &f->err));
    for (int i = 0; i < BYTES; i++)
        assert_int_equal(found[i], found[0]);
    pthread_join(thread, NULL);
    struct firn_pipe_info info;
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.applies > 0);
    expect(f, 0, HALF, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(reads_at_every_step, manual_simulator),
        CLOSED_IN(writes_at_every_step, manual_simulator),
        CLOSED_IN(reader_is_waited_for, manual_simulator),
    };
    return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
