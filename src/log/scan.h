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
    uint64_t position; /* of the next batch */
    uint64_t end;      /* nothing behind is read */
    size_t window;     /* bytes to read ahead */
    uint8_t *buffer;
    size_t capacity;
    uint64_t buffer_at; /* position of buffer[0] */
    size_t buffered;
    bool lent;           /* the buffer is the caller's */
    unsigned near_peeks; /* reads of headers in a row, each near the one before */
};

/* The caller's memory; reads [position, end) of `file`, which it does not own. window 0: 128 KiB.
   Memory is taken by the first read, and no more than [position, end) needs. */
void scan_init(struct scan *scan, struct firn_file *file, uint64_t position, uint64_t end,
               size_t window);
void scan_done(struct scan *scan);
/* Before anything is read: memory of the caller's to begin with. */
void scan_lend(struct scan *scan, uint8_t *buffer, size_t capacity);

/* Goes on at another place, keeping what is buffered where it serves. What lies at or behind `end`
   is forgotten, so a lower end and then the old one have it read again. */
void scan_seek(struct scan *scan, uint64_t position, uint64_t end);

/* Reads `size` bytes from the position on at once, as far as that can be done. */
void scan_fetch(struct scan *scan, size_t size);

/*
 * The batch at `position`, checked (checksum; not the chain): `*bytes` points into the window until
 * the next call; `position` moves behind it. 0; FIRN_EEND at `end` (also if position > end; without
 * a message); FIRN_EDAMAGED with `*fault` (BATCH_ZERO: nothing was written here; BATCH_SHORT: the
 * batch would reach behind `end`, or the file ends before), position stays; FIRN_EIO; FIRN_ENOMEM.
 * A batch larger than the window is checked before memory is taken for it.
 */
int scan_next(struct scan *scan, struct batch *batch, const uint8_t **bytes,
              enum batch_fault *fault, struct firn_error *err);

/* Like scan_next; but a batch of more than `most` bytes, and more than the window has, is checked
   piece by piece and not kept: *bytes is NULL then. */
int scan_next_within(struct scan *scan, size_t most, struct batch *batch, const uint8_t **bytes,
                     enum batch_fault *fault, struct firn_error *err);

/* Like scan_next, but only parses the header: checks no checksum, and reads no more than it must,
   until it shows that one header after another is wanted. */
int scan_peek(struct scan *scan, struct batch *batch, enum batch_fault *fault,
              struct firn_error *err);

/* Moves over the batch that scan_peek told. */
void scan_skip(struct scan *scan, const struct batch *batch);

/* What resynchronisation looks for. */
struct resync_bounds {
    uint64_t from;       /* first byte to try: one behind where the damaged batch begins */
    uint64_t end;        /* store's end (or the end of what may hold data) */
    uint64_t least_base; /* base that the damaged batch should have: no later one is lower ... */
    uint64_t most_base;  /* ... and its records' end at most this (UINT64_MAX: unknown) */
    uint32_t most_generation;
    bool end_exact; /* the chain must end exactly at `end` with index `most_base`; else it
                       may end where bytes are zero or fail */
};

struct resync {
    bool found;
    uint64_t position; /* of the first batch of the chain */
    struct batch batch;
};

/*
 * Looks for the next batch behind damage. It is the one exactly behind the damaged batch, if that
 * one's length is possible and a good batch stands there; otherwise, byte by byte, one with a good
 * checksum whose chain (consecutive bases, generations not falling; damaged batches are stepped
 * over where their headers fit both neighbours) reaches the end as `bounds` says. Where several
 * do, because the end is not exact, the last chain counts (scan_resync.c says more). Nothing found
 * is a success with found = false. Read errors of single 4 KiB pages are stepped over.
 * FIRN_EIO never; FIRN_ENOMEM.
 */
int scan_resync(struct firn_file *file, const struct resync_bounds *bounds, struct resync *result,
                struct firn_error *err);

/* Finds the last non-zero byte in [from, to), also where the file is shorter: `*end` is one behind
   it, or `from`. FIRN_EIO, FIRN_ENOMEM. */
int scan_last_nonzero(struct firn_file *file, uint64_t from, uint64_t to, uint64_t *end,
                      struct firn_error *err);

#endif
