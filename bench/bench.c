/* SPDX-License-Identifier: MIT */
/* The driver: which benchmarks, where, how often. */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
    const char *name;
    int (*run)(struct bench *bench);
    const char *about;
};

static const struct entry entries[] = {
    {"durable", bench_durable, "one writer, 1 KiB, durable each"},
    {"writers", bench_writers, "many writers, 1 KiB, durable each"},
    {"tail", bench_tail, "one writer on a fresh log: the slowest appends"},
    {"staging", bench_staging, "128-byte records, not waited for"},
    {"bulk", bench_bulk, "1 KiB records, not synced"},
    {"read", bench_read, "reading from the page cache, checked"},
    {"peers", bench_peers, "the same work by other stores"},
    {"many", bench_many, "1,000 logs in one process"},
    {"large", bench_large, "large logs: opening them, reading at random"},
    {"follow", bench_follow, "a follower in another process"},
    {"pieces", bench_pieces, "one very long record, in pieces"},
    {"pipe", bench_pipe, "chunks at random, durable each"},
    {"pipe-transactions", bench_transactions, "64 chunks at random, all or none"},
    {"pipe-writers", bench_pipe_writers, "many writers of chunks, durable each"},
    {"pipe-staging", bench_pipe_staging, "chunks at random, not waited for"},
    {"pipe-applied", bench_pipe_applied, "chunks at random, all in the file at the end"},
    {"stack", bench_stack, "pushes, durable each"},
    {"stack-writers", bench_stack_writers, "many threads pushing, durable each"},
    {"stack-read", bench_stack_read, "reads of a stack at random"},
    {"slab", bench_slab, "blocks handed out and taken back, durable each"},
    {"stream-append", bench_stream_append, "appends to a stream, durable each"},
    {"stream-read", bench_stream_read, "all of a stream, from memory"},
    {"stream-open", bench_stream_open, "opening a stream, with and without a look at every block"},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

struct arguments {
    const char *dir;
    const char *only;
    bool json;
    bool help;
};

static void usage(FILE *out)
{
    fputs("usage: firn-bench [--only NAME[,NAME...]] [--dir DIR] [--runs N] [--quick] [--json]\n"
          "  --only   these only (below)\n"
          "  --dir    where the data go, for as long as it runs; else $FIRN_BENCH_DIR, else here\n"
          "  --runs   how often each is measured; 5\n"
          "  --quick  little of everything: to see that it works\n"
          "  --json   the figures as JSON on standard output, the rest on standard error\n\n",
          out);
    for (size_t i = 0; i < ENTRIES; i++)
        fprintf(out, "  %-18s %s\n", entries[i].name, entries[i].about);
}

/* Whether the list "a,b" (NULL: everything) has the name. */
static bool is_listed(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return !list;
}

static bool is_known_list(const char *list)
{
    size_t known = 0, asked = 1;
    for (size_t i = 0; list && i < ENTRIES; i++)
        known += is_listed(list, entries[i].name);
    for (const char *at = list; at && *at; at++)
        asked += *at == ',';
    return !list || known == asked;
}

static bool parse_runs(const char *text, unsigned *runs)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || number < 1 || number > 1000)
        return false;
    *runs = (unsigned)number;
    return true;
}

static bool parse(int argc, char **argv, struct bench *bench, struct arguments *arguments)
{
    static const struct option options[] = {
        {"only", required_argument, NULL, 'o'},
        {"dir", required_argument, NULL, 'd'},
        {"runs", required_argument, NULL, 'r'},
        {"quick", no_argument, NULL, 'q'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'o')
            arguments->only = optarg;
        else if (option == 'd')
            arguments->dir = optarg;
        else if (option == 'r')
            good &= parse_runs(optarg, &bench->runs);
        else if (option == 'q')
            bench->quick = true;
        else if (option == 'j')
            arguments->json = true;
        else if (option == 'h')
            arguments->help = true;
        else
            good = false;
    }
    return good && optind == argc && is_known_list(arguments->only);
}

static int make_dir(struct bench *bench, const char *parent)
{
    if (!parent)
        parent = getenv("FIRN_BENCH_DIR");
    if (!parent)
        parent = ".";
    if (mkdir(parent, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "firn-bench: %s: %s\n", parent, strerror(errno));
        return -1;
    }
    if (snprintf(bench->dir, sizeof bench->dir, "%.900s/firn-bench-XXXXXX", parent) < 0 ||
        !mkdtemp(bench->dir)) {
        fprintf(stderr, "firn-bench: %s: %s\n", bench->dir, strerror(errno));
        return -1;
    }
    return 0;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = bench_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static void run_all(struct bench *bench, const char *only)
{
    for (size_t i = 0; i < ENTRIES && bench_goes_on(); i++) {
        if (!is_listed(only, entries[i].name))
            continue;
        fprintf(bench->out, "\n%s: %s\n", entries[i].name, entries[i].about);
        fflush(bench->out);
        bench->group = entries[i].name;
        (void)entries[i].run(bench);
        bench_print_group(bench, entries[i].name);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--many-child") == 0)
        return bench_many_child(argv[2], argv[3]);
    struct bench bench = {.runs = 5, .out = stdout, .group = "start"};
    struct arguments arguments = {0};
    if (!parse(argc, argv, &bench, &arguments)) {
        usage(stderr);
        return 2;
    }
    if (arguments.help) {
        usage(stdout);
        return 0;
    }
    if (arguments.json)
        bench.out = stderr;
    if (make_dir(&bench, arguments.dir) != 0)
        return 1;
    catch_signals();
    facts_print(&bench);
    run_all(&bench, arguments.only);
    bench_print_table(&bench);
    if (arguments.json)
        bench_print_json(&bench, stdout);
    bench_free_figures(&bench);
    remove_tree(bench.dir);
    return bench.failed || !bench_goes_on() ? 1 : 0;
}
