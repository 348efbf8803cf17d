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

#include "blocks/blocks_private.h"
#include "crash/explore.h"
#include "lib/prng.h"

enum { FILES = 12, BLOCK = 4096, SHIFT = 12 };

/* ---- the model ------------------------------------------------------------------------------ */

/* The first byte of each file, in order. */
struct files {
    uint8_t stamps[FILES];
    int count;
};

struct model {
    struct files now, next; /* `next`: perhaps, when an operation was interrupted */
    bool maybe_next;
    uint8_t last_stamp;
};

struct machine {
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_block_allocator *allocator;
    struct firn_block *blocks[FILES];
    int count;
    struct model model;
    struct firn_error err;
    char why[200];
};

static void machine_init(void *arg, const void *kind)
{
    struct machine *m = arg;
    (void)kind;
    memset(m, 0, sizeof *m);
    if (firn_faulty_new(NULL, &m->faulty, NULL) < 0)
        abort();
    m->disk = firn_faulty_disk(m->faulty);
    if (disk_make_dir(m->disk, "dir", NULL) < 0 || firn_faulty_settle(m->faulty, NULL) < 0)
        abort();
}

static void machine_copy(const void *from, void *to)
{
    const struct machine *m = from;
    struct machine *copy = to;
    memset(copy, 0, sizeof *copy);
    copy->model = m->model;
    if (firn_faulty_clone(m->faulty, &copy->faulty, NULL) < 0)
        abort();
    copy->disk = firn_faulty_disk(copy->faulty);
}

static void machine_take_model(void *machine, const void *from)
{
    ((struct machine *)machine)->model = ((const struct machine *)from)->model;
}

static int machine_close(void *arg)
{
    struct machine *m = arg;
    for (int i = 0; i < m->count; i++)
        block_close(m->blocks[i]);
    m->count = 0;
    int rc = block_allocator_close(m->allocator, &m->err);
    m->allocator = NULL;
    return rc;
}

static void machine_done(void *arg)
{
    machine_close(arg);
    firn_faulty_free(((struct machine *)arg)->faulty);
}

/* ---- operations ----------------------------------------------------------------------------- */

static int take_block(void *arg, struct firn_block *block)
{
    struct machine *m = arg;
    if (m->count == FILES)
        abort();
    m->blocks[m->count++] = block;
    return 0;
}

/* The lock that a crash left may seem to be our own: process ids begin anew. */
static int break_lock(struct machine *m)
{
    struct firn_block_holder holder;
    int rc = firn_block_sequence_holder(m->disk, "dir", "seq", &holder, &m->err);
    if (rc == 0)
        rc = firn_block_sequence_break_lock(m->disk, "dir", "seq", holder.text, &m->err);
    return rc == FIRN_ENOENT ? 0 : rc;
}

static int machine_open(void *arg)
{
    struct machine *m = arg;
    const struct firn_block_options options = {.disk = m->disk};
    int rc = break_lock(m);
    if (rc == 0)
        rc = firn_block_sequence_open("dir", "seq", 1, SHIFT, &options, &m->allocator, &m->err);
    if (rc == 0)
        rc = block_retrieve(m->allocator, take_block, m, &m->err);
    return rc;
}

static void settle(struct model *model)
{
    model->now = model->next;
    model->maybe_next = false;
}

static int stamp(struct machine *m, int at)
{
    uint8_t value = ++m->model.last_stamp;
    const struct iovec pair[] = {{&value, 1}, {NULL, 0}};
    m->model.next = m->model.now;
    m->model.next.stamps[at] = value;
    m->model.maybe_next = true;
    int rc = block_store(m->blocks[at], 0, pair, 2, &m->err);
    if (rc == 0)
        settle(&m->model);
    return rc;
}

static int allocate(struct machine *m)
{
    struct firn_block *block;
    struct model *model = &m->model;
    model->next = model->now;
    model->next.stamps[model->next.count++] = 0;
    model->maybe_next = true;
    int rc = block_allocate(m->allocator, &block, &m->err);
    if (rc < 0)
        return rc;
    settle(model);
    take_block(m, block);
    return stamp(m, m->count - 1);
}

static int release(struct machine *m)
{
    struct model *model = &m->model;
    if (m->count == 0)
        return 0;
    model->next = model->now;
    model->next.count--;
    memmove(model->next.stamps, model->next.stamps + 1, FILES - 1);
    model->next.stamps[FILES - 1] = 0;
    model->maybe_next = true;
    int rc = block_release(m->allocator, m->blocks[0], &m->err);
    if (rc < 0)
        return rc;
    settle(model);
    m->count--;
    memmove(m->blocks, m->blocks + 1, (size_t)m->count * sizeof *m->blocks);
    return 0;
}

static int machine_operate(void *arg, char operation)
{
    struct machine *m = arg;
    switch (operation) {
    case 'a':
        return allocate(m);
    case 'r':
        return release(m);
    case 's':
        return m->count ? stamp(m, 0) : 0;
    default: {
        int rc = machine_close(m);
        return rc == 0 ? machine_open(m) : rc;
    }
    }
}

/* ---- checks --------------------------------------------------------------------------------- */

static bool equals(struct machine *m, const struct files *files)
{
    if (m->count != files->count)
        return false;
    for (int i = 0; i < m->count; i++) {
        uint8_t value = 0xcc;
        const struct iovec iov = {&value, 1};
        if (block_load(m->blocks[i], 0, &iov, 1, &m->err) < 0 || value != files->stamps[i])
            return false;
    }
    return true;
}

static int no_leftover(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)arg, (void)entry;
    return strstr(name, ".tmp") ? 1 : 0;
}

static bool machine_check(void *arg)
{
    struct machine *m = arg;
    struct model *model = &m->model;
    bool next = model->maybe_next && equals(m, &model->next);
    if (!next && !equals(m, &model->now)) {
        snprintf(m->why, sizeof m->why, "%d files, not what may be there", m->count);
        return false;
    }
    if (disk_list(m->disk, "dir", no_leftover, NULL, NULL) != 0) {
        snprintf(m->why, sizeof m->why, "an unfinished file is left");
        return false;
    }
    if (next)
        settle(model);
    model->maybe_next = false;
    return true;
}

static bool machine_check_life(void *arg)
{
    static const char script[] = "arsacra";
    struct machine *m = arg;
    for (int life = 0; life < 2; life++) {
        if (machine_open(m) < 0) {
            snprintf(m->why, sizeof m->why, "opening: %.150s", m->err.message);
            return false;
        }
        if (!machine_check(m))
            return false;
        for (const char *operation = script; *operation && life == 0; operation++) {
            if (machine_operate(m, *operation) == 0)
                continue;
            snprintf(m->why, sizeof m->why, "going on: %.150s", m->err.message);
            return false;
        }
        if (machine_close(m) < 0) {
            snprintf(m->why, sizeof m->why, "closing: %.150s", m->err.message);
            return false;
        }
    }
    return true;
}

static struct firn_faulty *machine_faulty(const void *arg)
{
    return ((const struct machine *)arg)->faulty;
}

static uint64_t machine_digest(const void *arg)
{
    const struct model *model = &((const struct machine *)arg)->model;
    const struct files *both[] = {&model->now, model->maybe_next ? &model->next : &model->now};
    uint64_t sum = 1;
    for (int i = 0; i < 2; i++) {
        sum = sum * 31 + (uint64_t)both[i]->count;
        for (int k = 0; k < FILES; k++)
            sum = sum * 257 + both[i]->stamps[k];
    }
    return sum;
}

static const char *machine_why(const void *arg)
{
    return ((const struct machine *)arg)->why;
}

static const char *machine_message(const void *arg)
{
    return ((const struct machine *)arg)->err.message;
}

static const struct explore_ops machine_ops = {
    .machine_bytes = sizeof(struct machine),
    .init = machine_init,
    .copy = machine_copy,
    .take_model = machine_take_model,
    .done = machine_done,
    .open = machine_open,
    .close = machine_close,
    .operate = machine_operate,
    .check = machine_check,
    .check_life = machine_check_life,
    .faulty = machine_faulty,
    .digest = machine_digest,
    .why = machine_why,
    .message = machine_message,
};

static struct explore explore = {
    .ops = &machine_ops,
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
    block_close(s->block);
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
            block_close(s.block);
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
