/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a pipe x every crash point x what may survive there;
 * see explore.h. Behind each sequence the pipe is flushed and closed, which has crash points too.
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

#include "explore.h"
#include "pipe_machine.h"

enum { DEADLOCK_S = 270 };

/* ---- the campaign ---- */

/*
 * Chunks smaller than a sector, within one page, which the growth never leaves; chunks across
 * sectors and pages, with a mark that moves when it grows; a ring that is about to turn; and groups
 * that are written in parts.
 */
struct scene {
    const char *name;
    struct pipe_shape shape;
    const char *setup;      /* "": created by the first operation */
    const char *operations; /* of the sequences */
    bool slow;              /* so less of it */
};

static const struct scene scenes[] = {
    {"small", {16, 12, 0, false}, "WcT", PIPE_MACHINE_OPERATIONS, false},
    {"created", {16, 12, 0, false}, "", "wtWgcb", false},
    {"pages", {600, 13, 0, false}, "WcT", PIPE_MACHINE_OPERATIONS, false},
    {"ring", {600, 40, 0, false}, "LLw", "LLwtWgcb", false},
    {"bytes", {1, 90, 0, false}, "W", "wtTgcb", false},
    {"refused", {16, 12, 0, true}, "W", "RgWfbc", false},
    {"parts", {65536, 20, UINT64_C(8) << 20, false}, "TL", "LwgcbT", true},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct effort {
    unsigned length; /* of sequences */
    unsigned step;   /* every so many-th of the longest ones */
    struct explore_effort each;
};

static const struct effort full = {3, 1, {1024, 200, 24, 1, 20}};
static const struct effort usual = {3, 5, {96, 32, 6, 1, 60}};
static const struct effort less = {2, 3, {16, 6, 2, 2, 100}};
static const struct effort *chosen = &usual;

static struct explore_effort effort_for(const struct scene *scene)
{
    struct explore_effort effort = chosen->each;
    if (scene->slow) {
        effort.all_below /= 8;
        effort.sample /= 8;
        effort.tears /= 2;
        effort.crash_step *= 2;
        effort.again *= 5;
    }
    return effort;
}

static struct explore explore_scene(const struct scene *scene, char *name, size_t size)
{
    snprintf(name, size, "test-crash-pipe_sequences --scene %s", scene->name);
    return (struct explore){.ops = &pipe_machine_explored,
                            .effort = effort_for(scene),
                            .kind = &scene->shape,
                            .name = name,
                            .setup = scene->setup};
}

static void sequences(void **state)
{
    const struct scene *scene = *state;
    char name[80];
    unsigned longest = chosen->length - (scene->slow ? 1 : 0);
    struct explore explore = explore_scene(scene, name, sizeof name);
    for (unsigned length = 1; length <= longest; length++)
        explore_all(&explore, scene->operations, length, length < longest ? 1 : chosen->step, "fc");
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
    return cmocka_run_group_tests_name("pipe_sequences", tests, NULL, NULL);
}
