/* SPDX-License-Identifier: MIT */
/*
 * The two slots. The one with sequence n stands at n % 2, so the next write never touches the one
 * that counts: torn, it leaves the older state. A slot at the wrong place (a write gone astray) is
 * damage like any other.
 */
#include "log/checkpoint.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"

/* Where the fields stand in a slot; all big-endian. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_SEQUENCE = 12,
    AT_FLAGS = 20,
    AT_GENERATION = 24,
    AT_FIRST_INDEX = 28,
    AT_DURABLE = 36,
    AT_END = 60,
    AT_SEGMENTS = 84,
    AT_SEGMENTS_CRC = 92,
    AT_CUT = 96,
    AT_HEADER_POSITION = 120,
    AT_HAS_HEADER = 128,
    AT_HEADER = 129,
    AT_RESERVED = 190,
    AT_CRC = CHECKPOINT_SLOT - 4,
};

enum { HEADER_ONLY = 1, HEADER_AND_FILE = 2 };
enum { VERSION = 1, FLAG_CLEAN = 1, FLAG_INTENT = 2, KNOWN_FLAGS = 3 };

_Static_assert(AT_HEADER + BATCH_HEADER == AT_RESERVED, "the fields follow one another");

static const uint8_t magic[8] = {'F', 'I', 'R', 'N', 'C', 'K', 'P', '1'};

/* ---- a slot --------------------------------------------------------------------------------- */

static void put_place(uint8_t *at, const struct place *place)
{
    store_be_u64(at, place->segment);
    store_be_u64(at + 8, place->position);
    store_be_u64(at + 16, place->index);
}

static struct place get_place(const uint8_t *at)
{
    return (struct place){load_be_u64(at), load_be_u64(at + 8), load_be_u64(at + 16)};
}

static void put_intent(uint8_t *slot, const struct intent *intent)
{
    put_place(slot + AT_CUT, &intent->cut);
    if (!intent->has_header)
        return;
    store_be_u64(slot + AT_HEADER_POSITION, intent->header_position);
    slot[AT_HAS_HEADER] = intent->has_file ? HEADER_AND_FILE : HEADER_ONLY;
    memcpy(slot + AT_HEADER, intent->header, BATCH_HEADER);
}

/* What does not apply is zero, so that equal states have equal bytes. */
void checkpoint_encode(const struct checkpoint *checkpoint, uint8_t *slot)
{
    uint32_t flags = (checkpoint->clean ? FLAG_CLEAN : 0u) |
                     (checkpoint->intent.pending ? FLAG_INTENT : 0u);
    memset(slot, 0, CHECKPOINT_SLOT);
    memcpy(slot + AT_MAGIC, magic, sizeof magic);
    store_be_u32(slot + AT_VERSION, VERSION);
    store_be_u64(slot + AT_SEQUENCE, checkpoint->sequence);
    store_be_u32(slot + AT_FLAGS, flags);
    store_be_u32(slot + AT_GENERATION, checkpoint->generation);
    store_be_u64(slot + AT_FIRST_INDEX, checkpoint->first_index);
    put_place(slot + AT_DURABLE, &checkpoint->durable);
    if (checkpoint->clean) {
        put_place(slot + AT_END, &checkpoint->end);
        store_be_u64(slot + AT_SEGMENTS, checkpoint->segments);
        store_be_u32(slot + AT_SEGMENTS_CRC, checkpoint->segments_crc);
    }
    if (checkpoint->intent.pending)
        put_intent(slot, &checkpoint->intent);
    store_be_u32(slot + AT_CRC, crc32c(0, slot, AT_CRC));
}

static struct intent get_intent(const uint8_t *slot)
{
    struct intent intent = {
        .pending = true,
        .cut = get_place(slot + AT_CUT),
        .has_header = slot[AT_HAS_HEADER] != 0,
        .has_file = slot[AT_HAS_HEADER] == HEADER_AND_FILE,
        .header_position = load_be_u64(slot + AT_HEADER_POSITION),
    };
    memcpy(intent.header, slot + AT_HEADER, BATCH_HEADER);
    return intent;
}

/* Whether encoding what was read gives the slot again: nothing stands where nothing is known. */
static bool says_no_more(const struct checkpoint *checkpoint, const uint8_t *slot)
{
    uint8_t again[CHECKPOINT_SLOT];
    checkpoint_encode(checkpoint, again);
    return memcmp(again, slot, CHECKPOINT_SLOT) == 0;
}

int checkpoint_decode(const uint8_t *slot, struct checkpoint *checkpoint)
{
    if (crc32c(0, slot, AT_CRC) != load_be_u32(slot + AT_CRC))
        return FIRN_EDAMAGED;
    uint32_t flags = load_be_u32(slot + AT_FLAGS);
    struct checkpoint found = {
        .sequence = load_be_u64(slot + AT_SEQUENCE),
        .generation = load_be_u32(slot + AT_GENERATION),
        .clean = (flags & FLAG_CLEAN) != 0,
        .first_index = load_be_u64(slot + AT_FIRST_INDEX),
        .durable = get_place(slot + AT_DURABLE),
        .end = get_place(slot + AT_END),
        .segments = load_be_u64(slot + AT_SEGMENTS),
        .segments_crc = load_be_u32(slot + AT_SEGMENTS_CRC),
    };
    if ((flags & FLAG_INTENT) != 0)
        found.intent = get_intent(slot);
    if (!says_no_more(&found, slot))
        return FIRN_EFORMAT;
    *checkpoint = found;
    return 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* The same but for sequence and checksum. */
static bool slots_equal(const uint8_t *a, const uint8_t *b)
{
    enum { BEHIND_SEQUENCE = AT_SEQUENCE + 8 };
    return memcmp(a, b, AT_SEQUENCE) == 0 &&
           memcmp(a + BEHIND_SEQUENCE, b + BEHIND_SEQUENCE, AT_CRC - BEHIND_SEQUENCE) == 0;
}

/* It lies in a segment that begins no later. */
static bool is_place(const struct place *place)
{
    return place->segment <= place->index && place->index <= INT64_MAX &&
           place->position <= BATCH_MAX;
}

/* Whether any version could have written it: a clean end is not before what is durable. */
static bool is_consistent(const struct checkpoint *checkpoint)
{
    const struct place *durable = &checkpoint->durable, *end = &checkpoint->end;
    if (!is_place(durable) || !is_place(end) || checkpoint->first_index > INT64_MAX ||
        !is_place(&checkpoint->intent.cut))
        return false;
    return !checkpoint->clean || (end->index >= durable->index && end->segment >= durable->segment);
}

/* One slot, alone: a bad sector in it must not cost the other one. */
static int load_slot(struct firn_file *file, unsigned i, uint8_t *slot,
                     struct checkpoint *checkpoint, struct firn_error *err)
{
    size_t got;
    int rc = disk_read_full(file, slot, CHECKPOINT_SLOT, (uint64_t)i * CHECKPOINT_SLOT, &got, err);
    if (rc != 0)
        return rc;
    if (got < CHECKPOINT_SLOT)
        return FIRN_EDAMAGED;
    struct checkpoint found;
    rc = checkpoint_decode(slot, &found);
    if (rc == 0 && (found.sequence % 2 != i || !is_consistent(&found)))
        return FIRN_EDAMAGED;
    if (rc == 0)
        *checkpoint = found;
    return rc;
}

/* What reading the slots gave: 0, FIRN_EDAMAGED, FIRN_EFORMAT, or an error of the storage. */
struct found {
    int state[2];
    struct checkpoint checkpoint[2];
    struct firn_error err[2]; /* of the storage */
    uint8_t bytes[2][CHECKPOINT_SLOT];
};

static int choose(const struct found *found, const char *path, struct checkpoint *checkpoint,
                  struct firn_error *err)
{
    const int *states = found->state;
    if (states[0] == FIRN_EFORMAT || states[1] == FIRN_EFORMAT)
        return firn_error_set(err, FIRN_EFORMAT, 0,
                              "%s: written by a later version of firn; use that one", path);
    if (states[0] == 0 || states[1] == 0) {
        bool first = states[1] != 0 || (states[0] == 0 && found->checkpoint[0].sequence >
                                                              found->checkpoint[1].sequence);
        *checkpoint = found->checkpoint[first ? 0 : 1];
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        if (states[i] != FIRN_EDAMAGED) {
            if (err != NULL)
                *err = found->err[i];
            return states[i];
        }
    }
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: neither of its two slots is whole", path);
}

int checkpoint_load(struct firn_disk *disk, const char *dir, struct checkpoint *checkpoint,
                    struct checkpoint_slots *slots, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    int rc = disk_path_join(path, sizeof path, dir, CHECKPOINT_NAME, err);
    if (rc == 0)
        rc = disk_open(disk, path, FIRN_OPEN_READ, &file, err);
    if (rc != 0)
        return rc;
    struct found found = {0};
    for (unsigned i = 0; i < 2; i++)
        found.state[i] = load_slot(file, i, found.bytes[i], &found.checkpoint[i], &found.err[i]);
    disk_close(file);
    rc = choose(&found, path, checkpoint, err);
    if (rc != 0)
        return rc;
    for (int i = 0; i < 2; i++)
        slots->state[i] = found.state[i] == 0 ? 0 : FIRN_EDAMAGED;
    slots->equal = found.state[0] == 0 && found.state[1] == 0 &&
                   slots_equal(found.bytes[0], found.bytes[1]);
    const struct checkpoint *a = &found.checkpoint[0], *b = &found.checkpoint[1];
    slots->alike = found.state[0] == 0 && found.state[1] == 0 && a->first_index == b->first_index &&
                   a->generation == b->generation && !a->intent.pending && !b->intent.pending;
    return 0;
}

int checkpoint_create(struct firn_disk *disk, const char *dir, struct checkpoint *checkpoint,
                      struct firn_error *err)
{
    uint8_t bytes[CHECKPOINT_BYTES];
    struct checkpoint next = *checkpoint;
    for (int i = 0; i < 2; i++) {
        next.sequence++;
        checkpoint_encode(&next, bytes + next.sequence % 2 * CHECKPOINT_SLOT);
    }
    int rc = disk_replace_file(disk, dir, CHECKPOINT_NAME, bytes, sizeof bytes, err);
    if (rc == 0)
        *checkpoint = next;
    return rc;
}

static int store_one(struct firn_file *file, struct checkpoint *checkpoint, struct firn_error *err)
{
    uint8_t slot[CHECKPOINT_SLOT];
    checkpoint->sequence++;
    checkpoint_encode(checkpoint, slot);
    return disk_write_full(file, slot, sizeof slot, checkpoint->sequence % 2 * CHECKPOINT_SLOT,
                           FIRN_WRITE_DURABLE, err);
}

int checkpoint_store(struct firn_file *file, struct checkpoint *checkpoint, bool both,
                     struct firn_error *err)
{
    int rc = store_one(file, checkpoint, err);
    if (rc == 0 && both)
        rc = store_one(file, checkpoint, err);
    return rc;
}

int checkpoint_confirm(struct firn_file *file, struct checkpoint *checkpoint,
                       const struct checkpoint_slots *slots, struct firn_error *err)
{
    if (slots->alike)
        checkpoint->sequence++; /* so that the same slot is due */
    return checkpoint_store(file, checkpoint, true, err);
}
