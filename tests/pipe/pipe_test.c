/* SPDX-License-Identifier: MIT */
/* The pipe as a whole: what a program does with it, on a memory disk and on files. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 4 };

/* ---- life ---- */

static void opens_and_closes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(firn_pipe_durable_epoch(f->pipe), 0);
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), CHUNK);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS);
    expect(f, 0, CHUNKS, 0);
    expect_durable(f, 0, CHUNKS, 0);
    fixture_close(f);
    expect_file(f, CHUNKS, 0, 0);
    assert_int_equal(firn_pipe_close(NULL, &f->err), 0);
}

/* ---- write ---- */

static void writes_and_waits(void **state)
{
    struct fixture *f = *state;
    fill_and_wait(f, 0, 1, 0xab);
    expect(f, 0, 1, 0xab);
    expect_durable(f, 0, 1, 0xab);
    expect(f, 1, 3, 0);
}

/* From several buffers, whose ends are not those of chunks. */
static void writes_several_chunks(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[2 * CHUNK], found[4 * CHUNK], expected[4 * CHUNK] = {0};
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = expected[CHUNK + i] = (uint8_t)(i + 1);
    const struct iovec iov[] = {
        {bytes, 3}, {bytes + 3, 0}, {bytes + 3, 20}, {NULL, 0}, {bytes + 23, 9}};
    uint64_t epoch;
    OK(firn_pipe_write(f->pipe, 1, iov, 5, &epoch, &f->err));
    memset(bytes, 0, sizeof bytes); /* the caller's again */
    OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
    OK(firn_pipe_read(f->pipe, 0, 4, found, 0, &f->err));
    assert_memory_equal(found, expected, sizeof found);
    fixture_reopen(f);
    OK(firn_pipe_read(f->pipe, 0, 4, found, 0, &f->err));
    assert_memory_equal(found, expected, sizeof found);
}

static void forces(void **state)
{
    struct fixture *f = *state;
    uint64_t epoch = fill(f, 0, 1, 1);
    OK(firn_pipe_force(f->pipe, epoch, &f->err));
    assert_true(firn_pipe_durable_epoch(f->pipe) >= epoch);
    expect_durable(f, 0, 1, 1);
}

static void epochs_ascend(void **state)
{
    struct fixture *f = *state;
    uint64_t before = 0;
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t epoch = fill(f, i % CHUNKS, 1, (uint8_t)i);
        assert_true(epoch >= before);
        assert_true(epoch > before || i % 3 != 1);
        if (i % 3 == 0) {
            OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
            assert_true(firn_pipe_durable_epoch(f->pipe) >= epoch);
        }
        before = epoch;
    }
}

static void writes_many_chunks_at_once(void **state)
{
    struct fixture *f = *state;
    FAILS(try_fill(f, 0, 0x80, 0xab, NULL), FIRN_ERANGE);
    fixture_remake(f, CHUNK, 0x80);
    fill_and_wait(f, 0, 0x80, 0xab);
    expect(f, 0, 0x80, 0xab);
    fixture_close(f);
    expect_file(f, 0x80, 0x7f, 0xab);
}

static void writes_one_after_another(void **state)
{
    struct fixture *f = *state;
    fixture_remake(f, CHUNK, 0x10);
    for (uint64_t i = 0; i < 0x10; i++)
        fill_and_wait(f, i, 1, (uint8_t)i);
    for (uint64_t i = 0; i < 0x10; i++)
        expect(f, i, 1, (uint8_t)i);
    fixture_reopen(f);
    for (uint64_t i = 0; i < 0x10; i++)
        expect(f, i, 1, (uint8_t)i);
}

/* ---- read ---- */

static void reads_runs_of_chunks(void **state)
{
    struct fixture *f = *state;
    fixture_remake(f, CHUNK, 0x10);
    const uint64_t counts[] = {1, 2, 4, 6, 0x10};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        fill_and_wait(f, 0, counts[i], (uint8_t)(0xaa + i));
        expect(f, 0, counts[i], (uint8_t)(0xaa + i));
        expect(f, counts[i] - 1, 1, (uint8_t)(0xaa + i));
    }
}

static void reads_several_places(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 2; i++)
        fill_and_wait(f, i, 1, (uint8_t)(i + 7));
    for (uint64_t i = 0; i < 2; i++)
        expect(f, i, 1, (uint8_t)(i + 7));
    expect(f, 2, 2, 0);
}

static void later_write_wins(void **state)
{
    struct fixture *f = *state;
    fill_and_wait(f, 0, 1, 0xaa);
    fill_and_wait(f, 0, 1, 0xbb);
    expect(f, 0, 1, 0xbb);
    fill(f, 0, 3, 0xcc); /* in one group, overlapping */
    fill(f, 1, 1, 0xdd);
    OK(firn_pipe_flush(f->pipe, &f->err));
    for (int round = 0; round < 2; round++) {
        expect(f, 0, 1, 0xcc);
        expect(f, 1, 1, 0xdd);
        expect(f, 2, 1, 0xcc);
        expect(f, 3, 1, 0);
        fixture_reopen(f);
    }
}

/* While it is staged, in one group with others: large writes, of which several overlap. */
static void reads_what_is_staged(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sizes[] = {100, 4096, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t many = 300000 / sizes[i];
        fixture_remake(f, sizes[i], many);
        fill_and_wait(f, 0, many, 1);
        fill(f, 0, many, 2);
        fill(f, many / 2, 1, 3);
        fill(f, many / 4, many / 2, 4);
        fill(f, many - 1, 1, 5);
        for (int round = 0; round < 3; round++) {
            for (uint64_t k = 0; k + 1 < many; k++)
                expect(f, k, 1, k >= many / 4 && k < many / 4 + many / 2 ? 4 : 2);
            expect(f, 0, many / 4, 2);
            expect(f, many / 4, many / 2, 4);
            expect(f, many - 1, 1, 5);
            if (round == 0)
                expect_durable(f, 0, many, 1);
            if (round == 0)
                OK(firn_pipe_flush(f->pipe, &f->err));
            else if (round == 1)
                fixture_reopen(f);
        }
    }
}

/* ---- grow ---- */

static void grows(void **state)
{
    struct fixture *f = *state;
    OK(firn_pipe_grow(f->pipe, 0x10, &f->err));
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS + 0x10);
    expect(f, 0, CHUNKS + 0x10, 0);
    fixture_close(f);
    expect_file(f, CHUNKS + 0x10, CHUNKS, 0);
    fixture_open(f);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS + 0x10);
}

static void writes_and_reads_what_has_grown(void **state)
{
    struct fixture *f = *state;
    FAILS(try_fill(f, CHUNKS, 1, 0x5a, NULL), FIRN_ERANGE);
    OK(firn_pipe_grow(f->pipe, 8, &f->err));
    fill_and_wait(f, CHUNKS, 1, 0x5a);
    expect(f, CHUNKS, 1, 0x5a);
    fill_and_wait(f, CHUNKS - 1, 9, 0x5b); /* old and new ones */
    expect(f, CHUNKS - 1, 9, 0x5b);
    fixture_close(f);
    expect_file(f, CHUNKS + 8, CHUNKS + 7, 0x5b);
}

static void grows_again_and_again(void **state)
{
    struct fixture *f = *state;
    uint64_t count = CHUNKS;
    for (uint64_t i = 1; i < 40; i++) {
        OK(firn_pipe_grow(f->pipe, i, &f->err));
        count += i;
        assert_int_equal(firn_pipe_count(f->pipe), count);
        fill(f, count - i, i, (uint8_t)i);
        if (i % 10 == 0)
            fixture_reopen(f);
    }
    fixture_reopen(f);
    count = CHUNKS;
    for (uint64_t i = 1; i < 40; count += i++)
        expect(f, count, i, (uint8_t)i);
}

/* ---- threads ---- */

struct job {
    struct fixture *f;
    uint64_t index, rounds;
    pthread_barrier_t *barrier;
};

static void write_one(struct firn_pipe *pipe, uint64_t index, uint8_t byte, bool force)
{
    uint8_t bytes[CHUNK];
    uint64_t epoch;
    const struct iovec iov = {bytes, sizeof bytes};
    memset(bytes, byte, sizeof bytes);
    MUST(firn_pipe_write(pipe, index, &iov, 1, &epoch, NULL) == 0);
    if (force)
        MUST(firn_pipe_force(pipe, epoch, NULL) == 0);
    else
        MUST(firn_pipe_wait_epoch(pipe, epoch, FIRN_FOREVER, NULL) == 0);
    MUST(firn_pipe_durable_epoch(pipe) >= epoch);
}

static void *write_own(void *arg)
{
    struct job *job = arg;
    if (job->barrier)
        (void)pthread_barrier_wait(job->barrier);
    for (uint64_t i = 0; i < job->rounds; i++)
        write_one(job->f->pipe, job->index, (uint8_t)(job->index + i), i % 2 == 1);
    return NULL;
}

static void *write_all(void *arg)
{
    struct job *job = arg;
    for (uint64_t i = 0; i < job->rounds; i++)
        write_one(job->f->pipe, i, (uint8_t)job->index, false);
    return NULL;
}

static void *read_own(void *arg)
{
    struct job *job = arg;
    uint8_t bytes[CHUNK];
    for (uint64_t i = 0; i < job->rounds; i++) {
        unsigned flags = i % 2 ? FIRN_READ_DURABLE : 0;
        MUST(firn_pipe_read(job->f->pipe, job->index, 1, bytes, flags, NULL) == 0);
        for (size_t k = 1; k < sizeof bytes; k++)
            MUST(bytes[k] == bytes[0]);
    }
    return NULL;
}

static void run_jobs(struct fixture *f, void *(*const *calls)(void *), unsigned count,
                     uint64_t rounds)
{
    pthread_t threads[MOST_THREADS];
    struct job jobs[MOST_THREADS];
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, count), 0);
    for (unsigned i = 0; i < count; i++) {
        jobs[i] = (struct job){.f = f,
                               .index = i,
                               .rounds = rounds,
                               .barrier = calls[i] == write_own ? &barrier : NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, calls[i], &jobs[i]), 0);
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void threads_read(void **state)
{
    struct fixture *f = *state;
    static void *(*const calls[])(void *) = {read_own, read_own};
    for (uint64_t i = 0; i < 2; i++)
        fill_and_wait(f, i, 1, (uint8_t)i);
    run_jobs(f, calls, 2, 100);
}

static void threads_write_beside_a_reader(void **state)
{
    struct fixture *f = *state;
    static void *(*const calls[])(void *) = {read_own, write_all};
    run_jobs(f, calls, 2, CHUNKS);
    expect(f, 0, CHUNKS, 1);
}

static void threads_write_the_same(void **state)
{
    struct fixture *f = *state;
    static void *(*const calls[])(void *) = {write_all, write_all};
    uint8_t bytes[CHUNK];
    fixture_remake(f, CHUNK, 0x10);
    run_jobs(f, calls, 2, 0x10);
    for (uint64_t i = 0; i < 0x10; i++) {
        OK(firn_pipe_read(f->pipe, i, 1, bytes, 0, &f->err));
        assert_true(bytes[0] <= 1);
        expect(f, i, 1, bytes[0]);
    }
}

static void threads_start_together(void **state)
{
    struct fixture *f = *state;
    static void *(*const calls[])(void *) = {write_own, write_own, write_own, write_own};
    run_jobs(f, calls, 4, 30);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 4; i++)
            expect(f, i, 1, (uint8_t)(i + 29));
        fixture_reopen(f);
    }
}

static void *grow_some(void *arg)
{
    struct job *job = arg;
    for (int i = 0; i < 0x3a; i++)
        MUST(firn_pipe_grow(job->f->pipe, 1, NULL) == 0);
    return NULL;
}

static void grows_while_others_write(void **state)
{
    struct fixture *f = *state;
    static void *(*const calls[])(void *) = {write_all, grow_some, write_all, read_own};
    run_jobs(f, calls, 4, CHUNKS);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS + 0x3a);
    expect(f, CHUNKS, 0x3a, 0);
    fixture_close(f);
    expect_file(f, CHUNKS + 0x3a, CHUNKS + 0x39, 0);
}

/* ---- groups ---- */

/* What is staged together is one group: it becomes durable at once. */
static void group_is_durable_together(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_info info;
    uint64_t epochs[CHUNKS];
    for (uint64_t i = 0; i < CHUNKS; i++)
        epochs[i] = fill(f, i, 1, (uint8_t)(i + 1));
    for (uint64_t i = 1; i < CHUNKS; i++)
        assert_int_equal(epochs[i], epochs[0]);
    assert_int_equal(firn_pipe_durable_epoch(f->pipe), 0);
    expect(f, 3, 1, 4);
    expect_durable(f, 0, CHUNKS, 0);
    OK(firn_pipe_wait_epoch(f->pipe, epochs[0], FIRN_FOREVER, &f->err));
    assert_true(firn_pipe_durable_epoch(f->pipe) >= epochs[3]);
    for (uint64_t i = 0; i < CHUNKS; i++)
        expect_durable(f, i, 1, (uint8_t)(i + 1));
    firn_pipe_get_info(f->pipe, &info);
    assert_int_equal(info.commit.epoch_durable, epochs[0]);
    assert_int_equal(info.commit.groups, 1);
}

/* A group that nobody waits for becomes durable all the same. */
static void background_makes_durable(void **state)
{
    struct fixture *f = *state;
    uint64_t epoch = fill(f, 1, 1, 9);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, 60 * UINT64_C(1000000), &f->err));
    expect_durable(f, 1, 1, 9);
}

/* ---- closing ---- */

static void close_makes_durable(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 1, 0xaa);
    fill(f, 2, 1, 0xbb);
    fixture_close(f);
    expect_file(f, CHUNKS, 0, 0xaa);
    expect_file(f, CHUNKS, 2, 0xbb);
    fixture_open(f);
    expect_durable(f, 0, 1, 0xaa);
    expect_durable(f, 2, 1, 0xbb);
    assert_int_equal(firn_pipe_durable_epoch(f->pipe), 0); /* epochs are those of this handle */
}

/* It stays what it is by any number of lives without a write. */
static void opens_without_change(void **state)
{
    struct fixture *f = *state;
    uint64_t size, again;
    fill_and_wait(f, 0, CHUNKS, 3);
    fixture_close(f);
    uint8_t *before = fixture_load(f, f->journal, &size);
    for (int i = 0; i < 3; i++) {
        fixture_open(f);
        expect(f, 0, CHUNKS, 3);
        fixture_close(f);
        expect_file(f, CHUNKS, CHUNKS - 1, 3);
    }
    uint8_t *after = fixture_load(f, f->journal, &again);
    assert_int_equal(size, again);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(opens_and_closes, in_memory),
        TEST_IN(opens_and_closes, on_files),
        TEST_IN(writes_and_waits, in_memory),
        TEST_IN(writes_and_waits, on_files),
        TEST_IN(writes_several_chunks, in_memory),
        TEST_IN(writes_several_chunks, on_files),
        TEST_IN(forces, in_memory),
        TEST_IN(forces, on_files),
        TEST_IN(epochs_ascend, in_memory),
        TEST_IN(epochs_ascend, on_files),
        TEST_IN(writes_many_chunks_at_once, in_memory),
        TEST_IN(writes_many_chunks_at_once, on_files),
        TEST_IN(writes_one_after_another, in_memory),
        TEST_IN(writes_one_after_another, on_files),
        TEST_IN(reads_runs_of_chunks, in_memory),
        TEST_IN(reads_runs_of_chunks, on_files),
        TEST_IN(reads_several_places, in_memory),
        TEST_IN(reads_several_places, on_files),
        TEST_IN(later_write_wins, in_memory),
        TEST_IN(later_write_wins, on_files),
        TEST_IN(reads_what_is_staged, manual_memory),
        TEST_IN(reads_what_is_staged, manual_files),
        TEST_IN(grows, in_memory),
        TEST_IN(grows, on_files),
        TEST_IN(writes_and_reads_what_has_grown, in_memory),
        TEST_IN(writes_and_reads_what_has_grown, on_files),
        TEST_IN(grows_again_and_again, in_memory),
        TEST_IN(grows_again_and_again, on_files),
        TEST_IN(threads_read, in_memory),
        TEST_IN(threads_read, on_files),
        TEST_IN(threads_write_beside_a_reader, in_memory),
        TEST_IN(threads_write_beside_a_reader, on_files),
        TEST_IN(threads_write_the_same, in_memory),
        TEST_IN(threads_write_the_same, on_files),
        TEST_IN(threads_start_together, in_memory),
        TEST_IN(threads_start_together, on_files),
        TEST_IN(grows_while_others_write, in_memory),
        TEST_IN(grows_while_others_write, on_files),
        TEST_IN(group_is_durable_together, manual_memory),
        TEST_IN(group_is_durable_together, manual_files),
        TEST_IN(background_makes_durable, in_memory),
        TEST_IN(background_makes_durable, on_files),
        TEST_IN(close_makes_durable, in_memory),
        TEST_IN(close_makes_durable, on_files),
        TEST_IN(close_makes_durable, manual_memory),
        TEST_IN(opens_without_change, in_memory),
        TEST_IN(opens_without_change, on_files),
    };
    return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
