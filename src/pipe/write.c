/* SPDX-License-Identifier: MIT */
/* Writing chunks, and waiting until they are durable. */
#include "pipe/pipe_private.h"

int pipe_enter_to_write(struct firn_pipe *pipe, struct firn_error *err)
{
    int rc = journal_writable(pipe->journal, err);
    return rc == 0 ? journal_enter(pipe->journal, err) : rc;
}

int pipe_check_range(const struct firn_pipe *pipe, uint64_t index, uint64_t count,
                     struct firn_error *err)
{
    uint64_t chunks = firn_pipe_count(pipe);
    if (index < chunks && count <= chunks - index)
        return 0;
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: chunks %llu to %llu; it has %llu, from 0 on",
                          pipe->path, (unsigned long long)index,
                          (unsigned long long)(index + count - 1), (unsigned long long)chunks);
}

static int count_bytes(const struct firn_pipe *pipe, const struct iovec *buffers, int count,
                       uint64_t *bytes, struct firn_error *err)
{
    *bytes = 0;
    for (int i = 0; i < count; i++) {
        if (buffers[i].iov_len > (UINT64_C(1) << 62) - *bytes)
            return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: a write of more than 2^62 bytes",
                                  pipe->path);
        *bytes += buffers[i].iov_len;
    }
    if (*bytes > 0 && *bytes % pipe->chunk_bytes == 0)
        return 0;
    return firn_error_set(
        err, FIRN_EINVAL, 0, "%s: a write of %llu bytes is no whole number of chunks of %llu",
        pipe->path, (unsigned long long)*bytes, (unsigned long long)pipe->chunk_bytes);
}

int pipe_check_write(const struct firn_pipe *pipe, uint64_t index, const struct iovec *buffers,
                     int count, struct journal_range *range, struct firn_error *err)
{
    uint64_t bytes;
    int rc = count_bytes(pipe, buffers, count, &bytes, err);
    if (rc == 0)
        rc = pipe_check_range(pipe, index, bytes / pipe->chunk_bytes, err);
    if (rc == 0)
        *range = (struct journal_range){.offset = index * pipe->chunk_bytes, .bytes = bytes};
    return rc;
}

int firn_pipe_write(struct firn_pipe *pipe, uint64_t index, const struct iovec *buffers, int count,
                    uint64_t *epoch, struct firn_error *err)
{
    struct journal_range range;
    int rc = pipe_enter_to_write(pipe, err);
    if (rc < 0)
        return rc;
    rc = pipe_check_write(pipe, index, buffers, count, &range, err);
    if (rc == 0) {
        struct journal_change change = {&range, 1, buffers, count, false, 0};
        rc = journal_stage(pipe->journal, &change, epoch, err);
    }
    journal_leave(pipe->journal);
    return rc;
}

/* ---- durability ---- */

int firn_pipe_wait_epoch(struct firn_pipe *pipe, uint64_t epoch, uint64_t timeout_us,
                         struct firn_error *err)
{
    int rc = pipe_enter_to_write(pipe, err);
    if (rc < 0)
        return rc;
    rc = commit_wait(journal_commit(pipe->journal), epoch, wait_ns_of_us(timeout_us), err);
    journal_leave(pipe->journal);
    return rc;
}

int firn_pipe_force(struct firn_pipe *pipe, uint64_t epoch, struct firn_error *err)
{
    return firn_pipe_wait_epoch(pipe, epoch, FIRN_FOREVER, err);
}

int firn_pipe_flush(struct firn_pipe *pipe, struct firn_error *err)
{
    int rc = pipe_enter_to_write(pipe, err);
    if (rc < 0)
        return rc;
    rc = commit_force(journal_commit(pipe->journal), err);
    journal_leave(pipe->journal);
    return rc;
}

uint64_t firn_pipe_durable_epoch(const struct firn_pipe *pipe)
{
    return commit_durable(journal_commit(pipe->journal));
}
