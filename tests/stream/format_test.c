/* SPDX-License-Identifier: MIT */
/* What a block says of itself, as bytes; every bit of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prng.h"
#include "stream/format.h"

static bool same(const struct meta *a, const struct meta *b)
{
    return a->complete == b->complete && a->trail == b->trail && a->spilled == b->spilled &&
           a->crc == b->crc;
}

/* Written by the reference: trail 2486, spilled 1562, complete; and an incomplete block. */
static void bytes_are_as_stated(void **state)
{
    (void)state;
    static const struct {
        struct meta meta;
        uint8_t bytes[16];
    } rows[] = {
        {{true, 2486, 1562, 0x01020304},
         {0x61, 0x9b, 0, 0, 0x68, 0x18, 0, 0, 0xf6, 0x7c, 0xff, 0xff, 4, 3, 2, 1}},
        {{false, 2167, 799, 0x0a0b0c0d},
         {0x70, 0x87, 0, 0, 0x7c, 0x0c, 0, 0, 0xf3, 0x74, 0xff, 0xff, 13, 12, 11, 10}},
        {{true, 0xfffffff, 0x3fffffff, 0xffffffff},
         {0xf1, 0xff, 0xff, 0xff, 0xfc, 0xff, 0xff, 0xff, 0xf2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
          0xff}},
        {{false, 0, 0, 0}, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[META_BYTES];
        struct meta meta;
        memset(bytes, 0xaa, sizeof bytes);
        meta_encode(bytes, &rows[i].meta);
        assert_memory_equal(bytes, rows[i].bytes, sizeof rows[i].bytes);
        for (size_t b = META_NOTE; b < META_BYTES; b++)
            assert_int_equal(bytes[b], 0xaa);
        assert_true(meta_decode(bytes, &meta));
        assert_true(same(&meta, &rows[i].meta));
        assert_int_equal(meta_is_empty(bytes), i == 3);
    }
}

static struct meta some_meta(struct prng *prng)
{
    struct meta meta;
    memset(&meta, 0, sizeof meta);
    meta.complete = prng_below(prng, 2);
    meta.trail = (uint32_t)(prng_skewed(prng) & 0xfffffff);
    meta.spilled = (uint32_t)(prng_skewed(prng) & 0x3fffffff) | 1;
    meta.crc = (uint32_t)prng_next(prng);
    return meta;
}

static void flip(uint8_t *bytes, size_t bit)
{
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
}

static void every_bit_of_about_is_guarded(void **state)
{
    (void)state;
    struct prng prng = prng_new(1);
    for (int i = 0; i < 100; i++) {
        uint8_t bytes[META_BYTES] = {0};
        struct meta meta = some_meta(&prng), got;
        if (i > 0)
            meta_encode(bytes, &meta);
        for (size_t bit = 0; bit < 96; bit++) {
            flip(bytes, bit);
            assert_false(meta_decode(bytes, &got));
            flip(bytes, bit);
        }
        assert_true(meta_decode(bytes, &got));
        assert_true(i == 0 || same(&meta, &got));
    }
}

/* Though the parity is right. */
static void unused_bits_are_zero(void **state)
{
    (void)state;
    static const unsigned unused[] = {1, 2, 3, 32, 33};
    for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++) {
        uint8_t bytes[META_BYTES] = {0};
        struct meta meta = {true, 5, 0, 0};
        meta_encode(bytes, &meta);
        flip(bytes, unused[i]);
        flip(bytes, 64 + unused[i] % 32);
        assert_false(meta_decode(bytes, &meta));
    }
}

static void notes_are_kept(void **state)
{
    (void)state;
    struct prng prng = prng_new(2);
    for (uint32_t flags = 0; flags < 8; flags++) {
        uint8_t bytes[META_BYTES] = {0};
        struct meta meta = some_meta(&prng), got;
        struct note note = {.flags = flags, .was = some_meta(&prng), .cut_to = 0x123456789a}, read;
        if (flags == 5)
            memset(&note.was, 0, sizeof note.was);
        meta_encode(bytes, &meta);
        note_encode(bytes, &note);
        assert_true(meta_decode(bytes, &got));
        assert_true(same(&got, &meta));
        assert_int_equal(note_is_clear(bytes), flags == 0);
        note_decode(bytes, &read);
        assert_int_equal(read.flags, flags);
        if (flags & NOTE_WAS)
            assert_true(same(&read.was, &note.was));
        if (flags & NOTE_CUT)
            assert_int_equal(read.cut_to, note.cut_to);
        for (size_t bit = 8 * META_NOTE; bit < 8 * META_BYTES; bit++) {
            flip(bytes, bit);
            note_decode(bytes, &read);
            assert_int_equal(read.flags, 0);
            flip(bytes, bit);
        }
    }
}

static void written_bytes(void **state)
{
    (void)state;
    static const struct {
        struct meta meta;
        uint32_t written;
    } rows[] = {
        {{false, 0, 0, 0}, 0},     {{false, 50, 20, 0}, 50}, {{false, 0, 20, 0}, 20},
        {{true, 50, 20, 0}, 80},   {{true, 0, 5000, 0}, 80}, {{false, 0, 5000, 0}, 80},
        {{false, 500, 20, 0}, 80},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(meta_written(&rows[i].meta, 80), rows[i].written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_as_stated),  cmocka_unit_test(every_bit_of_about_is_guarded),
        cmocka_unit_test(unused_bits_are_zero), cmocka_unit_test(notes_are_kept),
        cmocka_unit_test(written_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
