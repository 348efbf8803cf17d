/* SPDX-License-Identifier: MIT */
#include "commit/run.h"

#include <assert.h>
#include <string.h>

#include "base/crc.h"
#include "disk/disk.h"

/* Buffers in one call: 16 MiB, so that what another call costs does not show. */
enum { MOST_BUFFERS = 256 };

/* Moves on by what lies in one buffer, at most `bytes`; *at: where it began. */
static size_t walk_part(struct commit_walk *walk, size_t bytes, const uint8_t **at)
{
    if (walk->offset == walk->buffer->used)
        *walk = (struct commit_walk){.buffer = walk->buffer->next};
    size_t part = walk->buffer->used - walk->offset;
    part = part < bytes ? part : bytes;
    *at = commit_bytes(walk->buffer) + walk->offset;
    walk->offset += (uint32_t)part;
    return part;
}

void commit_walk_on(struct commit_walk *walk, size_t bytes, uint32_t *crc)
{
    while (bytes > 0) {
        const uint8_t *at;
        size_t part = walk_part(walk, bytes, &at);
        if (crc)
            *crc = crc32c(*crc, at, part);
        bytes -= part;
    }
}

void commit_walk_copy(struct commit_walk *walk, void *to, size_t bytes)
{
    for (uint8_t *end = to; bytes > 0;) {
        const uint8_t *at;
        size_t part = walk_part(walk, bytes, &at);
        memcpy(end, at, part);
        end += part;
        bytes -= part;
    }
}

bool commit_walk_ended(struct commit_walk *walk)
{
    while (walk->buffer && walk->offset == walk->buffer->used && walk->buffer->next)
        *walk = (struct commit_walk){.buffer = walk->buffer->next};
    return !walk->buffer || walk->offset == walk->buffer->used;
}

int commit_write_run(struct firn_file *file, struct commit_buffer *first,
                     const struct commit_buffer *end, unsigned flags, struct firn_error *err)
{
    int rc = 0;
    for (struct commit_buffer *buffer = first; rc == 0 && buffer != end;) {
        struct iovec iov[MOST_BUFFERS];
        uint64_t from = buffer->position, to = from;
        int count = 0;
        for (; buffer != end && count < MOST_BUFFERS; buffer = buffer->next) {
            assert(buffer->position == to);
            iov[count++] = (struct iovec){commit_bytes(buffer), buffer->used};
            to += buffer->used;
        }
        (void)to;
        rc = disk_writev_full(file, iov, count, from, flags, err);
    }
    return rc;
}
