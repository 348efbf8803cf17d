/* SPDX-License-Identifier: MIT */
/* Looking only: opening for reading, figures, verification; and what is left of a poisoned pipe. */
#include "fixture.h"

#include "disk/disk.h"

/* ---- reading only ---- */

static void writes_nothing(struct fixture *f)
{
    uint8_t bytes[CHUNK] = {1};
    const struct iovec iov = {bytes, CHUNK};
    struct firn_transaction *transaction = NULL;
    struct firn_pipe_watch *watch = NULL;
    int fd = -7;
    FAILS(firn_pipe_write(f->pipe, 0, &iov, 1, NULL, &f->err), FIRN_EREADONLY);
    FAILS(firn_pipe_grow(f->pipe, 1, &f->err), FIRN_EREADONLY);
    FAILS(firn_pipe_begin(f->pipe, &transaction, &f->err), FIRN_EREADONLY);
    FAILS(firn_pipe_flush(f->pipe, &f->err), FIRN_EREADONLY);
    FAILS(firn_pipe_watch_open(f->pipe, 1, &watch, &fd, &f->err), FIRN_EREADONLY);
    assert_null(transaction);
    assert_null(watch);
    assert_int_equal(fd, -7);
    assert_int_equal(firn_pipe_durable_epoch(f->pipe), 0);
}

static void reads_a_clean_pipe(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_info info;
    struct firn_pipe_check check;
    uint8_t byte;
    fixture_open(f);
    fill(f, 1, 2, 0x21);
    fixture_close(f);
    f->options.read_only = true;
    f->options.chunk_bytes = 0;
    fixture_open(f);
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), CHUNK);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS);
    expect(f, 0, 1, 0);
    expect(f, 1, 2, 0x21);
    expect_durable(f, 1, 2, 0x21);
    FAILS(firn_pipe_read(f->pipe, CHUNKS, 1, &byte, 0, &f->err), FIRN_ERANGE);
    writes_nothing(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_false(info.recovered);
    assert_int_equal(info.replayed, 0);
    OK(firn_pipe_verify(f->pipe, &check, &f->err));
    assert_int_equal(check.chunks, CHUNKS);
    fixture_close(f);
    f->options.chunk_bytes = CHUNK + 1;
    FAILS(fixture_try_open(f), FIRN_EMISMATCH);
    f->options.chunk_bytes = CHUNK;
    expect_file(f, CHUNKS, 2, 0x21);
}

/* What a crash left is seen as it will be after recovery, and stays as it is. */
static void reads_a_crashed_pipe(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_info info;
    struct firn_pipe_check check;
    uint64_t sizes[4];
    uint8_t *files[4];
    fixture_open(f);
    fill_and_wait(f, 1, 2, 0x21);
    OK(firn_pipe_grow(f->pipe, 2, &f->err));
    fill_and_wait(f, 2, 3, 0x22);
    fixture_kill(f);
    files[0] = fixture_load(f, f->path, &sizes[0]);
    files[1] = fixture_load(f, f->journal, &sizes[1]);
    f->options.read_only = true;
    for (int round = 0; round < 3; round++) {
        fixture_open(f);
        assert_int_equal(firn_pipe_count(f->pipe), CHUNKS + 2);
        expect(f, 0, 1, 0);
        expect(f, 1, 1, 0x21);
        expect(f, 2, 3, 0x22);
        expect(f, 5, 1, 0);
        expect_durable(f, 2, 3, 0x22);
        writes_nothing(f);
        firn_pipe_get_info(f->pipe, &info);
        assert_true(info.replayed > 0);
        OK(firn_pipe_verify(f->pipe, &check, &f->err));
        assert_int_equal(check.chunks, CHUNKS + 2);
        if (round == 1)
            fixture_kill(f);
        else
            fixture_close(f);
    }
    files[2] = fixture_load(f, f->path, &sizes[2]);
    files[3] = fixture_load(f, f->journal, &sizes[3]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sizes[i], sizes[i + 2]);
        assert_memory_equal(files[i], files[i + 2], sizes[i]);
    }
    for (int i = 0; i < 4; i++)
        free(files[i]);
    f->options.read_only = false;
    fixture_open(f);
    expect(f, 1, 1, 0x21);
    expect(f, 2, 3, 0x22);
    fixture_close(f);
    expect_file(f, CHUNKS + 2, 4, 0x22);
}

/* A reader with little memory finds a journal that holds much. */
static void reads_a_large_journal(void **state)
{
    struct fixture *f = *state;
    enum { BYTES = 4096, MANY = 400 };
    const struct firn_env_options small = {.pool_bytes = 512 * 1024, .manual = true};
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    fixture_open(f);
    for (uint64_t i = 0; i < MANY; i++)
        fill(f, i, 1, (uint8_t)i);
    OK(firn_pipe_flush(f->pipe, &f->err));
    fixture_kill(f);
    OK(firn_env_new(&small, &f->options.env, &f->err));
    f->options.read_only = true;
    for (int round = 0; round < 2; round++) {
        fixture_open(f);
        for (uint64_t i = 0; i < MANY; i++)
            expect(f, i, 1, (uint8_t)i);
        fixture_close(f);
        f->options.read_only = false;
    }
    assert_int_equal(firn_env_free(f->options.env), 0);
}

/* ---- figures ---- */

static void counts(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_info info;
    fixture_open(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_int_equal(info.chunk_bytes, CHUNK);
    assert_int_equal(info.chunks, CHUNKS);
    assert_false(info.recovered);
    assert_int_equal(info.replayed, 0);
    assert_true(info.journal_bytes >= 64 * 1024);
    assert_int_equal(info.journal_pending, 0);
    assert_int_equal(info.applies, 0);
    assert_int_equal(info.applied_bytes, 0);
    assert_int_equal(info.applied_writes, 0);
    assert_int_equal(info.commit.epoch_durable, 0);
    uint64_t epoch = fill(f, 0, 2, 1);
    fill(f, 1, 1, 2);
    firn_pipe_get_info(f->pipe, &info);
    assert_int_equal(info.commit.epoch_staged, epoch);
    assert_int_equal(info.commit.epoch_durable, 0);
    assert_int_equal(info.commit.groups, 0);
    OK(firn_pipe_force(f->pipe, epoch, &f->err));
    firn_pipe_get_info(f->pipe, &info);
    assert_int_equal(info.commit.epoch_durable, epoch);
    assert_int_equal(info.commit.groups, 1);
    assert_int_equal(info.commit.items, 2);
    assert_true(info.commit.syncs >= 1);
    assert_true(info.commit.bytes >= 3 * CHUNK);
    assert_true(info.journal_pending >= 2 * CHUNK);
    OK(firn_pipe_grow(f->pipe, 2, &f->err));
    firn_pipe_get_info(f->pipe, &info);
    assert_int_equal(info.chunks, CHUNKS + 2);
    fixture_kill(f);
    fixture_open(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.recovered);
    assert_int_equal(info.replayed, 3); /* two writes and a growth */
    assert_int_equal(info.journal_pending, 0);
    fixture_reopen(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_false(info.recovered);
    assert_int_equal(info.replayed, 0);
}

/* Many small writes side by side go to the file as few large ones. */
static void applies_neighbours_together(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 512, BYTES = 64 };
    struct firn_pipe_info info;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    f->options.journal_bytes = 64 * 1024;
    fixture_open(f);
    for (int round = 0; round < 8; round++)
        for (uint64_t i = 0; i < MANY; i++)
            fill(f, i * 37 % MANY, 1, (uint8_t)(i * 37 % MANY + (uint64_t)round)); /* in no order */
    OK(firn_pipe_flush(f->pipe, &f->err));
    fixture_background(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.applies > 0);
    assert_true(info.applied_writes > 0);
    assert_true(info.applied_bytes <= info.applies * MANY * BYTES);
    assert_true(info.applied_writes * 16 <= (uint64_t)8 * MANY);
    for (uint64_t i = 0; i < MANY; i++)
        expect(f, i, 1, (uint8_t)(i + 7));
}

/* ---- verify ---- */

static void finds_nothing_wrong(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_check check = {.chunks = 99};
    fixture_open(f);
    for (int round = 0; round < 3; round++) {
        OK(firn_pipe_verify(f->pipe, &check, &f->err));
        assert_int_equal(check.chunks, CHUNKS);
        assert_int_equal(check.unreadable, 0);
        assert_int_equal(check.damaged_slots, 0);
        assert_int_equal(check.records > 0, round > 0);
        fill_and_wait(f, 1, 1, 1);
        fill(f, 2, 1, 2); /* staged */
    }
}

static void finds_a_damaged_slot(void **state)
{
    struct fixture *f = *state;
    for (uint64_t slot = 0; slot < 2; slot++) {
        struct firn_pipe_check check;
        fixture_open(f);
        fill_and_wait(f, 0, 1, 1);
        OK(firn_faulty_flip_bit(f->faulty, "pipe.journal", slot * 4096 + 30, 3, &f->err));
        FAILS(firn_pipe_verify(f->pipe, &check, &f->err), FIRN_EDAMAGED);
        assert_non_null(strstr(f->err.message, f->journal));
        assert_int_equal(check.damaged_slots, 1);
        assert_int_equal(check.unreadable, 0);
        assert_int_equal(check.chunks, CHUNKS);
        fixture_kill(f);
        fixture_open(f); /* one suffices */
        expect(f, 0, 1, 1);
        OK(firn_pipe_verify(f->pipe, &check, &f->err)); /* and both are good again */
        fixture_close(f);
    }
}

static void finds_a_damaged_record(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_check check;
    uint8_t byte;
    fixture_open(f);
    fill_and_wait(f, 0, 1, 0xa1);
    fill_and_wait(f, 1, 1, 0xa2);
    uint64_t size, at = 8192;
    uint8_t *journal = fixture_load(f, f->journal, &size);
    while (at + CHUNK <= size && journal[at] != 0xa1)
        at++;
    free(journal);
    assert_true(at + CHUNK <= size);
    OK(firn_faulty_flip_bit(f->faulty, "pipe.journal", at + 3, 3, &f->err));
    FAILS(firn_pipe_verify(f->pipe, &check, &f->err), FIRN_EDAMAGED);
    assert_non_null(strstr(f->err.message, f->journal));
    (void)byte;
    fixture_kill(f);
    FAILS(fixture_try_open(f), FIRN_EDAMAGED); /* nothing acknowledged is dropped silently */
    f->pipe = NULL;
}

static void finds_what_cannot_be_read(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_check check;
    enum { MANY = 64, BYTES = 512 };
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    fixture_open(f);
    fill(f, 0, MANY, 1);
    fixture_reopen(f);
    const struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_READ,
                                            .path = "pipe",
                                            .offset = 5 * BYTES,
                                            .length = 1,
                                            .times = FIRN_FAULTY_ALWAYS};
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    FAILS(firn_pipe_verify(f->pipe, &check, &f->err), FIRN_EDAMAGED);
    assert_int_equal(check.chunks, MANY);
    assert_int_equal(check.unreadable, 1);
    uint8_t bytes[BYTES];
    FAILS(firn_pipe_read(f->pipe, 5, 1, bytes, 0, &f->err), FIRN_EIO);
    expect(f, 4, 1, 1);
    expect(f, 6, 1, 1);
    fill_and_wait(f, 5, 1, 2); /* a sector that can't be read does no harm to writers */
    expect(f, 5, 1, 2);
    firn_faulty_clear(f->faulty, 0);
    OK(firn_pipe_verify(f->pipe, &check, &f->err));
}

/* ---- poison ---- */

static void poisoned_stays_so(struct fixture *f, const char *cause)
{
    uint8_t bytes[CHUNK] = {1};
    const struct iovec iov = {bytes, CHUNK};
    struct firn_transaction *transaction;
    uint64_t durable = firn_pipe_durable_epoch(f->pipe);
    for (int i = 0; i < 2; i++) {
        FAILS(firn_pipe_write(f->pipe, 0, &iov, 1, NULL, &f->err), FIRN_EPOISONED);
        assert_non_null(strstr(f->err.message, cause));
        FAILS(firn_pipe_grow(f->pipe, 1, &f->err), FIRN_EPOISONED);
        assert_non_null(strstr(f->err.message, cause));
        FAILS(firn_pipe_flush(f->pipe, &f->err), FIRN_EPOISONED);
        assert_non_null(strstr(f->err.message, cause));
        FAILS(firn_pipe_force(f->pipe, durable + 1, &f->err), FIRN_EPOISONED);
        FAILS(firn_pipe_wait_epoch(f->pipe, durable + 1, 0, &f->err), FIRN_EPOISONED);
        OK(firn_pipe_wait_epoch(f->pipe, durable, 0, &f->err)); /* that one is */
        if (firn_pipe_begin(f->pipe, &transaction, &f->err) == 0) {
            OK(firn_transaction_write(transaction, 0, &iov, 1, &f->err));
            FAILS(firn_transaction_commit(transaction, NULL, &f->err), FIRN_EPOISONED);
            firn_transaction_abandon(transaction);
        }
        fixture_background(f);
        assert_int_equal(firn_pipe_durable_epoch(f->pipe), durable);
    }
}

/* Whatever fails of a group's way to the journal, once: never cleared by a later success. */
static void failed_write_poisons(void **state)
{
    struct fixture *f = *state;
    static const unsigned ops[] = {FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                   FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_WRITE};
    for (int lose = 0; lose < 4; lose++) {
        uint8_t bytes[CHUNK];
        const struct firn_faulty_fault fault = {.what = lose % 2 ? FIRN_FAULTY_LOSE
                                                                 : FIRN_FAULTY_FAIL,
                                                .ops = ops[lose / 2],
                                                .path = "pipe.journal",
                                                .code = lose == 2 ? FIRN_ENOSPC : FIRN_EIO};
        fixture_open(f);
        fill_and_wait(f, 0, CHUNKS, 1);
        uint64_t epoch = fill(f, 0, 2, 2);
        OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
        int rc = firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err);
        assert_int_equal(rc, FIRN_EPOISONED);
        assert_non_null(strstr(f->err.message, "pipe.journal"));
        poisoned_stays_so(f, f->journal);
        FAILS(firn_pipe_read(f->pipe, 0, 1, bytes, 0, &f->err), FIRN_EPOISONED);
        expect_durable(f, 0, CHUNKS, 1);
        struct firn_pipe *pipe = f->pipe;
        f->pipe = NULL;
        FAILS(firn_pipe_close(pipe, &f->err), FIRN_EPOISONED);
        OK(firn_faulty_restart(f->faulty, 0, &f->err));
        fixture_open(f);
        expect(f, 2, 2, 1);
        OK(firn_pipe_read(f->pipe, 0, 1, bytes, 0, &f->err));
        assert_true(bytes[0] == 1 || bytes[0] == 2);
        expect(f, 0, 2, bytes[0]);
        fill_and_wait(f, 0, 1, 3);
        struct firn_pipe *good = f->pipe;
        f->pipe = NULL;
        OK(firn_pipe_destroy(good, &f->err));
    }
}

/* What it had staged takes nothing from others in the same environment. */
static void poisoned_one_is_in_nobodys_way(void **state)
{
    struct fixture *f = *state;
    enum { BYTES = 4096, MANY = 100 };
    const struct firn_env_options small = {.pool_bytes = 512 * 1024, .manual = true};
    const struct firn_faulty_fault fault = {
        .what = FIRN_FAULTY_LOSE, .ops = FIRN_FAULTY_WRITE_DURABLE, .path = "pipe.journal"};
    struct firn_pipe *poisoned, *other;
    OK(firn_env_new(&small, &f->options.env, &f->err));
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = MANY;
    OK(firn_pipe_open("other", &f->options, &other, &f->err));
    fixture_open(f);
    poisoned = f->pipe;
    fill_and_wait(f, 0, 1, 1);
    for (uint64_t i = 0; i < MANY; i++)
        fill(f, i, 1, 2); /* most of the pool */
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    FAILS(firn_pipe_flush(f->pipe, &f->err), FIRN_EPOISONED);
    f->pipe = other;
    for (uint64_t i = 0; i < (uint64_t)10 * MANY; i++)
        fill(f, i % MANY, 1, (uint8_t)i);
    OK(firn_pipe_flush(f->pipe, &f->err));
    expect_durable(f, MANY - 1, 1, (uint8_t)(10 * MANY - 1));
    FAILS(firn_pipe_close(poisoned, &f->err), FIRN_EPOISONED);
    OK(firn_pipe_close(other, &f->err));
    f->pipe = NULL;
    assert_int_equal(firn_env_free(f->options.env), 0);
}

/* A failure while the file is brought up to date: nothing acknowledged is lost. */
static void failed_apply(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < 4; kind++) {
        const struct firn_faulty_fault fault = {
            .what = kind % 2 ? FIRN_FAULTY_LOSE : FIRN_FAULTY_FAIL,
            .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
            .at = kind < 2 ? 1 : 2,
            .path = "pipe"};
        fixture_open(f);
        fill_and_wait(f, 0, CHUNKS, (uint8_t)(kind + 1));
        OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
        struct firn_pipe *pipe = f->pipe;
        f->pipe = NULL;
        int rc = firn_pipe_close(pipe, &f->err);
        assert_true(rc == FIRN_EIO || rc == FIRN_EPOISONED);
        firn_faulty_clear(f->faulty, 0);
        OK(firn_faulty_restart(f->faulty, 0, &f->err));
        fixture_open(f);
        expect(f, 0, CHUNKS, (uint8_t)(kind + 1));
        fixture_close(f);
    }
}

/* A poisoned one can be removed as well. */
static void poisoned_can_be_destroyed(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    const struct firn_faulty_fault fault = {.ops = FIRN_FAULTY_WRITE_DURABLE | FIRN_FAULTY_SYNC,
                                            .path = "pipe.journal"};
    fill_and_wait(f, 0, 1, 1);
    fill(f, 0, 1, 2);
    OK(firn_faulty_fail(f->faulty, &fault, NULL, &f->err));
    assert_int_equal(firn_pipe_flush(f->pipe, NULL), FIRN_EPOISONED);
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    (void)firn_pipe_destroy(pipe, NULL);
    assert_int_equal(fixture_size(f, f->path), UINT64_MAX);
    assert_int_equal(fixture_size(f, f->journal), UINT64_MAX);
    fixture_open(f);
    expect(f, 0, CHUNKS, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(reads_a_clean_pipe, manual_memory),
        CLOSED_IN(reads_a_clean_pipe, on_files),
        CLOSED_IN(reads_a_crashed_pipe, manual_simulator),
        CLOSED_IN(reads_a_large_journal, manual_simulator),
        CLOSED_IN(counts, manual_simulator),
        CLOSED_IN(applies_neighbours_together, manual_memory),
        CLOSED_IN(finds_nothing_wrong, manual_memory),
        CLOSED_IN(finds_nothing_wrong, on_files),
        CLOSED_IN(finds_a_damaged_slot, manual_simulator),
        CLOSED_IN(finds_a_damaged_record, manual_simulator),
        CLOSED_IN(finds_what_cannot_be_read, manual_simulator),
        CLOSED_IN(failed_write_poisons, manual_simulator),
        CLOSED_IN(poisoned_one_is_in_nobodys_way, manual_simulator),
        CLOSED_IN(failed_apply, manual_simulator),
        CLOSED_IN(poisoned_can_be_destroyed, manual_simulator),
    };
    return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
