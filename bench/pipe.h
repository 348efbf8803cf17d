/* SPDX-License-Identifier: MIT */
/* What the benchmarks of pipes share. */
#ifndef BENCH_PIPE_H
#define BENCH_PIPE_H

#include <stdint.h>

#include <firn/pipe.h>

struct bench;

enum { CHUNK_MOST = 4096 };

/* Opens bench->dir/pipe, or creates it. */
int open_pipe(struct bench *bench, const struct firn_pipe_options *options,
              struct firn_pipe **pipe);
int close_pipe(struct bench *bench, struct firn_pipe *pipe);
int destroy_pipe(struct bench *bench, struct firn_pipe *pipe);

/* The next of a row of numbers without an order (xorshift). `*state` is not 0. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* One chunk at a place where chance puts it, of a number that is a power of two. */
static inline int write_at_random(struct firn_pipe *pipe, uint64_t chunks, uint64_t *state,
                                  const struct iovec *chunk, uint64_t *epoch,
                                  struct firn_error *err)
{
    return firn_pipe_write(pipe, next_random(state) >> 20 & (chunks - 1), chunk, 1, epoch, err);
}

#endif
