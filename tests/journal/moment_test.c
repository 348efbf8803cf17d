/* SPDX-License-Identifier: MIT */
/*
 * A read is of one moment, however many pieces it has, and of no earlier one than the read before,
 * while a thread changes all of them together, again and again, and what it changed is written,
 * applied and overwritten in a journal of a few records.
 */
#include "owner.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "journal/journal_private.h"

enum { NUMBERS = 120, APART = 30, BEHIND = 8000, FROM = 100, READERS = 2 };
enum { SPAN = BEHIND + NUMBERS * APART };

struct crew {
    struct journal *journal;
    int reads; /* of each reader */
    atomic_bool done;
    _Atomic unsigned failures;
};

/* Two heaps of numbers, too far from each other to be applied in one write. */
static size_t place(size_t i)
{
    return i * APART + (i < NUMBERS / 2 ? 0 : BEHIND);
}

/* All of them get the same value, in one change. */
static int write_all(struct journal *journal, uint32_t value, uint64_t *epoch)
{
    struct journal_range ranges[NUMBERS];
    uint32_t numbers[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++) {
        ranges[i] = (struct journal_range){.offset = FROM + place(i), .bytes = sizeof value};
        numbers[i] = value;
    }
    const struct iovec iov = {numbers, sizeof numbers};
    const struct journal_change change = {ranges, NUMBERS, &iov, 1, false, 0};
    return journal_stage(journal, &change, epoch, NULL);
}

static void *write_on(void *arg)
{
    struct crew *crew = arg;
    uint64_t epoch;
    for (uint32_t value = 1; !atomic_load(&crew->done); value++) {
        bool good = write_all(crew->journal, value, &epoch) == 0;
        if (good && value % 8 == 0)
            good = commit_wait(journal_commit(crew->journal), epoch, WAIT_FOREVER, NULL) == 0;
        if (!good)
            atomic_fetch_add(&crew->failures, 1);
    }
    return NULL;
}

static uint32_t number_at(const uint8_t *bytes)
{
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

/* All numbers are of one change, which is not before `*least`; raises that. */
static bool is_whole(struct journal *journal, bool durable, uint32_t *least)
{
    uint8_t found[SPAN];
    if (journal_read(journal, FROM, SPAN, SPAN, durable, found, NULL) < 0)
        return false;
    uint32_t first = number_at(found);
    for (size_t i = 0; i < NUMBERS; i++)
        if (number_at(found + place(i)) != first)
            return false;
    bool good = first >= *least;
    *least = first;
    return good;
}

/* However the threads take turns, some of the reads are beside applying. */
static bool was_applied(struct crew *crew)
{
    struct journal_info info;
    journal_get_info(crew->journal, &info);
    return info.applies > 0;
}

static void *read_on(void *arg)
{
    struct crew *crew = arg;
    uint32_t staged = 0, durable = 0;
    for (int i = 0; i < crew->reads || !was_applied(crew); i++)
        if (!is_whole(crew->journal, i % 2, i % 2 ? &durable : &staged))
            atomic_fetch_add(&crew->failures, 1);
    return NULL;
}

/* A larger file, and an environment with a thread. */
static struct journal *prepare(struct owner *owner)
{
    OK(journal_destroy(owner->journal, &owner->err));
    owner->options.length = FROM + SPAN;
    owner->options.env = NULL;
    owner_open(owner);
    return owner->journal;
}

static void is_of_one_moment(void **state)
{
    struct owner *owner = *state;
    const char *effort = getenv("FIRN_TEST_EFFORT");
    bool full = effort && strcmp(effort, "full") == 0;
    struct crew crew = {.journal = prepare(owner), .reads = full ? 20000 : 3000};
    pthread_t writer, readers[READERS];
    uint32_t least = 0;
    assert_int_equal(pthread_create(&writer, NULL, write_on, &crew), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &crew), 0);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&crew.done, true);
    pthread_join(writer, NULL);
    assert_int_equal(atomic_load(&crew.failures), 0);
    owner_force(owner);
    assert_true(is_whole(owner->journal, true, &least) && least > 0);
    owner_close(owner);
    owner_open(owner);
    assert_true(is_whole(owner->journal, false, &least));
    owner_close(owner);
}

/* ---- one reader, held up ---- */

enum { PATIENCE_MS = 50 };

struct rival {
    struct owner *owner;
    pthread_t thread;
    atomic_bool done;
};

/* Changes what is being read, and applies it. */
static void *overtake(void *arg)
{
    struct rival *rival = arg;
    struct journal *journal = rival->owner->journal;
    uint64_t epoch;
    if (write_all(journal, 3, &epoch) == 0 && commit_force(journal_commit(journal), NULL) == 0 &&
        apply_all(journal, NULL) == 0)
        atomic_store(&rival->done, true);
    return NULL;
}

/* Gives it time to overtake the reader, which it must not. */
static void hold(void *arg, struct firn_faulty *faulty, const struct firn_faulty_event *event)
{
    struct rival *rival = arg;
    uint64_t end = wait_now_ns() + PATIENCE_MS * UINT64_C(1000000);
    (void)faulty, (void)event;
    if (pthread_create(&rival->thread, NULL, overtake, rival) != 0)
        abort();
    while (!atomic_load(&rival->done) && wait_now_ns() < end)
        sched_yield();
}

/* It reads the beginning from the main file, then what is staged, then the end. */
static void applies_behind_readers(void **state)
{
    struct owner *owner = *state;
    struct rival rival = {.owner = owner};
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_CALL,
        .ops = FIRN_FAULTY_READ,
        .path = MAIN,
        .call = hold,
        .arg = &rival,
    };
    uint64_t epoch;
    uint32_t least = 0;
    OK(journal_destroy(owner->journal, &owner->err));
    owner->options.length = FROM + SPAN;
    owner_open(owner);
    OK(write_all(owner->journal, 1, &epoch));
    owner_force(owner);
    OK(apply_all(owner->journal, &owner->err));
    owner_fill(owner, FROM + BEHIND / 2, 9, 1000);
    OK(firn_faulty_fail(owner->faulty, &fault, NULL, &owner->err));
    assert_true(is_whole(owner->journal, false, &least));
    assert_int_equal(least, 1);
    pthread_join(rival.thread, NULL);
    assert_true(atomic_load(&rival.done));
    assert_true(is_whole(owner->journal, true, &least));
    assert_int_equal(least, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(applies_behind_readers, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(is_of_one_moment, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/moment", tests, NULL, NULL);
}
