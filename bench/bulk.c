/* SPDX-License-Identifier: MIT */
/*
 * Appending without sync, against overwriting a file that is in the page cache, in blocks of 1 MiB.
 * The clock stops when the records are with the operating system (all but the last 2 MiB of
 * buffers); the sync that follows is not counted, on either side.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { LEFT = 2 * MIB };

static uint64_t amount(const struct bench *bench)
{
    return (bench->quick ? 64u : 512u) * (uint64_t)MIB;
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

/* MB/s of records; negative: failed. Syncs afterwards. */
static double append_rate(struct bench *bench, struct firn_log *log, struct firn_env *env)
{
    uint8_t bytes[RECORD];
    fill_bytes(bytes, sizeof bytes);
    struct firn_error err = {0};
    struct firn_record record = record_of(bytes, RECORD);
    uint64_t count = amount(bench) / RECORD;
    int rc = 0;
    uint64_t start = now_ns();
    for (uint64_t i = 0; rc == 0 && i < count; i++)
        rc = firn_log_append(log, &record, 1, NULL, NULL, &err);
    drain(env);
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

/* Into a new file, its space set aside before or not. */
static int bare_new(struct bench *bench, const char *name, bool reserve)
{
    char path[BENCH_PATH];
    path_in(bench, "new", path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    double rate = -1;
    if (fd < 0 || (reserve && posix_fallocate(fd, 0, (off_t)amount(bench)) != 0))
        (void)bench_fail(bench, "%s: %s", path, strerror(errno));
    else
        rate = bare_rate(bench, fd);
    if (fd >= 0)
        (void)close(fd);
    remove_tree(path);
    if (rate > 0)
        bench_add(bench, name, "MB/s", AIM_NONE, 0, rate, 0);
    return rate > 0 ? 0 : -1;
}

/* A log of its own: one pass on it fresh, one that goes on. */
static int append_both(struct bench *bench, struct firn_env *env, uint64_t segment_bytes,
                       double bare)
{
    struct firn_log_options options = {
        .env = env, .durability = FIRN_DURABILITY_OS, .segment_bytes = segment_bytes};
    bool standard = segment_bytes == 0;
    struct firn_log *log;
    if (open_log(bench, "log", &options, &log) < 0)
        return -1;
    double fresh = append_rate(bench, log, env);
    double going_on = fresh > 0 ? append_rate(bench, log, env) : -1;
    if (destroy_log(bench, log) < 0 || fresh < 0 || going_on < 0)
        return -1;
    bench_add(bench, standard ? "unsynced appends of 1 KiB" : "the same, segments of 1 GiB", "MB/s",
              standard ? AIM_RATIO_LEAST : AIM_NONE, standard ? 0.4 : 0, fresh, fresh / bare);
    bench_add(bench, standard ? "the same, on a log that goes on" : "the same, going on, of 1 GiB",
              "MB/s", AIM_NONE, 0, going_on, going_on / bare);
    return 0;
}

static int bulk_run(struct bench *bench, int fd, struct firn_env *env)
{
    double bare = bare_rate(bench, fd);
    if (bare < 0)
        return -1;
    bench_add(bench, "bare overwrite in blocks of 1 MiB", "MB/s", AIM_NONE, 0, bare, 0);
    int rc = append_both(bench, env, 0, bare);
    if (rc == 0 && bench_goes_on()) {
        bare = bare_rate(bench, fd);
        rc = bare < 0 ? -1 : append_both(bench, env, (uint64_t)1024 * MIB, bare);
    }
    if (rc == 0)
        rc = bare_new(bench, "bare write to a new file, space set aside", true);
    if (rc == 0)
        rc = bare_new(bench, "bare write to a new file", false);
    return rc;
}

int bench_bulk(struct bench *bench)
{
    struct firn_env *env;
    struct firn_error err = {0};
    char path[BENCH_PATH];
    if (firn_env_new(NULL, &env, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    int fd = bare_zeroed(bench, "bare", amount(bench));
    int rc = fd < 0 ? -1 : 0;
    for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
        rc = bulk_run(bench, fd, env);
    if (fd >= 0)
        (void)close(fd);
    path_in(bench, "bare", path);
    remove_tree(path);
    if (firn_env_free(env) < 0)
        rc = bench_fail(bench, "the environment is still in use");
    return rc;
}
