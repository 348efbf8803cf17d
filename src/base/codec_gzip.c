/* SPDX-License-Identifier: MIT */
#include "base/codec_private.h"

#ifdef FIRN_HAVE_ISAL

#include <stdlib.h>

#include <isa-l/igzip_lib.h>

static int step(void *library, struct codec_stream *stream)
{
    struct inflate_state *state = library;
    uint32_t in = stream->in_left < INT32_MAX ? (uint32_t)stream->in_left : INT32_MAX;
    uint32_t out = stream->out_left < INT32_MAX ? (uint32_t)stream->out_left : INT32_MAX;
    if (stream->ended) { /* another member follows */
        isal_inflate_reset(state);
        state->crc_flag = ISAL_GZIP;
    }
    state->next_in = (uint8_t *)(uintptr_t)stream->in;
    state->avail_in = in;
    state->next_out = stream->out;
    state->avail_out = out;
    if (isal_inflate(state) != ISAL_DECOMP_OK)
        return FIRN_EDAMAGED;
    stream->ended = state->block_state == ISAL_BLOCK_FINISH;
    stream->in += in - state->avail_in;
    stream->in_left -= in - state->avail_in;
    stream->out_left -= out - state->avail_out;
    return 0;
}

static int unpack(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to)
{
    struct inflate_state *state = malloc(sizeof *state);
    if (!state)
        return FIRN_ENOMEM;
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    int rc = codec_run(step, state, bytes, size, limit, to);
    free(state);
    return rc;
}

const struct codec_ops codec_gzip = {NULL, unpack};

#else

const struct codec_ops codec_gzip = {NULL, NULL};

#endif
