/* SPDX-License-Identifier: MIT */
/* firn repair: what verify finds is put right. */
#include <stdbool.h>

#include <firn/keep.h>
#include <firn/log.h>

#include "figures.h"
#include "findings.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "repair";

struct repair_options {
    bool dry_run;
    bool quiet;
};

static int parse(int argc, char **argv, struct repair_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"dry-run", 'd', NULL, NULL, &to->dry_run, "print what is damaged, and change nothing"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "do not say what was done"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Puts right what 'firn verify' finds in the log in DIR, and prints a line for\n"
                 "each finding. Records that can't be read any more are given up; damaged bytes\n"
                 "are copied to files damaged-* in DIR before. All else stays.",
        .notes = "Needs room for a copy of one segment.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static void tell(const char *dir, const struct firn_repaired *repaired)
{
    char ranges[FIGURES_SIZE], records[FIGURES_SIZE], bytes[FIGURES_SIZE], files[FIGURES_SIZE];
    if (repaired->ranges + repaired->files == 0) {
        report_note(name, "%s: nothing to repair", dir);
        return;
    }
    report_note(name, "%s: %s closed, %s lost, %s copied aside, %s made anew", dir,
                figures_count(ranges, repaired->ranges, "damaged range", "damaged ranges"),
                figures_count(records, repaired->records, "record", "records"),
                figures_bytes(bytes, repaired->bytes),
                figures_count(files, repaired->files, "other file", "other files"));
}

static int repair(const char *dir, struct firn_log *log, const struct repair_options *options)
{
    struct firn_error err = {0};
    struct firn_repaired repaired;
    int result = options->dry_run ? firn_log_verify(log, findings_put, NULL, NULL, &err)
                                  : firn_log_repair(log, findings_put, NULL, &repaired, &err);
    if (result == FIRN_ECLOSED || (options->dry_run && result == FIRN_EDAMAGED))
        return STATUS_FAILED;
    if (result)
        return report_error(name, &err);
    if (!options->dry_run && !options->quiet)
        tell(dir, &repaired);
    return STATUS_DONE;
}

int repair_run(int argc, char **argv)
{
    struct repair_options options = {0};
    char **operands;
    int status = parse(argc, argv, &options, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    const struct firn_log_options how = {.must_exist = true, .read_only = options.dry_run};
    if (firn_log_open(operands[0], &how, &log, &err))
        return report_error(name, &err);
    status = repair(operands[0], log, &options);
    if (firn_log_close(log, &err) && status == STATUS_DONE)
        status = report_error(name, &err);
    return output_end(name, status);
}
