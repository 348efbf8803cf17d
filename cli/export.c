/* SPDX-License-Identifier: MIT */
/* firn export: records as a directory of Kafka's segments. */
#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "report.h"
#include "subcommands.h"
#include "transfers.h"

static const char name[] = "export";

struct exporter {
    struct transfers transfers;
    struct number from;
};

static int parse(int argc, char **argv, struct exporter *to, char ***operands)
{
    const struct cli_option options[] = {
        {"from", 'f', "INDEX", figures_parse_number, &to->from, "begin with this record's batch"},
        {"quiet", 'q', NULL, NULL, &to->transfers.quiet, "no progress bar and no summary"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR TO",
        .about =
            "Writes the records of the log in DIR to the directory TO, as segments with their\n"
            "indexes in Kafka's format. TO is created, or is empty.",
        .notes = "Damaged ranges are left out and told; the exit status is then 1.",
        .operands = 2,
        .missing = "a log and a directory are needed",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static int run(struct exporter *exporter, char **operands)
{
    struct firn_error err = {0};
    struct firn_log *log;
    struct firn_log_info info;
    struct transfers *transfers = &exporter->transfers;
    const struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(operands[0], &options, &log, &err))
        return report_error(name, &err);
    firn_log_get_info(log, &info, NULL); /* fails for want of times, which are not needed */
    int status = transfers_begin(transfers, exporter->from.given ? 0 : info.bytes);
    if (status == STATUS_DONE) {
        int result = firn_log_export(log, operands[1], exporter->from.value, transfers_tell,
                                     transfers, &transfers->done, &err);
        status = transfers_end(transfers, result, &err);
    }
    firn_log_close(log, NULL);
    return status;
}

int export_run(int argc, char **argv)
{
    struct exporter exporter = {.transfers = {.subcommand = name, .verb = "exported"}};
    char **operands;
    int status = parse(argc, argv, &exporter, &operands);
    return status == OPTIONS_PARSED ? run(&exporter, operands) : status;
}
