/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include "base/gate.h"
#include "threads.h"

static void lets_in_until_it_is_closed(void **state)
{
    struct gate gate = {0};
    (void)state;
    gate_init(&gate);
    assert_true(gate_enter(&gate));
    assert_false(gate_is_closed(&gate));
    gate_leave(&gate);
    gate_close(&gate);
    assert_true(gate_is_closed(&gate));
    gate_await(&gate); /* nobody is inside */
    assert_false(gate_enter(&gate));
    gate_leave(&gate);
    gate_await(&gate);
    gate_done(&gate);
}

enum { CALLERS = 3 };

struct shared {
    struct gate gate;
    atomic_uint inside, let_in;
    atomic_bool released;
};

/* One closes; the others are inside meanwhile, and use what would be freed then. */
static void call_or_close(void *arg, unsigned number)
{
    struct shared *shared = arg;
    if (number == CALLERS) {
        while (atomic_load(&shared->let_in) < CALLERS)
            sched_yield();
        gate_close(&shared->gate);
        gate_await(&shared->gate);
        assert_int_equal(atomic_load(&shared->inside), 0);
        atomic_store(&shared->released, true);
        return;
    }
    assert_true(gate_enter(&shared->gate));
    atomic_fetch_add(&shared->inside, 1);
    atomic_fetch_add(&shared->let_in, 1);
    while (!gate_is_closed(&shared->gate))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        assert_false(atomic_load(&shared->released));
    atomic_fetch_sub(&shared->inside, 1);
    gate_leave(&shared->gate);
}

static void who_closes_waits_for_all(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct shared shared = {0};
        gate_init(&shared.gate);
        threads_run(CALLERS + 1, call_or_close, &shared);
        assert_true(atomic_load(&shared.released));
        gate_done(&shared.gate);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_in_until_it_is_closed),
        cmocka_unit_test(who_closes_waits_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
