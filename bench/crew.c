/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

enum { CACHE_LINE = 64 };

struct crew;

struct member {
    _Alignas(CACHE_LINE) _Atomic uint64_t done;
    struct crew *crew;
    unsigned number;
    pthread_t thread;
    struct firn_error err;
};

struct crew {
    crew_step *step;
    void *arg;
    _Atomic bool stop;
    struct member members[CREW_MOST];
    unsigned count;
};

static void *work(void *arg)
{
    struct member *member = arg;
    struct crew *crew = member->crew;
    while (!atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
        if (crew->step(crew->arg, member->number, &member->err) < 0)
            break;
        atomic_fetch_add_explicit(&member->done, 1, memory_order_relaxed);
    }
    return NULL;
}

static uint64_t total(struct crew *crew)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < crew->count; i++)
        sum += atomic_load_explicit(&crew->members[i].done, memory_order_relaxed);
    return sum;
}

static void sleep_ms(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static int start(struct bench *bench, struct crew *crew, unsigned count)
{
    for (; crew->count < count; crew->count++) {
        struct member *member = &crew->members[crew->count];
        member->crew = crew;
        member->number = crew->count;
        if (pthread_create(&member->thread, NULL, work, member) != 0)
            return bench_fail(bench, "no thread to be had");
    }
    return 0;
}

static int end(struct bench *bench, struct crew *crew)
{
    int rc = 0;
    atomic_store(&crew->stop, true);
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->members[i].thread, NULL);
    for (unsigned i = 0; rc == 0 && i < crew->count; i++)
        if (crew->members[i].err.code)
            rc = bench_fail(bench, "%s", crew->members[i].err.message);
    return rc;
}

double crew_rate(struct bench *bench, unsigned count, crew_step *step, void *arg)
{
    struct crew *crew = aligned_alloc(CACHE_LINE, sizeof *crew);
    if (!crew)
        return bench_fail(bench, "no memory");
    memset(crew, 0, sizeof *crew);
    crew->step = step;
    crew->arg = arg;
    int rc = start(bench, crew, count);
    sleep_ms(bench->quick ? 50 : 300);
    uint64_t began = now_ns(), before = total(crew);
    sleep_ms(bench->quick ? 100 : 1000);
    uint64_t done = total(crew) - before, taken = now_ns() - began;
    rc |= end(bench, crew);
    free(crew);
    return rc == 0 ? (double)done * 1e9 / (double)taken : -1;
}

void crew_note_groups(struct bench *bench, unsigned count, const char *what,
                      const struct firn_commit_stats *stats)
{
    const struct firn_histogram *items = &stats->group_items, *sync = &stats->sync_ns;
    bench_note(bench,
               "%2u writers: %.1f %s a group (p50 %llu, p90 %llu, max %llu), sync p50 %.0f "
               "p90 %.0f p99 %.0f p99.9 %.0f max %.0f us, %llu stalls",
               count, stats->groups ? (double)stats->items / (double)stats->groups : 0, what,
               (unsigned long long)items->p50, (unsigned long long)items->p90,
               (unsigned long long)items->max, (double)sync->p50 / 1e3, (double)sync->p90 / 1e3,
               (double)sync->p99 / 1e3, (double)sync->p999 / 1e3, (double)sync->max / 1e3,
               (unsigned long long)stats->stalls);
}
