/* SPDX-License-Identifier: MIT */
#include "base/codec_private.h"

#ifdef FIRN_HAVE_LZ4

#include <lz4frame.h>

static int pack(int level, const void *bytes, size_t size, struct buffer *to)
{
    /* Kafka's own readers take independent blocks only. */
    const LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
    };
    size_t room = LZ4F_compressFrameBound(size, &preferences);
    if (buffer_reserve(to, room) < 0)
        return FIRN_ENOMEM;
    size_t packed = LZ4F_compressFrame(to->data + to->size, room, bytes, size, &preferences);
    if (LZ4F_isError(packed))
        return FIRN_ENOMEM;
    to->size += packed;
    return 0;
}

static int step(void *library, struct codec_stream *stream)
{
    size_t read = stream->in_left, written = stream->out_left;
    size_t hint = LZ4F_decompress(library, stream->out, &written, stream->in, &read, NULL);
    if (LZ4F_isError(hint))
        return FIRN_EDAMAGED;
    stream->ended = hint == 0;
    stream->in += read;
    stream->in_left -= read;
    stream->out_left -= written;
    return 0;
}

static int unpack(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return FIRN_ENOMEM;
    int rc = codec_run(step, context, bytes, size, limit, to);
    LZ4F_freeDecompressionContext(context);
    return rc;
}

const struct codec_ops codec_lz4 = {pack, unpack};

#else

const struct codec_ops codec_lz4 = {NULL, NULL};

#endif
