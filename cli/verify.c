/* SPDX-License-Identifier: MIT */
/* firn verify: every byte of a log is read and checked. */
#include <stdio.h>

#include <firn/log.h>

#include "figures.h"
#include "findings.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "verify";

static int parse(int argc, char **argv, bool *quiet, char ***operands)
{
    const struct cli_option options[] = {
        {"quiet", 'q', NULL, NULL, quiet, "print findings only"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Reads and checks every byte of the log in DIR: checksums, order, the structure\n"
                 "of each record, indexes, checkpoint. Prints a line for each finding, then\n"
                 "figures.",
        .notes = "Exit status: 0 all is well, 1 there is damage. Nothing is changed.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static void put_figures(const struct firn_verify_stats *stats, double seconds)
{
    char text[4][FIGURES_SIZE];
    printf("%s in %s and %s, %s ", figures_count(text[0], stats->records, "record", "records"),
           figures_count(text[1], stats->batches, "batch", "batches"),
           figures_count(text[2], stats->segments, "segment", "segments"),
           figures_bytes(text[3], stats->bytes));
    printf("in %.3f s (%s/s): %s\n", seconds,
           figures_bytes(text[0], (uint64_t)((double)stats->bytes / seconds)),
           stats->findings ? figures_count(text[1], stats->findings, "finding", "findings")
                           : "all is well");
}

static int verify(struct firn_log *log, bool quiet)
{
    struct firn_error err = {0};
    struct firn_verify_stats stats = {0};
    double start = figures_clock();
    int result = firn_log_verify(log, findings_put, NULL, &stats, &err);
    if (result && result != FIRN_EDAMAGED && result != FIRN_ECLOSED)
        return report_error(name, &err);
    if (!quiet && !output_failed())
        put_figures(&stats, figures_clock() - start);
    return result ? STATUS_FAILED : STATUS_DONE;
}

int verify_run(int argc, char **argv)
{
    bool quiet = false;
    char **operands;
    int status = parse(argc, argv, &quiet, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    struct firn_log_options options = {.read_only = true, .must_exist = true};
    if (firn_log_open(operands[0], &options, &log, &err))
        return report_error(name, &err);
    status = verify(log, quiet);
    firn_log_close(log, NULL);
    return output_end(name, status);
}
