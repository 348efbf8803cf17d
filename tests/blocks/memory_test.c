/* SPDX-License-Identifier: MIT */
/* Blocks in memory, blocks that keep nothing, and their allocators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blocks/blocks.h"

enum { SHIFT = 7, BLOCK = 128, COUNT = 16 };

typedef int new_fn(uint64_t count, unsigned shift, struct firn_block **block,
                   struct firn_error *err);
typedef int new_allocator_fn(uint64_t count, unsigned shift,
                             struct firn_block_allocator **allocator, struct firn_error *err);

static int store(struct firn_block *block, uint64_t first, uint8_t value, size_t size)
{
    uint8_t bytes[COUNT * BLOCK + 1];
    struct iovec iov[2 * COUNT + 2];
    int count = 0;
    memset(bytes, value, sizeof bytes);
    for (; size > 0; count += 2) {
        size_t n = size < BLOCK ? size : BLOCK;
        iov[count] = (struct iovec){bytes, n / 3};
        iov[count + 1] = (struct iovec){bytes, n - n / 3};
        size -= n;
    }
    return block_store(block, first, iov, count, NULL);
}

static void expect(struct firn_block *block, uint64_t from, uint64_t to, uint8_t value)
{
    uint8_t bytes[COUNT * BLOCK];
    const struct iovec iov[] = {{bytes, 100}, {NULL, 0}, {bytes + 100, sizeof bytes - 100}};
    assert_int_equal(block_load(block, 0, iov, 3, NULL), 0);
    for (uint64_t i = from; i < to; i++)
        assert_int_equal(bytes[i], value);
}

static void shapes_are_checked(void **state)
{
    (void)state;
    static new_fn *const makers[] = {firn_block_memory_new, firn_block_void_new};
    static new_allocator_fn *const allocators[] = {firn_block_memory_allocator_new,
                                                   firn_block_void_allocator_new};
    struct firn_block *block;
    struct firn_block_allocator *allocator;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(makers[i](1, 5, &block, NULL), FIRN_EINVAL);
        assert_int_equal(makers[i](1, 29, &block, NULL), FIRN_EINVAL);
        assert_int_equal(makers[i](0, 12, &block, NULL), FIRN_EINVAL);
        assert_int_equal(makers[i](UINT64_C(1) << 40, 28, &block, NULL), FIRN_EINVAL);
        assert_int_equal(allocators[i](1, 5, &allocator, NULL), FIRN_EINVAL);
        assert_int_equal(allocators[i](0, 12, &allocator, NULL), FIRN_EINVAL);
        assert_int_equal(makers[i](COUNT, SHIFT, &block, NULL), 0);
        assert_true(block->count == COUNT && block->shift == SHIFT);
        assert_int_equal(store(block, COUNT - 1, 1, BLOCK + 1), FIRN_ERANGE);
        const struct iovec odd = {NULL, 0};
        assert_int_equal(block_store(block, 0, &odd, 1, NULL), FIRN_EINVAL);
        assert_int_equal(block_load(block, 0, &odd, -1, NULL), FIRN_EINVAL);
        assert_int_equal(block_prepare(block, 0, COUNT, NULL), 0);
        firn_block_close(block);
    }
    assert_int_equal(firn_block_memory_new(UINT64_C(1) << 34, 28, &block, NULL), FIRN_ENOMEM);
    firn_block_close(NULL);
    assert_int_equal(firn_block_allocator_close(NULL, NULL), 0);
}

static void memory_keeps_what_is_stored(void **state)
{
    (void)state;
    struct firn_block *block;
    assert_int_equal(firn_block_memory_new(COUNT, SHIFT, &block, NULL), 0);
    expect(block, 0, COUNT * BLOCK, 0);
    assert_int_equal(store(block, 0, 1, COUNT * BLOCK), 0);
    assert_int_equal(store(block, 3, 2, 2 * BLOCK + 10), 0);
    assert_int_equal(store(block, COUNT, 9, 0), 0);
    expect(block, 0, 3 * BLOCK, 1);
    expect(block, 3 * BLOCK, 5 * BLOCK + 10, 2);
    expect(block, 5 * BLOCK + 10, COUNT * BLOCK, 1);
    firn_block_close(block);
}

static void void_keeps_nothing(void **state)
{
    (void)state;
    struct firn_block *block;
    assert_int_equal(firn_block_void_new(COUNT, SHIFT, &block, NULL), 0);
    assert_int_equal(store(block, 0, 1, COUNT * BLOCK), 0);
    expect(block, 0, COUNT * BLOCK, 0);
    firn_block_close(block);
}

struct list {
    struct firn_block *at[8];
    int count, most;
};

static int add(void *arg, struct firn_block *block)
{
    struct list *list = arg;
    list->at[list->count++] = block;
    return list->count == list->most ? 77 : 0;
}

static void memory_is_allocated_in_order(void **state)
{
    (void)state;
    struct firn_block_allocator *allocator;
    struct firn_block *block[3];
    struct list list = {0}, one = {.most = 1};
    assert_int_equal(firn_block_memory_allocator_new(COUNT, SHIFT, &allocator, NULL), 0);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(block_allocate(allocator, &block[i], NULL), 0);
        expect(block[i], 0, COUNT * BLOCK, 0);
        assert_int_equal(store(block[i], 0, i + 1, COUNT * BLOCK), 0);
    }
    assert_int_equal(block_release(allocator, block[1], NULL), FIRN_EMISMATCH);
    firn_block_close(block[1]);
    firn_block_close(block[2]);
    assert_int_equal(block_retrieve(allocator, add, &one, NULL), 77);
    assert_int_equal(one.count, 1);
    assert_int_equal(block_release(allocator, block[0], NULL), 0);
    expect(one.at[0], 0, COUNT * BLOCK, 1); /* as long as the handle */
    assert_int_equal(block_release(allocator, one.at[0], NULL), FIRN_ERANGE);
    firn_block_close(one.at[0]);
    assert_int_equal(block_retrieve(allocator, add, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    for (int i = 0; i < 2; i++)
        expect(list.at[i], 0, COUNT * BLOCK, (uint8_t)(i + 2));
    assert_int_equal(firn_block_allocator_close(allocator, NULL), FIRN_EBUSY);
    assert_int_equal(block_release(allocator, list.at[0], NULL), 0);
    firn_block_close(list.at[1]);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
}

static void void_remembers_none(void **state)
{
    (void)state;
    struct firn_block_allocator *allocator;
    struct firn_block *block[2];
    struct list list = {0};
    assert_int_equal(firn_block_void_allocator_new(COUNT, SHIFT, &allocator, NULL), 0);
    assert_int_equal(block_allocate(allocator, &block[0], NULL), 0);
    assert_int_equal(block_allocate(allocator, &block[1], NULL), 0);
    assert_int_equal(block_retrieve(allocator, add, &list, NULL), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(block_release(allocator, block[0], NULL), 0);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), FIRN_EBUSY);
    firn_block_close(block[1]);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
}

static void strangers_are_not_released(void **state)
{
    (void)state;
    struct firn_block_allocator *memory, *nothing;
    struct firn_block *from_memory, *from_nothing, *alone;
    assert_int_equal(firn_block_memory_allocator_new(COUNT, SHIFT, &memory, NULL), 0);
    assert_int_equal(firn_block_void_allocator_new(COUNT, SHIFT, &nothing, NULL), 0);
    assert_int_equal(firn_block_memory_new(COUNT, SHIFT, &alone, NULL), 0);
    assert_int_equal(block_allocate(memory, &from_memory, NULL), 0);
    assert_int_equal(block_allocate(nothing, &from_nothing, NULL), 0);
    assert_int_equal(block_release(memory, from_nothing, NULL), FIRN_EINVAL);
    assert_int_equal(block_release(memory, alone, NULL), FIRN_EINVAL);
    assert_int_equal(block_release(nothing, from_memory, NULL), FIRN_EINVAL);
    firn_block_close(alone);
    firn_block_close(from_memory);
    firn_block_close(from_nothing);
    assert_int_equal(firn_block_allocator_close(memory, NULL), 0);
    assert_int_equal(firn_block_allocator_close(nothing, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_checked),  cmocka_unit_test(memory_keeps_what_is_stored),
        cmocka_unit_test(void_keeps_nothing),  cmocka_unit_test(memory_is_allocated_in_order),
        cmocka_unit_test(void_remembers_none), cmocka_unit_test(strangers_are_not_released),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
