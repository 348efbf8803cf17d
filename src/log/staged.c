/* SPDX-License-Identifier: MIT */
/*
 * Reading what is staged and not in a file yet: under the commit lock, from the buffers of the
 * group in flight and of the one that fills. The committer completes generation, distance and
 * checksum of batches in flight without the lock, so these fields are not looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
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

/* Copies `bytes` bytes that begin at `offset` of `buffer` and go on in those that follow. */
static void copy_bytes(const struct commit_buffer *buffer, uint32_t offset, uint8_t *to,
                       size_t bytes)
{
    while (bytes > 0) {
        size_t part = buffer->used - offset;
        part = part < bytes ? part : bytes;
        memcpy(to, commit_bytes((struct commit_buffer *)(uintptr_t)buffer) + offset, part);
        to += part;
        bytes -= part;
        buffer = buffer->next;
        offset = 0;
    }
}

/* Finds the batch with `index` in a group; its header goes to `header`. */
static bool find(const struct commit_group *group, uint64_t index, uint8_t header[BATCH_HEADER],
                 const struct commit_buffer **buffer, uint32_t *offset, struct batch *batch)
{
    *buffer = group->first;
    *offset = 0;
    while (*buffer) {
        if (*offset >= (*buffer)->used) {
            *offset -= (*buffer)->used;
            *buffer = (*buffer)->next;
            continue;
        }
        copy_header(commit_bytes((struct commit_buffer *)(uintptr_t)*buffer) + *offset, header);
        if (batch_parse(header, BATCH_HEADER, batch) != BATCH_OK || batch->base > index)
            return false;
        if (index <= batch->base + batch->last_delta)
            return true;
        size_t skip = batch->bytes;
        while (*buffer && skip >= (*buffer)->used - *offset) {
            skip -= (*buffer)->used - *offset;
            *buffer = (*buffer)->next;
            *offset = 0;
        }
        *offset += (uint32_t)skip;
    }
    return false;
}

int staged_copy(struct firn_log *log, uint64_t index, uint8_t **bytes, size_t *capacity,
                struct batch *batch, struct firn_error *err)
{
    uint8_t header[BATCH_HEADER];
    const struct commit_buffer *buffer;
    uint32_t offset;
    int rc = FIRN_EEND;
    lock_take(&log->commit.lock);
    log_seal(log);
    if (find(&log->commit.in_flight, index, header, &buffer, &offset, batch) ||
        find(&log->commit.filling, index, header, &buffer, &offset, batch)) {
        uint8_t *space = *bytes;
        if (*capacity < batch->bytes)
            space = realloc(*bytes, batch->bytes);
        rc = space ? 0 : FIRN_ENOMEM;
        if (space) {
            *bytes = space;
            *capacity = *capacity < batch->bytes ? batch->bytes : *capacity;
            memcpy(space, header, BATCH_HEADER);
            size_t skip = BATCH_HEADER;
            if (skip == buffer->used - offset) {
                buffer = buffer->next;
                offset = 0;
                skip = 0;
            }
            copy_bytes(buffer, offset + (uint32_t)skip, space + BATCH_HEADER,
                       batch->bytes - BATCH_HEADER);
        }
    }
    lock_release(&log->commit.lock);
    if (rc == FIRN_ENOMEM)
        firn_error_set(err, rc, 0, "no memory for a batch of %u bytes", batch->bytes);
    return rc;
}
