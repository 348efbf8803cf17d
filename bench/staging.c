/* SPDX-License-Identifier: MIT */
/*
 * What an append costs its caller when nobody waits. A call takes not much longer than reading the
 * clock, so the clock is read around every 16 calls, and the figure is a sixteenth of that. Single
 * calls are timed too, with the median cost of two readings of the clock taken off.
 */
#include "bench.h"

enum { CALLS = 16, SMALL = 128 };

static double clock_cost(void)
{
    struct samples samples = {0};
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t start = now_ns();
        samples_add(&samples, now_ns() - start);
    }
    double cost = samples_percentile(&samples, 50);
    samples_free(&samples);
    return cost;
}

/* `rounds` times, the clock is read around `calls` appends. */
static int stage(struct bench *bench, struct firn_log *log, const struct firn_record *record,
                 unsigned calls, unsigned rounds, struct samples *samples)
{
    static const struct firn_append_options options = {.no_wait = true};
    struct firn_error err = {0};
    int rc = 0;
    for (unsigned i = 0; i < rounds; i++) {
        uint64_t start = now_ns();
        for (unsigned j = 0; j < calls; j++)
            rc |= firn_log_append(log, record, 1, &options, NULL, &err);
        uint64_t taken = now_ns() - start;
        if (rc < 0)
            return bench_fail(bench, "%s", err.message);
        samples_add(samples, taken);
    }
    return 0;
}

/* Sixteen at a time. */
static int in_rows(struct bench *bench, struct firn_log *log, const struct firn_record *record,
                   const char *name, enum aim aim)
{
    struct samples samples = {0};
    int rc = stage(bench, log, record, CALLS, bench->quick ? 2000 : 20000, &samples);
    double p50 = samples_percentile(&samples, 50) / CALLS;
    if (rc == 0)
        bench_add(bench, name, "ns", aim, aim == AIM_NONE ? 0 : 150, p50, 0);
    samples_free(&samples);
    return rc;
}

static int one_by_one(struct bench *bench, struct firn_log *log, const struct firn_record *record,
                      double clock)
{
    struct samples samples = {0};
    int rc = stage(bench, log, record, 1, bench->quick ? 20000 : 200000, &samples);
    if (rc == 0) {
        bench_add(bench, "single calls, less the clock, p50", "ns", AIM_NONE, 0,
                  samples_percentile(&samples, 50) - clock, 0);
        bench_add(bench, "single calls, less the clock, p99", "ns", AIM_NONE, 0,
                  samples_percentile(&samples, 99) - clock, 0);
        bench_add(bench, "single calls, less the clock, p99.9", "ns", AIM_NONE, 0,
                  samples_percentile(&samples, 99.9) - clock, 0);
    }
    samples_free(&samples);
    return rc;
}

static int staging_run(struct bench *bench)
{
    uint8_t bytes[SMALL];
    struct firn_log_options options = {.durability = FIRN_DURABILITY_OS};
    struct firn_log *log;
    if (open_log(bench, "log", &options, &log) < 0)
        return -1;
    fill_bytes(bytes, sizeof bytes);
    struct firn_record now = record_of(bytes, sizeof bytes), given = now;
    given.timestamp = 1700000000000;
    double clock = clock_cost();
    bench_add(bench, "two readings of the clock", "ns", AIM_NONE, 0, clock, 0);
    int rc = in_rows(bench, log, &now, "staging 128 bytes, rows of 16 calls, p50", AIM_VALUE_MOST);
    if (rc == 0)
        rc = in_rows(bench, log, &given, "the same, caller gives the time, p50", AIM_NONE);
    if (rc == 0)
        rc = one_by_one(bench, log, &now, clock);
    int end_rc = destroy_log(bench, log);
    return rc < 0 ? rc : end_rc;
}

int bench_staging(struct bench *bench)
{
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = staging_run(bench);
    return rc;
}
