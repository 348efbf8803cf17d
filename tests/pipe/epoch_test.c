/* SPDX-License-Identifier: MIT */
/*
 * The epoch that a write gets is the one that makes it durable. A write that falls into the time in
 * which a group is on its way to the journal belongs to the next one: tried from inside the
 * journal's durable write, and with many threads that wait, until the power is lost, the process
 * dies, or a write is lost, at some moment.
 *
 * Arguments: none: some rounds; SEED ROUNDS: so many, from this seed on.
 */
#include "fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/prng.h"

/* ---- inside a commit ---- */

struct inside {
    struct fixture *f;
    int calls;
    uint64_t in_flight, epoch; /* what waits, and what the write from inside got */
    bool with_transaction;
};

static void stage(struct inside *inside)
{
    struct fixture *f = inside->f;
    uint8_t bytes[CHUNK];
    struct firn_transaction *transaction;
    const struct iovec iov = {bytes, CHUNK};
    memset(bytes, 2, sizeof bytes);
    if (!inside->with_transaction) {
        MUST(firn_pipe_write(f->pipe, 1, &iov, 1, &inside->epoch, NULL) == 0);
        return;
    }
    MUST(firn_pipe_begin(f->pipe, &transaction, NULL) == 0);
    MUST(firn_transaction_write(transaction, 1, &iov, 1, NULL) == 0);
    MUST(firn_transaction_commit(transaction, &inside->epoch, NULL) == 0);
}

static void write_inside(void *arg, struct firn_faulty *faulty,
                         const struct firn_faulty_event *event)
{
    (void)faulty, (void)event;
    struct inside *inside = arg;
    struct firn_pipe *pipe = inside->f->pipe;
    uint8_t found[CHUNK];
    inside->calls++;
    MUST(firn_pipe_durable_epoch(pipe) < inside->in_flight);
    stage(inside);
    MUST(inside->epoch > inside->in_flight);
    MUST(firn_pipe_wait_epoch(pipe, inside->epoch, 0, NULL) == FIRN_ETIMEDOUT);
    MUST(firn_pipe_wait_epoch(pipe, inside->in_flight, 0, NULL) == FIRN_ETIMEDOUT);
    for (uint64_t i = 0; i < 2; i++) { /* both are read, neither is durable */
        MUST(firn_pipe_read(pipe, i, 1, found, 0, NULL) == 0);
        MUST(found[0] == i + 1);
        MUST(firn_pipe_read(pipe, i, 1, found, FIRN_READ_DURABLE, NULL) == 0);
        MUST(found[0] == 9);
    }
}

/* Nothing that is not synced survives: what is there then? */
static void expect_after_power_loss(struct fixture *f, uint8_t first, uint8_t second)
{
    struct fixture after = *f;
    after.pipe = NULL;
    OK(firn_faulty_clone(f->faulty, &after.faulty, &f->err));
    OK(firn_faulty_restart(after.faulty, 0, &f->err));
    after.disk = after.options.disk = firn_faulty_disk(after.faulty);
    fixture_open(&after);
    expect(&after, 0, 1, first);
    expect(&after, 1, 1, second);
    expect(&after, 2, CHUNKS - 2, 9);
    fixture_close(&after);
    firn_faulty_free(after.faulty);
}

static void write_while_a_group_is_in_flight(struct fixture *f, bool with_transaction)
{
    struct inside inside = {.f = f, .with_transaction = with_transaction};
    const struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                            .ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                            .path = "pipe.journal",
                                            .call = write_inside,
                                            .arg = &inside};
    fill_and_wait(f, 0, CHUNKS, 9);
    inside.in_flight = fill(f, 0, 1, 1);
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    OK(firn_pipe_wait_epoch(f->pipe, inside.in_flight, FIRN_FOREVER, &f->err));
    assert_int_equal(inside.calls, 1);
    assert_true(firn_pipe_durable_epoch(f->pipe) < inside.epoch);
    expect_durable(f, 0, 1, 1);
    expect_durable(f, 1, 1, 9);
    expect(f, 1, 1, 2);
    expect_after_power_loss(f, 1, 9);
    OK(firn_pipe_wait_epoch(f->pipe, inside.epoch, FIRN_FOREVER, &f->err));
    expect_durable(f, 1, 1, 2);
    expect_after_power_loss(f, 1, 2);
}

static void write_belongs_to_the_next_group(void **state)
{
    write_while_a_group_is_in_flight(*state, false);
}

static void transaction_belongs_to_the_next_group(void **state)
{
    write_while_a_group_is_in_flight(*state, true);
}

/* The group in flight fails: what was staged meanwhile is never reported durable. */
static void fails_inside(void **state)
{
    struct fixture *f = *state;
    struct inside inside = {.f = f};
    struct firn_faulty_fault fault = {.what = FIRN_FAULTY_CALL,
                                      .ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                      .path = "pipe.journal",
                                      .call = write_inside,
                                      .arg = &inside};
    fill_and_wait(f, 0, CHUNKS, 9);
    inside.in_flight = fill(f, 0, 1, 1);
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    fault.what = FIRN_FAULTY_LOSE;
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    FAILS(firn_pipe_wait_epoch(f->pipe, inside.in_flight, FIRN_FOREVER, &f->err), FIRN_EPOISONED);
    assert_int_equal(inside.calls, 1);
    FAILS(firn_pipe_wait_epoch(f->pipe, inside.epoch, FIRN_FOREVER, &f->err), FIRN_EPOISONED);
    FAILS(firn_pipe_force(f->pipe, inside.epoch, &f->err), FIRN_EPOISONED);
    expect_durable(f, 0, CHUNKS, 9);
    expect_after_power_loss(f, 9, 9);
    fixture_lose_power(f, 0);
}

/* ---- many threads ---- */

enum { WRITERS = 5, OWN = 4, BIG = 600 };

/* A writer has chunks of its own; every write has a number. */
struct writer {
    pthread_t thread;
    struct firn_pipe *pipe;
    uint64_t first;             /* chunk */
    uint64_t acknowledged[OWN]; /* number of the last write that is durable */
    uint64_t tried;             /* number of the last write at all */
    bool pairs;                 /* transactions over all of its chunks */
    struct prng prng;
    _Atomic uint64_t *count; /* of all that was acknowledged */
};

struct body {
    uint64_t number, check;
    uint8_t rest[BIG - 16];
};

static void make_body(struct body *body, uint64_t index, uint64_t number)
{
    struct prng prng = prng_new(index * UINT64_C(1000003) + number);
    body->number = number;
    body->check = prng_next(&prng);
    prng_fill(&prng, body->rest, sizeof body->rest);
}

static int write_pair(struct writer *writer, uint64_t *epoch)
{
    struct firn_transaction *transaction;
    struct body body;
    const struct iovec iov = {&body, sizeof body};
    if (firn_pipe_begin(writer->pipe, &transaction, NULL) != 0)
        return FIRN_EPOISONED;
    for (uint64_t i = 0; i < OWN; i++) {
        make_body(&body, writer->first + i, writer->tried);
        MUST(firn_transaction_write(transaction, writer->first + i, &iov, 1, NULL) == 0);
    }
    int rc = firn_transaction_commit(transaction, epoch, NULL);
    if (rc != 0)
        firn_transaction_abandon(transaction);
    return rc;
}

static void *write_until_it_fails(void *arg)
{
    struct writer *writer = arg;
    for (int rc = 0; rc == 0;) {
        uint64_t epoch, number = ++writer->tried, own = number % OWN;
        if (writer->pairs) {
            rc = write_pair(writer, &epoch);
        } else {
            struct body body;
            const struct iovec iov = {&body, sizeof body};
            make_body(&body, writer->first + own, number);
            rc = firn_pipe_write(writer->pipe, writer->first + own, &iov, 1, &epoch, NULL);
        }
        if (rc == 0 && prng_below(&writer->prng, 3) == 0)
            sched_yield();
        if (rc == 0 && prng_below(&writer->prng, 4) == 0)
            continue; /* nobody waits for that one */
        if (rc == 0)
            rc = firn_pipe_wait_epoch(writer->pipe, epoch, FIRN_FOREVER, NULL);
        if (rc != 0)
            break;
        for (uint64_t i = 0; i < OWN; i++)
            if (writer->pairs || i == own)
                writer->acknowledged[i] = number;
        atomic_fetch_add(writer->count, 1);
    }
    return NULL;
}

static void check_writer(struct fixture *f, const struct writer *writer, uint64_t seed)
{
    uint64_t pair = UINT64_MAX;
    for (uint64_t i = 0; i < OWN; i++) {
        struct body found, made, zero = {0};
        uint64_t index = writer->first + i;
        OK(firn_pipe_read(f->pipe, index, 1, &found, 0, &f->err));
        make_body(&made, index, found.number);
        if (memcmp(&found, found.number ? &made : &zero, sizeof found) != 0)
            fail_msg("chunk %llu is torn; again: test-pipe-epoch %llu 1", (unsigned long long)index,
                     (unsigned long long)seed);
        if (found.number < writer->acknowledged[i])
            fail_msg("chunk %llu has write %llu, and %llu was acknowledged; again: "
                     "test-pipe-epoch %llu 1",
                     (unsigned long long)index, (unsigned long long)found.number,
                     (unsigned long long)writer->acknowledged[i], (unsigned long long)seed);
        assert_true(found.number <= writer->tried);
        if (writer->pairs && i > 0 && found.number != pair)
            fail_msg("half of a transaction; again: test-pipe-epoch %llu 1",
                     (unsigned long long)seed);
        pair = found.number;
    }
}

/* What ends the life of the pipe while its writers are at it. */
static void end_it(struct fixture *f, struct prng *prng)
{
    static const unsigned ops[] = {FIRN_FAULTY_WRITE_DURABLE, FIRN_FAULTY_SYNC,
                                   FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE};
    const struct firn_faulty_fault fault = {.what = prng_below(prng, 2) ? FIRN_FAULTY_LOSE
                                                                        : FIRN_FAULTY_FAIL,
                                            .ops = ops[prng_below(prng, 3)]};
    const struct firn_faulty_fault at_last = {.times = FIRN_FAULTY_ALWAYS}; /* whatever it is */
    uint64_t kind = prng_below(prng, 4);
    if (kind == 0)
        firn_faulty_kill(f->faulty);
    else if (kind == 1)
        firn_faulty_power_off(f->faulty);
    else
        OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    if (kind > 1)
        sched_yield();
    if (kind > 1)
        OK(firn_faulty_fail(f->faulty, &at_last, NULL, &f->err));
}

static uint64_t one_round(struct fixture *f, uint64_t seed)
{
    struct prng prng = prng_new(seed);
    static struct writer writers[WRITERS];
    _Atomic uint64_t count = 0;
    uint64_t enough = 1 + prng_below(&prng, 400);
    f->options.chunk_bytes = sizeof(struct body);
    f->options.initial_chunks = WRITERS * OWN;
    f->options.journal_bytes = prng_below(&prng, 2) ? 64 * 1024 : 0;
    fixture_open(f);
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.pipe = f->pipe,
                                     .first = i * OWN,
                                     .pairs = i % 2 == 1,
                                     .prng = prng_new(seed * 100 + i),
                                     .count = &count};
        assert_int_equal(
            pthread_create(&writers[i].thread, NULL, write_until_it_fails, &writers[i]), 0);
    }
    while (atomic_load(&count) < enough)
        sched_yield();
    end_it(f, &prng);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    firn_pipe_close(f->pipe, NULL);
    f->pipe = NULL;
    firn_faulty_clear(f->faulty, 0);
    if (firn_faulty_is_off(f->faulty) || prng_below(&prng, 2))
        OK(firn_faulty_restart_random(f->faulty, prng_next(&prng), &f->err));
    fixture_open(f);
    for (int i = 0; i < WRITERS; i++)
        check_writer(f, &writers[i], seed);
    fill_and_wait(f, 0, 1, 1); /* it works */
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    OK(firn_pipe_destroy(pipe, &f->err));
    return atomic_load(&count);
}

static uint64_t first_seed = 1, rounds = 60;

static void acknowledged_survives_threads(void **state)
{
    struct fixture *f = *state;
    uint64_t count = 0;
    for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++)
        count += one_round(f, seed);
    printf("note: %llu acknowledged writes of %d threads, %llu sudden ends\n",
           (unsigned long long)count, WRITERS, (unsigned long long)rounds);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(write_belongs_to_the_next_group, manual_simulator),
        TEST_IN(transaction_belongs_to_the_next_group, manual_simulator),
        TEST_IN(fails_inside, manual_simulator),
        CLOSED_IN(acknowledged_survives_threads, in_simulator),
    };
    const char *effort = getenv("FIRN_TEST_EFFORT");
    if (effort && strcmp(effort, "less") == 0)
        rounds = 15;
    if (argc == 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        rounds = strtoull(argv[2], NULL, 10);
    } else {
        alarm(110); /* a deadlock is a failure */
    }
    return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
