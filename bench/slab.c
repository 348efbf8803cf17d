/* SPDX-License-Identifier: MIT */
/*
 * Slabs: a block that is handed out and taken back, both durable, against one bare durable write of
 * as many bytes, into a file of zeros.
 */
#include "bench.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <firn/slab.h>

enum { BLOCK = 64, PAIRS = 4, WARM = 512, HELD = 1000 };

struct pair {
    struct firn_stack *stack;
    struct firn_slab *slab;
    int fd;
    uint64_t offset; /* in the bare file */
    uint8_t bytes[BLOCK];
    struct samples bare, firn;
};

static int write_bare(struct bench *bench, struct pair *pair, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (bare_write_durable(pair->fd, pair->bytes, BLOCK, pair->offset) != 0)
            return bench_fail(bench, "a bare write: %s", strerror(errno));
        samples_add(&pair->bare, now_ns() - start);
        pair->offset += BLOCK;
    }
    return 0;
}

/* Samples are of both calls together. */
static int alloc_and_free(struct bench *bench, struct pair *pair, unsigned count,
                          struct samples *samples)
{
    struct firn_error err = {0};
    struct firn_slab_slice slice;
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (firn_slab_alloc(pair->slab, BLOCK, &slice, &err) < 0 ||
            firn_slab_dealloc(pair->slab, slice, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        if (samples)
            samples_add(samples, now_ns() - start);
    }
    return 0;
}

/* ---- both in turn ---- */

static int open_slab(struct bench *bench, struct pair *pair)
{
    static uint64_t lengths[HELD];
    static struct firn_slab_slice held[HELD];
    char path[BENCH_PATH];
    struct firn_error err = {0};
    for (int i = 0; i < HELD; i++)
        lengths[i] = BLOCK;
    path_in(bench, "slab", path);
    if (firn_stack_open(path, NULL, &pair->stack, &err) < 0 ||
        firn_slab_create(pair->stack, BLOCK, &pair->slab, &err) < 0 ||
        firn_slab_alloc_many(pair->slab, lengths, HELD, held, &err) < 0 ||
        firn_slab_dealloc_many(pair->slab, held, HELD / 2, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    return 0;
}

static int start_pair(struct bench *bench, struct pair *pair, unsigned count)
{
    fill_bytes(pair->bytes, sizeof pair->bytes);
    pair->fd = bare_zeroed(bench, "bare", (uint64_t)PAIRS * count * BLOCK);
    if (pair->fd < 0 || open_slab(bench, pair) < 0)
        return -1;
    return alloc_and_free(bench, pair, WARM, NULL);
}

static int end_pair(struct bench *bench, struct pair *pair)
{
    struct firn_error err = {0};
    if (pair->fd >= 0)
        (void)close(pair->fd);
    remove_file(bench, "bare");
    samples_free(&pair->bare);
    samples_free(&pair->firn);
    firn_slab_close(pair->slab);
    if (!pair->stack || firn_stack_destroy(pair->stack, &err) == 0)
        return 0;
    return bench_fail(bench, "%s", err.message);
}

static void report_pair(struct bench *bench, struct pair *pair)
{
    char name[96];
    double bare = samples_percentile(&pair->bare, 50) / 1000;
    double firn = samples_percentile(&pair->firn, 50) / 1000;
    snprintf(name, sizeof name, "bare %s, %d bytes, p50", bare_how(), BLOCK);
    bench_add(bench, name, "us", AIM_NONE, 0, bare, 0);
    snprintf(name, sizeof name, "durable alloc and dealloc of %d bytes, p50", BLOCK);
    bench_add(bench, name, "us", AIM_RATIO_MOST, 2.5, firn, firn / bare);
    samples_clear(&pair->bare);
    samples_clear(&pair->firn);
}

static int pair_run(struct bench *bench)
{
    struct pair pair = {.fd = -1};
    unsigned count = bench->quick ? 100 : 1000;
    int rc = start_pair(bench, &pair, count);
    for (unsigned i = 0; rc == 0 && i < PAIRS && bench_goes_on(); i++) {
        rc = write_bare(bench, &pair, count);
        if (rc == 0)
            rc = alloc_and_free(bench, &pair, count, &pair.firn);
        if (rc == 0)
            report_pair(bench, &pair);
    }
    int end_rc = end_pair(bench, &pair);
    return rc < 0 ? rc : end_rc;
}

int bench_slab(struct bench *bench)
{
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = pair_run(bench);
    return rc;
}
