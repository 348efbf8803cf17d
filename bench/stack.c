/* SPDX-License-Identifier: MIT */
/*
 * Stacks: a push that is durable, against a bare durable write of the same bytes, one after the
 * other into a file of zeros; eight threads that push, against one; and random reads, against bare
 * ones of the same places of the same file.
 */
#include "bench.h"
#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <firn/stack.h>

enum { PUSH_MOST = 4096, PAIRS = 4, WARM = 512 };

/* ---- handles ---- */

static int open_stack(struct bench *bench, struct firn_stack **stack)
{
    char path[BENCH_PATH];
    struct firn_error err = {0};
    path_in(bench, "stack", path);
    if (firn_stack_open(path, NULL, stack, &err) == 0)
        return 0;
    *stack = NULL;
    return bench_fail(bench, "%s", err.message);
}

static int destroy_stack(struct bench *bench, struct firn_stack *stack)
{
    struct firn_error err = {0};
    if (!stack || firn_stack_destroy(stack, &err) == 0)
        return 0;
    return bench_fail(bench, "%s", err.message);
}

/* ---- the median ---- */

struct pair {
    struct firn_stack *stack;
    int fd;
    uint64_t offset; /* in the bare file */
    size_t size;
    uint8_t bytes[PUSH_MOST];
    struct samples bare, firn;
};

static int write_bare(struct bench *bench, struct pair *pair, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (bare_write_durable(pair->fd, pair->bytes, pair->size, pair->offset) != 0)
            return bench_fail(bench, "a bare write: %s", strerror(errno));
        samples_add(&pair->bare, now_ns() - start);
        pair->offset += pair->size;
    }
    return 0;
}

static int push_some(struct bench *bench, struct pair *pair, unsigned count,
                     struct samples *samples)
{
    struct firn_error err = {0};
    for (unsigned i = 0; i < count; i++) {
        uint64_t start = now_ns();
        if (firn_stack_push(pair->stack, pair->bytes, pair->size, NULL, &err) < 0)
            return bench_fail(bench, "%s", err.message);
        if (samples)
            samples_add(samples, now_ns() - start);
    }
    return 0;
}

static void report_pair(struct bench *bench, struct pair *pair)
{
    char name[96];
    double bare = samples_percentile(&pair->bare, 50) / 1000;
    double firn = samples_percentile(&pair->firn, 50) / 1000;
    snprintf(name, sizeof name, "bare %s, %zu bytes, p50", bare_how(), pair->size);
    bench_add(bench, name, "us", AIM_NONE, 0, bare, 0);
    snprintf(name, sizeof name, "durable push of %zu bytes, p50", pair->size);
    bench_add(bench, name, "us", AIM_RATIO_MOST, 1.3, firn, firn / bare);
    samples_clear(&pair->bare);
    samples_clear(&pair->firn);
}

static int start_pair(struct bench *bench, struct pair *pair, unsigned count)
{
    fill_bytes(pair->bytes, sizeof pair->bytes);
    pair->fd = bare_zeroed(bench, "bare", (uint64_t)PAIRS * count * pair->size);
    if (pair->fd < 0 || open_stack(bench, &pair->stack) < 0)
        return -1;
    return push_some(bench, pair, WARM, NULL);
}

static int end_pair(struct bench *bench, struct pair *pair)
{
    if (pair->fd >= 0)
        (void)close(pair->fd);
    remove_file(bench, "bare");
    samples_free(&pair->bare);
    samples_free(&pair->firn);
    return destroy_stack(bench, pair->stack);
}

static int pair_run(struct bench *bench, size_t size)
{
    struct pair pair = {.fd = -1, .size = size};
    unsigned count = bench->quick ? 100 : 1000;
    int rc = start_pair(bench, &pair, count);
    for (unsigned i = 0; rc == 0 && i < PAIRS && bench_goes_on(); i++) {
        rc = write_bare(bench, &pair, count);
        if (rc == 0)
            rc = push_some(bench, &pair, count, &pair.firn);
        if (rc == 0)
            report_pair(bench, &pair);
    }
    int end_rc = end_pair(bench, &pair);
    return rc < 0 ? rc : end_rc;
}

int bench_stack(struct bench *bench)
{
    static const size_t sizes[] = {64, 1024, PUSH_MOST};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned run = 0; rc == 0 && run < bench->runs && bench_goes_on(); run++)
            rc = pair_run(bench, sizes[i]);
    return rc;
}

/* ---- many threads ---- */

struct pushers {
    struct firn_stack *stack;
    uint8_t bytes[RECORD];
};

static int push_one(void *arg, unsigned number, struct firn_error *err)
{
    struct pushers *pushers = arg;
    (void)number;
    return firn_stack_push(pushers->stack, pushers->bytes, RECORD, NULL, err);
}

/* Pushes per second of `count` threads on a fresh stack; negative: failed. */
static double pushers_rate(struct bench *bench, unsigned count, bool say_groups)
{
    struct pushers pushers;
    struct firn_stack_info info;
    fill_bytes(pushers.bytes, sizeof pushers.bytes);
    if (open_stack(bench, &pushers.stack) < 0)
        return -1;
    double rate = crew_rate(bench, count, push_one, &pushers);
    firn_stack_get_info(pushers.stack, &info);
    if (rate >= 0 && say_groups)
        crew_note_groups(bench, count, "pushes", &info.commit);
    return destroy_stack(bench, pushers.stack) < 0 ? -1 : rate;
}

int bench_stack_writers(struct bench *bench)
{
    for (unsigned run = 0; run < bench->runs && bench_goes_on(); run++) {
        bool last = run + 1 == bench->runs;
        double one = pushers_rate(bench, 1, last);
        double eight = one > 0 ? pushers_rate(bench, 8, last) : -1;
        if (eight <= 0)
            return -1;
        bench_add(bench, "1 thread pushing 1 KiB", "pushes/s", AIM_NONE, 0, one, 0);
        bench_add(bench, "8 threads pushing 1 KiB", "pushes/s", AIM_RATIO_LEAST, 3.5, eight,
                  eight / one);
    }
    return 0;
}

/* ---- reading ---- */

enum { STACK_MIB = 64, READS = 200000, STATE = 88172645 };

static uint64_t next_place(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 20) % ((uint64_t)STACK_MIB * MIB - RECORD);
}

/* Nanoseconds of `count` reads at random places; 0: failed. */
static uint64_t read_bare(struct bench *bench, unsigned count)
{
    char path[BENCH_PATH];
    uint8_t bytes[RECORD];
    uint64_t state = STATE;
    path_in(bench, "stack", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0;
    uint64_t start = now_ns();
    for (unsigned i = 0; good && i < count; i++)
        good = pread(fd, bytes, sizeof bytes, (off_t)(16 + next_place(&state))) == RECORD;
    uint64_t taken = now_ns() - start;
    if (fd >= 0)
        (void)close(fd);
    if (good)
        return taken;
    (void)bench_fail(bench, "%s: %s", path, strerror(errno));
    return 0;
}

static uint64_t read_stack(struct bench *bench, struct firn_stack *stack, unsigned count)
{
    uint8_t bytes[RECORD];
    struct firn_error err = {0};
    uint64_t state = STATE, start = now_ns();
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < count; i++)
        rc = firn_stack_get(stack, next_place(&state), bytes, sizeof bytes, &err);
    uint64_t taken = now_ns() - start;
    if (rc == 0)
        return taken;
    (void)bench_fail(bench, "%s", err.message);
    return 0;
}

/* Closed once, so that all is in the file. */
static int fill_stack(struct bench *bench, struct firn_stack **stack)
{
    struct firn_error err = {0};
    uint8_t *block = malloc(MIB);
    int rc = block ? open_stack(bench, stack) : bench_fail(bench, "no memory");
    if (rc == 0)
        fill_bytes(block, MIB);
    for (int i = 0; rc == 0 && i < STACK_MIB; i++)
        if (firn_stack_push(*stack, block, MIB, NULL, &err) < 0)
            rc = bench_fail(bench, "%s", err.message);
    free(block);
    if (rc == 0 && firn_stack_close(*stack, &err) < 0)
        return bench_fail(bench, "%s", err.message);
    return rc == 0 ? open_stack(bench, stack) : rc;
}

int bench_stack_read(struct bench *bench)
{
    struct firn_stack *stack = NULL;
    unsigned count = bench->quick ? READS / 20 : READS;
    int rc = fill_stack(bench, &stack);
    for (unsigned run = 0; rc == 0 && run < bench->runs * PAIRS && bench_goes_on(); run++) {
        uint64_t bare = read_bare(bench, count);
        uint64_t firn = bare ? read_stack(bench, stack, count) : 0;
        if (firn == 0) {
            rc = -1;
            break;
        }
        bench_add(bench, "bare pread of 1 KiB at random", "reads/s", AIM_NONE, 0,
                  count * 1e9 / (double)bare, 0);
        bench_add(bench, "get of 1 KiB at random", "reads/s", AIM_RATIO_LEAST, 0.9,
                  count * 1e9 / (double)firn, (double)bare / (double)firn);
    }
    int end_rc = destroy_stack(bench, stack);
    return rc < 0 ? rc : end_rc;
}
