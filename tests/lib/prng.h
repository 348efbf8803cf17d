/* SPDX-License-Identifier: MIT */
/* Random numbers that repeat from their seed: splitmix64. */
#ifndef TESTS_LIB_PRNG_H
#define TESTS_LIB_PRNG_H

#include <stddef.h>
#include <stdint.h>

struct prng {
    uint64_t state;
};

static inline struct prng prng_new(uint64_t seed)
{
    return (struct prng){.state = seed};
}

static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t z = prng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to n - 1; n is not 0. The bias is of no matter to tests. */
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
    return prng_next(prng) % n;
}

/* Of a random length in bits first, so that small numbers are as likely as large ones. */
static inline uint64_t prng_skewed(struct prng *prng)
{
    return prng_next(prng) >> prng_below(prng, 64);
}

static inline void prng_fill(struct prng *prng, void *data, size_t size)
{
    unsigned char *p = data;
    for (size_t i = 0; i < size; i++)
        p[i] = (unsigned char)(prng_next(prng) >> 56);
}

#endif
