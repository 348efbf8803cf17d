/* SPDX-License-Identifier: MIT */
#include "make_batch.h"

#include <firn/faulty.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "log/checkpoint.h"

enum { SECTOR = 512, SECTORS = CHECKPOINT_SLOT / SECTOR };

static const char path[] = "d/" CHECKPOINT_NAME;

/* ---- a slot --------------------------------------------------------------------------------- */

static struct checkpoint full_checkpoint(void)
{
    struct checkpoint checkpoint = {
        .sequence = 0x0102030405060708,
        .generation = 0x11121314,
        .clean = true,
        .first_index = 0x2122232425262728,
        .durable = {0x3132333435363738, 0x4142434445464748, 0x5152535455565758},
        .end = {0x6162636465666768, 0x7172737475767778, 0x8182838485868788},
        .segments = 0x9192939495969798,
        .segments_crc = 0xa1a2a3a4,
        .intent = {.pending = true,
                   .cut = {0xb1b2b3b4b5b6b7b8, 0xc1c2c3c4c5c6c7c8, 0xd1d2d3d4d5d6d7d8},
                   .has_header = true,
                   .header_position = 0xe1e2e3e4e5e6e7e8},
    };
    memset(checkpoint.intent.header, 0xf1, BATCH_HEADER);
    return checkpoint;
}

static bool places_equal(const struct place *a, const struct place *b)
{
    return a->segment == b->segment && a->position == b->position && a->index == b->index;
}

static void assert_equal(const struct checkpoint *a, const struct checkpoint *b)
{
    assert_true(a->sequence == b->sequence);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->clean, b->clean);
    assert_true(a->first_index == b->first_index);
    assert_true(places_equal(&a->durable, &b->durable));
    assert_true(places_equal(&a->end, &b->end));
    assert_true(a->segments == b->segments);
    assert_true(a->segments_crc == b->segments_crc);
    assert_int_equal(a->intent.pending, b->intent.pending);
    assert_true(places_equal(&a->intent.cut, &b->intent.cut));
    assert_int_equal(a->intent.has_header, b->intent.has_header);
    assert_int_equal(a->intent.has_file, b->intent.has_file);
    assert_true(a->intent.header_position == b->intent.header_position);
    assert_memory_equal(a->intent.header, b->intent.header, BATCH_HEADER);
}

/* The layout that docs/formats.md describes, field by field. */
static void the_layout_is_the_documented_one(void **state)
{
    (void)state;
    struct checkpoint checkpoint = full_checkpoint();
    uint8_t slot[CHECKPOINT_SLOT], expected[CHECKPOINT_SLOT] = {0};
    checkpoint_encode(&checkpoint, slot);
    memcpy(expected, "FIRNCKP1\0\0\0\1", 12);
    for (unsigned i = 0; i < 8; i++)
        expected[12 + i] = (uint8_t)(1 + i);
    store_be_u32(expected + 20, 3);
    store_be_u32(expected + 24, 0x11121314);
    for (unsigned field = 0; field < 8; field++) {
        for (unsigned i = 0; i < 8; i++)
            expected[28 + 8 * field + i] = (uint8_t)(0x21 + 16 * field + i);
    }
    store_be_u32(expected + 92, 0xa1a2a3a4);
    for (unsigned field = 0; field < 4; field++) {
        for (unsigned i = 0; i < 8; i++)
            expected[96 + 8 * field + i] = (uint8_t)(0xb1 + 16 * field + i);
    }
    expected[128] = 1;
    memset(expected + 129, 0xf1, BATCH_HEADER);
    store_be_u32(expected + 4092, crc32c(0, expected, 4092));
    assert_memory_equal(slot, expected, CHECKPOINT_SLOT);
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    for (int which = 0; which < 8; which++) {
        struct checkpoint checkpoint = full_checkpoint(), decoded;
        if ((which & 1) != 0) {
            checkpoint.clean = false;
            checkpoint.end = (struct place){0};
            checkpoint.segments = checkpoint.segments_crc = 0;
        }
        if ((which & 2) != 0) {
            checkpoint.intent.has_header = false;
            checkpoint.intent.header_position = 0;
            memset(checkpoint.intent.header, 0, BATCH_HEADER);
        }
        if ((which & 4) != 0)
            checkpoint.intent = (struct intent){0};
        uint8_t slot[CHECKPOINT_SLOT];
        checkpoint_encode(&checkpoint, slot);
        assert_int_equal(checkpoint_decode(slot, &decoded), 0);
        assert_equal(&decoded, &checkpoint);
    }
}

static void what_does_not_apply_is_not_written(void **state)
{
    (void)state;
    struct checkpoint checkpoint = full_checkpoint(), decoded;
    uint8_t slot[CHECKPOINT_SLOT];
    checkpoint.clean = checkpoint.intent.pending = false;
    checkpoint_encode(&checkpoint, slot);
    assert_int_equal(checkpoint_decode(slot, &decoded), 0);
    checkpoint.end = (struct place){0};
    checkpoint.segments = checkpoint.segments_crc = 0;
    checkpoint.intent = (struct intent){0};
    assert_equal(&decoded, &checkpoint);
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct checkpoint checkpoint = full_checkpoint(), decoded;
    uint8_t slot[CHECKPOINT_SLOT];
    checkpoint_encode(&checkpoint, slot);
    for (size_t bit = 0; bit < 8 * (size_t)CHECKPOINT_SLOT; bit++) {
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(checkpoint_decode(slot, &decoded), FIRN_EDAMAGED);
        slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    memset(slot, 0, sizeof slot);
    assert_int_equal(checkpoint_decode(slot, &decoded), FIRN_EDAMAGED);
}

/* With a right checksum: written by someone who knows more. */
static void every_unknown_bit_is_refused(void **state)
{
    (void)state;
    struct checkpoint checkpoint = {.sequence = 4, .generation = 7}, decoded;
    uint8_t slot[CHECKPOINT_SLOT], changed[CHECKPOINT_SLOT];
    checkpoint_encode(&checkpoint, slot);
    for (size_t bit = 0; bit < 8 * (size_t)4092; bit++) {
        size_t at = bit / 8;
        memcpy(changed, slot, sizeof changed);
        changed[at] ^= (uint8_t)(1u << bit % 8);
        store_be_u32(changed + 4092, crc32c(0, changed, 4092));
        bool known = (at >= 12 && at < 20) || (at == 23 && bit % 8 < 2) || (at >= 24 && at < 60);
        assert_int_equal(checkpoint_decode(changed, &decoded), known ? 0 : FIRN_EFORMAT);
    }
}

/* ---- the file ------------------------------------------------------------------------------- */

static struct firn_faulty *faulty_with_dir(void)
{
    struct firn_faulty *faulty;
    assert_int_equal(firn_faulty_new(NULL, &faulty, NULL), 0);
    assert_int_equal(disk_make_dir(firn_faulty_disk(faulty), "d", NULL), 0);
    assert_int_equal(firn_faulty_settle(faulty, NULL), 0);
    return faulty;
}

static int load(struct firn_faulty *faulty, struct checkpoint *checkpoint,
                struct checkpoint_slots *slots)
{
    struct firn_error err = {0};
    int rc = checkpoint_load(firn_faulty_disk(faulty), "d", checkpoint, slots, &err);
    assert_int_equal(err.code, rc);
    if (rc != 0)
        assert_non_null(strstr(err.message, CHECKPOINT_NAME));
    return rc;
}

static void store(struct firn_faulty *faulty, struct checkpoint *checkpoint, bool both)
{
    struct firn_file *file;
    assert_int_equal(disk_open(firn_faulty_disk(faulty), path, FIRN_OPEN_WRITE, &file, NULL), 0);
    assert_int_equal(checkpoint_store(file, checkpoint, both, NULL), 0);
    disk_close(file);
}

static void put(struct firn_faulty *faulty, const void *bytes, size_t size)
{
    assert_int_equal(firn_faulty_put(faulty, path, bytes, size, NULL), 0);
}

/* The file's 8 KiB. */
static void get(struct firn_faulty *faulty, uint8_t *bytes)
{
    void *got;
    size_t size;
    assert_int_equal(firn_faulty_get(faulty, path, FIRN_FAULTY_DURABLE, &got, &size, NULL), 0);
    assert_int_equal(size, CHECKPOINT_BYTES);
    memcpy(bytes, got, size);
    free(got);
}

/* The same with places that a log can have: reading a file refuses others. */
static struct checkpoint possible_checkpoint(void)
{
    struct checkpoint checkpoint = full_checkpoint();
    checkpoint.durable = (struct place){1000, 0x41424344, 1020};
    checkpoint.end = (struct place){1000, 0x71727374, 1040};
    checkpoint.intent.cut = (struct place){900, 0x61626364, 950};
    return checkpoint;
}

static int load_stored(struct firn_disk *disk, struct checkpoint *checkpoint)
{
    struct checkpoint_slots slots;
    struct checkpoint loaded;
    assert_int_equal(checkpoint_create(disk, "d", checkpoint, NULL), 0);
    return checkpoint_load(disk, "d", &loaded, &slots, NULL);
}

static void what_contradicts_itself_is_damaged(void **state)
{
    (void)state;
    struct firn_disk *disk;
    assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
    assert_int_equal(disk_make_dirs(disk, "d", NULL), 0);
    struct checkpoint checkpoint = possible_checkpoint();
    assert_int_equal(load_stored(disk, &checkpoint), 0);
    checkpoint.end.index = checkpoint.durable.index - 1;
    assert_int_equal(load_stored(disk, &checkpoint), FIRN_EDAMAGED);
    checkpoint = possible_checkpoint();
    checkpoint.durable.index = checkpoint.durable.segment - 1;
    assert_int_equal(load_stored(disk, &checkpoint), FIRN_EDAMAGED);
    checkpoint = possible_checkpoint();
    checkpoint.end.index = UINT64_MAX;
    assert_int_equal(load_stored(disk, &checkpoint), FIRN_EDAMAGED);
    checkpoint = possible_checkpoint();
    checkpoint.intent.cut.position = UINT64_MAX;
    assert_int_equal(load_stored(disk, &checkpoint), FIRN_EDAMAGED);
    firn_disk_free(disk);
}

static void a_created_file_is_durable_and_has_equal_slots(void **state)
{
    (void)state;
    struct firn_faulty *faulty = faulty_with_dir();
    struct checkpoint checkpoint = possible_checkpoint(), loaded;
    struct checkpoint_slots slots;
    assert_int_equal(load(faulty, &loaded, &slots), FIRN_ENOENT);
    uint64_t before = checkpoint.sequence;
    assert_int_equal(checkpoint_create(firn_faulty_disk(faulty), "d", &checkpoint, NULL), 0);
    assert_true(checkpoint.sequence == before + 2);
    assert_int_equal(firn_faulty_restart(faulty, 0, NULL), 0);
    assert_int_equal(load(faulty, &loaded, &slots), 0);
    assert_equal(&loaded, &checkpoint);
    assert_int_equal(slots.state[0], 0);
    assert_int_equal(slots.state[1], 0);
    assert_true(slots.equal);
    firn_faulty_free(faulty);
}

static void stores_take_the_slots_in_turn(void **state)
{
    (void)state;
    struct firn_faulty *faulty = faulty_with_dir();
    struct checkpoint checkpoint = possible_checkpoint(), loaded;
    struct checkpoint_slots slots;
    uint8_t before[CHECKPOINT_BYTES], after[CHECKPOINT_BYTES];
    assert_int_equal(checkpoint_create(firn_faulty_disk(faulty), "d", &checkpoint, NULL), 0);
    for (int i = 0; i < 4; i++) {
        get(faulty, before);
        checkpoint.first_index++;
        uint64_t sequence = checkpoint.sequence + 1;
        store(faulty, &checkpoint, false);
        assert_true(checkpoint.sequence == sequence);
        get(faulty, after); /* what is durable: the store was */
        size_t kept = (sequence + 1) % 2 * CHECKPOINT_SLOT;
        assert_memory_equal(after + kept, before + kept, CHECKPOINT_SLOT);
        assert_int_equal(load(faulty, &loaded, &slots), 0);
        assert_equal(&loaded, &checkpoint);
        assert_false(slots.equal);
    }
    checkpoint.first_index++;
    store(faulty, &checkpoint, true);
    assert_int_equal(load(faulty, &loaded, &slots), 0);
    assert_equal(&loaded, &checkpoint);
    assert_true(slots.equal);
    firn_faulty_free(faulty);
}

/* Of a store of `next`, only the first (or last) sectors arrive. */
static void assert_torn_store_leaves_one(struct firn_faulty *faulty, unsigned sectors, bool last)
{
    struct checkpoint checkpoint = possible_checkpoint(), next, loaded;
    struct checkpoint_slots slots;
    assert_int_equal(checkpoint_create(firn_faulty_disk(faulty), "d", &checkpoint, NULL), 0);
    uint8_t before[CHECKPOINT_BYTES], after[CHECKPOINT_BYTES];
    get(faulty, before);
    next = checkpoint;
    next.first_index++;
    next.intent = (struct intent){0};
    store(faulty, &next, false);
    get(faulty, after);
    size_t slot = next.sequence % 2 * CHECKPOINT_SLOT, from = last ? SECTORS - sectors : 0;
    memcpy(before + slot + from * SECTOR, after + slot + from * SECTOR, (size_t)sectors * SECTOR);
    put(faulty, before, CHECKPOINT_BYTES);
    assert_int_equal(load(faulty, &loaded, &slots), 0);
    assert_equal(&loaded, sectors == SECTORS ? &next : &checkpoint);
    bool torn = sectors > 0 && sectors < SECTORS;
    assert_int_equal(slots.state[next.sequence % 2], torn ? FIRN_EDAMAGED : 0);
    assert_int_equal(slots.state[checkpoint.sequence % 2], 0);
    assert_int_equal(slots.equal, sectors == 0);

    /* and the next store goes over the torn slot */
    loaded.generation++;
    store(faulty, &loaded, false);
    checkpoint = loaded;
    assert_int_equal(load(faulty, &loaded, &slots), 0);
    assert_equal(&loaded, &checkpoint);
    assert_int_equal(slots.state[0], 0);
    assert_int_equal(slots.state[1], 0);
}

static void a_torn_store_leaves_a_valid_slot(void **state)
{
    (void)state;
    struct firn_faulty *faulty = faulty_with_dir();
    for (unsigned sectors = 0; sectors <= SECTORS; sectors++) {
        assert_torn_store_leaves_one(faulty, sectors, false);
        assert_torn_store_leaves_one(faulty, sectors, true);
    }
    firn_faulty_free(faulty);
}

/* Power goes in a store of both: every state that may survive is the old or the new one. */
static void power_loss_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    for (uint64_t writes = 1; writes <= 2; writes++) {
        struct firn_faulty *faulty = faulty_with_dir(), *copy;
        struct checkpoint checkpoint = possible_checkpoint(), next, loaded;
        struct checkpoint_slots slots;
        struct firn_faulty_counts counts;
        assert_int_equal(checkpoint_create(firn_faulty_disk(faulty), "d", &checkpoint, NULL), 0);
        firn_faulty_get_counts(faulty, &counts);
        firn_faulty_crash_at(faulty, counts.mutations + writes);
        struct firn_file *file;
        next = checkpoint;
        next.first_index++;
        assert_int_equal(disk_open(firn_faulty_disk(faulty), path, FIRN_OPEN_WRITE, &file, NULL),
                         0);
        assert_int_equal(checkpoint_store(file, &next, true, NULL), FIRN_EIO);
        disk_close(file);
        uint64_t outcomes = firn_faulty_outcomes(faulty);
        assert_true(outcomes > 1);
        for (uint64_t which = 0; which < outcomes; which++) {
            assert_int_equal(firn_faulty_clone(faulty, &copy, NULL), 0);
            assert_int_equal(firn_faulty_restart(copy, which, NULL), 0);
            assert_int_equal(load(copy, &loaded, &slots), 0);
            if (loaded.sequence > checkpoint.sequence)
                assert_true(loaded.first_index == next.first_index);
            else
                assert_equal(&loaded, &checkpoint);
            assert_true(writes == 1 || loaded.sequence > checkpoint.sequence);
            firn_faulty_free(copy);
        }
        firn_faulty_free(faulty);
    }
}

static void a_later_version_in_either_slot_is_refused(void **state)
{
    (void)state;
    struct firn_faulty *faulty = faulty_with_dir();
    struct checkpoint loaded;
    struct checkpoint_slots slots;
    for (size_t i = 0; i < 2; i++) {
        struct checkpoint checkpoint = {.sequence = 6};
        uint8_t bytes[CHECKPOINT_BYTES];
        assert_int_equal(checkpoint_create(firn_faulty_disk(faulty), "d", &checkpoint, NULL), 0);
        get(faulty, bytes);
        uint8_t *slot = bytes + i * CHECKPOINT_SLOT;
        store_be_u32(slot + 8, 2);
        store_be_u32(slot + 4092, crc32c(0, slot, 4092));
        put(faulty, bytes, CHECKPOINT_BYTES);
        assert_int_equal(load(faulty, &loaded, &slots), FIRN_EFORMAT);
    }
    firn_faulty_free(faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_the_documented_one),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(what_does_not_apply_is_not_written),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(every_unknown_bit_is_refused),
        cmocka_unit_test(what_contradicts_itself_is_damaged),
        cmocka_unit_test(a_created_file_is_durable_and_has_equal_slots),
        cmocka_unit_test(stores_take_the_slots_in_turn),
        cmocka_unit_test(a_torn_store_leaves_a_valid_slot),
        cmocka_unit_test(power_loss_leaves_the_old_or_the_new),
        cmocka_unit_test(a_later_version_in_either_slot_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
