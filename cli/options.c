/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <assert.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "output.h"
#include "report.h"

enum {
    OPTIONS_MOST = 24,
    FIRST_VALUE = 256, /* of an option without regard to its letter: FIRST_VALUE + its place */
    HELP_COLUMN = 28,
};

/* ---- help ------------------------------------------------------------------------------- */

static void print_indented(const char *text, size_t column)
{
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", (int)column, "");
    }
    putchar('\n');
}

static void print_option(const struct cli_option *option)
{
    char left[64];
    char letter[8] = "    ";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    if (strlen(left) + 2 > HELP_COLUMN)
        printf("%s\n%*s", left, HELP_COLUMN, "");
    else
        printf("%-*s", HELP_COLUMN, left);
    print_indented(option->help, HELP_COLUMN);
}

static int print_help(const struct usage *usage)
{
    printf("Usage: firn %s %s\n\n%s\n\nOptions:\n", usage->subcommand, usage->synopsis,
           usage->about);
    for (size_t i = 0; i < usage->option_count; i++)
        print_option(&usage->options[i]);
    print_option(&(struct cli_option){.name = "help", .letter = 'h', .help = "print this"});
    if (usage->notes)
        printf("\n%s\n", usage->notes);
    return output_end(usage->subcommand, STATUS_DONE);
}

/* ---- arguments -------------------------------------------------------------------------- */

struct getopt_tables {
    struct option longs[OPTIONS_MOST + 2];
    char letters[2 * OPTIONS_MOST + 4];
};

static void fill_tables(const struct usage *usage, struct getopt_tables *tables)
{
    assert(usage->option_count <= OPTIONS_MOST);
    memset(tables, 0, sizeof *tables);
    char *letters = tables->letters;
    *letters++ = ':'; /* so that a missing argument is told apart */
    *letters++ = 'h';
    for (size_t i = 0; i < usage->option_count; i++) {
        const struct cli_option *option = &usage->options[i];
        tables->longs[i].name = option->name;
        tables->longs[i].has_arg = option->argument ? required_argument : no_argument;
        tables->longs[i].val = FIRST_VALUE + (int)i;
        if (option->letter) {
            *letters++ = option->letter;
            if (option->argument)
                *letters++ = ':';
        }
    }
    tables->longs[usage->option_count] = (struct option){.name = "help", .val = 'h'};
}

/* The option that getopt_long calls `value`; NULL for help and for what is none. */
static const struct cli_option *find_option(const struct usage *usage, int value)
{
    if (value >= FIRST_VALUE)
        return &usage->options[value - FIRST_VALUE];
    for (size_t i = 0; i < usage->option_count; i++) {
        if (value && usage->options[i].letter == value)
            return &usage->options[i];
    }
    return NULL;
}

static int refuse(const struct usage *usage, char **argv, int found)
{
    const struct cli_option *option = find_option(usage, optopt);
    if (option && found == ':')
        return report_usage(usage->subcommand, "--%s needs %s", option->name, option->argument);
    if (option)
        return report_usage(usage->subcommand, "--%s takes no argument", option->name);
    if (optopt && optopt != 'h')
        return report_usage(usage->subcommand, "-%c: unknown option", optopt);
    return report_usage(usage->subcommand, "%s: unknown option", argv[optind - 1]);
}

static int take_option(const struct usage *usage, const struct cli_option *option)
{
    if (!option->argument) {
        *(bool *)option->target = true;
        return OPTIONS_PARSED;
    }
    const char *wanted = option->parse(optarg, option->target);
    if (!wanted)
        return OPTIONS_PARSED;
    return report_usage(usage->subcommand, "--%s: '%s': %s", option->name, optarg, wanted);
}

int options_parse(const struct usage *usage, int argc, char **argv, char ***operands)
{
    struct getopt_tables tables;
    fill_tables(usage, &tables);
    opterr = 0;
    int found;
    while ((found = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        if (found == '?' || found == ':')
            return refuse(usage, argv, found);
        if (found == 'h')
            return print_help(usage);
        int status = take_option(usage, find_option(usage, found));
        if (status != OPTIONS_PARSED)
            return status;
    }
    if (argc - optind < usage->operands)
        return report_usage(usage->subcommand, "%s", usage->missing);
    if (argc - optind > usage->operands && !usage->more_operands)
        return report_usage(usage->subcommand, "%s: one argument too many",
                            argv[optind + usage->operands]);
    *operands = argv + optind;
    return OPTIONS_PARSED;
}
