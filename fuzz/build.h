/* SPDX-License-Identifier: MIT */
/*
 * Builds the journal's file of a pipe or a stack from a fuzzer's input: a header, and records with
 * checksums made right, or bytes, gaps, and other numbers than a journal writes.
 */
#ifndef FUZZ_BUILD_H
#define FUZZ_BUILD_H

#include "fuzz.h"
#include "journal/journal_private.h"

enum { BUILD_MAIN_MOST = 24 * 1024, BUILD_JOURNAL_LIMIT = 64 * 1024 };

struct build {
    struct input in;
    const char *kind;
    uint64_t unit;          /* of ranges: a chunk */
    uint64_t start;         /* in the main file, where ranges may begin */
    bool any_length;        /* records make it longer and shorter */
    bool damaged_slot;      /* one of them */
    struct bytes journal;   /* the file */
    uint64_t about, length; /* of the main file */
    uint64_t ring, sequence, next;
    uint8_t nonce[JOURNAL_NONCE];
};

/* Mostly `usual`. */
uint64_t build_number(struct build *build, uint64_t usual);
/* Makes the bytes longer, by zeros. */
void build_extend(struct bytes *bytes, size_t size);
void build_header(struct build *build);
/* A record; or bytes; or a gap; or back to the ring's start. */
void build_step(struct build *build);
/* One bit of one of the two files. */
void build_flip(struct build *build, struct bytes *main);

#endif
