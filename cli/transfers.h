/* SPDX-License-Identifier: MIT */
/* What copy, import and export have in common: progress, signals, the summary. */
#ifndef CLI_TRANSFERS_H
#define CLI_TRANSFERS_H

#include <firn/transfer.h>

#include "progress.h"

struct transfers {
    const char *subcommand;
    const char *verb; /* "copied", ... */
    bool quiet;
    struct progress progress;
    struct firn_transferred done;
    double start;
};

/* Begins to note signals, and to draw. STATUS_DONE, or a failure that is told. */
int transfers_begin(struct transfers *transfers, uint64_t bytes);

/* A firn_progress_fn; `transfers` is a struct transfers. A signal ends the transfer. */
int transfers_tell(void *transfers, const struct firn_transferred *so_far);

/* Tells how it ended; what a transfer returned, and `err`. The exit status. */
int transfers_end(struct transfers *transfers, int result, const struct firn_error *err);

#endif
