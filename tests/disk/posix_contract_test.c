/* SPDX-License-Identifier: MIT */
#include "posix_world.h"

int main(void)
{
    static const struct contract_storage posix = {
        .name = "posix",
        .has = CONTRACT_ALL,
        .open = posix_world_open,
        .close = posix_world_close,
    };
    return contract_run(&posix);
}
