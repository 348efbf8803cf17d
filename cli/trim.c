/* SPDX-License-Identifier: MIT */
/* firn trim: the beginning of a log is removed. */
#include <stdbool.h>

#include <firn/keep.h>
#include <firn/log.h>

#include "figures.h"
#include "options.h"
#include "report.h"
#include "subcommands.h"
#include "times.h"

static const char name[] = "trim";

struct trim_options {
    struct number before;
    struct number age;
    struct number bytes;
    struct number records;
    bool keep_unread;
    bool dry_run;
    bool quiet;
};

static int check(const struct trim_options *options)
{
    bool any = options->before.given || options->age.given || options->bytes.given ||
               options->records.given;
    if (!any)
        return report_usage(name, "say what is to go: --before, --older-than, --keep-bytes or "
                                  "--keep-records");
    return OPTIONS_PARSED;
}

static int parse(int argc, char **argv, struct trim_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"before", 'b', "INDEX", figures_parse_number, &to->before, "records below this index"},
        {"older-than", 'o', "SPAN", times_parse_span, &to->age,
         "records that were appended longer ago: 90s, 12h, 7d"},
        {"keep-bytes", 'B', "SIZE", figures_parse_size, &to->bytes,
         "records beyond the last SIZE bytes: 64M, 10G"},
        {"keep-records", 'N', "N", figures_parse_number, &to->records, "records beyond the last N"},
        {"keep-unread", 'U', NULL, NULL, &to->keep_unread,
         "but nothing that a named cursor has not read"},
        {"dry-run", 'd', NULL, NULL, &to->dry_run, "say what would go, and change nothing"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "do not say what was removed"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "[OPTION]... DIR",
        .about = "Removes records from the beginning of the log in DIR, for good: all that any of\n"
                 "the options names.",
        .notes = "What goes is not read any more; the space of whole segments is freed.",
        .operands = 1,
        .missing = "no log named",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    int status = options_parse(&usage, argc, argv, operands);
    return status == OPTIONS_PARSED ? check(to) : status;
}

/* To keep nothing is more than a limit can say: then the index does. */
static struct firn_retention retention(struct firn_log *log, const struct trim_options *options)
{
    struct firn_log_info info = {0};
    bool nothing = (options->records.given && options->records.value == 0) ||
                   (options->bytes.given && options->bytes.value == 0);
    firn_log_get_info(log, &info, NULL); /* fails for want of times, which are not needed */
    return (struct firn_retention){
        .before_index = nothing ? info.next_index : options->before.value,
        .max_age_ms = options->age.given && options->age.value == 0 ? 1 : options->age.value,
        .max_bytes = options->bytes.value,
        .max_records = options->records.value,
        .keep_unread = options->keep_unread,
    };
}

static void tell(const char *dir, const struct trim_options *options,
                 const struct firn_trimmed *trimmed)
{
    char segments[FIGURES_SIZE], bytes[FIGURES_SIZE];
    if (options->quiet && !options->dry_run)
        return;
    report_note(name, "%s: %s; %s, %s, %s", dir, trimmed->text,
                figures_count(segments, trimmed->segments, "segment", "segments"),
                figures_bytes(bytes, trimmed->bytes),
                options->dry_run ? "would be freed" : "freed");
}

static int run(const char *dir, const struct trim_options *options)
{
    struct firn_error err = {0};
    struct firn_log *log = NULL;
    struct firn_log_options how = {.must_exist = true, .read_only = options->dry_run};
    if (firn_log_open(dir, &how, &log, &err))
        return report_error(name, &err);
    struct firn_trimmed trimmed;
    struct firn_retention keep = retention(log, options);
    int status = STATUS_DONE;
    if (firn_log_trim(log, &keep, options->dry_run, &trimmed, &err))
        status = report_error(name, &err);
    if (firn_log_close(log, &err) && status == STATUS_DONE)
        status = report_error(name, &err);
    if (status == STATUS_DONE)
        tell(dir, options, &trimmed);
    return status;
}

int trim_run(int argc, char **argv)
{
    struct trim_options options = {0};
    char **operands;
    int status = parse(argc, argv, &options, &operands);
    return status == OPTIONS_PARSED ? run(operands[0], &options) : status;
}
