/* SPDX-License-Identifier: MIT */
/* Compression: there and back, other writers' bytes, limits, and input that is cut or changed. */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { LARGE = 300000 };

/* Words: they compress, and not to nothing. */
static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    static const char words[8][9] = {"segment ", "offset  ", "batches ", "epochs  ",
                                     "cursors ", "logs    ", "durable ", "synced  "};
    for (size_t i = 0; i < size; i++) {
        if (i % 8 == 0)
            seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)words[seed >> 29][i % 8];
    }
}

static void skip_without(unsigned codec, bool packing)
{
    if (packing ? !codec_can_pack(codec) : !codec_can_unpack(codec))
        skip();
}

static void check_round_trip(unsigned codec, int level, size_t size)
{
    struct buffer packed = {0}, unpacked = {0};
    uint8_t *bytes = malloc(size + 1);
    fill(bytes, size, (uint32_t)size);
    assert_int_equal(buffer_append(&packed, "before", 6), 0);
    assert_int_equal(codec_pack(codec, level, bytes, size, &packed), 0);
    assert_memory_equal(packed.data, "before", 6);
    assert_int_equal(codec_unpack(codec, packed.data + 6, packed.size - 6, size, &unpacked), 0);
    assert_int_equal(unpacked.size, size);
    if (size)
        assert_memory_equal(unpacked.data, bytes, size);
    if (size > 1000)
        assert_true(packed.size < size * 3 / 4);
    if (size) {
        buffer_clear(&unpacked);
        assert_int_equal(codec_unpack(codec, packed.data + 6, packed.size - 6, size - 1, &unpacked),
                         FIRN_ETOOBIG);
    }
    buffer_free(&packed);
    buffer_free(&unpacked);
    free(bytes);
}

static void check_codec(unsigned codec)
{
    static const size_t sizes[] = {0, 1, 100, 16384, 65536, 65537, LARGE};
    skip_without(codec, true);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int level = 0; level <= 3; level += 3)
            check_round_trip(codec, level, sizes[i]);
}

static void lz4_goes_there_and_back(void **state)
{
    (void)state;
    check_codec(CODEC_LZ4);
}

static void zstd_goes_there_and_back(void **state)
{
    (void)state;
    check_codec(CODEC_ZSTD);
}

/* Every cut is noticed; no changed byte does harm (the batch's checksum notices those). */
static void check_bad_input(unsigned codec)
{
    struct buffer packed = {0}, unpacked = {0};
    uint8_t bytes[600];
    skip_without(codec, true);
    fill(bytes, sizeof bytes, 7);
    assert_int_equal(codec_pack(codec, 0, bytes, sizeof bytes, &packed), 0);
    for (size_t size = 1; size < packed.size; size++) {
        uint8_t *cut = malloc(size);
        memcpy(cut, packed.data, size);
        buffer_clear(&unpacked);
        assert_int_equal(codec_unpack(codec, cut, size, 10000, &unpacked), FIRN_EDAMAGED);
        free(cut);
    }
    for (size_t bit = 0; bit < packed.size * 8; bit++) {
        packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        buffer_clear(&unpacked);
        int rc = codec_unpack(codec, packed.data, packed.size, 10000, &unpacked);
        assert_true(rc == 0 || rc == FIRN_EDAMAGED || rc == FIRN_ETOOBIG);
        packed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buffer_free(&packed);
    buffer_free(&unpacked);
}

static void bad_lz4_is_refused(void **state)
{
    (void)state;
    check_bad_input(CODEC_LZ4);
}

static void bad_zstd_is_refused(void **state)
{
    (void)state;
    check_bad_input(CODEC_ZSTD);
}

/* ---- what only others write ---- */

static const char text[] = "abcabcabcabcabcabcabcabcabcabcabcabcabcabc";

static const uint8_t gzip_text[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x4c, 0x4a,
    0x4e, 0x24, 0x0e, 0x01, 0x00, 0x08, 0xbd, 0xab, 0x26, 0x2a, 0x00, 0x00, 0x00,
};

static const uint8_t snappy_text[] = {
    0x2a, 0x08, 0x61, 0x62, 0x63, 0x9a, 0x03, 0x00,
};

static void check_known(unsigned codec, const uint8_t *bytes, size_t size, unsigned times)
{
    struct buffer unpacked = {0};
    size_t length = sizeof text - 1;
    skip_without(codec, false);
    assert_int_equal(codec_unpack(codec, bytes, size, times * length, &unpacked), 0);
    assert_int_equal(unpacked.size, times * length);
    for (unsigned i = 0; i < times; i++)
        assert_memory_equal(unpacked.data + i * length, text, length);
    buffer_clear(&unpacked);
    assert_int_equal(codec_unpack(codec, bytes, size, times * length - 1, &unpacked), FIRN_ETOOBIG);
    buffer_clear(&unpacked);
    assert_int_equal(codec_unpack(codec, bytes, size - 1, 10000, &unpacked), FIRN_EDAMAGED);
    buffer_free(&unpacked);
}

static void gzip_is_read(void **state)
{
    (void)state;
    check_known(CODEC_GZIP, gzip_text, sizeof gzip_text, 1);
}

static void gzip_of_two_members_is_read(void **state)
{
    uint8_t both[2 * sizeof gzip_text];
    (void)state;
    memcpy(both, gzip_text, sizeof gzip_text);
    memcpy(both + sizeof gzip_text, gzip_text, sizeof gzip_text);
    check_known(CODEC_GZIP, both, sizeof both, 2);
}

static void bare_snappy_is_read(void **state)
{
    (void)state;
    check_known(CODEC_SNAPPY, snappy_text, sizeof snappy_text, 1);
}

static void framed_snappy_is_read(void **state)
{
    uint8_t framed[16 + 2 * (4 + sizeof snappy_text)] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                         0,    0,   0,   1,   0,   0,   0,   1};
    (void)state;
    for (size_t at = 16; at < sizeof framed; at += 4 + sizeof snappy_text) {
        framed[at + 3] = sizeof snappy_text;
        memcpy(framed + at + 4, snappy_text, sizeof snappy_text);
    }
    check_known(CODEC_SNAPPY, framed, sizeof framed, 2);
}

static void names_and_unknown_codecs(void **state)
{
    struct buffer buffer = {0};
    (void)state;
    assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
    assert_string_equal(codec_name(7), "?");
    assert_false(codec_can_pack(CODEC_NONE));
    assert_false(codec_can_unpack(5));
    assert_int_equal(codec_pack(CODEC_GZIP, 0, "a", 1, &buffer), FIRN_ENOTSUP);
    assert_int_equal(codec_unpack(6, "a", 1, 1, &buffer), FIRN_ENOTSUP);
    assert_null(buffer.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lz4_goes_there_and_back),
        cmocka_unit_test(zstd_goes_there_and_back),
        cmocka_unit_test(bad_lz4_is_refused),
        cmocka_unit_test(bad_zstd_is_refused),
        cmocka_unit_test(gzip_is_read),
        cmocka_unit_test(gzip_of_two_members_is_read),
        cmocka_unit_test(bare_snappy_is_read),
        cmocka_unit_test(framed_snappy_is_read),
        cmocka_unit_test(names_and_unknown_codecs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
