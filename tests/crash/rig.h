/* SPDX-License-Identifier: MIT */
/* What all simulated machines have in common. */
#ifndef TESTS_CRASH_RIG_H
#define TESTS_CRASH_RIG_H

#include <firn/env.h>
#include <firn/faulty.h>

/* False: something is still open; `why`, of `size` bytes, says what. */
bool rig_check_leaks(struct firn_faulty *faulty, char *why, size_t size);

/* Runs what waits in a manual environment, and what comes of that. */
void rig_background(struct firn_env *env);

#endif
