/* SPDX-License-Identifier: MIT */
/* Reading in order, from a position that moves on. */
#include <stdlib.h>

#include "stack/stack_private.h"

struct firn_stack_reader {
    struct firn_stack *stack;
    uint64_t position;
};

int firn_stack_reader_open(struct firn_stack *stack, uint64_t position,
                           struct firn_stack_reader **reader, struct firn_error *err)
{
    struct firn_stack_reader *new = malloc(sizeof *new);
    if (!new)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a reader", stack->path);
    *new = (struct firn_stack_reader){stack, position};
    *reader = new;
    return 0;
}

void firn_stack_reader_close(struct firn_stack_reader *reader)
{
    free(reader);
}

/* Beyond the end there is nothing, and that is no error. */
int firn_stack_reader_read(struct firn_stack_reader *reader, void *buffer, size_t size, size_t *got,
                           struct firn_error *err)
{
    struct firn_error cause = {0};
    size_t bytes = 0;
    int rc = firn_stack_peek(reader->stack, reader->position, buffer, size, &bytes, &cause);
    if (rc < 0 && rc != FIRN_ERANGE) {
        if (err)
            *err = cause;
        return rc;
    }
    reader->position += bytes;
    *got = bytes;
    return 0;
}

int firn_stack_reader_seek(struct firn_stack_reader *reader, int64_t offset,
                           enum firn_stack_whence whence, uint64_t *position,
                           struct firn_error *err)
{
    uint64_t from = 0;
    if (whence == FIRN_SEEK_HERE)
        from = reader->position;
    else if (whence == FIRN_SEEK_END)
        from = firn_stack_length(reader->stack);
    else if (whence != FIRN_SEEK_START)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a seek from an unknown place",
                              reader->stack->path);
    bool back = offset < 0;
    uint64_t by = back ? 0 - (uint64_t)offset : (uint64_t)offset;
    if (back ? by > from : by > UINT64_MAX - from)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a seek by %lld from byte %llu",
                              reader->stack->path, (long long)offset, (unsigned long long)from);
    reader->position = back ? from - by : from + by;
    if (position)
        *position = reader->position;
    return 0;
}

uint64_t firn_stack_reader_position(const struct firn_stack_reader *reader)
{
    return reader->position;
}
