/* SPDX-License-Identifier: MIT */
/* Space ahead of a writer, in one file of the simulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>

#include "base/threads.h"
#include "commit/ahead.h"
#include "disk/disk.h"
#include "lib/prng.h"

enum { KIB = 1024, MIB = 1024 * 1024, PAGE = 4096, STALE = 0xee };

static const char path[] = "file";

struct world {
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_file *file;
    struct ahead ahead;
    struct ahead_file space;
};

static void start(struct world *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(firn_faulty_new(NULL, &w->faulty, NULL), 0);
    w->disk = firn_faulty_disk(w->faulty);
    assert_int_equal(disk_open(w->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &w->file, NULL),
                     0);
    assert_int_equal(firn_faulty_settle(w->faulty, NULL), 0);
    ahead_init(&w->ahead);
}

static void stop(struct world *w)
{
    ahead_done(&w->ahead);
    disk_close(w->file);
    firn_faulty_free(w->faulty);
}

static uint64_t reserved(struct world *w)
{
    return atomic_load(&w->space.reserved_end);
}

static int reserve(struct world *w, uint64_t until, uint64_t limit)
{
    return ahead_reserve(&w->ahead, &w->space, w->file, until, limit, NULL);
}

static int zero_claim(struct world *w, uint64_t goal, uint64_t limit, struct firn_error *err)
{
    pthread_mutex_lock(&w->ahead.lock);
    int rc = ahead_zero_claim(&w->ahead, &w->space, w->disk, path, w->file, goal, limit, err);
    pthread_mutex_unlock(&w->ahead.lock);
    return rc;
}

/* Bytes [from, to) of what is certain to survive are all `value`. */
static void expect_durable(struct world *w, uint64_t from, uint64_t to, uint8_t value)
{
    void *bytes;
    size_t size;
    assert_int_equal(firn_faulty_get(w->faulty, path, FIRN_FAULTY_DURABLE, &bytes, &size, NULL), 0);
    assert_true(to <= size);
    for (uint64_t at = from; at < to; at++)
        assert_int_equal(((uint8_t *)bytes)[at], value);
    free(bytes);
}

/* The file holds `size` bytes of what an earlier life left. */
static void put_stale(struct world *w, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, STALE, size);
    assert_int_equal(firn_faulty_put(w->faulty, path, bytes, size, NULL), 0);
    atomic_store(&w->space.reserved_end, size);
    free(bytes);
}

/* ---- reserving ------------------------------------------------------------------------------ */

static void steps_grow_with_the_file(void **state)
{
    (void)state;
    struct world w;
    uint64_t size, limit = 200 * (uint64_t)MIB;
    start(&w);
    assert_true(ahead_of(0) == 64 * KIB && ahead_of(64 * KIB) == 64 * KIB);
    assert_true(ahead_of(MIB) == MIB && ahead_of(limit) == 32 * MIB);
    assert_int_equal(reserve(&w, 1, limit), 0);
    assert_true(reserved(&w) == 64 * KIB + PAGE);
    for (int steps = 0; reserved(&w) < limit; steps++) {
        uint64_t before = reserved(&w);
        assert_int_equal(reserve(&w, before, limit), 0);
        assert_true(reserved(&w) == before); /* it has that already */
        assert_int_equal(reserve(&w, before + 10, limit), 0);
        uint64_t grown = reserved(&w) - before;
        assert_true(grown >= ahead_of(before) || reserved(&w) == limit);
        assert_true(grown <= ahead_of(before) + 2 * (uint64_t)PAGE);
        assert_true(steps < 30);
    }
    assert_int_equal(disk_size_of(w.file, &size, NULL), 0);
    assert_true(size == limit);
    assert_int_equal(reserve(&w, limit + 123, limit), 0); /* more than that, if it must be */
    assert_true(reserved(&w) == limit + 123);
    stop(&w);
}

static void a_full_disk_gives_what_must_be(void **state)
{
    (void)state;
    struct world w;
    struct firn_error err = {0};
    start(&w);
    firn_faulty_set_capacity(w.faulty, 40 * KIB);
    assert_int_equal(reserve(&w, 10 * KIB, MIB), 0);
    assert_true(reserved(&w) == 10 * KIB);
    assert_int_equal(ahead_reserve(&w.ahead, &w.space, w.file, 50 * KIB, MIB, &err), FIRN_ENOSPC);
    assert_int_equal(err.code, FIRN_ENOSPC);
    assert_true(reserved(&w) == 10 * KIB);
    firn_faulty_set_capacity(w.faulty, MIB);
    assert_int_equal(reserve(&w, 50 * KIB, MIB), 0);
    assert_true(reserved(&w) > 50 * KIB);
    stop(&w);
}

static void a_finished_file_grows_no_more(void **state)
{
    (void)state;
    struct world w;
    uint64_t size;
    start(&w);
    ahead_finish(&w.ahead, &w.space, MIB);
    assert_int_equal(reserve(&w, PAGE, MIB), 0);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), FIRN_EEND);
    assert_int_equal(zero_claim(&w, 4 * MIB, 4 * MIB, NULL), FIRN_EEND);
    assert_int_equal(disk_size_of(w.file, &size, NULL), 0);
    assert_true(size == 0 && reserved(&w) == 0);
    stop(&w);
}

/* ---- zeroing -------------------------------------------------------------------------------- */

static void claims_go_to_the_goal(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    put_stale(&w, MIB);
    int claims = 0, rc;
    for (uint64_t end = 0; (rc = zero_claim(&w, 700 * KIB, MIB, NULL)) == 0; claims++) {
        assert_true(w.space.zeroed_end > end && w.space.zeroed_end - end <= AHEAD_CLAIM);
        end = w.space.zeroed_end;
        expect_durable(&w, 0, end, 0);
    }
    assert_int_equal(rc, FIRN_EEND);
    assert_int_equal(claims, 3);
    expect_durable(&w, 0, 700 * KIB, 0);
    expect_durable(&w, 700 * KIB, MIB, STALE);
    stop(&w);
}

static void claims_keep_to_the_limit(void **state)
{
    (void)state;
    struct world w;
    uint64_t size;
    start(&w);
    while (zero_claim(&w, 10 * MIB, 300 * KIB, NULL) == 0)
        assert_true(w.space.zeroed_end <= 300 * KIB);
    assert_true(w.space.zeroed_end == 300 * KIB && reserved(&w) == 300 * KIB);
    assert_int_equal(disk_size_of(w.file, &size, NULL), 0);
    assert_true(size == 300 * KIB);
    stop(&w);
}

/* And leave a gap to it, which the next writes go to. */
static void claims_lie_ahead_of_the_writer(void **state)
{
    (void)state;
    static const uint64_t entered[] = {1, PAGE, 64 * KIB, 300 * KIB + 1};
    for (size_t i = 0; i < sizeof entered / sizeof entered[0]; i++) {
        struct world w;
        start(&w);
        put_stale(&w, MIB);
        ahead_enter(&w.ahead, &w.space, 0, entered[i], MIB);
        assert_int_equal(zero_claim(&w, MIB, MIB, NULL), 0);
        uint64_t gap = entered[i] < 64 * KIB ? PAGE : 64 * KIB;
        uint64_t from = (entered[i] + gap + PAGE - 1) / PAGE * PAGE;
        expect_durable(&w, 0, from, STALE);
        expect_durable(&w, from, w.space.zeroed_end, 0);
        stop(&w);
    }
}

static void nothing_is_claimed_behind_who_enters_it_all(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    ahead_enter(&w.ahead, &w.space, 0, UINT64_MAX, MIB);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), FIRN_EEND);
    assert_true(reserved(&w) == 0);
    stop(&w);
}

/* Where what lies ahead is not known, what is not zero stays, and nothing behind it is zeroed. */
static void a_claim_spares_what_is_not_zero(void **state)
{
    (void)state;
    struct world w;
    uint8_t *bytes = calloc(1, MIB);
    assert_non_null(bytes);
    bytes[300 * KIB] = STALE;
    start(&w);
    w.space.only_zeros = true;
    assert_int_equal(firn_faulty_put(w.faulty, path, bytes, MIB, NULL), 0);
    atomic_store(&w.space.reserved_end, MIB);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), 0);
    assert_true(w.space.zeroed_end == AHEAD_CLAIM);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), FIRN_EEND);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), FIRN_EEND);
    assert_true(w.space.zeroed_end == AHEAD_CLAIM);
    expect_durable(&w, 300 * KIB, 300 * KIB + 1, STALE);
    free(bytes);
    stop(&w);
}

/* What a failed claim would have zeroed is not taken for zeroed, and can be claimed again. */
static void a_failed_claim_is_no_claim(void **state)
{
    (void)state;
    static const unsigned ops[] = {FIRN_FAULTY_OPEN, FIRN_FAULTY_WRITE, FIRN_FAULTY_SYNC,
                                   FIRN_FAULTY_RESERVE};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct world w;
        struct firn_error err = {0};
        struct firn_faulty_fault fault = {.ops = ops[i]};
        start(&w);
        assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
        assert_int_equal(zero_claim(&w, MIB, MIB, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        assert_true(w.space.zeroed_end == 0);
        assert_null(w.ahead.claimed);
        ahead_enter(&w.ahead, &w.space, 0, 0, MIB); /* does not wait */
        assert_int_equal(zero_claim(&w, MIB, MIB, NULL), 0);
        assert_true(w.space.zeroed_end == AHEAD_CLAIM);
        stop(&w);
    }
}

/* An error of writeback is not taken from the writer: who zeroes has a descriptor of his own. */
static void a_claim_leaves_errors_to_the_writer(void **state)
{
    (void)state;
    struct world w;
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_LOSE, .ops = FIRN_FAULTY_WRITE};
    start(&w);
    assert_int_equal(reserve(&w, PAGE, MIB), 0);
    ahead_enter(&w.ahead, &w.space, 0, PAGE, MIB);
    assert_int_equal(firn_faulty_fail(w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(disk_write_zeros(w.file, 0, PAGE, 0, NULL), 0);
    assert_int_equal(zero_claim(&w, MIB, MIB, NULL), 0);
    assert_int_equal(disk_sync(w.file, NULL), FIRN_EIO);
    stop(&w);
}

/* ---- writers and claims --------------------------------------------------------------------- */

enum { CLAIM_FROM = 4 * PAGE, CLAIM_TO = CLAIM_FROM + AHEAD_CLAIM };

struct meeting {
    struct world w;
    struct ahead_file other;
    pthread_t writer;
    atomic_bool began, entered;
    bool met;
};

static void *enter_claim(void *arg)
{
    struct meeting *meeting = arg;
    atomic_store(&meeting->began, true);
    struct world *w = &meeting->w;
    ahead_enter(&w->ahead, &w->space, CLAIM_TO - 1, CLAIM_TO + 1, MIB);
    atomic_store(&meeting->entered, true);
    return NULL;
}

/* In the middle of a claim's sync. */
static void meet(void *arg, struct firn_faulty *faulty, const struct firn_faulty_event *event)
{
    (void)faulty;
    (void)event;
    struct meeting *meeting = arg;
    struct world *w = &meeting->w;
    assert_ptr_equal(w->ahead.claimed, &w->space);
    assert_true(w->ahead.claim_from == CLAIM_FROM && w->ahead.claim_to == CLAIM_TO);
    ahead_enter(&w->ahead, &w->space, 0, CLAIM_FROM, MIB); /* these do not wait */
    ahead_enter(&w->ahead, &w->space, CLAIM_TO, CLAIM_TO + 1, MIB);
    ahead_enter(&w->ahead, &meeting->other, 0, CLAIM_TO, MIB);
    assert_true(w->space.entered_end == CLAIM_TO + 1);
    assert_int_equal(pthread_create(&meeting->writer, NULL, enter_claim, meeting), 0);
    while (!atomic_load(&meeting->began))
        sched_yield();
    for (int i = 0; i < 200; i++)
        sched_yield();
    assert_false(atomic_load(&meeting->entered));
    meeting->met = true;
}

static void a_writer_waits_for_the_claim_that_it_meets(void **state)
{
    (void)state;
    struct meeting meeting = {0};
    struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_CALL, .ops = FIRN_FAULTY_SYNC, .call = meet, .arg = &meeting};
    start(&meeting.w);
    ahead_enter(&meeting.w.ahead, &meeting.w.space, 0, CLAIM_FROM - PAGE, MIB);
    assert_int_equal(firn_faulty_fail(meeting.w.faulty, &fault, NULL, NULL), 0);
    assert_int_equal(zero_claim(&meeting.w, MIB, MIB, NULL), 0);
    assert_true(meeting.met);
    pthread_join(meeting.writer, NULL);
    assert_true(atomic_load(&meeting.entered));
    /* and the next claim lies ahead of it */
    assert_int_equal(zero_claim(&meeting.w, MIB, MIB, NULL), 0);
    assert_true(meeting.w.space.zeroed_end > CLAIM_TO + AHEAD_CLAIM);
    stop(&meeting.w);
}

/* One writes from the start to the end, two zero ahead of it: what it wrote stays. */
struct race {
    struct firn_disk *disk;
    struct firn_file *file;
    struct ahead ahead;
    struct ahead_file space;
    _Atomic uint64_t position;
};

enum { RACE_BYTES = 3 * MIB, ZEROERS = 2 };

static void race_write(struct race *race)
{
    static uint8_t bytes[20 * KIB];
    struct prng prng = prng_new(1);
    uint64_t at = 0;
    memset(bytes, 0xaa, sizeof bytes);
    while (at < RACE_BYTES) {
        uint64_t part = 1 + prng_below(&prng, sizeof bytes);
        part = part < RACE_BYTES - at ? part : RACE_BYTES - at;
        THREAD_CHECK(ahead_reserve(&race->ahead, &race->space, race->file, at + part, RACE_BYTES,
                                   NULL) == 0);
        ahead_enter(&race->ahead, &race->space, at, at + part, RACE_BYTES);
        THREAD_CHECK(disk_write_full(race->file, bytes, part, at, 0, NULL) == 0);
        at += part;
        atomic_store(&race->position, at);
    }
    ahead_finish(&race->ahead, &race->space, RACE_BYTES);
}

static void race_zero(struct race *race)
{
    pthread_mutex_lock(&race->ahead.lock);
    while (!atomic_load(&race->space.finished)) {
        uint64_t position = atomic_load(&race->position);
        int rc = ahead_zero_claim(&race->ahead, &race->space, race->disk, path, race->file,
                                  position + ahead_of(position), RACE_BYTES, NULL);
        THREAD_CHECK(rc == 0 || rc == FIRN_EEND);
        pthread_mutex_unlock(&race->ahead.lock);
        sched_yield();
        pthread_mutex_lock(&race->ahead.lock);
    }
    pthread_mutex_unlock(&race->ahead.lock);
}

static void race_body(void *shared, unsigned number)
{
    if (number == 0)
        race_write(shared);
    else
        race_zero(shared);
}

static void nothing_that_was_written_is_zeroed(void **state)
{
    (void)state;
    struct race race = {0};
    static uint8_t bytes[RACE_BYTES];
    size_t got;
    assert_int_equal(firn_disk_memory_new(&race.disk, NULL), 0);
    assert_int_equal(
        disk_open(race.disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &race.file, NULL), 0);
    ahead_init(&race.ahead);
    threads_run(1 + ZEROERS, race_body, &race);
    assert_int_equal(disk_read_full(race.file, bytes, RACE_BYTES, 0, &got, NULL), 0);
    assert_int_equal(got, RACE_BYTES);
    for (size_t i = 0; i < RACE_BYTES; i++)
        assert_int_equal(bytes[i], 0xaa);
    ahead_done(&race.ahead);
    disk_close(race.file);
    firn_disk_free(race.disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_grow_with_the_file),
        cmocka_unit_test(a_full_disk_gives_what_must_be),
        cmocka_unit_test(a_finished_file_grows_no_more),
        cmocka_unit_test(claims_go_to_the_goal),
        cmocka_unit_test(claims_keep_to_the_limit),
        cmocka_unit_test(claims_lie_ahead_of_the_writer),
        cmocka_unit_test(nothing_is_claimed_behind_who_enters_it_all),
        cmocka_unit_test(a_claim_spares_what_is_not_zero),
        cmocka_unit_test(a_failed_claim_is_no_claim),
        cmocka_unit_test(a_claim_leaves_errors_to_the_writer),
        cmocka_unit_test(a_writer_waits_for_the_claim_that_it_meets),
        cmocka_unit_test(nothing_that_was_written_is_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
