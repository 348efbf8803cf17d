/* SPDX-License-Identifier: MIT */
/*
 * A thousand logs open in one process that share an environment, each written to. A process of its
 * own does it, so that its memory is that of the logs and of nothing else; it answers with one line
 * of numbers.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOGS = 1000, ROUNDS = 4 };

/* What the child tells, in this order. */
enum number {
    PEAK_KB,
    NOW_KB,
    BARE_KB,
    THREADS_ONE,
    THREADS_ALL,
    MOST_KB,
    MEAN_KB,
    OPEN_US,
    NUMBERS
};

#ifdef __linux__

/* ---- the child ---- */

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

static uint64_t allocated;

static int add_up(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)path, (void)kind, (void)where;
    allocated += (uint64_t)status->st_blocks * 512;
    return 0;
}

/* Of everything in the log's directory, in KiB; the highest and the mean. */
static void measure_space(const char *dir, uint64_t *most, uint64_t *mean)
{
    uint64_t sum = 0;
    *most = 0;
    for (unsigned i = 0; i < LOGS; i++) {
        char path[BENCH_PATH];
        snprintf(path, sizeof path, "%.900s/%u", dir, i);
        allocated = 0;
        (void)nftw(path, add_up, 16, FTW_PHYS);
        sum += allocated / 1024;
        *most = allocated / 1024 > *most ? allocated / 1024 : *most;
    }
    *mean = sum / LOGS;
}

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int write_to_all(struct firn_log **logs, unsigned from, unsigned to, struct firn_error *err)
{
    uint8_t bytes[RECORD];
    fill_bytes(bytes, sizeof bytes);
    struct firn_record record = record_of(bytes, sizeof bytes);
    for (unsigned i = from; i < to; i++) {
        int rc = firn_log_append(logs[i], &record, 1, NULL, NULL, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int run_logs(const char *dir, const struct firn_log_options *options, struct firn_log **logs,
                    uint64_t numbers[NUMBERS], struct firn_error *err)
{
    uint64_t start = now_ns();
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < LOGS; i++) {
        char path[BENCH_PATH];
        snprintf(path, sizeof path, "%.900s/%u", dir, i);
        rc = firn_log_open(path, options, &logs[i], err);
        if (rc == 0)
            rc = write_to_all(logs, i, i + 1, err);
        if (i == 0)
            numbers[THREADS_ONE] = status_number("Threads:");
    }
    numbers[OPEN_US] = (now_ns() - start) / 1000 / LOGS;
    for (unsigned round = 1; rc == 0 && round < ROUNDS; round++)
        rc = write_to_all(logs, 0, LOGS, err);
    for (unsigned i = 0; rc == 0 && i < LOGS; i++)
        rc = firn_log_flush(logs[i], err);
    numbers[THREADS_ALL] = status_number("Threads:");
    numbers[NOW_KB] = status_number("VmRSS:");
    if (rc == 0)
        measure_space(dir, &numbers[MOST_KB], &numbers[MEAN_KB]);
    return rc;
}

int bench_many_child(const char *mode, const char *dir)
{
    static struct firn_log *logs[LOGS];
    uint64_t numbers[NUMBERS] = {0};
    struct firn_error err = {0};
    struct firn_log_options options = {
        .durability = strcmp(mode, "each") == 0 ? FIRN_DURABILITY_EACH : FIRN_DURABILITY_GROUP};
    raise_limit();
    numbers[BARE_KB] = status_number("VmRSS:");
    int rc = firn_env_new(NULL, &options.env, &err);
    if (rc == 0)
        rc = run_logs(dir, &options, logs, numbers, &err);
    for (unsigned i = 0; i < LOGS; i++)
        if (firn_log_close(logs[i], rc == 0 ? &err : NULL) < 0 && rc == 0)
            rc = err.code;
    (void)firn_env_free(options.env);
    numbers[PEAK_KB] = status_number("VmHWM:");
    if (rc < 0)
        fprintf(stderr, "%s\n", err.message);
    for (unsigned i = 0; i < NUMBERS; i++)
        printf("%" PRIu64 "%c", numbers[i], i + 1 < NUMBERS ? ' ' : '\n');
    return rc < 0 ? 1 : 0;
}

/* ---- the parent ---- */

static int start_child(const char *mode, const char *dir, int out[2], pid_t *child)
{
    if (pipe(out) != 0)
        return -1;
    *child = fork();
    if (*child == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)close(out[0]);
        execl("/proc/self/exe", "firn-bench", "--many-child", mode, dir, (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    return *child < 0 ? -1 : 0;
}

static int run_child(struct bench *bench, const char *mode, const char *dir,
                     uint64_t numbers[NUMBERS])
{
    int out[2], status = -1;
    pid_t child;
    if (start_child(mode, dir, out, &child) != 0)
        return bench_fail(bench, "a process of its own: %s", strerror(errno));
    FILE *from = fdopen(out[0], "r");
    unsigned got = 0;
    while (from && got < NUMBERS && fscanf(from, "%" SCNu64, &numbers[got]) == 1)
        got++;
    if (from)
        (void)fclose(from);
    (void)waitpid(child, &status, 0);
    if (got == NUMBERS && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return bench_fail(bench, "mode %s: the process with the logs failed", mode);
}

static void report(struct bench *bench, const char *mode, const uint64_t numbers[NUMBERS])
{
    char name[96];
    snprintf(name, sizeof name, "1,000 logs, mode %s, resident at most", mode);
    bench_add(bench, name, "MiB", AIM_VALUE_MOST, 96, (double)numbers[PEAK_KB] / 1024, 0);
    snprintf(name, sizeof name, "1,000 logs, mode %s, resident after a flush", mode);
    bench_add(bench, name, "MiB", AIM_NONE, 0, (double)numbers[NOW_KB] / 1024, 0);
    snprintf(name, sizeof name, "1,000 logs, mode %s, threads; ratio to one log", mode);
    bench_add(bench, name, "", AIM_RATIO_MOST, 1, (double)numbers[THREADS_ALL],
              (double)numbers[THREADS_ALL] / (double)numbers[THREADS_ONE]);
    snprintf(name, sizeof name, "1,000 logs, mode %s, disk space of the largest", mode);
    bench_add(bench, name, "KiB", AIM_VALUE_MOST, 1024, (double)numbers[MOST_KB], 0);
    snprintf(name, sizeof name, "1,000 logs, mode %s, disk space, mean", mode);
    bench_add(bench, name, "KiB", AIM_NONE, 0, (double)numbers[MEAN_KB], 0);
    snprintf(name, sizeof name, "1,000 logs, mode %s, create and append once, each", mode);
    bench_add(bench, name, "us", AIM_NONE, 0, (double)numbers[OPEN_US], 0);
}

static int run_mode(struct bench *bench, const char *mode)
{
    char dir[BENCH_PATH];
    uint64_t numbers[NUMBERS] = {0};
    path_in(bench, mode, dir);
    int rc = run_child(bench, mode, dir, numbers);
    if (rc == 0)
        report(bench, mode, numbers);
    remove_tree(dir);
    return rc;
}

int bench_many(struct bench *bench)
{
    int rc = run_mode(bench, "group");
    return rc == 0 && bench_goes_on() ? run_mode(bench, "each") : rc;
}

#else

int bench_many_child(const char *mode, const char *dir)
{
    (void)mode, (void)dir;
    return 1;
}

int bench_many(struct bench *bench)
{
    bench_note(bench, "SKIPPED: needs /proc/self/status");
    return 0;
}

#endif
