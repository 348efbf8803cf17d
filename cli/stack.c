/* SPDX-License-Identifier: MIT */
/* firn stack: a file that grows and shrinks at its end. Arguments, opening, errors. */
#include "stack.h"

#include <string.h>

#include "options.h"
#include "output.h"
#include "report.h"
#include "subcommands.h"

static const char name[] = "stack";

enum { JOURNAL_LEAST = 64 * 1024 * 1024, MARGIN = 1024 * 1024 };

/* ---- opening and closing ---------------------------------------------------------------- */

static const char *what_to_do(int code)
{
    switch (code) {
    case FIRN_ENOENT:
        return ": check the name; 'firn stack push --create' creates a stack";
    case FIRN_ELOCKED:
        return ": wait until it has ended, or end it";
    case FIRN_EPOISONED:
        return ": what was acknowledged is kept; check the disk, then run 'firn stack verify'";
    case FIRN_ENOSPC:
        return ": make room";
    default:
        return "";
    }
}

int stack_report(const struct firn_error *err)
{
    const char *message = err->message[0] ? err->message : firn_strerror(err->code);
    return report_failure(name, "%s%s", message, what_to_do(err->code));
}

static int open_stack(struct stack_call *call, const struct firn_stack_options *options)
{
    struct firn_error err = {0};
    return firn_stack_open(call->file, options, &call->stack, &err) ? stack_report(&err)
                                                                    : STATUS_DONE;
}

int stack_open_to_read(struct stack_call *call)
{
    const struct firn_stack_options options = {.read_only = true, .must_exist = true};
    return open_stack(call, &options);
}

int stack_open_to_write(struct stack_call *call, uint64_t bytes)
{
    uint64_t journal = 2 * bytes + MARGIN;
    const struct firn_stack_options options = {
        .must_exist = !call->options.create,
        .journal_bytes = journal > JOURNAL_LEAST ? journal : 0,
    };
    return open_stack(call, &options);
}

int stack_close(struct stack_call *call, int status)
{
    struct firn_error err = {0};
    if (firn_stack_close(call->stack, &err) && status == STATUS_DONE)
        status = stack_report(&err);
    return status;
}

/* ---- arguments -------------------------------------------------------------------------- */

static int parse(int argc, char **argv, struct stack_options *to, char ***operands)
{
    const struct cli_option options[] = {
        {"create", 'c', NULL, NULL, &to->create, "push: create the stack where there is none"},
        {"from", 'f', "OFFSET", figures_parse_number, &to->from,
         "peek: the bytes from this one on, instead of the\n"
         "last ones"},
        {"json", 'j', NULL, NULL, &to->json, "info, verify: print one JSON object"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "push, verify: print what is wrong only"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "push [OPTION]... FILE < BYTES\n"
                    "       firn stack pop FILE COUNT|all\n"
                    "       firn stack peek [OPTION]... FILE COUNT|all\n"
                    "       firn stack info [OPTION]... FILE\n"
                    "       firn stack verify [OPTION]... FILE",
        .about = "A stack is a file of bytes that grows and shrinks at its end. 'push' appends\n"
                 "standard input, all of it or, after a crash, none; 'pop' writes the last bytes\n"
                 "to standard output and takes them off; 'peek' leaves them. 'info' tells how\n"
                 "long it is and how it was closed. 'verify' reads everything.",
        .notes = "Exit status of verify: 0 all is well, 1 there is damage. One process at a time\n"
                 "has a stack open. COUNT may end in k, M, G or T (powers of 1024).",
        .operands = 1,
        .more_operands = true,
        .missing = "say what to do: 'push', 'pop', 'peek', 'info' or 'verify'",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

enum { PUSH = 1, POP = 2, PEEK = 4, INFO = 8, VERIFY = 16 };

static const struct action {
    const char *name;
    unsigned bit;
    int operands; /* with the file */
    int (*run)(struct stack_call *call);
} actions[] = {
    {"push", PUSH, 1, stack_push},       {"pop", POP, 2, stack_pop},
    {"peek", PEEK, 2, stack_peek},       {"info", INFO, 1, stack_info},
    {"verify", VERIFY, 1, stack_verify},
};

static const struct action *find_action(const char *text)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(text, actions[i].name) == 0)
            return &actions[i];
    }
    return NULL;
}

static int check_options(const struct action *action, const struct stack_options *options)
{
    const struct {
        const char *name;
        bool given;
        unsigned actions;
    } rows[] = {
        {"create", options->create, PUSH},
        {"from", options->from.given, PEEK},
        {"json", options->json, INFO | VERIFY},
        {"quiet", options->quiet, PUSH | VERIFY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].given && !(rows[i].actions & action->bit))
            return report_usage(name, "--%s says nothing to '%s'", rows[i].name, action->name);
    }
    return OPTIONS_PARSED;
}

int stack_run(int argc, char **argv)
{
    struct stack_call call = {0};
    char **operands;
    int status = parse(argc, argv, &call.options, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    const struct action *action = find_action(operands[0]);
    if (!action)
        return report_usage(name, "'%s': write push, pop, peek, info or verify", operands[0]);
    int count = 0;
    while (operands[1 + count])
        count++;
    if (count == 0)
        return report_usage(name, "%s: no stack named", action->name);
    if (count < action->operands)
        return report_usage(name, "%s: say how many bytes, or 'all'", action->name);
    if (count > action->operands)
        return report_usage(name, "%s: too many arguments", action->name);
    status = check_options(action, &call.options);
    if (status != OPTIONS_PARSED)
        return status;
    call.file = operands[1];
    call.bytes = operands[2];
    return output_end(name, action->run(&call));
}
