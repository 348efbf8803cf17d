/* SPDX-License-Identifier: MIT */
/* firn pipe info and verify: what a pipe holds, and whether all of it can be read. */
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "json.h"
#include "output.h"
#include "pipe.h"
#include "report.h"

/* ---- info ------------------------------------------------------------------------------- */

static void put_text(const char *file, const struct firn_pipe_info *info)
{
    char changes[FIGURES_SIZE];
    fields_line("pipe:", "%s", file);
    fields_bytes("chunk bytes:", info->chunk_bytes);
    fields_number("chunks:", info->chunks);
    fields_bytes("bytes:", info->chunks * info->chunk_bytes);
    fields_line("closed:", "%s",
                info->recovered ? "not cleanly: the next writer brings the file up to date"
                                : "cleanly");
    if (info->replayed)
        fields_line("journal:", "%s, %llu bytes, not in the file yet",
                    figures_count(changes, info->replayed, "change", "changes"),
                    (unsigned long long)info->journal_pending);
}

static void put_json(const char *file, const struct firn_pipe_info *info)
{
    putchar('{');
    fields_json_string("pipe", file);
    putchar(',');
    fields_json_number("chunk_bytes", info->chunk_bytes);
    putchar(',');
    fields_json_number("chunks", info->chunks);
    putchar(',');
    fields_json_number("bytes", info->chunks * info->chunk_bytes);
    printf(",\"clean\":%s,", info->recovered ? "false" : "true");
    fields_json_number("pending_changes", info->replayed);
    putchar(',');
    fields_json_number("pending_bytes", info->journal_pending);
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
    fields_json_string("pipe", file);
    putchar(',');
    fields_json_number("chunks", check->chunks);
    putchar(',');
    fields_json_number("unreadable_chunks", check->unreadable);
    putchar(',');
    fields_json_number("pending_changes", check->records);
    putchar(',');
    fields_json_number("damaged_slots", check->damaged_slots);
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
