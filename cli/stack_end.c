/* SPDX-License-Identifier: MIT */
/*
 * firn stack push, pop and peek: the end of a stack. The input of a push is gathered first, and is
 * one change. A pop writes what it takes, and takes it when all of that is written: should it be
 * interrupted in between, nothing is lost.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "report.h"
#include "signals.h"
#include "stack.h"

static const char name[] = "stack";

enum { PIECE_BYTES = 1024 * 1024 };

/* ---- push ------------------------------------------------------------------------------- */

struct input {
    char *bytes;
    size_t used, capacity;
};

static int enlarge(struct input *input)
{
    size_t capacity = input->capacity ? 2 * input->capacity : PIECE_BYTES;
    char *larger = realloc(input->bytes, capacity);
    if (!larger)
        return report_failure(name, "out of memory: the input has more than %zu bytes",
                              input->used);
    input->bytes = larger;
    input->capacity = capacity;
    return STATUS_DONE;
}

/* All of it, or until a signal comes. */
static int gather(struct input *input)
{
    for (;;) {
        int status = input->used == input->capacity ? enlarge(input) : STATUS_DONE;
        if (status != STATUS_DONE)
            return status;
        enum signals_wait ready = signals_wait(STDIN_FILENO, POLLIN, SIGNALS_FOREVER);
        if (ready == SIGNALS_INTERRUPTED || signals_caught())
            return STATUS_DONE;
        ssize_t got = read(STDIN_FILENO, input->bytes + input->used, input->capacity - input->used);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return report_failure(name, "standard input: %s", strerror(errno));
        if (got == 0)
            return STATUS_DONE;
        input->used += got > 0 ? (size_t)got : 0;
    }
}

static int push(struct stack_call *call, const struct input *input, double start)
{
    struct firn_error err = {0};
    char count[FIGURES_SIZE];
    uint64_t offset = 0;
    int status = stack_open_to_write(call, input->used);
    if (status == STATUS_DONE &&
        firn_stack_push(call->stack, input->bytes, input->used, &offset, &err))
        status = stack_report(&err);
    status = stack_close(call, status);
    if (status == STATUS_DONE && !call->options.quiet && input->used == 0)
        report_note(name, "%s: the input is empty", call->file);
    else if (status == STATUS_DONE && !call->options.quiet)
        report_note(name, "%s: %s at byte %llu, durable in %.3f s", call->file,
                    figures_count(count, input->used, "byte", "bytes"), (unsigned long long)offset,
                    figures_clock() - start);
    return status;
}

static int gather_and_push(struct stack_call *call)
{
    struct input input = {0};
    double start = figures_clock();
    int status = gather(&input);
    if (status == STATUS_DONE && signals_caught())
        report_note(name, "interrupted: %s: nothing was pushed", call->file);
    else if (status == STATUS_DONE)
        status = push(call, &input, start);
    free(input.bytes);
    return status;
}

int stack_push(struct stack_call *call)
{
    int error = signals_catch();
    int status = error ? report_failure(name, "signals: %s", strerror(error))
                       : gather_and_push(call);
    if (signals_caught() && status == STATUS_DONE)
        signals_end();
    return status;
}

/* ---- pop and peek ----------------------------------------------------------------------- */

struct range {
    uint64_t offset, bytes;
};

/* Before anything is written. */
static int find_range(const struct stack_call *call, struct range *range)
{
    char text[FIGURES_SIZE];
    struct number count = {0};
    uint64_t length = firn_stack_length(call->stack);
    const struct number *from = &call->options.from;
    uint64_t most = !from->given ? length : from->value < length ? length - from->value : 0;
    count.value = most;
    if (strcmp(call->bytes, "all") != 0)
        (void)figures_parse_size(call->bytes, &count); /* was looked at before */
    *range = (struct range){from->given ? from->value : length - count.value, count.value};
    if (count.value <= most && (!from->given || from->value <= length))
        return STATUS_DONE;
    return report_failure(name, "%s: there are fewer: it has %s", call->file,
                          figures_count(text, length, "byte", "bytes"));
}

static int put_range(struct stack_call *call, const struct range *range)
{
    struct firn_error err = {0};
    int status = STATUS_DONE;
    char *piece = malloc(PIECE_BYTES);
    if (!piece)
        return report_failure(name, "out of memory");
    for (uint64_t done = 0; status == STATUS_DONE && done < range->bytes && !output_failed();) {
        uint64_t left = range->bytes - done;
        size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        if (firn_stack_get(call->stack, range->offset + done, piece, size, &err))
            status = stack_report(&err);
        else
            fwrite(piece, 1, size, stdout);
        done += size;
    }
    free(piece);
    return status;
}

static int check_count(const struct stack_call *call)
{
    struct number count;
    const char *wanted = figures_parse_size(call->bytes, &count);
    if (!wanted || strcmp(call->bytes, "all") == 0)
        return STATUS_DONE;
    return report_usage(name, "'%s' is no count: %s, or 'all'", call->bytes, wanted);
}

int stack_peek(struct stack_call *call)
{
    struct range range;
    int status = check_count(call);
    if (status != STATUS_DONE)
        return status;
    status = stack_open_to_read(call);
    if (status == STATUS_DONE)
        status = find_range(call, &range);
    if (status == STATUS_DONE)
        status = put_range(call, &range);
    return stack_close(call, status);
}

static int take(struct stack_call *call, const struct range *range)
{
    struct firn_error err = {0};
    int status = put_range(call, range);
    if (status == STATUS_DONE && (fflush(stdout) != 0 || output_failed()))
        return STATUS_FAILED; /* output_end says why */
    if (status == STATUS_DONE && firn_stack_discard(call->stack, range->bytes, &err))
        status = stack_report(&err);
    return status;
}

int stack_pop(struct stack_call *call)
{
    struct range range;
    int status = check_count(call);
    if (status != STATUS_DONE)
        return status;
    status = stack_open_to_write(call, 0);
    if (status == STATUS_DONE)
        status = find_range(call, &range);
    if (status == STATUS_DONE)
        status = take(call, &range);
    return stack_close(call, status);
}
