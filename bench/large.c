/* SPDX-License-Identifier: MIT */
/*
 * Large logs. Opening one takes the same time whatever its size: after a clean close, and after the
 * death of its writer. Records are read at random from a log that is in the page cache, each
 * checked with all of its batch, against a bare pread of 1 KiB at random from the same files: of a
 * log whose records were made durable one by one, and of one that was appended in bulk.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIB ((uint64_t)1024 * MIB)

enum { READS = 200000, STORES = 1024 };

static uint64_t xorshift(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- making them ---- */

static int append_bytes(struct firn_log *log, uint64_t bytes, struct firn_error *err)
{
    uint8_t value[RECORD];
    fill_bytes(value, sizeof value);
    struct firn_record record = record_of(value, sizeof value);
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < bytes / RECORD && bench_goes_on(); i++)
        rc = firn_log_append(log, &record, 1, NULL, NULL, err);
    return rc;
}

/* Leaves a log that is closed cleanly. */
static int make_log(struct bench *bench, const char *name, uint64_t bytes,
                    enum firn_durability durability)
{
    struct firn_error err = {0};
    struct firn_log_options options = {.durability = durability};
    struct firn_log *log;
    if (unsynced_disk(bench, &options.disk) < 0 || open_log(bench, name, &options, &log) < 0)
        return -1;
    int rc = append_bytes(log, bytes, &err);
    int closed = firn_log_close(log, rc == 0 ? &err : NULL);
    if (rc < 0 || closed < 0)
        return bench_fail(bench, "%s", err.message);
    sync(); /* or the writing back goes on beside what is measured next */
    return 0;
}

static void remove_log(struct bench *bench, const char *name)
{
    char path[BENCH_PATH];
    path_in(bench, name, path);
    remove_tree(path);
}

/* ---- opening ---- */

static double open_ms(struct bench *bench, const char *name, const struct firn_log_options *options,
                      struct firn_log **log)
{
    uint64_t start = now_ns();
    if (open_log(bench, name, options, log) < 0)
        return -1;
    return (double)(now_ns() - start) / 1e6;
}

static int open_clean(struct bench *bench, const char *name, const char *line)
{
    static const struct firn_log_options options = {.must_exist = true};
    struct firn_log *log;
    double ms = open_ms(bench, name, &options, &log);
    if (ms < 0)
        return -1;
    bench_add(bench, line, "ms", AIM_VALUE_MOST, 5, ms, 0);
    struct firn_error err = {0};
    return firn_log_close(log, &err) < 0 ? bench_fail(bench, "%s", err.message) : 0;
}

/* A process that appends 64 MiB, all but the last of them durably, and is killed. */
static void append_and_die(const char *path)
{
    static const struct firn_log_options options = {.durability = FIRN_DURABILITY_GROUP};
    struct firn_log *log;
    if (firn_log_open(path, &options, &log, NULL) < 0 ||
        append_bytes(log, (uint64_t)64 * MIB, NULL) < 0)
        _exit(1);
    (void)raise(SIGKILL);
}

static int kill_writer(struct bench *bench, const char *name)
{
    char path[BENCH_PATH];
    int status = 0;
    path_in(bench, name, path);
    pid_t child = fork();
    if (child == 0)
        append_and_die(path);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
        return bench_fail(bench, "a writer to be killed: it failed before");
    return 0;
}

static int open_killed(struct bench *bench, const char *name, const char *line)
{
    static const struct firn_log_options options = {.must_exist = true};
    struct firn_log *log;
    if (kill_writer(bench, name) < 0)
        return -1;
    double ms = open_ms(bench, name, &options, &log);
    if (ms < 0)
        return -1;
    bench_add(bench, line, "ms", AIM_VALUE_MOST, 50, ms, 0);
    struct firn_error err = {0};
    return firn_log_close(log, &err) < 0 ? bench_fail(bench, "%s", err.message) : 0;
}

static int open_size(struct bench *bench, uint64_t bytes)
{
    char clean[64], killed[64];
    snprintf(clean, sizeof clean, "opening %" PRIu64 " MiB, closed cleanly", bytes / MIB);
    snprintf(killed, sizeof killed, "opening %" PRIu64 " MiB, its writer killed", bytes / MIB);
    int rc = make_log(bench, "open", bytes, FIRN_DURABILITY_OS);
    for (unsigned run = 0; rc == 0 && run < bench->runs * 4; run++)
        rc = open_clean(bench, "open", clean);
    for (unsigned run = 0; rc == 0 && run < bench->runs; run++)
        rc = open_killed(bench, "open", killed);
    return rc;
}

/* ---- memory ---- */

static uint64_t status_number(const char *key)
{
    char line[256];
    uint64_t number = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0)
            number = strtoull(line + strlen(key) + 1, NULL, 10);
    if (file)
        (void)fclose(file);
    return number;
}

static int read_at_random(struct firn_log *log, uint64_t count, struct firn_error *err)
{
    struct firn_log_info info;
    uint64_t state = 88172645463325252u;
    int rc = firn_log_get_info(log, &info, err);
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        struct firn_record *record;
        uint64_t held = info.next_index - info.lowest_index;
        rc = firn_log_read(log, info.lowest_index + xorshift(&state) % held, &record, err);
        if (rc == 0)
            firn_record_free(record);
    }
    return rc;
}

/* In a process of its own: the most memory that it had, in KiB; 0: failed. */
static uint64_t memory_of_reading(const char *path)
{
    int out[2];
    uint64_t kib = 0;
    if (pipe(out) != 0)
        return 0;
    pid_t child = fork();
    if (child == 0) {
        struct firn_log_options options = {.read_only = true};
        struct firn_log *log;
        bool good = firn_log_open(path, &options, &log, NULL) == 0 &&
                    read_at_random(log, READS, NULL) == 0;
        kib = good ? status_number("VmHWM:") : 0;
        _exit(write(out[1], &kib, sizeof kib) == sizeof kib ? 0 : 1);
    }
    (void)close(out[1]);
    if (child < 0 || read(out[0], &kib, sizeof kib) != sizeof kib)
        kib = 0;
    (void)close(out[0]);
    (void)waitpid(child, NULL, 0);
    return kib;
}

static int report_memory(struct bench *bench, const char *name, uint64_t bytes)
{
    char path[BENCH_PATH], line[96];
    path_in(bench, name, path);
    uint64_t kib = memory_of_reading(path);
    if (kib == 0)
        return bench_fail(bench, "reading at random in a process of its own failed");
    snprintf(line, sizeof line, "resident at most, reading %" PRIu64 " MiB at random", bytes / MIB);
    bench_add(bench, line, "MiB", AIM_VALUE_MOST, 64, (double)kib / 1024, 0);
    return 0;
}

/* ---- reading at random ---- */

struct stores {
    int fd[STORES];
    uint64_t size[STORES];
    size_t count;
};

static int open_stores(struct bench *bench, const char *name, struct stores *stores)
{
    char pattern[BENCH_PATH + 8];
    glob_t found = {0};
    path_in(bench, name, pattern);
    strcat(pattern, "/*.log");
    if (glob(pattern, 0, NULL, &found) != 0)
        return bench_fail(bench, "%s: nothing there", pattern);
    for (size_t i = 0; i < found.gl_pathc && i < STORES; i++) {
        struct stat status;
        stores->fd[i] = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
        if (stores->fd[i] < 0 || fstat(stores->fd[i], &status) != 0)
            return bench_fail(bench, "%s: %s", found.gl_pathv[i], strerror(errno));
        stores->size[i] = (uint64_t)status.st_size;
        stores->count = i + 1;
    }
    globfree(&found);
    return 0;
}

/* Nanoseconds for READS of them; 0: failed. */
static uint64_t bare_random(const struct stores *stores, uint64_t seed)
{
    uint8_t bytes[RECORD];
    uint64_t start = now_ns();
    for (unsigned i = 0; i < READS; i++) {
        size_t store = (size_t)(xorshift(&seed) % stores->count);
        uint64_t at = xorshift(&seed) % (stores->size[store] - RECORD);
        if (pread(stores->fd[store], bytes, RECORD, (off_t)at) != RECORD)
            return 0;
    }
    return now_ns() - start;
}

static int random_pair(struct bench *bench, struct firn_log *log, const struct stores *stores,
                       const char *what, double aim, unsigned run)
{
    char line[96];
    struct firn_error err = {0};
    uint64_t bare = bare_random(stores, 88172645463325252u + run);
    uint64_t start = now_ns();
    int rc = read_at_random(log, READS, &err);
    uint64_t firn = now_ns() - start;
    if (bare == 0 || rc < 0)
        return bench_fail(bench, "%s", bare == 0 ? strerror(errno) : err.message);
    snprintf(line, sizeof line, "bare pread of 1 KiB at random, %s", what);
    bench_add(bench, line, "us", AIM_NONE, 0, (double)bare / READS / 1e3, 0);
    snprintf(line, sizeof line, "reading 1 KiB records at random, %s", what);
    bench_add(bench, line, "us", AIM_RATIO_LEAST, aim, (double)firn / READS / 1e3,
              (double)bare / (double)firn);
    return 0;
}

static int random_reads(struct bench *bench, uint64_t bytes, enum firn_durability durability,
                        const char *what, double aim)
{
    static const struct firn_log_options options = {.read_only = true};
    struct stores stores = {.count = 0};
    struct firn_log *log = NULL;
    struct firn_error err = {0};
    int rc = make_log(bench, "random", bytes, durability);
    if (rc == 0)
        rc = open_stores(bench, "random", &stores);
    if (rc == 0)
        rc = open_log(bench, "random", &options, &log);
    if (rc == 0 && read_at_random(log, READS, &err) < 0) /* indexes and pages come in */
        rc = bench_fail(bench, "%s", err.message);
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = random_pair(bench, log, &stores, what, aim, run);
    firn_log_close(log, NULL);
    for (size_t i = 0; i < stores.count; i++)
        (void)close(stores.fd[i]);
    remove_log(bench, "random");
    return rc;
}

/* ---- all of it ---- */

static bool has_room(struct bench *bench, uint64_t bytes)
{
    struct statvfs system;
    if (statvfs(bench->dir, &system) == 0 &&
        (uint64_t)system.f_bavail * system.f_frsize > bytes + bytes / 4)
        return true;
    bench_note(bench, "SKIPPED: no room for %" PRIu64 " MiB", bytes / MIB);
    return false;
}

int bench_large(struct bench *bench)
{
    uint64_t small = bench->quick ? 32 * MIB : GIB, large = 16 * small, middle = 4 * small;
    if (!has_room(bench, large))
        return 0;
    int rc = open_size(bench, small);
    remove_log(bench, "open");
    if (rc == 0)
        rc = open_size(bench, large);
    if (rc == 0)
        rc = report_memory(bench, "open", large);
    remove_log(bench, "open");
    if (rc == 0)
        rc = random_reads(bench, middle, FIRN_DURABILITY_EACH, "durable one by one", 0.5);
    if (rc == 0)
        rc = random_reads(bench, middle, FIRN_DURABILITY_OS, "in bulk", 0.2);
    return rc;
}
