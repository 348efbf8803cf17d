/* SPDX-License-Identifier: MIT */
/* A stack for tests: in RAM, on files of this machine, or in the simulator. */
#ifndef TESTS_STACK_FIXTURE_H
#define TESTS_STACK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>
#include <firn/stack.h>

enum storage { MEMORY, FILES, SIMULATOR };

enum { HEADER = 16, JOURNAL_LEAST = 64 * 1024 };

/* The initial state of a test: what its fixture is made of. */
struct fixture_kind {
    enum storage storage;
    bool no_journal;
};

extern const struct fixture_kind in_memory, on_files, in_simulator;
extern const struct fixture_kind single_memory, single_files, single_simulator;

struct fixture {
    struct fixture_kind kind;
    struct firn_disk *disk;
    struct firn_faulty *faulty; /* of the simulator */
    struct firn_stack *stack;
    struct firn_stack_options options; /* of the next open */
    struct firn_error err;
    char dir[64]; /* on files: removed in the end */
    char path[80], journal[96], lock[96];
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %s %s", #call, firn_error_name(ok_rc), f->err.message);                  \
    } while (0)

/* The call fails so, and says why. */
#define FAILS(call, expected)                                                                      \
    do {                                                                                           \
        memset(&f->err, 0, sizeof f->err);                                                         \
        int fails_rc = (call);                                                                     \
        if (fails_rc != (expected))                                                                \
            fail_msg("%s: %s %s", #call, firn_error_name(fails_rc), f->err.message);               \
        assert_int_equal(f->err.code, (expected));                                                 \
        assert_int_not_equal(strlen(f->err.message), 0);                                           \
    } while (0)

/* A test in the storages of its kinds. */
#define TEST_IN(function, storage_kind)                                                            \
    {                                                                                              \
        .name = #function " (" #storage_kind ")", .test_func = (function),                         \
        .setup_func = fixture_setup, .teardown_func = fixture_teardown,                            \
        .initial_state = (void *)(uintptr_t) & (storage_kind),                                     \
    }

/* The same, for one that opens the stack itself. */
#define CLOSED_IN(function, storage_kind)                                                          \
    {                                                                                              \
        .name = #function " (" #storage_kind ")", .test_func = (function),                         \
        .setup_func = fixture_setup_closed, .teardown_func = fixture_teardown,                     \
        .initial_state = (void *)(uintptr_t) & (storage_kind),                                     \
    }

int fixture_setup(void **state);
int fixture_setup_closed(void **state);
int fixture_teardown(void **state);

int fixture_try_open(struct fixture *f);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);
/* In the simulator: the process dies; the stack is to be opened anew. */
void fixture_kill(struct fixture *f);

/* Bytes of a file, by way of the disk; to be freed. `size` is UINT64_MAX where there is none. */
uint8_t *fixture_load(struct fixture *f, const char *path, uint64_t *size);
/* Makes, replaces or (bytes NULL) removes a file. */
void fixture_store(struct fixture *f, const char *path, const void *bytes, size_t size);
uint64_t fixture_size(struct fixture *f, const char *path);

/* The content is this. */
void expect(struct fixture *f, const void *bytes, size_t size);
/* The closed file is these bytes. */
void expect_file(struct fixture *f, const void *bytes, size_t size);

#endif
