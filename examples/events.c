/* SPDX-License-Identifier: MIT */
/*
 * The latest events of a device: lines of text on blocks that are set aside once and used in turn.
 *
 *     cc examples/events.c $(pkg-config --cflags --libs firn) -o events
 *     ./events /tmp "door opened"    adds a line, or several; each is durable before the next
 *     ./events /tmp                  prints all lines
 *
 * A part of the stream has 64 blocks of 4 KiB. When there are more than three parts, the first one
 * goes.
 */
#include <stdio.h>
#include <string.h>

#include <firn/firn.h>

enum { BLOCKS = 64, BLOCK_SHIFT = 12, PARTS = 3 };

static int fail(const char *what, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, err->message, firn_error_name(err->code));
    return 1;
}

/* Lets go of the first part where there are too many: the offset is where it begins. */
static int forget_oldest(struct firn_stream *stream, struct firn_error *err)
{
    struct firn_stream_stats parts[PARTS + 1];
    if (firn_stream_part_stats(stream, parts, PARTS + 1) <= PARTS)
        return 0;
    int rc = firn_stream_advance(stream, firn_stream_offset(stream) + parts[0].data_used, err);
    if (rc >= 0)
        rc = firn_stream_shrink(stream, NULL, err);
    return rc < 0 ? rc : firn_stream_release(stream, NULL, NULL, err);
}

/* The whole line, durably, or nothing of it. A part is added where there is no room. */
static int add(struct firn_stream *stream, const char *text, struct firn_error *err)
{
    char line[1024];
    int size = snprintf(line, sizeof line, "%s\n", text);
    if (size >= (int)sizeof line)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "a line has at most %zu bytes",
                              sizeof line - 2);
    int rc = firn_stream_write(stream, line, (size_t)size, NULL, err);
    if (rc != FIRN_EAGAIN)
        return rc;
    rc = firn_stream_grow(stream, err);
    if (rc == 0)
        rc = firn_stream_write(stream, line, (size_t)size, NULL, err);
    return rc == 0 ? forget_oldest(stream, err) : rc;
}

static int print_all(struct firn_stream *stream, struct firn_error *err)
{
    struct firn_stream_reader *reader;
    struct firn_chunk chunk;
    int rc = firn_stream_reader_open(stream, &reader, err);
    if (rc < 0)
        return rc;
    while (firn_stream_reader_next(reader, &chunk) == 0) {
        fwrite(chunk.data, 1, chunk.size, stdout);
        firn_chunk_release(&chunk);
    }
    firn_stream_reader_close(reader);
    return 0;
}

int main(int argc, char **argv)
{
    const struct firn_block_options blocks = {.break_dead_lock = true};
    struct firn_block_allocator *allocator;
    struct firn_stream *stream = NULL;
    struct firn_error err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY [EVENT]...\n", argv[0]);
        return 2;
    }
    int rc = firn_block_sequence_open(argv[1], "events", BLOCKS, BLOCK_SHIFT, &blocks, &allocator,
                                      &err);
    if (rc < 0)
        return fail(argv[1], &err);
    rc = firn_stream_open(allocator, NULL, &stream, &err);
    if (rc == 0 && argc == 2)
        rc = print_all(stream, &err);
    for (int i = 2; i < argc && rc == 0; i++)
        rc = add(stream, argv[i], &err);
    int status = rc == 0 ? 0 : fail(argv[1], &err);
    if (firn_stream_close(stream, &err) < 0)
        status = fail("closing", &err);
    if (firn_block_allocator_close(allocator, &err) < 0)
        status = fail("closing", &err);
    return status;
}
