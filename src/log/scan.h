/* SPDX-License-Identifier: MIT */
/*
 * Reading a segment's store batch by batch, through a window that is read ahead.
 */
#ifndef LOG_SCAN_H
#define LOG_SCAN_H

#include <firn/disk.h>

#include "log/batch.h"

struct scan {
    struct firn_file *file;
    uint64_t position;  /* of the next batch */
    uint64_t end;       /* nothing behind is read */
    size_t window;      /* bytes to read ahead */
    uint8_t *buffer;
    size_t capacity;
    uint64_t buffer_at; /* position of buffer[0] */
    size_t buffered;
};

/* The caller's memory; reads [position, end) of `file`, which it does not own. window 0: 128 KiB */
void scan_init(struct scan *scan, struct firn_file *file, uint64_t position, uint64_t end,
               size_t window);
void scan_done(struct scan *scan);

/* Goes on at another place, keeping what is buffered where it serves. */
void scan_seek(struct scan *scan, uint64_t position, uint64_t end);

/*
 * The batch at `position`, checked (checksum; not the chain): `*bytes` points into the window until
 * the next call; `position` moves behind it. 0; FIRN_EEND at `end` (also if position > end);
 * FIRN_EDAMAGED with `*fault` (BATCH_ZERO: nothing was written here; BATCH_SHORT: the batch would
 * reach behind `end`), position stays; FIRN_EIO; FIRN_ENOMEM.
 */
int scan_next(struct scan *scan, struct batch *batch, const uint8_t **bytes,
              enum batch_fault *fault, struct firn_error *err);

/* Like scan_next, but only parses the header (reads no more than it must, checks no checksum) */
int scan_peek(struct scan *scan, struct batch *batch, enum batch_fault *fault,
              struct firn_error *err);

/* Moves over the batch that scan_peek told. */
void scan_skip(struct scan *scan, const struct batch *batch);

/* What resynchronisation looks for. */
struct resync_bounds {
    uint64_t from;           /* first byte to try */
    uint64_t end;            /* store's end (or the end of what may hold data) */
    uint64_t least_base;     /* a batch's base must be at least this ... */
    uint64_t most_base;      /* ... and its records' end at most this (UINT64_MAX: unknown) */
    uint32_t most_generation;
    bool end_exact;          /* the chain must end exactly at `end` with index `most_base`; else it
                                may end where bytes are zero or fail */
};

struct resync {
    bool found;
    uint64_t position; /* of the first batch of the chain */
    struct batch batch;
};

/*
 * Looks byte by byte for the next batch behind damage: one with a good checksum whose chain
 * (consecutive bases, generations not falling) reaches the end as `bounds` says. Reads errors (EIO)
 * of single 4 KiB pages are stepped over. FIRN_EIO never; FIRN_ENOMEM.
 */
int scan_resync(struct firn_file *file, const struct resync_bounds *bounds, struct resync *result,
                struct firn_error *err);

/* Finds the last non-zero byte in [from, to): `*end` is one behind it, or `from`. FIRN_EIO. */
int scan_last_nonzero(struct firn_file *file, uint64_t from, uint64_t to, uint64_t *end,
                      struct firn_error *err);

#endif
