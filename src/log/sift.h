/* SPDX-License-Identifier: MIT */
/* Compaction of one segment: which keys it has, and what of it stays. */
#ifndef LOG_SIFT_H
#define LOG_SIFT_H

#include "base/buffer.h"
#include "log/keys.h"
#include "log/pieces.h"
#include "log/rewrite.h"

enum { SIFT_MOST = 16 * 1024 * 1024 }; /* bytes of a batch that is held in memory */

/* What goes of a segment. */
struct sifted {
    uint64_t records;    /* tombstones among them */
    uint64_t tombstones; /* whose delay is over */
};

struct sift {
    struct firn_log *log;
    struct keys keys;
    uint64_t tombstones_below; /* those below this index are old enough to go */
    bool incomplete;           /* something below was left that older values may stand in */
    bool waiting;              /* a tombstone is not old enough */
    struct buffer space, kept, packed;
    struct pieces pieces;
};

void sift_done(struct sift *sift);
/* Enters the keys of a segment that ends at index `next`, as far as it is whole. FIRN_EIO,
   FIRN_ENOMEM. */
int sift_keys(struct sift *sift, struct segment *segment, uint64_t next, struct firn_error *err);
/*
 * Decides on all records of the segment, in order of segments; with `rewrite`, writes what stays.
 * FIRN_EDAMAGED, FIRN_EIO: it is not whole, and to be left as it is; FIRN_ENOMEM; with `rewrite`
 * also what writing has.
 */
int sift_segment(struct sift *sift, struct segment *segment, uint64_t next, struct rewrite *rewrite,
                 struct sifted *sifted, struct firn_error *err);

#endif
