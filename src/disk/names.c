/* SPDX-License-Identifier: MIT */
/* Whole operations on names of any storage. */
#include "disk/disk.h"

#include <stdio.h>
#include <string.h>

static int too_long(struct firn_error *err, const char *path)
{
    return firn_error_set(err, FIRN_ETOOBIG, 0, "path too long: %s", path);
}

/* For errors that may turn out not to be ours: `err` is written only by a call that fails. */
static int pass_on(struct firn_error *err, const struct firn_error *why)
{
    if (err != NULL)
        *err = *why;
    return why->code;
}

int disk_path_join(char *out, size_t size, const char *dir, const char *name,
                   struct firn_error *err)
{
    size_t len = strlen(dir), name_len = strlen(name);
    bool slash = len > 0 && dir[len - 1] != '/';
    if (len + slash + name_len >= size)
        return too_long(err, name);
    memcpy(out, dir, len);
    if (slash)
        out[len++] = '/';
    memcpy(out + len, name, name_len + 1);
    return 0;
}

/* Bytes of `path` before its last component and the slashes in front of that; 0: it has none. */
static size_t parent_length(const char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    return len;
}

int disk_path_parent(char *out, size_t size, const char *path, struct firn_error *err)
{
    size_t len = parent_length(path);
    if (len == 0) {
        path = ".";
        len = 1;
    }
    if (len >= size)
        return too_long(err, path);
    memcpy(out, path, len);
    out[len] = '\0';
    return 0;
}

int disk_exists(struct firn_disk *disk, const char *path, bool *exists, struct firn_error *err)
{
    struct firn_entry entry;
    struct firn_error why;
    int rc = disk_stat(disk, path, &entry, &why);
    if (rc != 0 && rc != FIRN_ENOENT)
        return pass_on(err, &why);
    *exists = rc == 0;
    return 0;
}

/* Leaves a synced file of this content under the name `path`, or nothing. */
static int write_whole(struct firn_disk *disk, const char *path, const void *bytes, size_t len,
                       struct firn_error *err)
{
    struct firn_file *file = NULL;
    int rc = disk_open(disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, err);
    if (rc != 0)
        return rc;
    rc = disk_truncate(file, 0, err);
    if (rc == 0)
        rc = disk_write_full(file, bytes, len, 0, 0, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    if (rc != 0)
        (void)disk_remove(disk, path, NULL);
    return rc;
}

int disk_replace_file(struct firn_disk *disk, const char *dir, const char *name, const void *bytes,
                      size_t len, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    char temp[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, dir, name, err);
    if (rc != 0)
        return rc;
    int length = snprintf(temp, sizeof temp, "%s.tmp", path);
    if (length < 0 || (size_t)length >= sizeof temp)
        return too_long(err, name);
    rc = write_whole(disk, temp, bytes, len, err);
    if (rc != 0)
        return rc;
    rc = disk_rename(disk, temp, path, err);
    if (rc != 0) {
        (void)disk_remove(disk, temp, NULL);
        return rc;
    }
    return disk_sync_dir(disk, dir[0] == '\0' ? "." : dir, err);
}

/* 0: a directory, or a link to one; FIRN_ENOENT, FIRN_ENOTDIR, ... */
static int look_for_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char inside[DISK_PATH_SIZE + 2];
    struct firn_entry entry;
    int rc = disk_stat(disk, path, &entry, err);
    if (rc == 0 && entry.kind == FIRN_ENTRY_SYMLINK) {
        (void)snprintf(inside, sizeof inside, "%s/.", path);
        rc = disk_stat(disk, inside, &entry, err);
    }
    if (rc == 0 && entry.kind != FIRN_ENTRY_DIR)
        return firn_error_set(err, FIRN_ENOTDIR, 0, "%s: not a directory", path);
    return rc;
}

/* The name `path` durable in its parent. One that we may not read was not made by us. */
static int sync_parent(struct firn_disk *disk, const char *path, bool made, struct firn_error *err)
{
    char parent[DISK_PATH_SIZE];
    int rc = disk_path_parent(parent, sizeof parent, path, err);
    if (rc != 0)
        return rc;
    struct firn_error why;
    rc = disk_sync_dir(disk, parent, &why);
    return rc == 0 || (rc == FIRN_EACCES && !made) ? 0 : pass_on(err, &why);
}

static int make_one_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    struct firn_error why;
    int rc = disk_make_dir(disk, path, &why);
    if (rc == FIRN_EEXIST)
        rc = look_for_dir(disk, path, &why); /* another process was faster */
    return rc != 0 ? pass_on(err, &why) : sync_parent(disk, path, true, err);
}

/* Where the component of `path` ends that begins at or behind `from`; 0: there is none. */
static size_t component_end(const char *path, size_t from)
{
    size_t start = from + strspn(path + from, "/");
    size_t len = strcspn(path + start, "/");
    return len == 0 ? 0 : start + len;
}

/* Cuts `path` down to the lowest directory above it (or itself) that is there, or one name. */
static int find_lowest(struct firn_disk *disk, char *path, struct firn_error *err)
{
    int rc = look_for_dir(disk, path, err);
    while (rc == FIRN_ENOENT) {
        size_t up = parent_length(path);
        if (up == 0 || path[up] == '\0')
            break;
        path[up] = '\0';
        rc = look_for_dir(disk, path, err);
    }
    return rc;
}

/*
 * Each directory is made and its parent synced before the next one below is made. So after a crash
 * only the lowest one that is there can have a name that was never synced: that one is synced
 * first.
 */
int disk_make_dirs(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char part[DISK_PATH_SIZE];
    size_t len = strlen(path);
    if (len >= sizeof part)
        return too_long(err, path);
    memcpy(part, path, len + 1);
    struct firn_error why;
    int rc = find_lowest(disk, part, &why);
    if (rc == 0)
        rc = sync_parent(disk, part, false, err);
    else if (rc == FIRN_ENOENT)
        rc = make_one_dir(disk, part, err);
    else
        rc = pass_on(err, &why);
    size_t end = component_end(path, strlen(part));
    for (; rc == 0 && end != 0; end = component_end(path, end)) {
        memcpy(part, path, end);
        part[end] = '\0';
        rc = make_one_dir(disk, part, err);
    }
    return rc;
}
