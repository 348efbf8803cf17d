/* SPDX-License-Identifier: MIT */
/*
 * Looking at all of a part while another thread appends to it. What lies below state.used does not
 * change, but for notes; the last block, which the next sync rewrites, is looked at as it was when
 * looking began. A block behind the end that is not empty may have been stored to meanwhile.
 */
#include "stream/check.h"
#include "stream/load.h"
#include "stream/part_private.h"

enum { METAS = 512 };

struct looking {
    struct part *part;
    uint64_t count;           /* blocks that are not empty */
    uint8_t last[META_BYTES]; /* the last one of them */
    uint64_t behind;          /* empty on storage from here on */
    struct chain chain;
    struct findings findings;
};

static void begin(struct looking *looking)
{
    struct part *part = looking->part;
    lock_take(&part->meta_lock);
    looking->count = part_blocks(part, part->state.used);
    looking->behind = part->touched;
    if (looking->count > 0)
        memcpy(looking->last, part_meta(part, looking->count - 1), META_BYTES);
    lock_release(&part->meta_lock);
    if (looking->behind < looking->count)
        looking->behind = looking->count;
    if (!part->settled && looking->behind <= part->settle_to)
        looking->behind = part->settle_to + 1;
}

static void look_at(struct looking *looking, uint64_t block, const uint8_t *bytes)
{
    struct meta meta;
    fault_set faults = part_check_next(&looking->chain, bytes, &meta);
    if (meta_written(&meta, looking->part->payload) > 0)
        faults |= part_check_data(looking->part, block, &meta);
    findings_add(&looking->findings, block, faults);
}

static void look_at_memory(struct looking *looking)
{
    struct part *part = looking->part;
    uint8_t metas[METAS * META_BYTES];
    for (uint64_t first = 0; first < looking->count; first += METAS) {
        uint64_t blocks = part_least(METAS, looking->count - first);
        lock_take(&part->meta_lock);
        memcpy(metas, part_meta(part, first), (size_t)blocks * META_BYTES);
        lock_release(&part->meta_lock);
        if (first + blocks == looking->count)
            memcpy(metas + (blocks - 1) * META_BYTES, looking->last, META_BYTES);
        for (uint64_t i = 0; i < blocks; i++)
            look_at(looking, first + i, metas + i * META_BYTES);
    }
}

static bool is_touched(struct part *part, uint64_t block)
{
    lock_take(&part->meta_lock);
    bool touched = block < part->touched;
    lock_release(&part->meta_lock);
    return touched;
}

static int look_behind(struct looking *looking, struct firn_error *err)
{
    struct part *part = looking->part;
    uint8_t metas[METAS * META_BYTES];
    uint64_t most = part_load_chunk_blocks(part);
    for (uint64_t first = looking->behind; first < part->count; first += most) {
        uint64_t blocks = part_least(most, part->count - first);
        int rc = part_load_metas(part, first, blocks, metas, err);
        if (rc < 0)
            return rc;
        for (uint64_t i = 0; i < blocks; i++) {
            struct meta meta;
            fault_set faults = part_check_next(&looking->chain, metas + i * META_BYTES, &meta);
            if (faults != 0 && !is_touched(part, first + i))
                findings_add(&looking->findings, first + i, faults);
        }
    }
    return 0;
}

int part_verify(struct part *part, const struct part_look *look, struct firn_error *err)
{
    struct looking looking = {.part = part, .findings = {.look = look}};
    part_check_init(&looking.chain, part);
    begin(&looking);
    look_at_memory(&looking);
    int rc = look_behind(&looking, err);
    return rc < 0 ? rc : findings_result(&looking.findings, err);
}
