/* SPDX-License-Identifier: MIT */
/**
 * An environment: the background thread and the pool of buffers that the logs of a program share.
 *
 * A program creates one and names it in the options of all that it opens; whoever opens without
 * naming one gets an environment of its own for the time it is open. There is no global one.
 */
#ifndef FIRN_ENV_H
#define FIRN_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct firn_env;

/** For time-outs: no limit. */
#define FIRN_FOREVER UINT64_MAX

/** All zero is the sensible default. */
struct firn_env_options {
    /** Most bytes of buffers at a time; 0: 16 MiB; at least 512 KiB; UINT64_MAX: as many as there
     * is memory for. It is taken as needed. */
    uint64_t pool_bytes;
    /** With true there is no thread: background work is done by firn_env_run, and where a call
     * cannot go on without it, by that call. For tests, and for programs that may not have threads.
     */
    bool manual;
};

/** Creates an environment. FIRN_EINVAL, FIRN_ENOMEM, FIRN_EAGAIN (no thread to be had). */
FIRN_API int firn_env_new(const struct firn_env_options *options, struct firn_env **env,
                          struct firn_error *err);

/**
 * Ends the thread and releases all. Everything opened with it must be closed: FIRN_EBUSY otherwise,
 * and nothing is released. NULL is fine.
 */
FIRN_API int firn_env_free(struct firn_env *env);

/** In a manual environment: does the background work that is waiting, due or not. Any thread. */
FIRN_API void firn_env_run(struct firn_env *env);

/** A snapshot of the environment. */
struct firn_env_stats {
    uint64_t pool_bytes;     /**< the limit */
    uint64_t pool_used;      /**< bytes of buffers in use */
    uint64_t pool_allocated; /**< bytes of buffers that exist */
    uint64_t pool_waits;     /**< how often someone waited for a buffer */
    uint64_t tasks_run;      /**< pieces of background work done */
};

/** The environment's figures as they are now. Any thread. */
FIRN_API void firn_env_get_stats(struct firn_env *env, struct firn_env_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
