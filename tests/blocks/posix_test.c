/* SPDX-License-Identifier: MIT */
/*
 * Blocks in files of this machine: with a background thread that zeroes ahead, from many threads;
 * and the files of another implementation, where they are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/threads.h"
#include "blocks/blocks.h"
#include "lib/prng.h"

enum { BLOCK = 4096, SHIFT = 12, COUNT = 2048, MIB = 1024 * 1024 };

struct world {
    char dir[200];
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_error err;
};

static void start(struct world *w)
{
    const char *tmp = getenv("TMPDIR");
    memset(w, 0, sizeof *w);
    w->disk = firn_disk_posix();
    snprintf(w->dir, sizeof w->dir, "%s/firn-blocks-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(firn_env_new(NULL, &w->env, NULL), 0);
}

static int remove_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    struct world *w = arg;
    char path[400];
    (void)entry;
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    return w->disk->ops->remove(w->disk, path, NULL);
}

static void stop(struct world *w)
{
    assert_int_equal(firn_env_free(w->env), 0);
    assert_int_equal(w->disk->ops->list(w->disk, w->dir, remove_entry, w, NULL), 0);
    assert_int_equal(w->disk->ops->remove_dir(w->disk, w->dir, NULL), 0);
}

static struct firn_block_allocator *open_sequence(struct world *w, uint64_t count)
{
    const struct firn_block_options options = {.env = w->env};
    struct firn_block_allocator *allocator = NULL;
    int rc = firn_block_sequence_open(w->dir, "seq", count, SHIFT, &options, &allocator, &w->err);
    if (rc < 0)
        fail_msg("%s: %s", firn_error_name(rc), w->err.message);
    return allocator;
}

static int keep_one(void *arg, struct firn_block *block)
{
    struct firn_block **kept = arg;
    firn_block_close(*kept);
    *kept = block;
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void a_sequence_lives(void **state)
{
    (void)state;
    struct world w;
    struct firn_block *block, *again = NULL;
    char target[100] = "", text[100], path[400];
    static uint8_t bytes[BLOCK], found[BLOCK];
    start(&w);
    struct firn_block_allocator *allocator = open_sequence(&w, 8);
    snprintf(path, sizeof path, "%s/seq.lock", w.dir);
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    snprintf(text, sizeof text, "%ld", (long)getpid());
    assert_string_equal(target, text);
    memset(bytes, 7, sizeof bytes);
    const struct iovec pair[] = {{bytes, 48}, {bytes + 48, BLOCK - 48}};
    const struct iovec all = {found, BLOCK};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(block_allocate(allocator, &block, &w.err), 0);
        assert_int_equal(block_prepare(block, 0, 8, &w.err), 0);
        assert_int_equal(block_store(block, 7, pair, 2, &w.err), 0);
        firn_block_close(block);
    }
    assert_int_equal(firn_block_allocator_close(allocator, &w.err), 0);
    assert_true(access(path, F_OK) != 0);
    allocator = open_sequence(&w, 3);
    assert_int_equal(block_retrieve(allocator, keep_one, &again, &w.err), 0);
    assert_true(again->count == 8);
    assert_int_equal(block_load(again, 7, &all, 1, &w.err), 0);
    assert_memory_equal(found, bytes, BLOCK);
    firn_block_close(again);
    assert_int_equal(firn_block_allocator_close(allocator, &w.err), 0);
    stop(&w);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { WRITERS = 4, ROUNDS = 60, REGION = COUNT / WRITERS };

struct shared {
    struct firn_block *block;
    uint8_t last[COUNT]; /* that was stored; each writer has its region */
};

/* Writers append small stores to regions of their own, and load them; others prepare all. */
static void use_block(void *arg, unsigned number)
{
    struct shared *shared = arg;
    uint8_t bytes[4 * BLOCK];
    struct iovec iov[8];
    struct prng prng = prng_new(number + 1);
    uint64_t at = number % WRITERS * REGION;
    if (number >= WRITERS)
        THREAD_CHECK(block_prepare(shared->block, 0, COUNT, NULL) == 0);
    for (int round = 0; round < ROUNDS && number < WRITERS; round++) {
        int blocks = 1 + (int)prng_below(&prng, 4);
        memset(bytes, round + 1, sizeof bytes);
        for (int i = 0; i < blocks; i++) {
            iov[2 * i] = (struct iovec){bytes, 48};
            iov[2 * i + 1] = (struct iovec){bytes, BLOCK - 48};
            shared->last[at + (uint64_t)i] = (uint8_t)(round + 1);
        }
        THREAD_CHECK(block_store(shared->block, at, iov, 2 * blocks, NULL) == 0);
        const struct iovec back = {bytes, (size_t)blocks * BLOCK};
        memset(bytes, 0xcc, sizeof bytes);
        THREAD_CHECK(block_load(shared->block, at, &back, 1, NULL) == 0);
        THREAD_CHECK(bytes[0] == round + 1 && bytes[back.iov_len - 1] == round + 1);
        at += (uint64_t)blocks;
    }
}

static void many_threads_use_a_file(void **state)
{
    (void)state;
    struct world w;
    static struct shared shared;
    static uint8_t bytes[COUNT * BLOCK];
    const struct iovec all = {bytes, sizeof bytes};
    start(&w);
    struct firn_block_allocator *allocator = open_sequence(&w, COUNT);
    assert_int_equal(block_allocate(allocator, &shared.block, &w.err), 0);
    threads_run(WRITERS + 2, use_block, &shared);
    assert_int_equal(block_load(shared.block, 0, &all, 1, &w.err), 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        if (bytes[i] != shared.last[i / BLOCK])
            fail_msg("byte %zu is %d, not %d", i, bytes[i], shared.last[i / BLOCK]);
    assert_int_equal(block_release(allocator, shared.block, &w.err), 0);
    assert_int_equal(firn_block_allocator_close(allocator, &w.err), 0);
    stop(&w);
}

/* Each allocates and tries to release; nobody meets an error but of order. */
struct crowd {
    struct firn_block_allocator *allocator;
    _Atomic int allocated, released;
};

static void come_and_go(void *arg, unsigned number)
{
    struct crowd *crowd = arg;
    uint8_t value = (uint8_t)number;
    const struct iovec pair[] = {{&value, 1}, {NULL, 0}};
    for (int i = 0; i < 10; i++) {
        struct firn_block *block = NULL;
        THREAD_CHECK(block_allocate(crowd->allocator, &block, NULL) == 0);
        atomic_fetch_add(&crowd->allocated, 1);
        THREAD_CHECK(block_store(block, 0, pair, 2, NULL) == 0);
        int rc = block_release(crowd->allocator, block, NULL);
        THREAD_CHECK(rc == 0 || rc == FIRN_EMISMATCH);
        if (rc == 0)
            atomic_fetch_add(&crowd->released, 1);
        else
            firn_block_close(block);
    }
}

static int count_it(void *arg, struct firn_block *block)
{
    ++*(int *)arg;
    firn_block_close(block);
    return 0;
}

static void many_threads_use_a_sequence(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct crowd crowd = {.allocator = open_sequence(&w, 16)};
    int left = 0;
    threads_run(4, come_and_go, &crowd);
    assert_int_equal(block_retrieve(crowd.allocator, count_it, &left, &w.err), 0);
    assert_int_equal(left, atomic_load(&crowd.allocated) - atomic_load(&crowd.released));
    assert_int_equal(atomic_load(&crowd.allocated), 40);
    assert_int_equal(firn_block_allocator_close(crowd.allocator, &w.err), 0);
    stop(&w);
}

/* ---- another implementation ----------------------------------------------------------------- */

struct reference {
    int files;
    uint64_t data;
};

static int look_at(void *arg, struct firn_block *block)
{
    struct reference *reference = arg;
    uint8_t meta[48];
    const struct iovec iov = {meta, sizeof meta};
    assert_true(block->shift == 12 && block->count == 16);
    for (uint64_t i = 0; i < block->count; i++) {
        assert_int_equal(block_load(block, i, &iov, 1, NULL), 0);
        reference->data += meta[8] || meta[9]; /* there is something in this block */
    }
    reference->files++;
    firn_block_close(block);
    return 0;
}

static void files_of_the_reference_open(void **state)
{
    (void)state;
    char dir[400];
    const char *data = getenv("FIRN_REFERENCE_DATA");
    snprintf(dir, sizeof dir, "%s/stream-sequence", data ? data : "");
    if (!data || access(dir, R_OK) != 0)
        skip();
    const struct firn_block_options options = {.read_only = true};
    struct firn_block_allocator *allocator;
    struct reference reference = {0};
    assert_int_equal(firn_block_sequence_open(dir, "seq", 1, 12, &options, &allocator, NULL), 0);
    assert_int_equal(block_retrieve(allocator, look_at, &reference, NULL), 0);
    assert_int_equal(reference.files, 6);
    assert_true(reference.data > 16);
    assert_int_equal(firn_block_allocator_close(allocator, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sequence_lives),
        cmocka_unit_test(many_threads_use_a_file),
        cmocka_unit_test(many_threads_use_a_sequence),
        cmocka_unit_test(files_of_the_reference_open),
    };
    return cmocka_run_group_tests_name("posix", tests, NULL, NULL);
}
