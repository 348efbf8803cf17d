/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <stdio.h>
#include <unistd.h>

#include "disk/disk.h"

const struct fixture_kind in_memory = {MEMORY, false}, on_files = {FILES, false},
                          in_simulator = {SIMULATOR, false};
const struct fixture_kind single_memory = {MEMORY, true}, single_files = {FILES, true},
                          single_simulator = {SIMULATOR, true};

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
        snprintf(f->dir, sizeof f->dir, "%s/firn-stack-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(f->dir));
        f->disk = firn_disk_posix();
        break;
    }
    snprintf(f->path, sizeof f->path, "%s%sstack", f->dir, f->dir[0] ? "/" : "");
    snprintf(f->journal, sizeof f->journal, "%s.journal", f->path);
    snprintf(f->lock, sizeof f->lock, "%s.lock", f->path);
}

int fixture_setup_closed(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->kind = *(const struct fixture_kind *)*state;
    *state = f;
    make_storage(f);
    f->options = (struct firn_stack_options){
        .disk = f->disk, .no_journal = f->kind.no_journal, .journal_bytes = JOURNAL_LEAST};
    return 0;
}

int fixture_setup(void **state)
{
    fixture_setup_closed(state);
    fixture_open(*state);
    return 0;
}

static void remove_files(const struct fixture *f)
{
    static const char *const suffixes[] = {"", ".journal", ".lock", ".lock.pid", ".link"};
    char name[128];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        snprintf(name, sizeof name, "%s%s", f->path, suffixes[i]);
        (void)unlink(name);
    }
    assert_int_equal(rmdir(f->dir), 0);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    firn_stack_close(f->stack, NULL);
    if (f->faulty) {
        struct firn_faulty_counts counts;
        firn_faulty_get_counts(f->faulty, &counts);
        assert_int_equal(counts.files + counts.locks + counts.shares + counts.events, 0);
    }
    firn_disk_free(f->disk);
    if (f->dir[0])
        remove_files(f);
    free(f);
    return 0;
}

int fixture_try_open(struct fixture *f)
{
    return firn_stack_open(f->path, &f->options, &f->stack, &f->err);
}

void fixture_open(struct fixture *f)
{
    assert_null(f->stack);
    OK(fixture_try_open(f));
}

void fixture_close(struct fixture *f)
{
    struct firn_stack *stack = f->stack;
    f->stack = NULL;
    OK(firn_stack_close(stack, &f->err));
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

void fixture_kill(struct fixture *f)
{
    firn_faulty_kill(f->faulty);
    firn_stack_close(f->stack, NULL);
    f->stack = NULL;
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
    if (size)
        OK(disk_write_full(file, bytes, size, 0, 0, &f->err));
    OK(disk_sync(file, &f->err));
    disk_close(file);
}

uint64_t fixture_size(struct fixture *f, const char *path)
{
    struct firn_entry entry;
    return disk_stat(f->disk, path, &entry, NULL) == 0 ? entry.size : UINT64_MAX;
}

/* ---- content ---- */

void expect(struct fixture *f, const void *bytes, size_t size)
{
    size_t got = SIZE_MAX;
    uint8_t *found = malloc(size + 2);
    assert_non_null(found);
    assert_int_equal(firn_stack_length(f->stack), size);
    found[size] = 0xee;
    OK(firn_stack_get(f->stack, 0, found, size, &f->err));
    if (size)
        assert_memory_equal(found, bytes, size);
    assert_int_equal(found[size], 0xee);
    OK(firn_stack_peek(f->stack, size / 2, found, size + 2, &got, &f->err));
    assert_int_equal(got, size - size / 2);
    if (got)
        assert_memory_equal(found, (const uint8_t *)bytes + size / 2, got);
    free(found);
}

void expect_file(struct fixture *f, const void *bytes, size_t size)
{
    uint64_t found_size;
    uint8_t *found = fixture_load(f, f->path, &found_size);
    assert_int_equal(found_size, size);
    assert_memory_equal(found, bytes, size);
    free(found);
}
