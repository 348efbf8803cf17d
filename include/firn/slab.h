/* SPDX-License-Identifier: MIT */
/**
 * The slab: blocks of equal size inside a stack, handed out and taken back, durably.
 *
 * A slab fills a stack from its first byte on: 24 bytes that are the program's, a header, and the
 * arena, which consists of blocks. A slice of it has as many blocks as its length takes, one after
 * another; there is no header per block. Blocks that nobody has are linked in a list, by their own
 * first bytes. The format is that of ALSL 0.1 in bstack 0.1; a stack that is closed can be
 * exchanged with other implementations.
 *
 * Every call that changes the slab is one atomic change of the stack, durable when it returns:
 * after a crash it has happened or not. No block is ever lost, or handed out to two. Calls of
 * several threads at the same time share a sync. What a call costs does not depend on how many
 * blocks there are, only on how many it is about.
 *
 * A block that is freed again, slices that no slab can have handed out, and slices with blocks that
 * are free are refused. What cannot be told: a wrong length, where all blocks are somebody's.
 *
 * The stack stays the program's: it is opened before the slab and closed after it. It must have a
 * journal, or be open for reading only (then so is the slab). While a slab is open in it, nobody
 * else can change its length (FIRN_EBUSY). The functions of the stack may read everything, and
 * write into slices: several of them at once, atomically, by firn_stack_apply.
 *
 * Threads. Every call but close may be made from any thread at any time. As with memory, who frees
 * a slice must see to it that nobody uses it any more.
 *
 * Errors that every change has, beside those named with it: those of the stack's changes. Every
 * read has those of the stack's reads.
 */
#ifndef FIRN_SLAB_H
#define FIRN_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>
#include <firn/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_slab;

enum { FIRN_SLAB_RESERVED = 24, FIRN_SLAB_STORED = 16, FIRN_SLAB_BLOCK_LEAST = 8 };

/**
 * Bytes of a slab. A value, to be copied and stored: it is the same slice after the slab was closed
 * and opened again. Of length 0: none; its offset is 0.
 */
struct firn_slab_slice {
    uint64_t offset; /**< in the stack */
    uint64_t length;
};

/* ---- open and close --------------------------------------------------------------------- */

/**
 * Makes a slab of blocks of `block_size` bytes of an empty stack, and opens it. The stack stays the
 * caller's, and must be open until the slab is closed.
 *
 * Errors: FIRN_EINVAL (block_size is below 8, or too large), FIRN_EEXIST (the stack is not empty),
 * FIRN_EBUSY (a slab is open in it), FIRN_ENOTSUP (it has no journal).
 */
FIRN_API int firn_slab_create(struct firn_stack *stack, uint64_t block_size,
                              struct firn_slab **slab, struct firn_error *err);

/**
 * Opens the slab in a stack; walks the list of free blocks once. The stack stays the caller's.
 *
 * Errors: FIRN_ENOENT (the stack is empty), FIRN_EFORMAT (it is too short for a slab, or holds
 * something else, or another version), FIRN_EDAMAGED (the header or the list of free blocks cannot
 * be right: firn_slab_check says more), FIRN_EBUSY (a slab is open in it), FIRN_ENOTSUP (it has no
 * journal, and is not open for reading only).
 */
FIRN_API int firn_slab_open(struct firn_stack *stack, struct firn_slab **slab,
                            struct firn_error *err);

/** Releases the handle; everything is durable before. No call may be under way. NULL is fine. */
FIRN_API void firn_slab_close(struct firn_slab *slab);

/* ---- allocate and free ------------------------------------------------------------------ */

/**
 * Hands out `length` bytes, zeroed. Up to a block: the block that was freed last, or, where none is
 * free, a new one at the end. More than a block: new ones at the end. None: a slice of length 0.
 * FIRN_ETOOBIG: more than a stack can have.
 */
FIRN_API int firn_slab_alloc(struct firn_slab *slab, uint64_t length, struct firn_slab_slice *slice,
                             struct firn_error *err);

/** The same for `count` slices in one step: after a crash all of them are there, or none. */
FIRN_API int firn_slab_alloc_many(struct firn_slab *slab, const uint64_t *lengths, size_t count,
                                  struct firn_slab_slice *slices, struct firn_error *err);

/**
 * Takes a slice back. One of more than a block that is the last of the stack is cut off; the blocks
 * of any other join the list of free ones. Nothing happens with a slice of length 0.
 *
 * Errors: FIRN_EINVAL (it does not begin where a block does), FIRN_ERANGE (it is not within the
 * arena), FIRN_ENOENT (a block of it is free, so perhaps it was freed before), FIRN_ETOOBIG (it has
 * more blocks than journal_bytes allows to link at once).
 */
FIRN_API int firn_slab_dealloc(struct firn_slab *slab, struct firn_slab_slice slice,
                               struct firn_error *err);

/**
 * The same for `count` slices in one step; where one is refused, so are all. Those of more than a
 * block that are the last of the stack, one behind another, are cut off; the blocks of the others
 * join the list in the order of the slices. FIRN_EINVAL also: two of them overlap.
 */
FIRN_API int firn_slab_dealloc_many(struct firn_slab *slab, const struct firn_slab_slice *slices,
                                    size_t count, struct firn_error *err);

/**
 * Makes a slice longer or shorter, in one step; `*result` (may be `slice` itself) is what it is
 * then. Bytes that it gains are zero. It stays where it is where that takes as many blocks as
 * before, or fewer, or it is the last of the stack; else it moves to the end, and its blocks become
 * free. From length 0 it is an allocation, to length 0 it is freed. After an error it is as it was.
 *
 * Errors: those of firn_slab_alloc and firn_slab_dealloc; FIRN_ETOOBIG also: it has to move, and
 * has more bytes than one change can carry.
 */
FIRN_API int firn_slab_realloc(struct firn_slab *slab, struct firn_slab_slice slice,
                               uint64_t length, struct firn_slab_slice *result,
                               struct firn_error *err);

/* ---- use -------------------------------------------------------------------------------- */

/**
 * Reads `size` bytes of a slice, from its byte `from` on; they are of one moment. FIRN_ERANGE: they
 * reach beyond the slice, or that beyond the arena; FIRN_ENOENT: a block of them is free.
 */
FIRN_API int firn_slab_read(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                            void *buffer, size_t size, struct firn_error *err);

/** Overwrites `size` bytes of a slice, all or, after a crash, none. Errors as for reading. */
FIRN_API int firn_slab_write(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                             const void *bytes, size_t size, struct firn_error *err);

/** Makes `bytes` bytes of a slice zero. Errors as for reading. */
FIRN_API int firn_slab_zero(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                            uint64_t bytes, struct firn_error *err);

/**
 * The `length` bytes of a slice from its byte `from` on, as a slice of their own: to read and
 * write, not to free. FIRN_ERANGE: they reach beyond it.
 */
FIRN_API int firn_slab_part(struct firn_slab_slice slice, uint64_t from, uint64_t length,
                            struct firn_slab_slice *part, struct firn_error *err);

/** Writes a slice as 16 bytes, which can be kept anywhere. */
FIRN_API void firn_slab_store(struct firn_slab_slice slice, void *bytes);

/**
 * Reads a slice from the 16 bytes that firn_slab_store wrote. FIRN_ERANGE (it is not within the
 * arena), FIRN_ENOENT (a block of it is free).
 */
FIRN_API int firn_slab_load(struct firn_slab *slab, const void *bytes,
                            struct firn_slab_slice *slice, struct firn_error *err);

/** Reads the 24 bytes that are the program's: of a new slab they are zero. */
FIRN_API int firn_slab_get_reserved(struct firn_slab *slab, void *bytes, struct firn_error *err);

/** Writes all of them. */
FIRN_API int firn_slab_set_reserved(struct firn_slab *slab, const void *bytes,
                                    struct firn_error *err);

/* ---- figures, and looking for damage ---------------------------------------------------- */

struct firn_slab_info {
    uint64_t block_size;  /**< bytes */
    uint64_t blocks;      /**< all there are */
    uint64_t free_blocks; /**< of them nobody has */
};

/** The figures, with what is on its way. Never fails. */
FIRN_API void firn_slab_get_info(struct firn_slab *slab, struct firn_slab_info *info);

/** What firn_slab_check found. */
struct firn_slab_findings {
    uint64_t block_size;    /**< bytes; 0: the header cannot be read, and the rest is 0 */
    uint64_t blocks;        /**< all there are */
    uint64_t free_blocks;   /**< in the list, as far as it can be followed */
    bool cycle;             /**< the list comes back to a block that it had before */
    bool bad_link;          /**< a link, or the list's beginning, leads to where no block is */
    uint64_t bad_at;        /**< where that stands, in the stack */
    uint64_t live_blocks;   /**< that slices of `live` have */
    uint64_t bad_slices;    /**< of `live`, that cannot be: see firn_slab_check */
    size_t first_bad;       /**< the first of them */
    uint64_t leaked_blocks; /**< that are neither free nor have a slice in `live` */
};

/** What a check calls for each run of blocks that are leaked; firn_slab_dealloc takes them back. */
typedef void firn_slab_leaked_fn(void *arg, struct firn_slab_slice leaked);

/** What the program knows, for a check. */
struct firn_slab_live {
    const struct firn_slab_slice *slices; /**< all that it has */
    size_t count;
    firn_slab_leaked_fn *leaked; /**< or NULL */
    void *arg;
};

/**
 * Looks at the slab in a stack, whether it is open or not; the slab's changes wait meanwhile. With
 * `live` (may be NULL) it also tells which slices of that cannot be (not within the arena, not
 * where a block begins, with blocks that are free, or that another one has), and which blocks are
 * leaked: a program loses them that ends before it keeps what it was handed.
 *
 * FIRN_EDAMAGED: the header, the list or a slice of `live` is wrong; `check` is filled, and the
 * first finding in `err`. Blocks that are leaked are no damage. FIRN_ENOENT, FIRN_EFORMAT: there is
 * no slab. FIRN_ENOMEM, and the errors of reading.
 */
FIRN_API int firn_slab_check(struct firn_stack *stack, const struct firn_slab_live *live,
                             struct firn_slab_findings *check, struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
