/* SPDX-License-Identifier: MIT */
#include "printer.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "output.h"
#include "report.h"

enum {
    WHOLE_VALUE = 1024 * 1024, /* bytes; longer values are written in pieces */
    PIECE = 256 * 1024,
};

const char *printer_parse_format(const char *text, void *target)
{
    enum format *format = target;
    if (strcmp(text, "raw") != 0 && strcmp(text, "json") != 0)
        return "write raw or json";
    *format = strcmp(text, "json") == 0 ? FORMAT_JSON : FORMAT_RAW;
    return NULL;
}

/* An object of JSON is made of a value as a whole. */
uint64_t printer_value_bytes(const struct printer *printer)
{
    return printer->format == FORMAT_JSON ? 0 : WHOLE_VALUE;
}

static int put_value(const struct printer *printer, struct firn_cursor *cursor,
                     const struct firn_record *record)
{
    static char piece[PIECE];
    struct firn_error err = {0};
    if (record->value.data || record->value.size == 0) {
        fwrite(record->value.data ? record->value.data : "", 1, record->value.size, stdout);
        return STATUS_DONE;
    }
    size_t got = 1;
    for (uint64_t at = 0; got > 0 && !output_failed(); at += got) {
        if (firn_cursor_read_value(cursor, at, piece, sizeof piece, &got, &err))
            return report_error(printer->subcommand, &err);
        fwrite(piece, 1, got, stdout);
    }
    return STATUS_DONE;
}

int printer_put(const struct printer *printer, struct firn_cursor *cursor,
                const struct firn_record *record)
{
    if (printer->format == FORMAT_JSON) {
        json_put_record(stdout, record);
        return STATUS_DONE;
    }
    if (delimiter_begin(stdout, printer->delimiter, printer->separator, record))
        return report_failure(printer->subcommand, "record %llu is too long for length32",
                              (unsigned long long)record->index);
    int status = put_value(printer, cursor, record);
    delimiter_end(stdout, printer->delimiter);
    return status;
}

int printer_pass_hole(struct printer *printer, struct firn_cursor *cursor,
                      const struct firn_error *err)
{
    struct firn_hole hole;
    printer->damaged = true;
    fflush(stdout);
    if (firn_cursor_hole(cursor, &hole))
        return report_error(printer->subcommand, err);
    report_note(printer->subcommand,
                "%s/%020llu.log: %llu bytes at %llu are damaged: records from %llu to %llu can't "
                "be read: 'firn verify' tells more",
                printer->dir, (unsigned long long)hole.segment, (unsigned long long)hole.length,
                (unsigned long long)hole.offset, (unsigned long long)hole.first_index,
                (unsigned long long)hole.next_index - 1);
    return firn_cursor_skip(cursor) ? STATUS_FAILED : STATUS_DONE;
}
