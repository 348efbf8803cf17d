/* SPDX-License-Identifier: MIT */
/** What a log keeps: retention. */
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

#ifdef __cplusplus
}
#endif
#endif
