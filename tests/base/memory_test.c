/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"

/* Of small and large pieces, mapped before or not: zeros, and then what is written there. */
static void populating_changes_no_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 100000, (8 << 20) - 1, 8 << 20, (11 << 20) + 77};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i], half = size / 2;
        uint8_t *memory = calloc(1, size);
        assert_true(memory || size == 0);
        memory_populate(memory, half);
        for (size_t at = 0; at < size; at += 511)
            assert_int_equal(memory[at], 0);
        if (size > 0)
            memset(memory, 7, size);
        memory_populate(memory, size);
        for (size_t at = 0; at < size; at += 511)
            assert_int_equal(memory[at], 7);
        free(memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(populating_changes_no_bytes),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
