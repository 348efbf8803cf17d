/* SPDX-License-Identifier: MIT */
/* firn tail: the last records of a log, and those that follow. */
#include <stdio.h>

#include <firn/follow.h>
#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "output.h"
#include "printer.h"
#include "report.h"
#include "subcommands.h"

enum { LAST = 10 };
#define LOOK_US 1000000u   /* how often a follower looks whether its reader is still there */
#define COMMIT_SECONDS 1.0 /* and at most how often it moves a named cursor */

static const char name[] = "tail";

struct tail {
    struct printer printer;
    struct number count;
    bool follow;
    struct firn_position position; /* of the named cursor; no name: none */
    double committed;              /* when it was */
    struct firn_log *log;
    struct firn_cursor *cursor;
};

static const char *parse_name(const char *text, void *target)
{
    *(const char **)target = text;
    return NULL;
}

static int parse(int argc, char **argv, struct tail *tail, char ***operands)
{
    struct printer *printer = &tail->printer;
    const struct cli_option options[] = {
        {"count", 'n', "N", figures_parse_number, &tail->count, "the last N records; 10"},
        {"follow", 'f', NULL, NULL, &tail->follow,
         "go on with those that are appended, as they become\n"
         "durable, until interrupted"},
        {"cursor", 'c', "NAME", parse_name, &tail->position.name,
         "begin where the named cursor stands, and move it\n"
         "on when records were written out"},
        {"format", 'F', "FORMAT", printer_parse_format, &printer->format,
         "raw (the default) or json, as in 'firn cat'"},
        {"delimiter", 'd', "KIND", delimiter_parse, &printer->delimiter, "raw: " DELIMITER_NAMES},
        {"key-separator", 'k', "C", delimiter_parse_separator, &printer->separator,
         "raw: print keys too, and the byte C behind them"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Writes the last records of the log in DIR to standard output. With --follow it\n"
                 "goes on, also where the writer ends and comes back.",
        .notes = "What is removed or truncated meanwhile is told on standard error.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    int status = options_parse(&usage, argc, argv, operands);
    if (status == OPTIONS_PARSED && tail->position.name && tail->count.given)
        return report_usage(name, "--count and --cursor both say where to begin");
    return status;
}

/* The end was truncated, or the beginning removed, past where we stand. */
static int find_place_again(struct tail *tail, struct firn_error *err)
{
    unsigned long long before = firn_cursor_index(tail->cursor);
    int result = firn_cursor_rejoin(tail->cursor, err);
    unsigned long long now = firn_cursor_index(tail->cursor);
    if (result)
        return result == FIRN_ERANGE ? STATUS_DONE : report_error(name, err);
    fflush(stdout);
    if (now > before)
        report_note(name, "%s: records %llu to %llu were removed before they were read",
                    tail->printer.dir, before, now - 1);
    else
        report_note(name, "%s: the log was truncated; it goes on at %llu", tail->printer.dir, now);
    return STATUS_DONE;
}

/* All records up to the end. */
static int put_records(struct tail *tail)
{
    while (!output_failed()) {
        struct firn_error err = {0};
        const struct firn_record *record;
        int status = STATUS_DONE;
        int result = firn_cursor_next(tail->cursor, &record, &err);
        if (result == FIRN_EEND)
            return STATUS_DONE;
        if (result == FIRN_EDAMAGED)
            status = printer_pass_hole(&tail->printer, tail->cursor, &err);
        else if (result == FIRN_ERANGE && tail->follow)
            status = find_place_again(tail, &err);
        else if (result)
            status = report_error(name, &err);
        else
            status = printer_put(&tail->printer, tail->cursor, record);
        if (status)
            return status;
    }
    return STATUS_FAILED;
}

/* Moves the named cursor behind what was written out. */
static int commit(struct tail *tail)
{
    struct firn_error err = {0};
    uint64_t index = firn_cursor_index(tail->cursor);
    if (!tail->position.name || index == tail->position.index)
        return STATUS_DONE;
    tail->position.index = index;
    tail->position.generation = firn_cursor_generation(tail->cursor);
    tail->committed = figures_clock();
    return firn_log_commit_positions(tail->log, &tail->position, 1, &err) ? report_error(name, &err)
                                                                          : STATUS_DONE;
}

static bool commit_is_due(const struct tail *tail)
{
    return figures_clock() - tail->committed >= COMMIT_SECONDS;
}

static int put_once(struct tail *tail)
{
    int status = put_records(tail);
    fflush(stdout);
    if (status || output_failed())
        return STATUS_FAILED;
    return commit(tail);
}

static int follow(struct tail *tail)
{
    for (;;) {
        struct firn_error err = {0};
        int status = put_records(tail);
        fflush(stdout);
        if (status || output_failed())
            return STATUS_FAILED;
        if (commit_is_due(tail) && commit(tail))
            return STATUS_FAILED;
        int result = firn_log_wait(tail->log, firn_cursor_index(tail->cursor), LOOK_US, &err);
        if (result && result != FIRN_ETIMEDOUT)
            return report_error(name, &err);
        if (output_abandoned())
            return output_end_by_pipe();
    }
}

/* A cursor that is not there yet is made, before the first record: nothing is to be missed. */
static int find_start(struct tail *tail, const struct firn_log_info *info, uint64_t *start,
                      struct firn_error *err)
{
    uint64_t held = info->next_index - info->lowest_index;
    uint64_t count = tail->count.given ? tail->count.value : LAST;
    *start = info->next_index - (count < held ? count : held);
    if (!tail->position.name)
        return 0;
    int result = firn_log_get_position(tail->log, tail->position.name, &tail->position, err);
    if (result == FIRN_ENOENT) {
        tail->position.index = info->lowest_index;
        result = firn_log_commit_positions(tail->log, &tail->position, 1, err);
    } else if (result == 0 && tail->position.clamped) {
        report_note(name, "%s: the log was truncated; cursor '%s' goes on at %llu",
                    tail->printer.dir, tail->position.name,
                    (unsigned long long)tail->position.index);
    }
    *start = tail->position.index;
    return result;
}

static int run(struct tail *tail)
{
    struct firn_error err = {0};
    struct firn_log_info info;
    const struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(tail->printer.dir, &options, &tail->log, &err))
        return report_error(name, &err);
    firn_log_get_info(tail->log, &info, NULL); /* fails for want of times, which are not needed */
    uint64_t start;
    if (find_start(tail, &info, &start, &err)) {
        firn_log_close(tail->log, NULL);
        return report_error(name, &err);
    }
    const struct firn_cursor_options from = {
        .from = start,
        .value_bytes = printer_value_bytes(&tail->printer),
    };
    int status = STATUS_DONE;
    if (firn_cursor_open(tail->log, &from, &tail->cursor, &err))
        status = report_error(name, &err);
    else
        status = tail->follow ? follow(tail) : put_once(tail);
    firn_cursor_close(tail->cursor);
    firn_log_close(tail->log, NULL);
    return tail->printer.damaged ? STATUS_FAILED : status;
}

int tail_run(int argc, char **argv)
{
    struct tail tail = {.printer = {.subcommand = name}};
    char **operands;
    int status = parse(argc, argv, &tail, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    tail.printer.dir = operands[0];
    return output_end(name, run(&tail));
}
