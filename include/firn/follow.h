/* SPDX-License-Identifier: MIT */
/**
 * Following a log: being woken when there is more, in this process or in another, and remembering
 * durably how far one has read.
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
 * the caller to look: the end was truncated, a segment compacted or repaired, or a writer came
 * back. FIRN_ETIMEDOUT, FIRN_ECLOSED
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

struct firn_watch;

/**
 * A descriptor for event loops. It is readable while the log holds a durable record at or above the
 * watch's index, and when waiting would end with an error (firn_log_wait says which). The caller
 * polls it and neither reads nor closes it. Several may be open on a handle; each has a thread.
 * FIRN_ENOTSUP (the storage has no descriptors), FIRN_ENOMEM, FIRN_EMFILE, FIRN_EAGAIN (no thread
 * to be had).
 */
FIRN_API int firn_watch_open(struct firn_log *log, uint64_t index, struct firn_watch **watch,
                             int *fd, struct firn_error *err);

/**
 * Sets the index: usually the next one to read, when a cursor has met the end. From then on the
 * descriptor tells of that one. Any thread.
 */
FIRN_API void firn_watch_set(struct firn_watch *watch, uint64_t index);

/** Closes the descriptor. Before the log is closed. NULL is fine. */
FIRN_API void firn_watch_close(struct firn_watch *watch);

/** Who writes, for those who show it. */
struct firn_writer_info {
    bool alive;          /**< a process has the log open for writing */
    int64_t process_id;  /**< 0: none, or unknown */
    uint32_t generation; /**< of the last life that wrote */
};

/** What is known of the writer, of this process or of another one. Never fails. */
FIRN_API void firn_log_get_writer(struct firn_log *log, struct firn_writer_info *info);

/* ---- named cursors ---------------------------------------------------------------------- */

/** Letters, digits, '.', '_' and '-'; not beginning with '.'; at most so many bytes. */
enum { FIRN_CURSOR_NAME_MAX = 100 };

/** A durable position of a reader: everything below `index` was read. */
struct firn_position {
    const char *name;
    uint64_t index;
    uint32_t generation; /**< to store: firn_cursor_generation of the cursor that read up to
                            `index`; with it a truncation shows that nobody had noticed yet. 0: what
                            the log holds below `index` now was read. Reads set 0 */
    bool clamped;        /**< set by reads: a truncation took it back to `index`, also if the log
                              has grown again since. A damaged range before it may do so too */
};

/**
 * Stores positions durably, all of them with one sync, and all of them or none; creates those that
 * are new. Calls of several threads share syncs; those of several processes take turns. Any handle
 * may, also one that only follows, if its user may write to the directory. A log has at most 10,000
 * cursors, and a commit writes all of them.
 *
 * FIRN_EINVAL (a name), FIRN_ERANGE (an index above the next durable one), FIRN_ETOOBIG (too many
 * cursors), FIRN_ENOSPC, FIRN_EACCES, FIRN_EREADONLY (the file system), FIRN_ELOCKED (another
 * process does not come to an end), FIRN_EDAMAGED (the stored ones can't be told: the message says
 * what to do), FIRN_EFORMAT, FIRN_ENOENT (the log was destroyed), FIRN_EPOISONED, FIRN_EIO,
 * FIRN_ENOMEM. After FIRN_EIO either the old or the new positions may be there.
 */
FIRN_API int firn_log_commit_positions(struct firn_log *log, const struct firn_position *positions,
                                       size_t count, struct firn_error *err);

/**
 * Reads one; `position->name` is `name`. FIRN_EINVAL, FIRN_ENOENT, FIRN_EDAMAGED, FIRN_EFORMAT,
 * FIRN_EIO, FIRN_ENOMEM.
 */
FIRN_API int firn_log_get_position(struct firn_log *log, const char *name,
                                   struct firn_position *position, struct firn_error *err);

/** Durable on return. FIRN_ENOENT (no such cursor), and what commit has. */
FIRN_API int firn_log_remove_position(struct firn_log *log, const char *name,
                                      struct firn_error *err);

/** Called for each, in the order of names; valid during the call. A non-zero result ends the list.
 */
typedef int firn_position_fn(void *arg, const struct firn_position *position);

/** All of them, as they were at one moment. What `each` returned, or an error of get. */
FIRN_API int firn_log_list_positions(struct firn_log *log, firn_position_fn *each, void *arg,
                                     struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
