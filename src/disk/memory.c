/* SPDX-License-Identifier: MIT */
/*
 * The storage `memory`: everything in RAM, for tests and for logs that need not last. Time,
 * processes and wake-ups are the real ones.
 */
#include <stdlib.h>
#include <unistd.h>

#include "disk/memory_private.h"
#include "disk/posix_private.h"

/* ---- locks ----------------------------------------------------------------------------------- */

struct firn_lock {
    struct memory_disk *disk;
    struct memory_node *node;
};

static bool take(struct memory_disk *disk, struct memory_node *node)
{
    (void)pthread_mutex_lock(&disk->mutex);
    bool was = node->file.locked;
    node->file.locked = true;
    if (was)
        memory_node_drop(disk, node);
    (void)pthread_mutex_unlock(&disk->mutex);
    return !was;
}

static int memory_lock(struct firn_disk *base, const char *path, struct firn_lock **lock,
                       int64_t *holder, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    unsigned flags = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE;
    struct firn_lock *new = malloc(sizeof *new);
    if (new == NULL)
        return memory_fail(err, FIRN_ENOMEM, path, "lock");
    new->disk = disk;
    int rc = memory_file_find(disk, path, flags, &new->node, err);
    if (rc == 0 && !take(disk, new->node)) {
        if (holder != NULL)
            *holder = getpid();
        rc = posix_refuse(err, FIRN_ELOCKED, path, "locked by another handle of this process");
    }
    if (rc != 0) {
        free(new);
        return rc;
    }
    *lock = new;
    return 0;
}

static void memory_unlock(struct firn_lock *lock)
{
    if (lock == NULL)
        return;
    (void)pthread_mutex_lock(&lock->disk->mutex);
    lock->node->file.locked = false;
    memory_node_drop(lock->disk, lock->node);
    (void)pthread_mutex_unlock(&lock->disk->mutex);
    free(lock);
}

/* ---- shares ---------------------------------------------------------------------------------- */

struct firn_share {
    struct memory_disk *disk;
    struct memory_node *node;
};

/* Makes the file as long as asked (or sees that it is), and its shared memory where there is none.
 * Under the mutex. */
static int prepare_share(struct memory_data *data, size_t bytes, bool create)
{
    if (data->shared == NULL)
        data->shared = calloc(1, MEMORY_SHARE_MOST);
    if (data->shared == NULL)
        return FIRN_ENOMEM;
    (void)pthread_rwlock_wrlock(&data->lock);
    if (create && data->size < bytes)
        data->size = bytes;
    int rc = data->size < bytes ? FIRN_ERANGE : 0;
    (void)pthread_rwlock_unlock(&data->lock);
    return rc;
}

static int memory_share(struct firn_disk *base, const char *path, size_t bytes, bool create,
                        struct firn_share **share, void **memory, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    unsigned flags = FIRN_OPEN_WRITE | (create ? FIRN_OPEN_CREATE : 0);
    if (bytes == 0 || bytes > MEMORY_SHARE_MOST)
        return memory_fail(err, FIRN_EINVAL, path, "mapping");
    struct firn_share *new = malloc(sizeof *new);
    if (new == NULL)
        return memory_fail(err, FIRN_ENOMEM, path, "mapping");
    new->disk = disk;
    int rc = memory_file_find(disk, path, flags, &new->node, err);
    if (rc != 0) {
        free(new);
        return rc;
    }
    (void)pthread_mutex_lock(&disk->mutex);
    rc = prepare_share(&new->node->file, bytes, create);
    unsigned char *shared = new->node->file.shared;
    if (rc != 0)
        memory_node_drop(disk, new->node);
    (void)pthread_mutex_unlock(&disk->mutex);
    if (rc != 0) {
        free(new);
        return memory_fail(err, rc, path, "mapping");
    }
    *share = new;
    *memory = shared;
    return 0;
}

static void memory_unshare(struct firn_share *share)
{
    if (share == NULL)
        return;
    (void)pthread_mutex_lock(&share->disk->mutex);
    memory_node_drop(share->disk, share->node);
    (void)pthread_mutex_unlock(&share->disk->mutex);
    free(share);
}

/* ---- the storage ----------------------------------------------------------------------------- */

/* The machine's memory. */
static uint64_t find_capacity(void)
{
    uint64_t capacity = UINT64_C(1) << 40;
#if defined(_SC_PHYS_PAGES)
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0)
        capacity = (uint64_t)pages * (uint64_t)page;
#endif
    return capacity;
}

static int memory_free_space(struct firn_disk *base, const char *path, uint64_t *bytes,
                             struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct firn_entry entry;
    int rc = memory_stat(base, path, &entry, err);
    if (rc != 0)
        return rc;
    uint64_t used = atomic_load(&disk->used);
    *bytes = used < disk->capacity ? disk->capacity - used : 0;
    return 0;
}

static void memory_free(struct firn_disk *base)
{
    struct memory_disk *disk = memory_disk_of(base);
    memory_node_drop(disk, disk->root);
    (void)pthread_mutex_destroy(&disk->mutex);
    free(disk);
}

static const struct firn_disk_ops memory_ops = {
    .size = sizeof(struct firn_disk_ops),
    .open = memory_open,
    .stat = memory_stat,
    .make_dir = memory_make_dir,
    .remove = memory_remove,
    .remove_dir = memory_remove_dir,
    .rename = memory_rename,
    .list = memory_list,
    .sync_dir = memory_sync_dir,
    .make_link = memory_make_link,
    .read_link = memory_read_link,
    .lock = memory_lock,
    .unlock = memory_unlock,
    .share = memory_share,
    .unshare = memory_unshare,
    .event_new = posix_event_new,
    .event_signal = posix_event_signal,
    .event_clear = posix_event_clear,
    .event_free = posix_event_free,
    .free_space = memory_free_space,
    .process_id = posix_process_id,
    .process_alive = posix_process_alive,
    .boot_id = posix_boot_id,
    .clock = posix_clock,
    .sleep = posix_sleep,
    .free = memory_free,
};

int firn_disk_memory_new(struct firn_disk **disk, struct firn_error *err)
{
    struct memory_disk *new = calloc(1, sizeof *new);
    if (new == NULL)
        return memory_fail(err, FIRN_ENOMEM, "storage in memory", "creation");
    new->base.ops = &memory_ops;
    new->capacity = find_capacity();
    atomic_init(&new->used, 0);
    new->root = memory_node_new(FIRN_ENTRY_DIR);
    if (new->root == NULL || pthread_mutex_init(&new->mutex, NULL) != 0) {
        memory_node_drop(new, new->root);
        free(new);
        return memory_fail(err, FIRN_ENOMEM, "storage in memory", "creation");
    }
    new->root->dir.parent = new->root;
    *disk = &new->base;
    return 0;
}
