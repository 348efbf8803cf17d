/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"
#include "base/sanitizers.h"
#include "base/wait.h"
#include "base/worker.h"
#include "lib/prng.h"
#include "threads.h"

#define MS UINT64_C(1000000)

enum { BUFFER = 64 * 1024, KEPT = POOL_KEEP_BYTES / BUFFER, MANY = 8 * KEPT };

static struct pool *new_pool(size_t buffers)
{
    struct pool *pool = NULL;
    assert_int_equal(pool_new(BUFFER, (uint64_t)buffers * BUFFER, &pool), 0);
    assert_int_equal(pool_limit(pool), buffers);
    return pool;
}

static void expect_stats(struct pool *pool, size_t used, size_t allocated, uint64_t waits)
{
    struct pool_stats stats;
    pool_get_stats(pool, &stats);
    assert_int_equal(stats.limit_bytes, pool_limit(pool) * BUFFER);
    assert_int_equal(stats.used_bytes, used * BUFFER);
    assert_int_equal(stats.allocated_bytes, allocated * BUFFER);
    assert_int_equal(stats.waits, waits);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    assert_int_equal(pool_new(0, BUFFER, &pool), FIRN_EINVAL);
    assert_int_equal(pool_new(1000, BUFFER, &pool), FIRN_EINVAL);
    assert_int_equal(pool_new(BUFFER, BUFFER - 1, &pool), FIRN_EINVAL);
    assert_null(pool);
    assert_int_equal(pool_new(BUFFER, 2 * BUFFER - 1, &pool), 0);
    assert_int_equal(pool_limit(pool), 1);
    pool_free(pool);
    pool_free(NULL);
}

static void memory_is_taken_when_needed(void **state)
{
    (void)state;
    struct pool *pool = new_pool(3);
    void *buffers[3];
    expect_stats(pool, 0, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        buffers[i] = pool_try_get(pool);
        assert_non_null(buffers[i]);
        assert_int_equal((uintptr_t)buffers[i] % 4096, 0);
        memset(buffers[i], 'x', BUFFER);
        expect_stats(pool, i + 1, i + 1, 0);
    }
    assert_null(pool_try_get(pool));
    assert_false(pool_out_of_memory(pool));
    for (size_t i = 0; i < 3; i++)
        pool_put(pool, buffers[i]);
    expect_stats(pool, 0, 3, 0);
    pool_free(pool);
}

static void the_last_one_back_goes_out_first(void **state)
{
    (void)state;
    struct pool *pool = new_pool(3);
    void *a = pool_try_get(pool), *b = pool_try_get(pool);
    pool_put(pool, a);
    pool_put(pool, b);
    assert_ptr_equal(pool_try_get(pool), b);
    assert_ptr_equal(pool_try_get(pool), a);
    pool_put(pool, a);
    pool_put(pool, b);
    pool_free(pool);
}

static void waiting_ends_at_the_deadline(void **state)
{
    (void)state;
    struct pool *pool = new_pool(1);
    void *buffer = NULL, *other = NULL;
    assert_int_equal(pool_get(pool, 0, &buffer), 0);
    uint64_t deadline = wait_deadline(2 * MS);
    assert_int_equal(pool_get(pool, deadline, &other), FIRN_ETIMEDOUT);
    assert_true(wait_now_ns() >= deadline);
    assert_null(other);
    uint32_t seen = pool_returned(pool);
    assert_int_equal(pool_wait_returned(pool, seen, 0), FIRN_ETIMEDOUT);
    pool_put(pool, buffer);
    assert_int_not_equal(pool_returned(pool), seen);
    assert_int_equal(pool_wait_returned(pool, seen, WAIT_FOREVER), 0);
    struct pool_stats stats;
    pool_get_stats(pool, &stats);
    assert_true(stats.waits >= 3);
    pool_free(pool);
}

/* ---- giving memory back ---- */

static void use_many(struct pool *pool)
{
    static void *buffers[MANY];
    for (size_t i = 0; i < MANY; i++) {
        buffers[i] = pool_try_get(pool);
        assert_non_null(buffers[i]);
        memset(buffers[i], 'x', BUFFER);
    }
    for (size_t i = 0; i < MANY; i++)
        pool_put(pool, buffers[i]);
}

static void what_was_not_needed_is_trimmed(void **state)
{
    (void)state;
    struct pool *pool = new_pool(MANY);
    use_many(pool);
    assert_true(pool_trim(pool)); /* all were needed since the beginning */
    expect_stats(pool, 0, MANY, 0);
    void *buffers[KEPT + 4];
    for (size_t i = 0; i < KEPT + 4; i++)
        buffers[i] = pool_try_get(pool);
    for (size_t i = 0; i < KEPT + 4; i++)
        pool_put(pool, buffers[i]);
    assert_true(pool_trim(pool)); /* those were needed, and KEPT stay */
    expect_stats(pool, 0, 2 * KEPT + 4, 0);
    assert_false(pool_trim(pool));
    expect_stats(pool, 0, KEPT, 0);
    assert_false(pool_trim(pool));
    expect_stats(pool, 0, KEPT, 0);
    use_many(pool); /* and it grows again */
    pool_free(pool);
}

static void a_worker_trims(void **state)
{
    (void)state;
    struct worker *worker;
    assert_int_equal(worker_new(true, &worker), 0);
    struct pool *pool = new_pool(MANY);
    assert_int_equal(pool_trim_by(pool, worker), 0);
    void *buffer = pool_try_get(pool);
    pool_put(pool, buffer);
    assert_int_equal(worker_run_all(worker), 0); /* few are idle: nothing to do */
    for (int round = 0; round < 2; round++) {
        use_many(pool);
        assert_int_equal(worker_run_all(worker), 1);
        expect_stats(pool, 0, MANY, 0);
        assert_int_equal(worker_run_all(worker), 1);
        expect_stats(pool, 0, KEPT, 0);
        assert_int_equal(worker_run_all(worker), 0);
    }
    use_many(pool);
    pool_free(pool); /* with the task posted */
    worker_free(worker);
}

#if defined(__linux__) && !defined(FIRN_POSIX_ONLY) && !defined(SANITIZED_ADDRESS) &&              \
    !defined(SANITIZED_THREAD)
static size_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void trimmed_memory_is_the_systems(void **state)
{
    (void)state;
    struct pool *pool = new_pool(MANY);
    size_t before = resident_bytes();
    use_many(pool);
    assert_true(resident_bytes() >= before + MANY * BUFFER * 9 / 10);
    void *behind = malloc(50000); /* the allocator can't just lower its end */
    assert_non_null(behind);
    pool_trim(pool);
    pool_trim(pool);
    assert_true(resident_bytes() <= before + POOL_KEEP_BYTES + 1024 * 1024);
    free(behind);
    pool_free(pool);
}
#else
static void trimmed_memory_is_the_systems(void **state)
{
    (void)state;
    skip();
}
#endif

/* ---- stress ---- */

/* More threads than buffers: each has its buffer for itself, and nobody waits for ever. */
enum { THREADS = 5, BUFFERS = 2, TURNS = 3000 };

static void use_alone(uint32_t *buffer, uint32_t mark)
{
    enum { WORDS = 64 };
    for (size_t i = 0; i < WORDS; i++)
        buffer[i] = mark;
    for (size_t i = 0; i < WORDS; i++)
        THREAD_CHECK(buffer[i] == mark);
}

static void get_and_put(void *shared, unsigned number)
{
    struct pool *pool = shared;
    struct prng prng = prng_new(number);
    for (uint32_t i = 0; i < TURNS; i++) {
        void *buffer = NULL;
        if (prng_below(&prng, 2) == 0)
            buffer = pool_try_get(pool);
        if (buffer == NULL)
            THREAD_CHECK(pool_get(pool, WAIT_FOREVER, &buffer) == 0);
        use_alone(buffer, number << 24 | i);
        if (prng_below(&prng, 2) == 0)
            sched_yield(); /* lets the others find the pool used up */
        pool_put(pool, buffer);
        if (prng_below(&prng, 64) == 0)
            pool_trim(pool);
    }
}

static void nobody_shares_a_buffer(void **state)
{
    (void)state;
    struct pool *pool = new_pool(BUFFERS);
    threads_run(THREADS, get_and_put, pool);
    struct pool_stats stats;
    pool_get_stats(pool, &stats);
    assert_int_equal(stats.used_bytes, 0);
    assert_in_range(stats.allocated_bytes, BUFFER, BUFFERS * BUFFER);
    pool_free(pool);
}

/* Meson has freed memory filled with a pattern, which makes it resident again: begins anew. */
static void without_patterns(char **argv)
{
    if (getenv("MALLOC_PERTURB_") == NULL)
        return;
    unsetenv("MALLOC_PERTURB_");
    execv("/proc/self/exe", argv); /* elsewhere: goes on */
}

int main(int argc, char **argv)
{
    (void)argc;
    without_patterns(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimmed_memory_is_the_systems), /* first: none is free already */
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(memory_is_taken_when_needed),
        cmocka_unit_test(the_last_one_back_goes_out_first),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(what_was_not_needed_is_trimmed),
        cmocka_unit_test(a_worker_trims),
        cmocka_unit_test(nobody_shares_a_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
