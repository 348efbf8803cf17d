/* SPDX-License-Identifier: MIT */
/* Slices: which can be, and their bytes. */
#include "base/bytes.h"
#include "slab/slab_private.h"

/* ---- which can be ---- */

static int outside(const struct firn_slab *slab, struct firn_slab_slice slice,
                   struct firn_error *err)
{
    return firn_error_set(err, FIRN_ERANGE, 0,
                          "%s: a slice of %llu bytes at byte %llu; the slab's blocks lie from %d "
                          "to %llu",
                          stack_path(slab->stack), (unsigned long long)slice.length,
                          (unsigned long long)slice.offset, SLAB_ARENA,
                          (unsigned long long)slab->end);
}

static bool is_inside(const struct firn_slab *slab, struct firn_slab_slice slice)
{
    return slice.offset >= SLAB_ARENA && slice.offset <= slab->end &&
           slice.length <= slab->end - slice.offset;
}

/* Of bytes that are inside, and more than none. */
static int check_free(const struct firn_slab *slab, struct firn_slab_slice slice,
                      struct firn_error *err)
{
    uint64_t first = slab_block_of(slab, slice.offset), found;
    uint64_t last = slab_block_of(slab, slice.offset + slice.length - 1);
    if (!free_map_finds(&slab->map, first, last - first + 1, &found))
        return 0;
    return firn_error_set(err, FIRN_ENOENT, 0,
                          "%s: a slice of %llu bytes at byte %llu: the block at byte %llu is free",
                          stack_path(slab->stack), (unsigned long long)slice.length,
                          (unsigned long long)slice.offset,
                          (unsigned long long)(SLAB_ARENA + found * slab->block_size));
}

int slab_check_slice(const struct firn_slab *slab, struct firn_slab_slice slice,
                     struct firn_error *err)
{
    if (slice.length == 0 && slice.offset == 0)
        return 0;
    if (slice.length == 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a slice of no bytes, at byte %llu",
                              stack_path(slab->stack), (unsigned long long)slice.offset);
    if (!is_inside(slab, slice))
        return outside(slab, slice, err);
    if ((slice.offset - SLAB_ARENA) % slab->block_size != 0)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "%s: a slice at byte %llu, where no block of the slab begins",
                              stack_path(slab->stack), (unsigned long long)slice.offset);
    return check_free(slab, slice, err);
}

/* Part of a slice that is to be read or written: within it, and somebody's. */
static int check_part(const struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                      uint64_t size, struct firn_slab_slice *part, struct firn_error *err)
{
    int rc = firn_slab_part(slice, from, size, part, err);
    if (rc < 0 || slice.length == 0)
        return rc;
    if (!is_inside(slab, slice))
        return outside(slab, slice, err);
    return size > 0 ? check_free(slab, *part, err) : 0;
}

/* ---- sub-ranges, and slices as bytes ---- */

int firn_slab_part(struct firn_slab_slice slice, uint64_t from, uint64_t length,
                   struct firn_slab_slice *part, struct firn_error *err)
{
    if (from > slice.length || length > slice.length - from || slice.offset > UINT64_MAX - from)
        return firn_error_set(err, FIRN_ERANGE, 0, "%llu bytes from %llu on, of a slice of %llu",
                              (unsigned long long)length, (unsigned long long)from,
                              (unsigned long long)slice.length);
    *part = (struct firn_slab_slice){length > 0 ? slice.offset + from : 0, length};
    return 0;
}

void firn_slab_store(struct firn_slab_slice slice, void *bytes)
{
    uint8_t *to = bytes;
    store_le_u64(to, slice.offset);
    store_le_u64(to + 8, slice.length);
}

int firn_slab_load(struct firn_slab *slab, const void *bytes, struct firn_slab_slice *slice,
                   struct firn_error *err)
{
    const uint8_t *from = bytes;
    struct firn_slab_slice whole = {load_le_u64(from), load_le_u64(from + 8)}, part;
    pthread_rwlock_rdlock(&slab->lock);
    int rc = check_part(slab, whole, 0, whole.length, &part, err);
    pthread_rwlock_unlock(&slab->lock);
    if (rc == 0)
        *slice = part;
    return rc;
}

/* ---- reading ---- */

int firn_slab_read(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                   void *buffer, size_t size, struct firn_error *err)
{
    struct firn_slab_slice part;
    pthread_rwlock_rdlock(&slab->lock);
    int rc = check_part(slab, slice, from, size, &part, err);
    pthread_rwlock_unlock(&slab->lock);
    return rc < 0 || size == 0 ? rc : firn_stack_get(slab->stack, part.offset, buffer, size, err);
}

int firn_slab_get_reserved(struct firn_slab *slab, void *bytes, struct firn_error *err)
{
    return firn_stack_get(slab->stack, 0, bytes, FIRN_SLAB_RESERVED, err);
}

/* ---- writing ---- */

struct writing {
    struct firn_slab *slab;
    struct firn_slab_slice slice;
    uint64_t from;
    struct firn_stack_write write;
};

static int decide_writing(void *arg, struct firn_stack *stack, uint64_t length,
                          struct firn_stack_change *change, struct firn_error *err)
{
    struct writing *writing = arg;
    struct firn_slab_slice part;
    (void)stack, (void)length;
    int rc = check_part(writing->slab, writing->slice, writing->from, writing->write.size, &part,
                        err);
    if (rc < 0)
        return rc;
    if (part.length == 0)
        return STACK_NOTHING;
    writing->write.offset = part.offset;
    change->writes = &writing->write;
    change->write_count = 1;
    return 0;
}

int firn_slab_write(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                    const void *bytes, size_t size, struct firn_error *err)
{
    struct writing writing = {slab, slice, from, {0, size ? bytes : NULL, size}};
    return stack_change(slab->stack, decide_writing, &writing, err);
}

int firn_slab_zero(struct firn_slab *slab, struct firn_slab_slice slice, uint64_t from,
                   uint64_t bytes, struct firn_error *err)
{
    struct writing writing = {slab, slice, from, {0, NULL, bytes}};
    return stack_change(slab->stack, decide_writing, &writing, err);
}

int firn_slab_set_reserved(struct firn_slab *slab, const void *bytes, struct firn_error *err)
{
    return firn_stack_set(slab->stack, 0, bytes, FIRN_SLAB_RESERVED, err);
}
