/* SPDX-License-Identifier: MIT */
/*
 * A follower in another process: how long after a record is durable it has it. The writer notes
 * when the durable write of the record returned, the follower when it holds the record, both by the
 * clock that all processes share.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <firn/follow.h>

enum { WARM = 100 };

struct moment {
    _Atomic uint64_t durable, there;
};

/* What both processes see. */
struct shared {
    atomic_bool ready, failed;
    uint64_t count;
    struct moment at[];
};

/* ---- a storage that notes when a durable write was done ---- */

static const struct firn_file_ops *plain_file;
static struct firn_file_ops file_ops;
static struct firn_disk_ops disk_ops;
static struct firn_disk disk = {&disk_ops};
static _Thread_local uint64_t last_durable; /* a lone writer commits in its own thread */

static int write_noted(struct firn_file *file, const struct iovec *iov, int count, uint64_t offset,
                       unsigned flags, size_t *done, struct firn_error *err)
{
    int rc = plain_file->writev(file, iov, count, offset, flags, done, err);
    if (flags & FIRN_WRITE_DURABLE)
        last_durable = now_ns();
    return rc;
}

static int sync_noted(struct firn_file *file, struct firn_error *err)
{
    int rc = plain_file->sync(file, err);
    last_durable = now_ns();
    return rc;
}

static int open_noted(struct firn_disk *self, const char *path, unsigned flags,
                      struct firn_file **file, struct firn_error *err)
{
    int rc = firn_disk_posix()->ops->open(self, path, flags, file, err);
    if (rc < 0)
        return rc;
    if (!plain_file) { /* the first one, before there are threads: all have one table */
        plain_file = (*file)->ops;
        file_ops = *plain_file;
        file_ops.writev = write_noted;
        file_ops.sync = sync_noted;
    }
    (*file)->ops = &file_ops;
    return 0;
}

static struct firn_disk *noting_disk(void)
{
    disk_ops = *firn_disk_posix()->ops;
    disk_ops.open = open_noted;
    return &disk;
}

/* ---- the follower ---- */

static int follow_all(struct shared *shared, struct firn_log *log, struct firn_cursor *cursor)
{
    const struct firn_record *record;
    for (uint64_t index = 0; index < shared->count;) {
        int rc = firn_cursor_next(cursor, &record, NULL);
        if (rc == FIRN_EEND)
            rc = firn_log_wait(log, index, FIRN_FOREVER, NULL);
        else if (rc == 0 && record->index == index)
            atomic_store(&shared->at[index++].there, now_ns());
        else
            return -1;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int follower(struct shared *shared, const char *dir)
{
    const struct firn_log_options options = {.read_only = true};
    struct firn_log *log;
    struct firn_cursor *cursor;
    if (firn_log_open(dir, &options, &log, NULL) < 0)
        return -1;
    if (firn_cursor_open(log, NULL, &cursor, NULL) < 0)
        return -1;
    atomic_store(&shared->ready, true);
    int rc = follow_all(shared, log, cursor);
    firn_cursor_close(cursor);
    firn_log_close(log, NULL);
    return rc;
}

static pid_t start_follower(struct bench *bench, struct shared *shared)
{
    char dir[BENCH_PATH];
    path_in(bench, "log", dir);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool failed = follower(shared, dir) < 0;
        atomic_store(&shared->failed, failed);
        _exit(failed);
    }
    while (child > 0 && !atomic_load(&shared->ready) && !atomic_load(&shared->failed))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return child;
}

/* ---- the writer ---- */

static int append_all(struct bench *bench, struct shared *shared, struct firn_log *log,
                      unsigned pause_us)
{
    uint8_t bytes[RECORD];
    struct firn_error err = {0};
    fill_bytes(bytes, sizeof bytes);
    struct firn_record record = record_of(bytes, sizeof bytes);
    for (uint64_t i = 0; i < shared->count; i++) {
        if (firn_log_append(log, &record, 1, NULL, NULL, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        atomic_store(&shared->at[i].durable, last_durable);
        if (pause_us)
            (void)nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000l}, NULL);
    }
    return 0;
}

static int follow_run(struct bench *bench, struct shared *shared, unsigned pause_us)
{
    struct firn_log *log = NULL;
    const struct firn_log_options options = {.disk = noting_disk()};
    int status = 0;
    if (open_log(bench, "log", &options, &log) < 0)
        return -1;
    firn_log_close(log, NULL); /* no threads when it forks */
    pid_t child = start_follower(bench, shared);
    if (child < 0)
        return bench_fail(bench, "fork: %s", strerror(errno));
    int rc = open_log(bench, "log", &options, &log);
    if (rc == 0)
        rc = append_all(bench, shared, log, pause_us);
    if (rc == 0 && (waitpid(child, &status, 0) != child || status != 0))
        rc = bench_fail(bench, "the follower failed");
    int end_rc = destroy_log(bench, log);
    return rc < 0 ? rc : end_rc;
}

/* ---- the baseline: a byte through a pipe ---- */

static int read_bytes(struct shared *shared, int fd)
{
    char byte;
    for (uint64_t i = 0; i < shared->count; i++) {
        if (read(fd, &byte, 1) != 1)
            return -1;
        atomic_store(&shared->at[i].there, now_ns());
    }
    return 0;
}

static int pipe_run(struct bench *bench, struct shared *shared, unsigned pause_us)
{
    int fds[2], status = 0;
    if (pipe(fds) != 0)
        return bench_fail(bench, "pipe: %s", strerror(errno));
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(read_bytes(shared, fds[0]) != 0);
    for (uint64_t i = 0; child > 0 && i < shared->count; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000l}, NULL);
        atomic_store(&shared->at[i].durable, now_ns());
        if (write(fds[1], "", 1) != 1)
            break;
    }
    (void)close(fds[1]);
    bool good = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    (void)close(fds[0]);
    return good ? 0 : bench_fail(bench, "a process woken by a pipe failed");
}

/* ---- figures ---- */

static void report_figures(struct bench *bench, struct shared *shared, const char *what,
                           bool has_target)
{
    enum aim aim = has_target ? AIM_VALUE_MOST : AIM_NONE;
    struct samples samples = {0};
    char name[96];
    for (uint64_t i = WARM; i < shared->count; i++) {
        uint64_t durable = shared->at[i].durable, there = shared->at[i].there;
        samples_add(&samples, there > durable ? there - durable : 0);
    }
    snprintf(name, sizeof name, "%s, p50", what);
    bench_add(bench, name, "us", aim, 20, samples_percentile(&samples, 50) / 1000, 0);
    snprintf(name, sizeof name, "%s, p99", what);
    bench_add(bench, name, "us", aim, 100, samples_percentile(&samples, 99) / 1000, 0);
    samples_free(&samples);
}

typedef int run_fn(struct bench *bench, struct shared *shared, unsigned pause_us);

static int measure(struct bench *bench, const char *what, run_fn *run, uint64_t count,
                   unsigned pause_us)
{
    size_t size = sizeof(struct shared) + count * sizeof(struct moment);
    struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                 0);
    if (shared == MAP_FAILED)
        return bench_fail(bench, "mmap: %s", strerror(errno));
    shared->count = count;
    int rc = run(bench, shared, pause_us);
    if (rc == 0)
        report_figures(bench, shared, what, run == follow_run);
    (void)munmap(shared, size);
    return rc;
}

int bench_follow(struct bench *bench)
{
    int rc = 0;
    uint64_t many = bench->quick ? 500 : 10000, few = bench->quick ? 300 : 3000;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++) {
        rc = measure(bench, "durable until there, one after another", follow_run, many, 0);
        if (rc == 0)
            rc = measure(bench, "durable until there, 1 ms apart", follow_run, few, 1000);
        if (rc == 0)
            rc = measure(bench, "bare byte through a pipe, 1 ms apart", pipe_run, few, 1000);
    }
    return rc;
}
