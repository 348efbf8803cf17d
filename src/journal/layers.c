/* SPDX-License-Identifier: MIT */
/*
 * The maps of what changed, one over another: the group that fills, the group in flight, what is
 * durable and not applied, what is being applied. Changes sink from one to the next; a map is
 * emptied only when the one below it, or the main file, has all of it. So a reader that looks from
 * above misses nothing.
 *
 * The two maps of what is in memory are made when a reader needs them: a writer pays nothing for
 * them. The committer enters a group in `durable` once it is.
 */
#include "journal/journal_private.h"

enum { TABLE_PART = 16 }; /* ranges that are looked at together */

void layers_put(const struct entry *entry, const uint8_t *table, size_t ranges, uint64_t *image,
                struct commit_walk *walk)
{
    for (size_t i = 0; i < ranges; i++) {
        struct redo_range range = redo_parse_range(table + i * REDO_RANGE);
        struct extent extent = {range.offset, range.offset + range.bytes, *image, NULL};
        if (range.zeros)
            extent.position = ZEROS_FROM + range.offset;
        else if (walk && !commit_walk_ended(walk))
            extent.memory = walk->buffer;
        extents_put(entry->map, entry->pool, &extent);
        if (range.zeros)
            continue;
        *image += range.bytes;
        if (walk)
            commit_walk_on(walk, range.bytes, NULL);
    }
}

void layers_put_record(const struct entry *entry, struct commit_walk *walk, uint64_t position)
{
    const uint8_t *header = commit_bytes(walk->buffer) + walk->offset;
    size_t ranges = redo_ranges(header);
    size_t bytes = redo_bytes(header);
    uint64_t image = position + REDO_HEADER + ranges * REDO_RANGE;
    struct commit_walk table = *walk, content = *walk;
    commit_walk_on(&table, REDO_HEADER, NULL);
    if (entry->in_memory)
        commit_walk_on(&content, REDO_HEADER + ranges * REDO_RANGE, NULL);
    while (ranges > 0) {
        uint8_t part[TABLE_PART * REDO_RANGE];
        size_t count = ranges < TABLE_PART ? ranges : TABLE_PART;
        commit_walk_copy(&table, part, count * REDO_RANGE);
        layers_put(entry, part, count, &image, entry->in_memory ? &content : NULL);
        ranges -= count;
    }
    commit_walk_on(walk, bytes, NULL);
}

void layers_note_places(struct journal *journal)
{
    atomic_store_explicit(&journal->places, extents_reserved(&journal->durable, &journal->pool),
                          memory_order_relaxed);
}
