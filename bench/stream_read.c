/* SPDX-License-Identifier: MIT */
/*
 * All of a stream: read by a reader that adds up what it gets, against a plain sum over as many
 * bytes in one piece; and loaded from files that are in the page cache, against a bare read of
 * them, in blocks of 1 MiB, into memory that is as fresh. Loading takes what it reads out of the
 * page cache, so the files are read into it before either.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <firn/stream.h>

enum { SHIFT = 12, PART = 64 * MIB, APPEND = 100 * 1000 };

static double mb_per_second(uint64_t bytes, uint64_t ns)
{
    return (double)bytes * 1e3 / (double)ns;
}

/* Appends of a size that divides nothing, some of which parts share. */
static int fill_stream(struct bench *bench, struct firn_block_allocator *allocator, uint64_t bytes,
                       struct firn_stream **stream)
{
    const struct firn_stream_options options = {.span_bytes = SIZE_MAX};
    struct firn_error err = {0};
    uint8_t *append = malloc(APPEND);
    int rc = append ? firn_stream_open(allocator, &options, stream, &err) : FIRN_ENOMEM;
    if (append)
        fill_bytes(append, APPEND);
    for (uint64_t at = 0; rc == 0 && at < bytes; at += APPEND) {
        rc = firn_stream_write(*stream, append, APPEND, NULL, &err);
        if (rc == FIRN_EAGAIN && (rc = firn_stream_grow(*stream, &err)) == 0)
            rc = firn_stream_write(*stream, append, APPEND, NULL, &err);
    }
    free(append);
    return rc < 0 ? bench_fail(bench, "%s", err.message) : 0;
}

static int close_allocator(struct bench *bench, struct firn_block_allocator *allocator)
{
    struct firn_error err = {0};
    if (!allocator || firn_block_allocator_close(allocator, &err) == 0)
        return 0;
    return bench_fail(bench, "%s", err.message);
}

/* ---- reading ---- */

static uint64_t sum_words(const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t sums[4] = {0}, words[4];
    for (; size >= sizeof words; size -= sizeof words, at += sizeof words) {
        memcpy(words, at, sizeof words);
        for (int i = 0; i < 4; i++)
            sums[i] += words[i];
    }
    for (; size > 0; size--)
        sums[0] += *at++;
    return sums[0] + sums[1] + sums[2] + sums[3];
}

static volatile uint64_t sink;

static uint64_t sum_plain(const void *bytes, size_t size)
{
    uint64_t start = now_ns();
    sink = sum_words(bytes, size);
    return now_ns() - start;
}

/* Nanoseconds; 0: failed. */
static uint64_t sum_stream(struct bench *bench, struct firn_stream *stream)
{
    struct firn_stream_reader *reader;
    struct firn_chunk chunk;
    uint64_t sum = 0, got = 0;
    uint64_t start = now_ns();
    int rc = firn_stream_reader_open(stream, &reader, NULL);
    while (rc == 0 && (rc = firn_stream_reader_next(reader, &chunk)) == 0) {
        sum += sum_words(chunk.data, chunk.size);
        got += chunk.size;
        firn_chunk_release(&chunk);
    }
    uint64_t taken = now_ns() - start;
    sink = sum;
    if (rc == FIRN_EEND)
        firn_stream_reader_close(reader);
    if (rc == FIRN_EEND && got == firn_stream_end(stream))
        return taken;
    (void)bench_fail(bench, "reading: %s", firn_error_name(rc));
    return 0;
}

static int read_runs(struct bench *bench, struct firn_stream *stream)
{
    uint64_t bytes = firn_stream_end(stream);
    uint8_t *plain = malloc((size_t)bytes);
    int rc = plain ? 0 : bench_fail(bench, "no memory");
    if (plain)
        fill_bytes(plain, (size_t)bytes);
    for (unsigned run = 0; rc == 0 && run < 4 * bench->runs && bench_goes_on(); run++) {
        uint64_t bare = sum_plain(plain, (size_t)bytes), firn = sum_stream(bench, stream);
        if (firn == 0) {
            rc = -1;
            break;
        }
        bench_add(bench, "plain sum over memory", "MB/s", AIM_NONE, 0, mb_per_second(bytes, bare),
                  0);
        bench_add(bench, "sum over a stream", "MB/s", AIM_RATIO_LEAST, 0.9,
                  mb_per_second(bytes, firn), (double)bare / (double)firn);
    }
    free(plain);
    return rc;
}

int bench_stream_read(struct bench *bench)
{
    struct firn_block_allocator *allocator = NULL;
    struct firn_stream *stream = NULL;
    struct firn_error err = {0};
    uint64_t bytes = (bench->quick ? 96u : 512u) * (uint64_t)MIB;
    if (firn_block_void_allocator_new(PART >> SHIFT, SHIFT, &allocator, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    int rc = fill_stream(bench, allocator, bytes, &stream);
    if (rc == 0)
        rc = read_runs(bench, stream);
    if (firn_stream_close(stream, &err) < 0)
        rc = bench_fail(bench, "%s", err.message);
    return close_allocator(bench, allocator) < 0 ? -1 : rc;
}

/* ---- opening ---- */

static void part_path(const struct bench *bench, unsigned part, char path[BENCH_PATH])
{
    char name[32];
    snprintf(name, sizeof name, "stream.%04x-%d", part, SHIFT);
    path_in(bench, name, path);
}

/* Into memory of its own, or, to have it in the page cache, into nothing. Bytes; 0: failed. */
static uint64_t read_part(const char *path, uint8_t *memory)
{
    uint8_t *scratch = memory ? NULL : malloc(MIB);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t at = 0;
    ssize_t n = fd >= 0 && (memory || scratch) ? 1 : 0;
    for (; n > 0; at += (uint64_t)n)
        n = pread(fd, memory ? memory + at : scratch, MIB, (off_t)at);
    if (fd >= 0)
        (void)close(fd);
    free(scratch);
    return n == 0 ? at : 0;
}

/* Nanoseconds of a bare read of all parts; or, not `fresh`, puts them into the page cache. */
static uint64_t read_parts(const struct bench *bench, unsigned parts, bool fresh)
{
    uint8_t *memory[64] = {0};
    char path[BENCH_PATH];
    bool good = parts <= 64;
    uint64_t start = now_ns();
    for (unsigned i = 0; good && i < parts; i++) {
        part_path(bench, i + 1, path);
        memory[i] = fresh ? malloc(PART) : NULL;
        good = (memory[i] || !fresh) && read_part(path, memory[i]) == PART;
    }
    uint64_t taken = now_ns() - start;
    for (unsigned i = 0; i < parts && i < 64; i++)
        free(memory[i]);
    return good ? taken : 0;
}

/* Nanoseconds; 0: failed. */
static uint64_t open_once(struct bench *bench, bool verify)
{
    const struct firn_block_options options = {.read_only = true};
    const struct firn_stream_options stream_options = {
        .span_bytes = SIZE_MAX, .read_only = true, .verify = verify};
    struct firn_block_allocator *allocator = NULL;
    struct firn_stream *stream = NULL;
    struct firn_error err = {0};
    uint64_t start = now_ns();
    int rc = firn_block_sequence_open(bench->dir, "stream", PART >> SHIFT, SHIFT, &options,
                                      &allocator, &err);
    if (rc == 0)
        rc = firn_stream_open(allocator, &stream_options, &stream, &err);
    uint64_t taken = now_ns() - start;
    int close_rc = firn_stream_close(stream, rc == 0 ? &err : NULL);
    if (rc < 0 || close_rc < 0)
        (void)bench_fail(bench, "%s", err.message);
    return close_allocator(bench, allocator) < 0 || rc < 0 || close_rc < 0 ? 0 : taken;
}

static int open_runs(struct bench *bench, unsigned parts)
{
    uint64_t bytes = parts * (uint64_t)PART;
    for (unsigned run = 0; run < 2 * bench->runs && bench_goes_on(); run++) {
        (void)read_parts(bench, parts, false);
        uint64_t bare = read_parts(bench, parts, true);
        (void)read_parts(bench, parts, false);
        uint64_t verified = open_once(bench, true);
        (void)read_parts(bench, parts, false);
        uint64_t quick = open_once(bench, false);
        if (bare == 0)
            return bench_fail(bench, "the stream's files can't be read");
        if (verified == 0 || quick == 0)
            return -1;
        bench_add(bench, "bare read from the page cache", "MB/s", AIM_NONE, 0,
                  mb_per_second(bytes, bare), 0);
        bench_add(bench, "opening, every block checked", "MB/s", AIM_RATIO_LEAST, 0.6,
                  mb_per_second(bytes, verified), (double)bare / (double)verified);
        bench_add(bench, "opening, quick checks", "MB/s", AIM_NONE, 0, mb_per_second(bytes, quick),
                  (double)bare / (double)quick);
    }
    return 0;
}

/* Parts that are full, and one that is all but full: of the last append nothing is missing. */
static int make_files(struct bench *bench, unsigned parts)
{
    struct firn_block_options options = {0};
    struct firn_block_allocator *allocator = NULL;
    struct firn_stream *stream = NULL;
    struct firn_error err = {0};
    if (unsynced_disk(bench, &options.disk) < 0)
        return -1;
    if (firn_block_sequence_open(bench->dir, "stream", PART >> SHIFT, SHIFT, &options, &allocator,
                                 &err) < 0)
        return bench_fail(bench, "%s", err.message);
    uint64_t data = (uint64_t)(PART >> SHIFT) * ((1 << SHIFT) - 48) * parts;
    int rc = fill_stream(bench, allocator, data - 2 * APPEND, &stream);
    if (firn_stream_close(stream, &err) < 0)
        rc = bench_fail(bench, "%s", err.message);
    if (close_allocator(bench, allocator) < 0)
        rc = -1;
    sync(); /* or the writing back goes on beside what is measured next */
    return rc;
}

int bench_stream_open(struct bench *bench)
{
    unsigned parts = bench->quick ? 2 : 8;
    char path[BENCH_PATH];
    int rc = make_files(bench, parts);
    if (rc == 0)
        rc = open_runs(bench, parts);
    for (unsigned i = 0; i < parts; i++) {
        part_path(bench, i + 1, path);
        remove_tree(path);
    }
    return rc;
}
