/* SPDX-License-Identifier: MIT */
/*
 * A part of a stream: one run of blocks, and all of its bytes in memory, where what the blocks say
 * of themselves lies together, and so do their data sections, so that readers see one flat range.
 *
 * Offsets count bytes of the data, from 0 to `capacity`. In order: what spilled over from an append
 * that began in the part before (`spilled` bytes); the part's own appends, as far as they end in
 * this one (up to `ended`); and the beginning of one that goes on in the next part, to the end of
 * the capacity. (`used` is `ended`, or `capacity` with such a beginning.)
 *
 * One thread at a time appends and syncs; the stream sees to that. `state` is what has been synced,
 * `next` what will be when the next sync succeeds. What lies below state.used in `data` does not
 * change any more, so readers need nothing of what stands here but memory, and a place from the
 * stream. The blocks' metas are guarded by `meta_lock`, for verify.
 *
 * How a sync can be torn, and what of it is kept:
 * - A block that is not full is written again, from its start, with every sync that adds to it. Its
 *   old bytes do not change, so only its meta can mislead. A disk writes a sector of 512 bytes
 *   wholly or not at all, so the meta and the note beside it are of one sync.
 * - The first block of each sync carries a note with what it said before (NOTE_WAS). If its new
 *   state does not check, or a later block of the sync does not, the former holds, and all that
 *   follows is empty. One sync is one append, so nothing else is lost.
 * - Before the first sync of its life a part is marked open, durably (NOTE_OPEN in block 0). So a
 *   part without the mark was closed, or never written to: whatever does not check is damage then.
 *   With it, a part may end in a sync that was not finished, if its first block is the last one
 *   with a note, and nothing behind tells of another append. All else is damage, and so is what
 *   does not check before that block: a later sync began behind it.
 * - A sync that begins right behind the block where the last one began clears the note there;
 *   others stay until the part is closed, which first clears all notes, then the mark. A note that
 *   is left where it should not be tells of a sync that is whole, and does no harm.
 * - What recovery cuts it also zeroes, and says so before (NOTE_CUT): else what is left of it,
 * where zeroing failed and only the page cache knows of it, could be taken for a later append's.
 * recover.c says why this is enough.
 */
#ifndef STREAM_PART_H
#define STREAM_PART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/stream.h>

#include "base/lock.h"
#include "blocks/blocks.h"
#include "stream/format.h"

struct part_state {
    uint64_t spilled;
    uint64_t ended;
    uint64_t used;
};

struct part {
    struct firn_block *block; /* owned; NULL once its storage was released */
    uint64_t count;           /* blocks */
    unsigned shift;
    uint32_t payload;  /* bytes of data in a block */
    uint64_t capacity; /* bytes of data in all of them */
    uint8_t *metas;    /* META_BYTES each */
    uint8_t *data;
    struct lock meta_lock;

    struct part_state state;
    struct part_state next;
    bool pending;                    /* there is something to sync */
    uint64_t pending_size;           /* bytes of that append, also those that do not fit */
    uint64_t touched;                /* blocks below may have been stored to; by meta_lock */
    bool open;                       /* the mark is on stable storage */
    bool unclean;                    /* it was found open when it was loaded */
    bool settled;                    /* nothing is left to be written by part_settle */
    uint64_t cut;                    /* bytes that loading cut */
    uint64_t settle_from, settle_to; /* blocks that part_settle stores, when not settled */

    /* The stream's; see stream_private.h. */
    struct firn_stream *stream;
    atomic_uint references;
    _Atomic uint64_t base;     /* position of the first own byte; UINT64_MAX: not known yet */
    _Atomic uint64_t own;      /* own bytes: up to `ended`, also while a sync is under way */
    _Atomic uint64_t used;     /* as state.used, for figures; */
    _Atomic uint64_t spilled;  /* as state.spilled */
    struct span *_Atomic span; /* the append that is shared with the next part; NULL: none */
};

/* Of `block`, which it owns from then on if it succeeds; empty, until it is loaded. The memory of
 * `data` is zero, and not touched. One reference, no base. FIRN_ERANGE (shift), FIRN_ENOMEM. */
int part_new(struct firn_block *block, struct part **part, struct firn_error *err);
/* Closes the block, and frees all, the span too. NULL is fine. */
void part_free(struct part *part);

/* ---- load.c, recover.c ---- */

struct part_look {
    bool verify; /* every block */
    /* Gets each finding; may be NULL. */
    void (*finding)(void *arg, uint64_t block, enum firn_stream_fault fault);
    void *arg;
};

/*
 * Reads what is there, and decides where it ends; writes nothing. A part that was closed is read up
 * to its end only, which is looked for by halves. Memory behind the end is zero.
 * FIRN_EDAMAGED, and what the block returns.
 */
int part_load(struct part *part, const struct part_look *look, struct firn_error *err);

/* Takes back all that a loaded part holds, in memory: for a part that begins with the rest of an
 * append whose beginning was cut. */
void part_cut_all(struct part *part);

/* Makes durable what loading kept, and zeroes on the blocks what it cut; the part stays marked
 * open. Does nothing for one that was closed. Of several parts the first comes first: what is taken
 * back with part_cut_all must not be gone before the part before it is known to be without it. */
int part_settle(struct part *part, struct firn_error *err);

/* ---- part.c, sync.c ---- */

/*
 * Appends as much of `bytes` as fits, in memory: `next` says how much. `spilled`: it is the rest of
 * an append that begins in the part before; only as the first one. Nothing is pending. */
void part_append(struct part *part, const void *bytes, size_t size, bool spilled);
/* Takes it back. It was not synced. */
void part_undo(struct part *part);
/* Marks an empty or closed part as open, durably. Does nothing where it is. */
int part_mark(struct part *part, struct firn_error *err);
/* Stores what is pending, and marks it open before, if need be. After FIRN_ENOSPC and FIRN_ENOMEM
 * nothing of it was written. Does nothing where nothing is pending. */
int part_sync(struct part *part, struct firn_error *err);
/* Clears notes and mark, durably. Nothing is pending. Does nothing where it is not open. */
int part_close(struct part *part, struct firn_error *err);

/* ---- verify.c ---- */

/* Checks what is in memory, as far as it is synced, and that the blocks behind are empty on
 * storage. Another thread may append. FIRN_EDAMAGED: there were findings. */
int part_verify(struct part *part, const struct part_look *look, struct firn_error *err);

/* ---- range.c: where appends end ---- */

/*
 * The bytes of the appends that end in `block`, as offsets: from the beginning of the first of
 * them, wherever that is, to the end of the last. False: none ends there; `*block` is the next one
 * where one does, or `count`. What spilled over is not among them.
 */
bool part_range(const struct part *part, uint64_t *block, uint64_t *from, uint64_t *to);
/* The first block with an own append in it (where it begins), and the last in which one ends.
 * False: there is none. */
bool part_block_range(const struct part *part, uint64_t *first, uint64_t *last);

#endif
