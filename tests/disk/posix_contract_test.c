/* SPDX-License-Identifier: MIT */
#include "posix_world.h"

int main(void)
{
    return contract_run(&posix_world);
}
