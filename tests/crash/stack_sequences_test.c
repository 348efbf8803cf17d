/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a stack x every crash point x what may survive there;
 * see explore.h. Behind each sequence the stack is closed, which has crash points too.
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

#include "stack_machine.h"

enum { DEADLOCK_S = 270 };

/* ---- the campaign ---- */

/*
 * A stack within a page, and one of several; one that needs more space than is set aside, and a
 * journal that is not applied then; growth by many zeros; a ring that is about to turn; one that is
 * created by the first operation; and one without a journal, where single sectors do not tear: it
 * relies on that, and changes in place may be torn.
 */
struct scene {
    const char *name;
    struct stack_shape shape;
    const char *setup;      /* "": created by the first operation */
    const char *operations; /* of the sequences */
    unsigned step;          /* more of them are left out */
    bool no_tears;
};

static const struct scene scenes[] = {
    {"small", {0, 0, false}, "ppk", "poxdaSerszwcRmk", 1, false},
    {"created", {0, 0, false}, "", "pxomk", 1, false},
    {"pages", {12000, 0, false}, "pkp", STACK_OPERATIONS "bk", 5, false},
    {"grows", {56000, 1 << 20, false}, "o", "MPxodk", 2, false},
    {"zeros", {3000, 1 << 20, false}, "p", "Zpodk", 3, false},
    {"ring", {12000, 0, false}, "MMp", "Mpodmbk", 2, false},
    {"single", {0, 0, true}, "ppk", "pPxodefDEnk", 1, true},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct effort {
    unsigned length; /* of sequences */
    unsigned step;   /* every so many-th of the longest ones */
    struct explore_effort each;
};

static const struct effort full = {3, 1, {1024, 200, 24, 1, 20}};
static const struct effort usual = {3, 41, {96, 32, 6, 1, 60}};
static const struct effort less = {2, 3, {16, 6, 2, 2, 100}};
static const struct effort *chosen = &usual;

static struct explore explore_scene(const struct scene *scene, char *name, size_t size)
{
    snprintf(name, size, "test-crash-stack_sequences --scene %s", scene->name);
    struct explore explore = {.ops = &stack_machine_explored,
                              .effort = chosen->each,
                              .kind = &scene->shape,
                              .name = name,
                              .setup = scene->setup};
    if (scene->no_tears)
        explore.effort.tears = 0;
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
    return cmocka_run_group_tests_name("stack_sequences", tests, NULL, NULL);
}
