/* SPDX-License-Identifier: MIT */
/*
 * Blocks in memory that a test can look into, copy, and make fail.
 *
 * With a medium, `bytes` are what the system shows: its cache. A store that fails leaves all of it
 * in the cache and some of its sectors on the medium; then the handle is poisoned. A good one takes
 * what the cache holds of its sectors to the medium, or of its pages. What is left in the cache of
 * a failed store may be dropped (image_drop), or be lost with the power (image_power_cut).
 */
#ifndef TESTS_STREAM_IMAGE_H
#define TESTS_STREAM_IMAGE_H

#include "stream/part.h"

#include "prng.h"

enum { IMAGE_STORES = 64, IMAGE_SECTOR = 512, IMAGE_PAGE = 4096 };

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
    int fail;    /* what the next store returns; 0: none fails. FIRN_EIO: only with a medium */
    int fail_in; /* stores before it */
    uint8_t *medium;
    struct prng prng;          /* for what a store that fails leaves */
    bool poisoned;             /* until the next image_open */
    void (*during)(void *arg); /* in a store, when its bytes are there; may be NULL */
    void *arg;
    bool record;
    struct image_store stores[IMAGE_STORES];
    size_t stored; /* how many of them */
};

void image_init(struct image *image, uint64_t count, unsigned shift);
void image_done(struct image *image);
void image_forget(struct image *image); /* the stores */
void image_add_medium(struct image *image, uint64_t seed);
void image_drop(struct image *image);
void image_power_cut(struct image *image);
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
