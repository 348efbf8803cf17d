/* SPDX-License-Identifier: MIT */
/* Reading chunks, figures, and looking for damage. */
#include <stdlib.h>

#include "pipe/pipe_private.h"

enum { VERIFY_BYTES = 256 * 1024 };

int firn_pipe_read(struct firn_pipe *pipe, uint64_t index, uint64_t count, void *buffer,
                   unsigned flags, struct firn_error *err)
{
    if (count == 0 || (flags & ~(unsigned)FIRN_READ_DURABLE) != 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a read of %llu chunks, flags %u",
                              pipe->path, (unsigned long long)count, flags);
    int rc = journal_enter(pipe->journal, err);
    if (rc < 0)
        return rc;
    rc = pipe_check_range(pipe, index, count, err);
    if (rc == 0)
        rc = journal_read(pipe->journal, index * pipe->chunk_bytes, count * pipe->chunk_bytes,
                          pipe->chunk_bytes, (flags & FIRN_READ_DURABLE) != 0, buffer, err);
    journal_leave(pipe->journal);
    return rc;
}

void firn_pipe_get_info(struct firn_pipe *pipe, struct firn_pipe_info *info)
{
    struct journal_info journal;
    journal_get_info(pipe->journal, &journal);
    *info = (struct firn_pipe_info){
        .chunk_bytes = pipe->chunk_bytes,
        .chunks = firn_pipe_count(pipe),
        .recovered = journal.recovered,
        .replayed = journal.replayed,
        .journal_bytes = journal.journal_bytes,
        .journal_pending = journal.pending_bytes,
        .applies = journal.applies,
        .applied_bytes = journal.applied_bytes,
        .applied_writes = journal.applied_writes,
    };
    if (journal_writable(pipe->journal, NULL) == 0)
        commit_get_stats(journal_commit(pipe->journal), &info->commit);
}

/* ---- verify ---- */

/* One chunk after another, where all of them together can't be read. */
static int read_singly(struct firn_pipe *pipe, uint64_t index, uint64_t count, uint8_t *buffer,
                       struct firn_pipe_check *check, struct firn_error *err)
{
    for (uint64_t i = 0; i < count; i++) {
        struct firn_error cause;
        int rc = firn_pipe_read(pipe, index + i, 1, buffer, FIRN_READ_DURABLE, &cause);
        if (rc == FIRN_ECLOSED)
            return firn_error_set(err, rc, 0, "%s", cause.message);
        check->chunks++;
        if (rc < 0 && check->unreadable++ == 0)
            firn_error_set(err, FIRN_EDAMAGED, cause.os_error, "chunk %llu: %s",
                           (unsigned long long)(index + i), cause.message);
    }
    return 0;
}

static int read_all(struct firn_pipe *pipe, struct firn_pipe_check *check, struct firn_error *err)
{
    uint64_t chunks = firn_pipe_count(pipe);
    uint64_t together = VERIFY_BYTES / pipe->chunk_bytes;
    together = together ? together : 1;
    uint8_t *buffer = malloc((size_t)(together * pipe->chunk_bytes));
    int rc = buffer ? 0 : firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory", pipe->path);
    for (uint64_t index = 0; rc == 0 && index < chunks; index += together) {
        uint64_t count = chunks - index < together ? chunks - index : together;
        if (firn_pipe_read(pipe, index, count, buffer, FIRN_READ_DURABLE, NULL) == 0)
            check->chunks += count;
        else
            rc = read_singly(pipe, index, count, buffer, check, err);
    }
    free(buffer);
    return rc < 0 || check->unreadable == 0 ? rc : FIRN_EDAMAGED;
}

int firn_pipe_verify(struct firn_pipe *pipe, struct firn_pipe_check *check, struct firn_error *err)
{
    struct journal_check journal;
    *check = (struct firn_pipe_check){0};
    int rc = journal_enter(pipe->journal, err);
    if (rc < 0)
        return rc;
    int found = journal_verify(pipe->journal, &journal, err);
    check->records = journal.records;
    check->damaged_slots = journal.damaged_slots;
    journal_leave(pipe->journal);
    if (found < 0 && found != FIRN_EDAMAGED)
        return found;
    rc = read_all(pipe, check, found < 0 ? NULL : err);
    return rc < 0 ? rc : found;
}
