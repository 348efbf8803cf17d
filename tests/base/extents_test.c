/* SPDX-License-Identifier: MIT */
/* Ranges against a model that keeps where each single byte lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/extents.h"
#include "lib/prng.h"

enum { SIZE = 3000, NOWHERE = 0 };

struct world {
    struct extent_pool pool;
    struct extents extents;
    uint64_t position[SIZE]; /* of each byte; NOWHERE: not in the map */
};

/* What the map says is what the model says; its figures are right, and its order. */
static void check(struct world *world)
{
    uint64_t found[SIZE] = {0}, bytes = 0, end = 0;
    size_t count = 0;
    struct extent_cursor cursor;
    for (bool more = extents_find(&world->extents, 0, &cursor); more;
         more = extents_next(&cursor)) {
        struct extent extent = extents_get(&cursor);
        assert_true(extent.from >= end && extent.from < extent.to && extent.to <= SIZE);
        for (uint64_t at = extent.from; at < extent.to; at++)
            found[at] = extent.position + (at - extent.from);
        end = extent.to;
        bytes += extent.to - extent.from;
        count++;
    }
    assert_memory_equal(found, world->position, sizeof found);
    assert_int_equal(bytes, world->extents.bytes);
    assert_int_equal(count, world->extents.count);
}

static void check_find(struct world *world, uint64_t at)
{
    struct extent_cursor cursor;
    uint64_t next = at;
    while (next < SIZE && world->position[next] == NOWHERE)
        next++;
    assert_int_equal(extents_find(&world->extents, at, &cursor), next < SIZE);
    if (next == SIZE)
        return;
    struct extent extent = extents_get(&cursor);
    assert_true(extent.to > at && extent.from <= next && extent.to > next);
}

/* Reserved is all that one may need, and not a place more is taken. */
static void put(struct world *world, uint64_t from, uint64_t to, uint64_t position)
{
    struct extent extent = {.from = from, .to = to, .position = position};
    size_t placed = world->extents.placed;
    assert_int_equal(extents_reserve(&world->extents, &world->pool, EXTENT_PLACES), 0);
    assert_true(extents_reserved(&world->extents, &world->pool) >= EXTENT_PLACES);
    extents_put(&world->extents, &world->pool, &extent);
    assert_true(world->extents.placed <= placed + EXTENT_PLACES);
    for (uint64_t at = from; at < to; at++)
        world->position[at] = position + (at - from);
}

static void finish(struct world *world)
{
    size_t leaves = world->pool.free_count + world->extents.leaves;
    struct extent_cursor cursor;
    extents_clear(&world->extents, &world->pool);
    assert_int_equal(world->pool.free_count, leaves);
    assert_false(extents_find(&world->extents, 0, &cursor));
    extent_pool_done(&world->pool);
}

static void any_order(uint64_t seed, uint64_t longest)
{
    struct prng prng = prng_new(seed);
    static struct world world;
    world = (struct world){0};
    for (uint64_t i = 0; i < 3000; i++) {
        uint64_t from = prng_below(&prng, SIZE);
        uint64_t most = prng_below(&prng, 100) ? longest : SIZE;
        uint64_t to = from + 1 + prng_below(&prng, most);
        put(&world, from, to < SIZE ? to : SIZE, 1 + i * 10000);
        if (i % 50 == 0)
            check(&world);
        check_find(&world, prng_below(&prng, SIZE));
    }
    check(&world);
    finish(&world);
}

static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        any_order(seed, seed % 2 ? 3 : 12);
}

/* What was reserved once suffices, however the ranges come. */
static void test_a_reservation_lasts(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    for (int way = 0; way < 4; way++) {
        struct extents extents = {0};
        struct extent_pool pool = {0};
        struct prng prng = prng_new(7);
        assert_int_equal(extents_reserve(&extents, &pool, MANY), 0);
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t at = way == 0 ? i : way == 1 ? MANY - i : i * 2654435761u % MANY;
            at = way == 3 ? prng_below(&prng, 1000) : at;
            assert_true(extents_reserved(&extents, &pool) >= MANY - i);
            extents_put(&extents, &pool, &(struct extent){10 * at, 10 * at + 5, i, NULL});
        }
        assert_true(way == 3 || extents.count == MANY);
        extents_clear(&extents, &pool);
        extent_pool_done(&pool);
    }
}

static void test_the_same_again_takes_no_place(void **state)
{
    (void)state;
    struct world world = {0};
    put(&world, 10, 90, 1);
    put(&world, 40, 50, 1000); /* in the middle: what was there becomes two */
    assert_int_equal(world.extents.count, 3);
    assert_int_equal(world.extents.placed, 3);
    put(&world, 40, 50, 2000);
    assert_int_equal(world.extents.placed, 3);
    put(&world, 0, SIZE, 5000);
    assert_int_equal(world.extents.count, 1);
    check(&world);
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_a_reservation_lasts),
        cmocka_unit_test(test_the_same_again_takes_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
