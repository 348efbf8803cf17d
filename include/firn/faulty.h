/* SPDX-License-Identifier: MIT */
/**
 * A seeded simulator of what real disks do wrong (libfirn-faulty), for tests: ours and yours.
 *
 * It is a storage (`struct firn_disk`) in RAM with power cuts, I/O errors, a full disk, damage and
 * a clock of its own. The same calls after the same seed give the same results, always.
 *
 * THE FAULT MODEL
 *
 * Two images. Every file has a current image (the page cache: what reads see) and a durable one
 * (what is on the medium). A write changes the current image and leaves a *pending effect*. Pending
 * effects end in one of these ways:
 * - sync of the file: all its effects issued before become durable;
 * - a write with FIRN_WRITE_DURABLE: the bytes of its own range become durable, and the file's size
 *   as far as that range needs it. Other bytes stay pending, even those in the same sector, and so
 *   do other changes of the size;
 * - a failed sync (see below): they are lost, but stay readable;
 * - power loss: each survives or does not.
 * Making a file durable never makes its name durable; making a name durable never makes the
 * content durable: such a file exists and holds whatever of its content survived.
 *
 * Power loss. At the mutating operation that firn_faulty_crash_at names, the power goes. The
 * operation in progress leaves its effects pending like those before it (a durable write or a sync
 * in progress has made nothing durable for certain), and it and everything after it fails with
 * FIRN_EIO "power lost" until firn_faulty_restart. Then every combination of these is possible:
 * - Data. A write is cut into sectors of 512 bytes, at multiples of 512 of the file's offset. Each
 *   sector, independently of all others, holds what was durable, or what the current image held
 *   after any one of the pending writes to it. So writes are lost, torn at sector boundaries, and
 *   reordered (a later one survives, an earlier one does not). A sector whose content no pending
 *   write changes contributes nothing: zeroing what is zero has no outcomes.
 * - Tears, a class of its own: in one sector, of the bytes that one more write would have changed,
 *   only the first n are new (n of any value), the rest as before. Not with whole_sectors.
 * - Size. Changes of a file's size (growing writes, at each 4 KiB on the way; reserve; truncate)
 *   survive up to any point, in the order in which they were issued, independently of data. Bytes
 *   that a survived growth uncovers and no survived write filled are zero. Behind the survived size
 *   there is nothing, and nothing comes back from there when the file grows again. A truncation
 *   that did not survive may nevertheless have zeroed the rest of the sector in which it cut.
 * - Names. Creations, removals and renames in a directory survive or not, each on its own, save
 *   that effects on the same name keep their order, and that a rename is one effect: never are both
 *   names gone. (Formally: what survives is any set of effects that holds with an effect all
 * earlier ones that share a name with it.) Different directories are independent. What lies below a
 *   directory whose own name did not survive is gone.
 * firn_faulty_outcomes says how many combinations there are, firn_faulty_restart takes one by its
 * number. Everything that hangs on a name counts only where the name survives, so the combinations
 * are distinct, with one exception: where the newest state equals the durable one although states
 * between them differed, both are counted, so that the first is always "nothing survived" and the
 * last always "all survived".
 *
 * Death of a process (firn_faulty_kill): its open files, locks and mappings are dead; the page
 * cache and all pending effects stay.
 *
 * A failed sync or durable write (FIRN_FAULTY_LOSE) is modelled as Linux behaves: the pages are
 * clean afterwards. The data can still be read, a later sync returns success and does not write it,
 * and it vanishes with the power - wholly or, since part of it may have reached the medium, in any
 * part, sector by sector - or with firn_faulty_drop_caches. Only writing the same bytes again makes
 * them durable. The error is noted with every handle that has the file open, and each reports it
 * once, at its next sync, durable write or await of writeback. So the middle of a sync, after the
 * writing and before the look at the noted error, is a place where another thread's sync on the
 * same handle takes the error away, and lost data is reported durable. The simulator's lock is
 * free there; FIRN_FAULTY_CALL puts a callback there, to make the race happen on purpose.
 *
 * Space. With firn_faulty_set_capacity the file system holds that many bytes: reserve and writes
 * that need new pages of 4 KiB fail with FIRN_ENOSPC beyond it (a write may first be short). With
 * firn_faulty_set_backing it is a thin volume: reserving costs nothing there, and a sync or durable
 * write that brings more pages to the medium than it has fails with FIRN_ENOSPC and loses the data,
 * as above, even in reserved space. Raising the limits gives space back. Names and empty files cost
 * nothing.
 *
 * Silent faults: bits flipped on the medium (firn_faulty_flip_bit), on the way to it or from it
 * (FIRN_FAULTY_FLIP); writes that go elsewhere on the medium while the cache is right
 * (FIRN_FAULTY_MISDIRECT); writes that never reach it, and syncs that lie (FIRN_FAULTY_FORGET).
 *
 * Not modelled: hard links, permissions, partial pages of failed reads, sectors larger than 512
 * bytes that tear neighbours which were not written, and loss of what was durable.
 *
 * Memory shared through `share` is lost or kept with the power like a write that is never synced;
 * see firn_faulty_options. The locks and the simulated processes are gone after power loss.
 *
 * Threads. Everything may be called from any thread; one mutex per simulator. Clones may be used in
 * different threads at the same time. Runs with several threads are as repeatable as the threads.
 * The simulator calls the system for nothing but memory, the descriptors of events and, when a
 * fault asks for it, sleep.
 */
#ifndef FIRN_FAULTY_H
#define FIRN_FAULTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/disk.h>
#include <firn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_faulty;

/* ---- life ------------------------------------------------------------------------------- */

/** All zero is the sensible default. */
struct firn_faulty_options {
    uint64_t seed;         /**< of everything that is left to chance */
    uint64_t operation_ns; /**< simulated time that each operation takes; 0: 1,000 */
    size_t trace;          /**< how many of the last operations the trace keeps; 0: 64 */
    /** Shared memory is part of the outcomes of a power loss (kept, or as durable: doubles their
     * number per changed mapping). Otherwise: kept, save in outcome 0 and by chance in random ones.
     */
    bool shared_outcomes;
    /** A disk that never tears a sector: outcomes have no torn ones, and a write that is cut short,
     * or fails in the middle, ends where a sector ends. */
    bool whole_sectors;
};

/** Creates an empty storage with a root directory "". `options` may be NULL. FIRN_ENOMEM. */
FIRN_API int firn_faulty_new(const struct firn_faulty_options *options, struct firn_faulty **faulty,
                             struct firn_error *err);

/** Releases it. Files, locks, ... still open become dead and can (must) still be closed. NULL:
 * fine.
 */
FIRN_API void firn_faulty_free(struct firn_faulty *faulty);

/** The storage to hand to firn_log_open etc. Owned by `faulty`; firn_disk_free of it frees that. */
FIRN_API struct firn_disk *firn_faulty_disk(struct firn_faulty *faulty);

/**
 * A copy with the same images, pending effects, counters, clocks, random state, processes and
 * limits. Open handles and locks, faults, the crash point and the trace are not copied. Cheap:
 * pages are shared until one side writes. Meant to be restarted, once per outcome. FIRN_ENOMEM.
 */
FIRN_API int firn_faulty_clone(struct firn_faulty *faulty, struct firn_faulty **copy,
                               struct firn_error *err);

/* ---- counting --------------------------------------------------------------------------- */

/** Figures; those that count handles show leaks. */
struct firn_faulty_counts {
    uint64_t operations; /**< all calls that faults can hit, reads too, since firn_faulty_new */
    uint64_t mutations;  /**< of them those that change something, sync included */
    uint64_t effects;    /**< pending now, lost ones included */
    uint64_t used;       /**< bytes allocated in files that have a name or are open */
    uint64_t files;      /**< open file handles, dead ones included, until closed */
    uint64_t locks;      /**< lock handles, likewise */
    uint64_t shares;     /**< mappings, likewise */
    uint64_t events;     /**< wake-ups that exist */
    uint64_t restarts;   /**< power losses survived */
};

/** The figures as they are now. */
FIRN_API void firn_faulty_get_counts(struct firn_faulty *faulty, struct firn_faulty_counts *counts);

/* ---- power loss ------------------------------------------------------------------------- */

/**
 * The power goes at mutating operation number `n`: 1 is the first after firn_faulty_new, and
 * `mutations + 1` the next. Mutating are: an open, lock or share that creates a file, writev, sync,
 * reserve, truncate, make_dir, make_link, rename, remove, remove_dir and sync_dir, where their
 * arguments are such that they could succeed. 0: never. Numbers that are past: at the next one.
 */
FIRN_API void firn_faulty_crash_at(struct firn_faulty *faulty, uint64_t n);

/** The power goes now, between two operations. */
FIRN_API void firn_faulty_power_off(struct firn_faulty *faulty);

/** True from the loss of power until restart. */
FIRN_API bool firn_faulty_is_off(struct firn_faulty *faulty);

/** How many combinations of pending effects can survive (at least 1); UINT64_MAX: that or more;
 * 0: out of memory. */
FIRN_API uint64_t firn_faulty_outcomes(struct firn_faulty *faulty);

/** How many single tears there are: one sector torn between two successive states, at one byte.
 * Also counts tears in files whose names may be lost. */
FIRN_API uint64_t firn_faulty_tears(struct firn_faulty *faulty);

/** For restart: all survive. */
#define FIRN_FAULTY_ALL UINT64_MAX

/**
 * Starts the machine anew (turning the power off first, if it was on) with combination `which` of
 * the pending effects, in [0, outcomes): 0 nothing unsynced survived, outcomes - 1 all did. Handles
 * and locks of before are dead. Nothing is pending afterwards; the boot id is a new one, the clock
 * has gone on, the process id is that of the first process again. FIRN_EINVAL, FIRN_ENOMEM (the
 * machine is still off then, and restart may be tried again).
 */
FIRN_API int firn_faulty_restart(struct firn_faulty *faulty, uint64_t which,
                                 struct firn_error *err);

/** The same, and over it tear number `tear` in [1, tears]; 0: none. Without effect where the file
 * or that part of it did not survive. */
FIRN_API int firn_faulty_restart_torn(struct firn_faulty *faulty, uint64_t which, uint64_t tear,
                                      struct firn_error *err);

/**
 * Restarts with an outcome drawn by `seed`: nothing, all, all but one, one only, everything up to a
 * point in time, even chances, mostly lost, mostly kept; each with or without torn sectors.
 */
FIRN_API int firn_faulty_restart_random(struct firn_faulty *faulty, uint64_t seed,
                                        struct firn_error *err);

/**
 * Death of the current process (see firn_faulty_set_process): its handles are dead (FIRN_ECLOSED),
 * its locks free. A new process, with the next unused id, is the current one. Nothing else changes.
 */
FIRN_API void firn_faulty_kill(struct firn_faulty *faulty);

/* ---- faults by plan --------------------------------------------------------------------- */

/** Kinds of operations, to be or-ed. */
enum firn_faulty_op {
    FIRN_FAULTY_OPEN = 1 << 0,   /**< open of a file that exists */
    FIRN_FAULTY_CREATE = 1 << 1, /**< open, lock or share that creates the file */
    FIRN_FAULTY_READ = 1 << 2,
    FIRN_FAULTY_WRITE = 1 << 3,         /**< writev without FIRN_WRITE_DURABLE */
    FIRN_FAULTY_WRITE_DURABLE = 1 << 4, /**< writev with it */
    FIRN_FAULTY_SYNC = 1 << 5,
    FIRN_FAULTY_RESERVE = 1 << 6,
    FIRN_FAULTY_TRUNCATE = 1 << 7,
    FIRN_FAULTY_WRITEBACK = 1 << 8, /**< writeback_start and writeback_await */
    FIRN_FAULTY_SIZE_OF = 1 << 9,
    FIRN_FAULTY_STAT = 1 << 10,
    FIRN_FAULTY_LIST = 1 << 11,
    FIRN_FAULTY_MAKE_DIR = 1 << 12,
    FIRN_FAULTY_REMOVE = 1 << 13,
    FIRN_FAULTY_REMOVE_DIR = 1 << 14,
    FIRN_FAULTY_RENAME = 1 << 15,
    FIRN_FAULTY_SYNC_DIR = 1 << 16,
    FIRN_FAULTY_MAKE_LINK = 1 << 17,
    FIRN_FAULTY_READ_LINK = 1 << 18,
    FIRN_FAULTY_LOCK = 1 << 19,  /**< of a file that exists; of an open file */
    FIRN_FAULTY_SHARE = 1 << 20, /**< of a file that exists */
    FIRN_FAULTY_EVENT = 1 << 21,
    FIRN_FAULTY_FREE_SPACE = 1 << 22,
    FIRN_FAULTY_ANY = (1 << 23) - 1,
};

/** The name of one kind, such as "sync". Static. */
FIRN_API const char *firn_faulty_op_name(enum firn_faulty_op op);

/** What goes wrong. */
enum firn_faulty_what {
    /** The operation returns `code`. A read or write does `bytes` bytes first (0: none; `done` says
     * so), anything else does nothing. A sync that fails so has written nothing and lost nothing.
     */
    FIRN_FAULTY_FAIL,
    /** A read or write does only `bytes` bytes (at least 1), or FIRN_FAULTY_HALF, and returns 0. */
    FIRN_FAULTY_SHORT,
    /** Writing to the medium fails with `code` and leaves the pages clean: data lost, error noted
     * with every handle. A sync and a durable write (of its own range) then report it. A plain
     * write or a start of writeback returns 0: it is the kernel that meets the error, afterwards.
     */
    FIRN_FAULTY_LOSE,
    /** A write is in the page cache and never reaches the medium; a sync or sync_dir does nothing.
     * Reported as success. */
    FIRN_FAULTY_FORGET,
    /** A write goes to `to_offset` of `to_path` (NULL: the same file) on the medium, while the
     * cache has it in the right place. Behind the end of that file nothing is written. */
    FIRN_FAULTY_MISDIRECT,
    /** A read returns, or a write brings to the medium (the cache is right), byte number `byte` of
     * the range (modulo its length) with bit `bit` flipped. */
    FIRN_FAULTY_FLIP,
    /** The operation takes `nanoseconds` of simulated time more; also of real time with `really`.
     */
    FIRN_FAULTY_SLOW,
    /** `call` is called in the middle of the operation, without any lock: it has taken effect, and
     * a sync or durable write has been to the medium, but not looked for errors yet. */
    FIRN_FAULTY_CALL,
};

/** For `bytes`: half of what was asked, at least 1. */
#define FIRN_FAULTY_HALF UINT64_MAX
/** For `times`: until cleared. */
#define FIRN_FAULTY_ALWAYS UINT64_MAX

/** What an operation is, for FIRN_FAULTY_CALL. Valid during the call. */
struct firn_faulty_event {
    enum firn_faulty_op op;
    const char *path;
    uint64_t offset; /**< or the new size, for truncate */
    uint64_t length;
    uint64_t operation; /**< its number among all */
    uint64_t mutation;  /**< its number among the mutating ones; 0: it is none */
};

typedef void firn_faulty_call_fn(void *arg, struct firn_faulty *faulty,
                                 const struct firn_faulty_event *event);

/** A fault: which operations it hits, and how. All zero: the next operation fails with FIRN_EIO. */
struct firn_faulty_fault {
    enum firn_faulty_what what;
    unsigned ops;         /**< kinds it hits, or-ed; 0: those to which `what` can happen */
    const char *path;     /**< hits paths that match: '*' is any bytes, '?' one; no leading '/'. For
                               rename the new one. NULL: any. Copied. */
    uint64_t offset;      /**< with `length`: hits only reads, writes, ... that touch this range */
    uint64_t length;      /**< 0: any range */
    uint64_t at;          /**< begins at the at-th operation that fits, from now on; 0: the first */
    uint64_t times;       /**< for so many operations that fit; 0: one */
    uint32_t chance;      /**< hits with this chance in a million only; 0: always */
    int code;             /**< FIRN_FAULTY_FAIL, _LOSE: 0: FIRN_EIO */
    int os_error;         /**< 0: the errno that goes with the code */
    uint64_t bytes;       /**< FIRN_FAULTY_FAIL, _SHORT */
    uint64_t to_offset;   /**< FIRN_FAULTY_MISDIRECT */
    const char *to_path;  /**< FIRN_FAULTY_MISDIRECT. Copied. */
    uint64_t byte;        /**< FIRN_FAULTY_FLIP */
    unsigned bit;         /**< FIRN_FAULTY_FLIP: 0 to 7 */
    uint64_t nanoseconds; /**< FIRN_FAULTY_SLOW */
    bool really;          /**< FIRN_FAULTY_SLOW */
    firn_faulty_call_fn *call; /**< FIRN_FAULTY_CALL */
    void *arg;
};

/**
 * Adds a fault; `id` (may be NULL) gets its number, from 1. Of several that hit an operation, all
 * _SLOW and _CALL happen, and of the others the first added. FIRN_EINVAL, FIRN_ENOMEM.
 */
FIRN_API int firn_faulty_fail(struct firn_faulty *faulty, const struct firn_faulty_fault *fault,
                              int *id, struct firn_error *err);

/** Removes fault `id`; 0: all of them. */
FIRN_API void firn_faulty_clear(struct firn_faulty *faulty, int id);

/** How often fault `id` has hit. 0 for one that was removed. */
FIRN_API uint64_t firn_faulty_hits(struct firn_faulty *faulty, int id);

/** The kernel fails to write back all that is pending in a file: lost, and noted with its handles.
 * FIRN_ENOENT. */
FIRN_API int firn_faulty_lose(struct firn_faulty *faulty, const char *path, int code,
                              struct firn_error *err);

/** The kernel evicts all clean pages: reads see what is durable or pending. Makes lost,
 * misdirected,
 * ... writes visible without a crash. FIRN_ENOMEM. */
FIRN_API int firn_faulty_drop_caches(struct firn_faulty *faulty, struct firn_error *err);

/* ---- space, time, processes ------------------------------------------------------------- */

/** Bytes that all files together may take; UINT64_MAX (the default): no limit. */
FIRN_API void firn_faulty_set_capacity(struct firn_faulty *faulty, uint64_t bytes);

/** Bytes that a thin volume has; UINT64_MAX (the default): not thin. */
FIRN_API void firn_faulty_set_backing(struct firn_faulty *faulty, uint64_t bytes);

/** Sets a clock (it goes on from there). */
FIRN_API void firn_faulty_set_clock(struct firn_faulty *faulty, enum firn_clock clock, uint64_t ns);

/** Moves both clocks forward. */
FIRN_API void firn_faulty_advance(struct firn_faulty *faulty, uint64_t nanoseconds);

/**
 * Makes the process `id` (above 0, alive from then on) the current one: what is opened from now on
 * belongs to it, process_id returns it, firn_faulty_kill ends it. The first is 1000.
 */
FIRN_API void firn_faulty_set_process(struct firn_faulty *faulty, int64_t id);

/* ---- looking inside --------------------------------------------------------------------- */

enum firn_faulty_image {
    FIRN_FAULTY_CURRENT, /**< what reads see */
    FIRN_FAULTY_DURABLE, /**< what is certain to survive */
};

/** Reads a whole file into memory that the caller frees with free(). Not an operation: never fails
 * by plan, works while the power is off. FIRN_ENOENT, FIRN_ENOMEM. */
FIRN_API int firn_faulty_get(struct firn_faulty *faulty, const char *path,
                             enum firn_faulty_image image, void **bytes, size_t *size,
                             struct firn_error *err);

/** Replaces a file's bytes in both images (or creates it, its name durable), and drops what was
 * pending in it. Its directory must exist. Not an operation. FIRN_ENOENT, FIRN_ENOTDIR,
 * FIRN_ENOMEM.
 */
FIRN_API int firn_faulty_put(struct firn_faulty *faulty, const char *path, const void *bytes,
                             size_t size, struct firn_error *err);

/** Flips one bit in both images. FIRN_ENOENT, FIRN_ERANGE, FIRN_ENOMEM. */
FIRN_API int firn_faulty_flip_bit(struct firn_faulty *faulty, const char *path, uint64_t byte,
                                  unsigned bit, struct firn_error *err);

/** Makes everything durable, names and contents, lost data too. Not an operation. FIRN_ENOMEM. */
FIRN_API int firn_faulty_settle(struct firn_faulty *faulty, struct firn_error *err);

/** Called with each path; a non-zero result ends the walk and is returned. May not call back. */
typedef int firn_faulty_walk_fn(void *arg, const char *path, const struct firn_entry *entry);

/** All files, directories (before what is in them) and links of an image, by name. */
FIRN_API int firn_faulty_walk(struct firn_faulty *faulty, enum firn_faulty_image image,
                              firn_faulty_walk_fn *each, void *arg);

/** A number for the whole durable state (names, sizes, contents): equal states, equal numbers.
 * Fast: only pages written since the last time are read. */
FIRN_API uint64_t firn_faulty_hash(struct firn_faulty *faulty);

/** Called with a line of text, without newline; valid during the call. May not call back. */
typedef void firn_faulty_line_fn(void *arg, const char *line);

/**
 * The last operations, oldest first, such as "12: write events/0.log 1100 bytes at 0 durable" or
 * "-: read events/0.log 4096 bytes at 0: FIRN_EIO". The number is that among the mutating ones.
 */
FIRN_API void firn_faulty_trace(struct firn_faulty *faulty, firn_faulty_line_fn *each, void *arg);

/** All pending effects, by file and directory, in order. */
FIRN_API void firn_faulty_pending(struct firn_faulty *faulty, firn_faulty_line_fn *each, void *arg);

/** Where the current image differs from the durable one: names, sizes, ranges of bytes. */
FIRN_API void firn_faulty_differences(struct firn_faulty *faulty, firn_faulty_line_fn *each,
                                      void *arg);

/** What combination `which` keeps of the pending effects: for the report of a failing test. */
FIRN_API void firn_faulty_describe(struct firn_faulty *faulty, uint64_t which,
                                   firn_faulty_line_fn *each, void *arg);

#ifdef __cplusplus
}
#endif
#endif
