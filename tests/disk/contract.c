/* SPDX-License-Identifier: MIT */
#include "contract.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES_MOST = 200, UNTOUCHED = 4711, DESCRIPTORS_MOST = 256 };

/* ---- running --------------------------------------------------------------------------------- */

struct run {
    const struct contract_storage *storage;
    const struct contract_case *test;
    struct contract_world world;
    char name[128];
};

static void run_one(void **state)
{
    struct run *run = *state;
    int before = contract_descriptors();
    run->storage->open(&run->world);
    run->test->run(&run->world);
    run->storage->close(&run->world);
    assert_int_equal(contract_descriptors(), before);
}

static size_t collect(const struct contract_storage *storage, const struct contract_case *tests,
                      struct run *runs, size_t count)
{
    for (; tests->name != NULL; tests++) {
        if ((tests->needs & ~storage->has) != 0)
            continue;
        struct run *run = &runs[count++];
        assert_true(count <= CASES_MOST);
        run->storage = storage;
        run->test = tests;
        (void)snprintf(run->name, sizeof run->name, "%s: %s", storage->name, tests->name);
    }
    return count;
}

static int run_tables(const struct contract_storage *storage,
                      const struct contract_case *const *tables, size_t table_count)
{
    static struct CMUnitTest tests[CASES_MOST];
    struct run *runs = calloc(CASES_MOST, sizeof *runs);
    size_t count = 0;
    if (runs == NULL)
        return 1;
    for (size_t i = 0; i < table_count; i++)
        count = collect(storage, tables[i], runs, count);
    for (size_t i = 0; i < count; i++)
        tests[i] = (struct CMUnitTest){runs[i].name, run_one, NULL, NULL, &runs[i]};
    int failed = _cmocka_run_group_tests(storage->name, tests, count, NULL, NULL);
    free(runs);
    return failed;
}

int contract_run(const struct contract_storage *storage)
{
    const struct contract_case *tables[] = {contract_files, contract_names, contract_locks};
    return run_tables(storage, tables, sizeof tables / sizeof tables[0]);
}

int contract_run_cases(const struct contract_storage *storage, const struct contract_case *cases)
{
    return run_tables(storage, &cases, 1);
}

int contract_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MOST; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* ---- for tests ------------------------------------------------------------------------------- */

const char *contract_path(struct contract_world *world, const char *name)
{
    char *path = world->path[world->next_path++ % 16];
    const char *slash = world->root[0] == '\0' ? "" : "/";
    (void)snprintf(path, sizeof world->path[0], "%s%s%s", world->root, slash, name);
    return path;
}

void contract_begin(struct contract_world *world)
{
    world->err = (struct firn_error){.code = UNTOUCHED};
}

void contract_ok(int rc, const struct contract_world *world, const char *file, int line)
{
    if (rc != 0)
        print_error("%d: %s\n", rc, world->err.message);
    _assert_int_equal(cast_to_largest_integral_type(rc), 0, file, line);
    _assert_int_equal(cast_to_largest_integral_type(world->err.code), UNTOUCHED, file, line);
}

void contract_fails(int rc, const struct contract_world *world, int code, const char *file,
                    int line)
{
    if (rc != code)
        print_error("%d: %s\n", rc, world->err.message);
    _assert_int_equal(cast_to_largest_integral_type(rc), cast_to_largest_integral_type(code), file,
                      line);
    _assert_int_equal(cast_to_largest_integral_type(world->err.code),
                      cast_to_largest_integral_type(code), file, line);
    _assert_int_not_equal(strlen(world->err.message), 0, file, line);
}

struct firn_file *contract_open(struct contract_world *world, const char *name, unsigned flags)
{
    struct firn_file *file = NULL;
    OK(world, disk_open(world->disk, contract_path(world, name), flags, &file, &world->err));
    assert_non_null(file);
    return file;
}

void contract_write(struct contract_world *world, struct firn_file *file, const char *text,
                    uint64_t offset)
{
    OK(world, disk_write_full(file, text, strlen(text), offset, 0, &world->err));
}

void contract_make(struct contract_world *world, const char *name, const char *text)
{
    unsigned flags = FIRN_OPEN_WRITE | FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE;
    struct firn_file *file = contract_open(world, name, flags);
    contract_write(world, file, text, 0);
    disk_close(file);
}

void contract_expect(struct contract_world *world, struct firn_file *file, const char *text,
                     uint64_t offset)
{
    char got[256];
    size_t len = 0;
    assert_true(strlen(text) <= sizeof got);
    OK(world, disk_read_full(file, got, strlen(text), offset, &len, &world->err));
    assert_int_equal(len, strlen(text));
    assert_memory_equal(got, text, len);
}

void contract_expect_file(struct contract_world *world, const char *name, const char *text)
{
    struct firn_file *file = contract_open(world, name, FIRN_OPEN_READ);
    contract_expect_size(world, file, strlen(text));
    contract_expect(world, file, text, 0);
    disk_close(file);
}

void contract_expect_zeros(struct contract_world *world, struct firn_file *file, uint64_t offset,
                           uint64_t length)
{
    static const char zeros[4096];
    char got[sizeof zeros];
    while (length > 0) {
        size_t want = length < sizeof got ? (size_t)length : sizeof got;
        size_t len = 0;
        memset(got, 'x', sizeof got);
        OK(world, disk_read_full(file, got, want, offset, &len, &world->err));
        assert_int_equal(len, want);
        assert_memory_equal(got, zeros, want);
        offset += want;
        length -= want;
    }
}

void contract_expect_size(struct contract_world *world, struct firn_file *file, uint64_t size)
{
    uint64_t got = 0;
    OK(world, disk_size_of(file, &got, &world->err));
    assert_int_equal(got, size);
}

bool contract_exists(struct contract_world *world, const char *name)
{
    bool exists = false;
    OK(world, disk_exists(world->disk, contract_path(world, name), &exists, &world->err));
    return exists;
}
