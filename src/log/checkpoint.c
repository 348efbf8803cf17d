/* SPDX-License-Identifier: MIT */
/* What a checkpoint's slots hold, and which one is written first. */
#include "log/checkpoint.h"

#include <string.h>

#include "base/bytes.h"
#include "disk/disk.h"

/* Where the fields stand in a slot's body; all big-endian. */
enum {
    AT_FLAGS = 0,
    AT_GENERATION = 4,
    AT_FIRST_INDEX = 8,
    AT_DURABLE = 16,
    AT_END = 40,
    AT_SEGMENTS = 64,
    AT_SEGMENTS_CRC = 72,
    AT_CUT = 76,
    AT_HEADER_POSITION = 100,
    AT_HAS_HEADER = 108,
    AT_HEADER = 109,
    AT_RESERVED = 170,
};

enum { HEADER_ONLY = 1, HEADER_AND_FILE = 2 };
enum { FLAG_CLEAN = 1, FLAG_INTENT = 2 };

_Static_assert(AT_HEADER + BATCH_HEADER == AT_RESERVED, "the fields follow one another");

/* ---- a body --------------------------------------------------------------------------------- */

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

static void put_intent(uint8_t *body, const struct intent *intent)
{
    put_place(body + AT_CUT, &intent->cut);
    if (!intent->has_header)
        return;
    store_be_u64(body + AT_HEADER_POSITION, intent->header_position);
    body[AT_HAS_HEADER] = intent->has_file ? HEADER_AND_FILE : HEADER_ONLY;
    memcpy(body + AT_HEADER, intent->header, BATCH_HEADER);
}

/* What does not apply is zero, so that equal states have equal bytes. */
static void put_body(const struct checkpoint *checkpoint, uint8_t *body)
{
    uint32_t flags = (checkpoint->clean ? FLAG_CLEAN : 0u) |
                     (checkpoint->intent.pending ? FLAG_INTENT : 0u);
    memset(body, 0, SLOT_ROOM);
    store_be_u32(body + AT_FLAGS, flags);
    store_be_u32(body + AT_GENERATION, checkpoint->generation);
    store_be_u64(body + AT_FIRST_INDEX, checkpoint->first_index);
    put_place(body + AT_DURABLE, &checkpoint->durable);
    if (checkpoint->clean) {
        put_place(body + AT_END, &checkpoint->end);
        store_be_u64(body + AT_SEGMENTS, checkpoint->segments);
        store_be_u32(body + AT_SEGMENTS_CRC, checkpoint->segments_crc);
    }
    if (checkpoint->intent.pending)
        put_intent(body, &checkpoint->intent);
}

static struct intent get_intent(const uint8_t *body)
{
    struct intent intent = {
        .pending = true,
        .cut = get_place(body + AT_CUT),
        .has_header = body[AT_HAS_HEADER] != 0,
        .has_file = body[AT_HAS_HEADER] == HEADER_AND_FILE,
        .header_position = load_be_u64(body + AT_HEADER_POSITION),
    };
    memcpy(intent.header, body + AT_HEADER, BATCH_HEADER);
    return intent;
}

/* FIRN_EFORMAT unless encoding what was read gives the body again: nothing stands where nothing is
   known. */
static int get_body(const uint8_t *body, uint64_t sequence, struct checkpoint *checkpoint)
{
    uint32_t flags = load_be_u32(body + AT_FLAGS);
    struct checkpoint found = {
        .sequence = sequence,
        .generation = load_be_u32(body + AT_GENERATION),
        .clean = (flags & FLAG_CLEAN) != 0,
        .first_index = load_be_u64(body + AT_FIRST_INDEX),
        .durable = get_place(body + AT_DURABLE),
        .end = get_place(body + AT_END),
        .segments = load_be_u64(body + AT_SEGMENTS),
        .segments_crc = load_be_u32(body + AT_SEGMENTS_CRC),
    };
    uint8_t again[SLOT_ROOM];
    if ((flags & FLAG_INTENT) != 0)
        found.intent = get_intent(body);
    put_body(&found, again);
    if (memcmp(again, body, SLOT_ROOM) != 0)
        return FIRN_EFORMAT;
    *checkpoint = found;
    return 0;
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

static int check_body(const uint8_t *body)
{
    struct checkpoint checkpoint;
    int rc = get_body(body, 0, &checkpoint);
    return rc == 0 && !is_consistent(&checkpoint) ? FIRN_EDAMAGED : rc;
}

static const struct slot_kind kind = {
    .magic = {'F', 'I', 'R', 'N', 'C', 'K', 'P', '1'},
    .version = 1,
    .check = check_body,
};

void checkpoint_encode(const struct checkpoint *checkpoint, uint8_t *slot)
{
    uint8_t body[SLOT_ROOM];
    put_body(checkpoint, body);
    slot_encode(&kind, checkpoint->sequence, body, slot);
}

int checkpoint_decode(const uint8_t *slot, struct checkpoint *checkpoint)
{
    uint64_t sequence;
    int rc = slot_decode(&kind, slot, &sequence);
    return rc == 0 ? get_body(slot + SLOT_HEAD, sequence, checkpoint) : rc;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* Whether either would do. */
static bool are_alike(const struct slots *slots)
{
    struct checkpoint a, b;
    if (slots->state[0] != 0 || slots->state[1] != 0 || get_body(slots->body[0], 0, &a) != 0 ||
        get_body(slots->body[1], 0, &b) != 0)
        return false;
    return a.first_index == b.first_index && a.generation == b.generation && !a.intent.pending &&
           !b.intent.pending;
}

int checkpoint_load(struct firn_disk *disk, const char *dir, struct checkpoint *checkpoint,
                    struct checkpoint_slots *slots, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    struct slots found;
    int rc = disk_path_join(path, sizeof path, dir, CHECKPOINT_NAME, err);
    if (rc == 0)
        rc = disk_open(disk, path, FIRN_OPEN_READ, &file, err);
    if (rc != 0)
        return rc;
    rc = slots_load(file, path, &kind, &found, err);
    disk_close(file);
    if (rc != 0)
        return rc;
    *slots = (struct checkpoint_slots){
        .state = {found.state[0], found.state[1]},
        .equal = found.equal,
        .alike = are_alike(&found),
    };
    return get_body(found.body[found.sequence % 2], found.sequence, checkpoint);
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

int checkpoint_store(struct firn_file *file, struct checkpoint *checkpoint, bool both,
                     struct firn_error *err)
{
    uint8_t body[SLOT_ROOM];
    put_body(checkpoint, body);
    return slots_store(file, &kind, &checkpoint->sequence, body, both, err);
}

int checkpoint_confirm(struct firn_file *file, struct checkpoint *checkpoint,
                       const struct checkpoint_slots *slots, struct firn_error *err)
{
    if (slots->alike)
        checkpoint->sequence++; /* so that the same slot is due */
    return checkpoint_store(file, checkpoint, true, err);
}
