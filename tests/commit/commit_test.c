/* SPDX-License-Identifier: MIT */
/*
 * Group commit against a target that is a byte array: `stored` is what write has been given,
 * `synced` how much of it is durable.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "commit/env.h"

enum { ITEM = 100 };

struct target {
    struct firn_env *env;
    struct commit commit;
    uint64_t stored, synced; /* items; in the committing role */
    _Atomic uint64_t durable;
    int fail;        /* the next write returns it */
    uint64_t staged; /* under the lock */
};

static void seal(void *owner)
{
    (void)owner;
}

static int write_group(void *owner, struct commit_group *group, bool durable,
                       struct firn_error *err)
{
    struct target *target = owner;
    uint64_t items = 0;
    if (target->fail)
        return firn_error_set(err, target->fail, 5, "the test's write failed");
    for (struct commit_buffer *buffer = group->first; buffer; buffer = buffer->next) {
        for (uint32_t at = 0; at < buffer->used; at += ITEM) {
            uint64_t value;
            memcpy(&value, commit_bytes(buffer) + at, sizeof value);
            assert_int_equal(value, target->stored + items);
            items++;
        }
    }
    assert_int_equal(items, group->items);
    target->stored += items;
    if (durable)
        target->synced = target->stored;
    return 0;
}

static void publish(void *owner, bool durable)
{
    struct target *target = owner;
    if (durable)
        atomic_store(&target->durable, target->synced);
}

static const struct commit_ops ops = {seal, write_group, publish, NULL, NULL};

static void start(struct target *target, bool manual, struct commit_options options,
                  uint64_t pool_bytes)
{
    const struct firn_env_options env = {.manual = manual, .pool_bytes = pool_bytes};
    memset(target, 0, sizeof *target);
    assert_int_equal(firn_env_new(&env, &target->env, NULL), 0);
    assert_int_equal(commit_init(&target->commit, target->env, &ops, target, &options, NULL), 0);
}

static void stop(struct target *target, int expected)
{
    assert_int_equal(firn_env_free(target->env), FIRN_EBUSY);
    assert_int_equal(commit_close(&target->commit, NULL), expected);
    commit_done(&target->commit);
    assert_int_equal(firn_env_free(target->env), 0);
}

/* Stages one item of ITEM bytes: the number of items staged before it. */
static int stage(struct target *target, bool background, uint64_t *epoch, uint64_t *number)
{
    struct commit *commit = &target->commit;
    int rc = commit_begin(commit, NULL);
    if (rc < 0)
        return rc;
    struct commit_buffer *last;
    do {
        last = commit->filling.last;
        rc = last && last->used + ITEM <= COMMIT_BUFFER_ROOM ? 0 : commit_provide(commit, 1, NULL);
        if (rc < 0)
            return rc;
    } while (rc == COMMIT_AGAIN);
    last = commit->filling.last;
    if (!last || last->used + ITEM > COMMIT_BUFFER_ROOM)
        last = commit_add(commit, NULL, 0);
    memset(commit_bytes(last) + last->used, 0, ITEM);
    memcpy(commit_bytes(last) + last->used, &target->staged, sizeof target->staged);
    last->used += ITEM;
    if (number)
        *number = target->staged;
    target->staged++;
    *epoch = commit_staged(commit, ITEM, 1, background);
    commit_end(commit);
    return 0;
}

static const struct commit_options background_only = {
    .background = COMMIT_DURABLE, .delay_ns = 1000000, .bytes = 1 << 20};

static void test_epochs_and_waiting(void **state)
{
    (void)state;
    struct target target;
    uint64_t first, second;
    start(&target, true, background_only, 0);
    assert_int_equal(stage(&target, false, &first, NULL), 0);
    assert_int_equal(stage(&target, false, &second, NULL), 0);
    assert_int_equal(first, second);
    assert_int_equal(commit_wait(&target.commit, first, 0, NULL), FIRN_ETIMEDOUT);
    assert_int_equal(commit_wait(&target.commit, first + 1, WAIT_FOREVER, NULL), FIRN_EINVAL);
    assert_int_equal(commit_wait(&target.commit, first, WAIT_FOREVER, NULL), 0);
    assert_int_equal(target.synced, 2);
    assert_int_equal(commit_wait(&target.commit, first + 1, 0, NULL), FIRN_EINVAL);
    assert_int_equal(commit_force(&target.commit, NULL), 0);
    struct firn_commit_stats stats;
    commit_get_stats(&target.commit, &stats);
    assert_int_equal(stats.groups, 1);
    assert_int_equal(stats.group_items.max, 2);
    assert_int_equal(stats.epoch_durable, first);
    stop(&target, 0);
}

static void test_poison_stays(void **state)
{
    (void)state;
    struct target target;
    struct firn_error err = {0};
    uint64_t before, after;
    start(&target, true, background_only, 0);
    assert_int_equal(stage(&target, false, &before, NULL), 0);
    assert_int_equal(commit_force(&target.commit, NULL), 0);
    assert_int_equal(stage(&target, false, &after, NULL), 0);
    target.fail = FIRN_EIO;
    assert_int_equal(commit_wait(&target.commit, after, WAIT_FOREVER, &err), FIRN_EPOISONED);
    assert_non_null(strstr(err.message, "the test's write failed"));
    assert_int_equal(err.os_error, 5);
    target.fail = 0;
    assert_int_equal(commit_wait(&target.commit, before, WAIT_FOREVER, NULL), 0);
    assert_int_equal(commit_wait(&target.commit, after, WAIT_FOREVER, NULL), FIRN_EPOISONED);
    assert_int_equal(commit_force(&target.commit, NULL), FIRN_EPOISONED);
    assert_int_equal(stage(&target, false, &after, NULL), FIRN_EPOISONED);
    assert_int_equal(commit_freeze(&target.commit, NULL), FIRN_EPOISONED);
    firn_env_run(target.env);
    assert_int_equal(target.synced, 1);
    stop(&target, FIRN_EPOISONED);
}

static void test_background_commits(void **state)
{
    (void)state;
    struct target target;
    uint64_t epoch;
    start(&target, false, background_only, 0);
    assert_int_equal(stage(&target, true, &epoch, NULL), 0);
    assert_int_equal(commit_wait(&target.commit, epoch, UINT64_C(20000000000), NULL), 0);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(stage(&target, true, &epoch, NULL), 0);
    assert_int_equal(commit_wait(&target.commit, epoch, UINT64_C(20000000000), NULL), 0);
    assert_int_equal(target.synced, 20001);
    stop(&target, 0);
}

static void test_write_only(void **state)
{
    (void)state;
    struct target target;
    uint64_t epoch;
    const struct commit_options options = {
        .background = COMMIT_WRITE, .delay_ns = 1, .bytes = 1 << 20};
    start(&target, true, options, 0);
    assert_int_equal(stage(&target, true, &epoch, NULL), 0);
    firn_env_run(target.env);
    assert_int_equal(target.stored, 1);
    assert_int_equal(target.synced, 0);
    assert_int_equal(commit_wait(&target.commit, epoch, WAIT_FOREVER, NULL), 0);
    assert_int_equal(target.synced, 1);
    stop(&target, 0);
}

static void test_full_pool(void **state)
{
    (void)state;
    struct target target;
    uint64_t epoch;
    struct commit_options options = background_only;
    options.refuse = true;
    start(&target, true, options, 512 * 1024);
    int rc, count = 0;
    while ((rc = stage(&target, false, &epoch, NULL)) == 0)
        count++;
    assert_int_equal(rc, FIRN_EAGAIN);
    assert_int_equal(count, 8 * (COMMIT_BUFFER_ROOM / ITEM));
    assert_int_equal(commit_force(&target.commit, NULL), 0);
    assert_int_equal(stage(&target, false, &epoch, NULL), 0);
    stop(&target, 0);

    start(&target, true, background_only, 512 * 1024);
    for (int i = 0; i < 50000; i++) /* commits by itself when the pool is used up */
        assert_int_equal(stage(&target, false, &epoch, NULL), 0);
    assert_true(target.stored > 0);
    stop(&target, 0);
    assert_int_equal(target.synced, 50000);
}

enum { THREADS = 8, ROUNDS = 400 };

static void *write_and_wait(void *arg)
{
    struct target *target = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t epoch = 0, number = 0;
        assert_int_equal(stage(target, i % 3 == 0, &epoch, &number), 0);
        uint64_t timeout = i % 5 ? WAIT_FOREVER : UINT64_C(20000000000);
        assert_int_equal(commit_wait(&target->commit, epoch, timeout, NULL), 0);
        assert_true(atomic_load(&target->durable) > number);
    }
    return NULL;
}

static void *freeze_and_thaw(void *arg)
{
    struct target *target = arg;
    for (int i = 0; i < ROUNDS / 4; i++) {
        assert_int_equal(commit_freeze(&target->commit, NULL), 0);
        assert_int_equal(target->stored, target->synced);
        assert_int_equal(target->stored, target->staged);
        commit_thaw(&target->commit);
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    struct target target;
    pthread_t threads[THREADS + 1];
    start(&target, false, background_only, 512 * 1024);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_and_wait, &target), 0);
    assert_int_equal(pthread_create(&threads[THREADS], NULL, freeze_and_thaw, &target), 0);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(target.synced, THREADS * ROUNDS);
    stop(&target, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs_and_waiting), cmocka_unit_test(test_poison_stays),
        cmocka_unit_test(test_background_commits), cmocka_unit_test(test_write_only),
        cmocka_unit_test(test_full_pool),          cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
