/* SPDX-License-Identifier: MIT */
/* Long random lives of a pipe, with readers of what is staged and of what is durable. */
#include "lives.h"
#include "pipe_machine.h"

enum { CHUNKS_MOST = 160, LARGE = 24 * 1024 };

static void init(void *machine, struct prng *prng)
{
    static const uint64_t chunk_bytes[] = {1, 3, 16, 64, 100, 512, 600, 4096};
    const struct pipe_shape shape = {.chunk_bytes = chunk_bytes[prng_below(prng, 8)],
                                     .chunks = 4 + prng_below(prng, 60),
                                     .refuse = prng_below(prng, 4) == 0};
    pipe_machine_init(machine, &shape);
}

static int one_operation(struct pipe_machine *machine, struct prng *prng)
{
    static const char operations[] = "wwwwwwmmmttttddppWWTTTgggffobbbbcaLLL";
    uint64_t chunks = pipe_model_last(&machine->model)->count;
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    if (machine->shape.refuse && prng_below(prng, 20) == 0 && chunks < CHUNKS_MOST)
        operation = 'R';
    if (operation == 'g' && chunks >= CHUNKS_MOST)
        operation = 'w';
    if (operation == 'g')
        return pipe_machine_grow(machine, 1 + prng_below(prng, prng_below(prng, 4) ? 3 : 40));
    if (operation == 'w') {
        uint64_t large = LARGE / machine->shape.chunk_bytes;
        uint64_t most = prng_below(prng, 4) ? 2 : large < chunks ? large : chunks;
        uint64_t count = 1 + prng_below(prng, most);
        return pipe_machine_write(machine, prng_below(prng, chunks - count + 1), count);
    }
    return pipe_machine_do(machine, operation);
}

static int operate(void *arg, struct prng *prng)
{
    struct pipe_machine *machine = arg;
    int rc = one_operation(machine, prng);
    if (rc == FIRN_EAGAIN && machine->shape.refuse && machine->pipe &&
        (rc = pipe_machine_do(machine, 'f')) == 0)
        pipe_machine_background(machine);
    return rc;
}

static bool is_dead(void *machine, int rc)
{
    (void)rc;
    return firn_pipe_flush(((struct pipe_machine *)machine)->pipe, NULL) == FIRN_EPOISONED;
}

static const char *look(void *arg, struct prng *prng)
{
    struct pipe_machine *machine = arg;
    (void)prng;
    return pipe_machine_check_reads(machine) ? NULL : machine->why;
}

static uint64_t count(const void *machine)
{
    return ((const struct pipe_machine *)machine)->model.counter;
}

int main(int argc, char **argv)
{
    static const struct lives lives = {
        .name = "pipe_random",
        .ops = &pipe_machine_explored,
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
