/* SPDX-License-Identifier: MIT */
/* Long random lives of a stream, which may have other options in each. */
#include "lives.h"
#include "stream_machine.h"

enum { PARTS_MOST = 9 };

static void init(void *machine, struct prng *prng)
{
    static struct stream_shape shape; /* the machine keeps the pointer */
    shape = (struct stream_shape){.blocks = 1 + (uint32_t)prng_below(prng, 5),
                                  .spans = prng_below(prng, 4) > 0,
                                  .env = prng_below(prng, 2)};
    stream_machine_init(machine, &shape);
}

static int operate(void *arg, struct prng *prng)
{
    static const char operations[] = "sssssbbBBBLLFSSW0gpahahxXkkvvlczz";
    struct stream_machine *machine = arg;
    const struct stream_model *model = &machine->model;
    if (model->list_end - model->first > PARTS_MOST)
        return stream_machine_do(machine, 'k');
    if (prng_below(prng, 3) == 0) {
        uint32_t most = prng_below(prng, 3) ? 600 : model->blocks * STREAM_MODEL_PAYLOAD;
        return stream_machine_append(machine, 1 + (uint32_t)prng_below(prng, most));
    }
    return stream_machine_do(machine, operations[prng_below(prng, sizeof operations - 1)]);
}

static const char *broken(const void *arg)
{
    const struct stream_machine *machine = arg;
    return machine->broken[0] ? machine->broken : NULL;
}

/* Poisoned, or loaded without success. */
static bool is_dead(void *arg, int rc)
{
    struct stream_machine *machine = arg;
    return rc == FIRN_EPOISONED || stream_machine_is_poisoned(machine) ||
           firn_stream_end(machine->stream) != stream_model_end(&machine->model, false);
}

static const char *look(void *arg, struct prng *prng)
{
    struct stream_machine *machine = arg;
    (void)prng;
    return stream_machine_check_reads(machine) ? NULL : machine->why;
}

static void vary(void *arg, struct prng *prng)
{
    static const size_t spans[] = {0, 300, 5000, SIZE_MAX};
    struct stream_machine *machine = arg;
    if (prng_below(prng, 3))
        return;
    machine->model.blocks = 1 + (uint32_t)prng_below(prng, 6);
    machine->model.span_bytes = spans[prng_below(prng, 4)];
}

static uint64_t count(const void *machine)
{
    return ((const struct stream_machine *)machine)->model.stamps;
}

int main(int argc, char **argv)
{
    static const struct lives lives = {
        .name = "stream_random",
        .ops = &stream_machine_explored,
        .seeds = 250,
        .pace = LIVES_PACE,
        .init = init,
        .operate = operate,
        .broken = broken,
        .is_dead = is_dead,
        .look = look,
        .look_with_faults = true,
        .vary = vary,
        .counted = "appends",
        .count = count,
    };
    return lives_main(&lives, argc, argv);
}
