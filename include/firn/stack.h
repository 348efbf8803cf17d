/* SPDX-License-Identifier: MIT */
/**
 * The stack: one file of bytes that grows and shrinks at its end, durably.
 *
 * Every change is on stable storage when its call returns, and after a crash each one is there as a
 * whole or not at all: also one that cuts, appends and overwrites several ranges at once. Changes
 * that come from several threads at the same time share a sync.
 *
 * Files. `PATH` is a header of 16 bytes and the content, in the format of bstack 0.1; closed, it
 * can be exchanged with other implementations. Beside it stand `PATH.journal` and `PATH.lock`. (Of
 * a symbolic link: beside the file that it leads to.) Every change goes to the journal first, and
 * to the file later. While a stack is changed, and after a crash, the file's header says so in a
 * way that others refuse, and the file is only right together with its journal. Closed, the journal
 * holds nothing: others may use the file, or it alone may be copied, and firn takes it as it is.
 *
 * Offsets count the bytes of the content, from 0.
 *
 * What is cut off gives its space back when the stack is closed; a growth uses it again before.
 *
 * Without a journal (no_journal) there is the one file only, and less is promised: what was pushed
 * and acknowledged is never lost, and the length never covers bytes that are not there (as long as
 * the disk does not tear the length itself, 8 bytes of one sector); but a crash may tear a change
 * in place (set, zero, swap, cas, process, and what replaces part of the end), which also holds up
 * readers, a change of several ranges is refused, and each change takes a sync or two of its own.
 *
 * After a failed write or sync the stack is poisoned: every later change returns FIRN_EPOISONED
 * with the first cause; what was durable can be read. Close it and open it again to learn what is
 * really there: a change whose call failed so may have happened or not. A full disk does not
 * poison: the change returns FIRN_ENOSPC, has changed nothing, and works when there is room.
 *
 * Threads. Every call may be made from any thread at any time; a reader belongs to one thread at a
 * time. Changes take effect one after another. Reads see what is durable; they run beside each
 * other, are held up by no sync, and all bytes of one are of one moment, between two changes. Close
 * ends calls that are under way in other threads.
 *
 * Errors that every change has, beside those named with it: FIRN_EREADONLY, FIRN_ETOOBIG (more
 * bytes than journal_bytes or the pool of buffers allow, or than a file can have), FIRN_ENOSPC,
 * FIRN_ENOMEM, FIRN_EIO, FIRN_EPOISONED, FIRN_ECLOSED, and, where the length changes, FIRN_EBUSY (a
 * slab is open in the stack). Those that every read has: FIRN_EIO,
 * FIRN_EDAMAGED (somebody cut the file meanwhile), FIRN_ENOMEM, FIRN_ECLOSED.
 */
#ifndef FIRN_STACK_H
#define FIRN_STACK_H

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

struct firn_stack;
struct firn_stack_reader;

/* ---- open and close --------------------------------------------------------------------- */

/** All zero is the sensible default. firn_stack_open copies it. */
struct firn_stack_options {
    struct firn_disk *disk; /**< where it lives; NULL: firn_disk_posix(). Outlives the stack. */
    struct firn_env *env;   /**< background thread and buffers; NULL: its own. Outlives the stack.
                                 Its pool_bytes limit a change, too. Not used without a journal */
    bool read_only;         /**< never writes; what a crash left is seen as it will be after
                                 recovery. No writer at the same time */
    bool must_exist;        /**< FIRN_ENOENT where there is no stack, instead of creating one */
    bool no_journal;        /**< the one file only, with less promised: see above */
    uint64_t journal_bytes; /**< most bytes of the journal; 0: 64 MiB, or as many as the stack has,
                                 up to 256 MiB. At least 64 KiB. Half of them, less some 100, are
                                 the most bytes that one change can carry (zeros do not count). The
                                 file gets as large as needed, and small again when the stack is
                                 closed */
};

/**
 * Opens the stack `path`, or creates it, empty. `options` may be NULL. An empty file becomes a
 * stack. After a crash it recovers: all that was acknowledged is there, everything else wholly or
 * not at all. What another implementation left is repaired as the format has it: of a file that is
 * longer than its header says the rest is cut off, and where it is shorter the header follows.
 *
 * Errors: FIRN_EINVAL (options), FIRN_ENOENT, FIRN_EACCES, FIRN_ELOCKED (another handle, process or
 * program has it; at once), FIRN_EMISMATCH (file and journal don't belong together, or the journal
 * is needed and missing, or not to be used), FIRN_EDAMAGED (the journal can't be read as far as it
 * was acknowledged; nothing was changed), FIRN_EFORMAT (not a stack, or of another version, or the
 * journal is not a stack's), FIRN_EREADONLY, FIRN_ENOSPC, FIRN_EIO, FIRN_ENOMEM, FIRN_EMFILE.
 */
FIRN_API int firn_stack_open(const char *path, const struct firn_stack_options *options,
                             struct firn_stack **stack, struct firn_error *err);

/**
 * Brings the file up to date, makes it a plain one, and releases the handle in any case. Calls
 * under way in other threads end, with FIRN_ECLOSED if need be; close returns after them. Readers
 * and a slab must be closed before. The result says whether the file is plain: FIRN_EPOISONED,
 * FIRN_EIO, FIRN_ENOMEM otherwise (opening anew finds what was acknowledged). NULL is fine.
 */
FIRN_API int firn_stack_close(struct firn_stack *stack, struct firn_error *err);

/**
 * Closes the stack and removes its files; the handle is released in any case. A crash meanwhile
 * leaves the stack closed, or gone. FIRN_EREADONLY, FIRN_EACCES, FIRN_EIO: files are left.
 */
FIRN_API int firn_stack_destroy(struct firn_stack *stack, struct firn_error *err);

/** Bytes of the content that are durable. */
FIRN_API uint64_t firn_stack_length(struct firn_stack *stack);

/* ---- the end ---------------------------------------------------------------------------- */

/** Appends `size` bytes; `*offset` (may be NULL) is where they begin. With size 0: nothing. */
FIRN_API int firn_stack_push(struct firn_stack *stack, const void *bytes, size_t size,
                             uint64_t *offset, struct firn_error *err);

/** Appends `bytes` zero bytes; `*offset` (may be NULL) is where they begin. */
FIRN_API int firn_stack_extend(struct firn_stack *stack, uint64_t bytes, uint64_t *offset,
                               struct firn_error *err);

/**
 * Takes the last `size` bytes off the end, into `buffer`, in their order. FIRN_ERANGE: there are
 * fewer; nothing was taken. After another error the buffer's content is undefined.
 */
FIRN_API int firn_stack_pop(struct firn_stack *stack, void *buffer, size_t size,
                            struct firn_error *err);

/** Takes the last `bytes` bytes off the end. FIRN_ERANGE: there are fewer; nothing was taken. */
FIRN_API int firn_stack_discard(struct firn_stack *stack, uint64_t bytes, struct firn_error *err);

/* ---- read ------------------------------------------------------------------------------- */

/** Reads the `size` bytes from `offset` on, all of them. FIRN_ERANGE: they reach beyond the end. */
FIRN_API int firn_stack_get(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                            struct firn_error *err);

/**
 * Reads what there is from `offset` to the end, `size` bytes at most; `*got` says how many.
 * FIRN_ERANGE: `offset` is beyond the end (at the end there are 0).
 */
FIRN_API int firn_stack_peek(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                             size_t *got, struct firn_error *err);

/* ---- in place --------------------------------------------------------------------------- */

/** Overwrites `size` bytes from `offset` on. FIRN_ERANGE: they reach beyond the end. */
FIRN_API int firn_stack_set(struct firn_stack *stack, uint64_t offset, const void *bytes,
                            size_t size, struct firn_error *err);

/** Makes `bytes` bytes from `offset` on zero. FIRN_ERANGE: they reach beyond the end. */
FIRN_API int firn_stack_zero(struct firn_stack *stack, uint64_t offset, uint64_t bytes,
                             struct firn_error *err);

/* ---- more than one thing at once -------------------------------------------------------- */

/** Takes the last `cut` bytes off, and appends `size` others. FIRN_ERANGE: there are fewer. */
FIRN_API int firn_stack_atrunc(struct firn_stack *stack, uint64_t cut, const void *bytes,
                               size_t size, struct firn_error *err);

/**
 * The same, and the `cut` bytes come into `removed`, which must not overlap `bytes`. After an error
 * its content is undefined.
 */
FIRN_API int firn_stack_splice(struct firn_stack *stack, void *removed, size_t cut,
                               const void *bytes, size_t size, struct firn_error *err);

/**
 * If the stack has exactly `length` bytes, appends `size` bytes. `*done` says whether it had, and
 * whatever it says is durable: of several that ask for the same length one does it.
 */
FIRN_API int firn_stack_try_extend(struct firn_stack *stack, uint64_t length, const void *bytes,
                                   size_t size, bool *done, struct firn_error *err);

/** If the stack has exactly `length` bytes, appends `bytes` zeros. */
FIRN_API int firn_stack_try_extend_zeros(struct firn_stack *stack, uint64_t length, uint64_t bytes,
                                         bool *done, struct firn_error *err);

/** If the stack has exactly `length` bytes, takes off the last `bytes`. FIRN_ERANGE: more than it
 * has. */
FIRN_API int firn_stack_try_discard(struct firn_stack *stack, uint64_t length, uint64_t bytes,
                                    bool *done, struct firn_error *err);

/**
 * Overwrites `size` bytes from `offset` on; what was there comes into `old`, which must not overlap
 * `bytes`. FIRN_ERANGE: they reach beyond the end. After an error `old` is undefined.
 */
FIRN_API int firn_stack_swap(struct firn_stack *stack, uint64_t offset, const void *bytes,
                             void *old, size_t size, struct firn_error *err);

/**
 * If the `size` bytes from `offset` on are those of `expected`, overwrites them with `bytes`.
 * `*done` says whether they were. FIRN_ERANGE: they reach beyond the end.
 */
FIRN_API int firn_stack_cas(struct firn_stack *stack, uint64_t offset, const void *expected,
                            const void *bytes, size_t size, bool *done, struct firn_error *err);

/**
 * Called with the last `size` bytes: makes others of them. `*bytes`, of `*new_size` bytes, stays
 * the callback's, and must last until the call that made it returns; it may be `tail`, or part of
 * it. A result that is not 0 changes nothing and is what the call returns: a FIRN_E..., or a number
 * of the caller's above 0.
 */
typedef int firn_stack_replace_fn(void *arg, const void *tail, size_t size, const void **bytes,
                                  size_t *new_size);

/**
 * Puts what `replace` makes of the last `size` bytes in their place; no other change comes in
 * between. The callback may read the stack, and sees what is durable; a change in it would wait for
 * ever. FIRN_ERANGE: there are fewer.
 */
FIRN_API int firn_stack_replace(struct firn_stack *stack, size_t size,
                                firn_stack_replace_fn *replace, void *arg, struct firn_error *err);

/** Called with bytes to be changed where they are. The result is as that of replace. */
typedef int firn_stack_process_fn(void *arg, void *bytes, size_t size);

/** Lets `process` change the `size` bytes from `offset` on; as firn_stack_replace. */
FIRN_API int firn_stack_process(struct firn_stack *stack, uint64_t offset, size_t size,
                                firn_stack_process_fn *process, void *arg, struct firn_error *err);

/** A range that is overwritten. */
struct firn_stack_write {
    uint64_t offset;
    const void *bytes; /**< NULL: zeros */
    uint64_t size;
};

/** Any change. All zero: none. */
struct firn_stack_change {
    uint64_t cut; /**< bytes that are taken off the end, before anything else */
    const struct iovec *append;
    int append_count;                      /**< buffers, whose bytes are appended then */
    uint64_t append_zeros;                 /**< and so many zeros behind them */
    const struct firn_stack_write *writes; /**< within what is there then; later ones win */
    size_t write_count;
};

/**
 * Makes the change, all of it or none; `*offset` (may be NULL) is where the appended bytes begin.
 * FIRN_ERANGE: it cuts more than there is, or writes beyond the end. FIRN_ENOTSUP (no_journal): it
 * writes in more than one place.
 */
FIRN_API int firn_stack_apply(struct firn_stack *stack, const struct firn_stack_change *change,
                              uint64_t *offset, struct firn_error *err);

/* ---- reading in order ------------------------------------------------------------------- */

/**
 * A reader, with a position that moves on with each read; it may lie beyond the end. Any number of
 * them; the caller closes it before the stack. FIRN_ENOMEM.
 */
FIRN_API int firn_stack_reader_open(struct firn_stack *stack, uint64_t position,
                                    struct firn_stack_reader **reader, struct firn_error *err);

/** NULL is fine. */
FIRN_API void firn_stack_reader_close(struct firn_stack_reader *reader);

/** Reads up to `size` bytes; `*got` says how many, 0 at the end or beyond it. */
FIRN_API int firn_stack_reader_read(struct firn_stack_reader *reader, void *buffer, size_t size,
                                    size_t *got, struct firn_error *err);

/** What an offset of a reader counts from. */
enum firn_stack_whence {
    FIRN_SEEK_START,
    FIRN_SEEK_HERE,
    FIRN_SEEK_END, /**< as it is now */
};

/** Moves to `offset`; `*position` (may be NULL) is where that is. FIRN_EINVAL: before the start. */
FIRN_API int firn_stack_reader_seek(struct firn_stack_reader *reader, int64_t offset,
                                    enum firn_stack_whence whence, uint64_t *position,
                                    struct firn_error *err);

/** Where the next read begins. */
FIRN_API uint64_t firn_stack_reader_position(const struct firn_stack_reader *reader);

/* ---- figures, and looking for damage ---------------------------------------------------- */

/** What a stack is and did. Without a journal all of that is 0 but the first. */
struct firn_stack_info {
    uint64_t length;          /**< bytes */
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
FIRN_API void firn_stack_get_info(struct firn_stack *stack, struct firn_stack_info *info);

/** What verify found. */
struct firn_stack_check {
    uint64_t bytes;         /**< read */
    uint64_t unreadable;    /**< of them the storage could not read, in pieces of 4 KiB */
    uint64_t records;       /**< changes in the journal that are whole */
    unsigned damaged_slots; /**< of the two that the journal's header has; one suffices */
};

/**
 * Reads all of the content, and everything in the journal. The content has no checksum in the file:
 * what is found is what can't be read; the journal has. FIRN_EDAMAGED where anything is wrong, with
 * `check` filled and the first finding in `err`; FIRN_EIO, FIRN_ENOMEM, FIRN_EPOISONED,
 * FIRN_ECLOSED.
 */
FIRN_API int firn_stack_verify(struct firn_stack *stack, struct firn_stack_check *check,
                               struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
