/* SPDX-License-Identifier: MIT */
/* A pipe's handle: options, opening, closing, growing. */
#include <stdlib.h>
#include <string.h>

#include "pipe/pipe_private.h"

/* Offsets stay below 2^62, so that sums of them never overflow. */
#define LENGTH_MOST (UINT64_C(1) << 62)

/* ---- options ---- */

int pipe_check_chunk_bytes(const char *path, uint64_t chunk_bytes, struct firn_error *err)
{
    if (chunk_bytes <= FIRN_CHUNK_BYTES_MAX)
        return 0;
    return firn_error_set(err, FIRN_EINVAL, 0, "%s: chunk_bytes is %llu; it may be 1 to %llu", path,
                          (unsigned long long)chunk_bytes,
                          (unsigned long long)FIRN_CHUNK_BYTES_MAX);
}

static int check_options(const char *path, const struct firn_pipe_options *options,
                         struct firn_error *err)
{
    int rc = pipe_check_chunk_bytes(path, options->chunk_bytes, err);
    if (rc < 0)
        return rc;
    uint64_t least = 4 * options->chunk_bytes;
    least = least > JOURNAL_BYTES_LEAST ? least : JOURNAL_BYTES_LEAST;
    if (options->journal_bytes && options->journal_bytes < least)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: journal_bytes is %llu; the least is %llu",
                              path, (unsigned long long)options->journal_bytes,
                              (unsigned long long)least);
    if (options->journal_bytes > LENGTH_MOST)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: journal_bytes is too large", path);
    if (options->chunk_bytes && options->initial_chunks > LENGTH_MOST / options->chunk_bytes)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: %llu chunks of %llu bytes", path,
                              (unsigned long long)options->initial_chunks,
                              (unsigned long long)options->chunk_bytes);
    return options->disk ? disk_check(options->disk, err) : 0;
}

static void fill_journal_options(const struct firn_pipe *pipe,
                                 const struct firn_pipe_options *options,
                                 struct journal_options *own)
{
    *own = (struct journal_options){
        .path = pipe->path,
        .disk = pipe->disk,
        .env = options->env,
        .read_only = options->read_only,
        .must_exist = options->must_exist,
        .refuse_when_full = options->refuse_when_full,
        .group_delay_ns = wait_ns_of_us(options->group_delay_us),
        .group_bytes = options->group_bytes,
        .journal_bytes = options->journal_bytes,
        .change_bytes = options->chunk_bytes,
        .length = options->chunk_bytes * options->initial_chunks,
        .may_create = options->chunk_bytes > 0,
    };
    pipe_set_about(own->about, options->chunk_bytes);
}

/* ---- opening and closing ---- */

static void free_pipe(struct firn_pipe *pipe)
{
    pthread_mutex_destroy(&pipe->grow_lock);
    pthread_mutex_destroy(&pipe->watch_lock);
    free(pipe->path);
    free(pipe);
}

static struct firn_pipe *new_pipe(const char *path, const struct firn_pipe_options *options)
{
    struct firn_pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->path = strdup(path);
    pipe->disk = options->disk ? options->disk : firn_disk_posix();
    pipe->wanted_bytes = options->chunk_bytes;
    pthread_mutex_init(&pipe->grow_lock, NULL);
    pthread_mutex_init(&pipe->watch_lock, NULL);
    if (pipe->path)
        return pipe;
    free_pipe(pipe);
    return NULL;
}

int firn_pipe_open(const char *path, const struct firn_pipe_options *options,
                   struct firn_pipe **out, struct firn_error *err)
{
    static const struct firn_pipe_options none = {0};
    struct journal_options own;
    if (!options)
        options = &none;
    if (!path || !*path || !out)
        return firn_error_set(err, FIRN_EINVAL, 0, "no file given");
    int rc = check_options(path, options, err);
    if (rc < 0)
        return rc;
    struct firn_pipe *pipe = new_pipe(path, options);
    if (!pipe)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to open it", path);
    fill_journal_options(pipe, options, &own);
    rc = journal_open(&own, &pipe_kind, pipe, &pipe->journal, err);
    if (rc < 0) {
        free_pipe(pipe);
        return rc;
    }
    atomic_store(&pipe->count, journal_length(pipe->journal) / pipe->chunk_bytes);
    *out = pipe;
    return 0;
}

int firn_pipe_close(struct firn_pipe *pipe, struct firn_error *err)
{
    if (!pipe)
        return 0;
    int rc = journal_close(pipe->journal, err);
    free_pipe(pipe);
    return rc;
}

int firn_pipe_destroy(struct firn_pipe *pipe, struct firn_error *err)
{
    int rc = journal_destroy(pipe->journal, err);
    free_pipe(pipe);
    return rc;
}

/* ---- size ---- */

uint64_t firn_pipe_chunk_bytes(const struct firn_pipe *pipe)
{
    return pipe->chunk_bytes;
}

uint64_t firn_pipe_count(const struct firn_pipe *pipe)
{
    return atomic_load_explicit(&pipe->count, memory_order_acquire);
}

/* The count changes when the growth is durable: nobody can have written beyond it before. */
static int grow(struct firn_pipe *pipe, uint64_t chunks, struct firn_error *err)
{
    uint64_t count = firn_pipe_count(pipe);
    uint64_t epoch;
    if (chunks > LENGTH_MOST / pipe->chunk_bytes - count)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: %llu chunks more", pipe->path,
                              (unsigned long long)chunks);
    struct journal_change change = {
        .set_length = true,
        .length = (count + chunks) * pipe->chunk_bytes,
    };
    int rc = journal_extend(pipe->journal, change.length, err);
    if (rc < 0)
        return rc;
    rc = journal_stage(pipe->journal, &change, &epoch, err);
    if (rc < 0)
        journal_retract(pipe->journal);
    if (rc == 0)
        rc = commit_wait(journal_commit(pipe->journal), epoch, WAIT_FOREVER, err);
    if (rc == 0)
        atomic_store_explicit(&pipe->count, count + chunks, memory_order_release);
    return rc;
}

int firn_pipe_grow(struct firn_pipe *pipe, uint64_t chunks, struct firn_error *err)
{
    if (chunks == 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: to grow by no chunks", pipe->path);
    int rc = pipe_enter_to_write(pipe, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&pipe->grow_lock);
    rc = grow(pipe, chunks, err);
    pthread_mutex_unlock(&pipe->grow_lock);
    journal_leave(pipe->journal);
    return rc;
}
