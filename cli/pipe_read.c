/* SPDX-License-Identifier: MIT */
/* firn pipe read: chunks to standard output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pipe.h"
#include "report.h"

static const char name[] = "pipe";

enum { PIECE_BYTES = 1024 * 1024 };

struct range {
    uint64_t index;
    uint64_t count;
    bool to_end;
};

/* STATUS_DONE, or STATUS_USAGE. */
static int parse_range(const struct pipe_call *call, struct range *range)
{
    char **more = call->more;
    *range = (struct range){.count = 1, .to_end = call->options.all};
    if (call->options.all)
        return more[0] ? report_usage(name, "read: --all leaves no choice of an index")
                       : STATUS_DONE;
    if (!more[0])
        return report_usage(name, "read: say which chunk, or --all");
    struct number number;
    const char *wanted = figures_parse_number(more[0], &number);
    if (wanted)
        return report_usage(name, "'%s' is no index: %s", more[0], wanted);
    range->index = number.value;
    if (!more[1])
        return STATUS_DONE;
    range->to_end = strcmp(more[1], "all") == 0;
    wanted = range->to_end ? NULL : figures_parse_number(more[1], &number);
    if (wanted)
        return report_usage(name, "'%s' is no count: %s, or 'all'", more[1], wanted);
    range->count = number.value;
    return STATUS_DONE;
}

/* Before anything is written. */
static int check_range(const struct pipe_call *call, struct range *range)
{
    char text[FIGURES_SIZE];
    uint64_t chunks = firn_pipe_count(call->pipe);
    if (range->to_end && range->index <= chunks)
        range->count = chunks - range->index;
    if (range->index <= chunks && range->count <= chunks - range->index)
        return STATUS_DONE;
    uint64_t first = range->index < chunks ? chunks : range->index;
    return report_failure(name, "%s: chunk %llu is beyond the end: it has %s", call->file,
                          (unsigned long long)first,
                          figures_count(text, chunks, "chunk", "chunks"));
}

static int put_chunks(struct pipe_call *call, const struct range *range)
{
    struct firn_error err = {0};
    uint64_t chunk = firn_pipe_chunk_bytes(call->pipe);
    uint64_t most = chunk < PIECE_BYTES ? PIECE_BYTES / chunk : 1;
    uint64_t end = range->index + range->count;
    char *piece = malloc((size_t)(most * chunk));
    int status = piece ? STATUS_DONE : report_failure(name, "out of memory");
    for (uint64_t at = range->index; status == STATUS_DONE && at < end && !output_failed();) {
        uint64_t count = end - at < most ? end - at : most;
        if (firn_pipe_read(call->pipe, at, count, piece, 0, &err))
            status = pipe_report(call, &err);
        else
            fwrite(piece, 1, (size_t)(count * chunk), stdout);
        at += count;
    }
    free(piece);
    return status;
}

int pipe_read(struct pipe_call *call)
{
    struct range range;
    int status = parse_range(call, &range);
    if (status != STATUS_DONE)
        return status;
    status = pipe_open_to_read(call);
    if (status == STATUS_DONE)
        status = check_range(call, &range);
    if (status == STATUS_DONE)
        status = put_chunks(call, &range);
    return pipe_close(call, status);
}
