/* SPDX-License-Identifier: MIT */
/*
 * A sequence of files: blocks are allocated behind the last one, and released from the first one
 * on, so that what is there after a crash has no gap.
 *
 * A file is made under a name that nobody takes for one of the sequence (".tmp" behind it; other
 * implementations don't either), with its space set aside, synced, renamed, and the directory
 * synced before it is handed out. So a file of the sequence always has its size, and none is there
 * without the one before. A release removes the file and syncs the directory before the next one
 * may be released. A crash in between leaves the sequence with the last file or without it, or with
 * the first one or without it; and a last one that was never handed out is empty.
 *
 * Before anything else opening syncs the directory: what it lists may be there in memory only,
 * after a sync that failed in another life.
 *
 * After a failed sync of the directory nobody knows which names are there: the sequence is
 * poisoned. A file that could not be removed, or that was made in vain, is no more than an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blocks/blocks_private.h"

static struct block_sequence *sequence_of(struct firn_block_allocator *base)
{
    return (struct block_sequence *)base;
}

/* With the lock. */
static int check_writable(const struct block_sequence *sequence, struct firn_error *err)
{
    if (sequence->options.read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s/%s: opened read-only", sequence->dir,
                              sequence->name);
    return sequence->poisoned ? block_poisoned(&sequence->cause, err) : 0;
}

static int sync_names(struct block_sequence *sequence, struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = disk_sync_dir(sequence->options.disk, sequence->dir, &cause);
    if (rc == 0)
        return 0;
    sequence->poisoned = true;
    sequence->cause = cause;
    return block_poisoned(&sequence->cause, err);
}

/* ---- allocating ---- */

static int file_path(const struct block_sequence *sequence, const char *suffix, char *path,
                     struct firn_error *err)
{
    char text[DISK_PATH_SIZE];
    int n = snprintf(text, sizeof text, "%s.%04x-%u%s", sequence->name, sequence->end,
                     sequence->shift, suffix);
    if (n < 0 || (size_t)n >= sizeof text)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: the name is too long", sequence->name);
    return disk_path_join(path, DISK_PATH_SIZE, sequence->dir, text, err);
}

/* What has the name already is either unfinished or somebody else's. */
static int make_way(struct block_sequence *sequence, const char *path, const char *unfinished,
                    struct firn_error *err)
{
    struct firn_disk *disk = sequence->options.disk;
    bool exists;
    int rc = disk_exists(disk, path, &exists, err);
    if (rc == 0 && exists)
        rc = firn_error_set(err, FIRN_EEXIST, 0, "%s: not made by this sequence, and in its way",
                            path);
    if (rc == 0)
        rc = disk_exists(disk, unfinished, &exists, err);
    return rc == 0 && exists ? disk_remove(disk, unfinished, err) : rc;
}

static int allocate(struct block_sequence *sequence, struct block_file **out,
                    struct firn_error *err)
{
    struct firn_disk *disk = sequence->options.disk;
    char path[DISK_PATH_SIZE], unfinished[DISK_PATH_SIZE];
    struct block_file *file;
    if ((uint16_t)(sequence->end - sequence->start) >= FIRN_BLOCK_SEQUENCE_MAX)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s/%s: it has %d files; release some first",
                              sequence->dir, sequence->name, FIRN_BLOCK_SEQUENCE_MAX);
    int rc = file_path(sequence, "", path, err);
    if (rc == 0)
        rc = file_path(sequence, ".tmp", unfinished, err);
    if (rc == 0)
        rc = make_way(sequence, path, unfinished, err);
    if (rc < 0)
        return rc;
    rc = block_file_make(disk, sequence->options.env, unfinished, path, sequence->count,
                         sequence->shift, &file, err);
    if (rc < 0)
        return rc;
    rc = disk_rename(disk, unfinished, path, err);
    if (rc < 0)
        disk_remove(disk, unfinished, NULL);
    else
        rc = sync_names(sequence, err);
    if (rc < 0) {
        block_file_free(file);
        return rc;
    }
    file->sequence = sequence;
    file->index = sequence->end++;
    atomic_fetch_add(&sequence->open, 1);
    *out = file;
    return 0;
}

static int sequence_allocate(struct firn_block_allocator *base, struct firn_block **block,
                             struct firn_error *err)
{
    struct block_sequence *sequence = sequence_of(base);
    struct block_file *file;
    pthread_mutex_lock(&sequence->lock);
    int rc = check_writable(sequence, err);
    if (rc == 0)
        rc = allocate(sequence, &file, err);
    pthread_mutex_unlock(&sequence->lock);
    if (rc < 0)
        return rc;
    block_file_begin_zeroing(file);
    *block = &file->base;
    return 0;
}

/* ---- releasing ---- */

static int release(struct block_sequence *sequence, struct block_file *file, struct firn_error *err)
{
    int order = block_index_compare(file->index, sequence->start);
    if (order != 0 && order != 1)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: released already", file->path);
    if (order == 1)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: not the first file; that with index 0x%04x is", file->path,
                              sequence->start);
    int rc = disk_remove(sequence->options.disk, file->path, err);
    if (rc == 0)
        rc = sync_names(sequence, err);
    if (rc == 0)
        sequence->start++;
    return rc;
}

static int sequence_release(struct firn_block_allocator *base, struct firn_block *block,
                            struct firn_error *err)
{
    struct block_sequence *sequence = sequence_of(base);
    struct block_file *file = block_file_of(block);
    if (block->ops != &block_file_ops || file->sequence != sequence)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s/%s: the blocks are not of this sequence",
                              sequence->dir, sequence->name);
    pthread_mutex_lock(&sequence->lock);
    int rc = check_writable(sequence, err);
    if (rc == 0)
        rc = release(sequence, file, err);
    pthread_mutex_unlock(&sequence->lock);
    if (rc == 0)
        firn_block_close(block);
    return rc;
}

static int sequence_retrieve(struct firn_block_allocator *base, firn_block_retrieve_fn *each,
                             void *arg, struct firn_error *err)
{
    struct block_sequence *sequence = sequence_of(base);
    pthread_mutex_lock(&sequence->lock);
    int rc = sequence->poisoned ? block_poisoned(&sequence->cause, err)
                                : block_sequence_retrieve(sequence, each, arg, err);
    pthread_mutex_unlock(&sequence->lock);
    return rc;
}

/* ---- opening and closing ---- */

static void free_sequence(struct block_sequence *sequence)
{
    pthread_mutex_destroy(&sequence->lock);
    free(sequence->dir);
    free(sequence->name);
    free(sequence);
}

static int sequence_close(struct firn_block_allocator *base, struct firn_error *err)
{
    struct block_sequence *sequence = sequence_of(base);
    uint64_t open = atomic_load(&sequence->open);
    if (open > 0)
        return firn_error_set(err, FIRN_EBUSY, 0, "%s/%s: %llu of its files are open",
                              sequence->dir, sequence->name, (unsigned long long)open);
    int rc = 0;
    if (sequence->locked)
        rc = block_lock_release(sequence->options.disk, sequence->dir, sequence->name, err);
    free_sequence(sequence);
    return rc;
}

static const struct firn_block_allocator_ops sequence_ops = {
    .size = sizeof(struct firn_block_allocator_ops),
    .allocate = sequence_allocate,
    .release = sequence_release,
    .retrieve = sequence_retrieve,
    .close = sequence_close,
};

static struct block_sequence *new_sequence(const char *dir, const char *name, uint64_t count,
                                           unsigned shift, const struct firn_block_options *options)
{
    struct block_sequence *sequence = calloc(1, sizeof *sequence);
    if (!sequence)
        return NULL;
    sequence->base.ops = &sequence_ops;
    sequence->options = *options;
    if (!options->disk)
        sequence->options.disk = firn_disk_posix();
    sequence->dir = strdup(dir);
    sequence->name = strdup(name);
    sequence->count = count;
    sequence->shift = shift;
    pthread_mutex_init(&sequence->lock, NULL);
    if (sequence->dir && sequence->name)
        return sequence;
    free_sequence(sequence);
    return NULL;
}

static int take_lock(struct block_sequence *sequence, struct firn_error *err)
{
    const struct firn_block_options *options = &sequence->options;
    if (options->read_only)
        return block_lock_look(options->disk, sequence->dir, sequence->name,
                               options->break_dead_lock, err);
    int rc = block_lock_take(options->disk, sequence->dir, sequence->name, options->break_dead_lock,
                             err);
    sequence->locked = rc == 0;
    return rc == 0 ? disk_sync_dir(options->disk, sequence->dir, err) : rc;
}

static int check_arguments(const char *dir, const char *name, uint64_t count, unsigned shift,
                           const struct firn_block_options *options,
                           struct firn_block_allocator **allocator, struct firn_error *err)
{
    if (!dir || !name || !*name || strchr(name, '/') || !allocator)
        return firn_error_set(err, FIRN_EINVAL, 0, "no sequence given");
    int rc = block_check_shape(&block_file_limits, name, count, shift, NULL, err);
    return rc == 0 && options->disk ? disk_check(options->disk, err) : rc;
}

int firn_block_sequence_open(const char *dir, const char *name, uint64_t count, unsigned shift,
                             const struct firn_block_options *options,
                             struct firn_block_allocator **allocator, struct firn_error *err)
{
    static const struct firn_block_options none = {0};
    options = options ? options : &none;
    int rc = check_arguments(dir, name, count, shift, options, allocator, err);
    if (rc < 0)
        return rc;
    struct block_sequence *sequence = new_sequence(dir, name, count, shift, options);
    if (!sequence)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s/%s: no memory to open it", dir, name);
    rc = take_lock(sequence, err);
    if (rc == 0)
        rc = block_sequence_scan(sequence, err);
    if (rc < 0) {
        sequence_close(&sequence->base, NULL);
        return rc;
    }
    *allocator = &sequence->base;
    return 0;
}
