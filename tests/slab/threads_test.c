/* SPDX-License-Identifier: MIT */
/* Many threads at once: no block is handed out twice, nothing anybody holds changes, syncs are
 * shared. */
#include "slab_fixture.h"

#include "base/threads.h"

enum { OWNERS = 8, ROUNDS = 200, RESIZERS = 6, RESIZES = 150, MOST = 4096 };
enum { SMALL = 12, LARGE = 33 };

struct shared {
    struct fixture *f;
    struct firn_slab *slab;
    _Atomic unsigned live[MOST]; /* owners of a block */
};

static void own(struct shared *shared, unsigned number)
{
    uint8_t bytes[16], found[16];
    struct firn_slab_slice slice;
    memset(bytes, (int)number + 1, sizeof bytes);
    THREAD_CHECK(firn_slab_alloc(shared->slab, sizeof bytes, &slice, NULL) == 0);
    uint64_t block = (slice.offset - ARENA) / sizeof bytes;
    THREAD_CHECK(block < MOST && atomic_fetch_add(&shared->live[block], 1) == 0);
    THREAD_CHECK(firn_slab_read(shared->slab, slice, 0, found, sizeof found, NULL) == 0);
    THREAD_CHECK(found[0] == 0 && memcmp(found, found + 1, sizeof found - 1) == 0);
    THREAD_CHECK(firn_slab_write(shared->slab, slice, 0, bytes, sizeof bytes, NULL) == 0);
    THREAD_CHECK(firn_slab_read(shared->slab, slice, 0, found, sizeof found, NULL) == 0);
    THREAD_CHECK(memcmp(found, bytes, sizeof bytes) == 0);
    THREAD_CHECK(atomic_fetch_sub(&shared->live[block], 1) == 1);
    THREAD_CHECK(firn_slab_dealloc(shared->slab, slice, NULL) == 0);
}

static void own_often(void *arg, unsigned number)
{
    for (int round = 0; round < ROUNDS; round++)
        own(arg, number);
}

static void no_block_has_two_owners(void **state)
{
    struct fixture *f = *state;
    struct shared *shared = calloc(1, sizeof *shared);
    struct firn_slab_findings check;
    struct firn_slab_live live = {0};
    struct firn_stack_info info;
    *shared = (struct shared){.f = f, .slab = slab_create(f, 16)};
    threads_run(OWNERS, own_often, shared);
    firn_stack_get_info(f->stack, &info);
    assert_true(info.commit.items >= (uint64_t)OWNERS * ROUNDS * 3);
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_in_range(check.blocks, 1, OWNERS);
    assert_int_equal(check.leaked_blocks, 0);
    assert_int_equal(check.free_blocks, check.blocks);
    firn_slab_close(shared->slab);
    free(shared);
}

static void expect_fill(const uint8_t *bytes, uint64_t from, uint64_t to, unsigned byte)
{
    for (uint64_t i = from; i < to; i++)
        THREAD_CHECK(bytes[i] == byte);
}

static void resize(struct shared *shared, struct firn_slab_slice *slice, unsigned byte)
{
    uint8_t found[LARGE];
    THREAD_CHECK(firn_slab_realloc(shared->slab, *slice, LARGE, slice, NULL) == 0);
    THREAD_CHECK(firn_slab_read(shared->slab, *slice, 0, found, LARGE, NULL) == 0);
    expect_fill(found, 0, SMALL, byte);
    expect_fill(found, SMALL, LARGE, 0);
    THREAD_CHECK(firn_slab_realloc(shared->slab, *slice, SMALL, slice, NULL) == 0);
    THREAD_CHECK(firn_slab_read(shared->slab, *slice, 0, found, SMALL, NULL) == 0);
    expect_fill(found, 0, SMALL, byte);
}

static void resize_often(void *arg, unsigned number)
{
    struct shared *shared = arg;
    struct firn_slab_slice slice;
    uint8_t bytes[SMALL];
    memset(bytes, (int)number + 1, sizeof bytes);
    THREAD_CHECK(firn_slab_alloc(shared->slab, SMALL, &slice, NULL) == 0);
    THREAD_CHECK(firn_slab_write(shared->slab, slice, 0, bytes, SMALL, NULL) == 0);
    for (int round = 0; round < RESIZES; round++)
        resize(shared, &slice, number + 1);
    THREAD_CHECK(firn_slab_dealloc(shared->slab, slice, NULL) == 0);
}

static void who_is_last_changes_all_the_time(void **state)
{
    struct fixture *f = *state;
    struct shared *shared = calloc(1, sizeof *shared);
    struct firn_slab_findings check;
    struct firn_slab_live live = {0};
    *shared = (struct shared){.f = f, .slab = slab_create(f, 16)};
    threads_run(RESIZERS, resize_often, shared);
    slab_reopen(f, &shared->slab);
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_int_equal(check.leaked_blocks, 0);
    assert_int_equal(check.free_blocks, check.blocks);
    firn_slab_close(shared->slab);
    free(shared);
}

/* Several slices in a step, checks, figures and refusals meanwhile. */
static void everything(struct shared *shared, unsigned number)
{
    static const uint64_t lengths[] = {10, 40, 0, 16};
    struct firn_slab_slice slices[4];
    struct firn_slab_info info;
    struct firn_slab_findings check;
    THREAD_CHECK(firn_slab_alloc_many(shared->slab, lengths, 4, slices, NULL) == 0);
    THREAD_CHECK(firn_slab_write(shared->slab, slices[1], number, "x", 1, NULL) == 0);
    firn_slab_get_info(shared->slab, &info);
    THREAD_CHECK(info.free_blocks + 5 <= info.blocks);
    if (number == 0)
        THREAD_CHECK(firn_slab_check(shared->f->stack, NULL, &check, NULL) == 0);
    THREAD_CHECK(firn_slab_dealloc_many(shared->slab, slices, 4, NULL) == 0);
    THREAD_CHECK(firn_slab_dealloc(shared->slab, SLICE(1, 1), NULL) == FIRN_ERANGE);
}

static void everything_often(void *arg, unsigned number)
{
    for (int round = 0; round < ROUNDS / 4; round++)
        everything(arg, number);
}

static void all_calls_at_once(void **state)
{
    struct fixture *f = *state;
    struct shared *shared = calloc(1, sizeof *shared);
    *shared = (struct shared){.f = f, .slab = slab_create(f, 16)};
    threads_run(OWNERS, everything_often, shared);
    slab_reopen(f, &shared->slab);
    firn_slab_close(shared->slab);
    free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EVERYWHERE(no_block_has_two_owners),
        EVERYWHERE(who_is_last_changes_all_the_time),
        EVERYWHERE(all_calls_at_once),
    };
    return cmocka_run_group_tests_name("slab/threads", tests, NULL, NULL);
}
