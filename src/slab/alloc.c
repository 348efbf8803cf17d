/* SPDX-License-Identifier: MIT */
/* Handing out, and taking back: one slice is many of them, with a count of one. */
#include <stdlib.h>

#include "slab/slab_private.h"

/* ---- handing out ---- */

struct allocation {
    struct plan plan; /* the first */
    struct firn_slab *slab;
    const uint64_t *lengths;
    size_t count;
    struct firn_slab_slice *slices; /* the caller's; written even where it fails in the end */
};

static int too_big(const struct firn_slab *slab, uint64_t length, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "%s: a slice of %llu bytes, which no stack can hold",
                          stack_path(slab->stack), (unsigned long long)length);
}

/* At the end; `*zeros` is what was added there so far. */
static int extend(struct plan *plan, uint64_t length, uint64_t *offset, uint64_t *zeros,
                  struct firn_error *err)
{
    uint64_t blocks = slab_blocks(plan->slab->block_size, length);
    if (blocks > (INT64_MAX - plan->end) / plan->slab->block_size)
        return too_big(plan->slab, length, err);
    uint64_t bytes = blocks * plan->slab->block_size;
    *offset = plan->end;
    plan->end += bytes;
    *zeros += bytes;
    return 0;
}

static int place(struct plan *plan, uint64_t length, uint64_t *offset, uint64_t *zeros,
                 struct firn_error *err)
{
    *offset = 0;
    if (length == 0)
        return 0;
    if (length <= plan->slab->block_size && plan->head != 0)
        return plan_take(plan, offset, err);
    return extend(plan, length, offset, zeros, err);
}

static size_t to_take(const struct allocation *allocation)
{
    uint64_t most = allocation->slab->map.free;
    return allocation->count < most ? allocation->count : (size_t)most;
}

static int decide_allocation(void *arg, struct firn_stack *stack, uint64_t length,
                             struct firn_stack_change *change, struct firn_error *err)
{
    struct allocation *allocation = arg;
    const struct plan_size size = {.taken = to_take(allocation)};
    (void)stack, (void)length;
    int rc = plan_begin(&allocation->plan, allocation->slab, &size, err);
    for (size_t i = 0; rc == 0 && i < allocation->count; i++) {
        struct firn_slab_slice *slice = &allocation->slices[i];
        slice->length = allocation->lengths[i];
        rc = place(&allocation->plan, slice->length, &slice->offset, &change->append_zeros, err);
    }
    if (rc == 0)
        plan_finish(&allocation->plan, change);
    return rc;
}

int firn_slab_alloc_many(struct firn_slab *slab, const uint64_t *lengths, size_t count,
                         struct firn_slab_slice *slices, struct firn_error *err)
{
    if (count > SIZE_MAX / sizeof *slices)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: too many slices", stack_path(slab->stack));
    struct firn_slab_slice *found = malloc(count * sizeof *found + 1);
    if (!found)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for %zu slices",
                              stack_path(slab->stack), count);
    struct allocation allocation = {
        .slab = slab, .lengths = lengths, .count = count, .slices = found};
    int rc = plan_make(slab, decide_allocation, &allocation.plan, err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        slices[i] = found[i];
    free(found);
    return rc;
}

int firn_slab_alloc(struct firn_slab *slab, uint64_t length, struct firn_slab_slice *slice,
                    struct firn_error *err)
{
    struct firn_slab_slice found;
    struct allocation allocation = {.slab = slab, .lengths = &length, .count = 1, .slices = &found};
    if (length == 0) {
        *slice = (struct firn_slab_slice){0};
        return 0;
    }
    int rc = plan_make(slab, decide_allocation, &allocation.plan, err);
    if (rc == 0)
        *slice = found;
    return rc;
}

/* ---- taking back ---- */

struct release {
    struct plan plan; /* the first */
    struct firn_slab *slab;
    const struct firn_slab_slice *slices;
    size_t count;
    struct firn_slab_slice *sorted; /* the same, by place */
    uint64_t end;                   /* from where on the stack is cut */
};

static int by_place(const void *a, const void *b)
{
    const struct firn_slab_slice *left = a, *right = b;
    return (left->offset > right->offset) - (left->offset < right->offset);
}

static uint64_t bytes_of(const struct firn_slab *slab, struct firn_slab_slice slice)
{
    return slab_blocks(slab->block_size, slice.length) * slab->block_size;
}

/* Every slice by itself, and that none overlaps the next. */
static int check_slices(const struct release *release, struct firn_error *err)
{
    uint64_t end = 0;
    for (size_t i = 0; i < release->count; i++) {
        struct firn_slab_slice slice = release->sorted[i];
        int rc = slab_check_slice(release->slab, slice, err);
        if (rc < 0)
            return rc;
        if (slice.length == 0)
            continue;
        if (slice.offset < end)
            return firn_error_set(err, FIRN_EINVAL, 0,
                                  "%s: the slice at byte %llu overlaps another one that is to be "
                                  "freed with it",
                                  stack_path(release->slab->stack),
                                  (unsigned long long)slice.offset);
        end = slice.offset + bytes_of(release->slab, slice);
    }
    return 0;
}

/* What the stack ends with, of more than a block each. */
static void find_tail(struct release *release)
{
    release->end = release->slab->end;
    for (size_t i = release->count; i > 0; i--) {
        struct firn_slab_slice slice = release->sorted[i - 1];
        if (slice.length <= release->slab->block_size ||
            slice.offset + bytes_of(release->slab, slice) != release->end)
            break;
        release->end = slice.offset;
    }
}

static bool is_linked(const struct release *release, struct firn_slab_slice slice)
{
    return slice.length > 0 && slice.offset < release->end;
}

static struct plan_size size_of(const struct release *release)
{
    struct plan_size size = {0};
    for (size_t i = 0; i < release->count; i++) {
        if (!is_linked(release, release->slices[i]))
            continue;
        size.blocks += slab_blocks(release->slab->block_size, release->slices[i].length);
        size.given++;
    }
    return size;
}

static int decide_release(void *arg, struct firn_stack *stack, uint64_t length,
                          struct firn_stack_change *change, struct firn_error *err)
{
    struct release *release = arg;
    (void)stack, (void)length;
    int rc = check_slices(release, err);
    if (rc < 0)
        return rc;
    find_tail(release);
    const struct plan_size size = size_of(release);
    rc = plan_begin(&release->plan, release->slab, &size, err);
    for (size_t i = 0; rc == 0 && i < release->count; i++) {
        struct firn_slab_slice slice = release->slices[i];
        if (is_linked(release, slice))
            rc = plan_give(&release->plan, slice.offset,
                           slab_blocks(release->slab->block_size, slice.length), err);
    }
    if (rc < 0)
        return rc;
    change->cut = release->plan.end - release->end;
    release->plan.end = release->end;
    plan_finish(&release->plan, change);
    return 0;
}

int firn_slab_dealloc_many(struct firn_slab *slab, const struct firn_slab_slice *slices,
                           size_t count, struct firn_error *err)
{
    struct firn_slab_slice *sorted = count <= SIZE_MAX / 2 / sizeof *sorted
                                         ? malloc(count * sizeof *sorted + 1)
                                         : NULL;
    if (!sorted)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for %zu slices",
                              stack_path(slab->stack), count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = slices[i];
    qsort(sorted, count, sizeof *sorted, by_place);
    struct release release = {.slab = slab, .slices = slices, .count = count, .sorted = sorted};
    int rc = plan_make(slab, decide_release, &release.plan, err);
    free(sorted);
    return rc;
}

int firn_slab_dealloc(struct firn_slab *slab, struct firn_slab_slice slice, struct firn_error *err)
{
    if (slice.length == 0)
        return slab_check_slice(slab, slice, err);
    struct release release = {.slab = slab, .slices = &slice, .count = 1, .sorted = &slice};
    return plan_make(slab, decide_release, &release.plan, err);
}
