/* SPDX-License-Identifier: MIT */
#include "base/histogram.h"

#include <stddef.h>

static size_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB)
        return (size_t)value;
    if (value >> HISTOGRAM_BITS != 0)
        return HISTOGRAM_BUCKETS - 1;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return shift * HISTOGRAM_SUB + (size_t)(value >> shift);
}

/* The middle of a bucket. */
static uint64_t value_of(size_t bucket)
{
    if (bucket < HISTOGRAM_SUB)
        return bucket;
    unsigned shift = (unsigned)(bucket / HISTOGRAM_SUB) - 1;
    uint64_t lowest = (bucket - (size_t)shift * HISTOGRAM_SUB) << shift;
    return lowest + (((uint64_t)1 << shift) >> 1);
}

static uint64_t add_u64(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint32_t add_u32(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    if (histogram->count == 0 || value < histogram->min)
        histogram->min = value;
    if (value > histogram->max)
        histogram->max = value;
    histogram->count++;
    histogram->sum = add_u64(histogram->sum, value);
    uint32_t *bucket = &histogram->buckets[bucket_of(value)];
    *bucket = add_u32(*bucket, 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    if (into->count == 0 || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum = add_u64(into->sum, from->sum);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] = add_u32(into->buckets[i], from->buckets[i]);
}

/* The value that has `rank` values below or beside it, of those in the buckets. */
static uint64_t value_at(const struct histogram *histogram, uint64_t rank)
{
    uint64_t below = 0;
    size_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1) {
        below += histogram->buckets[bucket];
        if (below >= rank)
            break;
        bucket++;
    }
    uint64_t value = bucket == HISTOGRAM_BUCKETS - 1 ? histogram->max : value_of(bucket);
    if (value < histogram->min)
        return histogram->min;
    return value > histogram->max ? histogram->max : value;
}

void histogram_summary(const struct histogram *histogram, struct firn_histogram *out)
{
    *out = (struct firn_histogram){0};
    if (histogram->count == 0)
        return;
    uint64_t total = 0; /* not count, if a counter is full */
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        total += histogram->buckets[i];
    out->count = histogram->count;
    out->min = histogram->min;
    out->max = histogram->max;
    out->mean = histogram->sum / histogram->count;
    out->p50 = value_at(histogram, total - total / 2);
    out->p90 = value_at(histogram, total - total / 10);
    out->p99 = value_at(histogram, total - total / 100);
    out->p999 = value_at(histogram, total - total / 1000);
}
