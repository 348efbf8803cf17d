/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include "base/lock.h"
#include "threads.h"

static void who_has_it_keeps_others_out(void **state)
{
    (void)state;
    struct lock lock;
    lock_init(&lock);
    lock_take(&lock);
    assert_false(lock_try(&lock));
    lock_release(&lock);
    assert_true(lock_try(&lock));
    lock_release(&lock);
    lock_done(&lock);
}

enum { WRITERS = 4, TURNS = 20000 };
struct tally {
    struct lock lock;
    unsigned taken;
    unsigned tried;
};

static void count(void *shared, unsigned number)
{
    struct tally *tally = shared;
    (void)number;
    for (int i = 0; i < TURNS; i++) {
        if (lock_try(&tally->lock))
            tally->tried++;
        else {
            lock_take(&tally->lock);
            tally->taken++;
        }
        lock_release(&tally->lock);
    }
}

static void threads_take_turns(void **state)
{
    (void)state;
    struct tally tally = {0};
    lock_init(&tally.lock);
    threads_run(WRITERS, count, &tally);
    assert_int_equal(tally.taken + tally.tried, WRITERS * TURNS);
    lock_done(&tally.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_it_keeps_others_out),
        cmocka_unit_test(threads_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
