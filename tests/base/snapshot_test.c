/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/snapshot.h"
#include "lib/prng.h"
#include "threads.h"

/* ---- one thread ---- */

struct thing {
    struct grace_item item; /* first */
    struct grace *grace;
    struct thing *retires; /* when it is released */
    char name;
};

static char released[64]; /* names, in order */

static void release_thing(struct grace_item *item)
{
    struct thing *thing = (struct thing *)(void *)item;
    char name[2] = {thing->name, '\0'};
    strcat(released, name);
    if (thing->retires != NULL)
        grace_retire(thing->grace, &thing->retires->item, release_thing);
    if (thing->grace != NULL)
        assert_true(grace_reclaim(thing->grace)); /* somebody is at it: this call */
}

static void retire(struct grace *grace, struct thing *things, char name)
{
    struct thing *thing = &things[name - 'a'];
    thing->name = name;
    grace_retire(grace, &thing->item, release_thing);
}

static void expect_released(const char *names)
{
    assert_string_equal(released, names);
    released[0] = '\0';
}

static void without_readers_all_goes_at_once(void **state)
{
    (void)state;
    struct grace grace = {0};
    struct thing things[3] = {0};
    assert_false(grace_reclaim(&grace));
    grace_exit(&grace, grace_enter(&grace));
    for (int name = 'a'; name <= 'c'; name++)
        retire(&grace, things, (char)name);
    expect_released("");
    assert_false(grace_reclaim(&grace));
    expect_released("abc");
    assert_false(grace_reclaim(&grace));
    expect_released("");
}

static void readers_of_the_time_are_waited_for(void **state)
{
    (void)state;
    struct grace grace = {0};
    struct thing things[2] = {0};
    int early = grace_enter(&grace);
    int nested = grace_enter(&grace);
    retire(&grace, things, 'a');
    assert_true(grace_reclaim(&grace));
    int late = grace_enter(&grace); /* can't hold a */
    assert_true(grace_reclaim(&grace));
    retire(&grace, things, 'b'); /* which `late` may hold */
    grace_exit(&grace, early);
    assert_true(grace_reclaim(&grace));
    expect_released("");
    grace_exit(&grace, nested);
    assert_true(grace_reclaim(&grace));
    expect_released("a");
    grace_exit(&grace, late);
    assert_false(grace_reclaim(&grace));
    expect_released("b");
}

/* Readers come and go so that there is always one inside: each batch goes in the end. */
static void later_readers_are_not_waited_for(void **state)
{
    (void)state;
    struct grace grace = {0};
    int inside = grace_enter(&grace);
    for (int round = 0; round < 10; round++) {
        struct thing things[1] = {0};
        retire(&grace, things, 'a');
        bool left = true;
        for (int step = 0; step < 2 && left; step++) {
            left = grace_reclaim(&grace);
            int next = grace_enter(&grace);
            grace_exit(&grace, inside);
            inside = next;
        }
        (void)grace_reclaim(&grace);
        expect_released("a");
    }
    grace_exit(&grace, inside);
}

/*
 * A reader that loaded the phase and was held up: it counts in the counter of the old phase, and
 * what is retired after that is not released under its hands.
 */
static void readers_in_a_stale_phase_are_seen(void **state)
{
    (void)state;
    for (unsigned stale = 0; stale < 2; stale++) {
        struct grace grace = {0};
        struct thing things[2] = {0};
        int other = grace_enter(&grace);
        retire(&grace, things, 'a');
        assert_true(grace_reclaim(&grace)); /* flips the phase */
        grace_exit(&grace, other);
        assert_false(grace_reclaim(&grace));
        expect_released("a");
        atomic_fetch_add(&grace.inside[stale], 1); /* now it enters */
        retire(&grace, things, 'b');
        for (int i = 0; i < 5; i++)
            assert_true(grace_reclaim(&grace));
        expect_released("");
        grace_exit(&grace, (int)stale);
        assert_false(grace_reclaim(&grace));
        expect_released("b");
    }
}

static void releasing_may_retire_and_reclaim(void **state)
{
    (void)state;
    struct grace grace = {0};
    struct thing things[2] = {0};
    things[0].grace = &grace;
    things[0].retires = &things[1];
    things[1].name = 'b';
    retire(&grace, things, 'a');
    assert_false(grace_reclaim(&grace));
    expect_released("ab");
    retire(&grace, things, 'b');
    grace_drain(&grace);
    expect_released("b");
}

/* ---- stress ---- */

/*
 * Readers follow shared pointers while writers replace what they lead to. What is released is
 * spoilt at once and freed, so that a reader who still holds it is found out, by the mark, by the
 * address sanitizer, and, as a race, by the thread sanitizer.
 */
enum { READERS = 3, WRITERS = 2, PLACES = 2, TURNS = 20000, GOOD = 0x600d };

struct node {
    struct grace_item item;
    unsigned mark;
    _Atomic unsigned *freed;
};

struct world {
    struct grace grace;
    _Atomic uintptr_t places[PLACES];
    _Atomic unsigned made, freed;
    _Atomic unsigned writers_left;
};

static void release_node(struct grace_item *item)
{
    struct node *node = (struct node *)(void *)item;
    THREAD_CHECK(node->mark == GOOD);
    node->mark = 0xbad;
    atomic_fetch_add(node->freed, 1);
    free(node);
}

static uintptr_t make_node(struct world *world)
{
    struct node *node = malloc(sizeof *node);
    THREAD_CHECK(node != NULL);
    node->mark = GOOD;
    node->freed = &world->freed;
    atomic_fetch_add(&world->made, 1);
    return (uintptr_t)node;
}

static void replace(struct world *world, size_t place)
{
    uintptr_t old = atomic_exchange_explicit(&world->places[place], make_node(world),
                                             memory_order_acq_rel);
    grace_retire(&world->grace, &((struct node *)old)->item, release_node);
}

static void write_on(struct world *world, struct prng *prng)
{
    for (int i = 0; i < TURNS; i++) {
        replace(world, prng_below(prng, PLACES));
        if (prng_below(prng, 4) != 0)
            (void)grace_reclaim(&world->grace);
    }
    atomic_fetch_sub(&world->writers_left, 1);
}

static void look_at(struct world *world, size_t place)
{
    const struct node *node = (struct node *)atomic_load_explicit(&world->places[place],
                                                                  memory_order_acquire);
    THREAD_CHECK(node->mark == GOOD);
    for (int i = 0; i < 20; i++)
        atomic_signal_fence(memory_order_seq_cst);
    THREAD_CHECK(node->mark == GOOD);
}

static void read_on(struct world *world, struct prng *prng)
{
    while (atomic_load(&world->writers_left) > 0) {
        int phase = grace_enter(&world->grace);
        look_at(world, prng_below(prng, PLACES));
        int inner = grace_enter(&world->grace);
        look_at(world, prng_below(prng, PLACES));
        grace_exit(&world->grace, phase);
        look_at(world, prng_below(prng, PLACES));
        grace_exit(&world->grace, inner);
    }
}

static void live(void *shared, unsigned number)
{
    struct world *world = shared;
    struct prng prng = prng_new(number);
    if (number < WRITERS)
        write_on(world, &prng);
    else
        read_on(world, &prng);
}

static void readers_never_hold_what_is_released(void **state)
{
    (void)state;
    struct world world = {.writers_left = WRITERS};
    for (size_t i = 0; i < PLACES; i++)
        world.places[i] = make_node(&world);
    threads_run(WRITERS + READERS, live, &world);
    grace_drain(&world.grace);
    assert_int_equal(world.made, WRITERS * TURNS + PLACES);
    assert_int_equal(world.freed, WRITERS * TURNS);
    for (size_t i = 0; i < PLACES; i++)
        release_node(&((struct node *)world.places[i])->item);
}

/* ---- waiting ---- */

struct waiting {
    struct grace grace;
    _Atomic uint64_t cell; /* changed in place, after readers of the old value were waited for */
    atomic_uint_fast64_t allowed;
    atomic_bool done;
};

/* Readers that saw `allowed` at n may find nothing newer than n in the cell while they are inside.
 */
static void change_or_read(void *shared, unsigned number)
{
    struct waiting *waiting = shared;
    if (number == 0) {
        for (uint64_t i = 1; i <= TURNS / 10; i++) {
            atomic_store(&waiting->allowed, i);
            grace_wait(&waiting->grace);
            atomic_store(&waiting->cell, i);
        }
        atomic_store(&waiting->done, true);
        return;
    }
    while (!atomic_load(&waiting->done)) {
        int phase = grace_enter(&waiting->grace);
        uint64_t allowed = atomic_load(&waiting->allowed);
        sched_yield();
        THREAD_CHECK(atomic_load(&waiting->cell) <= allowed);
        grace_exit(&waiting->grace, phase);
    }
}

static void waiting_lasts_until_readers_have_left(void **state)
{
    (void)state;
    struct waiting waiting = {0};
    grace_wait(&waiting.grace); /* nobody is inside */
    threads_run(1 + READERS, change_or_read, &waiting);
    assert_int_equal(waiting.cell, TURNS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_readers_all_goes_at_once),
        cmocka_unit_test(readers_of_the_time_are_waited_for),
        cmocka_unit_test(later_readers_are_not_waited_for),
        cmocka_unit_test(readers_in_a_stale_phase_are_seen),
        cmocka_unit_test(releasing_may_retire_and_reclaim),
        cmocka_unit_test(readers_never_hold_what_is_released),
        cmocka_unit_test(waiting_lasts_until_readers_have_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
