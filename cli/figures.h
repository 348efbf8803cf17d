/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and times, read and written; the locale plays no part. */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number that may have been given or not. */
struct number {
    bool given;
    uint64_t value;
};

/* Parsers of options (options.h): `target` is a struct number. Return NULL, or what to write. */
const char *figures_parse_number(const char *text, void *target);
const char *figures_parse_size(const char *text, void *target);

enum { FIGURES_SIZE = 32 };

/* "1 batch", "2 batches" */
const char *figures_count(char text[FIGURES_SIZE], uint64_t count, const char *one,
                          const char *many);
/* "716.7 KiB" */
const char *figures_bytes(char text[FIGURES_SIZE], uint64_t bytes);
/* "7:05", "1:02:03" */
const char *figures_duration(char text[FIGURES_SIZE], uint64_t seconds);
/* "2026-01-31 12:00:00.123 UTC" of milliseconds since 1970 */
const char *figures_time(char text[FIGURES_SIZE], int64_t milliseconds);

/* Seconds since some start; never goes back. */
double figures_clock(void);

#endif
