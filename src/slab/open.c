/* SPDX-License-Identifier: MIT */
/* A slab's handle: creating, opening, closing, figures. */
#include <stdlib.h>

#include "slab/slab_private.h"

/* ---- a handle ---- */

static void free_slab(struct firn_slab *slab)
{
    free_map_done(&slab->map);
    pthread_rwlock_destroy(&slab->lock);
    free(slab);
}

/* It holds the stack. */
static int new_slab(struct firn_stack *stack, struct firn_slab **out, struct firn_error *err)
{
    struct firn_slab *slab = calloc(1, sizeof *slab);
    if (!slab)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a slab", stack_path(stack));
    slab->stack = stack;
    pthread_rwlock_init(&slab->lock, NULL);
    int rc = stack_hold(stack, slab, err);
    if (rc < 0)
        free_slab(slab);
    else
        *out = slab;
    return rc;
}

void firn_slab_close(struct firn_slab *slab)
{
    if (!slab)
        return;
    stack_let_go(slab->stack);
    free_slab(slab);
}

/* `rc`, of what makes the handle useful. */
static int finish(struct firn_slab *slab, int rc, struct firn_slab **out)
{
    if (rc < 0)
        firn_slab_close(slab);
    else
        *out = slab;
    return rc;
}

/* ---- creating ---- */

struct creation {
    struct firn_slab *slab;
    uint8_t bytes[SLAB_ARENA];
    struct iovec append;
};

static int decide_creation(void *arg, struct firn_stack *stack, uint64_t length,
                           struct firn_stack_change *change, struct firn_error *err)
{
    struct creation *creation = arg;
    if (length > 0)
        return firn_error_set(err, FIRN_EEXIST, 0,
                              "%s: not empty: a slab is created in an empty stack",
                              stack_path(stack));
    creation->append = (struct iovec){creation->bytes, sizeof creation->bytes};
    change->append = &creation->append;
    change->append_count = 1;
    return 0;
}

static int check_block_size(const struct firn_stack *stack, uint64_t block_size,
                            struct firn_error *err)
{
    if (block_size < FIRN_SLAB_BLOCK_LEAST)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: blocks of %llu bytes; the least is 8",
                              stack_path(stack), (unsigned long long)block_size);
    if (block_size > SIZE_MAX / 8)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: blocks of %llu bytes are too large",
                              stack_path(stack), (unsigned long long)block_size);
    return 0;
}

int firn_slab_create(struct firn_stack *stack, uint64_t block_size, struct firn_slab **out,
                     struct firn_error *err)
{
    struct firn_slab *slab = NULL;
    struct creation creation;
    int rc = check_block_size(stack, block_size, err);
    if (rc == 0)
        rc = new_slab(stack, &slab, err);
    if (rc < 0)
        return rc;
    slab->block_size = block_size;
    slab->end = SLAB_ARENA;
    creation.slab = slab;
    slab_encode(block_size, creation.bytes);
    const struct stack_step step = {.decide = decide_creation, .arg = &creation, .holder = slab};
    return finish(slab, stack_step(stack, &step, err), out);
}

/* ---- opening ---- */

static int look(void *arg, struct firn_stack *stack, uint64_t length,
                struct firn_stack_change *change, struct firn_error *err)
{
    struct firn_slab *slab = arg;
    struct slab_header header;
    (void)change;
    int rc = slab_decode(stack, length, &header, err);
    if (rc < 0)
        return rc;
    slab->block_size = header.block_size;
    slab->head = header.head;
    slab->end = length;
    struct walk walk = {.block_size = header.block_size, .end = length, .map = &slab->map};
    rc = slab_walk(stack, &walk, header.head, err);
    return rc == 0 ? STACK_NOTHING : rc;
}

int firn_slab_open(struct firn_stack *stack, struct firn_slab **out, struct firn_error *err)
{
    struct firn_slab *slab = NULL;
    int rc = new_slab(stack, &slab, err);
    return rc == 0 ? finish(slab, stack_observe(stack, look, slab, err), out) : rc;
}

/* ---- figures ---- */

void firn_slab_get_info(struct firn_slab *slab, struct firn_slab_info *info)
{
    pthread_rwlock_rdlock(&slab->lock);
    *info = (struct firn_slab_info){
        .block_size = slab->block_size,
        .blocks = (slab->end - SLAB_ARENA) / slab->block_size,
        .free_blocks = slab->map.free,
    };
    pthread_rwlock_unlock(&slab->lock);
}
