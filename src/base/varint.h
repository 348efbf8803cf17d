/* SPDX-License-Identifier: MIT */
/*
 * Numbers of variable length, as in Kafka's records and in Protocol Buffers: seven bits a byte, low
 * ones first, the high bit says that more follow. Signed ones are zigzagged (0, -1, 1, -2 are 0, 1,
 * 2, 3), so that small ones of either sign are short; one of 32 bits has the same bytes as the same
 * value in 64.
 *
 * Decoders read from *p, never at or behind `end`. On success they move *p behind the number and
 * write *value; otherwise they change nothing and return FIRN_EDAMAGED: the number does not end
 * before `end`, or is longer than its type can be, or out of its range. Needless high zero bytes
 * within the longest length are accepted, as Kafka does.
 */
#ifndef BASE_VARINT_H
#define BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

enum {
    VARINT_MAX = 10,   /* bytes of the longest number */
    VARINT_MAX_32 = 5, /* ... of 32 bits */
};

static inline uint64_t varint_zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (0 - ((uint64_t)v >> 63));
}

static inline int64_t varint_unzigzag(uint64_t u)
{
    return (int64_t)(u >> 1 ^ (0 - (u & 1)));
}

/* ---- unsigned ---- */

static inline size_t varint_size_unsigned(uint64_t u)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(u | 1);
    return (bits * 9 + 64) / 64; /* bits / 7, rounded up */
}

/* Returns the place behind the number; VARINT_MAX bytes of room always suffice. */
static inline uint8_t *varint_put_unsigned(uint8_t *p, uint64_t u)
{
    while (u >= 0x80) {
        *p++ = (uint8_t)(u | 0x80);
        u >>= 7;
    }
    *p++ = (uint8_t)u;
    return p;
}

/* The general case of varint_get_unsigned, for numbers of up to `longest` bytes. */
int varint_get_long(const uint8_t **p, const uint8_t *end, unsigned longest, uint64_t *value);

static inline int varint_get_unsigned_to(const uint8_t **p, const uint8_t *end, unsigned longest,
                                         uint64_t *value)
{
    const uint8_t *q = *p;
    if (end - q >= 2) {
        uint32_t low = q[0];
        if (low < 0x80) {
            *value = low;
            *p = q + 1;
            return 0;
        }
        uint32_t high = q[1];
        if (high < 0x80) {
            *value = (low & 0x7f) | high << 7;
            *p = q + 2;
            return 0;
        }
    }
    return varint_get_long(p, end, longest, value);
}

static inline int varint_get_unsigned(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
    return varint_get_unsigned_to(p, end, VARINT_MAX, value);
}

/* ---- signed ---- */

/* Bytes that varint_put writes for `v`: 1 to VARINT_MAX. */
static inline size_t varint_size(int64_t v)
{
    return varint_size_unsigned(varint_zigzag(v));
}

static inline uint8_t *varint_put(uint8_t *p, int64_t v)
{
    return varint_put_unsigned(p, varint_zigzag(v));
}

static inline int varint_get(const uint8_t **p, const uint8_t *end, int64_t *value)
{
    uint64_t u;
    int rc = varint_get_unsigned_to(p, end, VARINT_MAX, &u);
    if (rc == 0)
        *value = varint_unzigzag(u);
    return rc;
}

static inline int varint_get32(const uint8_t **p, const uint8_t *end, int32_t *value)
{
    const uint8_t *q = *p;
    uint64_t u;
    int rc = varint_get_unsigned_to(&q, end, VARINT_MAX_32, &u);
    if (rc != 0)
        return rc;
    if (u > UINT32_MAX)
        return FIRN_EDAMAGED;
    *value = (int32_t)varint_unzigzag(u);
    *p = q;
    return 0;
}

#endif
