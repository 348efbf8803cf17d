/* SPDX-License-Identifier: MIT */
/**
 * Whole batches: appended as a client built them, and read as they lie in the store. The format is
 * Kafka's record batch, magic 2 (docs/formats.md).
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

#ifdef __cplusplus
}
#endif
#endif
