/* SPDX-License-Identifier: MIT */
/*
 * The inside of a stream: a list of parts, and who may do what with it.
 *
 * - `list` is published atomically, and never changed: who grows or shrinks makes another one,
 * under `structure`, and retires the old one. Readers, appends and figures use it inside `grace`.
 * It holds a reference to each of its parts; so do a chunk, an append and the queue for release.
 * - `end` is the position behind the last synced byte. Whoever has loaded it (acquire) sees what
 *   lies before: base, own and span of the parts that hold it, and the bytes. An append sets these
 *   before its sync, and `end` after; readers stop at `end`.
 * - `appending` is held from an append until it is synced, or taken back. What the parts keep for
 *   appends is its holder's.
 * - `open` counts readers, chunks and appends; load, find and close need it to be zero.
 * - `queue` holds what was removed and is not released, under `structure`.
 */
#ifndef STREAM_STREAM_PRIVATE_H
#define STREAM_STREAM_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <firn/stream.h>

#include "base/snapshot.h"
#include "stream/part.h"

/* An append that two parts share: positions [base + own, base + own + size) of the first. One that
 * is taken back is retired: who is inside grace may still ask for its size. */
struct span {
    struct grace_item item;
    size_t size;
    uint8_t bytes[];
};

struct part_list {
    struct grace_item item;
    uint64_t removed; /* parts that were before the first one */
    uint64_t begin;   /* position where that begins */
    size_t count;
    struct part *parts[];
};

struct firn_stream {
    struct firn_block_allocator *allocator; /* the user's */
    struct firn_stream_options options;
    struct grace grace;
    struct part_list *_Atomic list;
    struct part_list *none; /* of no parts: while nothing is loaded */
    _Atomic uint64_t offset;
    _Atomic uint64_t end;
    _Atomic uint64_t open;
    atomic_bool appending;
    atomic_bool poisoned; /* never unset but by load; `cause` is there before. Also while nothing is
                             loaded: then `list` is `none` */
    struct firn_error cause;
    struct firn_stream_recovery recovery;

    pthread_mutex_t structure; /* growing, shrinking, releasing; and what follows */
    struct part **queue;
    size_t queued, queue_size;
    struct firn_block *spare; /* allocated by a growing that failed then; the next one takes it */
};

/* ---- parts.c: the parts, and positions in them ---- */

enum { PARTS_NONE = -1 };

/* Of `count` parts, to be filled in; the references are the list's. NULL: no memory. */
struct part_list *parts_new(size_t count);
/* Lets go of the parts too. NULL is fine. */
void parts_free(struct part_list *list);
/* Inside grace. */
struct part_list *parts_of(const struct firn_stream *stream);
/* Publishes `list`, and retires the one before, which gives its references up. With structure. */
void parts_replace(struct firn_stream *stream, struct part_list *list);

void part_hold(struct part *part);
/* Frees it with the last reference. NULL is fine. */
void part_release(struct part *part);

/* Which part holds the byte at `position`, below the stream's end; PARTS_NONE: it is below the
 * first one. */
ptrdiff_t parts_locate(const struct part_list *list, uint64_t position);
/* Where the next append goes: the last part with bytes, if it is not full, or the one behind it.
 * PARTS_NONE. */
ptrdiff_t parts_ending(const struct part_list *list);
/* The first of the empty parts at the end. PARTS_NONE. */
ptrdiff_t parts_empty(const struct part_list *list);
/* How many parts lie wholly before `offset`, as of `end`, which was loaded before. */
size_t parts_passed(const struct part_list *list, uint64_t offset, uint64_t end);
/* Bytes of the position space that a part takes: its own, and the append it shares with the next.
 * Inside grace, or with structure. */
uint64_t part_length(const struct part *part);
bool part_is_full(const struct part *part);

/* Joins the halves of an append that two parts share. NULL: no memory. */
struct span *span_new(const void *trailing, size_t trailing_size, const void *spilled,
                      size_t spilled_size);

/* ---- open.c ---- */

/* FIRN_EPOISONED with the first cause. */
int stream_poisoned(const struct firn_stream *stream, struct firn_error *err);
/* The first caller's `cause` stays. With appending. */
void stream_poison(struct firn_stream *stream, const struct firn_error *cause);
/* FIRN_EBUSY where readers, chunks or appends are open. */
int stream_check_idle(const struct firn_stream *stream, struct firn_error *err);
/* A part of this stream, which is in no list yet. `block` is its own if it succeeds. */
int stream_new_part(struct firn_stream *stream, struct firn_block *block, struct part **part,
                    struct firn_error *err);

/* ---- stats.c ---- */

/* Of all parts, and of each: parts[0..min(size, count)). Inside grace, or with structure. */
void parts_stats(const struct part_list *list, uint64_t offset, struct firn_stream_stats *sum,
                 struct firn_stream_stats *parts, size_t size);

/* ---- find.c ---- */

/* As firn_stream_find, without the stream: 1 and `*position`; 0 and where the search ended. */
int parts_find(const struct part_list *list, firn_stream_compare_fn *compare, void *arg,
               uint64_t *position, struct firn_error *err);

#endif
