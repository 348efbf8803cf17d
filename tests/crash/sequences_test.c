/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of up to three operations x every crash point x what may survive there.
 *
 * A sequence is run once to count its mutating operations, and again for each of them, with the
 * power lost there. What may survive is tried in clones: all outcomes up to some number, a sample
 * drawn by seed beyond that, and torn sectors. States of the disk that were met before with the
 * same model are not tried again. For a sample, the power goes again at each point of the recovery.
 *
 * Arguments: none: as much as a minute or two allow, or less where sanitizers slow it down; --full:
 * for as long as it takes; or what a failure printed: one sequence, one crash point, one outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/prng.h"
#include "machine.h"

enum { SEGMENT = 640, ALL_OUTCOMES = 1024, DEADLOCK_S = 270 };

struct effort {
    unsigned length;     /* of sequences */
    uint64_t all_below;  /* so many outcomes are all tried */
    unsigned sample;     /* else so many */
    unsigned tears;      /* torn sectors, at most */
    unsigned crash_step; /* every so many-th crash point */
    unsigned again;      /* every so many-th state, the power goes again during recovery */
    uint64_t states;     /* stop after so many in one mode */
};

struct campaign {
    struct effort effort;
    enum firn_durability durability;
    const char *setup; /* operations before, which always succeed; "": the log is created */
    char sequence[8];
    uint64_t point;  /* the mutation at which the power goes, counted from the setup's end */
    uint64_t states; /* tried */
    uint64_t recovery_states;
    uint64_t skipped; /* met before */
    uint64_t failures;
    uint64_t *seen;
    size_t seen_count, seen_capacity;
};

static const char *const modes[] = {"each", "group", "os"};

/* ---- states met before ---- */

static bool add_seen(struct campaign *campaign, uint64_t number);

static void grow_seen(struct campaign *campaign)
{
    struct campaign old = *campaign;
    campaign->seen_capacity = old.seen_capacity ? old.seen_capacity * 2 : 1 << 16;
    campaign->seen = calloc(campaign->seen_capacity, sizeof *campaign->seen);
    campaign->seen_count = 0;
    if (!campaign->seen)
        abort();
    for (size_t i = 0; i < old.seen_capacity; i++)
        if (old.seen[i])
            add_seen(campaign, old.seen[i]);
    free(old.seen);
}

/* False if it was there. */
static bool add_seen(struct campaign *campaign, uint64_t number)
{
    if (campaign->seen_count * 2 >= campaign->seen_capacity)
        grow_seen(campaign);
    number = number ? number : 1;
    size_t at = number * 0x9e3779b97f4a7c15u % campaign->seen_capacity;
    for (; campaign->seen[at]; at = (at + 1) % campaign->seen_capacity)
        if (campaign->seen[at] == number)
            return false;
    campaign->seen[at] = number;
    campaign->seen_count++;
    return true;
}

/* ---- one run ---- */

static void run_operations(struct machine *machine, const char *operations)
{
    for (; *operations; operations++)
        if (machine_do(machine, *operations) < 0)
            return;
}

/* The setup without fault; the mutations until then. */
static uint64_t set_up(const struct campaign *campaign, struct machine *machine)
{
    struct firn_faulty_counts counts;
    machine_init(machine, campaign->durability, SEGMENT);
    if (*campaign->setup) {
        if (machine_open(machine) < 0)
            abort();
        run_operations(machine, campaign->setup);
    }
    firn_faulty_get_counts(machine->faulty, &counts);
    return counts.mutations;
}

static void run_sequence(const struct campaign *campaign, struct machine *machine)
{
    if (!*campaign->setup && machine_open(machine) < 0)
        return;
    run_operations(machine, campaign->sequence);
}

static uint64_t count_points(const struct campaign *campaign)
{
    struct machine machine;
    struct firn_faulty_counts counts;
    uint64_t before = set_up(campaign, &machine);
    run_sequence(campaign, &machine);
    firn_faulty_get_counts(machine.faulty, &counts);
    machine_done(&machine);
    return counts.mutations - before;
}

/* Leaves the machine without power, at crash point `point`. */
static void run_to(const struct campaign *campaign, struct machine *machine, uint64_t point)
{
    uint64_t before = set_up(campaign, machine);
    firn_faulty_crash_at(machine->faulty, before + point);
    run_sequence(campaign, machine);
    if (!firn_faulty_is_off(machine->faulty))
        firn_faulty_power_off(machine->faulty);
    machine_close(machine);
}

/* ---- after the crash ---- */

static void print_line(void *arg, const char *line)
{
    printf("    %s %s\n", (const char *)arg, line);
}

static void report(struct campaign *campaign, struct machine *crashed, struct machine *machine,
                   uint64_t which, uint64_t tear, const char *detail)
{
    char kept[] = "kept:", trace[] = "then:";
    campaign->failures++;
    if (campaign->failures > 10)
        return;
    printf("failed: %s\n  again: test-crash-sequences --mode %s --setup '%s' --sequence %s "
           "--point %llu --which %llu --tear %llu%s\n",
           machine->why, modes[campaign->durability], campaign->setup, campaign->sequence,
           (unsigned long long)campaign->point, (unsigned long long)which, (unsigned long long)tear,
           detail);
    if (campaign->failures > 2)
        return;
    if (crashed)
        firn_faulty_describe(crashed->faulty, which, print_line, kept);
    firn_faulty_trace(machine->faulty, print_line, trace);
}

/* Power lost at each point of the recovery of `start`, which is restarted and holds the model. */
static void crash_recovery(struct campaign *campaign, struct machine *crashed,
                           const struct machine *start, const struct machine *recovered,
                           uint64_t which, uint64_t tear)
{
    for (uint64_t point = 1;; point++) {
        struct machine machine, outcome;
        struct firn_faulty_counts counts;
        machine_copy(start, &machine);
        firn_faulty_get_counts(machine.faulty, &counts);
        firn_faulty_crash_at(machine.faulty, counts.mutations + point);
        int rc = machine_open(&machine);
        bool off = firn_faulty_is_off(machine.faulty);
        if (rc < 0 && !off)
            report(campaign, crashed, &machine, which, tear, " (opening)");
        machine_close(&machine);
        for (uint64_t seed = 1; off && seed <= 3; seed++) {
            char detail[64];
            snprintf(detail, sizeof detail, " (recovery: point %llu seed %llu)",
                     (unsigned long long)point, (unsigned long long)seed);
            machine_copy(&machine, &outcome);
            model_done(&outcome.model);
            model_copy(&recovered->model, &outcome.model);
            firn_faulty_restart_random(outcome.faulty, seed, NULL);
            campaign->recovery_states++;
            if (!machine_check_life(&outcome))
                report(campaign, crashed, &outcome, which, tear, detail);
            machine_done(&outcome);
        }
        machine_done(&machine);
        if (!off)
            return;
    }
}

static void try_outcome(struct campaign *campaign, struct machine *crashed, uint64_t which,
                        uint64_t tear)
{
    struct machine machine, start;
    machine_copy(crashed, &machine);
    firn_faulty_restart_torn(machine.faulty, which, tear, NULL);
    if (!add_seen(campaign, firn_faulty_hash(machine.faulty) ^ model_digest(&machine.model))) {
        campaign->skipped++;
        machine_done(&machine);
        return;
    }
    bool again = campaign->states++ % campaign->effort.again == 0;
    if (again)
        machine_copy(&machine, &start);
    bool good = machine_open(&machine) == 0;
    if (!good)
        snprintf(machine.why, sizeof machine.why, "opening: %s", machine.err.message);
    good = good && machine_check(&machine);
    struct machine recovered = {0};
    if (good && again)
        model_copy(&machine.model, &recovered.model);
    machine_close(&machine);
    good = good && machine_check_life(&machine);
    if (!good)
        report(campaign, crashed, &machine, which, tear, "");
    else if (again)
        crash_recovery(campaign, crashed, &start, &recovered, which, tear);
    if (again)
        machine_done(&start);
    model_done(&recovered.model);
    machine_done(&machine);
}

static void try_point(struct campaign *campaign)
{
    struct machine crashed;
    const struct effort *effort = &campaign->effort;
    run_to(campaign, &crashed, campaign->point);
    uint64_t outcomes = firn_faulty_outcomes(crashed.faulty);
    uint64_t tears = firn_faulty_tears(crashed.faulty);
    struct prng prng = prng_new(campaign->point * 1000 + outcomes);
    if (outcomes <= effort->all_below) {
        for (uint64_t which = 0; which < outcomes; which++)
            try_outcome(campaign, &crashed, which, 0);
    } else {
        try_outcome(campaign, &crashed, 0, 0);
        try_outcome(campaign, &crashed, outcomes - 1, 0);
        for (unsigned i = 0; i < effort->sample; i++)
            try_outcome(campaign, &crashed, prng_below(&prng, outcomes), 0);
    }
    uint64_t torn = tears < effort->tears ? tears : effort->tears;
    for (uint64_t i = 0; i < torn; i++) {
        uint64_t tear = 1 + (tears == torn ? i : prng_below(&prng, tears));
        try_outcome(campaign, &crashed, i % 2 ? prng_below(&prng, outcomes) : outcomes - 1, tear);
    }
    machine_done(&crashed);
}

static void try_sequence(struct campaign *campaign)
{
    uint64_t points = count_points(campaign) + 1; /* one more: after all of it */
    uint64_t step = campaign->effort.crash_step;
    for (uint64_t point = 1 + points % step; point <= points; point += step) {
        campaign->point = point;
        try_point(campaign);
    }
}

/* All sequences of exactly `length` operations. */
static void try_all(struct campaign *campaign, const char *operations, unsigned length)
{
    size_t kinds = strlen(operations), count = 1;
    memset(campaign->sequence, 0, sizeof campaign->sequence);
    for (unsigned i = 0; i < length; i++)
        count *= kinds;
    for (size_t number = 0; number < count; number++) {
        size_t rest = number;
        for (unsigned i = 0; i < length; i++, rest /= kinds)
            campaign->sequence[i] = operations[rest % kinds];
        try_sequence(campaign);
    }
}

/* Compaction wants segments that hold more than one record of a key. */
static void try_compaction(struct campaign *campaign, unsigned length)
{
    static const char *const sequences[] = {"y", "yt", "yb", "ty", "cy"};
    campaign->setup = "aagragar";
    campaign->effort.again *= 5;
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (strlen(sequences[i]) != length)
            continue;
        memset(campaign->sequence, 0, sizeof campaign->sequence);
        snprintf(campaign->sequence, sizeof campaign->sequence, "%s", sequences[i]);
        try_sequence(campaign);
    }
    campaign->effort.again /= 5;
}

/* ---- the campaign ---- */

static const struct effort full = {3, ALL_OUTCOMES, 200, 24, 1, 20, 0};
static const struct effort usual = {3, 96, 32, 6, 1, 60, 0};
static const struct effort less = {2, 24, 8, 2, 2, 100, 0};

static uint64_t run_mode(enum firn_durability durability, const struct effort *effort)
{
    bool at_once = durability == FIRN_DURABILITY_EACH;
    const char *basic = at_once ? MACHINE_OPERATIONS : MACHINE_OPERATIONS "f";
    const char *more = at_once ? MACHINE_OPERATIONS "xzksn" : MACHINE_OPERATIONS "fxzs";
    struct campaign campaign = {.effort = *effort, .durability = durability};
    for (unsigned length = 1; length <= effort->length; length++) {
        const char *operations = length < 3 ? more : basic;
        campaign.setup = at_once && length < 3 ? "aagcang" : "aagcag";
        try_all(&campaign, operations, length);
        campaign.setup = "";
        try_all(&campaign, operations, length);
        try_compaction(&campaign, length);
    }
    printf(
        "note: mode %s: %llu crash states explored (and %llu of interrupted recoveries; %llu met "
        "twice), %llu failed\n",
        modes[durability], (unsigned long long)campaign.states,
        (unsigned long long)campaign.recovery_states, (unsigned long long)campaign.skipped,
        (unsigned long long)campaign.failures);
    free(campaign.seen);
    return campaign.failures;
}

static const struct effort *chosen = &usual;

/* A process for each mode: they have nothing in common, and it takes long enough. */
static pid_t processes[3];

static void start_modes(void)
{
    fflush(stdout);
    for (int mode = 0; mode < 3; mode++) {
        processes[mode] = fork();
        if (processes[mode] == 0) {
            alarm(chosen == &full ? 0 : DEADLOCK_S); /* a deadlock is a failure */
            uint64_t failures = run_mode((enum firn_durability)mode, chosen);
            fflush(stdout);
            _exit(failures > 0 ? 1 : 0);
        }
    }
}

static void await_mode(int mode)
{
    int status = -1;
    assert_true(processes[mode] > 0);
    assert_int_equal(waitpid(processes[mode], &status, 0), processes[mode]);
    assert_int_equal(status, 0);
}

static void each(void **state)
{
    (void)state;
    await_mode(FIRN_DURABILITY_EACH);
}

static void group(void **state)
{
    (void)state;
    await_mode(FIRN_DURABILITY_GROUP);
}

static void os(void **state)
{
    (void)state;
    await_mode(FIRN_DURABILITY_OS);
}

/* What a failure printed, again. */
static int repeat(int argc, char **argv)
{
    struct campaign campaign = {.effort = full, .setup = ""};
    uint64_t which = 0, tear = 0;
    campaign.effort.again = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--mode") == 0)
            campaign.durability = *value == 'e'   ? FIRN_DURABILITY_EACH
                                  : *value == 'g' ? FIRN_DURABILITY_GROUP
                                                  : FIRN_DURABILITY_OS;
        else if (strcmp(argv[i], "--setup") == 0)
            campaign.setup = value;
        else if (strcmp(argv[i], "--sequence") == 0)
            snprintf(campaign.sequence, sizeof campaign.sequence, "%s", value);
        else if (strcmp(argv[i], "--point") == 0)
            campaign.point = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--which") == 0)
            which = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--tear") == 0)
            tear = strtoull(value, NULL, 10);
    }
    struct machine crashed;
    run_to(&campaign, &crashed, campaign.point);
    try_outcome(&campaign, &crashed, which, tear);
    machine_done(&crashed);
    free(campaign.seen);
    printf("%llu failed\n", (unsigned long long)campaign.failures);
    return campaign.failures > 0;
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each),
        cmocka_unit_test(group),
        cmocka_unit_test(os),
    };
    if (argc > 2)
        return repeat(argc, argv);
    if (effort && strcmp(effort, "less") == 0 && argc == 1)
        chosen = &less;
    if (argc > 1)
        chosen = &full;
    start_modes();
    return cmocka_run_group_tests_name("sequences", tests, NULL, NULL);
}
