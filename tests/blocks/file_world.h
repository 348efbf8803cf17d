/* SPDX-License-Identifier: MIT */
/* A file of blocks in the simulator, and content for it. After <cmocka.h> and what it needs. */
#ifndef TESTS_BLOCKS_FILE_WORLD_H
#define TESTS_BLOCKS_FILE_WORLD_H

#include <stdlib.h>
#include <string.h>

#include <firn/faulty.h>

#include "blocks/blocks_private.h"
#include "lib/prng.h"

enum { KIB = 1024, MIB = 1024 * 1024, SHIFT = 12, BLOCK = 4096, META = 48, MOST = 6 * MIB };

static const char path[] = "dir/file";

struct world {
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_block *block;
    struct firn_error err;
};

static uint8_t content[MOST], found[MOST];

static inline void start(struct world *w)
{
    const struct firn_env_options manual = {.manual = true};
    const struct firn_faulty_options options = {.trace = 200};
    struct prng prng = prng_new(1);
    memset(w, 0, sizeof *w);
    assert_int_equal(firn_faulty_new(&options, &w->faulty, NULL), 0);
    w->disk = firn_faulty_disk(w->faulty);
    assert_int_equal(disk_make_dir(w->disk, "dir", NULL), 0);
    assert_int_equal(firn_faulty_settle(w->faulty, NULL), 0);
    assert_int_equal(firn_env_new(&manual, &w->env, NULL), 0);
    prng_fill(&prng, content, sizeof content);
}

static inline void stop(struct world *w)
{
    struct firn_faulty_counts counts;
    firn_block_close(w->block);
    firn_faulty_get_counts(w->faulty, &counts);
    assert_int_equal(counts.files, 0);
    assert_int_equal(firn_env_free(w->env), 0);
    firn_faulty_free(w->faulty);
}

static inline int create(struct world *w, uint64_t count, bool env)
{
    const struct firn_block_options options = {.disk = w->disk, .env = env ? w->env : NULL};
    return firn_block_file_create(path, count, SHIFT, &options, &w->block, &w->err);
}

static inline int reopen(struct world *w, bool env)
{
    const struct firn_block_options options = {.disk = w->disk, .env = env ? w->env : NULL};
    firn_block_close(w->block);
    w->block = NULL;
    return firn_block_file_open(path, SHIFT, &options, &w->block, &w->err);
}

/* `bytes` of the content, as blocks of a stream are. */
static inline int make_pairs(struct iovec *iov, const uint8_t *bytes, size_t size)
{
    int count = 0;
    for (; size > 0; count += 2) {
        size_t all = size < BLOCK ? size : BLOCK, meta = all < META ? all : META;
        iov[count] = (struct iovec){(void *)bytes, meta};
        iov[count + 1] = (struct iovec){(void *)(bytes + meta), all - meta};
        bytes += all;
        size -= all;
    }
    return count;
}

static inline int store(struct world *w, uint64_t first, size_t size)
{
    static struct iovec iov[2 * MOST / BLOCK];
    int count = make_pairs(iov, content + first * BLOCK, size);
    return block_store(w->block, first, iov, count, &w->err);
}

static inline int load(struct world *w, uint64_t first, size_t size)
{
    static struct iovec iov[2 * MOST / BLOCK];
    int count = make_pairs(iov, found, size);
    memset(found, 0xcc, size);
    return block_load(w->block, first, iov, count, &w->err);
}

static inline void expect(struct world *w, uint64_t first, const uint8_t *bytes, size_t size)
{
    assert_int_equal(load(w, first, size), 0);
    assert_memory_equal(found, bytes, size);
}

static inline uint64_t mutations(struct world *w)
{
    struct firn_faulty_counts counts;
    firn_faulty_get_counts(w->faulty, &counts);
    return counts.mutations;
}

static inline bool exists(struct world *w)
{
    bool there = false;
    assert_int_equal(disk_exists(w->disk, path, &there, NULL), 0);
    return there;
}

#endif
