/* SPDX-License-Identifier: MIT */
/*
 * Two slots at the start of a file, for a small state that is replaced as a whole. Each has 4 KiB
 * (all numbers big-endian):
 *
 *     magic[8] | version u32 | sequence u64 | body | CRC-32C u32 of all before
 *
 * The one with sequence n stands at n % 2, so the next write never touches the one that counts:
 * torn, it leaves the older state. A slot at the wrong place (a write gone astray) is damage like
 * any other. What must outlive a later damaged sector too is written to both.
 *
 * Not for several threads at a time on one file.
 */
#ifndef DISK_SLOTS_H
#define DISK_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include <firn/disk.h>

enum {
    SLOT_BYTES = 4096,
    SLOTS_BYTES = 2 * SLOT_BYTES,
    SLOT_HEAD = 20, /* bytes before the body */
    SLOT_ROOM = SLOT_BYTES - SLOT_HEAD - 4,
};

struct slot_kind {
    uint8_t magic[8];
    uint32_t version;
    /*
     * Whether a body is one that this version writes: 0; FIRN_EDAMAGED: it contradicts itself;
     * FIRN_EFORMAT: more than this version knows.
     */
    int (*check)(const uint8_t *body);
};

/* What reading found. */
struct slots {
    uint64_t sequence;          /* of the slot that counts: slots->body[sequence % 2] */
    int state[2];               /* 0 valid, FIRN_EDAMAGED (also if it could not be read) */
    bool equal;                 /* both valid, and the same but for the sequence */
    uint8_t body[2][SLOT_ROOM]; /* zeros where it is not valid */
};

/* Makes one slot's SLOT_BYTES of a body of SLOT_ROOM, which lies elsewhere. */
void slot_encode(const struct slot_kind *kind, uint64_t sequence, const uint8_t *body,
                 uint8_t *slot);

/*
 * A slot but for its body, which is at slot + SLOT_HEAD: 0 and *sequence; FIRN_EDAMAGED: the
 * checksum is wrong; FIRN_EFORMAT: it is right, and magic or version is not ours.
 */
int slot_decode(const struct slot_kind *kind, const uint8_t *slot, uint64_t *sequence);

/*
 * Reads both slots; of two valid ones the one with the higher sequence counts. FIRN_EDAMAGED if
 * none is valid; FIRN_EFORMAT if one is of a later version (the other one is not believed then). A
 * file shorter than SLOTS_BYTES counts as damaged where it ends. A slot that can't be read costs no
 * more than that slot: FIRN_EIO only if none is left. `path` is for messages.
 */
int slots_load(struct firn_file *file, const char *path, const struct slot_kind *kind,
               struct slots *slots, struct firn_error *err);

/*
 * Writes the slot that is due, with sequence *sequence + 1, durably; `both`: then the other one
 * too. Raises *sequence with each slot that is written. After a failure the file's content is
 * unknown: whoever uses it poisons.
 */
int slots_store(struct firn_file *file, const struct slot_kind *kind, uint64_t *sequence,
                const uint8_t *body, bool both, struct firn_error *err);

#endif
