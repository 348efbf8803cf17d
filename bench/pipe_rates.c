/* SPDX-License-Identifier: MIT */
/*
 * Chunks at random, many a second: writers that wait, staging without waiting, and all of it in the
 * file at the end. The baseline of the last one is a durable write of the same bytes, in order, in
 * blocks of 1 MiB, into a file of zeros; the pipe's own file was written once before, too. Beside
 * it stand the same chunks written to their places by bare calls, any of which a crash may keep,
 * lose or tear. New files are compared with each other.
 */
#include "bench.h"
#include "crew.h"
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 512, ROW = 16, STATE = 88172645 };

/* ---- many writers ---- */

enum { CREW_CHUNKS = 1 << 16, CACHE_LINE = 64 };

struct writers {
    struct firn_pipe *pipe;
    uint8_t bytes[SMALL];
    struct {
        _Alignas(CACHE_LINE) uint64_t state;
    } each[CREW_MOST];
};

static int write_and_wait(void *arg, unsigned number, struct firn_error *err)
{
    struct writers *writers = arg;
    const struct iovec chunk = {writers->bytes, SMALL};
    uint64_t epoch;
    int rc = write_at_random(writers->pipe, CREW_CHUNKS, &writers->each[number].state, &chunk,
                             &epoch, err);
    return rc < 0 ? rc : firn_pipe_force(writers->pipe, epoch, err);
}

/* Chunks per second of `count` writers on a fresh pipe; negative: failed. */
static double writers_rate(struct bench *bench, unsigned count, bool say_groups)
{
    struct writers writers;
    const struct firn_pipe_options options = {.chunk_bytes = SMALL, .initial_chunks = CREW_CHUNKS};
    fill_bytes(writers.bytes, sizeof writers.bytes);
    for (unsigned i = 0; i < CREW_MOST; i++)
        writers.each[i].state = STATE * (uint64_t)(i + 1);
    if (open_pipe(bench, &options, &writers.pipe) < 0)
        return -1;
    double rate = crew_rate(bench, count, write_and_wait, &writers);
    struct firn_pipe_info info;
    firn_pipe_get_info(writers.pipe, &info);
    if (rate >= 0 && say_groups)
        crew_note_groups(bench, count, "chunks", &info.commit);
    return destroy_pipe(bench, writers.pipe) < 0 ? -1 : rate;
}

int bench_pipe_writers(struct bench *bench)
{
    static const struct {
        unsigned count;
        double target;
    } crews[] = {{4, 1.8}, {16, 6}};
    for (unsigned run = 0; run < bench->runs && bench_goes_on(); run++) {
        bool last = run + 1 == bench->runs;
        double one = writers_rate(bench, 1, last);
        if (one <= 0)
            return -1;
        bench_add(bench, "1 writer, random chunks of 512 bytes", "chunks/s", AIM_NONE, 0, one, 0);
        for (size_t i = 0; i < sizeof crews / sizeof crews[0] && bench_goes_on(); i++) {
            char name[64];
            double rate = writers_rate(bench, crews[i].count, last);
            if (rate < 0)
                return -1;
            snprintf(name, sizeof name, "%u writers, random chunks of 512 bytes", crews[i].count);
            bench_add(bench, name, "chunks/s", AIM_RATIO_LEAST, crews[i].target, rate, rate / one);
        }
    }
    return 0;
}

/* ---- staging ---- */

enum { STAGED_CHUNKS = 1 << 20 };

/* A call takes not much longer than reading the clock: it is read around every 16 calls. */
static int stage_rows(struct bench *bench, struct firn_pipe *pipe)
{
    uint8_t bytes[SMALL];
    struct samples samples = {0};
    struct firn_error err = {0};
    const struct iovec chunk = {bytes, SMALL};
    uint64_t state = STATE;
    int rc = 0;
    fill_bytes(bytes, sizeof bytes);
    for (unsigned i = 0; rc == 0 && i < (bench->quick ? 500 : 5000); i++) {
        uint64_t start = now_ns();
        for (unsigned j = 0; j < ROW; j++)
            rc |= write_at_random(pipe, STAGED_CHUNKS, &state, &chunk, NULL, &err);
        samples_add(&samples, now_ns() - start);
    }
    if (rc == 0)
        bench_add(bench, "staging 512 bytes, rows of 16 calls, p50", "ns", AIM_VALUE_MOST, 150,
                  samples_percentile(&samples, 50) / ROW, 0);
    else
        rc = bench_fail(bench, "%s", err.message);
    samples_free(&samples);
    return rc;
}

/* Chunks per second, with one wait, for all of them, at the end. */
static double stage_all(struct bench *bench, struct firn_pipe *pipe, uint64_t count)
{
    uint8_t bytes[SMALL];
    struct firn_error err = {0};
    const struct iovec chunk = {bytes, SMALL};
    uint64_t epoch = 0, state = STATE;
    int rc = 0;
    fill_bytes(bytes, sizeof bytes);
    uint64_t start = now_ns();
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = write_at_random(pipe, STAGED_CHUNKS, &state, &chunk, &epoch, &err);
    if (rc == 0)
        rc = firn_pipe_force(pipe, epoch, &err);
    uint64_t taken = now_ns() - start;
    return rc == 0 ? (double)count * 1e9 / (double)taken : bench_fail(bench, "%s", err.message);
}

/* `pool` 0: all as it is by default. Else nothing waits for a buffer or for room in the journal. */
static int staging_run(struct bench *bench, uint64_t pool, const char *name, enum aim aim)
{
    struct firn_error err = {0};
    struct firn_env *env = NULL;
    struct firn_pipe *pipe;
    const struct firn_env_options env_options = {.pool_bytes = pool};
    if (firn_env_new(&env_options, &env, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    const struct firn_pipe_options options = {
        .env = env,
        .chunk_bytes = SMALL,
        .initial_chunks = STAGED_CHUNKS,
        .journal_bytes = 2 * pool,
    };
    int rc = open_pipe(bench, &options, &pipe);
    if (rc == 0 && pool == 0)
        rc = stage_rows(bench, pipe);
    double rate = rc == 0 ? stage_all(bench, pipe, bench->quick ? 100000 : STAGED_CHUNKS) : -1;
    if (rate > 0)
        bench_add(bench, name, "chunks/s", aim, aim == AIM_NONE ? 0 : 800000, rate, 0);
    if (destroy_pipe(bench, pipe) < 0 || rate < 0)
        rc = -1;
    (void)firn_env_free(env);
    return rc;
}

int bench_pipe_staging(struct bench *bench)
{
    static const uint64_t large = 1024 * (uint64_t)MIB;
    int rc = 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++) {
        rc = staging_run(bench, large, "a million staged, one wait; 1 GiB pool", AIM_VALUE_LEAST);
        if (rc == 0)
            rc = staging_run(bench, 0, "the same with the default pool and journal", AIM_NONE);
    }
    return rc;
}

/* ---- all of it in the file ---- */

/* A file's worth of chunks, each once, in an order that looks like chance: `i` to a number below
 * 2^bits, and no two to the same one. */
static uint64_t scatter(uint64_t i, unsigned bits)
{
    uint64_t mask = (UINT64_C(1) << bits) - 1;
    for (unsigned round = 0; round < 2; round++) {
        i = i * UINT64_C(0x9e3779b97f4a7c15) & mask;
        i ^= i >> (bits / 2);
    }
    return i;
}

/* Nanoseconds to open the pipe, write all of it and close it; 0: failed. */
static uint64_t write_and_close(struct bench *bench, size_t chunk_bytes, unsigned bits)
{
    uint8_t bytes[CHUNK_MOST];
    struct firn_error err = {0};
    struct firn_pipe *pipe;
    const struct iovec chunk = {bytes, chunk_bytes};
    const struct firn_pipe_options options = {
        .chunk_bytes = chunk_bytes,
        .initial_chunks = UINT64_C(1) << bits,
    };
    fill_bytes(bytes, sizeof bytes);
    uint64_t start = now_ns();
    if (open_pipe(bench, &options, &pipe) < 0)
        return 0;
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < UINT64_C(1) << bits; i++)
        rc = firn_pipe_write(pipe, scatter(i, bits), &chunk, 1, NULL, &err);
    if (rc < 0)
        (void)bench_fail(bench, "%s", err.message);
    if (close_pipe(bench, pipe) < 0 || rc < 0)
        return 0;
    return now_ns() - start;
}

/* Nanoseconds; 0: failed. */
static uint64_t write_in_order(struct bench *bench, int fd, uint64_t bytes)
{
    uint8_t *block = malloc(MIB);
    if (!block)
        return 0;
    fill_bytes(block, MIB);
    int rc = 0;
    uint64_t start = now_ns();
    for (uint64_t at = 0; rc == 0 && at < bytes; at += MIB)
        rc = bare_write_durable(fd, block, MIB, at);
    uint64_t taken = now_ns() - start;
    if (rc < 0)
        (void)bench_fail(bench, "a bare write: %s", strerror(errno));
    free(block);
    return rc < 0 ? 0 : taken;
}

/* The same chunks at the same places of a file; nothing is safe before the sync at the end. */
static uint64_t write_scattered(struct bench *bench, int fd, size_t chunk_bytes, unsigned bits)
{
    uint8_t bytes[CHUNK_MOST];
    fill_bytes(bytes, sizeof bytes);
    uint64_t start = now_ns();
    bool written = true;
    for (uint64_t i = 0; written && i < UINT64_C(1) << bits; i++) {
        off_t at = (off_t)(scatter(i, bits) * chunk_bytes);
        written = pwrite(fd, bytes, chunk_bytes, at) == (ssize_t)chunk_bytes;
    }
    if (written && fdatasync(fd) == 0)
        return now_ns() - start;
    (void)bench_fail(bench, "bare writes: %s", strerror(errno));
    return 0;
}

/* The same into a new file, with one sync at the end. */
static uint64_t write_new(struct bench *bench, uint64_t bytes)
{
    char path[BENCH_PATH];
    path_in(bench, "new", path);
    uint64_t start = now_ns();
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written = fd >= 0 && bare_write_all(fd, bytes) && fdatasync(fd) == 0;
    uint64_t taken = now_ns() - start;
    if (!written)
        (void)bench_fail(bench, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    remove_file(bench, "new");
    return written ? taken : 0;
}

static double mb_per_second(uint64_t bytes, uint64_t ns)
{
    return (double)bytes * 1e3 / (double)ns;
}

static int applied_run(struct bench *bench, int fd, uint64_t bytes, size_t chunk)
{
    char name[96];
    unsigned bits = 0;
    while (chunk << bits < bytes)
        bits++;
    uint64_t bare_fresh = write_new(bench, bytes);
    uint64_t fresh = bare_fresh ? write_and_close(bench, chunk, bits) : 0;
    uint64_t bare = fresh ? write_in_order(bench, fd, bytes) : 0;
    uint64_t scattered = bare ? write_scattered(bench, fd, chunk, bits) : 0;
    uint64_t again = scattered ? write_and_close(bench, chunk, bits) : 0;
    struct firn_pipe *pipe = NULL;
    if (open_pipe(bench, NULL, &pipe) < 0 || destroy_pipe(bench, pipe) < 0)
        return -1;
    if (!again)
        return -1;
    bench_add(bench, "bare durable write, in order, blocks of 1 MiB", "MB/s", AIM_NONE, 0,
              mb_per_second(bytes, bare), 0);
    snprintf(name, sizeof name, "random chunks of %zu bytes, all in the file", chunk);
    bench_add(bench, name, "MB/s", AIM_RATIO_LEAST, 0.35, mb_per_second(bytes, again),
              (double)bare / (double)again);
    snprintf(name, sizeof name, "bare writes of the same %zu bytes there, one sync", chunk);
    bench_add(bench, name, "MB/s", AIM_NONE, 0, mb_per_second(bytes, scattered),
              (double)bare / (double)scattered);
    bench_add(bench, "bare write of a new file, in order, one sync", "MB/s", AIM_NONE, 0,
              mb_per_second(bytes, bare_fresh), 0);
    snprintf(name, sizeof name, "random chunks of %zu bytes, of a new pipe", chunk);
    bench_add(bench, name, "MB/s", AIM_NONE, 0, mb_per_second(bytes, fresh),
              (double)bare_fresh / (double)fresh);
    return 0;
}

int bench_pipe_applied(struct bench *bench)
{
    uint64_t bytes = (bench->quick ? 16u : 256u) * (uint64_t)MIB;
    int fd = bare_zeroed(bench, "bare", bytes);
    int rc = fd < 0 ? -1 : 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++) {
        rc = applied_run(bench, fd, bytes, SMALL);
        if (rc == 0)
            rc = applied_run(bench, fd, bytes, CHUNK_MOST);
    }
    if (fd >= 0)
        (void)close(fd);
    remove_file(bench, "bare");
    return rc;
}
