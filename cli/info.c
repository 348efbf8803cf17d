/* SPDX-License-Identifier: MIT */
/* firn info: what a log holds, and how it was found. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <firn/log.h>

#include "figures.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "info";

static int parse(int argc, char **argv, bool *json, char ***operands)
{
    const struct cli_option options[] = {
        {"json", 'j', NULL, NULL, json, "print one JSON object"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Tells what the log in DIR holds: indexes, bytes, segments and times, how it was\n"
                 "closed, and what opening it found. Nothing is changed.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

/* ---- for people ------------------------------------------------------------------------- */

static void put_number(const char *label, uint64_t value)
{
    printf("%-15s %llu\n", label, (unsigned long long)value);
}

static void put_indexes(const struct firn_log_info *info)
{
    put_number("records:", info->next_index - info->lowest_index);
    if (info->next_index > info->lowest_index)
        printf("%-15s %llu to %llu\n", "indexes:", (unsigned long long)info->lowest_index,
               (unsigned long long)info->next_index - 1);
    put_number("next index:", info->next_index);
}

static void put_size(const struct firn_log_info *info)
{
    char text[FIGURES_SIZE];
    printf("%-15s %llu", "bytes:", (unsigned long long)info->bytes);
    if (info->bytes >= 1024)
        printf(" (%s)", figures_bytes(text, info->bytes));
    printf("\n");
    put_number("segments:", info->segments);
}

static void put_times(const struct firn_log_info *info)
{
    char text[FIGURES_SIZE];
    if (info->first_timestamp)
        printf("%-15s %s\n", "first record:", figures_time(text, info->first_timestamp));
    if (info->last_timestamp)
        printf("%-15s %s\n", "last record:", figures_time(text, info->last_timestamp));
}

static void put_text(const char *dir, const struct firn_log_info *info,
                     const struct firn_recovery *recovery)
{
    printf("%-15s %s\n", "log:", dir);
    put_indexes(info);
    put_size(info);
    put_times(info);
    put_number("generation:", info->generation);
    printf("%-15s %s\n", "closed:", recovery->clean ? "cleanly" : "not cleanly, or still written");
    put_number("damaged ranges:", info->damaged_ranges);
    printf("%-15s %s\n", "recovery:", recovery->text);
}

/* ---- for programs ----------------------------------------------------------------------- */

static void put_field(const char *key, uint64_t value)
{
    printf("\"%s\":%llu,", key, (unsigned long long)value);
}

static void put_flag(const char *key, bool value)
{
    printf("\"%s\":%s,", key, value ? "true" : "false");
}

static struct firn_slice slice_of(const char *text)
{
    return (struct firn_slice){text, strlen(text)};
}

/* 0 stands for "none". */
static void put_time(const char *key, int64_t timestamp)
{
    if (timestamp)
        printf("\"%s\":%lld,", key, (long long)timestamp);
    else
        printf("\"%s\":null,", key);
}

static void put_recovery(const struct firn_recovery *recovery)
{
    put_flag("truncation_finished", recovery->truncation_finished);
    put_field("scanned_bytes", recovery->scanned_bytes);
    put_field("rewritten_bytes", recovery->rewritten_bytes);
    put_field("kept_records", recovery->kept_records);
    put_field("cut_bytes", recovery->cut_bytes);
    put_field("damaged_ranges", recovery->damaged_ranges);
    put_field("damaged_bytes", recovery->damaged_bytes);
    put_field("indexes_rebuilt", recovery->indexes_rebuilt);
    json_put_bytes(stdout, "text", slice_of(recovery->text));
}

static void put_json(const char *dir, const struct firn_log_info *info,
                     const struct firn_recovery *recovery)
{
    putchar('{');
    json_put_bytes(stdout, "log", slice_of(dir));
    putchar(',');
    put_field("records", info->next_index - info->lowest_index);
    put_field("lowest_index", info->lowest_index);
    put_field("next_index", info->next_index);
    put_field("bytes", info->bytes);
    put_field("segments", info->segments);
    put_time("first_timestamp", info->first_timestamp);
    put_time("last_timestamp", info->last_timestamp);
    put_field("generation", info->generation);
    put_flag("clean", recovery->clean);
    put_field("damaged_ranges", info->damaged_ranges);
    fputs("\"recovery\":{", stdout);
    put_recovery(recovery);
    fputs("}}\n", stdout);
}

/* ---- the whole -------------------------------------------------------------------------- */

static int look(const char *dir, struct firn_log *log, bool json)
{
    struct firn_error err = {0};
    struct firn_log_info info = {0};
    struct firn_recovery recovery;
    firn_log_get_recovery(log, &recovery);
    int result = firn_log_get_info(log, &info, &err); /* without times: the rest is there */
    (json ? put_json : put_text)(dir, &info, &recovery);
    return result ? report_error(name, &err) : STATUS_DONE;
}

int info_run(int argc, char **argv)
{
    bool json = false;
    char **operands;
    int status = parse(argc, argv, &json, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(operands[0], &options, &log, &err))
        return report_error(name, &err);
    status = look(operands[0], log, json);
    firn_log_close(log, NULL);
    return output_end(name, status);
}
