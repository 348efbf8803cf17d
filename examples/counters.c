/* SPDX-License-Identifier: MIT */
/*
 * Counters in a file, several of which change together or not at all, whatever happens.
 *
 *     cc examples/counters.c $(pkg-config --cflags --libs firn) -o counters
 *     ./counters /tmp/counters 1 2 30    moves 30 from counter 1 to counter 2
 *
 * A counter is a chunk of a pipe. Counter 0 says how often something was moved.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/firn.h>

enum { COUNTERS = 4, START = 100 };

static int fail(const char *what, const struct firn_error *err)
{
    fprintf(stderr, "%s: %s (%s)\n", what, err->message, firn_error_name(err->code));
    return 1;
}

static int add(struct firn_pipe *pipe, struct firn_transaction *change, uint64_t index,
               int64_t amount, struct firn_error *err)
{
    int64_t value;
    const struct iovec buffer = {&value, sizeof value};
    int rc = firn_pipe_read(pipe, index, 1, &value, 0, err);
    if (rc < 0)
        return rc;
    value += amount;
    return firn_transaction_write(change, index, &buffer, 1, err);
}

/* All three change, durably when it returns 0; or none of them does. */
static int move(struct firn_pipe *pipe, uint64_t from, uint64_t to, int64_t amount,
                struct firn_error *err)
{
    struct firn_transaction *change = NULL;
    uint64_t epoch;
    int rc = firn_pipe_begin(pipe, &change, err);
    if (rc == 0)
        rc = add(pipe, change, from, -amount, err);
    if (rc == 0)
        rc = add(pipe, change, to, amount, err);
    if (rc == 0)
        rc = add(pipe, change, 0, 1, err);
    if (rc == 0)
        rc = firn_transaction_commit(change, &epoch, err);
    if (rc < 0) {
        firn_transaction_abandon(change);
        return rc;
    }
    return firn_pipe_force(pipe, epoch, err);
}

static int print_all(struct firn_pipe *pipe, struct firn_error *err)
{
    int64_t values[COUNTERS];
    int rc = firn_pipe_read(pipe, 0, COUNTERS, values, 0, err);
    if (rc < 0)
        return rc;
    printf("%" PRId64 " moves:", values[0]);
    for (unsigned i = 1; i < COUNTERS; i++)
        printf(" %" PRId64, START + values[i]); /* a new pipe's chunks are zero */
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    struct firn_error err = {0};
    struct firn_pipe *pipe;
    const struct firn_pipe_options options = {
        .chunk_bytes = sizeof(int64_t),
        .initial_chunks = COUNTERS,
    };
    if (argc != 5 || strcmp(argv[2], argv[3]) == 0) {
        fprintf(stderr, "usage: counters FILE FROM TO AMOUNT\n");
        return 2;
    }
    if (firn_pipe_open(argv[1], &options, &pipe, &err) < 0)
        return fail("open", &err);
    int rc = move(pipe, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
                  strtoll(argv[4], NULL, 10), &err);
    if (rc == 0)
        rc = print_all(pipe, &err);
    if (rc < 0) {
        fail("counters", &err);
        firn_pipe_close(pipe, NULL);
        return 1;
    }
    return firn_pipe_close(pipe, &err) < 0 ? fail("close", &err) : 0;
}
