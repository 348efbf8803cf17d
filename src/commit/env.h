/* SPDX-License-Identifier: MIT */
/* The inside of an environment: what targets share. */
#ifndef COMMIT_ENV_H
#define COMMIT_ENV_H

#include <firn/env.h>

#include "commit/commit.h"

struct pool;

struct worker *env_worker(struct firn_env *env);
bool env_manual(const struct firn_env *env);
size_t env_pool_buffers(const struct firn_env *env); /* most at a time */

/* Registration of a target; firn_env_free refuses while there is one. */
void env_add(struct firn_env *env, struct commit *commit);
void env_remove(struct firn_env *env, struct commit *commit);

/* One buffer, or NULL when there is none or somebody waits for some already. */
struct commit_buffer *env_try_get(struct firn_env *env);
void env_put(struct firn_env *env, struct commit_buffer *buffer);

/*
 * Waits for `count` buffers and takes them (a list), acting as committer for `commit` where that
 * helps. No lock may be held. Waiters are served one after another. FIRN_ENOMEM.
 */
int env_get_many(struct firn_env *env, struct commit *commit, size_t count,
                 struct commit_buffer **list, struct firn_error *err);

#endif
