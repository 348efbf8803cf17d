/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of every call made to fail once. The call says so and leaves nothing behind;
 * made again, it works. (That nothing leaks is for the sanitizers to say.)
 */
#include "posix_world.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

/* ---- the calls ------------------------------------------------------------------------------- */

/* What the calls leave for the next ones. */
struct things {
    struct contract_world *w;
    struct firn_file *file;
    struct firn_lock *lock;
    struct firn_share *share;
    struct firn_event *event;
};

static int make_dir(struct things *t)
{
    return disk_make_dir(t->w->disk, contract_path(t->w, "d"), &t->w->err);
}

static int open_file(struct things *t)
{
    unsigned flags = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE;
    return disk_open(t->w->disk, contract_path(t->w, "d/f"), flags, &t->file, &t->w->err);
}

static int write_here(struct things *t)
{
    return disk_write_full(t->file, "content", 7, 0, 0, &t->w->err);
}

static int write_far(struct things *t)
{
    return disk_write_full(t->file, "far", 3, UINT64_C(1) << 33, 0, &t->w->err);
}

static int reserve(struct things *t)
{
    return disk_reserve(t->file, 4000, 100000, &t->w->err);
}

static int rename_file(struct things *t)
{
    return disk_rename(t->w->disk, contract_path(t->w, "d/f"), contract_path(t->w, "g"),
                       &t->w->err);
}

static int make_link(struct things *t)
{
    return disk_make_link(t->w->disk, "anything", contract_path(t->w, "l"), &t->w->err);
}

static int count_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    (void)name, (void)entry;
    ++*(int *)arg;
    return 0;
}

static int list(struct things *t)
{
    int count = 0;
    int rc = disk_list(t->w->disk, contract_path(t->w, "."), count_entry, &count, &t->w->err);
    assert_int_equal(count, rc == 0 ? 3 : 0);
    return rc;
}

static int take_lock(struct things *t)
{
    return disk_lock(t->w->disk, contract_path(t->w, "LOCK"), &t->lock, NULL, &t->w->err);
}

static int share(struct things *t)
{
    void *memory = NULL;
    return disk_share(t->w->disk, contract_path(t->w, "s"), 64, true, &t->share, &memory,
                      &t->w->err);
}

static int make_event(struct things *t)
{
    int fd = -1;
    return disk_event_new(t->w->disk, &t->event, &fd, &t->w->err);
}

static int replace_file(struct things *t)
{
    return disk_replace_file(t->w->disk, contract_path(t->w, "d"), "r", "text", 4, &t->w->err);
}

static int make_dirs(struct things *t)
{
    return disk_make_dirs(t->w->disk, contract_path(t->w, "x/y/z"), &t->w->err);
}

/* Makes each allocation of the call fail, until there are no more; then it works. */
static int fail_each_allocation(struct things *t, int (*call)(struct things *t))
{
    for (int n = 1; n < 1000; n++) {
        contract_begin(t->w);
        alloc_fail_in = n;
        int rc = call(t);
        bool failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        if (!failed) {
            contract_ok(rc, t->w, __FILE__, __LINE__);
            return n - 1;
        }
        assert_true(rc == FIRN_ENOMEM || rc == FIRN_ENOSPC);
        assert_int_equal(t->w->err.code, rc);
    }
    fail();
    return 0;
}

static void run_all(struct contract_world *w)
{
    static int (*const calls[])(struct things *) = {
        make_dir, open_file, write_here, write_far,  reserve,      rename_file, make_link,
        list,     take_lock, share,      make_event, replace_file, make_dirs,
    };
    struct things t = {.w = w};
    int allocations = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        allocations += fail_each_allocation(&t, calls[i]);
    assert_true(allocations >= 5);
    contract_expect(w, t.file, "content", 0);
    contract_expect(w, t.file, "far", UINT64_C(1) << 33);
    contract_expect_size(w, t.file, (UINT64_C(1) << 33) + 3);
    disk_event_free(w->disk, t.event);
    disk_unshare(w->disk, t.share);
    disk_unlock(w->disk, t.lock);
    disk_close(t.file);
}

static const struct contract_case cases[] = {
    {"every allocation fails once", run_all, 0},
    {NULL, NULL, 0},
};

/* ---- the storages ---------------------------------------------------------------------------- */

static void open_memory(struct contract_world *world)
{
    memset(world, 0, sizeof *world);
    int n = 0;
    int rc = 0;
    do {
        alloc_fail_in = ++n;
        rc = firn_disk_memory_new(&world->disk, &world->err);
        assert_true(rc == 0 || rc == FIRN_ENOMEM);
    } while (rc != 0);
    alloc_fail_in = 0;
    assert_true(n >= 3);
}

static void close_memory(struct contract_world *world)
{
    firn_disk_free(world->disk);
}

int main(void)
{
    static const struct contract_storage memory = {
        .name = "memory",
        .has = CONTRACT_ALL,
        .open = open_memory,
        .close = close_memory,
    };
    return contract_run_cases(&posix_world, cases) + contract_run_cases(&memory, cases);
}
