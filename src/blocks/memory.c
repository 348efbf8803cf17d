/* SPDX-License-Identifier: MIT */
/*
 * Blocks in memory. The bytes are counted by their users, the allocator and each handle: so those
 * of a run that was released stay as long as another handle of it is open.
 */
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "blocks/blocks_private.h"

static const char what[] = "blocks in memory";

struct run {
    struct run *next; /* in the allocator, in order */
    _Atomic unsigned users;
    struct lock lock; /* of the bytes: loads and stores may meet */
    uint8_t bytes[];
};

struct allocator {
    struct firn_block_allocator base;
    uint64_t count;
    unsigned shift;
    pthread_mutex_t lock; /* what follows */
    struct run *first;
    uint64_t open; /* handles */
};

struct memory {
    struct firn_block base;
    struct run *run;
    struct allocator *allocator; /* may be NULL */
};

static const struct firn_block_ops memory_ops;

/* ---- a run ---- */

static struct run *new_run(uint64_t bytes)
{
    if (bytes > SIZE_MAX - sizeof(struct run))
        return NULL;
    struct run *run = calloc(1, sizeof *run + (size_t)bytes);
    if (run) {
        atomic_init(&run->users, 1);
        lock_init(&run->lock);
    }
    return run;
}

static void let_go(struct run *run)
{
    if (run && atomic_fetch_sub(&run->users, 1) == 1) {
        lock_done(&run->lock);
        free(run);
    }
}

static struct memory *new_memory(uint64_t count, unsigned shift, struct run *run,
                                 struct allocator *allocator)
{
    struct memory *memory = malloc(sizeof *memory);
    if (memory)
        *memory = (struct memory){{&memory_ops, count, shift}, run, allocator};
    return memory;
}

static int no_memory(uint64_t count, unsigned shift, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for %llu blocks of %llu bytes",
                          (unsigned long long)count, 1ULL << shift);
}

int firn_block_memory_new(uint64_t count, unsigned shift, struct firn_block **block,
                          struct firn_error *err)
{
    uint64_t bytes;
    int rc = block_check_shape(&block_memory_limits, what, count, shift, &bytes, err);
    if (rc < 0)
        return rc;
    struct run *run = new_run(bytes);
    struct memory *memory = run ? new_memory(count, shift, run, NULL) : NULL;
    if (!memory) {
        let_go(run);
        return no_memory(count, shift, err);
    }
    *block = &memory->base;
    return 0;
}

static void memory_close(struct firn_block *block)
{
    struct memory *memory = (struct memory *)block;
    struct allocator *allocator = memory->allocator;
    let_go(memory->run);
    free(memory);
    if (allocator) {
        pthread_mutex_lock(&allocator->lock);
        allocator->open--;
        pthread_mutex_unlock(&allocator->lock);
    }
}

/* ---- loading and storing ---- */

static int memory_load(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                       struct firn_error *err)
{
    struct memory *memory = (struct memory *)block;
    uint64_t bytes;
    int rc = block_check_load(block, what, first, iov, count, &bytes, err);
    if (rc < 0 || bytes == 0)
        return rc;
    const uint8_t *from = memory->run->bytes + (first << block->shift);
    lock_take(&memory->run->lock);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0)
            memcpy(iov[i].iov_base, from, iov[i].iov_len);
        from += iov[i].iov_len;
    }
    lock_release(&memory->run->lock);
    return 0;
}

static int memory_store(struct firn_block *block, uint64_t first, const struct iovec *iov,
                        int count, struct firn_error *err)
{
    struct memory *memory = (struct memory *)block;
    uint64_t bytes;
    int rc = block_check_store(block, what, first, iov, count, &bytes, err);
    if (rc < 0 || bytes == 0)
        return rc;
    uint8_t *to = memory->run->bytes + (first << block->shift);
    lock_take(&memory->run->lock);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0)
            memcpy(to, iov[i].iov_base, iov[i].iov_len);
        to += iov[i].iov_len;
    }
    lock_release(&memory->run->lock);
    return 0;
}

static const struct firn_block_ops memory_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = memory_close,
    .load = memory_load,
    .store = memory_store,
};

/* ---- the allocator ---- */

static struct allocator *allocator_of(struct firn_block_allocator *base)
{
    return (struct allocator *)base;
}

static int allocator_allocate(struct firn_block_allocator *base, struct firn_block **block,
                              struct firn_error *err)
{
    struct allocator *allocator = allocator_of(base);
    struct run *run = new_run(allocator->count << allocator->shift);
    struct memory *memory = run ? new_memory(allocator->count, allocator->shift, run, allocator)
                                : NULL;
    if (!memory) {
        let_go(run);
        return no_memory(allocator->count, allocator->shift, err);
    }
    atomic_fetch_add(&run->users, 1);
    pthread_mutex_lock(&allocator->lock);
    struct run **last = &allocator->first;
    while (*last)
        last = &(*last)->next;
    *last = run;
    allocator->open++;
    pthread_mutex_unlock(&allocator->lock);
    *block = &memory->base;
    return 0;
}

/* With the lock: 0 where the run is the first one. */
static int check_first(const struct allocator *allocator, const struct run *run,
                       struct firn_error *err)
{
    if (allocator->first == run)
        return 0;
    for (const struct run *other = allocator->first; other; other = other->next)
        if (other == run)
            return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: not the first that are left", what);
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: released already", what);
}

static int allocator_release(struct firn_block_allocator *base, struct firn_block *block,
                             struct firn_error *err)
{
    struct allocator *allocator = allocator_of(base);
    struct memory *memory = (struct memory *)block;
    if (block->ops != &memory_ops || memory->allocator != allocator)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: not of this allocator", what);
    pthread_mutex_lock(&allocator->lock);
    int rc = check_first(allocator, memory->run, err);
    if (rc == 0)
        allocator->first = memory->run->next;
    pthread_mutex_unlock(&allocator->lock);
    if (rc < 0)
        return rc;
    atomic_fetch_sub(&memory->run->users, 1); /* the allocator's; the handle's is left */
    memory_close(block);
    return 0;
}

static int allocator_retrieve(struct firn_block_allocator *base, firn_block_retrieve_fn *each,
                              void *arg, struct firn_error *err)
{
    struct allocator *allocator = allocator_of(base);
    int rc = 0;
    pthread_mutex_lock(&allocator->lock);
    for (struct run *run = allocator->first; run && rc == 0; run = run->next) {
        struct memory *memory = new_memory(allocator->count, allocator->shift, run, allocator);
        if (!memory) {
            rc = no_memory(allocator->count, allocator->shift, err);
            break;
        }
        atomic_fetch_add(&run->users, 1);
        allocator->open++;
        rc = each(arg, &memory->base);
    }
    pthread_mutex_unlock(&allocator->lock);
    return rc;
}

static int allocator_close(struct firn_block_allocator *base, struct firn_error *err)
{
    struct allocator *allocator = allocator_of(base);
    pthread_mutex_lock(&allocator->lock);
    uint64_t open = allocator->open;
    pthread_mutex_unlock(&allocator->lock);
    if (open > 0)
        return firn_error_set(err, FIRN_EBUSY, 0, "%s: %llu handles are open", what,
                              (unsigned long long)open);
    while (allocator->first) {
        struct run *next = allocator->first->next;
        let_go(allocator->first);
        allocator->first = next;
    }
    pthread_mutex_destroy(&allocator->lock);
    free(allocator);
    return 0;
}

static const struct firn_block_allocator_ops allocator_ops = {
    .size = sizeof(struct firn_block_allocator_ops),
    .allocate = allocator_allocate,
    .release = allocator_release,
    .retrieve = allocator_retrieve,
    .close = allocator_close,
};

int firn_block_memory_allocator_new(uint64_t count, unsigned shift,
                                    struct firn_block_allocator **out, struct firn_error *err)
{
    int rc = block_check_shape(&block_memory_limits, what, count, shift, NULL, err);
    if (rc < 0)
        return rc;
    struct allocator *allocator = calloc(1, sizeof *allocator);
    if (!allocator)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for an allocator");
    allocator->base.ops = &allocator_ops;
    allocator->count = count;
    allocator->shift = shift;
    pthread_mutex_init(&allocator->lock, NULL);
    *out = &allocator->base;
    return 0;
}
