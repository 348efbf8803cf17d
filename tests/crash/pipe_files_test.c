/* SPDX-License-Identifier: MIT */
/*
 * A pipe's files come and go: plain files that become pipes, and pipes that are destroyed, with the
 * power lost at every point, and every outcome of that. There is all of it or nothing, and never
 * something that does not open.
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

enum { ALL_BELOW = 300, SAMPLE = 60 };

static const struct pipe_shape shapes[] = {
    {16, 12, 0, false}, {600, 40, 0, false}, {1, 90, 0, false}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- crash points ---- */

struct scene {
    const char *name;
    /* Up to where the crash points begin; and what has them. */
    void (*set_up)(struct pipe_machine *machine, const struct pipe_shape *shape);
    void (*run)(struct pipe_machine *machine);
};

static void try_outcomes(const struct pipe_machine *crashed, const struct scene *scene, int shape,
                         uint64_t point, uint64_t *states)
{
    uint64_t outcomes = firn_faulty_outcomes(crashed->faulty);
    uint64_t count = outcomes <= ALL_BELOW ? outcomes : SAMPLE;
    struct prng prng = prng_new(point);
    for (uint64_t i = 0; i < count; i++) {
        struct pipe_machine machine;
        uint64_t which = outcomes <= ALL_BELOW ? i : prng_below(&prng, outcomes);
        pipe_machine_copy(crashed, &machine);
        assert_int_equal(firn_faulty_restart(machine.faulty, which, NULL), 0);
        ++*states;
        if (!pipe_machine_check_life(&machine))
            fail_msg("%s, shape %d, point %llu, outcome %llu: %s", scene->name, shape,
                     (unsigned long long)point, (unsigned long long)which, machine.why);
        pipe_machine_done(&machine);
    }
}

static void at_every_point(void **state)
{
    const struct scene *scene = *state;
    uint64_t states = 0;
    for (int shape = 0; shape < SHAPES; shape++) {
        bool off = true;
        for (uint64_t point = 1; off; point++) {
            struct pipe_machine machine;
            struct firn_faulty_counts counts;
            scene->set_up(&machine, &shapes[shape]);
            firn_faulty_get_counts(machine.faulty, &counts);
            firn_faulty_crash_at(machine.faulty, counts.mutations + point);
            scene->run(&machine);
            off = firn_faulty_is_off(machine.faulty);
            firn_faulty_crash_at(machine.faulty, 0);
            if (!off)
                firn_faulty_power_off(machine.faulty);
            pipe_machine_close(&machine);
            try_outcomes(&machine, scene, shape, point, &states);
            pipe_machine_done(&machine);
        }
    }
    printf("note: %s: %llu crash states\n", scene->name, (unsigned long long)states);
    assert_true(states > 50);
}

/* ---- a plain file ---- */

static void leave_plain_file(struct pipe_machine *machine, const struct pipe_shape *shape)
{
    size_t size = (size_t)(shape->chunks * shape->chunk_bytes);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    pipe_machine_init(machine, shape);
    struct pipe_state *first = &machine->model.chain[0];
    uint32_t stamp = pipe_model_stamp(&machine->model);
    for (uint64_t i = 0; i < shape->chunks; i++) {
        first->stamps[i] = stamp;
        pipe_model_make(&machine->model, i, stamp, bytes + i * shape->chunk_bytes);
    }
    assert_int_equal(firn_faulty_put(machine->faulty, PIPE_MACHINE_PATH, bytes, size, NULL), 0);
    free(bytes);
}

static void make_a_pipe_of_it(struct pipe_machine *machine)
{
    static const char operations[] = "TgWc";
    int rc = pipe_machine_open(machine);
    for (const char *operation = operations; rc == 0 && *operation; operation++)
        rc = pipe_machine_do(machine, *operation);
    assert_true(rc == 0 || firn_faulty_is_off(machine->faulty));
}

/* ---- the end ---- */

static void use_it(struct pipe_machine *machine, const struct pipe_shape *shape)
{
    pipe_machine_init(machine, shape);
    assert_int_equal(pipe_machine_open(machine), 0);
    assert_int_equal(pipe_machine_do(machine, 'T'), 0);
    assert_int_equal(pipe_machine_do(machine, 'g'), 0);
    assert_int_equal(pipe_machine_do(machine, 'T'), 0);
}

static void use_and_close(struct pipe_machine *machine, const struct pipe_shape *shape)
{
    use_it(machine, shape);
    assert_int_equal(pipe_machine_do(machine, 'c'), 0);
}

/* What is opened after that is as it was, or a new one. */
static void destroy(struct pipe_machine *machine)
{
    struct pipe_state *none = pipe_model_push(&machine->model);
    none->count = machine->shape.chunks;
    memset(none->stamps, 0, (size_t)none->count * sizeof *none->stamps);
    int rc = firn_pipe_destroy(machine->pipe, &machine->err);
    machine->pipe = NULL;
    assert_int_equal(firn_env_free(machine->env), 0);
    machine->env = NULL;
    assert_int_equal(rc < 0, firn_faulty_is_off(machine->faulty));
    if (rc == 0)
        pipe_model_collapse(&machine->model, machine->model.count - 1);
}

static struct scene scenes[] = {
    {"a plain file becomes a pipe", leave_plain_file, make_a_pipe_of_it},
    {"destroyed while in use", use_it, destroy},
    {"destroyed unchanged", use_and_close, destroy},
};

int main(void)
{
    struct CMUnitTest tests[sizeof scenes / sizeof *scenes];
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        tests[i] = (struct CMUnitTest){
            .name = scenes[i].name, .test_func = at_every_point, .initial_state = &scenes[i]};
    alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("pipe_files", tests, NULL, NULL);
}
