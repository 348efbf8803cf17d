/* SPDX-License-Identifier: MIT */
#include "base/codec_private.h"

enum { GROW_LEAST = 16 * 1024 };

static const struct {
    const char *name;
    const struct codec_ops *ops;
} codecs[CODECS] = {
    [CODEC_NONE] = {"none", NULL},
    [CODEC_GZIP] = {"gzip", &codec_gzip},
    [CODEC_SNAPPY] = {"snappy", &codec_snappy},
    [CODEC_LZ4] = {"lz4", &codec_lz4},
    [CODEC_ZSTD] = {"zstd", &codec_zstd},
};

const char *codec_name(unsigned codec)
{
    return codec < CODECS ? codecs[codec].name : "?";
}

bool codec_can_pack(unsigned codec)
{
    return codec < CODECS && codecs[codec].ops && codecs[codec].ops->pack;
}

bool codec_can_unpack(unsigned codec)
{
    return codec < CODECS && codecs[codec].ops && codecs[codec].ops->unpack;
}

int codec_pack(unsigned codec, int level, const void *bytes, size_t size, struct buffer *to)
{
    return codec_can_pack(codec) ? codecs[codec].ops->pack(level, bytes, size, to) : FIRN_ENOTSUP;
}

int codec_unpack(unsigned codec, const void *bytes, size_t size, size_t limit, struct buffer *to)
{
    return codec_can_unpack(codec) ? codecs[codec].ops->unpack(bytes, size, limit, to)
                                   : FIRN_ENOTSUP;
}

int codec_grow(struct buffer *to, size_t limit)
{
    if (to->size > limit)
        return FIRN_ETOOBIG;
    size_t more = to->size < GROW_LEAST ? GROW_LEAST : to->size;
    if (to->capacity > to->size)
        return 0;
    return buffer_reserve(to, more < limit - to->size ? more : limit - to->size + 1);
}

int codec_run(codec_step *step, void *library, const uint8_t *bytes, size_t size, size_t limit,
              struct buffer *to)
{
    struct codec_stream stream = {.in = bytes, .in_left = size};
    while (stream.in_left > 0 || !stream.ended) {
        int rc = codec_grow(to, limit);
        if (rc < 0)
            return rc;
        size_t in_left = stream.in_left, room = to->capacity - to->size;
        stream.out = to->data + to->size;
        stream.out_left = room;
        rc = step(library, &stream);
        if (rc < 0)
            return rc;
        to->size += room - stream.out_left;
        if (stream.in_left == in_left && stream.out_left == room && !stream.ended)
            return FIRN_EDAMAGED; /* the input ends too early */
    }
    return to->size > limit ? FIRN_ETOOBIG : 0;
}
