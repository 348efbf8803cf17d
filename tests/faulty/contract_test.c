/* SPDX-License-Identifier: MIT */
/* The contract of a storage, over the simulator without faults. */
#include "disk/contract.h"

#include <string.h>

#include <firn/faulty.h>

static void open_world(struct contract_world *world)
{
    struct firn_faulty *sim = NULL;
    memset(world, 0, sizeof(*world));
    OK(world, firn_faulty_new(NULL, &sim, &world->err));
    firn_faulty_set_capacity(sim, UINT64_C(1) << 30);
    world->own = sim;
    world->disk = firn_faulty_disk(sim);
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
    static const struct contract_storage faulty = {
        .name = "faulty",
        .has = CONTRACT_LINKS_FOLLOWED | CONTRACT_FINITE,
        .open = open_world,
        .close = close_world,
    };
    static const struct contract_storage below = {
        .name = "faulty, in a directory",
        .has = CONTRACT_LINKS_FOLLOWED | CONTRACT_FINITE,
        .open = open_world_below,
        .close = close_world,
    };
    return contract_run(&faulty) + contract_run(&below);
}
