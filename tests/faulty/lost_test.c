/* SPDX-License-Identifier: MIT */
/*
 * Long random runs with failing syncs, kills and power losses, byte by byte: after a power loss no
 * byte may hold what, by the promises of a storage, it cannot hold any more. For each byte the test
 * knows the values that it may have on the medium, and whether a sync would make the newest one
 * durable.
 */
#include "prng.h"
#include "support.h"

enum { BYTES = 6000, STEPS = 400, RUNS = 60 };

struct run {
    struct firn_faulty *sim;
    struct firn_file *file;
    struct prng random;
    uint64_t seed;
    size_t step;
    size_t promised; /* the size is at least this */
    uint8_t cache[BYTES];
    bool dirty[BYTES];
    bool may[BYTES][256];
};

static void settle(struct run *run, size_t i)
{
    memset(run->may[i], 0, sizeof(run->may[i]));
    run->may[i][run->cache[i]] = true;
    run->dirty[i] = false;
}

static void reopen(struct run *run)
{
    file_close(run->file);
    run->file = file_open(run->sim, "f", FIRN_OPEN_WRITE);
}

static void write_some(struct run *run, bool durable, bool loses)
{
    size_t offset = prng_below(&run->random, BYTES - 1);
    size_t n = 1 + prng_below(&run->random, BYTES - offset < 1500 ? BYTES - offset : 1500);
    uint8_t byte = (uint8_t)prng_below(&run->random, 4);
    if (loses) {
        (void)fault_add(run->sim, FIRN_FAULTY_LOSE,
                        durable ? FIRN_FAULTY_WRITE_DURABLE : FIRN_FAULTY_WRITE);
    }
    int rc = durable ? file_fill_durable(run->file, byte, n, offset)
                     : file_fill(run->file, byte, n, offset);
    assert_int_equal(rc, loses && durable ? FIRN_EIO : 0);
    for (size_t i = offset; i < offset + n; i++) {
        run->cache[i] = byte;
        run->may[i][byte] = true;
        run->dirty[i] = !loses && !durable;
        if (durable && !loses) {
            settle(run, i);
        }
    }
    if (durable && !loses && run->promised < offset + n) {
        run->promised = offset + n;
    }
    if (loses && !durable) {
        assert_int_equal(file_sync(run->file), FIRN_EIO); /* what is not lost is synced by it */
        for (size_t i = 0; i < BYTES; i++) {
            if (run->dirty[i]) {
                settle(run, i);
            }
        }
    }
}

static void sync_all(struct run *run, bool loses)
{
    if (loses) {
        (void)fault_add(run->sim, FIRN_FAULTY_LOSE, FIRN_FAULTY_SYNC);
    }
    assert_int_equal(file_sync(run->file), loses ? FIRN_EIO : 0);
    for (size_t i = 0; i < BYTES; i++) {
        if (run->dirty[i] && !loses) {
            settle(run, i);
        }
        run->dirty[i] = false;
    }
    run->promised = loses ? run->promised : (size_t)file_size(run->file);
}

/* What is there now is all there is, and durable. */
static void lose_power(struct run *run)
{
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_restart_random(run->sim, prng_next(&run->random), NULL));
    OK(firn_faulty_get(run->sim, "f", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
    assert_true(size >= run->promised);
    for (size_t i = 0; i < BYTES; i++) {
        uint8_t found = i < size ? ((uint8_t *)bytes)[i] : 0;
        if (i < size && !run->may[i][found]) {
            fail_msg("run %llu, step %zu: byte %zu is %d", (unsigned long long)run->seed, run->step,
                     i, found);
        }
        run->cache[i] = found;
        settle(run, i);
    }
    run->promised = size;
    free(bytes);
    reopen(run);
}

static void check_cache(struct run *run)
{
    void *bytes = NULL;
    size_t size = 0;
    OK(firn_faulty_get(run->sim, "f", FIRN_FAULTY_CURRENT, &bytes, &size, NULL));
    assert_true(size <= BYTES);
    assert_memory_equal(bytes, run->cache, size);
    free(bytes);
}

static void step(struct run *run)
{
    switch (prng_below(&run->random, 20)) {
    case 0:
        lose_power(run);
        break;
    case 1:
        firn_faulty_kill(run->sim);
        reopen(run);
        break;
    case 2:
    case 3:
        sync_all(run, prng_below(&run->random, 2) == 0);
        break;
    case 4:
        write_some(run, prng_below(&run->random, 2) == 0, true);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        write_some(run, true, false);
        break;
    default:
        write_some(run, false, false);
        break;
    }
    check_cache(run);
}

static void test_bytes_hold_what_they_may(void **state)
{
    (void)state;
    static struct run run;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        memset(&run, 0, sizeof(run));
        run.seed = seed;
        run.random = prng_new(seed);
        run.sim = sim_new(seed);
        put_text(run.sim, "f", "");
        run.file = file_open(run.sim, "f", FIRN_OPEN_WRITE);
        for (size_t i = 0; i < BYTES; i++) {
            settle(&run, i);
        }
        for (run.step = 0; run.step < STEPS; run.step++) {
            step(&run);
        }
        file_close(run.file);
        firn_faulty_free(run.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_hold_what_they_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
