/* SPDX-License-Identifier: MIT */
/*
 * Files of the storage `posix`: open, read, write, sync.
 *
 * On Linux a durable write is one pwritev2 with RWF_DSYNC, which makes its own range durable and
 * does not wait for other dirty pages of the file, as fdatasync would. Where a file system refuses
 * the flag, and elsewhere, it is a write and a sync.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

enum { MOST_ENTRIES = 1024 }; /* of an iovec in one call; IOV_MAX on every system we know */

#if defined(IOV_MAX)
static_assert(IOV_MAX >= MOST_ENTRIES, "a call takes this many entries");
#endif

/* ---- open ------------------------------------------------------------------------------------ */

int posix_open_fd(const char *path, int flags, struct firn_error *err)
{
    struct stat status;
    int fd = -1;
    do
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return posix_fail(err, errno, path, "open");
    int rc = 0;
    if (fstat(fd, &status) != 0)
        rc = posix_fail(err, errno, path, "stat");
    else if (!S_ISREG(status.st_mode))
        rc = posix_refuse(err, FIRN_EINVAL, path, "not a regular file");
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

static void file_close(struct firn_file *base)
{
    struct posix_file *file = posix_file_of(base);
    posix_unlock_file(file);
    (void)close(file->fd);
    free(file);
}

/* ---- read ------------------------------------------------------------------------------------ */

/* Cuts `*count` to what one call takes and adds up its bytes. FIRN_EINVAL. */
static int measure(const struct posix_file *file, const char *verb, const struct iovec *iov,
                   int *count, uint64_t offset, size_t *total, struct firn_error *err)
{
    size_t sum = 0;
    if (*count < 0)
        return posix_refuse(err, FIRN_EINVAL, file->path, "%s at %llu: %d ranges", verb,
                            (unsigned long long)offset, *count);
    if (*count > MOST_ENTRIES)
        *count = MOST_ENTRIES;
    for (int i = 0; i < *count; i++) {
        if (iov[i].iov_len > SSIZE_MAX - sum)
            return posix_refuse(err, FIRN_EINVAL, file->path, "%s at %llu: more than %zu bytes",
                                verb, (unsigned long long)offset, (size_t)SSIZE_MAX);
        sum += iov[i].iov_len;
    }
    *total = sum;
    return 0;
}

#if DISK_LINUX

static ssize_t read_some(const struct posix_file *file, const struct iovec *iov, int count,
                         uint64_t offset)
{
    if (count == 1)
        return pread(file->fd, iov->iov_base, iov->iov_len, (off_t)offset);
    return preadv(file->fd, iov, count, (off_t)offset);
}

#else

/* Entry by entry; an error after some bytes shows when the caller goes on behind them. */
static ssize_t read_some(const struct posix_file *file, const struct iovec *iov, int count,
                         uint64_t offset)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = pread(file->fd, iov[i].iov_base, iov[i].iov_len, (off_t)(offset + sum));
        if (n < 0)
            return sum > 0 ? (ssize_t)sum : -1;
        sum += (size_t)n;
        if ((size_t)n < iov[i].iov_len)
            break;
    }
    return (ssize_t)sum;
}

#endif

static int file_readv(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                      size_t *done, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    size_t total = 0;
    ssize_t n = 0;
    *done = 0;
    int rc = measure(file, "read", iov, &count, offset, &total, err);
    if (rc != 0 || total == 0 || offset > INT64_MAX - total)
        return rc; /* no file is that long */
    do
        n = read_some(file, iov, count, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return posix_fail(err, errno, file->path, "read of %zu bytes at %llu", total,
                          (unsigned long long)offset);
    *done = (size_t)n;
    return 0;
}

/* ---- write and sync -------------------------------------------------------------------------- */

int posix_check_end(const char *path, const char *verb, uint64_t offset, uint64_t length,
                    struct firn_error *err)
{
    struct rlimit limit;
    if (offset > INT64_MAX || length > INT64_MAX - offset)
        return posix_refuse(err, FIRN_ETOOBIG, path, "%s of %llu bytes at %llu: offset too large",
                            verb, (unsigned long long)length, (unsigned long long)offset);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        offset + length <= limit.rlim_cur)
        return 0;
    return posix_refuse(err, FIRN_ETOOBIG, path,
                        "%s of %llu bytes at %llu goes beyond the limit for files of this process "
                        "(ulimit -f), %llu bytes",
                        verb, (unsigned long long)length, (unsigned long long)offset,
                        (unsigned long long)limit.rlim_cur);
}

static int sync_data(int fd)
{
    int rc = 0;
    do {
#if defined(F_FULLFSYNC)
        rc = fcntl(fd, F_FULLFSYNC); /* fsync of this system leaves data in the drive's cache */
#elif DISK_LINUX
        rc = fdatasync(fd);
#else
        rc = fsync(fd);
#endif
    } while (rc != 0 && errno == EINTR);
    return rc;
}

#if DISK_LINUX

static ssize_t write_plain(const struct posix_file *file, const struct iovec *iov, int count,
                           uint64_t offset)
{
    return pwritev(file->fd, iov, count, (off_t)offset);
}

/* -1 and EOPNOTSUPP: there is no such thing here. */
static ssize_t write_dsync(struct posix_file *file, const struct iovec *iov, int count,
                           uint64_t offset)
{
    errno = EOPNOTSUPP;
    if (atomic_load_explicit(&file->no_dsync, memory_order_relaxed))
        return -1;
    ssize_t n = pwritev2(file->fd, iov, count, (off_t)offset, RWF_DSYNC);
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)) {
        atomic_store_explicit(&file->no_dsync, true, memory_order_relaxed);
        errno = EOPNOTSUPP;
    }
    return n;
}

#else

static ssize_t write_plain(const struct posix_file *file, const struct iovec *iov, int count,
                           uint64_t offset)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = pwrite(file->fd, iov[i].iov_base, iov[i].iov_len, (off_t)(offset + sum));
        if (n < 0)
            return sum > 0 ? (ssize_t)sum : -1;
        sum += (size_t)n;
        if ((size_t)n < iov[i].iov_len)
            break;
    }
    return (ssize_t)sum;
}

static ssize_t write_dsync(struct posix_file *file, const struct iovec *iov, int count,
                           uint64_t offset)
{
    (void)file, (void)iov, (void)count, (void)offset;
    errno = EOPNOTSUPP;
    return -1;
}

#endif

static ssize_t write_durable(struct posix_file *file, const struct iovec *iov, int count,
                             uint64_t offset)
{
    ssize_t n = write_dsync(file, iov, count, offset);
    if (n >= 0 || errno != EOPNOTSUPP)
        return n;
    n = write_plain(file, iov, count, offset);
    return n > 0 && sync_data(file->fd) != 0 ? -1 : n;
}

static int file_writev(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                       unsigned flags, size_t *done, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    size_t total = 0;
    ssize_t n = 0;
    *done = 0;
    if (!file->writable)
        return posix_refuse(err, FIRN_EREADONLY, file->path, "write: opened read-only");
    int rc = measure(file, "write", iov, &count, offset, &total, err);
    if (rc == 0)
        rc = posix_check_end(file->path, "write", offset, total, err);
    if (rc != 0 || total == 0)
        return rc;
    do {
        if ((flags & FIRN_WRITE_DURABLE) != 0)
            n = write_durable(file, iov, count, offset);
        else
            n = write_plain(file, iov, count, offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return posix_fail(err, errno, file->path, "%s of %zu bytes at %llu",
                          (flags & FIRN_WRITE_DURABLE) != 0 ? "durable write" : "write", total,
                          (unsigned long long)offset);
    *done = (size_t)n;
    return 0;
}

static int file_sync(struct firn_file *base, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    if (sync_data(file->fd) != 0)
        return posix_fail(err, errno, file->path, "sync");
    return 0;
}

static int posix_descriptor(struct firn_file *base)
{
    return posix_file_of(base)->fd;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct firn_file_ops posix_file_ops = {
    .size = sizeof(struct firn_file_ops),
    .close = file_close,
    .size_of = posix_size_of,
    .readv = file_readv,
    .writev = file_writev,
    .sync = file_sync,
    .reserve = posix_reserve,
    .truncate = posix_truncate,
    .writeback_start = posix_writeback_start,
    .writeback_await = posix_writeback_await,
    .advise = posix_advise,
    .descriptor = posix_descriptor,
    .lock = posix_lock_file,
};

int posix_open(struct firn_disk *disk, const char *path, unsigned flags, struct firn_file **file,
               struct firn_error *err)
{
    (void)disk;
    unsigned known = FIRN_OPEN_READ | FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE;
    bool exclusive = (flags & FIRN_OPEN_EXCLUSIVE) != 0;
    bool create = (flags & FIRN_OPEN_CREATE) != 0;
    bool writable = (flags & FIRN_OPEN_WRITE) != 0;
    if ((flags & ~known) != 0 || (flags & (FIRN_OPEN_READ | FIRN_OPEN_WRITE)) == 0 ||
        (exclusive && !create))
        return posix_refuse(err, FIRN_EINVAL, path, "open with flags %#x", flags);
    size_t size = strlen(path) + 1;
    struct posix_file *new = malloc(sizeof *new + size);
    if (new == NULL)
        return posix_refuse(err, FIRN_ENOMEM, path, "open: out of memory");
    new->fd = posix_open_fd(
        path, (writable ? O_RDWR : O_RDONLY) | (create ? O_CREAT : 0) | (exclusive ? O_EXCL : 0),
        err);
    if (new->fd < 0) {
        int rc = new->fd;
        free(new);
        return rc;
    }
    new->base.ops = &posix_file_ops;
    new->writable = writable;
    new->locker = 0;
    atomic_init(&new->no_dsync, false);
    memcpy(new->path, path, size);
    *file = &new->base;
    return 0;
}
