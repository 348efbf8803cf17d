/* SPDX-License-Identifier: MIT */
/*
 * The inside of the slab. Who owns which block, and why a crash never makes two owners of one:
 *
 * Every call is one change of the stack, so one record of its journal. It is decided on under the
 * stack's change lock, by what all calls before it left, durable or not, and staged there; then the
 * lock is free, and the group in which the record is becomes durable with all others in it.
 *
 * So a block may be handed out whose release is staged and not yet durable. That is safe since the
 * journal keeps the order: the record that hands it out comes behind the one that frees it, and
 * recovery goes no further than to the first that is missing. Of the two calls a crash leaves both,
 * or the first (the block is free), or none (it is still the first owner's). The second owner has
 * it only when its call returns, and then its record is durable, and so is the first. What a call
 * refuses because of what others staged, it refuses when that is durable. After a failed write the
 * stack takes no more changes.
 *
 * In memory there is which blocks are free and where the list begins; both are changed when the
 * change is staged, under the same lock, and so never differ from what is staged. The links are in
 * the blocks only, and read when a block is taken.
 */
#ifndef SLAB_SLAB_PRIVATE_H
#define SLAB_SLAB_PRIVATE_H

#include <pthread.h>

#include <firn/slab.h>

#include "slab/free_map.h"
#include "stack/stack.h"

enum { SLAB_HEADER = 24, SLAB_ARENA = FIRN_SLAB_RESERVED + SLAB_HEADER, SLAB_LINK = 8 };
enum { SLAB_AT_HEAD = FIRN_SLAB_RESERVED + 16 };

struct firn_slab {
    struct firn_stack *stack;
    uint64_t block_size;
    pthread_rwlock_t lock; /* of what follows; held to write with the stack's change lock only */
    struct free_map map;
    uint64_t end;  /* of the arena */
    uint64_t head; /* of the list; 0: none is free */
};

/* ---- the header (format.c) ---- */

struct slab_header {
    uint64_t block_size, head;
};

void slab_encode(uint64_t block_size, uint8_t bytes[SLAB_ARENA]);
/* Reads it, within a decision, and checks it against the stack's length. See firn_slab_open. */
int slab_decode(struct firn_stack *stack, uint64_t length, struct slab_header *header,
                struct firn_error *err);
/* Whether a block of the arena begins there. */
bool slab_is_block(uint64_t block_size, uint64_t end, uint64_t offset);

/* ---- the list (walk.c) ---- */

struct walk {
    uint64_t block_size, end;
    struct free_map *map; /* becomes what is free */
    bool cycle, bad_link;
    uint64_t bad_at; /* where it goes wrong */
};

/* Within a decision. FIRN_EDAMAGED, with what it is. */
int slab_walk(struct firn_stack *stack, struct walk *walk, uint64_t head, struct firn_error *err);

/* ---- slices (slice.c) ---- */

/* How many blocks hold so many bytes. */
static inline uint64_t slab_blocks(uint64_t block_size, uint64_t length)
{
    return length / block_size + (length % block_size != 0);
}

static inline uint64_t slab_block_of(const struct firn_slab *slab, uint64_t offset)
{
    return (offset - SLAB_ARENA) / slab->block_size;
}

/* With the lock, or within a decision: whether it can have been handed out and not freed. */
int slab_check_slice(const struct firn_slab *slab, struct firn_slab_slice slice,
                     struct firn_error *err);

/* ---- one change (plan.c) ---- */

enum { FEW_BLOCKS = 4, FEW_WRITES = 8 };

struct run {
    uint64_t offset, blocks;
};

/* How much of everything a plan has at most. */
struct plan_size {
    size_t taken, given;
    uint64_t blocks; /* in what is given */
    size_t others;   /* ranges that are written beside */
};

/* A change of the stack: blocks that come from the list, and go there. All zero is none. */
struct plan {
    struct firn_slab *slab;
    uint64_t head, end; /* as they become */
    uint64_t *taken;    /* offsets; not in the map any more */
    struct run *given;  /* reserved in the map */
    struct firn_stack_write *writes;
    uint8_t (*links)[SLAB_LINK];
    size_t taken_count, given_count, write_count, link_count;
    uint64_t few_taken[FEW_BLOCKS];
    struct run few_given[FEW_BLOCKS];
    struct firn_stack_write few_writes[FEW_WRITES];
    uint8_t few_links[FEW_WRITES][SLAB_LINK];
};

/* Within a decision, before all else. FIRN_ENOMEM, FIRN_ETOOBIG. */
int plan_begin(struct plan *plan, struct firn_slab *slab, const struct plan_size *size,
               struct firn_error *err);
/* The first block of the list, which is not empty; zeroed. FIRN_EDAMAGED: its link is wrong. */
int plan_take(struct plan *plan, uint64_t *offset, struct firn_error *err);
/* Blocks one after another become the list's beginning. FIRN_ENOMEM. */
int plan_give(struct plan *plan, uint64_t offset, uint64_t blocks, struct firn_error *err);
void plan_write(struct plan *plan, uint64_t offset, const void *bytes, uint64_t size);
/* At the end: the change's writes. */
void plan_finish(struct plan *plan, struct firn_stack_change *change);

/*
 * Lets `decide` plan a change, and makes it; `arg` is what it gets, and begins with the plan, all
 * zero. What follows that in `arg` is the caller's.
 */
int plan_make(struct firn_slab *slab, stack_decide *decide, struct plan *arg,
              struct firn_error *err);

#endif
