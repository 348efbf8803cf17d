/* SPDX-License-Identifier: MIT */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/sanitizers.h"
#include "base/wait.h"
#include "base/worker.h"

enum { GRAIN = 4096 };

/* An idle buffer begins with this. */
struct idle {
    struct idle *next;
};

struct pool {
    size_t buffer_bytes;
    size_t alignment;
    size_t limit; /* in buffers, as all counts here */
    size_t keep;

    struct lock lock; /* guards what follows */
    struct idle *first;
    size_t idle;
    size_t idle_least; /* since the last trim */
    size_t allocated;
    bool out_of_memory;
    bool trim_posted;
    unsigned waiters;
    uint64_t waits;
    struct wait_word returned;
    struct worker_task trim;
};

/* The address sanitizer reports who uses a buffer after it has been put back. */
#ifdef SANITIZED_ADDRESS
#include <sanitizer/asan_interface.h>
static void forbid(const struct pool *pool, void *buffer)
{
    ASAN_POISON_MEMORY_REGION(buffer, pool->buffer_bytes);
}
static void allow(const struct pool *pool, void *buffer)
{
    ASAN_UNPOISON_MEMORY_REGION(buffer, pool->buffer_bytes);
}
#else
static void forbid(const struct pool *pool, void *buffer)
{
    (void)pool;
    (void)buffer;
}
static void allow(const struct pool *pool, void *buffer)
{
    (void)pool;
    (void)buffer;
}
#endif

/* With the lock, as are push and pop. */
static void push(struct pool *pool, void *buffer)
{
    struct idle *idle = buffer;
    idle->next = pool->first;
    pool->first = idle;
    pool->idle++;
    forbid(pool, buffer);
}

static void *pop(struct pool *pool)
{
    struct idle *idle = pool->first;
    assert(idle != NULL);
    allow(pool, idle);
    pool->first = idle->next;
    pool->idle--;
    if (pool->idle < pool->idle_least)
        pool->idle_least = pool->idle;
    return idle;
}

/* The allocator may keep what it is given back; the memory itself goes to the system first. */
static void give_back(const struct pool *pool, void *buffer)
{
#if defined(__linux__) && !defined(FIRN_POSIX_ONLY)
    (void)madvise(buffer, pool->buffer_bytes, MADV_DONTNEED);
#endif
    (void)pool;
    free(buffer);
}

int pool_new(size_t buffer_bytes, uint64_t limit_bytes, struct pool **out)
{
    if (buffer_bytes == 0 || buffer_bytes % GRAIN != 0 || limit_bytes < buffer_bytes ||
        limit_bytes / buffer_bytes > SIZE_MAX)
        return FIRN_EINVAL;
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return FIRN_ENOMEM;
    pool->buffer_bytes = buffer_bytes;
    pool->limit = (size_t)(limit_bytes / buffer_bytes);
    pool->keep = POOL_KEEP_BYTES / buffer_bytes;
    long page = sysconf(_SC_PAGESIZE);
    pool->alignment = page > GRAIN && buffer_bytes % (size_t)page == 0 ? (size_t)page : GRAIN;
    lock_init(&pool->lock);
    wait_word_init(&pool->returned);
    *out = pool;
    return 0;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    worker_task_done(&pool->trim);
    assert(pool->idle == pool->allocated);
    while (pool->idle > 0)
        free(pop(pool));
    wait_word_done(&pool->returned);
    lock_done(&pool->lock);
    free(pool);
}

/* A buffer was counted as allocated: allocates it. */
static void *allocate(struct pool *pool)
{
    void *buffer = aligned_alloc(pool->alignment, pool->buffer_bytes);
    if (buffer != NULL)
        return buffer;
    lock_take(&pool->lock);
    pool->allocated--;
    pool->out_of_memory = true;
    lock_release(&pool->lock);
    wait_bump_and_wake_all(&pool->returned); /* who found all taken meanwhile must look again */
    return NULL;
}

void *pool_try_get(struct pool *pool)
{
    void *buffer = NULL;
    bool may_allocate = false;
    lock_take(&pool->lock);
    if (pool->idle > 0)
        buffer = pop(pool);
    else if (pool->allocated < pool->limit) {
        pool->allocated++;
        may_allocate = true;
    }
    pool->out_of_memory = false;
    lock_release(&pool->lock);
    return may_allocate ? allocate(pool) : buffer;
}

int pool_get(struct pool *pool, uint64_t deadline_ns, void **out)
{
    int rc = 0;
    for (;;) {
        uint32_t seen = pool_returned(pool);
        void *buffer = pool_try_get(pool);
        if (buffer != NULL) {
            *out = buffer;
            return 0;
        }
        if (pool_out_of_memory(pool))
            return FIRN_ENOMEM;
        if (rc != 0)
            return rc;
        rc = pool_wait_returned(pool, seen, deadline_ns);
    }
}

void pool_put(struct pool *pool, void *buffer)
{
    lock_take(&pool->lock);
    push(pool, buffer);
    bool post = pool->trim.worker != NULL && pool->idle > pool->keep && !pool->trim_posted;
    pool->trim_posted |= post;
    bool wake = pool->waiters > 0;
    atomic_fetch_add_explicit(&pool->returned.value, 1, memory_order_release);
    lock_release(&pool->lock);
    if (wake)
        wait_wake_all(&pool->returned);
    if (post)
        worker_post_at(pool->trim.worker, &pool->trim, wait_deadline(POOL_TRIM_NS));
}

uint32_t pool_returned(struct pool *pool)
{
    return wait_load(&pool->returned);
}

int pool_wait_returned(struct pool *pool, uint32_t seen, uint64_t deadline_ns)
{
    lock_take(&pool->lock);
    pool->waiters++;
    pool->waits++;
    lock_release(&pool->lock);
    int rc = wait_until_changed(&pool->returned, seen, deadline_ns);
    lock_take(&pool->lock);
    pool->waiters--;
    lock_release(&pool->lock);
    return rc;
}

bool pool_out_of_memory(struct pool *pool)
{
    lock_take(&pool->lock);
    bool out_of_memory = pool->out_of_memory;
    lock_release(&pool->lock);
    return out_of_memory;
}

/* With the lock: takes those out that are to go; they are a list. */
static struct idle *take_surplus(struct pool *pool)
{
    struct idle *list = NULL;
    size_t surplus = pool->idle_least > pool->keep ? pool->idle_least - pool->keep : 0;
    for (; surplus > 0; surplus--) {
        struct idle *idle = pop(pool);
        idle->next = list;
        list = idle;
        pool->allocated--;
    }
    pool->idle_least = pool->idle;
    return list;
}

static bool trim(struct pool *pool, bool from_task)
{
    lock_take(&pool->lock);
    struct idle *list = take_surplus(pool);
    bool more = pool->idle > pool->keep;
    if (from_task)
        pool->trim_posted = more;
    lock_release(&pool->lock);
    while (list != NULL) {
        struct idle *next = list->next;
        give_back(pool, list);
        list = next;
    }
    return more;
}

bool pool_trim(struct pool *pool)
{
    return trim(pool, false);
}

static void trim_task(void *arg)
{
    struct pool *pool = arg;
    if (trim(pool, true))
        worker_post_at(pool->trim.worker, &pool->trim, wait_deadline(POOL_TRIM_NS));
}

int pool_trim_by(struct pool *pool, struct worker *worker)
{
    assert(pool->trim.worker == NULL);
    return worker_task_init(worker, &pool->trim, trim_task, pool, WORKER_NORMAL);
}

size_t pool_limit(const struct pool *pool)
{
    return pool->limit;
}

void pool_get_stats(struct pool *pool, struct pool_stats *stats)
{
    lock_take(&pool->lock);
    *stats = (struct pool_stats){
        .limit_bytes = (uint64_t)pool->limit * pool->buffer_bytes,
        .used_bytes = (uint64_t)(pool->allocated - pool->idle) * pool->buffer_bytes,
        .allocated_bytes = (uint64_t)pool->allocated * pool->buffer_bytes,
        .waits = pool->waits,
    };
    lock_release(&pool->lock);
}
