/* SPDX-License-Identifier: MIT */
/* What codec.c asks of each library: codec_<name>.c. */
#ifndef BASE_CODEC_PRIVATE_H
#define BASE_CODEC_PRIVATE_H

#include "base/codec.h"

struct codec_ops {
    int (*pack)(int level, const void *bytes, size_t size, struct buffer *to);
    int (*unpack)(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to);
};

extern const struct codec_ops codec_gzip, codec_snappy, codec_lz4, codec_zstd;

/* Makes room behind `to`, for `limit` bytes in all and one more: FIRN_ETOOBIG once that is used. */
int codec_grow(struct buffer *to, size_t limit);

struct codec_stream {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    bool ended; /* what began in the input is complete; more may follow */
};

/* Moves over what it reads and writes. FIRN_EDAMAGED. */
typedef int codec_step(void *library, struct codec_stream *stream);

/* Unpacks step by step, to the end of the input. */
int codec_run(codec_step *step, void *library, const uint8_t *bytes, size_t size, size_t limit,
              struct buffer *to);

#endif
