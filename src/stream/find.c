/* SPDX-License-Identifier: MIT */
/*
 * Finding a position by what an append holds.
 *
 * One part after another, each by halves among its blocks: those in which appends end, since only
 * these say where appends begin. `compare` sees the appends that end in one block as a whole, and
 * an append that two parts share by itself, between its parts. A search that ends in a block where
 * no append ends finds nothing.
 */
#include "stream/stream_private.h"

/* What `compare` gets. */
struct bytes {
    const uint8_t *data;
    size_t size;
    uint64_t position; /* of the first */
};

struct search {
    firn_stream_compare_fn *compare;
    void *arg;
    struct bytes last;
    uint64_t position; /* of a match */
    bool matched;
    bool wrong; /* a place that is not in the bytes */
};

static enum firn_stream_order look(struct search *search, const struct bytes *bytes)
{
    size_t at = 0;
    enum firn_stream_order order = search->compare(search->arg, bytes->data, bytes->size,
                                                   search->last.data, search->last.size, &at);
    if (order != FIRN_STREAM_MATCH)
        return order;
    search->matched = true;
    search->wrong |= at >= bytes->size;
    search->position = bytes->position + at;
    return order;
}

static uint64_t get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_acquire);
}

/* The appends that end in `*block`, or in the next block where one does, which it becomes. False:
 * there is none. */
static bool bytes_of_block(const struct part *part, uint64_t *block, struct bytes *bytes)
{
    uint64_t from = 0, to = 0, at = *block;
    if (!part_range(part, &at, &from, &to) &&
        (at >= part->count || !part_range(part, &at, &from, &to)))
        return false;
    *block = at;
    *bytes = (struct bytes){part->data + from, (size_t)(to - from),
                            get(&part->base) + from - part->state.spilled};
    return true;
}

static bool bytes_of_span(const struct part *part, struct bytes *bytes)
{
    const struct span *span = atomic_load_explicit(&part->span, memory_order_acquire);
    if (span)
        *bytes = (struct bytes){span->bytes, span->size, get(&part->base) + get(&part->own)};
    return span != NULL;
}

/* The block where the search by halves ends; matches on the way are remembered. */
static uint64_t search_blocks(struct search *search, const struct part *part, uint64_t from,
                              uint64_t to)
{
    while (from < to && !search->wrong) {
        uint64_t middle = from + (to - from) / 2, block = middle;
        struct bytes bytes;
        if (bytes_of_block(part, &block, &bytes) && look(search, &bytes) == FIRN_STREAM_RIGHT)
            from = block + 1;
        else
            to = middle;
    }
    uint64_t block = to;
    struct bytes bytes;
    if (!search->wrong && bytes_of_block(part, &block, &bytes) && block == to)
        (void)look(search, &bytes);
    return to;
}

/* FIRN_STREAM_RIGHT: it comes behind this part, if anywhere. */
static enum firn_stream_order search_part(struct search *search, const struct part *part,
                                          uint64_t *position)
{
    uint64_t first, last;
    struct bytes bytes;
    *position = get(&part->base);
    if (part_block_range(part, &first, &last)) {
        uint64_t block = search_blocks(search, part, first, last);
        if (search->matched)
            return FIRN_STREAM_MATCH;
        if (block != last)
            return FIRN_STREAM_LEFT;
    }
    *position += get(&part->own);
    if (!bytes_of_span(part, &bytes))
        return FIRN_STREAM_RIGHT;
    enum firn_stream_order order = look(search, &bytes);
    if (order == FIRN_STREAM_RIGHT)
        *position += bytes.size;
    return order;
}

/* The last appends of all: those that end in the last block, or the one that two parts share. */
static bool find_last(const struct part_list *list, size_t count, struct bytes *last)
{
    uint64_t first, block;
    if (count == 0)
        return false;
    if (part_block_range(list->parts[count - 1], &first, &block))
        return bytes_of_block(list->parts[count - 1], &block, last);
    return count > 1 && bytes_of_span(list->parts[count - 2], last);
}

int parts_find(const struct part_list *list, firn_stream_compare_fn *compare, void *arg,
               uint64_t *position, struct firn_error *err)
{
    struct search search = {.compare = compare, .arg = arg};
    ptrdiff_t empty = parts_empty(list);
    size_t count = empty >= 0 ? (size_t)empty : list->count;
    enum firn_stream_order order = FIRN_STREAM_RIGHT;
    *position = list->begin;
    if (!find_last(list, count, &search.last))
        return 0;
    for (size_t i = 0; i < count && order == FIRN_STREAM_RIGHT; i++)
        order = search_part(&search, list->parts[i], position);
    if (search.wrong)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "the comparison set a place behind the bytes that it got");
    if (search.matched)
        *position = search.position;
    return search.matched;
}

int firn_stream_find(struct firn_stream *stream, firn_stream_compare_fn *compare, void *arg,
                     struct firn_error *err)
{
    uint64_t position;
    int rc = stream_check_idle(stream, err);
    if (rc < 0)
        return rc;
    rc = parts_find(parts_of(stream), compare, arg, &position, err);
    if (rc <= 0 || position < firn_stream_offset(stream))
        return rc < 0 ? rc : 0;
    atomic_store(&stream->offset, position);
    return 1;
}
