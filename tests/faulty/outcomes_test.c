/* SPDX-License-Identifier: MIT */
/*
 * All outcomes of random short runs, against a second, simple-minded model of what can be on a
 * disk.
 *
 * That model keeps the set of all states that the medium can be in, each a size and all bytes, and
 * lets every operation turn every state into all that can follow from it:
 * - a write to a sector: the state stays, or the sector becomes what the page cache has there now;
 * - a change of size: the state stays - and takes no later change of size - or follows it;
 * - a durable write: the bytes are in every state, and every state is large enough;
 * - a sync: there is one state, what the page cache has.
 */
#include "prng.h"
#include "support.h"

enum { MOST_BYTES = 2048, SECTOR = 512, MOST_STATES = 60000, ROUNDS = 3000 };

struct image {
    size_t size;
    bool stuck; /* a change of size did not survive: none after it does */
    uint8_t bytes[MOST_BYTES];
};

struct set {
    struct image *items;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const struct image *x = a;
    const struct image *y = b;
    if (x->size != y->size) {
        return x->size < y->size ? -1 : 1;
    }
    if (x->stuck != y->stuck) {
        return x->stuck ? 1 : -1;
    }
    return memcmp(x->bytes, y->bytes, MOST_BYTES);
}

static void set_tidy(struct set *set)
{
    qsort(set->items, set->count, sizeof(*set->items), compare);
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (kept == 0 || compare(&set->items[kept - 1], &set->items[i]) != 0) {
            set->items[kept++] = set->items[i];
        }
    }
    set->count = kept;
}

/* Doubles the set; the second half is for the states that follow. */
static size_t set_double(struct set *set)
{
    size_t n = set->count;
    assert_true(2 * n <= MOST_STATES);
    memcpy(set->items + n, set->items, n * sizeof(*set->items));
    set->count = 2 * n;
    return n;
}

/* ---- the second model --------------------------------------------------------------------- */

struct model {
    struct set states;
    struct image cache;
};

static void model_write(struct model *model, size_t offset, size_t n, uint8_t byte)
{
    memset(model->cache.bytes + offset, byte, n);
    for (size_t s = offset / SECTOR; s <= (offset + n - 1) / SECTOR; s++) {
        size_t half = set_double(&model->states);
        for (size_t i = half; i < model->states.count; i++) {
            memcpy(model->states.items[i].bytes + s * SECTOR, model->cache.bytes + s * SECTOR,
                   SECTOR);
        }
        set_tidy(&model->states);
    }
}

static void model_size(struct model *model, size_t size, bool shrink)
{
    struct set *states = &model->states;
    if (shrink ? size >= model->cache.size : size <= model->cache.size) {
        return;
    }
    size_t half = set_double(states);
    for (size_t i = 0; i < half; i++) {
        struct image *follows = &states->items[half + i];
        states->items[i].stuck = true;
        if (!follows->stuck && shrink && follows->size > size) {
            follows->size = size;
        } else if (!follows->stuck && !shrink && follows->size < size) {
            follows->size = size;
        }
        if (!follows->stuck && shrink) {
            memset(follows->bytes + size, 0, MOST_BYTES - size);
        }
    }
    model->cache.size = size;
    if (shrink) {
        memset(model->cache.bytes + size, 0, MOST_BYTES - size);
    }
    set_tidy(states);
}

static void model_grow_to(struct model *model, size_t size)
{
    model_size(model, size, false);
}

/* The zeroing of the last sector is a write, before the change of size. */
static void model_shrink_to(struct model *model, size_t size)
{
    size_t end = (size + SECTOR - 1) / SECTOR * SECTOR;
    end = end < model->cache.size ? end : model->cache.size;
    if (size < end) {
        model_write(model, size, end - size, 0);
    }
    model_size(model, size, true);
}

static void model_durable(struct model *model, size_t offset, size_t n)
{
    for (size_t i = 0; i < model->states.count; i++) {
        struct image *state = &model->states.items[i];
        memcpy(state->bytes + offset, model->cache.bytes + offset, n);
        state->size = state->size < offset + n ? offset + n : state->size;
    }
    set_tidy(&model->states);
}

static void model_sync(struct model *model)
{
    model->states.items[0] = model->cache;
    model->states.count = 1;
}

/* What is behind the end, and why a size is what it is, nobody sees. */
static void model_finish(struct model *model)
{
    for (size_t i = 0; i < model->states.count; i++) {
        struct image *state = &model->states.items[i];
        state->stuck = false;
        memset(state->bytes + state->size, 0, MOST_BYTES - state->size);
    }
    set_tidy(&model->states);
}

/* ---- the same in the simulator ------------------------------------------------------------- */

static void get_image(struct firn_faulty *sim, struct image *image)
{
    void *bytes = NULL;
    memset(image, 0, sizeof(*image));
    OK(firn_faulty_get(sim, "f", FIRN_FAULTY_CURRENT, &bytes, &image->size, NULL));
    assert_in_range(image->size, 0, MOST_BYTES);
    memcpy(image->bytes, bytes, image->size);
    free(bytes);
}

static void all_outcomes(struct firn_faulty *sim, uint64_t count, struct set *set)
{
    set->count = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        get_image(copy, &set->items[set->count++]);
        firn_faulty_free(copy);
    }
}

struct run {
    struct model model;
    struct firn_faulty *sim;
    struct firn_file *file;
    struct prng random;
    bool shrinks; /* instead of durable writes: how these two go together, the model can't say */
    struct lines story;
};

static void tell(struct run *run, const char *what, size_t offset, size_t n)
{
    char line[80];
    (void)snprintf(line, sizeof(line), "  %s %zu at %zu", what, n, offset);
    lines_add(&run->story, line);
}

static void step_write(struct run *run, bool durable)
{
    size_t offset = prng_below(&run->random, MOST_BYTES / 64) * 64;
    size_t most = MOST_BYTES - offset < 800 ? MOST_BYTES - offset : 800;
    size_t n = 1 + prng_below(&run->random, most);
    uint8_t byte = (uint8_t)prng_below(&run->random, 3);
    tell(run, durable ? "durable" : "write", offset, n);
    model_write(&run->model, offset, n, byte);
    model_grow_to(&run->model, offset + n);
    if (durable) {
        OK(file_fill_durable(run->file, byte, n, offset));
        model_durable(&run->model, offset, n);
    } else {
        OK(file_fill(run->file, byte, n, offset));
    }
}

static void step(struct run *run)
{
    size_t size = prng_below(&run->random, MOST_BYTES / 32) * 32;
    switch (prng_below(&run->random, 10)) {
    case 0:
        tell(run, "sync", 0, 0);
        OK(file_sync(run->file));
        model_sync(&run->model);
        break;
    case 1:
    case 2:
        if (run->shrinks) {
            tell(run, "truncate", 0, size);
            OK(file_truncate(run->file, size));
            model_shrink_to(&run->model, size);
            model_grow_to(&run->model, size);
            break;
        }
        step_write(run, true);
        break;
    case 3:
        tell(run, "reserve", 0, size);
        OK(file_reserve(run->file, 0, size));
        model_grow_to(&run->model, size);
        break;
    default:
        step_write(run, false);
        break;
    }
}

static void begin(struct run *run)
{
    struct image *first = &run->model.states.items[0];
    run->sim = sim_new(1);
    memset(first, 0, sizeof(*first));
    first->size = prng_below(&run->random, 1500);
    memset(first->bytes, 1, first->size);
    OK(firn_faulty_put(run->sim, "f", first->bytes, first->size, NULL));
    run->file = file_open(run->sim, "f", FIRN_OPEN_WRITE);
    run->model.states.count = 1;
    run->model.cache = *first;
    run->shrinks = prng_below(&run->random, 2) == 0;
    run->story.length = 0;
    tell(run, "begin with", 0, first->size);
}

/* False if there were too many states to go on. */
static bool play(struct run *run)
{
    uint64_t steps = 1 + prng_below(&run->random, 5);
    for (uint64_t i = 0; i < steps; i++) {
        step(run);
        if (run->model.states.count > 1500) {
            return false;
        }
    }
    return true;
}

static void compare_sets(struct run *run, uint64_t seed, struct set *found)
{
    uint64_t outcomes = firn_faulty_outcomes(run->sim);
    model_finish(&run->model);
    assert_in_range(outcomes, 1, MOST_STATES);
    all_outcomes(run->sim, outcomes, found);
    set_tidy(found);
    bool same = found->count == run->model.states.count &&
                memcmp(found->items, run->model.states.items,
                       found->count * sizeof(*found->items)) == 0;
    if (!same) {
        fail_msg("round %llu: %zu states, %zu expected\n%s", (unsigned long long)seed, found->count,
                 run->model.states.count, run->story.text);
    }
    struct image now;
    get_image(run->sim, &now);
    assert_int_equal(now.size, run->model.cache.size);
    assert_memory_equal(now.bytes, run->model.cache.bytes, MOST_BYTES);
}

static void test_against_the_second_model(void **state)
{
    (void)state;
    static struct run run;
    struct set found = {calloc(MOST_STATES, sizeof(struct image)), 0};
    run.model.states.items = calloc(MOST_STATES, sizeof(struct image));
    assert_non_null(found.items);
    assert_non_null(run.model.states.items);
    size_t compared = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        run.random = prng_new(seed);
        begin(&run);
        if (play(&run)) {
            compare_sets(&run, seed, &found);
            compared++;
        }
        file_close(run.file);
        firn_faulty_free(run.sim);
    }
    assert_in_range(compared, ROUNDS / 2, ROUNDS);
    free(found.items);
    free(run.model.states.items);
}

/* ---- random restarts ----------------------------------------------------------------------- */

static struct firn_faulty *three_files(void)
{
    struct firn_faulty *sim = sim_new(9);
    put_text(sim, "a", "aaaaaaaa");
    put_text(sim, "b", "bbbbbbbb");
    struct firn_file *a = file_open(sim, "a", FIRN_OPEN_WRITE);
    struct firn_file *b = file_open(sim, "b", FIRN_OPEN_WRITE);
    struct firn_file *c = file_create(sim, "c");
    OK(file_write(a, "11111111", 8, 0));
    OK(file_write(b, "22222222", 8, 0));
    OK(file_write(c, "33333333", 8, 0));
    OK(file_write(a, "44444444", 8, 0));
    file_close(a);
    file_close(b);
    file_close(c);
    return sim;
}

/* Random outcomes without tears are among the numbered ones, and after a while are all of them. */
static void test_random_restarts(void **state)
{
    (void)state;
    struct firn_faulty *sim = three_files();
    uint64_t outcomes = firn_faulty_outcomes(sim);
    assert_int_equal(outcomes, 3 * 2 * (1 + 1 + 2));
    uint64_t hashes[24];
    bool seen[24] = {false};
    for (uint64_t i = 0; i < outcomes; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i, NULL));
        hashes[i] = firn_faulty_hash(copy);
        for (uint64_t k = 0; k < i; k++) {
            assert_true(hashes[k] != hashes[i]);
        }
        firn_faulty_free(copy);
    }
    size_t torn = 0;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart_random(copy, seed, NULL));
        uint64_t hash = firn_faulty_hash(copy);
        uint64_t i = 0;
        while (i < outcomes && hashes[i] != hash) {
            i++;
        }
        torn += i == outcomes ? 1 : 0;
        if (i < outcomes) {
            seen[i] = true;
        }
        firn_faulty_free(copy);
    }
    for (uint64_t i = 0; i < outcomes; i++) {
        if (!seen[i]) {
            fail_msg("outcome %llu was never drawn", (unsigned long long)i);
        }
    }
    assert_in_range(torn, 250, 2500);
    firn_faulty_free(sim);
}

static void test_random_restart_repeats(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uint64_t hashes[2];
        for (size_t i = 0; i < 2; i++) {
            struct firn_faulty *sim = three_files();
            OK(firn_faulty_restart_random(sim, seed, NULL));
            hashes[i] = firn_faulty_hash(sim);
            firn_faulty_free(sim);
        }
        assert_int_equal(hashes[0], hashes[1]);
    }
}

static void test_more_outcomes_than_numbers(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "f", "");
    struct firn_file *file = file_open(sim, "f", FIRN_OPEN_WRITE);
    OK(file_reserve(file, 0, 65536));
    OK(file_sync(file));
    OK(file_fill(file, 'x', 65536, 0));
    file_close(file);
    assert_true(firn_faulty_outcomes(sim) == UINT64_MAX);
    struct firn_faulty *copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, UINT64_MAX - 1, NULL));
    expect_fill(copy, "f", 'x', 65536, 0);
    firn_faulty_free(copy);
    copy = sim_clone(sim);
    OK(firn_faulty_restart(copy, 5, NULL)); /* the first and the third sector */
    expect_fill(copy, "f", 'x', 512, 0);
    expect_fill(copy, "f", 0, 512, 512);
    expect_fill(copy, "f", 'x', 512, 1024);
    expect_fill(copy, "f", 0, 65536 - 1536, 1536);
    firn_faulty_free(copy);
    OK(firn_faulty_restart(sim, 0, NULL));
    expect_fill(sim, "f", 0, 65536, 0);
    firn_faulty_free(sim);
}

static void test_describe(void **state)
{
    (void)state;
    struct firn_faulty *sim = three_files();
    struct lines lines = {.length = 0};
    firn_faulty_describe(sim, 0, lines_add, &lines);
    assert_non_null(strstr(lines.text, "a: bytes 0 to 512, version 0 of 0 to 2\n"));
    assert_non_null(strstr(lines.text, "c: no such name, option 0 of 0 to 1\n"));
    lines.length = 0;
    firn_faulty_describe(sim, FIRN_FAULTY_ALL, lines_add, &lines);
    assert_non_null(strstr(lines.text, "a: bytes 0 to 512, version 2 of 0 to 2\n"));
    assert_non_null(strstr(lines.text, "c: a name, option 1 of 0 to 1\n"));
    assert_non_null(strstr(lines.text, "c: size 8, number 1 of 0 to 1\n"));
    assert_int_equal(firn_faulty_outcomes(sim), 24);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_second_model),
        cmocka_unit_test(test_random_restarts),
        cmocka_unit_test(test_random_restart_repeats),
        cmocka_unit_test(test_more_outcomes_than_numbers),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
