/* SPDX-License-Identifier: MIT */
/*
 * Power lost at every point of opening, allocating, releasing and closing a sequence: it opens,
 * without a gap, with what was acknowledged, and goes on. And of stores to a file: nothing changes
 * but what was being stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine.h"

enum { BLOCK = 4096, SHIFT = 12 };

static const struct machine_shape shape = {.blocks = 1};

static struct explore explore = {
    .ops = &machine_ops,
    .kind = &shape,
    .effort = {.all_below = 2000, .sample = 200, .tears = 20, .crash_step = 1, .again = 5},
    .name = "test-blocks-crash",
    .setup = "",
};

static void sequences_survive_a_loss_of_power(void **state)
{
    (void)state;
    static const char *const setups[] = {"", "aaa", "aarca"};
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++) {
        explore.setup = setups[i];
        explore_all(&explore, "arcs", 3, 1, "");
    }
    printf("note: %llu states, %llu of an interrupted opening, %llu failed\n",
           (unsigned long long)explore.states, (unsigned long long)explore.recovery_states,
           (unsigned long long)explore.failures);
    assert_true(explore.states > 100 && explore.recovery_states > 100);
    assert_true(explore.failures == 0);
    explore_done(&explore);
}

/* ---- stores --------------------------------------------------------------------------------- */

enum { BLOCKS = 1200, LARGE = 1100, SECTOR = 512 };

struct stored {
    struct firn_faulty *faulty;
    struct firn_env *env;
    struct firn_block *block;
    uint8_t *now;      /* acknowledged */
    uint64_t from, to; /* of the store in progress, if to > 0 */
    uint8_t value;
};

static int store_some(struct stored *s, uint64_t first, size_t size)
{
    static uint8_t bytes[BLOCK];
    static struct iovec iov[2 * BLOCKS];
    int count = 0;
    memset(bytes, ++s->value, sizeof bytes);
    s->from = first * BLOCK;
    s->to = s->from + size;
    for (size_t rest = size; rest > 0; count += 2) {
        size_t n = rest < BLOCK ? rest : BLOCK;
        iov[count] = (struct iovec){bytes, n / 2};
        iov[count + 1] = (struct iovec){bytes, n - n / 2};
        rest -= n;
    }
    int rc = block_store(s->block, first, iov, count, NULL);
    if (rc == 0) {
        memset(s->now + s->from, s->value, size);
        s->to = 0;
    }
    return rc;
}

static int open_stored(struct stored *s)
{
    const struct firn_block_options options = {.disk = firn_faulty_disk(s->faulty), .env = s->env};
    return firn_block_file_open("file", SHIFT, &options, &s->block, NULL);
}

/* False: the power went. */
static bool run_stores(struct stored *s)
{
    static const struct {
        uint64_t first;
        size_t size;
    } script[] = {{0, 3 * BLOCK + 9}, {3, BLOCK}, {4, 600}, {50, LARGE * BLOCK}, {4, 20 * BLOCK}};
    for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
        if (store_some(s, script[i].first, script[i].size) < 0)
            return false;
        firn_env_run(s->env);
    }
    return true;
}

static void start_stores(struct stored *s)
{
    const struct firn_env_options manual = {.manual = true};
    memset(s, 0, sizeof *s);
    s->now = calloc(BLOCKS, BLOCK);
    assert_non_null(s->now);
    assert_int_equal(firn_faulty_new(NULL, &s->faulty, NULL), 0);
    assert_int_equal(firn_env_new(&manual, &s->env, NULL), 0);
    memset(s->now, 200, 2 * BLOCK);
    memset(s->now + 1000 * BLOCK, 201, 100 * BLOCK);
    assert_int_equal(firn_faulty_put(s->faulty, "file", s->now, (size_t)BLOCKS * BLOCK, NULL), 0);
    assert_int_equal(open_stored(s), 0);
}

static void stop_stores(struct stored *s)
{
    firn_block_close(s->block);
    firn_env_free(s->env);
    firn_faulty_free(s->faulty);
    free(s->now);
}

/* What was acknowledged is there; of a store in progress each sector is old or new. */
static void check_stores(struct stored *s, uint64_t point, uint64_t seed)
{
    static uint8_t bytes[BLOCKS * BLOCK];
    const struct iovec iov = {bytes, sizeof bytes};
    assert_int_equal(block_load(s->block, 0, &iov, 1, NULL), 0);
    for (uint64_t at = 0; at < sizeof bytes; at++) {
        bool in_progress = at >= s->from && at < s->to;
        if (bytes[at] != s->now[at] && !(in_progress && bytes[at] == s->value))
            fail_msg("point %llu seed %llu: byte %llu is %d, not %d", (unsigned long long)point,
                     (unsigned long long)seed, (unsigned long long)at, bytes[at], s->now[at]);
    }
}

static void stores_change_nothing_else(void **state)
{
    (void)state;
    uint64_t points = 0;
    for (bool off = true; off;) {
        points++;
        for (uint64_t seed = 0; seed < 6; seed++) {
            struct stored s;
            struct firn_faulty_counts counts;
            start_stores(&s);
            firn_faulty_get_counts(s.faulty, &counts);
            firn_faulty_crash_at(s.faulty, counts.mutations + points);
            off = !run_stores(&s) || firn_faulty_is_off(s.faulty);
            firn_block_close(s.block);
            s.block = NULL;
            assert_int_equal(seed ? firn_faulty_restart_random(s.faulty, seed, NULL)
                                  : firn_faulty_restart(s.faulty, 0, NULL),
                             0);
            assert_int_equal(open_stored(&s), 0);
            check_stores(&s, points, seed);
            stop_stores(&s);
        }
    }
    assert_true(points > 15);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_survive_a_loss_of_power),
        cmocka_unit_test(stores_change_nothing_else),
    };
    if (effort && strcmp(effort, "less") == 0)
        explore.effort = (struct explore_effort){500, 50, 4, 1, 10};
    if (argc > 1) {
        explore_repeat(&explore, argc, argv);
        return explore.failures > 0;
    }
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
