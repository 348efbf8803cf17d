/* SPDX-License-Identifier: MIT */
/* Arguments of all kinds of blocks. */
#include "blocks/blocks_private.h"

const struct block_limits block_file_limits = {FIRN_BLOCK_FILE_SHIFT_MIN,
                                               FIRN_BLOCK_FILE_SHIFT_MAX};
const struct block_limits block_memory_limits = {FIRN_BLOCK_SHIFT_MIN, FIRN_BLOCK_SHIFT_MAX};

int block_check(const struct firn_block *block, struct firn_error *err)
{
    if (!block || !block->ops || block->ops->size < sizeof(struct firn_block_ops))
        return firn_error_set(err, FIRN_EINVAL, 0, "the blocks' table of functions is too short");
    return 0;
}

int block_allocator_check(const struct firn_block_allocator *allocator, struct firn_error *err)
{
    if (!allocator || !allocator->ops ||
        allocator->ops->size < sizeof(struct firn_block_allocator_ops))
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "the allocator's table of functions is too short");
    return 0;
}

int block_check_shape(const struct block_limits *limits, const char *what, uint64_t count,
                      unsigned shift, uint64_t *bytes, struct firn_error *err)
{
    if (shift < limits->shift_min || shift > limits->shift_max)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: the block shift is %u; it may be %u to %u",
                              what, shift, limits->shift_min, limits->shift_max);
    if (count == 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: no blocks", what);
    if (count > (uint64_t)INT64_MAX >> shift)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "%s: %llu blocks of %llu bytes are more than 2^63 - 1 bytes", what,
                              (unsigned long long)count, 1ULL << shift);
    if (bytes)
        *bytes = count << shift;
    return 0;
}

int block_check_pairs(const char *what, const struct iovec *iov, int count, uint64_t block_bytes,
                      struct firn_error *err)
{
    int i = 0;
    if (count < 0 || count % 2 != 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a store of %d buffers, which are no pairs",
                              what, count);
    while (i < count && iov[i].iov_len + iov[i + 1].iov_len == block_bytes)
        i += 2;
    if (i < count && iov[i].iov_len + iov[i + 1].iov_len > block_bytes)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "%s: buffers %d and %d of a store are more than a block", what, i,
                              i + 1);
    if (i + 2 < count)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "%s: buffers %d and %d of a store are less than a block, and not the "
                              "last",
                              what, i, i + 1);
    return 0;
}

static int check_range(const struct firn_block *block, const char *what, const char *verb,
                       uint64_t first, const struct iovec *iov, int count, uint64_t *bytes,
                       struct firn_error *err)
{
    uint64_t most = first < block->count ? (block->count - first) << block->shift : 0, sum = 0;
    for (int i = 0; i < count && sum <= most; i++)
        sum = iov[i].iov_len > most - sum ? most + 1 : sum + iov[i].iov_len;
    if (sum > most)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "%s: %s from block %llu on goes beyond block %llu", what, verb,
                              (unsigned long long)first, (unsigned long long)block->count - 1);
    *bytes = sum;
    return 0;
}

int block_check_load(const struct firn_block *block, const char *what, uint64_t first,
                     const struct iovec *iov, int count, uint64_t *bytes, struct firn_error *err)
{
    if (count < 0)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a load into %d buffers", what, count);
    return check_range(block, what, "load", first, iov, count, bytes, err);
}

int block_check_store(const struct firn_block *block, const char *what, uint64_t first,
                      const struct iovec *iov, int count, uint64_t *bytes, struct firn_error *err)
{
    int rc = check_range(block, what, "store", first, iov, count, bytes, err);
    return rc == 0 ? block_check_pairs(what, iov, count, UINT64_C(1) << block->shift, err) : rc;
}

int block_poisoned(const struct firn_error *cause, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EPOISONED, cause->os_error, "%s", cause->message);
}
