/* SPDX-License-Identifier: MIT */
/*
 * Appends to a stream on a file, each of them synced: the median against a bare durable write, into
 * a file of zeros, of the blocks that the append lies in, from the start of the first one. The
 * stream's space was prepared before.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <firn/stream.h>

enum { SHIFT = 12, BLOCK = 1 << SHIFT, META = 48, PAYLOAD = BLOCK - META, PAIRS = 4, WARM = 64 };

struct pair {
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
    int fd;
    size_t size;   /* of an append */
    uint64_t used; /* bytes of data in the bare file */
    uint8_t *bytes;
    struct samples bare, firn;
};

/* Where the byte at `offset` of the data lies in the file. */
static uint64_t place_of(uint64_t offset)
{
    return offset / PAYLOAD * BLOCK + META + offset % PAYLOAD;
}

static int write_bare(struct bench *bench, struct pair *pair, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t from = pair->used / PAYLOAD * BLOCK;
        pair->used += pair->size;
        size_t size = (size_t)(place_of(pair->used - 1) + 1 - from);
        uint64_t start = now_ns();
        if (bare_write_durable(pair->fd, pair->bytes, size, from) != 0)
            return bench_fail(bench, "a bare write: %s", strerror(errno));
        samples_add(&pair->bare, now_ns() - start);
    }
    return 0;
}

static int append_some(struct bench *bench, struct pair *pair, unsigned count, bool sampled)
{
    struct firn_error err = {0};
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (firn_stream_write(pair->stream, pair->bytes, pair->size, NULL, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        if (sampled)
            samples_add(&pair->firn, now_ns() - start);
    }
    return 0;
}

static int open_pair(struct bench *bench, struct pair *pair, uint64_t bytes)
{
    struct firn_error err = {0};
    uint64_t blocks = bytes / PAYLOAD + 2;
    int rc = firn_block_sequence_open(bench->dir, "stream", blocks, SHIFT, NULL, &pair->allocator,
                                      &err);
    if (rc == 0)
        rc = firn_stream_open(pair->allocator, NULL, &pair->stream, &err);
    if (rc == 0)
        rc = firn_stream_grow(pair->stream, &err);
    if (rc == 0)
        rc = firn_stream_prepare(pair->stream, bytes, &err);
    if (rc < 0)
        return bench_fail(bench, "%s", err.message);
    pair->fd = bare_zeroed(bench, "bare", blocks * BLOCK);
    return pair->fd < 0 ? -1 : append_some(bench, pair, WARM, false);
}

static int close_pair(struct bench *bench, struct pair *pair)
{
    struct firn_error err = {0};
    if (pair->fd >= 0)
        (void)close(pair->fd);
    remove_file(bench, "bare");
    int rc = firn_stream_close(pair->stream, &err);
    if (pair->allocator && firn_block_allocator_close(pair->allocator, rc == 0 ? &err : NULL) < 0)
        rc = -1;
    remove_file(bench, "stream.0001-12");
    samples_free(&pair->bare);
    samples_free(&pair->firn);
    free(pair->bytes);
    return rc < 0 ? bench_fail(bench, "%s", err.message) : 0;
}

static void report_pair(struct bench *bench, struct pair *pair)
{
    char name[96];
    double bare = samples_percentile(&pair->bare, 50) / 1000;
    double firn = samples_percentile(&pair->firn, 50) / 1000;
    snprintf(name, sizeof name, "bare %s, blocks of %zu bytes, p50", bare_how(), pair->size);
    bench_add(bench, name, "us", AIM_NONE, 0, bare, 0);
    snprintf(name, sizeof name, "append and sync of %zu bytes, p50", pair->size);
    bench_add(bench, name, "us", AIM_RATIO_MOST, 1.15, firn, firn / bare);
    bare = samples_percentile(&pair->bare, 99) / 1000;
    firn = samples_percentile(&pair->firn, 99) / 1000;
    snprintf(name, sizeof name, "the same of %zu bytes, p99, against bare p99", pair->size);
    bench_add(bench, name, "us", AIM_NONE, 0, firn, firn / bare);
    samples_clear(&pair->bare);
    samples_clear(&pair->firn);
}

static int append_run(struct bench *bench, size_t size, unsigned count)
{
    struct pair pair = {.fd = -1, .size = size, .bytes = malloc(2 * size + 3 * BLOCK)};
    if (!pair.bytes)
        return bench_fail(bench, "no memory");
    fill_bytes(pair.bytes, 2 * size + 3 * BLOCK);
    int rc = open_pair(bench, &pair, (uint64_t)(WARM + PAIRS * count) * size);
    for (unsigned i = 0; rc == 0 && i < PAIRS && bench_goes_on(); i++) {
        rc = write_bare(bench, &pair, count);
        if (rc == 0)
            rc = append_some(bench, &pair, count, true);
        if (rc == 0)
            report_pair(bench, &pair);
    }
    int close_rc = close_pair(bench, &pair);
    return rc < 0 ? rc : close_rc;
}

int bench_stream_append(struct bench *bench)
{
    static const struct {
        size_t size;
        unsigned count;
    } appends[] = {{256, 1000}, {4096, 1000}, {64 * 1024, 250}};
    int rc = 0;
    for (size_t i = 0; i < sizeof appends / sizeof *appends; i++)
        for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
            rc = append_run(bench, appends[i].size, appends[i].count / (bench->quick ? 10 : 1));
    return rc;
}
