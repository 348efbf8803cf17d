/* SPDX-License-Identifier: MIT */
/* Transactions: nobody sees one before its commit, and then all of it. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static struct firn_transaction *begin(struct fixture *f)
{
    struct firn_transaction *transaction;
    OK(firn_pipe_begin(f->pipe, &transaction, &f->err));
    return transaction;
}

static uint64_t commit(struct fixture *f, struct firn_transaction *transaction)
{
    uint64_t epoch = 0;
    OK(firn_transaction_commit(transaction, &epoch, &f->err));
    assert_true(epoch > 0);
    return epoch;
}

static void commit_and_wait(struct fixture *f, struct firn_transaction *transaction)
{
    uint64_t epoch = commit(f, transaction);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
}

static void writes_several_places(void **state)
{
    struct fixture *f = *state;
    struct firn_transaction *transaction = begin(f);
    for (uint64_t i = 0; i < 3; i++)
        fill_in(f, transaction, i, 1, (uint8_t)(i + 1));
    expect(f, 0, CHUNKS, 0); /* nobody sees it yet */
    commit_and_wait(f, transaction);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 3; i++)
            expect(f, i, 1, (uint8_t)(i + 1));
        expect(f, 3, 1, 0);
        fixture_reopen(f);
    }
}

static void has_one_epoch(void **state)
{
    struct fixture *f = *state;
    struct firn_transaction *transaction = begin(f);
    fill_in(f, transaction, 0, 1, 0x0a);
    fill_in(f, transaction, 1, 1, 0x14);
    uint64_t epoch = commit(f, transaction);
    expect(f, 0, 1, 0x0a);
    expect(f, 1, 1, 0x14);
    expect_durable(f, 0, 2, 0);
    assert_true(fill(f, 2, 1, 0x1e) >= epoch);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
    expect_durable(f, 0, 1, 0x0a);
    expect_durable(f, 1, 1, 0x14);
}

static void later_one_wins(void **state)
{
    struct fixture *f = *state;
    for (uint8_t byte = 1; byte <= 2; byte++) {
        struct firn_transaction *transaction = begin(f);
        fill_in(f, transaction, 0, 1, byte);
        commit_and_wait(f, transaction);
    }
    expect(f, 0, 1, 2);
    /* By commit, not by begin; and writes in between. */
    struct firn_transaction *first = begin(f), *second = begin(f);
    fill_in(f, first, 0, 3, 3);
    fill_in(f, second, 1, 3, 4);
    fill(f, 0, CHUNKS, 5);
    commit(f, second);
    commit(f, first);
    fill(f, 2, 1, 6);
    for (int round = 0; round < 2; round++) {
        expect(f, 0, 2, 3);
        expect(f, 2, 1, 6);
        expect(f, 3, 1, 4);
        fixture_reopen(f);
    }
}

/* Within one: the last write to a chunk counts, however they overlap. */
static void overlaps_itself(void **state)
{
    struct fixture *f = *state;
    fixture_remake(f, CHUNK, 12);
    struct firn_transaction *transaction = begin(f);
    fill_in(f, transaction, 0, 12, 1);
    fill_in(f, transaction, 4, 4, 2);
    fill_in(f, transaction, 6, 1, 3);
    fill_in(f, transaction, 2, 3, 4);
    fill_in(f, transaction, 7, 3, 5);
    fill_in(f, transaction, 7, 3, 6);
    fill_in(f, transaction, 11, 1, 7);
    fill_in(f, transaction, 0, 1, 8);
    commit(f, transaction);
    static const uint8_t expected[] = {8, 1, 4, 4, 4, 2, 3, 6, 6, 6, 1, 7};
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 12; i++)
            expect(f, i, 1, expected[i]);
        if (round == 0)
            OK(firn_pipe_flush(f->pipe, &f->err));
        else
            fixture_reopen(f);
    }
}

/* So many places that the list of them does not fit a buffer. */
static void writes_many_places(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 12000, STEP = 7 };
    fixture_remake(f, CHUNK, MANY);
    fill_and_wait(f, 0, MANY / 2, 1);
    struct firn_transaction *transaction = begin(f);
    for (uint64_t i = 0; i < MANY; i += 2)
        fill_in(f, transaction, i * STEP % MANY, 1, (uint8_t)(i / 2));
    fill(f, 0, MANY, 2);
    commit(f, transaction);
    fill(f, 10, 3, 3);
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < MANY; i++) {
            uint64_t index = i * STEP % MANY;
            if (index < 10 || index > 12)
                expect(f, index, 1, i % 2 ? 2 : (uint8_t)(i / 2));
        }
        expect(f, 10, 3, 3);
        if (round == 0)
            expect_durable(f, 0, MANY / 2, 1);
        if (round == 0)
            OK(firn_pipe_flush(f->pipe, &f->err));
        else if (round == 1)
            fixture_reopen(f);
    }
}

static void empty_one_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct firn_transaction *transaction = begin(f);
    uint64_t epoch = 4711;
    FAILS(firn_transaction_commit(transaction, &epoch, &f->err), FIRN_EINVAL);
    assert_int_equal(epoch, 4711);
    fill_in(f, transaction, 1, 1, 1); /* it is as before */
    commit_and_wait(f, transaction);
    expect(f, 1, 1, 1);
}

static void abandoned_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    firn_transaction_abandon(NULL);
    firn_transaction_abandon(begin(f));
    struct firn_transaction *transaction = begin(f);
    fill_in(f, transaction, 0, CHUNKS, 1);
    firn_transaction_abandon(transaction);
    fill_and_wait(f, 0, 1, 2);
    expect(f, 0, 1, 2);
    expect(f, 1, 3, 0);
    fixture_close(f);
    expect_file(f, CHUNKS, 0, 2);
    expect_file(f, CHUNKS, 1, 0);
    fixture_open(f);
}

static void refuses_what_does_not_fit(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[CHUNK] = {1};
    struct iovec iov = {bytes, CHUNK};
    struct firn_transaction *transaction = begin(f);
    FAILS(firn_transaction_write(transaction, CHUNKS, &iov, 1, &f->err), FIRN_ERANGE);
    FAILS(firn_transaction_write(transaction, UINT64_MAX, &iov, 1, &f->err), FIRN_ERANGE);
    FAILS(firn_transaction_write(transaction, UINT64_MAX / CHUNK + 1, &iov, 1, &f->err),
          FIRN_ERANGE);
    FAILS(firn_transaction_write(transaction, 0, &iov, 0, &f->err), FIRN_EINVAL);
    FAILS(firn_transaction_write(transaction, 0, &iov, -1, &f->err), FIRN_EINVAL);
    iov.iov_len = CHUNK - 1;
    FAILS(firn_transaction_write(transaction, 0, &iov, 1, &f->err), FIRN_EINVAL);
    iov.iov_len = 0;
    FAILS(firn_transaction_write(transaction, 0, &iov, 1, &f->err), FIRN_EINVAL);
    FAILS(firn_transaction_commit(transaction, NULL, &f->err), FIRN_EINVAL); /* still empty */
    fill_in(f, transaction, 3, 1, 9);
    commit(f, transaction);
    expect(f, 0, 3, 0);
    expect(f, 3, 1, 9);
}

/* What was out of range is in range after a growth. */
static void sees_growth(void **state)
{
    struct fixture *f = *state;
    struct firn_transaction *transaction = begin(f);
    uint8_t bytes[CHUNK] = {1};
    const struct iovec iov = {bytes, CHUNK};
    FAILS(firn_transaction_write(transaction, CHUNKS, &iov, 1, &f->err), FIRN_ERANGE);
    OK(firn_pipe_grow(f->pipe, 2, &f->err));
    fill_in(f, transaction, CHUNKS, 2, 7);
    fill_in(f, transaction, 0, 1, 8);
    commit(f, transaction);
    fixture_close(f);
    expect_file(f, CHUNKS + 2, CHUNKS + 1, 7);
    expect_file(f, CHUNKS + 2, 0, 8);
    fixture_open(f);
}

/* Together larger than pool or journal can hold: refused when it is written, and still usable. */
static void too_large_a_one(void **state)
{
    struct fixture *f = *state;
    enum { BYTES = 4096, MANY = 64 };
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    OK(firn_pipe_destroy(pipe, &f->err));
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    f->options.journal_bytes = 64 * 1024;
    fixture_open(f);
    struct firn_transaction *transaction = begin(f);
    static uint8_t bytes[BYTES];
    const struct iovec iov = {bytes, BYTES};
    uint64_t fitting = 0;
    int rc = 0;
    memset(bytes, 1, sizeof bytes);
    for (uint64_t i = 0; i < MANY && rc == 0; i++) {
        rc = firn_transaction_write(transaction, i, &iov, 1, &f->err);
        fitting += rc == 0;
    }
    assert_int_equal(rc, FIRN_ETOOBIG);
    assert_true(fitting >= 4); /* four chunks fit a journal; of it, half may be one change */
    /* Not a matter of how often: the same chunks again need no more room in the journal. */
    for (uint64_t i = 0; i < fitting; i++) {
        rc = firn_transaction_write(transaction, i, &iov, 1, &f->err);
        assert_true(rc == 0 || rc == FIRN_ETOOBIG);
    }
    commit_and_wait(f, transaction);
    expect(f, 0, fitting, 1);
    expect(f, fitting, MANY - fitting, 0);
}

/* ---- several ---- */

/* Open ones hold nothing that others need, whatever is in them. */
static void open_ones_do_not_starve(void **state)
{
    struct fixture *f = *state;
    enum { OPEN = 64, BYTES = 4096, EACH = 6 };
    struct firn_transaction *transactions[OPEN];
    fixture_remake(f, BYTES, OPEN * EACH);
    for (uint64_t i = 0; i < OPEN; i++) {
        transactions[i] = begin(f);
        fill_in(f, transactions[i], i * EACH, EACH, (uint8_t)(i + 1));
    }
    fill_and_wait(f, 0, 100, 0xff);
    for (uint64_t i = 0; i < OPEN; i++)
        commit(f, transactions[i]);
    OK(firn_pipe_flush(f->pipe, &f->err));
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < OPEN; i++)
            expect(f, i * EACH, EACH, (uint8_t)(i + 1));
        fixture_reopen(f);
    }
}

struct job {
    struct firn_pipe *pipe;
    uint64_t index;
    int rounds;
};

static void *commit_pairs(void *arg)
{
    struct job *job = arg;
    for (int i = 0; i < job->rounds; i++) {
        struct firn_transaction *transaction;
        uint8_t bytes[CHUNK];
        const struct iovec iov = {bytes, CHUNK};
        uint64_t epoch;
        memset(bytes, (int)job->index + i, CHUNK);
        MUST(firn_pipe_begin(job->pipe, &transaction, NULL) == 0);
        MUST(firn_transaction_write(transaction, job->index * 2, &iov, 1, NULL) == 0);
        MUST(firn_transaction_write(transaction, job->index * 2 + 1, &iov, 1, NULL) == 0);
        MUST(firn_transaction_commit(transaction, &epoch, NULL) == 0);
        MUST(firn_pipe_wait_epoch(job->pipe, epoch, FIRN_FOREVER, NULL) == 0);
    }
    return NULL;
}

static void threads_commit(void **state)
{
    struct fixture *f = *state;
    enum { THREADS = 2, ROUNDS = 40 };
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){f->pipe, i, ROUNDS};
        assert_int_equal(pthread_create(&threads[i], NULL, commit_pairs, &jobs[i]), 0);
    }
    for (uint64_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < THREADS; i++)
            expect(f, i * 2, 2, (uint8_t)(i + ROUNDS - 1));
        fixture_reopen(f);
    }
}

/* With refuse_when_full: what was refused can be committed later, as it is. */
static void refused_can_be_committed_again(void **state)
{
    struct fixture *f = *state;
    enum { BYTES = 4096, MANY = 16 };
    f->options.refuse_when_full = true;
    fixture_remake(f, BYTES, MANY * 8);
    struct firn_transaction *transaction = begin(f);
    fill_in(f, transaction, 0, MANY, 0x77);
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < 100000; i++)
        rc = try_fill(f, MANY + i % (MANY * 7), 1, (uint8_t)i, NULL);
    assert_int_equal(rc, FIRN_EAGAIN);
    FAILS(firn_transaction_commit(transaction, NULL, &f->err), FIRN_EAGAIN);
    expect(f, 0, MANY, 0);
    OK(firn_pipe_flush(f->pipe, &f->err));
    fixture_background(f);
    commit_and_wait(f, transaction);
    expect(f, 0, MANY, 0x77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(writes_several_places, in_memory),
        TEST_IN(writes_several_places, on_files),
        TEST_IN(has_one_epoch, manual_memory),
        TEST_IN(has_one_epoch, manual_files),
        TEST_IN(later_one_wins, in_memory),
        TEST_IN(later_one_wins, on_files),
        TEST_IN(overlaps_itself, in_memory),
        TEST_IN(overlaps_itself, on_files),
        TEST_IN(overlaps_itself, manual_memory),
        TEST_IN(writes_many_places, manual_memory),
        TEST_IN(writes_many_places, manual_files),
        TEST_IN(empty_one_is_an_error, in_memory),
        TEST_IN(empty_one_is_an_error, on_files),
        TEST_IN(abandoned_leaves_nothing, in_memory),
        TEST_IN(abandoned_leaves_nothing, on_files),
        TEST_IN(refuses_what_does_not_fit, in_memory),
        TEST_IN(sees_growth, in_memory),
        TEST_IN(sees_growth, on_files),
        TEST_IN(too_large_a_one, in_memory),
        TEST_IN(too_large_a_one, manual_memory),
        TEST_IN(open_ones_do_not_starve, in_memory),
        TEST_IN(open_ones_do_not_starve, manual_memory),
        TEST_IN(threads_commit, in_memory),
        TEST_IN(threads_commit, on_files),
        TEST_IN(refused_can_be_committed_again, manual_memory),
    };
    return cmocka_run_group_tests_name("transaction", tests, NULL, NULL);
}
