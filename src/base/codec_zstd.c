/* SPDX-License-Identifier: MIT */
#include "base/codec_private.h"

#ifdef FIRN_HAVE_ZSTD

#include <zstd.h>

static int pack(int level, const void *bytes, size_t size, struct buffer *to)
{
    size_t room = ZSTD_compressBound(size);
    if (buffer_reserve(to, room) < 0)
        return FIRN_ENOMEM;
    size_t packed = ZSTD_compress(to->data + to->size, room, bytes, size,
                                  level ? level : ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(packed))
        return FIRN_ENOMEM; /* there is room enough: nothing else can be wrong */
    to->size += packed;
    return 0;
}

static int step(void *library, struct codec_stream *stream)
{
    ZSTD_inBuffer in = {stream->in, stream->in_left, 0};
    ZSTD_outBuffer out = {stream->out, stream->out_left, 0};
    size_t left = ZSTD_decompressStream(library, &out, &in);
    if (ZSTD_isError(left))
        return FIRN_EDAMAGED;
    stream->ended = left == 0;
    stream->in += in.pos;
    stream->in_left -= in.pos;
    stream->out_left -= out.pos;
    return 0;
}

static int unpack(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    int rc = stream ? codec_run(step, stream, bytes, size, limit, to) : FIRN_ENOMEM;
    ZSTD_freeDStream(stream);
    return rc;
}

const struct codec_ops codec_zstd = {pack, unpack};

#else

const struct codec_ops codec_zstd = {NULL, NULL};

#endif
