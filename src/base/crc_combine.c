/* SPDX-License-Identifier: MIT */
/*
 * A byte of zeros behind a message changes its sum by a linear map over GF(2): a 32 x 32 matrix.
 * Its powers are squared together, so that any number of zero bytes costs a few dozen steps.
 */
#include "base/crc.h"

#define POLYNOMIAL 0x82f63b78u /* Castagnoli's, bits reversed */

enum { BITS = 32 };

static uint32_t times(const uint32_t matrix[BITS], uint32_t vector)
{
    uint32_t sum = 0;
    for (int i = 0; vector; i++, vector >>= 1)
        if (vector & 1)
            sum ^= matrix[i];
    return sum;
}

static void square(uint32_t to[BITS], const uint32_t matrix[BITS])
{
    for (int i = 0; i < BITS; i++)
        to[i] = times(matrix, matrix[i]);
}

/* One bit of zero. */
static void start(uint32_t matrix[BITS])
{
    matrix[0] = POLYNOMIAL;
    for (int i = 1; i < BITS; i++)
        matrix[i] = 1u << (i - 1);
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size)
{
    uint32_t even[BITS], odd[BITS];
    start(odd);
    square(even, odd); /* two bits */
    square(odd, even); /* four */
    for (; size; size >>= 1) {
        square(even, odd); /* the first time, eight: a byte */
        if (size & 1)
            crc_a = times(even, crc_a);
        for (int i = 0; i < BITS; i++)
            odd[i] = even[i];
    }
    return crc_a ^ crc_b;
}
