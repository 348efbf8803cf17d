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

enum { SIZE = 300, NOWHERE = 0 };

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
    for (struct extent *e = extents_first(&world->extents); e; e = extents_next(e)) {
        assert_true(e->from >= end && e->from < e->to && e->to <= SIZE);
        for (uint64_t at = e->from; at < e->to; at++)
            found[at] = e->position + (at - e->from);
        end = e->to;
        bytes += e->to - e->from;
        count++;
    }
    assert_memory_equal(found, world->position, sizeof found);
    assert_int_equal(bytes, world->extents.bytes);
    assert_int_equal(count, world->extents.count);
}

static void check_find(struct world *world, uint64_t at)
{
    struct extent *e = extents_find(&world->extents, at);
    uint64_t next = at;
    while (next < SIZE && world->position[next] == NOWHERE)
        next++;
    if (next == SIZE) {
        assert_null(e);
        return;
    }
    assert_non_null(e);
    assert_true(e->to > at && e->from <= next);
}

static void put(struct world *world, uint64_t from, uint64_t to, uint64_t position)
{
    assert_int_equal(extent_pool_reserve(&world->pool, EXTENT_NODES), 0);
    extents_put(&world->extents, &world->pool, from, to, position, NULL);
    for (uint64_t at = from; at < to; at++)
        world->position[at] = position + (at - from);
}

static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct prng prng = prng_new(seed);
        struct world world = {0};
        for (uint64_t i = 0; i < 200; i++) {
            uint64_t from = prng_below(&prng, SIZE);
            uint64_t most = prng_below(&prng, 4) ? 12 : SIZE;
            uint64_t to = from + 1 + prng_below(&prng, most);
            put(&world, from, to < SIZE ? to : SIZE, 1 + i * 1000);
            check(&world);
            check_find(&world, prng_below(&prng, SIZE));
        }
        size_t spare = atomic_load(&world.pool.spare), held = world.extents.count;
        extents_clear(&world.extents, &world.pool);
        assert_int_equal(atomic_load(&world.pool.spare), spare + held);
        assert_null(extents_first(&world.extents));
        extent_pool_done(&world.pool);
    }
}

static void test_takes_two_nodes_at_most(void **state)
{
    (void)state;
    struct world world = {0};
    put(&world, 10, 90, 1);
    size_t spare = atomic_load(&world.pool.spare);
    put(&world, 40, 50, 1000); /* in the middle: what was there becomes two */
    assert_int_equal(atomic_load(&world.pool.spare), spare - 2);
    put(&world, 40, 50, 2000); /* the same again takes none */
    assert_int_equal(atomic_load(&world.pool.spare), spare - 2);
    put(&world, 0, SIZE, 5000);
    assert_int_equal(world.extents.count, 1);
    assert_int_equal(atomic_load(&world.pool.spare), spare);
    check(&world);
    extents_clear(&world.extents, &world.pool);
    extent_pool_done(&world.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_takes_two_nodes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
