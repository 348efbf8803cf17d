/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

bool bench_goes_on(void)
{
    return !interrupted;
}

void bench_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- numbers ---- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int compare_samples(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

double median_of(const double *values, size_t count)
{
    if (count == 0)
        return 0;
    double *sorted = malloc(count * sizeof *sorted);
    if (!sorted)
        abort();
    memcpy(sorted, values, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    double median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
    free(sorted);
    return median;
}

void samples_add(struct samples *samples, uint64_t value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 4096;
        samples->at = realloc(samples->at, samples->capacity * sizeof *samples->at);
        if (!samples->at)
            abort();
    }
    samples->at[samples->count++] = value;
    samples->sorted = false;
}

double samples_percentile(struct samples *samples, double percent)
{
    if (samples->count == 0)
        return 0;
    if (!samples->sorted)
        qsort(samples->at, samples->count, sizeof *samples->at, compare_samples);
    samples->sorted = true;
    size_t rank = (size_t)((double)samples->count * percent / 100);
    return (double)samples->at[rank < samples->count ? rank : samples->count - 1];
}

void samples_clear(struct samples *samples)
{
    samples->count = 0;
}

void samples_free(struct samples *samples)
{
    free(samples->at);
    *samples = (struct samples){0};
}

/* ---- files ---- */

void path_in(const struct bench *bench, const char *name, char path[BENCH_PATH])
{
    if (snprintf(path, BENCH_PATH, "%s/%s", bench->dir, name) >= BENCH_PATH)
        abort();
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    (void)remove(path);
    return 0;
}

void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void remove_file(const struct bench *bench, const char *name)
{
    char path[BENCH_PATH];
    path_in(bench, name, path);
    remove_tree(path);
}

void fill_bytes(uint8_t *bytes, size_t size)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (uint8_t)(state >> 32);
    }
}

/* ---- logs ---- */

struct firn_record record_of(const void *value, size_t size)
{
    return (struct firn_record){.value = {value, size}};
}

int open_log(struct bench *bench, const char *name, const struct firn_log_options *options,
             struct firn_log **log)
{
    char path[BENCH_PATH];
    struct firn_error err = {0};
    path_in(bench, name, path);
    if (firn_log_open(path, options, log, &err) == 0)
        return 0;
    *log = NULL;
    return bench_fail(bench, "%s", err.message);
}

int destroy_log(struct bench *bench, struct firn_log *log)
{
    struct firn_error err = {0};
    if (!log || firn_log_destroy(log, &err) == 0)
        return 0;
    return bench_fail(bench, "%s", err.message);
}
