/* SPDX-License-Identifier: MIT */
#include "disk/slots.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"

enum { AT_VERSION = 8, AT_SEQUENCE = 12, AT_CRC = SLOT_BYTES - 4 };

_Static_assert(AT_SEQUENCE + 8 == SLOT_HEAD, "the body follows the sequence");
_Static_assert(SLOT_HEAD + SLOT_ROOM == AT_CRC, "the checksum follows the body");

void slot_encode(const struct slot_kind *kind, uint64_t sequence, const uint8_t *body,
                 uint8_t *slot)
{
    memcpy(slot, kind->magic, sizeof kind->magic);
    store_be_u32(slot + AT_VERSION, kind->version);
    store_be_u64(slot + AT_SEQUENCE, sequence);
    memcpy(slot + SLOT_HEAD, body, SLOT_ROOM);
    store_be_u32(slot + AT_CRC, crc32c(0, slot, AT_CRC));
}

int slot_decode(const struct slot_kind *kind, const uint8_t *slot, uint64_t *sequence)
{
    if (crc32c(0, slot, AT_CRC) != load_be_u32(slot + AT_CRC))
        return FIRN_EDAMAGED;
    if (memcmp(slot, kind->magic, sizeof kind->magic) != 0 ||
        load_be_u32(slot + AT_VERSION) != kind->version)
        return FIRN_EFORMAT;
    *sequence = load_be_u64(slot + AT_SEQUENCE);
    return 0;
}

/* What reading a slot gave: 0, FIRN_EDAMAGED, FIRN_EFORMAT, or an error of the storage. */
struct found {
    int state;
    uint64_t sequence;
    struct firn_error err; /* of the storage */
};

/* One slot, alone: a bad sector in it must not cost the other one. */
static struct found load_slot(struct firn_file *file, unsigned i, const struct slot_kind *kind,
                              uint8_t *body)
{
    uint8_t slot[SLOT_BYTES];
    struct found found = {0};
    size_t got;
    found.state = disk_read_full(file, slot, sizeof slot, (uint64_t)i * SLOT_BYTES, &got,
                                 &found.err);
    if (found.state != 0)
        return found;
    found.state = FIRN_EDAMAGED;
    if (got == sizeof slot)
        found.state = slot_decode(kind, slot, &found.sequence);
    if (found.state == 0)
        found.state = kind->check(slot + SLOT_HEAD);
    if (found.state == 0 && found.sequence % 2 != i)
        found.state = FIRN_EDAMAGED;
    if (found.state == 0)
        memcpy(body, slot + SLOT_HEAD, SLOT_ROOM);
    return found;
}

/* No slot is valid. */
static int none_valid(const struct found *found, const char *path, struct firn_error *err)
{
    for (int i = 0; i < 2; i++) {
        if (found[i].state != FIRN_EDAMAGED) {
            if (err != NULL)
                *err = found[i].err;
            return found[i].state;
        }
    }
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: neither of its two slots is whole", path);
}

int slots_load(struct firn_file *file, const char *path, const struct slot_kind *kind,
               struct slots *slots, struct firn_error *err)
{
    struct slots all = {0};
    struct found found[2];
    for (unsigned i = 0; i < 2; i++)
        found[i] = load_slot(file, i, kind, all.body[i]);
    if (found[0].state == FIRN_EFORMAT || found[1].state == FIRN_EFORMAT)
        return firn_error_set(err, FIRN_EFORMAT, 0,
                              "%s: written by a later version of firn; use that one", path);
    bool first = found[0].state == 0, second = found[1].state == 0;
    if (!first && !second)
        return none_valid(found, path, err);
    for (int i = 0; i < 2; i++)
        all.state[i] = found[i].state == 0 ? 0 : FIRN_EDAMAGED;
    bool first_counts = first && (!second || found[0].sequence > found[1].sequence);
    all.sequence = found[first_counts ? 0 : 1].sequence;
    all.equal = first && second && memcmp(all.body[0], all.body[1], SLOT_ROOM) == 0;
    *slots = all;
    return 0;
}

static int store_one(struct firn_file *file, const struct slot_kind *kind, uint64_t *sequence,
                     const uint8_t *body, struct firn_error *err)
{
    uint8_t slot[SLOT_BYTES];
    uint64_t next = *sequence + 1;
    slot_encode(kind, next, body, slot);
    int rc = disk_write_full(file, slot, sizeof slot, next % 2 * SLOT_BYTES, FIRN_WRITE_DURABLE,
                             err);
    if (rc == 0)
        *sequence = next;
    return rc;
}

int slots_store(struct firn_file *file, const struct slot_kind *kind, uint64_t *sequence,
                const uint8_t *body, bool both, struct firn_error *err)
{
    int rc = store_one(file, kind, sequence, body, err);
    if (rc == 0 && both)
        rc = store_one(file, kind, sequence, body, err);
    return rc;
}
