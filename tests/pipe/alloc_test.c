/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a workload made to fail once. The call says FIRN_ENOMEM, or does without; the
 * pipe stays usable, save where memory was wanted for a write in progress, which poisons it and is
 * said to; nothing acknowledged is lost. (That nothing leaks is for the sanitizers to say.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/log.h>
#include <firn/pipe.h>

#include "crash/pipe_model.h"
#include "lib/alloc.h"

enum { BYTES = 600, CHUNKS = 30, LARGE = 20 };

static uint64_t failing; /* for messages */

struct work {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_pipe *pipe;
    struct firn_error err;
    struct pipe_model model;
    uint64_t denied; /* calls that said FIRN_ENOMEM */
    bool poisoned;
};

/* Allocations count during the call only. */
#define COUNTED(rc, call)                                                                          \
    do {                                                                                           \
        alloc_paused = false;                                                                      \
        (rc) = (call);                                                                             \
        alloc_paused = true;                                                                       \
    } while (0)

/* The storage in RAM says that it is full where it gets no page. */
static bool is_denied(int rc)
{
    return rc == FIRN_ENOMEM || rc == FIRN_ENOSPC;
}

static void count_result(struct work *work, int rc)
{
    if (is_denied(rc))
        work->denied++;
    else if (rc == FIRN_EPOISONED)
        work->poisoned = true;
    else if (rc < 0)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)failing, firn_error_name(rc),
                 work->err.message);
}

/* ---- life ---- */

static int start(struct work *work, bool read_only)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc;
    COUNTED(rc, firn_env_new(&env_options, &work->env, &work->err));
    if (rc < 0)
        return rc;
    const struct firn_pipe_options options = {.disk = work->disk,
                                              .env = work->env,
                                              .chunk_bytes = BYTES,
                                              .initial_chunks = CHUNKS,
                                              .read_only = read_only,
                                              .journal_bytes = 64 * 1024};
    COUNTED(rc, firn_pipe_open("pipe", &options, &work->pipe, &work->err));
    if (rc == 0)
        return 0;
    assert_int_equal(firn_env_free(work->env), 0);
    work->env = NULL;
    return rc;
}

/* Denied once, it works the next time. */
static void start_somehow(struct work *work, bool read_only)
{
    int rc = start(work, read_only);
    count_result(work, rc);
    if (rc < 0)
        rc = start(work, read_only);
    if (rc < 0)
        fail_msg("allocation %llu: opening: %s", (unsigned long long)failing, work->err.message);
}

static void acknowledge(struct work *work)
{
    pipe_model_acknowledge(&work->model, firn_pipe_durable_epoch(work->pipe));
}

static int finish(struct work *work)
{
    int rc;
    acknowledge(work);
    COUNTED(rc, firn_pipe_close(work->pipe, &work->err));
    work->pipe = NULL;
    assert_int_equal(firn_env_free(work->env), 0);
    work->env = NULL;
    if (rc == 0 && !work->poisoned)
        pipe_model_collapse(&work->model, work->model.count - 1);
    for (size_t i = 1; i < work->model.count; i++)
        work->model.chain[i].epoch = UINT64_MAX;
    return rc;
}

/* ---- changes ---- */

static uint8_t bytes[LARGE * BYTES];

static void make(struct work *work, struct pipe_state *state, uint64_t index, uint64_t count)
{
    uint32_t stamp = pipe_model_stamp(&work->model);
    for (uint64_t i = 0; i < count; i++) {
        pipe_model_make(&work->model, index + i, stamp, bytes + i * BYTES);
        state->stamps[index + i] = stamp;
    }
}

static void staged(struct work *work, int rc, uint64_t epoch)
{
    if (rc == 0)
        pipe_model_last(&work->model)->epoch = epoch;
    else
        pipe_model_pop(&work->model);
    count_result(work, rc);
}

static void write_some(struct work *work, uint64_t index, uint64_t count)
{
    const struct iovec iov = {bytes, (size_t)count * BYTES};
    uint64_t epoch = 0;
    int rc;
    make(work, pipe_model_push(&work->model), index, count);
    COUNTED(rc, firn_pipe_write(work->pipe, index, &iov, 1, &epoch, &work->err));
    staged(work, rc, epoch);
}

/* A write that was denied left the transaction as it was: it is made again. */
static void transact(struct work *work, uint64_t index)
{
    struct firn_transaction *transaction;
    uint64_t epoch = 0;
    int rc;
    COUNTED(rc, firn_pipe_begin(work->pipe, &transaction, &work->err));
    count_result(work, rc);
    if (rc < 0)
        return;
    struct pipe_state *state = pipe_model_push(&work->model);
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t at = (index + i * 7) % CHUNKS;
        const struct iovec iov = {bytes, BYTES};
        make(work, state, at, 1);
        rc = FIRN_ENOMEM;
        for (int again = 0; again < 2 && is_denied(rc); again++) {
            COUNTED(rc, firn_transaction_write(transaction, at, &iov, 1, &work->err));
            count_result(work, rc);
        }
        assert_int_equal(rc, 0);
    }
    COUNTED(rc, firn_transaction_commit(transaction, &epoch, &work->err));
    if (is_denied(rc)) {
        work->denied++;
        COUNTED(rc, firn_transaction_commit(transaction, &epoch, &work->err));
    }
    staged(work, rc, epoch);
    if (rc < 0)
        firn_transaction_abandon(transaction);
}

static void grow(struct work *work, uint64_t chunks)
{
    int rc;
    pipe_model_grow(pipe_model_push(&work->model), chunks);
    COUNTED(rc, firn_pipe_grow(work->pipe, chunks, &work->err));
    if (rc == 0)
        pipe_model_collapse(&work->model, work->model.count - 1);
    else if (rc != FIRN_EPOISONED)
        pipe_model_pop(&work->model);
    count_result(work, rc);
}

static void flush(struct work *work)
{
    int rc;
    COUNTED(rc, firn_pipe_flush(work->pipe, &work->err));
    if (rc == 0)
        pipe_model_collapse(&work->model, work->model.count - 1);
    count_result(work, rc);
}

static void background(struct work *work)
{
    alloc_paused = false;
    for (int i = 0; i < 20; i++)
        firn_env_run(work->env);
    alloc_paused = true;
    work->poisoned |= firn_pipe_wait_epoch(work->pipe, UINT64_MAX, 0, NULL) == FIRN_EPOISONED;
}

/* ---- looking ---- */

/* A call that wants memory is made again. */
static void read_all(struct work *work, const struct pipe_state *state, unsigned flags)
{
    static uint8_t found[(CHUNKS + 20) * BYTES];
    int rc = FIRN_ENOMEM;
    assert_int_equal(firn_pipe_count(work->pipe), state->count);
    for (int again = 0; again < 2 && rc == FIRN_ENOMEM; again++) {
        COUNTED(rc, firn_pipe_read(work->pipe, 0, state->count, found, flags, &work->err));
        count_result(work, rc);
    }
    if (work->poisoned)
        return;
    assert_int_equal(rc, 0);
    assert_true(pipe_model_equals(&work->model, state, found));
}

static void look(struct work *work)
{
    struct firn_pipe_check check;
    struct firn_pipe_watch *watch;
    int rc, fd;
    acknowledge(work);
    read_all(work, pipe_model_last(&work->model), 0);
    read_all(work, &work->model.chain[0], FIRN_READ_DURABLE);
    COUNTED(rc, firn_pipe_verify(work->pipe, &check, &work->err));
    count_result(work, rc);
    acknowledge(work);
    COUNTED(rc, firn_pipe_watch_open(work->pipe, 1, &watch, &fd, &work->err));
    if (rc != FIRN_ENOTSUP)
        count_result(work, rc);
    if (rc == 0)
        firn_pipe_watch_close(watch);
}

static void run(struct work *work)
{
    static const char script[] = "wtrfgwtLbrLLtwrLgtb";
    start_somehow(work, false);
    for (const char *step = script; *step && !work->poisoned; step++) {
        uint64_t n = work->model.counter * 3u;
        switch (*step) {
        case 'w':
            write_some(work, n % (CHUNKS - 1), 2);
            break;
        case 'L':
            write_some(work, n % (CHUNKS - LARGE), LARGE);
            break;
        case 't':
            transact(work, n);
            break;
        case 'g':
            grow(work, 5);
            break;
        case 'f':
            flush(work);
            break;
        case 'b':
            background(work);
            break;
        default:
            look(work);
            break;
        }
    }
    count_result(work, finish(work));
}

/* One of the states that may be, seen without and with recovery; and it goes on. */
static void check(struct work *work)
{
    static uint8_t found[(CHUNKS + 20) * BYTES];
    size_t at = SIZE_MAX;
    work->poisoned = false;
    for (int read_only = 1; read_only >= 0; read_only--) {
        assert_int_equal(start(work, read_only), 0);
        uint64_t count = firn_pipe_count(work->pipe);
        assert_true(count <= CHUNKS + 20);
        assert_int_equal(firn_pipe_read(work->pipe, 0, count, found, 0, &work->err), 0);
        at = pipe_model_find(&work->model, count, found);
        if (at == SIZE_MAX)
            fail_msg("allocation %llu: no state that may be", (unsigned long long)failing);
        pipe_model_collapse(&work->model, at);
        if (read_only)
            assert_int_equal(finish(work), 0);
    }
    write_some(work, 3, 5);
    look(work);
    assert_int_equal(finish(work), 0);
}

static void every_allocation_fails(void **state)
{
    (void)state;
    uint64_t at = 0, denied = 0, poisoned = 0;
    alloc_paused = true;
    for (bool failed = true; failed;) {
        struct work work = {0};
        failing = ++at;
        assert_int_equal(firn_disk_memory_new(&work.disk, NULL), 0);
        pipe_model_init(&work.model, BYTES, CHUNKS);
        alloc_fail_in = (int)at;
        run(&work);
        failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        denied += work.denied;
        poisoned += work.poisoned;
        check(&work);
        pipe_model_done(&work.model);
        firn_disk_free(work.disk);
    }
    printf("note: %llu allocations failed: %llu calls said so, %llu poisoned the pipe\n",
           (unsigned long long)at - 1, (unsigned long long)denied, (unsigned long long)poisoned);
    assert_true(denied > 0);
}

/* ---- recovery ---- */

struct copy {
    const char *path;
    uint8_t bytes[128 * 1024];
    size_t size;
};

static struct firn_file *open_file(struct work *work, const char *path)
{
    struct firn_file *file;
    assert_int_equal(work->disk->ops->open(work->disk, path, FIRN_OPEN_WRITE, &file, NULL), 0);
    return file;
}

static void take(struct work *work, struct copy *copy)
{
    const struct iovec iov = {copy->bytes, sizeof copy->bytes};
    struct firn_file *file = open_file(work, copy->path);
    assert_int_equal(file->ops->readv(file, &iov, 1, 0, &copy->size, NULL), 0);
    file->ops->close(file);
}

static void put(struct work *work, struct copy *copy)
{
    size_t done;
    const struct iovec iov = {copy->bytes, copy->size};
    struct firn_file *file = open_file(work, copy->path);
    assert_int_equal(file->ops->writev(file, &iov, 1, 0, 0, &done, NULL), 0);
    assert_int_equal(done, copy->size);
    file->ops->close(file);
}

/* The files as they were while it was in use take the place of those that closing left. */
static void leave_pending(struct work *work)
{
    static struct copy copies[] = {{.path = "pipe"}, {.path = "pipe.journal"}};
    start_somehow(work, false);
    write_some(work, 2, 3);
    transact(work, 5);
    flush(work);
    for (int i = 0; i < 2; i++)
        take(work, &copies[i]);
    assert_int_equal(finish(work), 0);
    for (int i = 0; i < 2; i++)
        put(work, &copies[i]);
}

static bool recover(uint64_t at, bool read_only)
{
    struct work work = {0};
    failing = at;
    assert_int_equal(firn_disk_memory_new(&work.disk, NULL), 0);
    pipe_model_init(&work.model, BYTES, CHUNKS);
    leave_pending(&work);
    alloc_fail_in = (int)at;
    start_somehow(&work, read_only);
    bool failed = alloc_fail_in == 0;
    alloc_fail_in = 0;
    assert_int_equal(finish(&work), 0);
    check(&work);
    pipe_model_done(&work.model);
    firn_disk_free(work.disk);
    return failed;
}

/* With each of its allocations denied. */
static void recovery_without_memory(void **state)
{
    (void)state;
    alloc_paused = true;
    for (int read_only = 0; read_only < 2; read_only++) {
        uint64_t at = 1;
        while (recover(at, read_only))
            at++;
        assert_true(at > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_fails),
        cmocka_unit_test(recovery_without_memory),
    };
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
