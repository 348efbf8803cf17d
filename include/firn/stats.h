/* SPDX-License-Identifier: MIT */
/** Figures that several rooms show. */
#ifndef FIRN_STATS_H
#define FIRN_STATS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A summary of a histogram: values are in the unit of what was measured, within 4 % of truth. */
struct firn_histogram {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    uint64_t mean;
    uint64_t p50;
    uint64_t p90;
    uint64_t p99;
    uint64_t p999;
};

/** What group commit did. */
struct firn_commit_stats {
    uint64_t epoch_durable;            /**< highest epoch on stable storage */
    uint64_t epoch_staged;             /**< highest epoch handed out */
    uint64_t groups;                   /**< groups written */
    uint64_t items;                    /**< records (or changes) in them */
    uint64_t bytes;                    /**< bytes in them */
    uint64_t syncs;                    /**< syncs and durable writes */
    uint64_t stalls;                   /**< how often a writer waited for a buffer */
    struct firn_histogram group_items; /**< records per group */
    struct firn_histogram sync_ns;     /**< time of a sync or durable write, in ns */
};

#ifdef __cplusplus
}
#endif
#endif
