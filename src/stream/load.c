/* SPDX-License-Identifier: MIT */
/*
 * Loading a part. One that was closed has no more to say than its end: that is looked for by
 * halves, and what lies before is read in chunks that are checked while they are in the cache.
 * Where the search meets something impossible, all is read, and the checks say what it was.
 */
#include <assert.h>
#include <stdlib.h>

#include "stream/check.h"
#include "stream/load.h"
#include "stream/part_private.h"

enum { CHUNK_PAIRS = 512 };

uint64_t part_load_chunk_blocks(const struct part *part)
{
    uint64_t blocks = (uint64_t)PART_CHUNK >> part->shift;
    blocks = blocks == 0 ? 1 : part_least(blocks, CHUNK_PAIRS);
    return part_least(blocks, part->count);
}

int part_load_meta(struct part *part, uint64_t block, void *bytes, struct firn_error *err)
{
    struct iovec iov = {.iov_base = bytes, .iov_len = META_BYTES};
    return block_load(part->block, block, &iov, 1, err);
}

/* The blocks up to `count`, one behind another in `data`, or all in its first block. */
static int load_pairs(struct part *part, uint64_t first, uint64_t count, void *metas, void *data,
                      bool keep, struct firn_error *err)
{
    uint8_t *to_metas = metas, *to_data = data;
    struct iovec iov[2 * CHUNK_PAIRS];
    assert(count <= CHUNK_PAIRS);
    for (uint64_t i = 0; i < count; i++) {
        iov[2 * i] = (struct iovec){.iov_base = to_metas + i * META_BYTES, .iov_len = META_BYTES};
        iov[2 * i + 1] = (struct iovec){.iov_base = to_data + (keep ? i * part->payload : 0),
                                        .iov_len = part->payload};
    }
    return block_load(part->block, first, iov, (int)(2 * count), err);
}

int part_load_blocks(struct part *part, uint64_t first, uint64_t count, void *metas, void *data,
                     struct firn_error *err)
{
    return load_pairs(part, first, count, metas, data, true, err);
}

int part_load_metas(struct part *part, uint64_t first, uint64_t count, void *metas,
                    struct firn_error *err)
{
    uint8_t *to = metas;
    enum { SMALL_SHIFT = 13 }; /* of larger ones only the meta is read, block by block */
    int rc = 0;
    if (part->shift <= SMALL_SHIFT) {
        uint8_t scratch[1 << SMALL_SHIFT];
        return load_pairs(part, first, count, metas, scratch, false, err);
    }
    for (uint64_t i = 0; i < count && rc == 0; i++)
        rc = part_load_meta(part, first + i, to + i * META_BYTES, err);
    return rc;
}

/* ---- where the blocks end, and with them the state ---- */

static struct meta decoded(const struct part *part, uint64_t block)
{
    struct meta meta;
    bool good = meta_decode(part_meta(part, block), &meta);
    assert(good);
    (void)good;
    return meta;
}

/* Where the last append ends that ends in this part, which is full. */
static uint64_t last_end(const struct part *part)
{
    for (uint64_t block = part->count; block-- > 0;) {
        struct meta meta = decoded(part, block);
        if (meta.spilled <= part->payload)
            return (block + 1) * part->payload - meta.trail;
    }
    return 0;
}

void part_load_state(struct part *part, uint64_t count)
{
    struct part_state state = {.used = 0};
    if (count > 0) {
        struct meta last = decoded(part, count - 1);
        state.spilled = decoded(part, 0).spilled;
        state.used = (count - 1) * part->payload + meta_written(&last, part->payload);
        state.ended = state.used < part->capacity ? state.used : last_end(part);
    }
    part->state = part->next = state;
    part->touched = count;
}

/* ---- a part that was closed ---- */

/* What is known before the blocks are loaded. */
struct end {
    uint64_t count;           /* of the blocks that are not empty; all, where that is in doubt */
    uint8_t meta[META_BYTES]; /* of the one behind them */
};

static int find_end(struct part *part, struct end *end, struct firn_error *err)
{
    uint64_t low = 0, high = part->count, filled = 0; /* below `filled` some are not empty */
    end->count = part->count;
    while (low < high) {
        uint64_t middle = low == 0 ? 0 : low + (high - low) / 2;
        uint8_t bytes[META_BYTES];
        struct meta meta;
        int rc = part_load_meta(part, middle, bytes, err);
        if (rc < 0)
            return rc;
        if (!meta_decode(bytes, &meta))
            return 0;
        if (!meta_is_empty(bytes))
            filled = filled > middle ? filled : middle + 1;
        if (meta.complete) {
            low = middle + 1;
        } else {
            high = middle;
            memcpy(end->meta, bytes, META_BYTES);
        }
    }
    if (filled <= low + 1)
        end->count = low < part->count && meta_is_empty(end->meta)
                         ? low
                         : part_least(low + 1, part->count);
    return 0;
}

struct loading {
    struct part *part;
    bool verify;
    struct end end;
    struct chain chain;
    struct findings findings;
};

static void check_loaded(struct loading *loading, uint64_t block)
{
    const struct part *part = loading->part;
    struct meta meta;
    fault_set faults = part_check_next(&loading->chain, part_meta(part, block), &meta);
    bool quick = block == 0 || block + 2 >= loading->end.count;
    if ((quick || loading->verify) && (meta.complete || meta_written(&meta, part->payload) > 0))
        faults |= part_check_data(part, block, &meta);
    findings_add(&loading->findings, block, faults);
}

static int load_used(struct loading *loading, struct firn_error *err)
{
    struct part *part = loading->part;
    uint64_t count = loading->end.count, most = part_load_chunk_blocks(part);
    for (uint64_t first = 0; first < count; first += most) {
        uint64_t blocks = part_least(most, count - first);
        int rc = part_load_blocks(part, first, blocks, part_meta(part, first),
                                  part_data(part, first), err);
        if (rc < 0)
            return rc;
        for (uint64_t i = 0; i < blocks; i++)
            check_loaded(loading, first + i);
    }
    return 0;
}

/* What lies behind must be empty: the next block, or all. */
static int check_behind(struct loading *loading, struct firn_error *err)
{
    struct part *part = loading->part;
    uint64_t most = part_load_chunk_blocks(part), block = loading->end.count;
    uint8_t metas[CHUNK_PAIRS * META_BYTES];
    struct meta meta;
    if (!loading->verify) {
        if (block < part->count && !loading->chain.incomplete)
            findings_add(&loading->findings, block,
                         part_check_next(&loading->chain, loading->end.meta, &meta));
        return 0;
    }
    for (; block < part->count; block += most) {
        uint64_t blocks = part_least(most, part->count - block);
        int rc = part_load_metas(part, block, blocks, metas, err);
        if (rc < 0)
            return rc;
        for (uint64_t i = 0; i < blocks; i++)
            findings_add(&loading->findings, block + i,
                         part_check_next(&loading->chain, metas + i * META_BYTES, &meta));
    }
    return 0;
}

static int load_closed(struct part *part, const struct part_look *look, struct firn_error *err)
{
    struct loading loading = {
        .part = part, .verify = look && look->verify, .findings = {.look = look}};
    part_check_init(&loading.chain, part);
    int rc = find_end(part, &loading.end, err);
    if (rc == 0)
        rc = load_used(&loading, err);
    if (rc == 0)
        rc = check_behind(&loading, err);
    if (rc == 0)
        rc = findings_result(&loading.findings, err);
    if (rc < 0)
        return rc;
    part_load_state(part, loading.end.count);
    uint64_t rest = loading.end.count * part->payload - part->state.used;
    memset(part->data + part->state.used, 0, (size_t)rest);
    return 0;
}

int part_load(struct part *part, const struct part_look *look, struct firn_error *err)
{
    uint8_t bytes[META_BYTES];
    struct note note;
    int rc = part_load_meta(part, 0, bytes, err);
    if (rc < 0)
        return rc;
    note_decode(bytes, &note);
    bool closed = note.flags != 0 ? (note.flags & NOTE_OPEN) == 0 : note_is_clear(bytes);
    return closed ? load_closed(part, look, err) : part_recover(part, look, err);
}
