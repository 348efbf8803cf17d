/* SPDX-License-Identifier: MIT */
#include "posix_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void open_world(struct contract_world *world)
{
    const char *tmp = getenv("TMPDIR");
    memset(world, 0, sizeof *world);
    world->disk = firn_disk_posix();
    (void)snprintf(world->root, sizeof world->root, "%s/firn-disk-XXXXXX",
                   tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    assert_non_null(mkdtemp(world->root));
}

static void remove_tree(struct firn_disk *disk, const char *path);

struct walk {
    struct firn_disk *disk;
    const char *dir;
};

static int remove_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    struct walk *walk = arg;
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", walk->dir, name);
    if (entry->kind == FIRN_ENTRY_DIR)
        remove_tree(walk->disk, path);
    else
        (void)disk_remove(walk->disk, path, NULL);
    return 0;
}

static void remove_tree(struct firn_disk *disk, const char *path)
{
    struct walk walk = {disk, path};
    (void)disk_list(disk, path, remove_entry, &walk, NULL);
    (void)disk_remove_dir(disk, path, NULL);
}

static void close_world(struct contract_world *world)
{
    remove_tree(world->disk, world->root);
    firn_disk_free(world->disk);
}

const struct contract_storage posix_world = {
    .name = "posix",
    .has = CONTRACT_ALL,
    .open = open_world,
    .close = close_world,
};
