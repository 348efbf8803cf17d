/* SPDX-License-Identifier: MIT */
/*
 * A bounded pool of equal, page-aligned buffers. Memory is taken when a buffer is needed and none
 * is idle; the one that came back last goes out first, since it is in the cache.
 *
 * Idle buffers stay, up to POOL_KEEP_BYTES; what is beyond that and was not needed for a while goes
 * back to the system: by pool_trim, which a worker calls when pool_trim_by has told it to.
 *
 * Any thread may call everything but new, free and trim_by.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

enum { POOL_KEEP_BYTES = 1024 * 1024 };
#define POOL_TRIM_NS UINT64_C(1000000000) /* idle for that long: trimmed by the worker */

struct pool;
struct worker;

/*
 * Buffers of `buffer_bytes` (a multiple of 4096), together at most `limit_bytes` (at least one
 * buffer). FIRN_EINVAL, FIRN_ENOMEM. The caller frees it.
 */
int pool_new(size_t buffer_bytes, uint64_t limit_bytes, struct pool **pool);

/* All buffers are back. Before the worker of pool_trim_by is freed. NULL is fine. */
void pool_free(struct pool *pool);

/* A buffer with any content, or NULL: all are in use (or pool_out_of_memory). */
void *pool_try_get(struct pool *pool);

/* Waits for one. FIRN_ETIMEDOUT, FIRN_ENOMEM. */
int pool_get(struct pool *pool, uint64_t deadline_ns, void **buffer);

/* Gives back a buffer of this pool. */
void pool_put(struct pool *pool, void *buffer);

/* A number that changes when a buffer comes back. */
uint32_t pool_returned(struct pool *pool);

/*
 * Until pool_returned is not `seen`; 0, perhaps without a change, or FIRN_ETIMEDOUT. Counts as a
 * wait.
 */
int pool_wait_returned(struct pool *pool, uint32_t seen, uint64_t deadline_ns);

/* Whether the last buffer that was refused was refused for want of memory. */
bool pool_out_of_memory(struct pool *pool);

/*
 * Gives idle buffers back to the system that were not needed since the last call, save
 * POOL_KEEP_BYTES. Returns whether more than that is idle still.
 */
bool pool_trim(struct pool *pool);

/* Has `worker` trim the pool when buffers have been idle for a while. FIRN_ENOMEM. */
int pool_trim_by(struct pool *pool, struct worker *worker);

/* How many buffers there can be. */
size_t pool_limit(const struct pool *pool);

struct pool_stats {
    uint64_t limit_bytes;
    uint64_t used_bytes;      /* in use */
    uint64_t allocated_bytes; /* in use or idle */
    uint64_t waits;           /* times that somebody waited */
};

void pool_get_stats(struct pool *pool, struct pool_stats *stats);

#endif
