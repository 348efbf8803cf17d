/* SPDX-License-Identifier: MIT */
/* Points in time and spans of it, as people write them. */
#ifndef CLI_TIMES_H
#define CLI_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* A point in time that may have been given or not. */
struct point {
    bool given;
    int64_t ms; /* since 1970 */
};

/* Parsers of options (options.h). Return NULL, or what to write. */

/* "7d", "90s", "250ms": `target` is a struct number, in ms. */
const char *times_parse_span(const char *text, void *target);
/* "2026-01-31 12:00" (UTC), "@1767225600.5", "-2h" (before now): `target` is a struct point. */
const char *times_parse_point(const char *text, void *target);

#endif
