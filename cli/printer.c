/* SPDX-License-Identifier: MIT */
#include "printer.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "report.h"

const char *printer_parse_format(const char *text, void *target)
{
    enum format *format = target;
    if (strcmp(text, "raw") != 0 && strcmp(text, "json") != 0)
        return "write raw or json";
    *format = strcmp(text, "json") == 0 ? FORMAT_JSON : FORMAT_RAW;
    return NULL;
}

int printer_put(const struct printer *printer, const struct firn_record *record)
{
    if (printer->format == FORMAT_JSON)
        json_put_record(stdout, record);
    else if (delimiter_write(stdout, printer->delimiter, printer->separator, record))
        return report_failure(printer->subcommand, "record %llu is too long for length32",
                              (unsigned long long)record->index);
    return STATUS_DONE;
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
