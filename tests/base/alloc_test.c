/* SPDX-License-Identifier: MIT */
/* Every allocation of the room made to fail. */
#include "base_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/pool.h"
#include "base/wait.h"
#include "base/worker.h"
#include "lib/alloc.h"

static void buffers_stay_as_they_were(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    alloc_fail_in = 1;
    assert_int_equal(buffer_append(&buffer, "abc", 3), FIRN_ENOMEM);
    assert_int_equal(buffer_append(&buffer, "abc", 3), 0);
    alloc_fail_in = 1;
    assert_int_equal(buffer_reserve(&buffer, 1000), FIRN_ENOMEM);
    assert_int_equal(buffer.size, 3);
    assert_memory_equal(buffer.data, "abc", 3);
    buffer_free(&buffer);
}

static void pools_go_on(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    alloc_fail_in = 1;
    assert_int_equal(pool_new(4096, 2 * 4096, &pool), FIRN_ENOMEM);
    assert_null(pool);
    assert_int_equal(pool_new(4096, 2 * 4096, &pool), 0);
    uint32_t seen = pool_returned(pool);
    void *buffer = NULL;
    alloc_fail_in = 1;
    assert_null(pool_try_get(pool));
    assert_true(pool_out_of_memory(pool));
    assert_int_not_equal(pool_returned(pool), seen);
    alloc_fail_in = 1;
    assert_int_equal(pool_get(pool, WAIT_FOREVER, &buffer), FIRN_ENOMEM);
    assert_null(buffer);
    assert_int_equal(pool_get(pool, WAIT_FOREVER, &buffer), 0);
    assert_false(pool_out_of_memory(pool));
    alloc_fail_in = 1;
    assert_null(pool_try_get(pool));
    void *other = pool_try_get(pool); /* the failure used none up */
    assert_non_null(other);
    assert_null(pool_try_get(pool));
    assert_false(pool_out_of_memory(pool)); /* all are in use */
    pool_put(pool, buffer);
    pool_put(pool, other);
    pool_free(pool);
}

static void count_run(void *arg)
{
    unsigned *runs = arg;
    (*runs)++;
}

/* As many tasks as make the worker's memory grow twice, each first without success. */
static void workers_go_on(void **state)
{
    (void)state;
    enum { TASKS = 40 };
    struct worker_task tasks[TASKS] = {0};
    struct worker *worker = NULL;
    unsigned runs = 0, failures = 0;
    alloc_fail_in = 1;
    assert_int_equal(worker_new(true, &worker), FIRN_ENOMEM);
    assert_null(worker);
    assert_int_equal(worker_new(true, &worker), 0);
    for (size_t i = 0; i < TASKS; i++) {
        alloc_fail_in = 1;
        int rc = worker_task_init(worker, &tasks[i], count_run, &runs, WORKER_NORMAL);
        if (rc != 0) {
            failures++;
            assert_int_equal(rc, FIRN_ENOMEM);
            assert_null(tasks[i].worker);
            rc = worker_task_init(worker, &tasks[i], count_run, &runs, WORKER_NORMAL);
        }
        assert_int_equal(rc, 0);
    }
    alloc_fail_in = 1; /* posting needs no memory */
    for (size_t i = 0; i < TASKS; i++)
        worker_post_at(worker, &tasks[i], TASKS - i);
    assert_int_equal(worker_run_all(worker), TASKS);
    assert_int_equal(alloc_fail_in, 1);
    alloc_fail_in = 0;
    assert_int_equal(runs, TASKS);
    assert_int_equal(failures, 3);
    for (size_t i = 0; i < TASKS; i++)
        worker_task_done(&tasks[i]);
    worker_free(worker);
}

static void pools_without_a_trimmer(void **state)
{
    (void)state;
    struct worker *worker = NULL;
    struct pool *pool = NULL;
    assert_int_equal(worker_new(true, &worker), 0);
    assert_int_equal(pool_new(4096, 4096, &pool), 0);
    alloc_fail_in = 1;
    assert_int_equal(pool_trim_by(pool, worker), FIRN_ENOMEM);
    void *buffer = pool_try_get(pool);
    pool_put(pool, buffer);
    assert_int_equal(pool_trim_by(pool, worker), 0);
    pool_free(pool);
    worker_free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_stay_as_they_were),
        cmocka_unit_test(pools_go_on),
        cmocka_unit_test(workers_go_on),
        cmocka_unit_test(pools_without_a_trimmer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
