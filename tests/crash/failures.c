/* SPDX-License-Identifier: MIT */
#include "failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLOCK_S = 110, SHOWN = 8 };

/* ---- what fails ---- */

struct failure_kind {
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
            FIRN_FAULTY_MAKE_DIR | FIRN_FAULTY_MAKE_LINK,
    RESERVING = FIRN_FAULTY_CREATE | FIRN_FAULTY_RESERVE,
    SYNCS = WRITES | FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITEBACK,
    TRANSFERS = FIRN_FAULTY_READ | WRITES,
};
#define ALWAYS FIRN_FAULTY_ALWAYS

static const struct failure_kind kinds[] = {
    {"EIO once", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, 1, 0, false, false},
    {"EIO from then on", FIRN_FAULTY_FAIL, FIRN_FAULTY_ANY, FIRN_EIO, ALWAYS, 0, false, false},
    {"partial EIO", FIRN_FAULTY_FAIL, TRANSFERS, FIRN_EIO, 1, 30, false, false},
    {"ENOSPC once", FIRN_FAULTY_FAIL, SPACE, FIRN_ENOSPC, 1, 0, false, false},
    {"ENOSPC from then on", FIRN_FAULTY_FAIL, SPACE, FIRN_ENOSPC, ALWAYS, 0, false, false},
    {"no space to reserve", FIRN_FAULTY_FAIL, RESERVING, FIRN_ENOSPC, 1, 0, false, true},
    {"no space to reserve any more", FIRN_FAULTY_FAIL, RESERVING, FIRN_ENOSPC, ALWAYS, 0, false,
     true},
    {"EMFILE once", FIRN_FAULTY_FAIL, FIRN_FAULTY_OPEN | FIRN_FAULTY_CREATE, FIRN_EMFILE, 1, 0,
     false, true},
    {"lost", FIRN_FAULTY_LOSE, SYNCS, FIRN_EIO, 1, 0, false, false},
    {"lost from then on", FIRN_FAULTY_LOSE, SYNCS, FIRN_EIO, ALWAYS, 0, false, false},
    {"short", FIRN_FAULTY_SHORT, TRANSFERS, 0, 1, FIRN_FAULTY_HALF, true, true},
    {"short, always", FIRN_FAULTY_SHORT, TRANSFERS, 0, ALWAYS, FIRN_FAULTY_HALF, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- one run ---- */

static bool loud;

bool failure_wrong(struct failure_run *run, const char *what, const char *detail)
{
    snprintf(run->why, sizeof run->why, "%s: %s", what, detail);
    return false;
}

bool failure_is_passing(const struct failure_run *run)
{
    return run->kind->passing;
}

static void *new_machine(const struct explore_ops *ops)
{
    void *machine = calloc(1, ops->machine_bytes);
    if (!machine)
        abort();
    return machine;
}

static void free_machine(const struct explore_ops *ops, void *machine)
{
    ops->done(machine);
    free(machine);
}

/* An operation that failed says why. */
static bool check_failure(struct failure_run *run, void *machine, char operation, int rc)
{
    const struct firn_error *err = run->failures->ops->error(machine);
    run->reported++;
    if (err->code != rc || !err->message[0])
        return failure_wrong(run, "an error without message", firn_error_name(rc));
    return run->failures->failed(run, machine, operation, rc);
}

/*
 * The script, with the fault. Closed by an error, it is opened again, as long as the model knows
 * what must be there: else the script ends.
 */
static bool run_script(struct failure_run *run, void *machine)
{
    const struct explore_ops *ops = run->failures->ops;
    for (const char *operation = run->scene->script; *operation; operation++) {
        if (!ops->is_open(machine) && ops->possible(machine) > 1)
            return true;
        if (!ops->is_open(machine) && ops->open(machine) < 0) {
            run->reported++;
            continue;
        }
        *ops->error(machine) = (struct firn_error){0};
        int rc = ops->operate(machine, *operation);
        if (rc < 0 && !check_failure(run, machine, *operation, rc))
            return false;
    }
    return true;
}

static void print_line(void *arg, const char *line)
{
    printf("  %s%s\n", (const char *)arg, line);
}

static bool check_after(struct failure_run *run, void *machine, bool power_loss, uint64_t seed)
{
    const struct explore_ops *ops = run->failures->ops;
    void *after = new_machine(ops);
    ops->copy(machine, after);
    if (power_loss && seed)
        firn_faulty_restart_random(ops->faulty(after), seed, NULL);
    else if (power_loss)
        firn_faulty_restart(ops->faulty(after), 0, NULL);
    bool good = !ops->check_read_only || seed % 2 == 0 || ops->check_read_only(after);
    good = good && ops->check_life(after);
    if (!good)
        failure_wrong(run, power_loss ? "after a loss of power" : "opened again", ops->why(after));
    if (!good && loud) {
        char before[] = "", then[] = "then ";
        firn_faulty_trace(ops->faulty(machine), print_line, before);
        firn_faulty_trace(ops->faulty(after), print_line, then);
    }
    free_machine(ops, after);
    return good;
}

static int add_fault(const struct failure_run *run, struct firn_faulty *faulty)
{
    const struct failure_kind *kind = run->kind;
    const struct firn_faulty_fault fault = {
        .what = kind->what,
        .ops = kind->ops,
        .code = kind->code,
        .at = run->at,
        .times = kind->times,
        .bytes = kind->bytes,
    };
    int id;
    if (firn_faulty_fail(faulty, &fault, &id, NULL) < 0)
        abort();
    return id;
}

static bool run_fault(struct failure_run *run)
{
    const struct explore_ops *ops = run->failures->ops;
    void *machine = new_machine(ops);
    ops->init(machine, run->scene->kind);
    struct firn_faulty *faulty = ops->faulty(machine);
    int id = add_fault(run, faulty);
    bool good = run_script(run, machine);
    run->hit = firn_faulty_hits(faulty, id) > 0;
    int rc = ops->close(machine);
    run->reported += rc < 0;
    if (good && run->kind->harmless && run->reported)
        good = failure_wrong(run, "what is harmless was an error", ops->error(machine)->message);
    firn_faulty_clear(faulty, 0);
    good = good && (ops->check_leaks(machine) || failure_wrong(run, "leaks", ops->why(machine)));
    good = good && check_after(run, machine, false, 0);
    for (uint64_t seed = 0; good && seed < 4; seed++)
        good = check_after(run, machine, true, seed);
    free_machine(ops, machine);
    return good;
}

/* ---- all of them ---- */

static const struct failures *tried;
static uint64_t step = 1;

static void every_call_fails(void **state)
{
    const struct failure_kind *kind = *state;
    uint64_t runs = 0, failures = 0, reported = 0;
    for (int i = 0; i < tried->scene_count; i++) {
        const struct failure_scene *scene = &tried->scenes[i];
        struct failure_run run = {.failures = tried, .kind = kind, .scene = scene, .hit = true};
        for (run.at = 1; run.hit; run.at += step * scene->step) {
            run.reported = 0;
            bool good = run_fault(&run);
            runs++;
            reported += run.reported > 0;
            failures += !good;
            if (!good && failures <= SHOWN)
                printf("failed: %s\n  again: %s '%s' %s %llu\n", run.why, tried->program,
                       kind->name, scene->name, (unsigned long long)run.at);
        }
    }
    printf("note: %s: %llu places, %llu reported\n", kind->name, (unsigned long long)runs,
           (unsigned long long)reported);
    assert_int_equal(failures, 0);
    assert_true(kind->harmless ? reported == 0 : reported > 0);
}

static int repeat(char **argv)
{
    struct failure_run run = {.failures = tried, .at = strtoull(argv[3], NULL, 10)};
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            run.kind = &kinds[i];
    for (int i = 0; i < tried->scene_count; i++)
        if (strcmp(tried->scenes[i].name, argv[2]) == 0)
            run.scene = &tried->scenes[i];
    if (!run.kind || !run.scene)
        return 2;
    loud = true;
    bool good = run_fault(&run);
    printf("%s\n", good ? "good" : run.why);
    return !good;
}

int failures_main(const struct failures *failures, void (*test)(void **state), int argc,
                  char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    struct CMUnitTest tests[KINDS + 1];
    for (int i = 0; i < KINDS; i++)
        tests[i] = (struct CMUnitTest){
            .name = kinds[i].name,
            .test_func = every_call_fails,
            .initial_state = (void *)(uintptr_t)&kinds[i],
        };
    tests[KINDS] = (struct CMUnitTest){.name = "beside", .test_func = test};
    tried = failures;
    alarm(DEADLOCK_S); /* a deadlock is a failure */
    if (argc == 4)
        return repeat(argv);
    if (effort && strcmp(effort, "less") == 0)
        step = 3;
    return _cmocka_run_group_tests(failures->program, tests, test ? KINDS + 1 : KINDS, NULL, NULL);
}
