/* SPDX-License-Identifier: MIT */
/* firn stream info and verify: what a stream holds, and whether all of it is as it should be. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"
#include "json.h"
#include "output.h"
#include "report.h"
#include "stream.h"

static const char name[] = "stream";

struct look {
    struct stream_call *call;
    struct firn_stream_stats stats;
    struct firn_stream_recovery recovery;
    struct firn_stream_stats *parts; /* one for each file */
    size_t count;
    uint64_t findings;
    bool begun; /* the object, in JSON */
};

static int take_figures(struct look *look)
{
    struct firn_stream *stream = look->call->stream;
    firn_stream_get_stats(stream, &look->stats);
    firn_stream_get_recovery(stream, &look->recovery);
    look->count = firn_stream_part_stats(stream, NULL, 0);
    look->parts = calloc(look->count ? look->count : 1, sizeof *look->parts);
    if (!look->parts)
        return report_failure(name, "out of memory");
    firn_stream_part_stats(stream, look->parts, look->count);
    return STATUS_DONE;
}

static const char *file_name(const struct look *look, uint64_t part, char text[NAME_MAX + 1])
{
    sequence_put_file(&look->call->sequence, part, text, NAME_MAX + 1);
    return text;
}

static void put_comma(void)
{
    putchar(',');
}

static void put_number(const char *key, uint64_t value)
{
    fields_json_number(key, value);
    put_comma();
}

/* `"stream":"events/main",` */
static void put_stream(const struct look *look)
{
    char place[PATH_MAX];
    snprintf(place, sizeof place, "%s/%s", look->call->dir, look->call->name);
    fields_json_string("stream", place);
    put_comma();
}

/* ---- info ------------------------------------------------------------------------------- */

static void put_files(const struct look *look)
{
    char file[NAME_MAX + 1];
    printf("\n%-16s %8s %10s %12s %12s %12s\n", "file", "blocks", "block size", "used", "wasted",
           "available");
    for (size_t i = 0; i < look->count && !output_failed(); i++) {
        const struct firn_stream_stats *part = &look->parts[i];
        printf("%-16s %8llu %10llu %12llu %12llu %12llu\n", file_name(look, i, file),
               (unsigned long long)part->blocks, 1ull << part->block_shift,
               (unsigned long long)part->data_used, (unsigned long long)part->data_wasted,
               (unsigned long long)part->data_available);
    }
}

static void put_closed(const struct look *look)
{
    if (!look->recovery.recovered)
        fields_line("closed:", "cleanly");
    else if (look->recovery.cut_bytes)
        fields_line("closed:", "not cleanly: %llu bytes that were not acknowledged are left out",
                    (unsigned long long)look->recovery.cut_bytes);
    else
        fields_line("closed:", "not cleanly: nothing is missing");
}

static void put_text(const struct look *look)
{
    const struct firn_stream_stats *stats = &look->stats;
    const struct stream_call *call = look->call;
    char first[NAME_MAX + 1], last[NAME_MAX + 1];
    fields_line("stream:", "%s/%s", call->dir, call->name);
    file_name(look, 0, first);
    if (look->count == 1)
        fields_line("files:", "1 (%s)", first);
    else
        fields_line("files:", "%zu (%s to %s)", look->count, first,
                    file_name(look, look->count - 1, last));
    fields_number("blocks:", stats->blocks);
    fields_bytes("block bytes:", UINT64_C(1) << stats->block_shift);
    fields_bytes("bytes:", stats->blocks_bytes);
    fields_bytes("capacity:", stats->data_capacity);
    fields_bytes("used:", stats->data_used);
    fields_bytes("wasted:", stats->data_wasted);
    fields_bytes("available:", stats->data_available);
    fields_number("end:", firn_stream_end(call->stream));
    put_closed(look);
    if (call->was_locked)
        fields_line("locked:", "by process %lld, which is gone", (long long)call->holder.process);
    if (call->options.files)
        put_files(look);
}

static void put_stats(const struct firn_stream_stats *stats)
{
    put_number("blocks", stats->blocks);
    put_number("block_bytes", UINT64_C(1) << stats->block_shift);
    put_number("bytes", stats->blocks_bytes);
    put_number("capacity", stats->data_capacity);
    put_number("used", stats->data_used);
    put_number("wasted", stats->data_wasted);
    fields_json_number("available", stats->data_available);
}

static void put_json(const struct look *look)
{
    char file[NAME_MAX + 1];
    putchar('{');
    put_stream(look);
    put_stats(&look->stats);
    put_comma();
    put_number("end", firn_stream_end(look->call->stream));
    printf("\"clean\":%s,", look->recovery.recovered ? "false" : "true");
    put_number("cut_bytes", look->recovery.cut_bytes);
    printf("\"dead_lock\":");
    if (look->call->was_locked)
        printf("%lld", (long long)look->call->holder.process);
    else
        printf("null");
    printf(",\"files\":[");
    for (size_t i = 0; i < look->count && !output_failed(); i++) {
        fputs(i ? ",{" : "{", stdout);
        fields_json_string("file", file_name(look, i, file));
        put_comma();
        put_stats(&look->parts[i]);
        putchar('}');
    }
    puts("]}");
}

int stream_info(struct stream_call *call)
{
    struct look look = {.call = call};
    int status = stream_open_to_read(call);
    if (status == STATUS_DONE)
        status = take_figures(&look);
    if (status == STATUS_DONE)
        (call->options.json ? put_json : put_text)(&look);
    free(look.parts);
    return stream_close(call, status);
}

/* ---- verify ----------------------------------------------------------------------------- */

/* Where in its file the block begins. The library has not said how large it is. */
static uint64_t byte_of(const struct look *look, const struct firn_stream_finding *finding)
{
    const struct sequence *sequence = &look->call->sequence;
    return finding->block << sequence->shifts[(uint16_t)(sequence->first + finding->part)];
}

static void begin_json(struct look *look)
{
    if (look->begun)
        return;
    look->begun = true;
    putchar('{');
    put_stream(look);
    fputs("\"findings\":[", stdout);
}

static void put_finding(void *arg, const struct firn_stream_finding *finding)
{
    struct look *look = arg;
    char file[NAME_MAX + 1];
    const char *text = firn_stream_fault_text(finding->fault);
    bool is_first = look->findings++ == 0;
    file_name(look, finding->part, file);
    if (look->call->options.json) {
        begin_json(look);
        fputs(is_first ? "{" : ",{", stdout);
        fields_json_string("file", file);
        put_comma();
        put_number("block", finding->block);
        put_number("byte", byte_of(look, finding));
        fields_json_string("text", text);
        putchar('}');
    } else {
        printf("%s: block %llu, at byte %llu: %s\n", file, (unsigned long long)finding->block,
               (unsigned long long)byte_of(look, finding), text);
    }
}

static void put_check(const struct look *look, double seconds)
{
    char text[4][FIGURES_SIZE];
    const struct firn_stream_stats *stats = &look->stats;
    if (look->findings) {
        printf("%s\n", figures_count(text[0], look->findings, "finding", "findings"));
        return;
    }
    if (look->recovery.recovered)
        printf("not closed: %llu bytes that were not acknowledged are left out\n",
               (unsigned long long)look->recovery.cut_bytes);
    printf("%s, %s, %s, in %.3f s (%s/s): all is well\n",
           figures_count(text[0], stats->parts, "file", "files"),
           figures_count(text[1], stats->blocks, "block", "blocks"),
           figures_bytes(text[2], stats->data_used), seconds,
           figures_bytes(text[3], (uint64_t)((double)stats->data_used / seconds)));
}

static void put_check_json(struct look *look)
{
    begin_json(look);
    putchar(']');
    if (!look->findings) {
        put_comma();
        put_number("blocks", look->stats.blocks);
        put_number("used", look->stats.data_used);
        printf("\"clean\":%s", look->recovery.recovered ? "false" : "true");
    }
    puts("}");
}

static int check(struct look *look)
{
    struct firn_error err = {0};
    const struct firn_stream_options options = {
        .verify = true,
        .finding = put_finding,
        .arg = look,
    };
    double start = figures_clock();
    int rc = stream_load_to_read(look->call, &options, &err);
    if (rc && !look->findings)
        return stream_report(look->call, &err);
    if (!rc && stream_check_exists(look->call) != STATUS_DONE)
        return STATUS_FAILED;
    if (!rc) {
        firn_stream_get_recovery(look->call->stream, &look->recovery);
        firn_stream_get_stats(look->call->stream, &look->stats);
    }
    if (look->call->options.json)
        put_check_json(look);
    else if (!look->call->options.quiet)
        put_check(look, figures_clock() - start);
    return rc ? STATUS_FAILED : STATUS_DONE;
}

int stream_verify(struct stream_call *call)
{
    struct look look = {.call = call};
    call->verifies = true;
    int status = stream_open_blocks_to_read(call);
    if (status == STATUS_DONE)
        status = check(&look);
    return stream_close(call, status);
}
