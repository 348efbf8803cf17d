/* SPDX-License-Identifier: MIT */
/* Names in the storage `memory`. What a name stands for lives on while it is open. */
#include <stdlib.h>
#include <string.h>

#include "disk/memory_walk.h"
#include "disk/posix_private.h"

static void enter(struct memory_disk *disk)
{
    (void)pthread_mutex_lock(&disk->mutex);
}

/* The end of every function here: leaves the mutex and reports a failure. */
static int leave(struct memory_disk *disk, int rc, const char *path, const char *verb,
                 struct firn_error *err)
{
    (void)pthread_mutex_unlock(&disk->mutex);
    return rc == 0 ? 0 : memory_fail(err, rc, path, verb);
}

/* Gives a new node the name of `place`. It is gone if that fails. */
static int add(struct memory_disk *disk, const struct memory_place *place, struct memory_node *node)
{
    if (node != NULL && memory_dir_add(place->dir, place->name, place->len, node))
        return 0;
    memory_node_drop(disk, node);
    return FIRN_ENOMEM;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int find_file(struct memory_disk *disk, const char *path, unsigned flags,
                     struct memory_node **node)
{
    struct memory_place place;
    bool exclusive = (flags & FIRN_OPEN_EXCLUSIVE) != 0;
    int rc = memory_walk(disk, path, !exclusive, &place);
    if (rc != 0)
        return rc;
    if (place.node == NULL) {
        if ((flags & FIRN_OPEN_CREATE) == 0)
            return FIRN_ENOENT;
        if (place.slash)
            return FIRN_EINVAL;
        place.node = memory_node_new(FIRN_ENTRY_FILE);
        rc = add(disk, &place, place.node);
        if (rc != 0)
            return rc;
    } else if (exclusive) {
        return FIRN_EEXIST;
    } else if (place.node->kind != FIRN_ENTRY_FILE) {
        return FIRN_EINVAL;
    }
    place.node->references++;
    *node = place.node;
    return 0;
}

int memory_file_find(struct memory_disk *disk, const char *path, unsigned flags,
                     struct memory_node **node, struct firn_error *err)
{
    enter(disk);
    return leave(disk, find_file(disk, path, flags, node), path, "open", err);
}

int memory_stat(struct firn_disk *base, const char *path, struct firn_entry *entry,
                struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to(disk, path, false, &place);
    if (rc == 0) {
        *entry = (struct firn_entry){.kind = place.node->kind};
        if (entry->kind == FIRN_ENTRY_FILE) {
            struct memory_data *data = &place.node->file;
            (void)pthread_rwlock_rdlock(&data->lock);
            entry->size = data->size;
            entry->allocated = data->pages.count * MEMORY_PAGE;
            (void)pthread_rwlock_unlock(&data->lock);
        }
    }
    return leave(disk, rc, path, "stat", err);
}

/* ---- make and remove ------------------------------------------------------------------------- */

int memory_make_dir(struct firn_disk *base, const char *path, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to_new(disk, path, &place);
    if (rc == 0)
        rc = add(disk, &place, memory_node_new(FIRN_ENTRY_DIR));
    return leave(disk, rc, path, "make directory", err);
}

int memory_make_link(struct firn_disk *base, const char *target, const char *path,
                     struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = target[0] == '\0' ? FIRN_ENOENT : memory_walk_to_new(disk, path, &place);
    if (rc == 0 && place.slash)
        rc = FIRN_ENOENT;
    if (rc == 0) {
        struct memory_node *link = memory_node_new(FIRN_ENTRY_SYMLINK);
        if (link != NULL)
            link->target = strdup(target);
        if (link != NULL && link->target == NULL) {
            memory_node_drop(disk, link);
            link = NULL;
        }
        rc = add(disk, &place, link);
    }
    return leave(disk, rc, path, "make symbolic link", err);
}

int memory_read_link(struct firn_disk *base, const char *path, char *target, size_t size,
                     struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to(disk, path, false, &place);
    if (rc == 0 && place.node->kind != FIRN_ENTRY_SYMLINK)
        rc = FIRN_EINVAL;
    if (rc == 0 && strlen(place.node->target) >= size)
        rc = FIRN_ERANGE;
    if (rc == 0)
        memcpy(target, place.node->target, strlen(place.node->target) + 1);
    return leave(disk, rc, path, "read symbolic link", err);
}

int memory_remove(struct firn_disk *base, const char *path, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to(disk, path, false, &place);
    if (rc == 0 && place.node->kind == FIRN_ENTRY_DIR)
        rc = FIRN_EINVAL;
    if (rc == 0)
        memory_dir_drop(disk, &place.dir->dir, place.at);
    return leave(disk, rc, path, "remove", err);
}

int memory_remove_dir(struct firn_disk *base, const char *path, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to(disk, path, false, &place);
    if (rc == 0 && place.node->kind != FIRN_ENTRY_DIR)
        rc = FIRN_ENOTDIR;
    if (rc == 0 && place.dir == NULL)
        rc = FIRN_EINVAL;
    if (rc == 0 && place.node->dir.count > 0)
        rc = FIRN_EBUSY;
    if (rc == 0)
        memory_dir_drop(disk, &place.dir->dir, place.at);
    return leave(disk, rc, path, "remove directory", err);
}

/* ---- rename ---------------------------------------------------------------------------------- */

static bool is_below(const struct memory_node *dir, const struct memory_node *top)
{
    for (;; dir = dir->dir.parent) {
        if (dir == top)
            return true;
        if (dir == dir->dir.parent)
            return false;
    }
}

static int check_rename(const struct memory_place *from, const struct memory_place *to)
{
    bool dir = from->node->kind == FIRN_ENTRY_DIR;
    if (from->dir == NULL || to->dir == NULL || (dir && is_below(to->dir, from->node)))
        return FIRN_EINVAL;
    if (to->node == NULL)
        return to->slash && !dir ? FIRN_ENOTDIR : 0;
    if (to->node->kind == FIRN_ENTRY_DIR && !dir)
        return FIRN_EINVAL;
    if (to->node->kind != FIRN_ENTRY_DIR && dir)
        return FIRN_ENOTDIR;
    return to->node->kind == FIRN_ENTRY_DIR && to->node->dir.count > 0 ? FIRN_EBUSY : 0;
}

/* Replacing needs no memory: the old name takes over the new node. */
static int move(struct memory_disk *disk, const struct memory_place *from,
                const struct memory_place *to)
{
    struct memory_dir *source = &from->dir->dir;
    size_t at = 0;
    from->node->references++;
    if (to->node != NULL) {
        memory_node_drop(disk, to->node);
        to->dir->dir.names[to->at].node = from->node;
        if (from->node->kind == FIRN_ENTRY_DIR)
            from->node->dir.parent = to->dir;
    } else if (!memory_dir_add(to->dir, to->name, to->len, from->node)) {
        from->node->references--;
        return FIRN_ENOMEM;
    }
    if (memory_dir_find(source, from->name, from->len, &at)) /* may have moved along */
        memory_dir_drop(disk, source, at);
    return 0;
}

int memory_rename(struct firn_disk *base, const char *from, const char *to, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place source;
    struct memory_place target;
    enter(disk);
    int rc = memory_walk_to(disk, from, false, &source);
    if (rc == 0)
        rc = memory_walk(disk, to, false, &target);
    if (rc == 0)
        rc = source.node == target.node ? 0 : check_rename(&source, &target);
    if (rc == 0 && source.node != target.node)
        rc = move(disk, &source, &target);
    return leave(disk, rc, from, "rename", err);
}

/* ---- list ------------------------------------------------------------------------------------ */

struct listed {
    enum firn_entry_kind kind;
    char name[MEMORY_NAME_MOST + 1];
};

/* A copy of the directory, so that `each` may change it. Under the mutex. */
static int copy_dir(const struct memory_dir *dir, struct listed **list, size_t *count)
{
    struct listed *copy = malloc((dir->count + 1) * sizeof *copy);
    if (copy == NULL)
        return FIRN_ENOMEM;
    for (size_t i = 0; i < dir->count; i++) {
        copy[i].kind = dir->names[i].node->kind;
        memcpy(copy[i].name, dir->names[i].text, strlen(dir->names[i].text) + 1);
    }
    *list = copy;
    *count = dir->count;
    return 0;
}

int memory_list(struct firn_disk *base, const char *path, firn_list_fn *each, void *arg,
                struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    struct listed *list = NULL;
    size_t count = 0;
    enter(disk);
    int rc = memory_walk_to(disk, path, true, &place);
    if (rc == 0 && place.node->kind != FIRN_ENTRY_DIR)
        rc = FIRN_ENOTDIR;
    if (rc == 0)
        rc = copy_dir(&place.node->dir, &list, &count);
    rc = leave(disk, rc, path, "list", err);
    for (size_t i = 0; i < count && rc == 0; i++) {
        struct firn_entry entry = {.kind = list[i].kind};
        rc = each(arg, list[i].name, &entry);
    }
    free(list);
    return rc;
}

int memory_sync_dir(struct firn_disk *base, const char *path, struct firn_error *err)
{
    struct memory_disk *disk = memory_disk_of(base);
    struct memory_place place;
    enter(disk);
    int rc = memory_walk_to(disk, path, true, &place);
    if (rc == 0 && place.node->kind != FIRN_ENTRY_DIR)
        rc = FIRN_ENOTDIR;
    return leave(disk, rc, path, "sync of directory", err);
}
