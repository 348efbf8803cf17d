/* SPDX-License-Identifier: MIT */
/*
 * Growing, preparing, shrinking, releasing.
 *
 * Each makes a new list and retires the old one; readers and appends go on with whichever they
 * have. A part that was removed is held by the queue, by old lists until nobody can be looking at
 * them, and by chunks: when the queue's reference is the only one, nobody can get another.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "stream/stream_private.h"

enum { PREPARE_BYTES = 8 << 20 }; /* at a time: who wants to shrink waits so long */

static void leave(struct firn_stream *stream)
{
    (void)grace_reclaim(&stream->grace);
    pthread_mutex_unlock(&stream->structure);
}

static int check_writable(const struct firn_stream *stream, struct firn_error *err)
{
    if (stream->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "the stream is opened read-only");
    return 0;
}

/* A list of `count` parts of the present one, from `from` on, and room for more. */
static struct part_list *copy_list(const struct part_list *list, size_t from, size_t count,
                                   size_t more)
{
    struct part_list *copy = parts_new(count + more);
    if (!copy)
        return NULL;
    copy->removed = list->removed + from;
    copy->begin = list->begin;
    for (size_t i = 0; i < from; i++)
        copy->begin += part_length(list->parts[i]);
    for (size_t i = 0; i < count; i++) {
        part_hold(list->parts[from + i]);
        copy->parts[i] = list->parts[from + i];
    }
    return copy;
}

/* ---- growing ---- */

static int allocate(struct firn_stream *stream, struct firn_block **block, struct firn_error *err)
{
    if (!stream->spare)
        return block_allocate(stream->allocator, block, err);
    *block = stream->spare;
    stream->spare = NULL;
    return 0;
}

/* The allocator takes it back if it is the only one; otherwise it must not be forgotten, since
 * those behind it can't be released before it. */
static void give_back(struct firn_stream *stream, struct firn_block *block)
{
    if (block_release(stream->allocator, block, NULL) < 0)
        stream->spare = block;
}

/* An empty part, marked open. */
static int new_part(struct firn_stream *stream, struct part **out, struct firn_error *err)
{
    struct firn_block *block = NULL;
    struct part *part = NULL;
    int rc = allocate(stream, &block, err);
    if (rc < 0)
        return rc;
    rc = stream_new_part(stream, block, &part, err);
    if (rc == 0)
        rc = part_mark(part, err);
    if (rc == 0) {
        *out = part;
        return 0;
    }
    if (part)
        part->block = NULL;
    part_free(part);
    give_back(stream, block);
    return rc;
}

static int grow(struct firn_stream *stream, struct firn_error *err)
{
    const struct part_list *list = parts_of(stream);
    const unsigned long long number = list->removed + list->count;
    struct part *part = NULL;
    if (atomic_load(&stream->poisoned))
        return stream_poisoned(stream, err);
    struct part_list *grown = copy_list(list, 0, list->count, 1);
    if (!grown)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to grow the stream");
    int rc = new_part(stream, &part, err);
    if (rc < 0) {
        error_wrap(err, "growing the stream by part %llu", number);
        parts_free(grown);
        return rc;
    }
    grown->parts[list->count] = part;
    parts_replace(stream, grown);
    return 0;
}

int firn_stream_grow(struct firn_stream *stream, struct firn_error *err)
{
    int rc = check_writable(stream, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&stream->structure);
    rc = grow(stream, err);
    leave(stream);
    return rc;
}

/* ---- preparing ---- */

struct preparing {
    uint64_t part;  /* from the first one ever on */
    uint64_t block; /* of it */
    uint64_t bytes; /* left to do */
};

/* Goes to the first block that is empty, in the part where the next append goes or further. False:
 * there is none. */
static bool find_empty(const struct part_list *list, struct preparing *preparing)
{
    ptrdiff_t ending = parts_ending(list);
    if (ending < 0)
        return false;
    uint64_t first = list->removed + (uint64_t)ending;
    if (preparing->part < first) {
        preparing->part = first;
        preparing->block = 0;
    }
    for (; preparing->part - list->removed < list->count; preparing->part++) {
        const struct part *part = list->parts[preparing->part - list->removed];
        uint64_t used = atomic_load_explicit(&part->used, memory_order_acquire);
        uint64_t empty = (used + part->payload - 1) / part->payload;
        if (preparing->block < empty)
            preparing->block = empty;
        if (preparing->block < part->count)
            return true;
        preparing->block = 0;
    }
    return false;
}

static int prepare(struct firn_stream *stream, struct preparing *preparing, struct firn_error *err)
{
    const struct part_list *list = parts_of(stream);
    if (!find_empty(list, preparing)) {
        preparing->bytes = 0;
        return 0;
    }
    const struct part *part = list->parts[preparing->part - list->removed];
    uint64_t bytes = preparing->bytes < PREPARE_BYTES ? preparing->bytes : PREPARE_BYTES;
    uint64_t number = (bytes + part->payload - 1) / part->payload;
    if (preparing->block == 0)
        number = 1; /* the mark in it may end the preparing of what is with it */
    if (number > part->count - preparing->block)
        number = part->count - preparing->block;
    int rc = block_prepare(part->block, preparing->block, number, err);
    if (rc < 0) {
        error_wrap(err, "preparing part %llu of the stream", (unsigned long long)preparing->part);
        return rc;
    }
    uint64_t done = number * part->payload;
    preparing->block += number;
    preparing->bytes -= done < preparing->bytes ? done : preparing->bytes;
    return 0;
}

int firn_stream_prepare(struct firn_stream *stream, uint64_t bytes, struct firn_error *err)
{
    struct preparing preparing = {.bytes = bytes};
    int rc = check_writable(stream, err);
    while (rc == 0 && preparing.bytes > 0) {
        pthread_mutex_lock(&stream->structure);
        rc = prepare(stream, &preparing, err);
        leave(stream);
    }
    return rc;
}

/* ---- shrinking ---- */

static int make_room(struct firn_stream *stream, size_t more)
{
    if (stream->queue_size - stream->queued >= more)
        return 0;
    size_t size = 2 * stream->queue_size + more;
    struct part **queue = realloc(stream->queue, size * sizeof(struct part *));
    if (!queue)
        return FIRN_ENOMEM;
    stream->queue = queue;
    stream->queue_size = size;
    return 0;
}

static int remove_parts(struct firn_stream *stream, size_t count,
                        struct firn_stream_removed *removed, struct firn_error *err)
{
    const struct part_list *list = parts_of(stream);
    struct part_list *rest = make_room(stream, count) == 0
                                 ? copy_list(list, count, list->count - count, 0)
                                 : NULL;
    if (!rest)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to shrink the stream");
    for (size_t i = 0; i < count; i++) {
        part_hold(list->parts[i]);
        stream->queue[stream->queued++] = list->parts[i];
    }
    *removed = (struct firn_stream_removed){count, rest->begin - list->begin};
    parts_replace(stream, rest);
    return 0;
}

int firn_stream_shrink(struct firn_stream *stream, struct firn_stream_removed *removed,
                       struct firn_error *err)
{
    struct firn_stream_removed done = {0};
    int rc = check_writable(stream, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&stream->structure);
    uint64_t offset = firn_stream_offset(stream), end = firn_stream_end(stream);
    size_t count = parts_passed(parts_of(stream), offset, end);
    if (count > 0)
        rc = remove_parts(stream, count, &done, err);
    leave(stream);
    if (rc == 0 && removed)
        *removed = done;
    return rc;
}

/* ---- releasing ---- */

static bool is_held(const struct part *part)
{
    return atomic_load_explicit(&part->references, memory_order_acquire) > 1;
}

/* The block is the allocator's once it has been released. */
static int release_part(struct firn_stream *stream, struct part *part, struct firn_error *err)
{
    int rc = block_release(stream->allocator, part->block, err);
    if (rc < 0) {
        error_wrap(err, "releasing the oldest of %zu removed parts", stream->queued);
        return rc;
    }
    part->block = NULL;
    part_release(part);
    return 0;
}

static int release_queued(struct firn_stream *stream, bool force, uint64_t *released,
                          uint64_t *left, struct firn_error *err)
{
    size_t done = 0;
    int rc = 0;
    while (done < stream->queued && (force || !is_held(stream->queue[done]))) {
        rc = release_part(stream, stream->queue[done], err);
        if (rc < 0)
            break;
        done++;
    }
    stream->queued -= done;
    if (done > 0)
        memmove(stream->queue, stream->queue + done, stream->queued * sizeof(struct part *));
    *released = done;
    *left = stream->queued;
    return rc;
}

static int release(struct firn_stream *stream, bool force, uint64_t *released, uint64_t *left,
                   struct firn_error *err)
{
    uint64_t done = 0, queued = 0;
    pthread_mutex_lock(&stream->structure);
    (void)grace_reclaim(&stream->grace);
    int rc = release_queued(stream, force, &done, &queued, err);
    leave(stream);
    if (released)
        *released = done;
    if (left)
        *left = queued;
    return rc;
}

int firn_stream_release(struct firn_stream *stream, uint64_t *released, uint64_t *left,
                        struct firn_error *err)
{
    return release(stream, false, released, left, err);
}

int firn_stream_force_release(struct firn_stream *stream, uint64_t *released, uint64_t *left,
                              struct firn_error *err)
{
    return release(stream, true, released, left, err);
}
