/* SPDX-License-Identifier: MIT */
/* Verifying: every durable byte of the store, every index entry, the checkpoint. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "log/log_private.h"
#include "log/pieces.h"
#include "log/unpack.h"

enum { LARGE = 1024 * 1024 }; /* bytes of a batch that is not held in memory */

enum { LOOKS = 10, PAUSE_NS = 1000000 };

struct verify {
    struct firn_log *log;
    firn_finding_fn *each;
    void *arg;
    struct firn_verify_stats stats;
    uint32_t generation; /* of the batch before */
    struct buffer space; /* for what is unpacked */
    int stopped;         /* what `each` returned */
};

static int report(struct verify *verify, const struct firn_finding *finding)
{
    verify->stats.findings++;
    if (verify->each)
        verify->stopped = verify->each(verify->arg, finding);
    return verify->stopped;
}

static int report_hole(struct verify *verify, const struct firn_hole *hole, int code,
                       const char *text)
{
    char name[LOG_NAME_SIZE];
    segment_name(hole->segment, "log", name);
    struct firn_finding finding = {
        .code = code,
        .file = name,
        .offset = hole->offset,
        .length = hole->length,
        .first_index = hole->first_index,
        .next_index = hole->next_index,
        .text = text,
    };
    return report(verify, &finding);
}

/* ---- the store ---- */

struct segment_check {
    struct verify *verify;
    struct segment *segment;
    struct scan scan;
    uint64_t expected;
    uint64_t end;
};

/* Those of a large batch. FIRN_EDAMAGED, FIRN_EIO, FIRN_ENOMEM. */
static int check_in_pieces(struct segment_check *at, const struct batch *batch, uint64_t position,
                           struct firn_error *err)
{
    struct pieces pieces = {0};
    struct firn_record record;
    const uint8_t *headers_at;
    int rc;
    pieces_start(&pieces, at->scan.file, position, batch, 0);
    while ((rc = pieces_next(&pieces, &record, &headers_at, err)) == 0)
        if (record_check_rest(pieces.bytes.data, headers_at, pieces.it.at, record.header_count) < 0)
            break;
    pieces_done(&pieces);
    return rc == FIRN_EEND ? 0 : rc == 0 ? FIRN_EDAMAGED : rc;
}

/* FIRN_EDAMAGED; what this build can't unpack passes: its checksum is right. */
static int check_records(struct verify *verify, const struct batch *batch, const uint8_t *bytes,
                         struct firn_error *err)
{
    struct unpacked unpacked;
    int rc = unpack_batch(bytes, batch, &verify->space, &unpacked, err);
    if (rc == FIRN_ENOTSUP)
        return 0;
    if (rc == 0)
        rc = record_check_bytes(unpacked.records, unpacked.size, batch);
    return rc == 0 || rc == FIRN_ENOMEM ? rc : FIRN_EDAMAGED;
}

/* The structure of a good batch, and what its checksum does not cover. */
static int check_batch(struct segment_check *at, const struct batch *batch, const uint8_t *bytes,
                       uint64_t position, struct firn_error *err)
{
    struct verify *verify = at->verify;
    struct firn_hole hole = {batch->base, batch->base, at->segment->base, position, batch->bytes};
    verify->stats.batches++;
    verify->stats.records += batch->count;
    verify->stats.bytes += batch->bytes;
    int rc = bytes ? check_records(verify, batch, bytes, err)
                   : check_in_pieces(at, batch, position, err);
    if (rc == FIRN_ENOMEM)
        return rc;
    if (rc < 0) {
        hole.next_index = batch->base + batch->last_delta + 1;
        return report_hole(verify, &hole, rc,
                           rc == FIRN_EIO ? "the records of the batch can't be read"
                                          : "the records of the batch are malformed");
    }
    uint32_t before = verify->generation;
    bool known = !verify->log->checkpoint_missing && !verify->log->follow.followed;
    uint32_t most = known ? verify->log->generation : UINT32_MAX;
    if (batch->generation >= before && batch->generation <= most) {
        verify->generation = batch->generation;
        return 0;
    }
    return report_hole(verify, &hole, FIRN_EDAMAGED,
                       "the batch's generation (leader epoch) is out of order");
}

/* Reports the bad bytes at `position` and goes on behind them. */
static int check_hole(struct segment_check *at, uint64_t position, int code, const char *text,
                      struct firn_error *err)
{
    struct firn_hole hole;
    int rc = locate_hole(at->verify->log, at->segment, position, at->expected, &hole, err);
    if (rc < 0)
        return rc;
    scan_seek(&at->scan, hole.offset + hole.length, at->end);
    at->expected = hole.next_index;
    return report_hole(at->verify, &hole, code, text);
}

static int check_step(struct segment_check *at, struct firn_error *err)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    uint64_t position = at->scan.position;
    int rc = scan_next_within(&at->scan, LARGE, &batch, &bytes, &fault, err);
    if (rc == 0 && !bytes && (batch.attributes & BATCH_COMPRESSION)) {
        scan_seek(&at->scan, position, at->end);
        rc = scan_next(&at->scan, &batch, &bytes, &fault, err);
    }
    if (rc == FIRN_EEND || rc == FIRN_ENOMEM)
        return rc;
    if (rc == FIRN_EIO)
        return check_hole(at, position, rc, "the bytes can't be read", err);
    if (rc < 0)
        return check_hole(at, position, rc, batch_fault_text(fault), err);
    if (batch.base != at->expected)
        return check_hole(at, position, FIRN_EDAMAGED, "the batch has a wrong base index", err);
    at->expected = batch.base + batch.last_delta + 1;
    return check_batch(at, &batch, bytes, position, err);
}

static int check_store(struct verify *verify, struct segment *segment, struct firn_error *err)
{
    struct firn_log *log = verify->log;
    struct segment_check at = {.verify = verify, .segment = segment, .expected = segment->base};
    struct firn_file *file;
    uint64_t end_index = atomic_load(&log->durable_next);
    at.end = segment_durable_end(segment);
    uint64_t next_base = list_next_base(log, segment->base);
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    scan_init(&at.scan, file, 0, at.end, 256 * 1024);
    do {
        rc = check_step(&at, err);
    } while (rc == 0);
    uint64_t must = next_base == UINT64_MAX ? end_index : next_base;
    uint64_t lowest = atomic_load(&log->lowest);
    uint64_t from = at.expected > lowest ? at.expected : lowest;
    if (rc == FIRN_EEND && from < must) {
        struct firn_hole hole = {from, must, segment->base, at.end, 0};
        rc = report_hole(verify, &hole, FIRN_EDAMAGED, "the segment ends early");
    }
    if (rc == FIRN_EEND && at.expected > must) {
        struct firn_hole hole = {must, must, segment->base, at.end, 0};
        rc = report_hole(verify, &hole, FIRN_EDAMAGED, "holds records of the next segment too");
    }
    scan_done(&at.scan);
    return rc == FIRN_EEND ? 0 : rc;
}

/* ---- the index on storage ---- */

static int report_index(struct verify *verify, uint64_t base, uint64_t entry, const char *text)
{
    char name[LOG_NAME_SIZE];
    segment_name(base, "index", name);
    struct firn_finding finding = {.code = FIRN_EDAMAGED,
                                   .file = name,
                                   .offset = entry * 8,
                                   .first_index = base,
                                   .next_index = base,
                                   .text = text};
    return report(verify, &finding);
}

static int report_age(struct verify *verify, uint64_t base)
{
    char name[LOG_NAME_SIZE];
    segment_name(base, "appendtime", name);
    struct firn_finding finding = {
        .code = FIRN_EDAMAGED,
        .file = name,
        .first_index = base,
        .next_index = base,
        .text = "damaged; its records count as appended when the next ones were",
    };
    return report(verify, &finding);
}

/* What is wrong with an index; text NULL: nothing. */
struct index_fault {
    const char *text;
    uint64_t entry;
};

/* Every entry must name a batch: its base, and the highest time up to it. */
static int check_entries(struct segment *segment, struct index *index,
                         struct index_fault *index_fault, struct firn_error *err)
{
    struct firn_file *file;
    struct scan scan;
    struct batch batch;
    enum batch_fault fault;
    int64_t max_time = INT64_MIN;
    int rc = segment_file(segment, &file, err);
    if (rc < 0)
        return rc;
    scan_init(&scan, file, 0, segment_durable_end(segment), 256 * 1024);
    for (size_t i = 0; rc == 0 && i < index_count(index); i++) {
        struct index_entry entry;
        index_get(index, i, &entry);
        while ((rc = scan_peek(&scan, &batch, &fault, err)) == 0) {
            uint64_t position = scan.position;
            if (batch.max_time > max_time)
                max_time = batch.max_time;
            scan_skip(&scan, &batch);
            if (position >= entry.position)
                break;
        }
        if (rc < 0 && rc != FIRN_EEND)
            break; /* damage, reported already */
        if (rc == FIRN_EEND || scan.position - batch.bytes != entry.position ||
            batch.base != segment->base + entry.relative || entry.max_time != max_time) {
            *index_fault = (struct index_fault){"an entry does not agree with the store", i};
            break;
        }
    }
    scan_done(&scan);
    return rc == FIRN_EEND || rc == FIRN_EDAMAGED || rc == FIRN_EIO ? 0 : rc;
}

/* It is written in place: who meets that looks again. */
static bool age_is_damaged(struct firn_log *log, uint64_t base)
{
    for (int i = 0; i < LOOKS; i++) {
        if (age_check(log, base) != FIRN_EDAMAGED)
            return false;
        disk_sleep(log->disk, PAUSE_NS);
    }
    return true;
}

/* Its index is written now and then, or was when the writer died; nothing relies on it. */
static bool grows(struct firn_log *log, const struct segment *segment)
{
    if (log->recovery.clean && !log->life_started)
        return false;
    bool unsettled = !log->life_started && !log->follow.followed &&
                     segment->base >= log->checkpoint.durable.segment;
    return unsettled || list_next_base(log, segment->base) == UINT64_MAX;
}

static int look_at_index(struct verify *verify, struct segment *segment, struct index_fault *fault,
                         struct firn_error *err)
{
    struct firn_log *log = verify->log;
    struct index *index;
    int rc = index_load(log->disk, log->dir, segment->base, segment_durable_end(segment), &index,
                        NULL);
    *fault = (struct index_fault){0};
    if (rc == FIRN_ENOENT)
        return 0; /* not written yet, or discarded: it is rebuilt when needed */
    if (rc == FIRN_ENOMEM)
        return firn_error_set(err, rc, 0, "%s: no memory to verify", log->dir);
    if (rc < 0) {
        fault->text = "malformed; it is rebuilt when needed";
        return 0;
    }
    rc = check_entries(segment, index, fault, err);
    index_unref(index);
    return rc;
}

static int check_index(struct verify *verify, struct segment *segment, struct firn_error *err)
{
    struct firn_log *log = verify->log;
    struct index_fault fault = {0};
    if (age_is_damaged(log, segment->base)) {
        int stopped = report_age(verify, segment->base);
        if (stopped)
            return stopped;
    }
    if (grows(log, segment))
        return 0;
    for (int i = 0; i < LOOKS; i++) { /* it is written in place, too */
        int rc = look_at_index(verify, segment, &fault, err);
        if (rc < 0 || !fault.text)
            return rc;
        disk_sleep(log->disk, PAUSE_NS);
    }
    return report_index(verify, segment->base, fault.entry, fault.text);
}

/* ---- the checkpoint ---- */

static int check_checkpoint(struct verify *verify)
{
    struct firn_log *log = verify->log;
    struct firn_finding finding = {.code = FIRN_EDAMAGED, .file = CHECKPOINT_NAME};
    if (log->checkpoint_missing) {
        finding.text = "missing or damaged; the log was scanned in full";
        return report(verify, &finding);
    }
    if (log->recovery.created || (!log->recovery.clean && !log->checkpoint.clean))
        return 0; /* a crash may leave one slot torn */
    for (int i = 0; i < 2; i++) {
        if (log->slots.state[i] == 0)
            continue;
        finding.offset = (uint64_t)i * CHECKPOINT_SLOT;
        finding.length = CHECKPOINT_SLOT;
        finding.text = "a slot is damaged; the other one is used";
        return report(verify, &finding);
    }
    return 0;
}

/* ---- named cursors ---- */

static int check_named(struct verify *verify, struct firn_error *err)
{
    struct firn_log *log = verify->log;
    struct firn_finding finding = {.file = NAMED_FILE};
    struct firn_error why = {0};
    struct named_table table;
    finding.code = named_load(log->disk, log->dir, &table, &why);
    if (finding.code == FIRN_ENOMEM)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to verify", log->dir);
    if (finding.code < 0) {
        finding.text = why.message;
        return report(verify, &finding);
    }
    for (unsigned i = 0; i < 2 && finding.code == 0; i++) {
        if (table.copies[i] == 0)
            continue;
        finding.code = table.copies[i];
        finding.length = named_size(&table);
        finding.offset = i * finding.length;
        finding.text = "one of its two copies is damaged; the other one is used";
    }
    named_done(&table);
    return finding.code < 0 ? report(verify, &finding) : 0;
}

/* ---- all of it ---- */

/* Holes that recovery met and that no segment's scan can meet again. */
static int check_missing(struct verify *verify)
{
    struct firn_log *log = verify->log;
    for (size_t i = 0; i < log->hole_count; i++) {
        const struct log_hole *hole = &log->holes[i];
        struct segment *before = list_find(log, hole->hole.first_index);
        segment_unref(before);
        if (hole->hole.next_index <= atomic_load(&log->lowest))
            continue; /* given up */
        if (!before && report_hole(verify, &hole->hole, FIRN_EDAMAGED, hole->text) != 0)
            return verify->stopped;
    }
    return 0;
}

static int verify_all(struct verify *verify, struct firn_error *err)
{
    struct firn_log *log = verify->log;
    int rc = check_checkpoint(verify);
    if (rc == 0)
        rc = check_missing(verify);
    if (rc == 0)
        rc = check_named(verify, err);
    struct segment *segment = list_first(log);
    while (rc == 0 && segment) {
        verify->stats.segments++;
        rc = check_store(verify, segment, err);
        if (rc == 0)
            rc = check_index(verify, segment, err);
        struct segment *next = list_after(log, segment->base);
        segment_unref(segment);
        segment = next;
    }
    segment_unref(segment);
    return rc;
}

int firn_log_verify(struct firn_log *log, firn_finding_fn *each, void *arg,
                    struct firn_verify_stats *stats, struct firn_error *err)
{
    struct verify verify = {.log = log, .each = each, .arg = arg};
    follow_refresh(log);
    int rc = verify_all(&verify, err);
    buffer_free(&verify.space);
    if (stats)
        *stats = verify.stats;
    if (rc != 0)
        return rc;
    if (verify.stats.findings == 0)
        return 0;
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: %llu findings", log->dir,
                          (unsigned long long)verify.stats.findings);
}
