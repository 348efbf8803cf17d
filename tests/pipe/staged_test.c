/* SPDX-License-Identifier: MIT */
/* Reads of what is staged and lies in several buffers, from any place in it. */
#include "fixture.h"

enum { BIG = 64, BIG_BYTES = BIG * LARGE_CHUNK };

static void setup(struct fixture *f)
{
    f->options.journal_bytes = 4 * BIG_BYTES;
    fixture_remake(f, LARGE_CHUNK, BIG);
}

/* Every chunk of its own content. */
static uint8_t *content(uint8_t first)
{
    uint8_t *bytes = malloc(BIG_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < BIG_BYTES; i++)
        bytes[i] = (uint8_t)(first + i / LARGE_CHUNK + i % 251);
    return bytes;
}

static void expect_all(struct fixture *f, const uint8_t *bytes)
{
    uint8_t *found = malloc(BIG_BYTES);
    assert_non_null(found);
    for (uint64_t count = 1; count <= BIG; count *= 4)
        for (uint64_t index = 0; index + count <= BIG; index++) {
            OK(firn_pipe_read(f->pipe, index, count, found, 0, &f->err));
            assert_memory_equal(found, bytes + index * LARGE_CHUNK, count * LARGE_CHUNK);
        }
    free(found);
}

static void reads_from_the_middle(void **state)
{
    struct fixture *f = *state;
    setup(f);
    uint8_t *bytes = content(1);
    const struct iovec iov = {bytes, BIG_BYTES};
    OK(firn_pipe_write(f->pipe, 0, &iov, 1, NULL, &f->err));
    expect_all(f, bytes);
    OK(firn_pipe_flush(f->pipe, &f->err));
    expect_all(f, bytes);
    free(bytes);
}

/* A later write takes the beginning, the middle and the end of the one that was there. */
static void reads_what_was_left(void **state)
{
    struct fixture *f = *state;
    setup(f);
    uint8_t *bytes = content(1), *later = content(77);
    const struct iovec iov = {bytes, BIG_BYTES};
    OK(firn_pipe_write(f->pipe, 0, &iov, 1, NULL, &f->err));
    static const struct {
        uint64_t index, count;
    } parts[] = {{0, 18}, {30, 5}, {50, 14}, {22, 1}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t at = (size_t)parts[i].index * LARGE_CHUNK, size = parts[i].count * LARGE_CHUNK;
        const struct iovec part = {later + at, size};
        OK(firn_pipe_write(f->pipe, parts[i].index, &part, 1, NULL, &f->err));
        memcpy(bytes + at, later + at, size);
        expect_all(f, bytes);
    }
    fixture_reopen(f);
    expect_all(f, bytes);
    free(bytes);
    free(later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(reads_from_the_middle, manual_memory),
        TEST_IN(reads_what_was_left, manual_memory),
    };
    return cmocka_run_group_tests_name("pipe/staged", tests, NULL, NULL);
}
