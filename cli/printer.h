/* SPDX-License-Identifier: MIT */
/* Records on standard output, as `cat` and `tail` write them. */
#ifndef CLI_PRINTER_H
#define CLI_PRINTER_H

#include <firn/log.h>

#include "delimiter.h"

enum format { FORMAT_RAW = 0, FORMAT_JSON };

struct printer {
    const char *subcommand;
    const char *dir;
    enum format format;
    enum delimiter delimiter;
    struct separator separator;
    bool damaged; /* some range could not be read */
};

/* Parser of an option (options.h): `target` is an enum format. */
const char *printer_parse_format(const char *text, void *target);

/* Bytes of a value that the cursor is to hold (firn_cursor_options.value_bytes). */
uint64_t printer_value_bytes(const struct printer *printer);

/* The record that the cursor has just given. STATUS_DONE, or STATUS_FAILED, which is told: it can't
 * be read, or written in this format. */
int printer_put(const struct printer *printer, struct firn_cursor *cursor,
                const struct firn_record *record);

/* After FIRN_EDAMAGED: tells what is damaged and moves over it. STATUS_FAILED: it can't. */
int printer_pass_hole(struct printer *printer, struct firn_cursor *cursor,
                      const struct firn_error *err);

#endif
