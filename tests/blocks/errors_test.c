/* SPDX-License-Identifier: MIT */
/*
 * Every I/O call of a sequence's life fails, one at a time: once, or from then on. The operation
 * says so, or it was background work; what was acknowledged is there when the sequence is opened
 * anew, with and without a loss of power in between; nothing stays open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

static const char script[] = "aaesegpalgrcsgealrrgcaesrg";
static const struct machine_shape shape = {.blocks = 700, .env = true}; /* 'l' takes two chunks */

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
    SPACE = FIRN_FAULTY_CREATE | WRITES | FIRN_FAULTY_RESERVE | FIRN_FAULTY_RENAME |
            FIRN_FAULTY_MAKE_LINK,
};

static const struct kind kinds[] = {
    {"EIO once", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, 1, 0, false, false},
    {"EIO from then on", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, FIRN_FAULTY_ALWAYS, 0, false,
     false},
    {"partial EIO", FIRN_FAULTY_FAIL, FIRN_FAULTY_READ | WRITES, FIRN_EIO, 1, 3000, false, false},
    {"ENOSPC once", FIRN_FAULTY_FAIL, SPACE, FIRN_ENOSPC, 1, 0, false, false},
    {"no space to reserve", FIRN_FAULTY_FAIL, FIRN_FAULTY_CREATE | FIRN_FAULTY_RESERVE, FIRN_ENOSPC,
     1, 0, false, true},
    {"EMFILE once", FIRN_FAULTY_FAIL, FIRN_FAULTY_OPEN | FIRN_FAULTY_CREATE, FIRN_EMFILE, 1, 0,
     false, true},
    {"lost", FIRN_FAULTY_LOSE, WRITES | FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITEBACK, FIRN_EIO, 1, 0,
     false, false},
    {"lost from then on", FIRN_FAULTY_LOSE, WRITES | FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITEBACK,
     FIRN_EIO, FIRN_FAULTY_ALWAYS, 0, false, false},
    {"short, always", FIRN_FAULTY_SHORT, FIRN_FAULTY_READ | WRITES, 0, FIRN_FAULTY_ALWAYS,
     FIRN_FAULTY_HALF, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct run {
    const struct kind *kind;
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

/*
 * After an operation that failed: what was poisoned is closed, and opened again by the next one.
 * What was not has changed nothing.
 */
static bool check_failure(struct run *run, struct machine *m, char operation, int rc)
{
    run->reported++;
    if (m->err.code != rc || !m->err.message[0])
        return wrong(run, "an error without message", firn_error_name(rc));
    if (run->kind->passing && rc == FIRN_EPOISONED)
        return wrong(run, "poisoned by what passes", m->err.message);
    if (rc == FIRN_EPOISONED || operation == 'c')
        machine_close(m);
    else
        m->model.maybe_next = false;
    return true;
}

/* What is there is one of the states that may be, and made durable by storing it again. */
static int open_again(struct run *run, struct machine *m)
{
    struct model before = m->model;
    int rc = machine_open(m);
    if (rc == 0 && !machine_check(m) && !m->err.code)
        wrong(run, "opened again", m->why);
    if (rc == 0)
        rc = machine_operate(m, 'S');
    if (rc < 0)
        m->model = before;
    return rc;
}

static bool run_script(struct run *run, struct machine *m)
{
    run->why[0] = '\0';
    for (const char *operation = script; *operation; operation++) {
        memset(&m->err, 0, sizeof m->err);
        bool open = m->allocator != NULL;
        int rc = open ? machine_operate(m, *operation) : open_again(run, m);
        if (rc < 0 && !check_failure(run, m, open ? *operation : 'c', rc))
            return false;
        if (run->why[0])
            return false;
    }
    return true;
}

static bool check_leaks(struct run *run, struct machine *m)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(m->faulty, &counts);
    return counts.files + counts.locks == 0 || wrong(run, "leaks", "open files or locks");
}

static bool check_after(struct run *run, struct machine *m, bool power_loss, uint64_t seed)
{
    struct machine after;
    machine_copy(m, &after);
    if (power_loss && seed)
        firn_faulty_restart_random(after.faulty, seed, NULL);
    else if (power_loss)
        firn_faulty_restart(after.faulty, 0, NULL);
    bool good = machine_check_life(&after);
    if (!good)
        wrong(run, power_loss ? "after a loss of power" : "afterwards", after.why);
    machine_done(&after);
    return good;
}

static bool run_fault(struct run *run)
{
    const struct kind *kind = run->kind;
    struct machine m;
    machine_init(&m, &shape);
    struct firn_faulty_fault fault = {
        .what = kind->what,
        .ops = kind->ops,
        .code = kind->code,
        .at = run->at,
        .times = kind->times,
        .bytes = kind->bytes,
    };
    int id;
    if (firn_faulty_fail(m.faulty, &fault, &id, NULL) < 0)
        abort();
    bool good = run_script(run, &m);
    run->hit = firn_faulty_hits(m.faulty, id) > 0;
    run->reported += machine_close(&m) < 0;
    if (good && kind->harmless && run->reported)
        good = wrong(run, "what is harmless was an error", m.err.message);
    firn_faulty_clear(m.faulty, 0);
    good = good && check_leaks(run, &m) && check_after(run, &m, false, 0);
    for (uint64_t seed = 0; good && seed < 4; seed++)
        good = check_after(run, &m, true, seed);
    machine_done(&m);
    return good;
}

static uint64_t step = 1;

static void every_call_fails(void **state)
{
    const struct kind *kind = *state;
    uint64_t runs = 0, failures = 0, reported = 0;
    struct run run = {.kind = kind, .hit = true};
    for (run.at = 1; run.hit; run.at += step) {
        run.reported = 0;
        bool good = run_fault(&run);
        runs++;
        reported += run.reported > 0;
        failures += !good;
        if (!good && failures <= 8)
            printf("failed: %s\n  again: test-blocks-errors '%s' %llu\n", run.why, kind->name,
                   (unsigned long long)run.at);
    }
    printf("note: %s: %llu places, %llu reported\n", kind->name, (unsigned long long)runs,
           (unsigned long long)reported);
    assert_int_equal(failures, 0);
    assert_true(kind->harmless ? reported == 0 : reported > 0);
}

static int repeat(char **argv)
{
    struct run run = {.at = strtoull(argv[2], NULL, 10)};
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            run.kind = &kinds[i];
    if (!run.kind)
        return 2;
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
    if (argc == 3)
        return repeat(argv);
    if (effort && strcmp(effort, "less") == 0)
        step = 3;
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
