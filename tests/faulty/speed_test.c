/* SPDX-License-Identifier: MIT */
/* How long a campaign's steps take: shown, not judged. */
#include <time.h>

#include "support.h"

static double now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Something like a log in use: 20 files in a directory, one of them with an unsynced group. */
static struct firn_faulty *log_like(struct firn_file **file)
{
    struct firn_faulty *sim = sim_new(1);
    OK(name_make_dir(sim, "log"));
    for (int i = 0; i < 20; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "log/%020d.log", i);
        *file = file_create(sim, path);
        OK(file_reserve(*file, 0, 1 << 20));
        OK(file_fill(*file, 0, 1 << 20, 0));
        OK(file_fill(*file, 'x', 8000, 0));
        OK(file_sync(*file));
        if (i < 19) {
            file_close(*file);
        }
    }
    OK(firn_faulty_settle(sim, NULL));
    OK(file_fill(*file, 'y', 3000, 8000));
    struct firn_file *marker = file_create(sim, "log/marker");
    file_close(marker);
    return sim;
}

static void test_clone_and_restart(void **state)
{
    (void)state;
    enum { ROUNDS = 5000 };
    struct firn_file *file = NULL;
    struct firn_faulty *sim = log_like(&file);
    uint64_t outcomes = firn_faulty_outcomes(sim);
    double start = now_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i % outcomes, NULL));
        firn_faulty_free(copy);
    }
    double restart = (now_us() - start) / ROUNDS;
    start = now_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct firn_faulty *copy = sim_clone(sim);
        OK(firn_faulty_restart(copy, i % outcomes, NULL));
        (void)firn_faulty_hash(copy);
        struct firn_file *again = file_open(copy, "log/00000000000000000019.log", FIRN_OPEN_WRITE);
        char bytes[4096];
        size_t done = 0;
        for (uint64_t k = 0; k < 4; k++) {
            OK(file_read(again, bytes, sizeof(bytes), k * sizeof(bytes), &done));
        }
        file_close(again);
        firn_faulty_free(copy);
    }
    double whole = (now_us() - start) / ROUNDS;
    printf("note: clone, restart and free %.1f us; with hash, open and four reads %.1f us "
           "(%llu outcomes)\n",
           restart, whole, (unsigned long long)outcomes);
    assert_int_equal(outcomes, 2 * 128);
    file_close(file);
    firn_faulty_free(sim);
}

static void test_operations(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    struct firn_file *file = NULL;
    struct firn_faulty *sim = log_like(&file);
    double start = now_us();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        OK(file_fill_durable(file, (int)(i % 251), 200, 4000 + i * 30));
    }
    double durable = (now_us() - start) / ROUNDS;
    start = now_us();
    for (uint64_t i = 0; i < 200; i++) {
        OK(file_fill(file, 0, 65536, (UINT64_C(1) << 20) + i * 65536));
    }
    double zeroing = (now_us() - start) / 200;
    printf("note: durable write of 200 bytes %.2f us; zeroing 64 KiB %.1f us\n", durable, zeroing);
    OK(file_sync(file));
    file_close(file);
    firn_faulty_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clone_and_restart),
        cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
