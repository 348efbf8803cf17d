/* SPDX-License-Identifier: MIT */
/* Opening, creating, closing and destroying: options, and what is refused. */
#include "fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/disk.h"

/* Nothing was opened, and nothing is there that was not there before. */
static void refused(struct fixture *f, int expected)
{
    struct firn_pipe *const untouched = (struct firn_pipe *)(void *)f, *pipe = untouched;
    int rc = firn_pipe_open(f->path, &f->options, &pipe, &f->err);
    if (rc == 0)
        firn_pipe_close(pipe, NULL);
    if (rc != expected)
        fail_msg("%s, not %s: %s", firn_error_name(rc), firn_error_name(expected), f->err.message);
    assert_ptr_equal(pipe, untouched); /* outputs are written on success only */
    assert_int_equal(f->err.code, expected);
    assert_true(strlen(f->err.message) > 0);
}

static int count_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)entry;
    unsigned *count = arg;
    size_t length = strlen(name);
    bool is_lock = (length > 5 && strcmp(name + length - 5, ".lock") == 0) ||
                   (length > 4 && strcmp(name + length - 4, ".pid") == 0);
    *count += !is_lock;
    return 0;
}

/* Names in the directory, save locks. */
static unsigned names(struct fixture *f)
{
    unsigned count = 0;
    OK(disk_list(f->disk, f->dir[0] ? f->dir : ".", count_entry, &count, &f->err));
    return count;
}

/* ---- options ---- */

static void refuses_impossible_options(void **state)
{
    struct fixture *f = *state;
    const struct firn_pipe_options good = f->options;
    f->options.chunk_bytes = 0;
    refused(f, FIRN_EINVAL);
    f->options.chunk_bytes = FIRN_CHUNK_BYTES_MAX + 1;
    refused(f, FIRN_EINVAL);
    f->options.chunk_bytes = UINT64_MAX;
    refused(f, FIRN_EINVAL);
    f->options = good;
    f->options.journal_bytes = 64 * 1024 - 1;
    refused(f, FIRN_EINVAL);
    f->options.journal_bytes = 1;
    refused(f, FIRN_EINVAL);
    f->options = good;
    f->options.chunk_bytes = 64 * 1024;
    f->options.journal_bytes = 4 * 64 * 1024 - 1; /* four chunks */
    refused(f, FIRN_EINVAL);
    assert_int_equal(names(f), 0);
    f->options = good;
    fixture_open(f);
}

/* A storage of another version of the interface. */
static void refuses_a_storage_that_is_incomplete(void **state)
{
    struct fixture *f = *state;
    const struct firn_disk_ops *ops = f->disk->ops;
    struct firn_disk_ops less = *ops;
    less.size = offsetof(struct firn_disk_ops, sleep);
    f->disk->ops = &less;
    refused(f, FIRN_EINVAL);
    f->disk->ops = ops;
    fixture_open(f);
}

static void refuses_what_is_too_large(void **state)
{
    struct fixture *f = *state;
    const struct firn_pipe_options good = f->options;
    f->options.initial_chunks = UINT64_MAX;
    refused(f, FIRN_ETOOBIG);
    f->options.initial_chunks = UINT64_MAX / CHUNK + 2;
    refused(f, FIRN_ETOOBIG);
    f->options.initial_chunks = (UINT64_MAX >> 1) / CHUNK;
    refused(f, FIRN_ETOOBIG);
    assert_int_equal(names(f), 0);
    const struct firn_env_options small = {.pool_bytes = 512 * 1024, .manual = true};
    f->options = good;
    OK(firn_env_new(&small, &f->options.env, &f->err));
    f->options.chunk_bytes = 1024 * 1024; /* more than the pool */
    refused(f, FIRN_ETOOBIG);
    assert_int_equal(firn_env_free(f->options.env), 0);
    assert_int_equal(names(f), 0);
    f->options = good;
    fixture_open(f);
    FAILS(firn_pipe_grow(f->pipe, 0, &f->err), FIRN_EINVAL);
    FAILS(firn_pipe_grow(f->pipe, UINT64_MAX, &f->err), FIRN_ETOOBIG);
    FAILS(firn_pipe_grow(f->pipe, UINT64_MAX / CHUNK, &f->err), FIRN_ETOOBIG);
    FAILS(firn_pipe_grow(f->pipe, (UINT64_MAX >> 1) / CHUNK, &f->err), FIRN_ETOOBIG);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS);
    OK(firn_pipe_grow(f->pipe, 1, &f->err));
    fill_and_wait(f, 0, CHUNKS + 1, 1);
}

static void remembers_the_chunks_size(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = 24;
    fixture_open(f);
    fill_and_wait(f, 1, 1, 5);
    fixture_close(f);
    f->options.chunk_bytes = 48;
    refused(f, FIRN_EMISMATCH);
    assert_non_null(strstr(f->err.message, "24"));
    f->options.chunk_bytes = 0;
    f->options.initial_chunks = 100; /* of a pipe that is created */
    fixture_open(f);
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), 24);
    assert_int_equal(firn_pipe_count(f->pipe), CHUNKS);
    expect(f, 1, 1, 5);
}

static void opens_without_options(void **state)
{
    struct fixture *f = *state;
    int rc = firn_pipe_open(f->path, NULL, &f->pipe, &f->err);
    assert_int_equal(rc, FIRN_EINVAL);
    assert_int_equal(names(f), 0);
    fixture_open(f);
    fill(f, 0, 1, 1);
    fixture_close(f);
    OK(firn_pipe_open(f->path, NULL, &f->pipe, &f->err));
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), CHUNK);
    expect(f, 0, 1, 1);
    fill(f, 0, 1, 2);
    fixture_close(f);
    OK(firn_pipe_open(f->path, NULL, &f->pipe, NULL));
    expect(f, 0, 1, 2);
}

/* An environment of its own, with its thread; options and path are copied. */
static void brings_its_own_environment(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe_options options = f->options;
    char path[80];
    strcpy(path, f->path);
    options.env = NULL;
    OK(firn_pipe_open(path, &options, &f->pipe, &f->err));
    memset(&options, 0xff, sizeof options);
    memset(path, 'x', sizeof path - 1);
    fill(f, 0, CHUNKS, 1);
    uint64_t epoch = fill(f, 0, 1, 2);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, UINT64_C(60000000), &f->err));
    OK(firn_pipe_grow(f->pipe, 1, &f->err));
    fixture_reopen(f);
    expect(f, 0, 1, 2);
    expect(f, 1, CHUNKS - 1, 1);
}

static void must_exist(void **state)
{
    struct fixture *f = *state;
    f->options.must_exist = true;
    refused(f, FIRN_ENOENT);
    f->options.chunk_bytes = 0;
    refused(f, FIRN_ENOENT);
    f->options.must_exist = false;
    f->options.read_only = true;
    refused(f, FIRN_ENOENT);
    assert_int_equal(names(f), 0);
    f->options.read_only = false;
    f->options.chunk_bytes = CHUNK;
    fixture_open(f);
    fixture_close(f);
    f->options.must_exist = true;
    fixture_open(f);
}

/* ---- places ---- */

static void refuses_impossible_places(void **state)
{
    struct fixture *f = *state;
    char path[96], good[96];
    static char long_path[5000];
    strcpy(good, f->path);
    snprintf(f->path, sizeof f->path, "%s/none/pipe", f->dir[0] ? f->dir : ".");
    refused(f, FIRN_ENOENT);
    snprintf(path, sizeof path, "%s/file", f->dir[0] ? f->dir : ".");
    fixture_store(f, path, "text", 4);
    snprintf(f->path, sizeof f->path, "%s/file/pipe", f->dir[0] ? f->dir : ".");
    refused(f, FIRN_ENOTDIR);
    memset(long_path, 'x', sizeof long_path - 1);
    FAILS(firn_pipe_open(long_path, &f->options, &f->pipe, &f->err), FIRN_ETOOBIG);
    f->path[0] = '\0';
    assert_true(fixture_try_open(f) < 0);
    strcpy(f->path, good);
    assert_int_equal(names(f), 1);
    fixture_open(f);
}

/* A directory where one of its files should be. */
static void refuses_directories(void **state)
{
    struct fixture *f = *state;
    OK(disk_make_dir(f->disk, f->path, &f->err));
    assert_true(fixture_try_open(f) < 0);
    assert_non_null(strstr(f->err.message, f->path));
    assert_int_equal(names(f), 1);
    OK(disk_remove_dir(f->disk, f->path, &f->err));
    OK(disk_make_dir(f->disk, f->journal, &f->err));
    assert_true(fixture_try_open(f) < 0);
    assert_non_null(strstr(f->err.message, f->journal));
    assert_int_equal(names(f), 1);
    OK(disk_remove_dir(f->disk, f->journal, &f->err));
    fixture_open(f);
}

/* ---- locks ---- */

static void one_handle_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct firn_pipe *second = NULL;
    char pid[32];
    fixture_open(f);
    fill(f, 0, 1, 1);
    for (int read_only = 0; read_only < 2; read_only++) {
        f->options.read_only = read_only;
        FAILS(firn_pipe_open(f->path, &f->options, &second, &f->err), FIRN_ELOCKED);
        assert_null(second);
        snprintf(pid, sizeof pid, "%lld", (long long)disk_process_id(f->disk));
        assert_non_null(strstr(f->err.message, pid));
        assert_non_null(strstr(f->err.message, f->path));
    }
    expect(f, 0, 1, 1); /* the first one does not suffer */
    fill_and_wait(f, 1, 1, 1);
    f->options.read_only = false;
    fixture_reopen(f);
    expect(f, 0, 2, 1);
}

static void one_process_at_a_time(void **state)
{
    struct fixture *f = *state;
    int status;
    fixture_open(f);
    fill_and_wait(f, 0, 1, 1);
    pid_t child = fork();
    if (child == 0) {
        struct firn_pipe_options options = {.must_exist = true};
        struct firn_pipe *pipe;
        struct firn_error err = {0};
        char pid[32];
        int rc = firn_pipe_open(f->path, &options, &pipe, &err);
        snprintf(pid, sizeof pid, "%lld", (long long)getppid());
        _exit(rc == FIRN_ELOCKED && strstr(err.message, pid) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fill_and_wait(f, 1, 1, 2);
    expect(f, 0, 1, 1);
}

/* A process dies in the middle of it: the next one finds what was acknowledged. */
static void survives_its_process(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct firn_pipe_options options = {.chunk_bytes = CHUNK, .initial_chunks = CHUNKS};
        struct firn_pipe *pipe;
        uint8_t bytes[2 * CHUNK];
        const struct iovec iov = {bytes, sizeof bytes};
        uint64_t epoch;
        memset(bytes, 7, sizeof bytes);
        if (firn_pipe_open(f->path, &options, &pipe, NULL) != 0 ||
            firn_pipe_write(pipe, 1, &iov, 1, &epoch, NULL) != 0 ||
            firn_pipe_wait_epoch(pipe, epoch, FIRN_FOREVER, NULL) != 0 ||
            firn_pipe_grow(pipe, 3, NULL) != 0)
            _exit(1);
        _exit(0); /* without closing it */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_open(f);
    struct firn_pipe_info info;
    firn_pipe_get_info(f->pipe, &info);
    assert_true(info.recovered);
    assert_true(info.replayed > 0);
    assert_int_equal(info.chunks, CHUNKS + 3);
    expect(f, 1, 2, 7);
    expect(f, 3, 1, 0);
    fixture_close(f);
    expect_file(f, CHUNKS + 3, 2, 7);
    fixture_open(f);
    firn_pipe_get_info(f->pipe, &info);
    assert_false(info.recovered);
}

/* ---- destroy ---- */

static void destroy_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        struct firn_entry entry;
        fixture_open(f);
        if (round > 0)
            fill(f, 0, 1, 1);
        if (round > 1)
            OK(firn_pipe_grow(f->pipe, 5, &f->err));
        struct firn_pipe *pipe = f->pipe;
        f->pipe = NULL;
        OK(firn_pipe_destroy(pipe, &f->err));
        assert_int_equal(names(f), 0);
        assert_int_equal(disk_stat(f->disk, f->lock, &entry, NULL), FIRN_ENOENT);
    }
}

/* ---- sizes ---- */

/* Any size of a chunk, and what the file looks like while it is open. */
static void any_chunk_size(void **state)
{
    struct fixture *f = *state;
    static const uint64_t sizes[] = {1,  2,   3,   7,    16,   63,    64,
                                     65, 500, 512, 4096, 5000, 65536, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        f->options.chunk_bytes = sizes[i];
        f->options.initial_chunks = 5;
        fixture_open(f);
        fill_and_wait(f, 1, 3, 0x51);
        uint64_t size = fixture_size(f, f->path);
        assert_true(size > 5 * sizes[i]); /* marked */
        assert_true(sizes[i] == 1 || size % sizes[i] != 0);
        OK(firn_pipe_grow(f->pipe, 2, &f->err));
        size = fixture_size(f, f->path);
        assert_true(size > 7 * sizes[i]);
        assert_true(sizes[i] == 1 || size % sizes[i] != 0);
        fill(f, 6, 1, 0x52);
        fixture_close(f);
        assert_true(fixture_size(f, f->journal) <= 16384); /* small again */
        expect_file(f, 7, 3, 0x51);
        expect_file(f, 7, 4, 0);
        expect_file(f, 7, 6, 0x52);
        fixture_open(f);
        expect(f, 1, 3, 0x51);
        expect(f, 6, 1, 0x52);
        struct firn_pipe *pipe = f->pipe;
        f->pipe = NULL;
        OK(firn_pipe_destroy(pipe, &f->err));
    }
}

static void largest_chunk(void **state)
{
    struct fixture *f = *state;
    const struct firn_env_options large = {.pool_bytes = 128 * 1024 * 1024};
    OK(firn_env_new(&large, &f->options.env, &f->err));
    f->options.chunk_bytes = FIRN_CHUNK_BYTES_MAX;
    f->options.initial_chunks = 1;
    fixture_open(f);
    fill_and_wait(f, 0, 1, 0x51);
    fill(f, 0, 1, 0x52);
    expect(f, 0, 1, 0x52);
    fixture_reopen(f);
    expect(f, 0, 1, 0x52);
    fixture_close(f);
    assert_int_equal(firn_env_free(f->options.env), 0);
}

/* A pipe without chunks, which grows. */
static void begins_empty(void **state)
{
    struct fixture *f = *state;
    uint8_t byte;
    f->options.initial_chunks = 0;
    fixture_open(f);
    assert_int_equal(firn_pipe_count(f->pipe), 0);
    FAILS(try_fill(f, 0, 1, 1, NULL), FIRN_ERANGE);
    FAILS(firn_pipe_read(f->pipe, 0, 1, &byte, 0, &f->err), FIRN_ERANGE);
    fixture_reopen(f);
    assert_int_equal(firn_pipe_count(f->pipe), 0);
    OK(firn_pipe_grow(f->pipe, 1, &f->err));
    fill(f, 0, 1, 1);
    fixture_close(f);
    expect_file(f, 1, 0, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(refuses_impossible_options, in_memory),
        CLOSED_IN(refuses_a_storage_that_is_incomplete, manual_memory),
        CLOSED_IN(refuses_what_is_too_large, in_memory),
        CLOSED_IN(refuses_what_is_too_large, on_files),
        CLOSED_IN(remembers_the_chunks_size, in_memory),
        CLOSED_IN(remembers_the_chunks_size, on_files),
        CLOSED_IN(opens_without_options, on_files),
        CLOSED_IN(brings_its_own_environment, in_memory),
        CLOSED_IN(must_exist, in_memory),
        CLOSED_IN(must_exist, on_files),
        CLOSED_IN(refuses_impossible_places, in_memory),
        CLOSED_IN(refuses_impossible_places, on_files),
        CLOSED_IN(refuses_directories, in_memory),
        CLOSED_IN(refuses_directories, on_files),
        CLOSED_IN(one_handle_at_a_time, in_memory),
        CLOSED_IN(one_handle_at_a_time, on_files),
        CLOSED_IN(one_process_at_a_time, manual_files),
        CLOSED_IN(survives_its_process, manual_files),
        CLOSED_IN(destroy_leaves_nothing, in_memory),
        CLOSED_IN(destroy_leaves_nothing, on_files),
        CLOSED_IN(any_chunk_size, in_memory),
        CLOSED_IN(any_chunk_size, on_files),
        CLOSED_IN(any_chunk_size, manual_memory),
        CLOSED_IN(largest_chunk, in_memory),
        CLOSED_IN(begins_empty, in_memory),
        CLOSED_IN(begins_empty, on_files),
    };
    return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
