/* SPDX-License-Identifier: MIT */
/* The pages of files in RAM against a plain list of numbers. */
#include "contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/memory_private.h"
#include "lib/prng.h"

static bool is_zero(const unsigned char *page)
{
    for (size_t i = 0; i < MEMORY_PAGE; i++) {
        if (page[i] != 0)
            return false;
    }
    return true;
}

static void new_pages_are_zero_and_stay(void **state)
{
    static const uint64_t numbers[] = {
        0, 1, 511, 512, 513, 262143, 262144, 1U << 30, (UINT64_C(1) << 51) - 1};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    struct memory_pages pages = {0};
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_null(memory_pages_find(&pages, numbers[i]));
        unsigned char *page = memory_pages_make(&pages, numbers[i]);
        assert_true(is_zero(page));
        page[7] = (unsigned char)(i + 1);
        assert_int_equal(pages.count, i + 1);
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(memory_pages_find(&pages, numbers[i])[7], i + 1);
        assert_ptr_equal(memory_pages_make(&pages, numbers[i]),
                         memory_pages_find(&pages, numbers[i]));
    }
    assert_null(memory_pages_find(&pages, 2));
    assert_null(memory_pages_find(&pages, 1U << 29));
    memory_pages_cut(&pages, 0);
    assert_int_equal(pages.count, 0);
    assert_null(pages.root);
}

enum { MODEL_MOST = 64 };

/* Numbers near powers of the fanout, where the tree's edges are. */
static uint64_t pick(struct prng *prng)
{
    static const uint64_t edges[] = {0, 512, 512 * 512, 512 * 512 * 512};
    return edges[prng_below(prng, 4)] + prng_below(prng, 8);
}

static void random_changes_match_a_model(void **state)
{
    struct memory_pages pages = {0};
    uint64_t model[MODEL_MOST];
    size_t count = 0;
    struct prng prng = prng_new(11);
    (void)state;
    for (int round = 0; round < 20000; round++) {
        uint64_t number = pick(&prng);
        if (prng_below(&prng, 10) == 0) {
            memory_pages_cut(&pages, number);
            size_t kept = 0;
            for (size_t i = 0; i < count; i++) {
                if (model[i] < number)
                    model[kept++] = model[i];
            }
            count = kept;
        } else if (memory_pages_find(&pages, number) == NULL) {
            unsigned char *page = memory_pages_make(&pages, number);
            assert_true(is_zero(page));
            memcpy(page, &number, sizeof number);
            model[count++] = number;
        }
        if (pages.count != count)
            fail_msg("seed 11, round %d: %llu pages, not %zu", round,
                     (unsigned long long)pages.count, count);
        for (size_t i = 0; i < count; i++)
            assert_memory_equal(memory_pages_find(&pages, model[i]), &model[i], sizeof model[i]);
    }
    memory_pages_cut(&pages, 0);
}

static void space_is_given_back(void **state)
{
    struct firn_disk *disk = NULL;
    struct firn_file *file = NULL;
    uint64_t empty = 0;
    uint64_t now = 0;
    (void)state;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    assert_int_equal(disk_free_space(disk, "", &empty, NULL), 0);
    assert_int_equal(disk_open(disk, "f", FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL), 0);
    assert_int_equal(disk_reserve(file, 0, 10 * MEMORY_PAGE, NULL), 0);
    assert_int_equal(disk_write_full(file, "x", 1, 20 * MEMORY_PAGE, 0, NULL), 0);
    assert_int_equal(disk_free_space(disk, "", &now, NULL), 0);
    assert_int_equal(empty - now, 11 * MEMORY_PAGE);
    assert_int_equal(disk_truncate(file, 5 * MEMORY_PAGE + 1, NULL), 0);
    assert_int_equal(disk_free_space(disk, "", &now, NULL), 0);
    assert_int_equal(empty - now, 6 * MEMORY_PAGE);
    assert_int_equal(disk_remove(disk, "f", NULL), 0);
    disk_close(file);
    assert_int_equal(disk_free_space(disk, "", &now, NULL), 0);
    assert_int_equal(now, empty);
    firn_disk_free(disk);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_pages_are_zero_and_stay),
        cmocka_unit_test(random_changes_match_a_model),
        cmocka_unit_test(space_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
