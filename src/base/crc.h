/* SPDX-License-Identifier: MIT */
/*
 * Checksums, by ISA-L where it is there and by portable code elsewhere.
 *
 * Both take the result of what came before, 0 at the beginning, so that a sum can be continued:
 * f(f(0, a), b) == f(0, ab). The usual inversions before and after are inside.
 */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

#include "base/crc_private.h"

/* CRC-32C (Castagnoli), as Kafka, iSCSI and ext4 use it: "123456789" gives 0xe3069283. */
static inline uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    return crc_castagnoli(crc, data, size);
}

/* The sum of a followed by b, from those of a and of b, which has `size` bytes. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size);

/* CRC-32 (IEEE 802.3), as zlib, gzip and PNG use it: "123456789" gives 0xcbf43926. */
static inline uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size)
{
    return crc_gzip(crc, data, size);
}

#endif
