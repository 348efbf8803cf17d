/* SPDX-License-Identifier: MIT */
/* Long random lives of a slab. */
#include "lives.h"
#include "slab_machine.h"

enum { MOST = 100000 };

static void init(void *machine, struct prng *prng)
{
    static const uint64_t sizes[] = {8, 24, 64, 500, 4096};
    const struct slab_shape shape = {.block_size = sizes[prng_below(prng, 5)],
                                     .journal_bytes = prng_below(prng, 2) ? 0 : 1 << 20};
    slab_machine_init(machine, &shape);
}

static int operate(void *arg, struct prng *prng)
{
    static const char operations[] = SLAB_MACHINE_OPERATIONS "nnmmFFwwbb";
    struct slab_machine *machine = arg;
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    if (machine->held.content.length > MOST)
        operation = prng_below(prng, 2) ? 'F' : 'l';
    return slab_machine_do(machine, operation);
}

static bool is_dead(void *machine, int rc)
{
    (void)rc;
    return slab_machine_is_poisoned(machine);
}

static const char *look(void *arg, struct prng *prng)
{
    struct slab_machine *machine = arg;
    (void)prng;
    return slab_machine_check(machine) ? NULL : machine->why;
}

static uint64_t count(const void *machine)
{
    return ((const struct slab_machine *)machine)->counter;
}

int main(int argc, char **argv)
{
    static const struct lives lives = {
        .name = "slab_random",
        .ops = &slab_machine_explored,
        .seeds = 400,
        .pace = LIVES_PACE,
        .init = init,
        .operate = operate,
        .is_dead = is_dead,
        .look = look,
        .counted = "changes",
        .count = count,
    };
    return lives_main(&lives, argc, argv);
}
