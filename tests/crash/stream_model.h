/* SPDX-License-Identifier: MIT */
/*
 * What a stream on files must hold. The bytes of an append follow from its stamp, and the places of
 * appends from their sizes: so the model is a row of appends, and knows each byte of each file.
 *
 * Parts have numbers that go on for ever; a part's file is there from `first` on, and before `end`.
 * After a crash, or after calls that failed, some of it is not known: whether the last append is
 * there, how many files were released, and whether one more was allocated.
 */
#ifndef TESTS_CRASH_STREAM_MODEL_H
#define TESTS_CRASH_STREAM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_MODEL_SHIFT = 12,
    STREAM_MODEL_BLOCK = 1 << STREAM_MODEL_SHIFT,
    STREAM_MODEL_META = 48,
    STREAM_MODEL_PAYLOAD = STREAM_MODEL_BLOCK - STREAM_MODEL_META,
    STREAM_MODEL_APPENDS = 1000,
    STREAM_MODEL_PARTS = 128,                          /* from the first to the last one */
    STREAM_MODEL_PART_MOST = 700 * STREAM_MODEL_BLOCK, /* bytes of a file */
};

struct stream_append {
    uint32_t stamp;
    uint32_t size;
    uint32_t part;     /* where it begins */
    uint32_t offset;   /* in that part's data */
    uint64_t position; /* in the stream, in this life; UINT64_MAX: not seen */
};

struct stream_model {
    uint32_t blocks; /* that a new part gets */
    size_t span_bytes;
    uint16_t blocks_of[STREAM_MODEL_PARTS]; /* by number, modulo */
    struct stream_append appends[STREAM_MODEL_APPENDS];
    size_t count;
    bool maybe_append; /* the last one */
    uint32_t first, maybe_first;
    uint32_t end, maybe_end;
    uint32_t name_from;            /* number in the name of part 0's file, modulo 2^16 */
    uint32_t list_first, list_end; /* parts that the open stream has */
    uint32_t stamps;               /* ever made */
};

void stream_model_init(struct stream_model *model, uint32_t blocks, size_t span_bytes);
void stream_model_copy(const struct stream_model *from, struct stream_model *to);
uint32_t stream_model_capacity(const struct stream_model *model, uint32_t part);
/* So many bytes, or as many as an append may have now, or after growing. */
uint32_t stream_model_fit(const struct stream_model *model, uint32_t size);
/* A part may be there soon: of what size. */
void stream_model_grow(struct stream_model *model, uint32_t part);
/* Bytes of data in a part. */
uint32_t stream_model_used(const struct stream_model *model, uint32_t part);
/* Where an append goes; UINT32_MAX: there is no room. */
uint32_t stream_model_ending(const struct stream_model *model);
/* The bytes of an append. */
void stream_model_make(const struct stream_append *append, uint8_t *bytes);

/* Another append of `size` bytes, perhaps; NULL: no part has room. */
const struct stream_append *stream_model_push(struct stream_model *model, uint32_t size);
/* The last one is not there, and never will be; or is. */
void stream_model_pop(struct stream_model *model);
void stream_model_acknowledge(struct stream_model *model);

/* How many states may be there. */
size_t stream_model_possible(const struct stream_model *model);
/* The stream was opened, and its parts are [first, end): positions begin anew. */
void stream_model_open(struct stream_model *model, uint32_t first, uint32_t end);
/* What had begun in a part that is gone is cut from the first one, which holds nothing else. */
void stream_model_cut_first(struct stream_model *model);
/* One behind the last byte, of what is acknowledged, or of all. */
uint64_t stream_model_end(const struct stream_model *model, bool all);
/* Whether the bytes at `position` are these. */
bool stream_model_equals(const struct stream_model *model, uint64_t position, const void *bytes,
                         size_t size);
/* A part's file as it is after a clean close: `blocks` blocks. */
void stream_model_image(const struct stream_model *model, uint32_t part, uint8_t *image);
/* A number for all that may be found. */
uint64_t stream_model_digest(const struct stream_model *model);

#endif
