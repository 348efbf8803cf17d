/* SPDX-License-Identifier: MIT */
/* Blocks in a file: creating, opening, loading. */
#include <stdlib.h>
#include <string.h>

#include "blocks/blocks_private.h"

/* ---- the handle ---- */

void block_file_free(struct block_file *file)
{
    if (!file)
        return;
    block_file_end_zeroing(file);
    disk_close(file->file);
    ahead_done(&file->ahead);
    pthread_mutex_destroy(&file->store_lock);
    free(file->path);
    free(file);
}

static struct block_file *new_file(struct firn_disk *disk, struct firn_env *env, const char *path,
                                   struct firn_error *err)
{
    struct block_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    if (!file || !copy) {
        free(file);
        free(copy);
        firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to open it", path);
        return NULL;
    }
    file->base.ops = &block_file_ops;
    file->disk = disk;
    file->env = env;
    file->path = copy;
    file->space.only_zeros = true;
    pthread_mutex_init(&file->store_lock, NULL);
    ahead_init(&file->ahead);
    return file;
}

static void set_shape(struct block_file *file, uint64_t count, unsigned shift)
{
    file->base.count = count;
    file->base.shift = shift;
    disk_advise(file->file, 0, count << shift, FIRN_ADVICE_SEQUENTIAL);
}

static void close_file(struct firn_block *block)
{
    struct block_file *file = block_file_of(block);
    struct block_sequence *sequence = file->sequence;
    block_file_free(file);
    if (sequence)
        atomic_fetch_sub(&sequence->open, 1);
}

/* ---- creating ---- */

static int fill(struct block_file *file, uint64_t bytes, struct firn_error *err)
{
    int rc = disk_reserve(file->file, 0, bytes, err);
    if (rc < 0)
        return rc;
    file->has_space = true;
    atomic_store(&file->space.reserved_end, bytes);
    return disk_sync(file->file, err);
}

int block_file_make(struct firn_disk *disk, struct firn_env *env, const char *name,
                    const char *path, uint64_t count, unsigned shift, struct block_file **out,
                    struct firn_error *err)
{
    struct block_file *file = new_file(disk, env, path, err);
    if (!file)
        return FIRN_ENOMEM;
    int rc = disk_open(disk, name, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE,
                       &file->file, err);
    if (rc < 0) {
        block_file_free(file);
        return rc;
    }
    set_shape(file, count, shift);
    rc = fill(file, count << shift, err);
    if (rc < 0) {
        block_file_free(file);
        disk_remove(disk, name, NULL);
        return rc;
    }
    *out = file;
    return 0;
}

static int sync_parent(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char dir[DISK_PATH_SIZE];
    int rc = disk_path_parent(dir, sizeof dir, path, err);
    return rc == 0 ? disk_sync_dir(disk, dir, err) : rc;
}

static int check_arguments(const char *path, const struct firn_block_options *options,
                           struct firn_block **block, struct firn_error *err)
{
    if (!path || !*path || !block)
        return firn_error_set(err, FIRN_EINVAL, 0, "no file given");
    return options->disk ? disk_check(options->disk, err) : 0;
}

int firn_block_file_create(const char *path, uint64_t count, unsigned shift,
                           const struct firn_block_options *options, struct firn_block **block,
                           struct firn_error *err)
{
    static const struct firn_block_options none = {0};
    struct block_file *file;
    options = options ? options : &none;
    int rc = check_arguments(path, options, block, err);
    if (rc == 0)
        rc = block_check_shape(&block_file_limits, path, count, shift, NULL, err);
    if (rc == 0 && options->read_only)
        rc = firn_error_set(err, FIRN_EREADONLY, 0, "%s: to be created read-only", path);
    if (rc < 0)
        return rc;
    struct firn_disk *disk = options->disk ? options->disk : firn_disk_posix();
    rc = block_file_make(disk, options->env, path, path, count, shift, &file, err);
    if (rc < 0)
        return rc;
    rc = sync_parent(disk, path, err);
    if (rc < 0) {
        block_file_free(file);
        disk_remove(disk, path, NULL);
        return rc;
    }
    block_file_begin_zeroing(file);
    *block = &file->base;
    return 0;
}

/* ---- opening ---- */

static int check_size(const char *path, uint64_t bytes, unsigned shift, struct firn_error *err)
{
    if (bytes > INT64_MAX)
        return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the file has more than 2^63 - 1 bytes",
                              path);
    if (bytes == 0 || bytes & ((UINT64_C(1) << shift) - 1))
        return firn_error_set(
            err, FIRN_EDAMAGED, 0,
            "%s: the file has %llu bytes, which are no blocks of %llu; it was cut, "
            "or never finished",
            path, (unsigned long long)bytes, 1ULL << shift);
    return 0;
}

int block_file_open(const struct firn_block_options *options, const char *path, unsigned shift,
                    struct block_file **out, struct firn_error *err)
{
    struct firn_disk *disk = options->disk ? options->disk : firn_disk_posix();
    uint64_t bytes;
    struct block_file *file = new_file(disk, options->env, path, err);
    if (!file)
        return FIRN_ENOMEM;
    file->read_only = options->read_only;
    unsigned flags = options->read_only ? FIRN_OPEN_READ : FIRN_OPEN_WRITE;
    int rc = disk_open(disk, path, flags, &file->file, err);
    if (rc == 0)
        rc = disk_size_of(file->file, &bytes, err);
    if (rc == 0)
        rc = check_size(path, bytes, shift, err);
    if (rc < 0) {
        block_file_free(file);
        return rc;
    }
    set_shape(file, bytes >> shift, shift);
    *out = file;
    return 0;
}

/* Whoever created it may have died before its size and name were on stable storage. */
static int settle(struct block_file *file, struct firn_error *err)
{
    int rc = disk_sync(file->file, err);
    return rc == 0 ? sync_parent(file->disk, file->path, err) : rc;
}

int firn_block_file_open(const char *path, unsigned shift, const struct firn_block_options *options,
                         struct firn_block **block, struct firn_error *err)
{
    static const struct firn_block_options none = {0};
    struct block_file *file;
    options = options ? options : &none;
    int rc = check_arguments(path, options, block, err);
    if (rc == 0)
        rc = block_check_shape(&block_file_limits, path, 1, shift, NULL, err);
    if (rc == 0)
        rc = block_file_open(options, path, shift, &file, err);
    if (rc < 0)
        return rc;
    rc = options->read_only ? 0 : settle(file, err);
    if (rc < 0)
        block_file_free(file);
    else
        *block = &file->base;
    return rc;
}

/* ---- loading ---- */

/* As many buffers as one call takes, and not many more bytes than a chunk. */
static int next_batch(const struct iovec *iov, int count, uint64_t chunk, struct iovec *batch,
                      uint64_t *bytes)
{
    int n = 0;
    *bytes = 0;
    while (n < count && n < BLOCK_BATCH && *bytes < chunk) {
        batch[n] = iov[n];
        *bytes += iov[n].iov_len;
        n++;
    }
    return n;
}

/* What was read is in memory now, once; the page cache need not have it too. */
static int load(struct block_file *file, uint64_t offset, const struct iovec *iov, int count,
                struct firn_error *err)
{
    struct iovec batch[BLOCK_BATCH];
    uint64_t chunk = UINT64_C(1) << block_chunk_shift(file->base.shift);
    while (count > 0) {
        uint64_t bytes;
        size_t got;
        int n = next_batch(iov, count, chunk, batch, &bytes);
        int rc = disk_readv_full(file->file, batch, n, offset, &got, err);
        if (rc < 0)
            return rc;
        if (got < bytes)
            return firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the file was cut at %llu", file->path,
                                  (unsigned long long)(offset + got));
        if (bytes > 0)
            disk_advise(file->file, offset, bytes, FIRN_ADVICE_DONT_NEED);
        offset += bytes;
        iov += n;
        count -= n;
    }
    return 0;
}

static int load_file(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                     struct firn_error *err)
{
    struct block_file *file = block_file_of(block);
    uint64_t bytes;
    int rc = block_check_load(block, file->path, first, iov, count, &bytes, err);
    if (rc < 0)
        return rc;
    if (atomic_load(&file->poisoned))
        return block_poisoned(&file->cause, err);
    return bytes > 0 ? load(file, first << block->shift, iov, count, err) : 0;
}

const struct firn_block_ops block_file_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = close_file,
    .load = load_file,
    .store = block_file_store,
    .prepare = block_file_prepare,
};
