/* SPDX-License-Identifier: MIT */
/*
 * Changes of several ranges of any bytes, which overlap, of a file that becomes longer and shorter:
 * against a model, by seed, through reopening, death and loss of power.
 */
#include "owner.h"

#include "lib/prng.h"

enum { MOST = 12000, RANGES = 5, STATES = 512, STEPS = 400 };

struct content {
    uint64_t length, epoch;
    uint8_t bytes[MOST];
};

/* What is durable, and behind it what every change since then has made of it. */
struct model {
    struct owner *owner;
    struct prng prng;
    struct content *states;
    size_t count;
};

static struct content *newest(struct model *model)
{
    return &model->states[model->count - 1];
}

static void forget(struct model *model, size_t count)
{
    model->count -= count;
    memmove(model->states, model->states + count, model->count * sizeof *model->states);
}

/* Forgets what was before the durable state. */
static void settle(struct model *model)
{
    uint64_t durable = commit_durable(journal_commit(model->owner->journal));
    size_t old = 0;
    while (old + 1 < model->count && model->states[old + 1].epoch <= durable)
        old++;
    forget(model, old);
}

static uint64_t between(struct model *model, uint64_t from, uint64_t to)
{
    return from + prng_below(&model->prng, to - from + 1);
}

/* ---- changes ---- */

struct draft {
    struct journal_range ranges[RANGES + 1];
    size_t count, size;
    uint8_t bytes[MOST + RANGES * 700];
};

static void add_range(struct model *model, struct draft *draft, struct content *next, uint64_t from,
                      uint64_t bytes)
{
    if (prng_below(&model->prng, 3) == 0) {
        memset(next->bytes + from, 0, (size_t)bytes);
        draft->ranges[draft->count++] = (struct journal_range){from, bytes, true};
        return;
    }
    prng_fill(&model->prng, draft->bytes + draft->size, (size_t)bytes);
    memcpy(next->bytes + from, draft->bytes + draft->size, (size_t)bytes);
    draft->ranges[draft->count++] = (struct journal_range){from, bytes, false};
    draft->size += (size_t)bytes;
}

static void add_ranges(struct model *model, struct draft *draft, struct content *next)
{
    size_t ranges = prng_below(&model->prng, RANGES + 1);
    uint64_t around = between(model, OWNER_START, next->length);
    for (size_t i = 0; i < ranges && next->length > OWNER_START; i++) {
        bool near = prng_below(&model->prng, 2); /* so that they overlap */
        uint64_t from = between(model, OWNER_START, next->length - 1);
        if (near && around < next->length)
            from = around;
        uint64_t most = next->length - from < 700 ? next->length - from : 700;
        add_range(model, draft, next, from, between(model, 1, most));
    }
}

/* In pieces of any size. */
static int divide(struct model *model, struct draft *draft, struct iovec iov[4])
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        size_t part = i == 3 ? draft->size - at : (size_t)between(model, 0, draft->size - at);
        iov[i] = (struct iovec){draft->bytes + at, part};
        at += part;
    }
    return 4;
}

static void change(struct model *model)
{
    struct owner *owner = model->owner;
    struct draft *draft = calloc(1, sizeof *draft);
    assert_non_null(draft);
    assert_true(model->count < STATES);
    struct content *before = newest(model), *next = before + 1;
    struct journal_change change = {.ranges = draft->ranges};
    struct iovec iov[4];
    *next = *before;
    change.set_length = prng_below(&model->prng, 4) == 0;
    if (change.set_length)
        next->length = change.length = between(model, OWNER_START, MOST);
    if (next->length > before->length) {
        OK(journal_extend(owner->journal, next->length, &owner->err));
        add_range(model, draft, next, before->length, next->length - before->length);
    }
    add_ranges(model, draft, next);
    change.range_count = draft->count;
    change.iov = iov;
    change.iov_count = divide(model, draft, iov);
    OK(journal_stage(owner->journal, &change, &next->epoch, &owner->err));
    model->count++;
    free(draft);
}

/* ---- reads ---- */

static void expect(struct model *model, const struct content *wanted, bool durable)
{
    struct owner *owner = model->owner;
    uint8_t found[MOST];
    if (wanted->length == OWNER_START)
        return;
    uint64_t from = between(model, OWNER_START, wanted->length - 1);
    uint64_t bytes = between(model, 1, wanted->length - from);
    if (prng_below(&model->prng, 4) == 0)
        from = OWNER_START, bytes = wanted->length - from;
    OK(journal_read(owner->journal, from, bytes, bytes, durable, found, &owner->err));
    for (uint64_t i = 0; i < bytes; i++)
        if (found[i] != wanted->bytes[from + i])
            fail_msg("byte %llu of %llu is wrong%s", (unsigned long long)(from + i),
                     (unsigned long long)wanted->length, durable ? " (durable)" : "");
}

static void look(struct model *model)
{
    settle(model);
    assert_int_equal(journal_length(model->owner->journal), model->states[0].length);
    expect(model, &model->states[0], true);
    expect(model, newest(model), false);
}

/* ---- lives ---- */

/* Opened anew, the file is what one of the changes left, or the durable state. */
static void find_state(struct model *model)
{
    struct owner *owner = model->owner;
    uint8_t found[MOST];
    uint64_t length = journal_length(owner->journal), bytes = length - OWNER_START;
    assert_true(length <= MOST);
    OK(journal_read(owner->journal, OWNER_START, bytes, bytes + 1, false, found, &owner->err));
    for (size_t i = model->count; i-- > 0;) {
        struct content *state = &model->states[i];
        if (state->length != length ||
            memcmp(found, state->bytes + OWNER_START, (size_t)bytes) != 0)
            continue;
        forget(model, i);
        model->count = 1;
        model->states[0].epoch = 0;
        return;
    }
    fail_msg("%llu bytes, which are no state of it", (unsigned long long)length);
}

static void reopen(struct model *model)
{
    size_t size;
    owner_close(model->owner);
    uint8_t *bytes = owner_load(model->owner, MAIN, &size);
    assert_int_equal(size, newest(model)->length);
    assert_memory_equal(bytes + OWNER_START, newest(model)->bytes + OWNER_START,
                        size - OWNER_START);
    free(bytes);
    forget(model, model->count - 1);
    owner_open(model->owner);
    find_state(model);
}

static void crash(struct model *model, bool power)
{
    struct owner *owner = model->owner;
    settle(model);
    owner_kill(owner);
    if (power)
        OK(firn_faulty_restart_random(owner->faulty, prng_next(&model->prng), &owner->err));
    owner_open(owner);
    find_state(model);
}

static void step(struct model *model)
{
    struct owner *owner = model->owner;
    switch (prng_below(&model->prng, 24)) {
    case 0:
        owner_force(owner);
        break;
    case 1:
        firn_env_run(owner->env);
        break;
    case 2:
        reopen(model);
        break;
    case 3:
        crash(model, false);
        break;
    case 4:
        crash(model, true);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        look(model);
        break;
    default:
        change(model);
    }
}

static void run(struct owner *owner, uint64_t seed)
{
    struct model model = {.owner = owner, .prng = prng_new(seed), .count = 1};
    model.states = calloc(STATES + 1, sizeof *model.states);
    assert_non_null(model.states);
    model.states[0].length = OWNER_LENGTH;
    for (int i = 0; i < STEPS; i++)
        step(&model);
    look(&model);
    reopen(&model);
    free(model.states);
}

static void follows_the_model(void **state)
{
    const char *effort = getenv("FIRN_TEST_EFFORT"), *only = getenv("FIRN_TEST_SEED");
    uint64_t seeds = effort && strcmp(effort, "full") == 0 ? 300 : 40;
    uint64_t *seed = *state = malloc(sizeof *seed);
    assert_non_null(seed);
    *seed = only ? strtoull(only, NULL, 10) : 1;
    for (uint64_t end = *seed + (only ? 1 : seeds); *seed < end; (*seed)++) {
        void *owner;
        owner_setup(&owner);
        run(owner, *seed);
        owner_teardown(&owner);
    }
    free(seed);
    *state = NULL;
}

static int report(void **state)
{
    uint64_t *seed = *state;
    if (seed)
        print_error("again: FIRN_TEST_SEED=%llu test-journal-ranges\n", (unsigned long long)*seed);
    free(seed);
    return 0;
}

/* ---- one by one ---- */

static void later_ranges_win(void **state)
{
    struct owner *owner = *state;
    const struct journal_range ranges[] = {
        {100, 10, false}, {95, 10, false}, {103, 4, false}, {100, 1, false}};
    uint8_t bytes[25];
    memset(bytes, 1, 10);
    memset(bytes + 10, 2, 10);
    memset(bytes + 20, 3, 4);
    bytes[24] = 4;
    const struct iovec iov = {bytes, sizeof bytes};
    const struct journal_change change = {ranges, 4, &iov, 1, false, 0};
    OK(journal_stage(owner->journal, &change, NULL, &owner->err));
    for (int round = 0; round < 4; round++) {
        owner_expect(owner, 95, 2, 5, false);
        owner_expect(owner, 100, 4, 1, false);
        owner_expect(owner, 101, 2, 2, false);
        owner_expect(owner, 103, 3, 4, false);
        owner_expect(owner, 107, 1, 3, false);
        if (round == 0)
            owner_force(owner);
        if (round == 1)
            owner_kill(owner);
        if (round == 2)
            owner_close(owner);
        if (round == 1 || round == 2)
            owner_open(owner);
    }
}

static void set_length(struct owner *owner, uint64_t length, uint64_t from, uint8_t byte)
{
    uint8_t bytes[2000];
    memset(bytes, byte, sizeof bytes);
    const struct journal_range range = {from, length - from, false};
    const struct iovec iov = {bytes, length > from ? (size_t)(length - from) : 0};
    const struct journal_change change = {&range, iov.iov_len ? 1 : 0, &iov, 1, true, length};
    if (length > journal_length(owner->journal))
        OK(journal_extend(owner->journal, length, &owner->err));
    OK(journal_stage(owner->journal, &change, NULL, &owner->err));
}

/* As a stack does it: push, pop, push again, in one round of applying. */
static void becomes_shorter_and_longer(void **state)
{
    struct owner *owner = *state;
    set_length(owner, OWNER_LENGTH + 1500, OWNER_LENGTH, 1);
    owner_force(owner);
    set_length(owner, OWNER_LENGTH + 100, OWNER_LENGTH + 100, 0);
    owner_force(owner);
    assert_int_equal(journal_length(owner->journal), OWNER_LENGTH + 100);
    owner_expect(owner, OWNER_LENGTH, 1, 100, true);
    set_length(owner, OWNER_LENGTH + 300, OWNER_LENGTH + 100, 2);
    owner_expect(owner, OWNER_LENGTH + 100, 2, 200, false);
    owner_force(owner);
    owner_kill(owner);
    OK(firn_faulty_restart(owner->faulty, 0, &owner->err));
    owner_open(owner);
    assert_int_equal(journal_length(owner->journal), OWNER_LENGTH + 300);
    owner_expect(owner, OWNER_LENGTH, 1, 100, true);
    owner_expect(owner, OWNER_LENGTH + 100, 2, 200, true);
}

static void put_zeros(struct owner *owner, uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes, length = journal_length(owner->journal);
    const struct journal_range range = {offset, bytes, true};
    const struct journal_change change = {&range, 1, NULL, 0, end > length, end};
    if (end > length)
        OK(journal_extend(owner->journal, end, &owner->err));
    OK(journal_stage(owner->journal, &change, NULL, &owner->err));
    owner_force(owner);
}

/* Until all that was staged so far is in the file. */
static void apply(struct owner *owner)
{
    struct journal_info before, after;
    journal_get_info(owner->journal, &before);
    do {
        owner_fill(owner, 100, 7, 3000);
        owner_force(owner);
        firn_env_run(owner->env);
        journal_get_info(owner->journal, &after);
    } while (after.applies < before.applies + 2);
}

/* Far enough from what else is written that no write covers both. */
static void zeros_cover_what_was_applied(void **state)
{
    enum { FAR = OWNER_LENGTH + 10500 };
    struct owner *owner = *state;
    size_t size;
    set_length(owner, FAR + 1500, FAR, 1);
    apply(owner);
    put_zeros(owner, FAR + 100, 1300);
    for (int round = 0; round < 2; round++) {
        owner_expect(owner, FAR, 1, 100, true);
        owner_expect(owner, FAR + 100, 0, 1300, true);
        owner_expect(owner, FAR + 1400, 1, 100, true);
        apply(owner);
    }
    owner_close(owner);
    uint8_t *bytes = owner_load(owner, MAIN, &size);
    assert_int_equal(size, FAR + 1500);
    for (size_t i = 0; i < 1500; i++)
        assert_int_equal(bytes[FAR + i], i < 100 || i >= 1400);
    free(bytes);
}

/* They are no part of the record, and where nothing was written they are there already. */
static void many_zeros_cost_nothing(void **state)
{
    enum { MANY = 64 << 20 };
    struct owner *owner = *state;
    struct journal_info info;
    put_zeros(owner, OWNER_LENGTH, MANY);
    owner_fill(owner, OWNER_LENGTH + MANY - 10, 5, 10);
    apply(owner);
    journal_get_info(owner->journal, &info);
    assert_true(info.applied_bytes < 1 << 20);
    owner_kill(owner);
    owner_open(owner);
    assert_int_equal(journal_length(owner->journal), OWNER_LENGTH + MANY);
    owner_expect(owner, OWNER_LENGTH + MANY / 2, 0, MANY / 2 - 10, true);
    owner_expect(owner, OWNER_LENGTH + MANY - 10, 5, 10, true);
}

/* Recovery would refuse them, and with them all that came later. */
static void refuses_what_lies_beyond(void **state)
{
    static const struct {
        uint64_t offset, bytes;
    } cases[] = {{OWNER_LENGTH, 10}, {OWNER_LENGTH - 9, 10}, {100, 0}, {UINT64_MAX - 5, 10}};
    struct owner *owner = *state;
    uint8_t bytes[10] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct journal_range range = {cases[i].offset, cases[i].bytes, false};
        const struct iovec iov = {bytes, (size_t)cases[i].bytes};
        const struct journal_change change = {&range, 1, &iov, 1, false, 0};
        assert_int_equal(journal_stage(owner->journal, &change, NULL, &owner->err), FIRN_ERANGE);
    }
    const struct journal_change huge = {NULL, 0, NULL, 0, true, UINT64_MAX};
    assert_int_equal(journal_stage(owner->journal, &huge, NULL, &owner->err), FIRN_ERANGE);
    owner_fill(owner, OWNER_LENGTH - 10, 1, 10);
    owner_kill(owner);
    owner_open(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(follows_the_model, report),
        cmocka_unit_test_setup_teardown(later_ranges_win, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(refuses_what_lies_beyond, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(becomes_shorter_and_longer, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(zeros_cover_what_was_applied, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(many_zeros_cost_nothing, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/ranges", tests, NULL, NULL);
}
