/* SPDX-License-Identifier: MIT */
/* Where appends end, block by block, against a list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prng.h"
#include "stream/image.h"

enum { MOST = 4000 };

struct list {
    size_t count;
    struct {
        uint64_t from, to;
    } all[MOST];
    uint64_t begin; /* where the first own one begins */
};

/* By the list. */
static bool find(const struct list *list, const struct part *part, uint64_t block, uint64_t *from,
                 uint64_t *to)
{
    bool found = false;
    for (size_t i = 0; i < list->count; i++) {
        if ((list->all[i].to - 1) / part->payload != block)
            continue;
        if (!found)
            *from = list->all[i].from;
        *to = list->all[i].to;
        found = true;
    }
    return found;
}

static void expect_ranges(const struct list *list, const struct part *part)
{
    for (uint64_t block = 0; block < part->count; block++) {
        uint64_t from = 0, to = 0, want_from = 0, want_to = 0, next = block;
        bool want = find(list, part, block, &want_from, &want_to);
        assert_int_equal(part_range(part, &next, &from, &to), want);
        if (want) {
            assert_int_equal(next, block);
            assert_int_equal(from, want_from);
            assert_int_equal(to, want_to);
            continue;
        }
        uint64_t other = block + 1;
        while (other < part->count && !find(list, part, other, &want_from, &want_to))
            other++;
        assert_int_equal(next, other);
    }
    uint64_t block = part->count, from, to, first, last;
    assert_false(part_range(part, &block, &from, &to));
    assert_int_equal(block, part->count);
    assert_int_equal(part_block_range(part, &first, &last), list->count > 0);
    if (list->count > 0) {
        assert_int_equal(first, list->begin / part->payload);
        assert_int_equal(last, (list->all[list->count - 1].to - 1) / part->payload);
    }
}

static void ranges_of(unsigned shift, uint64_t count, size_t most, uint64_t seed)
{
    static uint8_t bytes[1 << 16];
    static struct list list;
    struct prng prng = prng_new(seed);
    struct image image;
    image_init(&image, count, shift);
    struct part *part = image_part(&image);
    list.count = 0;
    list.begin = 0;
    expect_ranges(&list, part);
    while (part->state.used < part->capacity) {
        uint64_t from = part->state.used;
        size_t size = (size_t)prng_below(&prng, most) + 1;
        bool spilled = from == 0 && seed % 2 != 0 && size <= part->capacity;
        part_append(part, bytes, size, spilled);
        assert_int_equal(part_sync(part, NULL), 0);
        if (spilled) {
            list.begin = size;
        } else if (from + size <= part->capacity) {
            assert_true(list.count < MOST);
            list.all[list.count].from = from;
            list.all[list.count++].to = from + size;
        }
        expect_ranges(&list, part);
    }
    part_free(part);
    image_done(&image);
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        unsigned shift;
        uint64_t count;
        size_t most;
    } shapes[] = {{7, 16, 8},  {7, 16, 100}, {7, 16, 400}, {6, 30, 16},
                  {6, 30, 33}, {9, 4, 2000}, {9, 4, 464}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            print_message("ranges_of(%u, %d, %d, %d)\n", shapes[i].shift, (int)shapes[i].count,
                          (int)shapes[i].most, (int)seed);
            ranges_of(shapes[i].shift, shapes[i].count, shapes[i].most, seed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
