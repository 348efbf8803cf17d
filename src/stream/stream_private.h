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
    size_t count;
    struct part *parts[];
};

struct firn_stream {
    struct firn_block_allocator *allocator; /* the user's */
    struct firn_stream_options options;
    struct grace grace;
    struct part_list *_Atomic list;
    _Atomic uint64_t offset;
    _Atomic uint64_t end;
    _Atomic uint64_t open;
    atomic_bool appending;
    atomic_bool poisoned; /* never unset but by load; `cause` is there before */
    struct firn_error cause;
    struct firn_stream_recovery recovery;

    pthread_mutex_t structure; /* growing, shrinking, releasing; and what follows */
    struct part **queue;
    size_t queued, queue_size;
    struct firn_block *spare; /* allocated by a growing that failed then; the next one takes it */
    uint64_t removed_bytes;   /* position where the first part of the list begins */
};

/* ---- list.c: the parts, and positions in them ---- */

enum { LIST_NONE = -1 };

/* Of `count` parts, to be filled in; the references are the list's. NULL: no memory. */
struct part_list *list_new(size_t count);
/* Lets go of the parts too. NULL is fine. */
void list_free(struct part_list *list);
/* Inside grace. */
struct part_list *list_of(const struct firn_stream *stream);
/* Publishes `list`, and retires the one before, which gives its references up. With structure. */
void list_replace(struct firn_stream *stream, struct part_list *list);

void part_hold(struct part *part);
/* Frees it with the last reference. NULL is fine. */
void part_release(struct part *part);

/* Which part holds the byte at `position`, below the stream's end; LIST_NONE: below the first one.
 */
ptrdiff_t list_locate(const struct part_list *list, uint64_t position);
/* The last part with bytes that is not full, or the first empty one behind a full one: where the
 * next append goes. LIST_NONE. */
ptrdiff_t list_ending(const struct part_list *list);
/* The first of the empty parts at the end. LIST_NONE. */
ptrdiff_t list_empty(const struct part_list *list);
/* How many parts lie wholly before `offset`. */
size_t list_passed(const struct part_list *list, uint64_t offset, uint64_t end);
/* Bytes of the position space that a part takes: its own, and the append it shares with the next.
 */
uint64_t part_length(const struct part *part);

/* Joins the halves of an append that two parts share. NULL: no memory. */
struct span *span_new(const uint8_t *trailing, size_t trailing_size, const uint8_t *spilled,
                      size_t spilled_size);

/* ---- open.c ---- */

/* FIRN_EPOISONED with the first cause. */
int stream_poisoned(const struct firn_stream *stream, struct firn_error *err);
/* The first caller's `cause` stays. With appending. */
void stream_poison(struct firn_stream *stream, const struct firn_error *cause);
/* FIRN_EBUSY where readers, chunks or appends are open. */
int stream_check_idle(const struct firn_stream *stream, struct firn_error *err);

/* ---- find.c ---- */

/* As firn_stream_find, without the stream: 1 and `*position`; 0 and where the search ended. */
int list_find(const struct part_list *list, firn_stream_compare_fn *compare, void *arg,
              uint64_t *position, struct firn_error *err);

#endif
