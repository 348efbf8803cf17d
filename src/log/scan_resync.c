/* SPDX-License-Identifier: MIT */
/*
 * Finding the next batch behind damage.
 *
 * A good checksum alone proves nothing: a value may hold whole batches, and the one that is damaged
 * may hold such a value. What tells a batch of this store from one inside a record:
 *
 * 1. The damaged batch's own length. Where a good batch stands exactly behind the damaged one, the
 *    store itself led there; nothing is searched.
 * 2. The chain: from a batch of the store, the next ones follow without a gap in place or index, up
 *    to the end; from one inside a value, they do so up to the end of that value at most. A batch
 *    in the chain may itself be damaged, if its header fits both of its neighbours.
 * 3. Where the end is not known (the last segment after a crash), a chain may end at zeros, or
 *    where a write was torn, and a value's chain looks the same. Then
 *    - the last chain counts, since the store's own goes on behind every value's;
 *    - two chains are one if the second begins with a batch that names the end of the first as the
 *      durable end at the time it was written (a group whose first batch was torn);
 *    - a chain that lies wholly inside the damaged batch, as far as that one's header can be
 *      believed, does not count, unless one wrong bit in the length explains its place, and its
 *      index is the one that comes next.
 *
 * The work is bounded, whatever the bytes are: behind a chain that does not count the search goes
 * on at its end, and what fails is paid for from a budget that is a multiple of the range. With
 * that used up, what is left counts as damaged.
 *
 * Pages that can't be read are filled with 0xff: no header, no good checksum, and not zero.
 */
#include "log/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"

enum { PAGE = 4096, SEARCH_WINDOW = 256 * 1024, CHAIN_WINDOW = 64 * 1024 };

enum {
    BUDGET_FACTOR = 32,              /* bytes to check per byte in the range ... */
    BUDGET_LEAST = 16 * 1024 * 1024, /* ... and at least */
    KNOWN_ATTRIBUTES = 0x7f,         /* bits that have a meaning */
    COMPRESSIONS = 5,
};

/* Reads on in spite of bad pages. */
struct reader {
    struct firn_file *file;
    uint64_t end; /* of the file or of the range */
    uint8_t *buffer;
    size_t capacity;
    uint64_t at; /* position of buffer[0] */
    size_t have;
};

/* Batches one behind the other. */
struct chain {
    uint64_t start;
    struct batch first;
    uint64_t end;
    uint64_t next_index;
    uint32_t generation; /* of the last batch */
};

/* What the header of the damaged batch says, if anything. */
struct hint {
    bool has_end;   /* its length is possible */
    bool whole;     /* all of it is, though the batch may reach behind the end */
    bool sure;      /* its checksum is right: only its base or generation is wrong */
    uint64_t start; /* where it stands */
    uint64_t end;   /* where the next batch begins */
    uint64_t index; /* with `whole`: and its index */
};

struct search {
    const struct resync_bounds *bounds;
    struct reader window; /* where candidates are looked for */
    struct reader ahead;  /* where chains are followed */
    uint64_t end;         /* the range's, or the file's if that is shorter */
    struct hint hint;
    uint64_t budget;
    bool found;
    struct chain best;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void read_pages(struct reader *reader, size_t size)
{
    memset(reader->buffer, 0xff, size);
    reader->have = size;
    for (size_t done = 0; done < size;) {
        uint64_t position = reader->at + done;
        size_t part = (size_t)least(PAGE - position % PAGE, size - done);
        size_t got;
        if (disk_read_full(reader->file, reader->buffer + done, part, position, &got, NULL) != 0)
            memset(reader->buffer + done, 0xff, part);
        done += part;
    }
}

static void load(struct reader *reader, uint64_t position)
{
    reader->at = position;
    size_t size = (size_t)least(reader->capacity, reader->end - position);
    size_t got;
    if (disk_read_full(reader->file, reader->buffer, size, position, &got, NULL) == 0)
        reader->have = got;
    else
        read_pages(reader, size);
}

/* `size` bytes at `position`, or NULL where the range ends before. */
static const uint8_t *view(struct reader *reader, uint64_t position, size_t size)
{
    if (position > reader->end || size > reader->end - position)
        return NULL;
    if (position < reader->at || position + size > reader->at + reader->have)
        load(reader, position);
    if (size > reader->have)
        return NULL;
    return reader->buffer + (position - reader->at);
}

static uint32_t crc_of(struct reader *reader, uint64_t position, uint64_t size)
{
    uint32_t crc = 0;
    while (size > 0) {
        const uint8_t *bytes = view(reader, position, 1);
        if (bytes == NULL)
            break;
        size_t part = (size_t)least(size, reader->at + reader->have - position);
        crc = crc32c(crc, bytes, part);
        position += part;
        size -= part;
    }
    return crc;
}

static int reader_init(struct reader *reader, struct firn_file *file, uint64_t end, size_t capacity)
{
    *reader = (struct reader){.file = file, .end = end, .capacity = capacity};
    reader->buffer = malloc(capacity);
    return reader->buffer != NULL ? 0 : FIRN_ENOMEM;
}

/* ---- batches -------------------------------------------------------------------------------- */

static bool is_plausible(const struct search *s, uint64_t position, const struct batch *batch)
{
    const struct resync_bounds *bounds = s->bounds;
    return batch->bytes <= s->end - position && batch->base >= bounds->least_base &&
           batch->base + batch->last_delta < bounds->most_base &&
           batch->generation <= bounds->most_generation &&
           (batch->attributes & ~KNOWN_ATTRIBUTES) == 0 &&
           (batch->attributes & BATCH_COMPRESSION) < COMPRESSIONS;
}

static bool header_at(struct search *s, uint64_t position, struct batch *batch)
{
    const uint8_t *bytes = view(&s->ahead, position, BATCH_HEADER);
    return bytes != NULL && batch_parse(bytes, BATCH_HEADER, batch) == BATCH_OK &&
           is_plausible(s, position, batch);
}

static bool pay(struct search *s, uint64_t bytes)
{
    bool enough = s->budget >= bytes;
    s->budget = enough ? s->budget - bytes : 0;
    return enough;
}

static bool is_good(struct search *s, uint64_t position, const struct batch *batch)
{
    if (!pay(s, batch->bytes))
        return false;
    return crc_of(&s->ahead, position + BATCH_CRC_FROM, batch->bytes - BATCH_CRC_FROM) ==
           batch->crc;
}

static void extend(struct chain *chain, const struct batch *batch)
{
    chain->end += batch->bytes;
    chain->next_index = batch->base + batch->last_delta + 1;
    chain->generation = batch->generation;
}

static struct chain chain_of(uint64_t position, const struct batch *batch)
{
    struct chain chain = {.start = position, .first = *batch, .end = position};
    extend(&chain, batch);
    return chain;
}

static bool is_next(const struct chain *chain, const struct batch *batch)
{
    return batch->base == chain->next_index && batch->generation >= chain->generation;
}

static bool is_at_exact_end(const struct search *s, const struct chain *chain)
{
    const struct resync_bounds *bounds = s->bounds;
    return bounds->end_exact && chain->end == bounds->end &&
           (bounds->most_base == UINT64_MAX || chain->next_index == bounds->most_base);
}

/* Goes on as far as good batches follow; damaged ones are stepped over if a good one follows. */
static void follow(struct search *s, struct chain *chain)
{
    struct chain tip = *chain;
    struct batch batch;
    while (header_at(s, tip.end, &batch) && is_next(&tip, &batch)) {
        bool good = is_good(s, tip.end, &batch);
        extend(&tip, &batch);
        if (good || is_at_exact_end(s, &tip))
            *chain = tip;
        if (!good && s->budget == 0)
            return;
    }
}

/* ---- which chain counts --------------------------------------------------------------------- */

static void keep(struct search *s, const struct chain *chain)
{
    const struct batch *first = &chain->first;
    bool joined = s->found && first->producer_id == -1 && first->distance > 0 &&
                  chain->start - s->best.end == (uint64_t)first->distance;
    uint64_t end = chain->end;
    if (!joined)
        s->best = *chain;
    s->best.end = end;
    s->found = true;
}

static bool ends_the_data(struct search *s, const struct chain *chain)
{
    uint64_t end;
    return chain->end == s->end ||
           (scan_last_nonzero(s->window.file, chain->end, s->end, &end, NULL) == 0 &&
            end == chain->end);
}

static bool one_bit_off(const struct hint *hint, uint64_t end)
{
    uint64_t said = hint->end - hint->start - BATCH_LENGTH_FROM;
    uint64_t meant = end - hint->start - BATCH_LENGTH_FROM;
    uint64_t wrong = said ^ meant;
    return wrong != 0 && (wrong & (wrong - 1)) == 0;
}

/* Whether it lies in the damaged batch and so is part of a value. */
static bool is_inside(const struct search *s, const struct chain *chain)
{
    const struct hint *hint = &s->hint;
    if (!hint->whole || chain->start >= hint->end)
        return false;
    if (chain->first.base == hint->index && one_bit_off(hint, chain->start))
        return false;
    return chain->end <= hint->end;
}

/* Judges a chain; true if the search is over. */
static bool settle(struct search *s, const struct chain *chain)
{
    if (s->bounds->end_exact) {
        if (!is_at_exact_end(s, chain) || is_inside(s, chain))
            return false;
        keep(s, chain);
        return true;
    }
    if (!is_inside(s, chain))
        keep(s, chain);
    return ends_the_data(s, chain);
}

/* ---- searching ------------------------------------------------------------------------------ */

/* Whether the header behind the candidate fits it, or none needs to. Before its checksum: cheap. */
static bool has_sequel(struct search *s, const struct chain *chain)
{
    if (!s->bounds->end_exact || is_at_exact_end(s, chain))
        return true;
    uint8_t bytes[BATCH_HEADER];
    struct batch next;
    size_t got;
    if (chain->end > s->end - BATCH_HEADER || !pay(s, PAGE))
        return false;
    if (disk_read_full(s->window.file, bytes, sizeof bytes, chain->end, &got, NULL) != 0)
        return false;
    return batch_parse(bytes, got, &next) == BATCH_OK && is_plausible(s, chain->end, &next) &&
           is_next(chain, &next);
}

/* The header at `bytes` as the start of a chain. */
static bool try_candidate(struct search *s, uint64_t position, const uint8_t *bytes,
                          struct chain *chain)
{
    struct batch batch;
    if (batch_parse(bytes, BATCH_HEADER, &batch) != BATCH_OK || !is_plausible(s, position, &batch))
        return false;
    *chain = chain_of(position, &batch);
    if (!has_sequel(s, chain) || !is_good(s, position, &batch))
        return false;
    follow(s, chain);
    return true;
}

/* The next place from `position` on whose magic byte is right; false if there is none. */
static bool next_magic(struct search *s, uint64_t *position, const uint8_t **bytes)
{
    enum { MAGIC_AT = 16, MAGIC = 2 };
    while (view(&s->window, *position, BATCH_HEADER) != NULL) {
        const uint8_t *start = s->window.buffer + (*position - s->window.at);
        size_t places = s->window.have - (size_t)(start - s->window.buffer) - BATCH_HEADER + 1;
        const uint8_t *magic = memchr(start + MAGIC_AT, MAGIC, places);
        if (magic != NULL) {
            *bytes = magic - MAGIC_AT;
            *position += (uint64_t)(*bytes - start);
            return true;
        }
        *position += places;
    }
    return false;
}

static void search(struct search *s)
{
    uint64_t position = s->hint.sure ? s->hint.end : s->bounds->from;
    const uint8_t *bytes;
    while (s->budget > 0 && next_magic(s, &position, &bytes)) {
        struct chain chain;
        if (!try_candidate(s, position, bytes, &chain)) {
            position++;
            continue;
        }
        if (settle(s, &chain))
            return;
        position = chain.end;
    }
}

/* ---- the damaged batch's header ------------------------------------------------------------- */

static void read_hint(struct search *s)
{
    if (s->bounds->from == 0)
        return;
    uint64_t position = s->bounds->from - 1;
    const uint8_t *viewed = view(&s->ahead, position, BATCH_HEADER);
    if (viewed == NULL)
        return;
    uint8_t bytes[BATCH_HEADER]; /* the view moves */
    memcpy(bytes, viewed, sizeof bytes);
    uint64_t size = (uint64_t)load_be_u32(bytes + 8) + BATCH_LENGTH_FROM;
    s->hint.start = position;
    s->hint.has_end = size >= BATCH_HEADER && size <= s->end - position;
    s->hint.end = position + size;
    uint32_t crc = load_be_u32(bytes + BATCH_CRC_FROM - 4);
    s->hint.sure = s->hint.has_end && pay(s, size) &&
                   crc_of(&s->ahead, position + BATCH_CRC_FROM, size - BATCH_CRC_FROM) == crc;
    struct batch batch;
    s->hint.whole = batch_parse(bytes, BATCH_HEADER, &batch) == BATCH_OK &&
                    batch.base == s->bounds->least_base;
    if (s->hint.whole)
        s->hint.index = batch.base + batch.last_delta + 1;
}

static bool follows_directly(struct search *s)
{
    struct batch batch;
    if (!s->hint.has_end || !header_at(s, s->hint.end, &batch) || !is_good(s, s->hint.end, &batch))
        return false;
    s->best = chain_of(s->hint.end, &batch);
    s->found = true;
    return true;
}

int scan_resync(struct firn_file *file, const struct resync_bounds *bounds, struct resync *result,
                struct firn_error *err)
{
    struct search s = {.bounds = bounds, .end = bounds->end};
    uint64_t size;
    if (disk_size_of(file, &size, NULL) == 0)
        s.end = least(s.end, size);
    *result = (struct resync){0};
    if (bounds->from >= s.end)
        return 0;
    s.budget = (s.end - bounds->from) * BUDGET_FACTOR + BUDGET_LEAST;
    int rc = reader_init(&s.window, file, s.end, SEARCH_WINDOW);
    if (rc == 0)
        rc = reader_init(&s.ahead, file, s.end, CHAIN_WINDOW);
    if (rc != 0) {
        (void)firn_error_set(err, rc, 0, "no memory to search behind damage");
    } else {
        read_hint(&s);
        if (!follows_directly(&s))
            search(&s);
    }
    if (s.found)
        *result = (struct resync){true, s.best.start, s.best.first};
    free(s.window.buffer);
    free(s.ahead.buffer);
    return rc;
}
