/* SPDX-License-Identifier: MIT */
/*
 * Changes of all kinds, readers, verification and closing of one stack at the same time, in RAM and
 * on files in turn, with a journal so small that it is applied all the time. What is read is
 * checked; that nothing races is the sanitizer's business.
 *
 * Arguments: none: a few rounds; --seconds=N: rounds for so long.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/stack.h>

#include "lib/prng.h"

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(__LINE__, #condition);                                                             \
    } while (0)

/* cmocka's assertions may not fail in other threads than the test's. */
static void die(int line, const char *text)
{
    fprintf(stderr, "threads_test.c:%d: not so: %s\n", line, text);
    abort();
}

/*
 * The content: a number that all count up by cas; one that is always the same at two places; and
 * records, which are pushed and popped whole. So the length is never between two records.
 */
enum {
    COUNTER = 0,
    FIRST = 8,
    SECOND = 16,
    RECORDS = 24,
    RECORD = 200,
    KINDS = 7, /* of threads */
    EACH = 2,
    THREADS = KINDS * EACH,
    TOGETHER = 40, /* records that a reader reads at once */
};

struct shared {
    struct firn_stack *stack;
    bool no_journal;
    atomic_bool stop;
    _Atomic uint64_t counted, numbers, pushed, popped, reads, extended;
    uint64_t rounds; /* of each thread that changes */
    uint64_t seed;
};

struct thread {
    pthread_t id;
    struct shared *shared;
    unsigned number;
    struct prng prng;
};

/* ---- records ---- */

static void make_record(uint8_t *record, uint64_t number)
{
    struct prng prng = prng_new(number);
    memcpy(record, &number, sizeof number);
    prng_fill(&prng, record + sizeof number, RECORD - sizeof number);
}

static void check_record(const uint8_t *record)
{
    uint8_t made[RECORD];
    uint64_t number;
    memcpy(&number, record, sizeof number);
    if (number)
        make_record(made, number);
    else
        memset(made, 0, sizeof made);
    MUST(memcmp(record, made, RECORD) == 0);
}

/* ---- what threads do ---- */

static void push(struct thread *thread)
{
    uint8_t record[RECORD];
    uint64_t offset = 0, number = atomic_fetch_add(&thread->shared->numbers, 1);
    make_record(record, number);
    MUST(firn_stack_push(thread->shared->stack, record, RECORD, &offset, NULL) == 0);
    MUST((offset - RECORDS) % RECORD == 0);
    MUST(firn_stack_length(thread->shared->stack) >= RECORDS);
    atomic_fetch_add(&thread->shared->pushed, 1);
}

/* Only where it leaves some: another one may be faster. */
static void pop(struct thread *thread)
{
    uint8_t record[RECORD];
    struct firn_stack *stack = thread->shared->stack;
    uint64_t length = firn_stack_length(stack);
    bool done = false;
    if (length < RECORDS + 10 * RECORD)
        return;
    if (prng_below(&thread->prng, 2)) {
        MUST(firn_stack_try_discard(stack, length, RECORD, &done, NULL) == 0);
        atomic_fetch_add(&thread->shared->popped, done ? 1 : 0);
        return;
    }
    MUST(firn_stack_pop(stack, record, RECORD, NULL) == 0);
    check_record(record);
    atomic_fetch_add(&thread->shared->popped, 1);
}

/* The last record is replaced, and zeros come behind it. */
static void splice(struct thread *thread)
{
    uint8_t records[2 * RECORD] = {0}, removed[RECORD];
    make_record(records, atomic_fetch_add(&thread->shared->numbers, 1));
    MUST(firn_stack_splice(thread->shared->stack, removed, RECORD, records, 2 * RECORD, NULL) == 0);
    check_record(removed);
    atomic_fetch_add(&thread->shared->pushed, 1);
}

static void extend(struct thread *thread)
{
    struct firn_stack *stack = thread->shared->stack;
    bool done;
    uint64_t length = firn_stack_length(stack);
    MUST(firn_stack_try_extend_zeros(stack, length, RECORD, &done, NULL) == 0);
    atomic_fetch_add(&thread->shared->pushed, done ? 1 : 0);
    atomic_fetch_add(&thread->shared->extended, done ? 1 : 0);
}

static void count(struct thread *thread)
{
    struct firn_stack *stack = thread->shared->stack;
    uint64_t seen, next;
    bool done = false;
    while (!done) {
        MUST(firn_stack_get(stack, COUNTER, &seen, sizeof seen, NULL) == 0);
        next = seen + 1;
        MUST(firn_stack_cas(stack, COUNTER, &seen, &next, sizeof seen, &done, NULL) == 0);
    }
    MUST(firn_stack_get(stack, COUNTER, &seen, sizeof seen, NULL) == 0);
    MUST(seen >= next);
    atomic_fetch_add(&thread->shared->counted, 1);
}

static void write_both(struct thread *thread)
{
    uint64_t number = prng_next(&thread->prng);
    const struct firn_stack_write writes[] = {{FIRST, &number, sizeof number},
                                              {SECOND, &number, sizeof number}};
    const struct firn_stack_change change = {.writes = writes, .write_count = 2};
    const uint64_t twice[] = {number, number};
    if (thread->shared->no_journal)
        MUST(firn_stack_set(thread->shared->stack, FIRST, twice, sizeof twice, NULL) == 0);
    else
        MUST(firn_stack_apply(thread->shared->stack, &change, NULL, NULL) == 0);
}

/* All that it reads is of one moment, beside whatever grows, shrinks and is applied. */
static void read_some(struct thread *thread)
{
    struct firn_stack *stack = thread->shared->stack;
    uint8_t bytes[RECORDS + TOGETHER * RECORD];
    uint64_t length = firn_stack_length(stack), at = RECORDS;
    size_t got;
    MUST((length - RECORDS) % RECORD == 0);
    MUST(firn_stack_peek(stack, 0, bytes, RECORDS, &got, NULL) == 0);
    MUST(got == RECORDS && memcmp(bytes + FIRST, bytes + SECOND, 8) == 0);
    if (length > RECORDS + TOGETHER / 2 * RECORD)
        at = length - TOGETHER / 2 * RECORD;
    int rc = firn_stack_peek(stack, at, bytes, TOGETHER * RECORD, &got, NULL);
    MUST(rc == 0 || rc == FIRN_ERANGE);
    MUST(rc < 0 || got % RECORD == 0);
    for (size_t i = 0; rc == 0 && i < got; i += RECORD)
        check_record(bytes + i);
    atomic_fetch_add(&thread->shared->reads, 1);
}

static void look(struct thread *thread)
{
    struct firn_stack_info info;
    struct firn_stack_check check;
    firn_stack_get_info(thread->shared->stack, &info);
    MUST((info.length - RECORDS) % RECORD == 0);
    if (prng_below(&thread->prng, 20) == 0)
        MUST(firn_stack_verify(thread->shared->stack, &check, NULL) == 0);
    read_some(thread);
}

/* ---- threads ---- */

static void *change_all_the_time(void *arg)
{
    static void (*const kinds[])(struct thread *) = {push, pop, splice, extend, count, write_both};
    struct thread *thread = arg;
    for (uint64_t i = 0; i < thread->shared->rounds; i++) {
        kinds[thread->number % KINDS](thread);
        if (prng_below(&thread->prng, 8) == 0)
            read_some(thread);
    }
    return NULL;
}

static void *look_all_the_time(void *arg)
{
    struct thread *thread = arg;
    while (!atomic_load(&thread->shared->stop))
        look(thread);
    return NULL;
}

static void run_threads(struct shared *shared)
{
    struct thread threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        bool looks = i % KINDS == KINDS - 1;
        threads[i] = (struct thread){
            .shared = shared, .number = i, .prng = prng_new(shared->seed + i)};
        MUST(pthread_create(&threads[i].id, NULL, looks ? look_all_the_time : change_all_the_time,
                            &threads[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        if (i % KINDS != KINDS - 1)
            pthread_join(threads[i].id, NULL);
    atomic_store(&shared->stop, true);
    for (unsigned i = KINDS - 1; i < THREADS; i += KINDS)
        pthread_join(threads[i].id, NULL);
}

/* ---- a life ---- */

static void check_result(const struct shared *shared)
{
    uint64_t counter, length = firn_stack_length(shared->stack);
    uint8_t record[RECORD];
    assert_int_equal(length, RECORDS + (shared->pushed - shared->popped) * RECORD);
    assert_int_equal(firn_stack_get(shared->stack, COUNTER, &counter, sizeof counter, NULL), 0);
    assert_int_equal(counter, shared->counted);
    for (uint64_t at = RECORDS; at < length; at += RECORD) {
        assert_int_equal(firn_stack_get(shared->stack, at, record, RECORD, NULL), 0);
        check_record(record);
    }
}

static void run_round(struct firn_disk *disk, const char *path, bool no_journal, uint64_t seed,
                      uint64_t rounds)
{
    const struct firn_stack_options options = {
        .disk = disk, .no_journal = no_journal, .journal_bytes = 64 * 1024};
    struct shared shared = {
        .no_journal = no_journal, .rounds = rounds, .seed = seed, .numbers = 1, .pushed = 20};
    struct firn_error err = {0};
    int rc = firn_stack_open(path, &options, &shared.stack, &err);
    if (rc == 0)
        rc = firn_stack_extend(shared.stack, RECORDS + 20 * RECORD, NULL, &err);
    if (rc < 0)
        fail_msg("%s", err.message);
    run_threads(&shared);
    check_result(&shared);
    assert_int_equal(firn_stack_close(shared.stack, &err), 0);
    assert_int_equal(firn_stack_open(path, &options, &shared.stack, &err), 0);
    check_result(&shared);
    assert_int_equal(firn_stack_destroy(shared.stack, &err), 0);
}

/* ---- closing ---- */

/* Inside a change, until the stack is being closed. */
static int wait_for_close(void *arg, void *bytes, size_t size)
{
    struct shared *shared = arg;
    char byte;
    int rc;
    (void)bytes, (void)size;
    atomic_store(&shared->stop, true);
    while ((rc = firn_stack_get(shared->stack, 0, &byte, 1, NULL)) == 0)
        sched_yield();
    return rc == FIRN_ECLOSED ? 0 : 1;
}

static void *change_until_closed(void *arg)
{
    struct shared *shared = arg;
    int rc = firn_stack_process(shared->stack, 0, 1, wait_for_close, shared, NULL);
    MUST(rc == 0 || rc == FIRN_ECLOSED);
    return NULL;
}

static void close_beside(struct firn_disk *disk, const char *path, bool no_journal)
{
    const struct firn_stack_options options = {
        .disk = disk, .no_journal = no_journal, .journal_bytes = 64 * 1024};
    struct shared shared = {0};
    struct firn_error err = {0};
    pthread_t thread;
    assert_int_equal(firn_stack_open(path, &options, &shared.stack, &err), 0);
    assert_int_equal(firn_stack_push(shared.stack, "x", 1, NULL, &err), 0);
    MUST(pthread_create(&thread, NULL, change_until_closed, &shared) == 0);
    while (!atomic_load(&shared.stop))
        sched_yield();
    assert_int_equal(firn_stack_close(shared.stack, &err), 0);
    pthread_join(thread, NULL);
    assert_int_equal(firn_stack_open(path, &options, &shared.stack, &err), 0);
    assert_int_equal(firn_stack_length(shared.stack), 1);
    assert_int_equal(firn_stack_destroy(shared.stack, &err), 0);
}

/* ---- all ---- */

static unsigned seconds;

static uint64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec;
}

static void in_memory(void **state)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    uint64_t end = now_s() + seconds, seed = 1;
    (void)state;
    do {
        struct firn_disk *disk;
        assert_int_equal(firn_disk_memory_new(&disk, NULL), 0);
        uint64_t rounds = effort && strcmp(effort, "less") == 0 ? 150 : 600;
        run_round(disk, "stack", false, seed, rounds);
        run_round(disk, "stack", true, seed, rounds);
        close_beside(disk, "stack", false);
        close_beside(disk, "stack", true);
        firn_disk_free(disk);
        seed += THREADS;
    } while (now_s() < end);
}

static void on_files(void **state)
{
    char dir[] = "/tmp/firn-stack-threads-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/stack", dir);
    run_round(NULL, path, false, 5, 30);
    run_round(NULL, path, true, 5, 3);
    close_beside(NULL, path, false);
    assert_int_equal(rmdir(dir), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_memory), cmocka_unit_test(on_files)};
    if (argc > 1 && strncmp(argv[1], "--seconds=", 10) == 0)
        seconds = (unsigned)atoi(argv[1] + 10);
    else
        alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("stack/threads", tests, NULL, NULL);
}
