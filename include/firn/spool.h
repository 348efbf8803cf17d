/* SPDX-License-Identifier: MIT */
/**
 * Streamed append: a record whose length nobody knows yet, in pieces, from anywhere.
 *
 * The pieces go to a file beside the segments and become part of the log when the record is
 * finished: it gets its index then, and nothing of it is seen before. Other appends are not held up
 * while a spool is open; memory is bounded however long the record gets (FIRN_SPOOL_BYTES). A crash
 * leaves nothing of a record that was not finished. Spools end before their log is closed.
 *
 * A spool belongs to one thread at a time; any number may be open on one log.
 */
#ifndef FIRN_SPOOL_H
#define FIRN_SPOOL_H

#include <firn/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_spool;

/** Bytes of memory that a spool takes at most. */
enum { FIRN_SPOOL_BYTES = 1024 * 1024 };

/**
 * Begins a record. `head` gives timestamp (0: the time at which it is finished), key and headers
 * (copied; NULL: none); its value is ignored. `limit`: most bytes of the value; 0: what is smaller
 * of the log's record limit, where one was set, and of what a segment holds: segment_bytes with
 * segment_overflow_bytes. A higher limit is lowered to that.
 * FIRN_EINVAL, FIRN_ETOOBIG (key and headers), FIRN_EREADONLY, FIRN_ENOMEM.
 */
FIRN_API int firn_spool_open(struct firn_log *log, const struct firn_record *head, uint64_t limit,
                             struct firn_spool **spool, struct firn_error *err);

/**
 * Adds bytes to the value. FIRN_ETOOBIG (beyond the limit), FIRN_ENOSPC, FIRN_EIO, FIRN_ENOMEM:
 * after any of them the spool can only be abandoned; the log is not harmed.
 */
FIRN_API int firn_spool_write(struct firn_spool *spool, const void *bytes, size_t size,
                              struct firn_error *err);

/**
 * Makes the record part of the log and releases the spool in any case. On success it is durable,
 * whatever the log's mode, and so is everything that was appended before. `options` and `appended`
 * may be NULL; `no_wait` is ignored. A record beyond FIRN_SPOOL_BYTES begins a segment of its own.
 *
 * FIRN_EMISMATCH (if_next), FIRN_ENOSPC, FIRN_ENOMEM, FIRN_EIO, FIRN_EAGAIN (refuse_when_full): the
 * record is not in the log. FIRN_EPOISONED: whether it is will be seen when the log is opened
 * again.
 */
FIRN_API int firn_spool_finish(struct firn_spool *spool, const struct firn_append_options *options,
                               struct firn_appended *appended, struct firn_error *err);

/** Releases the spool; nothing of the record remains. NULL is fine. */
FIRN_API void firn_spool_abandon(struct firn_spool *spool);

#ifdef __cplusplus
}
#endif
#endif
