/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "lib/prng.h"

typedef uint32_t crc_fn(uint32_t crc, const void *data, size_t size);

static const struct kind {
    crc_fn *sum;
    crc_fn *table;
    uint32_t polynomial;
    uint32_t check; /* of "123456789" */
} kinds[] = {
    {crc32c, crc_table_castagnoli, 0x82f63b78, 0xe3069283},
    {crc32_ieee, crc_table_gzip, 0xedb88320, 0xcbf43926},
};

/* The definition: a bit at a time. */
static uint32_t by_bits(uint32_t polynomial, uint32_t crc, const uint8_t *p, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) ? polynomial : 0);
    }
    return ~crc;
}

static void known_sums(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(kinds[k].sum(0, "123456789", 9), kinds[k].check);
        assert_int_equal(kinds[k].table(0, "123456789", 9), kinds[k].check);
    }
    uint8_t block[32] = {0}; /* from RFC 3720, B.4 */
    assert_int_equal(crc32c(0, block, sizeof block), 0x8a9136aa);
    memset(block, 0xff, sizeof block);
    assert_int_equal(crc32c(0, block, sizeof block), 0x62a8ab43);
}

static void nothing_changes_nothing(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(kinds[k].sum(0, "", 0), 0);
        assert_int_equal(kinds[k].sum(0x12345678, "", 0), 0x12345678);
        assert_int_equal(kinds[k].table(0x12345678, "", 0), 0x12345678);
    }
}

/* Every length and alignment of short blocks, in memory of exactly that length. */
static void all_short_blocks(void **state)
{
    (void)state;
    struct prng prng = prng_new(4);
    for (size_t size = 1; size < 300; size++) {
        size_t shift = size % 17;
        uint8_t *block = malloc(shift + size);
        assert_non_null(block);
        prng_fill(&prng, block, shift + size);
        uint32_t start = (uint32_t)prng_next(&prng);
        for (size_t k = 0; k < 2; k++) {
            uint32_t want = by_bits(kinds[k].polynomial, start, block + shift, size);
            assert_int_equal(kinds[k].sum(start, block + shift, size), want);
            assert_int_equal(kinds[k].table(start, block + shift, size), want);
        }
        free(block);
    }
}

/* Every byte value at every place of eight bytes: each entry of the tables is used. */
static void every_table_entry(void **state)
{
    (void)state;
    for (size_t place = 0; place < 8; place++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t block[8] = {0};
            block[place] = (uint8_t)value;
            for (size_t k = 0; k < 2; k++)
                assert_int_equal(kinds[k].table(UINT32_MAX, block, 8),
                                 by_bits(kinds[k].polynomial, UINT32_MAX, block, 8));
        }
    }
}

static void sums_can_be_continued(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    struct prng prng = prng_new(5);
    uint8_t *block = malloc(SIZE);
    assert_non_null(block);
    prng_fill(&prng, block, SIZE);
    for (size_t k = 0; k < 2; k++) {
        uint32_t whole = kinds[k].sum(0, block, SIZE);
        assert_int_equal(whole, by_bits(kinds[k].polynomial, 0, block, SIZE));
        for (int i = 0; i < 100; i++) {
            size_t cut = prng_below(&prng, SIZE + 1);
            uint32_t first = kinds[k].sum(0, block, cut);
            assert_int_equal(kinds[k].sum(first, block + cut, SIZE - cut), whole);
            first = kinds[k].table(0, block, cut);
            assert_int_equal(kinds[k].table(first, block + cut, SIZE - cut), whole);
        }
    }
    free(block);
}

static void sums_are_combined(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 63, 64, 100, 1000, 4096, 65537};
    static uint8_t bytes[2 * 65537];
    struct prng prng = prng_new(11);
    prng_fill(&prng, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            uint32_t a = crc32c(0, bytes, sizes[i]);
            uint32_t b = crc32c(0, bytes + sizes[i], sizes[j]);
            assert_int_equal(crc32c_combine(a, b, sizes[j]), crc32c(0, bytes, sizes[i] + sizes[j]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_sums),
        cmocka_unit_test(nothing_changes_nothing),
        cmocka_unit_test(all_short_blocks),
        cmocka_unit_test(every_table_entry),
        cmocka_unit_test(sums_can_be_continued),
        cmocka_unit_test(sums_are_combined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
