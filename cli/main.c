/* SPDX-License-Identifier: MIT */
/* The command firn: finds the subcommand and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <firn/version.h>

#include "output.h"
#include "report.h"
#include "subcommands.h"

static int help_run(int argc, char **argv);

struct subcommand {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"append", "append records from standard input", append_run},
    {"cat", "write records to standard output", cat_run},
    {"tail", "write the last records, and follow the log", tail_run},
    {"info", "tell what a log holds", info_run},
    {"verify", "check every byte of a log", verify_run},
    {"truncate", "remove the records from an index on", truncate_run},
    {"trim", "remove the first records: by index, age or size", trim_run},
    {"compact", "keep the last record of each key", compact_run},
    {"repair", "put right what is damaged", repair_run},
    {"cursor", "list, set and remove positions of readers", cursor_run},
    {"copy", "copy a log, or bring a copy up to date", copy_run},
    {"import", "append segments of Kafka", import_run},
    {"export", "write segments for Kafka", export_run},
    {"pipe", "chunks that are overwritten in place", pipe_run},
    {"stack", "bytes that grow and shrink at their end", stack_run},
    {"slab", "what a slab holds, and whether it is whole", slab_run},
    {"stream", "bytes, appended at one end and let go at the other", stream_run},
    {"help", "explain a subcommand", help_run},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static void print_overview(FILE *to)
{
    fputs("Usage: firn SUBCOMMAND [OPTION]... [ARGUMENT]...\n"
          "A durable log: records keep their order and stay where they were put.\n\n",
          to);
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        fprintf(to, "  %-10s  %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\n'firn help SUBCOMMAND' explains one; 'firn --version' prints the version.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
          to);
}

/* ---- finding a subcommand --------------------------------------------------------------- */

static const struct subcommand *find(const char *name)
{
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be added, left out, replaced or swapped with the next one (optimal string
 * alignment); `before` is the row above, `above` the one above that. */
static size_t distance(const char *typed, const char *name)
{
    enum { MOST = 16 };
    size_t rows[3][MOST + 1];
    size_t width = strlen(name);
    if (strlen(typed) > MOST || width > MOST)
        return SIZE_MAX;
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = j;
    size_t i = 1;
    for (; typed[i - 1]; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = before[j - 1] + (typed[i - 1] != name[j - 1]);
            row[j] = least(replaced, least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && typed[i - 1] == name[j - 2] && typed[i - 2] == name[j - 1])
                row[j] = least(row[j], above[j - 2] + 1);
        }
    }
    return rows[(i - 1) % 3][width];
}

static const struct subcommand *find_near(const char *typed)
{
    const struct subcommand *nearest = NULL;
    size_t best = 3;
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        size_t letters = distance(typed, subcommands[i].name);
        if (letters < best && letters < strlen(subcommands[i].name)) {
            best = letters;
            nearest = &subcommands[i];
        }
    }
    return nearest;
}

static int refuse(const char *name)
{
    const struct subcommand *near = find_near(name);
    if (near)
        return report_usage(NULL, "%s: unknown subcommand: did you mean '%s'?", name, near->name);
    return report_usage(NULL, "%s: unknown %s", name, name[0] == '-' ? "option" : "subcommand");
}

/* ---- running it ------------------------------------------------------------------------- */

static int help_run(int argc, char **argv)
{
    bool asked = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
                               strcmp(argv[1], "help") == 0);
    if (argc < 2 || asked) {
        print_overview(stdout);
        return output_end("help", STATUS_DONE);
    }
    if (argc > 2)
        return report_usage(NULL, "help: %s: one argument too many", argv[2]);
    const struct subcommand *subcommand = find(argv[1]);
    if (!subcommand)
        return refuse(argv[1]);
    char help[] = "--help";
    return subcommand->run(2, (char *[]){argv[1], help, NULL});
}

/* A descriptor from 0 to 2 that is closed would be given to a file of the log, and what is meant
 * for the standard streams would go into it. This one gives an error instead. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
            continue;
        int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
        if (opened != fd)
            _exit(STATUS_FAILED);
    }
}

int main(int argc, char **argv)
{
    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN); /* the end of a pipe is an error of write: see output.h */
    output_start();
    if (argc < 2) {
        print_overview(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("firn %s\n", firn_version());
        return output_end(NULL, STATUS_DONE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help_run(1, argv);
    const struct subcommand *subcommand = find(argv[1]);
    return subcommand ? subcommand->run(argc - 1, argv + 1) : refuse(argv[1]);
}
