/* SPDX-License-Identifier: MIT */
/* The storage posix in a temporary directory, for tests. */
#ifndef TESTS_DISK_POSIX_WORLD_H
#define TESTS_DISK_POSIX_WORLD_H

#include "contract.h"

void posix_world_open(struct contract_world *world);
void posix_world_close(struct contract_world *world);

#endif
