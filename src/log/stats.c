/* SPDX-License-Identifier: MIT */
/* What the log has done since it was opened, in numbers. */
#include "log/stats.h"

#include <stdlib.h>
#include <string.h>

#include "log/log_private.h"

int stats_init(struct stats *stats)
{
    size_t size = STATS_STRIPES * sizeof *stats->stripes;
    stats->stripes = aligned_alloc(_Alignof(struct stats_stripe), size);
    if (!stats->stripes)
        return FIRN_ENOMEM;
    memset(stats->stripes, 0, size);
    pthread_mutex_init(&stats->lock, NULL);
    return 0;
}

void stats_done(struct stats *stats)
{
    if (!stats->stripes)
        return;
    pthread_mutex_destroy(&stats->lock);
    free(stats->stripes);
}

void stats_settled(struct stats *stats, uint64_t ns)
{
    pthread_mutex_lock(&stats->lock);
    histogram_add(&stats->settle_ns, ns);
    pthread_mutex_unlock(&stats->lock);
}

static uint64_t total(const struct stats *stats, enum log_event event)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < STATS_STRIPES; i++)
        sum += atomic_load_explicit(&stats->stripes[i].count[event], memory_order_relaxed);
    return sum;
}

static void count_appends(struct firn_log *log, struct firn_log_stats *out)
{
    if (log->options.read_only)
        return;
    lock_take(&log->commit.lock);
    out->appends = log->stats.appends;
    out->records = log->stats.records;
    out->bytes = log->stats.bytes;
    lock_release(&log->commit.lock);
}

void firn_log_get_stats(struct firn_log *log, struct firn_log_stats *out)
{
    struct stats *stats = &log->stats;
    *out = (struct firn_log_stats){
        .refused_for_space = total(stats, EVENT_NO_SPACE),
        .rotations = total(stats, EVENT_ROTATION),
        .truncations = total(stats, EVENT_TRUNCATION),
        .removals = total(stats, EVENT_REMOVAL),
        .trims = total(stats, EVENT_TRIM),
        .segments_removed = total(stats, EVENT_SEGMENT_REMOVED),
        .batches_read = total(stats, EVENT_BATCH_READ),
        .bytes_read = total(stats, EVENT_BYTES_READ),
        .damaged_reads = total(stats, EVENT_DAMAGE),
        .index_loads = total(stats, EVENT_INDEX_LOAD),
        .index_rebuilds = total(stats, EVENT_INDEX_REBUILD),
        .refreshes = total(stats, EVENT_REFRESH),
        .sleeps = total(stats, EVENT_SLEEP),
        .position_commits = total(stats, EVENT_POSITION_COMMIT),
        .position_stores = total(stats, EVENT_POSITION_STORE),
        .checkpoints = total(stats, EVENT_CHECKPOINT),
    };
    count_appends(log, out);
    handles_get_stats(&log->handles, out);
    pthread_mutex_lock(&log->cache.lock);
    out->indexes = log->cache.count;
    out->index_evictions = log->cache.evictions;
    pthread_mutex_unlock(&log->cache.lock);
    pthread_mutex_lock(&stats->lock);
    histogram_summary(&stats->settle_ns, &out->settle_ns);
    pthread_mutex_unlock(&stats->lock);
}
