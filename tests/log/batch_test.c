/* SPDX-License-Identifier: MIT */
#include "make_batch.h"

/* ---- the header ----------------------------------------------------------------------------- */

static void a_foreign_batch_parses(void **state)
{
    (void)state;
    struct batch batch;
    assert_int_equal(batch_check(golden_batch, sizeof golden_batch, &batch), BATCH_OK);
    assert_true(batch.base == 0);
    assert_int_equal(batch.bytes, sizeof golden_batch);
    assert_int_equal(batch.generation, 0);
    assert_true(batch.crc == 0xdc1e3800);
    assert_int_equal(batch.attributes, 0);
    assert_int_equal(batch.last_delta, 2);
    assert_true(batch.base_time == 1700000000000);
    assert_true(batch.max_time == 1700000000005);
    assert_true(batch.producer_id == -1);
    assert_int_equal(batch.producer_epoch, -1);
    assert_int_equal(batch.distance, -1);
    assert_int_equal(batch.count, 3);
}

static void put_is_the_inverse_of_parse(void **state)
{
    (void)state;
    struct prng prng = prng_new(3);
    for (int i = 0; i < 1000; i++) {
        struct batch batch = {
            .base = prng_skewed(&prng) >> 2,
            .bytes = BATCH_HEADER + (uint32_t)prng_below(&prng, BATCH_MAX - BATCH_HEADER + 1),
            .generation = (uint32_t)prng_skewed(&prng),
            .crc = (uint32_t)prng_next(&prng),
            .attributes = (uint16_t)prng_next(&prng),
            .last_delta = INT32_MAX,
            .base_time = (int64_t)prng_skewed(&prng),
            .max_time = (int64_t)prng_skewed(&prng),
            .producer_id = (int64_t)prng_skewed(&prng),
            .producer_epoch = (int16_t)prng_next(&prng),
            .distance = (int32_t)prng_next(&prng),
        };
        batch.count = (uint32_t)prng_below(&prng, (batch.bytes - BATCH_HEADER) / 7 + 1);
        uint8_t bytes[BATCH_HEADER];
        struct batch again = {0};
        batch_put(bytes, &batch);
        assert_int_equal(batch_parse(bytes, sizeof bytes, &again), BATCH_OK);
        uint8_t twice[BATCH_HEADER];
        batch_put(twice, &again);
        assert_memory_equal(twice, bytes, BATCH_HEADER);
        assert_true(again.base == batch.base && again.bytes == batch.bytes);
        assert_true(again.max_time == batch.max_time && again.distance == batch.distance);
        assert_true(again.count == batch.count && again.attributes == batch.attributes);
    }
}

static void single_fields_are_set_in_place(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    struct batch batch;
    batch_set_generation(bytes, 0x01020304);
    assert_int_equal(batch_check(bytes, sizeof bytes, &batch), BATCH_OK);
    assert_int_equal(batch.generation, 0x01020304);
    batch_set_distance(bytes, 0x05060708);
    assert_int_equal(batch_check(bytes, sizeof bytes, &batch), BATCH_BAD_CRC);
    batch_set_crc(bytes, batch_crc(bytes, sizeof bytes));
    assert_int_equal(batch_check(bytes, sizeof bytes, &batch), BATCH_OK);
    assert_int_equal(batch.distance, 0x05060708);
    batch_set_distance(bytes, UINT32_MAX);
    batch_set_generation(bytes, 0);
    batch_set_crc(bytes, 0xdc1e3800);
    assert_memory_equal(bytes, golden_batch, sizeof bytes);
}

/* ---- faults --------------------------------------------------------------------------------- */

static enum batch_fault parse_with(size_t at, const void *field, size_t size)
{
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    memcpy(bytes + at, field, size);
    struct batch untouched;
    memset(&untouched, 0xee, sizeof untouched);
    struct batch batch = untouched;
    enum batch_fault fault = batch_parse(bytes, sizeof bytes, &batch);
    if (fault != BATCH_OK)
        assert_memory_equal(&batch, &untouched, sizeof batch);
    return fault;
}

#define PARSE_WITH(at, text) parse_with(at, text, sizeof text - 1)

static void impossible_headers_are_refused(void **state)
{
    (void)state;
    /* batchLength: 49 is the least, and 2^31 - 1 less 12 the most */
    assert_int_equal(PARSE_WITH(8, "\x00\x00\x00\x30"), BATCH_BAD_LENGTH);
    assert_int_equal(PARSE_WITH(8, "\x00\x00\x00\x00"), BATCH_BAD_LENGTH);
    assert_int_equal(PARSE_WITH(8, "\x7f\xff\xff\xf3"), BATCH_OK);
    assert_int_equal(PARSE_WITH(8, "\x7f\xff\xff\xf4"), BATCH_BAD_LENGTH);
    assert_int_equal(PARSE_WITH(8, "\xff\xff\xff\xff"), BATCH_BAD_LENGTH);
    assert_int_equal(PARSE_WITH(16, "\x01"), BATCH_BAD_MAGIC);
    assert_int_equal(PARSE_WITH(16, "\x03"), BATCH_BAD_MAGIC);
    /* base */
    assert_int_equal(PARSE_WITH(0, "\x80\x00\x00\x00\x00\x00\x00\x00"), BATCH_BAD_COUNT);
    assert_int_equal(PARSE_WITH(0, "\x7f\xff\xff\xff\xff\xff\xff\xfd"), BATCH_OK);
    assert_int_equal(PARSE_WITH(0, "\x7f\xff\xff\xff\xff\xff\xff\xfe"), BATCH_BAD_COUNT);
    /* lastOffsetDelta */
    assert_int_equal(PARSE_WITH(23, "\x00\x00\x00\x01"), BATCH_BAD_COUNT);
    assert_int_equal(PARSE_WITH(23, "\x7f\xff\xff\xff"), BATCH_OK);
    assert_int_equal(PARSE_WITH(23, "\x80\x00\x00\x00"), BATCH_BAD_COUNT);
    assert_int_equal(PARSE_WITH(23, "\xff\xff\xff\xff"), BATCH_BAD_COUNT);
    /* record count: 44 bytes hold at most 6 records; compressed ones any number */
    assert_int_equal(PARSE_WITH(57, "\x80\x00\x00\x00"), BATCH_BAD_COUNT);
    assert_int_equal(PARSE_WITH(57, "\x00\x00\x00\x00"), BATCH_OK);
    assert_int_equal(PARSE_WITH(23, "\x00\x00\x00\x06"), BATCH_OK);
    assert_int_equal(PARSE_WITH(57, "\x00\x00\x00\x04"), BATCH_BAD_COUNT);
}

static void the_room_limits_the_count_unless_compressed(void **state)
{
    (void)state;
    struct batch batch = {.base = 5, .bytes = BATCH_HEADER + 44, .last_delta = 100, .count = 6};
    uint8_t bytes[BATCH_HEADER];
    batch_put(bytes, &batch);
    assert_int_equal(batch_parse(bytes, sizeof bytes, &batch), BATCH_OK);
    batch.count = 7;
    batch_put(bytes, &batch);
    assert_int_equal(batch_parse(bytes, sizeof bytes, &batch), BATCH_BAD_COUNT);
    batch.attributes = 4;
    batch_put(bytes, &batch);
    assert_int_equal(batch_parse(bytes, sizeof bytes, &batch), BATCH_OK);
}

static void zeros_are_told_from_damage(void **state)
{
    (void)state;
    uint8_t bytes[BATCH_HEADER] = {0};
    struct batch batch;
    assert_int_equal(batch_parse(bytes, sizeof bytes, &batch), BATCH_ZERO);
    assert_int_equal(batch_check(bytes, sizeof bytes, &batch), BATCH_ZERO);
    for (size_t i = 0; i < BATCH_HEADER; i++) {
        bytes[i] = 1;
        enum batch_fault fault = batch_parse(bytes, sizeof bytes, &batch);
        assert_true(fault != BATCH_OK && fault != BATCH_ZERO);
        bytes[i] = 0;
    }
}

static void every_truncation_is_short(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof golden_batch; size++) {
        uint8_t *bytes = malloc(size + 1);
        memcpy(bytes, golden_batch, size);
        struct batch batch;
        assert_int_equal(batch_check(bytes, size, &batch), BATCH_SHORT);
        enum batch_fault parsed = size < BATCH_HEADER ? BATCH_SHORT : BATCH_OK;
        assert_int_equal(batch_parse(bytes, size, &batch), parsed);
        free(bytes);
    }
}

/*
 * Every flipped bit is noticed by batch_check, save in the fields that the checksum leaves out and
 * that any value may have: base (but its highest bit) and generation.
 */
static void every_flipped_bit_is_noticed_or_outside_the_checksum(void **state)
{
    (void)state;
    uint8_t bytes[sizeof golden_batch];
    memcpy(bytes, golden_batch, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        size_t at = bit / 8;
        bytes[at] ^= (uint8_t)(0x80 >> bit % 8);
        struct batch batch;
        enum batch_fault fault = batch_check(bytes, sizeof bytes, &batch);
        bool in_base = bit > 0 && at < 8;
        bool in_generation = at >= 12 && at < 16;
        if (in_base || in_generation) {
            assert_int_equal(fault, BATCH_OK);
            assert_true((batch.base != 0) == in_base);
            assert_true((batch.generation != 0) == in_generation);
        } else if (fault == BATCH_OK) {
            fail_msg("bit %zu of byte %zu flipped, and not noticed", bit % 8, at);
        }
        bytes[at] ^= (uint8_t)(0x80 >> bit % 8);
    }
}

static void each_fault_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int a = BATCH_OK; a <= BATCH_BAD_CRC; a++) {
        assert_true(strlen(batch_fault_text((enum batch_fault)a)) > 0);
        for (int b = BATCH_OK; b < a; b++)
            assert_string_not_equal(batch_fault_text((enum batch_fault)a),
                                    batch_fault_text((enum batch_fault)b));
    }
}

/* ---- sealing -------------------------------------------------------------------------------- */

static void a_sealed_batch_checks(void **state)
{
    (void)state;
    struct firn_record records[3] = {{.index = 12}, {.index = 15}, {.index = 19}};
    struct batch whole = header_for(10, records, 3), found;
    whole.last_delta = 11;
    uint8_t *bytes = make_batch_as(&whole, records);
    struct batch same = whole;
    uint8_t *again = malloc(whole.bytes);
    memcpy(again, bytes, whole.bytes);
    memset(again, 0xff, BATCH_HEADER);
    same.bytes = same.crc = 0;
    batch_seal(&same, again + BATCH_HEADER, whole.bytes - BATCH_HEADER, again);
    assert_memory_equal(again, bytes, whole.bytes);
    assert_int_equal(batch_check(again, whole.bytes, &found), BATCH_OK);
    assert_int_equal(found.crc, same.crc);
    assert_int_equal(found.bytes, same.bytes);
    free(again);
    free(bytes);
}

static void an_empty_batch_fills_a_gap(void **state)
{
    (void)state;
    struct batch empty = header_for(10, NULL, 0), found;
    uint8_t bytes[BATCH_HEADER];
    empty.last_delta = 6;
    batch_seal(&empty, NULL, 0, bytes);
    assert_int_equal(batch_check(bytes, sizeof bytes, &found), BATCH_OK);
    assert_int_equal(found.count, 0);
    assert_int_equal(found.last_delta, 6);
    assert_int_equal(record_check_all(bytes, &found), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_batch_parses),
        cmocka_unit_test(put_is_the_inverse_of_parse),
        cmocka_unit_test(single_fields_are_set_in_place),
        cmocka_unit_test(impossible_headers_are_refused),
        cmocka_unit_test(the_room_limits_the_count_unless_compressed),
        cmocka_unit_test(zeros_are_told_from_damage),
        cmocka_unit_test(every_truncation_is_short),
        cmocka_unit_test(every_flipped_bit_is_noticed_or_outside_the_checksum),
        cmocka_unit_test(each_fault_has_a_text_of_its_own),
        cmocka_unit_test(a_sealed_batch_checks),
        cmocka_unit_test(an_empty_batch_fills_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
