/* SPDX-License-Identifier: MIT */
/* The arguments of a subcommand, described once: for getopt_long and for the help text. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Reads the text of an option into its target. Returns NULL, or what to write instead. */
typedef const char *option_parser(const char *text, void *target);

struct cli_option {
    const char *name;     /* without "--" */
    char letter;          /* 0: none */
    const char *argument; /* its name in the help; NULL: a flag, whose `target` is a bool */
    option_parser *parse;
    void *target;
    const char *help; /* lines, the last one without newline */
};

struct usage {
    const char *subcommand;
    const char *synopsis; /* what follows the subcommand */
    const char *about;    /* what it does: lines */
    const char *notes;    /* printed behind the options; may be NULL */
    int operands;         /* how many there must be */
    bool more_operands;   /* ... at least */
    const char *missing;  /* what to say when one is missing */
    const struct cli_option *options;
    size_t option_count;
};

enum { OPTIONS_PARSED = -1 };

/*
 * Parses the arguments. OPTIONS_PARSED: `*operands` points to the operands, which NULL ends.
 * Otherwise the exit status, where all has been said: help was asked for, or the call was wrong.
 */
int options_parse(const struct usage *usage, int argc, char **argv, char ***operands);

#endif
