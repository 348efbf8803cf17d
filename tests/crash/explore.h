/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of operations x every crash point x what may survive there, for any machine that
 * has a simulated disk and a model of what it must hold.
 *
 * A sequence is run once to count its mutating operations, and again for each of them, with the
 * power lost there. What may survive is tried in clones: all outcomes up to some number, a sample
 * drawn by seed beyond that, and torn sectors. States of the disk that were met before with the
 * same model are not tried again. For a sample, the power goes again at each point of the recovery.
 */
#ifndef TESTS_CRASH_EXPLORE_H
#define TESTS_CRASH_EXPLORE_H

#include <firn/faulty.h>

#include "rig.h"

/* What is explored. A machine is `machine_bytes` of the caller's, and has nothing open at first. */
struct explore_ops {
    size_t machine_bytes;
    void (*init)(void *machine, const void *kind);
    /* Storage and model, with nothing open. */
    void (*copy)(const void *from, void *to);
    /* The model of another machine instead of its own. */
    void (*take_model)(void *machine, const void *from);
    void (*done)(void *machine);
    int (*open)(void *machine);
    int (*close)(void *machine);
    int (*operate)(void *machine, char operation);
    /* Opened: what is there may be there, and becomes the model. */
    bool (*check)(void *machine);
    /* Closed: opens, checks, goes on, closes. Leaves it closed. */
    bool (*check_life)(void *machine);
    /* Opened for reading only, it is what opening it for writing will find. NULL: not asked. */
    bool (*check_read_only)(void *machine);
    bool (*check_leaks)(void *machine);
    bool (*is_open)(const void *machine);
    /* How many states may be there. */
    size_t (*possible)(const void *machine);
    struct firn_faulty *(*faulty)(const void *machine);
    uint64_t (*digest)(const void *machine);
    /* Where a check said false, its reason; of a call that failed, its error. */
    const char *(*why)(const void *machine);
    struct firn_error *(*error)(void *machine);
};

/*
 * Defines `name`_explored for struct `name`, whose functions are `name`_copy, `name`_done and so
 * on. It has faulty, err and why; and `handle`, which is NULL while nothing is open. `look_only` is
 * check_read_only.
 */
#define EXPLORE_MACHINE(name, first_init, first_open, look_only, handle)                           \
    static void any_init(void *machine, const void *kind)                                          \
    {                                                                                              \
        first_init(machine, kind);                                                                 \
    }                                                                                              \
    static void any_copy(const void *from, void *to)                                               \
    {                                                                                              \
        name##_copy(from, to);                                                                     \
    }                                                                                              \
    static void any_take_model(void *machine, const void *from)                                    \
    {                                                                                              \
        name##_take_model(machine, from);                                                          \
    }                                                                                              \
    static void any_done(void *machine)                                                            \
    {                                                                                              \
        name##_done(machine);                                                                      \
    }                                                                                              \
    static int any_open(void *machine)                                                             \
    {                                                                                              \
        return first_open(machine);                                                                \
    }                                                                                              \
    static int any_close(void *machine)                                                            \
    {                                                                                              \
        return name##_close(machine);                                                              \
    }                                                                                              \
    static int any_operate(void *machine, char operation)                                          \
    {                                                                                              \
        return name##_do(machine, operation);                                                      \
    }                                                                                              \
    static bool any_check(void *machine)                                                           \
    {                                                                                              \
        return name##_check(machine);                                                              \
    }                                                                                              \
    static bool any_check_life(void *machine)                                                      \
    {                                                                                              \
        return name##_check_life(machine);                                                         \
    }                                                                                              \
    static bool any_check_leaks(void *of)                                                          \
    {                                                                                              \
        struct name *machine = of;                                                                 \
        return rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);                \
    }                                                                                              \
    static bool any_is_open(const void *machine)                                                   \
    {                                                                                              \
        return ((const struct name *)machine)->handle != NULL;                                     \
    }                                                                                              \
    static size_t any_possible(const void *machine)                                                \
    {                                                                                              \
        return name##_possible(machine);                                                           \
    }                                                                                              \
    static struct firn_faulty *any_faulty(const void *machine)                                     \
    {                                                                                              \
        return ((const struct name *)machine)->faulty;                                             \
    }                                                                                              \
    static uint64_t any_digest(const void *machine)                                                \
    {                                                                                              \
        return name##_digest(machine);                                                             \
    }                                                                                              \
    static const char *any_why(const void *machine)                                                \
    {                                                                                              \
        return ((const struct name *)machine)->why;                                                \
    }                                                                                              \
    static struct firn_error *any_error(void *machine)                                             \
    {                                                                                              \
        return &((struct name *)machine)->err;                                                     \
    }                                                                                              \
    const struct explore_ops name##_explored = {                                                   \
        .machine_bytes = sizeof(struct name),                                                      \
        .init = any_init,                                                                          \
        .copy = any_copy,                                                                          \
        .take_model = any_take_model,                                                              \
        .done = any_done,                                                                          \
        .open = any_open,                                                                          \
        .close = any_close,                                                                        \
        .operate = any_operate,                                                                    \
        .check = any_check,                                                                        \
        .check_life = any_check_life,                                                              \
        .check_read_only = look_only,                                                              \
        .check_leaks = any_check_leaks,                                                            \
        .is_open = any_is_open,                                                                    \
        .possible = any_possible,                                                                  \
        .faulty = any_faulty,                                                                      \
        .digest = any_digest,                                                                      \
        .why = any_why,                                                                            \
        .error = any_error,                                                                        \
    }

struct explore_effort {
    uint64_t all_below;  /* so many outcomes are all tried */
    unsigned sample;     /* else so many */
    unsigned tears;      /* torn sectors, at most */
    unsigned crash_step; /* every so many-th crash point */
    unsigned again;      /* every so many-th state, the power goes again during recovery */
};

struct seen {
    uint64_t *numbers;
    size_t count, capacity;
};

struct explore {
    const struct explore_ops *ops;
    struct explore_effort effort;
    const void *kind;
    const char *name;  /* program and arguments that repeat it, but for what follows */
    const char *setup; /* operations before, which always succeed; "": it is created */
    char sequence[8];
    uint64_t point;  /* the mutation at which the power goes, counted from the setup's end */
    uint64_t states; /* tried */
    uint64_t recovery_states;
    uint64_t skipped; /* met before */
    uint64_t failures;
    struct seen seen;
};

void explore_done(struct explore *explore);

/* One sequence: all its crash points. */
void explore_sequence(struct explore *explore, const char *sequence);
/* All sequences of exactly `length` of these operations, or every `step`-th of them, and `last`
 * behind each. */
void explore_all(struct explore *explore, const char *operations, unsigned length, unsigned step,
                 const char *last);
/* --setup --sequence --point --which --tear, as a failure printed them. */
void explore_repeat(struct explore *explore, int argc, char **argv);

#endif
