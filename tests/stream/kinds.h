/* SPDX-License-Identifier: MIT */
/*
 * Streams for tests, made of parts of 16 blocks of 128 bytes, whose kinds have two letters:
 *   f | s | x      it begins fresh, or with the rest of an append that the part before begins, or
 *                  with a rest that is too long
 *   f | t | p | e  it is full, ends with the beginning of an append, is partly filled, or empty
 * Appends are words of 8 bytes, that count up from 1 through all parts; but the one that two parts
 * share is WORD_SHARED over and over.
 *
 * They lie on blocks that fail when a test says so.
 */
#ifndef TESTS_STREAM_KINDS_H
#define TESTS_STREAM_KINDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/stream_private.h"

enum {
    SHIFT = 7,
    BLOCKS = 16,
    PART = 16 * 80, /* bytes of data that a part holds */
    FF = PART,      /* own bytes of the kinds; */
    FT = 1152,
    FP = 1152,
    FE = 0,
    SF = PART - 16,
    SP = 1152 - 16,
    TS = 128 + 16, /* an append that two parts share */
    RUNS_MOST = 32,
};

#define WORD_SHARED UINT64_C(0xcccccccc)

/* When something fails; zeroed: never. */
struct failing {
    unsigned in; /* the n-th call from now on; it is 0 again when that has come */
    int code;
};

struct kinds {
    struct firn_block_allocator *allocator;
    struct firn_stream *stream;
    struct firn_stream_options options; /* of the next opening */
    struct firn_error err;
    struct failing allocate, release, load, store;
    unsigned stores;   /* counted */
    unsigned runs;     /* that are allocated */
    uint64_t prepared; /* blocks */
};

/* The call succeeds. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %s %s", #call, firn_error_name(ok_rc), k->err.message);                  \
    } while (0)

/* It fails so, and says why. */
#define FAILS(call, expected)                                                                      \
    do {                                                                                           \
        memset(&k->err, 0, sizeof k->err);                                                         \
        int fails_rc = (call);                                                                     \
        if (fails_rc != (expected))                                                                \
            fail_msg("%s: %s %s", #call, firn_error_name(fails_rc), k->err.message);               \
        assert_int_equal(k->err.code, (expected));                                                 \
        assert_int_not_equal(strlen(k->err.message), 0);                                           \
    } while (0)

/* Makes the blocks of parts of these kinds, such as "fp ft sf fe"; closed ones. */
void kinds_make(struct kinds *k, const char *kinds);
/* The same, and opens a stream on them. */
void kinds_open(struct kinds *k, const char *kinds);
/* Closes the stream, if it is open, and takes a new one on the same blocks. */
void kinds_reopen(struct kinds *k);
/* The process dies: the stream's memory goes, the blocks stay as they are. */
void kinds_kill(struct kinds *k);
/* Flips a bit of what a block of the n-th run is on storage. */
void kinds_flip(struct kinds *k, unsigned run, uint64_t block, size_t byte);
/* Closes what is open, and checks that nothing is left. */
void kinds_close(struct kinds *k);

/* The parts of the stream. */
const struct part_list *kinds_list(const struct kinds *k);
struct part *kinds_part(const struct kinds *k, size_t i);
/* Moves the offset to `position`, and shrinks: so many parts go, of so many bytes. */
void kinds_remove(struct kinds *k, uint64_t position, uint64_t parts, uint64_t bytes);

/* Bytes of WORD_SHARED; 1360 of them. */
extern const uint8_t *const shared_bytes;
void kinds_append(struct kinds *k, size_t size);

/* A comparison that finds the word at `arg`. */
enum firn_stream_order find_word(void *arg, const void *data, size_t size, const void *last,
                                 size_t last_size, size_t *at);
uint64_t word_at(const void *data, size_t i);

/* The next chunk has `size` bytes. */
void expect_chunk(struct firn_stream_reader *reader, size_t size);
/* Chunks to the end: their bytes. */
uint64_t drain(struct firn_stream_reader *reader);
/* The stream has so many bytes. */
void expect_all(struct kinds *k, uint64_t size);

#endif
