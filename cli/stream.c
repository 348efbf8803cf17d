/* SPDX-License-Identifier: MIT */
/* firn stream: bytes that are appended at one end and let go at the other. Arguments. */
#include "stream.h"

#include <stdlib.h>

#include "actions.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "stream";

static int parse(int argc, char **argv, struct stream_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"lines", 'l', NULL, NULL, &to->lines, "append: whole lines only"},
        {"piece", 'p', "SIZE", figures_parse_size, &to->piece,
         "append: SIZE bytes each, whole; the last ones may\n"
         "be fewer"},
        {"ack", 'a', NULL, NULL, &to->ack,
         "append: print how many bytes of the input are\n"
         "durable, whenever more are"},
        {"span", 's', "SIZE", figures_parse_size, &to->span,
         "append: what is shorter than SIZE and does not fit\n"
         "into a file goes on in the next one; what is not\n"
         "begins there (0: all)"},
        {"block-shift", 'S', "N", figures_parse_number, &to->block_shift,
         "append: blocks of new files have 2^N bytes: 12 to\n"
         "27 (as before, or 12: 4 KiB)"},
        {"block-count", 'N', "N", figures_parse_number, &to->block_count,
         "append: how many blocks a new file has (as before,\n"
         "or 4096)"},
        {"make-dir", 'm', NULL, NULL, &to->make_dir,
         "append: make the directory where there is none"},
        {"no-create", 'C', NULL, NULL, &to->no_create,
         "append: fail where the stream is not there yet"},
        {"break-lock", 'b', NULL, NULL, &to->break_lock,
         "append, trim: break a lock whose process is gone"},
        {"from", 'f', "POSITION", figures_parse_number, &to->from, "cat: begin with this byte"},
        {"to", 't', "POSITION", figures_parse_number, &to->to, "cat: end before this byte"},
        {"last", 'n', "SIZE", figures_parse_size, &to->last, "cat: the last SIZE bytes"},
        {"before", 'B', "POSITION", figures_parse_number, &to->before,
         "trim: files that lie wholly before this byte"},
        {"keep", 'k', "SIZE", figures_parse_size, &to->keep,
         "trim: files beyond the last SIZE bytes"},
        {"files", 'F', NULL, NULL, &to->files, "info: also of each file"},
        {"json", 'j', NULL, NULL, &to->json, "info, verify: print one JSON object"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "append, trim, verify: print what is wrong only"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "append [OPTION]... DIR NAME < BYTES\n"
                    "       firn stream cat [OPTION]... DIR NAME\n"
                    "       firn stream info [OPTION]... DIR NAME\n"
                    "       firn stream verify [OPTION]... DIR NAME\n"
                    "       firn stream trim [OPTION]... DIR NAME",
        .about =
            "A stream is bytes in files NAME.* of the directory DIR: appended at its end, and\n"
            "let go, file by file, at its beginning. 'append' takes them from standard\n"
            "input: all are durable when it ends. 'cat' writes them to standard output,\n"
            "'info' tells what there is, 'verify' checks all of it, 'trim' removes files\n"
            "from the beginning.",
        .notes = "A position counts bytes from the first one that is there: 'trim' makes them\n"
                 "smaller. Exit status of verify: 0 all is well, 1 there is damage. One process\n"
                 "at a time has a stream open, or several that read it. An interrupt ends\n"
                 "'append' in good order. Sizes may end in k, M, G or T (powers of 1024).",
        .operands = 1,
        .more_operands = true,
        .missing = "say what to do: 'append', 'cat', 'info', 'verify' or 'trim'",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

enum { APPEND, CAT, INFO, VERIFY, TRIM };

static const char no_name[] = "name the directory, and the stream in it";
static const struct action all[] = {
    [APPEND] = {"append", 2, 2, no_name}, [CAT] = {"cat", 2, 2, no_name},
    [INFO] = {"info", 2, 2, no_name},     [VERIFY] = {"verify", 2, 2, no_name},
    [TRIM] = {"trim", 2, 2, no_name},
};
static const struct actions actions = {
    .subcommand = name,
    .all = all,
    .count = sizeof all / sizeof all[0],
    .names = "append, cat, info, verify or trim",
    .object = "directory",
};
static int (*const runs[])(struct stream_call *call) = {
    [APPEND] = stream_append, [CAT] = stream_cat,   [INFO] = stream_info,
    [VERIFY] = stream_verify, [TRIM] = stream_trim,
};

static int check_values(const struct stream_options *options)
{
    uint64_t shift = options->block_shift.value;
    if (options->block_shift.given &&
        (shift < FIRN_BLOCK_FILE_SHIFT_MIN || shift > FIRN_STREAM_SHIFT_MAX))
        return report_usage(name, "--block-shift: write a number from %d to %d",
                            FIRN_BLOCK_FILE_SHIFT_MIN, FIRN_STREAM_SHIFT_MAX);
    if (options->block_count.given && options->block_count.value == 0)
        return report_usage(name, "--block-count: a file has one block at least");
    if (options->piece.given &&
        (options->piece.value == 0 || options->piece.value > FIRN_STREAM_APPEND_MAX))
        return report_usage(name, "--piece: write a size from 1 to %u", FIRN_STREAM_APPEND_MAX);
    if (options->piece.given && options->lines)
        return report_usage(name, "--piece and --lines both say what belongs together");
    if (options->last.given && (options->from.given || options->to.given))
        return report_usage(name, "--last leaves no choice of --from and --to");
    if (options->to.given && options->to.value < options->from.value)
        return report_usage(name, "--to %llu is below --from %llu",
                            (unsigned long long)options->to.value,
                            (unsigned long long)options->from.value);
    return OPTIONS_PARSED;
}

static int check_options(size_t which, const struct stream_options *options)
{
    enum {
        APPENDS = 1 << APPEND,
        CATS = 1 << CAT,
        INFOS = 1 << INFO,
        VERIFIES = 1 << VERIFY,
        TRIMS = 1 << TRIM,
    };
    const struct action_option rows[] = {
        {"lines", options->lines, APPENDS},
        {"piece", options->piece.given, APPENDS},
        {"ack", options->ack, APPENDS},
        {"span", options->span.given, APPENDS},
        {"block-shift", options->block_shift.given, APPENDS},
        {"block-count", options->block_count.given, APPENDS},
        {"make-dir", options->make_dir, APPENDS},
        {"no-create", options->no_create, APPENDS},
        {"break-lock", options->break_lock, APPENDS | TRIMS},
        {"from", options->from.given, CATS},
        {"to", options->to.given, CATS},
        {"last", options->last.given, CATS},
        {"before", options->before.given, TRIMS},
        {"keep", options->keep.given, TRIMS},
        {"files", options->files, INFOS},
        {"json", options->json, INFOS | VERIFIES},
        {"quiet", options->quiet, APPENDS | TRIMS | VERIFIES},
    };
    int status = actions_check_options(&actions, which, rows, sizeof rows / sizeof rows[0]);
    if (status != OPTIONS_PARSED)
        return status;
    if (which == TRIM && options->before.given == options->keep.given)
        return report_usage(name, "trim: say what is to go: --before, or --keep");
    return check_values(options);
}

int stream_run(int argc, char **argv)
{
    struct stream_options options = {0};
    size_t which = 0;
    char **operands;
    int status = parse(argc, argv, &options, &operands);
    if (status == OPTIONS_PARSED)
        status = actions_find(&actions, operands, &which);
    if (status == OPTIONS_PARSED)
        status = check_options(which, &options);
    if (status != OPTIONS_PARSED)
        return status;
    struct stream_call *call = calloc(1, sizeof *call);
    if (!call)
        return report_failure(name, "out of memory");
    call->options = options;
    call->dir = operands[1];
    call->name = operands[2];
    status = output_end(name, runs[which](call));
    free(call);
    return status;
}
