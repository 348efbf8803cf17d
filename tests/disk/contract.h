/* SPDX-License-Identifier: MIT */
/*
 * The contract of a storage (<firn/disk.h>) as tests that run over any of them.
 *
 * How to run it over yours:
 * 1. Write a `struct contract_storage`: `open` makes an empty directory in a storage (which may be
 *    new each time) and puts the path into `root`, or leaves that "" for the directory in which
 *    paths begin; `close` takes all of it away. `has` says which optional parts your storage has.
 * 2. In main: `return contract_run(&yours);` - or, beside tests of your own, their sum.
 * 3. Build contract.c, contract_files.c, contract_locks.c and contract_names.c with it.
 *
 * Each test is shown as "<storage>: <test>". After each one no more descriptors may be open than
 * before; memory is left to the sanitizers.
 */
#ifndef TESTS_DISK_CONTRACT_H
#define TESTS_DISK_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <firn/disk.h>

#include "disk/disk.h"

/* Optional parts of a storage. */
enum contract_feature {
    CONTRACT_LINKS_FOLLOWED = 1, /* symbolic links are followed on the way and by open */
    CONTRACT_FINITE = 2,         /* a petabyte can't be reserved */
    CONTRACT_REAL_TIME = 4,      /* FIRN_CLOCK_REAL is the time of day, and sleep really sleeps */
    CONTRACT_REAL_PROCESSES = 8, /* process ids are those of the system */
    CONTRACT_ALL = 15,
};

struct contract_world {
    struct firn_disk *disk;
    char root[256]; /* an empty directory */
    void *own;      /* the storage's */
    struct firn_error err;
    char path[16][512]; /* see contract_path */
    unsigned next_path;
};

struct contract_storage {
    const char *name;
    unsigned has; /* contract_feature, or-ed */
    void (*open)(struct contract_world *world);
    void (*close)(struct contract_world *world);
};

/* A test; `needs` are the features without which it is left out. */
struct contract_case {
    const char *name;
    void (*run)(struct contract_world *world);
    unsigned needs;
};

/* Runs all of it; returns the number of failed tests, for main. */
int contract_run(const struct contract_storage *storage);

/* Runs other tests in the same way, in a new world each. `cases` ends with an entry without a name.
 */
int contract_run_cases(const struct contract_storage *storage, const struct contract_case *cases);

/* What contract_run is made of. Each table ends with an entry without a name. */
extern const struct contract_case contract_files[];
extern const struct contract_case contract_names[];
extern const struct contract_case contract_locks[];

/* ---- for tests ------------------------------------------------------------------------------- */

/* "<root>/<name>"; valid until fifteen more were made. */
const char *contract_path(struct contract_world *world, const char *name);

/* The call succeeds and leaves `world->err` alone. */
#define OK(world, call) contract_ok((contract_begin(world), (call)), world, __FILE__, __LINE__)

/* The call fails with `code`, and `world->err` says so in words. */
#define FAILS(world, code, call)                                                                   \
    contract_fails((contract_begin(world), (call)), world, code, __FILE__, __LINE__)

void contract_begin(struct contract_world *world);
void contract_ok(int rc, const struct contract_world *world, const char *file, int line);
void contract_fails(int rc, const struct contract_world *world, int code, const char *file,
                    int line);

/* Opens the file `name`, which must work. */
struct firn_file *contract_open(struct contract_world *world, const char *name, unsigned flags);

/* Writes or reads `text` in full, or makes a file of it. */
void contract_write(struct contract_world *world, struct firn_file *file, const char *text,
                    uint64_t offset);
void contract_make(struct contract_world *world, const char *name, const char *text);

/* `text` is what stands at `offset`, or all that the file `name` has. */
void contract_expect(struct contract_world *world, struct firn_file *file, const char *text,
                     uint64_t offset);
void contract_expect_file(struct contract_world *world, const char *name, const char *text);

/* `length` bytes at `offset` are zero. */
void contract_expect_zeros(struct contract_world *world, struct firn_file *file, uint64_t offset,
                           uint64_t length);

void contract_expect_size(struct contract_world *world, struct firn_file *file, uint64_t size);
bool contract_exists(struct contract_world *world, const char *name);

/* Descriptors that are open in this process. */
int contract_descriptors(void);

#endif
