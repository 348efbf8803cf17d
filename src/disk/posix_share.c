/* SPDX-License-Identifier: MIT */
/*
 * Memory that processes share, in the storage `posix`: a small mapped file. Its space is set aside
 * before it is mapped: on a full disk the first store into a hole would end the program (SIGBUS).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk/posix_private.h"

enum { SHARE_MOST = 64 * 1024 };

struct firn_share {
    void *memory;
    size_t bytes;
};

/* The file, at least `bytes` long: its descriptor, or a negative FIRN_E.... */
static int open_share(const char *path, size_t bytes, bool create, bool *writable,
                      struct firn_error *err)
{
    struct stat status;
    int rc = 0;
    *writable = true;
    int fd = posix_open_fd(path, O_RDWR | (create ? O_CREAT : 0), err);
    if (!create && (fd == FIRN_EACCES || fd == FIRN_EREADONLY)) {
        *writable = false;
        fd = posix_open_fd(path, O_RDONLY, err);
    }
    if (fd < 0)
        return fd;
    if (create)
        rc = posix_reserve_fd(fd, path, 0, bytes, err);
    else if (fstat(fd, &status) != 0)
        rc = posix_fail(err, errno, path, "stat");
    else if ((uint64_t)status.st_size < bytes)
        rc = posix_refuse(err, FIRN_ERANGE, path, "has %llu bytes, %zu are to be mapped",
                          (unsigned long long)status.st_size, bytes);
    if (rc == 0)
        return fd;
    (void)close(fd);
    return rc;
}

int posix_share(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                struct firn_share **share, void **memory, struct firn_error *err)
{
    bool writable = false;
    (void)disk;
    if (bytes == 0 || bytes > SHARE_MOST)
        return posix_refuse(err, FIRN_EINVAL, path, "mapping of %zu bytes", bytes);
    struct firn_share *new = malloc(sizeof *new);
    if (new == NULL)
        return posix_refuse(err, FIRN_ENOMEM, path, "mapping: out of memory");
    int fd = open_share(path, bytes, create, &writable, err);
    if (fd < 0) {
        free(new);
        return fd;
    }
    new->bytes = bytes;
    new->memory = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    int os_error = errno;
    (void)close(fd);
    if (new->memory == MAP_FAILED) {
        free(new);
        return posix_fail(err, os_error, path, "mapping of %zu bytes", bytes);
    }
    *share = new;
    *memory = new->memory;
    return 0;
}

void posix_unshare(struct firn_share *share)
{
    if (share == NULL)
        return;
    (void)munmap(share->memory, share->bytes);
    free(share);
}
