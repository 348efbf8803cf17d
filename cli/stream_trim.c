/* SPDX-License-Identifier: MIT */
/* firn stream trim: files are removed from the beginning. */
#include "report.h"
#include "stream.h"

static const char name[] = "stream";

/* The file with the last byte stays, so that the stream does. */
static int find_position(const struct stream_call *call, uint64_t *position)
{
    const struct stream_options *options = &call->options;
    uint64_t end = firn_stream_end(call->stream);
    uint64_t kept = options->keep.value < end ? options->keep.value : end;
    *position = options->keep.given ? end - kept : options->before.value;
    if (*position > end)
        return report_failure(name, "%s/%s: position %llu is beyond the end, %llu", call->dir,
                              call->name, (unsigned long long)*position, (unsigned long long)end);
    if (*position == end && end > 0)
        *position = end - 1;
    return STATUS_DONE;
}

/* Loaded again, positions are what the next one to open it will see. */
static int tell(const struct stream_call *call, uint64_t files)
{
    struct firn_error err = {0};
    char count[FIGURES_SIZE], size[FIGURES_SIZE];
    uint64_t before = firn_stream_end(call->stream);
    if (files == 0) {
        report_note(name, "%s/%s: no file lies wholly before that", call->dir, call->name);
        return STATUS_DONE;
    }
    if (firn_stream_load(call->stream, &err))
        return stream_report(call, &err);
    uint64_t bytes = before - firn_stream_end(call->stream);
    report_note(name, "%s/%s: %s removed, %s: positions are smaller by %llu now", call->dir,
                call->name, figures_count(count, files, "file", "files"),
                figures_bytes(size, bytes), (unsigned long long)bytes);
    return STATUS_DONE;
}

static int release(struct stream_call *call, uint64_t *released)
{
    struct firn_error err = {0};
    char count[FIGURES_SIZE];
    if (firn_stream_release(call->stream, released, NULL, &err) == 0)
        return STATUS_DONE;
    int status = stream_report(call, &err);
    report_note(name, "%s/%s: %s removed", call->dir, call->name,
                figures_count(count, *released, "file", "files"));
    return status;
}

static int trim(struct stream_call *call)
{
    struct firn_error err = {0};
    uint64_t position = 0, released = 0;
    int status = find_position(call, &position);
    if (status != STATUS_DONE)
        return status;
    if (firn_stream_advance(call->stream, position, &err) < 0 ||
        firn_stream_shrink(call->stream, NULL, &err))
        return stream_report(call, &err);
    status = release(call, &released);
    return status == STATUS_DONE && !call->options.quiet ? tell(call, released) : status;
}

int stream_trim(struct stream_call *call)
{
    int status = stream_open_to_trim(call);
    if (status == STATUS_DONE)
        status = trim(call);
    return stream_close(call, status);
}
