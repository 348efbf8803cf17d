/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call fails, one at a time: once, or from then on. The operation says so, or it was
 * background work that is tried again; nothing acknowledged is lost when the log is opened anew,
 * with and without a loss of power in between; nothing stays open; a poisoned log says why; a full
 * disk is no more than an error that passes.
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

#include "machine.h"

enum { SEGMENT = 640 };

static const char script[] = "aagpfrngtawcgrbavfundagnzuckucxanvgsardxscagraygtyc";

struct kind {
    const char *name;
    enum firn_faulty_what what;
    unsigned ops; /* 0: all to which it can happen */
    int code;
    uint64_t times;
    uint64_t bytes;
    bool harmless; /* no operation may fail */
};

static const struct kind kinds[] = {
    {"EIO once", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, 1, 0, false},
    {"EIO from then on", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, FIRN_FAULTY_ALWAYS, 0, false},
    {"partial EIO", FIRN_FAULTY_FAIL,
     FIRN_FAULTY_READ | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE, FIRN_EIO, 1, 30, false},
    {"ENOSPC once", FIRN_FAULTY_FAIL,
     FIRN_FAULTY_CREATE | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_RESERVE |
         FIRN_FAULTY_RENAME | FIRN_FAULTY_MAKE_DIR,
     FIRN_ENOSPC, 1, 0, false},
    {"ENOSPC from then on", FIRN_FAULTY_FAIL,
     FIRN_FAULTY_CREATE | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_RESERVE |
         FIRN_FAULTY_RENAME | FIRN_FAULTY_MAKE_DIR,
     FIRN_ENOSPC, FIRN_FAULTY_ALWAYS, 0, false},
    {"EMFILE once", FIRN_FAULTY_FAIL, FIRN_FAULTY_OPEN | FIRN_FAULTY_CREATE, FIRN_EMFILE, 1, 0,
     false},
    {"lost", FIRN_FAULTY_LOSE, FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
     FIRN_EIO, 1, 0, false},
    {"lost from then on", FIRN_FAULTY_LOSE,
     FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC, FIRN_EIO, FIRN_FAULTY_ALWAYS,
     0, false},
    {"short", FIRN_FAULTY_SHORT, FIRN_FAULTY_READ | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE,
     0, 1, FIRN_FAULTY_HALF, true},
    {"short, always", FIRN_FAULTY_SHORT,
     FIRN_FAULTY_READ | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE, 0, FIRN_FAULTY_ALWAYS,
     FIRN_FAULTY_HALF, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *const modes[] = {"each", "group", "os"};

struct run {
    const struct kind *kind;
    enum firn_durability durability;
    uint64_t at;
    bool hit;
    uint64_t reported;
    char why[800];
};

static bool wrong(struct run *run, const char *what, const char *detail)
{
    snprintf(run->why, sizeof run->why, "%s: %s", what, detail);
    return false;
}

/* A poisoned log refuses, and names the first cause. */
static bool check_poison(struct run *run, struct machine *machine)
{
    struct firn_error first = machine->err;
    int rc = machine_only(machine, 'a', 0);
    if (rc != FIRN_EPOISONED)
        return wrong(run, "poison does not stay", firn_error_name(rc));
    if (strcmp(first.message, machine->err.message) != 0)
        return wrong(run, "poison changes its cause", machine->err.message);
    rc = firn_log_flush(machine->log, &machine->err);
    return rc == FIRN_EPOISONED || wrong(run, "flush of a poisoned log", firn_error_name(rc));
}

/*
 * The script, with the fault. Closed by an error, the log is opened again, as long as the model
 * knows what must be in it: else the script ends.
 */
static bool run_script(struct run *run, struct machine *machine)
{
    for (const char *operation = script; *operation; operation++) {
        if (!machine->log && machine->model.count > 1)
            return true;
        if (!machine->log && machine_open(machine) < 0) {
            run->reported++;
            continue;
        }
        memset(&machine->err, 0, sizeof machine->err);
        int rc = machine_do(machine, *operation);
        if (rc == 0)
            continue;
        run->reported++;
        if (machine->err.code != rc || !machine->err.message[0])
            return wrong(run, "an error without message", firn_error_name(rc));
        if (rc == FIRN_EPOISONED && *operation != 'c') {
            if (!check_poison(run, machine))
                return false;
            machine_close(machine);
        }
    }
    return true;
}

static bool loud;

static void print_line(void *arg, const char *line)
{
    printf("  %s%s\n", (const char *)arg, line);
}

static bool check_after(struct run *run, struct machine *machine, bool power_loss, uint64_t seed)
{
    struct machine after;
    machine_copy(machine, &after);
    if (power_loss && seed)
        firn_faulty_restart_random(after.faulty, seed, NULL);
    else if (power_loss)
        firn_faulty_restart(after.faulty, 0, NULL);
    bool good = machine_check_life(&after);
    if (!good)
        wrong(run, power_loss ? "after a loss of power" : "opened again", after.why);
    if (!good && loud) {
        char before[] = "", then[] = "then ";
        firn_faulty_trace(machine->faulty, print_line, before);
        firn_faulty_trace(after.faulty, print_line, then);
    }
    machine_done(&after);
    return good;
}

static bool run_fault(struct run *run)
{
    const struct kind *kind = run->kind;
    struct machine machine;
    machine_init(&machine, run->durability, SEGMENT);
    struct firn_faulty_fault fault = {
        .what = kind->what,
        .ops = kind->ops,
        .code = kind->code,
        .at = run->at,
        .times = kind->times,
        .bytes = kind->bytes,
    };
    int id;
    if (firn_faulty_fail(machine.faulty, &fault, &id, NULL) < 0)
        abort();
    bool good = run_script(run, &machine);
    run->hit = firn_faulty_hits(machine.faulty, id) > 0;
    int rc = machine_close(&machine);
    run->reported += rc < 0;
    if (good && kind->harmless && run->reported)
        good = wrong(run, "what is harmless was an error", machine.err.message);
    firn_faulty_clear(machine.faulty, 0);
    good = good && (machine_check_leaks(&machine) || wrong(run, "leaks", machine.why));
    good = good && check_after(run, &machine, false, 0);
    for (uint64_t seed = 0; good && seed < 4; seed++)
        good = check_after(run, &machine, true, seed);
    machine_done(&machine);
    return good;
}

static void try_kind(const struct kind *kind, uint64_t step)
{
    uint64_t runs = 0, failures = 0, reported = 0;
    for (int mode = 0; mode < 3; mode++) {
        struct run run = {.kind = kind, .durability = (enum firn_durability)mode, .hit = true};
        for (run.at = 1; run.hit; run.at += step) {
            run.reported = 0;
            bool good = run_fault(&run);
            runs++;
            reported += run.reported > 0;
            failures += !good;
            if (!good && failures <= 8)
                printf("failed: %s\n  again: test-crash-errors '%s' %s %llu\n", run.why, kind->name,
                       modes[mode], (unsigned long long)run.at);
        }
    }
    printf("note: %s: %llu places, %llu reported\n", kind->name, (unsigned long long)runs,
           (unsigned long long)reported);
    assert_int_equal(failures, 0);
    assert_true(kind->harmless ? reported == 0 : reported > 0);
}

static uint64_t step = 1;

static void every_call_fails(void **state)
{
    try_kind(*state, step);
}

/* ---- a full disk ---- */

/* Without closing it, the log goes on when there is room again. */
static void full_disk_passes(void **state)
{
    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        struct machine machine;
        struct firn_faulty_counts counts;
        machine_init(&machine, (enum firn_durability)mode, 64 * 1024);
        assert_int_equal(machine_open(&machine), 0);
        assert_int_equal(machine_do(&machine, 'a'), 0);
        for (int round = 0; round < 4; round++) {
            firn_faulty_get_counts(machine.faulty, &counts);
            firn_faulty_set_capacity(machine.faulty, counts.used + 8192);
            int rc = 0, appended = 0;
            for (; rc == 0 && appended < 200; appended++)
                rc = machine_only(&machine, 'a', 4000);
            assert_int_equal(rc, FIRN_ENOSPC);
            assert_int_equal(machine_only(&machine, 'r', 0), FIRN_ENOSPC);
            machine_background(&machine);
            firn_faulty_set_capacity(machine.faulty, UINT64_MAX);
            assert_int_equal(machine_do(&machine, 'a'), 0);
            assert_int_equal(machine_do(&machine, 'r'), 0);
            assert_int_equal(machine_do(&machine, 'f'), 0);
        }
        assert_int_equal(machine_close(&machine), 0);
        if (!machine_check_life(&machine))
            fail_msg("%s: %s", modes[mode], machine.why);
        machine_done(&machine);
    }
}

static int repeat(char **argv)
{
    struct run run = {.at = strtoull(argv[3], NULL, 10)};
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            run.kind = &kinds[i];
    for (int i = 0; i < 3; i++)
        if (strcmp(modes[i], argv[2]) == 0)
            run.durability = (enum firn_durability)i;
    if (!run.kind)
        return 2;
    loud = true;
    bool good = run_fault(&run);
    printf("%s\n", good ? "good" : run.why);
    return !good;
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    struct CMUnitTest tests[KINDS + 1] = {cmocka_unit_test(full_disk_passes)};
    for (int i = 0; i < KINDS; i++)
        tests[i + 1] = (struct CMUnitTest){
            .name = kinds[i].name,
            .test_func = every_call_fails,
            .initial_state = (void *)(uintptr_t)&kinds[i],
        };
    alarm(110); /* a deadlock is a failure */
    if (argc == 4)
        return repeat(argv);
    if (effort && strcmp(effort, "less") == 0)
        step = 3;
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
