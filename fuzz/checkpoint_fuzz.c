/* SPDX-License-Identifier: MIT */
/*
 * The checkpoint file. Input: what to mend, and the file's bytes; with SHORT only the fields of
 * each slot are in the input, and what is reserved is zero. What is accepted is written as it was
 * read; the slot that counts is the valid one with the higher sequence; a checkpoint that is stored
 * or created is what the next opening finds.
 */
#include <string.h>

#include <firn/error.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "fuzz.h"
#include "log/checkpoint.h"

enum { MEND_FIRST = 1, MEND_SECOND = 2, MEND_START = 4, MEND_SEQUENCE = 8, SHORT = 16 };
enum { FIELDS = 190, AT_CRC = CHECKPOINT_SLOT - 4, SLOTS = 2 };

#define DIR ""

/* ---- making the file ------------------------------------------------------------------------ */

static void mend_slot(uint8_t *slot, unsigned i, unsigned what)
{
    static const uint8_t start[12] = {'F', 'I', 'R', 'N', 'C', 'K', 'P', '1', 0, 0, 0, 1};
    if (what & MEND_START)
        memcpy(slot, start, sizeof start);
    if (what & MEND_SEQUENCE)
        slot[19] = (uint8_t)((slot[19] & ~1u) | i);
    if (what & (i == 0 ? MEND_FIRST : MEND_SECOND))
        store_be_u32(slot + AT_CRC, crc32c(0, slot, AT_CRC));
}

static void make_file(struct input *in, unsigned what, struct bytes *file)
{
    uint8_t slot[CHECKPOINT_SLOT];
    for (unsigned i = 0; i < SLOTS; i++) {
        size_t size;
        memset(slot, 0, sizeof slot);
        const uint8_t *fields = input_bytes(in, what & SHORT ? FIELDS : sizeof slot, &size);
        if (size > 0)
            memcpy(slot, fields, size);
        bool whole = (what & SHORT) || size == sizeof slot;
        if (whole)
            mend_slot(slot, i, what);
        bytes_append(file, slot, whole ? sizeof slot : size);
    }
}

/* ---- checks --------------------------------------------------------------------------------- */

static void check_same(const struct checkpoint *a, const struct checkpoint *b)
{
    uint8_t a_slot[CHECKPOINT_SLOT], b_slot[CHECKPOINT_SLOT];
    checkpoint_encode(a, a_slot);
    checkpoint_encode(b, b_slot);
    require(memcmp(a_slot, b_slot, sizeof a_slot) == 0, "the same checkpoint");
}

static int check_slot(const uint8_t *slot, struct checkpoint *checkpoint)
{
    uint8_t again[CHECKPOINT_SLOT];
    int rc = checkpoint_decode(slot, checkpoint);
    bool good = crc32c(0, slot, AT_CRC) == load_be_u32(slot + AT_CRC);
    require(rc == 0 || rc == (good ? FIRN_EFORMAT : FIRN_EDAMAGED), "why a slot is refused");
    require(rc != 0 || good, "the checksum is looked at");
    if (rc == 0) {
        checkpoint_encode(checkpoint, again);
        require(memcmp(slot, again, sizeof again) == 0, "a slot is written as it was read");
    }
    return rc;
}

static bool is_place(const struct place *place)
{
    return place->index >= place->segment && place->index < (uint64_t)1 << 63 &&
           place->position < (uint64_t)1 << 31;
}

/* Whether a log can have got there. */
static bool is_possible(const struct checkpoint *checkpoint)
{
    const struct place *durable = &checkpoint->durable, *end = &checkpoint->end;
    return is_place(durable) && is_place(end) && is_place(&checkpoint->intent.cut) &&
           checkpoint->first_index < (uint64_t)1 << 63 &&
           (!checkpoint->clean ||
            (end->index >= durable->index && end->segment >= durable->segment));
}

/* What loading must find, by the rules; FIRN_EDAMAGED, FIRN_EFORMAT, or 0 and the checkpoint. */
static int expect(const struct bytes *file, struct checkpoint *checkpoint, int states[SLOTS])
{
    struct checkpoint found;
    int rc = FIRN_EDAMAGED;
    for (unsigned i = 0; i < SLOTS; i++) {
        states[i] = FIRN_EDAMAGED;
        if (file->size < (i + 1) * (size_t)CHECKPOINT_SLOT)
            continue;
        states[i] = check_slot(file->data + (size_t)i * CHECKPOINT_SLOT, &found);
        if (states[i] == FIRN_EFORMAT)
            return FIRN_EFORMAT;
        if (states[i] == 0 && (found.sequence % 2 != i || !is_possible(&found)))
            states[i] = FIRN_EDAMAGED;
        if (states[i] == 0 && (rc != 0 || found.sequence > checkpoint->sequence)) {
            *checkpoint = found;
            rc = 0;
        }
    }
    return rc;
}

static void check_stored(struct firn_disk *disk, struct checkpoint checkpoint, bool both)
{
    struct firn_file *file;
    struct checkpoint found;
    struct checkpoint_slots slots;
    uint64_t sequence = checkpoint.sequence;
    checkpoint.generation++;
    require(disk_open(disk, CHECKPOINT_NAME, FIRN_OPEN_WRITE, &file, NULL) == 0, "opening it");
    require(checkpoint_store(file, &checkpoint, both, NULL) == 0, "a checkpoint is stored");
    disk_close(file);
    require(checkpoint.sequence == sequence + (both ? 2 : 1), "the sequence says how often");
    require(checkpoint_load(disk, DIR, &found, &slots, NULL) == 0, "and loaded again");
    check_same(&checkpoint, &found);
    require(slots.equal || !both, "both slots say the same");
    require(slots.state[found.sequence % 2] == 0, "the slot that counts is good");
}

static void check_created(struct firn_disk *disk, struct checkpoint checkpoint)
{
    struct checkpoint found;
    struct checkpoint_slots slots;
    require(checkpoint_create(disk, DIR, &checkpoint, NULL) == 0, "a checkpoint is created");
    require(checkpoint_load(disk, DIR, &found, &slots, NULL) == 0, "and loaded again");
    check_same(&checkpoint, &found);
    require(slots.equal && slots.state[0] == 0 && slots.state[1] == 0, "with two good slots");
}

static void check_file(struct firn_disk *disk, const struct bytes *file, bool both)
{
    struct firn_error err = {0};
    struct checkpoint wanted = {0}, found;
    struct checkpoint_slots slots;
    int states[SLOTS];
    int want = expect(file, &wanted, states);
    int rc = checkpoint_load(disk, DIR, &found, &slots, &err);
    require(rc == want, "loading finds what is there");
    require(rc == 0 || (err.code == rc && err.message[0] != '\0'), "an error is explained");
    if (rc != 0)
        return;
    check_same(&wanted, &found);
    require(slots.state[0] == states[0] && slots.state[1] == states[1], "the slots' states");
    if (found.sequence > UINT64_MAX - 8)
        return; /* no log lives as long as to wrap around */
    check_stored(disk, found, both);
    check_created(disk, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t what = input_u8(&in);
    struct bytes file = {0};
    struct firn_disk *disk = memory_disk();
    make_file(&in, what, &file);
    put_file(disk, CHECKPOINT_NAME, file.data, file.size);
    check_file(disk, &file, (what & 0x80) != 0);
    bytes_done(&file);
    firn_disk_free(disk);
    return 0;
}
