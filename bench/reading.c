/* SPDX-License-Identifier: MIT */
/*
 * Reading a log that is in the page cache from its beginning to its end, every byte checked by its
 * batch's checksum, against a bare read of the same files in blocks of 1 MiB.
 */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_store(const char *name)
{
    size_t size = strlen(name);
    return size > 4 && strcmp(name + size - 4, ".log") == 0;
}

/* Nanoseconds to read all stores of the log; 0: failed. */
static uint64_t bare_read_log(struct bench *bench, const char *name, uint64_t *bytes)
{
    char path[BENCH_PATH];
    uint64_t taken = 0;
    *bytes = 0;
    path_in(bench, name, path);
    DIR *dir = opendir(path);
    for (struct dirent *entry = NULL; dir && (entry = readdir(dir));) {
        if (!is_store(entry->d_name))
            continue;
        uint64_t size = 0;
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
        uint64_t one = fd < 0 ? 0 : bare_read_all(fd, &size);
        if (fd >= 0)
            (void)close(fd);
        if (one == 0)
            (void)bench_fail(bench, "%s/%s: %s", path, entry->d_name, strerror(errno));
        taken += one;
        *bytes += size;
    }
    if (dir)
        (void)closedir(dir);
    return bench->failed ? 0 : taken;
}

/* Nanoseconds to read `count` records of `size` bytes; 0: failed. */
static uint64_t read_log(struct bench *bench, struct firn_log *log, uint64_t count, size_t size)
{
    struct firn_cursor *cursor;
    struct firn_error err = {0};
    const struct firn_record *record;
    uint64_t read = 0, bad = 0, start = now_ns();
    if (firn_cursor_open(log, NULL, &cursor, &err) < 0) {
        (void)bench_fail(bench, "%s", err.message);
        return 0;
    }
    int rc;
    while ((rc = firn_cursor_next(cursor, &record, &err)) == 0)
        bad += (record->index != read++) | (record->value.size != size);
    uint64_t taken = now_ns() - start;
    firn_cursor_close(cursor);
    if (rc == FIRN_EEND && read == count && bad == 0)
        return taken;
    (void)bench_fail(bench, "read %llu of %llu records, %llu of them wrong (%s)",
                     (unsigned long long)read, (unsigned long long)count, (unsigned long long)bad,
                     rc == FIRN_EEND ? "to the end" : err.message);
    return 0;
}

static int write_log(struct bench *bench, const char *name, uint64_t count, size_t size,
                     struct firn_log **log)
{
    static const struct firn_log_options options = {.durability = FIRN_DURABILITY_OS};
    uint8_t bytes[RECORD];
    fill_bytes(bytes, sizeof bytes);
    struct firn_error err = {0};
    struct firn_record record = record_of(bytes, size);
    if (open_log(bench, name, &options, log) < 0)
        return -1;
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = firn_log_append(*log, &record, 1, NULL, NULL, &err);
    if (rc == 0)
        rc = firn_log_close(*log, &err); /* cuts what is prepared behind the end */
    if (rc < 0)
        return bench_fail(bench, "%s", err.message);
    return open_log(bench, name, &options, log);
}

static int read_pairs(struct bench *bench, struct firn_log *log, const char *name, uint64_t count,
                      size_t size, bool aimed)
{
    char line[96];
    uint64_t bytes;
    uint64_t bare = bare_read_log(bench, name, &bytes);
    uint64_t firn = bare ? read_log(bench, log, count, size) : 0;
    if (firn == 0)
        return -1;
    snprintf(line, sizeof line, "bare read of the log of %zu-byte records", size);
    bench_add(bench, line, "MB/s", AIM_NONE, 0, (double)bytes * 1e3 / (double)bare, 0);
    snprintf(line, sizeof line, "reading records of %zu bytes", size);
    bench_add(bench, line, "MB/s", aimed ? AIM_RATIO_LEAST : AIM_NONE, aimed ? 0.45 : 0,
              (double)bytes * 1e3 / (double)firn, (double)bare / (double)firn);
    if (!aimed) {
        snprintf(line, sizeof line, "reading records of %zu bytes, records", size);
        bench_add(bench, line, "M/s", AIM_VALUE_LEAST, 10, (double)count * 1e3 / (double)firn, 0);
    }
    return 0;
}

static int read_size(struct bench *bench, const char *name, size_t size, bool aimed)
{
    uint64_t count = (bench->quick ? 32u : 384u) * (uint64_t)MIB / size, bytes;
    struct firn_log *log = NULL;
    int rc = write_log(bench, name, count, size, &log);
    if (rc == 0 && bare_read_log(bench, name, &bytes) == 0) /* into the cache */
        rc = -1;
    for (unsigned run = 0; rc == 0 && run < bench->runs * 2 && bench_goes_on(); run++)
        rc = read_pairs(bench, log, name, count, size, aimed);
    int end_rc = destroy_log(bench, log);
    return rc < 0 ? rc : end_rc;
}

int bench_read(struct bench *bench)
{
    int rc = read_size(bench, "log-1024", RECORD, true);
    return rc == 0 && bench_goes_on() ? read_size(bench, "log-100", 100, false) : rc;
}
