/* SPDX-License-Identifier: MIT */
/* The storage posix in a temporary directory, for tests. */
#ifndef TESTS_DISK_POSIX_WORLD_H
#define TESTS_DISK_POSIX_WORLD_H

#include "contract.h"

extern const struct contract_storage posix_world;

#endif
