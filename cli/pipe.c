/* SPDX-License-Identifier: MIT */
/* firn pipe: chunks that are overwritten in place. Arguments, opening, errors. */
#include "pipe.h"

#include <stdio.h>
#include <sys/stat.h>

#include "actions.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "pipe";

/* With room for two of the largest transactions on their way. */
enum { POOL_BYTES = 2 * PIPE_ATOMIC_MOST, JOURNAL_BYTES = 4 * PIPE_ATOMIC_MOST };

/* ---- opening and closing ---------------------------------------------------------------- */

static bool needs_chunk_bytes(const struct pipe_call *call)
{
    struct stat file;
    bool other = stat(call->file, &file) == 0 && !S_ISREG(file.st_mode);
    return !call->options.chunk_bytes.given && !call->pipe && !other;
}

static const char *what_to_do(const struct pipe_call *call, int code)
{
    switch (code) {
    case FIRN_ENOENT:
        return ": check the name; 'firn pipe write --create' creates a pipe";
    case FIRN_ELOCKED:
        return ": wait until it has ended, or end it";
    case FIRN_EINVAL:
        return needs_chunk_bytes(call) ? ": --chunk-bytes says how long its chunks are" : "";
    case FIRN_EPOISONED:
        return ": what was acknowledged is kept; check the disk, then run 'firn pipe verify'";
    case FIRN_ENOSPC:
        return ": make room";
    default:
        return "";
    }
}

int pipe_report(const struct pipe_call *call, const struct firn_error *err)
{
    const char *message = err->message[0] ? err->message : firn_strerror(err->code);
    return report_failure(name, "%s%s", message, what_to_do(call, err->code));
}

int pipe_open_to_read(struct pipe_call *call)
{
    struct firn_error err = {0};
    const struct firn_pipe_options options = {
        .chunk_bytes = call->options.chunk_bytes.value,
        .read_only = true,
        .must_exist = true,
    };
    return firn_pipe_open(call->file, &options, &call->pipe, &err) ? pipe_report(call, &err)
                                                                   : STATUS_DONE;
}

int pipe_open_to_write(struct pipe_call *call)
{
    struct firn_error err = {0};
    const struct firn_env_options env = {.pool_bytes = POOL_BYTES};
    if (firn_env_new(&env, &call->env, &err))
        return pipe_report(call, &err);
    const struct firn_pipe_options options = {
        .env = call->env,
        .chunk_bytes = call->options.chunk_bytes.value,
        .initial_chunks = call->options.chunks.value,
        .must_exist = !call->options.create,
        .journal_bytes = call->options.atomic ? JOURNAL_BYTES : 0,
    };
    return firn_pipe_open(call->file, &options, &call->pipe, &err) ? pipe_report(call, &err)
                                                                   : STATUS_DONE;
}

int pipe_close(struct pipe_call *call, int status)
{
    struct firn_error err = {0};
    if (firn_pipe_close(call->pipe, &err) && status == STATUS_DONE)
        status = pipe_report(call, &err);
    firn_env_free(call->env);
    return status;
}

/* ---- arguments -------------------------------------------------------------------------- */

static int parse(int argc, char **argv, struct pipe_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"chunk-bytes", 'b', "SIZE", figures_parse_size, &to->chunk_bytes,
         "bytes of a chunk: of a pipe that is created, or\n"
         "of a plain file, which becomes one"},
        {"create", 'c', NULL, NULL, &to->create,
         "write: create the pipe where there is none; needs\n"
         "--chunk-bytes"},
        {"chunks", 'n', "N", figures_parse_number, &to->chunks,
         "write: how many a pipe that is created has (0);\n"
         "they read as zero"},
        {"grow", 'g', NULL, NULL, &to->grow,
         "write: add chunks where the input goes beyond the\n"
         "end, instead of failing"},
        {"pad", 'p', NULL, NULL, &to->pad,
         "write: fill the last chunk with zeros, instead of\n"
         "failing"},
        {"atomic", 'a', NULL, NULL, &to->atomic,
         "write: all of the input or, after a crash, none\n"
         "of it"},
        {"all", 'A', NULL, NULL, &to->all, "read: all chunks"},
        {"json", 'j', NULL, NULL, &to->json, "info, verify: print one JSON object"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "write, verify: print what is wrong only"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "info [OPTION]... FILE\n"
                    "       firn pipe read FILE INDEX [COUNT|all]\n"
                    "       firn pipe read --all FILE\n"
                    "       firn pipe write [OPTION]... FILE INDEX|end < CHUNKS\n"
                    "       firn pipe verify [OPTION]... FILE",
        .about = "A pipe is a file of chunks of one length, which are overwritten in place, by\n"
                 "number, and never torn. 'info' tells what it holds and how it was closed,\n"
                 "'read' writes chunks to standard output, 'write' takes them from standard\n"
                 "input: all are durable when it ends. 'verify' reads everything.",
        .notes = "Exit status of verify: 0 all is well, 1 there is damage. One process at a time\n"
                 "has a pipe open. An interrupt ends 'write' in good order.\n"
                 "Sizes may end in k, M, G or T (powers of 1024).",
        .operands = 1,
        .more_operands = true,
        .missing = "say what to do: 'info', 'read', 'write' or 'verify'",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

enum { INFO, READ, WRITE, VERIFY };

static const struct action all[] = {
    [INFO] = {"info", 1, 1, NULL},
    [READ] = {"read", 1, 3, NULL},
    [WRITE] = {"write", 2, 2, "say at which chunk"},
    [VERIFY] = {"verify", 1, 1, NULL},
};
static const struct actions actions = {
    .subcommand = name,
    .all = all,
    .count = sizeof all / sizeof all[0],
    .names = "info, read, write or verify",
    .object = "pipe",
};
static int (*const runs[])(struct pipe_call *call) = {
    [INFO] = pipe_info,
    [READ] = pipe_read,
    [WRITE] = pipe_write,
    [VERIFY] = pipe_verify,
};

static int check_options(size_t which, const struct pipe_options *options)
{
    enum { READS = 1 << READ, WRITES = 1 << WRITE, INFOS = 1 << INFO, VERIFIES = 1 << VERIFY };
    const struct action_option rows[] = {
        {"create", options->create, WRITES},       {"chunks", options->chunks.given, WRITES},
        {"grow", options->grow, WRITES},           {"pad", options->pad, WRITES},
        {"atomic", options->atomic, WRITES},       {"all", options->all, READS},
        {"json", options->json, INFOS | VERIFIES}, {"quiet", options->quiet, WRITES | VERIFIES},
    };
    int status = actions_check_options(&actions, which, rows, sizeof rows / sizeof rows[0]);
    if (status != OPTIONS_PARSED)
        return status;
    if (options->chunks.given && !options->create)
        return report_usage(name, "--chunks needs --create; --grow adds chunks to a pipe");
    if (options->chunk_bytes.given && options->chunk_bytes.value == 0)
        return report_usage(name, "--chunk-bytes: a chunk has one byte at least");
    return OPTIONS_PARSED;
}

int pipe_run(int argc, char **argv)
{
    struct pipe_call call = {0};
    size_t which = 0;
    char **operands;
    int status = parse(argc, argv, &call.options, &operands);
    if (status == OPTIONS_PARSED)
        status = actions_find(&actions, operands, &which);
    if (status == OPTIONS_PARSED)
        status = check_options(which, &call.options);
    if (status != OPTIONS_PARSED)
        return status;
    call.file = operands[1];
    call.more = operands + 2;
    return output_end(name, runs[which](&call));
}
