/* SPDX-License-Identifier: MIT */
/* The simulator under threads: writers and a restarter on one, and clones in several. */
#include <pthread.h>

#include "support.h"

enum { WRITERS = 4, ROUNDS = 200 };

struct writer {
    struct firn_faulty *sim;
    struct firn_file *file;
    int number;
    size_t synced; /* bytes of ours that a sync has covered, in the end */
    int rc;
};

static void path_of(int number, char path[2])
{
    path[0] = (char)('0' + number);
    path[1] = '\0';
}

/* Appends to a file of its own until the power goes. */
static void *append(void *arg)
{
    struct writer *writer = arg;
    struct firn_file *file = writer->file;
    int rc = 0;
    for (size_t i = 0; rc == 0; i++) {
        char byte = (char)('a' + writer->number);
        size_t done = 0;
        struct iovec iov = {.iov_base = &byte, .iov_len = 1};
        unsigned flags = i % 2 == 0 ? FIRN_WRITE_DURABLE : 0;
        rc = file->ops->writev(file, &iov, 1, i, flags, &done, NULL);
        if (rc == 0 && i % 2 == 1) {
            rc = file->ops->sync(file, NULL);
        }
        writer->synced = rc == 0 ? i + 1 : writer->synced;
    }
    writer->rc = rc;
    return NULL;
}

static void test_writers_and_power_loss(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        char path[2];
        path_of(i, path);
        put_text(sim, path, "");
        writers[i] = (struct writer){.sim = sim, .number = i};
        writers[i].file = file_open(sim, path, FIRN_OPEN_WRITE);
    }
    firn_faulty_crash_at(sim, 3000);
    for (int i = 0; i < WRITERS; i++) {
        OK(pthread_create(&threads[i], NULL, append, &writers[i]));
    }
    for (int i = 0; i < WRITERS; i++) {
        OK(pthread_join(threads[i], NULL));
        assert_int_equal(writers[i].rc, FIRN_EIO);
        file_close(writers[i].file);
    }
    OK(firn_faulty_restart_random(sim, 1, NULL));
    for (int i = 0; i < WRITERS; i++) {
        char path[2];
        path_of(i, path);
        expect_fill(sim, path, 'a' + i, writers[i].synced, 0);
    }
    firn_faulty_free(sim);
}

/* Clones the same simulator again and again, and does something with each. */
static void *clone_and_restart(void *arg)
{
    struct writer *writer = arg;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct firn_faulty *copy = sim_clone(writer->sim);
        OK(firn_faulty_restart(copy, i % firn_faulty_outcomes(copy), NULL));
        (void)firn_faulty_hash(copy);
        struct firn_file *file = file_open(copy, "0", FIRN_OPEN_WRITE);
        OK(file_fill_durable(file, 'x', 5000, i));
        file_close(file);
        expect_fill(copy, "0", 'x', 5000, i);
        firn_faulty_free(copy);
    }
    return NULL;
}

static void test_clones_in_threads(void **state)
{
    (void)state;
    struct firn_faulty *sim = sim_new(1);
    put_text(sim, "0", "some text");
    struct firn_file *file = file_open(sim, "0", FIRN_OPEN_WRITE);
    OK(file_fill(file, 'y', 6000, 5));
    OK(name_rename(sim, "0", "1"));
    OK(name_rename(sim, "1", "0"));
    struct writer writer = {.sim = sim};
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        OK(pthread_create(&threads[i], NULL, clone_and_restart, &writer));
    }
    for (int i = 0; i < WRITERS; i++) {
        OK(pthread_join(threads[i], NULL));
    }
    expect_fill(sim, "0", 'y', 6000, 5);
    file_close(file);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_and_power_loss),
        cmocka_unit_test(test_clones_in_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
