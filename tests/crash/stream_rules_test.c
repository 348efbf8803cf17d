/* SPDX-License-Identifier: MIT */
/*
 * The rules of durability that a stream has to keep, by the scenarios that break a design without
 * them: blocks of which one half was written, or later ones without earlier ones; writes that are
 * lost and stay readable; damage that looks like a torn append.
 * Arguments: none: as much as a minute allows; --full: more outcomes of each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/prng.h"
#include "stream_machine.h"

static uint64_t all_below = 24, sample = 8, lost_step = 1;

static const struct stream_shape spanning = {5, true, false};

/* ---- what a crash in the last append may leave, made by hand ---- */

enum { SECTOR = 512, FILES = 2, FILE_MOST = 6 * STREAM_MODEL_BLOCK };

struct image {
    char path[32];
    uint8_t before[FILE_MOST], after[FILE_MOST], mixed[FILE_MOST];
    size_t size;
};

struct torn {
    struct stream_machine machine; /* closed; the last append is there, perhaps */
    struct image images[FILES];
    uint64_t states, kept, cut;
};

static void take_image(struct stream_machine *machine, const char *path, uint8_t *image,
                       size_t *size)
{
    void *bytes = NULL;
    assert_int_equal(
        firn_faulty_get(machine->faulty, path, FIRN_FAULTY_CURRENT, &bytes, size, NULL), 0);
    assert_true(*size <= FILE_MOST);
    memcpy(image, bytes, *size);
    free(bytes);
}

static void take_images(struct torn *torn, bool after)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct image *image = &torn->images[i];
        snprintf(image->path, sizeof image->path, "dir/seq.%04x-%d", i + 1, STREAM_MODEL_SHIFT);
        take_image(&torn->machine, image->path, after ? image->after : image->before, &image->size);
        memcpy(image->mixed, after ? image->after : image->before, image->size);
    }
}

/* Two parts; what is before and after an append. The power goes with everything on the disk. */
static struct torn *tear(const char *script, char append)
{
    struct torn *torn = calloc(1, sizeof *torn);
    assert_non_null(torn);
    struct stream_machine *machine = &torn->machine;
    stream_machine_init(machine, &spanning);
    assert_int_equal(stream_machine_open(machine), 0);
    assert_int_equal(stream_machine_do(machine, 'g'), 0);
    assert_int_equal(stream_machine_do(machine, 'g'), 0);
    for (; *script; script++)
        assert_int_equal(stream_machine_do(machine, *script), 0);
    take_images(torn, false);
    assert_int_equal(stream_machine_do(machine, append), 0);
    take_images(torn, true);
    firn_faulty_power_off(machine->faulty);
    stream_machine_close(machine);
    assert_int_equal(firn_faulty_restart(machine->faulty, 0, NULL), 0);
    machine->model.maybe_append = true;
    return torn;
}

static void untear(struct torn *torn)
{
    stream_machine_done(&torn->machine);
    free(torn);
}

/* Of range `from` to `to` of a file the new bytes, or the old ones. */
static void mix(struct image *image, size_t from, size_t to, bool new)
{
    memcpy(image->mixed + from, (new ? image->after : image->before) + from, to - from);
}

static struct stream_machine *put_mixed(const struct torn *torn)
{
    struct stream_machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    stream_machine_copy(&torn->machine, machine);
    for (unsigned i = 0; i < FILES; i++) {
        const struct image *image = &torn->images[i];
        assert_int_equal(
            firn_faulty_put(machine->faulty, image->path, image->mixed, image->size, NULL), 0);
    }
    return machine;
}

static void free_machine(struct stream_machine *machine)
{
    stream_machine_done(machine);
    free(machine);
}

/* It opens, to read and to write, with the last append or without it. */
static void try_mixed(struct torn *torn, const char *what, uint64_t number)
{
    struct stream_machine *machine = put_mixed(torn);
    size_t appends = machine->model.count;
    if (!stream_machine_check_read_only(machine) || !stream_machine_check_life(machine))
        fail_msg("%s %llu: %s", what, (unsigned long long)number, machine->why);
    torn->states++;
    /* Three appends were added. */
    machine->model.count == appends + 3 ? torn->kept++ : torn->cut++;
    free_machine(machine);
}

/* ---- the scenarios ---- */

static bool differs(const struct image *image, size_t from)
{
    return memcmp(image->before + from, image->after + from, SECTOR) != 0;
}

/*
 * Of a block that is written again every set of sectors is there; among them what it says of itself
 * without the bytes that it speaks of, and those bytes without it.
 */
static void torn_rewrite_loses_nothing(void **state)
{
    (void)state;
    static const char *const scripts[] = {"s", "ss", "sBs", "sBcs", "Bsc", "sSs"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct torn *torn = tear(scripts[i], 'b');
        struct image *image = &torn->images[strchr(scripts[i], 'S') ? 1 : 0];
        size_t sectors[16], count = 0;
        for (size_t at = 0; at < image->size; at += SECTOR)
            if (differs(image, at) && count < 16)
                sectors[count++] = at;
        assert_true(count > 5 && count < 16);
        /* Marking the part open comes before the sync. */
        uint64_t least = strcmp(scripts[i], "Bsc") == 0 ? 1 : 0;
        for (uint64_t set = 0; set < UINT64_C(1) << count; set++) {
            for (size_t k = 0; k < count; k++)
                mix(image, sectors[k], sectors[k] + SECTOR, set >> k & 1);
            if ((set & least) == least)
                try_mixed(torn, scripts[i], set);
        }
        assert_int_equal(torn->kept, 1);
        untear(torn);
    }
}

/* Of several blocks every set, and of each both halves. */
static void later_blocks_count_for_nothing_without_earlier_ones(void **state)
{
    (void)state;
    static const char *const scripts[] = {"s", "sb", "sBs", "sBcs"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct torn *torn = tear(scripts[i], 'L');
        struct image *image = &torn->images[0];
        size_t blocks[8], count = 0;
        for (size_t at = 0; at < image->size; at += STREAM_MODEL_BLOCK)
            if (memcmp(image->before + at, image->after + at, STREAM_MODEL_BLOCK) != 0)
                blocks[count++] = at;
        assert_true(count >= 3 && count <= 5);
        for (uint64_t set = 0; set < UINT64_C(1) << (2 * count); set++) {
            for (size_t k = 0; k < count; k++) {
                mix(image, blocks[k], blocks[k] + SECTOR, set >> (2 * k) & 1);
                mix(image, blocks[k] + SECTOR, blocks[k] + STREAM_MODEL_BLOCK, set >> (2 * k) & 2);
            }
            try_mixed(torn, scripts[i], set);
        }
        assert_true(torn->kept > 0 && torn->cut > 50);
        untear(torn);
    }
}

static void mix_all(struct image *image, bool new)
{
    mix(image, 0, image->size, new);
}

/* The second half is there, or some of it; and then the first half, or some of it. */
static void second_half_without_the_first_is_cut(void **state)
{
    (void)state;
    struct torn *torn = tear("sL", 'W');
    struct prng prng = prng_new(5);
    for (unsigned i = 0; i < 400; i++) {
        struct image *left = &torn->images[0], *right = &torn->images[1];
        mix_all(left, false);
        mix_all(right, true);
        struct image *some = i % 2 ? left : right;
        for (size_t at = 0; at < some->size; at += SECTOR)
            mix(some, at, at + SECTOR, i >= 2 && prng_next(&prng) & 1);
        if (i == 1)
            mix_all(right, false);
        if (i == 2 || i == 3)
            mix_all(some, true);
        try_mixed(torn, "half", i);
    }
    assert_true(torn->kept > 0 && torn->cut > 100);
    untear(torn);
}

/* ---- damage ---- */

static void expect_damage(struct torn *torn, const char *what, size_t at)
{
    struct stream_machine *machine = put_mixed(torn);
    machine->opened = 0; /* with a look at every block */
    int rc = stream_machine_open(machine);
    if (rc != FIRN_EDAMAGED)
        fail_msg("%s: a bit of byte %zu is flipped: %s", what, at, firn_error_name(rc));
    assert_true(strlen(machine->err.message) > 20);
    for (unsigned i = 0; i < FILES; i++) {
        static uint8_t now[FILE_MOST];
        size_t size;
        take_image(machine, torn->images[i].path, now, &size);
        assert_memory_equal(now, torn->images[i].mixed, size);
    }
    free_machine(machine);
}

/*
 * Left open, with everything there: what a later append proves to have been acknowledged is
 * damaged, and not torn. So are the bytes that a block had before the last append.
 */
static void acknowledged_bytes_are_not_cut(void **state)
{
    (void)state;
    struct torn *torn = tear("sLsBs", 's');
    struct image *image = &torn->images[0];
    /* Of blocks before the last one nothing may change; of the last one what was there before. */
    size_t last = 3 * (size_t)STREAM_MODEL_BLOCK, old = 800;
    mix_all(image, true);
    for (size_t at = 0; at < last + STREAM_MODEL_META + old; at += 37) {
        bool reserved = at % STREAM_MODEL_BLOCK >= 16 && at % STREAM_MODEL_BLOCK < 48;
        if (reserved || (at >= last && at < last + STREAM_MODEL_META))
            continue;
        image->mixed[at] ^= 4;
        expect_damage(torn, "acknowledged", at);
        image->mixed[at] ^= 4;
    }
    try_mixed(torn, "undamaged", 0);
    assert_int_equal(torn->kept, 1);
    untear(torn);
}

/* A second half without a first one, and an append behind it: that one was acknowledged. */
static void half_that_is_followed_is_damage(void **state)
{
    (void)state;
    struct torn *torn = tear("sLW", 's');
    struct torn *half = tear("sL", 'W');
    struct image *left = &torn->images[0];
    mix_all(&torn->images[1], true);
    memcpy(left->mixed, half->images[0].before, left->size);
    expect_damage(torn, "the first half is missing", 0);
    untear(half);
    untear(torn);
}

/* ---- what a lost write leaves ---- */

struct figures {
    uint64_t runs, states;
};

/* In the middle of the run one call loses what it should have written; then the process dies. */
static bool run_and_die(struct stream_machine *machine, const struct stream_shape *shape,
                        const char *script, uint64_t at)
{
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_LOSE,
                                            .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE |
                                                   FIRN_FAULTY_SYNC,
                                            .at = at};
    int id;
    stream_machine_init(machine, shape);
    assert_int_equal(firn_faulty_fail(machine->faulty, &fault, &id, NULL), 0);
    int rc = stream_machine_open(machine);
    for (; rc == 0 && *script && machine->stream; script++)
        rc = stream_machine_do(machine, *script);
    bool hit = firn_faulty_hits(machine->faulty, id) > 0;
    firn_faulty_kill(machine->faulty);
    stream_machine_close(machine);
    firn_faulty_clear(machine->faulty, 0);
    return hit;
}

static void fail_with(const struct stream_machine *machine, const char *script, uint64_t at,
                      uint64_t point, uint64_t which)
{
    fail_msg("'%s', write %llu lost, power lost at %llu of the recovery, outcome %llu: %s", script,
             (unsigned long long)at, (unsigned long long)point, (unsigned long long)which,
             machine->why);
}

static struct stream_machine *copy_of(const struct stream_machine *from)
{
    struct stream_machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    stream_machine_copy(from, machine);
    return machine;
}

static void try_outcomes(struct stream_machine *crashed, const char *script, uint64_t at,
                         uint64_t point, struct figures *figures)
{
    uint64_t outcomes = firn_faulty_outcomes(crashed->faulty);
    struct prng prng = prng_new(at * 1000 + point);
    bool all = outcomes <= all_below;
    uint64_t count = all ? outcomes : sample + 2;
    for (uint64_t i = 0; i < count; i++) {
        struct stream_machine *machine = copy_of(crashed);
        uint64_t which = all || i == 0 ? i : i == 1 ? outcomes - 1 : prng_below(&prng, outcomes);
        assert_int_equal(firn_faulty_restart(machine->faulty, which, NULL), 0);
        figures->states++;
        if (!stream_machine_check_life(machine))
            fail_with(machine, script, at, point, which);
        free_machine(machine);
    }
}

/* What opening has shown is there for good, whatever the power does. */
static void check_shown(struct stream_machine *machine, const char *script, uint64_t at,
                        uint64_t point)
{
    if (!stream_machine_check(machine))
        fail_with(machine, script, at, point, 0);
    firn_faulty_power_off(machine->faulty);
    stream_machine_close(machine);
    assert_int_equal(firn_faulty_restart(machine->faulty, 0, NULL), 0);
    if (!stream_machine_check_life(machine))
        fail_with(machine, script, at, point, 0);
}

static void crash_recoveries(const struct stream_machine *start, const char *script, uint64_t at,
                             struct figures *figures)
{
    bool off = true;
    for (uint64_t point = 1; off; point++) {
        struct stream_machine *machine = copy_of(start);
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(machine->faulty, &counts);
        firn_faulty_crash_at(machine->faulty, counts.mutations + point);
        int rc = stream_machine_open(machine);
        off = firn_faulty_is_off(machine->faulty);
        if (off) {
            stream_machine_close(machine);
            try_outcomes(machine, script, at, point, figures);
        } else if (rc < 0) {
            snprintf(machine->why, sizeof machine->why, "opening: %s", machine->err.message);
            fail_with(machine, script, at, point, 0);
        } else {
            firn_faulty_crash_at(machine->faulty, 0);
            check_shown(machine, script, at, point);
        }
        free_machine(machine);
    }
}

/* An append is lost, can still be read, and is part of what the next process recovers. */
static void recovery_trusts_no_cache(void **state)
{
    (void)state;
    static const struct {
        struct stream_shape shape;
        const char *script;
    } scenes[] = {
        {{3, true, false}, "gsbBSscsLSc"},
        {{3, true, false}, "gsSsahxBScs"},
        {{5, false, false}, "gsLLcsSBc"},
    };
    struct figures figures = {0};
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        bool hit = true;
        for (uint64_t at = 1; hit; at += lost_step) {
            struct stream_machine start;
            hit = run_and_die(&start, &scenes[i].shape, scenes[i].script, at);
            crash_recoveries(&start, scenes[i].script, at, &figures);
            stream_machine_done(&start);
            figures.runs++;
        }
    }
    printf("note: %llu lost writes, %llu states after a recovery that was interrupted\n",
           (unsigned long long)figures.runs, (unsigned long long)figures.states);
    assert_true(figures.states > 500);
}

/* ---- zeros that are lost ---- */

/* One call of the recovery loses what it should have written, and the process dies. */
static bool recover_and_die(struct stream_machine *machine, uint64_t at)
{
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_LOSE, .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE, .at = at};
    int id;
    assert_int_equal(firn_faulty_fail(machine->faulty, &fault, &id, NULL), 0);
    (void)stream_machine_open(machine);
    bool hit = firn_faulty_hits(machine->faulty, id) > 0;
    firn_faulty_kill(machine->faulty);
    stream_machine_close(machine);
    firn_faulty_clear(machine->faulty, 0);
    return hit;
}

static void append_and_lose_power(struct stream_machine *machine, const char *script)
{
    assert_int_equal(stream_machine_open(machine), 0);
    if (!stream_machine_check(machine))
        fail_msg("%s", machine->why);
    for (; *script; script++)
        assert_int_equal(stream_machine_do(machine, *script), 0);
    firn_faulty_power_off(machine->faulty);
    stream_machine_close(machine);
}

/*
 * What was cut reads as zero, from the cache: on the disk it may be there. Whoever finds it so
 * zeroes it again, before something is appended; else the power brings it back behind that.
 */
static void what_was_cut_stays_cut(void **state)
{
    (void)state;
    struct torn *torn = tear("s", 'L');
    struct image *image = &torn->images[0];
    struct figures figures = {0};
    mix_all(image, true);
    mix(image, 0, STREAM_MODEL_BLOCK, false);
    bool hit = true;
    for (uint64_t at = 1; hit; at++) {
        struct stream_machine *start = put_mixed(torn);
        hit = recover_and_die(start, at);
        for (uint64_t seed = 0; seed < 12; seed++) {
            struct stream_machine *machine = copy_of(start);
            append_and_lose_power(machine, seed % 3 == 0 ? "" : seed % 3 == 1 ? "s" : "b");
            assert_int_equal(seed < 6 ? firn_faulty_restart(machine->faulty, 0, NULL)
                                      : firn_faulty_restart_random(machine->faulty, seed, NULL),
                             0);
            if (!stream_machine_check_life(machine))
                fail_msg("write %llu of the recovery lost, seed %llu: %s", (unsigned long long)at,
                         (unsigned long long)seed, machine->why);
            free_machine(machine);
            figures.states++;
        }
        free_machine(start);
    }
    assert_true(figures.states > 30);
    untear(torn);
}

int main(int argc, char **argv)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_rewrite_loses_nothing),
        cmocka_unit_test(later_blocks_count_for_nothing_without_earlier_ones),
        cmocka_unit_test(second_half_without_the_first_is_cut),
        cmocka_unit_test(acknowledged_bytes_are_not_cut),
        cmocka_unit_test(half_that_is_followed_is_damage),
        cmocka_unit_test(recovery_trusts_no_cache),
        cmocka_unit_test(what_was_cut_stays_cut),
    };
    if (effort && strcmp(effort, "less") == 0)
        lost_step = 3;
    if (argc > 1 && strcmp(argv[1], "--full") == 0) {
        all_below = 512;
        sample = 100;
        lost_step = 1;
    } else {
        alarm(110); /* a deadlock is a failure */
    }
    return cmocka_run_group_tests_name("stream_rules", tests, NULL, NULL);
}
