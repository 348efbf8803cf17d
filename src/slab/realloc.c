/* SPDX-License-Identifier: MIT */
/*
 * A slice that gets longer or shorter: as many blocks as before, or, at the end of the stack, more
 * or fewer of them there; elsewhere, blocks given back from its end, or a move to the stack's end.
 */
#include <stdlib.h>

#include "slab/slab_private.h"

struct resize {
    struct plan plan; /* the first */
    struct firn_slab *slab;
    struct firn_slab_slice slice;
    uint64_t length, offset; /* as they become */
    uint64_t before, after;  /* blocks */
    uint8_t *bytes;          /* of a slice that moves */
    struct iovec append;
};

static uint64_t bytes_of(const struct resize *resize, uint64_t blocks)
{
    return blocks * resize->slab->block_size;
}

static bool is_last(const struct resize *resize)
{
    return resize->slice.offset + bytes_of(resize, resize->before) == resize->slab->end;
}

/* Old bytes behind its end, in its last block, are not shown. */
static void zero_behind(struct resize *resize)
{
    uint64_t old = resize->slice.length, room = bytes_of(resize, resize->before);
    uint64_t end = resize->length < room ? resize->length : room;
    if (end > old)
        plan_write(&resize->plan, resize->slice.offset + old, NULL, end - old);
}

static int stay(struct resize *resize, struct firn_stack_change *change, struct firn_error *err)
{
    static const struct plan_size size = {.others = 1};
    int rc = plan_begin(&resize->plan, resize->slab, &size, err);
    if (rc < 0)
        return rc;
    uint64_t before = bytes_of(resize, resize->before), after = bytes_of(resize, resize->after);
    zero_behind(resize);
    change->append_zeros = after > before ? after - before : 0;
    change->cut = after < before ? before - after : 0;
    resize->plan.end = resize->plan.end - before + after;
    plan_finish(&resize->plan, change);
    return change->write_count || change->cut || change->append_zeros ? 0 : STACK_NOTHING;
}

static int give_end(struct resize *resize, struct firn_stack_change *change, struct firn_error *err)
{
    const struct plan_size size = {.given = 1, .blocks = resize->before - resize->after};
    int rc = plan_begin(&resize->plan, resize->slab, &size, err);
    if (rc == 0)
        rc = plan_give(&resize->plan, resize->slice.offset + bytes_of(resize, resize->after),
                       size.blocks, err);
    if (rc == 0)
        plan_finish(&resize->plan, change);
    return rc;
}

/* What it holds. */
static int load(struct resize *resize, struct firn_error *err)
{
    const struct firn_slab *slab = resize->slab;
    uint64_t length = resize->slice.length;
    if (length > stack_most(slab->stack, (size_t)resize->before + 3))
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "%s: a slice of %llu bytes has to move; journal_bytes allows fewer "
                              "in one change",
                              stack_path(slab->stack), (unsigned long long)length);
    resize->bytes = malloc((size_t)length);
    if (!resize->bytes)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a slice of %llu bytes",
                              stack_path(slab->stack), (unsigned long long)length);
    return stack_read_staged(slab->stack, resize->slice.offset, resize->bytes, (size_t)length, err);
}

static int move(struct resize *resize, struct firn_stack_change *change, struct firn_error *err)
{
    const struct plan_size size = {.given = 1, .blocks = resize->before};
    int rc = plan_begin(&resize->plan, resize->slab, &size, err);
    if (rc == 0)
        rc = load(resize, err);
    if (rc == 0)
        rc = plan_give(&resize->plan, resize->slice.offset, size.blocks, err);
    if (rc < 0)
        return rc;
    resize->append = (struct iovec){resize->bytes, (size_t)resize->slice.length};
    change->append = &resize->append;
    change->append_count = 1;
    change->append_zeros = bytes_of(resize, resize->after) - resize->slice.length;
    resize->offset = resize->plan.end;
    resize->plan.end += bytes_of(resize, resize->after);
    plan_finish(&resize->plan, change);
    return 0;
}

static int decide(void *arg, struct firn_stack *stack, uint64_t length,
                  struct firn_stack_change *change, struct firn_error *err)
{
    struct resize *resize = arg;
    const struct firn_slab *slab = resize->slab;
    (void)length;
    int rc = slab_check_slice(slab, resize->slice, err);
    if (rc < 0)
        return rc;
    resize->offset = resize->slice.offset;
    resize->before = slab_blocks(slab->block_size, resize->slice.length);
    resize->after = slab_blocks(slab->block_size, resize->length);
    if (resize->after > (INT64_MAX - slab->end) / slab->block_size)
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "%s: a slice of %llu bytes, which no stack can hold",
                              stack_path(stack), (unsigned long long)resize->length);
    if (resize->after == resize->before || is_last(resize))
        return stay(resize, change, err);
    return resize->after < resize->before ? give_end(resize, change, err)
                                          : move(resize, change, err);
}

/* Made, or unmade. */
static int from_or_to_none(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t length,
                           struct firn_slab_slice *result, struct firn_error *err)
{
    struct firn_slab_slice found = {0};
    int rc = slice.length == 0 ? slab_check_slice(slab, slice, err) : 0;
    if (rc == 0)
        rc = slice.length == 0 ? firn_slab_alloc(slab, length, &found, err)
                               : firn_slab_dealloc(slab, slice, err);
    if (rc == 0)
        *result = found;
    return rc;
}

int firn_slab_realloc(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t length,
                      struct firn_slab_slice *result, struct firn_error *err)
{
    if (slice.length == 0 || length == 0)
        return from_or_to_none(slab, slice, length, result, err);
    struct resize resize = {.slab = slab, .slice = slice, .length = length};
    int rc = plan_make(slab, decide, &resize.plan, err);
    free(resize.bytes);
    if (rc == 0)
        *result = (struct firn_slab_slice){resize.offset, length};
    return rc;
}
