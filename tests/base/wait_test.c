/* SPDX-License-Identifier: MIT */
#include "base_test.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wait.h"
#include "threads.h"

#define MS UINT64_C(1000000)

static void words_begin_at_zero(void **state)
{
    (void)state;
    struct wait_word word;
    wait_word_init(&word);
    assert_int_equal(wait_load(&word), 0);
    wait_bump_and_wake(&word, 1);
    wait_bump_and_wake_all(&word);
    assert_int_equal(wait_load(&word), 2);
    wait_wake(&word, 0);
    wait_wake_all(&word);
    wait_word_done(&word);
}

static void clock_goes_forward(void **state)
{
    (void)state;
    uint64_t before = wait_now_ns();
    uint64_t deadline = wait_deadline(MS);
    assert_true(before > 0 && deadline >= before + MS);
    assert_true(wait_now_ns() >= before);
    assert_true(wait_deadline(WAIT_FOREVER) == WAIT_FOREVER);
    assert_true(wait_deadline(WAIT_FOREVER - 1) == WAIT_FOREVER);
}

static void changed_words_are_not_waited_for(void **state)
{
    (void)state;
    struct wait_word word;
    wait_word_init(&word);
    wait_bump_and_wake(&word, 1);
    assert_int_equal(wait_until_changed(&word, 0, WAIT_FOREVER), 0);
    assert_int_equal(wait_until_changed(&word, 0, 0), 0);
    assert_int_equal(wait_shared_until_changed(&word.value, 0, WAIT_FOREVER), 0);
    wait_word_done(&word);
}

static int wait_through(struct wait_word *word, uint64_t deadline)
{
    int rc;
    do
        rc = wait_until_changed(word, 0, deadline);
    while (rc == 0 && wait_load(word) == 0);
    return rc;
}

static void deadlines_end_waits(void **state)
{
    (void)state;
    struct wait_word word;
    wait_word_init(&word);
    assert_int_equal(wait_through(&word, 0), FIRN_ETIMEDOUT); /* long past */
    uint64_t deadline = wait_deadline(3 * MS);
    assert_int_equal(wait_through(&word, deadline), FIRN_ETIMEDOUT);
    assert_true(wait_now_ns() >= deadline);
    deadline = wait_deadline(3 * MS);
    int rc;
    while ((rc = wait_shared_until_changed(&word.value, 0, deadline)) == 0)
        continue;
    assert_int_equal(rc, FIRN_ETIMEDOUT);
    assert_true(wait_now_ns() >= deadline);
    wait_word_done(&word);
}

/* Threads pass a turn around, with plain data in the wake: each change is seen and none is lost. */
enum { PLAYERS = 4, ROUNDS = 2000 };
struct ring {
    struct wait_word turn;
    unsigned passed; /* only who has the turn touches it */
};

static void pass_around(void *shared, unsigned number)
{
    struct ring *ring = shared;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t mine = round * PLAYERS + number;
        uint32_t seen;
        while ((seen = wait_load(&ring->turn)) != mine)
            THREAD_CHECK(wait_until_changed(&ring->turn, seen, WAIT_FOREVER) == 0);
        ring->passed++;
        wait_bump_and_wake_all(&ring->turn);
    }
}

static void no_wake_up_is_lost(void **state)
{
    (void)state;
    struct ring ring = {0};
    wait_word_init(&ring.turn);
    threads_run(PLAYERS, pass_around, &ring);
    assert_int_equal(ring.passed, PLAYERS * ROUNDS);
    assert_int_equal(wait_load(&ring.turn), PLAYERS * ROUNDS);
    wait_word_done(&ring.turn);
}

/* One waker, many waiters with deadlines that are far away: a time-out means a lost wake-up. */
struct gate {
    struct wait_word word;
    _Atomic unsigned through;
};

static void wait_at_gate(void *shared, unsigned number)
{
    struct gate *gate = shared;
    if (number == 0) {
        wait_bump_and_wake_all(&gate->word);
        return;
    }
    THREAD_CHECK(wait_through(&gate->word, wait_deadline(60000 * MS)) == 0);
    atomic_fetch_add(&gate->through, 1);
}

static void one_wake_reaches_all(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) {
        struct gate gate = {0};
        wait_word_init(&gate.word);
        threads_run(6, wait_at_gate, &gate);
        assert_int_equal(gate.through, 5);
        wait_word_done(&gate.word);
    }
}

/* Two processes, one word each way. */
enum { EXCHANGES = 200 };

static void exchange(_Atomic uint32_t *mine, const _Atomic uint32_t *theirs, bool first)
{
    for (uint32_t i = 0; i < EXCHANGES; i++) {
        if (first) {
            atomic_fetch_add(mine, 1);
            wait_shared_wake_all(mine);
        }
        while (atomic_load(theirs) == i)
            wait_shared_until_changed(theirs, i, WAIT_FOREVER);
        if (!first) {
            atomic_fetch_add(mine, 1);
            wait_shared_wake_all(mine);
        }
    }
}

static void processes_wake_each_other(void **state)
{
    (void)state;
    _Atomic uint32_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                                   -1, 0);
    assert_ptr_not_equal(words, MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        exchange(&words[1], &words[0], false);
        _exit(0);
    }
    exchange(&words[0], &words[1], true);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(words[0], EXCHANGES);
    assert_int_equal(words[1], EXCHANGES);
    munmap(words, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_begin_at_zero),
        cmocka_unit_test(clock_goes_forward),
        cmocka_unit_test(deadlines_end_waits),
        cmocka_unit_test(changed_words_are_not_waited_for),
        cmocka_unit_test(no_wake_up_is_lost),
        cmocka_unit_test(one_wake_reaches_all),
        cmocka_unit_test(processes_wake_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
