/* SPDX-License-Identifier: MIT */
/* Loading parts that were closed: what they hold, and what can be wrong with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "prng.h"
#include "stream/image.h"

enum { SHIFT = 7, PAYLOAD = 80, BLOCKS = 6 };

/* Blocks as a row of a table says. */
struct row {
    struct meta metas[BLOCKS];
    uint64_t block; /* that is made worse: */
    enum { AS_IT_IS, BAD_PARITY, BAD_CRC, BAD_DATA } worse;
    struct {
        uint64_t block;
        enum firn_stream_fault fault;
    } found[4];
};

static void make(struct image *image, const struct row *row)
{
    struct prng prng = prng_new(7);
    image_init(image, BLOCKS, SHIFT);
    for (uint64_t block = 0; block < BLOCKS; block++) {
        uint8_t *bytes = image_block(image, block);
        struct meta meta = row->metas[block];
        uint32_t written = meta_written(&meta, PAYLOAD);
        prng_fill(&prng, bytes + META_BYTES, written);
        meta.crc = crc32_ieee(0, bytes + META_BYTES, written);
        meta_encode(bytes, &meta);
    }
    static const size_t offsets[] = {0, 8, 12, META_BYTES + 5};
    if (row->worse != AS_IT_IS)
        image_block(image, row->block)[offsets[row->worse]] ^= 4;
}

static size_t found_of(const struct row *row)
{
    size_t count = 0;
    while (count < 4 && row->found[count].fault != 0)
        count++;
    return count;
}

/* Some block kinds: complete; where the trail begins, what spilled. */
#define FULL(trail, spilled)                                                                       \
    {                                                                                              \
        true, trail, spilled, 0                                                                    \
    }
#define SOME(trail, spilled)                                                                       \
    {                                                                                              \
        false, trail, spilled, 0                                                                   \
    }
#define EMPTY                                                                                      \
    {                                                                                              \
        false, 0, 0, 0                                                                             \
    }

static const struct row damaged[] = {
    {{FULL(81, 0)}, 0, AS_IT_IS, {{0, FIRN_FAULT_TRAIL_LARGE}}},
    {{SOME(80, 0)}, 0, AS_IT_IS, {{0, FIRN_FAULT_TRAIL_LARGE}}},
    {{SOME(0xfffffff, 0)}, 0, AS_IT_IS, {{0, FIRN_FAULT_TRAIL_LARGE}}},
    {{FULL(30, 0), SOME(10, 20)}, 0, AS_IT_IS, {{1, FIRN_FAULT_TRAIL_SMALL}}},
    {{FULL(5, 100)}, 0, AS_IT_IS, {{0, FIRN_FAULT_TRAIL_UNEXPECTED}}},
    {{FULL(50, 31)}, 0, AS_IT_IS, {{0, FIRN_FAULT_SUM_LARGE}}},
    {{SOME(0, 80)}, 0, AS_IT_IS, {{0, FIRN_FAULT_SPILLED_LARGE}}},
    {{FULL(0, BLOCKS *PAYLOAD + 1)}, 0, AS_IT_IS, {{0, FIRN_FAULT_SPILLED_LARGE}}},
    {{FULL(10, 0), FULL(0, FIRN_STREAM_APPEND_MAX - 9)},
     0,
     AS_IT_IS,
     {{1, FIRN_FAULT_SPILLED_LARGE}}},
    {{FULL(0, 0), FULL(0, 5)}, 0, AS_IT_IS, {{1, FIRN_FAULT_SPILLED_UNEVEN}}},
    {{FULL(10, 0), SOME(5, 0)}, 0, AS_IT_IS, {{1, FIRN_FAULT_SPILLED_UNEVEN}}},
    {{FULL(0, 100), SOME(0, 21)}, 0, AS_IT_IS, {{1, FIRN_FAULT_SPILLED_UNEVEN}}},
    {{FULL(0, 100)}, 0, AS_IT_IS, {{1, FIRN_FAULT_SPILLED_UNEVEN}}},
    {{FULL(10, 0)}, 0, AS_IT_IS, {{1, FIRN_FAULT_SPILLED_UNEVEN}}},
    {{SOME(5, 0), FULL(0, 0)}, 0, AS_IT_IS, {{1, FIRN_FAULT_COMPLETE_AFTER}}},
    {{SOME(5, 0), SOME(5, 0)}, 0, AS_IT_IS, {{1, FIRN_FAULT_INCOMPLETE_AFTER}}},
    {{FULL(0, 0), EMPTY, SOME(5, 0)}, 0, AS_IT_IS, {{2, FIRN_FAULT_AFTER_EMPTY}}},
    {{SOME(5, 0), EMPTY, EMPTY, FULL(0, 0)}, 0, AS_IT_IS, {{3, FIRN_FAULT_AFTER_EMPTY}}},
    {{FULL(0, 0), SOME(5, 0)}, 0, BAD_PARITY, {{0, FIRN_FAULT_PARITY}}},
    {{FULL(0, 0), SOME(5, 0)}, 1, BAD_PARITY, {{1, FIRN_FAULT_PARITY}}},
    {{FULL(0, 0), SOME(5, 0)}, 2, BAD_PARITY, {{2, FIRN_FAULT_EMPTY_PARITY}}},
    {{FULL(0, 0), SOME(5, 0)}, 4, BAD_PARITY, {{4, FIRN_FAULT_EMPTY_PARITY}}},
    {{FULL(0, 0), SOME(5, 0)}, 5, BAD_CRC, {{5, FIRN_FAULT_EMPTY_PARITY}}},
    {{FULL(0, 0), SOME(6, 0)}, 1, BAD_DATA, {{1, FIRN_FAULT_DATA}}},
    {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), EMPTY}, 1, BAD_DATA, {{1, FIRN_FAULT_DATA}}},
    {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0)},
     5,
     BAD_CRC,
     {{5, FIRN_FAULT_DATA}}},
    /* Several, and each once. */
    {{FULL(0, 0), FULL(50, 31), SOME(10, 90)},
     1,
     BAD_CRC,
     {{1, FIRN_FAULT_SUM_LARGE},
      {1, FIRN_FAULT_SPILLED_UNEVEN},
      {1, FIRN_FAULT_DATA},
      {2, FIRN_FAULT_SPILLED_LARGE}}},
    {{SOME(70, 0), SOME(90, 0), EMPTY, FULL(0, 0)},
     0,
     AS_IT_IS,
     {{1, FIRN_FAULT_INCOMPLETE_AFTER}, {1, FIRN_FAULT_TRAIL_LARGE}, {3, FIRN_FAULT_AFTER_EMPTY}}},
};

static void expect_found(const struct row *row, const struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        print_message("  block %d: %s\n", (int)found->all[i].block,
                      firn_stream_fault_text(found->all[i].fault));
    assert_int_equal(found->count, found_of(row));
    for (size_t i = 0; i < found_of(row); i++)
        assert_int_equal(found_times(found, row->found[i].block, row->found[i].fault), 1);
}

static void damage_is_found(void **state)
{
    (void)state;
    bool seen[FIRN_FAULT_SPAN + 1] = {false};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct image image;
        struct found found = {0};
        struct part_look look = {.verify = true, .finding = found_add, .arg = &found};
        int rc;
        print_message("row %zu\n", i);
        make(&image, &damaged[i]);
        assert_null(image_load(&image, &look, &rc));
        assert_int_equal(rc, FIRN_EDAMAGED);
        expect_found(&damaged[i], &found);
        for (size_t k = 0; k < found.count; k++)
            seen[found.all[k].fault] = true;
        struct part *part = image_load(&image, NULL, &rc); /* finds less, and is told less */
        assert_true(rc == FIRN_EDAMAGED || rc == 0);
        part_free(part);
        image_done(&image);
    }
    for (int fault = FIRN_FAULT_PARITY; fault < FIRN_FAULT_SPAN; fault++)
        assert_true(seen[fault]);
}

/* Without a full check: the first block, and the last two. */
static void quick_checks(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 0, BAD_DATA, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 3, BAD_DATA, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 4, BAD_DATA, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 3, BAD_PARITY, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 1, BAD_PARITY, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 4, BAD_CRC, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0)}, 4, BAD_DATA, {{0}}},
        {{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(9, 0)}, 0, AS_IT_IS, {{0}}},
        {{FULL(0, 0), FULL(5, 0), FULL(0, 0), FULL(0, 0), SOME(9, 0)}, 0, AS_IT_IS, {{0}}},
        {{FULL(0, 0), SOME(5, 0), EMPTY, SOME(9, 0)}, 0, AS_IT_IS, {{0}}}, /* seen by the way */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct image image;
        int rc;
        print_message("row %zu\n", i);
        make(&image, &rows[i]);
        assert_null(image_load(&image, NULL, &rc));
        assert_int_equal(rc, FIRN_EDAMAGED);
        image_done(&image);
    }
}

struct kind {
    struct row row;
    struct part_state state;
};

static const struct kind kinds[] = {
    {{{EMPTY}, 0, AS_IT_IS, {{0}}}, {0, 0, 0}},
    {{{SOME(1, 0)}, 0, AS_IT_IS, {{0}}}, {0, 1, 1}},
    {{{SOME(0, 79)}, 0, AS_IT_IS, {{0}}}, {79, 79, 79}},
    {{{SOME(30, 20)}, 0, AS_IT_IS, {{0}}}, {20, 30, 30}},
    {{{FULL(30, 0), SOME(20, 20)}, 0, AS_IT_IS, {{0}}}, {0, 100, 100}}, /* as others may have it */
    {{{FULL(0, 0)}, 0, AS_IT_IS, {{0}}}, {0, 80, 80}},
    {{{FULL(0, 80)}, 0, AS_IT_IS, {{0}}}, {80, 80, 80}},
    {{{FULL(20, 60), SOME(0, 7)}, 0, AS_IT_IS, {{0}}}, {60, 87, 87}},
    {{{FULL(80, 0), FULL(0, 160), FULL(0, 80), SOME(5, 0)}, 0, AS_IT_IS, {{0}}}, {0, 245, 245}},
    {{{FULL(0, 200), FULL(0, 120), SOME(0, 40)}, 0, AS_IT_IS, {{0}}}, {200, 200, 200}},
    {{{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0)}, 0, AS_IT_IS, {{0}}},
     {0, 480, 480}},
    {{{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(11, 0)},
      0,
      AS_IT_IS,
      {{0}}},
     {0, 469, 480}},
    {{{FULL(0, 10), FULL(0, 0), FULL(1, 0), FULL(0, 900), FULL(0, 820), FULL(0, 740)},
      0,
      AS_IT_IS,
      {{0}}},
     {10, 239, 480}},
    {{{FULL(0, 480), FULL(0, 400), FULL(0, 320), FULL(0, 240), FULL(0, 160), FULL(0, 80)},
      0,
      AS_IT_IS,
      {{0}}},
     {480, 480, 480}},
    {{{FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), FULL(0, 0), SOME(79, 0)},
      0,
      AS_IT_IS,
      {{0}}},
     {0, 479, 479}},
};

/* Bytes behind the end, which nobody wrote, are not seen. */
static void scribble(struct image *image, const struct part_state *state)
{
    uint64_t block = state->used / PAYLOAD;
    if (block < BLOCKS)
        memset(image_block(image, block) + META_BYTES + state->used % PAYLOAD, 0x5a,
               PAYLOAD - state->used % PAYLOAD);
}

static void kinds_are_loaded(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *kind = &kinds[i / 2];
        struct image image;
        struct part_look look = {.verify = i % 2 != 0};
        int rc;
        print_message("kind %zu\n", i / 2);
        make(&image, &kind->row);
        scribble(&image, &kind->state);
        struct part *part = image_load(&image, &look, &rc);
        assert_int_equal(rc, 0);
        assert_false(part->unclean);
        assert_true(part->settled);
        assert_int_equal(part->state.spilled, kind->state.spilled);
        assert_int_equal(part->state.ended, kind->state.ended);
        assert_int_equal(part->state.used, kind->state.used);
        for (uint64_t at = 0; at < part->capacity; at++)
            assert_int_equal(part->data[at],
                             at < part->state.used
                                 ? image_block(&image, at / PAYLOAD)[META_BYTES + at % PAYLOAD]
                                 : 0);
        assert_int_equal(part_settle(part, NULL), 0);
        assert_int_equal(part_close(part, NULL), 0);
        assert_int_equal(part_verify(part, NULL, NULL), 0);
        part_free(part);
        image_done(&image);
    }
}

/* Of a part that is in memory: there, and behind it on the blocks. */
static void verify_looks_everywhere(void **state)
{
    (void)state;
    static const struct row row = {{FULL(0, 0), FULL(30, 0), SOME(20, 10)}, 0, AS_IT_IS, {{0}}};
    struct image image;
    int rc;
    make(&image, &row);
    struct part *part = image_load(&image, NULL, &rc);
    assert_int_equal(rc, 0);
    uint8_t *places[] = {
        part->metas,
        part->metas + META_BYTES + 9,
        part->metas + META_BYTES + 15,
        part->data + 150,
        part->data + 179,
        part->metas + 2 * META_BYTES,
        image_block(&image, 3),
        image_block(&image, 4) + 15,
        image_block(&image, 5) + 8,
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct found found = {0};
        struct part_look look = {.finding = found_add, .arg = &found};
        struct firn_error err = {.code = 0};
        print_message("place %zu\n", i);
        assert_int_equal(part_verify(part, &look, &err), 0);
        *places[i] ^= 0x10;
        assert_int_equal(part_verify(part, &look, &err), FIRN_EDAMAGED);
        assert_int_equal(err.code, FIRN_EDAMAGED);
        assert_int_equal(found.count, 1);
        *places[i] ^= 0x10;
    }
    part_free(part);
    image_done(&image);
}

/* Every bit of a part is found, but for those that say nothing. */
static void every_bit_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *kind = &kinds[i];
        struct part_look look = {.verify = true};
        struct image image;
        make(&image, &kind->row);
        for (size_t bit = 0; bit < 8 * image.size; bit++) {
            size_t block = bit / 8 / (1 << SHIFT), at = bit / 8 % (1 << SHIFT);
            uint64_t used = kind->state.used > block * PAYLOAD ? kind->state.used - block * PAYLOAD
                                                               : 0;
            bool says = at < META_NOTE || (at >= META_BYTES && at - META_BYTES < used);
            int rc;
            image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct part *part = image_load(&image, &look, &rc);
            image.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if ((rc == 0) == says)
                fail_msg("kind %zu, bit %zu of byte %zu of block %zu: %d", i, bit % 8, at, block,
                         rc);
            if (part)
                assert_int_equal(part->state.used, kind->state.used);
            part_free(part);
        }
        image_done(&image);
    }
}

static void faults_have_texts(void **state)
{
    (void)state;
    for (int fault = FIRN_FAULT_PARITY; fault <= FIRN_FAULT_SPAN; fault++)
        for (int other = FIRN_FAULT_PARITY; other < fault; other++)
            assert_string_not_equal(firn_stream_fault_text((enum firn_stream_fault)fault),
                                    firn_stream_fault_text((enum firn_stream_fault)other));
    assert_string_equal(firn_stream_fault_text((enum firn_stream_fault)99), "unknown fault");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_found),    cmocka_unit_test(quick_checks),
        cmocka_unit_test(kinds_are_loaded),   cmocka_unit_test(verify_looks_everywhere),
        cmocka_unit_test(every_bit_is_found), cmocka_unit_test(faults_have_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
