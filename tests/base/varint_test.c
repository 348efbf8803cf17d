/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/varint.h"
#include "lib/prng.h"

static void known_values_have_known_bytes(void **state)
{
    (void)state;
    static const struct {
        int64_t value;
        size_t size;
        uint8_t bytes[VARINT_MAX];
    } known[] = {
        {0, 1, {0x00}},
        {-1, 1, {0x01}},
        {1, 1, {0x02}},
        {-64, 1, {0x7f}},
        {63, 1, {0x7e}},
        {64, 2, {0x80, 0x01}},
        {-65, 2, {0x81, 0x01}},
        {300, 2, {0xd8, 0x04}},
        {-8192, 2, {0xff, 0x7f}},
        {8192, 3, {0x80, 0x80, 0x01}},
        {INT32_MAX, 5, {0xfe, 0xff, 0xff, 0xff, 0x0f}},
        {INT32_MIN, 5, {0xff, 0xff, 0xff, 0xff, 0x0f}},
        {INT64_MAX, 10, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
        {INT64_MIN, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t bytes[VARINT_MAX];
        assert_int_equal(varint_size(known[i].value), known[i].size);
        assert_ptr_equal(varint_put(bytes, known[i].value), bytes + known[i].size);
        assert_memory_equal(bytes, known[i].bytes, known[i].size);
    }
}

static void unsigned_sizes(void **state)
{
    (void)state;
    for (unsigned bits = 1; bits <= 64; bits++) {
        size_t want = (bits + 6) / 7;
        uint64_t lowest = (uint64_t)1 << (bits - 1);
        assert_int_equal(varint_size_unsigned(lowest), want);
        assert_int_equal(varint_size_unsigned(lowest | (lowest - 1)), want);
    }
    assert_int_equal(varint_size_unsigned(0), 1);
}

/* Encoded into exactly enough allocated memory, so that the sanitizer sees a byte too far. */
static void check_round_trip(int64_t value)
{
    size_t size = varint_size(value);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    assert_ptr_equal(varint_put(bytes, value), bytes + size);
    const uint8_t *p = bytes;
    int64_t got = ~value;
    assert_int_equal(varint_get(&p, bytes + size, &got), 0);
    assert_true(got == value);
    assert_ptr_equal(p, bytes + size);
    p = bytes;
    int32_t narrow = 77;
    int rc = varint_get32(&p, bytes + size, &narrow);
    if (value >= INT32_MIN && value <= INT32_MAX) {
        assert_int_equal(rc, 0);
        assert_true(narrow == value && p == bytes + size);
    } else {
        assert_int_equal(rc, FIRN_EDAMAGED);
        assert_true(narrow == 77 && p == bytes);
    }
    free(bytes);
}

static void round_trips(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int64_t near = -2; near <= 2; near++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)near;
            check_round_trip((int64_t)value);
            check_round_trip((int64_t)(0 - value));
        }
    }
    struct prng prng = prng_new(2);
    for (int i = 0; i < 10000; i++)
        check_round_trip((int64_t)prng_skewed(&prng));
}

static void expect_refused(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    const uint8_t *p = copy;
    int64_t value = 77;
    uint64_t plain = 77;
    int32_t narrow = 77;
    assert_int_equal(varint_get(&p, copy + size, &value), FIRN_EDAMAGED);
    assert_int_equal(varint_get_unsigned(&p, copy + size, &plain), FIRN_EDAMAGED);
    assert_int_equal(varint_get32(&p, copy + size, &narrow), FIRN_EDAMAGED);
    assert_true(value == 77 && plain == 77 && narrow == 77 && p == copy);
    free(copy);
}

static void truncated_ones_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[VARINT_MAX];
    memset(bytes, 0x80, sizeof bytes);
    for (size_t size = 0; size <= VARINT_MAX; size++)
        expect_refused(bytes, size);
}

static void overlong_ones_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[VARINT_MAX + 1];
    memset(bytes, 0x80, sizeof bytes);
    bytes[VARINT_MAX] = 0;
    expect_refused(bytes, sizeof bytes);
    bytes[VARINT_MAX - 1] = 2; /* bit 64 */
    expect_refused(bytes, VARINT_MAX);
}

static void needless_zeros_are_accepted(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x86, 0x80, 0x80, 0x80, 0x00};
    const uint8_t *p = bytes;
    int64_t value = 0;
    int32_t narrow = 0;
    assert_int_equal(varint_get(&p, bytes + sizeof bytes, &value), 0);
    assert_true(value == 3 && p == bytes + sizeof bytes);
    p = bytes;
    assert_int_equal(varint_get32(&p, bytes + sizeof bytes, &narrow), 0);
    assert_true(narrow == 3 && p == bytes + sizeof bytes);
}

static void narrow_ones_have_five_bytes_at_most(void **state)
{
    (void)state;
    const uint8_t longer[] = {0x86, 0x80, 0x80, 0x80, 0x80, 0x00};
    const uint8_t larger[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    const uint8_t *p = longer;
    int32_t value = 77;
    assert_int_equal(varint_get32(&p, longer + sizeof longer, &value), FIRN_EDAMAGED);
    p = larger;
    assert_int_equal(varint_get32(&p, larger + sizeof larger, &value), FIRN_EDAMAGED);
    assert_int_equal(value, 77);
}

/* Any bytes: what is accepted has the value that its bits say. */
static void random_bytes(void **state)
{
    (void)state;
    struct prng prng = prng_new(3);
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[12];
        prng_fill(&prng, bytes, sizeof bytes);
        size_t size = prng_below(&prng, sizeof bytes + 1);
        const uint8_t *p = bytes;
        uint64_t value;
        if (varint_get_unsigned(&p, bytes + size, &value) != 0)
            continue;
        size_t used = (size_t)(p - bytes);
        assert_in_range(used, 1, size);
        uint64_t want = 0;
        for (size_t at = used; at-- > 0;)
            want = want << 7 | (bytes[at] & 0x7f);
        assert_true(value == want && bytes[used - 1] < 0x80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values_have_known_bytes),
        cmocka_unit_test(unsigned_sizes),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(truncated_ones_are_refused),
        cmocka_unit_test(overlong_ones_are_refused),
        cmocka_unit_test(needless_zeros_are_accepted),
        cmocka_unit_test(narrow_ones_have_five_bytes_at_most),
        cmocka_unit_test(random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
