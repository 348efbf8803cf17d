/* SPDX-License-Identifier: MIT */
/* firn cursor: the named cursors of a log. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <firn/follow.h>
#include <firn/log.h>

#include "figures.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "cursor";

struct cursors {
    struct firn_log *log;
    uint64_t next;
    bool json;
};

static int parse(int argc, char **argv, struct cursors *cursors, char ***operands)
{
    const struct cli_option options[] = {
        {"json", 'j', NULL, NULL, &cursors->json, "list: one JSON object on a line for each"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "list [OPTION]... DIR\n"
                    "       firn cursor set DIR NAME INDEX\n"
                    "       firn cursor remove DIR NAME",
        .about = "Named cursors are durable positions of readers: all records below one were\n"
                 "read. 'list' prints for each its name, the index of the record that is to be\n"
                 "read next, and how many are unread. 'set' makes or moves one; INDEX may be\n"
                 "'end'. Also while the log is written to.",
        .notes = "See 'firn tail --cursor', and 'firn trim --keep-unread'.",
        .operands = 2,
        .more_operands = true,
        .missing = "say what to do, 'list', 'set' or 'remove', and name a log",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

/* ---- list ------------------------------------------------------------------------------- */

static int put(void *arg, const struct firn_position *position)
{
    const struct cursors *cursors = arg;
    unsigned long long index = position->index, next = cursors->next;
    unsigned long long unread = next > index ? next - index : 0;
    if (cursors->json)
        printf("{\"name\":\"%s\",\"index\":%llu,\"unread\":%llu,\"truncated\":%s}\n",
               position->name, index, unread, position->clamped ? "true" : "false");
    else
        printf("%s %llu %llu\n", position->name, index, unread);
    return output_failed() ? STATUS_FAILED : 0;
}

static int list(struct cursors *cursors, char **operands, struct firn_error *err)
{
    (void)operands;
    int result = firn_log_list_positions(cursors->log, put, cursors, err);
    return result < 0 ? report_error(name, err) : result;
}

/* ---- set and remove --------------------------------------------------------------------- */

static int set(struct cursors *cursors, char **operands, struct firn_error *err)
{
    struct number index = {.value = cursors->next};
    const char *wanted = strcmp(operands[3], "end") == 0
                             ? NULL
                             : figures_parse_number(operands[3], &index);
    if (wanted)
        return report_usage(name, "'%s' is no index: %s", operands[3], wanted);
    const struct firn_position position = {.name = operands[2], .index = index.value};
    return firn_log_commit_positions(cursors->log, &position, 1, err) ? report_error(name, err)
                                                                      : STATUS_DONE;
}

static int remove_one(struct cursors *cursors, char **operands, struct firn_error *err)
{
    return firn_log_remove_position(cursors->log, operands[2], err) ? report_error(name, err)
                                                                    : STATUS_DONE;
}

static const struct action {
    const char *name;
    int operands;
    int (*run)(struct cursors *cursors, char **operands, struct firn_error *err);
} actions[] = {
    {"list", 2, list},
    {"set", 4, set},
    {"remove", 3, remove_one},
};

static int run(struct cursors *cursors, const struct action *action, char **operands)
{
    struct firn_error err = {0};
    struct firn_log_info info = {0};
    const struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(operands[1], &options, &cursors->log, &err))
        return report_error(name, &err);
    firn_log_get_info(cursors->log, &info, NULL); /* fails for want of times */
    cursors->next = info.next_index;
    int status = action->run(cursors, operands, &err);
    firn_log_close(cursors->log, NULL);
    return status;
}

int cursor_run(int argc, char **argv)
{
    struct cursors cursors = {0};
    char **operands;
    int count = 2, status = parse(argc, argv, &cursors, &operands); /* or more */
    if (status != OPTIONS_PARSED)
        return status;
    while (operands[count])
        count++;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(operands[0], actions[i].name) != 0)
            continue;
        if (count != actions[i].operands)
            return report_usage(name, "%s: %s", operands[0],
                                count < actions[i].operands ? "an argument is missing"
                                                            : "too many arguments");
        return output_end(name, run(&cursors, &actions[i], operands));
    }
    return report_usage(name, "'%s': write list, set or remove", operands[0]);
}
