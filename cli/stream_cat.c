/* SPDX-License-Identifier: MIT */
/* firn stream cat: bytes to standard output. */
#include <stdio.h>

#include "output.h"
#include "report.h"
#include "stream.h"

static const char name[] = "stream";

enum { PIECE_BYTES = 1024 * 1024 };

struct range {
    uint64_t from, to;
};

static int find_range(const struct stream_call *call, struct range *range)
{
    const struct stream_options *options = &call->options;
    uint64_t end = firn_stream_end(call->stream);
    *range = (struct range){.from = options->from.value, .to = end};
    if (options->last.given && options->last.value < end)
        range->from = end - options->last.value;
    if (options->to.given && options->to.value < end)
        range->to = options->to.value;
    if (range->from <= end)
        return STATUS_DONE;
    return report_failure(name, "%s/%s: position %llu is beyond the end, %llu", call->dir,
                          call->name, (unsigned long long)range->from, (unsigned long long)end);
}

static void put_chunk(const struct firn_chunk *chunk, uint64_t to)
{
    const char *data = chunk->data;
    size_t size = to - chunk->position < chunk->size ? (size_t)(to - chunk->position) : chunk->size;
    for (size_t at = 0; at < size && !output_failed();) {
        size_t piece = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
        fwrite(data + at, 1, piece, stdout);
        at += piece;
    }
}

static int put_range(struct stream_call *call, const struct range *range)
{
    struct firn_error err = {0};
    struct firn_stream_reader *reader;
    struct firn_chunk chunk;
    if (firn_stream_advance(call->stream, range->from, &err) < 0)
        return stream_report(call, &err);
    if (firn_stream_reader_open(call->stream, &reader, &err))
        return stream_report(call, &err);
    while (firn_stream_reader_position(reader) < range->to && !output_failed() &&
           firn_stream_reader_next(reader, &chunk) == 0) {
        put_chunk(&chunk, range->to);
        firn_chunk_release(&chunk);
    }
    firn_stream_reader_close(reader);
    return STATUS_DONE;
}

int stream_cat(struct stream_call *call)
{
    struct range range;
    int status = stream_open_to_read(call);
    if (status == STATUS_DONE)
        status = find_range(call, &range);
    if (status == STATUS_DONE)
        status = put_range(call, &range);
    return stream_close(call, status);
}
