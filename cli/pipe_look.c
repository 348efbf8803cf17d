/* SPDX-License-Identifier: MIT */
/* firn pipe info and verify: what a pipe holds, and whether all of it can be read. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "output.h"
#include "pipe.h"
#include "report.h"

static void put_number(const char *label, uint64_t value)
{
    printf("%-13s %llu\n", label, (unsigned long long)value);
}

static void put_bytes(const char *label, uint64_t bytes)
{
    char text[FIGURES_SIZE];
    printf("%-13s %llu", label, (unsigned long long)bytes);
    if (bytes >= 1024)
        printf(" (%s)", figures_bytes(text, bytes));
    printf("\n");
}

static void put_field(const char *key, uint64_t value)
{
    printf("\"%s\":%llu", key, (unsigned long long)value);
}

static void put_string(const char *key, const char *text)
{
    json_put_bytes(stdout, key, (struct firn_slice){text, strlen(text)});
}

/* ---- info ------------------------------------------------------------------------------- */

static void put_text(const char *file, const struct firn_pipe_info *info)
{
    char changes[FIGURES_SIZE];
    printf("%-13s %s\n", "pipe:", file);
    put_bytes("chunk bytes:", info->chunk_bytes);
    put_number("chunks:", info->chunks);
    put_bytes("bytes:", info->chunks * info->chunk_bytes);
    printf("%-13s %s\n", "closed:",
           info->recovered ? "not cleanly: the next writer brings the file up to date" : "cleanly");
    if (info->replayed)
        printf("%-13s %s, %llu bytes, not in the file yet\n",
               "journal:", figures_count(changes, info->replayed, "change", "changes"),
               (unsigned long long)info->journal_pending);
}

static void put_json(const char *file, const struct firn_pipe_info *info)
{
    putchar('{');
    put_string("pipe", file);
    putchar(',');
    put_field("chunk_bytes", info->chunk_bytes);
    putchar(',');
    put_field("chunks", info->chunks);
    putchar(',');
    put_field("bytes", info->chunks * info->chunk_bytes);
    printf(",\"clean\":%s,", info->recovered ? "false" : "true");
    put_field("pending_changes", info->replayed);
    putchar(',');
    put_field("pending_bytes", info->journal_pending);
    fputs("}\n", stdout);
}

int pipe_info(struct pipe_call *call)
{
    int status = pipe_open_to_read(call);
    if (status == STATUS_DONE) {
        struct firn_pipe_info info = {0};
        firn_pipe_get_info(call->pipe, &info);
        (call->options.json ? put_json : put_text)(call->file, &info);
    }
    return pipe_close(call, status);
}

/* ---- verify ----------------------------------------------------------------------------- */

static void put_check_json(const char *file, const struct firn_pipe_check *check,
                           const char *finding)
{
    putchar('{');
    put_string("pipe", file);
    putchar(',');
    put_field("chunks", check->chunks);
    putchar(',');
    put_field("unreadable_chunks", check->unreadable);
    putchar(',');
    put_field("pending_changes", check->records);
    putchar(',');
    put_field("damaged_slots", check->damaged_slots);
    fputs(",\"finding\":", stdout);
    if (finding)
        json_put_string(stdout, finding, strlen(finding));
    else
        fputs("null", stdout);
    fputs("}\n", stdout);
}

static void put_check(const struct firn_pipe_check *check, uint64_t bytes, double seconds,
                      bool is_well)
{
    char text[4][FIGURES_SIZE];
    printf("%s, %s, and %s in the journal, in %.3f s (%s/s): ",
           figures_count(text[0], check->chunks, "chunk", "chunks"), figures_bytes(text[1], bytes),
           figures_count(text[2], check->records, "change", "changes"), seconds,
           figures_bytes(text[3], (uint64_t)((double)bytes / seconds)));
    if (is_well)
        puts("all is well");
    else
        printf("%s can't be read, %s of the journal's header damaged\n",
               figures_count(text[0], check->unreadable, "chunk", "chunks"),
               figures_count(text[1], check->damaged_slots, "copy", "copies"));
}

static int verify(struct pipe_call *call)
{
    struct firn_error err = {0};
    struct firn_pipe_check check = {0};
    double start = figures_clock();
    int result = firn_pipe_verify(call->pipe, &check, &err);
    if (result && result != FIRN_EDAMAGED)
        return pipe_report(call, &err);
    if (call->options.json) {
        put_check_json(call->file, &check, result ? err.message : NULL);
        return result ? STATUS_FAILED : STATUS_DONE;
    }
    if (result)
        printf("%s\n", err.message);
    if (!call->options.quiet)
        put_check(&check, check.chunks * firn_pipe_chunk_bytes(call->pipe), figures_clock() - start,
                  result == 0);
    return result ? STATUS_FAILED : STATUS_DONE;
}

int pipe_verify(struct pipe_call *call)
{
    int status = pipe_open_to_read(call);
    if (status == STATUS_DONE)
        status = verify(call);
    return pipe_close(call, status);
}
