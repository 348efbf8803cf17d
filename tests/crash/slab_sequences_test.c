/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a slab x every crash point x what may survive there;
 * see explore.h. Behind each sequence the slab is closed, which has crash points too.
 *
 * Arguments: none: as much as a minute allows, or less where sanitizers slow it down; --full: for
 * as long as it takes; or what a failure printed: one sequence, one crash point, one outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "slab_machine.h"

enum { DEADLOCK_S = 270 };

/* ---- the campaign ---- */

/*
 * Blocks within a page, and of a page; what is free and what is last varies; and one that is
 * created by the first operation.
 */
struct scene {
    const char *name;
    struct slab_shape shape;
    const char *setup;      /* "": created by the first operation */
    const char *operations; /* of the sequences */
    unsigned step;          /* more of them are left out */
};

static const struct scene scenes[] = {
    {"small", {16, 0}, "nwnwNwnfk", SLAB_MACHINE_OPERATIONS, 5},
    {"oversized", {24, 0}, "nNwNwgw", "lFGSsgmofk", 2},
    {"created", {8, 0}, "", "nNmFk", 1},
    {"pages", {4096, 0}, "nwNwmwfk", SLAB_MACHINE_OPERATIONS, 12},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct effort {
    unsigned length; /* of sequences */
    unsigned step;   /* every so many-th of the longest ones */
    struct explore_effort each;
};

static const struct effort full = {3, 1, {1024, 200, 24, 1, 20}};
static const struct effort usual = {3, 17, {96, 32, 6, 1, 60}};
static const struct effort less = {2, 3, {16, 6, 2, 2, 100}};
static const struct effort *chosen = &usual;

static struct explore explore_scene(const struct scene *scene, char *name, size_t size)
{
    snprintf(name, size, "test-crash-slab_sequences --scene %s", scene->name);
    struct explore explore = {.ops = &slab_machine_explored,
                              .effort = chosen->each,
                              .kind = &scene->shape,
                              .name = name,
                              .setup = scene->setup};
    return explore;
}

static void sequences(void **state)
{
    const struct scene *scene = *state;
    char name[80];
    struct explore explore = explore_scene(scene, name, sizeof name);
    for (unsigned length = 1; length <= chosen->length; length++)
        explore_all(&explore, scene->operations, length,
                    length < chosen->length ? 1 : chosen->step * scene->step, "k");
    printf("note: %s: %llu crash states explored (and %llu of interrupted recoveries; %llu met "
           "twice), %llu failed\n",
           scene->name, (unsigned long long)explore.states,
           (unsigned long long)explore.recovery_states, (unsigned long long)explore.skipped,
           (unsigned long long)explore.failures);
    explore_done(&explore);
    assert_int_equal(explore.failures, 0);
    assert_true(explore.states > 0);
}

/* What a failure printed, again. */
static int repeat(int argc, char **argv)
{
    const struct scene *scene = &scenes[0];
    char name[80];
    chosen = &full;
    for (int i = 1; i + 1 < argc; i++)
        for (int k = 0; k < SCENES; k++)
            if (strcmp(argv[i], "--scene") == 0 && strcmp(argv[i + 1], scenes[k].name) == 0)
                scene = &scenes[k];
    struct explore explore = explore_scene(scene, name, sizeof name);
    explore_repeat(&explore, argc, argv);
    explore_done(&explore);
    return explore.failures > 0;
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    struct CMUnitTest tests[SCENES];
    for (int i = 0; i < SCENES; i++)
        tests[i] = (struct CMUnitTest){.name = scenes[i].name,
                                       .test_func = sequences,
                                       .initial_state = (void *)(uintptr_t)&scenes[i]};
    if (argc > 2)
        return repeat(argc, argv);
    if (effort && strcmp(effort, "less") == 0 && argc == 1)
        chosen = &less;
    if (argc > 1)
        chosen = &full;
    else
        alarm(DEADLOCK_S); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("slab_sequences", tests, NULL, NULL);
}
