/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_SIZE = 2048 };

/* One write for the whole line, so that lines of several processes do not mix. */
FIRN_PRINTF(2, 0)
static void print_line(const char *subcommand, const char *format, va_list args, const char *end)
{
    char text[LINE_SIZE];
    vsnprintf(text, sizeof text, format, args);
    if (subcommand)
        fprintf(stderr, "firn %s: %s%s\n", subcommand, text, end);
    else
        fprintf(stderr, "firn: %s%s\n", text, end);
}

void report_note(const char *subcommand, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(subcommand, format, args, "");
    va_end(args);
}

int report_failure(const char *subcommand, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_line(subcommand, format, args, "");
    va_end(args);
    return STATUS_FAILED;
}

int report_usage(const char *subcommand, const char *format, ...)
{
    char end[64];
    if (subcommand)
        snprintf(end, sizeof end, ": try 'firn help %s'", subcommand);
    else
        snprintf(end, sizeof end, ": try 'firn help'");
    va_list args;
    va_start(args, format);
    print_line(subcommand, format, args, end);
    va_end(args);
    return STATUS_USAGE;
}

static const char *what_to_do(int code)
{
    switch (code) {
    case FIRN_ENOENT:
        return ": check the name; 'firn append' creates a log";
    case FIRN_ELOCKED:
        return ": wait until it has ended, or end it";
    case FIRN_EPOISONED:
        return ": what was acknowledged is kept; check the disk, then run 'firn verify'";
    case FIRN_EDAMAGED:
        return ": 'firn verify' lists all damage";
    case FIRN_ENOSPC:
        return ": make room and go on from the record after the last one that was acknowledged";
    default:
        return "";
    }
}

int report_error(const char *subcommand, const struct firn_error *err)
{
    const char *message = err->message[0] ? err->message : firn_strerror(err->code);
    return report_failure(subcommand, "%s%s", message, what_to_do(err->code));
}
