/* SPDX-License-Identifier: MIT */
/*
 * A run: buffers of a group that follow one another in one file. For the committer, between closing
 * a group and publishing it; and for whoever reads what is staged, with the commit lock: he looks
 * at no byte that the committer completes.
 */
#ifndef COMMIT_RUN_H
#define COMMIT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/disk.h>

#include "commit/commit.h"

/* A place in the bytes of a run. */
struct commit_walk {
    struct commit_buffer *buffer;
    uint32_t offset; /* in its bytes */
};

/*
 * Moves on by `bytes`, which the run must have; with `crc`, their CRC-32C is added to it. Stops
 * behind a buffer's last byte, not before the next one's first.
 */
void commit_walk_on(struct commit_walk *walk, size_t bytes, uint32_t *crc);

/* The same, and copies them. */
void commit_walk_copy(struct commit_walk *walk, void *to, size_t bytes);

/*
 * True at the end of the run, also where that has no buffers; it may go on from there when there is
 * more. Else the walk stands at the next byte.
 */
bool commit_walk_ended(struct commit_walk *walk);

/*
 * Writes the buffers [first, end) at first->position (end NULL: to the last one). With
 * FIRN_WRITE_DURABLE all of it is durable on success. Allocates nothing. After an error any part
 * may have been written.
 */
int commit_write_run(struct firn_file *file, struct commit_buffer *first,
                     const struct commit_buffer *end, unsigned flags, struct firn_error *err);

#endif
