/* SPDX-License-Identifier: MIT */
/*
 * Cutting a segment at an index. A batch that the cut divides keeps its bytes up to the cut; only
 * its header is replaced, and the intent holds the new one: no acknowledged record is rewritten.
 *
 * A compressed batch has to be packed again. What it becomes goes durably to a file first, then the
 * intent is stored, which holds its header; the file is there until the intent has been carried
 * out.
 */
#include "log/cut.h"

#include "base/codec.h"
#include "log/unpack.h"

/* ---- carrying out ---- */

static int damaged_file(const struct firn_log *log, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s/" CUT_NAME ": missing or damaged: the truncation that it is part of "
                          "can't be finished",
                          log->dir);
}

/* The batch that stands in the file. */
static int load_file(struct firn_log *log, const struct intent *intent, struct buffer *bytes,
                     struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    struct batch batch, read;
    size_t got;
    if (batch_parse(intent->header, BATCH_HEADER, &batch) != BATCH_OK)
        return damaged_file(log, err);
    if (buffer_reserve(bytes, batch.bytes) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to truncate", log->dir);
    int rc = disk_path_join(path, sizeof path, log->dir, CUT_NAME, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_READ, &file, err);
    if (rc < 0)
        return rc == FIRN_ENOENT ? damaged_file(log, err) : rc;
    rc = disk_read_full(file, bytes->data, batch.bytes, 0, &got, err);
    disk_close(file);
    if (rc < 0)
        return rc;
    bytes->size = got;
    if (batch_check(bytes->data, got, &read) != BATCH_OK || read.crc != batch.crc)
        return damaged_file(log, err);
    return 0;
}

static int write_batch(struct firn_log *log, const struct intent *intent, struct firn_file *file,
                       struct firn_error *err)
{
    struct buffer bytes = {0};
    if (!intent->has_file)
        return disk_write_full(file, intent->header, BATCH_HEADER, intent->header_position, 0, err);
    int rc = load_file(log, intent, &bytes, err);
    if (rc == 0)
        rc = disk_write_full(file, bytes.data, bytes.size, intent->header_position, 0, err);
    buffer_free(&bytes);
    return rc;
}

int cut_store(struct firn_log *log, const struct intent *intent, struct firn_error *err)
{
    char name[LOG_NAME_SIZE], path[DISK_PATH_SIZE];
    struct firn_file *file;
    segment_discard_index(log->disk, log->dir, intent->cut.segment);
    segment_name(intent->cut.segment, "log", name);
    int rc = disk_path_join(path, sizeof path, log->dir, name, err);
    if (rc == 0)
        rc = disk_open(log->disk, path, FIRN_OPEN_WRITE, &file, err);
    if (rc < 0)
        return rc;
    if (intent->has_header)
        rc = write_batch(log, intent, file, err);
    if (rc == 0)
        rc = disk_truncate(file, intent->cut.position, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    return rc;
}

void cut_forget(struct firn_log *log)
{
    char path[DISK_PATH_SIZE];
    if (disk_path_join(path, sizeof path, log->dir, CUT_NAME, NULL) == 0)
        disk_remove(log->disk, path, NULL);
}

/* ---- planning ---- */

struct division {
    struct batch batch; /* what the batch becomes */
    struct unpacked kept;
};

/* What of the batch lies below `index`, which lies inside it. */
static int divide(const struct unpacked *all, const struct batch *batch, uint64_t index,
                  struct division *division, struct firn_error *err)
{
    struct record_iterator it;
    struct firn_record record;
    struct batch *kept = &division->batch;
    const uint8_t *end = all->records;
    int rc;
    *kept = *batch;
    kept->count = 0;
    kept->last_delta = (uint32_t)(index - batch->base) - 1;
    kept->max_time = INT64_MIN;
    record_iterate_bytes(&it, all->records, all->size, batch);
    while ((rc = record_next(&it, &record, NULL)) == 0 && record.index < index) {
        if (record.timestamp > kept->max_time)
            kept->max_time = record.timestamp;
        end = it.at;
        kept->count++;
    }
    if (kept->count == 0) /* its first records were compacted away */
        kept->max_time = batch->base_time;
    division->kept = (struct unpacked){all->records, (size_t)(end - all->records)};
    return rc == FIRN_EDAMAGED ? firn_error_set(err, rc, 0, "the batch of record %llu is malformed",
                                                (unsigned long long)batch->base)
                               : 0;
}

/* Packs what is kept, as it was where this build can. */
static int pack(struct division *division, struct buffer *bytes)
{
    static const uint8_t header[BATCH_HEADER];
    struct batch *batch = &division->batch;
    unsigned codec = batch->attributes & BATCH_COMPRESSION;
    int rc = buffer_append(bytes, header, sizeof header);
    if (rc < 0)
        return rc;
    if (codec_can_pack(codec))
        rc = codec_pack(codec, 0, division->kept.records, division->kept.size, bytes);
    else
        rc = FIRN_ENOTSUP;
    if (rc == 0)
        return 0;
    bytes->size = BATCH_HEADER;
    batch->attributes &= (uint16_t)~BATCH_COMPRESSION;
    return buffer_append(bytes, division->kept.records, division->kept.size);
}

static int store_file(struct firn_log *log, struct segment *segment, uint64_t position,
                      struct division *division, struct intent *intent, struct firn_error *err)
{
    struct buffer bytes = {0};
    int rc = pack(division, &bytes);
    if (rc < 0)
        rc = firn_error_set(err, rc, 0, "%s: no memory to truncate", log->dir);
    else if (bytes.size > BATCH_MAX - position)
        rc = firn_error_set(err, FIRN_ETOOBIG, 0,
                            "%s: what is kept of the batch of record %llu does not fit into its "
                            "segment: truncate at %llu",
                            log->dir, (unsigned long long)division->batch.base,
                            (unsigned long long)division->batch.base);
    if (rc == 0) {
        batch_seal(&division->batch, bytes.data + BATCH_HEADER, bytes.size - BATCH_HEADER,
                   bytes.data);
        rc = prepare_reserve(log, segment, position + bytes.size, err);
    }
    if (rc == 0)
        rc = disk_replace_file(log->disk, log->dir, CUT_NAME, bytes.data, bytes.size, err);
    if (rc == 0) {
        for (size_t i = 0; i < BATCH_HEADER; i++)
            intent->header[i] = bytes.data[i];
        intent->has_file = true;
        intent->cut.position = position + bytes.size;
    }
    buffer_free(&bytes);
    return rc;
}

static int shorten(struct firn_log *log, struct segment *segment, uint64_t position,
                   const uint8_t *bytes, const struct batch *batch, struct intent *intent,
                   struct firn_error *err)
{
    struct buffer space = {0};
    struct unpacked all;
    struct division division;
    int rc = unpack_batch(bytes, batch, &space, &all, err);
    if (rc == 0)
        rc = divide(&all, batch, intent->cut.index, &division, err);
    if (rc == 0 && (batch->attributes & BATCH_COMPRESSION)) {
        rc = store_file(log, segment, position, &division, intent, err);
    } else if (rc == 0) {
        batch_seal(&division.batch, division.kept.records, division.kept.size, intent->header);
        intent->cut.position = position + division.batch.bytes;
    }
    intent->has_header = rc == 0;
    intent->header_position = position;
    buffer_free(&space);
    return rc;
}

/* The batch at the scan's place holds the index, or begins with it. */
static int cut_batch(struct firn_log *log, struct segment *segment, struct scan *scan,
                     struct checkpoint *next, struct firn_error *err)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault;
    struct intent *intent = &next->intent;
    uint64_t position = scan->position;
    int rc = scan_next_within(scan, 0, &batch, &bytes, &fault, err);
    if (rc < 0)
        return rc;
    next->durable.position = position;
    next->durable.index = batch.base;
    intent->cut.position = position;
    if (intent->cut.index == batch.base)
        return 0;
    scan_seek(scan, position, scan->end);
    rc = scan_next(scan, &batch, &bytes, &fault, err);
    if (rc < 0)
        return rc;
    return shorten(log, segment, position, bytes, &batch, intent, err);
}

int cut_plan(struct firn_log *log, struct segment *segment, uint64_t index, struct checkpoint *next,
             struct firn_error *err)
{
    struct firn_file *file;
    struct firn_hole hole = {.first_index = UINT64_MAX};
    struct scan scan;
    uint64_t base;
    next->intent = (struct intent){.pending = true, .cut = {segment->base, 0, index}};
    next->durable = (struct place){segment->base, 0, segment->base};
    if (index == segment->base)
        return 0;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    scan_init(&scan, file, 0, segment_durable_end(segment), 0);
    rc = locate(log, segment, &scan, segment_durable_end(segment), index, true, &base, &hole, err);
    if (rc == 0)
        rc = cut_batch(log, segment, &scan, next, err);
    if (rc == FIRN_EDAMAGED && hole.first_index == index) {
        next->intent.cut.position = next->durable.position = hole.offset;
        next->durable.index = index;
        rc = 0;
    }
    scan_done(&scan);
    return rc;
}
