/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "disk/disk.h"

const struct fixture_kind in_memory = {MEMORY, false}, on_files = {FILES, false},
                          in_simulator = {SIMULATOR, false};
const struct fixture_kind manual_memory = {MEMORY, true}, manual_files = {FILES, true},
                          manual_simulator = {SIMULATOR, true};

void must(bool condition, const char *file, int line, const char *text)
{
    if (condition)
        return;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, text);
    abort();
}

/* ---- life ---- */

static void make_storage(struct fixture *f)
{
    const char *tmp = getenv("TMPDIR");
    switch (f->kind.storage) {
    case MEMORY:
        OK(firn_disk_memory_new(&f->disk, &f->err));
        break;
    case SIMULATOR:
        OK(firn_faulty_new(NULL, &f->faulty, &f->err));
        f->disk = firn_faulty_disk(f->faulty);
        break;
    case FILES:
        snprintf(f->dir, sizeof f->dir, "%s/firn-pipe-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(f->dir));
        f->disk = firn_disk_posix();
        break;
    }
    snprintf(f->path, sizeof f->path, "%s%spipe", f->dir, f->dir[0] ? "/" : "");
    snprintf(f->journal, sizeof f->journal, "%s.journal", f->path);
    snprintf(f->lock, sizeof f->lock, "%s.lock", f->path);
}

int fixture_setup_closed(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->kind = *(const struct fixture_kind *)*state;
    *state = f;
    const struct firn_env_options env_options = {.manual = f->kind.manual};
    make_storage(f);
    OK(firn_env_new(&env_options, &f->env, &f->err));
    f->options = (struct firn_pipe_options){
        .disk = f->disk, .env = f->env, .chunk_bytes = CHUNK, .initial_chunks = CHUNKS};
    return 0;
}

int fixture_setup(void **state)
{
    fixture_setup_closed(state);
    fixture_open(*state);
    return 0;
}

static void remove_directory(const char *path)
{
    DIR *dir = opendir(path);
    char name[400];
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(name) != 0)
            (void)rmdir(name);
    }
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    firn_pipe_close(f->pipe, NULL);
    assert_int_equal(firn_env_free(f->env), 0);
    if (f->faulty) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(f->faulty, &counts);
        assert_int_equal(counts.files + counts.locks + counts.shares + counts.events, 0);
    }
    firn_disk_free(f->disk);
    if (f->dir[0])
        remove_directory(f->dir);
    free(f);
    return 0;
}

int fixture_try_open(struct fixture *f)
{
    return firn_pipe_open(f->path, &f->options, &f->pipe, &f->err);
}

void fixture_open(struct fixture *f)
{
    assert_null(f->pipe);
    OK(fixture_try_open(f));
}

void fixture_close(struct fixture *f)
{
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    OK(firn_pipe_close(pipe, &f->err));
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

void fixture_remake(struct fixture *f, uint64_t chunk_bytes, uint64_t chunks)
{
    struct firn_pipe *pipe = f->pipe;
    f->pipe = NULL;
    OK(firn_pipe_destroy(pipe, &f->err));
    f->options.chunk_bytes = chunk_bytes;
    f->options.initial_chunks = chunks;
    fixture_open(f);
}

void fixture_background(struct fixture *f)
{
    struct firn_env_stats before, after;
    do {
        firn_env_get_stats(f->env, &before);
        firn_env_run(f->env);
        firn_env_get_stats(f->env, &after);
    } while (after.tasks_run != before.tasks_run);
}

void fixture_kill(struct fixture *f)
{
    firn_faulty_kill(f->faulty);
    firn_pipe_close(f->pipe, NULL);
    f->pipe = NULL;
}

void fixture_lose_power(struct fixture *f, uint64_t which)
{
    firn_faulty_power_off(f->faulty);
    firn_pipe_close(f->pipe, NULL);
    f->pipe = NULL;
    OK(firn_faulty_restart(f->faulty, which, &f->err));
}

/* ---- files ---- */

uint8_t *fixture_load(struct fixture *f, const char *path, uint64_t *size)
{
    struct firn_file *file;
    size_t got;
    *size = UINT64_MAX;
    if (disk_open(f->disk, path, FIRN_OPEN_READ, &file, NULL) != 0)
        return NULL;
    OK(disk_size_of(file, size, &f->err));
    uint8_t *bytes = malloc((size_t)*size + 1);
    assert_non_null(bytes);
    OK(disk_read_full(file, bytes, (size_t)*size, 0, &got, &f->err));
    assert_int_equal(got, *size);
    disk_close(file);
    return bytes;
}

void fixture_store(struct fixture *f, const char *path, const void *bytes, size_t size)
{
    struct firn_file *file;
    (void)disk_remove(f->disk, path, NULL);
    if (!bytes)
        return;
    OK(disk_open(f->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, &f->err));
    OK(disk_write_full(file, bytes, size, 0, 0, &f->err));
    OK(disk_sync(file, &f->err));
    disk_close(file);
}

uint64_t fixture_size(struct fixture *f, const char *path)
{
    struct firn_entry entry;
    return disk_stat(f->disk, path, &entry, NULL) == 0 ? entry.size : UINT64_MAX;
}

/* ---- chunks of one byte ---- */

static uint8_t *filled(struct fixture *f, uint64_t count, uint8_t byte, struct iovec *iov)
{
    size_t size = (size_t)(count * firn_pipe_chunk_bytes(f->pipe));
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memset(bytes, byte, size);
    *iov = (struct iovec){.iov_base = bytes, .iov_len = size};
    return bytes;
}

int try_fill(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte, uint64_t *epoch)
{
    struct iovec iov;
    uint8_t *bytes = filled(f, count, byte, &iov);
    int rc = firn_pipe_write(f->pipe, index, &iov, 1, epoch, &f->err);
    free(bytes);
    return rc;
}

uint64_t fill(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte)
{
    uint64_t epoch = 0;
    OK(try_fill(f, index, count, byte, &epoch));
    assert_true(epoch > 0);
    return epoch;
}

void fill_and_wait(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte)
{
    uint64_t epoch = fill(f, index, count, byte);
    OK(firn_pipe_wait_epoch(f->pipe, epoch, FIRN_FOREVER, &f->err));
    assert_true(firn_pipe_durable_epoch(f->pipe) >= epoch);
}

void fill_in(struct fixture *f, struct firn_transaction *transaction, uint64_t index,
             uint64_t count, uint8_t byte)
{
    struct iovec iov;
    uint8_t *bytes = filled(f, count, byte, &iov);
    int rc = firn_transaction_write(transaction, index, &iov, 1, &f->err);
    free(bytes);
    OK(rc);
}

static void expect_with(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte,
                        unsigned flags)
{
    struct iovec iov;
    uint8_t *bytes = filled(f, count, byte, &iov);
    uint8_t *found = malloc(iov.iov_len + 1);
    found[iov.iov_len] = 0xee;
    OK(firn_pipe_read(f->pipe, index, count, found, flags, &f->err));
    assert_memory_equal(found, bytes, iov.iov_len);
    assert_int_equal(found[iov.iov_len], 0xee);
    free(found);
    free(bytes);
}

void expect(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte)
{
    expect_with(f, index, count, byte, 0);
}

void expect_durable(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte)
{
    expect_with(f, index, count, byte, FIRN_READ_DURABLE);
}

void expect_file(struct fixture *f, uint64_t chunks, uint64_t index, uint8_t byte)
{
    uint64_t size, chunk = f->options.chunk_bytes;
    uint8_t *bytes = fixture_load(f, f->path, &size);
    assert_int_equal(size, chunks * chunk);
    for (uint64_t i = index * chunk; i < (index + 1) * chunk; i++)
        assert_int_equal(bytes[i], byte);
    free(bytes);
}

/* ---- threads ---- */

void sleeper_begins(struct sleeper *sleeper)
{
#if defined(__linux__)
    atomic_store(&sleeper->thread, (pid_t)syscall(SYS_gettid));
#else
    atomic_store(&sleeper->thread, 1);
#endif
}

#if defined(__linux__)
static char thread_state(pid_t thread)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    FILE *file = fopen(path, "r");
    if (file && !fgets(text, sizeof text, file))
        text[0] = '\0';
    if (file)
        fclose(file);
    const char *end = strrchr(text, ')');
    return end && end[1] ? end[2] : 'S';
}
#endif

void sleeper_await(struct sleeper *sleeper)
{
    const struct timespec shortly = {.tv_nsec = 2000000};
    while (!atomic_load(&sleeper->thread))
        sched_yield();
#if defined(__linux__)
    for (int seen = 0; seen < 3; nanosleep(&shortly, NULL)) /* not only for a moment */
        seen = thread_state(atomic_load(&sleeper->thread)) == 'S' ? seen + 1 : 0;
#else
    for (int i = 0; i < 50; i++)
        nanosleep(&shortly, NULL);
#endif
}
