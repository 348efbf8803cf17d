/* SPDX-License-Identifier: MIT */
/*
 * Appenders that are killed, really, on files of this machine: the next process breaks their lock,
 * and finds what was acknowledged, and of the append in progress all or nothing. Their parts grow
 * and shrink meanwhile, and a thread zeroes space ahead of them.
 * Arguments: none: some kills; COUNT: so many.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/stream.h>

#include "disk/disk.h"
#include "lib/prng.h"

enum { BLOCKS = 40, SHIFT = 12, APPEND_MOST = 60000 };

/* What an append begins with. */
struct head {
    uint64_t number, size;
};

struct world {
    char dir[200];
    struct firn_env *env;
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
    struct firn_error err;
    uint64_t first, last; /* numbers of the appends that are there; 0: none */
};

/* ---- life ---- */

static int start(struct world *w)
{
    const struct firn_stream_options options = {.span_bytes = SIZE_MAX, .verify = true};
    int rc = firn_env_new(NULL, &w->env, &w->err);
    const struct firn_block_options blocks = {.env = w->env, .break_dead_lock = true};
    if (rc == 0)
        rc = firn_block_sequence_open(w->dir, "seq", BLOCKS, SHIFT, &blocks, &w->allocator,
                                      &w->err);
    return rc == 0 ? firn_stream_open(w->allocator, &options, &w->stream, &w->err) : rc;
}

static void finish(struct world *w)
{
    if (firn_stream_close(w->stream, &w->err) < 0 ||
        w->allocator->ops->close(w->allocator, &w->err) < 0)
        fail_msg("%s", w->err.message);
    assert_int_equal(firn_env_free(w->env), 0);
}

static size_t make_append(uint64_t number, uint8_t *bytes)
{
    struct prng prng = prng_new(number);
    struct head head = {number, sizeof head + prng_below(&prng, 300)};
    if (number % 8 == 0)
        head.size = sizeof head + prng_below(&prng, APPEND_MOST - sizeof head);
    memcpy(bytes, &head, sizeof head);
    prng_fill(&prng, bytes + sizeof head, (size_t)head.size - sizeof head);
    return (size_t)head.size;
}

/* ---- the process that is killed ---- */

static int append_one(struct world *w, uint64_t number)
{
    static uint8_t bytes[APPEND_MOST];
    size_t size = make_append(number, bytes);
    int rc = firn_stream_write(w->stream, bytes, size, NULL, &w->err);
    if (rc == FIRN_EAGAIN && (rc = firn_stream_grow(w->stream, &w->err)) == 0)
        rc = firn_stream_write(w->stream, bytes, size, NULL, &w->err);
    return rc;
}

/* All but the last 300,000 bytes or so. */
static int let_go(struct world *w)
{
    uint64_t end = firn_stream_end(w->stream);
    if (end < 600000)
        return 0;
    int rc = firn_stream_advance(w->stream, end - 300000, &w->err);
    if (rc >= 0)
        rc = firn_stream_shrink(w->stream, NULL, &w->err);
    return rc < 0 ? rc : firn_stream_release(w->stream, NULL, NULL, &w->err);
}

static void be_killed(struct world *w, int channel)
{
    uint64_t number = w->last;
    if (start(w) < 0)
        _exit(1);
    for (;;) {
        if (append_one(w, ++number) < 0 || (number % 50 == 0 && let_go(w) < 0))
            _exit(1);
        if (write(channel, &number, sizeof number) != (ssize_t)sizeof number)
            _exit(1);
    }
}

/* ---- the survivor ---- */

/* Across chunks. */
static size_t read_bytes(struct firn_stream_reader *reader, struct firn_chunk *chunk, size_t *used,
                         uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        if (*used == chunk->size) {
            firn_chunk_release(chunk);
            *used = 0;
            if (firn_stream_reader_next(reader, chunk) != 0)
                break;
        }
        size_t n = size - done < chunk->size - *used ? size - done : chunk->size - *used;
        memcpy(bytes + done, (const uint8_t *)chunk->data + *used, n);
        done += n;
        *used += n;
    }
    return done;
}

/* Appends with numbers in a row, each as it was made. */
static void read_all(struct world *w)
{
    static uint8_t bytes[APPEND_MOST], made[APPEND_MOST];
    struct firn_stream_reader *reader;
    struct firn_chunk chunk = {0};
    struct head head;
    size_t used = 0;
    w->first = 0;
    assert_int_equal(firn_stream_reader_open(w->stream, &reader, &w->err), 0);
    while (read_bytes(reader, &chunk, &used, (uint8_t *)&head, sizeof head) == sizeof head) {
        assert_true(head.size >= sizeof head && head.size <= APPEND_MOST);
        assert_true(w->first == 0 || head.number == w->last + 1);
        size_t rest = (size_t)head.size - sizeof head;
        assert_int_equal(read_bytes(reader, &chunk, &used, bytes, rest), rest);
        assert_int_equal(make_append(head.number, made), head.size);
        assert_memory_equal(bytes, made + sizeof head, rest);
        w->first = w->first ? w->first : head.number;
        w->last = head.number;
    }
    assert_int_equal(firn_stream_reader_position(reader), firn_stream_end(w->stream));
    firn_chunk_release(&chunk);
    firn_stream_reader_close(reader);
}

/* All that was said; the last number. */
static uint64_t last_said(int channel, uint64_t before)
{
    uint64_t number = before, last = before;
    while (read(channel, &number, sizeof number) == (ssize_t)sizeof number)
        last = number;
    assert_int_equal(close(channel), 0);
    return last;
}

static void one_kill(struct world *w, struct prng *prng)
{
    int channel[2], status;
    uint64_t number;
    assert_int_equal(pipe(channel), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        be_killed(w, channel[1]);
    close(channel[1]);
    bool alive = read(channel[0], &number, sizeof number) == (ssize_t)sizeof number;
    const struct timespec a_while = {.tv_nsec = (long)prng_below(prng, 20000000)};
    nanosleep(&a_while, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(alive && WIFSIGNALED(status));
    uint64_t said = last_said(channel[0], number);
    if (start(w) < 0)
        fail_msg("%s", w->err.message);
    read_all(w);
    assert_in_range(w->last, said, said + 1);
    if (firn_stream_verify(w->stream, NULL, NULL, &w->err) < 0)
        fail_msg("%s", w->err.message);
    finish(w);
}

static uint64_t kills = 20;

static int remove_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    struct world *w = arg;
    char path[DISK_PATH_SIZE];
    (void)entry;
    assert_int_equal(disk_path_join(path, sizeof path, w->dir, name, NULL), 0);
    return disk_remove(firn_disk_posix(), path, NULL);
}

static void killed_appenders(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    struct world *w = calloc(1, sizeof *w);
    struct prng prng = prng_new(1);
    assert_non_null(w);
    snprintf(w->dir, sizeof w->dir, "%s/firn-stream-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    for (uint64_t i = 0; i < kills; i++)
        one_kill(w, &prng);
    printf("note: %llu kills, %llu appends survived them, %llu are left\n",
           (unsigned long long)kills, (unsigned long long)w->last,
           (unsigned long long)(w->last - w->first + 1));
    assert_true(w->last >= kills);
    assert_int_equal(disk_list(firn_disk_posix(), w->dir, remove_entry, w, NULL), 0);
    assert_int_equal(disk_remove_dir(firn_disk_posix(), w->dir, NULL), 0);
    free(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed_appenders)};
    const char *effort = getenv("FIRN_TEST_EFFORT");
    if (effort && strcmp(effort, "less") == 0)
        kills = 5;
    if (argc > 1)
        kills = strtoull(argv[1], NULL, 10);
    else
        alarm(110); /* a deadlock is a failure */
    return cmocka_run_group_tests_name("kill", tests, NULL, NULL);
}
