/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "lib/prng.h"

static struct firn_histogram summary_of(const struct histogram *histogram)
{
    struct firn_histogram out;
    memset(&out, 0xee, sizeof out);
    histogram_summary(histogram, &out);
    return out;
}

static void empty_is_all_zero(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    struct firn_histogram got = summary_of(&histogram);
    struct firn_histogram zero = {0};
    assert_memory_equal(&got, &zero, sizeof zero);
}

static void one_value_is_told_exactly(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (uint64_t near = 0; near < 3; near++) {
            uint64_t value = ((uint64_t)1 << bit) - 1 + near;
            struct histogram histogram = {0};
            histogram_add(&histogram, value);
            struct firn_histogram got = summary_of(&histogram);
            assert_int_equal(got.count, 1);
            assert_true(got.min == value && got.max == value && got.mean == value);
            assert_true(got.p50 == value && got.p999 == value);
        }
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    for (uint64_t value = 0; value < 10; value++)
        histogram_add(&histogram, value);
    struct firn_histogram got = summary_of(&histogram);
    assert_int_equal(got.p50, 4);
    assert_int_equal(got.p90, 8);
    assert_int_equal(got.p99, 9);
    assert_int_equal(got.mean, 4);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void assert_near(uint64_t got, uint64_t want)
{
    uint64_t away = got > want ? got - want : want - got;
    if (away * 1000 > want * 32)
        fail_msg("%llu is not near %llu", (unsigned long long)got, (unsigned long long)want);
}

/* Against sorted values. Each quantile lies in the bucket of the true one. */
static void quantiles_are_near(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    uint64_t *values = malloc(COUNT * sizeof *values);
    assert_non_null(values);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng = prng_new(seed);
        struct histogram histogram = {0};
        uint64_t top = (uint64_t)1 << (4 + seed * 35 / 20);
        for (size_t i = 0; i < COUNT; i++) {
            values[i] = prng_skewed(&prng) % top;
            histogram_add(&histogram, values[i]);
        }
        qsort(values, COUNT, sizeof *values, compare);
        struct firn_histogram got = summary_of(&histogram);
        assert_true(got.min == values[0] && got.max == values[COUNT - 1]);
        assert_near(got.p50, values[COUNT / 2 - 1]);
        assert_near(got.p90, values[COUNT / 10 * 9 - 1]);
        assert_near(got.p99, values[COUNT / 100 * 99 - 1]);
        assert_near(got.p999, values[COUNT / 1000 * 999 - 1]);
    }
    free(values);
}

static void merging_is_adding(void **state)
{
    (void)state;
    struct prng prng = prng_new(7);
    struct histogram parts[3] = {0}, all = {0}, merged = {0};
    for (int i = 0; i < 3000; i++) {
        uint64_t value = prng_skewed(&prng);
        histogram_add(&parts[prng_below(&prng, 2)], value); /* the third stays empty */
        histogram_add(&all, value);
    }
    for (int i = 2; i >= 0; i--)
        histogram_merge(&merged, &parts[i]);
    assert_memory_equal(&merged, &all, sizeof all);
}

static void full_counters_stay_full(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, 5);
    histogram.buckets[5] = UINT32_MAX;
    histogram.count = (uint64_t)UINT32_MAX + 100;
    histogram.sum = UINT64_MAX - 1;
    histogram_add(&histogram, 5);
    struct histogram twice = histogram;
    histogram_merge(&twice, &histogram);
    assert_int_equal(twice.buckets[5], UINT32_MAX);
    assert_true(twice.sum == UINT64_MAX);
    assert_int_equal(summary_of(&twice).p999, 5);
}

static void it_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct histogram) < 2500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_all_zero),
        cmocka_unit_test(one_value_is_told_exactly),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(quantiles_are_near),
        cmocka_unit_test(merging_is_adding),
        cmocka_unit_test(full_counters_stay_full),
        cmocka_unit_test(it_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
