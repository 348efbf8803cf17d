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
#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include <firn/follow.h>

enum { WARM = 100, BATCH = 1094 /* bytes of a record of 1 KiB in the store */ };

struct moment {
    _Atomic uint64_t durable, there;
};

/* What both processes see. */
struct shared {
    atomic_bool ready, failed;
    _Atomic uint32_t word;
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

static void rest(unsigned us)
{
    if (us)
        (void)nanosleep(&(struct timespec){.tv_nsec = us * 1000l}, NULL);
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
        _exit(failed ? 1 : 0);
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
        rest(pause_us);
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

/* ---- the baseline: a bare durable write, a bare wake-up, a bare read ---- */

#if defined(__linux__)

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    (void)syscall(SYS_futex, (void *)word, operation, value, NULL, NULL, 0);
}

static int read_bare(struct shared *shared, int fd)
{
    uint8_t bytes[BATCH];
    for (uint64_t i = 0; i < shared->count; i++) {
        for (uint32_t seen; (seen = atomic_load(&shared->word)) <= i;)
            futex(&shared->word, FUTEX_WAIT, seen);
        if (pread(fd, bytes, sizeof bytes, (off_t)(i * BATCH)) != (ssize_t)sizeof bytes)
            return -1;
        atomic_store(&shared->at[i].there, now_ns());
    }
    return 0;
}

static int write_bare(struct shared *shared, int fd, unsigned pause_us)
{
    uint8_t bytes[BATCH];
    fill_bytes(bytes, sizeof bytes);
    for (uint64_t i = 0; i < shared->count; i++) {
        if (bare_write_durable(fd, bytes, sizeof bytes, i * BATCH) != 0)
            return -1;
        atomic_store(&shared->at[i].durable, now_ns());
        atomic_store(&shared->word, (uint32_t)i + 1);
        futex(&shared->word, FUTEX_WAKE, INT_MAX);
        rest(pause_us);
    }
    return 0;
}

static int bare_run(struct bench *bench, struct shared *shared, unsigned pause_us)
{
    int status = 0, fd = bare_zeroed(bench, "bare", shared->count * BATCH);
    if (fd < 0)
        return -1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(read_bare(shared, fd) != 0 ? 1 : 0);
    bool good = child > 0 && write_bare(shared, fd, pause_us) == 0 &&
                waitpid(child, &status, 0) == child && status == 0;
    (void)close(fd);
    remove_file(bench, "bare");
    return good ? 0 : bench_fail(bench, "a bare write and wake-up failed");
}

#endif

/* ---- figures ---- */

typedef int run_fn(struct bench *bench, struct shared *shared, unsigned pause_us);

/* Percentiles in us: [0] the median, [1] the 99th. */
static int measure(struct bench *bench, run_fn *run, uint64_t count, unsigned pause_us,
                   double percentiles[2])
{
    size_t size = sizeof(struct shared) + count * sizeof(struct moment);
    struct samples samples = {0};
    struct shared *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                                 0);
    if (shared == MAP_FAILED)
        return bench_fail(bench, "mmap: %s", strerror(errno));
    shared->count = count;
    int rc = run(bench, shared, pause_us);
    for (uint64_t i = WARM; rc == 0 && i < count; i++) {
        uint64_t durable = shared->at[i].durable, there = shared->at[i].there;
        samples_add(&samples, there > durable ? there - durable : 0);
    }
    percentiles[0] = samples_percentile(&samples, 50) / 1000;
    percentiles[1] = samples_percentile(&samples, 99) / 1000;
    samples_free(&samples);
    (void)munmap(shared, size);
    return rc;
}

static int compare(struct bench *bench, const char *what, uint64_t count, unsigned pause_us)
{
    static const char *const which[] = {"p50", "p99"};
    static const double most[] = {20, 100};
    double bare[2] = {0}, firn[2];
    char name[96];
    int rc = 0;
#if defined(__linux__)
    rc = measure(bench, bare_run, count, pause_us, bare);
#endif
    if (rc == 0)
        rc = measure(bench, follow_run, count, pause_us, firn);
    for (int i = 0; rc == 0 && i < 2; i++) {
        snprintf(name, sizeof name, "%s, by bare calls, %s", what, which[i]);
        if (bare[i] > 0)
            bench_add(bench, name, "us", AIM_NONE, 0, bare[i], 0);
        snprintf(name, sizeof name, "%s, %s", what, which[i]);
        bench_add(bench, name, "us", AIM_VALUE_MOST, most[i], firn[i],
                  bare[i] > 0 ? firn[i] / bare[i] : 0);
    }
    return rc;
}

/* ---- positions ---- */

static int commit_some(struct bench *bench, struct firn_log *log, struct samples *samples,
                       unsigned count)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    enum { NAMES = sizeof names / sizeof *names };
    struct firn_position positions[NAMES];
    struct firn_error err = {0};
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < NAMES; k++)
            positions[k] = (struct firn_position){.name = names[k], .index = i % 2};
        uint64_t start = now_ns();
        if (firn_log_commit_positions(log, positions, NAMES, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        samples_add(samples, now_ns() - start);
    }
    return 0;
}

static int measure_commits(struct bench *bench)
{
    struct firn_log *log;
    struct samples samples = {0};
    struct firn_record record = record_of("a record", 8);
    if (open_log(bench, "log", NULL, &log) < 0)
        return -1;
    int rc = firn_log_append(log, &record, 1, NULL, NULL, NULL);
    if (rc == 0)
        rc = commit_some(bench, log, &samples, bench->quick ? 20 : 200);
    if (rc == 0)
        bench_add(bench, "positions of 8 named cursors stored, p50", "us", AIM_NONE, 0,
                  samples_percentile(&samples, 50) / 1000, 0);
    samples_free(&samples);
    int end_rc = destroy_log(bench, log);
    return rc < 0 ? rc : end_rc;
}

int bench_follow(struct bench *bench)
{
    int rc = 0;
    uint64_t many = bench->quick ? 500 : 5000, few = bench->quick ? 300 : 3000;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++) {
        rc = compare(bench, "durable until there, one after another", many, 0);
        if (rc == 0)
            rc = compare(bench, "durable until there, 1 ms apart", few, 1000);
        if (rc == 0)
            rc = measure_commits(bench);
    }
    return rc;
}
