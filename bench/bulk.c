/* SPDX-License-Identifier: MIT */
/*
 * Appending without sync, against overwriting a file that is in the page cache, in blocks of 1 MiB.
 * The clock stops when the records are with the operating system (all but the last MiB of buffers);
 * the sync that follows is not counted, on either side.
 *
 * The baseline writes to memory that the page cache has already. So does a log whose space was
 * prepared (firn_log_prepare); without that the system has to find the memory first, and on a
 * virtual machine its host: this is shown beside bare writes to a new file.
 *
 * A segment is synced before the next one begins, whatever the mode; so what is not synced at all
 * is what goes into one segment, and beyond that the disk sets the pace: that is shown too.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { LEFT = MIB, PASSES = 4 };

enum space { NEW, PREPARED };

struct bulk {
    struct firn_env *env;
    int fd; /* what is overwritten */
};

/* Fits in a segment of the standard size, 128 MiB. */
static uint64_t amount(const struct bench *bench)
{
    return (bench->quick ? 32u : 112u) * (uint64_t)MIB;
}

static double bytes_per_second(uint64_t bytes, uint64_t ns)
{
    return (double)bytes * 1e9 / (double)ns / 1e6; /* MB */
}

static void drain(struct firn_env *env)
{
    struct firn_env_stats stats;
    do {
        sched_yield();
        firn_env_get_stats(env, &stats);
    } while (stats.pool_used > LEFT);
}

/* MB/s of `bytes` of records; negative: failed. Syncs afterwards. */
static double append_rate(struct bench *bench, struct bulk *bulk, struct firn_log *log,
                          uint64_t amount_bytes)
{
    uint8_t bytes[RECORD];
    fill_bytes(bytes, sizeof bytes);
    struct firn_error err = {0};
    struct firn_record record = record_of(bytes, RECORD);
    uint64_t count = amount_bytes / RECORD;
    int rc = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = firn_log_append(log, &record, 1, NULL, NULL, &err);
    drain(bulk->env);
    uint64_t taken = now_ns() - start;
    if (rc == 0)
        rc = firn_log_flush(log, &err);
    if (rc < 0)
        return bench_fail(bench, "%s", err.message);
    return bytes_per_second(count * RECORD, taken);
}

static double bare_rate(struct bench *bench, int fd)
{
    uint64_t taken = bare_write_all(fd, amount(bench));
    if (taken == 0 || fsync(fd) != 0)
        return bench_fail(bench, "a bare write: %s", strerror(errno));
    return bytes_per_second(amount(bench), taken);
}

/* Into a new file whose space is set aside before, as that of a segment is. */
static double bare_new_rate(struct bench *bench)
{
    char path[BENCH_PATH];
    double rate = -1;
    path_in(bench, "new", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)amount(bench)) != 0)
        (void)bench_fail(bench, "%s: %s", path, strerror(errno));
    else
        rate = bare_rate(bench, fd);
    if (fd >= 0)
        (void)close(fd);
    remove_tree(path);
    return rate;
}

/* On a log of its own. */
static double log_rate(struct bench *bench, struct bulk *bulk, enum space space, uint64_t bytes)
{
    struct firn_log_options options = {.env = bulk->env, .durability = FIRN_DURABILITY_OS};
    struct firn_error err = {0};
    struct firn_log *log;
    double rate;
    if (open_log(bench, "log", &options, &log) < 0)
        return -1;
    if (space == PREPARED && firn_log_prepare(log, UINT64_MAX, &err) < 0)
        rate = bench_fail(bench, "%s", err.message);
    else
        rate = append_rate(bench, bulk, log, bytes);
    return destroy_log(bench, log) < 0 ? -1 : rate;
}

static int prepared_pass(struct bench *bench, struct bulk *bulk)
{
    double firn = log_rate(bench, bulk, PREPARED, amount(bench));
    double bare = firn < 0 ? -1 : bare_rate(bench, bulk->fd);
    if (bare < 0)
        return -1;
    bench_add(bench, "bare overwrite in blocks of 1 MiB", "MB/s", AIM_NONE, 0, bare, 0);
    bench_add(bench, "unsynced appends of 1 KiB", "MB/s", AIM_RATIO_LEAST, 0.4, firn, firn / bare);
    return 0;
}

static int new_pass(struct bench *bench, struct bulk *bulk)
{
    double bare = bare_new_rate(bench);
    double firn = bare < 0 ? -1 : log_rate(bench, bulk, NEW, amount(bench));
    if (firn < 0)
        return -1;
    bench_add(bench, "bare write to a new file", "MB/s", AIM_NONE, 0, bare, 0);
    bench_add(bench, "unsynced appends, space not prepared", "MB/s", AIM_NONE, 0, firn,
              firn / bare);
    return 0;
}

/* Four segments and more. */
static int bulk_long(struct bench *bench, struct bulk *bulk)
{
    double rate = log_rate(bench, bulk, NEW, 5 * amount(bench));
    if (rate > 0)
        bench_add(bench, "unsynced appends, five segments, four synced", "MB/s", AIM_NONE, 0, rate,
                  0);
    return rate > 0 ? 0 : -1;
}

static int bulk_runs(struct bench *bench, struct bulk *bulk)
{
    int rc = 0;
    bulk->fd = bare_zeroed(bench, "bare", amount(bench));
    if (bulk->fd < 0)
        return -1;
    for (unsigned run = 0; rc == 0 && run < bench->runs * PASSES && bench_goes_on(); run++)
        rc = prepared_pass(bench, bulk);
    for (unsigned run = 0; rc == 0 && run < bench->runs * PASSES && bench_goes_on(); run++)
        rc = new_pass(bench, bulk);
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = bulk_long(bench, bulk);
    return rc;
}

int bench_bulk(struct bench *bench)
{
    struct bulk bulk = {.fd = -1};
    struct firn_error err = {0};
    if (firn_env_new(NULL, &bulk.env, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    int rc = bulk_runs(bench, &bulk);
    if (bulk.fd >= 0)
        (void)close(bulk.fd);
    remove_file(bench, "bare");
    if (firn_env_free(bulk.env) < 0)
        rc = bench_fail(bench, "the environment is still in use");
    return rc;
}
