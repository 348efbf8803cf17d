/* SPDX-License-Identifier: MIT */
/* Names in the storage `posix`: files, directories, symbolic links, and the space there is. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk/platform.h"
#include "disk/posix_private.h"

static enum firn_entry_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return FIRN_ENTRY_FILE;
    if (S_ISDIR(mode))
        return FIRN_ENTRY_DIR;
    return S_ISLNK(mode) ? FIRN_ENTRY_SYMLINK : FIRN_ENTRY_OTHER;
}

int posix_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
               struct firn_error *err)
{
    struct stat status;
    (void)disk;
    if (lstat(path, &status) != 0)
        return posix_fail(err, errno, path, "stat");
    *entry = (struct firn_entry){.kind = kind_of(status.st_mode)};
    if (entry->kind == FIRN_ENTRY_FILE) {
        entry->size = (uint64_t)status.st_size;
        entry->allocated = (uint64_t)status.st_blocks * 512;
    }
    return 0;
}

int posix_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    (void)disk;
    if (mkdir(path, 0777) != 0)
        return posix_fail(err, errno, path, "make directory");
    return 0;
}

/* Whether it is a directory, without following a link. Leaves errno alone. */
static bool is_dir(const char *path)
{
    struct stat status;
    int saved = errno;
    bool yes = lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
    errno = saved;
    return yes;
}

int posix_remove(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    (void)disk;
    if (unlink(path) == 0)
        return 0;
    if ((errno == EPERM || errno == EISDIR) && is_dir(path))
        errno = EISDIR; /* POSIX says EPERM */
    return posix_fail(err, errno, path, "remove");
}

int posix_remove_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    (void)disk;
    if (rmdir(path) == 0)
        return 0;
    if (errno == EEXIST)
        errno = ENOTEMPTY; /* POSIX allows either */
    return posix_fail(err, errno, path, "remove directory");
}

int posix_rename(struct firn_disk *disk, const char *from, const char *to, struct firn_error *err)
{
    (void)disk;
    if (rename(from, to) == 0)
        return 0;
    if (errno == EEXIST)
        errno = ENOTEMPTY;
    return posix_fail(err, errno, from, "rename to %.100s", to);
}

/* ---- directories ----------------------------------------------------------------------------- */

static int open_dir(const char *path, struct firn_error *err)
{
    int fd = -1;
    do
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : posix_fail(err, errno, path, "open directory");
}

/* False where the entry is gone meanwhile. */
static bool look_at(DIR *dir, const struct dirent *found, struct firn_entry *entry)
{
    struct stat status;
#if DISK_LINUX
    switch (found->d_type) {
    case DT_REG:
        entry->kind = FIRN_ENTRY_FILE;
        return true;
    case DT_DIR:
        entry->kind = FIRN_ENTRY_DIR;
        return true;
    case DT_LNK:
        entry->kind = FIRN_ENTRY_SYMLINK;
        return true;
    default:
        break;
    }
#endif
    if (fstatat(dirfd(dir), found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    entry->kind = kind_of(status.st_mode);
    return true;
}

static int list_all(DIR *dir, const char *path, firn_list_fn *each, void *arg,
                    struct firn_error *err)
{
    for (;;) {
        struct firn_entry entry = {.kind = FIRN_ENTRY_OTHER};
        errno = 0;
        const struct dirent *found = readdir(dir);
        if (found == NULL)
            return errno == 0 ? 0 : posix_fail(err, errno, path, "read directory");
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0 ||
            !look_at(dir, found, &entry))
            continue;
        int rc = each(arg, found->d_name, &entry);
        if (rc != 0)
            return rc;
    }
}

int posix_list(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
               struct firn_error *err)
{
    (void)disk;
    int fd = open_dir(path, err);
    if (fd < 0)
        return fd;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = posix_fail(err, errno, path, "open directory");
        (void)close(fd);
        return rc;
    }
    int rc = list_all(dir, path, each, arg, err);
    (void)closedir(dir);
    return rc;
}

int posix_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    int rc = 0;
    (void)disk;
    int fd = open_dir(path, err);
    if (fd < 0)
        return fd;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    /* Some file systems have nothing to sync in a directory, and say so in one of these ways. */
    if (rc != 0 && errno != EINVAL && errno != EBADF)
        rc = posix_fail(err, errno, path, "sync of directory");
    else
        rc = 0;
    (void)close(fd);
    return rc;
}

/* ---- symbolic links, free space -------------------------------------------------------------- */

int posix_make_link(struct firn_disk *disk, const char *target, const char *path,
                    struct firn_error *err)
{
    (void)disk;
    if (symlink(target, path) != 0)
        return posix_fail(err, errno, path, "make symbolic link");
    return 0;
}

int posix_read_link(struct firn_disk *disk, const char *path, char *target, size_t size,
                    struct firn_error *err)
{
    char text[4096]; /* not the caller's: it is only written on success */
    (void)disk;
    ssize_t n = readlink(path, text, sizeof text);
    if (n < 0)
        return posix_fail(err, errno, path, "read symbolic link");
    if ((size_t)n >= size || (size_t)n == sizeof text)
        return posix_refuse(err, FIRN_ERANGE, path,
                            "read symbolic link: the target does not fit in %zu bytes", size);
    memcpy(target, text, (size_t)n);
    target[n] = '\0';
    return 0;
}

int posix_free_space(struct firn_disk *disk, const char *path, uint64_t *bytes,
                     struct firn_error *err)
{
    struct statvfs status;
    int rc = 0;
    (void)disk;
    do
        rc = statvfs(path, &status);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return posix_fail(err, errno, path, "look for free space");
    *bytes = (uint64_t)status.f_bavail * (uint64_t)status.f_frsize;
    return 0;
}
