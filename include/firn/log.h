/* SPDX-License-Identifier: MIT */
/**
 * The log: records that keep their order and stay where they were put.
 *
 * A log is a directory. Records get indexes 0, 1, 2, ... as they are appended; they are read by
 * index, forwards or backwards; the end can be truncated and the beginning removed. One handle at
 * a time writes (across processes); any number read.
 *
 * Durability. An append hands its records to the current group and gets the group's epoch; once
 * that epoch is durable, they are on stable storage. When that happens is the mode's business:
 * FIRN_DURABILITY_EACH waits for it before append returns, FIRN_DURABILITY_GROUP leaves it to the
 * background thread, FIRN_DURABILITY_OS to firn_log_flush, firn_log_wait_epoch and close.
 *
 * After a failed write or sync the log is poisoned: every later append, wait and flush returns
 * FIRN_EPOISONED with the first cause, and nothing more is reported durable. Close it and open it
 * again to learn what is really there. A full disk does not poison: append returns FIRN_ENOSPC
 * before it has given out an index, and works again when there is room.
 *
 * Threads. Every call of a log may be made from any thread at any time, save close and destroy,
 * which must be the last. A cursor belongs to one thread at a time. Reading takes no lock and never
 * waits for a write or a sync in progress.
 */
#ifndef FIRN_LOG_H
#define FIRN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/disk.h>
#include <firn/env.h>
#include <firn/error.h>
#include <firn/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_log;
struct firn_cursor;

/* ---- options ---------------------------------------------------------------------------- */

enum firn_durability {
    FIRN_DURABILITY_EACH = 0, /**< append returns when its records are durable */
    FIRN_DURABILITY_GROUP,    /**< durable in the background, group_delay_us or group_bytes later */
    FIRN_DURABILITY_OS,       /**< durable when asked, and at close */
};

/** For firn_log_options.cached_indexes. */
#define FIRN_INDEXES_ALL UINT32_MAX
#define FIRN_INDEXES_NONE (UINT32_MAX - 1)

/** How batches are compressed; the numbers are those of the format. */
enum firn_compression {
    FIRN_COMPRESSION_NONE = 0,
    FIRN_COMPRESSION_GZIP = 1,   /**< read only */
    FIRN_COMPRESSION_SNAPPY = 2, /**< read only */
    FIRN_COMPRESSION_LZ4 = 3,
    FIRN_COMPRESSION_ZSTD = 4,
};

/** All zero is the sensible default. firn_log_open copies it. */
struct firn_log_options {
    struct firn_disk *disk; /**< where the log lives; NULL: firn_disk_posix(). Outlives the log. */
    struct firn_env *env;   /**< background thread and buffers; NULL: its own. Outlives the log. */
    bool read_only;         /**< never writes, takes no lock: sees the log as it is at open */
    bool must_exist;        /**< FIRN_ENOENT where there is no log, instead of creating one */
    bool refuse_when_full;  /**< no free buffer: FIRN_EAGAIN from append, instead of waiting */
    enum firn_durability durability;
    uint64_t group_delay_us; /**< the background begins at most this late to make records durable
                                  (FIRN_DURABILITY_OS: to hand them to the system); 0: 10,000 */
    uint64_t group_bytes;    /**< ... or once so many bytes are staged; 0: 1 MiB */
    uint64_t segment_bytes;  /**< most bytes in a segment; 0: 128 MiB; 256 to 2^31 - 1 */
    uint64_t record_bytes;   /**< most bytes of a record's key, value and headers; 0: as many as
                                  segment and pool allow: the smaller of segment_bytes with
                                  segment_overflow_bytes and of half of the environment's
                                  pool_bytes, less 1 KiB and what a pool's buffers need
                                  themselves, 0.2 % */
    uint64_t first_index;    /**< index of the first record of a log that is created; opening a log
                                  that holds a lower one is an error, FIRN_ERANGE */
    uint64_t segment_overflow_bytes; /**< so far beyond segment_bytes one append may go, the next
                                          one begins a new segment; both together at most
                                          2^31 - 1; 0: none */
    uint32_t cached_indexes; /**< segments whose index stays in memory (0.4 % of their bytes), those
                                  go first that cursors used longest ago; 0: 64;
                                  FIRN_INDEXES_ALL, FIRN_INDEXES_NONE. The one that is written to
                                  always stays */
    uint64_t segment_records; /**< most indexes of a segment; 0: 2^31 - 1. A new one is begun when
                                   any of the limits is reached */
    enum firn_compression compression; /**< of records that are appended together, and of single
                                            ones of 1 KiB and more, where it makes them smaller; may
                                            differ from one opening to the next. FIRN_ENOTSUP from
                                            open where firn was built without it */
    int compression_level;             /**< the library's own scale; 0: its default */
};

/* ---- records ---------------------------------------------------------------------------- */

/** Bytes that someone else owns. `data` NULL means "none", which is not the same as empty. */
struct firn_slice {
    const void *data;
    size_t size;
};

struct firn_header {
    struct firn_slice key; /**< may be empty, not none */
    struct firn_slice value;
};

/** A record. When it is appended, the caller owns what it points to, until the call returns. */
struct firn_record {
    uint64_t index;    /**< set by reads; ignored by appends */
    int64_t timestamp; /**< ms since 1970-01-01 UTC; append: 0 means now */
    struct firn_slice key;
    struct firn_slice value;
    const struct firn_header *headers;
    size_t header_count;
};

/* ---- open and close --------------------------------------------------------------------- */

/**
 * Opens the log in directory `dir`, or creates it (the directory too, with its parents).
 * `options` may be NULL. After a crash it recovers: what was acknowledged is kept and made durable
 * anew, a torn tail is copied aside and cut, damage is kept and reported (firn_log_get_recovery).
 *
 * Errors: FIRN_EINVAL (options), FIRN_ENOENT, FIRN_ENOTDIR, FIRN_EACCES, FIRN_ELOCKED (another
 * writer; the message names its pid), FIRN_ERANGE (holds records below first_index), FIRN_ENOTSUP
 * (compression that is not there), FIRN_EFORMAT
 * (not a log, or of a later version), FIRN_EDAMAGED (no way to tell what the log holds),
 * FIRN_ENOSPC, FIRN_EIO, FIRN_ENOMEM, FIRN_EMFILE.
 */
FIRN_API int firn_log_open(const char *dir, const struct firn_log_options *options,
                           struct firn_log **log, struct firn_error *err);

/**
 * Makes everything durable, leaves the clean marker and releases the handle in any case. Cursors
 * must be closed before. The result says whether all is durable: FIRN_EPOISONED, FIRN_EIO,
 * FIRN_ENOSPC otherwise. NULL is fine.
 */
FIRN_API int firn_log_close(struct firn_log *log, struct firn_error *err);

/** Closes the log and removes its files and, if nothing else is in it, the directory. */
FIRN_API int firn_log_destroy(struct firn_log *log, struct firn_error *err);

/* ---- append ----------------------------------------------------------------------------- */

/** All zero is the sensible default. */
struct firn_append_options {
    bool no_wait; /**< return when staged, whatever the log's mode */
    bool if_next; /**< append only if the first record gets the index `next_index` */
    uint64_t next_index;
};

/** Where records went. */
struct firn_appended {
    uint64_t index; /**< of the first one; the others follow */
    uint64_t epoch; /**< when it is durable, they are */
};

/**
 * Appends `count` records as one atomic group: after a crash all of them are there or none.
 * `options` and `appended` may be NULL. On return: durable in FIRN_DURABILITY_EACH, unless
 * `no_wait`; staged otherwise.
 *
 * Errors, all before an index is given out unless marked (*): FIRN_EINVAL (count 0, a header
 * without key), FIRN_ETOOBIG (a record beyond the record limit, or a group that fits neither a
 * segment nor half of the pool), FIRN_EMISMATCH (if_next), FIRN_EAGAIN (refuse_when_full),
 * FIRN_ENOSPC, FIRN_EREADONLY, FIRN_ENOMEM, FIRN_EIO (a segment could not be created),
 * FIRN_EPOISONED (*: with `appended` set if the group was staged and could not be made durable).
 */
FIRN_API int firn_log_append(struct firn_log *log, const struct firn_record *records, size_t count,
                             const struct firn_append_options *options,
                             struct firn_appended *appended, struct firn_error *err);

/**
 * Waits until `epoch` is durable, at most `timeout_us` microseconds (0: only looks). The waiter
 * itself writes and syncs where nobody does yet and there is no time-out.
 * FIRN_EINVAL (an epoch that was never given out), FIRN_ETIMEDOUT, FIRN_EPOISONED.
 */
FIRN_API int firn_log_wait_epoch(struct firn_log *log, uint64_t epoch, uint64_t timeout_us,
                                 struct firn_error *err);

/**
 * Prepares space for the next `bytes` bytes of store, at most to the end of the current segment:
 * reserved and zeroed, so that appends into it neither wait for space nor change metadata. The log
 * does so by itself, a little ahead of those who wait for durability; this is for who needs much at
 * once, or before the first append. FIRN_ENOSPC, FIRN_EIO, FIRN_EREADONLY, FIRN_EPOISONED; none of
 * them harms the log.
 */
FIRN_API int firn_log_prepare(struct firn_log *log, uint64_t bytes, struct firn_error *err);

/** Makes everything that is staged durable. FIRN_EPOISONED, FIRN_EREADONLY. */
FIRN_API int firn_log_flush(struct firn_log *log, struct firn_error *err);

/* ---- read ------------------------------------------------------------------------------- */

/**
 * Reads the durable record `index` into memory that the caller frees with firn_record_free.
 * FIRN_ERANGE (not held), FIRN_ENOENT (held once; compaction, or the repair of damage, took it),
 * FIRN_EDAMAGED, FIRN_EIO, FIRN_ENOMEM.
 */
FIRN_API int firn_log_read(struct firn_log *log, uint64_t index, struct firn_record **record,
                           struct firn_error *err);

/** Releases a record that firn_log_read gave. NULL is fine. */
FIRN_API void firn_record_free(struct firn_record *record);

/** All zero is the whole log, from its lowest record on, as far as it is durable. */
struct firn_cursor_options {
    uint64_t from;        /**< first index; below the lowest held one: the lowest */
    uint64_t to;          /**< one behind the last index; 0: no limit */
    bool at_end;          /**< start behind the last record of the range, to go backwards */
    bool staged;          /**< also what is staged and not durable yet; takes a short lock there */
    uint64_t value_bytes; /**< longest value that comes with its record; longer ones have `data`
                             NULL and their size: firn_cursor_read_value gives them in pieces.
                             Memory is bounded then, save for keys, headers and compressed batches.
                             0: no limit */
};

/**
 * Opens a cursor: a place between two records of a range. FIRN_EINVAL (to below from), FIRN_ENOMEM.
 */
FIRN_API int firn_cursor_open(struct firn_log *log, const struct firn_cursor_options *options,
                              struct firn_cursor **cursor, struct firn_error *err);

/** Releases a cursor. NULL is fine. */
FIRN_API void firn_cursor_close(struct firn_cursor *cursor);

/**
 * The record behind (next) or before (prev) the cursor's place, which moves over it. `*record`
 * points into the cursor and is valid until its next call.
 *
 * FIRN_EEND: none there; with `to` 0, later calls see what was appended since. FIRN_ERANGE: the
 * beginning was removed, or the end truncated, past the place: seek. FIRN_EDAMAGED: a damaged range
 * begins there (firn_cursor_hole, firn_cursor_skip). FIRN_ENOTSUP, FIRN_ETOOBIG: a batch that this
 * build of firn can't unpack, or only to more than 256 MiB, begins there (hole and skip work as for
 * damage). FIRN_EIO, FIRN_ENOMEM. None moves the place.
 */
FIRN_API int firn_cursor_next(struct firn_cursor *cursor, const struct firn_record **record,
                              struct firn_error *err);
FIRN_API int firn_cursor_prev(struct firn_cursor *cursor, const struct firn_record **record,
                              struct firn_error *err);

/**
 * Reads up to `size` bytes of the value of the record that next or prev has just given, from
 * `offset` on; `*got` is less only at its end. All of the record's batch was checked before it was
 * given. FIRN_EINVAL (no record was given), FIRN_ERANGE (`offset` behind the end; the record was
 * truncated meanwhile), FIRN_EIO.
 */
FIRN_API int firn_cursor_read_value(struct firn_cursor *cursor, uint64_t offset, void *buffer,
                                    size_t size, size_t *got, struct firn_error *err);

/** Moves to just before `index`, within the cursor's range and the log. FIRN_ERANGE. */
FIRN_API int firn_cursor_seek(struct firn_cursor *cursor, uint64_t index, struct firn_error *err);

/**
 * After FIRN_ERANGE: moves to the first record that this cursor has not given: the lowest one,
 * where the beginning was removed; the first one that was appended behind the cut, where the end
 * was truncated, also if it has grown again since. For cursors that go forwards. FIRN_ERANGE (cut
 * again: call it again), FIRN_EIO, FIRN_ENOMEM.
 */
FIRN_API int firn_cursor_rejoin(struct firn_cursor *cursor, struct firn_error *err);

/** Index of the record behind the place. */
FIRN_API uint64_t firn_cursor_index(const struct firn_cursor *cursor);

/**
 * Generation of the record that the last call gave: for firn_log_commit_positions, <firn/follow.h>.
 * 0: none since the cursor was opened or moved.
 */
FIRN_API uint32_t firn_cursor_generation(const struct firn_cursor *cursor);

/** A range that is damaged: its records can't be read. */
struct firn_hole {
    uint64_t first_index; /**< first index that is lost */
    uint64_t next_index;  /**< first index behind the hole */
    uint64_t segment;     /**< base index of the segment, the name of its file */
    uint64_t offset;      /**< where in the file, in bytes */
    uint64_t length;      /**< bytes */
};

/** After FIRN_EDAMAGED: what is damaged. FIRN_EINVAL if the cursor did not meet a hole. */
FIRN_API int firn_cursor_hole(const struct firn_cursor *cursor, struct firn_hole *hole);

/** After FIRN_EDAMAGED: moves over the hole, in the direction of the call that met it. */
FIRN_API int firn_cursor_skip(struct firn_cursor *cursor);

/**
 * Finds the first durable record held whose timestamp is `time` (ms since 1970) or later;
 * `*index` is the next index if there is none. Damaged ranges are passed over. FIRN_ERANGE (it was
 * truncated meanwhile), FIRN_EIO, FIRN_ENOMEM.
 */
FIRN_API int firn_log_find_time(struct firn_log *log, int64_t time, uint64_t *index,
                                struct firn_error *err);

/* ---- change ----------------------------------------------------------------------------- */

/**
 * Removes all records from `index` on; the next append gets `index`. Durable on return. Appends
 * wait meanwhile. FIRN_ERANGE (below the lowest index or above the next one), FIRN_EPOISONED,
 * FIRN_EREADONLY, FIRN_EIO.
 */
FIRN_API int firn_log_truncate(struct firn_log *log, uint64_t index, struct firn_error *err);

/**
 * Removes all records below `index`, at once for readers; their segments' space is freed where a
 * whole segment lies below. Durable on return. FIRN_ERANGE (above the next index; an index at or
 * below the lowest one is fine and does nothing), FIRN_EPOISONED, FIRN_EREADONLY, FIRN_EIO.
 */
FIRN_API int firn_log_remove_before(struct firn_log *log, uint64_t index, struct firn_error *err);

/* ---- look ------------------------------------------------------------------------------- */

/** What a log holds. */
struct firn_log_info {
    uint64_t lowest_index; /**< of the first record held; next_index if there is none */
    uint64_t next_index;   /**< one above the last durable record */
    uint64_t staged_index; /**< one above the last staged record */
    uint64_t bytes;        /**< of durable batches in the store */
    uint64_t segments;
    uint64_t damaged_ranges; /**< holes that are known so far */
    int64_t first_timestamp; /**< of the first record held; 0 if there is none */
    int64_t last_timestamp;  /**< highest one in the last batch; 0 if there is none */
    uint32_t generation;     /**< leader epoch: raised by each life that writes */
    bool writable;
};

/**
 * What the log holds now. FIRN_EIO and FIRN_EDAMAGED where the times could not be read; all else is
 * filled in then too.
 */
FIRN_API int firn_log_get_info(struct firn_log *log, struct firn_log_info *info,
                               struct firn_error *err);

/** What opening found and did. */
struct firn_recovery {
    bool created;             /**< there was no log */
    bool clean;               /**< it had been closed cleanly; nothing was scanned */
    bool truncation_finished; /**< a truncation that a crash had interrupted was completed */
    uint64_t scanned_bytes;   /**< read behind the last checkpoint */
    uint64_t rewritten_bytes; /**< of them kept, and written durably anew */
    uint64_t kept_records;    /**< found behind the last checkpoint */
    uint64_t cut_bytes;       /**< non-zero bytes of a torn tail, copied aside and zeroed */
    uint64_t damaged_ranges;  /**< holes found */
    uint64_t damaged_bytes;
    uint64_t indexes_rebuilt; /**< sparse indexes that were missing or wrong */
    char text[256];           /**< one sentence for people */
};

/** What opening the log found and did. Never fails. */
FIRN_API void firn_log_get_recovery(struct firn_log *log, struct firn_recovery *recovery);

/** Group commit's figures. */
FIRN_API void firn_log_get_commit_stats(struct firn_log *log, struct firn_commit_stats *stats);

/** What a handle has done since it was opened. Group commit's figures stand in
    firn_commit_stats. */
struct firn_log_stats {
    uint64_t appends;           /**< calls that staged something, */
    uint64_t records;           /**< the records, and */
    uint64_t bytes;             /**< the bytes of store that they took */
    uint64_t refused_for_space; /**< appends refused, since no space was to be had */
    uint64_t rotations;         /**< segments begun */
    uint64_t truncations;
    uint64_t removals;         /**< of the beginning, those of trims included */
    uint64_t trims;            /**< retention carried out */
    uint64_t segments_removed; /**< from the beginning */
    uint64_t batches_read;     /**< from the store, each checked, */
    uint64_t bytes_read;       /**< and their bytes */
    uint64_t damaged_reads;    /**< reads that met damage, or bytes that can't be read */
    uint64_t indexes;          /**< in memory now, beside the writer's */
    uint64_t index_loads;
    uint64_t index_evictions;
    uint64_t index_rebuilds; /**< loads that found none, or a wrong one, and read the segment */
    uint64_t open_files;     /**< of segments, now */
    uint64_t file_opens;
    uint64_t file_evictions; /**< closed since too many were open */
    uint64_t refreshes;      /**< of a follower: what the writer published was taken over */
    uint64_t sleeps;         /**< of firn_log_wait and of watches, until there was something new */
    uint64_t position_commits; /**< calls that stored positions of named cursors, or removed one, */
    uint64_t position_stores;  /**< and how often they were written: fewer where calls shared it */
    uint64_t checkpoints;
    struct firn_histogram settle_ns; /**< background work that stores indexes and a checkpoint */
};

/** What the handle has done. Never fails. Any thread. */
FIRN_API void firn_log_get_stats(struct firn_log *log, struct firn_log_stats *stats);

/** Something that verify found. */
struct firn_finding {
    int code;             /**< FIRN_EDAMAGED, FIRN_EIO, ... */
    const char *file;     /**< name in the log's directory */
    uint64_t offset;      /**< in that file */
    uint64_t length;      /**< 0 where unknown */
    uint64_t first_index; /**< records that can't be read: [first_index, next_index) */
    uint64_t next_index;  /**< the same as first_index where no record is lost */
    const char *text;     /**< one sentence */
};

/** Called for each finding; valid during the call. A non-zero result ends verify. */
typedef int firn_finding_fn(void *arg, const struct firn_finding *finding);

struct firn_verify_stats {
    uint64_t segments;
    uint64_t batches;
    uint64_t records;
    uint64_t bytes;
    uint64_t findings;
};

/**
 * Reads and checks every durable byte: checksums, order, every record's structure, indexes,
 * checkpoint. `each` and `stats` may be NULL. 0: all is well; FIRN_EDAMAGED: there were findings;
 * otherwise what `each` returned, or FIRN_ENOMEM. May run beside appends.
 */
FIRN_API int firn_log_verify(struct firn_log *log, firn_finding_fn *each, void *arg,
                             struct firn_verify_stats *stats, struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
