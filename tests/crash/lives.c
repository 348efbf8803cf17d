/* SPDX-License-Identifier: MIT */
#include "lives.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLOCK_S = 110, SEEDS_LESS = 60, FAILURES_MOST = 10 };

struct run {
    const struct lives *lives;
    const struct explore_ops *ops;
    uint64_t first_seed, seeds;
    uint64_t operations, counted, power_losses, kills, interrupted, with_faults;
    /* of the seed at hand */
    struct prng prng;
    void *machine;
    struct firn_faulty *faulty;
    bool faults;   /* calls may fail in this life */
    char why[700]; /* "": the machine says it */
};

static uint64_t choose(struct run *run, uint64_t n)
{
    return prng_below(&run->prng, n);
}

/* ---- one life ---- */

static void crash_within(struct run *run, unsigned mutations)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(run->faulty, &counts);
    firn_faulty_crash_at(run->faulty, counts.mutations + 1 + choose(run, mutations));
}

static void lose_power(struct run *run, uint64_t *counter)
{
    firn_faulty_restart_random(run->faulty, prng_next(&run->prng), NULL);
    ++*counter;
}

/* Something fails, once or for good, at some call from now on. */
static void add_fault(struct run *run)
{
    static const enum firn_faulty_what whats[] = {FIRN_FAULTY_FAIL, FIRN_FAULTY_LOSE,
                                                  FIRN_FAULTY_SHORT};
    static const int codes[] = {FIRN_EIO, FIRN_ENOSPC, FIRN_EMFILE};
    const struct firn_faulty_fault fault = {
        .what = whats[choose(run, 3)],
        .code = codes[choose(run, 3)],
        .at = 1 + choose(run, 60),
        .times = choose(run, 3) ? 1 : FIRN_FAULTY_ALWAYS,
        .bytes = choose(run, 2) ? FIRN_FAULTY_HALF : 1 + choose(run, 100),
    };
    if (firn_faulty_fail(run->faulty, &fault, NULL, NULL) < 0)
        abort();
    run->with_faults++;
}

/* Whether it was to be expected that an operation failed, and the life ends by it. */
static bool is_over(struct run *run, int rc)
{
    return firn_faulty_is_off(run->faulty) ||
           (run->faults &&
            (!run->ops->is_open(run->machine) || run->lives->is_dead(run->machine, rc)));
}

static const char *look(struct run *run)
{
    const struct lives *lives = run->lives;
    if ((run->faults && !lives->look_with_faults) || choose(run, lives->pace.operations_a_look))
        return NULL;
    if (firn_faulty_is_off(run->faulty))
        return NULL;
    const char *why = lives->look(run->machine, &run->prng);
    return firn_faulty_is_off(run->faulty) ? NULL : why;
}

static const char *operate(struct run *run)
{
    const struct lives *lives = run->lives;
    uint64_t count = 1 + choose(run, lives->pace.operations);
    for (uint64_t i = 0; i < count && run->ops->is_open(run->machine); i++) {
        int rc = lives->operate(run->machine, &run->prng);
        const char *why = lives->broken ? lives->broken(run->machine) : NULL;
        run->operations++;
        if (why)
            return why;
        if (rc < 0 && is_over(run, rc))
            return NULL;
        if (rc < 0 && !run->faults)
            return run->ops->error(run->machine)->message;
        if ((why = look(run)) != NULL)
            return why;
    }
    return NULL;
}

static bool live(struct run *run, unsigned life)
{
    run->faults = run->lives->is_dead && choose(run, 3) == 0;
    if (choose(run, 4))
        crash_within(run, run->lives->pace.mutations);
    if (run->faults)
        add_fault(run);
    const char *why = operate(run);
    firn_faulty_crash_at(run->faulty, 0);
    if (why && why != run->ops->why(run->machine))
        snprintf(run->why, sizeof run->why, "life %u: %.600s", life, why);
    return !why;
}

/* ---- from one to the next ---- */

/* Recoveries that lose their power. */
static bool interrupt(struct run *run)
{
    const struct explore_ops *ops = run->ops;
    while (choose(run, 3) == 0) {
        crash_within(run, run->lives->pace.recovery);
        if (ops->open(run->machine) == 0 && !ops->check(run->machine) &&
            !firn_faulty_is_off(run->faulty)) /* it can go in background work, too */
            return false;
        ops->close(run->machine);
        firn_faulty_crash_at(run->faulty, 0);
        lose_power(run, &run->interrupted);
    }
    return true;
}

static void end_life(struct run *run)
{
    if (!firn_faulty_is_off(run->faulty) && choose(run, 3) == 0) {
        firn_faulty_kill(run->faulty);
        run->kills++;
    }
    run->ops->close(run->machine);
    firn_faulty_clear(run->faulty, 0);
    if (firn_faulty_is_off(run->faulty) || choose(run, 2))
        lose_power(run, &run->power_losses);
}

/* With the power going again meanwhile, perhaps. */
static bool begin_life(struct run *run)
{
    const struct lives *lives = run->lives;
    const struct explore_ops *ops = run->ops;
    if (lives->vary)
        lives->vary(run->machine, &run->prng);
    if (!interrupt(run))
        return false;
    if (lives->between && !lives->between(run->machine, &run->prng))
        return false;
    if (ops->check_read_only && choose(run, 4) == 0 && !ops->check_read_only(run->machine))
        return false;
    if (ops->open(run->machine) < 0) {
        snprintf(run->why, sizeof run->why, "opening: %s", ops->error(run->machine)->message);
        return false;
    }
    return ops->check(run->machine);
}

/* ---- seeds ---- */

static void print_line(void *arg, const char *line)
{
    (void)arg;
    printf("  %s\n", line);
}

static void print_failure(struct run *run, uint64_t seed)
{
    printf("failed: %s\n  again: test-crash-%s %llu 1\n",
           run->why[0] ? run->why : run->ops->why(run->machine), run->lives->name,
           (unsigned long long)seed);
    if (run->seeds == 1)
        firn_faulty_trace(run->faulty, print_line, NULL);
}

static bool run_seed(struct run *run, uint64_t seed)
{
    bool good = true;
    run->prng = prng_new(seed);
    run->why[0] = 0;
    run->lives->init(run->machine, &run->prng);
    run->faulty = run->ops->faulty(run->machine);
    if (run->ops->open(run->machine) < 0)
        abort();
    for (unsigned life = 0; good && life < run->lives->pace.lives; life++) {
        good = live(run, life);
        if (good) {
            end_life(run);
            good = begin_life(run);
        }
    }
    run->counted += run->lives->count(run->machine);
    if (!good)
        print_failure(run, seed);
    run->ops->done(run->machine);
    return good;
}

static void print_note(const struct run *run)
{
    printf("note: %llu seeds: %llu operations, %llu %s, %llu losses of power, %llu during "
           "recovery, %llu kills",
           (unsigned long long)run->seeds, (unsigned long long)run->operations,
           (unsigned long long)run->counted, run->lives->counted,
           (unsigned long long)run->power_losses, (unsigned long long)run->interrupted,
           (unsigned long long)run->kills);
    if (run->lives->is_dead)
        printf(", %llu lives with faults", (unsigned long long)run->with_faults);
    printf("\n");
}

static void seeded(void **state)
{
    struct run *run = *state;
    uint64_t failures = 0, end = run->first_seed + run->seeds;
    run->machine = calloc(1, run->ops->machine_bytes);
    assert_non_null(run->machine);
    for (uint64_t seed = run->first_seed; seed < end && failures < FAILURES_MOST; seed++)
        failures += !run_seed(run, seed);
    free(run->machine);
    print_note(run);
    assert_int_equal(failures, 0);
}

int lives_main(const struct lives *lives, int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    struct run run = {.lives = lives, .ops = lives->ops, .first_seed = 1, .seeds = lives->seeds};
    const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(seeded, &run)};
    if (effort && strcmp(effort, "less") == 0)
        run.seeds = SEEDS_LESS;
    if (argc == 3) {
        run.first_seed = strtoull(argv[1], NULL, 10);
        run.seeds = strtoull(argv[2], NULL, 10);
    } else {
        alarm(DEADLOCK_S); /* a deadlock is a failure */
    }
    return cmocka_run_group_tests_name(lives->name, tests, NULL, NULL);
}
