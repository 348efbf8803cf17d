/* SPDX-License-Identifier: MIT */
/* SipHash-2-4 with a result of 128 bits: nobody finds two inputs of the same hash, without the key.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t low, high; /* of the reference's 16 bytes, as little-endian numbers */
};

struct siphash siphash(const uint64_t key[2], const void *data, size_t size);

#endif
