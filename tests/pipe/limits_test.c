/* SPDX-License-Identifier: MIT */
/* Wrong arguments, and what happens when pool, journal or disk are full. */
#include "fixture.h"

#include <limits.h>
#include <pthread.h>

enum { BYTES = 4096, MANY = 128, JOURNAL = 64 * 1024 };

/* ---- arguments ---- */

static void refuses_wrong_writes(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[CHUNK * CHUNKS + CHUNK] = {1};
    struct iovec iov[3] = {{bytes, CHUNK}, {bytes, SIZE_MAX - CHUNK + 1}, {bytes, CHUNK}};
    uint64_t epoch = 4711;
    FAILS(firn_pipe_write(f->pipe, 0, iov, 0, &epoch, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_write(f->pipe, 0, iov, -1, &epoch, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_write(f->pipe, 0, iov, INT_MIN, &epoch, &f->err), FIRN_EINVAL);
    static const size_t wrong[] = {0, 1, CHUNK - 1, CHUNK + 1, 2 * CHUNK - 1};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        iov[0].iov_len = wrong[i];
        FAILS(firn_pipe_write(f->pipe, 0, iov, 1, &epoch, &f->err), FIRN_EINVAL);
    }
    iov[0].iov_len = CHUNK;
    int rc = firn_pipe_write(f->pipe, 0, iov, 2, &epoch, &f->err); /* overflows to 0 bytes */
    assert_true(rc == FIRN_EINVAL || rc == FIRN_ETOOBIG || rc == FIRN_ERANGE);
    rc = firn_pipe_write(f->pipe, 0, iov, 3, &epoch, &f->err); /* and to one chunk */
    assert_true(rc == FIRN_EINVAL || rc == FIRN_ETOOBIG || rc == FIRN_ERANGE);
    FAILS(firn_pipe_write(f->pipe, CHUNKS, iov, 1, &epoch, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_write(f->pipe, UINT64_MAX, iov, 1, &epoch, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_write(f->pipe, UINT64_MAX / CHUNK + 1, iov, 1, &epoch, &f->err), FIRN_ERANGE);
    iov[0].iov_len = CHUNK * 2;
    FAILS(firn_pipe_write(f->pipe, CHUNKS - 1, iov, 1, &epoch, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_write(f->pipe, UINT64_MAX, iov, 1, &epoch, &f->err), FIRN_ERANGE);
    assert_int_equal(epoch, 4711);
    expect(f, 0, CHUNKS, 0);
    fill_and_wait(f, CHUNKS - 1, 1, 1);
    OK(firn_pipe_write(f->pipe, 0, (struct iovec[]){{bytes, CHUNK}}, 1, NULL, NULL));
}

static void refuses_wrong_reads(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[CHUNK * CHUNKS + CHUNK], same[sizeof bytes];
    memset(bytes, 0x99, sizeof bytes);
    memset(same, 0x99, sizeof same);
    fill(f, 0, CHUNKS, 1);
    FAILS(firn_pipe_read(f->pipe, 0, 0, bytes, 0, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_read(f->pipe, 0, 1, bytes, 2, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_read(f->pipe, 0, 1, bytes, UINT_MAX, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_read(f->pipe, CHUNKS, 1, bytes, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, 0, CHUNKS + 1, bytes, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, 1, UINT64_MAX, bytes, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, UINT64_MAX, 1, bytes, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, UINT64_MAX, UINT64_MAX, bytes, 0, &f->err), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, 0, UINT64_MAX / CHUNK + 2, bytes, 0, &f->err), FIRN_ERANGE);
    assert_memory_equal(bytes, same, sizeof bytes);
}

/* ---- pool ---- */

static void open_small(struct fixture *f, bool refuse, uint64_t journal_bytes)
{
    const struct firn_env_options small = {.pool_bytes = 512 * 1024, .manual = f->kind.manual};
    assert_int_equal(firn_env_free(f->env), 0);
    OK(firn_env_new(&small, &f->env, &f->err));
    f->options.env = f->env;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = 8 * MANY;
    f->options.refuse_when_full = refuse;
    f->options.journal_bytes = journal_bytes;
    fixture_open(f);
}

static void larger_than_the_pool(void **state)
{
    struct fixture *f = *state;
    open_small(f, false, 0);
    FAILS(try_fill(f, 0, 2 * MANY, 1, NULL), FIRN_ETOOBIG); /* 1 MiB */
    assert_non_null(strstr(f->err.message, f->path));
    expect(f, 0, 2 * MANY, 0);
    fill_and_wait(f, 0, MANY / 4, 2);
    expect(f, 0, MANY / 4, 2);
}

static void larger_than_half_of_the_journal(void **state)
{
    struct fixture *f = *state;
    open_small(f, false, JOURNAL);
    FAILS(try_fill(f, 0, JOURNAL / BYTES / 2, 1, NULL), FIRN_ETOOBIG);
    expect(f, 0, MANY, 0);
    fill_and_wait(f, 0, 4, 2);
    expect(f, 0, 4, 2);
    expect(f, 4, 1, 0);
}

/* Much more than pool and journal hold, with nobody who waits: writers do what is needed. */
static void writers_make_room(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_info info;
    open_small(f, false, JOURNAL);
    for (uint64_t i = 0; i < 10 * MANY; i++)
        fill(f, i % MANY, 1 + i % 3, (uint8_t)i);
    OK(firn_pipe_flush(f->pipe, &f->err));
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.applies > 0);
    assert_true(info.applied_writes > 0);
    assert_true(info.applied_bytes >= info.applied_writes);
    assert_int_equal(info.journal_bytes, JOURNAL);
    assert_true(info.journal_pending <= JOURNAL);
    assert_true(fixture_size(f, f->journal) <= JOURNAL);
    for (int round = 0; round < 2; round++) {
        expect(f, (10 * MANY - 1) % MANY, 1, (uint8_t)(10 * MANY - 1));
        fixture_reopen(f);
    }
}

/* Each chunk is what a model says, through many turns of the ring. */
static void ring_turns(void **state)
{
    struct fixture *f = *state;
    static uint8_t model[8 * MANY];
    uint64_t seed = 1;
    open_small(f, false, JOURNAL);
    memset(model, 0, sizeof model);
    for (int i = 0; i < 1500; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t count = 1 + (seed >> 33) % 6, index = (seed >> 40) % (8 * MANY - count);
        uint64_t epoch = fill(f, index, count, (uint8_t)i);
        memset(model + index, (uint8_t)i, count);
        if (i % 5 == 0)
            OK(firn_pipe_force(f->pipe, epoch, &f->err));
        if (i % 7 == 0 && f->kind.manual)
            firn_env_run(f->env);
        if (i % 400 == 399)
            fixture_reopen(f);
        for (uint64_t k = index > 2 ? index - 2 : 0; k < index + count; k++)
            expect(f, k, 1, model[k]);
    }
    for (int round = 0; round < 2; round++) {
        for (uint64_t k = 0; k < 8 * MANY; k++)
            expect(f, k, 1, model[k]);
        fixture_reopen(f);
    }
}

/* refuse_when_full: told at once, and nothing was staged. */
static void refuses_when_full(void **state)
{
    struct fixture *f = *state;
    for (int small_journal = 0; small_journal < 2; small_journal++) {
        uint64_t accepted = 0;
        uint8_t byte = 0;
        if (f->pipe)
            fixture_close(f);
        open_small(f, true, small_journal ? JOURNAL : 0);
        for (int round = 0; round < 5; round++) {
            int rc = 0;
            uint64_t epoch = 4711;
            while (rc == 0 && accepted < 100000) {
                rc = try_fill(f, accepted % MANY, 1, (uint8_t)(byte + 1), &epoch);
                byte = (uint8_t)(byte + (rc == 0));
                accepted += rc == 0;
            }
            assert_int_equal(rc, FIRN_EAGAIN);
            expect(f, (accepted - 1) % MANY, 1, byte);
            OK(firn_pipe_flush(f->pipe, &f->err));
            fixture_background(f);
            expect_durable(f, (accepted - 1) % MANY, 1, byte);
        }
        assert_true(accepted >= 20);
    }
}

/* One whose writes are refused can always be closed, and has what was accepted. */
static void full_and_closed(void **state)
{
    struct fixture *f = *state;
    uint64_t accepted = 0;
    open_small(f, true, JOURNAL);
    while (try_fill(f, accepted % MANY, 1, (uint8_t)(accepted + 1), NULL) == 0)
        accepted++;
    fixture_reopen(f);
    expect(f, (accepted - 1) % MANY, 1, (uint8_t)accepted);
}

/* A growth that was refused half-way leaves nothing that a later one would bring to light. */
static void grows_after_a_refusal(void **state)
{
    struct fixture *f = *state;
    static const uint64_t refused[] = {100, 3000, 1, 700}, later[] = {50, 100, 4000, 10000};
    open_small(f, true, JOURNAL);
    uint64_t written = 0;
    fixture_close(f);
    fixture_store(f, f->path, NULL, 0);
    fixture_store(f, f->journal, NULL, 0);
    f->options.chunk_bytes = CHUNK;
    f->options.initial_chunks = MANY;
    fixture_open(f);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        while (try_fill(f, written % MANY, 1, 1, NULL) == 0)
            written++;
        while (firn_pipe_grow(f->pipe, 1, NULL) == 0) /* that is shorter */
            continue;
        uint64_t count = firn_pipe_count(f->pipe);
        FAILS(firn_pipe_grow(f->pipe, refused[i], &f->err), FIRN_EAGAIN);
        assert_int_equal(firn_pipe_count(f->pipe), count);
        OK(firn_pipe_flush(f->pipe, &f->err));
        fixture_background(f);
        OK(firn_pipe_grow(f->pipe, later[i], &f->err));
        expect(f, count, later[i], 0);
    }
    uint64_t count = firn_pipe_count(f->pipe);
    expect(f, MANY, count - MANY, 0);
    fixture_reopen(f);
    expect(f, MANY, count - MANY, 0);
}

/* Of several pipes in one environment none keeps the others from going on. */
static void pipes_share_an_environment(void **state)
{
    struct fixture *f = *state;
    enum { PIPES = 6 };
    struct firn_pipe *pipes[PIPES];
    char path[96];
    open_small(f, false, JOURNAL);
    for (int i = 0; i < PIPES; i++) {
        strcpy(path, f->path);
        path[strlen(path) - 1] = (char)('0' + i);
        OK(firn_pipe_open(path, &f->options, &pipes[i], &f->err));
    }
    struct firn_pipe *own = f->pipe;
    for (uint64_t round = 0; round < 300; round++) {
        f->pipe = pipes[round % PIPES];
        fill(f, round % MANY, 3, (uint8_t)round);
    }
    for (int i = 0; i < PIPES; i++) {
        uint64_t last = 300 - PIPES + (uint64_t)i;
        f->pipe = pipes[i];
        OK(firn_pipe_flush(f->pipe, &f->err));
        expect(f, last % MANY, 3, (uint8_t)last);
        OK(firn_pipe_destroy(pipes[i], &f->err));
    }
    f->pipe = own;
}

/* ---- disk ---- */

static uint64_t used(struct fixture *f)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(f->faulty, &counts);
    return counts.used;
}

static void creation_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    for (uint64_t room = 0;; room += 64 * 1024) {
        firn_faulty_set_capacity(f->faulty, room);
        int rc = fixture_try_open(f);
        if (rc == 0)
            break;
        f->pipe = NULL;
        assert_int_equal(rc, FIRN_ENOSPC);
        assert_int_equal(fixture_size(f, f->path), UINT64_MAX);
        assert_true(room < 64 * 1024 * 1024);
    }
    firn_faulty_set_capacity(f->faulty, UINT64_MAX);
    fill_and_wait(f, 0, 1, 1);
}

/* A full disk does not poison: what was refused works again when there is room. */
static void full_disk_passes(void **state)
{
    struct fixture *f = *state;
    uint8_t byte = 0;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = 2 * MANY;
    fixture_open(f);
    for (int round = 0; round < 4; round++) {
        firn_faulty_set_capacity(f->faulty, used(f) + 64 * 1024);
        FAILS(firn_pipe_grow(f->pipe, 4 * MANY, &f->err), FIRN_ENOSPC);
        assert_int_equal(firn_pipe_count(f->pipe), 2 * (uint64_t)MANY + (uint64_t)round);
        int rc = 0;
        for (uint64_t i = 0; rc == 0 && i < 100 * MANY; i++) {
            rc = try_fill(f, i % MANY, 1, (uint8_t)(byte + 1), NULL);
            byte = (uint8_t)(byte + (rc == 0));
            if (i % 16 == 0 && rc == 0)
                OK(firn_pipe_flush(f->pipe, &f->err));
        }
        assert_true(rc == 0 || rc == FIRN_ENOSPC); /* 0: it goes on in the room that it has */
        OK(firn_pipe_flush(f->pipe, &f->err));
        fixture_background(f);
        firn_faulty_set_capacity(f->faulty, UINT64_MAX);
        OK(firn_pipe_grow(f->pipe, 1, &f->err));
        fill_and_wait(f, 0, MANY, byte);
        expect(f, 0, MANY, byte);
    }
    fixture_reopen(f);
    expect(f, 0, MANY, byte);
    expect(f, MANY, MANY, 0);
}

/* What was accepted finds its room, however full the disk gets afterwards; closing too. */
static void full_disk_keeps_what_was_accepted(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    fixture_open(f);
    fill(f, 0, MANY / 2, 1);
    firn_faulty_set_capacity(f->faulty, used(f));
    fill_and_wait(f, 0, 1, 2);
    fixture_background(f);
    fixture_close(f);
    expect_file(f, MANY, 0, 2);
    expect_file(f, MANY, MANY / 2 - 1, 1);
    /* Also from the beginning, with nothing free at all. */
    fixture_try_open(f);
    if (f->pipe) {
        int rc = try_fill(f, 0, 1, 3, NULL);
        assert_true(rc == 0 || rc == FIRN_ENOSPC);
        if (rc == 0)
            OK(firn_pipe_flush(f->pipe, &f->err));
        fixture_close(f);
    } else {
        assert_int_equal(f->err.code, FIRN_ENOSPC);
    }
    firn_faulty_set_capacity(f->faulty, UINT64_MAX);
    fixture_open(f);
    fill_and_wait(f, 0, 1, 4);
    expect(f, 0, 1, 4);
}

/* A plain file with holes is no promise of room for what goes there. */
static void holes_on_a_full_disk(void **state)
{
    struct fixture *f = *state;
    struct firn_disk *disk = f->disk;
    struct firn_file *file;
    OK(disk->ops->open(disk, f->path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, &f->err));
    OK(file->ops->truncate(file, MANY * BYTES, &f->err));
    OK(file->ops->sync(file, &f->err));
    file->ops->close(file);
    f->options.chunk_bytes = BYTES;
    firn_faulty_set_capacity(f->faulty, used(f) + 200 * 1024);
    int rc = fixture_try_open(f);
    for (uint64_t i = 0; rc == 0 && i < MANY; i++) {
        rc = try_fill(f, i, 1, 1, NULL);
        if (rc == 0)
            OK(firn_pipe_flush(f->pipe, &f->err));
    }
    assert_true(rc == 0 || rc == FIRN_ENOSPC);
    if (f->pipe)
        OK(firn_pipe_flush(f->pipe, &f->err)); /* not poisoned */
    firn_faulty_set_capacity(f->faulty, UINT64_MAX);
    if (!f->pipe)
        fixture_open(f);
    fill(f, 0, MANY / 2, 2);
    fixture_reopen(f);
    expect(f, 0, MANY / 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(refuses_wrong_writes, in_memory),
        TEST_IN(refuses_wrong_reads, in_memory),
        CLOSED_IN(larger_than_the_pool, manual_memory),
        CLOSED_IN(larger_than_the_pool, in_memory),
        CLOSED_IN(larger_than_half_of_the_journal, manual_memory),
        CLOSED_IN(larger_than_half_of_the_journal, in_memory),
        CLOSED_IN(writers_make_room, manual_memory),
        CLOSED_IN(writers_make_room, in_memory),
        CLOSED_IN(writers_make_room, on_files),
        CLOSED_IN(ring_turns, manual_memory),
        CLOSED_IN(ring_turns, in_memory),
        CLOSED_IN(ring_turns, on_files),
        CLOSED_IN(refuses_when_full, manual_memory),
        CLOSED_IN(refuses_when_full, manual_files),
        CLOSED_IN(full_and_closed, manual_memory),
        CLOSED_IN(grows_after_a_refusal, manual_memory),
        CLOSED_IN(pipes_share_an_environment, manual_memory),
        CLOSED_IN(pipes_share_an_environment, in_memory),
        CLOSED_IN(creation_on_a_full_disk, manual_simulator),
        CLOSED_IN(full_disk_passes, manual_simulator),
        CLOSED_IN(full_disk_keeps_what_was_accepted, manual_simulator),
        CLOSED_IN(holes_on_a_full_disk, manual_simulator),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
