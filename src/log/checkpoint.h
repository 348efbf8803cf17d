/* SPDX-License-Identifier: MIT */
/*
 * The checkpoint file: what a log must know before it reads its segments. Two slots that are
 * written in turn (disk/slots.h), so that a torn write leaves the older state; what must outlive a
 * later damaged sector too (first index, intents, the clean marker) is written to both.
 */
#ifndef LOG_CHECKPOINT_H
#define LOG_CHECKPOINT_H

#include <firn/disk.h>

#include "disk/slots.h"
#include "log/batch.h"

enum { CHECKPOINT_SLOT = SLOT_BYTES, CHECKPOINT_BYTES = SLOTS_BYTES };

#define CHECKPOINT_NAME "checkpoint"

/* A place in the store. */
struct place {
    uint64_t segment;  /* base index of the segment */
    uint64_t position; /* bytes from its start */
    uint64_t index;    /* of the record that begins there */
};

/* A truncation under way: everything from `cut` on goes. */
struct intent {
    bool pending;
    struct place cut;             /* position: behind what is kept */
    bool has_header;              /* the batch that holds the cut is shortened: */
    uint64_t header_position;     /* where it stands */
    uint8_t header[BATCH_HEADER]; /* its new header */
    bool has_file;                /* all of what it becomes stands in a file (cut.c) */
};

struct checkpoint {
    uint64_t sequence;
    uint32_t generation;   /* of the last life that wrote */
    bool clean;            /* closed cleanly: `end` is all there is */
    uint64_t first_index;  /* records below it are removed */
    struct place durable;  /* everything before is durable, checked and indexed */
    struct place end;      /* with `clean` */
    uint64_t segments;     /* with `clean`: how many there are */
    uint32_t segments_crc; /* with `clean`: over their bases and sizes, in order */
    struct intent intent;
};

/* What reading found in the slots: 0 valid, FIRN_EDAMAGED (also if it could not be read). */
struct checkpoint_slots {
    int state[2];
    bool equal; /* both valid, and the same but for the sequence */
    bool alike; /* both valid, and either would do: they differ in what can be found out again */
};

/* Writes one slot's 4096 bytes. */
void checkpoint_encode(const struct checkpoint *checkpoint, uint8_t *slot);

/* 0; FIRN_EDAMAGED: the checksum is wrong; FIRN_EFORMAT: it is right, and the content is more than
   this version knows (version, flags, reserved bytes). */
int checkpoint_decode(const uint8_t *slot, struct checkpoint *checkpoint);

/*
 * Reads the file. FIRN_ENOENT; FIRN_EDAMAGED if no slot is valid; FIRN_EFORMAT if a slot is of a
 * later version (the other one is not believed then). A file shorter than CHECKPOINT_BYTES counts
 * as damaged where it ends. A slot that can't be read costs no more than that slot: FIRN_EIO only
 * if none is left.
 */
int checkpoint_load(struct firn_disk *disk, const char *dir, struct checkpoint *checkpoint,
                    struct checkpoint_slots *slots, struct firn_error *err);

/* Creates the file with both slots, durably, whole or not at all; replaces one that is there.
   Raises checkpoint->sequence by 2. */
int checkpoint_create(struct firn_disk *disk, const char *dir, struct checkpoint *checkpoint,
                      struct firn_error *err);

/* Writes the slot that is due, or both, durably: slots_store. */
int checkpoint_store(struct firn_file *file, struct checkpoint *checkpoint, bool both,
                     struct firn_error *err);

/*
 * The first store after loading: both slots. What was loaded may stand in the page cache only, and
 * its slot be torn on storage, where the last write of an earlier life failed. So the slot that it
 * was read from is written first, if the other one would do: should this write fail too, that one
 * is still whole.
 */
int checkpoint_confirm(struct firn_file *file, struct checkpoint *checkpoint,
                       const struct checkpoint_slots *slots, struct firn_error *err);

#endif
