/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "lib/prng.h"

static void it_grows(void **state)
{
    (void)state;
    enum { TOTAL = 100000 };
    struct prng prng = prng_new(8);
    uint8_t *all = malloc(TOTAL);
    assert_non_null(all);
    prng_fill(&prng, all, TOTAL);
    struct buffer buffer = {0};
    while (buffer.size < TOTAL) {
        size_t size = prng_below(&prng, 300);
        if (size > TOTAL - buffer.size)
            size = TOTAL - buffer.size;
        assert_int_equal(buffer_append(&buffer, all + buffer.size, size), 0);
        assert_true(buffer.size <= buffer.capacity);
        assert_true(buffer.capacity <= buffer.size * 2 + 64);
    }
    assert_memory_equal(buffer.data, all, TOTAL);
    buffer_free(&buffer);
    free(all);
}

static void reserved_room_is_there(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
    assert_int_equal(buffer_reserve(&buffer, 1000), 0);
    assert_true(buffer.capacity >= 1003);
    assert_int_equal(buffer.size, 3);
    uint8_t *data = buffer.data;
    memset(data + 3, 'x', 1000);
    buffer.size += 1000;
    assert_int_equal(buffer_reserve(&buffer, 0), 0);
    assert_ptr_equal(buffer.data, data);
    assert_memory_equal(buffer.data, "abcxx", 5);
    buffer_free(&buffer);
}

static void cleared_it_keeps_its_memory(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "abcdef", 6), 0);
    uint8_t *data = buffer.data;
    buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer_append(&buffer, "gh", 2), 0);
    assert_ptr_equal(buffer.data, data);
    assert_memory_equal(buffer.data, "gh", 2);
    buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
    buffer_free(&buffer);
    buffer_free(NULL);
}

static void nothing_is_fine(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(buffer.size, 0);
    buffer_free(&buffer);
}

static void too_much_is_refused(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, (size_t)PTRDIFF_MAX,
                                   (size_t)PTRDIFF_MAX - 3};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_int_equal(buffer_reserve(&buffer, sizes[i]), FIRN_ENOMEM);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "abc", 3);
    buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_grows),
        cmocka_unit_test(reserved_room_is_there),
        cmocka_unit_test(cleared_it_keeps_its_memory),
        cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
