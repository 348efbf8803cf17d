/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a pipe fails, one at a time: once, or from then on. The operation says so, or
 * it was background work; nothing acknowledged is lost when the pipe is opened anew, with and
 * without a loss of power in between; nothing stays open; a poisoned pipe says why; no room for a
 * change is no more than an error that passes.
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

#include "pipe_machine.h"

/* The last one for groups that are written in parts. */
static const struct scene {
    struct pipe_shape shape;
    const char *script;
    uint64_t step; /* every so many-th call fails */
} scenes[] = {
    {{16, 12, 0, false}, "wWmtTbgwdfcpogWLLLbLwTgcaLtfLbmgLcdT", 1},
    {{600, 40, 0, false}, "wWmtTbgwdfcpogWLLLbLwTgcaLtfLbmgLcdT", 1},
    {{65536, 20, UINT64_C(8) << 20, false}, "TLgLbwLcL", 3},
};
enum { SCENES = sizeof scenes / sizeof *scenes };

struct kind {
    const char *name;
    enum firn_faulty_what what;
    unsigned ops; /* 0: all to which it can happen */
    int code;
    uint64_t times;
    uint64_t bytes;
    bool harmless; /* no operation may fail */
    bool passing;  /* nothing may be poisoned */
};

enum {
    WRITES = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE,
    SPACE = FIRN_FAULTY_CREATE | WRITES | FIRN_FAULTY_RESERVE | FIRN_FAULTY_RENAME,
};

static const struct kind kinds[] = {
    {"EIO once", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, 1, 0, false, false},
    {"EIO from then on", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, FIRN_FAULTY_ALWAYS, 0, false,
     false},
    {"partial EIO", FIRN_FAULTY_FAIL, FIRN_FAULTY_READ | WRITES, FIRN_EIO, 1, 30, false, false},
    {"ENOSPC once", FIRN_FAULTY_FAIL, SPACE, FIRN_ENOSPC, 1, 0, false, false},
    {"ENOSPC from then on", FIRN_FAULTY_FAIL, SPACE, FIRN_ENOSPC, FIRN_FAULTY_ALWAYS, 0, false,
     false},
    {"no space to reserve", FIRN_FAULTY_FAIL, FIRN_FAULTY_CREATE | FIRN_FAULTY_RESERVE, FIRN_ENOSPC,
     1, 0, false, true},
    {"no space to reserve any more", FIRN_FAULTY_FAIL, FIRN_FAULTY_CREATE | FIRN_FAULTY_RESERVE,
     FIRN_ENOSPC, FIRN_FAULTY_ALWAYS, 0, false, true},
    {"EMFILE once", FIRN_FAULTY_FAIL, FIRN_FAULTY_OPEN | FIRN_FAULTY_CREATE, FIRN_EMFILE, 1, 0,
     false, true},
    {"lost", FIRN_FAULTY_LOSE, WRITES | FIRN_FAULTY_SYNC, FIRN_EIO, 1, 0, false, false},
    {"lost from then on", FIRN_FAULTY_LOSE, WRITES | FIRN_FAULTY_SYNC, FIRN_EIO, FIRN_FAULTY_ALWAYS,
     0, false, false},
    {"short", FIRN_FAULTY_SHORT, FIRN_FAULTY_READ | WRITES, 0, 1, FIRN_FAULTY_HALF, true, true},
    {"short, always", FIRN_FAULTY_SHORT, FIRN_FAULTY_READ | WRITES, 0, FIRN_FAULTY_ALWAYS,
     FIRN_FAULTY_HALF, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct run {
    const struct kind *kind;
    int scene;
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

/* A poisoned pipe refuses, and names the first cause; what is durable can still be read. */
static bool check_poison(struct run *run, struct pipe_machine *machine)
{
    struct firn_error first = machine->err;
    int rc = pipe_machine_write(machine, 0, 1);
    if (rc != FIRN_EPOISONED)
        return wrong(run, "poison does not stay", firn_error_name(rc));
    if (strcmp(first.message, machine->err.message) != 0)
        return wrong(run, "poison changes its cause", machine->err.message);
    uint64_t durable = firn_pipe_durable_epoch(machine->pipe);
    pipe_machine_background(machine);
    if (firn_pipe_durable_epoch(machine->pipe) != durable)
        return wrong(run, "more became durable", "after it was poisoned");
    rc = firn_pipe_flush(machine->pipe, &machine->err);
    return rc == FIRN_EPOISONED || wrong(run, "flush of a poisoned pipe", firn_error_name(rc));
}

/* After an operation that failed. False: that is enough. */
static bool check_failure(struct run *run, struct pipe_machine *machine, char operation, int rc)
{
    run->reported++;
    if (machine->err.code != rc || !machine->err.message[0])
        return wrong(run, "an error without message", firn_error_name(rc));
    bool is_poisoned = machine->pipe && firn_pipe_flush(machine->pipe, NULL) == FIRN_EPOISONED;
    if (run->kind->passing && (is_poisoned || rc == FIRN_EPOISONED))
        return wrong(run, "poisoned by what passes", machine->err.message);
    if (!is_poisoned)
        return true;
    if (rc == FIRN_EPOISONED && operation != 'c' && !check_poison(run, machine))
        return false;
    pipe_machine_close(machine);
    return true;
}

/*
 * The script, with the fault. Closed by an error, the pipe is opened again, as long as the model
 * knows what must be in it: else the script ends.
 */
static bool run_script(struct run *run, struct pipe_machine *machine)
{
    for (const char *operation = scenes[run->scene].script; *operation; operation++) {
        if (!machine->pipe && machine->model.count > 1)
            return true;
        if (!machine->pipe && pipe_machine_open(machine) < 0) {
            run->reported++;
            continue;
        }
        memset(&machine->err, 0, sizeof machine->err);
        int rc = pipe_machine_do(machine, *operation);
        if (rc < 0 && !check_failure(run, machine, *operation, rc))
            return false;
    }
    return true;
}

static bool loud;

static void print_line(void *arg, const char *line)
{
    printf("  %s%s\n", (const char *)arg, line);
}

static bool check_after(struct run *run, struct pipe_machine *machine, bool power_loss,
                        uint64_t seed)
{
    struct pipe_machine after;
    pipe_machine_copy(machine, &after);
    if (power_loss && seed)
        firn_faulty_restart_random(after.faulty, seed, NULL);
    else if (power_loss)
        firn_faulty_restart(after.faulty, 0, NULL);
    bool good = (seed % 2 == 0 || pipe_machine_check_read_only(&after)) &&
                pipe_machine_check_life(&after);
    if (!good)
        wrong(run, power_loss ? "after a loss of power" : "opened again", after.why);
    if (!good && loud) {
        char before[] = "", then[] = "then ";
        firn_faulty_trace(machine->faulty, print_line, before);
        firn_faulty_trace(after.faulty, print_line, then);
    }
    pipe_machine_done(&after);
    return good;
}

static bool run_fault(struct run *run)
{
    const struct kind *kind = run->kind;
    struct pipe_machine machine;
    pipe_machine_init(&machine, &scenes[run->scene].shape);
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
    int rc = pipe_machine_close(&machine);
    run->reported += rc < 0;
    if (good && kind->harmless && run->reported)
        good = wrong(run, "what is harmless was an error", machine.err.message);
    firn_faulty_clear(machine.faulty, 0);
    good = good && (pipe_machine_check_leaks(&machine) || wrong(run, "leaks", machine.why));
    good = good && check_after(run, &machine, false, 0);
    for (uint64_t seed = 0; good && seed < 4; seed++)
        good = check_after(run, &machine, true, seed);
    pipe_machine_done(&machine);
    return good;
}

static void try_kind(const struct kind *kind, uint64_t step)
{
    uint64_t runs = 0, failures = 0, reported = 0;
    for (int scene = 0; scene < SCENES; scene++) {
        struct run run = {.kind = kind, .scene = scene, .hit = true};
        for (run.at = 1; run.hit; run.at += step * scenes[scene].step) {
            run.reported = 0;
            bool good = run_fault(&run);
            runs++;
            reported += run.reported > 0;
            failures += !good;
            if (!good && failures <= 8)
                printf("failed: %s\n  again: test-crash-pipe_errors '%s' %d %llu\n", run.why,
                       kind->name, scene, (unsigned long long)run.at);
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

static int repeat(char **argv)
{
    struct run run = {.scene = atoi(argv[2]) % SCENES, .at = strtoull(argv[3], NULL, 10)};
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            run.kind = &kinds[i];
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
    struct CMUnitTest tests[KINDS];
    for (int i = 0; i < KINDS; i++)
        tests[i] = (struct CMUnitTest){
            .name = kinds[i].name,
            .test_func = every_call_fails,
            .initial_state = (void *)(uintptr_t)&kinds[i],
        };
    alarm(110); /* a deadlock is a failure */
    if (argc == 4)
        return repeat(argv);
    if (effort && strcmp(effort, "less") == 0)
        step = 3;
    return cmocka_run_group_tests_name("pipe_errors", tests, NULL, NULL);
}
