/* SPDX-License-Identifier: MIT */
/*
 * This machine's storage without its syncs, to lay out in seconds what durable appends would write
 * in hours: the same calls, the same batches.
 */
#include "bench.h"

#include <firn/disk.h>

static const struct firn_file_ops *synced_file;
static struct firn_file_ops file_ops;
static struct firn_disk_ops disk_ops;
static struct firn_disk disk = {&disk_ops};

static int write_unsynced(struct firn_file *file, const struct iovec *iov, int count,
                          uint64_t offset, unsigned flags, size_t *done, struct firn_error *err)
{
    return synced_file->writev(file, iov, count, offset, flags & ~(unsigned)FIRN_WRITE_DURABLE,
                               done, err);
}

static int no_sync(struct firn_file *file, struct firn_error *err)
{
    (void)file, (void)err;
    return 0;
}

static int no_sync_dir(struct firn_disk *self, const char *path, struct firn_error *err)
{
    (void)self, (void)path, (void)err;
    return 0;
}

static int open_unsynced(struct firn_disk *self, const char *path, unsigned flags,
                         struct firn_file **file, struct firn_error *err)
{
    struct firn_disk *posix = firn_disk_posix();
    int rc = posix->ops->open(self, path, flags, file, err);
    if (rc == 0)
        (*file)->ops = &file_ops;
    return rc;
}

/* All files of the storage have one table. */
static int learn_file_ops(const char *path, struct firn_error *err)
{
    struct firn_disk *posix = firn_disk_posix();
    struct firn_file *file;
    int rc = posix->ops->open(posix, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, err);
    if (rc < 0)
        return rc;
    synced_file = file->ops;
    file->ops->close(file);
    return posix->ops->remove(posix, path, err);
}

int unsynced_disk(struct bench *bench, struct firn_disk **out)
{
    char path[BENCH_PATH];
    struct firn_error err = {0};
    path_in(bench, "learn", path);
    if (!synced_file && learn_file_ops(path, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    file_ops = *synced_file;
    file_ops.writev = write_unsynced;
    file_ops.sync = no_sync;
    disk_ops = *firn_disk_posix()->ops;
    disk_ops.open = open_unsynced;
    disk_ops.sync_dir = no_sync_dir;
    *out = &disk;
    return 0;
}
