/* SPDX-License-Identifier: MIT */
/*
 * The lock of a sequence is a symbolic link, "<name>.lock", to the process id: made in one step, or
 * there already. Other implementations have the same, so it can't be one of the storage's locks;
 * and nobody takes it away when its holder dies.
 *
 * Breaking one is removing the link. Of two that find the same dead holder, the second must not
 * remove the link that the first has made meanwhile: so who breaks looks again and removes under
 * one of the storage's locks, of a file that is there only then ("<name>.lock.guard").
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "blocks/blocks_private.h"

enum { TEXT_SIZE = sizeof((struct firn_block_holder *)NULL)->text };

static int lock_path(char *path, const char *dir, const char *name, const char *suffix,
                     struct firn_error *err)
{
    char file[DISK_PATH_SIZE];
    int n = snprintf(file, sizeof file, "%s.lock%s", name, suffix);
    if (n < 0 || (size_t)n >= sizeof file)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: the name is too long", name);
    return disk_path_join(path, DISK_PATH_SIZE, dir, file, err);
}

/* 0: the text is no process id. */
static int64_t parse_process(const char *text)
{
    int64_t id = 0;
    for (; *text >= '0' && *text <= '9'; text++) {
        if (id > INT64_MAX / 10 - 1)
            return 0;
        id = id * 10 + (*text - '0');
    }
    return *text ? 0 : id;
}

/* FIRN_ENOENT: there is no lock. What is no link is a lock with no text. */
static int read_lock(struct firn_disk *disk, const char *path, char text[TEXT_SIZE],
                     struct firn_error *err)
{
    char target[DISK_PATH_SIZE];
    int rc = disk_read_link(disk, path, target, sizeof target, err);
    if (rc == FIRN_EINVAL || rc == FIRN_ERANGE) {
        target[0] = '\0';
        rc = 0;
    }
    if (rc < 0)
        return rc;
    snprintf(text, TEXT_SIZE, "%.*s", TEXT_SIZE - 1, target);
    return 0;
}

static int read_holder(struct firn_disk *disk, const char *path, struct firn_block_holder *holder,
                       struct firn_error *err)
{
    struct firn_block_holder found = {0};
    int rc = read_lock(disk, path, found.text, err);
    if (rc < 0)
        return rc;
    found.process = parse_process(found.text);
    found.alive = found.process == 0 || disk_process_alive(disk, found.process);
    *holder = found;
    return 0;
}

static int refuse(const char *path, const struct firn_block_holder *holder, struct firn_error *err)
{
    if (!holder->alive)
        return firn_error_set(err, FIRN_ELOCKED, 0,
                              "%s: left by process %" PRId64
                              ", which is gone; break the lock, or remove it",
                              path, holder->process);
    if (holder->process)
        return firn_error_set(err, FIRN_ELOCKED, 0, "%s: locked by process %" PRId64, path,
                              holder->process);
    return firn_error_set(err, FIRN_ELOCKED, 0, "%s: locked: \"%s\"", path, holder->text);
}

/* ---- breaking ---- */

static int remove_if(struct firn_disk *disk, const char *dir, const char *path,
                     const char *expected, struct firn_error *err)
{
    char text[TEXT_SIZE];
    int rc = read_lock(disk, path, text, err);
    if (rc < 0)
        return rc;
    if (strcmp(text, expected) != 0)
        return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: says \"%s\" now, not \"%s\"", path, text,
                              expected);
    rc = disk_remove(disk, path, err);
    return rc == 0 ? disk_sync_dir(disk, dir, err) : rc;
}

static int break_lock(struct firn_disk *disk, const char *dir, const char *name, const char *text,
                      struct firn_error *err)
{
    char path[DISK_PATH_SIZE], guard_path[DISK_PATH_SIZE];
    struct firn_lock *guard;
    int64_t other;
    int rc = lock_path(path, dir, name, "", err);
    if (rc == 0)
        rc = lock_path(guard_path, dir, name, ".guard", err);
    if (rc == 0)
        rc = disk_lock(disk, guard_path, &guard, &other, err);
    if (rc < 0)
        return rc;
    rc = remove_if(disk, dir, path, text, err);
    disk_remove(disk, guard_path, NULL);
    disk_unlock(disk, guard);
    return rc;
}

/* ---- taking ---- */

static int make_link(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%" PRId64, disk_process_id(disk));
    return disk_make_link(disk, text, path, err);
}

static int just_locked(const char *path, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ELOCKED, 0, "%s: just locked by somebody else", path);
}

/* 0: the lock was there and is gone, or its holder was and the lock is broken: try again. */
static int look(struct firn_disk *disk, const char *dir, const char *name, const char *path,
                bool break_dead, struct firn_error *err)
{
    struct firn_block_holder holder;
    int rc = read_holder(disk, path, &holder, err);
    if (rc == FIRN_ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    if (holder.alive || !break_dead)
        return refuse(path, &holder, err);
    rc = break_lock(disk, dir, name, holder.text, err);
    if (rc == FIRN_EMISMATCH)
        return just_locked(path, err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

int block_lock_take(struct firn_disk *disk, const char *dir, const char *name, bool break_dead,
                    struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = lock_path(path, dir, name, "", err);
    if (rc < 0)
        return rc;
    rc = make_link(disk, path, err);
    if (rc == FIRN_EEXIST) {
        rc = look(disk, dir, name, path, break_dead, err);
        if (rc == 0)
            rc = make_link(disk, path, err);
    }
    return rc == FIRN_EEXIST ? just_locked(path, err) : rc;
}

int block_lock_look(struct firn_disk *disk, const char *dir, const char *name, bool ignore_dead,
                    struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_block_holder holder;
    int rc = lock_path(path, dir, name, "", err);
    if (rc == 0)
        rc = read_holder(disk, path, &holder, err);
    if (rc < 0)
        return rc == FIRN_ENOENT ? 0 : rc;
    return holder.alive || !ignore_dead ? refuse(path, &holder, err) : 0;
}

int block_lock_release(struct firn_disk *disk, const char *dir, const char *name,
                       struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = lock_path(path, dir, name, "", err);
    if (rc == 0)
        rc = disk_remove(disk, path, err);
    return rc == 0 ? disk_sync_dir(disk, dir, err) : rc;
}

/* ---- for programs ---- */

static int check_arguments(struct firn_disk **disk, const char *dir, const char *name,
                           const void *last, struct firn_error *err)
{
    if (!dir || !name || !*name || strchr(name, '/') || !last)
        return firn_error_set(err, FIRN_EINVAL, 0, "no sequence given");
    if (!*disk)
        *disk = firn_disk_posix();
    return disk_check(*disk, err);
}

int firn_block_sequence_holder(struct firn_disk *disk, const char *dir, const char *name,
                               struct firn_block_holder *holder, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = check_arguments(&disk, dir, name, holder, err);
    if (rc == 0)
        rc = lock_path(path, dir, name, "", err);
    return rc == 0 ? read_holder(disk, path, holder, err) : rc;
}

int firn_block_sequence_break_lock(struct firn_disk *disk, const char *dir, const char *name,
                                   const char *text, struct firn_error *err)
{
    int rc = check_arguments(&disk, dir, name, text, err);
    return rc == 0 ? break_lock(disk, dir, name, text, err) : rc;
}
