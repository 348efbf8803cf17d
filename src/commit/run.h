/* SPDX-License-Identifier: MIT */
/*
 * A run: buffers of a group that follow one another in one file. For the committer, between closing
 * a group and publishing it; nobody else touches the group then.
 */
#ifndef COMMIT_RUN_H
#define COMMIT_RUN_H

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

/*
 * Writes the buffers [first, end) at first->position (end NULL: to the last one). With
 * FIRN_WRITE_DURABLE all of it is durable on success. Allocates nothing. After an error any part
 * may have been written.
 */
int commit_write_run(struct firn_file *file, struct commit_buffer *first,
                     const struct commit_buffer *end, unsigned flags, struct firn_error *err);

#endif
