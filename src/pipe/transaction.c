/* SPDX-License-Identifier: MIT */
/*
 * A transaction keeps its writes in memory of its own until it is committed, as one change: open
 * ones take no buffers from each other.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "pipe/pipe_private.h"

struct firn_transaction {
    struct firn_pipe *pipe;
    struct buffer ranges; /* struct journal_range */
    struct buffer content;
    size_t count;
};

int firn_pipe_begin(struct firn_pipe *pipe, struct firn_transaction **out, struct firn_error *err)
{
    int rc = journal_writable(pipe->journal, err);
    if (rc < 0)
        return rc;
    struct firn_transaction *transaction = calloc(1, sizeof *transaction);
    if (!transaction)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a transaction", pipe->path);
    transaction->pipe = pipe;
    *out = transaction;
    return 0;
}

static int add(struct firn_transaction *transaction, const struct journal_range *range,
               const struct iovec *buffers, int count, struct firn_error *err)
{
    const struct firn_pipe *pipe = transaction->pipe;
    struct buffer *content = &transaction->content;
    uint64_t most = journal_most(pipe->journal, transaction->count + 1);
    if (range->bytes > most || content->size > most - range->bytes)
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "%s: a transaction of %llu bytes and more; pool and journal allow "
                              "%llu",
                              pipe->path, (unsigned long long)(content->size + range->bytes),
                              (unsigned long long)most);
    if (buffer_reserve(content, (size_t)range->bytes) < 0 ||
        buffer_append(&transaction->ranges, range, sizeof *range) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a transaction", pipe->path);
    transaction->count++;
    for (int i = 0; i < count; i++)
        buffer_append(content, buffers[i].iov_base, buffers[i].iov_len); /* there is room */
    return 0;
}

int firn_transaction_write(struct firn_transaction *transaction, uint64_t index,
                           const struct iovec *buffers, int count, struct firn_error *err)
{
    struct journal_range range;
    int rc = pipe_check_write(transaction->pipe, index, buffers, count, &range, err);
    return rc == 0 ? add(transaction, &range, buffers, count, err) : rc;
}

int firn_transaction_commit(struct firn_transaction *transaction, uint64_t *epoch,
                            struct firn_error *err)
{
    struct firn_pipe *pipe = transaction->pipe;
    const struct journal_range *ranges = (const void *)transaction->ranges.data;
    struct iovec iov = {transaction->content.data, transaction->content.size};
    struct journal_change change = {ranges, transaction->count, &iov, 1, false, 0};
    if (transaction->count == 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: nothing was written to the transaction",
                              pipe->path);
    int rc = pipe_enter_to_write(pipe, err);
    if (rc < 0)
        return rc;
    rc = journal_stage(pipe->journal, &change, epoch, err);
    journal_leave(pipe->journal);
    if (rc == 0)
        firn_transaction_abandon(transaction);
    return rc;
}

void firn_transaction_abandon(struct firn_transaction *transaction)
{
    if (!transaction)
        return;
    buffer_free(&transaction->ranges);
    buffer_free(&transaction->content);
    free(transaction);
}
