/* SPDX-License-Identifier: MIT */
/*
 * Every operation against a model, by seed: in RAM, on files, without a journal; applied and closed
 * now and then.
 */
#include "fixture.h"

#include "crash/stack_model.h"
#include "lib/prng.h"

enum { STEPS = 300, MOST = 60000 };

static void check(struct fixture *f, const struct content *content, struct prng *prng)
{
    uint64_t from = prng_below(prng, content->length + 1);
    uint64_t size = prng_below(prng, content->length - from + 1);
    uint8_t *found = malloc((size_t)size + 1);
    assert_non_null(found);
    assert_int_equal(firn_stack_length(f->stack), content->length);
    OK(firn_stack_get(f->stack, from, found, (size_t)size, &f->err));
    if (size)
        assert_memory_equal(found, content->bytes + from, size);
    free(found);
}

static void step(struct fixture *f, struct content *content, struct prng *prng, uint64_t number)
{
    static const char operations[] = STACK_OPERATIONS "PPMM";
    char operation = operations[prng_below(prng, sizeof operations - 1)];
    const char *why;
    struct content after;
    if (operation == 'm' && f->kind.no_journal)
        return;
    if (content->length > MOST) {
        OK(firn_stack_discard(f->stack, content->length, &f->err));
        content->length = 0;
    }
    OK(stack_operate(f->stack, operation, number, content, &after, &why, &f->err));
    if (why)
        fail_msg("%c: %s", operation, why);
    content_done(content);
    *content = after;
}

static void run(struct fixture *f, uint64_t seed)
{
    struct prng prng = prng_new(seed);
    struct content content = {0};
    for (uint64_t i = 0; i < STEPS; i++) {
        step(f, &content, &prng, seed << 20 | i);
        check(f, &content, &prng);
        if (prng_below(&prng, 30) == 0)
            fixture_reopen(f);
    }
    fixture_reopen(f);
    expect(f, content.bytes, (size_t)content.length);
    OK(firn_stack_discard(f->stack, content.length, &f->err));
    content_done(&content);
}

static uint64_t running; /* 0: none */

static int report(void **state)
{
    if (running)
        print_error("again: FIRN_TEST_SEED=%llu test-stack-model\n", (unsigned long long)running);
    return fixture_teardown(state);
}

static void follows_the_model(void **state)
{
    struct fixture *f = *state;
    const char *effort = getenv("FIRN_TEST_EFFORT"), *only = getenv("FIRN_TEST_SEED");
    uint64_t seeds = effort && strcmp(effort, "less") == 0 ? 3 : 20;
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
    const struct CMUnitTest tests[] = {
        MODEL_IN(in_memory),
        MODEL_IN(on_files),
        MODEL_IN(single_memory),
        MODEL_IN(single_files),
    };
    return cmocka_run_group_tests_name("stack/model", tests, NULL, NULL);
}
