/* SPDX-License-Identifier: MIT */
/* Long random lives of a stack, and another implementation that uses the file in between. */
#include "lives.h"
#include "stack_machine.h"

enum { MOST = 100000 };

static void init(void *machine, struct prng *prng)
{
    const struct stack_shape shape = {.journal_bytes = prng_below(prng, 2) ? 0 : 1 << 20};
    stack_machine_init(machine, &shape);
}

static int operate(void *arg, struct prng *prng)
{
    static const char operations[] = STACK_MACHINE_OPERATIONS "pppPPPMbb";
    struct stack_machine *machine = arg;
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    return stack_machine_do(machine, machine->held.length > MOST ? 'd' : operation);
}

static bool is_dead(void *machine, int rc)
{
    (void)rc;
    return stack_machine_is_poisoned(machine);
}

static const char *look(void *arg, struct prng *prng)
{
    struct stack_machine *machine = arg;
    (void)prng;
    return stack_machine_check_reads(machine) ? NULL : machine->why;
}

static bool use_otherwise(void *machine, struct prng *prng)
{
    return prng_below(prng, 3) || stack_machine_use_otherwise(machine);
}

static uint64_t count(const void *machine)
{
    return ((const struct stack_machine *)machine)->counter;
}

int main(int argc, char **argv)
{
    static const struct lives lives = {
        .name = "stack_random",
        .ops = &stack_machine_explored,
        .seeds = 400,
        .pace = LIVES_PACE,
        .init = init,
        .operate = operate,
        .is_dead = is_dead,
        .look = look,
        .between = use_otherwise,
        .counted = "changes",
        .count = count,
    };
    return lives_main(&lives, argc, argv);
}
