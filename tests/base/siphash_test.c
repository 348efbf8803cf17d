/* SPDX-License-Identifier: MIT */
/* The first of the reference's vectors (key 00 01 .. 0f, input 00 01 ..). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/siphash.h"

static const uint8_t vectors[][16] = {
    {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
     0x93},
    {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
     0x45},
};

static const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof vectors / sizeof *vectors; size++) {
        uint8_t input[1] = {0};
        struct siphash hash = siphash(key, input, size);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(hash.low >> 8 * i & 0xff, vectors[size][i]);
            assert_int_equal(hash.high >> 8 * i & 0xff, vectors[size][8 + i]);
        }
    }
}

/* Every byte, the length and the key count. */
static void test_all_counts(void **state)
{
    (void)state;
    uint8_t bytes[40] = {0};
    for (size_t size = 1; size <= sizeof bytes; size++) {
        struct siphash plain = siphash(key, bytes, size);
        struct siphash shorter = siphash(key, bytes, size - 1);
        assert_true(plain.low != shorter.low && plain.high != shorter.high);
        for (size_t i = 0; i < size; i++) {
            bytes[i] = 1;
            struct siphash other = siphash(key, bytes, size);
            assert_true(plain.low != other.low && plain.high != other.high);
            bytes[i] = 0;
        }
    }
    const uint64_t other_key[2] = {key[0] + 1, key[1]};
    assert_true(siphash(key, bytes, 9).low != siphash(other_key, bytes, 9).low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_all_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
