/* SPDX-License-Identifier: MIT */
/*
 * Readers, chunks, and the offset.
 *
 * A reader is a position. It loads, in this order, the end, the list and the offset: the list then
 * has the parts of all bytes below that end, save those that were removed, and what was removed
 * lies before that offset. So a position from the offset to the end is always found. All that a
 * reader does is a bounded number of steps; nobody can make it wait or try again.
 */
#include <assert.h>
#include <stdlib.h>

#include "stream/stream_private.h"

struct firn_stream_reader {
    struct firn_stream *stream;
    uint64_t position;
    uint64_t hint; /* the part where it stood, from the first one ever on */
};

/* ---- the offset ---- */

uint64_t firn_stream_offset(const struct firn_stream *stream)
{
    return atomic_load_explicit(&stream->offset, memory_order_acquire);
}

uint64_t firn_stream_end(const struct firn_stream *stream)
{
    return atomic_load_explicit(&stream->end, memory_order_acquire);
}

int firn_stream_advance(struct firn_stream *stream, uint64_t position, struct firn_error *err)
{
    uint64_t end = firn_stream_end(stream), before = firn_stream_offset(stream);
    if (position > end)
        return firn_error_set(err, FIRN_ERANGE, 0, "advancing to %llu, but the stream ends at %llu",
                              (unsigned long long)position, (unsigned long long)end);
    while (before < position)
        if (atomic_compare_exchange_weak(&stream->offset, &before, position))
            return 1;
    return 0;
}

/* ---- readers ---- */

static struct firn_stream_reader *new_reader(struct firn_stream *stream, uint64_t position,
                                             uint64_t hint, struct firn_error *err)
{
    struct firn_stream_reader *reader = malloc(sizeof *reader);
    if (!reader) {
        firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a reader");
        return NULL;
    }
    *reader = (struct firn_stream_reader){stream, position, hint};
    atomic_fetch_add(&stream->open, 1);
    return reader;
}

int firn_stream_reader_open(struct firn_stream *stream, struct firn_stream_reader **out,
                            struct firn_error *err)
{
    struct firn_stream_reader *reader = new_reader(stream, firn_stream_offset(stream), 0, err);
    if (!reader)
        return FIRN_ENOMEM;
    *out = reader;
    return 0;
}

int firn_stream_reader_clone(const struct firn_stream_reader *reader,
                             struct firn_stream_reader **out, struct firn_error *err)
{
    struct firn_stream_reader *clone = new_reader(reader->stream, reader->position, reader->hint,
                                                  err);
    if (!clone)
        return FIRN_ENOMEM;
    *out = clone;
    return 0;
}

void firn_stream_reader_close(struct firn_stream_reader *reader)
{
    if (!reader)
        return;
    atomic_fetch_sub(&reader->stream->open, 1);
    free(reader);
}

uint64_t firn_stream_reader_position(const struct firn_stream_reader *reader)
{
    return reader->position;
}

/* FIRN_ERANGE where the stream was advanced past the reader, which stands at `offset` then. */
static int follow_offset(struct firn_stream_reader *reader, uint64_t offset)
{
    if (reader->position >= offset)
        return 0;
    reader->position = offset;
    return FIRN_ERANGE;
}

int firn_stream_reader_rewind(struct firn_stream_reader *reader, uint64_t bytes)
{
    uint64_t offset = firn_stream_offset(reader->stream);
    int rc = follow_offset(reader, offset);
    if (rc == 0)
        reader->position -= bytes < reader->position - offset ? bytes : reader->position - offset;
    return rc;
}

/* ---- chunks ---- */

static bool begins_by(const struct part_list *list, size_t i, uint64_t position)
{
    return i < list->count &&
           atomic_load_explicit(&list->parts[i]->base, memory_order_relaxed) <= position;
}

/* The part that holds the reader's position, most often the one of the time before. */
static struct part *find_part(struct firn_stream_reader *reader, const struct part_list *list)
{
    size_t i = (size_t)(reader->hint - list->removed);
    if (reader->hint < list->removed || !begins_by(list, i, reader->position) ||
        begins_by(list, i + 1, reader->position)) {
        ptrdiff_t at = parts_locate(list, reader->position);
        assert(at >= 0);
        i = (size_t)at;
        reader->hint = list->removed + i;
    }
    return list->parts[i];
}

static void fill_chunk(struct firn_chunk *chunk, struct part *part, uint64_t position, uint64_t end)
{
    uint64_t own = atomic_load_explicit(&part->own, memory_order_relaxed);
    uint64_t at = position - atomic_load_explicit(&part->base, memory_order_relaxed);
    const uint8_t *data = part->data + atomic_load_explicit(&part->spilled, memory_order_relaxed);
    uint64_t size = own - at < end - position ? own - at : end - position;
    bool spanned = at >= own;
    if (spanned) {
        const struct span *span = atomic_load_explicit(&part->span, memory_order_acquire);
        assert(span && at - own < span->size);
        at -= own;
        data = span->bytes;
        size = span->size - at;
    }
    *chunk = (struct firn_chunk){data + at, (size_t)size, position, spanned, part};
    part_hold(part);
}

static int next_chunk(struct firn_stream_reader *reader, struct firn_chunk *chunk)
{
    struct firn_stream *stream = reader->stream;
    uint64_t end = firn_stream_end(stream);
    const struct part_list *list = parts_of(stream);
    int rc = follow_offset(reader, firn_stream_offset(stream));
    if (rc < 0)
        return rc;
    if (reader->position >= end)
        return FIRN_EEND;
    fill_chunk(chunk, find_part(reader, list), reader->position, end);
    reader->position += chunk->size;
    atomic_fetch_add_explicit(&stream->open, 1, memory_order_relaxed);
    return 0;
}

int firn_stream_reader_next(struct firn_stream_reader *reader, struct firn_chunk *chunk)
{
    struct grace *grace = &reader->stream->grace;
    int phase = grace_enter(grace);
    int rc = next_chunk(reader, chunk);
    grace_exit(grace, phase);
    return rc;
}

/* The stream may be closed as soon as nothing is open: the part goes first. */
void firn_chunk_release(struct firn_chunk *chunk)
{
    struct part *part = chunk->hold;
    *chunk = (struct firn_chunk){0};
    if (!part)
        return;
    struct firn_stream *stream = part->stream;
    part_release(part);
    atomic_fetch_sub(&stream->open, 1);
}
