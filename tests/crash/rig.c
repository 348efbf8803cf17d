/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdio.h>

enum { ROUNDS = 100 };

bool rig_check_leaks(struct firn_faulty *faulty, char *why, size_t size)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(faulty, &counts);
    if (counts.files + counts.locks + counts.shares + counts.events == 0)
        return true;
    snprintf(why, size, "left open: %llu files, %llu locks, %llu shares, %llu events",
             (unsigned long long)counts.files, (unsigned long long)counts.locks,
             (unsigned long long)counts.shares, (unsigned long long)counts.events);
    return false;
}

void rig_background(struct firn_env *env)
{
    struct firn_env_stats before, after;
    for (int i = 0; i < ROUNDS; i++) {
        firn_env_get_stats(env, &before);
        firn_env_run(env);
        firn_env_get_stats(env, &after);
        if (after.tasks_run == before.tasks_run)
            break;
    }
}
