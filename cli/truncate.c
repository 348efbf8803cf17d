/* SPDX-License-Identifier: MIT */
/* firn truncate: the end of a log is removed. */
#include <stdbool.h>

#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "truncate";

static int parse(int argc, char **argv, bool *quiet, char ***operands)
{
    const struct cli_option options[] = {
        {"quiet", 'q', NULL, NULL, quiet, "do not say what was removed"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR INDEX",
        .about = "Removes the record INDEX and all behind it from the log in DIR, for good. The\n"
                 "next record that is appended gets INDEX. Records before it stay.",
        .operands = 2,
        .missing = "a log and an index are needed",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

static int cut(struct firn_log *log, uint64_t index, uint64_t *removed, struct firn_error *err)
{
    struct firn_log_info info = {0};
    firn_log_get_info(log, &info, NULL); /* fails for want of times, which are not needed */
    int result = firn_log_truncate(log, index, err);
    if (result == 0)
        *removed = info.next_index - index;
    return result;
}

static int run(const char *dir, uint64_t index, bool quiet)
{
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    struct firn_log_options options = {.must_exist = true};
    if (firn_log_open(dir, &options, &log, &err))
        return report_error(name, &err);
    uint64_t removed = 0;
    int status = cut(log, index, &removed, &err) ? report_error(name, &err) : STATUS_DONE;
    if (firn_log_close(log, &err) && status == STATUS_DONE)
        status = report_error(name, &err);
    char text[FIGURES_SIZE];
    if (status == STATUS_DONE && !quiet)
        report_note(name, "%s: %s removed; the next one gets index %llu", dir,
                    figures_count(text, removed, "record", "records"), (unsigned long long)index);
    return status;
}

int truncate_run(int argc, char **argv)
{
    bool quiet = false;
    char **operands;
    int status = parse(argc, argv, &quiet, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    struct number index;
    const char *wanted = figures_parse_number(operands[1], &index);
    if (wanted)
        return report_usage(name, "'%s' is no index: %s", operands[1], wanted);
    return run(operands[0], index.value, quiet);
}
