/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "disk/slots.h"

enum { SECTOR = 512, SECTORS = SLOT_BYTES / SECTOR, AT_CRC = SLOT_BYTES - 4 };
/* What the first byte of a body says to the check below. */
enum { BODY_DAMAGED = 0xfe, BODY_LATER = 0xff };

static const char path[] = "state";

static int check(const uint8_t *body)
{
    return body[0] == BODY_DAMAGED ? FIRN_EDAMAGED : body[0] == BODY_LATER ? FIRN_EFORMAT : 0;
}

static const struct slot_kind kind = {
    .magic = {'F', 'I', 'R', 'N', 'T', 'E', 'S', 'T'}, .version = 7, .check = check};

static void fill(uint8_t *body, uint8_t seed)
{
    for (size_t i = 0; i < SLOT_ROOM; i++)
        body[i] = (uint8_t)(seed + i % 251);
    body[0] = seed;
}

/* ---- a storage with the file, whose slots hold the bodies of seeds 3 and 4 ------------------- */

struct world {
    struct firn_faulty *faulty;
    struct firn_file *file;
    uint8_t bytes[SLOTS_BYTES]; /* of the file */
};

static void put(struct world *w, size_t size)
{
    assert_int_equal(firn_faulty_put(w->faulty, path, w->bytes, size, NULL), 0);
}

static void get_durable(struct world *w, uint8_t *bytes)
{
    void *got;
    size_t size;
    assert_int_equal(firn_faulty_get(w->faulty, path, FIRN_FAULTY_DURABLE, &got, &size, NULL), 0);
    assert_int_equal(size, SLOTS_BYTES);
    memcpy(bytes, got, size);
    free(got);
}

static void put_slot(struct world *w, uint64_t sequence, uint8_t seed)
{
    uint8_t body[SLOT_ROOM];
    fill(body, seed);
    slot_encode(&kind, sequence, body, w->bytes + sequence % 2 * SLOT_BYTES);
}

static void open_file(struct world *w)
{
    assert_int_equal(disk_open(firn_faulty_disk(w->faulty), path, FIRN_OPEN_WRITE, &w->file, NULL),
                     0);
}

static void start(struct world *w)
{
    struct firn_disk *disk;
    assert_int_equal(firn_faulty_new(NULL, &w->faulty, NULL), 0);
    disk = firn_faulty_disk(w->faulty);
    put_slot(w, 3, 3);
    put_slot(w, 4, 4);
    assert_int_equal(disk_replace_file(disk, "", path, w->bytes, SLOTS_BYTES, NULL), 0);
    assert_int_equal(firn_faulty_settle(w->faulty, NULL), 0);
    open_file(w);
}

static void stop(struct world *w)
{
    disk_close(w->file);
    firn_faulty_free(w->faulty);
}

static int load(struct world *w, struct slots *slots)
{
    struct firn_error err = {0};
    int rc = slots_load(w->file, path, &kind, slots, &err);
    assert_int_equal(err.code, rc);
    if (rc != 0)
        assert_non_null(strstr(err.message, path));
    return rc;
}

/* What counts is `sequence` and `seed`; the slots' states. */
static void expect(struct world *w, uint64_t sequence, uint8_t seed, int first, int second)
{
    struct slots slots;
    uint8_t body[SLOT_ROOM];
    fill(body, seed);
    assert_int_equal(load(w, &slots), 0);
    assert_true(slots.sequence == sequence);
    assert_memory_equal(slots.body[sequence % 2], body, SLOT_ROOM);
    assert_int_equal(slots.state[0], first);
    assert_int_equal(slots.state[1], second);
}

static void expect_error(struct world *w, int expected)
{
    struct slots slots, before;
    memset(&slots, 0x5a, sizeof slots);
    before = slots;
    assert_int_equal(load(w, &slots), expected);
    assert_memory_equal(&slots, &before, sizeof slots);
}

static void mend(uint8_t *slot)
{
    store_be_u32(slot + AT_CRC, crc32c(0, slot, AT_CRC));
}

/* ---- a slot --------------------------------------------------------------------------------- */

static void the_layout_is_the_documented_one(void **state)
{
    (void)state;
    uint8_t body[SLOT_ROOM], slot[SLOT_BYTES], expected[SLOT_BYTES];
    fill(body, 1);
    slot_encode(&kind, 0x0102030405060708, body, slot);
    memcpy(expected, "FIRNTEST\0\0\0\7\1\2\3\4\5\6\7\10", 20);
    memcpy(expected + 20, body, 4072);
    store_be_u32(expected + 4092, crc32c(0, expected, 4092));
    assert_memory_equal(slot, expected, SLOT_BYTES);
    uint64_t sequence;
    assert_int_equal(slot_decode(&kind, slot, &sequence), 0);
    assert_true(sequence == 0x0102030405060708);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t body[SLOT_ROOM], slot[SLOT_BYTES];
    uint64_t sequence = 9;
    fill(body, 1);
    slot_encode(&kind, 5, body, slot);
    for (size_t bit = 0; bit < 8 * (size_t)SLOT_BYTES; bit++) {
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(slot_decode(&kind, slot, &sequence), FIRN_EDAMAGED);
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    memset(slot, 0, sizeof slot);
    assert_int_equal(slot_decode(&kind, slot, &sequence), FIRN_EDAMAGED);
    assert_true(sequence == 9);
}

static void another_magic_or_version_is_another_format(void **state)
{
    (void)state;
    uint8_t body[SLOT_ROOM], slot[SLOT_BYTES];
    uint64_t sequence;
    fill(body, 1);
    for (size_t at = 0; at < SLOT_HEAD; at++) {
        slot_encode(&kind, 5, body, slot);
        slot[at] ^= 1;
        mend(slot);
        assert_int_equal(slot_decode(&kind, slot, &sequence), at < 12 ? FIRN_EFORMAT : 0);
    }
}

/* ---- loading -------------------------------------------------------------------------------- */

static void the_higher_sequence_counts(void **state)
{
    (void)state;
    struct world w;
    struct slots slots;
    start(&w);
    expect(&w, 4, 4, 0, 0);
    put_slot(&w, 7, 8);
    put(&w, SLOTS_BYTES);
    expect(&w, 7, 8, 0, 0);
    assert_int_equal(load(&w, &slots), 0);
    assert_false(slots.equal);
    put_slot(&w, 8, 8);
    put(&w, SLOTS_BYTES);
    assert_int_equal(load(&w, &slots), 0);
    assert_true(slots.equal);
    stop(&w);
}

static void a_damaged_slot_leaves_the_other(void **state)
{
    (void)state;
    struct world w;
    struct slots slots;
    start(&w);
    for (unsigned i = 0; i < 2; i++) {
        w.bytes[i * SLOT_BYTES + 1000] ^= 4;
        put(&w, SLOTS_BYTES);
        expect(&w, i == 0 ? 3 : 4, i == 0 ? 3 : 4, i == 0 ? FIRN_EDAMAGED : 0,
               i == 1 ? FIRN_EDAMAGED : 0);
        assert_int_equal(load(&w, &slots), 0);
        assert_false(slots.equal);
        for (size_t at = 0; at < SLOT_ROOM; at++)
            assert_int_equal(slots.body[i][at], 0);
        w.bytes[i * SLOT_BYTES + 1000] ^= 4;
    }
    memset(w.bytes, 0, sizeof w.bytes);
    put(&w, SLOTS_BYTES);
    expect_error(&w, FIRN_EDAMAGED);
    stop(&w);
}

static void a_short_file_is_damaged_where_it_ends(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4095, 4096, 5000, 8191};
    struct world w;
    start(&w);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put(&w, sizes[i]);
        if (sizes[i] < SLOT_BYTES)
            expect_error(&w, FIRN_EDAMAGED);
        else
            expect(&w, 4, 4, 0, FIRN_EDAMAGED);
    }
    stop(&w);
}

static void a_slot_at_the_wrong_place_is_damaged(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    put_slot(&w, 6, 9);
    memcpy(w.bytes + SLOT_BYTES, w.bytes, SLOT_BYTES);
    put_slot(&w, 4, 4);
    put(&w, SLOTS_BYTES);
    expect(&w, 4, 4, 0, FIRN_EDAMAGED);
    memset(w.bytes, 0, SLOT_BYTES);
    put(&w, SLOTS_BYTES);
    expect_error(&w, FIRN_EDAMAGED);
    stop(&w);
}

static void the_owner_has_a_say(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    put_slot(&w, 5, BODY_DAMAGED);
    put(&w, SLOTS_BYTES);
    expect(&w, 4, 4, 0, FIRN_EDAMAGED);
    put_slot(&w, 4, BODY_DAMAGED);
    put(&w, SLOTS_BYTES);
    expect_error(&w, FIRN_EDAMAGED);
    stop(&w);
}

/* Where it stands, and whichever is newer. */
static void a_later_format_in_either_slot_is_refused(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    for (uint64_t sequence = 2; sequence < 6; sequence++) {
        put_slot(&w, 3, 3);
        put_slot(&w, 4, 4);
        put_slot(&w, sequence, BODY_LATER);
        put(&w, SLOTS_BYTES);
        expect_error(&w, FIRN_EFORMAT);
        put_slot(&w, sequence, 1);
        uint8_t *slot = w.bytes + sequence % 2 * SLOT_BYTES;
        store_be_u32(slot + 8, 8);
        mend(slot);
        put(&w, SLOTS_BYTES);
        expect_error(&w, FIRN_EFORMAT);
    }
    stop(&w);
}

static void an_unreadable_slot_costs_only_itself(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct firn_faulty_fault fault = {
        .ops = FIRN_FAULTY_READ, .path = path, .length = 1, .times = FIRN_FAULTY_ALWAYS};
    for (unsigned i = 0; i < 2; i++) {
        fault.offset = i * SLOT_BYTES + SECTOR;
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        expect(&w, i == 0 ? 3 : 4, i == 0 ? 3 : 4, i == 0 ? FIRN_EDAMAGED : 0,
               i == 1 ? FIRN_EDAMAGED : 0);
        firn_faulty_clear(w.faulty, 0);
    }
    w.bytes[1000] ^= 1; /* the other one is damaged */
    put(&w, SLOTS_BYTES);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    expect_error(&w, FIRN_EIO);
    stop(&w);
}

/* ---- storing -------------------------------------------------------------------------------- */

static void stores_take_the_slots_in_turn(void **state)
{
    (void)state;
    struct world w;
    uint8_t body[SLOT_ROOM], before[SLOTS_BYTES], after[SLOTS_BYTES];
    uint64_t sequence = 4;
    start(&w);
    for (uint8_t seed = 10; seed < 14; seed++) {
        fill(body, seed);
        get_durable(&w, before);
        assert_int_equal(slots_store(w.file, &kind, &sequence, body, false, NULL), 0);
        assert_true(sequence == seed - 5u);
        get_durable(&w, after);
        size_t kept = (sequence + 1) % 2 * SLOT_BYTES;
        assert_memory_equal(after + kept, before + kept, SLOT_BYTES);
        expect(&w, sequence, seed, 0, 0);
    }
    struct slots slots;
    assert_int_equal(slots_store(w.file, &kind, &sequence, body, true, NULL), 0);
    assert_true(sequence == 10);
    assert_int_equal(firn_faulty_restart(w.faulty, 0, NULL), 0);
    disk_close(w.file);
    open_file(&w);
    expect(&w, 10, 13, 0, 0);
    assert_int_equal(load(&w, &slots), 0);
    assert_true(slots.equal);
    stop(&w);
}

static void a_failed_store_raises_no_sequence(void **state)
{
    (void)state;
    struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_WRITE_DURABLE};
    for (uint64_t after = 0; after < 2; after++) {
        struct world w;
        uint8_t body[SLOT_ROOM];
        uint64_t sequence = 4;
        struct firn_error err = {0};
        start(&w);
        fill(body, 20);
        fault.at = after + 1;
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        assert_int_equal(slots_store(w.file, &kind, &sequence, body, true, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        assert_true(sequence == 4 + after);
        stop(&w);
    }
}

/* Power goes in a store of both: every state that may survive is the old or the new one. */
static void power_loss_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    for (uint64_t writes = 1; writes <= 2; writes++) {
        struct world w, after;
        struct firn_faulty_counts counts;
        uint8_t body[SLOT_ROOM];
        uint64_t sequence = 4;
        start(&w);
        fill(body, 20);
        firn_faulty_get_counts(w.faulty, &counts);
        firn_faulty_crash_at(w.faulty, counts.mutations + writes);
        assert_int_equal(slots_store(w.file, &kind, &sequence, body, true, NULL), FIRN_EIO);
        uint64_t outcomes = firn_faulty_outcomes(w.faulty), torn = 0;
        assert_true(outcomes > 1);
        for (uint64_t which = 0; which < outcomes; which++) {
            struct slots slots;
            assert_int_equal(firn_faulty_clone(w.faulty, &after.faulty, NULL), 0);
            assert_int_equal(firn_faulty_restart(after.faulty, which, NULL), 0);
            open_file(&after);
            assert_int_equal(load(&after, &slots), 0);
            bool new = slots.sequence > 4;
            assert_true(new || writes == 1);
            assert_int_equal(slots.body[slots.sequence % 2][0], new ? 20 : 4);
            torn += slots.state[writes % 2] != 0;
            stop(&after);
        }
        assert_true(torn > 0);
        stop(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(another_magic_or_version_is_another_format),
        cmocka_unit_test(the_higher_sequence_counts),
        cmocka_unit_test(a_damaged_slot_leaves_the_other),
        cmocka_unit_test(a_short_file_is_damaged_where_it_ends),
        cmocka_unit_test(a_slot_at_the_wrong_place_is_damaged),
        cmocka_unit_test(the_owner_has_a_say),
        cmocka_unit_test(a_later_format_in_either_slot_is_refused),
        cmocka_unit_test(an_unreadable_slot_costs_only_itself),
        cmocka_unit_test(stores_take_the_slots_in_turn),
        cmocka_unit_test(a_failed_store_raises_no_sequence),
        cmocka_unit_test(power_loss_leaves_the_old_or_the_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
