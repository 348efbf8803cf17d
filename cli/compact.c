/* SPDX-License-Identifier: MIT */
/* firn compact: of the records with the same key the last one stays. */
#include <stdbool.h>

#include <firn/keep.h>
#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "report.h"
#include "subcommands.h"
#include "times.h"

static const char name[] = "compact";

struct compact_options {
    struct number delay;
    struct number memory;
    bool quiet;
};

static int parse(int argc, char **argv, struct compact_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"keep-deleted", 'k', "SPAN", times_parse_span, &to->delay,
         "keep deletions so long: 12h, 7d; default 24h"},
        {"memory", 'm', "SIZE", figures_parse_size, &to->memory, "for keys; default 16M"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "do not say what was removed"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Keeps the last record of each key in the log in DIR and removes the older ones,\n"
                 "for good, but for those in the segment that is written to. Records without key\n"
                 "stay. Indexes do not change.",
        .notes = "Needs room for a copy of one segment.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static void tell(const char *dir, const struct firn_compacted *compacted)
{
    char records[FIGURES_SIZE], segments[FIGURES_SIZE], bytes[FIGURES_SIZE];
    report_note(name, "%s: %s removed, %s written anew, %s freed", dir,
                figures_count(records, compacted->records, "record", "records"),
                figures_count(segments, compacted->segments, "segment", "segments"),
                figures_bytes(bytes, compacted->bytes));
}

static int run(const char *dir, const struct compact_options *options)
{
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    const struct firn_log_options how = {.must_exist = true};
    const struct firn_compaction what = {
        .tombstone_delay_ms = options->delay.given && options->delay.value == 0
                                  ? 1
                                  : options->delay.value,
        .memory_bytes = options->memory.value,
    };
    if (firn_log_open(dir, &how, &log, &err))
        return report_error(name, &err);
    struct firn_compacted compacted;
    int status = STATUS_DONE;
    if (firn_log_compact(log, &what, &compacted, &err))
        status = report_error(name, &err);
    if (firn_log_close(log, &err) && status == STATUS_DONE)
        status = report_error(name, &err);
    if (status == STATUS_DONE && !options->quiet)
        tell(dir, &compacted);
    return status;
}

int compact_run(int argc, char **argv)
{
    struct compact_options options = {0};
    char **operands;
    int status = parse(argc, argv, &options, &operands);
    return status == OPTIONS_PARSED ? run(operands[0], &options) : status;
}
