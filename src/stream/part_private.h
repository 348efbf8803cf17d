/* SPDX-License-Identifier: MIT */
/* What the files about a part share. */
#ifndef STREAM_PART_PRIVATE_H
#define STREAM_PART_PRIVATE_H

#include <string.h>

#include "stream/part.h"

enum { PART_CHUNK = 256 * 1024 }; /* bytes that are loaded at a time: they fit into a cache */

static inline uint8_t *part_meta(const struct part *part, uint64_t block)
{
    return part->metas + block * META_BYTES;
}

static inline uint8_t *part_data(const struct part *part, uint64_t block)
{
    return part->data + block * part->payload;
}

/* How many blocks hold the first `used` bytes. */
static inline uint64_t part_blocks(const struct part *part, uint64_t used)
{
    return used / part->payload + (used % part->payload != 0);
}

static inline uint64_t part_least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- sync.c ---- */

/* Stores [from, to] as they are in memory, the last one as far as it is written or, with `whole`,
 * to its end. In ascending pieces. */
int part_store(struct part *part, uint64_t from, uint64_t to, bool whole, struct firn_error *err);
/* Stores the meta of block 0 with this note, and keeps it in memory if that succeeds. */
int part_store_mark(struct part *part, const struct note *note, struct firn_error *err);

#endif
