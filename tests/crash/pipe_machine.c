/* SPDX-License-Identifier: MIT */
#include "pipe_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/log.h>

#include "rig.h"

enum {
    SEVERAL = 3,
    GROW_BY = 2,
    MUCH_MORE = 500,
    JOURNAL_LEAST = 64 * 1024,
    JOURNAL_CLEAN = 16 * 1024
};

static bool wrong(struct pipe_machine *machine, const char *format, ...) FIRN_PRINTF(2, 3);

static bool wrong(struct pipe_machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(machine->why, sizeof machine->why, format, args);
    va_end(args);
    return false;
}

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- life ---- */

void pipe_machine_init(struct pipe_machine *machine, const struct pipe_shape *shape)
{
    *machine = (struct pipe_machine){.shape = *shape};
    if (firn_faulty_new(NULL, &machine->faulty, NULL) < 0)
        abort();
    pipe_model_init(&machine->model, shape->chunk_bytes, shape->chunks);
}

void pipe_machine_copy(const struct pipe_machine *from, struct pipe_machine *to)
{
    *to = (struct pipe_machine){.shape = from->shape};
    if (firn_faulty_clone(from->faulty, &to->faulty, NULL) < 0)
        abort();
    pipe_model_copy(&from->model, &to->model);
}

void pipe_machine_done(struct pipe_machine *machine)
{
    pipe_machine_close(machine);
    firn_faulty_free(machine->faulty);
    pipe_model_done(&machine->model);
}

static int open_with(struct pipe_machine *machine, bool read_only)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc = firn_env_new(&env_options, &machine->env, &machine->err);
    if (rc < 0)
        return rc;
    uint64_t least = 4 * machine->shape.chunk_bytes;
    const struct firn_pipe_options options = {
        .disk = firn_faulty_disk(machine->faulty),
        .env = machine->env,
        .chunk_bytes = machine->shape.chunk_bytes,
        .initial_chunks = machine->shape.chunks,
        .read_only = read_only,
        .refuse_when_full = machine->shape.refuse,
        .journal_bytes = machine->shape.journal_bytes ? machine->shape.journal_bytes
                         : least > JOURNAL_LEAST      ? least
                                                      : JOURNAL_LEAST,
    };
    rc = firn_pipe_open(PIPE_MACHINE_PATH, &options, &machine->pipe, &machine->err);
    if (rc < 0) {
        firn_env_free(machine->env);
        machine->env = NULL;
        machine->pipe = NULL;
    }
    return rc;
}

int pipe_machine_open(struct pipe_machine *machine)
{
    return open_with(machine, false);
}

void pipe_machine_acknowledge(struct pipe_machine *machine)
{
    pipe_model_acknowledge(&machine->model, firn_pipe_durable_epoch(machine->pipe));
}

static int close_handle(struct pipe_machine *machine)
{
    int rc = firn_pipe_close(machine->pipe, &machine->err);
    machine->pipe = NULL;
    if (firn_env_free(machine->env) < 0)
        abort(); /* something is still open in it */
    machine->env = NULL;
    return rc;
}

int pipe_machine_close(struct pipe_machine *machine)
{
    if (!machine->pipe)
        return 0;
    pipe_machine_acknowledge(machine);
    int rc = close_handle(machine);
    if (rc == 0)
        pipe_model_collapse(&machine->model, machine->model.count - 1);
    /* Epochs begin anew in the next life: what may be there and is not known stays unknown. */
    for (size_t i = 0; i < machine->model.count; i++)
        machine->model.chain[i].epoch = i == 0 ? 0 : UINT64_MAX;
    return rc;
}

/* ---- operations ---- */

/* Content of `count` chunks, of a new stamp; the state's chunks get it. */
static uint8_t *make_chunks(struct pipe_machine *machine, struct pipe_state *state, uint64_t index,
                            uint64_t count)
{
    struct pipe_model *model = &machine->model;
    uint8_t *chunks = must(malloc((size_t)(count * model->chunk_bytes)));
    uint32_t stamp = pipe_model_stamp(model);
    for (uint64_t i = 0; i < count; i++) {
        pipe_model_make(model, index + i, stamp, chunks + i * model->chunk_bytes);
        state->stamps[index + i] = stamp;
    }
    return chunks;
}

/* After a call that stages: the new state's epoch, or it was never there. */
static int staged(struct pipe_machine *machine, int rc, uint64_t epoch)
{
    if (rc == 0)
        pipe_model_last(&machine->model)->epoch = epoch;
    else
        pipe_model_pop(&machine->model);
    return rc;
}

int pipe_machine_write(struct pipe_machine *machine, uint64_t index, uint64_t count)
{
    uint64_t epoch = 0;
    struct pipe_state *state = pipe_model_push(&machine->model);
    uint8_t *chunks = make_chunks(machine, state, index, count);
    size_t size = (size_t)(count * machine->shape.chunk_bytes), part = size / 3;
    const struct iovec iov[] = {{chunks, part}, {chunks + part, size - part}};
    int rc = firn_pipe_write(machine->pipe, index, iov, 2, &epoch, &machine->err);
    free(chunks);
    return staged(machine, rc, epoch);
}

static int add_write(struct pipe_machine *machine, struct firn_transaction *transaction,
                     struct pipe_state *state, uint64_t index, uint64_t count)
{
    uint8_t *chunks = make_chunks(machine, state, index, count);
    const struct iovec iov = {chunks, (size_t)(count * machine->shape.chunk_bytes)};
    int rc = firn_transaction_write(transaction, index, &iov, 1, &machine->err);
    free(chunks);
    return rc;
}

/* Chunk number `n` of the pipe, round and round. */
static uint64_t place(const struct pipe_machine *machine, uint64_t n, uint64_t count)
{
    uint64_t chunks = pipe_model_last(&machine->model)->count;
    return chunks > count ? n % (chunks - count + 1) : 0;
}

static int transact(struct pipe_machine *machine, uint64_t from, bool abandon)
{
    struct firn_transaction *transaction;
    uint64_t epoch = 0;
    int rc = firn_pipe_begin(machine->pipe, &transaction, &machine->err);
    if (rc < 0)
        return rc;
    struct pipe_state *state = pipe_model_push(&machine->model);
    for (uint64_t i = 0; rc == 0 && i < SEVERAL; i++)
        rc = add_write(machine, transaction, state, place(machine, from + 5 * i, 1 + i % 2),
                       1 + i % 2);
    if (rc == 0)
        rc = add_write(machine, transaction, state, place(machine, from, 1), 1);
    if (rc == 0 && !abandon)
        rc = firn_transaction_commit(transaction, &epoch, &machine->err);
    if (rc == 0 && !abandon)
        return staged(machine, 0, epoch);
    firn_transaction_abandon(transaction);
    pipe_model_pop(&machine->model);
    return rc;
}

static int wait_last(struct pipe_machine *machine, bool force)
{
    uint64_t epoch = pipe_model_last(&machine->model)->epoch;
    if (epoch == 0 || epoch == UINT64_MAX)
        return 0;
    int rc = force ? firn_pipe_force(machine->pipe, epoch, &machine->err)
                   : firn_pipe_wait_epoch(machine->pipe, epoch, FIRN_FOREVER, &machine->err);
    if (rc == 0)
        pipe_model_collapse(&machine->model, machine->model.count - 1);
    return rc;
}

static int flush(struct pipe_machine *machine)
{
    int rc = firn_pipe_flush(machine->pipe, &machine->err);
    if (rc == 0)
        pipe_model_collapse(&machine->model, machine->model.count - 1);
    return rc;
}

int pipe_machine_grow(struct pipe_machine *machine, uint64_t chunks)
{
    pipe_model_grow(pipe_model_push(&machine->model), chunks);
    int rc = firn_pipe_grow(machine->pipe, chunks, &machine->err);
    if (rc == 0)
        pipe_model_collapse(&machine->model, machine->model.count - 1);
    else if (firn_pipe_flush(machine->pipe, NULL) == 0)
        pipe_model_pop(&machine->model); /* it failed before it changed anything */
    return rc;
}

static int reopen(struct pipe_machine *machine)
{
    int rc = pipe_machine_close(machine);
    return rc == 0 ? pipe_machine_open(machine) : rc;
}

void pipe_machine_background(struct pipe_machine *machine)
{
    if (!machine->env)
        return;
    rig_background(machine->env);
    pipe_machine_acknowledge(machine);
}

/* As much as one change can be: some less than half of the ring. */
static int write_large(struct pipe_machine *machine)
{
    uint64_t bytes = machine->shape.journal_bytes ? machine->shape.journal_bytes : JOURNAL_LEAST;
    uint64_t count = bytes * 3 / 8 / machine->shape.chunk_bytes;
    uint64_t chunks = pipe_model_last(&machine->model)->count;
    int rc = pipe_machine_write(machine, 0, count == 0 ? 1 : count < chunks ? count : chunks);
    return rc == 0 ? wait_last(machine, false) : rc;
}

/* Growth is a shorter change than a write; one that is refused was begun before. */
static int write_until_refused(struct pipe_machine *machine)
{
    int rc = 0;
    while (rc == 0)
        rc = pipe_machine_write(machine, place(machine, machine->model.counter, 1), 1);
    while (rc == FIRN_EAGAIN && (rc = pipe_machine_grow(machine, 1)) == 0)
        rc = FIRN_EAGAIN;
    if (rc == FIRN_EAGAIN)
        rc = pipe_machine_grow(machine, MUCH_MORE);
    return rc == FIRN_EAGAIN ? 0 : rc;
}

int pipe_machine_do(struct pipe_machine *machine, char operation)
{
    uint64_t n = machine->model.counter * 3u;
    uint64_t several = place(machine, n, SEVERAL);
    int rc = 0;
    switch (operation) {
    case 'w':
        return pipe_machine_write(machine, place(machine, n, 1), 1);
    case 'm':
        return pipe_machine_write(machine, several, SEVERAL);
    case 't':
        return transact(machine, n, false);
    case 'a':
        return transact(machine, n, true);
    case 'd':
        rc = transact(machine, n, false);
        return rc == 0 ? transact(machine, n + 1, false) : rc;
    case 'p':
        rc = transact(machine, n, false);
        return rc == 0 ? pipe_machine_write(machine, place(machine, n + 5, 1), 1) : rc;
    case 'W':
        rc = pipe_machine_write(machine, place(machine, n, 1), 1);
        return rc == 0 ? wait_last(machine, false) : rc;
    case 'T':
        rc = transact(machine, n, false);
        return rc == 0 ? wait_last(machine, false) : rc;
    case 'L':
        return write_large(machine);
    case 'g':
        return pipe_machine_grow(machine, GROW_BY);
    case 'f':
        return flush(machine);
    case 'o':
        return wait_last(machine, true);
    case 'R':
        return write_until_refused(machine);
    case 'c':
        return reopen(machine);
    case 'b':
        pipe_machine_background(machine);
        return 0;
    default:
        abort();
    }
}

/* ---- checks ---- */

static uint8_t *read_chunks(struct pipe_machine *machine, uint64_t count, unsigned flags)
{
    uint8_t *chunks = must(malloc((size_t)(count * machine->shape.chunk_bytes) + 1));
    int rc = count ? firn_pipe_read(machine->pipe, 0, count, chunks, flags, &machine->err) : 0;
    if (rc == 0)
        return chunks;
    wrong(machine, "reading: %s", machine->err.message);
    free(chunks);
    return NULL;
}

bool pipe_machine_check_reads(struct pipe_machine *machine)
{
    pipe_machine_acknowledge(machine);
    for (int durable = 0; durable < 2; durable++) {
        const struct pipe_state *state = durable ? &machine->model.chain[0]
                                                 : pipe_model_last(&machine->model);
        if (firn_pipe_count(machine->pipe) != state->count)
            return wrong(machine, "%llu chunks, not %llu",
                         (unsigned long long)firn_pipe_count(machine->pipe),
                         (unsigned long long)state->count);
        uint8_t *chunks = read_chunks(machine, state->count, durable ? FIRN_READ_DURABLE : 0);
        if (!chunks)
            return false;
        bool good = pipe_model_equals(&machine->model, state, chunks);
        free(chunks);
        if (!good)
            return wrong(machine, durable ? "what is durable reads otherwise"
                                          : "what is staged reads otherwise");
    }
    return true;
}

/* Which state is there; SIZE_MAX and a reason otherwise. */
static size_t find_state(struct pipe_machine *machine)
{
    const struct pipe_model *model = &machine->model;
    uint64_t count = firn_pipe_count(machine->pipe);
    if (firn_pipe_chunk_bytes(machine->pipe) != model->chunk_bytes) {
        wrong(machine, "the size of a chunk is another one");
        return SIZE_MAX;
    }
    uint8_t *chunks = read_chunks(machine, count, 0);
    if (!chunks)
        return SIZE_MAX;
    size_t found = pipe_model_find(model, count, chunks);
    if (found == SIZE_MAX) {
        uint8_t *made = must(malloc((size_t)model->chunk_bytes));
        uint64_t index = 0;
        for (; index < count && index < model->chain[0].count; index++) {
            pipe_model_make(model, index, model->chain[0].stamps[index], made);
            if (memcmp(made, chunks + index * model->chunk_bytes, (size_t)model->chunk_bytes) != 0)
                break;
        }
        free(made);
        wrong(
            machine,
            "no state that may be: %llu chunks, and chunk %llu is not as acknowledged; %zu states",
            (unsigned long long)count, (unsigned long long)index, model->count);
    }
    free(chunks);
    return found;
}

bool pipe_machine_check(struct pipe_machine *machine)
{
    struct firn_pipe_check check;
    size_t found = find_state(machine);
    if (found == SIZE_MAX)
        return false;
    pipe_model_collapse(&machine->model, found);
    if (firn_pipe_verify(machine->pipe, &check, &machine->err) != 0)
        return wrong(machine, "verify: %s", machine->err.message);
    if (check.chunks != machine->model.chain[0].count || check.unreadable || check.damaged_slots)
        return wrong(machine, "verify: %llu chunks, %llu unreadable, %u slots damaged",
                     (unsigned long long)check.chunks, (unsigned long long)check.unreadable,
                     check.damaged_slots);
    return pipe_machine_check_reads(machine);
}

/* The bytes of a file now; NULL and 0: there is none. */
static void *file_now(struct pipe_machine *machine, const char *path, size_t *size)
{
    void *bytes = NULL;
    *size = 0;
    if (firn_faulty_get(machine->faulty, path, FIRN_FAULTY_CURRENT, &bytes, size, NULL) < 0)
        return NULL;
    return bytes;
}

bool pipe_machine_check_read_only(struct pipe_machine *machine)
{
    static const char *const paths[] = {PIPE_MACHINE_PATH, PIPE_MACHINE_JOURNAL};
    size_t before[2], after[2], found = SIZE_MAX;
    void *bytes[4];
    for (int i = 0; i < 2; i++)
        bytes[i] = file_now(machine, paths[i], &before[i]);
    int rc = bytes[0] ? open_with(machine, true) : FIRN_ENOENT;
    if (rc == 0) {
        found = find_state(machine);
        rc = close_handle(machine);
        if (rc != 0)
            found = SIZE_MAX;
    } else if (!bytes[0]) {
        found = machine->model.count; /* a crash before it was created */
    } else {
        wrong(machine, "opening for reading: %s", machine->err.message);
    }
    for (int i = 0; i < 2; i++)
        bytes[2 + i] = file_now(machine, paths[i], &after[i]);
    bool same = true;
    for (int i = 0; i < 2; i++)
        same = same && before[i] == after[i] && !bytes[i] == !bytes[2 + i] &&
               (!bytes[i] || memcmp(bytes[i], bytes[2 + i], before[i]) == 0);
    for (int i = 0; i < 4; i++)
        free(bytes[i]);
    if (found == SIZE_MAX)
        return false;
    if (found < machine->model.count)
        pipe_model_collapse(&machine->model, found);
    return same || wrong(machine, "opening for reading changed a file");
}

bool pipe_machine_check_leaks(struct pipe_machine *machine)
{
    return rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);
}

/* Closed, the file is the chunks and nothing else. */
static bool check_plain(struct pipe_machine *machine)
{
    const struct pipe_state *state = &machine->model.chain[0];
    size_t size, journal_size;
    uint8_t *bytes = file_now(machine, PIPE_MACHINE_PATH, &size);
    uint8_t *journal = file_now(machine, PIPE_MACHINE_JOURNAL, &journal_size);
    bool good = bytes && size == state->count * machine->shape.chunk_bytes &&
                pipe_model_equals(&machine->model, state, bytes);
    free(bytes);
    free(journal);
    if (!good)
        return wrong(machine, "closed, the file is not %llu plain chunks: %zu bytes",
                     (unsigned long long)state->count, size);
    return journal_size <= JOURNAL_CLEAN ||
           wrong(machine, "closed, the journal has %zu bytes", journal_size);
}

static bool writes_again(struct pipe_machine *machine)
{
    static const char operations[] = "tW";
    struct firn_pipe_info info;
    for (int i = 0; i < 2; i++)
        if (pipe_machine_do(machine, operations[i]) < 0)
            return wrong(machine, "writing again: %s", machine->err.message);
    if (!pipe_machine_check_reads(machine))
        return false;
    if (pipe_machine_close(machine) < 0)
        return wrong(machine, "closing: %s", machine->err.message);
    if (!check_plain(machine))
        return false;
    if (pipe_machine_open(machine) < 0)
        return wrong(machine, "opening after a clean close: %s", machine->err.message);
    firn_pipe_get_info(machine->pipe, &info);
    if (info.recovered || info.replayed)
        return wrong(machine, "not clean after a clean close");
    return pipe_machine_check(machine);
}

bool pipe_machine_check_life(struct pipe_machine *machine)
{
    if (pipe_machine_open(machine) < 0)
        return wrong(machine, "opening: %s", machine->err.message);
    bool good = pipe_machine_check(machine) && writes_again(machine);
    if (pipe_machine_close(machine) < 0 && good)
        good = wrong(machine, "closing: %s", machine->err.message);
    return good && pipe_machine_check_leaks(machine);
}

/* ---- as campaigns see it ---- */

static void pipe_machine_take_model(struct pipe_machine *machine, const struct pipe_machine *from)
{
    pipe_model_done(&machine->model);
    pipe_model_copy(&from->model, &machine->model);
}

static size_t pipe_machine_possible(const struct pipe_machine *machine)
{
    return machine->model.count;
}

static uint64_t pipe_machine_digest(const struct pipe_machine *machine)
{
    return pipe_model_digest(&machine->model);
}

static bool check_read_only(void *machine)
{
    return pipe_machine_check_read_only(machine);
}

EXPLORE_MACHINE(pipe_machine, pipe_machine_init, pipe_machine_open, check_read_only, pipe);
