/* SPDX-License-Identifier: MIT */
/* Blocks in memory that a test can look into, copy, and make fail. */
#ifndef TESTS_STREAM_IMAGE_H
#define TESTS_STREAM_IMAGE_H

#include "stream/part.h"

enum { IMAGE_STORES = 64, IMAGE_SECTOR = 512 };

/* What a store wrote. */
struct image_store {
    size_t from, size;
    uint8_t *bytes;
};

struct image {
    uint64_t count;
    unsigned shift;
    uint8_t *bytes;
    size_t size;
    int fail;    /* what the next store returns, which writes nothing; 0: none fails */
    int fail_in; /* stores before it */
    bool record;
    struct image_store stores[IMAGE_STORES];
    size_t stored; /* how many of them */
};

void image_init(struct image *image, uint64_t count, unsigned shift);
void image_done(struct image *image);
void image_forget(struct image *image); /* the stores */
/* A handle; the image outlives it. */
struct firn_block *image_open(struct image *image);
/* A part on a new handle, empty, or loaded; NULL: `*rc`. */
struct part *image_part(struct image *image);
struct part *image_load(struct image *image, const struct part_look *look, int *rc);

static inline uint8_t *image_block(const struct image *image, uint64_t block)
{
    return image->bytes + (block << image->shift);
}

/* Findings, as a test wants to see them. */
struct found {
    size_t count;
    struct {
        uint64_t block;
        enum firn_stream_fault fault;
    } all[64];
};

void found_add(void *found, uint64_t block, enum firn_stream_fault fault);
/* How many of this kind in this block. */
size_t found_times(const struct found *found, uint64_t block, enum firn_stream_fault fault);

#endif
