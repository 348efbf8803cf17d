/* SPDX-License-Identifier: MIT */
/*
 * The environment: one background thread and one pool of buffers for all targets of a program.
 *
 * Buffers are taken without waiting as long as nobody waits. Once somebody does, all others queue
 * behind (`gate`), so that one who needs many at once is not starved by those who need one each.
 * Nobody holds buffers while waiting, and who waits makes buffers come back: commits its own target
 * and has the background thread commit the others.
 */
#include "commit/env.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/pool.h"

enum {
    POOL_DEFAULT = 16 * 1024 * 1024,
    POOL_LEAST = 512 * 1024,
};
#define RETRY_NS 2000000u /* a wake-up that was missed costs 2 ms */

struct firn_env {
    struct pool *pool;
    struct worker *worker;
    bool manual;
    pthread_mutex_t targets_lock;
    struct commit *targets;
    pthread_mutex_t gate;
    _Atomic unsigned thirsty; /* who waits for buffers */
};

static void release(struct firn_env *env)
{
    pool_free(env->pool);
    worker_free(env->worker);
    pthread_mutex_destroy(&env->targets_lock);
    pthread_mutex_destroy(&env->gate);
    free(env);
}

int firn_env_new(const struct firn_env_options *options, struct firn_env **out,
                 struct firn_error *err)
{
    const struct firn_env_options none = {0};
    if (!options)
        options = &none;
    uint64_t bytes = options->pool_bytes ? options->pool_bytes : POOL_DEFAULT;
    if (bytes < POOL_LEAST)
        return firn_error_set(err, FIRN_EINVAL, 0, "pool_bytes is %llu; the least is %d",
                              (unsigned long long)bytes, POOL_LEAST);
    struct firn_env *env = calloc(1, sizeof *env);
    if (!env)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an environment");
    pthread_mutex_init(&env->targets_lock, NULL);
    pthread_mutex_init(&env->gate, NULL);
    env->manual = options->manual;
    int rc = pool_new(COMMIT_BUFFER, bytes, &env->pool);
    if (rc == 0)
        rc = worker_new(env->manual, &env->worker);
    if (rc == 0)
        rc = pool_trim_by(env->pool, env->worker);
    if (rc < 0) {
        release(env);
        return firn_error_set(err, rc, 0, "an environment could not be created: %s",
                              firn_strerror(rc));
    }
    *out = env;
    return 0;
}

int firn_env_free(struct firn_env *env)
{
    if (!env)
        return 0;
    pthread_mutex_lock(&env->targets_lock);
    bool busy = env->targets != NULL;
    pthread_mutex_unlock(&env->targets_lock);
    if (busy)
        return FIRN_EBUSY;
    release(env);
    return 0;
}

void firn_env_run(struct firn_env *env)
{
    if (env->manual)
        worker_run_all(env->worker);
}

void firn_env_get_stats(struct firn_env *env, struct firn_env_stats *stats)
{
    struct pool_stats pool;
    pool_get_stats(env->pool, &pool);
    *stats = (struct firn_env_stats){
        .pool_bytes = pool.limit_bytes,
        .pool_used = pool.used_bytes,
        .pool_allocated = pool.allocated_bytes,
        .pool_waits = pool.waits,
        .tasks_run = worker_tasks_run(env->worker),
    };
}

struct worker *env_worker(struct firn_env *env)
{
    return env->worker;
}

bool env_manual(const struct firn_env *env)
{
    return env->manual;
}

size_t env_pool_buffers(const struct firn_env *env)
{
    return pool_limit(env->pool);
}

void env_add(struct firn_env *env, struct commit *commit)
{
    pthread_mutex_lock(&env->targets_lock);
    commit->next_target = env->targets;
    if (env->targets)
        env->targets->previous_target = commit;
    env->targets = commit;
    pthread_mutex_unlock(&env->targets_lock);
}

void env_remove(struct firn_env *env, struct commit *commit)
{
    pthread_mutex_lock(&env->targets_lock);
    if (commit->next_target)
        commit->next_target->previous_target = commit->previous_target;
    if (commit->previous_target)
        commit->previous_target->next_target = commit->next_target;
    else
        env->targets = commit->next_target;
    pthread_mutex_unlock(&env->targets_lock);
}

struct commit_buffer *env_try_get(struct firn_env *env)
{
    if (atomic_load_explicit(&env->thirsty, memory_order_relaxed))
        return NULL;
    return pool_try_get(env->pool);
}

void env_put(struct firn_env *env, struct commit_buffer *buffer)
{
    pool_put(env->pool, buffer);
}

/* Has every target that holds buffers commit them. */
static void kick_all(struct firn_env *env)
{
    pthread_mutex_lock(&env->targets_lock);
    for (struct commit *target = env->targets; target; target = target->next_target)
        commit_kick(target);
    pthread_mutex_unlock(&env->targets_lock);
    firn_env_run(env);
}

/* Takes `count` buffers or none; which of the two a failure was, `rc` tells. */
static struct commit_buffer *take_all(struct firn_env *env, size_t count)
{
    struct commit_buffer *list = NULL;
    for (size_t i = 0; i < count; i++) {
        struct commit_buffer *buffer = pool_try_get(env->pool);
        if (!buffer) {
            while (list) {
                struct commit_buffer *next = list->next;
                pool_put(env->pool, list);
                list = next;
            }
            return NULL;
        }
        buffer->next = list;
        list = buffer;
    }
    return list;
}

static struct commit_buffer *wait_for_all(struct firn_env *env, struct commit *commit, size_t count)
{
    for (;;) {
        uint32_t seen = pool_returned(env->pool);
        struct commit_buffer *list = take_all(env, count);
        if (list || pool_out_of_memory(env->pool))
            return list;
        commit_push(commit);
        kick_all(env);
        pool_wait_returned(env->pool, seen, wait_now_ns() + RETRY_NS);
    }
}

int env_get_many(struct firn_env *env, struct commit *commit, size_t count,
                 struct commit_buffer **list, struct firn_error *err)
{
    atomic_fetch_add(&env->thirsty, 1);
    pthread_mutex_lock(&env->gate);
    *list = wait_for_all(env, commit, count);
    pthread_mutex_unlock(&env->gate);
    atomic_fetch_sub(&env->thirsty, 1);
    if (!*list)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for %zu buffers", count);
    return 0;
}
