/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations on a log x every crash point x what may survive there;
 * see explore.h.
 *
 * Arguments: none: as much as a minute or two allow, or less where sanitizers slow it down; --full:
 * for as long as it takes; or what a failure printed: one sequence, one crash point, one outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "explore.h"
#include "machine.h"

enum { DEADLOCK_S = 270 };

static const char *const modes[] = {"each", "group", "os"};
static const enum firn_durability durabilities[] = {FIRN_DURABILITY_EACH, FIRN_DURABILITY_GROUP,
                                                    FIRN_DURABILITY_OS};

/* ---- the campaign ---- */

struct effort {
    unsigned length; /* of sequences */
    struct explore_effort each;
};

static const struct effort full = {3, {1024, 200, 24, 1, 20}};
static const struct effort usual = {3, {48, 16, 4, 2, 100}};
static const struct effort less = {2, {16, 6, 2, 3, 150}};

static const char *names[] = {"test-crash-sequences --mode each",
                              "test-crash-sequences --mode group",
                              "test-crash-sequences --mode os"};

static struct explore explore_mode(int mode, const struct explore_effort *effort)
{
    return (struct explore){.ops = &machine_explored,
                            .effort = *effort,
                            .kind = &durabilities[mode],
                            .name = names[mode],
                            .setup = ""};
}

/* Compaction wants segments that hold more than one record of a key. */
static void try_compaction(struct explore *explore, unsigned length)
{
    static const char *const sequences[] = {"y", "yt", "yb", "ty", "cy"};
    explore->setup = "aagragar";
    explore->effort.again *= 5;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
        if (strlen(sequences[i]) == length)
            explore_sequence(explore, sequences[i]);
    explore->effort.again /= 5;
}

static uint64_t run_mode(int mode, const struct effort *effort)
{
    bool at_once = durabilities[mode] == FIRN_DURABILITY_EACH;
    const char *basic = at_once ? MACHINE_OPERATIONS : MACHINE_OPERATIONS "f";
    const char *more = at_once ? MACHINE_OPERATIONS "xzksn" : MACHINE_OPERATIONS "fxzs";
    struct explore explore = explore_mode(mode, &effort->each);
    for (unsigned length = 1; length <= effort->length; length++) {
        const char *operations = length < 3 ? more : basic;
        explore.setup = at_once && length < 3 ? "aagcang" : "aagcag";
        explore_all(&explore, operations, length, 1, "");
        explore.setup = "";
        explore_all(&explore, operations, length, 1, "");
        try_compaction(&explore, length);
    }
    printf(
        "note: mode %s: %llu crash states explored (and %llu of interrupted recoveries; %llu met "
        "twice), %llu failed\n",
        modes[mode], (unsigned long long)explore.states,
        (unsigned long long)explore.recovery_states, (unsigned long long)explore.skipped,
        (unsigned long long)explore.failures);
    explore_done(&explore);
    return explore.failures;
}

static const struct effort *chosen = &usual;

/* A process for each mode: they have nothing in common, and it takes long enough. */
static pid_t processes[3];

static void start_modes(void)
{
    fflush(stdout);
    for (int mode = 0; mode < 3; mode++) {
        processes[mode] = fork();
        if (processes[mode] == 0) {
            alarm(chosen == &full ? 0 : DEADLOCK_S); /* a deadlock is a failure */
            uint64_t failures = run_mode(mode, chosen);
            fflush(stdout);
            _exit(failures > 0 ? 1 : 0);
        }
    }
}

static void await_mode(int mode)
{
    int status = -1;
    assert_true(processes[mode] > 0);
    assert_int_equal(waitpid(processes[mode], &status, 0), processes[mode]);
    assert_int_equal(status, 0);
}

static void each(void **state)
{
    (void)state;
    await_mode(0);
}

static void group(void **state)
{
    (void)state;
    await_mode(1);
}

static void os(void **state)
{
    (void)state;
    await_mode(2);
}

/* What a failure printed, again. */
static int repeat(int argc, char **argv)
{
    int mode = 0;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--mode") == 0)
            mode = *argv[i + 1] == 'e' ? 0 : *argv[i + 1] == 'g' ? 1 : 2;
    struct explore explore = explore_mode(mode, &full.each);
    explore_repeat(&explore, argc, argv);
    explore_done(&explore);
    return explore.failures > 0;
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each),
        cmocka_unit_test(group),
        cmocka_unit_test(os),
    };
    if (argc > 2)
        return repeat(argc, argv);
    if (effort && strcmp(effort, "less") == 0 && argc == 1)
        chosen = &less;
    if (argc > 1)
        chosen = &full;
    start_modes();
    return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
