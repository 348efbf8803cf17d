/* SPDX-License-Identifier: MIT */
/**
 * The pipe: a file of equal chunks that are overwritten in place, by number.
 *
 * Any thread writes; what all of them have written becomes durable together, with one sync. A
 * write, or a transaction of several writes anywhere in the file, is there after a crash with all
 * its chunks or with none. No chunk is ever torn.
 *
 * Files. `PATH` holds the chunks, from byte 0; beside it stand `PATH.journal` and `PATH.lock`.
 * (Of a symbolic link: beside the file that it leads to.)
 * Every write goes to the journal first, and to the file later. While a pipe is in use, and after a
 * crash, the file is longer by a mark, and only right together with its journal. Closed, it is a
 * plain file of chunks; the journal then remembers their size and number and nothing else.
 *
 * Durability. A write hands its chunks to the current group and returns the group's epoch. Once
 * that epoch is durable, so are they: whoever waits for it writes and syncs for all; what nobody
 * waits for, the background thread makes durable group_delay_us later.
 *
 * After a failed write or sync the pipe is poisoned: every later write and wait returns
 * FIRN_EPOISONED with the first cause, and nothing more is reported durable. Close it and open it
 * again to learn what is really there. A full disk does not poison: the write or the growth returns
 * FIRN_ENOSPC, and works again when there is room.
 *
 * Threads. Every call may be made from any thread at any time. A transaction and a watch belong to
 * one thread at a time. Close ends calls that are under way in other threads.
 */
#ifndef FIRN_PIPE_H
#define FIRN_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <firn/disk.h>
#include <firn/env.h>
#include <firn/error.h>
#include <firn/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_pipe;
struct firn_transaction;
struct firn_pipe_watch;

/** Most bytes of a chunk: 16 MiB. */
#define FIRN_CHUNK_BYTES_MAX (UINT64_C(1) << 24)

/* ---- open and close --------------------------------------------------------------------- */

/** All zero is the sensible default for a pipe that is there. firn_pipe_open copies it. */
struct firn_pipe_options {
    struct firn_disk *disk;  /**< where it lives; NULL: firn_disk_posix(). Outlives the pipe. */
    struct firn_env *env;    /**< background thread and buffers; NULL: its own. Outlives the pipe.
                                  What is staged and not yet in the journal lies in its
                                  pool_bytes */
    uint64_t chunk_bytes;    /**< 1 to FIRN_CHUNK_BYTES_MAX. Needed to create a pipe, and to make
                                  one of a plain file; 0: what the pipe was created with */
    uint64_t initial_chunks; /**< of a pipe that is created; they read as zero */
    bool read_only;          /**< never writes; what a crash left is seen as it will be after
                                  recovery. No writer at the same time */
    bool must_exist;         /**< FIRN_ENOENT where there is no pipe, instead of creating one */
    bool refuse_when_full;   /**< no free buffer, or no room in the journal: FIRN_EAGAIN from
                                  writes, instead of waiting */
    uint64_t group_delay_us; /**< the background begins at most this late to make writes durable;
                                  0: 10,000 */
    uint64_t group_bytes;    /**< ... or once so many bytes are staged; 0: 1 MiB */
    uint64_t journal_bytes;  /**< most bytes of the journal; 0: 64 MiB, or more where the chunk
                                  needs it, and for chunks below 4 KiB as many as the pipe has, up
                                  to 256 MiB. At least 64 KiB and four chunks. The file gets as
                                  large as needed, and small again when the pipe is closed. Up to
                                  half of it is applied at once */
};

/**
 * Opens the pipe `path`, or creates it. `options` may be NULL. A plain file without a journal
 * (another implementation's, say) becomes a pipe where chunk_bytes says how to read it; its size
 * must be a multiple of that. After a crash it recovers: all that was acknowledged is there,
 * everything else wholly or not at all.
 *
 * Errors: FIRN_EINVAL (options; chunk_bytes 0 where it is needed), FIRN_ENOENT, FIRN_EACCES,
 * FIRN_ELOCKED (another handle or process has it; the message names its pid), FIRN_EMISMATCH (it
 * has another chunk size; file and journal don't belong together), FIRN_EDAMAGED (the journal can't
 * be read as far as it was acknowledged; nothing was changed), FIRN_EFORMAT (not a pipe's journal,
 * or a later version's), FIRN_ETOOBIG (a chunk, or initial_chunks of them, beyond what pool,
 * journal or a file can hold), FIRN_EREADONLY, FIRN_ENOSPC, FIRN_EIO, FIRN_ENOMEM, FIRN_EMFILE.
 */
FIRN_API int firn_pipe_open(const char *path, const struct firn_pipe_options *options,
                            struct firn_pipe **pipe, struct firn_error *err);

/**
 * Makes everything durable, applies it to the file, takes the mark away and releases the handle in
 * any case. Threads that wait get their result, other calls under way FIRN_ECLOSED; close returns
 * after them. Transactions and watches must be ended before. The result says whether all is durable
 * and applied: FIRN_EPOISONED, FIRN_EIO, FIRN_ENOMEM otherwise (opening anew finds what was
 * acknowledged). NULL is fine.
 */
FIRN_API int firn_pipe_close(struct firn_pipe *pipe, struct firn_error *err);

/**
 * Closes the pipe and removes its files; the handle is released in any case. A crash meanwhile
 * leaves the pipe closed, or gone. FIRN_EREADONLY, FIRN_EACCES, FIRN_EIO: files are left.
 */
FIRN_API int firn_pipe_destroy(struct firn_pipe *pipe, struct firn_error *err);

/** Bytes of a chunk. */
FIRN_API uint64_t firn_pipe_chunk_bytes(const struct firn_pipe *pipe);

/** How many chunks there are. */
FIRN_API uint64_t firn_pipe_count(const struct firn_pipe *pipe);

/**
 * Adds `chunks` chunks, which read as zero, at the end. Durable on return; others may use them from
 * then on. Nobody is held up. FIRN_EINVAL (0), FIRN_ETOOBIG, FIRN_EAGAIN (refuse_when_full),
 * FIRN_ENOSPC, FIRN_EREADONLY, FIRN_ENOMEM, FIRN_EIO, FIRN_EPOISONED, FIRN_ECLOSED.
 */
FIRN_API int firn_pipe_grow(struct firn_pipe *pipe, uint64_t chunks, struct firn_error *err);

/* ---- write ------------------------------------------------------------------------------ */

/**
 * Writes whole chunks, from chunk `index` on, with the bytes of `count` buffers one after another;
 * after a crash all of them are there or none. The caller owns the buffers, until the call returns.
 * On return: staged; durable when `*epoch` (may be NULL) is.
 *
 * Errors, nothing having been staged: FIRN_EINVAL (no bytes, or not a multiple of the chunk's),
 * FIRN_ERANGE (beyond the last chunk), FIRN_ETOOBIG (more than the pool or half of the journal can
 * hold), FIRN_EAGAIN (refuse_when_full), FIRN_ENOSPC, FIRN_EREADONLY, FIRN_ENOMEM, FIRN_EIO,
 * FIRN_EPOISONED, FIRN_ECLOSED.
 */
FIRN_API int firn_pipe_write(struct firn_pipe *pipe, uint64_t index, const struct iovec *buffers,
                             int count, uint64_t *epoch, struct firn_error *err);

/**
 * Waits until `epoch` is durable, at most `timeout_us` microseconds (0: only looks; FIRN_FOREVER).
 * The waiter itself writes and syncs where nobody does yet and there is no time-out.
 * FIRN_EINVAL (an epoch that was never given out), FIRN_ETIMEDOUT, FIRN_EPOISONED, FIRN_ECLOSED,
 * FIRN_EREADONLY.
 */
FIRN_API int firn_pipe_wait_epoch(struct firn_pipe *pipe, uint64_t epoch, uint64_t timeout_us,
                                  struct firn_error *err);

/** Makes everything up to `epoch` durable, at once. As wait_epoch without a time-out. */
FIRN_API int firn_pipe_force(struct firn_pipe *pipe, uint64_t epoch, struct firn_error *err);

/** Makes everything that is staged durable. FIRN_EPOISONED, FIRN_EREADONLY, FIRN_ECLOSED. */
FIRN_API int firn_pipe_flush(struct firn_pipe *pipe, struct firn_error *err);

/** The highest durable epoch; 0 before the first. */
FIRN_API uint64_t firn_pipe_durable_epoch(const struct firn_pipe *pipe);

/* ---- transactions ----------------------------------------------------------------------- */

/**
 * Begins a transaction: writes at any indexes that take effect together, or, after a crash, not at
 * all. It keeps what is written to it in memory of its own, and nothing else waits for it.
 * FIRN_ENOMEM, FIRN_EREADONLY.
 */
FIRN_API int firn_pipe_begin(struct firn_pipe *pipe, struct firn_transaction **transaction,
                             struct firn_error *err);

/**
 * Adds a write, as firn_pipe_write has it, to the transaction; of several to one chunk the last one
 * counts. Nobody sees it before the commit. FIRN_EINVAL, FIRN_ERANGE, FIRN_ETOOBIG (all of it
 * together), FIRN_ENOMEM: the transaction stays as it was.
 */
FIRN_API int firn_transaction_write(struct firn_transaction *transaction, uint64_t index,
                                    const struct iovec *buffers, int count, struct firn_error *err);

/**
 * Stages all of it, as one change, and ends the transaction; durable when `*epoch` (may be NULL)
 * is. After an error the transaction is as before: to be committed again, or abandoned.
 * FIRN_EINVAL (nothing was written to it), and what firn_pipe_write has.
 */
FIRN_API int firn_transaction_commit(struct firn_transaction *transaction, uint64_t *epoch,
                                     struct firn_error *err);

/** Ends the transaction; nothing of it is left. NULL is fine. */
FIRN_API void firn_transaction_abandon(struct firn_transaction *transaction);

/* ---- read ------------------------------------------------------------------------------- */

enum firn_pipe_read_flags {
    FIRN_READ_DURABLE = 1, /**< only what is durable: the old content until the new one is */
};

/**
 * Reads `count` chunks, from chunk `index` on, into `buffer`. It sees every write whose call has
 * returned, durable or not, or with FIRN_READ_DURABLE what is durable; it never waits for a sync.
 * Each chunk is as one write left it; several chunks may be of different moments.
 * FIRN_EINVAL (count 0, unknown flags), FIRN_ERANGE, FIRN_EIO, FIRN_ENOMEM, FIRN_ECLOSED,
 * FIRN_EPOISONED (without FIRN_READ_DURABLE: what is staged is lost).
 */
FIRN_API int firn_pipe_read(struct firn_pipe *pipe, uint64_t index, uint64_t count, void *buffer,
                            unsigned flags, struct firn_error *err);

/* ---- waiting in an event loop ----------------------------------------------------------- */

/**
 * A descriptor for event loops. It is readable once `epoch` is durable, and when waiting for it
 * would end with an error (firn_pipe_wait_epoch says which). The caller polls it and neither reads
 * nor closes it. Several may be open on a handle. Somebody has to make the epoch durable: the
 * background does, group_delay_us later. FIRN_ENOTSUP (the storage has no descriptors),
 * FIRN_ENOMEM, FIRN_EMFILE, FIRN_EREADONLY.
 */
FIRN_API int firn_pipe_watch_open(struct firn_pipe *pipe, uint64_t epoch,
                                  struct firn_pipe_watch **watch, int *fd, struct firn_error *err);

/** Sets another epoch, of which the descriptor tells from then on. */
FIRN_API void firn_pipe_watch_set(struct firn_pipe_watch *watch, uint64_t epoch);

/** Closes the descriptor. Before the pipe is closed. NULL is fine. */
FIRN_API void firn_pipe_watch_close(struct firn_pipe_watch *watch);

/* ---- figures, and looking for damage ---------------------------------------------------- */

/** What a pipe is and did. */
struct firn_pipe_info {
    uint64_t chunk_bytes;
    uint64_t chunks;
    bool recovered;           /**< it had not been closed: opening brought the file up to date */
    uint64_t replayed;        /**< changes that were in the journal only, when it was opened */
    uint64_t journal_bytes;   /**< the journal's limit */
    uint64_t journal_pending; /**< bytes in it that are not applied to the file */
    uint64_t applies;         /**< times that the file was brought up to date */
    uint64_t applied_bytes;   /**< bytes written to the file by that */
    uint64_t applied_writes;  /**< in so many writes */
    struct firn_commit_stats commit;
};

/** The figures as they are now. Never fails. */
FIRN_API void firn_pipe_get_info(struct firn_pipe *pipe, struct firn_pipe_info *info);

/** What verify found. */
struct firn_pipe_check {
    uint64_t chunks;        /**< read */
    uint64_t unreadable;    /**< chunks that the storage could not read */
    uint64_t records;       /**< changes in the journal that are whole */
    unsigned damaged_slots; /**< of the two that the journal's header has; one suffices */
};

/**
 * Reads every chunk, and everything in the journal. The chunks have no checksum in the file: what
 * is found is what can't be read; the journal has. FIRN_EDAMAGED where anything is wrong, with
 * `check` filled and the first finding in `err`; FIRN_EIO, FIRN_ENOMEM, FIRN_EPOISONED,
 * FIRN_ECLOSED.
 */
FIRN_API int firn_pipe_verify(struct firn_pipe *pipe, struct firn_pipe_check *check,
                              struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
