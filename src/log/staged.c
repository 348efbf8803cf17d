/* SPDX-License-Identifier: MIT */
/*
 * Reading what is staged and not in a file yet: under the commit lock, from the buffers of the
 * group in flight and of the one that fills. The committer completes generation, distance and
 * checksum of batches in flight without the lock, so these fields are not looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "commit/run.h"
#include "log/log_private.h"

enum { GENERATION_AT = 12, MAGIC_AT = 16, CRC_AT = 17, DISTANCE_AT = 53, COUNT_AT = 57 };

/* A header without the fields that the committer may be writing. */
static void copy_header(const uint8_t *from, uint8_t to[BATCH_HEADER])
{
    memset(to, 0, BATCH_HEADER);
    memcpy(to, from, GENERATION_AT);
    to[MAGIC_AT] = from[MAGIC_AT];
    memcpy(to + BATCH_CRC_FROM, from + BATCH_CRC_FROM, DISTANCE_AT - BATCH_CRC_FROM);
    memcpy(to + COUNT_AT, from + COUNT_AT, BATCH_HEADER - COUNT_AT);
}

/* Finds the batch with `index` in a group; its header goes to `header`. */
static bool find(const struct commit_group *group, uint64_t index, uint8_t header[BATCH_HEADER],
                 struct commit_walk *walk, struct batch *batch)
{
    *walk = (struct commit_walk){.buffer = group->first};
    for (; !commit_walk_ended(walk); commit_walk_on(walk, batch->bytes, NULL)) {
        copy_header(commit_bytes(walk->buffer) + walk->offset, header);
        if (batch_parse(header, BATCH_HEADER, batch) != BATCH_OK || batch->base > index)
            return false;
        if (index <= batch->base + batch->last_delta)
            return true;
    }
    return false;
}

int staged_copy(struct firn_log *log, uint64_t index, uint8_t **bytes, size_t *capacity,
                struct batch *batch, struct firn_error *err)
{
    uint8_t header[BATCH_HEADER];
    struct commit_walk walk;
    int rc = FIRN_EEND;
    lock_take(&log->commit.lock);
    log_seal(log);
    if (find(&log->commit.in_flight, index, header, &walk, batch) ||
        find(&log->commit.filling, index, header, &walk, batch)) {
        uint8_t *space = *bytes;
        if (*capacity < batch->bytes)
            space = realloc(*bytes, batch->bytes);
        rc = space ? 0 : FIRN_ENOMEM;
        if (space) {
            *bytes = space;
            *capacity = *capacity < batch->bytes ? batch->bytes : *capacity;
            memcpy(space, header, BATCH_HEADER);
            commit_walk_on(&walk, BATCH_HEADER, NULL);
            commit_walk_copy(&walk, space + BATCH_HEADER, batch->bytes - BATCH_HEADER);
        }
    }
    lock_release(&log->commit.lock);
    if (rc == FIRN_ENOMEM)
        firn_error_set(err, rc, 0, "no memory for a batch of %u bytes", batch->bytes);
    return rc;
}
