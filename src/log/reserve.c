/* SPDX-License-Identifier: MIT */
/*
 * A reserve for a full disk. Removing records mostly takes no space: the checkpoint is written in
 * place, and files are cut and unlinked. What does take some (a compressed batch that a truncation
 * divides, a torn tail to be copied aside) has this file given up for it. The background puts it
 * back when there is room. Nothing is lost with it.
 */
#include "log/log_private.h"

enum { RESERVE_BYTES = 64 * 1024 };

/* Durably so: a loss of power is when a torn tail is found. */
static int fill(struct firn_log *log, struct firn_file *file)
{
    uint64_t size;
    int rc = disk_size_of(file, &size, NULL);
    if (rc < 0 || size >= RESERVE_BYTES)
        return rc;
    rc = disk_reserve(file, 0, RESERVE_BYTES, NULL);
    if (rc == 0)
        rc = disk_sync(file, NULL);
    return rc == 0 ? disk_sync_dir(log->disk, log->dir, NULL) : rc;
}

void reserve_keep(struct firn_log *log)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file;
    if (log->has_reserve || disk_path_join(path, sizeof path, log->dir, RESERVE_NAME, NULL) < 0 ||
        disk_open(log->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, NULL) < 0)
        return;
    log->has_reserve = fill(log, file) == 0;
    disk_close(file);
    if (!log->has_reserve)
        disk_remove(log->disk, path, NULL);
}

bool reserve_release(struct firn_log *log, int rc)
{
    char path[DISK_PATH_SIZE];
    if (rc != FIRN_ENOSPC || disk_path_join(path, sizeof path, log->dir, RESERVE_NAME, NULL) < 0)
        return false;
    log->has_reserve = false;
    return disk_remove(log->disk, path, NULL) == 0;
}
