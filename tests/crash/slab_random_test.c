/* SPDX-License-Identifier: MIT */
/*
 * Long random runs of a slab by seed: operations of all kinds, crashes at random points with
 * random outcomes, kills without a loss of power, calls of the storage that fail, crashes during
 * recovery, and readers of what a crash left.
 * Arguments: none: some seeds; FIRST COUNT: these.
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
#include "slab_machine.h"

enum { LIVES = 25, OPERATIONS = 30, MOST = 100000 };

struct figures {
    uint64_t operations, changes, power_losses, kills, interrupted, faults;
};

static uint64_t choose(struct prng *prng, uint64_t n)
{
    return prng_below(prng, n);
}

static int one_operation(struct slab_machine *machine, struct prng *prng)
{
    static const char operations[] = SLAB_MACHINE_OPERATIONS "nnmmFFwwbb";
    char operation = operations[choose(prng, sizeof operations - 1)];
    if (machine->held.content.length > MOST)
        return slab_machine_do(machine, choose(prng, 2) ? 'F' : 'l');
    return slab_machine_do(machine, operation);
}

/* Something fails, once or for good, at some call from now on. */
static void add_fault(struct slab_machine *machine, struct prng *prng, struct figures *figures)
{
    static const enum firn_faulty_what whats[] = {FIRN_FAULTY_FAIL, FIRN_FAULTY_LOSE,
                                                  FIRN_FAULTY_SHORT};
    static const int codes[] = {FIRN_EIO, FIRN_ENOSPC, FIRN_EMFILE};
    const struct firn_faulty_fault fault = {
        .what = whats[choose(prng, 3)],
        .code = codes[choose(prng, 3)],
        .at = 1 + choose(prng, 60),
        .times = choose(prng, 3) ? 1 : FIRN_FAULTY_ALWAYS,
        .bytes = choose(prng, 2) ? FIRN_FAULTY_HALF : 1 + choose(prng, 100),
    };
    if (firn_faulty_fail(machine->faulty, &fault, NULL, NULL) < 0)
        abort();
    figures->faults++;
}

/* With `faults`, calls may fail: then the life ends when the stack is poisoned, or closed. */
static const char *live(struct slab_machine *machine, struct prng *prng, struct figures *figures,
                        bool faults)
{
    uint64_t count = 1 + choose(prng, OPERATIONS);
    for (uint64_t i = 0; i < count && machine->stack; i++) {
        int rc = one_operation(machine, prng);
        figures->operations++;
        if (rc < 0 && (firn_faulty_is_off(machine->faulty) || (faults && !machine->stack)))
            return NULL;
        if (rc < 0 && faults && slab_machine_is_poisoned(machine))
            return NULL;
        if (rc < 0 && !faults)
            return machine->err.message;
        if (!faults && choose(prng, 10) == 0 && !slab_machine_check(machine) &&
            !firn_faulty_is_off(machine->faulty))
            return machine->why;
    }
    return NULL;
}

/* Recoveries that lose their power. */
static bool interrupt(struct slab_machine *machine, struct prng *prng, struct figures *figures)
{
    while (choose(prng, 3) == 0) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(machine->faulty, &counts);
        firn_faulty_crash_at(machine->faulty, counts.mutations + 1 + choose(prng, 14));
        if (slab_machine_open(machine) == 0 && !slab_machine_check(machine) &&
            !firn_faulty_is_off(machine->faulty))
            return false;
        slab_machine_close(machine);
        firn_faulty_crash_at(machine->faulty, 0);
        firn_faulty_restart_random(machine->faulty, prng_next(prng), NULL);
        figures->interrupted++;
    }
    return true;
}

/* Ends a life somehow, and begins the next: with the power going again meanwhile, perhaps. */
static bool end_life(struct slab_machine *machine, struct prng *prng, struct figures *figures)
{
    if (!firn_faulty_is_off(machine->faulty) && choose(prng, 3) == 0) {
        firn_faulty_kill(machine->faulty);
        figures->kills++;
    }
    slab_machine_close(machine);
    firn_faulty_clear(machine->faulty, 0);
    if (firn_faulty_is_off(machine->faulty) || choose(prng, 2)) {
        firn_faulty_restart_random(machine->faulty, prng_next(prng), NULL);
        figures->power_losses++;
    }
    if (!interrupt(machine, prng, figures))
        return false;
    if (choose(prng, 4) == 0 && !slab_machine_check_read_only(machine))
        return false;
    if (slab_machine_open(machine) < 0) {
        snprintf(machine->why, sizeof machine->why, "opening: %s", machine->err.message);
        return false;
    }
    return slab_machine_check(machine);
}

static struct slab_shape some_shape(struct prng *prng)
{
    static const uint64_t sizes[] = {8, 24, 64, 500, 4096};
    return (struct slab_shape){.block_size = sizes[choose(prng, 5)],
                               .journal_bytes = choose(prng, 2) ? 0 : 1 << 20};
}

static uint64_t first_seed = 1, seeds = 400;

static void print_line(void *arg, const char *line)
{
    (void)arg;
    printf("  %s\n", line);
}

static bool run_seed(uint64_t seed, struct figures *figures)
{
    struct prng prng = prng_new(seed);
    struct slab_machine machine;
    struct slab_shape shape = some_shape(&prng);
    bool good = true;
    slab_machine_init(&machine, &shape);
    if (slab_machine_open(&machine) < 0)
        abort();
    for (int life = 0; good && life < LIVES; life++) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(machine.faulty, &counts);
        bool faults = choose(&prng, 3) == 0;
        if (choose(&prng, 4))
            firn_faulty_crash_at(machine.faulty, counts.mutations + 1 + choose(&prng, 80));
        if (faults)
            add_fault(&machine, &prng, figures);
        const char *why = live(&machine, &prng, figures, faults);
        firn_faulty_crash_at(machine.faulty, 0);
        if (why && why != machine.why)
            snprintf(machine.why, sizeof machine.why, "life %d: %.600s", life, why);
        good = !why && end_life(&machine, &prng, figures);
    }
    figures->changes += machine.counter;
    if (!good)
        printf("failed: %s\n  again: test-crash-slab_random %llu 1\n", machine.why,
               (unsigned long long)seed);
    if (!good && seeds == 1)
        firn_faulty_trace(machine.faulty, print_line, NULL);
    slab_machine_done(&machine);
    return good;
}

static void seeded(void **state)
{
    (void)state;
    struct figures figures = {0};
    uint64_t failures = 0;
    for (uint64_t seed = first_seed; seed < first_seed + seeds && failures < 10; seed++)
        failures += !run_seed(seed, &figures);
    printf("note: %llu seeds: %llu operations, %llu changes, %llu losses of power, %llu during "
           "recovery, %llu kills, %llu lives with faults\n",
           (unsigned long long)seeds, (unsigned long long)figures.operations,
           (unsigned long long)figures.changes, (unsigned long long)figures.power_losses,
           (unsigned long long)figures.interrupted, (unsigned long long)figures.kills,
           (unsigned long long)figures.faults);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeded)};
    if (effort && strcmp(effort, "less") == 0)
        seeds = 60;
    if (argc == 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = strtoull(argv[2], NULL, 10);
    } else {
        alarm(110); /* a deadlock is a failure */
    }
    return cmocka_run_group_tests_name("slab_random", tests, NULL, NULL);
}
