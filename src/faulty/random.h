/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same on every machine (splitmix64). */
#ifndef FAULTY_RANDOM_H
#define FAULTY_RANDOM_H

#include <stdint.h>

static inline uint64_t faulty_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t faulty_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return faulty_mix(*state);
}

/* A number in [0, limit); `limit` is above 0. The bias is below 2^-32 for limits below 2^32. */
static inline uint64_t faulty_random_below(uint64_t *state, uint64_t limit)
{
    return faulty_random(state) % limit;
}

#endif
