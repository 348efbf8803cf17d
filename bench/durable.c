/* SPDX-License-Identifier: MIT */
/*
 * One writer that waits for each record: the median against a bare durable write of the same byte
 * ranges into a file of zeros, and the slowest appends while space is being prepared.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pair {
    struct firn_log *log;
    int fd;
    uint64_t offset;    /* in the bare file: as in the log's */
    size_t batch_bytes; /* that a record takes in the log */
    uint8_t bytes[2 * RECORD];
    struct samples bare, firn;
};

static int append_some(struct bench *bench, struct firn_log *log, const uint8_t *bytes,
                       unsigned count, struct samples *samples)
{
    struct firn_error err = {0};
    struct firn_record record = record_of(bytes, RECORD);
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (firn_log_append(log, &record, 1, NULL, NULL, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        if (samples)
            samples_add(samples, now_ns() - start);
    }
    return 0;
}

static int write_some(struct bench *bench, struct pair *pair, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (bare_write_durable(pair->fd, pair->bytes, pair->batch_bytes, pair->offset) != 0)
            return bench_fail(bench, "a bare write: %s", strerror(errno));
        samples_add(&pair->bare, now_ns() - start);
        pair->offset += pair->batch_bytes;
    }
    return 0;
}

/* After `count` single appends: what one of them takes, and where the next one goes. */
static int measure_batch(struct bench *bench, struct pair *pair, unsigned count)
{
    struct firn_log_info info;
    struct firn_error err = {0};
    if (firn_log_get_info(pair->log, &info, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    pair->batch_bytes = (size_t)(info.bytes / count);
    pair->offset = info.bytes;
    if (info.bytes % count != 0 || pair->batch_bytes > sizeof pair->bytes)
        return bench_fail(bench, "%u records take %llu bytes", count,
                          (unsigned long long)info.bytes);
    return 0;
}

static int start_pair(struct bench *bench, struct pair *pair, unsigned warm, uint64_t bytes)
{
    fill_bytes(pair->bytes, sizeof pair->bytes);
    pair->fd = bare_zeroed(bench, "bare", bytes);
    if (pair->fd < 0 || open_log(bench, "log", NULL, &pair->log) < 0)
        return -1;
    if (append_some(bench, pair->log, pair->bytes, warm, NULL) < 0)
        return -1;
    return measure_batch(bench, pair, warm);
}

static int end_pair(struct bench *bench, struct pair *pair)
{
    if (pair->fd >= 0)
        (void)close(pair->fd);
    remove_file(bench, "bare");
    samples_free(&pair->bare);
    samples_free(&pair->firn);
    return destroy_log(bench, pair->log);
}

/* ---- the median ---- */

enum { PAIRS = 4, WARM = 512 };

static void report_pair(struct bench *bench, struct pair *pair)
{
    double bare = samples_percentile(&pair->bare, 50) / 1000;
    double firn = samples_percentile(&pair->firn, 50) / 1000;
    char name[96];
    snprintf(name, sizeof name, "bare %s, %zu bytes, p50", bare_how(), pair->batch_bytes);
    bench_add(bench, name, "us", AIM_NONE, 0, bare, 0);
    bench_add(bench, "durable append of 1 KiB, p50", "us", AIM_RATIO_MOST, 1.15, firn, firn / bare);
    samples_clear(&pair->bare);
    samples_clear(&pair->firn);
}

static int durable_run(struct bench *bench)
{
    struct pair pair = {.fd = -1};
    unsigned count = bench->quick ? 100 : 1000;
    int rc = start_pair(bench, &pair, WARM, (uint64_t)(WARM + PAIRS * count) * 2 * RECORD);
    for (unsigned i = 0; rc == 0 && i < PAIRS && bench_goes_on(); i++) {
        rc = write_some(bench, &pair, count);
        if (rc == 0)
            rc = append_some(bench, pair.log, pair.bytes, count, &pair.firn);
        if (rc == 0)
            report_pair(bench, &pair);
    }
    int end_rc = end_pair(bench, &pair);
    return rc < 0 ? rc : end_rc;
}

int bench_durable(struct bench *bench)
{
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = durable_run(bench);
    return rc;
}

/* ---- the tail ---- */

/* Adds p99.9 and how many times the median it is. */
static void report_tail(struct bench *bench, const char *name, enum aim aim,
                        struct samples *samples)
{
    double p50 = samples_percentile(samples, 50);
    double p999 = samples_percentile(samples, 99.9);
    bench_add(bench, name, "us", aim, aim == AIM_NONE ? 0 : 8, p999 / 1000, p999 / p50);
}

static int tail_run(struct bench *bench)
{
    struct pair pair = {.fd = -1};
    unsigned count = bench->quick ? 2000 : 25000;
    int rc = start_pair(bench, &pair, 1, (uint64_t)count * 2 * RECORD);
    if (rc == 0)
        rc = write_some(bench, &pair, count);
    if (rc == 0)
        rc = append_some(bench, pair.log, pair.bytes, count, &pair.firn);
    if (rc == 0) {
        report_tail(bench, "bare durable write, p99.9; ratio to its p50", AIM_NONE, &pair.bare);
        report_tail(bench, "durable append, fresh log, p99.9; ratio to its p50", AIM_RATIO_MOST,
                    &pair.firn);
        bench_add(bench, "durable append, fresh log, p50", "us", AIM_NONE, 0,
                  samples_percentile(&pair.firn, 50) / 1000, 0);
        bench_add(bench, "durable append, fresh log, p99", "us", AIM_NONE, 0,
                  samples_percentile(&pair.firn, 99) / 1000, 0);
        bench_add(bench, "durable append, fresh log, slowest", "us", AIM_NONE, 0,
                  samples_percentile(&pair.firn, 100) / 1000, 0);
    }
    int end_rc = end_pair(bench, &pair);
    return rc < 0 ? rc : end_rc;
}

int bench_tail(struct bench *bench)
{
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = tail_run(bench);
    return rc;
}
