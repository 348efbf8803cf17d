/* SPDX-License-Identifier: MIT */
/* What went wrong, for people: "firn append: what: where: what to do" on standard error. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <firn/error.h>

enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
};

/* A line on standard error; `subcommand` may be NULL. */
void report_note(const char *subcommand, const char *format, ...) FIRN_PRINTF(2, 3);

/* The same, and STATUS_FAILED. */
int report_failure(const char *subcommand, const char *format, ...) FIRN_PRINTF(2, 3);

/* The library's message, followed by what to do where that is known; STATUS_FAILED. */
int report_error(const char *subcommand, const struct firn_error *err);

/* The same for a wrong call: says where help is to be had; STATUS_USAGE. */
int report_usage(const char *subcommand, const char *format, ...) FIRN_PRINTF(2, 3);

#endif
