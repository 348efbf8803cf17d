/* SPDX-License-Identifier: MIT */
/* From a path to a node of the storage `memory`, and the nodes themselves. Under the mutex. */
#include <stdlib.h>
#include <string.h>

#include "disk/memory_walk.h"
#include "disk/posix_private.h"

enum { LINKS_MOST = 40, PATH_MOST = 4095 };

int memory_fail(struct firn_error *err, int code, const char *path, const char *verb)
{
    return posix_refuse(err, code, path, "%s failed: %s", verb, firn_strerror(code));
}

/* ---- nodes ----------------------------------------------------------------------------------- */

struct memory_node *memory_node_new(enum firn_entry_kind kind)
{
    struct memory_node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->kind = kind;
    node->references = 1;
    if (kind == FIRN_ENTRY_FILE && pthread_rwlock_init(&node->file.lock, NULL) != 0) {
        free(node);
        return NULL;
    }
    return node;
}

static void free_file(struct memory_disk *disk, struct memory_data *data)
{
    atomic_fetch_sub(&disk->used, data->pages.count * MEMORY_PAGE);
    memory_pages_cut(&data->pages, 0);
    free(data->shared);
    (void)pthread_rwlock_destroy(&data->lock);
}

void memory_node_drop(struct memory_disk *disk, struct memory_node *node)
{
    if (node == NULL || --node->references > 0)
        return;
    if (node->kind == FIRN_ENTRY_FILE)
        free_file(disk, &node->file);
    if (node->kind == FIRN_ENTRY_SYMLINK)
        free(node->target);
    if (node->kind == FIRN_ENTRY_DIR) {
        while (node->dir.count > 0)
            memory_dir_drop(disk, &node->dir, node->dir.count - 1);
        free(node->dir.names);
    }
    free(node);
}

/* ---- directories ----------------------------------------------------------------------------- */

static int compare(const char *a, size_t a_len, const char *b)
{
    int order = strncmp(a, b, a_len);
    return order != 0 || b[a_len] == '\0' ? order : -1;
}

bool memory_dir_find(const struct memory_dir *dir, const char *name, size_t len, size_t *at)
{
    size_t low = 0;
    size_t high = dir->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(name, len, dir->names[middle].text);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return false;
}

bool memory_dir_add(struct memory_node *in, const char *name, size_t len, struct memory_node *node)
{
    struct memory_dir *dir = &in->dir;
    size_t at = 0;
    if (dir->count == dir->room) {
        size_t room = dir->room * 2 + 8;
        struct memory_name *names = realloc(dir->names, room * sizeof *names);
        if (names == NULL)
            return false;
        dir->names = names;
        dir->room = room;
    }
    char *text = malloc(len + 1);
    if (text == NULL)
        return false;
    memcpy(text, name, len);
    text[len] = '\0';
    (void)memory_dir_find(dir, name, len, &at);
    memmove(&dir->names[at + 1], &dir->names[at], (dir->count - at) * sizeof dir->names[0]);
    dir->names[at] = (struct memory_name){.text = text, .node = node};
    dir->count++;
    if (node->kind == FIRN_ENTRY_DIR)
        node->dir.parent = in;
    return true;
}

struct memory_node *memory_dir_take(struct memory_dir *dir, size_t at)
{
    struct memory_node *node = dir->names[at].node;
    free(dir->names[at].text);
    dir->count--;
    memmove(&dir->names[at], &dir->names[at + 1], (dir->count - at) * sizeof dir->names[0]);
    return node;
}

void memory_dir_drop(struct memory_disk *disk, struct memory_dir *dir, size_t at)
{
    memory_node_drop(disk, memory_dir_take(dir, at));
}

/* ---- the walk -------------------------------------------------------------------------------- */

static int walk(struct memory_disk *disk, struct memory_node *from, const char *path, bool follow,
                int links, struct memory_place *place);

/* One component, of `len` bytes at `name`. */
static int step(struct memory_disk *disk, struct memory_node *from, const char *name, size_t len,
                bool follow, int links, struct memory_place *place)
{
    size_t at = 0;
    if (len > MEMORY_NAME_MOST)
        return FIRN_ETOOBIG;
    *place = (struct memory_place){.node = from};
    if (len == 1 && name[0] == '.')
        return 0;
    if (len == 2 && name[0] == '.' && name[1] == '.') {
        place->node = from->dir.parent;
        return 0;
    }
    *place = (struct memory_place){.dir = from, .name = name, .len = len};
    if (!memory_dir_find(&from->dir, name, len, &at))
        return 0;
    place->at = at;
    place->node = from->dir.names[at].node;
    if (place->node->kind != FIRN_ENTRY_SYMLINK || !follow)
        return 0;
    return links < LINKS_MOST ? walk(disk, from, place->node->target, true, links + 1, place)
                              : FIRN_EINVAL;
}

static int walk(struct memory_disk *disk, struct memory_node *from, const char *path, bool follow,
                int links, struct memory_place *place)
{
    *place = (struct memory_place){.node = path[0] == '/' ? disk->root : from};
    for (path += strspn(path, "/"); *path != '\0';) {
        size_t len = strcspn(path, "/");
        size_t slashes = strspn(path + len, "/");
        struct memory_node *in = place->node;
        if (in == NULL)
            return FIRN_ENOENT;
        if (in->kind != FIRN_ENTRY_DIR)
            return FIRN_ENOTDIR;
        int rc = step(disk, in, path, len, follow || slashes > 0, links, place);
        if (rc != 0)
            return rc;
        place->slash |= slashes > 0;
        path += len + slashes;
    }
    return 0;
}

static int walk_from_root(struct memory_disk *disk, const char *path, bool follow,
                          struct memory_place *place)
{
    if (strlen(path) > PATH_MOST)
        return FIRN_ETOOBIG;
    return walk(disk, disk->root, path, follow, 0, place);
}

int memory_walk(struct memory_disk *disk, const char *path, bool follow, struct memory_place *place)
{
    int rc = walk_from_root(disk, path, follow, place);
    if (rc == 0 && place->slash && place->node != NULL && place->node->kind != FIRN_ENTRY_DIR)
        return FIRN_ENOTDIR;
    return rc;
}

int memory_walk_to_new(struct memory_disk *disk, const char *path, struct memory_place *place)
{
    int rc = walk_from_root(disk, path, false, place);
    return rc == 0 && place->node != NULL ? FIRN_EEXIST : rc;
}

int memory_walk_to(struct memory_disk *disk, const char *path, bool follow,
                   struct memory_place *place)
{
    int rc = memory_walk(disk, path, follow, place);
    return rc == 0 && place->node == NULL ? FIRN_ENOENT : rc;
}
