/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <string.h>

#include "base/bytes.h"
#include "lib/prng.h"

static const uint8_t ramp[9] = {0x00, 0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

static void loads_have_the_stated_order(void **state)
{
    (void)state;
    const uint8_t *p = ramp + 1; /* not aligned */
    assert_int_equal(load_be_u16(p), 0x8192);
    assert_int_equal(load_be_u32(p), 0x8192a3b4);
    assert_true(load_be_u64(p) == 0x8192a3b4c5d6e7f8u);
    assert_int_equal(load_le_u16(p), 0x9281);
    assert_int_equal(load_le_u32(p), 0xb4a39281);
    assert_true(load_le_u64(p) == 0xf8e7d6c5b4a39281u);
}

static void signed_loads_keep_the_sign(void **state)
{
    (void)state;
    const uint8_t *p = ramp + 1;
    assert_true(load_be_i16(p) == 0x8192 - 0x10000);
    assert_true(load_be_i32(p) == (int64_t)0x8192a3b4 - 0x100000000);
    assert_true(load_be_i64(p) == -(int64_t)(0 - 0x8192a3b4c5d6e7f8u));
    assert_true(load_le_i16(p) == 0x9281 - 0x10000);
    assert_true(load_le_i32(p) == (int64_t)0xb4a39281 - 0x100000000);
    assert_true(load_le_i64(p) == -(int64_t)(0 - 0xf8e7d6c5b4a39281u));
}

static void stores_have_the_stated_order(void **state)
{
    (void)state;
    uint8_t got[9] = {0};
    store_be_u64(got + 1, 0x8192a3b4c5d6e7f8u);
    assert_memory_equal(got, ramp, 9);
    store_le_u64(got + 1, 0xf8e7d6c5b4a39281u);
    assert_memory_equal(got, ramp, 9);
    memset(got, 0, sizeof got);
    store_be_u32(got + 1, 0x8192a3b4);
    store_be_u16(got + 5, 0xc5d6);
    assert_memory_equal(got, ramp, 7);
    memset(got, 0, sizeof got);
    store_le_u32(got + 1, 0xb4a39281);
    store_le_u16(got + 5, 0xd6c5);
    assert_memory_equal(got, ramp, 7);
    assert_int_equal(got[7], 0); /* and not a byte more */
}

static void what_is_stored_is_loaded(void **state)
{
    (void)state;
    struct prng prng = prng_new(1);
    uint8_t p[8];
    for (int i = 0; i < 1000; i++) {
        uint64_t v = prng_skewed(&prng);
        store_be_i64(p, (int64_t)v);
        assert_true(load_be_i64(p) == (int64_t)v && load_le_u64(p) == __builtin_bswap64(v));
        store_le_i64(p, (int64_t)v);
        assert_true(load_le_i64(p) == (int64_t)v);
        store_be_i32(p, (int32_t)v);
        assert_true(load_be_i32(p) == (int32_t)v);
        store_le_i32(p, (int32_t)v);
        assert_true(load_le_i32(p) == (int32_t)v);
        store_be_i16(p, (int16_t)v);
        assert_true(load_be_i16(p) == (int16_t)v);
        store_le_i16(p, (int16_t)v);
        assert_true(load_le_i16(p) == (int16_t)v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_have_the_stated_order),
        cmocka_unit_test(signed_loads_keep_the_sign),
        cmocka_unit_test(stores_have_the_stated_order),
        cmocka_unit_test(what_is_stored_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
