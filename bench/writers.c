/* SPDX-License-Identifier: MIT */
/* Many writers, each of which waits for its records: how many share a sync. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 64, CACHE_LINE = 64 };

struct crew;

struct writer {
    _Alignas(CACHE_LINE) _Atomic uint64_t done; /* records */
    struct crew *crew;
    pthread_t thread;
    struct firn_error err;
};

struct crew {
    struct firn_log *log;
    _Atomic bool stop;
    uint8_t bytes[RECORD];
    struct writer writers[MOST];
    unsigned count;
};

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    struct crew *crew = writer->crew;
    struct firn_record record = record_of(crew->bytes, RECORD);
    while (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
        if (firn_log_append(crew->log, &record, 1, NULL, NULL, &writer->err) < 0)
            break;
        atomic_fetch_add_explicit(&writer->done, 1, memory_order_relaxed);
    }
    return NULL;
}

static uint64_t total(struct crew *crew)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(&crew->writers[i].done, memory_order_relaxed);
    return sum;
}

static void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static int start_crew(struct bench *bench, struct crew *crew, unsigned count)
{
    fill_bytes(crew->bytes, sizeof crew->bytes);
    for (; crew->count < count; crew->count++) {
        struct writer *writer = &crew->writers[crew->count];
        writer->crew = crew;
        if (pthread_create(&writer->thread, NULL, write_on, writer) != 0)
            return bench_fail(bench, "no thread to be had");
    }
    return 0;
}

static int end_crew(struct bench *bench, struct crew *crew)
{
    int rc = 0;
    atomic_store(&crew->stop, true);
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->writers[i].thread, NULL);
    for (unsigned i = 0; rc == 0 && i < crew->count; i++)
        if (crew->writers[i].err.code)
            rc = bench_fail(bench, "%s", crew->writers[i].err.message);
    return rc;
}

static void report_groups(struct bench *bench, struct firn_log *log, unsigned count)
{
    struct firn_commit_stats stats;
    firn_log_get_commit_stats(log, &stats);
    const struct firn_histogram *items = &stats.group_items, *sync = &stats.sync_ns;
    bench_note(bench,
               "%2u writers: %.1f records a group (p50 %llu, p90 %llu, max %llu), sync p50 %.0f "
               "p90 %.0f p99 %.0f p99.9 %.0f max %.0f us, %llu stalls",
               count, stats.groups ? (double)stats.items / (double)stats.groups : 0,
               (unsigned long long)items->p50, (unsigned long long)items->p90,
               (unsigned long long)items->max, (double)sync->p50 / 1e3, (double)sync->p90 / 1e3,
               (double)sync->p99 / 1e3, (double)sync->p999 / 1e3, (double)sync->max / 1e3,
               (unsigned long long)stats.stalls);
}

/* Records per second of `count` writers on a fresh log; negative: failed. */
static double rate_of(struct bench *bench, unsigned count, bool say_groups)
{
    struct crew *crew = aligned_alloc(CACHE_LINE, sizeof *crew);
    double rate = -1;
    if (!crew)
        return bench_fail(bench, "no memory");
    memset(crew, 0, sizeof *crew);
    if (open_log(bench, "log", NULL, &crew->log) == 0) {
        int rc = start_crew(bench, crew, count);
        sleep_ms(bench->quick ? 50 : 300);
        uint64_t start = now_ns(), before = total(crew);
        sleep_ms(bench->quick ? 100 : 1000);
        uint64_t done = total(crew) - before, taken = now_ns() - start;
        rc |= end_crew(bench, crew);
        if (rc == 0)
            rate = (double)done * 1e9 / (double)taken;
        if (rc == 0 && say_groups)
            report_groups(bench, crew->log, count);
        if (destroy_log(bench, crew->log) < 0)
            rate = -1;
    }
    free(crew);
    return rate;
}

int bench_writers(struct bench *bench)
{
    static const struct {
        unsigned count;
        enum aim aim;
        double target;
    } crews[] = {{4, AIM_NONE, 0}, {16, AIM_RATIO_LEAST, 6}, {64, AIM_RATIO_LEAST, 12}};
    for (unsigned run = 0; run < bench->runs && bench_goes_on(); run++) {
        bool last = run + 1 == bench->runs;
        double one = rate_of(bench, 1, last);
        if (one <= 0)
            return -1;
        bench_add(bench, "1 writer", "records/s", AIM_NONE, 0, one, 0);
        for (size_t i = 0; i < sizeof crews / sizeof crews[0] && bench_goes_on(); i++) {
            char name[32];
            double rate = rate_of(bench, crews[i].count, last);
            if (rate < 0)
                return -1;
            snprintf(name, sizeof name, "%u writers", crews[i].count);
            bench_add(bench, name, "records/s", crews[i].aim, crews[i].target, rate, rate / one);
        }
    }
    return 0;
}
