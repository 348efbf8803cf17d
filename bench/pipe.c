/* SPDX-License-Identifier: MIT */
/*
 * Chunks written at random, and waited for: the median against a bare durable write of the same
 * bytes, one after the other into a file of zeros; single chunks, and transactions of 64.
 */
#include "bench.h"
#include "pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS = 1 << 16, TOGETHER = 64, PAIRS = 4, WARM = 512, STATE = 88172645 };

struct pair {
    struct firn_pipe *pipe;
    int fd;
    uint64_t offset; /* in the bare file */
    uint64_t state;
    size_t chunk, together; /* bytes of a chunk, chunks at a time */
    bool apart;             /* a millisecond passes before each */
    uint8_t *bytes;
    struct samples bare, firn;
};

/* ---- both sides ---- */

static void pause_before(const struct pair *pair)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    if (pair->apart)
        nanosleep(&millisecond, NULL);
}

static int write_bare(struct bench *bench, struct pair *pair, unsigned count)
{
    size_t size = pair->chunk * pair->together;
    for (unsigned i = 0; i < count; i++) {
        pause_before(pair);
        uint64_t start = now_ns();
        if (bare_write_durable(pair->fd, pair->bytes, size, pair->offset) != 0)
            return bench_fail(bench, "a bare write: %s", strerror(errno));
        samples_add(&pair->bare, now_ns() - start);
        pair->offset += size;
    }
    return 0;
}

static int write_chunk(struct pair *pair, uint64_t *epoch, struct firn_error *err)
{
    const struct iovec chunk = {pair->bytes, pair->chunk};
    return write_at_random(pair->pipe, CHUNKS, &pair->state, &chunk, epoch, err);
}

static int write_transaction(struct pair *pair, uint64_t *epoch, struct firn_error *err)
{
    struct firn_transaction *transaction;
    int rc = firn_pipe_begin(pair->pipe, &transaction, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < pair->together; i++) {
        const struct iovec chunk = {pair->bytes + i * pair->chunk, pair->chunk};
        uint64_t index = next_random(&pair->state) >> 20 & (CHUNKS - 1);
        rc = firn_transaction_write(transaction, index, &chunk, 1, err);
    }
    if (rc == 0)
        rc = firn_transaction_commit(transaction, epoch, err);
    if (rc < 0)
        firn_transaction_abandon(transaction);
    return rc;
}

static int write_pipe(struct bench *bench, struct pair *pair, unsigned count,
                      struct samples *samples)
{
    struct firn_error err = {0};
    for (unsigned i = 0; i < count; i++) {
        pause_before(pair);
        uint64_t epoch = 0, start = now_ns();
        int rc = pair->together > 1 ? write_transaction(pair, &epoch, &err)
                                    : write_chunk(pair, &epoch, &err);
        if (rc == 0)
            rc = firn_pipe_force(pair->pipe, epoch, &err);
        if (rc < 0)
            return bench_fail(bench, "%s", err.message);
        if (samples)
            samples_add(samples, now_ns() - start);
    }
    return 0;
}

/* ---- the median ---- */

static int start_pair(struct bench *bench, struct pair *pair, unsigned count)
{
    size_t size = pair->chunk * pair->together;
    const struct firn_pipe_options options = {.chunk_bytes = pair->chunk, .initial_chunks = CHUNKS};
    pair->bytes = malloc(size);
    if (!pair->bytes)
        return bench_fail(bench, "no memory");
    fill_bytes(pair->bytes, size);
    pair->fd = bare_zeroed(bench, "bare", (uint64_t)PAIRS * count * size);
    if (pair->fd < 0 || open_pipe(bench, &options, &pair->pipe) < 0)
        return -1;
    return write_pipe(bench, pair, WARM, NULL);
}

static int end_pair(struct bench *bench, struct pair *pair)
{
    if (pair->fd >= 0)
        (void)close(pair->fd);
    remove_file(bench, "bare");
    samples_free(&pair->bare);
    samples_free(&pair->firn);
    free(pair->bytes);
    return destroy_pipe(bench, pair->pipe);
}

static void report_pair(struct bench *bench, struct pair *pair, double target)
{
    char name[96];
    double bare = samples_percentile(&pair->bare, 50) / 1000;
    double firn = samples_percentile(&pair->firn, 50) / 1000;
    const char *apart = pair->apart ? ", 1 ms apart" : "";
    snprintf(name, sizeof name, "bare %s, %zu bytes%s, p50", bare_how(),
             pair->chunk * pair->together, apart);
    bench_add(bench, name, "us", AIM_NONE, 0, bare, 0);
    if (pair->together > 1)
        snprintf(name, sizeof name, "transaction of %zu x %zu bytes%s, p50", pair->together,
                 pair->chunk, apart);
    else
        snprintf(name, sizeof name, "durable write of a chunk of %zu bytes, p50", pair->chunk);
    bench_add(bench, name, "us", target > 0 ? AIM_RATIO_MOST : AIM_NONE, target, firn, firn / bare);
    samples_clear(&pair->bare);
    samples_clear(&pair->firn);
}

static int pair_run(struct bench *bench, size_t chunk, size_t together, bool apart, unsigned count,
                    double target)
{
    struct pair pair = {.fd = -1, .chunk = chunk, .together = together, .state = STATE};
    int rc = start_pair(bench, &pair, count);
    pair.apart = apart;
    for (unsigned i = 0; rc == 0 && i < PAIRS && bench_goes_on(); i++) {
        rc = write_bare(bench, &pair, count);
        if (rc == 0)
            rc = write_pipe(bench, &pair, count, &pair.firn);
        if (rc == 0)
            report_pair(bench, &pair, target);
    }
    int end_rc = end_pair(bench, &pair);
    return rc < 0 ? rc : end_rc;
}

static int runs_of(struct bench *bench, size_t together, bool apart, unsigned count, double target)
{
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = pair_run(bench, 512, together, apart, count, target);
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = pair_run(bench, CHUNK_MOST, together, apart, count, target);
    return rc;
}

int bench_pipe(struct bench *bench)
{
    return runs_of(bench, 1, false, bench->quick ? 100 : 1000, 1.2);
}

/*
 * The latency of a transaction is that of one that comes alone. One after another they come faster
 * than scattered chunks can be brought to their places, and wait for that.
 */
int bench_transactions(struct bench *bench)
{
    unsigned count = bench->quick ? 20 : 200;
    int rc = runs_of(bench, TOGETHER, true, count, 1.3);
    return rc < 0 ? rc : runs_of(bench, TOGETHER, false, count, 0);
}

/* ---- for all of them ---- */

int open_pipe(struct bench *bench, const struct firn_pipe_options *options, struct firn_pipe **pipe)
{
    char path[BENCH_PATH];
    struct firn_error err = {0};
    path_in(bench, "pipe", path);
    if (firn_pipe_open(path, options, pipe, &err) == 0)
        return 0;
    *pipe = NULL;
    return bench_fail(bench, "%s", err.message);
}

int close_pipe(struct bench *bench, struct firn_pipe *pipe)
{
    struct firn_error err = {0};
    return firn_pipe_close(pipe, &err) == 0 ? 0 : bench_fail(bench, "%s", err.message);
}

int destroy_pipe(struct bench *bench, struct firn_pipe *pipe)
{
    struct firn_error err = {0};
    if (!pipe || firn_pipe_destroy(pipe, &err) == 0)
        return 0;
    return bench_fail(bench, "%s", err.message);
}
