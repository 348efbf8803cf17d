/* SPDX-License-Identifier: MIT */
/* firn stack info and verify: what a stack holds, and whether all of it can be read. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "report.h"
#include "stack.h"

static void put_field(const char *key, uint64_t value)
{
    printf(",\"%s\":%llu", key, (unsigned long long)value);
}

static void put_name(const char *file)
{
    putchar('{');
    json_put_bytes(stdout, "stack", (struct firn_slice){file, strlen(file)});
}

/* ---- info ------------------------------------------------------------------------------- */

static void put_text(const char *file, const struct firn_stack_info *info)
{
    char text[FIGURES_SIZE];
    printf("stack:   %s\n", file);
    printf("bytes:   %llu", (unsigned long long)info->length);
    if (info->length >= 1024)
        printf(" (%s)", figures_bytes(text, info->length));
    printf("\nclosed:  %s\n",
           info->recovered ? "not cleanly: the next writer brings the file up to date" : "cleanly");
    if (info->replayed)
        printf("journal: %s, %llu bytes, not in the file yet\n",
               figures_count(text, info->replayed, "change", "changes"),
               (unsigned long long)info->journal_pending);
}

static void put_json(const char *file, const struct firn_stack_info *info)
{
    put_name(file);
    put_field("bytes", info->length);
    printf(",\"clean\":%s", info->recovered ? "false" : "true");
    put_field("pending_changes", info->replayed);
    put_field("pending_bytes", info->journal_pending);
    fputs("}\n", stdout);
}

int stack_info(struct stack_call *call)
{
    int status = stack_open_to_read(call);
    if (status == STATUS_DONE) {
        struct firn_stack_info info = {0};
        firn_stack_get_info(call->stack, &info);
        (call->options.json ? put_json : put_text)(call->file, &info);
    }
    return stack_close(call, status);
}

/* ---- verify ----------------------------------------------------------------------------- */

static void put_check_json(const char *file, const struct firn_stack_check *check,
                           const char *finding)
{
    put_name(file);
    put_field("bytes", check->bytes);
    put_field("unreadable_bytes", check->unreadable);
    put_field("pending_changes", check->records);
    put_field("damaged_slots", check->damaged_slots);
    fputs(",\"finding\":", stdout);
    if (finding)
        json_put_string(stdout, finding, strlen(finding));
    else
        fputs("null", stdout);
    fputs("}\n", stdout);
}

static void put_check(const struct firn_stack_check *check, double seconds, bool is_well)
{
    char text[3][FIGURES_SIZE];
    printf("%s, and %s in the journal, in %.3f s (%s/s): ", figures_bytes(text[0], check->bytes),
           figures_count(text[1], check->records, "change", "changes"), seconds,
           figures_bytes(text[2], (uint64_t)((double)check->bytes / seconds)));
    if (is_well)
        puts("all is well");
    else
        printf("%s can't be read, %s of the journal's header damaged\n",
               figures_count(text[0], check->unreadable, "byte", "bytes"),
               figures_count(text[1], check->damaged_slots, "copy", "copies"));
}

static int verify(struct stack_call *call)
{
    struct firn_error err = {0};
    struct firn_stack_check check = {0};
    double start = figures_clock();
    int result = firn_stack_verify(call->stack, &check, &err);
    if (result && result != FIRN_EDAMAGED)
        return stack_report(&err);
    if (call->options.json) {
        put_check_json(call->file, &check, result ? err.message : NULL);
        return result ? STATUS_FAILED : STATUS_DONE;
    }
    if (result)
        printf("%s\n", err.message);
    if (!call->options.quiet)
        put_check(&check, figures_clock() - start, result == 0);
    return result ? STATUS_FAILED : STATUS_DONE;
}

int stack_verify(struct stack_call *call)
{
    int status = stack_open_to_read(call);
    if (status == STATUS_DONE)
        status = verify(call);
    return stack_close(call, status);
}
