/* SPDX-License-Identifier: MIT */
/* Appending to a part, syncing, marking and closing it; what the blocks hold then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "prng.h"
#include "stream/image.h"

/* What a part should hold. */
struct model {
    uint8_t bytes[1 << 17];
    struct part_state state;
};

static struct model model;
static uint8_t input[1 << 17];

static void expect_state(const struct part *part)
{
    assert_int_equal(part->state.used, model.state.used);
    assert_int_equal(part->state.ended, model.state.ended);
    assert_int_equal(part->state.spilled, model.state.spilled);
    assert_memory_equal(part->data, model.bytes, model.state.used);
    for (uint64_t i = model.state.used; i < part->capacity; i++)
        assert_int_equal(part->data[i], 0);
}

/* Loading finds the same; with everything checked. */
static void expect_loaded(struct image *image, bool unclean)
{
    struct found found = {0};
    struct part_look look = {.verify = true, .finding = found_add, .arg = &found};
    int rc;
    struct part *part = image_load(image, &look, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(part->unclean, unclean);
    assert_int_equal(part->cut, 0);
    expect_state(part);
    assert_int_equal(part_verify(part, &look, NULL), 0);
    part_free(part);
}

static void append(struct part *part, size_t size, bool spilled)
{
    uint64_t fits = part->capacity - model.state.used;
    fits = size < fits ? size : fits;
    part_append(part, input, size, spilled);
    assert_int_equal(part->next.used, model.state.used + fits);
    memcpy(model.bytes + model.state.used, input, fits);
    model.state.used += fits;
    if (fits == size)
        model.state.ended = model.state.used;
    if (spilled)
        model.state.spilled = size;
}

/* The blocks hold what the format says, by its own words, and nothing else. */
static void expect_format(const struct image *image)
{
    uint32_t payload = (1u << image->shift) - 48;
    for (uint64_t b = 0; b < image->count; b++) {
        const uint8_t *block = image_block(image, b);
        uint64_t about;
        uint32_t parity, crc;
        memcpy(&about, block, 8);
        memcpy(&parity, block + 8, 4);
        memcpy(&crc, block + 12, 4);
        uint64_t left = b * payload;
        if (left >= model.state.used) {
            assert_int_equal(about, 0);
            assert_int_equal(parity, 0);
            assert_int_equal(crc, 0);
            continue;
        }
        uint64_t size = model.state.used - left < payload ? model.state.used - left : payload;
        assert_int_equal(about & 1, size == payload);
        assert_int_equal(parity, (uint32_t) ~((about >> 32) ^ (about & 0xffffffff)));
        assert_int_equal(crc, crc32_ieee(0, block + 48, size));
        assert_memory_equal(block + 48, model.bytes + left, size);
        for (int i = 16; i < 48; i++)
            assert_int_equal(block[i], 0);
    }
}

static void fill(uint64_t seed, unsigned shift, uint64_t count, size_t most, bool spilled)
{
    struct prng prng = prng_new(seed);
    struct image image;
    image_init(&image, count, shift);
    model = (struct model){.state = {0}};
    struct part *part = image_part(&image);
    assert_int_equal(part_mark(part, NULL), 0);
    expect_loaded(&image, true);
    while (model.state.used < part->capacity) {
        size_t size = (size_t)prng_below(&prng, most) + 1;
        bool spill = spilled && model.state.used == 0;
        if (spill && size > part->capacity)
            size = (size_t)part->capacity;
        prng_fill(&prng, input, size);
        append(part, size, spill);
        assert_int_equal(part_sync(part, NULL), 0);
        expect_state(part);
        expect_loaded(&image, true);
        if (prng_below(&prng, 8) == 0) {
            assert_int_equal(part_close(part, NULL), 0);
            expect_loaded(&image, false);
            expect_format(&image);
        }
    }
    assert_int_equal(part_verify(part, NULL, NULL), 0);
    assert_int_equal(part_close(part, NULL), 0);
    expect_loaded(&image, false);
    expect_format(&image);
    part_free(part);
    image_done(&image);
}

static void fills(void **state)
{
    (void)state;
    static const struct {
        unsigned shift;
        uint64_t count;
        size_t most;
    } shapes[] = {{6, 1, 20},   {6, 13, 40},  {7, 16, 8},     {7, 16, 300},
                  {9, 7, 1000}, {12, 4, 900}, {12, 16, 9000}, {14, 3, 30000}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (uint64_t seed = 0; seed < 4; seed++) {
            print_message("fill(%d, %u, %d, %d, %d)\n", (int)seed, shapes[i].shift,
                          (int)shapes[i].count, (int)shapes[i].most, (int)(seed & 1));
            fill(seed, shapes[i].shift, shapes[i].count, shapes[i].most, seed & 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
