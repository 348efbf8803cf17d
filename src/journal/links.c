/* SPDX-License-Identifier: MIT */
/*
 * A path that is a symbolic link: journal and lock stand beside the file that it leads to, so that
 * all ways to a file meet the same ones.
 */
#include <string.h>

#include "journal/journal_private.h"

enum { LINKS_MOST = 32 };

/* Where the link `path` leads, seen from the directory it is in. */
static int follow(struct firn_disk *disk, char path[DISK_PATH_SIZE], struct firn_error *err)
{
    char target[DISK_PATH_SIZE], dir[DISK_PATH_SIZE];
    int rc = disk_read_link(disk, path, target, sizeof target, err);
    if (rc == 0 && target[0] == '/') {
        memcpy(path, target, strlen(target) + 1);
        return 0;
    }
    bool has_dir = strchr(path, '/') != NULL;
    if (rc == 0)
        rc = disk_path_parent(dir, sizeof dir, path, err);
    return rc == 0 ? disk_path_join(path, DISK_PATH_SIZE, has_dir ? dir : "", target, err) : rc;
}

int links_follow(struct firn_disk *disk, const char *path, char found[DISK_PATH_SIZE],
                 struct firn_error *err)
{
    struct firn_entry entry;
    int rc = disk_path_join(found, DISK_PATH_SIZE, "", path, err);
    for (int i = 0; rc == 0 && i < LINKS_MOST; i++) {
        if (disk_stat(disk, found, &entry, NULL) < 0 || entry.kind != FIRN_ENTRY_SYMLINK)
            return 0; /* what is wrong with it shows when it is opened */
        rc = follow(disk, found, err);
    }
    return rc < 0 ? rc : firn_error_set(err, FIRN_EINVAL, 0, "%s: links that lead nowhere", path);
}
