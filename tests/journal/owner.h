/* SPDX-License-Identifier: MIT */
/*
 * A small owner of a journal, for tests: a file whose first OWNER_START bytes are zero, or, while
 * it is in use, a mark; then any bytes. It lives in the simulator, without a thread in the
 * background.
 */
#ifndef TESTS_JOURNAL_OWNER_H
#define TESTS_JOURNAL_OWNER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <firn/faulty.h>

#include "journal/journal.h"

enum { OWNER_START = 32, OWNER_LENGTH = 4096 };

#define MAIN "main"
#define JOURNAL "main.journal"

struct owner {
    struct firn_faulty *faulty;
    struct firn_disk *disk;
    struct firn_env *env;
    struct journal *journal;
    struct journal_options options; /* of the next open */
    struct firn_error err;
    uint64_t reserved;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %s %s", #call, firn_error_name(ok_rc), owner->err.message);              \
    } while (0)

int owner_setup(void **state);
int owner_teardown(void **state);

int owner_try_open(struct owner *owner);
void owner_open(struct owner *owner);
void owner_close(struct owner *owner);
/* The process dies. */
void owner_kill(struct owner *owner);

/* A change of one range. */
uint64_t owner_write(struct owner *owner, uint64_t offset, const void *bytes, size_t size);
void owner_fill(struct owner *owner, uint64_t offset, uint8_t byte, size_t size);
void owner_force(struct owner *owner);
/* All of [offset, offset + size) is this byte. */
void owner_expect(struct owner *owner, uint64_t offset, uint8_t byte, size_t size, bool durable);

/* Bytes of a file; to be freed. */
uint8_t *owner_load(struct owner *owner, const char *path, size_t *size);

#endif
