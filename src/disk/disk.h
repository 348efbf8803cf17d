/* SPDX-License-Identifier: MIT */
/*
 * What the floors above use of a storage: one inline wrapper per function of the tables in
 * <firn/disk.h> (its comments are the contract), and helpers that loop over short operations.
 *
 * Results are 0 or a negative FIRN_E..., `err` may be NULL, outputs are written only on success.
 */
#ifndef FIRN_DISK_DISK_H
#define FIRN_DISK_DISK_H

#include <stddef.h>

#include <firn/disk.h>

/* Room for a path of the longest length that the helpers below build, with its NUL. */
enum { DISK_PATH_SIZE = 4096 };

/* ---- a storage ------------------------------------------------------------------------------ */

/* Whether the table is complete for this version: FIRN_EINVAL. For whoever is handed a storage. */
int disk_check(const struct firn_disk *disk, struct firn_error *err);

static inline int disk_open(struct firn_disk *disk, const char *path, unsigned flags,
                            struct firn_file **file, struct firn_error *err)
{
    return disk->ops->open(disk, path, flags, file, err);
}

static inline int disk_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
                            struct firn_error *err)
{
    return disk->ops->stat(disk, path, entry, err);
}

static inline int disk_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    return disk->ops->make_dir(disk, path, err);
}

static inline int disk_remove(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    return disk->ops->remove(disk, path, err);
}

static inline int disk_remove_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    return disk->ops->remove_dir(disk, path, err);
}

static inline int disk_rename(struct firn_disk *disk, const char *from, const char *to,
                              struct firn_error *err)
{
    return disk->ops->rename(disk, from, to, err);
}

static inline int disk_list(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
                            struct firn_error *err)
{
    return disk->ops->list(disk, path, each, arg, err);
}

static inline int disk_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    return disk->ops->sync_dir(disk, path, err);
}

static inline int disk_make_link(struct firn_disk *disk, const char *target, const char *path,
                                 struct firn_error *err)
{
    return disk->ops->make_link(disk, target, path, err);
}

static inline int disk_read_link(struct firn_disk *disk, const char *path, char *target,
                                 size_t size, struct firn_error *err)
{
    return disk->ops->read_link(disk, path, target, size, err);
}

static inline int disk_lock(struct firn_disk *disk, const char *path, struct firn_lock **lock,
                            int64_t *holder, struct firn_error *err)
{
    return disk->ops->lock(disk, path, lock, holder, err);
}

/* NULL is fine. */
static inline void disk_unlock(struct firn_disk *disk, struct firn_lock *lock)
{
    if (lock != NULL)
        disk->ops->unlock(lock);
}

static inline int disk_share(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                             struct firn_share **share, void **memory, struct firn_error *err)
{
    return disk->ops->share(disk, path, bytes, create, share, memory, err);
}

/* NULL is fine. */
static inline void disk_unshare(struct firn_disk *disk, struct firn_share *share)
{
    if (share != NULL)
        disk->ops->unshare(share);
}

static inline int disk_event_new(struct firn_disk *disk, struct firn_event **event, int *fd,
                                 struct firn_error *err)
{
    return disk->ops->event_new(disk, event, fd, err);
}

static inline void disk_event_signal(struct firn_disk *disk, struct firn_event *event)
{
    disk->ops->event_signal(event);
}

static inline void disk_event_clear(struct firn_disk *disk, struct firn_event *event)
{
    disk->ops->event_clear(event);
}

/* NULL is fine. */
static inline void disk_event_free(struct firn_disk *disk, struct firn_event *event)
{
    if (event != NULL)
        disk->ops->event_free(event);
}

static inline int disk_free_space(struct firn_disk *disk, const char *path, uint64_t *bytes,
                                  struct firn_error *err)
{
    return disk->ops->free_space(disk, path, bytes, err);
}

static inline int64_t disk_process_id(struct firn_disk *disk)
{
    return disk->ops->process_id(disk);
}

static inline bool disk_process_alive(struct firn_disk *disk, int64_t process_id)
{
    return disk->ops->process_alive(disk, process_id);
}

static inline void disk_boot_id(struct firn_disk *disk, uint8_t id[16])
{
    disk->ops->boot_id(disk, id);
}

static inline uint64_t disk_clock(struct firn_disk *disk, enum firn_clock clock)
{
    return disk->ops->clock(disk, clock);
}

static inline void disk_sleep(struct firn_disk *disk, uint64_t nanoseconds)
{
    disk->ops->sleep(disk, nanoseconds);
}

/* ---- an open file --------------------------------------------------------------------------- */

/* NULL is fine. */
static inline void disk_close(struct firn_file *file)
{
    if (file != NULL)
        file->ops->close(file);
}

static inline int disk_size_of(struct firn_file *file, uint64_t *bytes, struct firn_error *err)
{
    return file->ops->size_of(file, bytes, err);
}

/* May read less than asked: see disk_readv_full. */
static inline int disk_readv(struct firn_file *file, const struct iovec *iov, int count,
                             uint64_t offset, size_t *done, struct firn_error *err)
{
    return file->ops->readv(file, iov, count, offset, done, err);
}

/* May write less than asked: see disk_writev_full. */
static inline int disk_writev(struct firn_file *file, const struct iovec *iov, int count,
                              uint64_t offset, unsigned flags, size_t *done, struct firn_error *err)
{
    return file->ops->writev(file, iov, count, offset, flags, done, err);
}

static inline int disk_sync(struct firn_file *file, struct firn_error *err)
{
    return file->ops->sync(file, err);
}

static inline int disk_reserve(struct firn_file *file, uint64_t offset, uint64_t length,
                               struct firn_error *err)
{
    return file->ops->reserve(file, offset, length, err);
}

static inline int disk_truncate(struct firn_file *file, uint64_t size, struct firn_error *err)
{
    return file->ops->truncate(file, size, err);
}

static inline int disk_writeback_start(struct firn_file *file, uint64_t offset, uint64_t length,
                                       struct firn_error *err)
{
    return file->ops->writeback_start(file, offset, length, err);
}

static inline int disk_writeback_await(struct firn_file *file, uint64_t offset, uint64_t length,
                                       struct firn_error *err)
{
    return file->ops->writeback_await(file, offset, length, err);
}

static inline void disk_advise(struct firn_file *file, uint64_t offset, uint64_t length,
                               enum firn_advice advice)
{
    file->ops->advise(file, offset, length, advice);
}

/* -1: it has none. */
static inline int disk_descriptor(struct firn_file *file)
{
    const struct firn_file_ops *ops = file->ops;
    bool known = ops->size >= offsetof(struct firn_file_ops, descriptor) + sizeof ops->descriptor;
    return known && ops->descriptor ? ops->descriptor(file) : -1;
}

/* FIRN_ELOCKED. 0 where the storage knows no such locks. */
static inline int disk_lock_file(struct firn_file *file, struct firn_error *err)
{
    const struct firn_file_ops *ops = file->ops;
    bool known = ops->size >= offsetof(struct firn_file_ops, lock) + sizeof ops->lock;
    return known && ops->lock ? ops->lock(file, err) : 0;
}

/* ---- whole operations ----------------------------------------------------------------------- */

/* Reads until `len` bytes are there or the file ends: `*got` < `len` only at its end. */
int disk_read_full(struct firn_file *file, void *buf, size_t len, uint64_t offset, size_t *got,
                   struct firn_error *err);

/* The same into several buffers. The entries of `iov` are used up: their content is undefined. */
int disk_readv_full(struct firn_file *file, struct iovec *iov, int count, uint64_t offset,
                    size_t *got, struct firn_error *err);

/*
 * Writes all of it. With FIRN_WRITE_DURABLE all of it is durable on success, in however many calls.
 * After an error any part may have been written. FIRN_EIO where a write makes no progress.
 */
int disk_write_full(struct firn_file *file, const void *buf, size_t len, uint64_t offset,
                    unsigned flags, struct firn_error *err);

/* The same from several buffers. The entries of `iov` are used up: their content is undefined. */
int disk_writev_full(struct firn_file *file, struct iovec *iov, int count, uint64_t offset,
                     unsigned flags, struct firn_error *err);

/* Writes `length` zero bytes, at most 1 MiB per call of the storage. */
int disk_write_zeros(struct firn_file *file, uint64_t offset, uint64_t length, unsigned flags,
                     struct firn_error *err);

/* Keeps other programs out of the file, as far as the storage can. FIRN_ELOCKED: one has it. */
int disk_claim_file(struct firn_file *file, bool read_only, struct firn_error *err);

/* ---- names ---------------------------------------------------------------------------------- */

/* `dir`/`name`, or `name` where `dir` is empty. FIRN_ETOOBIG where it does not fit in `size`. */
int disk_path_join(char *out, size_t size, const char *dir, const char *name,
                   struct firn_error *err);

/* The directory that `path` is in: "a/b" -> "a", "a" -> ".", "/a" -> "/". FIRN_ETOOBIG. */
int disk_path_parent(char *out, size_t size, const char *path, struct firn_error *err);

/* Whether anything (a dangling link too) has that name. */
int disk_exists(struct firn_disk *disk, const char *path, bool *exists, struct firn_error *err);

/*
 * Gives the file `dir`/`name` the content `bytes`, all or nothing across a crash, durable on
 * return. Goes by way of `dir`/`name`.tmp: one caller per name at a time. FIRN_ETOOBIG.
 */
int disk_replace_file(struct firn_disk *disk, const char *dir, const char *name, const void *bytes,
                      size_t len, struct firn_error *err);

/*
 * Makes the directory `path` and those above it that are missing. On return its name is durable,
 * also where it was there already (whoever made it may not have lived to sync it). FIRN_ENOTDIR
 * where something else has one of the names.
 */
int disk_make_dirs(struct firn_disk *disk, const char *path, struct firn_error *err);

#endif
