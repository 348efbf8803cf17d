/* SPDX-License-Identifier: MIT */
/**
 * Blocks: units of storage of one fixed size, that are read into memory once and written by one.
 *
 * A `struct firn_block` is a run of `count` blocks of `1 << shift` bytes each, numbered from 0 on.
 * An allocator gives such runs, takes them back, and after a restart gives again those that are
 * there. Both are tables of functions. firn brings files, sequences of files, memory, and blocks
 * that keep nothing; a program can bring its own: embed the struct as the first member of its own
 * type, and fill the table.
 *
 * What every implementation promises, and what users rely on:
 * - Functions return 0 or a negative FIRN_E..., and fill `err` where it is not NULL.
 * - Blocks that were never stored read as zero.
 * - A store that returns 0 is on stable storage. One that fails, or that a crash interrupts, may
 *   have changed any part of its range, and nothing else.
 * - After a failed write or sync nobody knows what is there: every call returns FIRN_EPOISONED with
 *   the first cause until the run is closed and opened again.
 * - What is loaded after opening need not be on stable storage, if a store failed in another life:
 *   it may be in the system's memory only. Who builds on it stores it again first.
 * - Any function may be called from any thread, several at once; stores to one run go one after
 *   another. Where loads and stores of the same blocks meet, what is read is undefined.
 */
#ifndef FIRN_BLOCKS_H
#define FIRN_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <firn/disk.h>
#include <firn/env.h>
#include <firn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_block;
struct firn_block_allocator;

/* ---- the tables ------------------------------------------------------------------------- */

/** Functions of a run of blocks. */
struct firn_block_ops {
    size_t size; /**< sizeof(struct firn_block_ops) when compiled */

    /** Releases the handle, whatever happens; what is stored stays. No call is under way. */
    void (*close)(struct firn_block *block);
    /**
     * Reads into `iov[0..count)`, one after another, from block `first` on. All of it or an error.
     * FIRN_EINVAL (count below 0), FIRN_ERANGE (beyond the last block), FIRN_EDAMAGED (the file is
     * shorter than it was), FIRN_EIO, FIRN_EPOISONED.
     */
    int (*load)(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                struct firn_error *err);
    /**
     * Writes `iov[0..count)` from block `first` on; on stable storage when it returns 0. The
     * buffers come in pairs, such as what is known about a block and what it holds: each pair is
     * one block, only the last one may be shorter (the rest of its block keeps its content).
     * FIRN_EINVAL (not so), FIRN_ERANGE (beyond the last block), FIRN_EREADONLY, FIRN_ENOSPC (no
     * space could be set aside; nothing was written, and it works again when there is room),
     * FIRN_EPOISONED (a write or sync failed, now or before: `err` names the first cause).
     */
    int (*store)(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                 struct firn_error *err);
    /**
     * Makes stores to blocks [first, first + number) cheaper, as far as it can; takes as long as to
     * write them. Those blocks and all behind them must hold zeros: what does not is left alone,
     * and ends the preparing. May be NULL, and may do nothing. FIRN_ERANGE, FIRN_EREADONLY,
     * FIRN_ENOSPC, FIRN_EIO (poisons nothing), FIRN_EPOISONED.
     */
    int (*prepare)(struct firn_block *block, uint64_t first, uint64_t number,
                   struct firn_error *err);
};

/** A run of blocks; the first member of an implementation's own type. It does not change. */
struct firn_block {
    const struct firn_block_ops *ops;
    uint64_t count; /**< blocks; above 0 */
    unsigned shift; /**< a block has 1 << shift bytes */
};

/** Gets a handle, which is the callee's from then on (to be closed or released); a non-zero result
 * ends the retrieving and is returned. Must not call the allocator. */
typedef int firn_block_retrieve_fn(void *arg, struct firn_block *block);

/** Functions of an allocator. */
struct firn_block_allocator_ops {
    size_t size; /**< sizeof(struct firn_block_allocator_ops) when compiled */

    /**
     * Makes a new run of blocks, all zero, behind all others. On return it is there after a crash.
     * The caller closes or releases it. FIRN_ETOOBIG (there are as many as there may be),
     * FIRN_ENOSPC, FIRN_ENOMEM, FIRN_EMFILE, FIRN_EREADONLY, FIRN_EIO, FIRN_EPOISONED.
     */
    int (*allocate)(struct firn_block_allocator *allocator, struct firn_block **block,
                    struct firn_error *err);
    /**
     * Removes a run for good, and its handle. Only what this allocator gave, and only the first
     * that is left. After an error the handle is as before, the caller's. FIRN_EINVAL (not of this
     * allocator), FIRN_EMISMATCH (not the first), FIRN_ERANGE (released already, by another
     * handle), FIRN_ENOENT, FIRN_EREADONLY, FIRN_EIO, FIRN_EPOISONED.
     */
    int (*release)(struct firn_block_allocator *allocator, struct firn_block *block,
                   struct firn_error *err);
    /**
     * Gives a new handle of each run that there is, in the order in which they were allocated. With
     * several handles of one run only one may be used to store. After an error the handles that
     * `each` got are its own nevertheless. FIRN_EFORMAT (a file's name can't be understood),
     * FIRN_ERANGE (a file that should not be there), FIRN_EDAMAGED (one is missing, is there twice,
     * or has an impossible size), FIRN_ENOMEM, FIRN_EMFILE, FIRN_EIO, FIRN_EPOISONED.
     */
    int (*retrieve)(struct firn_block_allocator *allocator, firn_block_retrieve_fn *each, void *arg,
                    struct firn_error *err);
    /**
     * Releases the allocator; what is allocated stays where it is (memory goes with its allocator).
     * FIRN_EBUSY, and nothing is released, where a handle that it gave is open. FIRN_EIO: released,
     * but the lock may still be there.
     */
    int (*close)(struct firn_block_allocator *allocator, struct firn_error *err);
};

/** An allocator; the first member of an implementation's own type. */
struct firn_block_allocator {
    const struct firn_block_allocator_ops *ops;
};

/** Releases a run's handle, as its table says. NULL is fine. */
FIRN_API void firn_block_close(struct firn_block *block);

/** Releases an allocator, as its table says. NULL is fine. */
FIRN_API int firn_block_allocator_close(struct firn_block_allocator *allocator,
                                        struct firn_error *err);

/* ---- files ------------------------------------------------------------------------------ */

/** Least and most for the shift of blocks in files: 4 KiB to 256 MiB a block. */
#define FIRN_BLOCK_FILE_SHIFT_MIN 12
#define FIRN_BLOCK_FILE_SHIFT_MAX 28

/** All zero is the sensible default. */
struct firn_block_options {
    struct firn_disk *disk; /**< where files live; NULL: firn_disk_posix(). Outlives the handle */
    struct firn_env *env;   /**< its background thread writes zeros ahead of small stores, which
                                 makes them cheaper; NULL: nobody does (but see prepare). Outlives
                                 the handle */
    bool read_only;         /**< changes nothing */
    bool break_dead_lock;   /**< of a sequence: a lock whose process is gone is broken (read_only:
                                 not minded). The process ids must be this machine's: not where
                                 others, or other containers, use the directory */
};

/**
 * Creates the file `path` with `count` blocks, all zero. Its space is set aside, so it cannot run
 * out of it later. On return it is on stable storage, name and size; an error leaves no file. A
 * crash in between may leave it shorter.
 *
 * FIRN_EINVAL (`shift` is not 12 to 28; `count` is 0; more than 2^63 - 1 bytes), FIRN_EEXIST,
 * FIRN_ENOENT, FIRN_EACCES, FIRN_ENOSPC, FIRN_ETOOBIG (more than a file may have), FIRN_ENOMEM,
 * FIRN_EMFILE, FIRN_EREADONLY, FIRN_EIO.
 */
FIRN_API int firn_block_file_create(const char *path, uint64_t count, unsigned shift,
                                    const struct firn_block_options *options,
                                    struct firn_block **block, struct firn_error *err);

/**
 * Opens the file `path` as blocks of `1 << shift` bytes; its size says how many. Name and size are
 * on stable storage on return. Nothing keeps others from opening it too: a sequence does.
 * FIRN_EINVAL (`shift`), FIRN_EDAMAGED (it is empty, or no whole number of blocks), FIRN_ENOENT,
 * FIRN_EACCES, FIRN_ENOMEM, FIRN_EMFILE, FIRN_EIO.
 */
FIRN_API int firn_block_file_open(const char *path, unsigned shift,
                                  const struct firn_block_options *options,
                                  struct firn_block **block, struct firn_error *err);

/* ---- sequences of files ----------------------------------------------------------------- */

/** Most files of a sequence at a time. */
#define FIRN_BLOCK_SEQUENCE_MAX 16383

/**
 * Opens the sequence `name` in the directory `dir`, which is there; a sequence without files is
 * one too. The files are `NAME.XXXX-S`: four hex digits that count up from 1 and wrap, and the
 * shift. New ones get `count` blocks of `1 << shift` bytes; those that are there have what their
 * names and sizes say. What a crash left of an allocation (`NAME.XXXX-S.tmp`) is removed.
 *
 * One handle at a time: `NAME.lock`, a symbolic link to the process id, is there as long as it is
 * open, and after a crash. FIRN_ELOCKED then; the message says whose it is, and whether that
 * process is gone. See break_dead_lock, and firn_block_sequence_break_lock. Opened read-only it
 * takes no lock, and minds that of others: several may read at a time, and nothing keeps a writer
 * from opening it meanwhile.
 *
 * FIRN_EINVAL (as firn_block_file_create; `name` is empty or has a '/'), FIRN_ELOCKED, FIRN_EFORMAT
 * (the name of a file `NAME.*` can't be understood), FIRN_ERANGE (files that can't belong to one
 * sequence), FIRN_ETOOBIG (more than 16383 from the first to the last; a path too long),
 * FIRN_ENOENT, FIRN_ENOTDIR, FIRN_EACCES, FIRN_EREADONLY, FIRN_ENOMEM, FIRN_EIO.
 */
FIRN_API int firn_block_sequence_open(const char *dir, const char *name, uint64_t count,
                                      unsigned shift, const struct firn_block_options *options,
                                      struct firn_block_allocator **allocator,
                                      struct firn_error *err);

/** Who holds a sequence. */
struct firn_block_holder {
    int64_t process; /**< the id in the lock; 0: the lock names no process */
    bool alive;      /**< false: the process is known to be gone */
    char text[64];   /**< what the lock says, cut where it is longer */
};

/** Tells who holds the sequence `name` in `dir`. `disk` may be NULL. FIRN_ENOENT: nobody does.
 * FIRN_EINVAL, FIRN_ETOOBIG, FIRN_EACCES, FIRN_EIO. */
FIRN_API int firn_block_sequence_holder(struct firn_disk *disk, const char *dir, const char *name,
                                        struct firn_block_holder *holder, struct firn_error *err);

/**
 * Removes the lock, if it still says `text` (as firn_block_sequence_holder has it), whoever that
 * is: for a lock whose process is gone though another one has its id now, or that was set by hand.
 * Of several that try, one succeeds. FIRN_EMISMATCH (it says something else), FIRN_ENOENT (there is
 * none), FIRN_ELOCKED (somebody else is about to break it), FIRN_EINVAL, FIRN_ETOOBIG, FIRN_EACCES,
 * FIRN_EREADONLY, FIRN_EIO.
 */
FIRN_API int firn_block_sequence_break_lock(struct firn_disk *disk, const char *dir,
                                            const char *name, const char *text,
                                            struct firn_error *err);

/* ---- memory, and nothing ---------------------------------------------------------------- */

/** Least and most for the shift of blocks in memory, and of those that keep nothing. */
#define FIRN_BLOCK_SHIFT_MIN 6
#define FIRN_BLOCK_SHIFT_MAX 28

/** Blocks in memory, which go with the handle. FIRN_EINVAL (`shift` is not 6 to 28; `count` is 0;
 * more than 2^63 - 1 bytes), FIRN_ENOMEM. */
FIRN_API int firn_block_memory_new(uint64_t count, unsigned shift, struct firn_block **block,
                                   struct firn_error *err);

/** An allocator of blocks in memory, which go when they are released, or with it. Errors as above.
 */
FIRN_API int firn_block_memory_allocator_new(uint64_t count, unsigned shift,
                                             struct firn_block_allocator **allocator,
                                             struct firn_error *err);

/** Blocks that read as zero and keep nothing of what is stored. Errors as above. */
FIRN_API int firn_block_void_new(uint64_t count, unsigned shift, struct firn_block **block,
                                 struct firn_error *err);

/** An allocator of such blocks, which remembers none: retrieve gives nothing. Errors as above. */
FIRN_API int firn_block_void_allocator_new(uint64_t count, unsigned shift,
                                           struct firn_block_allocator **allocator,
                                           struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
