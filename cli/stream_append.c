/* SPDX-License-Identifier: MIT */
/*
 * firn stream append: bytes from standard input.
 *
 * What the input has is gathered until it pauses, or is much; of that, one append is made after
 * another, each synced before the next one. What belongs together (lines, pieces of one length) is
 * in one append, so that a crash leaves it whole or leaves it out. Else the appends are cut so that
 * they fill a file to its last byte.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acks.h"
#include "input.h"
#include "output.h"
#include "report.h"
#include "signals.h"
#include "stream.h"

static const char name[] = "stream";

enum {
    PIECE_BYTES = 1024 * 1024,
    GATHERING_MS = 10,
    ACK_SIZE = 24,
};

struct appending {
    struct stream_call *call;
    struct firn_stream *stream;
    char *bytes; /* input that is not appended, from `begin` to `end` */
    size_t begin, end, capacity;
    size_t searched;  /* so many of them hold no newline */
    uint64_t room;    /* in the file that is appended to */
    uint64_t durable; /* bytes of the input */
    uint64_t appends;
    bool ended;       /* the input, or a signal came */
    int output_error; /* errno: acknowledgements can't be written any more */
    double start;
};

static size_t least(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

/* ---- files ------------------------------------------------------------------------------ */

/* Of the first file that has any: what lies behind it is empty. */
static int find_room(struct appending *appending)
{
    size_t count = firn_stream_part_stats(appending->stream, NULL, 0);
    struct firn_stream_stats *parts = calloc(count ? count : 1, sizeof *parts);
    if (!parts)
        return report_failure(name, "out of memory");
    firn_stream_part_stats(appending->stream, parts, count);
    appending->room = 0;
    for (size_t i = 0; i < count && !appending->room; i++)
        appending->room = parts[i].data_available;
    free(parts);
    return STATUS_DONE;
}

static int grow(struct appending *appending)
{
    struct firn_error err = {0};
    if (firn_stream_grow(appending->stream, &err))
        return stream_report(appending->call, &err);
    return find_room(appending);
}

/* ---- what is appended next -------------------------------------------------------------- */

/* Of the first `size` bytes, those up to the last newline. */
static size_t up_to_newline(const char *bytes, size_t size)
{
    while (size > 0 && bytes[size - 1] != '\n')
        size--;
    return size;
}

/* As many as go into the file that is appended to, or into the next one; else one, whatever its
 * length, that may go on there. 0: none is whole. */
static size_t whole_lines(struct appending *appending)
{
    const struct stream_call *call = appending->call;
    const char *bytes = appending->bytes + appending->begin;
    size_t there = appending->end - appending->begin, most = least(there, PIECE_BYTES);
    const char *newline = memchr(bytes + appending->searched, '\n', there - appending->searched);
    if (!newline) {
        appending->searched = there;
        return 0;
    }
    size_t first = (size_t)(newline - bytes) + 1;
    size_t size = up_to_newline(bytes, least(most, appending->room));
    if (size == 0 && first >= call->options.span.value)
        size = up_to_newline(bytes, least(most, call->file_bytes));
    return size ? size : first;
}

/* 0: more input is needed. */
static size_t next_size(struct appending *appending)
{
    const struct stream_options *options = &appending->call->options;
    size_t there = appending->end - appending->begin;
    size_t rest = appending->ended && !signals_caught() ? there : 0;
    size_t size;
    if (there == 0)
        return 0;
    if (options->lines)
        size = whole_lines(appending);
    else if (options->piece.given)
        size = there >= options->piece.value ? (size_t)options->piece.value : 0;
    else
        size = least(there, PIECE_BYTES);
    return size ? size : rest;
}

/* ---- appending -------------------------------------------------------------------------- */

static int acknowledge(struct appending *appending)
{
    char text[ACK_SIZE];
    int length = snprintf(text, sizeof text, "%llu\n", (unsigned long long)appending->durable);
    int error = acks_write(text, (size_t)length);
    if (!error || error == EINTR)
        return STATUS_DONE;
    appending->output_error = error;
    return error == EPIPE ? STATUS_FAILED
                          : report_failure(name, "standard output: %s", strerror(error));
}

/* `more`: not all of it has been read. */
static int refuse_size(const struct appending *appending, size_t size, bool more)
{
    return report_failure(name,
                          "byte %llu of the input: %zu bytes%s belong together, more than a file "
                          "takes: with a larger --block-count new ones take more",
                          (unsigned long long)appending->durable, size, more ? " or more" : "");
}

/* Grows once, where no file has room. */
static int write_bytes(struct appending *appending, size_t size)
{
    struct firn_error err = {0};
    const char *bytes = appending->bytes + appending->begin;
    int rc = firn_stream_write(appending->stream, bytes, size, NULL, &err);
    if (rc == FIRN_EAGAIN && size > appending->call->file_bytes)
        return refuse_size(appending, size, false);
    if (rc == FIRN_EAGAIN) {
        int status = grow(appending);
        if (status != STATUS_DONE)
            return status;
        rc = firn_stream_write(appending->stream, bytes, size, NULL, &err);
    }
    if (rc == FIRN_ETOOBIG)
        return refuse_size(appending, size, false);
    return rc ? stream_report(appending->call, &err) : STATUS_DONE;
}

static int append_bytes(struct appending *appending, size_t size)
{
    const struct stream_options *options = &appending->call->options;
    bool may_be_cut = !options->lines && !options->piece.given;
    int status = STATUS_DONE;
    if (may_be_cut && !appending->room)
        status = grow(appending);
    if (may_be_cut)
        size = least(size, appending->room);
    if (status == STATUS_DONE)
        status = write_bytes(appending, size);
    if (status != STATUS_DONE)
        return status;
    appending->begin += size;
    appending->searched = 0;
    appending->durable += size;
    appending->appends++;
    if (size <= appending->room)
        appending->room -= size;
    else
        status = find_room(appending);
    return status == STATUS_DONE && options->ack ? acknowledge(appending) : status;
}

/* ---- input ------------------------------------------------------------------------------ */

/* Room for more of it: at the buffer's end, by moving what is there to its beginning; or more
 * memory, where one append needs it. */
static int make_room(struct appending *appending)
{
    size_t there = appending->end - appending->begin;
    if (appending->begin > 0) {
        memmove(appending->bytes, appending->bytes + appending->begin, there);
        appending->begin = 0;
        appending->end = there;
    }
    if (there < appending->capacity)
        return STATUS_DONE;
    if (there > appending->call->file_bytes + appending->room || there > FIRN_STREAM_APPEND_MAX)
        return refuse_size(appending, there, true);
    size_t capacity = appending->capacity ? 2 * appending->capacity : PIECE_BYTES;
    char *larger = realloc(appending->bytes, capacity);
    if (!larger)
        return report_failure(name, "byte %llu of the input: no memory for %zu bytes",
                              (unsigned long long)appending->durable, capacity);
    appending->bytes = larger;
    appending->capacity = capacity;
    return STATUS_DONE;
}

/* Waits for some input, and takes what follows at once. */
static int gather(struct appending *appending)
{
    int status = make_room(appending), timeout = SIGNALS_FOREVER;
    double start = 0;
    while (status == STATUS_DONE && appending->end < appending->capacity && !appending->ended) {
        enum signals_wait ready = signals_wait(STDIN_FILENO, POLLIN, timeout);
        if (ready == SIGNALS_INTERRUPTED || signals_caught())
            appending->ended = true;
        else if (ready == SIGNALS_READY)
            status = input_read(name, appending->bytes + appending->end,
                                appending->capacity - appending->end, &appending->end,
                                &appending->ended);
        if (timeout == SIGNALS_FOREVER)
            start = figures_clock();
        else if (ready == SIGNALS_TIMED_OUT || figures_clock() - start > GATHERING_MS / 1e3)
            break;
        timeout = 0;
    }
    return status;
}

static int append_all(struct appending *appending)
{
    int status = find_room(appending);
    while (status == STATUS_DONE) {
        size_t size = next_size(appending);
        if (!size && appending->ended)
            break;
        status = size ? append_bytes(appending, size) : gather(appending);
    }
    return status;
}

/* ---- the whole -------------------------------------------------------------------------- */

static void tell_done(const struct appending *appending)
{
    char count[FIGURES_SIZE], size[FIGURES_SIZE];
    const struct stream_call *call = appending->call;
    if (!appending->durable)
        report_note(name, "%s/%s: the input is empty", call->dir, call->name);
    else
        report_note(name, "%s/%s: %s, %s, durable in %.3f s", call->dir, call->name,
                    figures_bytes(size, appending->durable),
                    figures_count(count, appending->appends, "append", "appends"),
                    figures_clock() - appending->start);
}

/* How far it got that failed or was interrupted. */
static void tell_rest(const struct appending *appending)
{
    char count[FIGURES_SIZE];
    const struct stream_call *call = appending->call;
    const char *why = signals_caught() ? "interrupted: " : "";
    unsigned long long durable = appending->durable;
    if (durable)
        report_note(name, "%s%s/%s: %s durable: go on with byte %llu of the input", why, call->dir,
                    call->name, figures_count(count, durable, "byte", "bytes"), durable);
    else
        report_note(name, "%s%s/%s: nothing was appended", why, call->dir, call->name);
}

static int run(struct appending *appending)
{
    struct stream_call *call = appending->call;
    int status = stream_open_to_append(call);
    if (status != STATUS_DONE)
        return stream_close(call, status);
    appending->stream = call->stream;
    status = stream_close(call, append_all(appending));
    free(appending->bytes);
    if (appending->output_error == EPIPE)
        return status;
    if (status != STATUS_DONE || signals_caught())
        tell_rest(appending);
    else if (!call->options.quiet)
        tell_done(appending);
    return status;
}

int stream_append(struct stream_call *call)
{
    struct appending appending = {.call = call, .start = figures_clock()};
    int error = signals_catch();
    int status = error ? report_failure(name, "signals: %s", strerror(error)) : run(&appending);
    if (appending.output_error == EPIPE)
        return output_end_by_pipe();
    if (signals_caught() && status == STATUS_DONE)
        signals_end();
    return status;
}
