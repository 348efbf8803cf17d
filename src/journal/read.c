/* SPDX-License-Identifier: MIT */
/*
 * Reading: under the locks a reader finds out where the bytes lie, piece by piece, and then reads
 * them without. What it found stays where it is as long as the reader is inside `grace`, save that
 * what was in memory sinks to the same position of the journal's file.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal_private.h"

enum {
    PIECES = 64,               /* that need no allocation */
    COPY_TOGETHER = 64 * 1024, /* bytes that are copied without letting go of the lock */
    LAYERS = 4,
};

struct piece {
    uint64_t from, bytes;
    bool in_main, zeros;
    uint64_t position; /* in the journal */
    void *memory;      /* the buffer that holds it, or its range's beginning, while it is staged */
};

/* What a read consists of. Where it has more than there is room for, they are only counted. */
struct pieces {
    struct piece few[PIECES];
    struct piece *at;
    size_t count, room;
};

/* ---- what is asked ---- */

/* All of it is of one moment. Without limits its length is the caller's business. */
struct span {
    uint64_t from, to;
    bool durable, limited;
    uint64_t least, length; /* see journal_look */
};

/* With the locks. */
static int limit(struct span *span, uint64_t length)
{
    span->length = length;
    if (!span->limited)
        return 0;
    if (span->from > length || length - span->from < span->least)
        return FIRN_ERANGE;
    span->to = span->to < length ? span->to : length;
    return 0;
}

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
    while (!commit_walk_ended(&map->next)) {
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

static void add_piece(struct pieces *pieces, const struct piece *piece)
{
    assert(pieces->at);
    bool stored = pieces->count > 0 && pieces->count <= pieces->room;
    struct piece *last = stored ? &pieces->at[pieces->count - 1] : NULL;
    if (last && last->in_main && piece->in_main) {
        last->bytes += piece->bytes;
        return;
    }
    if (pieces->count < pieces->room)
        pieces->at[pieces->count] = *piece;
    pieces->count++;
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
                                  .zeros = extent.position >= ZEROS_FROM,
                                  .position = extent.position + (from - extent.from),
                                  .memory = extent.memory};
        }
        to = extent.from < to ? extent.from : to;
    }
    return (struct piece){.from = from, .bytes = to - from, .in_main = true};
}

/* With the locks. */
static void find_pieces(struct journal *journal, const struct span *span, struct pieces *pieces)
{
    static const struct extents none = {0};
    const struct extents *const layers[LAYERS] = {
        span->durable ? &none : &journal->filling.extents,
        span->durable ? &none : &journal->in_flight.extents,
        &journal->durable,
        &journal->applying,
    };
    pieces->count = 0;
    for (uint64_t from = span->from; from < span->to;) {
        struct piece piece = find_piece(layers, from, span->to);
        add_piece(pieces, &piece);
        from += piece.bytes;
    }
}

static int find_durable(struct journal *journal, struct span *span, struct pieces *pieces)
{
    pthread_mutex_lock(&journal->map_lock);
    int rc = limit(span, journal->indexed.length);
    if (rc == 0)
        find_pieces(journal, span, pieces);
    pthread_mutex_unlock(&journal->map_lock);
    return rc;
}

static int no_memory(const struct journal *journal, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to read", journal->path);
}

static int find_staged(struct journal *journal, struct span *span, struct pieces *pieces,
                       struct firn_error *err)
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
        rc = limit(span, journal->staged_length);
    if (rc == 0)
        find_pieces(journal, span, pieces);
    pthread_mutex_unlock(&journal->map_lock);
    lock_release(&commit->lock);
    return rc == FIRN_ENOMEM ? no_memory(journal, err) : rc;
}

static int find(struct journal *journal, struct span *span, struct pieces *pieces,
                struct firn_error *err)
{
    return span->durable ? find_durable(journal, span, pieces)
                         : find_staged(journal, span, pieces, err);
}

/* All of them as of one moment, so they are looked for again once there is room. */
static int find_all(struct journal *journal, struct span *span, struct pieces *pieces,
                    struct firn_error *err)
{
    int rc;
    const struct span asked = *span;
    pieces->at = pieces->few; /* the few themselves are not cleared: that would take longer than */
    pieces->room = PIECES;    /* looking for them */
    while ((rc = find(journal, span, pieces, err)) == 0 && pieces->count > pieces->room) {
        size_t room = pieces->count + pieces->count / 2;
        struct piece *more = malloc(room * sizeof *more);
        if (!more)
            return no_memory(journal, err);
        if (pieces->at != pieces->few)
            free(pieces->at);
        pieces->at = more;
        pieces->room = room;
        *span = asked;
    }
    return rc;
}

/* ---- fetching ---- */

static void copy_staged(const struct journal *journal, const struct piece *piece, uint64_t done,
                        uint8_t *to, size_t bytes)
{
    struct commit_walk walk = {.buffer = piece->memory};
    uint64_t first = ring_offset(journal, piece->position) + done;
    commit_walk_on(&walk, (size_t)(first - walk.buffer->position), NULL);
    commit_walk_copy(&walk, to, bytes);
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
    if (piece->zeros) {
        memset(to, 0, (size_t)piece->bytes);
        return 0;
    }
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

static int read_layers(struct journal *journal, struct span *span, uint8_t *buffer,
                       struct firn_error *err)
{
    struct pieces pieces;
    int rc = find_all(journal, span, &pieces, err);
    for (size_t i = 0; rc == 0 && i < pieces.count; i++) {
        rc = fetch(journal, &pieces.at[i], buffer, err);
        buffer += pieces.at[i].bytes;
    }
    if (pieces.at != pieces.few)
        free(pieces.at);
    return rc;
}

/* The main file has all that is durable, and stays so while somebody is inside `grace`. */
static int read_plain(struct journal *journal, struct span *span, uint64_t length, uint8_t *buffer,
                      struct firn_error *err)
{
    int rc = limit(span, length);
    if (rc < 0 || span->from == span->to)
        return rc;
    const struct piece all = {.from = span->from, .bytes = span->to - span->from, .in_main = true};
    return fetch_file(journal, &all, 0, buffer, err);
}

/* Inside `grace`. */
static int read_span(struct journal *journal, struct span *span, uint8_t *buffer,
                     struct firn_error *err)
{
    span->durable |= journal->options.read_only;
    uint64_t plain = atomic_load_explicit(&journal->plain_length, memory_order_acquire);
    return span->durable && plain != NOT_PLAIN ? read_plain(journal, span, plain, buffer, err)
                                               : read_layers(journal, span, buffer, err);
}

int journal_read(struct journal *journal, uint64_t from, uint64_t bytes, uint64_t unit,
                 bool durable, void *buffer, struct firn_error *err)
{
    uint8_t *to = buffer;
    int rc = 0;
    while (rc == 0 && bytes > 0) { /* slices of whole units */
        uint64_t part = bytes / unit < PIECES ? bytes : unit * PIECES;
        struct span span = {.from = from, .to = from + part, .durable = durable};
        int phase = grace_enter(&journal->grace);
        rc = read_span(journal, &span, to, err);
        grace_exit(&journal->grace, phase);
        from += part;
        to += part;
        bytes -= part;
    }
    return rc;
}

static int look(struct journal *journal, struct journal_look *look, void *buffer,
                struct firn_error *err)
{
    uint64_t from = look->from < JOURNAL_MOST ? look->from : JOURNAL_MOST;
    struct span span = {
        .from = look->base + from,
        .to = look->base + from + (look->bytes < JOURNAL_MOST ? look->bytes : JOURNAL_MOST),
        .durable = look->durable,
        .limited = true,
        .least = look->least,
    };
    int rc = read_span(journal, &span, buffer, err);
    if (rc == 0)
        look->got = span.to - span.from;
    if (rc != FIRN_ERANGE)
        return rc;
    return firn_error_set(err, rc, 0, "%s: %llu bytes from %llu on; it has %llu", journal->path,
                          (unsigned long long)look->least, (unsigned long long)look->from,
                          (unsigned long long)(span.length - look->base));
}

/* Who closes waits for those who are inside `grace`, too. */
int journal_look(struct journal *journal, struct journal_look *asked, void *buffer,
                 struct firn_error *err)
{
    int phase = grace_enter(&journal->grace);
    int rc = gate_is_closed(&journal->gate)
                 ? firn_error_set(err, FIRN_ECLOSED, 0, "%s: it is being closed", journal->path)
                 : look(journal, asked, buffer, err);
    grace_exit(&journal->grace, phase);
    return rc;
}

uint64_t journal_durable_length(struct journal *journal)
{
    pthread_mutex_lock(&journal->map_lock);
    uint64_t length = journal->indexed.length;
    pthread_mutex_unlock(&journal->map_lock);
    return length;
}

int journal_staged_length(struct journal *journal, uint64_t *length, struct firn_error *err)
{
    lock_take(&journal->commit.lock);
    int rc = journal->commit.poisoned ? commit_poisoned(&journal->commit, err) : 0;
    *length = journal->staged_length;
    lock_release(&journal->commit.lock);
    return rc;
}
