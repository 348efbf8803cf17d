/* SPDX-License-Identifier: MIT */
/**
 * Whole batches: appended as a client built them, read as they lie in the store, copied to another
 * log, exchanged with Kafka. The format is Kafka's record batch, magic 2 (docs/formats.md).
 */
#ifndef FIRN_TRANSFER_H
#define FIRN_TRANSFER_H

#include <firn/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Appends one batch that a client built, as an atomic group. Length, magic, checksum and counts are
 * checked; of an uncompressed batch, each record's structure and size too. Base index and leader
 * epoch are set in the copy that goes to the log; the rest stays as it is, unless the batch has
 * neither producer id nor sequence: then firn's own mark (docs/formats.md) and checksum go there if
 * its base sequence is not negative. Otherwise like firn_log_append.
 *
 * FIRN_EDAMAGED (it does not check), FIRN_ENOTSUP (an older magic, unknown compression), and what
 * firn_log_append returns. The caller keeps `batch`.
 */
FIRN_API int firn_log_append_batch(struct firn_log *log, const void *batch, size_t size,
                                   const struct firn_append_options *options,
                                   struct firn_appended *appended, struct firn_error *err);

/** A run of whole batches. */
struct firn_batches {
    uint64_t
        first_index;     /**< base index of the first one: the one that holds the index asked for */
    uint64_t next_index; /**< behind the last one */
    size_t bytes;
};

/**
 * Reads durable batches from the one that holds `index` on: as many whole ones as fit into `size`
 * bytes, each checked. Where a damaged range follows, it ends before it.
 *
 * FIRN_ETOOBIG: not even one fits; `batches->bytes` says how many it takes, all else is as it was.
 * FIRN_EEND (nothing yet at `index`, or behind), FIRN_ERANGE (removed), FIRN_EDAMAGED, FIRN_EIO,
 * FIRN_ENOMEM.
 */
FIRN_API int firn_log_read_batches(struct firn_log *log, uint64_t index, void *buffer, size_t size,
                                   struct firn_batches *batches, struct firn_error *err);

/** The same bytes where they lie, for a copy that does not pass through memory. */
struct firn_range {
    int fd;          /**< of the segment's file, open for reading; -1 where the storage has none */
    uint64_t offset; /**< in it, bytes */
    uint64_t length; /**< bytes; only the first batch's checksum was looked at */
    uint64_t first_index; /**< base index of the first batch, which holds the index asked for */
    uint64_t next_index;  /**< behind the last one */
    void *held;           /**< keeps `fd` open */
};

/**
 * Finds them, in one segment: as many whole batches as take `most` bytes, and at least one. The
 * caller releases the range. Until then `fd` stays open and the bytes are there, also if they are
 * removed from the log; if the log is truncated, the file may end early or hold what was appended
 * since. Errors as above, but for FIRN_ETOOBIG.
 */
FIRN_API int firn_log_find_batches(struct firn_log *log, uint64_t index, uint64_t most,
                                   struct firn_range *range, struct firn_error *err);

/** Releases a range. NULL is fine. */
FIRN_API void firn_range_release(struct firn_range *range);

/* ---- copies ----------------------------------------------------------------------------- */

/** What was done so far; told now and then, and at the end. */
struct firn_transferred {
    uint64_t next_index;  /**< everything below is there, durably */
    uint64_t end_index;   /**< where it will end; 0: not known */
    uint64_t records;     /**< of this call */
    uint64_t bytes;       /**< of their batches */
    uint64_t ranges_lost; /**< damaged ranges that were passed over */
};

/** Called from the thread that transfers. Other than 0: it ends, with that as its result. */
typedef int firn_progress_fn(void *arg, const struct firn_transferred *so_far);

/**
 * Copies what the log holds when the call begins to `dir`, on the same storage: a new directory, or
 * an earlier copy of this log, also an unfinished one, which is gone on with. Indexes, times and
 * batches stay; damaged ranges become empty batches and are counted. The log may be written
 * meanwhile; records that retention removes meanwhile are left out. The copy is a log, and durable
 * on return. `progress` and `transferred` may be NULL.
 *
 * FIRN_EMISMATCH (`dir` holds another log, or more than this one), FIRN_ERANGE (the log was
 * truncated meanwhile), FIRN_ELOCKED, FIRN_EFORMAT, FIRN_ENOSPC, FIRN_EIO, FIRN_ENOMEM. What was
 * copied stays.
 */
FIRN_API int firn_log_copy(struct firn_log *log, const char *dir, firn_progress_fn *progress,
                           void *arg, struct firn_transferred *transferred, struct firn_error *err);

/**
 * Appends all batches of a directory of Kafka's segments, a partition's, magic 2. A log that holds
 * nothing takes over their indexes; else they must begin at the next index. Gaps become empty
 * batches. What it appended is durable on return. The log must not be appended to meanwhile.
 *
 * FIRN_EMISMATCH (indexes), FIRN_EDAMAGED (the message names file and offset; what came before it
 * is in the log), FIRN_ENOTSUP (magic 0 or 1), FIRN_ENOENT (no segments), and what appends return.
 */
FIRN_API int firn_log_import(struct firn_log *log, const char *dir, firn_progress_fn *progress,
                             void *arg, struct firn_transferred *transferred,
                             struct firn_error *err);

/**
 * Writes the records from index `from` on (below the lowest: that one) as a directory of Kafka's
 * segments with indexes, which must not exist, or be empty. The first batch may hold records before
 * `from`. Durable on return; otherwise like firn_log_copy. FIRN_EEXIST, FIRN_ERANGE (`from`).
 */
FIRN_API int firn_log_export(struct firn_log *log, const char *dir, uint64_t from,
                             firn_progress_fn *progress, void *arg,
                             struct firn_transferred *transferred, struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
