/* SPDX-License-Identifier: MIT */
/*
 * A stream's handle: opening, loading, closing, poison.
 *
 * Loading reads all parts before it changes anything: what does not fit together leaves storage as
 * it is. Only then the parts are settled (what a crash left unsure is stored again, what was cut
 * becomes zero), and only then anybody sees them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "stream/stream_private.h"

/* ---- poison ---- */

int stream_poisoned(const struct firn_stream *stream, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EPOISONED, stream->cause.os_error, "%s", stream->cause.message);
}

void stream_poison(struct firn_stream *stream, const struct firn_error *cause)
{
    if (atomic_load(&stream->poisoned))
        return;
    stream->cause = *cause;
    error_wrap(&stream->cause, "the stream takes no more appends; load or open it again");
    atomic_store(&stream->poisoned, true);
}

int stream_check_idle(const struct firn_stream *stream, struct firn_error *err)
{
    uint64_t open = atomic_load(&stream->open);
    if (open == 0)
        return 0;
    return firn_error_set(err, FIRN_EBUSY, 0,
                          "%llu readers, chunks and appends of the stream are open: end them first",
                          (unsigned long long)open);
}

/* ---- what was loaded goes ---- */

static void release_queue(struct firn_stream *stream)
{
    for (size_t i = 0; i < stream->queued; i++)
        part_release(stream->queue[i]);
    stream->queued = 0;
}

/* Nobody else uses the stream. */
static void forget(struct firn_stream *stream)
{
    struct part_list *list = atomic_exchange(&stream->list, stream->none);
    if (list != stream->none)
        parts_free(list);
    grace_drain(&stream->grace);
    release_queue(stream);
    firn_block_close(stream->spare);
    stream->spare = NULL;
    atomic_store(&stream->offset, 0);
    atomic_store(&stream->end, 0);
    atomic_store(&stream->appending, false);
    stream->recovery = (struct firn_stream_recovery){0};
}

/* Closes those at which the queue and the list point; the first error. */
static int close_parts(struct part *const *parts, size_t count, struct firn_error *err)
{
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        int part_rc = part_close(parts[i], rc == 0 ? err : NULL);
        if (rc == 0)
            rc = part_rc;
    }
    return rc;
}

/* Leaves the blocks without notes, as far as it can. */
static int close_all(struct firn_stream *stream, struct firn_error *err)
{
    const struct part_list *list = parts_of(stream);
    if (stream->options.read_only || list == stream->none)
        return 0;
    if (atomic_load(&stream->poisoned))
        return stream_poisoned(stream, err);
    int rc = close_parts(stream->queue, stream->queued, err);
    int list_rc = close_parts(list->parts, list->count, rc == 0 ? err : NULL);
    rc = rc < 0 ? rc : list_rc;
    if (rc < 0)
        error_wrap(err, "closing the stream; what was synced is durable, and opening recovers");
    return rc;
}

/* ---- loading: the parts ---- */

struct loading {
    struct firn_stream *stream;
    struct firn_block **blocks; /* until they are parts' */
    size_t count, size;
    struct part_list *list;
    uint64_t part; /* whose findings come */
    struct firn_error *err;
};

/* Keeps the block in any case: closing it here would call the allocator. */
static int retrieved(void *arg, struct firn_block *block)
{
    struct loading *loading = arg;
    loading->blocks[loading->count++] = block;
    if (loading->count < loading->size)
        return 0;
    size_t size = 2 * loading->size;
    struct firn_block **blocks = realloc(loading->blocks, size * sizeof(struct firn_block *));
    if (!blocks)
        return firn_error_set(loading->err, FIRN_ENOMEM, 0, "no memory for the stream's parts");
    loading->blocks = blocks;
    loading->size = size;
    return 0;
}

static int retrieve(struct loading *loading)
{
    loading->size = 8;
    loading->blocks = malloc(loading->size * sizeof(struct firn_block *));
    if (!loading->blocks)
        return firn_error_set(loading->err, FIRN_ENOMEM, 0, "no memory for the stream's parts");
    return block_retrieve(loading->stream->allocator, retrieved, loading, loading->err);
}

int stream_new_part(struct firn_stream *stream, struct firn_block *block, struct part **out,
                    struct firn_error *err)
{
    struct part *part = NULL;
    int rc = block_check(block, err);
    if (rc < 0)
        return rc;
    rc = part_new(block, &part, err);
    if (rc < 0)
        return rc;
    part->stream = stream;
    *out = part;
    return 0;
}

static int make_parts(struct loading *loading)
{
    int rc = 0;
    loading->list = parts_new(loading->count);
    if (!loading->list)
        return firn_error_set(loading->err, FIRN_ENOMEM, 0, "no memory for the stream's parts");
    for (size_t i = 0; i < loading->count && rc == 0; i++) {
        rc = stream_new_part(loading->stream, loading->blocks[i], &loading->list->parts[i],
                             loading->err);
        if (rc == 0)
            loading->blocks[i] = NULL;
        else
            error_wrap(loading->err, "part %zu of the stream", i);
    }
    return rc;
}

static void find_fault(void *arg, uint64_t block, enum firn_stream_fault fault)
{
    struct loading *loading = arg;
    const struct firn_stream_options *options = &loading->stream->options;
    const struct firn_stream_finding finding = {loading->part, block, fault};
    if (options->finding)
        options->finding(options->arg, &finding);
}

/* Goes on after damage, for those who want to know all of it. */
static int load_parts(struct loading *loading)
{
    const struct part_look look = {loading->stream->options.verify, find_fault, loading};
    int rc = 0, part_rc = 0;
    for (size_t i = 0; i < loading->list->count; i++) {
        loading->part = i;
        part_rc = part_load(loading->list->parts[i], &look, rc == 0 ? loading->err : NULL);
        if (part_rc < 0 && rc == 0) {
            rc = part_rc;
            error_wrap(loading->err, "part %zu of the stream", i);
        }
        if (part_rc < 0 && (part_rc != FIRN_EDAMAGED || !loading->stream->options.finding))
            break;
    }
    return rc;
}

/* ---- loading: appends that two parts share ---- */

static size_t trailing_size(const struct part *part)
{
    return (size_t)(part->state.used - part->state.ended);
}

/* How much of an append that began before its last block is to come in the next part; 0: unknown.
 */
static uint64_t expected_rest(const struct part *part)
{
    struct meta meta;
    if (!meta_decode(part->metas + (part->count - 1) * META_BYTES, &meta) || meta.trail > 0)
        return 0;
    return meta.spilled > part->payload ? meta.spilled - part->payload : 0;
}

static int broken_span(struct loading *loading, size_t i, uint64_t block, const char *what)
{
    loading->part = i;
    find_fault(loading, block, FIRN_FAULT_SPAN);
    return firn_error_set(loading->err, FIRN_EDAMAGED, 0, "part %zu of the stream: %s", i, what);
}

/* Appends go on after the last part, so this one would be hidden for good. */
static int check_last(struct loading *loading)
{
    size_t count = loading->list->count;
    const struct part *last = count > 0 ? loading->list->parts[count - 1] : NULL;
    if (!last || trailing_size(last) == 0 || loading->stream->options.read_only)
        return 0;
    return broken_span(loading, count - 1, last->count - 1,
                       "its last append goes on in a part that is not there (opened read-only, the "
                       "stream can be read up to it)");
}

/* Whether the part has nothing but the rest of an append whose beginning was never stored. */
static bool is_unfinished(const struct part_list *list, size_t i)
{
    const struct part *part = list->parts[i];
    if (!part->unclean || part->state.used != part->state.spilled)
        return false;
    while (++i < list->count)
        if (list->parts[i]->state.used > 0)
            return false;
    return true;
}

static int join(struct loading *loading, size_t i)
{
    struct part *left = loading->list->parts[i], *right = loading->list->parts[i + 1];
    size_t trailing = trailing_size(left), spilled = (size_t)right->state.spilled;
    if (trailing == 0 && spilled == 0)
        return 0;
    if (trailing == 0 && is_unfinished(loading->list, i + 1)) {
        part_cut_all(right);
        return 0;
    }
    if (trailing == 0)
        return broken_span(loading, i + 1, 0,
                           "it begins with the rest of an append that the part before does not "
                           "begin");
    uint64_t expected = expected_rest(left);
    if (spilled == 0 || (expected > 0 && expected != spilled))
        return broken_span(loading, i, left->count - 1,
                           "its last append does not go on in the next part as it should");
    struct span *span = span_new(left->data + left->state.ended, trailing, right->data, spilled);
    if (!span)
        return firn_error_set(loading->err, FIRN_ENOMEM, 0, "no memory for an append of %zu bytes",
                              trailing + spilled);
    atomic_store(&left->span, span);
    return 0;
}

static int join_parts(struct loading *loading)
{
    int rc = check_last(loading);
    for (size_t i = 0; i + 1 < loading->list->count && rc == 0; i++)
        rc = join(loading, i);
    return rc;
}

/* ---- loading: the stream ---- */

static int settle_parts(struct loading *loading)
{
    int rc = 0;
    if (loading->stream->options.read_only)
        return 0;
    for (size_t i = 0; i < loading->list->count && rc == 0; i++) {
        rc = part_settle(loading->list->parts[i], loading->err);
        if (rc < 0)
            error_wrap(loading->err, "part %zu of the stream", i);
    }
    return rc;
}

/* Empty parts get the position where they stand, save those at the end. */
static uint64_t set_positions(const struct part_list *list)
{
    uint64_t position = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct part *part = list->parts[i];
        atomic_store(&part->spilled, part->state.spilled);
        atomic_store(&part->own, part->state.ended - part->state.spilled);
        atomic_store(&part->used, part->state.used);
    }
    ptrdiff_t empty = parts_empty(list);
    size_t used = empty >= 0 ? (size_t)empty : list->count;
    for (size_t i = 0; i < used; i++) {
        atomic_store(&list->parts[i]->base, position);
        position += part_length(list->parts[i]);
    }
    return position;
}

static void publish(struct loading *loading)
{
    struct firn_stream *stream = loading->stream;
    struct part_list *list = loading->list;
    for (size_t i = 0; i < list->count; i++) {
        stream->recovery.recovered |= list->parts[i]->unclean;
        stream->recovery.cut_bytes += list->parts[i]->cut;
    }
    atomic_store(&stream->end, set_positions(list));
    atomic_store(&stream->list, list);
    loading->list = NULL;
    atomic_store(&stream->poisoned, false);
}

static void finish_loading(struct loading *loading)
{
    parts_free(loading->list);
    for (size_t i = 0; i < loading->count; i++)
        firn_block_close(loading->blocks[i]);
    free(loading->blocks);
}

/* Into a stream that has nothing. After an error it stays so, and poisoned. */
static int load(struct firn_stream *stream, struct firn_error *err)
{
    struct firn_error cause = {0};
    struct loading loading = {.stream = stream, .err = &cause};
    int rc = retrieve(&loading);
    if (rc == 0)
        rc = make_parts(&loading);
    if (rc == 0)
        rc = load_parts(&loading);
    if (rc == 0)
        rc = join_parts(&loading);
    if (rc == 0)
        rc = settle_parts(&loading);
    if (rc == 0)
        publish(&loading);
    finish_loading(&loading);
    if (rc == 0)
        return 0;
    atomic_store(&stream->poisoned, false);
    stream_poison(stream, &cause);
    return firn_error_set(err, rc, cause.os_error, "%s", cause.message);
}

int firn_stream_load(struct firn_stream *stream, struct firn_error *err)
{
    int rc = stream_check_idle(stream, err);
    if (rc < 0)
        return rc;
    (void)close_all(stream, NULL); /* what it could not leave closed is recovered */
    forget(stream);
    return load(stream, err);
}

/* ---- opening and closing ---- */

static void free_stream(struct firn_stream *stream)
{
    pthread_mutex_destroy(&stream->structure);
    free(stream->queue);
    free(stream->none);
    free(stream);
}

static struct firn_stream *new_stream(struct firn_block_allocator *allocator,
                                      const struct firn_stream_options *options)
{
    struct firn_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->none = parts_new(0);
    if (!stream->none) {
        free(stream);
        return NULL;
    }
    pthread_mutex_init(&stream->structure, NULL);
    stream->allocator = allocator;
    if (options)
        stream->options = *options;
    atomic_init(&stream->list, stream->none);
    return stream;
}

int firn_stream_open(struct firn_block_allocator *allocator,
                     const struct firn_stream_options *options, struct firn_stream **out,
                     struct firn_error *err)
{
    int rc = block_allocator_check(allocator, err);
    if (rc < 0)
        return rc;
    struct firn_stream *stream = new_stream(allocator, options);
    if (!stream)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to open a stream");
    rc = load(stream, err);
    if (rc < 0) {
        free_stream(stream);
        return rc;
    }
    *out = stream;
    return 0;
}

int firn_stream_close(struct firn_stream *stream, struct firn_error *err)
{
    if (!stream)
        return 0;
    int rc = stream_check_idle(stream, err);
    if (rc < 0)
        return rc;
    rc = close_all(stream, err);
    forget(stream);
    free_stream(stream);
    return rc;
}
