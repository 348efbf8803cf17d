/* SPDX-License-Identifier: MIT */
/*
 * Files of the storage `posix`: size, space, writeback and advice.
 *
 * Reserving must leave the file as it was where the disk is full. So on Linux the space is first
 * set aside without a change of the size, and only then the file grows, into what it has already.
 * Elsewhere, and where a file system can't set space aside, the file is cut back. Then what grows
 * is written with zeros; holes in what was there stay holes.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

enum { ZERO_BYTES = 16 * 1024 };

static const unsigned char zeros[ZERO_BYTES];

static_assert(sizeof(off_t) == 8, "files of more than 2 GiB (_FILE_OFFSET_BITS=64)");

/* ---- size ------------------------------------------------------------------------------------ */

int posix_size_of(struct firn_file *base, uint64_t *bytes, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return posix_fail(err, errno, file->path, "stat");
    *bytes = (uint64_t)status.st_size;
    return 0;
}

/* 0 or an errno. */
static int set_size(int fd, uint64_t size)
{
    int rc = 0;
    do
        rc = ftruncate(fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc != 0 ? errno : 0;
}

int posix_truncate(struct firn_file *base, uint64_t size, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    struct stat status;
    if (!file->writable)
        return posix_refuse(err, FIRN_EREADONLY, file->path, "truncate: opened read-only");
    if (fstat(file->fd, &status) != 0)
        return posix_fail(err, errno, file->path, "stat");
    if (size > (uint64_t)status.st_size) {
        int rc = posix_check_end(file->path, "truncate", 0, size, err);
        if (rc != 0)
            return rc;
    }
    int os_error = set_size(file->fd, size);
    if (os_error != 0)
        return posix_fail(err, os_error, file->path, "truncate to %llu bytes",
                          (unsigned long long)size);
    return 0;
}

/* ---- space ----------------------------------------------------------------------------------- */

/* Zeros from `from` to `end`; 0 or an errno. What can't fit is not begun. */
static int write_zeros(int fd, uint64_t from, uint64_t end)
{
    struct statvfs space;
    if (fstatvfs(fd, &space) == 0 && space.f_frsize > 0 && from < end &&
        (end - from) / space.f_frsize > (uint64_t)space.f_bavail)
        return ENOSPC;
    while (from < end) {
        size_t len = end - from < ZERO_BYTES ? (size_t)(end - from) : ZERO_BYTES;
        ssize_t n = pwrite(fd, zeros, len, (off_t)from);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            return EIO;
        if (n > 0)
            from += (uint64_t)n;
    }
    return 0;
}

#if DISK_LINUX

static int allocate(int fd, int mode, uint64_t offset, uint64_t length)
{
    int rc = 0;
    do
        rc = fallocate(fd, mode, (off_t)offset, (off_t)length);
    while (rc != 0 && errno == EINTR);
    return rc != 0 ? errno : 0;
}

/* 0 or an errno; EOPNOTSUPP: can't be done here. */
static int set_aside(int fd, uint64_t offset, uint64_t length, uint64_t size)
{
    int os_error = allocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
    if (os_error == 0 && offset + length > size)
        os_error = allocate(fd, 0, offset, length);
    return os_error == ENOSYS ? EOPNOTSUPP : os_error;
}

#elif defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0

static int set_aside(int fd, uint64_t offset, uint64_t length, uint64_t size)
{
    int os_error = 0;
    (void)size;
    do
        os_error = posix_fallocate(fd, (off_t)offset, (off_t)length);
    while (os_error == EINTR);
    return os_error == EINVAL || os_error == ENOSYS ? EOPNOTSUPP : os_error;
}

#else

static int set_aside(int fd, uint64_t offset, uint64_t length, uint64_t size)
{
    (void)fd, (void)offset, (void)length, (void)size;
    return EOPNOTSUPP;
}

#endif

int posix_reserve_fd(int fd, const char *path, uint64_t offset, uint64_t length,
                     struct firn_error *err)
{
    struct stat status;
    int rc = posix_check_end(path, "reserve", offset, length, err);
    if (rc != 0 || length == 0)
        return rc;
    if (fstat(fd, &status) != 0)
        return posix_fail(err, errno, path, "stat");
    uint64_t size = (uint64_t)status.st_size;
    uint64_t end = offset + length;
    int os_error = set_aside(fd, offset, length, size);
    if (os_error == EOPNOTSUPP)
        os_error = write_zeros(fd, offset > size ? offset : size, end);
    if (os_error == 0)
        return 0;
    if (end > size)
        (void)set_size(fd, size); /* frees what lies behind the end, too */
    return posix_fail(err, os_error, path, "reserve of %llu bytes at %llu",
                      (unsigned long long)length, (unsigned long long)offset);
}

int posix_reserve(struct firn_file *base, uint64_t offset, uint64_t length, struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    if (!file->writable)
        return posix_refuse(err, FIRN_EREADONLY, file->path, "reserve: opened read-only");
    return posix_reserve_fd(file->fd, file->path, offset, length, err);
}

/* ---- writeback and advice -------------------------------------------------------------------- */

#if DISK_LINUX

static int writeback(struct firn_file *base, uint64_t offset, uint64_t length, unsigned flags,
                     struct firn_error *err)
{
    struct posix_file *file = posix_file_of(base);
    int rc = 0;
    if (length == 0 || offset > INT64_MAX || length > INT64_MAX - offset)
        return 0;
    do
        rc = sync_file_range(file->fd, (off_t)offset, (off_t)length, flags);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 || errno == ENOSYS || errno == EINVAL || errno == ESPIPE)
        return 0;
    return posix_fail(err, errno, file->path, "writeback of %llu bytes at %llu",
                      (unsigned long long)length, (unsigned long long)offset);
}

int posix_writeback_start(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    return writeback(base, offset, length, SYNC_FILE_RANGE_WRITE, err);
}

int posix_writeback_await(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                     SYNC_FILE_RANGE_WAIT_AFTER;
    return writeback(base, offset, length, flags, err);
}

#else

int posix_writeback_start(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    (void)base, (void)offset, (void)length, (void)err;
    return 0;
}

int posix_writeback_await(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    (void)base, (void)offset, (void)length, (void)err;
    return 0;
}

#endif

void posix_advise(struct firn_file *base, uint64_t offset, uint64_t length, enum firn_advice advice)
{
#if defined(_POSIX_ADVISORY_INFO) && _POSIX_ADVISORY_INFO > 0
    static const int advices[] = {
        [FIRN_ADVICE_SEQUENTIAL] = POSIX_FADV_SEQUENTIAL,
        [FIRN_ADVICE_RANDOM] = POSIX_FADV_RANDOM,
        [FIRN_ADVICE_WILL_NEED] = POSIX_FADV_WILLNEED,
        [FIRN_ADVICE_DONT_NEED] = POSIX_FADV_DONTNEED,
    };
    if ((size_t)advice < sizeof advices / sizeof advices[0] && offset <= INT64_MAX &&
        length <= INT64_MAX - offset)
        (void)posix_fadvise(posix_file_of(base)->fd, (off_t)offset, (off_t)length, advices[advice]);
#else
    (void)base, (void)offset, (void)length, (void)advice;
#endif
}
