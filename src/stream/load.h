/* SPDX-License-Identifier: MIT */
/* Reading the blocks of a part. */
#ifndef STREAM_LOAD_H
#define STREAM_LOAD_H

#include "stream/part.h"

/* How many blocks are loaded at a time. */
uint64_t part_load_chunk_blocks(const struct part *part);
/* META_BYTES for each block, and its data; at most so many blocks. */
int part_load_blocks(struct part *part, uint64_t first, uint64_t count, void *metas, void *data,
                     struct firn_error *err);
int part_load_metas(struct part *part, uint64_t first, uint64_t count, void *metas,
                    struct firn_error *err);
int part_load_meta(struct part *part, uint64_t block, void *bytes, struct firn_error *err);

/* Sets the state to what the first `count` blocks say: those that are not empty, and in order. */
void part_load_state(struct part *part, uint64_t count);

/* recover.c: part_load of a part that was not closed. */
int part_recover(struct part *part, const struct part_look *look, struct firn_error *err);

#endif
