/* SPDX-License-Identifier: MIT */
/* Standard output: a large buffer, and an end at which nothing is lost unnoticed. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

/* Gives standard output a large buffer; before anything is written. */
void output_start(void);

/* True once standard output has failed. To be asked after each piece of a long output: it keeps
 * the cause for output_end. */
bool output_failed(void);

/* True once standard output is a pipe that nobody reads any more: for who waits, and writes
 * nothing meanwhile. */
bool output_abandoned(void);

/*
 * Writes out what stdio holds. `status` where all has been written; STATUS_FAILED, told on standard
 * error, where not. A closed pipe ends the process by SIGPIPE, as it ends other filters.
 */
int output_end(const char *subcommand, int status);

/* Ends the process by SIGPIPE; where that is ignored, returns STATUS_FAILED. */
int output_end_by_pipe(void);

#endif
