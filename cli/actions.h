/* SPDX-License-Identifier: MIT */
/* Subcommands that can do several things, which their first operand names: firn pipe info. */
#ifndef CLI_ACTIONS_H
#define CLI_ACTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct action {
    const char *name;
    int least, most;     /* operands behind its name */
    const char *missing; /* what to say where there are some of them, but too few */
};

struct actions {
    const char *subcommand;
    const struct action *all;
    size_t count;
    const char *names;  /* "info, read or write" */
    const char *object; /* what to say is missing where no operand follows: "pipe" */
};

/* An option that not all actions have. */
struct action_option {
    const char *name;
    bool given;
    unsigned actions; /* bit n: that with number n */
};

/*
 * Both: OPTIONS_PARSED (options.h), or STATUS_USAGE, where all has been said. `*which` is the
 * number of the action that operands[0] names; the operands behind it are as many as it takes.
 */
int actions_find(const struct actions *actions, char **operands, size_t *which);
int actions_check_options(const struct actions *actions, size_t which,
                          const struct action_option *options, size_t count);

#endif
