/* SPDX-License-Identifier: MIT */
/** What a log keeps: retention, compaction by key, and repair. */
#ifndef FIRN_KEEP_H
#define FIRN_KEEP_H

#include <firn/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- retention -------------------------------------------------------------------------- */

/** What to keep; several limits: what any of them gives up goes. All zero keeps everything. */
struct firn_retention {
    uint64_t max_age_ms;   /**< since the append, by this machine's clock, to the second; 0: no
                                limit. After a crash, what was appended in the life that it ended
                                counts as appended when the log was opened again */
    uint64_t max_bytes;    /**< of store, by whole batches; 0: no limit */
    uint64_t max_records;  /**< 0: no limit */
    uint64_t before_index; /**< records below it go */
    bool keep_unread;      /**< what a named cursor (<firn/follow.h>) has not read stays, whatever
                                the limits say */
};

/** What a call of trim removed, or would remove. */
struct firn_trimmed {
    uint64_t first_index; /**< lowest one before */
    uint64_t next_index;  /**< lowest one after */
    uint64_t segments;    /**< whose space is freed */
    uint64_t bytes;       /**< that they have */
    char text[256];       /**< one sentence: what goes, and why; or what keeps it */
};

/**
 * Removes what is not to be kept: for readers exactly, and at once; the space of segments that held
 * nothing else is freed, also of the newest one. What is staged and not durable yet stays. With
 * `dry_run` nothing is changed. `trimmed` may be NULL. Durable on return. FIRN_EREADONLY (not for a
 * dry run), FIRN_EPOISONED, FIRN_EIO, FIRN_ENOMEM; with keep_unread, where the positions of cursors
 * can't be read or kept as they are for that long, what firn_log_commit_positions has: nothing is
 * removed then.
 */
FIRN_API int firn_log_trim(struct firn_log *log, const struct firn_retention *retention,
                           bool dry_run, struct firn_trimmed *trimmed, struct firn_error *err);

/**
 * From now on the background does so every `period_ms` (0: 60,000), the first time at once. NULL
 * ends it. It is the handle's, and not stored with the log. A removal that fails is tried again by
 * the next one. FIRN_EREADONLY, FIRN_ENOMEM.
 */
FIRN_API int firn_log_set_retention(struct firn_log *log, const struct firn_retention *retention,
                                    uint64_t period_ms, struct firn_error *err);

/* ---- compaction ------------------------------------------------------------------------- */

/** All zero is sensible. */
struct firn_compaction {
    uint64_t tombstone_delay_ms; /**< a tombstone, a record with a key and no value, stays so long
                                      after its append, by this machine's clock (as max_age_ms of
                                      retention), so that readers get to see it; 0: 24 hours */
    uint64_t memory_bytes;       /**< for keys, 32 bytes each, however long they are; where there
                                      are more, all is read several times; 0: 16 MiB */
};

/** What a compaction did. */
struct firn_compacted {
    uint64_t segments;   /**< written anew */
    uint64_t passes;     /**< over the log, since not all keys went into memory at once */
    uint64_t records;    /**< removed */
    uint64_t tombstones; /**< of these: such that were the last record of their key */
    uint64_t bytes;      /**< of store that were freed */
};

/**
 * Of the records with the same key only the last one stays, among those in finished segments: the
 * segment that is written to is not looked at. Records without key stay. Indexes do not change:
 * cursors pass over those of records that went, and firn_log_read says FIRN_ENOENT for them.
 * Readers and writers go on meanwhile; a crash leaves each segment as it was or as it is to be.
 * Segments that are damaged stay as they are, and so do single batches: transactional and control
 * batches of other programs, batches that this build can't unpack, and of more than 16 MiB if they
 * are compressed or some of their records are to stay.
 *
 * `options` and `compacted` may be NULL. Durable on return. FIRN_EREADONLY, FIRN_EPOISONED,
 * FIRN_ENOSPC (needs room for a copy of one segment; nothing is lost), FIRN_EBUSY (the log is
 * truncated all the time), FIRN_EIO (also if a segment could not be read: the others are done),
 * FIRN_ENOMEM.
 */
FIRN_API int firn_log_compact(struct firn_log *log, const struct firn_compaction *options,
                              struct firn_compacted *compacted, struct firn_error *err);

/**
 * From now on the background does so every `period_ms` (0: 60,000), the first time at once, if
 * there is anything new. NULL ends it. It is the handle's, and not stored with the log. What fails
 * is tried again by the next one. FIRN_EREADONLY.
 */
FIRN_API int firn_log_set_compaction(struct firn_log *log, const struct firn_compaction *options,
                                     uint64_t period_ms, struct firn_error *err);

/* ---- repair ----------------------------------------------------------------------------- */

/** What a repair did. */
struct firn_repaired {
    uint64_t ranges;  /**< damaged ranges of the store that were closed */
    uint64_t records; /**< indexes that are lost with them */
    uint64_t bytes;   /**< copied aside */
    uint64_t files;   /**< of other kinds (indexes, append times, checkpoint) made anew */
};

/**
 * Puts right what firn_log_verify finds. Segments with damaged ranges are written anew: the damaged
 * bytes are copied aside before, never deleted, to files damaged-SEGMENT-OFFSET-N.bin in the log's
 * directory, and an empty batch takes the place of the records that are lost: cursors pass over
 * them, and firn_log_read says FIRN_ENOENT. Where the first segments are missing, the log begins
 * behind them. The next append begins a new segment. What is derived is made anew.
 *
 * `each` (may be NULL) is told of every finding before anything is changed; a non-zero result ends
 * the repair, which has changed nothing then, and is returned. (To learn what a repair would do,
 * call firn_log_verify.) `repaired` may be NULL. A crash leaves each segment as it was or repaired:
 * repair it again. Readers and writers go on meanwhile.
 *
 * Durable on return. FIRN_EIO (also if something can't be read now, and may be later: it is left,
 * the rest is repaired), FIRN_ENOSPC (needs room for a copy of one segment; nothing is lost),
 * FIRN_ETOOBIG (so many records are missing that no segment can stand for them: they are left),
 * FIRN_EREADONLY, FIRN_EPOISONED, FIRN_ENOMEM, and what firn_log_commit_positions has, if the named
 * cursors are damaged.
 */
FIRN_API int firn_log_repair(struct firn_log *log, firn_finding_fn *each, void *arg,
                             struct firn_repaired *repaired, struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
