/* SPDX-License-Identifier: MIT */
/*
 * Writers that are killed, really, on files of this machine: the next process finds what was
 * acknowledged, no chunk is torn, and no half of a transaction is there.
 * Arguments: none: some kills; COUNT: so many.
 */
#include "fixture.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/prng.h"

enum { WRITERS = 3, OWN = 5, BYTES = 704 };

/* A writer says on its own channel which number is durable. */
struct writer {
    struct firn_pipe *pipe;
    uint64_t index;
    uint64_t number; /* of the last write, before */
    int channel;
};

struct body {
    uint64_t number;
    uint8_t rest[BYTES - 8];
};

static void make_body(struct body *body, uint64_t index, uint64_t number)
{
    struct prng prng = prng_new(index << 32 ^ number);
    body->number = number;
    prng_fill(&prng, body->rest, sizeof body->rest);
}

/* ---- the writers' process ---- */

static int write_all(struct writer *writer, uint64_t *epoch)
{
    struct firn_transaction *transaction;
    int rc = firn_pipe_begin(writer->pipe, &transaction, NULL);
    for (uint64_t i = 0; rc == 0 && i < OWN; i++) {
        struct body body;
        const struct iovec iov = {&body, sizeof body};
        uint64_t index = i * WRITERS + writer->index; /* neighbours belong to others */
        make_body(&body, index, writer->number);
        rc = firn_transaction_write(transaction, index, &iov, 1, NULL);
    }
    return rc == 0 ? firn_transaction_commit(transaction, epoch, NULL) : rc;
}

static void *write_for_ever(void *arg)
{
    struct writer *writer = arg;
    for (uint64_t epoch = 0;;) {
        writer->number++;
        if (write_all(writer, &epoch) != 0)
            _exit(1);
        if (writer->number % 3 == 0)
            continue;
        if (firn_pipe_wait_epoch(writer->pipe, epoch, FIRN_FOREVER, NULL) != 0)
            _exit(1);
        if (write(writer->channel, &writer->number, sizeof writer->number) !=
            (ssize_t)sizeof writer->number)
            _exit(1);
    }
}

static void be_killed(const struct fixture *f, struct writer *writers)
{
    const struct firn_pipe_options options = {.must_exist = true, .journal_bytes = 64 * 1024};
    struct firn_pipe *pipe;
    pthread_t threads[WRITERS];
    if (firn_pipe_open(f->path, &options, &pipe, NULL) != 0)
        _exit(1);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].pipe = pipe;
        if (pthread_create(&threads[i], NULL, write_for_ever, &writers[i]) != 0)
            _exit(1);
    }
    for (;;)
        pause();
}

/* ---- the survivor ---- */

/* All that a writer has said; the last number. */
static uint64_t last_number(int channel, uint64_t before)
{
    uint64_t number = before, last = before;
    while (read(channel, &number, sizeof number) == (ssize_t)sizeof number)
        last = number;
    assert_int_equal(close(channel), 0);
    return last;
}

static void check_writer(struct fixture *f, struct writer *writer, uint64_t acknowledged)
{
    struct body body, made;
    for (uint64_t i = 0; i < OWN; i++) {
        uint64_t index = i * WRITERS + writer->index;
        OK(firn_pipe_read(f->pipe, index, 1, &body, 0, &f->err));
        make_body(&made, index, body.number);
        assert_memory_equal(&body, &made, sizeof body);
        if (i == 0)
            writer->number = body.number;
        assert_int_equal(body.number, writer->number);
    }
    assert_true(writer->number >= acknowledged);
}

static uint64_t one_kill(struct fixture *f, struct writer *writers, struct prng *prng)
{
    int channels[WRITERS][2], status;
    uint64_t changes = 0;
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pipe(channels[i]), 0);
        writers[i].channel = channels[i][1];
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        be_killed(f, writers);
    for (int i = 0; i < WRITERS; i++)
        close(channels[i][1]);
    uint64_t first;
    bool alive = read(channels[0][0], &first, sizeof first) == (ssize_t)sizeof first;
    const struct timespec a_while = {.tv_nsec = (long)prng_below(prng, 20000000)};
    nanosleep(&a_while, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(alive && WIFSIGNALED(status));
    fixture_open(f);
    for (int i = 0; i < WRITERS; i++) {
        uint64_t before = writers[i].number;
        check_writer(f, &writers[i], last_number(channels[i][0], before));
        changes += writers[i].number - before;
    }
    struct firn_pipe_check check;
    OK(firn_pipe_verify(f->pipe, &check, &f->err));
    fixture_close(f);
    return changes;
}

static uint64_t kills = 25;

static void killed_writers(void **state)
{
    struct fixture *f = *state;
    struct writer writers[WRITERS];
    struct prng prng = prng_new(1);
    uint64_t changes = 0;
    f->options.chunk_bytes = BYTES;
    f->options.initial_chunks = WRITERS * OWN;
    fixture_open(f);
    for (uint64_t i = 0; i < WRITERS; i++) {
        uint64_t epoch;
        writers[i] = (struct writer){.pipe = f->pipe, .index = i};
        OK(write_all(&writers[i], &epoch));
    }
    fixture_close(f);
    for (uint64_t i = 0; i < kills; i++)
        changes += one_kill(f, writers, &prng);
    printf("note: %llu kills, %llu transactions survived them\n", (unsigned long long)kills,
           (unsigned long long)changes);
    assert_true(changes > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {CLOSED_IN(killed_writers, manual_files)};
    const char *effort = getenv("FIRN_TEST_EFFORT");
    if (effort && strcmp(effort, "less") == 0)
        kills = 5;
    if (argc > 1)
        kills = strtoull(argv[1], NULL, 10);
    else
        alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
