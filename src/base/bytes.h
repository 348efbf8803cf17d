/* SPDX-License-Identifier: MIT */
/* Numbers in memory, in a stated byte order and at any address. Compilers make one move of each. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdint.h>

/* ---- big-endian ---- */

static inline uint16_t load_be_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_be_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_be_u64(const uint8_t *p)
{
    return (uint64_t)load_be_u32(p) << 32 | load_be_u32(p + 4);
}

static inline int16_t load_be_i16(const uint8_t *p)
{
    return (int16_t)load_be_u16(p);
}

static inline int32_t load_be_i32(const uint8_t *p)
{
    return (int32_t)load_be_u32(p);
}

static inline int64_t load_be_i64(const uint8_t *p)
{
    return (int64_t)load_be_u64(p);
}

static inline void store_be_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void store_be_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void store_be_u64(uint8_t *p, uint64_t v)
{
    p[0] = (uint8_t)(v >> 56);
    p[1] = (uint8_t)(v >> 48);
    p[2] = (uint8_t)(v >> 40);
    p[3] = (uint8_t)(v >> 32);
    p[4] = (uint8_t)(v >> 24);
    p[5] = (uint8_t)(v >> 16);
    p[6] = (uint8_t)(v >> 8);
    p[7] = (uint8_t)v;
}

static inline void store_be_i16(uint8_t *p, int16_t v)
{
    store_be_u16(p, (uint16_t)v);
}

static inline void store_be_i32(uint8_t *p, int32_t v)
{
    store_be_u32(p, (uint32_t)v);
}

static inline void store_be_i64(uint8_t *p, int64_t v)
{
    store_be_u64(p, (uint64_t)v);
}

/* ---- little-endian ---- */

static inline uint16_t load_le_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[1] << 8 | p[0]);
}

static inline uint32_t load_le_u32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t load_le_u64(const uint8_t *p)
{
    return (uint64_t)load_le_u32(p + 4) << 32 | load_le_u32(p);
}

static inline int16_t load_le_i16(const uint8_t *p)
{
    return (int16_t)load_le_u16(p);
}

static inline int32_t load_le_i32(const uint8_t *p)
{
    return (int32_t)load_le_u32(p);
}

static inline int64_t load_le_i64(const uint8_t *p)
{
    return (int64_t)load_le_u64(p);
}

static inline void store_le_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_le_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void store_le_u64(uint8_t *p, uint64_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
    p[4] = (uint8_t)(v >> 32);
    p[5] = (uint8_t)(v >> 40);
    p[6] = (uint8_t)(v >> 48);
    p[7] = (uint8_t)(v >> 56);
}

static inline void store_le_i16(uint8_t *p, int16_t v)
{
    store_le_u16(p, (uint16_t)v);
}

static inline void store_le_i32(uint8_t *p, int32_t v)
{
    store_le_u32(p, (uint32_t)v);
}

static inline void store_le_i64(uint8_t *p, int64_t v)
{
    store_le_u64(p, (uint64_t)v);
}

#endif
