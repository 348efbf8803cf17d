/* SPDX-License-Identifier: MIT */
/*
 * A histogram of numbers: sixteen equal buckets per power of two, so that what it tells is within
 * 3.2 % of truth. Numbers below 16 have a bucket each; those from 2^40 on (in nanoseconds, 18
 * minutes) share the last one. A counter that is full stays full. 2.4 KiB, no allocation.
 *
 * Zeroed is empty. Not for several threads at a time: the owner's lock guards it.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

#include <firn/stats.h>

enum {
    HISTOGRAM_SUB_BITS = 4,
    HISTOGRAM_SUB = 1 << HISTOGRAM_SUB_BITS,
    HISTOGRAM_BITS = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB,
};

struct histogram {
    uint64_t count;
    uint64_t sum; /* stops at UINT64_MAX */
    uint64_t min; /* if count is not 0 */
    uint64_t max;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* Adds what is in `from`. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* All zero for an empty histogram. count, min and max are exact, and so is mean. */
void histogram_summary(const struct histogram *histogram, struct firn_histogram *out);

#endif
