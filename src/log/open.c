/* SPDX-License-Identifier: MIT */
/* A log's handle: options, opening, closing. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "commit/env.h"
#include "log/cut.h"
#include "log/log_private.h"

enum {
    SEGMENT_DEFAULT = 128 * 1024 * 1024,
    SEGMENT_LEAST = 256,
    RECORD_MARGIN = 1024, /* of a batch, for headers and lengths */
    GROUP_DELAY_US = 10000,
    GROUP_BYTES = 1024 * 1024,
};

static const struct commit_ops log_commit_ops = {
    .seal = log_seal,
    .write = log_write,
    .publish = log_publish,
    .announce = log_announce,
};

/* ---- options ---- */

static int check_options(const struct firn_log_options *options, struct firn_error *err)
{
    if (options->segment_bytes &&
        (options->segment_bytes < SEGMENT_LEAST || options->segment_bytes > INT32_MAX))
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "segment_bytes is %llu; it may be %d to 2147483647",
                              (unsigned long long)options->segment_bytes, SEGMENT_LEAST);
    uint64_t segment_bytes = options->segment_bytes ? options->segment_bytes : SEGMENT_DEFAULT;
    if (options->segment_overflow_bytes > INT32_MAX - segment_bytes)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "segment_overflow_bytes is %llu; with segment_bytes %llu it may be "
                              "at most %llu",
                              (unsigned long long)options->segment_overflow_bytes,
                              (unsigned long long)segment_bytes,
                              (unsigned long long)(INT32_MAX - segment_bytes));
    if (options->segment_records > INT32_MAX)
        return firn_error_set(err, FIRN_EINVAL, 0, "segment_records is %llu; the most is %d",
                              (unsigned long long)options->segment_records, INT32_MAX);
    if ((int)options->durability < FIRN_DURABILITY_EACH || options->durability > FIRN_DURABILITY_OS)
        return firn_error_set(err, FIRN_EINVAL, 0, "durability %d is unknown",
                              (int)options->durability);
    if (options->compression && !codec_can_pack((unsigned)options->compression))
        return firn_error_set(
            err, FIRN_ENOTSUP, 0, "compression %d (%s): this build of firn does not write it",
            (int)options->compression, codec_name((unsigned)options->compression));
    if (options->first_index > INT64_MAX / 2)
        return firn_error_set(err, FIRN_EINVAL, 0, "first_index is %llu; the most is 2^62",
                              (unsigned long long)options->first_index);
    return options->disk ? disk_check(options->disk, err) : 0;
}

static void fill_options(struct firn_log *log, const struct firn_log_options *options)
{
    struct firn_log_options *own = &log->options;
    *own = *options;
    log->disk = own->disk ? own->disk : firn_disk_posix();
    if (!own->segment_bytes)
        own->segment_bytes = SEGMENT_DEFAULT;
    if (!own->segment_records)
        own->segment_records = INT32_MAX;
    if (!own->group_delay_us)
        own->group_delay_us = GROUP_DELAY_US;
    if (!own->group_bytes)
        own->group_bytes = GROUP_BYTES;
}

static int set_record_limit(struct firn_log *log, struct firn_error *err)
{
    uint64_t most = (uint64_t)env_pool_buffers(log->env) / 2 * COMMIT_BUFFER_ROOM;
    if (log_segment_most(log) < most)
        most = log_segment_most(log);
    most = most > 2 * RECORD_MARGIN ? most - RECORD_MARGIN : most;
    if (log->options.record_bytes > most)
        return firn_error_set(
            err, FIRN_EINVAL, 0, "record_bytes is %llu; segment and pool allow %llu",
            (unsigned long long)log->options.record_bytes, (unsigned long long)most);
    log->record_limit = log->options.record_bytes ? log->options.record_bytes : most;
    return 0;
}

/* ---- opening ---- */

static struct firn_log *new_log(const char *dir, const struct firn_log_options *options)
{
    struct firn_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->dir = strdup(dir);
    if (!log->dir || stats_init(&log->stats) < 0) {
        free(log->dir);
        free(log);
        return NULL;
    }
    fill_options(log, options);
    cache_init(log);
    handles_init(log);
    follow_init(log);
    named_init(log);
    pthread_mutex_init(&log->age_lock, NULL);
    atomic_init(&log->last_write, INT64_MIN);
    pthread_mutex_init(&log->list_lock, NULL);
    pthread_mutex_init(&log->admin, NULL);
    pthread_mutex_init(&log->checkpoint_lock, NULL);
    return log;
}

/* Releases everything, in whatever state. */
static void free_log(struct firn_log *log)
{
    retain_done(log);
    compact_done(log);
    if (log->settle.worker) {
        worker_cancel(env_worker(log->env), &log->settle);
        worker_cancel(env_worker(log->env), &log->prepare.task);
        prepare_done(log);
        worker_task_done(&log->settle);
    }
    commit_done(&log->commit);
    segment_unref(log->active);
    list_free(log);
    disk_close(log->checkpoint_file);
    follow_leave(log);
    follow_done(log);
    named_free(log);
    disk_unlock(log->disk, log->lock);
    if (log->own_env)
        firn_env_free(log->env);
    handles_done(log);
    stats_done(&log->stats);
    pthread_mutex_destroy(&log->cache.lock);
    pthread_mutex_destroy(&log->age_lock);
    pthread_mutex_destroy(&log->list_lock);
    pthread_mutex_destroy(&log->admin);
    pthread_mutex_destroy(&log->checkpoint_lock);
    free(log->holes);
    free(log->dir);
    free(log);
}

static int make_directory(struct firn_log *log, struct firn_error *err)
{
    struct firn_entry entry;
    int rc = disk_stat(log->disk, log->dir, &entry, err);
    if (rc == FIRN_ENOENT && !log->options.read_only && !log->options.must_exist)
        return disk_make_dirs(log->disk, log->dir, err);
    if (rc == 0 && entry.kind != FIRN_ENTRY_DIR)
        return firn_error_set(err, FIRN_ENOTDIR, 0, "%s: not a directory", log->dir);
    return rc;
}

static int start_commit(struct firn_log *log, struct firn_error *err)
{
    struct commit_options options = {
        .background = log->options.durability == FIRN_DURABILITY_OS ? COMMIT_WRITE : COMMIT_DURABLE,
        .delay_ns = wait_ns_of_us(log->options.group_delay_us),
        .bytes = log->options.group_bytes,
        .refuse = log->options.refuse_when_full,
    };
    int rc = commit_init(&log->commit, log->env, &log_commit_ops, log, &options, err);
    if (rc < 0)
        return rc;
    rc = worker_task_init(env_worker(log->env), &log->settle, settle_task, log, WORKER_NORMAL);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    rc = prepare_init(log, err);
    if (rc < 0)
        worker_task_done(&log->settle);
    if (rc == 0)
        rc = retain_init(log, err);
    return rc < 0 ? rc : compact_init(log, err);
}

static int connect_env(struct firn_log *log, struct firn_error *err)
{
    log->env = log->options.env;
    if (log->env)
        return 0;
    int rc = firn_env_new(NULL, &log->env, err);
    log->own_env = rc == 0;
    return rc;
}

static int check_first_index(const struct firn_log *log, struct firn_error *err)
{
    uint64_t lowest = atomic_load(&log->lowest);
    if (lowest >= log->options.first_index)
        return 0;
    return firn_error_set(err, FIRN_ERANGE, 0,
                          "%s: holds records from %llu on, below the configured first index %llu",
                          log->dir, (unsigned long long)lowest,
                          (unsigned long long)log->options.first_index);
}

static int open_parts(struct firn_log *log, struct firn_error *err)
{
    int rc = make_directory(log, err);
    if (rc == 0 && !log->options.read_only)
        rc = connect_env(log, err);
    if (rc == 0 && !log->options.read_only)
        rc = set_record_limit(log, err);
    if (rc == 0)
        rc = log_recover(log, err);
    if (rc == 0)
        rc = check_first_index(log, err);
    if (rc == 0 && !log->options.read_only)
        rc = start_commit(log, err);
    if (rc == 0 && !log->options.read_only)
        follow_announce(log);
    return rc;
}

int firn_log_open(const char *dir, const struct firn_log_options *options, struct firn_log **out,
                  struct firn_error *err)
{
    static const struct firn_log_options none = {0};
    if (!options)
        options = &none;
    if (!dir || !*dir || !out)
        return firn_error_set(err, FIRN_EINVAL, 0, "no directory given");
    int rc = check_options(options, err);
    if (rc < 0)
        return rc;
    struct firn_log *log = new_log(dir, options);
    if (!log)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to open it", dir);
    rc = open_parts(log, err);
    if (rc < 0) {
        free_log(log);
        return rc;
    }
    *out = log;
    return 0;
}

/* ---- closing ---- */

/* Cuts the prepared tail, so that other readers of the format see batches only. */
static int cut_prepared(struct firn_log *log, struct firn_error *err)
{
    struct segment *active = log->active;
    struct firn_file *file;
    uint64_t size;
    if (!active)
        return 0;
    int rc = segment_file(active, &file, err);
    if (rc == 0)
        rc = disk_size_of(file, &size, err);
    if (rc < 0 || size == segment_durable_end(active))
        return rc;
    rc = disk_truncate(file, segment_durable_end(active), err);
    return rc == 0 ? disk_sync(file, err) : rc;
}

static int close_parts(struct firn_log *log, struct firn_error *err)
{
    retain_done(log);
    compact_done(log);
    int rc = commit_close(&log->commit, err);
    worker_cancel(env_worker(log->env), &log->settle);
    worker_cancel(env_worker(log->env), &log->prepare.task);
    if (rc < 0 || log->checkpoint.clean)
        return rc;
    rc = cut_prepared(log, err);
    if (rc == 0)
        log_remove_below(log, NULL); /* what stays goes at the next opening */
    if (rc == 0 && log->active)
        age_note_end(log, log->active, atomic_load(&log->durable_next));
    return rc == 0 ? settle_clean(log, err) : rc;
}

int firn_log_close(struct firn_log *log, struct firn_error *err)
{
    if (!log)
        return 0;
    int rc = log->options.read_only ? 0 : close_parts(log, err);
    free_log(log);
    return rc;
}

/* ---- destroying ---- */

struct doomed {
    char (*names)[256];
    size_t count;
};

static int note_doomed(void *arg, const char *name, const struct firn_entry *entry)
{
    struct doomed *doomed = arg;
    const char *dot = strrchr(name, '.');
    bool ours = strcmp(name, POSITION_NAME) == 0 || strcmp(name, CUT_NAME) == 0 ||
                strcmp(name, RESERVE_NAME) == 0 || named_is_file(name) ||
                strncmp(name, "spare-", 6) == 0 || strncmp(name, "spool-", 6) == 0 ||
                strncmp(name, "torn-", 5) == 0 || strncmp(name, "damaged-", 8) == 0 ||
                (strspn(name, "0123456789") == 20 && dot == name + 20);
    if (!ours || entry->kind != FIRN_ENTRY_FILE || strlen(name) >= sizeof *doomed->names)
        return 0;
    void *names = realloc(doomed->names, (doomed->count + 1) * sizeof *doomed->names);
    if (!names)
        return FIRN_ENOMEM;
    doomed->names = names;
    strcpy(doomed->names[doomed->count++], name);
    return 0;
}

static int remove_name(struct firn_log *log, const char *name, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, log->dir, name, err);
    if (rc == 0)
        rc = disk_remove(log->disk, path, err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

static int remove_all(struct firn_log *log, struct firn_error *err)
{
    struct doomed doomed = {0};
    int rc = disk_list(log->disk, log->dir, note_doomed, &doomed, err);
    for (size_t i = 0; rc == 0 && i < doomed.count; i++)
        rc = remove_name(log, doomed.names[i], err);
    free(doomed.names);
    return rc;
}

/* If anybody ever committed a position, nobody does from now on. */
static bool hold_named(struct firn_log *log)
{
    char path[DISK_PATH_SIZE];
    bool exists = false;
    return disk_path_join(path, sizeof path, log->dir, NAMED_LOCK, NULL) == 0 &&
           disk_exists(log->disk, path, &exists, NULL) == 0 && exists &&
           named_hold(log, NAMED_PATIENCE_NS, NULL) == 0;
}

/* The checkpoint goes last but for the locks: up to then a crash leaves an empty log. */
static int remove_directory(struct firn_log *log, struct firn_error *err)
{
    bool named = hold_named(log);
    int rc = remove_all(log, err);
    if (rc == 0)
        rc = disk_sync_dir(log->disk, log->dir, err);
    if (rc == 0)
        rc = remove_name(log, CHECKPOINT_NAME, err);
    if (rc == 0)
        rc = remove_name(log, NAMED_LOCK, err);
    if (named)
        named_release(log);
    if (rc == 0)
        rc = remove_name(log, "lock", err);
    disk_unlock(log->disk, log->lock);
    log->lock = NULL;
    if (rc == 0)
        rc = disk_sync_dir(log->disk, log->dir, err);
    if (rc == 0)
        disk_remove_dir(log->disk, log->dir, NULL); /* other people's files may be in it */
    return rc;
}

int firn_log_destroy(struct firn_log *log, struct firn_error *err)
{
    if (log->options.read_only) {
        free_log(log);
        return firn_error_set(err, FIRN_EREADONLY, 0, "opened read-only: not destroyed");
    }
    retain_done(log);
    compact_done(log);
    firn_log_remove_before(log, atomic_load(&log->durable_next), NULL);
    commit_close(&log->commit, NULL);
    worker_cancel(env_worker(log->env), &log->settle);
    worker_cancel(env_worker(log->env), &log->prepare.task);
    int rc = remove_directory(log, err);
    free_log(log);
    return rc;
}
