/* SPDX-License-Identifier: MIT */
/*
 * A record counts if its checksum is right, it is of this life, and its sequence number is the next
 * one; it stands behind the one before, or else at the ring's start. What is neither ends the
 * chain: a torn group, or damage. To tell them apart, all of the file is searched
 * for a record that was written later: it claims what was durable then.
 */
#include "journal/chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"

enum { CHAIN_WINDOW = 256 * 1024 };

int chain_init(struct chain *chain, struct journal *journal, const struct point *from,
               struct firn_error *err)
{
    *chain = (struct chain){.journal = journal, .at = *from};
    chain->salt = load_be_u64(journal->state.nonce);
    chain->window = malloc(CHAIN_WINDOW);
    if (!chain->window)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to read it",
                              journal->journal_path);
    return disk_size_of(journal->file, &chain->file_size, err);
}

void chain_done(struct chain *chain)
{
    free(chain->window);
}

/* The bytes [offset, offset + *bytes) of the file; fewer where it ends. */
static int look(struct chain *chain, uint64_t offset, size_t *bytes, const uint8_t **at,
                struct firn_error *err)
{
    bool there = offset >= chain->window_from &&
                 offset + *bytes <= chain->window_from + chain->window_bytes;
    if (!there) {
        size_t got;
        int rc = disk_read_full(chain->journal->file, chain->window, CHAIN_WINDOW, offset, &got,
                                err);
        if (rc < 0)
            return rc;
        chain->window_from = offset;
        chain->window_bytes = got;
        *bytes = *bytes < got ? *bytes : got;
    }
    *at = chain->window + (offset - chain->window_from);
    return 0;
}

/* ---- one record ---- */

/* 1: a header with these bytes stands there; 0: none. */
static int read_header(struct chain *chain, uint64_t offset, struct redo *record,
                       struct firn_error *err)
{
    const uint8_t *at;
    size_t bytes = REDO_HEADER;
    int rc = look(chain, offset, &bytes, &at, err);
    if (rc < 0)
        return rc;
    uint64_t end = JOURNAL_START + chain->journal->state.ring;
    return bytes == REDO_HEADER && redo_parse(at, record) && record->salt == chain->salt &&
           record->bytes <= end - offset && offset + record->bytes <= chain->file_size;
}

/* 1: its checksum is right. */
static int check_crc(struct chain *chain, uint64_t offset, const struct redo *record,
                     struct firn_error *err)
{
    uint32_t crc = 0;
    uint64_t from = offset + REDO_CRC_FROM, end = offset + record->bytes;
    while (from < end) {
        const uint8_t *at;
        size_t bytes = end - from < CHAIN_WINDOW ? (size_t)(end - from) : CHAIN_WINDOW;
        int rc = look(chain, from, &bytes, &at, err);
        if (rc < 0)
            return rc;
        if (bytes == 0)
            return 0;
        crc = crc32c(crc, at, bytes);
        from += bytes;
    }
    return crc == record->crc;
}

/* 1: the record that is due stands at `position`. */
static int try_position(struct chain *chain, uint64_t position, struct redo *record,
                        struct firn_error *err)
{
    uint64_t offset = JOURNAL_START + position % chain->journal->state.ring;
    int rc = read_header(chain, offset, record, err);
    if (rc == 1 && record->sequence != chain->at.sequence)
        rc = 0;
    return rc == 1 ? check_crc(chain, offset, record, err) : rc;
}

static int check_ranges(struct chain *chain, const struct redo *record, uint64_t start,
                        struct firn_error *err)
{
    uint64_t left = record->bytes - REDO_HEADER - (uint64_t)record->ranges * REDO_RANGE;
    uint32_t count = 0;
    bool good = record->length <= JOURNAL_MOST;
    for (uint32_t first = 0; good && first < record->ranges; first += count) {
        const uint8_t *table;
        int rc = chain_table(chain, record, start, first, &table, &count, err);
        if (rc < 0)
            return rc;
        for (uint32_t i = 0; good && i < count; i++) {
            struct redo_range range = redo_parse_range(table + (size_t)i * REDO_RANGE);
            uint64_t held = range.zeros ? 0 : range.bytes;
            good = range.bytes > 0 && held <= left && range.bytes <= record->length &&
                   range.offset <= record->length - range.bytes;
            left -= held;
        }
    }
    if (good && left == 0)
        return 0;
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the record at byte %llu contradicts itself",
                          chain->journal->journal_path,
                          (unsigned long long)(JOURNAL_START + start % chain->journal->state.ring));
}

int chain_next(struct chain *chain, struct redo *record, uint64_t *start, struct firn_error *err)
{
    uint64_t ring = chain->journal->state.ring, skip = chain->at.position % ring;
    *start = chain->at.position;
    int rc = try_position(chain, *start, record, err);
    if (rc == 0 && skip) {
        *start += ring - skip;
        rc = try_position(chain, *start, record, err);
    }
    if (rc != 1)
        return rc < 0 ? rc : FIRN_EEND;
    rc = check_ranges(chain, record, *start, err);
    if (rc == 0)
        chain->at = (struct point){*start + record->bytes, record->sequence + 1, record->length,
                                   chain->at.bytes + record->bytes};
    return rc;
}

int chain_table(struct chain *chain, const struct redo *record, uint64_t start, uint32_t first,
                const uint8_t **table, uint32_t *ranges, struct firn_error *err)
{
    uint64_t offset = JOURNAL_START + start % chain->journal->state.ring + REDO_HEADER +
                      (uint64_t)first * REDO_RANGE;
    uint32_t most = CHAIN_WINDOW / REDO_RANGE;
    uint32_t count = record->ranges - first < most ? record->ranges - first : most;
    size_t bytes = (size_t)count * REDO_RANGE;
    int rc = look(chain, offset, &bytes, table, err);
    if (rc == 0 && bytes < REDO_RANGE)
        return firn_error_set(err, FIRN_EIO, 0, "%s: became shorter while it was read",
                              chain->journal->journal_path);
    if (rc == 0)
        *ranges = (uint32_t)(bytes / REDO_RANGE);
    return rc;
}

/* ---- behind the end ---- */

/*
 * 1: a record stands at `offset` that was written when more was durable than the chain has. Those
 * of one round that claim so don't overlap: together they can't have more bytes than the file. It
 * is no journal's where they do, and to go on might take days.
 */
static int refutes_end(struct chain *chain, uint64_t offset, struct firn_error *err)
{
    struct redo record;
    int rc = read_header(chain, offset, &record, err);
    if (rc < 0 || rc == 0 || record.claim <= chain->at.sequence)
        return rc < 0 ? rc : 0;
    chain->searched += record.bytes;
    return chain->searched > chain->file_size ? 1 : check_crc(chain, offset, &record, err);
}

static int refuted(const struct chain *chain, uint64_t offset, struct firn_error *err)
{
    return firn_error_set(
        err, FIRN_EDAMAGED, 0,
        "%s: the change that was durable behind byte %llu can't be read (what was "
        "written later, at byte %llu, can); nothing was changed: restore both "
        "files from a copy",
        chain->journal->journal_path,
        (unsigned long long)(JOURNAL_START + chain->at.position % chain->journal->state.ring),
        (unsigned long long)offset);
}

static const uint8_t *find_magic(const uint8_t *at, size_t bytes)
{
    const uint8_t *end = at + bytes;
    while (end - at >= 4 && (at = memchr(at, REDO_MAGIC[0], (size_t)(end - at - 3)))) {
        if (memcmp(at, REDO_MAGIC, 4) == 0)
            return at;
        at++;
    }
    return NULL;
}

int chain_check_end(struct chain *chain, struct firn_error *err)
{
    uint64_t offset = JOURNAL_START;
    while (offset + REDO_HEADER <= chain->file_size) {
        const uint8_t *at;
        size_t bytes = CHAIN_WINDOW;
        if (chain->file_size - offset < bytes)
            bytes = (size_t)(chain->file_size - offset);
        int rc = look(chain, offset, &bytes, &at, err);
        if (rc < 0)
            return rc;
        const uint8_t *found = find_magic(at, bytes);
        if (!found) {
            offset += bytes > 3 ? bytes - 3 : bytes; /* it may lie across */
            continue;
        }
        uint64_t place = offset + (uint64_t)(found - at);
        offset = place + 1;
        rc = place < JOURNAL_START + REDO_CRC_FROM ? 0
                                                   : refutes_end(chain, place - REDO_CRC_FROM, err);
        if (rc != 0)
            return rc < 0 ? rc : refuted(chain, place - REDO_CRC_FROM, err);
    }
    return 0;
}
