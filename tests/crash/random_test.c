/* SPDX-License-Identifier: MIT */
/*
 * Long random runs by seed: operations of all kinds, crashes at random points with random outcomes,
 * kills without a loss of power, crashes during recovery, staged and read-only readers in between.
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
#include "machine.h"

enum { LIVES = 30, OPERATIONS = 25 };

struct figures {
    uint64_t operations, power_losses, kills, interrupted, records;
};

static uint64_t choose(struct prng *prng, uint64_t n)
{
    return prng_below(prng, n);
}

/* Whether compaction may have taken the records [from, to). */
static bool may_be_gone(const struct machine *machine, uint64_t from, uint64_t to)
{
    const struct model_state *last = model_last(&machine->model);
    for (; from < to && from < last->next; from++)
        if (!(last->stamps[from - machine->model.first] & (MODEL_GONE | MODEL_MAYBE_GONE)))
            return false;
    return from == to;
}

/* Whether the record is what follows `index` in the newest state. */
static bool follows(const struct machine *machine, uint64_t index, const struct firn_record *record)
{
    const struct model_state *last = model_last(&machine->model);
    return record->index >= index && record->index < last->next &&
           may_be_gone(machine, index, record->index) &&
           model_equals(last->stamps[record->index - machine->model.first], record);
}

/* What is staged reads like the newest state of the model. */
static const char *read_staged(struct machine *machine)
{
    struct firn_cursor_options options = {.staged = true};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    const struct model_state *last = model_last(&machine->model);
    uint64_t index = machine->model.lowest;
    const char *why = NULL;
    if (firn_cursor_open(machine->log, &options, &cursor, NULL) < 0)
        return "no cursor";
    while (!why && firn_cursor_next(cursor, &record, NULL) == 0) {
        if (!follows(machine, index, record))
            why = "a staged record is wrong";
        index = record->index + 1;
    }
    firn_cursor_close(cursor);
    return why || may_be_gone(machine, index, last->next) ? why : "not all that is staged is read";
}

/* Beside the writer, another handle sees at least what is acknowledged, and nothing else. */
static const char *read_only(struct machine *machine)
{
    struct firn_log_options options = {.disk = firn_faulty_disk(machine->faulty),
                                       .read_only = true};
    struct firn_log *log;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    if (firn_log_open(MACHINE_DIR, &options, &log, &machine->err) < 0)
        return machine->err.message;
    if (firn_cursor_open(log, NULL, &cursor, NULL) < 0)
        return "no cursor";
    uint64_t index = machine->model.lowest;
    const char *why = NULL;
    int rc;
    while ((rc = firn_cursor_next(cursor, &record, &machine->err)) == 0 && !why) {
        if (!follows(machine, index, record))
            why = "a record read beside the writer is wrong";
        index = record->index + 1;
    }
    if (!why && rc != FIRN_EEND)
        why = machine->err.message;
    uint64_t acknowledged = machine->model.chain[0].next;
    if (!why && index < acknowledged && !may_be_gone(machine, index, acknowledged))
        why = "a reader beside the writer misses what is acknowledged";
    firn_cursor_close(cursor);
    firn_log_close(log, NULL);
    return why;
}

static int one_operation(struct machine *machine, struct prng *prng)
{
    static const char operations[] = "aaaaaaaaaaggggggrrttuubbxccffppwwzzzkkkssnnndvvyyy";
    uint64_t lowest = machine->model.lowest, held = model_last(&machine->model)->next - lowest;
    char operation = operations[choose(prng, sizeof operations - 1)];
    if (operation == 'k' && machine->durability != FIRN_DURABILITY_EACH)
        operation = 'z';
    if (operation == 't')
        return machine_truncate(machine, lowest + held - choose(prng, held / 4 + 1));
    if (operation == 'b')
        return machine_remove(machine, lowest + choose(prng, held / 2 + 1));
    if (operation == 'n') {
        machine_acknowledge(machine);
        uint64_t next = machine->model.chain[0].next;
        return machine_commit(machine, choose(prng, next + 1), choose(prng, next + 1));
    }
    if (operation == 'w')
        machine_background(machine);
    uint64_t most = machine->segment_bytes < 4096 || choose(prng, 8) ? 60 : 1000;
    int rc = machine_only(machine, operation, 1 + choose(prng, most));
    if (rc == 0)
        machine_acknowledge(machine);
    return rc;
}

static const char *live(struct machine *machine, struct prng *prng, struct figures *figures)
{
    uint64_t count = 1 + choose(prng, OPERATIONS);
    for (uint64_t i = 0; i < count; i++) {
        int rc = one_operation(machine, prng);
        figures->operations++;
        if (rc < 0 && firn_faulty_is_off(machine->faulty))
            return NULL;
        if (rc < 0)
            return machine->err.message;
        const char *why = NULL;
        if (choose(prng, 20) == 0 && !firn_faulty_is_off(machine->faulty))
            why = choose(prng, 2) ? read_staged(machine) : read_only(machine);
        if (why && !firn_faulty_is_off(machine->faulty))
            return why;
    }
    return NULL;
}

/* Ends a life somehow, and begins the next: with the power going again meanwhile, perhaps. */
static bool end_life(struct machine *machine, struct prng *prng, struct figures *figures)
{
    if (!firn_faulty_is_off(machine->faulty) && choose(prng, 3) == 0) {
        firn_faulty_kill(machine->faulty);
        figures->kills++;
    }
    machine_close(machine);
    if (firn_faulty_is_off(machine->faulty) || choose(prng, 2)) {
        firn_faulty_restart_random(machine->faulty, prng_next(prng), NULL);
        figures->power_losses++;
    }
    while (choose(prng, 3) == 0) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(machine->faulty, &counts);
        firn_faulty_crash_at(machine->faulty, counts.mutations + 1 + choose(prng, 12));
        if (machine_open(machine) == 0 && !machine_check(machine) &&
            !firn_faulty_is_off(machine->faulty)) /* it can go while files are removed at leisure */
            return false;
        machine_close(machine);
        firn_faulty_crash_at(machine->faulty, 0);
        firn_faulty_restart_random(machine->faulty, prng_next(prng), NULL);
        figures->interrupted++;
    }
    if (machine_open(machine) < 0) {
        snprintf(machine->why, sizeof machine->why, "opening: %s", machine->err.message);
        return false;
    }
    return machine_check(machine);
}

static bool run_seed(uint64_t seed, struct figures *figures)
{
    static const uint64_t segments[] = {512, 1024, 4096, 65536};
    struct prng prng = prng_new(seed);
    struct machine machine;
    bool good = true;
    machine_init(&machine, (enum firn_durability)choose(&prng, 3), segments[choose(&prng, 4)]);
    if (machine_open(&machine) < 0)
        abort();
    for (int life = 0; good && life < LIVES; life++) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(machine.faulty, &counts);
        if (choose(&prng, 4))
            firn_faulty_crash_at(machine.faulty, counts.mutations + 1 + choose(&prng, 60));
        const char *why = live(&machine, &prng, figures);
        firn_faulty_crash_at(machine.faulty, 0);
        if (why)
            snprintf(machine.why, sizeof machine.why, "life %d: %s", life, why);
        good = !why && end_life(&machine, &prng, figures);
    }
    figures->records += machine.model.counter;
    if (!good)
        printf("failed: %s\n  again: test-crash-random %llu 1\n", machine.why,
               (unsigned long long)seed);
    machine_done(&machine);
    return good;
}

static uint64_t first_seed = 1, seeds = 400;

static void seeded(void **state)
{
    (void)state;
    struct figures figures = {0};
    uint64_t failures = 0;
    for (uint64_t seed = first_seed; seed < first_seed + seeds && failures < 10; seed++)
        failures += !run_seed(seed, &figures);
    printf("note: %llu seeds: %llu operations, %llu records, %llu losses of power, %llu during "
           "recovery, %llu kills\n",
           (unsigned long long)seeds, (unsigned long long)figures.operations,
           (unsigned long long)figures.records, (unsigned long long)figures.power_losses,
           (unsigned long long)figures.interrupted, (unsigned long long)figures.kills);
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
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
