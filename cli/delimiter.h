/* SPDX-License-Identifier: MIT */
/* How records are told apart in a stream of bytes, and how a key is told from its value. */
#ifndef CLI_DELIMITER_H
#define CLI_DELIMITER_H

#include <stdbool.h>
#include <stdio.h>

#include <firn/log.h>

enum delimiter {
    DELIMITER_NEWLINE = 0, /* each record ends with a newline */
    DELIMITER_NUL,         /* ... with a zero byte */
    DELIMITER_PARAGRAPH,   /* ... with a newline and an empty line */
    DELIMITER_LENGTH32,    /* each record begins with its length, a big-endian u32 */
};

/* A byte that may have been given or not. */
struct separator {
    bool given;
    char byte;
};

/* Parsers of options (options.h): `target` is an enum delimiter, a struct separator. */
const char *delimiter_parse(const char *text, void *target);
const char *delimiter_parse_separator(const char *text, void *target);

/* For the help of both subcommands that have these options. */
#define DELIMITER_NAMES "newline, nul, paragraph or length32"

/* Key and value of `bytes`: the key is what comes before the first separator, none without one. */
void delimiter_divide(struct firn_slice bytes, struct separator separator,
                      struct firn_record *record);

/* Writes what comes before the value, with the key where a separator is given; the value is the
 * caller's to write. FIRN_ETOOBIG: longer than length32 can say, and nothing is written. Failures
 * of `to` are ferror's to tell. */
int delimiter_begin(FILE *to, enum delimiter delimiter, struct separator separator,
                    const struct firn_record *record);
/* What comes behind the value. */
void delimiter_end(FILE *to, enum delimiter delimiter);

#endif
