/* SPDX-License-Identifier: MIT */
#include "base/crc.h"
#include "stream/check.h"
#include "stream/part_private.h"

const char *firn_stream_fault_text(enum firn_stream_fault fault)
{
    switch (fault) {
    case FIRN_FAULT_PARITY:
        return "what the block says of itself does not check";
    case FIRN_FAULT_COMPLETE_AFTER:
        return "a complete block behind an incomplete one";
    case FIRN_FAULT_INCOMPLETE_AFTER:
        return "an incomplete block behind an incomplete one";
    case FIRN_FAULT_AFTER_EMPTY:
        return "a block that is not empty behind an empty one";
    case FIRN_FAULT_TRAIL_SMALL:
        return "its last append ends before the one that it begins with";
    case FIRN_FAULT_TRAIL_LARGE:
        return "its trail is longer than a block";
    case FIRN_FAULT_TRAIL_UNEXPECTED:
        return "a trail in the middle of an append";
    case FIRN_FAULT_SUM_LARGE:
        return "what spilled over and the trail are more than a block";
    case FIRN_FAULT_SPILLED_LARGE:
        return "what spilled over is more than there can be";
    case FIRN_FAULT_SPILLED_UNEVEN:
        return "what spilled over does not go on where the block before ended";
    case FIRN_FAULT_DATA:
        return "the checksum of its data is wrong";
    case FIRN_FAULT_EMPTY_PARITY:
        return "an empty block that is not quite empty";
    case FIRN_FAULT_SPAN:
        return "an append that two parts share has one half only";
    }
    return "unknown fault";
}

static fault_set fault_bit(enum firn_stream_fault fault)
{
    return (fault_set)1 << fault;
}

/* ---- blocks, one after another ---- */

void part_check_init(struct chain *chain, const struct part *part)
{
    *chain = (struct chain){.part = part, .due = DUE_FIRST};
}

static bool is_even(const struct chain *chain, uint32_t spilled)
{
    switch (chain->due) {
    case DUE_NONE:
        return spilled == 0;
    case DUE_SOME:
        return spilled > 0;
    case DUE_EXACT:
        return spilled == chain->due_size;
    case DUE_FIRST:
    case DUE_ANY:
        break;
    }
    return true;
}

static fault_set check_order(const struct chain *chain, const struct meta *meta)
{
    if (chain->empty)
        return fault_bit(FIRN_FAULT_AFTER_EMPTY);
    if (chain->incomplete)
        return fault_bit(meta->complete ? FIRN_FAULT_COMPLETE_AFTER : FIRN_FAULT_INCOMPLETE_AFTER);
    return 0;
}

static fault_set check_complete(const struct meta *meta, uint32_t payload)
{
    if (meta->trail > payload)
        return fault_bit(FIRN_FAULT_TRAIL_LARGE);
    if (meta->trail > 0 && meta->spilled > payload)
        return fault_bit(FIRN_FAULT_TRAIL_UNEXPECTED);
    if (meta->trail > 0 && meta->trail + meta->spilled > payload)
        return fault_bit(FIRN_FAULT_SUM_LARGE);
    return 0;
}

/* One that is full would be complete. */
static fault_set check_incomplete(const struct meta *meta, uint32_t payload)
{
    if (meta->trail >= payload)
        return fault_bit(FIRN_FAULT_TRAIL_LARGE);
    if (meta->spilled >= payload)
        return fault_bit(FIRN_FAULT_SPILLED_LARGE);
    if (meta->trail > 0 && meta->trail < meta->spilled)
        return fault_bit(FIRN_FAULT_TRAIL_SMALL);
    return 0;
}

static fault_set check_spilled(const struct chain *chain, const struct meta *meta)
{
    fault_set faults = 0;
    if (!is_even(chain, meta->spilled))
        faults |= fault_bit(FIRN_FAULT_SPILLED_UNEVEN);
    if ((chain->due == DUE_SOME &&
         (uint64_t)chain->before + meta->spilled > FIRN_STREAM_APPEND_MAX) ||
        (chain->due == DUE_FIRST && meta->spilled > chain->part->capacity))
        faults |= fault_bit(FIRN_FAULT_SPILLED_LARGE);
    return faults;
}

/* What the next block has to begin with. */
static void go_on(struct chain *chain, const struct meta *meta, fault_set faults)
{
    uint32_t payload = chain->part->payload;
    chain->incomplete |= !meta->complete;
    if (!meta->complete || chain->empty || chain->incomplete || faults != 0) {
        chain->due = DUE_ANY;
    } else if (meta->spilled > payload) {
        chain->due = DUE_EXACT;
        chain->due_size = meta->spilled - payload;
    } else {
        chain->due = meta->trail > 0 ? DUE_SOME : DUE_NONE;
        chain->before = meta->trail;
    }
}

static fault_set next_empty(struct chain *chain, const struct meta *meta)
{
    fault_set faults = meta->crc != 0 ? fault_bit(FIRN_FAULT_EMPTY_PARITY) : 0;
    if (!is_even(chain, 0))
        faults |= fault_bit(FIRN_FAULT_SPILLED_UNEVEN);
    chain->empty = true;
    chain->due = DUE_ANY;
    return faults;
}

fault_set part_check_next(struct chain *chain, const uint8_t bytes[META_BYTES], struct meta *meta)
{
    *meta = (struct meta){.complete = false};
    if (!meta_decode(bytes, meta)) {
        bool empty = meta_is_empty(bytes);
        chain->due = DUE_ANY;
        chain->empty |= empty;
        return fault_bit(empty ? FIRN_FAULT_EMPTY_PARITY : FIRN_FAULT_PARITY);
    }
    if (meta_is_empty(bytes))
        return next_empty(chain, meta);
    uint32_t payload = chain->part->payload;
    fault_set faults = check_order(chain, meta) | check_spilled(chain, meta);
    faults |= meta->complete ? check_complete(meta, payload) : check_incomplete(meta, payload);
    go_on(chain, meta, faults);
    return faults;
}

fault_set part_check_data(const struct part *part, uint64_t block, const struct meta *meta)
{
    uint32_t written = meta_written(meta, part->payload);
    return crc32_ieee(0, part_data(part, block), written) == meta->crc ? 0
                                                                       : fault_bit(FIRN_FAULT_DATA);
}

/* ---- findings ---- */

void findings_add(struct findings *findings, uint64_t block, fault_set faults)
{
    for (unsigned fault = FIRN_FAULT_PARITY; fault <= FIRN_FAULT_SPAN; fault++) {
        if ((faults & fault_bit((enum firn_stream_fault)fault)) == 0)
            continue;
        if (findings->count++ == 0) {
            findings->block = block;
            findings->fault = (enum firn_stream_fault)fault;
        }
        if (findings->look && findings->look->finding)
            findings->look->finding(findings->look->arg, block, (enum firn_stream_fault)fault);
    }
}

int findings_result(const struct findings *findings, struct firn_error *err)
{
    if (findings->count == 0)
        return 0;
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "block %llu: %s (%llu finding%s in all); nothing was changed: put a good "
                          "copy in its place",
                          (unsigned long long)findings->block,
                          firn_stream_fault_text(findings->fault),
                          (unsigned long long)findings->count, findings->count == 1 ? "" : "s");
}
