/* SPDX-License-Identifier: MIT */
/*
 * Reading: under the locks a reader finds out where the bytes lie, piece by piece, and then reads
 * them without. What it found stays where it is as long as the reader is inside `grace`, save that
 * what was in memory sinks to the same position of the journal's file.
 */
#include <assert.h>
#include <string.h>

#include "journal/journal_private.h"

enum {
    PIECES = 64,
    COPY_TOGETHER = 64 * 1024, /* bytes that are copied without letting go of the lock */
    LAYERS = 4,
};

struct piece {
    uint64_t from, bytes;
    bool in_main;
    uint64_t position; /* in the journal */
    void *memory;      /* the buffer that holds it, or its range's beginning, while it is staged */
};

/* ---- finding ---- */

/*
 * With both locks: enters what a group has staged and no reader asked for so far. A group's start
 * is not before what is published.
 */
static int follow(struct journal *journal, struct staged_map *map, struct commit_group *group)
{
    const struct entry entry = {&map->extents, &journal->staged_pool, true};
    if (!map->next.buffer)
        map->next = (struct commit_walk){.buffer = group->first};
    while (!walk_ended(&map->next)) {
        const uint8_t *header = commit_bytes(map->next.buffer) + map->next.offset;
        size_t places = (size_t)redo_ranges(header) * EXTENT_PLACES;
        if (extents_reserve(&map->extents, &journal->staged_pool, places) < 0)
            return FIRN_ENOMEM;
        uint64_t position = ring_position(journal, journal->published.position,
                                          map->next.buffer->position + map->next.offset);
        layers_put_record(&entry, &map->next, position);
    }
    return 0;
}

static void add_piece(struct piece *pieces, size_t *count, const struct piece *piece)
{
    struct piece *last = *count ? &pieces[*count - 1] : NULL;
    if (last && last->in_main && piece->in_main)
        last->bytes += piece->bytes;
    else
        pieces[(*count)++] = *piece;
}

/* The piece that begins at `from`, as the uppermost layer has it; it ends at `to` at the latest. */
static struct piece find_piece(const struct extents *const layers[LAYERS], uint64_t from,
                               uint64_t to)
{
    for (int i = 0; i < LAYERS; i++) {
        struct extent_cursor cursor;
        if (!extents_find(layers[i], from, &cursor))
            continue;
        struct extent extent = extents_get(&cursor);
        if (extent.from <= from) {
            to = extent.to < to ? extent.to : to;
            return (struct piece){.from = from,
                                  .bytes = to - from,
                                  .position = extent.position + (from - extent.from),
                                  .memory = extent.memory};
        }
        to = extent.from < to ? extent.from : to;
    }
    return (struct piece){.from = from, .bytes = to - from, .in_main = true};
}

/* With the locks. Returns how many pieces [from, to) has: no more than PIECES. */
static size_t find_pieces(struct journal *journal, uint64_t from, uint64_t to, bool durable,
                          struct piece pieces[PIECES])
{
    static const struct extents none = {0};
    const struct extents *const layers[LAYERS] = {
        durable ? &none : &journal->filling.extents,
        durable ? &none : &journal->in_flight.extents,
        &journal->durable,
        &journal->applying,
    };
    size_t count = 0;
    while (from < to) {
        assert(count < PIECES);
        struct piece piece = find_piece(layers, from, to);
        add_piece(pieces, &count, &piece);
        from += piece.bytes;
    }
    return count;
}

static int find_durable(struct journal *journal, uint64_t from, uint64_t to, struct piece *pieces,
                        size_t *count)
{
    pthread_mutex_lock(&journal->map_lock);
    *count = find_pieces(journal, from, to, true, pieces);
    pthread_mutex_unlock(&journal->map_lock);
    return 0;
}

static int find_staged(struct journal *journal, uint64_t from, uint64_t to, struct piece *pieces,
                       size_t *count, struct firn_error *err)
{
    struct commit *commit = &journal->commit;
    lock_take(&commit->lock);
    if (commit->poisoned) {
        int rc = commit_poisoned(commit, err);
        lock_release(&commit->lock);
        return rc;
    }
    pthread_mutex_lock(&journal->map_lock);
    int rc = follow(journal, &journal->in_flight, &commit->in_flight);
    if (rc == 0)
        rc = follow(journal, &journal->filling, &commit->filling);
    if (rc == 0)
        *count = find_pieces(journal, from, to, false, pieces);
    pthread_mutex_unlock(&journal->map_lock);
    lock_release(&commit->lock);
    return rc < 0 ? firn_error_set(err, rc, 0, "%s: no memory to read", journal->path) : 0;
}

/* ---- fetching ---- */

static void copy_staged(const struct journal *journal, const struct piece *piece, uint64_t done,
                        uint8_t *to, size_t bytes)
{
    struct commit_walk walk = {.buffer = piece->memory};
    uint64_t first = ring_offset(journal, piece->position) + done;
    commit_walk_on(&walk, (size_t)(first - walk.buffer->position), NULL);
    while (bytes > 0 && !walk_ended(&walk)) {
        size_t part = walk.buffer->used - walk.offset;
        part = part < bytes ? part : bytes;
        memcpy(to, commit_bytes(walk.buffer) + walk.offset, part);
        walk.offset += (uint32_t)part;
        to += part;
        bytes -= part;
    }
}

/* The next bytes of a piece, if they are still in memory; returns how many, 0 if not. */
static uint64_t fetch_staged(struct journal *journal, const struct piece *piece, uint64_t done,
                             uint8_t *to)
{
    uint64_t bytes = piece->bytes - done;
    bytes = bytes < COPY_TOGETHER ? bytes : COPY_TOGETHER;
    lock_take(&journal->commit.lock);
    if (journal->commit.poisoned || piece->position < journal->published.position)
        bytes = 0;
    else
        copy_staged(journal, piece, done, to, (size_t)bytes);
    lock_release(&journal->commit.lock);
    return bytes;
}

static int fetch_file(struct journal *journal, const struct piece *piece, uint64_t done,
                      uint8_t *to, struct firn_error *err)
{
    struct firn_file *file = piece->in_main ? journal->main : journal->file;
    uint64_t offset = piece->in_main ? piece->from : ring_offset(journal, piece->position);
    size_t got, bytes = (size_t)(piece->bytes - done);
    int rc = disk_read_full(file, to, bytes, offset + done, &got, err);
    if (rc == 0 && got < bytes)
        return firn_error_set(err, FIRN_EDAMAGED, 0,
                              "%s: ends at byte %llu, before it should: somebody has cut it",
                              piece->in_main ? journal->path : journal->journal_path,
                              (unsigned long long)(offset + done + got));
    return rc;
}

static int fetch(struct journal *journal, const struct piece *piece, uint8_t *to,
                 struct firn_error *err)
{
    uint64_t done = 0;
    while (piece->memory && done < piece->bytes) {
        uint64_t part = fetch_staged(journal, piece, done, to + done);
        if (part == 0)
            break;
        done += part;
    }
    if (done == piece->bytes)
        return 0;
    if (piece->memory) { /* it sank, or is lost */
        lock_take(&journal->commit.lock);
        int rc = piece->position < journal->published.position
                     ? 0
                     : commit_poisoned(&journal->commit, err);
        lock_release(&journal->commit.lock);
        if (rc < 0)
            return rc;
    }
    return fetch_file(journal, piece, done, to + done, err);
}

/* ---- reading ---- */

/* One slice: whole units, with at most one piece each. */
static int read_slice(struct journal *journal, uint64_t from, uint64_t to, bool durable,
                      uint8_t *buffer, struct firn_error *err)
{
    struct piece pieces[PIECES];
    size_t count = 0;
    int phase = grace_enter(&journal->grace);
    int rc = durable || journal->options.read_only
                 ? find_durable(journal, from, to, pieces, &count)
                 : find_staged(journal, from, to, pieces, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = fetch(journal, &pieces[i], buffer, err);
        buffer += pieces[i].bytes;
    }
    grace_exit(&journal->grace, phase);
    return rc;
}

int journal_read(struct journal *journal, uint64_t from, uint64_t bytes, uint64_t unit,
                 bool durable, void *buffer, struct firn_error *err)
{
    uint8_t *to = buffer;
    int rc = 0;
    while (rc == 0 && bytes > 0) {
        uint64_t part = bytes / unit < PIECES ? bytes : unit * PIECES;
        rc = read_slice(journal, from, from + part, durable, to, err);
        from += part;
        to += part;
        bytes -= part;
    }
    return rc;
}
