/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail when a test says so. For the programs in `firn_alloc_tests`: their linker
 * turns malloc and its kin into the functions of alloc.c.
 */
#ifndef TESTS_LIB_ALLOC_H
#define TESTS_LIB_ALLOC_H

#include <stdbool.h>

/* The allocation that fails, counted from now; 0: none. It is 0 again once that one has failed. */
extern int alloc_fail_in;
/* What is allocated now does not count: it is the harness' own. */
extern bool alloc_paused;

#endif
