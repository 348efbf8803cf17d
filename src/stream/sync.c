/* SPDX-License-Identifier: MIT */
/*
 * Bringing a part to its blocks: syncs, the mark, and the end of both. part.h says why.
 *
 * A sync builds what the blocks will say of themselves aside, and puts it in memory only when it is
 * on stable storage: whoever looks meanwhile sees what was acknowledged, and a sync that stored
 * nothing leaves nothing to be taken back.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/crc.h"
#include "stream/part_private.h"

enum {
    STACK_BLOCKS = 24,
    PIECE_BLOCKS = 4096,    /* of a large store */
    CLOSE_GAP = 128 * 1024, /* bytes between notes that are rather stored than skipped */
};

/* ---- what is in memory already ---- */

static struct iovec vector(const void *bytes, uint64_t size)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = (size_t)size};
}

static uint32_t written_of(const struct part *part, uint64_t block)
{
    struct meta meta;
    return meta_decode(part_meta(part, block), &meta) ? meta_written(&meta, part->payload) : 0;
}

int part_store(struct part *part, uint64_t from, uint64_t to, bool whole, struct firn_error *err)
{
    struct iovec few[2 * STACK_BLOCKS];
    uint64_t most = part_least(to - from + 1, PIECE_BLOCKS);
    struct iovec *many = most > STACK_BLOCKS ? malloc(2 * (size_t)most * sizeof *many) : NULL;
    struct iovec *iov = many ? many : few; /* without memory it takes more pieces */
    if (!many && most > STACK_BLOCKS)
        most = STACK_BLOCKS;
    int rc = 0;
    for (uint64_t block = from; block <= to && rc == 0; block += most) {
        uint64_t pairs = part_least(most, to - block + 1);
        for (uint64_t i = 0; i < pairs; i++) {
            bool cut = block + i == to && !whole;
            iov[2 * i] = vector(part_meta(part, block + i), META_BYTES);
            iov[2 * i + 1] = vector(part_data(part, block + i),
                                    cut ? written_of(part, to) : part->payload);
        }
        rc = block_store(part->block, block, iov, (int)(2 * pairs), err);
    }
    free(many);
    return rc;
}

/* ---- the mark ---- */

int part_store_mark(struct part *part, const struct note *note, struct firn_error *err)
{
    uint8_t meta[META_BYTES];
    memcpy(meta, part_meta(part, 0), META_BYTES);
    note_encode(meta, note);
    struct iovec pair[2] = {vector(meta, META_BYTES), vector(part->data, 0)};
    int rc = block_store(part->block, 0, pair, 2, err);
    if (rc < 0)
        return rc;
    lock_take(&part->meta_lock);
    memcpy(part_meta(part, 0), meta, META_BYTES);
    lock_release(&part->meta_lock);
    return 0;
}

int part_mark(struct part *part, struct firn_error *err)
{
    assert(part->settled);
    if (part->open)
        return 0;
    struct note note;
    note_decode(part_meta(part, 0), &note);
    note.flags |= NOTE_OPEN;
    int rc = part_store_mark(part, &note, err);
    if (rc == 0)
        part->open = true;
    return rc;
}

/* ---- a sync ---- */

struct sync {
    uint64_t from;  /* stored from here on */
    uint64_t first; /* the block that the append begins in */
    uint64_t last;
    uint8_t *metas; /* of [from, last] */
    struct iovec *iov;
    void *memory; /* of both; NULL: on the stack */
};

/* What the block will say when the pending append is in it. */
static void extend(const struct part *part, uint64_t block, struct meta *meta)
{
    uint64_t begin = part->state.used, end = begin + part->pending_size; /* of the append */
    uint64_t left = block * part->payload, right = left + part->payload;
    uint64_t from = begin > left ? begin : left, to = part_least(part->next.used, right);
    bool begins = begin >= left && part->next.spilled == part->state.spilled;
    assert(meta_written(meta, part->payload) == from - left && !meta->complete);
    meta->crc = crc32_ieee(meta->crc, part->data + from, (size_t)(to - from));
    meta->complete = end >= right;
    if (!begins)
        meta->spilled = (uint32_t)(end - left);
    meta->trail = !begins || end == right ? 0
                                          : (uint32_t)(end > right ? right - begin : end - left);
}

/* Block `first` tells what it said before. */
static void note_before(uint8_t meta[META_BYTES], const struct meta *was)
{
    struct note note;
    note_decode(meta, &note);
    note.flags |= NOTE_WAS;
    note.was = *was;
    note_encode(meta, &note);
}

static void clear_was(uint8_t meta[META_BYTES])
{
    struct note note;
    note_decode(meta, &note);
    note.flags &= ~(uint32_t)NOTE_WAS;
    note_encode(meta, &note);
}

static bool has_was(const struct part *part, uint64_t block)
{
    struct note note;
    note_decode(part_meta(part, block), &note);
    return (note.flags & NOTE_WAS) != 0;
}

static void build(const struct part *part, const struct sync *sync)
{
    size_t count = (size_t)(sync->last - sync->from + 1);
    memcpy(sync->metas, part_meta(part, sync->from), count * META_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint64_t block = sync->from + i;
        uint8_t *bytes = sync->metas + i * META_BYTES;
        uint64_t end = part_least(part->next.used - block * part->payload, part->payload);
        struct meta meta;
        bool good = meta_decode(bytes, &meta);
        assert(good);
        (void)good;
        if (block < sync->first) {
            clear_was(bytes);
        } else {
            if (block == sync->first)
                note_before(bytes, &meta);
            extend(part, block, &meta);
            meta_encode(bytes, &meta);
        }
        sync->iov[2 * i] = vector(bytes, META_BYTES);
        sync->iov[2 * i + 1] = vector(part_data(part, block), end);
    }
}

static uint64_t set_touched(struct part *part, uint64_t touched)
{
    lock_take(&part->meta_lock);
    uint64_t before = part->touched;
    part->touched = touched;
    lock_release(&part->meta_lock);
    return before;
}

static int store(struct part *part, const struct sync *sync, struct firn_error *err)
{
    size_t count = (size_t)(sync->last - sync->from + 1);
    uint64_t before = set_touched(part, sync->last + 1);
    build(part, sync);
    int rc = block_store(part->block, sync->from, sync->iov, (int)(2 * count), err);
    if (rc == FIRN_ENOSPC || rc == FIRN_ENOMEM)
        set_touched(part, before);
    if (rc < 0)
        return rc;
    lock_take(&part->meta_lock);
    memcpy(part_meta(part, sync->from), sync->metas, count * META_BYTES);
    part->state = part->next;
    lock_release(&part->meta_lock);
    part->pending = false;
    return 0;
}

int part_sync(struct part *part, struct firn_error *err)
{
    uint8_t metas[STACK_BLOCKS * META_BYTES];
    struct iovec iov[2 * STACK_BLOCKS];
    if (!part->pending)
        return 0;
    int rc = part_mark(part, err);
    if (rc < 0)
        return rc;
    uint64_t first = part->state.used / part->payload;
    struct sync sync = {
        .from = first > 0 && has_was(part, first - 1) ? first - 1 : first,
        .first = first,
        .last = (part->next.used - 1) / part->payload,
        .metas = metas,
        .iov = iov,
    };
    size_t count = (size_t)(sync.last - sync.from + 1);
    if (count > STACK_BLOCKS) {
        sync.memory = malloc(count * (2 * sizeof *iov + META_BYTES));
        if (!sync.memory)
            return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to sync %zu blocks", count);
        sync.iov = sync.memory;
        sync.metas = (uint8_t *)(sync.iov + 2 * count);
    }
    rc = store(part, &sync, err);
    free(sync.memory);
    return rc;
}

/* ---- the end ---- */

/* Whether there is more to clear than the mark. */
static bool has_note(const struct part *part, uint64_t block)
{
    struct note note;
    if (block > 0)
        return !note_is_clear(part_meta(part, block));
    note_decode(part_meta(part, 0), &note);
    return note.flags != NOTE_OPEN;
}

/* The last of the blocks from `from` on that one store clears. */
static uint64_t group_end(const struct part *part, uint64_t from, uint64_t count)
{
    uint64_t gap = ((uint64_t)CLOSE_GAP >> part->shift) + 1, to = from;
    for (uint64_t block = from + 1; block < count && block - to <= gap; block++)
        if (has_note(part, block))
            to = block;
    return to;
}

/* In memory first: where the store fails, notes that stay do no harm. */
static void clear_notes(struct part *part, uint64_t from, uint64_t to)
{
    static const struct note none, open = {.flags = NOTE_OPEN};
    lock_take(&part->meta_lock);
    for (uint64_t block = from; block <= to; block++)
        note_encode(part_meta(part, block), block == 0 ? &open : &none);
    lock_release(&part->meta_lock);
}

int part_close(struct part *part, struct firn_error *err)
{
    static const struct note none;
    assert(!part->pending);
    if (!part->open)
        return 0;
    uint64_t count = part_blocks(part, part->state.used);
    int rc = 0;
    for (uint64_t block = 0; block < count && rc == 0; block++) {
        if (!has_note(part, block))
            continue;
        uint64_t to = group_end(part, block, count);
        clear_notes(part, block, to);
        rc = part_store(part, block, to, false, err);
        block = to;
    }
    if (rc == 0)
        rc = part_store_mark(part, &none, err);
    if (rc == 0)
        part->open = false;
    return rc;
}
