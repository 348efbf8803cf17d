/* SPDX-License-Identifier: MIT */
/* A pipe for tests: in RAM, on files of this machine, or in the simulator. */
#ifndef TESTS_PIPE_FIXTURE_H
#define TESTS_PIPE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include <firn/faulty.h>
#include <firn/log.h>
#include <firn/pipe.h>

enum { CHUNK = 16, CHUNKS = 4, LARGE_CHUNK = 4096 };

enum storage { MEMORY, FILES, SIMULATOR };

/* The initial state of a test: what its fixture is made of. */
struct fixture_kind {
    enum storage storage;
    bool manual; /* no thread in the background */
};

extern const struct fixture_kind in_memory, on_files, in_simulator;
extern const struct fixture_kind manual_memory, manual_files, manual_simulator;

struct fixture {
    struct fixture_kind kind;
    struct firn_disk *disk;
    struct firn_faulty *faulty; /* of the simulator */
    struct firn_env *env;
    struct firn_pipe *pipe;
    struct firn_pipe_options options; /* of the next open: 4 chunks of 16 bytes, at first */
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

/* For threads, where cmocka's assertions may not fail. */
#define MUST(condition) must(condition, __FILE__, __LINE__, #condition)
void must(bool condition, const char *file, int line, const char *text);

/* A test in the storages of its kinds. */
#define TEST_IN(function, storage_kind)                                                            \
    {                                                                                              \
        .name = #function " (" #storage_kind ")", .test_func = (function),                         \
        .setup_func = fixture_setup, .teardown_func = fixture_teardown,                            \
        .initial_state = (void *)(uintptr_t) & (storage_kind),                                     \
    }

/* The same, for one that opens the pipe itself. */
#define CLOSED_IN(function, storage_kind)                                                          \
    {                                                                                              \
        .name = #function " (" #storage_kind ")", .test_func = (function),                         \
        .setup_func = fixture_setup_closed, .teardown_func = fixture_teardown,                     \
        .initial_state = (void *)(uintptr_t) & (storage_kind),                                     \
    }

/* Opens the pipe with `options`. */
int fixture_setup(void **state);
/* The same, without opening. */
int fixture_setup_closed(void **state);
int fixture_teardown(void **state);

int fixture_try_open(struct fixture *f);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);
/* Starts anew with `chunks` of `chunk_bytes`. */
void fixture_remake(struct fixture *f, uint64_t chunk_bytes, uint64_t chunks);
/* In a manual environment: the background work, until nothing is left. */
void fixture_background(struct fixture *f);
/* In the simulator: the process dies, with or without the power; the pipe is to be opened anew. */
void fixture_kill(struct fixture *f);
void fixture_lose_power(struct fixture *f, uint64_t which);

/* Bytes of a file, by way of the disk; to be freed. `size` is UINT64_MAX where there is none. */
uint8_t *fixture_load(struct fixture *f, const char *path, uint64_t *size);
/* Makes, replaces or (bytes NULL) removes a file. */
void fixture_store(struct fixture *f, const char *path, const void *bytes, size_t size);
uint64_t fixture_size(struct fixture *f, const char *path);

/* ---- chunks of one byte ---- */

int try_fill(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte, uint64_t *epoch);
/* Writes `count` chunks of this byte; the epoch. */
uint64_t fill(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte);
void fill_and_wait(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte);
void fill_in(struct fixture *f, struct firn_transaction *transaction, uint64_t index,
             uint64_t count, uint8_t byte);
/* They read so. */
void expect(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte);
void expect_durable(struct fixture *f, uint64_t index, uint64_t count, uint8_t byte);
/* Closed, the file is `chunks` chunks, and the chunk `index` is of this byte. */
void expect_file(struct fixture *f, uint64_t chunks, uint64_t index, uint8_t byte);

/* ---- threads ---- */

/* Until the thread, whose id it tells, sleeps: to be called when it has nothing to wait for but
 * what is meant. */
struct sleeper {
    _Atomic pid_t thread;
};
void sleeper_begins(struct sleeper *sleeper);
void sleeper_await(struct sleeper *sleeper);

#endif
