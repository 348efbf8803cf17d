/* SPDX-License-Identifier: MIT */
/*
 * The rules of durability that a journal has to keep, by the scenarios that break a design without
 * them: writes that are lost and stay readable, a process that dies then, and the loss of power at
 * each point of the recovery that follows.
 * Arguments: none: as much as a minute allows; --full: every outcome up to 512 of each.
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

#include "lib/prng.h"
#include "pipe_machine.h"

static uint64_t all_below = 24, sample = 8, lost_step = 1, lap_seeds = 40;

struct figures {
    uint64_t runs, states;
};

/* ---- what a lost write leaves ---- */

/* In the middle of the run one call loses what it should have written; then the process dies. */
static bool run_and_die(struct pipe_machine *machine, const struct pipe_shape *shape,
                        const char *script, uint64_t at)
{
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_LOSE,
                                            .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE |
                                                   FIRN_FAULTY_SYNC,
                                            .at = at};
    int id;
    pipe_machine_init(machine, shape);
    assert_int_equal(firn_faulty_fail(machine->faulty, &fault, &id, NULL), 0);
    int rc = pipe_machine_open(machine);
    for (; rc == 0 && *script && machine->pipe; script++)
        rc = pipe_machine_do(machine, *script);
    bool hit = firn_faulty_hits(machine->faulty, id) > 0;
    firn_faulty_kill(machine->faulty);
    pipe_machine_close(machine);
    firn_faulty_clear(machine->faulty, 0);
    return hit;
}

static void fail_with(const struct pipe_machine *machine, const char *script, uint64_t at,
                      uint64_t point, uint64_t which)
{
    fail_msg("'%s', write %llu lost, power lost at %llu of the recovery, outcome %llu: %s", script,
             (unsigned long long)at, (unsigned long long)point, (unsigned long long)which,
             machine->why);
}

static void try_outcomes(struct pipe_machine *crashed, const char *script, uint64_t at,
                         uint64_t point, struct figures *figures)
{
    uint64_t outcomes = firn_faulty_outcomes(crashed->faulty);
    struct prng prng = prng_new(at * 1000 + point);
    bool all = outcomes <= all_below;
    uint64_t count = all ? outcomes : sample + 2;
    for (uint64_t i = 0; i < count; i++) {
        struct pipe_machine machine;
        uint64_t which = all || i == 0 ? i : i == 1 ? outcomes - 1 : prng_below(&prng, outcomes);
        pipe_machine_copy(crashed, &machine);
        assert_int_equal(firn_faulty_restart(machine.faulty, which, NULL), 0);
        figures->states++;
        if (!pipe_machine_check_life(&machine))
            fail_with(&machine, script, at, point, which);
        pipe_machine_done(&machine);
    }
}

/* What opening has shown is there for good, whatever the power does. */
static void check_shown(struct pipe_machine *machine, const char *script, uint64_t at,
                        uint64_t point)
{
    if (!pipe_machine_check(machine))
        fail_with(machine, script, at, point, 0);
    firn_faulty_power_off(machine->faulty);
    pipe_machine_close(machine);
    assert_int_equal(firn_faulty_restart(machine->faulty, 0, NULL), 0);
    if (!pipe_machine_check_life(machine))
        fail_with(machine, script, at, point, 0);
}

static void crash_recoveries(const struct pipe_machine *start, const char *script, uint64_t at,
                             struct figures *figures)
{
    bool off = true;
    for (uint64_t point = 1; off; point++) {
        struct pipe_machine machine;
        struct firn_faulty_counts counts;
        pipe_machine_copy(start, &machine);
        firn_faulty_get_counts(machine.faulty, &counts);
        firn_faulty_crash_at(machine.faulty, counts.mutations + point);
        int rc = pipe_machine_open(&machine);
        off = firn_faulty_is_off(machine.faulty);
        if (off) {
            pipe_machine_close(&machine);
            try_outcomes(&machine, script, at, point, figures);
        } else if (rc < 0) {
            snprintf(machine.why, sizeof machine.why, "opening: %s", machine.err.message);
            fail_with(&machine, script, at, point, 0);
        } else {
            firn_faulty_crash_at(machine.faulty, 0);
            check_shown(&machine, script, at, point);
        }
        pipe_machine_done(&machine);
    }
}

/* A group is lost, can still be read, and is part of what the next process recovers. */
static void recovery_trusts_no_cache(void **state)
{
    (void)state;
    static const struct {
        struct pipe_shape shape;
        const char *script;
    } scenes[] = {
        {{16, 12, 0, false}, "TtfTgTc"},
        {{600, 13, 0, false}, "TtfgTcT"},
        {{600, 40, 0, false}, "LtfLLbTL"},
    };
    struct figures figures = {0};
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        bool hit = true;
        for (uint64_t at = 1; hit; at += lost_step) {
            struct pipe_machine start;
            hit = run_and_die(&start, &scenes[i].shape, scenes[i].script, at);
            crash_recoveries(&start, scenes[i].script, at, &figures);
            pipe_machine_done(&start);
            figures.runs++;
        }
    }
    printf("note: %llu lost writes, %llu states after a recovery that was interrupted\n",
           (unsigned long long)figures.runs, (unsigned long long)figures.states);
    assert_true(figures.states > 1000);
}

/* ---- one sync that takes another one's error away ---- */

struct thief {
    const char *path;
    int calls;
};

/* As if the background had synced the same handle meanwhile: the error is reported once. */
static void steal(void *arg, struct firn_faulty *faulty, const struct firn_faulty_event *event)
{
    struct thief *thief = arg;
    struct firn_disk *disk = firn_faulty_disk(faulty);
    struct firn_file *file;
    (void)event;
    thief->calls++;
    if (disk->ops->open(disk, thief->path, FIRN_OPEN_WRITE, &file, NULL) == 0) {
        (void)file->ops->sync(file, NULL);
        file->ops->close(file);
    }
}

/* Others who open and sync the files (a copy, a backup) don't take the pipe's errors away. */
static void others_take_no_error_away(void **state)
{
    (void)state;
    static const char *const paths[] = {PIPE_MACHINE_JOURNAL, PIPE_MACHINE_PATH};
    for (int i = 0; i < 2; i++) {
        struct thief thief = {.path = paths[i]};
        struct pipe_machine machine;
        const struct pipe_shape shape = {600, 40, 0, false};
        struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                          .ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                          .path = paths[i],
                                          .call = steal,
                                          .arg = &thief};
        pipe_machine_init(&machine, &shape);
        assert_int_equal(pipe_machine_open(&machine), 0);
        assert_int_equal(pipe_machine_do(&machine, 'T'), 0);
        assert_int_equal(firn_faulty_fail(machine.faulty, &fault, NULL, NULL), 0);
        fault.what = FIRN_FAULTY_LOSE;
        assert_int_equal(firn_faulty_fail(machine.faulty, &fault, NULL, NULL), 0);
        int rc = pipe_machine_do(&machine, 'T');
        if (rc == 0)
            rc = pipe_machine_do(&machine, 'c');
        assert_int_equal(thief.calls, 1);
        assert_true(rc < 0); /* somebody was told */
        pipe_machine_close(&machine);
        firn_faulty_clear(machine.faulty, 0);
        assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
        if (!pipe_machine_check_life(&machine))
            fail_msg("%s", machine.why);
        pipe_machine_done(&machine);
    }
}

/* ---- what an earlier life left in the ring ---- */

/*
 * Records of two lives have the same sizes and lie at the same places. Whatever is left of the
 * first one behind the second one's end must not follow it.
 */
static void earlier_lives_stay_dead(void **state)
{
    (void)state;
    const struct pipe_shape shape = {600, 13, 0, false};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct pipe_machine machine;
        pipe_machine_init(&machine, &shape);
        assert_int_equal(pipe_machine_open(&machine), 0);
        for (int i = 0; i < 12; i++)
            assert_int_equal(pipe_machine_do(&machine, 'W'), 0);
        assert_int_equal(pipe_machine_do(&machine, 'c'), 0); /* the journal is cut, not durably */
        for (uint64_t i = 0; i < 1 + seed % 5; i++)
            assert_int_equal(pipe_machine_do(&machine, 'W'), 0);
        firn_faulty_power_off(machine.faulty);
        pipe_machine_close(&machine);
        if (seed == 0)
            assert_int_equal(firn_faulty_restart(machine.faulty, 0, NULL), 0);
        else
            assert_int_equal(firn_faulty_restart_random(machine.faulty, seed, NULL), 0);
        if (!pipe_machine_check_life(&machine))
            fail_msg("seed %llu: %s", (unsigned long long)seed, machine.why);
        pipe_machine_done(&machine);
    }
}

/* ---- laps ---- */

static size_t journal_size(const struct pipe_machine *machine)
{
    void *bytes = NULL;
    size_t size = 0;
    (void)firn_faulty_get(machine->faulty, PIPE_MACHINE_JOURNAL, FIRN_FAULTY_CURRENT, &bytes, &size,
                          NULL);
    free(bytes);
    return size;
}

/*
 * A journal that is not used to its end at first: laps end early while applying keeps up, and get
 * longer where it does not. The power goes somewhere in it.
 */
static void laps_of_any_length(void **state)
{
    (void)state;
    const struct pipe_shape shape = {65536, 40, 40 * 1024 * 1024, false};
    static const char operations[] = "fffffffffffffbbwT";
    size_t longest = 0, shortest = SIZE_MAX;
    for (uint64_t seed = 1; seed <= lap_seeds; seed++) {
        struct prng prng = prng_new(seed);
        struct pipe_machine machine;
        struct firn_faulty_counts counts;
        int rc = 0;
        pipe_machine_init(&machine, &shape);
        assert_int_equal(pipe_machine_open(&machine), 0);
        firn_faulty_get_counts(machine.faulty, &counts);
        if (seed % 4)
            firn_faulty_crash_at(machine.faulty, counts.mutations + 20 + prng_below(&prng, 60));
        for (int i = 0; rc == 0 && i < 45; i++) {
            uint64_t count = 20 + prng_below(&prng, 20);
            char operation = operations[prng_below(&prng, sizeof operations - 1)];
            if (operation == 'f')
                rc = pipe_machine_write(&machine, prng_below(&prng, 40 - count + 1), count);
            if (rc == 0)
                rc = pipe_machine_do(&machine, operation);
        }
        assert_true(rc == 0 || firn_faulty_is_off(machine.faulty));
        if (rc == 0 && !pipe_machine_check_reads(&machine))
            fail_msg("seed %llu: %s", (unsigned long long)seed, machine.why);
        size_t size = journal_size(&machine);
        longest = size > longest ? size : longest;
        shortest = size < shortest ? size : shortest;
        firn_faulty_power_off(machine.faulty);
        pipe_machine_close(&machine);
        assert_int_equal(firn_faulty_restart_random(machine.faulty, seed, NULL), 0);
        if (!pipe_machine_check_life(&machine))
            fail_msg("seed %llu: %s", (unsigned long long)seed, machine.why);
        pipe_machine_done(&machine);
    }
    assert_true(longest > 2 * shortest || lap_seeds < 40);
}

/* Up to where the next group is one that has records at the ring's end and at its start. */
static void fill_ring(struct pipe_machine *machine)
{
    const struct pipe_shape shape = {65536, 20, 8 * 1024 * 1024, false};
    pipe_machine_init(machine, &shape);
    assert_int_equal(pipe_machine_open(machine), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(pipe_machine_write(machine, 0, 20), 0);
        assert_int_equal(pipe_machine_do(machine, 'f'), 0);
        assert_int_equal(pipe_machine_do(machine, 'b'), 0);
    }
}

/*
 * A large group is written in parts, of which any may survive. Where its first record is torn, the
 * second one, which stands at the ring's start, does not count.
 */
static void group_across_the_rings_end(void **state)
{
    (void)state;
    bool off = true;
    uint64_t points = 0, refused = 0;
    for (uint64_t point = 1; off; point++) {
        struct pipe_machine machine;
        struct firn_faulty_counts counts;
        fill_ring(&machine);
        assert_int_equal(pipe_machine_write(&machine, 12, 7), 0);
        assert_int_equal(pipe_machine_write(&machine, 0, 10), 0);
        assert_int_equal(pipe_machine_do(&machine, 'w'), 0);
        firn_faulty_get_counts(machine.faulty, &counts);
        firn_faulty_crash_at(machine.faulty, counts.mutations + point);
        refused += pipe_machine_do(&machine, 'f') < 0;
        off = firn_faulty_is_off(machine.faulty);
        pipe_machine_close(&machine);
        for (uint64_t seed = 0; off && seed < 40; seed++) {
            struct pipe_machine outcome;
            pipe_machine_copy(&machine, &outcome);
            assert_int_equal(firn_faulty_restart_random(outcome.faulty, seed, NULL), 0);
            if (!pipe_machine_check_life(&outcome))
                fail_msg("point %llu, seed %llu: %s", (unsigned long long)point,
                         (unsigned long long)seed, outcome.why);
            pipe_machine_done(&outcome);
        }
        points += off;
        pipe_machine_done(&machine);
    }
    assert_true(points >= 2);
    assert_int_equal(refused, points);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_trusts_no_cache),   cmocka_unit_test(others_take_no_error_away),
        cmocka_unit_test(earlier_lives_stay_dead),    cmocka_unit_test(laps_of_any_length),
        cmocka_unit_test(group_across_the_rings_end),
    };
    if (effort && strcmp(effort, "less") == 0)
        lost_step = lap_seeds = 5;
    if (argc > 1 && strcmp(argv[1], "--full") == 0) {
        all_below = 512;
        sample = 100;
        lost_step = 1;
        lap_seeds = 400;
    } else {
        alarm(110); /* a deadlock is a failure */
    }
    return cmocka_run_group_tests_name("pipe_rules", tests, NULL, NULL);
}
