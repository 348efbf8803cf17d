/* SPDX-License-Identifier: MIT */
/*
 * Short lives of a stream x every crash point x what may survive there; see explore.h. Scripts of
 * what is known to be delicate, and every pair of operations.
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
#include "stream_machine.h"

enum { DEADLOCK_S = 270 };

/* ---- the campaign ---- */

struct scene {
    const char *name;
    struct stream_shape shape;
    const char *setup;   /* "": a new stream */
    const char *scripts; /* with blanks between them; at most 7 operations each */
    const char *pairs;   /* operations of which all pairs are tried; NULL: none */
};

static const struct scene scenes[] = {
    {"created", {3, true, false}, "", "gsc sbs FsF Scs cgsl", "sBLSgc"},
    {"within", {3, true, false}, "gs", "sss ssc scs csss s0s", NULL},
    {"completing", {3, true, false}, "gs", "bs bbs sbsb bcs Bs BBB BcB Fs FgF bFsc", NULL},
    {"blocks", {5, true, false}, "gs", "L Ls LL LcL bLs LBc", NULL},
    {"spanned", {3, true, false}, "gsgg", "S Ss SS W Ws bS bW SW WcS FS LS SSSS", NULL},
    {"spans-in-pieces", {3, true, false}, "ggLb", "Ss Ws WW WcW", NULL},
    {"wasted", {3, false, false}, "gsg", "S Ss LS SS WLs Lcs", NULL},
    {"growing", {3, true, false}, "gs", "g gs gg sgs gS gcS gpS pgps", NULL},
    {"shrinking", {3, true, false}, "gsSFsSSs", "ahx ahxs ahxc ahc ahXs asahX k ks kS lahx", NULL},
    {"spilled-first", {3, true, false}, "gsS", "ahx ahxs ahxc ahxgs kscs FahXc", NULL},
    {"emptied", {3, false, false}, "gF", "ahx ahxc ahxgs ahXsc ahcs", NULL},
    {"closing", {3, true, false}, "gsLSBcs", "c sc Lc Sc bc Fc gc lc cc scs", NULL},
    {"large", {700, true, false}, "ggs", "H Hs HH sHc", NULL},
    {"pairs", {3, true, false}, "gsSBs", "", "sbBLFSWgkcpl"},
    {"pairs-apart", {3, false, true}, "gsSBs", "", "sbBLFSgkcz"},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct effort {
    unsigned step; /* every so many-th of the pairs */
    struct explore_effort each;
};

static const struct effort full = {1, {4096, 600, 0, 1, 10}};
static const struct effort usual = {1, {32, 12, 0, 1, 60}};
static const struct effort less = {4, {12, 6, 0, 2, 100}};
static const struct effort *chosen = &usual;

/* Large ones take long. */
static struct explore_effort effort_for(const struct scene *scene)
{
    struct explore_effort effort = chosen->each;
    if (scene->shape.blocks > 100) {
        effort.sample = effort.sample / 12 + 1;
        effort.again *= 2;
    }
    return effort;
}

static struct explore explore_scene(const struct scene *scene, char *name, size_t size)
{
    snprintf(name, size, "test-crash-stream_sequences --scene %s", scene->name);
    return (struct explore){.ops = &stream_machine_explored,
                            .effort = effort_for(scene),
                            .kind = &scene->shape,
                            .name = name,
                            .setup = scene->setup};
}

static void explore_scripts(struct explore *explore, const char *scripts)
{
    char all[128];
    snprintf(all, sizeof all, "%s", scripts);
    for (char *script = strtok(all, " "); script; script = strtok(NULL, " "))
        explore_sequence(explore, script);
}

static void sequences(void **state)
{
    const struct scene *scene = *state;
    char name[80];
    struct explore explore = explore_scene(scene, name, sizeof name);
    explore_scripts(&explore, scene->scripts);
    if (scene->pairs)
        explore_all(&explore, scene->pairs, 2, chosen->step, "c");
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
    return cmocka_run_group_tests_name("stream_sequences", tests, NULL, NULL);
}
