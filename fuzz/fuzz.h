/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: reading the input, checking, batches, files of a storage in RAM. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/disk.h>

#include "log/batch.h"

/* A target: 0, or it does not return. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints what is broken and aborts. */
_Noreturn void fail(const char *what);

static inline void require(bool holds, const char *what)
{
    if (!holds)
        fail(what);
}

/* Prints what a target does, if $FIRN_FUZZ_TRACE is set: to understand a finding. */
void trace(const char *format, ...) FIRN_PRINTF(1, 2);

/* ---- the input: numbers are 0 where it is used up ---- */

struct input {
    const uint8_t *at;
    size_t left;
};

uint8_t input_u8(struct input *in);
uint16_t input_u16(struct input *in); /* little-endian, as all of them */
uint64_t input_u64(struct input *in);
/* 0 to n - 1, from two bytes; n 0 stands for 2^64. */
uint64_t input_below(struct input *in, uint64_t n);
/* At most `most` bytes; how many is in *size. */
const uint8_t *input_bytes(struct input *in, size_t most, size_t *size);

/* ---- bytes ---- */

/* malloc, calloc and realloc that do not fail. Never of 0 bytes. */
void *must_alloc(size_t size);
void *must_grow(void *memory, size_t size);

/* Bytes that repeat from `seed`. */
void fill_noise(uint8_t *bytes, size_t size, uint64_t seed);

struct bytes {
    uint8_t *data;
    size_t size;
};

void bytes_append(struct bytes *bytes, const void *data, size_t size);
void bytes_done(struct bytes *bytes);

/* A batch of `count` records with a value of `size` bytes each. The rest of *header is the
   caller's; counts, size and checksum are set. */
struct bytes make_batch(struct batch *header, uint32_t count, const void *value, size_t size);

/* Makes the checksum of the batch that begins at `bytes` right, if that one is there in full. */
void mend_batch(uint8_t *bytes, size_t size);

/* ---- files ---- */

struct firn_disk *memory_disk(void);
void put_file(struct firn_disk *disk, const char *path, const void *bytes, size_t size);
struct bytes get_file(struct firn_disk *disk, const char *path);

#endif
