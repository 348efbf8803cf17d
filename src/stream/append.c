/* SPDX-License-Identifier: MIT */
/*
 * Appends.
 *
 * An append goes to the part where the stream ends, or to the next one, or, spanning, to both. It
 * sets what readers will need, the part's base, its own bytes and the span, before anything is
 * stored, and moves the stream's end when everything is: that is the moment when readers see it.
 * Of a spanned one the right half is stored first: a right half without a left one is known after a
 * crash as what nobody was told of, a left half without a right one would be damage.
 *
 * Only ENOSPC and ENOMEM leave storage as it was, and the append can be tried again, or taken back
 * if none of its halves is stored. Whatever else fails poisons the stream.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "stream/stream_private.h"

struct firn_stream_appending {
    struct firn_stream *stream;
    uint64_t position;
    size_t size;
    struct part *left;  /* stored last; NULL: none, or done */
    struct part *right; /* stored first; the same */
    uint64_t number;    /* of the ending part, for messages */
    bool spanned;
    bool half; /* the right half of a spanned one is stored */
    _Atomic bool synced;
};

/* ---- where it goes ---- */

struct place {
    struct part *part; /* the ending one */
    struct part *next;
    uint64_t number; /* of the ending one, from the first part ever on */
};

/* The ending part and the one behind it, which may be NULL, held. False: there is no ending one. */
static bool find_place(struct firn_stream *stream, struct place *place)
{
    *place = (struct place){0};
    int phase = grace_enter(&stream->grace);
    const struct part_list *list = parts_of(stream);
    ptrdiff_t i = parts_ending(list);
    if (i >= 0) {
        place->part = list->parts[i];
        place->number = list->removed + (uint64_t)i;
        part_hold(place->part);
    }
    if (i >= 0 && (size_t)i + 1 < list->count) {
        place->next = list->parts[i + 1];
        part_hold(place->next);
    }
    grace_exit(&stream->grace, phase);
    return place->part != NULL;
}

static void leave_place(struct place *place)
{
    part_release(place->part);
    part_release(place->next);
}

static int no_room(struct firn_error *err)
{
    return firn_error_set(err, FIRN_EAGAIN, 0,
                          "no part of the stream has room for this append: grow it");
}

static int too_large(size_t size, const struct part *part, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "an append of %zu bytes exceeds the part's capacity of %llu bytes", size,
                          (unsigned long long)part->capacity);
}

/* Keeps in `place` and moves to the append what it goes to. */
static int choose(struct firn_stream_appending *append, struct place *place, size_t span_bytes,
                  struct firn_error *err)
{
    struct part *part = place->part, *next = place->next;
    append->number = place->number;
    if (append->size <= part->capacity - part->state.used) {
        append->left = part;
        place->part = NULL;
        return 0;
    }
    if (part->state.used == 0)
        return too_large(append->size, part, err);
    if (!next)
        return no_room(err);
    assert(next->state.used == 0);
    if (append->size > next->capacity)
        return too_large(append->size, next, err);
    append->right = next;
    place->next = NULL;
    append->spanned = append->size < span_bytes;
    if (append->spanned) {
        append->left = part;
        place->part = NULL;
    }
    return 0;
}

/* ---- in memory ---- */

static void set(_Atomic uint64_t *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_release);
}

/* Own bytes of a part that has what it will have after the next sync. */
static void add_to_part(struct part *part, uint64_t base)
{
    set(&part->own, part->next.ended - part->next.spilled);
    if (atomic_load_explicit(&part->base, memory_order_relaxed) == UINT64_MAX)
        set(&part->base, base);
}

static void take_from_part(struct part *part)
{
    if (!part)
        return;
    part_undo(part);
    set(&part->own, part->state.ended - part->state.spilled);
    if (part->state.used == 0)
        set(&part->base, UINT64_MAX);
}

static int add_spanned(struct firn_stream_appending *append, const uint8_t *bytes,
                       struct firn_error *err)
{
    struct part *left = append->left, *right = append->right;
    size_t trailing = (size_t)(left->capacity - left->state.used), rest = append->size - trailing;
    struct span *span = span_new(bytes, trailing, bytes + trailing, rest);
    if (!span)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an append of %zu bytes",
                              append->size);
    part_append(left, bytes, append->size, false);
    part_append(right, bytes + trailing, rest, true);
    atomic_store_explicit(&left->span, span, memory_order_release);
    add_to_part(right, append->position + append->size);
    return 0;
}

static int add(struct firn_stream_appending *append, const void *bytes, struct firn_error *err)
{
    if (append->spanned)
        return add_spanned(append, bytes, err);
    struct part *part = append->left ? append->left : append->right;
    part_append(part, bytes, append->size, false);
    add_to_part(part, append->position);
    return 0;
}

static void release_span(struct grace_item *item)
{
    free((struct span *)(void *)item);
}

static void take_back(struct firn_stream_appending *append)
{
    if (append->spanned) {
        struct span *span = atomic_exchange(&append->left->span, NULL);
        grace_retire(&append->stream->grace, &span->item, release_span);
    }
    take_from_part(append->right);
    take_from_part(append->left);
}

/* ---- beginning ---- */

static int check_append(const struct firn_stream *stream, size_t size, struct firn_error *err)
{
    if (size > FIRN_STREAM_APPEND_MAX)
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "an append of %zu bytes; %lu are the most it may have", size,
                              (unsigned long)FIRN_STREAM_APPEND_MAX);
    if (stream->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "the stream is opened read-only");
    return 0;
}

/* Keeps others from appending. */
static int begin(struct firn_stream *stream, struct firn_error *err)
{
    if (atomic_exchange(&stream->appending, true))
        return firn_error_set(err, FIRN_EBUSY, 0,
                              "another append is not synced yet: sync or end it first");
    if (!atomic_load(&stream->poisoned))
        return 0;
    atomic_store(&stream->appending, false);
    return stream_poisoned(stream, err);
}

static int append_to(struct firn_stream_appending *append, struct place *place, const void *bytes,
                     struct firn_error *err)
{
    struct firn_stream *stream = append->stream;
    int rc = begin(stream, err);
    if (rc < 0)
        return rc;
    append->position = firn_stream_end(stream);
    rc = find_place(stream, place) ? 0 : no_room(err);
    if (rc == 0)
        rc = choose(append, place, stream->options.span_bytes, err);
    if (rc == 0)
        rc = add(append, bytes, err);
    if (rc < 0)
        atomic_store(&stream->appending, false);
    return rc;
}

/* Nothing to append is synced at once, where something could be appended. */
static int append_nothing(struct firn_stream_appending *append, struct place *place,
                          struct firn_error *err)
{
    atomic_init(&append->synced, true);
    append->position = firn_stream_end(append->stream);
    if (atomic_load(&append->stream->poisoned))
        return stream_poisoned(append->stream, err);
    return find_place(append->stream, place) ? 0 : no_room(err);
}

int firn_stream_append(struct firn_stream *stream, const void *bytes, size_t size,
                       struct firn_stream_appending **out, struct firn_error *err)
{
    struct place place = {0};
    int rc = check_append(stream, size, err);
    if (rc < 0)
        return rc;
    struct firn_stream_appending *append = calloc(1, sizeof *append);
    if (!append)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an append");
    append->stream = stream;
    append->size = size;
    rc = size > 0 ? append_to(append, &place, bytes, err) : append_nothing(append, &place, err);
    leave_place(&place);
    if (rc < 0) {
        part_release(append->left);
        part_release(append->right);
        free(append);
        return rc;
    }
    atomic_fetch_add(&stream->open, 1);
    *out = append;
    return 0;
}

/* ---- syncing ---- */

static bool may_be_tried_again(int rc)
{
    return rc == FIRN_ENOSPC || rc == FIRN_ENOMEM;
}

typedef int part_store_fn(struct part *part, struct firn_error *err);

static int store_part(struct firn_stream_appending *append, part_store_fn *store, struct part *part,
                      uint64_t number, struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = part ? store(part, &cause) : 0;
    if (rc == 0)
        return 0;
    error_wrap(&cause, "syncing part %llu of the stream", (unsigned long long)number);
    if (may_be_tried_again(rc))
        return firn_error_set(err, rc, cause.os_error, "%s", cause.message);
    stream_poison(append->stream, &cause);
    return stream_poisoned(append->stream, err);
}

static void publish_part(struct part *part)
{
    if (!part)
        return;
    set(&part->spilled, part->state.spilled);
    set(&part->used, part->state.used);
}

static void let_go(struct firn_stream_appending *append)
{
    part_release(append->left);
    part_release(append->right);
    append->left = append->right = NULL;
    atomic_store(&append->stream->appending, false);
}

int firn_stream_append_sync(struct firn_stream_appending *append, struct firn_error *err)
{
    struct firn_stream *stream = append->stream;
    if (firn_stream_append_is_synced(append))
        return 0;
    if (atomic_load(&stream->poisoned))
        return stream_poisoned(stream, err);
    /* A left half that finds the disk full finds it now, when it can be taken back. */
    int rc = store_part(append, part_mark, append->left, append->number, err);
    if (rc == 0)
        rc = store_part(append, part_sync, append->right, append->number + 1, err);
    if (rc < 0)
        return rc;
    append->half = append->spanned;
    rc = store_part(append, part_sync, append->left, append->number, err);
    if (rc < 0)
        return rc;
    publish_part(append->right);
    publish_part(append->left);
    set(&stream->end, append->position + append->size);
    atomic_store_explicit(&append->synced, true, memory_order_release);
    let_go(append);
    return 0;
}

bool firn_stream_append_is_synced(const struct firn_stream_appending *append)
{
    return atomic_load_explicit(&append->synced, memory_order_acquire);
}

uint64_t firn_stream_append_position(const struct firn_stream_appending *append)
{
    return append->position;
}

/* ---- ending ---- */

/* It could not be synced, `rc` says why. */
static int give_up(struct firn_stream_appending *append, int rc, struct firn_error *cause)
{
    struct firn_stream *stream = append->stream;
    if (may_be_tried_again(rc) && !append->half) {
        take_back(append);
    } else if (may_be_tried_again(rc)) {
        error_wrap(cause, "an append was given up of which one half is stored");
        stream_poison(stream, cause);
        rc = stream_poisoned(stream, cause);
    }
    let_go(append);
    return rc;
}

int firn_stream_append_end(struct firn_stream_appending *append, struct firn_error *err)
{
    struct firn_error cause = {0};
    if (!append)
        return 0;
    struct firn_stream *stream = append->stream;
    int rc = firn_stream_append_sync(append, &cause);
    if (rc < 0)
        rc = give_up(append, rc, &cause);
    free(append);
    atomic_fetch_sub(&stream->open, 1);
    return rc < 0 ? firn_error_set(err, rc, cause.os_error, "%s", cause.message) : 0;
}

int firn_stream_write(struct firn_stream *stream, const void *bytes, size_t size,
                      uint64_t *position, struct firn_error *err)
{
    struct firn_stream_appending *append;
    int rc = firn_stream_append(stream, bytes, size, &append, err);
    if (rc < 0)
        return rc;
    uint64_t at = append->position;
    rc = firn_stream_append_end(append, err);
    if (rc == 0 && position)
        *position = at;
    return rc;
}
