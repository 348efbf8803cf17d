/* SPDX-License-Identifier: MIT */
#include "contract.h"

#include <string.h>

static void open_world(struct contract_world *world)
{
    memset(world, 0, sizeof *world);
    OK(world, firn_disk_memory_new(&world->disk, &world->err));
}

static void open_world_below(struct contract_world *world)
{
    open_world(world);
    strcpy(world->root, "/a/b");
    OK(world, disk_make_dirs(world->disk, "a/b", &world->err));
}

static void close_world(struct contract_world *world)
{
    firn_disk_free(world->disk);
}

int main(void)
{
    static const struct contract_storage memory = {
        .name = "memory",
        .has = CONTRACT_ALL,
        .open = open_world,
        .close = close_world,
    };
    static const struct contract_storage below = {
        .name = "memory, in a directory",
        .has = CONTRACT_ALL,
        .open = open_world_below,
        .close = close_world,
    };
    return contract_run(&memory) + contract_run(&below);
}
