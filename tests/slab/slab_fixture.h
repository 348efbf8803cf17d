/* SPDX-License-Identifier: MIT */
/* A slab for tests, in the stack that a fixture of the stack's has open. */
#ifndef TESTS_SLAB_SLAB_FIXTURE_H
#define TESTS_SLAB_SLAB_FIXTURE_H

#include <firn/slab.h>

#include "stack/fixture.h"

enum { ARENA = 48 };

#define SLICE(offset, length) ((struct firn_slab_slice){(offset), (length)})

static inline struct firn_slab *slab_create(struct fixture *f, uint64_t block_size)
{
    struct firn_slab *slab = NULL;
    OK(firn_slab_create(f->stack, block_size, &slab, &f->err));
    return slab;
}

static inline struct firn_slab *slab_open(struct fixture *f)
{
    struct firn_slab *slab = NULL;
    OK(firn_slab_open(f->stack, &slab, &f->err));
    return slab;
}

/* Closes slab and stack, and opens them again. */
static inline void slab_reopen(struct fixture *f, struct firn_slab **slab)
{
    firn_slab_close(*slab);
    fixture_reopen(f);
    *slab = slab_open(f);
}

static inline struct firn_slab_slice slab_alloc(struct fixture *f, struct firn_slab *slab,
                                                uint64_t length)
{
    struct firn_slab_slice slice = {UINT64_MAX, UINT64_MAX};
    OK(firn_slab_alloc(slab, length, &slice, &f->err));
    assert_int_equal(slice.length, length);
    return slice;
}

static inline void slab_dealloc(struct fixture *f, struct firn_slab *slab,
                                struct firn_slab_slice slice)
{
    OK(firn_slab_dealloc(slab, slice, &f->err));
}

static inline struct firn_slab_info slab_info(struct firn_slab *slab)
{
    struct firn_slab_info info;
    firn_slab_get_info(slab, &info);
    return info;
}

static inline void slab_expect(struct firn_slab *slab, uint64_t blocks, uint64_t free_blocks)
{
    assert_int_equal(slab_info(slab).blocks, blocks);
    assert_int_equal(slab_info(slab).free_blocks, free_blocks);
}

static inline void slab_fill(struct fixture *f, struct firn_slab *slab,
                             struct firn_slab_slice slice, int byte)
{
    uint8_t bytes[256];
    memset(bytes, byte, sizeof bytes);
    OK(firn_slab_write(slab, slice, 0, bytes, (size_t)slice.length, &f->err));
}

/* From a byte on, so many of these. */
static inline void slab_expect_bytes(struct fixture *f, struct firn_slab *slab,
                                     struct firn_slab_slice slice, uint64_t from, uint64_t count,
                                     int byte)
{
    uint8_t found[256], expected[256];
    memset(expected, byte, sizeof expected);
    OK(firn_slab_read(slab, slice, from, found, (size_t)count, &f->err));
    if (count)
        assert_memory_equal(found, expected, (size_t)count);
}

#define EVERYWHERE(test) TEST_IN(test, in_memory), TEST_IN(test, on_files)

#endif
