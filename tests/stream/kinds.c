/* SPDX-License-Identifier: MIT */
#include "stream/kinds.h"

static const uint64_t shared_words[170] = {
#define TEN                                                                                        \
    WORD_SHARED, WORD_SHARED, WORD_SHARED, WORD_SHARED, WORD_SHARED, WORD_SHARED, WORD_SHARED,     \
        WORD_SHARED, WORD_SHARED, WORD_SHARED
    TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN,
#undef TEN
};
const uint8_t *const shared_bytes = (const uint8_t *)shared_words;

/* ---- blocks that fail ---- */

struct stores {
    struct firn_block_allocator base;
    struct kinds *kinds;
    struct firn_block *runs[RUNS_MOST]; /* in memory; NULL: released */
    unsigned count;                     /* of runs that ever were */
    unsigned open;                      /* handles */
};

struct handle {
    struct firn_block base;
    struct stores *stores;
    unsigned run;
    bool poisoned;
};

static int fails(struct failing *failing, const char *what, struct firn_error *err)
{
    if (failing->in == 0 || --failing->in > 0)
        return 0;
    return firn_error_set(err, failing->code, 0, "%s fails, as the test says", what);
}

static struct firn_block *run_of(const struct handle *handle)
{
    return handle->stores->runs[handle->run];
}

static void handle_close(struct firn_block *block)
{
    struct handle *handle = (struct handle *)block;
    handle->stores->open--;
    free(handle);
}

static int handle_load(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                       struct firn_error *err)
{
    struct handle *handle = (struct handle *)block;
    int rc = fails(&handle->stores->kinds->load, "a load", err);
    return rc < 0 ? rc : block_load(run_of(handle), first, iov, count, err);
}

static int handle_store(struct firn_block *block, uint64_t first, const struct iovec *iov,
                        int count, struct firn_error *err)
{
    struct handle *handle = (struct handle *)block;
    struct kinds *kinds = handle->stores->kinds;
    kinds->stores++;
    if (handle->poisoned)
        return firn_error_set(err, FIRN_EPOISONED, 0, "a store failed before");
    assert_false(kinds->options.read_only);
    int rc = fails(&kinds->store, "a store", err);
    handle->poisoned = rc < 0 && rc != FIRN_ENOSPC && rc != FIRN_ENOMEM;
    return rc < 0 ? rc : block_store(run_of(handle), first, iov, count, err);
}

/* Only what is empty, but for the mark, and all behind it too. */
static int handle_prepare(struct firn_block *block, uint64_t first, uint64_t number,
                          struct firn_error *err)
{
    struct handle *handle = (struct handle *)block;
    uint8_t bytes[BLOCKS << SHIFT] = {0};
    const struct iovec iov = {bytes, (size_t)(block->count - first) << SHIFT};
    assert_true(number > 0 && number <= block->count - first);
    assert_int_equal(block_load(run_of(handle), first, &iov, 1, err), 0);
    for (size_t i = first == 0 ? 48 : 0; i < sizeof bytes; i++)
        assert_int_equal(bytes[i], 0);
    assert_true(first > 0 || number == 1);
    handle->stores->kinds->prepared += number;
    return 0;
}

static const struct firn_block_ops handle_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = handle_close,
    .load = handle_load,
    .store = handle_store,
    .prepare = handle_prepare,
};

static struct firn_block *open_run(struct stores *stores, unsigned run)
{
    struct handle *handle = malloc(sizeof *handle);
    assert_non_null(handle);
    *handle = (struct handle){{&handle_ops, BLOCKS, SHIFT}, stores, run, false};
    stores->open++;
    return &handle->base;
}

static int stores_allocate(struct firn_block_allocator *base, struct firn_block **block,
                           struct firn_error *err)
{
    struct stores *stores = (struct stores *)base;
    int rc = fails(&stores->kinds->allocate, "allocating", err);
    if (rc < 0)
        return rc;
    assert_true(stores->count < RUNS_MOST);
    assert_int_equal(firn_block_memory_new(BLOCKS, SHIFT, &stores->runs[stores->count], err), 0);
    *block = open_run(stores, stores->count++);
    stores->kinds->runs++;
    return 0;
}

/* Only the first that is left, as the contract of blocks says. */
static int stores_release(struct firn_block_allocator *base, struct firn_block *block,
                          struct firn_error *err)
{
    struct stores *stores = (struct stores *)base;
    struct handle *handle = (struct handle *)block;
    assert_non_null(run_of(handle));
    int rc = fails(&stores->kinds->release, "releasing", err);
    for (unsigned i = 0; i < handle->run && rc == 0; i++)
        if (stores->runs[i])
            rc = firn_error_set(err, FIRN_EMISMATCH, 0, "not the first that is left");
    if (rc < 0)
        return rc;
    firn_block_close(run_of(handle));
    stores->runs[handle->run] = NULL;
    stores->kinds->runs--;
    handle_close(block);
    return 0;
}

static int stores_retrieve(struct firn_block_allocator *base, firn_block_retrieve_fn *each,
                           void *arg, struct firn_error *err)
{
    struct stores *stores = (struct stores *)base;
    int rc = 0;
    (void)err;
    assert_int_equal(stores->open, 0); /* one handle of a run */
    for (unsigned i = 0; i < stores->count && rc == 0; i++)
        if (stores->runs[i])
            rc = each(arg, open_run(stores, i));
    return rc;
}

static int stores_close(struct firn_block_allocator *base, struct firn_error *err)
{
    struct stores *stores = (struct stores *)base;
    (void)err;
    assert_int_equal(stores->open, 0);
    for (unsigned i = 0; i < stores->count; i++)
        firn_block_close(stores->runs[i]);
    free(stores);
    return 0;
}

static const struct firn_block_allocator_ops stores_ops = {
    .size = sizeof(struct firn_block_allocator_ops),
    .allocate = stores_allocate,
    .release = stores_release,
    .retrieve = stores_retrieve,
    .close = stores_close,
};

/* ---- parts of the kinds ---- */

static void append_to_part(struct part *part, const void *bytes, size_t size, bool spilled)
{
    part_append(part, bytes, size, spilled);
    assert_int_equal(part_sync(part, NULL), 0);
}

static void fill_part(struct part *part, const char *kind, uint64_t *word)
{
    uint64_t to = kind[1] == 'f' ? PART : kind[1] == 'e' ? 0 : 1152;
    if (kind[0] != 'f')
        append_to_part(part, shared_bytes, kind[0] == 's' ? 16 : 24, true);
    for (; part->state.used < to; ++*word)
        append_to_part(part, word, sizeof *word, false);
    if (kind[1] == 't')
        append_to_part(part, shared_bytes, TS, false);
}

static void make_part(struct kinds *k, const char *kind, uint64_t *word)
{
    struct firn_block *block;
    struct part *part;
    OK(block_allocate(k->allocator, &block, &k->err));
    OK(part_new(block, &part, &k->err));
    fill_part(part, kind, word);
    OK(part_close(part, &k->err));
    part_free(part);
}

void kinds_make(struct kinds *k, const char *kinds)
{
    struct stores *stores = calloc(1, sizeof *stores);
    uint64_t word = 1;
    assert_non_null(stores);
    *k = (struct kinds){.allocator = &stores->base};
    stores->base.ops = &stores_ops;
    stores->kinds = k;
    for (; *kinds; kinds += kinds[2] ? 3 : 2)
        make_part(k, kinds, &word);
    k->stores = 0;
}

/* ---- streams ---- */

void kinds_open(struct kinds *k, const char *kinds)
{
    kinds_make(k, kinds);
    kinds_reopen(k);
}

void kinds_flip(struct kinds *k, unsigned run, uint64_t block, size_t byte)
{
    struct firn_block *inner = ((struct stores *)k->allocator)->runs[run];
    uint8_t bytes[1 << SHIFT];
    const struct iovec iov[2] = {{bytes, 48}, {bytes + 48, sizeof bytes - 48}};
    OK(block_load(inner, block, iov, 2, &k->err));
    bytes[byte] ^= 4;
    OK(block_store(inner, block, iov, 2, &k->err));
}

static void close_stream(struct kinds *k)
{
    OK(firn_stream_close(k->stream, &k->err));
    k->stream = NULL;
}

void kinds_reopen(struct kinds *k)
{
    close_stream(k);
    OK(firn_stream_open(k->allocator, &k->options, &k->stream, &k->err));
}

/* Closing a poisoned stream stores nothing. */
void kinds_kill(struct kinds *k)
{
    const struct firn_error cause = {.code = FIRN_EIO, .message = "the process died"};
    stream_poison(k->stream, &cause);
    assert_int_equal(firn_stream_close(k->stream, NULL), FIRN_EPOISONED);
    k->stream = NULL;
}

void kinds_close(struct kinds *k)
{
    close_stream(k);
    OK(firn_block_allocator_close(k->allocator, &k->err));
}

const struct part_list *kinds_list(const struct kinds *k)
{
    return parts_of(k->stream);
}

struct part *kinds_part(const struct kinds *k, size_t i)
{
    assert_true(i < kinds_list(k)->count);
    return kinds_list(k)->parts[i];
}

void kinds_remove(struct kinds *k, uint64_t position, uint64_t parts, uint64_t bytes)
{
    struct firn_stream_removed removed;
    assert_true(firn_stream_advance(k->stream, position, &k->err) >= 0);
    OK(firn_stream_shrink(k->stream, &removed, &k->err));
    assert_int_equal(removed.parts, parts);
    assert_int_equal(removed.bytes, bytes);
}

void kinds_append(struct kinds *k, size_t size)
{
    OK(firn_stream_write(k->stream, shared_bytes, size, NULL, &k->err));
}

/* ---- what is in it ---- */

uint64_t word_at(const void *data, size_t i)
{
    uint64_t word;
    memcpy(&word, (const uint8_t *)data + 8 * i, sizeof word);
    return word;
}

enum firn_stream_order find_word(void *arg, const void *data, size_t size, const void *last,
                                 size_t last_size, size_t *at)
{
    uint64_t value = *(const uint64_t *)arg;
    assert_true(size > 0 && last_size > 0 && last);
    for (size_t i = 0; i < size / 8; i++) {
        uint64_t word = word_at(data, i);
        if (word == value) {
            *at = 8 * i;
            return FIRN_STREAM_MATCH;
        }
        if (word == WORD_SHARED)
            return FIRN_STREAM_RIGHT;
        if (word > value)
            return FIRN_STREAM_LEFT;
    }
    return FIRN_STREAM_RIGHT;
}

void expect_chunk(struct firn_stream_reader *reader, size_t size)
{
    struct firn_chunk chunk;
    uint64_t position = firn_stream_reader_position(reader);
    assert_int_equal(firn_stream_reader_next(reader, &chunk), 0);
    assert_int_equal(chunk.size, size);
    assert_int_equal(chunk.position, position);
    assert_int_equal(firn_stream_reader_position(reader), position + size);
    firn_chunk_release(&chunk);
    assert_null(chunk.hold);
}

uint64_t drain(struct firn_stream_reader *reader)
{
    struct firn_chunk chunk;
    uint64_t size = 0;
    int rc;
    while ((rc = firn_stream_reader_next(reader, &chunk)) == 0) {
        size += chunk.size;
        firn_chunk_release(&chunk);
    }
    assert_int_equal(rc, FIRN_EEND);
    return size;
}

void expect_all(struct kinds *k, uint64_t size)
{
    struct firn_stream_reader *reader;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    assert_int_equal(drain(reader), size);
    firn_stream_reader_close(reader);
    assert_int_equal(firn_stream_end(k->stream), size);
}
