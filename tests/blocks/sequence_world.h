/* SPDX-License-Identifier: MIT */
/* A sequence "seq" in the directory "dir" of the simulator. After <cmocka.h> and what it needs. */
#ifndef TESTS_BLOCKS_SEQUENCE_WORLD_H
#define TESTS_BLOCKS_SEQUENCE_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <firn/faulty.h>

#include "blocks/blocks_private.h"

enum { COUNT = 4, SHIFT = 12, LIST_MOST = 16 };

struct world {
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_block_allocator *allocator;
    struct firn_error err;
};

static inline void start(struct world *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(firn_faulty_new(NULL, &w->faulty, NULL), 0);
    w->disk = firn_faulty_disk(w->faulty);
    assert_int_equal(disk_make_dir(w->disk, "dir", NULL), 0);
    assert_int_equal(firn_faulty_settle(w->faulty, NULL), 0);
}

static inline void open_it(struct world *w)
{
    const struct firn_block_options options = {.disk = w->disk};
    int rc = firn_block_sequence_open("dir", "seq", COUNT, SHIFT, &options, &w->allocator, &w->err);
    if (rc < 0)
        fail_msg("%s: %s", firn_error_name(rc), w->err.message);
}

/* After a crash the lock can't be removed. */
static inline void close_it(struct world *w)
{
    firn_block_allocator_close(w->allocator, NULL);
    w->allocator = NULL;
}

static inline void reopen(struct world *w)
{
    assert_int_equal(firn_block_allocator_close(w->allocator, &w->err), 0);
    open_it(w);
}

static inline void stop(struct world *w)
{
    struct firn_faulty_counts counts;
    assert_int_equal(firn_block_allocator_close(w->allocator, &w->err), 0);
    firn_faulty_get_counts(w->faulty, &counts);
    assert_int_equal(counts.files + counts.locks, 0);
    firn_faulty_free(w->faulty);
}

/* ---- files ---- */

struct names {
    char *at[64];
    int count;
};

static inline int add_name(void *arg, const char *name, const struct firn_entry *entry)
{
    struct names *names = arg;
    (void)entry;
    assert_true(names->count < 64);
    names->at[names->count++] = strdup(name);
    return 0;
}

static inline int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What the directory holds, sorted, with spaces. */
static inline void expect_files(struct world *w, const char *expected)
{
    struct names names = {0};
    char text[1000] = "";
    assert_int_equal(disk_list(w->disk, "dir", add_name, &names, NULL), 0);
    qsort(names.at, (size_t)names.count, sizeof *names.at, compare_names);
    for (int i = 0; i < names.count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", names.at[i]);
        free(names.at[i]);
    }
    assert_string_equal(text, expected);
}

/* `size` bytes, the first of which is `value`. */
static inline void put(struct world *w, const char *name, uint8_t value, size_t size)
{
    char path[100];
    uint8_t *bytes = calloc(1, size);
    assert_non_null(bytes);
    snprintf(path, sizeof path, "dir/%s", name);
    bytes[0] = value;
    assert_int_equal(firn_faulty_put(w->faulty, path, bytes, size, NULL), 0);
    free(bytes);
}

static inline void remove_file(struct world *w, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "dir/%s", name);
    assert_int_equal(disk_remove(w->disk, path, NULL), 0);
}

static inline void expect_no_lock(struct world *w)
{
    struct firn_block_holder holder;
    assert_int_equal(firn_block_sequence_holder(w->disk, "dir", "seq", &holder, NULL), FIRN_ENOENT);
}

/* ---- blocks ---- */

static inline void stamp(struct world *w, struct firn_block *block, uint8_t value)
{
    const struct iovec pair[] = {{&value, 1}, {NULL, 0}};
    assert_int_equal(block_store(block, 0, pair, 2, &w->err), 0);
}

static inline uint8_t stamp_of(struct firn_block *block)
{
    uint8_t value = 0xcc;
    const struct iovec iov = {&value, 1};
    assert_int_equal(block_load(block, 0, &iov, 1, NULL), 0);
    return value;
}

struct list {
    struct firn_block *at[LIST_MOST];
    int count;
    int most; /* 77 then; 0: all */
};

static inline int add_to_list(void *arg, struct firn_block *block)
{
    struct list *list = arg;
    assert_true(list->count < LIST_MOST);
    list->at[list->count++] = block;
    return list->count == list->most ? 77 : 0;
}

static inline void close_list(struct list *list)
{
    for (int i = 0; i < list->count; i++)
        firn_block_close(list->at[i]);
    list->count = 0;
}

static inline void expect_stamps(struct world *w, const char *expected)
{
    struct list list = {0};
    assert_int_equal(block_retrieve(w->allocator, add_to_list, &list, &w->err), 0);
    assert_int_equal(list.count, strlen(expected));
    for (int i = 0; i < list.count; i++)
        assert_int_equal(stamp_of(list.at[i]), (uint8_t)expected[i]);
    close_list(&list);
}

/* So many files, the last of which is empty. */
static inline void expect_zero_last(struct world *w, int count)
{
    struct list list = {0};
    assert_int_equal(block_retrieve(w->allocator, add_to_list, &list, &w->err), 0);
    assert_int_equal(list.count, count);
    assert_int_equal(stamp_of(list.at[count - 1]), 0);
    close_list(&list);
}

#endif
