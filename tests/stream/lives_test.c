/* SPDX-License-Identifier: MIT */
/*
 * Life after life of a part: appends, closes, stores that fail and leave in the system's cache what
 * is not on the medium, runs that end, power cuts at any store and while settling. Whatever
 * happened, the part can be loaded, and holds what was acknowledged, with or without the append
 * that failed.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stream/image.h"

enum { MOST_BYTES = 1 << 16 };

struct content {
    struct part_state state;
    uint8_t bytes[MOST_BYTES];
};

/* What the part holds: `now`, or `then` where an append failed that may be there all the same. */
static struct content now, then;
static bool maybe_then;
static uint8_t input[MOST_BYTES];

static void content_of(const struct part *part, const struct part_state *state,
                       struct content *content)
{
    content->state = *state;
    memcpy(content->bytes, part->data, state->used);
}

static bool is_content(const struct part *part, const struct content *content)
{
    return memcmp(&part->state, &content->state, sizeof part->state) == 0 &&
           memcmp(part->data, content->bytes, content->state.used) == 0;
}

struct life {
    struct image image;
    struct part *part;
    struct prng prng;
    bool trouble; /* stores may fail */
};

static bool chance(struct life *life, uint64_t n)
{
    return prng_below(&life->prng, n) == 0;
}

static void maybe_fail_next(struct life *life)
{
    life->image.fail = 0;
    if (life->trouble && chance(life, 3)) {
        life->image.fail = chance(life, 4) ? FIRN_ENOSPC : FIRN_EIO;
        life->image.fail_in = (int)prng_below(&life->prng, 3);
    }
}

/* The run ends, perhaps with the power. */
static void end_life(struct life *life)
{
    part_free(life->part);
    life->part = NULL;
    if (chance(life, 2))
        image_power_cut(&life->image);
    else if (chance(life, 2))
        image_drop(&life->image);
}

static void begin_life(struct life *life)
{
    int rc;
    struct part_look look = {.verify = chance(life, 2)};
    life->image.fail = 0;
    life->part = image_load(&life->image, &look, &rc);
    assert_int_equal(rc, 0);
    assert_true(is_content(life->part, &now) || (maybe_then && is_content(life->part, &then)));
    maybe_fail_next(life);
    if (part_settle(life->part, NULL) < 0) {
        end_life(life);
        return;
    }
    content_of(life->part, &life->part->state, &now); /* published */
    maybe_then = false;
    if (chance(life, 3))
        assert_int_equal(part_verify(life->part, NULL, NULL), 0);
}

static void append(struct life *life)
{
    struct part *part = life->part;
    if (part->state.used == part->capacity)
        return;
    static const size_t most[] = {10, 300, 3000, 20000};
    size_t size = (size_t)prng_below(&life->prng, most[prng_below(&life->prng, 4)]) + 1;
    bool spilled = part->state.used == 0 && size <= part->capacity && chance(life, 2);
    if (chance(life, 4))
        memset(input, 0, size);
    else
        prng_fill(&life->prng, input, size);
    part_append(part, input, size, spilled);
    maybe_fail_next(life);
    int rc = part_sync(part, NULL);
    if (rc == FIRN_ENOSPC && chance(life, 2))
        rc = part_sync(part, NULL);
    if (rc == FIRN_ENOSPC) {
        part_undo(part);
        return;
    }
    content_of(part, &part->next, &then);
    maybe_then = rc < 0;
    if (rc < 0)
        end_life(life);
    else
        now = then;
}

static void close_it(struct life *life)
{
    maybe_fail_next(life);
    int rc = part_close(life->part, NULL);
    if (rc < 0 || chance(life, 2))
        end_life(life);
}

static void step(struct life *life)
{
    if (!life->part)
        begin_life(life);
    else if (chance(life, 10))
        close_it(life);
    else if (chance(life, 10))
        end_life(life);
    else
        append(life);
}

static void start(struct life *life, uint64_t seed)
{
    static const struct {
        unsigned shift;
        uint64_t count;
    } shapes[] = {{12, 12}, {12, 3}, {9, 40}, {10, 24}, {7, 128}, {6, 64}, {13, 5}};
    *life = (struct life){.prng = prng_new(seed)};
    size_t shape = (size_t)prng_below(&life->prng, sizeof shapes / sizeof shapes[0]);
    image_init(&life->image, shapes[shape].count, shapes[shape].shift);
    image_add_medium(&life->image, seed);
    now = (struct content){.state = {0}};
    maybe_then = false;
    life->part = image_part(&life->image);
    assert_int_equal(part_mark(life->part, NULL), 0);
}

/* What was loaded may have been closed in the cache only: then the power cut opens it once more. */
static void close_for_good(struct life *life)
{
    life->trouble = false;
    for (int i = 0; i < 2; i++) {
        if (!life->part)
            begin_life(life);
        life->image.fail = 0;
        assert_int_equal(part_close(life->part, NULL), 0);
        part_free(life->part);
        image_power_cut(&life->image);
        begin_life(life);
    }
    if (!life->part || life->part->unclean)
        fail_msg("it is not closed");
    assert_int_equal(part_verify(life->part, NULL, NULL), 0);
    part_free(life->part);
}

static void live(uint64_t of)
{
    struct life life;
    start(&life, of);
    for (int i = 0; i < 60; i++) {
        life.trouble = i < 50;
        step(&life);
    }
    close_for_good(&life);
    image_done(&life.image);
}

static uint64_t first_seed, seeds;
static char repeat[64]; /* the line that repeats it */

static void lives(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed - first_seed < seeds; seed++) {
        snprintf(repeat, sizeof repeat, "test-stream-lives %llu\n", (unsigned long long)seed);
        live(seed);
    }
}

/* Also where an assertion of the library ends it. */
static void say_seed(int signal)
{
    (void)signal;
    ssize_t written = write(STDERR_FILENO, repeat, strlen(repeat));
    (void)written;
}

/* [FIRST-SEED [SEEDS]] */
int main(int argc, char **argv)
{
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    seeds = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : 5000;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives),
    };
    signal(SIGABRT, say_seed);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        say_seed(0);
    return failed;
}
