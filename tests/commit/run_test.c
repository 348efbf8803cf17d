/* SPDX-License-Identifier: MIT */
/* Runs of buffers of all sizes, written to a file in an array, where no allocation succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc.h"
#include "commit/run.h"
#include "lib/alloc.h"
#include "lib/prng.h"

enum { FROM = 1000, BUFFERS = 700, MOST_USED = 300, BYTES = FROM + BUFFERS * MOST_USED + 10 };

/* ---- a file that is an array ---------------------------------------------------------------- */

struct memory {
    struct firn_file file;
    uint8_t bytes[BYTES];
    size_t most; /* bytes in a call */
    int calls, fail_at;
    unsigned flags_of_all, flags_of_any;
};

static int memory_writev(struct firn_file *file, const struct iovec *iov, int count,
                         uint64_t offset, unsigned flags, size_t *done, struct firn_error *err)
{
    struct memory *memory = (struct memory *)file;
    memory->flags_of_all &= flags;
    memory->flags_of_any |= flags;
    *done = 0;
    if (++memory->calls == memory->fail_at)
        return firn_error_set(err, FIRN_EIO, 5, "the test's write failed");
    for (int i = 0; i < count && *done < memory->most; i++) {
        size_t room = memory->most - *done;
        size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;
        assert_true(offset + *done + part <= BYTES);
        memcpy(memory->bytes + offset + *done, iov[i].iov_base, part);
        *done += part;
    }
    return 0;
}

static const struct firn_file_ops memory_ops = {.size = sizeof memory_ops, .writev = memory_writev};

static struct memory *memory_new(size_t most)
{
    struct memory *memory = calloc(1, sizeof *memory);
    assert_non_null(memory);
    memory->file.ops = &memory_ops;
    memory->most = most;
    memory->flags_of_all = ~0u;
    return memory;
}

/* ---- a run ---------------------------------------------------------------------------------- */

struct run {
    struct commit_buffer *first;
    uint8_t bytes[BYTES]; /* what it holds, at its place in the file */
    uint64_t end;
};

/* `count` buffers, some empty, from FROM on. */
static struct run *run_new(struct prng *prng, size_t count)
{
    struct run *run = calloc(1, sizeof *run);
    assert_non_null(run);
    struct commit_buffer **link = &run->first;
    run->end = FROM;
    for (size_t i = 0; i < count; i++) {
        struct commit_buffer *buffer = aligned_alloc(COMMIT_ALIGNMENT, 1024);
        assert_non_null(buffer);
        *buffer = (struct commit_buffer){.position = run->end,
                                         .used = (uint32_t)prng_below(prng, MOST_USED + 1)};
        prng_fill(prng, commit_bytes(buffer), buffer->used);
        memcpy(run->bytes + run->end, commit_bytes(buffer), buffer->used);
        run->end += buffer->used;
        *link = buffer;
        link = &buffer->next;
    }
    return run;
}

static void run_free(struct run *run)
{
    while (run->first) {
        struct commit_buffer *next = run->first->next;
        free(run->first);
        run->first = next;
    }
    free(run);
}

static int write_run(struct memory *memory, struct run *run, const struct commit_buffer *end,
                     unsigned flags, struct firn_error *err)
{
    alloc_fail_in = 1;
    int rc = commit_write_run(&memory->file, run->first, end, flags, err);
    assert_int_equal(alloc_fail_in, 1); /* it did not try */
    alloc_fail_in = 0;
    return rc;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void a_run_is_written_where_it_belongs(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 255, 256, 257, 512, 513, BUFFERS};
    static const size_t mosts[] = {7, 100000, SIZE_MAX};
    struct prng prng = prng_new(1);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct run *run = run_new(&prng, counts[i]);
        for (size_t k = 0; k < sizeof mosts / sizeof mosts[0]; k++) {
            struct memory *memory = memory_new(mosts[k]);
            assert_int_equal(write_run(memory, run, NULL, FIRN_WRITE_DURABLE, NULL), 0);
            assert_memory_equal(memory->bytes, run->bytes, BYTES);
            assert_int_equal(memory->flags_of_all, FIRN_WRITE_DURABLE);
            if (mosts[k] == SIZE_MAX)
                assert_int_equal(memory->calls, (counts[i] + 255) / 256);
            free(memory);
        }
        run_free(run);
    }
}

static void it_ends_where_it_is_told(void **state)
{
    (void)state;
    struct prng prng = prng_new(2);
    struct run *run = run_new(&prng, 300);
    size_t at = 0;
    for (struct commit_buffer *end = run->first; end; end = end->next, at++) {
        if (at > 3 && at % 85 != 0 && at != 256)
            continue;
        struct memory *memory = memory_new(SIZE_MAX);
        uint8_t expected[BYTES] = {0};
        memcpy(expected, run->bytes, end->position);
        assert_int_equal(write_run(memory, run, end, 0, NULL), 0);
        assert_memory_equal(memory->bytes, expected, BYTES);
        assert_int_equal(memory->flags_of_any, 0);
        assert_int_equal(memory->calls == 0, end->position == FROM);
        free(memory);
    }
    run_free(run);
}

static void the_first_failure_ends_it(void **state)
{
    (void)state;
    struct prng prng = prng_new(3);
    struct run *run = run_new(&prng, BUFFERS);
    for (int call = 1; call <= 3; call++) {
        struct memory *memory = memory_new(SIZE_MAX);
        struct firn_error err = {0};
        memory->fail_at = call;
        assert_int_equal(write_run(memory, run, NULL, FIRN_WRITE_DURABLE, &err), FIRN_EIO);
        assert_int_equal(err.code, FIRN_EIO);
        assert_int_equal(memory->calls, call);
        free(memory);
    }
    run_free(run);
}

/* In steps of any size: the sums are those of the bytes in one piece. */
static void a_walk_sees_every_byte(void **state)
{
    (void)state;
    struct prng prng = prng_new(4);
    struct run *run = run_new(&prng, BUFFERS);
    struct commit_walk walk = {.buffer = run->first};
    uint64_t at = FROM;
    uint32_t all = 0;
    while (at < run->end) {
        uint64_t step = prng_below(&prng, 4) == 0 ? prng_below(&prng, 2000) : prng_below(&prng, 40);
        step = step < run->end - at ? step : run->end - at;
        bool skip = prng_below(&prng, 3) == 0;
        uint32_t crc = all;
        commit_walk_on(&walk, step, skip ? NULL : &crc);
        all = crc32c(all, run->bytes + at, skip ? 0 : step);
        assert_int_equal(crc, all);
        at += step;
        assert_true(walk.buffer->position + walk.offset == at);
        assert_true(walk.offset <= walk.buffer->used);
    }
    run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_written_where_it_belongs),
        cmocka_unit_test(it_ends_where_it_is_told),
        cmocka_unit_test(the_first_failure_ends_it),
        cmocka_unit_test(a_walk_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
