/* SPDX-License-Identifier: MIT */
/*
 * Every operation against a model, by seed: in RAM and on files, closed and opened again now and
 * then. Every byte of the stack is the model's.
 */
#include "crash/slab_model.h"
#include "lib/prng.h"
#include "slab_fixture.h"

enum { STEPS = 1000, BLOCKS_MOST = 40 };

static void check(struct fixture *f, const struct slab_model *model)
{
    const struct firn_slab_live live = {.slices = model->live, .count = model->count};
    struct firn_slab_findings check;
    expect(f, model->content.bytes, (size_t)model->content.length);
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_int_equal(check.leaked_blocks, 0);
}

static void step(struct fixture *f, struct firn_slab *slab, struct slab_model *model,
                 struct prng *prng, uint64_t number)
{
    static const char operations[] = SLAB_OPERATIONS "nnFFwwwwweeeeegg";
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    const char *why;
    struct slab_model after;
    if (model->content.length > BLOCKS_MOST * model->block_size)
        operation = prng_below(prng, 2) ? 'l' : 'F';
    OK(slab_operate(slab, operation, number, model, &after, &why, &f->err));
    if (why)
        fail_msg("%c: %s", operation, why);
    slab_model_done(model);
    *model = after;
}

static void run(struct fixture *f, uint64_t seed)
{
    static const uint64_t sizes[] = {8, 9, 16, 64, 1000, 5000};
    struct prng prng = prng_new(seed);
    uint64_t size = sizes[prng_below(&prng, 6)];
    struct firn_slab *slab = slab_create(f, size);
    struct slab_model model = {0};
    slab_model_create(&model, size);
    for (uint64_t i = 0; i < STEPS; i++) {
        step(f, slab, &model, &prng, seed << 20 | i);
        if (prng_below(&prng, 10) == 0)
            check(f, &model);
        if (prng_below(&prng, 30) == 0)
            slab_reopen(f, &slab);
    }
    check(f, &model);
    firn_slab_close(slab);
    OK(firn_stack_discard(f->stack, firn_stack_length(f->stack), &f->err));
    slab_model_done(&model);
}

static uint64_t running; /* 0: none */

static int report(void **state)
{
    if (running)
        print_error("again: FIRN_TEST_SEED=%llu test-slab-model\n", (unsigned long long)running);
    return fixture_teardown(state);
}

static void follows_the_model(void **state)
{
    struct fixture *f = *state;
    const char *effort = getenv("FIRN_TEST_EFFORT"), *only = getenv("FIRN_TEST_SEED");
    uint64_t seeds = effort && strcmp(effort, "less") == 0 ? 3 : 30;
    if (f->kind.storage == FILES)
        seeds = 1;
    running = only ? strtoull(only, NULL, 10) : 1;
    for (uint64_t end = running + (only ? 1 : seeds); running < end; running++)
        run(f, running);
    running = 0;
}

#define MODEL_IN(kind)                                                                             \
    cmocka_unit_test_prestate_setup_teardown(follows_the_model, fixture_setup, report,             \
                                             (void *)(uintptr_t) & (kind))

int main(void)
{
    const struct CMUnitTest tests[] = {MODEL_IN(in_memory), MODEL_IN(on_files)};
    return cmocka_run_group_tests_name("slab/model", tests, NULL, NULL);
}
