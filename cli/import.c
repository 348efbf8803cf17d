/* SPDX-License-Identifier: MIT */
/* firn import: Kafka's segments into a log. */
#include <firn/log.h>

#include "options.h"
#include "report.h"
#include "subcommands.h"
#include "transfers.h"

static const char name[] = "import";

static int parse(int argc, char **argv, struct transfers *to, char ***operands)
{
    const struct cli_option options[] = {
        {"quiet", 'q', NULL, NULL, &to->quiet, "no progress bar and no summary"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR FROM",
        .about =
            "Appends the segments in the directory FROM, a partition's of Kafka, to the log in\n"
            "DIR, which is created if it is not there. A log that holds nothing takes over\n"
            "their indexes; in another one they must follow its last record.",
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
    const struct firn_log_options options = {.durability = FIRN_DURABILITY_OS};
    if (firn_log_open(operands[0], &options, &log, &err))
        return report_error(name, &err);
    int status = transfers_begin(transfers, 0);
    int result = 0;
    if (status == STATUS_DONE) {
        result = firn_log_import(log, operands[1], transfers_tell, transfers, &transfers->done,
                                 &err);
        struct firn_error close_err = {0};
        int closed = firn_log_close(log, &close_err);
        if (result == 0 && closed) {
            result = closed;
            err = close_err;
        }
        status = transfers_end(transfers, result, &err);
    }
    return status;
}

int import_run(int argc, char **argv)
{
    struct transfers transfers = {.subcommand = name, .verb = "imported"};
    char **operands;
    int status = parse(argc, argv, &transfers, &operands);
    return status == OPTIONS_PARSED ? run(&transfers, operands) : status;
}
