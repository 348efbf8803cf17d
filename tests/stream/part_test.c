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

/* ---- what fails, and what is taken back ---- */

static void start(struct image *image, struct part **part)
{
    struct prng prng = prng_new(9);
    prng_fill(&prng, input, sizeof input);
    image_init(image, 8, 9);
    model = (struct model){.state = {0}};
    *part = image_part(image);
    append(*part, 300, false);
    assert_int_equal(part_sync(*part, NULL), 0);
}

/* No room: nothing was written, and it can be tried again, or taken back. */
static void a_sync_without_room(void **state)
{
    (void)state;
    static const int codes[] = {FIRN_ENOSPC, FIRN_ENOMEM};
    for (int i = 0; i < 2; i++) {
        struct image image;
        struct part *part;
        struct firn_error err = {.code = 0};
        start(&image, &part);
        struct model before = model;
        append(part, 1000, false);
        image.fail = codes[i];
        assert_int_equal(part_sync(part, &err), codes[i]);
        assert_int_equal(err.code, codes[i]);
        assert_true(part->pending);
        assert_int_equal(part->state.used, 300);
        part_undo(part);
        assert_false(part->pending);
        model = before;
        expect_state(part);
        expect_loaded(&image, true);
        assert_int_equal(part_verify(part, NULL, NULL), 0);
        image_block(&image, 1)[0] = 1; /* which that sync did not reach */
        assert_int_equal(part_verify(part, NULL, NULL), FIRN_EDAMAGED);
        image_block(&image, 1)[0] = 0;
        append(part, 700, false);
        image.fail = codes[i];
        assert_int_equal(part_sync(part, NULL), codes[i]);
        assert_int_equal(part_sync(part, NULL), 0);
        assert_int_equal(part_sync(part, NULL), 0);
        expect_state(part);
        expect_loaded(&image, true);
        part_free(part);
        image_done(&image);
    }
}

static void verify_now(void *part)
{
    assert_int_equal(part_verify(part, NULL, NULL), 0);
}

/* What a sync is storing is not taken for something that should not be there. */
static void verify_during_a_sync(void **state)
{
    (void)state;
    struct image image;
    struct part *part;
    start(&image, &part);
    image.during = verify_now;
    image.arg = part;
    append(part, 1000, false);
    assert_int_equal(part_sync(part, NULL), 0);
    append(part, 5000, false);
    assert_int_equal(part_sync(part, NULL), 0);
    assert_int_equal(part_close(part, NULL), 0);
    part_free(part);
    image_done(&image);
}

/* The mark is not there before the first sync; where it can't be set, nothing is stored. */
static void a_mark_without_room(void **state)
{
    (void)state;
    struct image image;
    image_init(&image, 4, 9);
    model = (struct model){.state = {0}};
    struct part *part = image_part(&image);
    append(part, 100, false);
    image.fail = FIRN_ENOSPC;
    assert_int_equal(part_sync(part, NULL), FIRN_ENOSPC);
    assert_false(part->open);
    for (size_t i = 0; i < image.size; i++)
        assert_int_equal(image.bytes[i], 0);
    assert_int_equal(part_sync(part, NULL), 0);
    expect_loaded(&image, true);
    part_free(part);
    image_done(&image);
}

/* ---- notes, and how much is stored ---- */

static uint32_t flags_of(const struct image *image, uint64_t block)
{
    struct note note;
    note_decode(image_block(image, block), &note);
    return note.flags;
}

/* Each sync is one store, from its first block on, or from the one before, whose note goes. */
static void notes_come_and_go(void **state)
{
    (void)state;
    enum { PAYLOAD = 464 };
    static const struct {
        size_t size;
        uint64_t from, end; /* bytes that are stored */
        uint32_t flags[4];  /* then */
    } rows[] = {
        {100, 0, 148, {3, 0, 0, 0}},          {300, 0, 448, {3, 0, 0, 0}},
        {64, 0, 512, {3, 0, 0, 0}},           {PAYLOAD, 0, 1024, {1, 2, 0, 0}},
        {10, 512, 1024 + 58, {1, 0, 2, 0}},   {500, 1024, 1536 + 94, {1, 0, 2, 0}},
        {10, 1024, 1536 + 104, {1, 0, 0, 2}},
    };
    struct image image;
    image_init(&image, 8, 9);
    model = (struct model){.state = {0}};
    struct part *part = image_part(&image);
    assert_int_equal(part_mark(part, NULL), 0);
    assert_int_equal(part_mark(part, NULL), 0);
    assert_int_equal(flags_of(&image, 0), NOTE_OPEN);
    image.record = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        append(part, rows[i].size, false);
        assert_int_equal(part_sync(part, NULL), 0);
        assert_int_equal(image.stored, 1);
        assert_int_equal(image.stores[0].from, rows[i].from);
        assert_int_equal(image.stores[0].from + image.stores[0].size, rows[i].end);
        for (uint64_t block = 0; block < 4; block++)
            assert_int_equal(flags_of(&image, block), rows[i].flags[block]);
        image_forget(&image);
    }
    assert_int_equal(part_close(part, NULL), 0);
    assert_int_equal(image.stored, 2); /* the note, and the mark */
    assert_int_equal(image.stores[0].from, 3 * 512);
    assert_int_equal(image.stores[0].size, 104);
    assert_int_equal(image.stores[1].from, 0);
    assert_int_equal(image.stores[1].size, META_BYTES);
    assert_int_equal(part_close(part, NULL), 0);
    assert_int_equal(image.stored, 2);
    part_free(part);
    image_done(&image);
}

/* Notes that lie near each other go in one store; far from each other, in several. */
static void closing_joins_neighbours(void **state)
{
    (void)state;
    static const struct {
        int sizes[6];
        size_t stores;
    } rows[] = {
        {{100, 9000, 9000, 9000}, 2}, /* block 0, and others behind it; the mark */
        {{4048, 100 * 1000, 10}, 2},
        {{4048, 200 * 1000, 10}, 3},
        {{4048, 200 * 1000, 200 * 1000, 10}, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct image image;
        static uint8_t bytes[200 * 1000];
        image_init(&image, 128, 12);
        struct part *part = image_part(&image);
        for (size_t k = 0; rows[i].sizes[k] != 0; k++) {
            part_append(part, bytes, (size_t)rows[i].sizes[k], false);
            assert_int_equal(part_sync(part, NULL), 0);
        }
        image.record = true;
        assert_int_equal(part_close(part, NULL), 0);
        assert_int_equal(image.stored, rows[i].stores);
        for (uint64_t block = 0; block < 128; block++)
            assert_true(note_is_clear(image_block(&image, block)));
        part_free(part);
        image_done(&image);
    }
}

static void shapes_are_checked(void **state)
{
    (void)state;
    struct image image;
    struct part *part;
    image_init(&image, 4, 6);
    for (unsigned shift = 0; shift < 64; shift++) {
        if (shift >= FIRN_STREAM_SHIFT_MIN && shift <= FIRN_STREAM_SHIFT_MAX)
            continue;
        struct firn_block *block = image_open(&image);
        struct firn_error err = {.code = 0};
        block->shift = shift;
        assert_int_equal(part_new(block, &part, &err), FIRN_ERANGE);
        assert_int_equal(err.code, FIRN_ERANGE);
        firn_block_close(block);
    }
    struct firn_block *block = image_open(&image);
    block->shift = FIRN_STREAM_SHIFT_MAX;
    block->count = UINT64_C(1) << 35; /* more than there is memory */
    assert_int_equal(part_new(block, &part, NULL), FIRN_ENOMEM);
    firn_block_close(block);
    part_free(NULL);
    image_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills),
        cmocka_unit_test(a_sync_without_room),
        cmocka_unit_test(verify_during_a_sync),
        cmocka_unit_test(a_mark_without_room),
        cmocka_unit_test(notes_come_and_go),
        cmocka_unit_test(closing_joins_neighbours),
        cmocka_unit_test(shapes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
