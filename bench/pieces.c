/* SPDX-License-Identifier: MIT */
/*
 * One very long record: appended in pieces and made durable, against a bare buffered write of the
 * same bytes, which is not synced; and read back in pieces, after all of it was checked, against a
 * bare read. In processes of their own, whose memory counts.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <firn/spool.h>

struct result {
    uint64_t staged_ns; /* all of it given to firn */
    uint64_t ns;        /* all of it durable, or read */
    uint64_t kib;       /* resident at most */
    bool good;
};

static uint64_t peak_kib(void)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtoull(line + 6, NULL, 10);
    if (file)
        (void)fclose(file);
    return kib;
}

static int stream_in(const char *path, uint64_t bytes, struct result *result)
{
    const struct firn_log_options options = {
        .segment_bytes = 1024 * (uint64_t)MIB,
        .segment_overflow_bytes = 512 * (uint64_t)MIB,
    };
    struct firn_log *log;
    struct firn_spool *spool;
    uint8_t *piece = malloc(MIB);
    if (!piece || firn_log_open(path, &options, &log, NULL) < 0)
        return -1;
    fill_bytes(piece, MIB);
    uint64_t start = now_ns();
    int rc = firn_spool_open(log, NULL, 0, &spool, NULL);
    for (uint64_t at = 0; rc == 0 && at < bytes; at += MIB)
        rc = firn_spool_write(spool, piece, MIB, NULL);
    result->staged_ns = now_ns() - start;
    if (rc == 0)
        rc = firn_spool_finish(spool, NULL, NULL, NULL);
    result->ns = now_ns() - start;
    free(piece);
    return firn_log_close(log, NULL) < 0 ? -1 : rc;
}

static int read_value(struct firn_cursor *cursor, uint64_t bytes)
{
    const struct firn_record *record;
    uint8_t *piece = malloc(MIB);
    size_t got = 1;
    uint64_t at = 0;
    int rc = piece ? firn_cursor_next(cursor, &record, NULL) : -1;
    for (; rc == 0 && got > 0; at += got)
        rc = firn_cursor_read_value(cursor, at, piece, MIB, &got, NULL);
    free(piece);
    return rc == 0 && at == bytes ? 0 : -1;
}

static int stream_out(const char *path, uint64_t bytes, struct result *result)
{
    const struct firn_log_options options = {.read_only = true};
    const struct firn_cursor_options pieces = {.value_bytes = MIB};
    struct firn_log *log;
    struct firn_cursor *cursor;
    if (firn_log_open(path, &options, &log, NULL) < 0 ||
        firn_cursor_open(log, &pieces, &cursor, NULL) < 0)
        return -1;
    uint64_t start = now_ns();
    int rc = read_value(cursor, bytes);
    result->ns = now_ns() - start;
    firn_cursor_close(cursor);
    firn_log_close(log, NULL);
    return rc;
}

typedef int stream_fn(const char *path, uint64_t bytes, struct result *result);

static int run_child(struct bench *bench, stream_fn *stream, const char *path, uint64_t bytes,
                     struct result *result)
{
    int out[2];
    if (pipe(out) < 0)
        return bench_fail(bench, "no pipe");
    pid_t child = fork();
    if (child == 0) {
        struct result own = {0};
        own.good = stream(path, bytes, &own) == 0;
        own.kib = peak_kib();
        _exit(write(out[1], &own, sizeof own) == sizeof own ? 0 : 1);
    }
    (void)close(out[1]);
    memset(result, 0, sizeof *result);
    bool got = child > 0 && read(out[0], result, sizeof *result) == sizeof *result;
    (void)close(out[0]);
    (void)waitpid(child, NULL, 0);
    return got && result->good ? 0 : bench_fail(bench, "streaming in a process of its own failed");
}

static double rate(uint64_t bytes, uint64_t ns)
{
    return (double)bytes / (double)ns * 1e9 / MIB;
}

static uint64_t bare_write(struct bench *bench, uint64_t bytes)
{
    char path[BENCH_PATH];
    path_in(bench, "bare", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t ns = fd < 0 ? 0 : bare_write_all(fd, bytes);
    if (fd >= 0)
        (void)close(fd);
    return ns;
}

static uint64_t bare_read(struct bench *bench)
{
    char path[BENCH_PATH];
    uint64_t bytes;
    path_in(bench, "bare", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t ns = fd < 0 ? 0 : bare_read_all(fd, &bytes);
    if (fd >= 0)
        (void)close(fd);
    return ns;
}

static int run_once(struct bench *bench, uint64_t bytes)
{
    char path[BENCH_PATH];
    struct result in, out;
    path_in(bench, "stream", path);
    remove_tree(path);
    remove_file(bench, "bare");
    sync(); /* or what is written back of the last run slows down this one */
    uint64_t write_ns = bare_write(bench, bytes), read_ns = bare_read(bench);
    sync();
    if (write_ns == 0 || read_ns == 0)
        return bench_fail(bench, "the bare file could not be written and read");
    if (run_child(bench, stream_in, path, bytes, &in) < 0 ||
        run_child(bench, stream_out, path, bytes, &out) < 0)
        return -1;
    bench_add(bench, "bare buffered write, not synced", "MiB/s", AIM_NONE, 0, rate(bytes, write_ns),
              0);
    bench_add(bench, "a record streamed in, durable", "MiB/s", AIM_RATIO_LEAST, 0.3,
              rate(bytes, in.ns), (double)write_ns / (double)in.ns);
    bench_add(bench, "the same, before it is made durable", "MiB/s", AIM_NONE, 0,
              rate(bytes, in.staged_ns), (double)write_ns / (double)in.staged_ns);
    bench_add(bench, "bare read from the page cache", "MiB/s", AIM_NONE, 0, rate(bytes, read_ns),
              0);
    bench_add(bench, "streamed out, checked before", "MiB/s", AIM_RATIO_LEAST, 0.3,
              rate(bytes, out.ns), (double)read_ns / (double)out.ns);
    bench_add(bench, "resident at most, streaming in", "MiB", AIM_VALUE_MOST, 32,
              (double)in.kib / 1024, 0);
    bench_add(bench, "resident at most, streaming out", "MiB", AIM_VALUE_MOST, 32,
              (double)out.kib / 1024, 0);
    return 0;
}

int bench_pieces(struct bench *bench)
{
    uint64_t bytes = (bench->quick ? 64u : 1024u) * (uint64_t)MIB;
    int rc = 0;
    bench_note(bench, "one record of %u MiB", (unsigned)(bytes / MIB));
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = run_once(bench, bytes);
    return rc;
}
