/* SPDX-License-Identifier: MIT */
/* firn cat: records to standard output. */
#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "output.h"
#include "printer.h"
#include "report.h"
#include "subcommands.h"
#include "times.h"

static const char name[] = "cat";

struct cat_options {
    struct number from;
    struct number to;
    struct number count;
    struct point since;
    struct point until;
    bool reverse;
};

struct cat {
    struct cat_options options;
    struct printer printer;
    struct firn_log *log;
    struct firn_cursor *cursor;
};

/* ---- arguments -------------------------------------------------------------------------- */

static int check(const struct cat_options *options)
{
    if (options->to.given && options->to.value < options->from.value)
        return report_usage(name, "--to %llu is below --from %llu",
                            (unsigned long long)options->to.value,
                            (unsigned long long)options->from.value);
    if (options->since.given && options->until.given && options->until.ms < options->since.ms)
        return report_usage(name, "--until is before --since");
    return OPTIONS_PARSED;
}

static int parse(int argc, char **argv, struct cat *cat, char ***operands)
{
    struct cat_options *to = &cat->options;
    struct printer *printer = &cat->printer;
    const struct cli_option options[] = {
        {"from", 'f', "INDEX", figures_parse_number, &to->from, "begin with this record"},
        {"to", 't', "INDEX", figures_parse_number, &to->to, "end before this record"},
        {"count", 'n', "N", figures_parse_number, &to->count, "end after so many records"},
        {"since", 's', "TIME", times_parse_point, &to->since,
         "begin with the first record of this time (UTC) or\n"
         "later: '2026-01-31 12:00', @1769860800, -2h (ago)"},
        {"until", 'u', "TIME", times_parse_point, &to->until,
         "end before the first record of this time or later"},
        {"reverse", 'r', NULL, NULL, &to->reverse, "the last record first"},
        {"format", 'F', "FORMAT", printer_parse_format, &printer->format,
         "raw (the default): the values, with delimiters;\n"
         "json: an object on a line for each record"},
        {"delimiter", 'd', "KIND", delimiter_parse, &printer->delimiter,
         "raw: how records are told apart: newline (the\n"
         "default), nul, paragraph (an empty line behind each)\n"
         "or length32 (a big-endian 32-bit length before each)"},
        {"key-separator", 'k', "C", delimiter_parse_separator, &printer->separator,
         "raw: print keys too, and the byte C behind them;\n"
         "C may be \\t \\n \\r \\0 \\\\"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Writes the records of the log in DIR to standard output. What 'firn append'\n"
                 "read comes out byte for byte if --delimiter and --key-separator are the same.",
        .notes = "A damaged range is told on standard error and passed over; the exit status is\n"
                 "then 1.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    int status = options_parse(&usage, argc, argv, operands);
    return status == OPTIONS_PARSED ? check(to) : status;
}

/* ---- records ---------------------------------------------------------------------------- */

static int put_records(struct cat *cat)
{
    const struct cat_options *options = &cat->options;
    uint64_t left = options->count.given ? options->count.value : UINT64_MAX;
    while (left > 0 && !output_failed()) {
        struct firn_error err = {0};
        const struct firn_record *record;
        int result = options->reverse ? firn_cursor_prev(cat->cursor, &record, &err)
                                      : firn_cursor_next(cat->cursor, &record, &err);
        if (result == FIRN_EEND)
            break;
        if (result == FIRN_EDAMAGED) {
            if (printer_pass_hole(&cat->printer, cat->cursor, &err))
                return STATUS_FAILED;
            continue;
        }
        if (result)
            return report_error(name, &err);
        if (printer_put(&cat->printer, cat->cursor, record))
            return STATUS_FAILED;
        left--;
    }
    return cat->printer.damaged ? STATUS_FAILED : STATUS_DONE;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* The range of indexes that the options name. */
static int find_range(struct cat *cat, uint64_t *from, uint64_t *to, struct firn_error *err)
{
    const struct cat_options *options = &cat->options;
    uint64_t since = 0, until = UINT64_MAX;
    int result = 0;
    if (options->since.given)
        result = firn_log_find_time(cat->log, options->since.ms, &since, err);
    if (result == 0 && options->until.given)
        result = firn_log_find_time(cat->log, options->until.ms, &until, err);
    *from = options->from.value > since ? options->from.value : since;
    *to = options->to.given && options->to.value < until ? options->to.value : until;
    return result;
}

static int put_range(struct cat *cat, struct firn_error *err)
{
    uint64_t from, to;
    if (find_range(cat, &from, &to, err))
        return report_error(name, err);
    if (to <= from)
        return STATUS_DONE;
    struct firn_cursor_options range = {
        .from = from,
        .to = to,
        .at_end = cat->options.reverse,
        .value_bytes = printer_value_bytes(&cat->printer),
    };
    if (firn_cursor_open(cat->log, &range, &cat->cursor, err))
        return report_error(name, err);
    return put_records(cat);
}

static int run(struct cat *cat)
{
    struct firn_error err = {0};
    struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(cat->printer.dir, &options, &cat->log, &err))
        return report_error(name, &err);
    int status = put_range(cat, &err);
    firn_cursor_close(cat->cursor);
    firn_log_close(cat->log, NULL);
    return status;
}

int cat_run(int argc, char **argv)
{
    struct cat cat = {.printer = {.subcommand = name}};
    char **operands;
    int status = parse(argc, argv, &cat, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    cat.printer.dir = operands[0];
    return output_end(name, run(&cat));
}
