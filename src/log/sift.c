/* SPDX-License-Identifier: MIT */
/*
 * A record goes if a later one has its key; the last one goes too if it is a tombstone (a key
 * without value) whose delay is over, and nothing below it was left that may hold older values:
 * they would be the last ones again.
 *
 * Batches whose records can't be looked at stay as they are: transactional ones and control batches
 * of others, compressed ones that this build can't unpack or that are larger than SIFT_MOST; so do
 * large ones of which some records stay, and those that would grow for want of their compression.
 */
#include "log/sift.h"

#include <string.h>

#include "base/codec.h"
#include "log/unpack.h"

void sift_done(struct sift *sift)
{
    keys_done(&sift->keys);
    buffer_free(&sift->space);
    buffer_free(&sift->kept);
    buffer_free(&sift->packed);
    pieces_done(&sift->pieces);
}

/* ---- batch by batch ------------------------------------------------------------------------- */

struct at {
    struct sift *sift;
    struct scan scan;
    struct batch batch;
    const uint8_t *bytes; /* NULL: it is large */
    uint64_t position;
    uint64_t expected;
    struct rewrite *rewrite;
    struct sifted *sifted;
};

static bool is_opaque(const struct batch *batch)
{
    return (batch->attributes & (BATCH_TRANSACTIONAL | BATCH_CONTROL)) != 0;
}

static int next_batch(struct at *at, struct firn_error *err)
{
    enum batch_fault fault;
    at->position = at->scan.position;
    int rc = scan_next_within(&at->scan, SIFT_MOST, &at->batch, &at->bytes, &fault, err);
    if (rc == 0 && at->batch.base != at->expected)
        rc = FIRN_EDAMAGED;
    if (rc == 0)
        at->expected = at->batch.base + at->batch.last_delta + 1;
    return rc;
}

typedef int each_record(struct at *at, const struct firn_record *record, const uint8_t *start,
                        const uint8_t *end);

static int walk_pieces(struct at *at, each_record *each, struct firn_error *err)
{
    struct pieces *pieces = &at->sift->pieces;
    struct firn_record record;
    const uint8_t *headers;
    int rc;
    pieces_start(pieces, at->scan.file, at->position, &at->batch, 0);
    while ((rc = pieces_next(pieces, &record, &headers, err)) == 0) {
        rc = each(at, &record, NULL, NULL);
        if (rc < 0)
            return rc;
    }
    return rc == FIRN_EEND ? 0 : rc;
}

/* FIRN_ENOTSUP, FIRN_ETOOBIG: its records can't be looked at. */
static int walk_records(struct at *at, each_record *each, struct firn_error *err)
{
    struct unpacked all;
    struct record_iterator it;
    struct firn_record record;
    if (is_opaque(&at->batch))
        return FIRN_ENOTSUP;
    if (!at->bytes)
        return at->batch.attributes & BATCH_COMPRESSION ? FIRN_ETOOBIG : walk_pieces(at, each, err);
    int rc = unpack_batch(at->bytes, &at->batch, &at->sift->space, &all, err);
    if (rc < 0)
        return rc;
    record_iterate_bytes(&it, all.records, all.size, &at->batch);
    for (;;) {
        const uint8_t *start = it.at;
        rc = record_next(&it, &record, NULL);
        if (rc == 0)
            rc = each(at, &record, start, it.at);
        if (rc < 0)
            return rc == FIRN_EEND ? 0 : rc;
    }
}

static void start(struct at *at, struct segment *segment, struct firn_file *file)
{
    at->expected = segment->base;
    scan_init(&at->scan, file, 0, segment_durable_end(segment), 256 * 1024);
}

static int check_end(const struct at *at, int rc, uint64_t next)
{
    if (rc != FIRN_EEND)
        return rc;
    return at->expected == next ? 0 : FIRN_EDAMAGED;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static int note_key(struct at *at, const struct firn_record *record, const uint8_t *start_at,
                    const uint8_t *end)
{
    (void)start_at, (void)end;
    struct keys *keys = &at->sift->keys;
    return record->key.data ? keys_put(keys, keys_hash(keys, &record->key), record->index) : 0;
}

int sift_keys(struct sift *sift, struct segment *segment, uint64_t next, struct firn_error *err)
{
    struct at at = {.sift = sift};
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    start(&at, segment, file);
    while ((rc = next_batch(&at, err)) == 0 && at.expected <= next) {
        rc = walk_records(&at, note_key, err);
        if (rc < 0 && rc != FIRN_ENOTSUP && rc != FIRN_ETOOBIG)
            break;
    }
    scan_done(&at.scan);
    if (rc == FIRN_ENOMEM)
        return firn_error_set(err, rc, 0, "%s: no memory to compact", sift->log->dir);
    return rc == FIRN_EIO ? rc : 0;
}

/* ---- what stays ----------------------------------------------------------------------------- */

static bool goes(struct sift *sift, const struct firn_record *record, struct sifted *sifted)
{
    uint64_t last;
    if (!record->key.data || !keys_get(&sift->keys, keys_hash(&sift->keys, &record->key), &last) ||
        record->index > last)
        return false;
    if (record->index < last) {
        sifted->records++;
        return true;
    }
    if (record->value.data || record->value.size)
        return false;
    if (sift->incomplete || record->index >= sift->tombstones_below) {
        sift->waiting = true;
        return false;
    }
    sifted->records++;
    sifted->tombstones++;
    return true;
}

/* What stays of a batch. */
struct part {
    uint32_t count;
    int64_t max_time;
    struct sifted sifted;
};

struct decision {
    struct at at;
    struct part part;
};

static int decide(struct at *at, const struct firn_record *record, const uint8_t *start_at,
                  const uint8_t *end)
{
    struct part *part = &((struct decision *)at)->part;
    if (goes(at->sift, record, &part->sifted))
        return 0;
    if (part->count++ == 0 || record->timestamp > part->max_time)
        part->max_time = record->timestamp;
    return start_at ? buffer_append(&at->sift->kept, start_at, (size_t)(end - start_at)) : 0;
}

static int keep(struct at *at, bool incomplete, struct firn_error *err)
{
    at->sift->incomplete |= incomplete;
    return at->rewrite ? rewrite_keep(at->rewrite, &at->batch, at->bytes, at->position, err) : 0;
}

static void count(struct at *at, const struct part *part)
{
    at->sifted->records += part->sifted.records;
    at->sifted->tombstones += part->sifted.tombstones;
}

/* Packs what stays as it was, where this build can and that pays. *same: by that method. */
static int pack(struct at *at, struct batch *batch, const struct buffer **records, bool *same)
{
    struct sift *sift = at->sift;
    unsigned codec = batch->attributes & BATCH_COMPRESSION;
    *same = codec == CODEC_NONE || codec_can_pack(codec);
    *records = &sift->kept;
    if (codec == CODEC_NONE)
        return 0;
    buffer_clear(&sift->packed);
    int rc = *same ? codec_pack(codec, 0, sift->kept.data, sift->kept.size, &sift->packed) : 0;
    if (rc == 0 && *same && sift->packed.size < sift->kept.size)
        *records = &sift->packed;
    else
        batch->attributes &= (uint16_t)~BATCH_COMPRESSION;
    return rc;
}

static int shorten(struct at *at, const struct part *part, struct firn_error *err)
{
    struct batch batch = at->batch;
    const struct buffer *records;
    bool same;
    batch.count = part->count;
    if (!(batch.attributes & BATCH_APPEND_TIME))
        batch.max_time = part->max_time;
    int rc = pack(at, &batch, &records, &same);
    if (rc < 0)
        return rc;
    if (!same && records->size > at->batch.bytes - BATCH_HEADER)
        return keep(at, true, err);
    count(at, part);
    return at->rewrite ? rewrite_records(at->rewrite, &batch, records->data, records->size, err)
                       : 0;
}

/* Nothing stays, or nothing was there. What others number their batches by stays in any case. */
static int leave_gap(struct at *at, const struct part *part, struct firn_error *err)
{
    count(at, part);
    if (!at->rewrite)
        return 0;
    if (!batch_is_foreign(&at->batch))
        return rewrite_gap(at->rewrite, &at->batch, err);
    struct batch empty = at->batch;
    empty.count = 0;
    empty.attributes &= (uint16_t)~BATCH_COMPRESSION;
    empty.max_time = empty.attributes & BATCH_APPEND_TIME ? empty.max_time : empty.base_time;
    return rewrite_records(at->rewrite, &empty, (const uint8_t *)"", 0, err);
}

static int sift_batch(struct at *at, struct part *part, struct firn_error *err)
{
    *part = (struct part){0};
    buffer_clear(&at->sift->kept);
    if (at->batch.count == 0 && !is_opaque(&at->batch))
        return leave_gap(at, part, err);
    int rc = walk_records(at, decide, err);
    if (rc == FIRN_ENOTSUP || rc == FIRN_ETOOBIG)
        return keep(at, true, err);
    if (rc < 0)
        return rc;
    if (part->sifted.records == 0)
        return keep(at, false, err);
    if (part->count == 0)
        return leave_gap(at, part, err);
    return at->bytes ? shorten(at, part, err) : keep(at, true, err);
}

int sift_segment(struct sift *sift, struct segment *segment, uint64_t next, struct rewrite *rewrite,
                 struct sifted *sifted, struct firn_error *err)
{
    *sifted = (struct sifted){0};
    struct decision decision = {.at = {.sift = sift, .rewrite = rewrite, .sifted = sifted}};
    struct at *at = &decision.at;
    struct firn_file *file;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    start(at, segment, file);
    while ((rc = next_batch(at, err)) == 0) {
        rc = sift_batch(at, &decision.part, err);
        if (rc < 0)
            break;
    }
    scan_done(&at->scan);
    return rc == FIRN_ENOMEM
               ? firn_error_set(err, rc, 0, "%s: no memory to compact", sift->log->dir)
               : check_end(at, rc, next);
}
