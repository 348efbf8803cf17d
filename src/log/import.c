/* SPDX-License-Identifier: MIT */
/* Kafka's segments, into a log. */
#include <inttypes.h>
#include <stdlib.h>

#include "log/transfer.h"

enum { OLD_MAGIC_AT = 16 };

struct import {
    struct transfer transfer;
    const char *dir;
    char name[LOG_NAME_SIZE]; /* of the file at hand */
    uint64_t *bases;
    size_t count, capacity;
    bool began;
};

static int note_segment(void *arg, const char *name, const struct firn_entry *entry)
{
    struct import *import = arg;
    uint64_t base;
    (void)entry;
    if (!segment_parse_name(name, &base))
        return 0;
    if (import->count == import->capacity) {
        size_t capacity = import->capacity ? 2 * import->capacity : 16;
        uint64_t *bases = realloc(import->bases, capacity * sizeof *bases);
        if (!bases)
            return FIRN_ENOMEM;
        import->bases = bases;
        import->capacity = capacity;
    }
    import->bases[import->count++] = base;
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_segments(struct import *import, struct firn_error *err)
{
    int rc = disk_list(import->transfer.to->disk, import->dir, note_segment, import, err);
    if (rc == FIRN_ENOMEM)
        return firn_error_set(err, rc, 0, "%s: no memory to list it", import->dir);
    if (rc == 0 && import->count == 0)
        return firn_error_set(err, FIRN_ENOENT, 0, "%s: holds no segments (<base>.log)",
                              import->dir);
    if (rc == 0)
        qsort(import->bases, import->count, sizeof *import->bases, compare);
    return rc;
}

/* ---- one batch ---- */

static int refuse(const struct import *import, const struct scan *scan, uint64_t position,
                  enum batch_fault fault, struct firn_error *err)
{
    uint8_t magic = 2;
    size_t got;
    (void)disk_read_full(scan->file, &magic, 1, position + OLD_MAGIC_AT, &got, NULL);
    if (fault == BATCH_BAD_MAGIC && magic < 2)
        return firn_error_set(err, FIRN_ENOTSUP, 0,
                              "%s/%s: at byte %llu begins a message of format %d; firn reads "
                              "format 2 (Kafka 0.11 and later)",
                              import->dir, import->name, (unsigned long long)position, magic);
    return firn_error_set(err, FIRN_EDAMAGED, 0, "%s/%s: damaged at byte %llu: %s", import->dir,
                          import->name, (unsigned long long)position, batch_fault_text(fault));
}

/* Where the first batch goes, and what lies between it and the one before. */
static int approach(struct import *import, uint64_t base, struct firn_error *err)
{
    struct transfer *transfer = &import->transfer;
    if (!import->began) {
        int rc = log_start_at(transfer->to, base, err);
        if (rc < 0)
            return rc;
        transfer->next = base;
        import->began = true;
    }
    if (base < transfer->next)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s/%s: a batch begins at index %llu, below %llu, the one before it "
                              "ends at",
                              import->dir, import->name, (unsigned long long)base,
                              (unsigned long long)transfer->next);
    return transfer_gap(transfer, base, err);
}

/* FIRN_EEND: the file's end. */
static int import_next(struct import *import, struct scan *scan, struct firn_error *err)
{
    struct batch batch;
    const uint8_t *bytes;
    enum batch_fault fault = BATCH_OK;
    uint64_t position = scan->position;
    int rc = scan_next_within(scan, TRANSFER_IN_MEMORY, &batch, &bytes, &fault, err);
    if (rc == FIRN_EDAMAGED && fault == BATCH_ZERO)
        return FIRN_EEND; /* space that was prepared */
    if (rc == FIRN_EDAMAGED)
        return refuse(import, scan, position, fault, err);
    if (rc == 0)
        rc = approach(import, batch.base, err);
    if (rc == 0)
        rc = transfer_batch(&import->transfer, &batch, bytes, scan->file, position, err);
    return rc;
}

/* ---- all ---- */

static int import_file(struct import *import, uint64_t base, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    struct scan scan;
    uint64_t size;
    segment_name(base, "log", import->name);
    int rc = disk_path_join(path, sizeof path, import->dir, import->name, err);
    if (rc == 0)
        rc = disk_open(import->transfer.to->disk, path, FIRN_OPEN_READ, &file, err);
    if (rc < 0)
        return rc;
    rc = disk_size_of(file, &size, err);
    scan_init(&scan, file, 0, size, 0);
    while (rc == 0)
        rc = import_next(import, &scan, err);
    scan_done(&scan);
    disk_close(file);
    return rc == FIRN_EEND ? 0 : rc;
}

int firn_log_import(struct firn_log *log, const char *dir, firn_progress_fn *progress, void *arg,
                    struct firn_transferred *transferred, struct firn_error *err)
{
    struct import import = {.transfer = {.to = log, .progress = progress, .arg = arg}, .dir = dir};
    if (log->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", log->dir);
    int rc = list_segments(&import, err);
    for (size_t i = 0; rc == 0 && i < import.count; i++)
        rc = import_file(&import, import.bases[i], err);
    if (import.began) { /* what came before an error is in the log */
        int flushed = transfer_flush(&import.transfer, rc == 0 ? err : NULL);
        rc = rc == 0 ? flushed : rc;
    }
    free(import.bases);
    if (transferred)
        *transferred = import.transfer.done;
    return rc;
}
