/* SPDX-License-Identifier: MIT */
/* firn copy: a log to another directory. */
#include <firn/log.h>

#include "options.h"
#include "report.h"
#include "subcommands.h"
#include "transfers.h"

static const char name[] = "copy";

static int parse(int argc, char **argv, struct transfers *to, char ***operands)
{
    const struct cli_option options[] = {
        {"quiet", 'q', NULL, NULL, &to->quiet, "no progress bar and no summary"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR TO",
        .about =
            "Copies the log in DIR to the directory TO, which is created; an earlier copy there\n"
            "is brought up to date. The log may be written to meanwhile.",
        .notes = "Damaged ranges are left out and told; the exit status is then 1. What was\n"
                 "interrupted goes on where it stopped when it is called again.",
        .operands = 2,
        .missing = "a log and a directory are needed",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static int run(struct transfers *transfers, char **operands)
{
    struct firn_error err = {0};
    struct firn_log *log;
    struct firn_log_info info;
    const struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(operands[0], &options, &log, &err))
        return report_error(name, &err);
    firn_log_get_info(log, &info, NULL); /* fails for want of times, which are not needed */
    int status = transfers_begin(transfers, info.bytes);
    if (status == STATUS_DONE) {
        int result = firn_log_copy(log, operands[1], transfers_tell, transfers, &transfers->done,
                                   &err);
        status = transfers_end(transfers, result, &err);
    }
    firn_log_close(log, NULL);
    return status;
}

int copy_run(int argc, char **argv)
{
    struct transfers transfers = {.subcommand = name, .verb = "copied"};
    char **operands;
    int status = parse(argc, argv, &transfers, &operands);
    return status == OPTIONS_PARSED ? run(&transfers, operands) : status;
}
