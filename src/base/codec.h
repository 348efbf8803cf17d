/* SPDX-License-Identifier: MIT */
/*
 * Compression, in the formats and by the numbers that Kafka's batches use. Each is there if its
 * library was when firn was built.
 */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <stdbool.h>

#include "base/buffer.h"

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODECS };

/* "zstd", ...; "?" for a number that is none of them. */
const char *codec_name(unsigned codec);
bool codec_can_pack(unsigned codec);
bool codec_can_unpack(unsigned codec);

/*
 * Appends `size` bytes, compressed, to `to`. `level` is the library's own scale, 0 its default.
 * FIRN_ENOTSUP, FIRN_ENOMEM.
 */
int codec_pack(unsigned codec, int level, const void *bytes, size_t size, struct buffer *to);

/*
 * Appends what the bytes hold to `to`, which grows as it is unpacked and to `limit` bytes at most.
 * FIRN_EDAMAGED, FIRN_ETOOBIG, FIRN_ENOTSUP, FIRN_ENOMEM: what `to` holds then is of no use.
 */
int codec_unpack(unsigned codec, const void *bytes, size_t size, size_t limit, struct buffer *to);

#endif
