/* SPDX-License-Identifier: MIT */
/**
 * The stream: bytes, appended at one end and let go at the other, in memory and on blocks
 * (<firn/blocks.h>).
 *
 * A stream stands on an allocator of blocks. Each run of blocks that it gives holds one `part` of
 * the stream; growing allocates one, and parts that nobody needs any more are released. Every block
 * has a checksum. What the blocks hold is described in docs/formats.md, and shared with another
 * implementation.
 *
 * Positions count bytes, from the first one that is there when the stream is opened: that is 0.
 * They grow with every append, and do not change while parts are released. The stream's `offset` is
 * the position where readers begin; it only moves forward, and is not stored: after a restart the
 * program finds it again (firn_stream_find, or reading and firn_stream_advance).
 *
 * Durability. An append copies its bytes into memory; syncing it brings them to stable storage, and
 * only then do readers see them. After a crash each append is there wholly or not at all: wholly,
 * if its sync returned 0. After a failed write or sync the stream is poisoned: nothing can be
 * appended, what was durable can be read. Load it again, or close it and open it, to learn what is
 * really there.
 *
 * Threads. Every call may be made from any thread at any time, save load, find and close, which
 * need the stream for themselves. One append at a time; a second one gets FIRN_EBUSY. Readers never
 * wait: not for appends, not for syncs, and not while the stream grows or shrinks; nor does anybody
 * wait for readers. A reader, and an append, belong to one thread at a time.
 */
#ifndef FIRN_STREAM_H
#define FIRN_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/blocks.h>
#include <firn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_stream;
struct firn_stream_appending;
struct firn_stream_reader;

/** Most bytes of an append. */
#define FIRN_STREAM_APPEND_MAX ((UINT32_C(1) << 30) - 1)
/** Least and most for the shift of a stream's blocks: 64 bytes to 128 MiB a block. */
#define FIRN_STREAM_SHIFT_MIN 6
#define FIRN_STREAM_SHIFT_MAX 27

/* ---- open and close --------------------------------------------------------------------- */

/** What can be wrong with a block. A finding of each kind is reported once for a block at most. */
enum firn_stream_fault {
    FIRN_FAULT_PARITY = 1,       /**< what the block says of itself does not check */
    FIRN_FAULT_COMPLETE_AFTER,   /**< a complete block behind an incomplete one */
    FIRN_FAULT_INCOMPLETE_AFTER, /**< an incomplete block behind an incomplete one */
    FIRN_FAULT_AFTER_EMPTY,      /**< a block that is not empty behind an empty one */
    FIRN_FAULT_TRAIL_SMALL,      /**< its last append ends before the one it began with */
    FIRN_FAULT_TRAIL_LARGE,      /**< its trail is longer than a block */
    FIRN_FAULT_TRAIL_UNEXPECTED, /**< a trail in a block in the middle of an append */
    FIRN_FAULT_SUM_LARGE,        /**< spilled and trail are more than a block together */
    FIRN_FAULT_SPILLED_LARGE,    /**< spilled is more than an incomplete block, or an append */
    FIRN_FAULT_SPILLED_UNEVEN,   /**< spilled does not go on where the block before ended */
    FIRN_FAULT_DATA,             /**< the data's checksum is wrong */
    FIRN_FAULT_EMPTY_PARITY,     /**< an empty block that is not quite empty */
    FIRN_FAULT_SPAN,             /**< an append that two parts share has one half only */
};

/** A sentence about a fault. Static; any thread. */
FIRN_API const char *firn_stream_fault_text(enum firn_stream_fault fault);

/** Something that is wrong. */
struct firn_stream_finding {
    uint64_t part;  /**< which part, from 0 on; parts that were released meanwhile count */
    uint64_t block; /**< which block of it */
    enum firn_stream_fault fault;
};

typedef void firn_stream_finding_fn(void *arg, const struct firn_stream_finding *finding);

/** All zero is the sensible default. firn_stream_open copies it. */
struct firn_stream_options {
    size_t span_bytes; /**< appends of fewer bytes that do not fit into a part go on in the next
                            one; readers then get them from a copy of their own. Others begin in the
                            next part, and what is left of this one is wasted. 0: all others */
    bool read_only;    /**< changes nothing; what a crash left is seen as after recovery */
    bool verify;       /**< load checks every block, not only the last ones and the first */
    firn_stream_finding_fn *finding; /**< gets what is wrong, while it loads; may be NULL */
    void *arg;                       /**< for `finding` */
};

/**
 * Opens a stream on what `allocator` retrieves: nothing for a new one, which can be appended to
 * after firn_stream_grow. `options` may be NULL. The caller owns the allocator, which outlives the
 * stream and is nobody else's meanwhile. All of the stream's bytes are loaded into memory.
 *
 * After a crash it recovers: all that was synced is there, an append whose sync had not returned
 * wholly or not at all; what is cut reads as zero on the blocks again.
 *
 * FIRN_EINVAL (no allocator, or one of another version), FIRN_ERANGE (blocks of another shift than
 * FIRN_STREAM_SHIFT_MIN to FIRN_STREAM_SHIFT_MAX), FIRN_EDAMAGED (a check failed; nothing was
 * changed), FIRN_ENOMEM, FIRN_EIO and all else that the blocks return.
 */
FIRN_API int firn_stream_open(struct firn_block_allocator *allocator,
                              const struct firn_stream_options *options,
                              struct firn_stream **stream, struct firn_error *err);

/**
 * Forgets what is in memory, and loads again; offset and positions begin at 0. What was removed and
 * not released is back. FIRN_EBUSY (readers, chunks or appends are open) leaves all as it was;
 * after another error, as open has them, the stream is empty, refuses to append and to grow
 * (FIRN_EPOISONED), and can be loaded again, or closed.
 */
FIRN_API int firn_stream_load(struct firn_stream *stream, struct firn_error *err);

/**
 * Leaves the blocks as other implementations expect them, and releases the stream; not the
 * allocator. What was removed and not released stays in the allocator. FIRN_EBUSY (readers, chunks
 * or appends are open): nothing is released. FIRN_EPOISONED, FIRN_EIO, FIRN_ENOMEM: released;
 * everything that was synced is durable, and opening recovers. NULL is fine.
 */
FIRN_API int firn_stream_close(struct firn_stream *stream, struct firn_error *err);

/* ---- append ----------------------------------------------------------------------------- */

/**
 * Copies `size` bytes to the end of the stream, in memory; the caller owns them. Nobody sees them
 * before `*append` is synced, and nothing else can be appended until then. Bytes that do not fit
 * into the last part go on in the next one, or all into the next one (span_bytes). Of no bytes the
 * append is synced at once.
 *
 * Errors, nothing having changed: FIRN_ETOOBIG (more than FIRN_STREAM_APPEND_MAX, or than the part
 * can hold), FIRN_EBUSY (another append is not synced yet), FIRN_EAGAIN (no part has room: grow),
 * FIRN_EREADONLY, FIRN_ENOMEM, FIRN_EPOISONED.
 */
FIRN_API int firn_stream_append(struct firn_stream *stream, const void *bytes, size_t size,
                                struct firn_stream_appending **append, struct firn_error *err);

/**
 * Brings the append to stable storage; it is, and readers see it, when it returns 0. May be called
 * again, then it does nothing. FIRN_ENOSPC, FIRN_ENOMEM: nothing was written, or only one half of
 * an append that two parts share; try again when there is room. FIRN_EPOISONED: it failed for good,
 * and poisoned the stream.
 */
FIRN_API int firn_stream_append_sync(struct firn_stream_appending *append, struct firn_error *err);

/** Whether it is on stable storage. */
FIRN_API bool firn_stream_append_is_synced(const struct firn_stream_appending *append);

/** Where its bytes begin. */
FIRN_API uint64_t firn_stream_append_position(const struct firn_stream_appending *append);

/**
 * Ends the append, syncing it if it is not. Returns what sync returns: after FIRN_ENOSPC and
 * FIRN_ENOMEM the append was taken back, and the stream is as before it. FIRN_EPOISONED: the stream
 * is poisoned, also where one half was written and no room was left for the other. The handle is
 * released in any case. NULL is fine.
 */
FIRN_API int firn_stream_append_end(struct firn_stream_appending *append, struct firn_error *err);

/** Append, sync and end in one: on stable storage when it returns 0. `*position` (may be NULL) is
 * where the bytes begin. */
FIRN_API int firn_stream_write(struct firn_stream *stream, const void *bytes, size_t size,
                               uint64_t *position, struct firn_error *err);

/* ---- read ------------------------------------------------------------------------------- */

/** Bytes that follow one another in memory: as many as there are. */
struct firn_chunk {
    const void *data;
    size_t size;       /**< above 0 */
    uint64_t position; /**< of the first byte */
    bool spanned;      /**< a copy, of an append that two parts share */
    void *hold;        /**< firn's own */
};

/** Begins at the stream's offset. FIRN_ENOMEM. */
FIRN_API int firn_stream_reader_open(struct firn_stream *stream, struct firn_stream_reader **reader,
                                     struct firn_error *err);

/** A second one that stands where the first one does. FIRN_ENOMEM. */
FIRN_API int firn_stream_reader_clone(const struct firn_stream_reader *reader,
                                      struct firn_stream_reader **clone, struct firn_error *err);

/** NULL is fine. Chunks that it gave stay. */
FIRN_API void firn_stream_reader_close(struct firn_stream_reader *reader);

/**
 * The next bytes, and moves behind them. They stay in memory, unchanged, until the caller releases
 * the chunk, whatever becomes of the stream: it must be closed later. The file that they came from
 * is not released by firn_stream_release before.
 *
 * FIRN_EEND: all that is synced has been read; a later call sees what was appended since.
 * FIRN_ERANGE: the stream was advanced past the reader, some bytes are skipped; the reader stands
 * at the offset now, and the next call goes on there. Both without a message; `err` is not needed.
 */
FIRN_API int firn_stream_reader_next(struct firn_stream_reader *reader, struct firn_chunk *chunk);

/** Lets go of a chunk, and empties it; an empty one is fine. Any thread. */
FIRN_API void firn_chunk_release(struct firn_chunk *chunk);

/**
 * Moves back by `bytes`, to the stream's offset at most. FIRN_ERANGE: the stream was advanced past
 * the reader, which stands at the offset now.
 */
FIRN_API int firn_stream_reader_rewind(struct firn_stream_reader *reader, uint64_t bytes);

/** Position of the next byte that it gives: for firn_stream_advance. */
FIRN_API uint64_t firn_stream_reader_position(const struct firn_stream_reader *reader);

/* ---- the offset ------------------------------------------------------------------------- */

/** Where readers begin. */
FIRN_API uint64_t firn_stream_offset(const struct firn_stream *stream);

/** One behind the last byte that is synced. */
FIRN_API uint64_t firn_stream_end(const struct firn_stream *stream);

/**
 * Moves the offset forward to `position`. 1: moved; 0: it is there or further already (of several
 * calls at once the largest wins). FIRN_ERANGE (behind the end).
 */
FIRN_API int firn_stream_advance(struct firn_stream *stream, uint64_t position,
                                 struct firn_error *err);

enum firn_stream_order {
    FIRN_STREAM_LEFT = -1, /**< what is looked for comes before */
    FIRN_STREAM_MATCH = 0, /**< it is here */
    FIRN_STREAM_RIGHT = 1, /**< it comes behind */
};

/**
 * Compares whole appends, one after another: those that end in one block, or the one that two parts
 * share. `last` are those of the stream's last block. On FIRN_STREAM_MATCH sets `*at`, below
 * `size`, to where in `data` it begins.
 */
typedef enum firn_stream_order firn_stream_compare_fn(void *arg, const void *data, size_t size,
                                                      const void *last, size_t last_size,
                                                      size_t *at);

/**
 * Moves the offset to what `compare` finds: 1; 0 where it finds nothing, or something before the
 * offset. Part after part from the left, it searches by halves among the blocks of one; of several
 * matches, the one in the leftmost block counts. FIRN_EBUSY (readers, chunks or appends are open),
 * FIRN_EINVAL (`*at` is not below `size`).
 */
FIRN_API int firn_stream_find(struct firn_stream *stream, firn_stream_compare_fn *compare,
                              void *arg, struct firn_error *err);

/* ---- growing and shrinking -------------------------------------------------------------- */

/**
 * Adds a part behind the others, on blocks that the allocator gives, which are taken to be empty.
 * Appends and readers go on meanwhile. FIRN_EREADONLY, FIRN_ERANGE (the blocks' shift),
 * FIRN_ENOMEM, FIRN_ENOSPC, FIRN_EPOISONED and all else that allocator and blocks return.
 */
FIRN_API int firn_stream_grow(struct firn_stream *stream, struct firn_error *err);

/**
 * Makes storage that the next `bytes` bytes go to cheaper to sync (firn_block_ops.prepare), which
 * takes as long as to write them. At best right after growing. What the blocks return.
 */
FIRN_API int firn_stream_prepare(struct firn_stream *stream, uint64_t bytes,
                                 struct firn_error *err);

/** What was removed, or released. */
struct firn_stream_removed {
    uint64_t parts;
    uint64_t bytes;
};

/**
 * Removes the parts that lie wholly before the offset, and the last one where it is full and read;
 * readers that hold chunks of them keep these. They are queued for release: neither their storage
 * nor their memory is released here. `removed` may be NULL. FIRN_EREADONLY, FIRN_ENOMEM.
 */
FIRN_API int firn_stream_shrink(struct firn_stream *stream, struct firn_stream_removed *removed,
                                struct firn_error *err);

/**
 * Releases queued parts, oldest first, their storage and their memory, as far as no reader holds a
 * chunk of them. `*released` and `*left` (may be NULL) are the parts that were, and those that are
 * still queued; they are set after an error too: what the allocator returns. The part that it
 * failed for stays queued.
 */
FIRN_API int firn_stream_release(struct firn_stream *stream, uint64_t *released, uint64_t *left,
                                 struct firn_error *err);

/**
 * The same without regard to readers: the storage of all that is queued is released now, and their
 * memory once the last chunk is let go.
 */
FIRN_API int firn_stream_force_release(struct firn_stream *stream, uint64_t *released,
                                       uint64_t *left, struct firn_error *err);

/* ---- figures, and looking for damage ---------------------------------------------------- */

/** What a part, or all of them, hold, in bytes. */
struct firn_stream_stats {
    uint64_t parts;
    uint64_t blocks;         /**< how many */
    unsigned block_shift;    /**< of a part; of the stream: of its last part */
    uint64_t blocks_bytes;   /**< on storage */
    uint64_t data_capacity;  /**< of all data */
    uint64_t data_used;      /**< appended and synced */
    uint64_t data_wasted;    /**< before the offset, or never to be used: the rest of a part before
                                  the last; the end of an append that began in a released part */
    uint64_t data_available; /**< for appends */
};

/** What opening or loading found. */
struct firn_stream_recovery {
    bool recovered;     /**< it had not been closed */
    uint64_t cut_bytes; /**< of appends that were not synced and not whole */
};

/** The figures as they are now; while an append is synced its parts may not add up. */
FIRN_API void firn_stream_get_stats(struct firn_stream *stream, struct firn_stream_stats *stats);

/** Of each part, from the first one on: fills parts[0..min(size, parts)), returns how many there
 * are. */
FIRN_API size_t firn_stream_part_stats(struct firn_stream *stream, struct firn_stream_stats *parts,
                                       size_t size);

FIRN_API void firn_stream_get_recovery(struct firn_stream *stream,
                                       struct firn_stream_recovery *recovery);

/**
 * Checks everything that is in memory, and that what follows it on the blocks is empty; while
 * others read and append. `finding` (may be NULL) gets what is wrong. FIRN_EDAMAGED where something
 * is, with the first in `err`; FIRN_ENOMEM, and what the blocks return.
 */
FIRN_API int firn_stream_verify(struct firn_stream *stream, firn_stream_finding_fn *finding,
                                void *arg, struct firn_error *err);

#ifdef __cplusplus
}
#endif
#endif
