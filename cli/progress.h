/* SPDX-License-Identifier: MIT */
/* One line on the terminal that says how far the work is; nothing where there is no terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRESS_INTERVAL_MS = 200 };

struct progress {
    bool shown;    /* standard error is a terminal */
    uint64_t size; /* bytes that will come; 0: unknown */
    double start;  /* figures_clock */
    double due;    /* of the next drawing */
    size_t drawn;  /* columns that are on the terminal now */
};

void progress_start(struct progress *progress, bool wanted, uint64_t size);

/* Draws the line anew if it is due. */
void progress_update(struct progress *progress, uint64_t bytes, uint64_t records);

/* Takes the line off the terminal; before anything else is written there. */
void progress_clear(struct progress *progress);

#endif
