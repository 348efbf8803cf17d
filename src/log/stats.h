/* SPDX-License-Identifier: MIT */
/*
 * What a log counts (stats.c). Counters are for any thread; threads count in different places, so
 * that they do not hinder each other.
 */
#ifndef LOG_STATS_H
#define LOG_STATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/histogram.h"

struct firn_log;

enum log_event {
    EVENT_BATCH_READ,
    EVENT_BYTES_READ,
    EVENT_DAMAGE,
    EVENT_ROTATION,
    EVENT_TRUNCATION,
    EVENT_REMOVAL,
    EVENT_TRIM,
    EVENT_SEGMENT_REMOVED,
    EVENT_CHECKPOINT,
    EVENT_INDEX_LOAD,
    EVENT_INDEX_REBUILD,
    EVENT_REFRESH,
    EVENT_SLEEP,
    EVENT_POSITION_COMMIT,
    EVENT_POSITION_STORE,
    EVENT_NO_SPACE,
    EVENTS
};

enum { STATS_STRIPES = 4 };

struct stats_stripe {
    _Alignas(64) _Atomic uint64_t count[EVENTS];
};

struct stats {
    uint64_t appends, records, bytes; /* under the commit lock */
    pthread_mutex_t lock;
    struct histogram settle_ns; /* under the lock */
    struct stats_stripe *stripes;
};

int stats_init(struct stats *stats); /* FIRN_ENOMEM */
void stats_done(struct stats *stats);
void stats_settled(struct stats *stats, uint64_t ns);

static inline void stats_add(struct stats *stats, enum log_event event, uint64_t number)
{
    /* Stacks of threads lie apart. */
    size_t stripe = ((uintptr_t)&number >> 16) * 0x9e3779b1u >> 16;
    atomic_fetch_add_explicit(&stats->stripes[stripe % STATS_STRIPES].count[event], number,
                              memory_order_relaxed);
}

/* With the commit lock. */
static inline void stats_appended(struct stats *stats, uint64_t records, uint64_t bytes)
{
    stats->appends++;
    stats->records += records;
    stats->bytes += bytes;
}

#endif
