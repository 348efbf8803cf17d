/* SPDX-License-Identifier: MIT */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/prng.h"

/* ---- states met before ---- */

static bool add_seen(struct seen *seen, uint64_t number);

static void grow_seen(struct seen *seen)
{
    struct seen old = *seen;
    *seen = (struct seen){.capacity = old.capacity ? old.capacity * 2 : 1 << 16};
    seen->numbers = calloc(seen->capacity, sizeof *seen->numbers);
    if (!seen->numbers)
        abort();
    for (size_t i = 0; i < old.capacity; i++)
        if (old.numbers[i])
            add_seen(seen, old.numbers[i]);
    free(old.numbers);
}

/* False if it was there. */
static bool add_seen(struct seen *seen, uint64_t number)
{
    if (seen->count * 2 >= seen->capacity)
        grow_seen(seen);
    number = number ? number : 1;
    size_t at = number * 0x9e3779b97f4a7c15u % seen->capacity;
    for (; seen->numbers[at]; at = (at + 1) % seen->capacity)
        if (seen->numbers[at] == number)
            return false;
    seen->numbers[at] = number;
    seen->count++;
    return true;
}

void explore_done(struct explore *explore)
{
    free(explore->seen.numbers);
    explore->seen = (struct seen){0};
}

/* ---- one run ---- */

static void *new_machine(const struct explore *explore)
{
    void *machine = calloc(1, explore->ops->machine_bytes);
    if (!machine)
        abort();
    return machine;
}

static void *copy_machine(const struct explore *explore, const void *from)
{
    void *machine = new_machine(explore);
    explore->ops->copy(from, machine);
    return machine;
}

static void end_machine(const struct explore *explore, void *machine)
{
    explore->ops->done(machine);
    free(machine);
}

static uint64_t mutations(const struct explore *explore, const void *machine)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(explore->ops->faulty(machine), &counts);
    return counts.mutations;
}

static void run_operations(const struct explore *explore, void *machine, const char *operations)
{
    for (; *operations; operations++)
        if (explore->ops->operate(machine, *operations) < 0)
            return;
}

/* The setup, without fault. */
static void *set_up(const struct explore *explore)
{
    void *machine = new_machine(explore);
    explore->ops->init(machine, explore->kind);
    if (*explore->setup) {
        if (explore->ops->open(machine) < 0)
            abort();
        run_operations(explore, machine, explore->setup);
    }
    return machine;
}

static void run_sequence(const struct explore *explore, void *machine)
{
    if (!*explore->setup && explore->ops->open(machine) < 0)
        return;
    run_operations(explore, machine, explore->sequence);
}

static uint64_t count_points(const struct explore *explore)
{
    void *machine = set_up(explore);
    uint64_t before = mutations(explore, machine);
    run_sequence(explore, machine);
    uint64_t points = mutations(explore, machine) - before;
    end_machine(explore, machine);
    return points;
}

/* A machine without power, gone at the crash point. */
static void *run_to(const struct explore *explore, uint64_t point)
{
    void *machine = set_up(explore);
    struct firn_faulty *faulty = explore->ops->faulty(machine);
    firn_faulty_crash_at(faulty, mutations(explore, machine) + point);
    run_sequence(explore, machine);
    if (!firn_faulty_is_off(faulty))
        firn_faulty_power_off(faulty);
    explore->ops->close(machine);
    return machine;
}

/* ---- after the crash ---- */

static void print_line(void *arg, const char *line)
{
    printf("    %s %s\n", (const char *)arg, line);
}

static void report(struct explore *explore, const void *crashed, const void *machine,
                   const char *why, uint64_t which, uint64_t tear, const char *detail)
{
    char kept[] = "kept:", trace[] = "then:";
    explore->failures++;
    if (explore->failures > 10)
        return;
    printf("failed: %s\n  again: %s --setup '%s' --sequence %s --point %llu --which %llu "
           "--tear %llu%s\n",
           why, explore->name, explore->setup, explore->sequence,
           (unsigned long long)explore->point, (unsigned long long)which, (unsigned long long)tear,
           detail);
    if (explore->failures > 2)
        return;
    firn_faulty_describe(explore->ops->faulty(crashed), which, print_line, kept);
    firn_faulty_trace(explore->ops->faulty(machine), print_line, trace);
}

/* What survives of a recovery that the loss of power interrupted, a few times by seed. */
static void try_interrupted(struct explore *explore, const void *crashed, const void *interrupted,
                            const void *recovered, uint64_t which, uint64_t tear, uint64_t point)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char detail[64];
        snprintf(detail, sizeof detail, " (recovery: point %llu seed %llu)",
                 (unsigned long long)point, (unsigned long long)seed);
        void *outcome = copy_machine(explore, interrupted);
        explore->ops->take_model(outcome, recovered);
        firn_faulty_restart_random(explore->ops->faulty(outcome), seed, NULL);
        explore->recovery_states++;
        if (!explore->ops->check_life(outcome))
            report(explore, crashed, outcome, explore->ops->why(outcome), which, tear, detail);
        end_machine(explore, outcome);
    }
}

/* Power lost at each point of the recovery of `start`, which is restarted. */
static void crash_recovery(struct explore *explore, const void *crashed, const void *start,
                           const void *recovered, uint64_t which, uint64_t tear)
{
    for (uint64_t point = 1;; point++) {
        void *machine = copy_machine(explore, start);
        struct firn_faulty *faulty = explore->ops->faulty(machine);
        firn_faulty_crash_at(faulty, mutations(explore, machine) + point);
        int rc = explore->ops->open(machine);
        bool off = firn_faulty_is_off(faulty);
        if (rc < 0 && !off)
            report(explore, crashed, machine, explore->ops->error(machine)->message, which, tear,
                   " (opening)");
        explore->ops->close(machine);
        if (off)
            try_interrupted(explore, crashed, machine, recovered, which, tear, point);
        end_machine(explore, machine);
        if (!off)
            return;
    }
}

static void try_outcome(struct explore *explore, const void *crashed, uint64_t which, uint64_t tear)
{
    const struct explore_ops *ops = explore->ops;
    void *machine = copy_machine(explore, crashed), *start = NULL, *recovered = NULL;
    firn_faulty_restart_torn(ops->faulty(machine), which, tear, NULL);
    if (!add_seen(&explore->seen, firn_faulty_hash(ops->faulty(machine)) ^ ops->digest(machine))) {
        explore->skipped++;
        end_machine(explore, machine);
        return;
    }
    if (explore->states++ % explore->effort.again == 0)
        start = copy_machine(explore, machine);
    bool seen = !start || !ops->check_read_only || ops->check_read_only(machine);
    bool opened = seen && ops->open(machine) == 0;
    bool good = opened && ops->check(machine);
    if (good && start)
        recovered = copy_machine(explore, machine);
    ops->close(machine);
    if (seen && !opened)
        report(explore, crashed, machine, ops->error(machine)->message, which, tear, "");
    else if (!good || !ops->check_life(machine))
        report(explore, crashed, machine, ops->why(machine), which, tear, "");
    else if (start)
        crash_recovery(explore, crashed, start, recovered, which, tear);
    if (start)
        end_machine(explore, start);
    if (recovered)
        end_machine(explore, recovered);
    end_machine(explore, machine);
}

static void try_point(struct explore *explore)
{
    const struct explore_effort *effort = &explore->effort;
    void *crashed = run_to(explore, explore->point);
    uint64_t outcomes = firn_faulty_outcomes(explore->ops->faulty(crashed));
    uint64_t tears = firn_faulty_tears(explore->ops->faulty(crashed));
    struct prng prng = prng_new(explore->point * 1000 + outcomes);
    if (outcomes <= effort->all_below) {
        for (uint64_t which = 0; which < outcomes; which++)
            try_outcome(explore, crashed, which, 0);
    } else {
        try_outcome(explore, crashed, 0, 0);
        try_outcome(explore, crashed, outcomes - 1, 0);
        for (unsigned i = 0; i < effort->sample; i++)
            try_outcome(explore, crashed, prng_below(&prng, outcomes), 0);
    }
    uint64_t torn = tears < effort->tears ? tears : effort->tears;
    for (uint64_t i = 0; i < torn; i++) {
        uint64_t tear = 1 + (tears == torn ? i : prng_below(&prng, tears));
        try_outcome(explore, crashed, i % 2 ? prng_below(&prng, outcomes) : outcomes - 1, tear);
    }
    end_machine(explore, crashed);
}

/* ---- sequences ---- */

static void try_points(struct explore *explore)
{
    uint64_t points = count_points(explore) + 1; /* one more: after all of it */
    uint64_t step = explore->effort.crash_step;
    for (uint64_t point = 1 + points % step; point <= points; point += step) {
        explore->point = point;
        try_point(explore);
    }
}

void explore_sequence(struct explore *explore, const char *sequence)
{
    memset(explore->sequence, 0, sizeof explore->sequence);
    snprintf(explore->sequence, sizeof explore->sequence, "%s", sequence);
    try_points(explore);
}

void explore_all(struct explore *explore, const char *operations, unsigned length, unsigned step,
                 const char *last)
{
    size_t kinds = strlen(operations), count = 1;
    for (unsigned i = 0; i < length; i++)
        count *= kinds;
    for (size_t number = 0; number < count; number += step) {
        char sequence[8] = "";
        size_t rest = number;
        for (unsigned i = 0; i < length; i++, rest /= kinds)
            sequence[i] = operations[rest % kinds];
        snprintf(sequence + length, sizeof sequence - length, "%s", last);
        explore_sequence(explore, sequence);
    }
}

void explore_repeat(struct explore *explore, int argc, char **argv)
{
    uint64_t which = 0, tear = 0;
    explore->effort.again = 1;
    for (int i = 1; i + 1 < argc; i++) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--setup") == 0)
            explore->setup = value;
        else if (strcmp(argv[i], "--sequence") == 0)
            snprintf(explore->sequence, sizeof explore->sequence, "%s", value);
        else if (strcmp(argv[i], "--point") == 0)
            explore->point = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--which") == 0)
            which = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--tear") == 0)
            tear = strtoull(value, NULL, 10);
    }
    void *crashed = run_to(explore, explore->point);
    try_outcome(explore, crashed, which, tear);
    end_machine(explore, crashed);
    printf("%llu failed\n", (unsigned long long)explore->failures);
}
