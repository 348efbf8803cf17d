/* SPDX-License-Identifier: MIT */
/* Batches on their way into a log, one after another, whatever their size. */
#ifndef LOG_TRANSFER_H
#define LOG_TRANSFER_H

#include <firn/transfer.h>

#include "log/log_private.h"

enum {
    TRANSFER_IN_MEMORY = 4 * 1024 * 1024
}; /* bytes of a batch; longer ones stay in their file */

struct transfer {
    struct firn_log *to;
    uint64_t next; /* index of the next batch */
    uint64_t unflushed;
    firn_progress_fn *progress;
    void *arg;
    struct firn_transferred done;
};

/*
 * Appends a checked batch, whose base is `next`: in memory at `bytes` or, NULL, at `position` of
 * `file`. Now and then all is made durable and told. What `progress` returns, and errors of
 * appends.
 */
int transfer_batch(struct transfer *transfer, const struct batch *batch, const uint8_t *bytes,
                   struct firn_file *file, uint64_t position, struct firn_error *err);

/* Fills [next, until) with empty batches. */
int transfer_gap(struct transfer *transfer, uint64_t until, struct firn_error *err);

/* Makes all durable, and tells. */
int transfer_flush(struct transfer *transfer, struct firn_error *err);

#endif
