/* SPDX-License-Identifier: MIT */
/**
 * Following a log: being woken when there is more, in this process or in another.
 *
 * A handle that was opened read-only while a writer has the log sees what the writer makes durable,
 * and notices truncation, removal of the beginning and rotation, the writer's end and its return.
 * Nobody polls: a writer wakes those who wait (on systems without a futex, within 2 ms).
 */
#ifndef FIRN_FOLLOW_H
#define FIRN_FOLLOW_H

#include <firn/log.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- waiting ---------------------------------------------------------------------------- */

/**
 * Waits until the record `index` is durable, at most `timeout_us` microseconds (0: only looks;
 * FIRN_FOREVER). It goes on waiting where the writer ends, since another one may come. Also 0, for
 * the caller to look: the end was truncated, or a writer came back. FIRN_ETIMEDOUT, FIRN_ECLOSED
 * (firn_log_interrupt), FIRN_EPOISONED (this handle writes, and can no more).
 */
FIRN_API int firn_log_wait(struct firn_log *log, uint64_t index, uint64_t timeout_us,
                           struct firn_error *err);

/**
 * Ends every wait of this handle, now and from now on, with FIRN_ECLOSED: so that threads that wait
 * can be joined before the log is closed. A wait that was just about to sleep may end 0.1 s later.
 * Async-signal-safe.
 */
FIRN_API void firn_log_interrupt(struct firn_log *log);

/** Who writes, for those who show it. */
struct firn_writer_info {
    bool alive;          /**< a process has the log open for writing */
    int64_t process_id;  /**< 0: none, or unknown */
    uint32_t generation; /**< of the last life that wrote */
};

/** What is known of the writer, of this process or of another one. Never fails. */
FIRN_API void firn_log_get_writer(struct firn_log *log, struct firn_writer_info *info);

#ifdef __cplusplus
}
#endif
#endif
