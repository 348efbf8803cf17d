/* SPDX-License-Identifier: MIT */
/* firn slab: what a slab holds, and whether its list of free blocks is whole. */
#include <stdio.h>
#include <string.h>

#include <firn/slab.h>

#include "figures.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "slab_list.h"
#include "subcommands.h"

static const char name[] = "slab";

struct slab_call {
    bool json, quiet;
    const char *file;
    const char *live; /* the list; NULL: none */
    struct firn_stack *stack;
};

/* ---- opening ---------------------------------------------------------------------------- */

static int fail(const struct firn_error *err)
{
    const char *message = err->message[0] ? err->message : firn_strerror(err->code);
    const char *what_to_do = "";
    if (err->code == FIRN_ELOCKED)
        what_to_do = ": wait until it has ended, or end it";
    else if (err->code == FIRN_EDAMAGED)
        what_to_do = ": 'firn slab check' says more";
    return report_failure(name, "%s%s", message, what_to_do);
}

static int open_stack(struct slab_call *call)
{
    struct firn_error err = {0};
    const struct firn_stack_options options = {.read_only = true, .must_exist = true};
    return firn_stack_open(call->file, &options, &call->stack, &err) ? fail(&err) : STATUS_DONE;
}

static int close_stack(struct slab_call *call, int status)
{
    struct firn_error err = {0};
    if (firn_stack_close(call->stack, &err) && status == STATUS_DONE)
        status = fail(&err);
    return status;
}

static void put_name(const char *file)
{
    putchar('{');
    json_put_bytes(stdout, "slab", (struct firn_slice){file, strlen(file)});
}

static void put_field(const char *key, uint64_t value)
{
    printf(",\"%s\":%llu", key, (unsigned long long)value);
}

/* ---- info ------------------------------------------------------------------------------- */

static void put_info_text(const struct slab_call *call, const struct firn_slab_info *info,
                          const char reserved[2 * FIRN_SLAB_RESERVED + 1])
{
    char text[FIGURES_SIZE];
    uint64_t bytes = info->blocks * info->block_size;
    printf("slab:        %s\n", call->file);
    printf("block bytes: %llu\n", (unsigned long long)info->block_size);
    printf("blocks:      %llu (%s)\n", (unsigned long long)info->blocks,
           figures_bytes(text, bytes));
    printf("free:        %llu\n", (unsigned long long)info->free_blocks);
    printf("reserved:    %s\n", reserved);
}

static void put_info_json(const struct slab_call *call, const struct firn_slab_info *info,
                          const char reserved[2 * FIRN_SLAB_RESERVED + 1])
{
    put_name(call->file);
    put_field("block_bytes", info->block_size);
    put_field("blocks", info->blocks);
    put_field("free_blocks", info->free_blocks);
    printf(",\"reserved\":\"%s\"}\n", reserved);
}

static int put_info(struct slab_call *call, struct firn_slab *slab)
{
    struct firn_error err = {0};
    struct firn_slab_info info;
    unsigned char reserved[FIRN_SLAB_RESERVED];
    char hex[2 * FIRN_SLAB_RESERVED + 1] = "";
    if (firn_slab_get_reserved(slab, reserved, &err))
        return fail(&err);
    for (int i = 0; i < FIRN_SLAB_RESERVED; i++)
        snprintf(hex + 2 * i, 3, "%02x", reserved[i]);
    firn_slab_get_info(slab, &info);
    (call->json ? put_info_json : put_info_text)(call, &info, hex);
    return STATUS_DONE;
}

static int info_of(struct slab_call *call)
{
    struct firn_error err = {0};
    struct firn_slab *slab = NULL;
    int status = open_stack(call);
    if (status == STATUS_DONE && firn_slab_open(call->stack, &slab, &err))
        status = fail(&err);
    if (status == STATUS_DONE)
        status = put_info(call, slab);
    firn_slab_close(slab);
    return close_stack(call, status);
}

/* ---- check ------------------------------------------------------------------------------ */

static void put_check_json(const struct slab_call *call, const struct firn_slab_findings *check,
                           const char *finding)
{
    put_name(call->file);
    put_field("block_bytes", check->block_size);
    put_field("blocks", check->blocks);
    put_field("free_blocks", check->free_blocks);
    if (call->live) {
        put_field("live_blocks", check->live_blocks);
        put_field("leaked_blocks", check->leaked_blocks);
        put_field("bad_slices", check->bad_slices);
    }
    fputs(",\"finding\":", stdout);
    if (finding)
        json_put_string(stdout, finding, strlen(finding));
    else
        fputs("null", stdout);
    fputs("}\n", stdout);
}

static const char *verdict(const struct firn_slab_findings *check)
{
    if (check->cycle || check->bad_link)
        return "the rest of the list is lost";
    if (check->bad_slices)
        return "slices that can't be";
    return check->leaked_blocks ? "some have no owner" : "all is well";
}

static void put_check(const struct slab_call *call, const struct firn_slab_findings *check)
{
    char text[3][FIGURES_SIZE];
    printf("%s of %llu bytes, %s", figures_count(text[0], check->blocks, "block", "blocks"),
           (unsigned long long)check->block_size,
           figures_count(text[1], check->free_blocks, "free one", "free ones"));
    if (call->live)
        printf(", %llu in slices, %llu leaked, %s", (unsigned long long)check->live_blocks,
               (unsigned long long)check->leaked_blocks,
               figures_count(text[2], check->bad_slices, "bad slice", "bad slices"));
    printf(": %s\n", verdict(check));
}

/* While the lines are for people. */
static void put_leaked(void *arg, struct firn_slab_slice leaked)
{
    const struct slab_call *call = arg;
    if (!call->json)
        printf("%s: %llu bytes at byte %llu are leaked\n", call->file,
               (unsigned long long)leaked.length, (unsigned long long)leaked.offset);
}

static int check_stack(struct slab_call *call, const struct slab_list *list)
{
    struct firn_error err = {0};
    struct firn_slab_findings check;
    const struct firn_slab_live live = {list->slices, list->count, put_leaked, call};
    int result = firn_slab_check(call->stack, call->live ? &live : NULL, &check, &err);
    if (result && result != FIRN_EDAMAGED)
        return fail(&err);
    if (result && !call->json)
        printf("%s\n", err.message);
    if (call->json)
        put_check_json(call, &check, result ? err.message : NULL);
    else if (!call->quiet && check.block_size)
        put_check(call, &check);
    return result || check.leaked_blocks ? STATUS_FAILED : STATUS_DONE;
}

static int check_of(struct slab_call *call)
{
    struct slab_list list = {0};
    int status = call->live ? slab_list_load(call->live, &list) : STATUS_DONE;
    if (status == STATUS_DONE)
        status = open_stack(call);
    if (status == STATUS_DONE)
        status = check_stack(call, &list);
    slab_list_free(&list);
    return close_stack(call, status);
}

/* ---- arguments -------------------------------------------------------------------------- */

static const char *parse_name(const char *text, void *target)
{
    *(const char **)target = text;
    return *text ? NULL : "write the name of a file";
}

static int parse(int argc, char **argv, struct slab_call *to, char ***operands)
{
    const struct cli_option options[] = {
        {"json", 'j', NULL, NULL, &to->json, "print one JSON object"},
        {"live", 'l', "LIST", parse_name, &to->live,
         "check: the slices in use, offset and length on a\n"
         "line each: tells which can't be, and which blocks\n"
         "are leaked"},
        {"quiet", 'q', NULL, NULL, &to->quiet, "check: print what is wrong only"},
    };
    const struct usage usage = {
        .subcommand = name,
        .synopsis = "info [OPTION]... FILE\n"
                    "       firn slab check [OPTION]... FILE",
        .about = "A slab is a stack whose bytes are blocks of one size, handed out and taken back\n"
                 "by a program. 'info' tells how many there are. 'check' follows the list of free\n"
                 "blocks. Neither changes anything.",
        .notes = "Exit status of check: 0 all is well, 1 there is damage, or blocks are leaked.\n"
                 "One process at a time has a slab open.",
        .operands = 2,
        .missing = "say what to do, 'info' or 'check', and with which file",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return options_parse(&usage, argc, argv, operands);
}

int slab_run(int argc, char **argv)
{
    struct slab_call call = {0};
    char **operands;
    int status = parse(argc, argv, &call, &operands);
    if (status != OPTIONS_PARSED)
        return status;
    bool is_info = strcmp(operands[0], "info") == 0;
    if (!is_info && strcmp(operands[0], "check") != 0)
        return report_usage(name, "'%s': write info or check", operands[0]);
    if (is_info && (call.quiet || call.live))
        return report_usage(name, "--%s says nothing to 'info'", call.quiet ? "quiet" : "live");
    call.file = operands[1];
    return output_end(name, (is_info ? info_of : check_of)(&call));
}
