/* SPDX-License-Identifier: MIT */
/*
 * Parts that were not closed, and hold what no crash leaves: that is damage, reported and left
 * alone, and never taken for an append that was not finished.
 */
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

enum { SHIFT = 9, PAYLOAD = 464, BLOCKS = 8 };

/* Appends, synced; below 0: spilled. */
static void make(struct image *image, const int *sizes)
{
    static uint8_t bytes[BLOCKS * PAYLOAD * 2];
    struct prng prng = prng_new(3);
    image_init(image, BLOCKS, SHIFT);
    struct part *part = image_part(image);
    assert_int_equal(part_mark(part, NULL), 0);
    for (; *sizes != 0; sizes++) {
        prng_fill(&prng, bytes, sizeof bytes);
        part_append(part, bytes, (size_t)abs(*sizes), *sizes < 0);
        assert_int_equal(part_sync(part, NULL), 0);
    }
    part_free(part);
}

/* What a block says from now on, of the data that is there. */
static void say(struct image *image, uint64_t block, bool complete, uint32_t trail,
                uint32_t spilled)
{
    struct meta meta = {complete, trail, spilled, 0};
    uint8_t *bytes = image_block(image, block);
    meta.crc = crc32_ieee(0, bytes + META_BYTES, meta_written(&meta, PAYLOAD));
    meta_encode(bytes, &meta);
}

static void remember(struct image *image, uint64_t block, uint32_t flags, const struct meta *was)
{
    struct note note = {.flags = flags, .was = *was};
    note_encode(image_block(image, block), &note);
}

static void forget(struct image *image, uint64_t block)
{
    static const struct note none;
    note_encode(image_block(image, block), &none);
}

static void empty(struct image *image, uint64_t block)
{
    memset(image_block(image, block), 0, (size_t)1 << SHIFT);
}

static void spoil(struct image *image, uint64_t block, size_t at)
{
    image_block(image, block)[META_BYTES + at] ^= 1;
}

static const struct meta nothing;

/* ---- what is done to what ---- */

static void earlier_block(struct image *image)
{
    image_block(image, 1)[3] ^= 1; /* its meta; a later sync began in block 2 */
}

static void earlier_data(struct image *image)
{
    spoil(image, 0, 5);
}

static void middle_data(struct image *image)
{
    spoil(image, 1, 5);
}

static void end_without_note(struct image *image)
{
    forget(image, 2);
    forget(image, 1);
    spoil(image, 2, 5);
}

static void appends_behind(struct image *image)
{
    /* What block 0 was would do, if one append began there, and not others behind it. */
    struct meta was = {.trail = 100};
    was.crc = crc32_ieee(0, image_block(image, 0) + META_BYTES, 100);
    remember(image, 0, NOTE_OPEN | NOTE_WAS, &was);
    forget(image, 1);
    spoil(image, 0, 105);
}

static void note_behind_end(struct image *image)
{
    say(image, 1, false, 300, 136);
}

static void note_of_empty(struct image *image)
{
    memset(image_block(image, 2), 0, META_NOTE);
}

static void note_of_bad(struct image *image)
{
    image_block(image, 2)[8] ^= 1;
    empty(image, 3);
}

/* What the last sync began with does not hold either. */
static void former_is_bad(struct image *image)
{
    spoil(image, 2, 0);
    empty(image, 3);
}

/* The block says that it was so, and the data agrees. */
static void was(struct image *image, uint64_t block, bool complete, uint32_t trail,
                uint32_t spilled)
{
    struct meta meta = {complete, trail, spilled, 0};
    uint32_t flags = block == 0 ? NOTE_OPEN | NOTE_WAS : NOTE_WAS;
    meta.crc = crc32_ieee(0, image_block(image, block) + META_BYTES, meta_written(&meta, PAYLOAD));
    remember(image, block, flags, &meta);
}

static void former_is_complete(struct image *image)
{
    spoil(image, 2, 100);
    was(image, 2, true, 0, 72);
}

static void former_spilled_differs(struct image *image)
{
    empty(image, 3);
    was(image, 2, false, 72, 50);
}

static void former_end_differs(struct image *image)
{
    empty(image, 3);
    was(image, 2, false, 100, 72);
}

static void former_was_longer(struct image *image)
{
    spoil(image, 0, 120);
    was(image, 0, false, 160, 0);
}

static void neither_fits(struct image *image)
{
    empty(image, 3);
    say(image, 2, true, PAYLOAD - 72, 0);
    was(image, 2, false, 72, 0);
}

/* What spilled over and an append behind it are two syncs. */
static void head_and_more(struct image *image)
{
    for (uint64_t block = 1; block < BLOCKS; block++)
        empty(image, block);
    say(image, 0, false, 200, 100);
    spoil(image, 0, 150);
}

static void before_end(struct image *image)
{
    forget(image, 1);
    spoil(image, 1, 5);
}

/* The last sync is two appends. */
static void not_one_append(struct image *image)
{
    say(image, 3, false, 100, 20);
    spoil(image, 4, 20);
    say(image, 4, true, 0, 20);
}

static void ends_differ(struct image *image)
{
    empty(image, 3);
    say(image, 4, true, 0, 900);
    say(image, 5, true, 0, 900);
}

static void end_is_elsewhere(struct image *image)
{
    /* The append ends in block 2; but what block 3 holds ends there. */
    say(image, 2, false, 200, 72);
    spoil(image, 2, 150);
}

static void trail_behind(struct image *image)
{
    say(image, 5, true, 30, 0);
}

static void trail_in_the_middle(struct image *image)
{
    say(image, 5, true, 30, 900);
}

static void own_append_behind(struct image *image)
{
    say(image, 5, false, 30, 0);
}

static void note_behind(struct image *image)
{
    say(image, 5, true, 0, 900);
    remember(image, 5, NOTE_OPEN, &nothing);
}

static void crc_of_empty(struct image *image)
{
    image_block(image, 5)[12] = 1;
}

static void parity_behind(struct image *image)
{
    image_block(image, 5)[8] = 1;
}

static void too_long(struct image *image)
{
    say(image, 5, true, 0, FIRN_STREAM_APPEND_MAX);
}

static void mark_is_bad(struct image *image)
{
    image_block(image, 0)[META_NOTE + 12] ^= 1; /* and so is the end */
    forget(image, 2);
    forget(image, 1);
    spoil(image, 2, 5);
}

struct damage {
    const char *name;
    void (*make)(struct image *image);
    int sizes[8];
    bool verify;
};

#define DAMAGE(name, ...)                                                                          \
    {                                                                                              \
#name, name, __VA_ARGS__                                                                   \
    }

static const struct damage damages[] = {
    DAMAGE(earlier_block, {100, 500, 200, 464, 10}, false),
    DAMAGE(earlier_data, {100, 500, 200, 464, 10}, false),
    DAMAGE(middle_data, {464, 464, 500, 200, 464, 10}, true),
    DAMAGE(end_without_note, {100, 500, 400}, false),
    DAMAGE(appends_behind, {100, 500, 400}, false),
    DAMAGE(note_behind_end, {100, 500, 400, 200}, false),
    DAMAGE(note_of_empty, {100, 500, 400, 200}, false),
    DAMAGE(note_of_bad, {100, 500, 400, 800}, false),
    DAMAGE(former_is_bad, {100, 500, 400, 800}, false),
    DAMAGE(former_is_complete, {100, 500, 400, 392}, false),
    DAMAGE(former_spilled_differs, {100, 500, 400, 800}, false),
    DAMAGE(former_end_differs, {100, 500, 400, 800}, false),
    DAMAGE(former_was_longer, {100, 50}, false),
    DAMAGE(neither_fits, {100, 500, 400, 800}, false),
    DAMAGE(head_and_more, {-1000}, false),
    DAMAGE(before_end, {100, 500, 400}, false),
    DAMAGE(trail_in_the_middle, {100, 500}, false),
    DAMAGE(not_one_append, {100, 500, 400, 1200}, false),
    DAMAGE(ends_differ, {100, 500, 400, 1800}, false),
    DAMAGE(end_is_elsewhere, {100, 500, 400, 800}, false),
    DAMAGE(trail_behind, {100, 500}, false),
    DAMAGE(own_append_behind, {100, 500}, false),
    DAMAGE(note_behind, {100, 500}, false),
    DAMAGE(crc_of_empty, {100, 500}, false),
    DAMAGE(parity_behind, {100, 500}, false),
    DAMAGE(too_long, {100, 500}, false),
    DAMAGE(mark_is_bad, {100, 500, 400}, false),
};

static void expect_each_once(const struct found *found)
{
    assert_true(found->count > 0);
    for (size_t i = 0; i < found->count; i++)
        assert_int_equal(found_times(found, found->all[i].block, found->all[i].fault), 1);
}

static void damage_is_no_torn_sync(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct image image;
        struct found found = {0};
        struct part_look look = {damages[i].verify, found_add, &found};
        int rc;
        print_message("%s\n", damages[i].name);
        make(&image, damages[i].sizes);
        struct part *part = image_load(&image, NULL, &rc);
        assert_int_equal(rc, 0);
        part_free(part);
        damages[i].make(&image);
        assert_null(image_load(&image, &look, &rc));
        assert_int_equal(rc, FIRN_EDAMAGED);
        expect_each_once(&found);
        image_done(&image);
    }
}

/* ---- every bit ---- */

static void expect_old_or_new(const struct part *part, const struct image *image,
                              const struct part_state *old, const struct part_state *new)
{
    bool is_new = memcmp(&part->state, new, sizeof *new) == 0;
    assert_true(is_new || memcmp(&part->state, old, sizeof *old) == 0);
    for (uint64_t block = 0; block < BLOCKS; block++) {
        uint64_t left = block * PAYLOAD, used = part->state.used;
        size_t size = used <= left ? 0 : used - left < PAYLOAD ? used - left : PAYLOAD;
        const uint8_t *data = part->data + left;
        assert_memory_equal(data, image_block(image, block) + META_BYTES, size);
        for (size_t i = size; i < PAYLOAD; i++)
            if (data[i] != 0)
                fail_msg("byte %zu of block %d is not zero", i, (int)block);
    }
}

/* A flipped bit is found, or costs the last append at most, or says nothing. */
static void flip_all(const int *sizes)
{
    int before[8] = {0};
    struct image image, former;
    int rc;
    for (size_t i = 0; sizes[i + 1] != 0; i++)
        before[i] = sizes[i];
    make(&former, before);
    make(&image, sizes);
    struct part *old = image_load(&former, NULL, &rc), *new = image_load(&image, NULL, &rc);
    struct part_look look = {.verify = true};
    for (size_t bit = 0; bit < 8 * image.size; bit++) {
        image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct part *part = image_load(&image, &look, &rc);
        image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(rc == 0 || rc == FIRN_EDAMAGED);
        if (part)
            expect_old_or_new(part, &image, &old->state, &new->state);
        if (bit / 8 % (1 << SHIFT) >= META_NOTE && bit / 8 % (1 << SHIFT) < META_BYTES)
            assert_true(part && part->state.used == new->state.used);
        if (part && part->state.used != new->state.used)
            assert_true(bit / 8 >= old->state.used / PAYLOAD << SHIFT && part->cut > 0);
        part_free(part);
    }
    part_free(old);
    part_free(new);
    image_done(&former);
    image_done(&image);
}

static void every_bit(void **state)
{
    (void)state;
    static const int shapes[][8] = {
        {100},
        {100, 200},
        {100, 200, 164},
        {464, 464, 10},
        {100, 500, 400},
        {100, 500, 400, 800},
        {300, 1000, 100, 100, 3000},
        {-1000, 300},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        print_message("shape %zu\n", i);
        flip_all(shapes[i]);
    }
}

/* ---- notes that do not mislead ---- */

/* What closing left behind where it failed tells of syncs that are whole. */
static void stale_notes_do_no_harm(void **state)
{
    (void)state;
    static const int sizes[] = {100, 500, 400, 800, 0};
    struct image image;
    int rc;
    make(&image, sizes);
    struct part *part = image_load(&image, NULL, &rc);
    uint64_t used = part->state.used;
    assert_int_equal(part_settle(part, NULL), 0);
    assert_int_equal(part_close(part, NULL), 0);
    part_free(part);
    struct meta was = {.complete = false};
    remember(&image, 1, NOTE_WAS, &was);
    for (int i = 0; i < 3; i++) {
        struct part_look look = {.verify = true};
        part = image_load(&image, &look, &rc);
        assert_int_equal(rc, 0);
        assert_int_equal(part->state.used, used);
        assert_false(part->unclean);
        part_append(part, sizes, 4, false);
        assert_int_equal(part_sync(part, NULL), 0);
        used += 4;
        assert_int_equal(part_close(part, NULL), 0);
        assert_true(note_is_clear(image_block(&image, 1)));
        part_free(part);
    }
    image_done(&image);
}

/* Reserved bytes that say nothing: the part is looked at as one that was not closed. */
static void reserved_bytes_of_others(void **state)
{
    (void)state;
    static const int sizes[] = {100, 500, 400, 800, 0};
    struct image image;
    int rc;
    make(&image, sizes);
    struct part *part = image_load(&image, NULL, &rc);
    uint64_t used = part->state.used;
    assert_int_equal(part_settle(part, NULL), 0);
    assert_int_equal(part_close(part, NULL), 0);
    part_free(part);
    image_block(&image, 0)[20] = 1;
    part = image_load(&image, NULL, &rc);
    assert_int_equal(rc, 0);
    assert_true(part->unclean);
    assert_int_equal(part->state.used, used);
    assert_int_equal(part->cut, 0);
    part_free(part);
    image_done(&image);
}

/* The right half of an append whose left half was never stored. */
static void all_is_cut(void **state)
{
    (void)state;
    static const int sizes[] = {-1000, 0};
    struct image image;
    int rc;
    make(&image, sizes);
    struct part *part = image_load(&image, NULL, &rc);
    assert_int_equal(part->state.spilled, 1000);
    part_cut_all(part);
    assert_int_equal(part->cut, 1000);
    assert_int_equal(part->state.used, 0);
    assert_int_equal(part_settle(part, NULL), 0);
    for (size_t i = META_BYTES; i < image.size; i++)
        assert_int_equal(image.bytes[i], 0);
    part_append(part, sizes, 4, false);
    assert_int_equal(part_sync(part, NULL), 0);
    part_free(part);
    part = image_load(&image, NULL, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(part->state.used, 4);
    assert_int_equal(part->state.spilled, 0);
    part_free(part);
    image_done(&image);
}

/* What is seen read-only is the same, and nothing is stored. */
static void unsettled_is_left_alone(void **state)
{
    (void)state;
    static const int sizes[] = {100, 500, 400, 1800, 0};
    struct image image;
    int rc;
    make(&image, sizes);
    empty(&image, 4);
    struct part *part = image_load(&image, NULL, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(part->state.used, 1000);
    assert_true(part->cut > 0 && part->unclean && !part->settled);
    image.fail = FIRN_EIO;
    assert_int_equal(part_verify(part, NULL, NULL), 0);
    assert_int_equal(image.fail, FIRN_EIO);
    part_free(part);
    image_done(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_no_torn_sync),
        cmocka_unit_test(every_bit),
        cmocka_unit_test(stale_notes_do_no_harm),
        cmocka_unit_test(reserved_bytes_of_others),
        cmocka_unit_test(all_is_cut),
        cmocka_unit_test(unsettled_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
