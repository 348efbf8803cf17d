/* SPDX-License-Identifier: MIT */
/*
 * Loading a part that was not closed, and settling it.
 *
 * A crash leaves all of the durable stores before it, and any sectors of the one that was under
 * way. If that was a sync, it is of one append, from block F on, and:
 * - Blocks before F are whole. (The one before it may be stored again unchanged.)
 * - If F's new meta is there, F has a note with its former one, and no block behind it has a note:
 *   F is the last block with one. If now anything of the append is missing, F's former state holds.
 *   Its bytes were rewritten unchanged.
 * - If F's new meta is not there, its former one is, or it is empty: the blocks end there.
 * - What the sync left behind F has no notes, and each meta is there or wholly zero. All of them
 *   tell of one append: no trails, and the same place where it ends.
 * What does not fit into this was not left by a crash: it is damage, and nothing is changed.
 *
 * Stores that close a part, or mark it, change nothing but notes. The part is whole then, and notes
 * that are left over tell of syncs that are whole too.
 *
 * Settling comes before anybody sees what was kept. What was read may stand in the page cache only,
 * behind a store that failed, so the mark, what the last sync may have stored, and the end are
 * stored again. What was cut is zeroed; but if that fails it may read as zero and still be there
 * after a power cut, behind what was appended since. Therefore the mark tells before that blocks
 * below `cut_to` are to be zeroed (NOTE_CUT); whoever finds it zeroes them again.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/crc.h"
#include "stream/check.h"
#include "stream/load.h"
#include "stream/part_private.h"

struct recovery {
    struct part *part;
    const struct part_look *look;
    uint64_t dirty; /* blocks from here on are zero */
    uint64_t cut_to;
    bool noted;     /* there is a block with a former state: */
    uint64_t first; /* the last one of them */
    struct note note;
    struct chain before; /* the chain up to it */
    uint64_t end;        /* the block where the chain ends */
    struct meta last;    /* what that says */
};

/* ---- reading ---- */

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Keeps what is not zero, so that the memory of what is not used is not touched. */
static void keep(struct recovery *recovery, uint64_t block, const uint8_t *data)
{
    struct part *part = recovery->part;
    bool empty = is_zero(data, part->payload);
    if (!empty)
        memcpy(part_data(part, block), data, part->payload);
    if (!empty || !is_zero(part_meta(part, block), META_BYTES))
        recovery->dirty = block + 1;
}

static int read_all(struct recovery *recovery, struct firn_error *err)
{
    struct part *part = recovery->part;
    uint64_t most = part_load_chunk_blocks(part);
    uint8_t *data = malloc((size_t)most * part->payload);
    if (!data)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to load blocks");
    int rc = 0;
    for (uint64_t first = 0; first < part->count && rc == 0; first += most) {
        uint64_t blocks = part_least(most, part->count - first);
        rc = part_load_blocks(part, first, blocks, part_meta(part, first), data, err);
        for (uint64_t i = 0; i < blocks && rc == 0; i++)
            keep(recovery, first + i, data + i * part->payload);
    }
    free(data);
    return rc;
}

static void find_notes(struct recovery *recovery)
{
    for (uint64_t block = 0; block < recovery->dirty; block++) {
        struct note note;
        note_decode(part_meta(recovery->part, block), &note);
        if (block == 0 && note.flags & NOTE_CUT)
            recovery->cut_to = part_least(note.cut_to, recovery->part->count);
        if (note.flags & NOTE_WAS) {
            recovery->noted = true;
            recovery->first = block;
            recovery->note = note;
        }
    }
}

/* ---- how far it is whole ---- */

static bool has_bytes(const struct part *part, const struct meta *meta)
{
    return meta_written(meta, part->payload) > 0;
}

/* Sets `end` and `last`. False: something is wrong there. */
static bool walk(struct recovery *recovery)
{
    struct part *part = recovery->part;
    bool verify = recovery->look && recovery->look->verify;
    struct chain chain;
    part_check_init(&chain, part);
    for (uint64_t block = 0; block < part->count; block++) {
        struct meta *meta = &recovery->last;
        if (recovery->noted && block == recovery->first)
            recovery->before = chain;
        recovery->end = block;
        if (part_check_next(&chain, part_meta(part, block), meta) != 0)
            return false;
        bool check = verify || block == 0 || !meta->complete || block + 2 >= part->count ||
                     (recovery->noted && block >= recovery->first);
        if (check && has_bytes(part, meta) && part_check_data(part, block, meta) != 0)
            return false;
        if (!meta->complete)
            return true;
    }
    recovery->end = part->count;
    return true;
}

/* The block before the end, which the walk did not know to be one. */
static bool check_before_end(const struct recovery *recovery)
{
    struct meta meta;
    return recovery->end == 0 ||
           (meta_decode(part_meta(recovery->part, recovery->end - 1), &meta) &&
            part_check_data(recovery->part, recovery->end - 1, &meta) == 0);
}

/* ---- what is left of an append that is not whole ---- */

/* The remains of one append that begins at offset `begin`, in blocks from `block` on. */
struct remains {
    uint64_t block;
    uint64_t begin;
    uint64_t end; /* 0: not known */
    uint64_t bytes;
};

static bool is_piece(const struct part *part, uint64_t block, struct remains *remains)
{
    const uint8_t *bytes = part_meta(part, block);
    struct meta meta;
    struct note note;
    note_decode(bytes, &note);
    if (!meta_decode(bytes, &meta) || note.flags != 0)
        return false;
    if (meta_is_empty(bytes))
        return meta.crc == 0;
    uint64_t end = block * part->payload + meta.spilled;
    if (meta.trail != 0 || meta.complete != (meta.spilled >= part->payload) ||
        (remains->end != 0 && end != remains->end))
        return false;
    remains->end = end;
    remains->bytes += meta_written(&meta, part->payload);
    return true;
}

static bool are_remains(const struct recovery *recovery, struct remains *remains)
{
    for (uint64_t block = remains->block; block < recovery->dirty; block++)
        if (!is_piece(recovery->part, block, remains))
            return false;
    return remains->end == 0 || remains->end - remains->begin <= FIRN_STREAM_APPEND_MAX;
}

/* Whether `now` is `was` and the beginning of one append, or all of it; where that ends. */
static bool is_extended(const struct part *part, uint64_t block, const struct meta *was,
                        const struct meta *now, uint64_t *end)
{
    uint64_t left = block * part->payload;
    uint32_t written = meta_written(was, part->payload);
    *end = 0;
    if (block == 0 && written == 0 && now->spilled > 0) {
        *end = now->spilled;
        return now->trail == 0 && now->complete == (now->spilled >= part->payload);
    }
    if (now->spilled != was->spilled)
        return false;
    if (now->complete && now->trail > 0)
        return now->trail == part->payload - written;
    *end = left + (now->complete ? part->payload : now->trail);
    return now->complete || now->trail > written;
}

/* Whether the block fits behind those before it with what it says that it was. */
static bool fits_as_before(const struct recovery *recovery, const struct meta *was)
{
    struct chain chain = recovery->before;
    struct meta meta;
    uint8_t bytes[META_BYTES] = {0};
    meta_encode(bytes, was);
    return !was->complete && part_check_next(&chain, bytes, &meta) == 0 &&
           (!has_bytes(recovery->part, was) ||
            part_check_data(recovery->part, recovery->first, was) == 0);
}

/* ---- deciding ---- */

static bool end_is_whole(const struct recovery *recovery, struct remains *remains)
{
    const struct part *part = recovery->part;
    if (!check_before_end(recovery))
        return false;
    if (recovery->end == part->count) {
        *remains = (struct remains){.block = part->count};
        return true;
    }
    uint64_t begin = recovery->end * part->payload + meta_written(&recovery->last, part->payload);
    *remains = (struct remains){.block = recovery->end + 1, .begin = begin};
    return are_remains(recovery, remains);
}

static bool can_go_back(const struct recovery *recovery, struct remains *remains)
{
    const struct part *part = recovery->part;
    const struct meta *was = &recovery->note.was;
    struct meta now;
    if (!recovery->noted || recovery->first > recovery->end ||
        !meta_decode(part_meta(part, recovery->first), &now) || !fits_as_before(recovery, was))
        return false;
    uint32_t written = meta_written(was, part->payload);
    *remains = (struct remains){
        .block = recovery->first + 1,
        .begin = recovery->first * part->payload + written,
        .bytes = meta_written(&now, part->payload) - written,
    };
    return is_extended(part, recovery->first, was, &now, &remains->end) &&
           are_remains(recovery, remains);
}

static void go_back(struct recovery *recovery)
{
    struct part *part = recovery->part;
    uint8_t *bytes = part_meta(part, recovery->first);
    recovery->note.flags &= ~(uint32_t)NOTE_WAS;
    meta_encode(bytes, &recovery->note.was);
    note_encode(bytes, &recovery->note);
    recovery->end = recovery->first;
    recovery->last = recovery->note.was;
}

/* Nothing behind the end stays in memory. */
static void keep_whole(struct recovery *recovery, uint64_t cut)
{
    struct part *part = recovery->part;
    uint64_t count = recovery->end;
    if (count < part->count && has_bytes(part, &recovery->last))
        count++;
    part_load_state(part, count);
    uint64_t used = part->state.used, most = recovery->dirty * part->payload;
    if (most > used)
        memset(part->data + used, 0, (size_t)(most - used));
    for (uint64_t block = count; block < recovery->dirty; block++)
        memset(part_meta(part, block), 0, META_BYTES);
    part->cut = cut;
}

static void plan_settling(struct recovery *recovery)
{
    struct part *part = recovery->part;
    uint64_t end = part_least(part->state.used / part->payload, part->count - 1);
    part->settle_from = recovery->noted ? part_least(recovery->first, end) : end;
    part->settle_to = end;
    if (part->settle_to + 1 < recovery->dirty)
        part->settle_to = recovery->dirty - 1;
    if (part->settle_to + 1 < recovery->cut_to)
        part->settle_to = recovery->cut_to - 1;
    struct note note;
    note_decode(part_meta(part, 0), &note);
    note.flags = (note.flags & NOTE_WAS) | NOTE_OPEN;
    note_encode(part_meta(part, 0), &note);
    part->unclean = true;
    part->settled = false;
}

/* All that is wrong, where it is not what a crash leaves. */
static int report(const struct recovery *recovery, struct firn_error *err)
{
    const struct part *part = recovery->part;
    struct findings findings = {.look = recovery->look};
    struct chain chain;
    part_check_init(&chain, part);
    for (uint64_t block = 0; block < part->count; block++) {
        struct meta meta;
        fault_set faults = part_check_next(&chain, part_meta(part, block), &meta);
        if (has_bytes(part, &meta))
            faults |= part_check_data(part, block, &meta);
        findings_add(&findings, block, faults);
    }
    uint64_t last = part_least(recovery->end, part->count - 1);
    if (recovery->noted && recovery->first > last)
        last = recovery->first;
    if (findings.count == 0) /* each block may be, but not all of them together */
        findings_add(&findings, last, (fault_set)1 << FIRN_FAULT_PARITY);
    return findings_result(&findings, err);
}

int part_recover(struct part *part, const struct part_look *look, struct firn_error *err)
{
    struct recovery recovery = {.part = part, .look = look};
    struct remains remains;
    int rc = read_all(&recovery, err);
    if (rc < 0)
        return rc;
    find_notes(&recovery);
    bool whole = walk(&recovery);
    if (whole ? !end_is_whole(&recovery, &remains) : !can_go_back(&recovery, &remains))
        return report(&recovery, err);
    if (!whole)
        go_back(&recovery);
    keep_whole(&recovery, remains.bytes);
    plan_settling(&recovery);
    return 0;
}

/* ---- settling ---- */

void part_cut_all(struct part *part)
{
    static const struct note open = {.flags = NOTE_OPEN};
    assert(part->unclean && !part->settled && !part->pending);
    uint64_t count = part_blocks(part, part->state.used);
    memset(part->metas, 0, (size_t)count * META_BYTES);
    memset(part->data, 0, (size_t)part->state.used);
    note_encode(part_meta(part, 0), &open);
    part->cut += part->state.used;
    part_load_state(part, 0);
    part->settle_from = 0;
}

int part_settle(struct part *part, struct firn_error *err)
{
    if (part->settled)
        return 0;
    struct note note;
    note_decode(part_meta(part, 0), &note);
    uint64_t end = part_least(part->state.used / part->payload, part->count - 1);
    bool cut = part->settle_to > end;
    note.flags |= cut ? NOTE_OPEN | NOTE_CUT : NOTE_OPEN;
    note.cut_to = part->settle_to + 1;
    int rc = part_store_mark(part, &note, err);
    if (rc == 0)
        rc = part_store(part, part->settle_from, part->settle_to, true, err);
    note.flags &= ~(uint32_t)NOTE_CUT;
    if (rc == 0 && cut)
        rc = part_store_mark(part, &note, err);
    if (rc == 0)
        part->settled = part->open = true;
    return rc;
}
