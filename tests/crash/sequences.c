/* SPDX-License-Identifier: MIT */
#include "sequences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SCENES_MOST = 16, ENDLESS_S = 270 };

static const struct sequences *tried;
static const struct sequences_effort *chosen;

/* ---- one scene ---- */

struct scene_run {
    const struct sequences_scene *scene;
    struct sequences_effort effort;
    struct explore explore;
    char name[80];
};

static void run_init(struct scene_run *run, const struct sequences_scene *scene)
{
    *run = (struct scene_run){.scene = scene, .effort = *chosen};
    if (scene->adapt)
        scene->adapt(&run->effort);
    snprintf(run->name, sizeof run->name, "test-crash-%s --%s %s", tried->program, tried->option,
             scene->name);
    run->explore = (struct explore){.ops = tried->ops,
                                    .effort = run->effort.each,
                                    .kind = scene->kind,
                                    .name = run->name,
                                    .setup = scene->setup};
}

static void try_scripts(struct explore *explore, const char *scripts)
{
    char script[sizeof explore->sequence];
    for (; scripts && *scripts; scripts += strspn(scripts, " ")) {
        size_t length = strcspn(scripts, " ");
        snprintf(script, sizeof script, "%.*s", (int)length, scripts);
        explore_sequence(explore, script);
        scripts += length;
    }
}

static void try_length(struct scene_run *run, unsigned length)
{
    const struct sequences_scene *scene = run->scene;
    unsigned step = run->effort.step * (scene->sparse ? scene->sparse : 1);
    if (tried->try_length)
        tried->try_length(&run->explore, scene, length);
    else
        explore_all(&run->explore, scene->operations, length,
                    length < run->effort.length ? 1 : step, tried->last);
}

static bool run_scene(const struct sequences_scene *scene)
{
    struct scene_run run;
    const struct explore *explore = &run.explore;
    run_init(&run, scene);
    try_scripts(&run.explore, scene->scripts);
    for (unsigned length = tried->shortest; length <= run.effort.length; length++)
        try_length(&run, length);
    printf("note: %s%s: %llu crash states explored (and %llu of interrupted recoveries; %llu met "
           "twice), %llu failed\n",
           tried->label, scene->name, (unsigned long long)explore->states,
           (unsigned long long)explore->recovery_states, (unsigned long long)explore->skipped,
           (unsigned long long)explore->failures);
    explore_done(&run.explore);
    return explore->failures == 0 && explore->states > 0;
}

/* ---- all ---- */

/*
 * A loop without end is a failure. What counts is the processor's time, so that a busy machine
 * fails nothing; waits without end are for who runs the tests to find.
 */
static void limit_processor(void)
{
    const struct rlimit limit = {.rlim_cur = ENDLESS_S, .rlim_max = ENDLESS_S + 10};
    if (setrlimit(RLIMIT_CPU, &limit) != 0)
        abort();
}

static pid_t processes[SCENES_MOST];

static void start_scenes(void)
{
    fflush(stdout);
    for (int i = 0; i < tried->scene_count; i++) {
        processes[i] = fork();
        if (processes[i] == 0) {
            bool good = run_scene(&tried->scenes[i]);
            fflush(stdout);
            _exit(good ? 0 : 1);
        }
    }
}

static void sequences_survive(void **state)
{
    const struct sequences_scene *scene = *state;
    pid_t process = processes[scene - tried->scenes];
    int status = -1;
    if (!tried->apart) {
        assert_true(run_scene(scene));
        return;
    }
    assert_true(process > 0);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_int_equal(status, 0);
}

/* What a failure printed, again. */
static int repeat(int argc, char **argv)
{
    const struct sequences_scene *scene = &tried->scenes[0];
    struct scene_run run;
    for (int i = 1; i + 1 < argc; i++)
        for (int k = 0; k < tried->scene_count; k++)
            if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, tried->option) == 0 &&
                strcmp(argv[i + 1], tried->scenes[k].name) == 0)
                scene = &tried->scenes[k];
    chosen = &tried->full;
    run_init(&run, scene);
    explore_repeat(&run.explore, argc, argv);
    explore_done(&run.explore);
    return run.explore.failures > 0;
}

int sequences_main(const struct sequences *sequences, int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    struct CMUnitTest tests[SCENES_MOST];
    tried = sequences;
    if (tried->scene_count > SCENES_MOST)
        abort();
    for (int i = 0; i < tried->scene_count; i++)
        tests[i] = (struct CMUnitTest){.name = tried->scenes[i].name,
                                       .test_func = sequences_survive,
                                       .initial_state = (void *)(uintptr_t)&tried->scenes[i]};
    if (argc > 2)
        return repeat(argc, argv);
    chosen = effort && strcmp(effort, "less") == 0 ? &tried->less : &tried->usual;
    if (argc > 1)
        chosen = &tried->full;
    else
        limit_processor();
    if (tried->apart)
        start_scenes();
    return _cmocka_run_group_tests(tried->program, tests, (size_t)tried->scene_count, NULL, NULL);
}
