/* SPDX-License-Identifier: MIT */
/*
 * firn pipe write: chunks from standard input.
 *
 * Whole chunks are staged as they come, and waited for together: when the input has nothing more
 * to give, or when much was staged or some time ago. With --atomic all of the input is gathered
 * first, and is one transaction.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "pipe.h"
#include "report.h"
#include "signals.h"

static const char name[] = "pipe";

enum {
    PIECE_BYTES = 1024 * 1024,
    UNSETTLED_BYTES = 4 * 1024 * 1024,
    UNSETTLED_MS = 10,
};

struct writing {
    struct pipe_call *call;
    struct firn_pipe *pipe;
    uint64_t chunk; /* bytes */
    uint64_t first; /* chunk that the input begins with */
    uint64_t staged, durable;
    uint64_t epoch; /* of what is staged */
    double since;   /* figures_clock: when the first of it was that is not durable */
    double start;
    char *bytes; /* input that is not staged */
    size_t used, capacity;
    bool ended; /* the input, or a signal came */
};

/* ---- input ------------------------------------------------------------------------------ */

static int read_some(struct writing *writing)
{
    return input_read(name, writing->bytes + writing->used, writing->capacity - writing->used,
                      &writing->used, &writing->ended);
}

static int settle(struct writing *writing)
{
    struct firn_error err = {0};
    if (writing->durable == writing->staged)
        return STATUS_DONE;
    if (firn_pipe_force(writing->pipe, writing->epoch, &err))
        return pipe_report(writing->call, &err);
    writing->durable = writing->staged;
    return STATUS_DONE;
}

static bool has_waited_enough(const struct writing *writing)
{
    uint64_t waiting = writing->staged - writing->durable;
    if (waiting == 0)
        return false;
    return waiting * writing->chunk >= UNSETTLED_BYTES ||
           figures_clock() - writing->since >= UNSETTLED_MS / 1e3;
}

/* Reads until the buffer is full, the input pauses with a whole chunk there, or it ends. What is
 * staged becomes durable before it waits for more. */
static int fill(struct writing *writing)
{
    int status = has_waited_enough(writing) ? settle(writing) : STATUS_DONE;
    while (status == STATUS_DONE && writing->used < writing->capacity && !writing->ended) {
        enum signals_wait ready = signals_wait(STDIN_FILENO, POLLIN, 0);
        if (ready == SIGNALS_TIMED_OUT && writing->used >= writing->chunk)
            return STATUS_DONE;
        if (ready == SIGNALS_TIMED_OUT && (status = settle(writing)) == STATUS_DONE)
            ready = signals_wait(STDIN_FILENO, POLLIN, SIGNALS_FOREVER);
        if (ready == SIGNALS_INTERRUPTED || signals_caught())
            writing->ended = true;
        else if (ready == SIGNALS_READY)
            status = read_some(writing);
    }
    return status;
}

/* At the end of the input. */
static int complete_last(struct writing *writing)
{
    size_t part = writing->used % writing->chunk;
    if (part == 0 || signals_caught())
        return STATUS_DONE;
    if (!writing->call->options.pad)
        return report_failure(name,
                              "standard input ends within a chunk, after %zu of %llu bytes: --pad "
                              "fills it with zeros",
                              part, (unsigned long long)writing->chunk);
    memset(writing->bytes + writing->used, 0, writing->chunk - part); /* capacity: whole chunks */
    writing->used += writing->chunk - part;
    return STATUS_DONE;
}

/* ---- room ------------------------------------------------------------------------------- */

/* How many of `count` chunks there is room for at `index`, having made it where that is asked. */
static int make_room(struct writing *writing, uint64_t index, uint64_t count, uint64_t *room)
{
    struct firn_error err = {0};
    uint64_t chunks = firn_pipe_count(writing->pipe);
    *room = index < chunks ? chunks - index : 0;
    if (*room >= count)
        *room = count;
    if (*room == count || !writing->call->options.grow)
        return STATUS_DONE;
    uint64_t end = index > UINT64_MAX - count ? UINT64_MAX : index + count;
    if (firn_pipe_grow(writing->pipe, end - chunks, &err))
        return pipe_report(writing->call, &err);
    *room = count;
    return STATUS_DONE;
}

static int refuse_end(const struct writing *writing, uint64_t index)
{
    char text[FIGURES_SIZE];
    return report_failure(name, "%s: chunk %llu is beyond the end: it has %s; --grow adds more",
                          writing->call->file, (unsigned long long)index,
                          figures_count(text, firn_pipe_count(writing->pipe), "chunk", "chunks"));
}

/* ---- one by one ------------------------------------------------------------------------- */

static int stage(struct writing *writing)
{
    struct firn_error err = {0};
    uint64_t count = writing->used / writing->chunk, room = 0;
    uint64_t index = writing->first + writing->staged;
    if (count == 0)
        return STATUS_DONE;
    int status = make_room(writing, index, count, &room);
    size_t size = (size_t)(room * writing->chunk);
    const struct iovec all = {writing->bytes, size};
    if (status != STATUS_DONE)
        return status;
    if (room && firn_pipe_write(writing->pipe, index, &all, 1, &writing->epoch, &err))
        return pipe_report(writing->call, &err);
    if (writing->durable == writing->staged)
        writing->since = figures_clock();
    writing->staged += room;
    writing->used -= size;
    memmove(writing->bytes, writing->bytes + size, writing->used);
    return room < count ? refuse_end(writing, index + room) : STATUS_DONE;
}

static int write_stream(struct writing *writing)
{
    uint64_t capacity = writing->chunk < PIECE_BYTES ? PIECE_BYTES / writing->chunk : 1;
    writing->capacity = (size_t)(capacity * writing->chunk);
    writing->bytes = malloc(writing->capacity);
    if (!writing->bytes)
        return report_failure(name, "out of memory");
    int status = STATUS_DONE;
    while (status == STATUS_DONE && !writing->ended) {
        status = fill(writing);
        int completed = STATUS_DONE;
        if (status == STATUS_DONE && writing->ended)
            completed = complete_last(writing);
        if (status == STATUS_DONE)
            status = stage(writing);
        if (status == STATUS_DONE)
            status = completed;
    }
    int settled = settle(writing); /* whatever happened */
    return status == STATUS_DONE ? settled : status;
}

/* ---- all or nothing --------------------------------------------------------------------- */

static int refuse_size(const struct writing *writing)
{
    char text[FIGURES_SIZE];
    return report_failure(name,
                          "%s: the input does not fit in one transaction, of %s at most: write it "
                          "in parts, or without --atomic",
                          writing->call->file, figures_bytes(text, PIPE_ATOMIC_MOST));
}

/* Memory for twice as much as there is, or for a first piece. */
static int enlarge(struct writing *writing)
{
    uint64_t bytes = writing->capacity ? 2 * (uint64_t)writing->capacity : PIECE_BYTES;
    uint64_t chunks = (bytes + writing->chunk - 1) / writing->chunk;
    char *larger = realloc(writing->bytes, (size_t)(chunks * writing->chunk));
    if (!larger)
        return report_failure(name, "out of memory");
    writing->bytes = larger;
    writing->capacity = (size_t)(chunks * writing->chunk);
    return STATUS_DONE;
}

/* The whole input. */
static int gather(struct writing *writing)
{
    int status = STATUS_DONE;
    while (status == STATUS_DONE && !writing->ended) {
        if (writing->used > PIPE_ATOMIC_MOST)
            return refuse_size(writing);
        if (writing->used == writing->capacity)
            status = enlarge(writing);
        else if (signals_wait(STDIN_FILENO, POLLIN, SIGNALS_FOREVER) == SIGNALS_INTERRUPTED)
            writing->ended = true;
        else
            status = read_some(writing);
        writing->ended |= signals_caught() != 0;
    }
    if (status == STATUS_DONE)
        status = complete_last(writing);
    return status == STATUS_DONE && writing->used > PIPE_ATOMIC_MOST ? refuse_size(writing)
                                                                     : status;
}

static int commit(struct writing *writing, struct firn_transaction *transaction)
{
    struct firn_error err = {0};
    const struct iovec all = {writing->bytes, writing->used};
    int result = firn_transaction_write(transaction, writing->first, &all, 1, &err);
    if (result == 0)
        result = firn_transaction_commit(transaction, &writing->epoch, &err);
    if (result == 0) {
        writing->staged = writing->used / writing->chunk;
        return settle(writing);
    }
    firn_transaction_abandon(transaction);
    return pipe_report(writing->call, &err);
}

static int write_atomic(struct writing *writing)
{
    struct firn_error err = {0};
    struct firn_transaction *transaction = NULL;
    int status = gather(writing);
    if (status != STATUS_DONE || writing->used == 0 || signals_caught())
        return status;
    uint64_t count = writing->used / writing->chunk, room = 0;
    status = make_room(writing, writing->first, count, &room);
    if (status != STATUS_DONE)
        return status;
    if (room < count)
        return refuse_end(writing, writing->first + room);
    if (firn_pipe_begin(writing->pipe, &transaction, &err))
        return pipe_report(writing->call, &err);
    return commit(writing, transaction);
}

/* ---- the whole -------------------------------------------------------------------------- */

static void put_range(char text[64], const struct writing *writing)
{
    unsigned long long first = writing->first, count = writing->durable;
    if (count == 1)
        snprintf(text, 64, " (%llu)", first);
    else
        snprintf(text, 64, " (%llu to %llu)", first, first + count - 1);
}

static void tell_done(const struct writing *writing)
{
    char count[FIGURES_SIZE], size[FIGURES_SIZE], range[64];
    if (!writing->durable) {
        report_note(name, "%s: the input is empty", writing->call->file);
        return;
    }
    put_range(range, writing);
    report_note(name, "%s: %s%s, %s, durable in %.3f s", writing->call->file,
                figures_count(count, writing->durable, "chunk", "chunks"), range,
                figures_bytes(size, writing->durable * writing->chunk),
                figures_clock() - writing->start);
}

/* How far it got that failed or was interrupted. */
static void tell_rest(const struct writing *writing)
{
    char count[FIGURES_SIZE], range[64];
    uint64_t bytes = writing->durable * writing->chunk, next = writing->first + writing->durable;
    const char *file = writing->call->file, *why = signals_caught() ? "interrupted: " : "";
    if (writing->durable) {
        put_range(range, writing);
        report_note(name, "%s%s: %s%s durable: go on with byte %llu of the input at chunk %llu",
                    why, file, figures_count(count, writing->durable, "chunk", "chunks"), range,
                    (unsigned long long)bytes, (unsigned long long)next);
    } else if (writing->staged) {
        report_note(name, "%s%s: no chunk is known to be durable", why, file);
    } else {
        report_note(name, "%s%s: nothing was written", why, file);
    }
}

static int find_first(struct writing *writing)
{
    const char *text = writing->call->more[0];
    uint64_t chunks = firn_pipe_count(writing->pipe);
    struct number first = {.value = chunks};
    if (strcmp(text, "end") != 0)
        (void)figures_parse_number(text, &first); /* was looked at before */
    writing->first = first.value;
    if (first.value > chunks && !writing->call->options.grow)
        return refuse_end(writing, first.value);
    return STATUS_DONE;
}

static int run(struct pipe_call *call)
{
    struct writing writing = {.call = call, .start = figures_clock()};
    int status = pipe_open_to_write(call);
    if (status != STATUS_DONE)
        return pipe_close(call, status);
    writing.pipe = call->pipe;
    writing.chunk = firn_pipe_chunk_bytes(call->pipe);
    status = find_first(&writing);
    if (status != STATUS_DONE)
        return pipe_close(call, status);
    status = call->options.atomic ? write_atomic(&writing) : write_stream(&writing);
    status = pipe_close(call, status);
    if (status != STATUS_DONE || signals_caught())
        tell_rest(&writing);
    else if (!call->options.quiet)
        tell_done(&writing);
    free(writing.bytes);
    return status;
}

int pipe_write(struct pipe_call *call)
{
    struct number first;
    const char *wanted = figures_parse_number(call->more[0], &first);
    if (wanted && strcmp(call->more[0], "end") != 0)
        return report_usage(name, "'%s' is no index: %s, or 'end'", call->more[0], wanted);
    int error = signals_catch();
    int status = error ? report_failure(name, "signals: %s", strerror(error)) : run(call);
    if (signals_caught() && status == STATUS_DONE)
        signals_end();
    return status;
}
