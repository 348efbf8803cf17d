/* SPDX-License-Identifier: MIT */
/*
 * Snappy as Java's clients frame it (xerial's): a magic number, two versions, then blocks, each
 * behind its length. Others write one bare block.
 */
#include "base/codec_private.h"

#ifdef FIRN_HAVE_SNAPPY

#include <string.h>

#include <snappy-c.h>

#include "base/bytes.h"

enum { FRAME_HEADER = 16, BLOCK_HEADER = 4 };

static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static int unpack_block(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to)
{
    size_t room;
    if (snappy_uncompressed_length((const char *)bytes, size, &room) != SNAPPY_OK)
        return FIRN_EDAMAGED;
    if (room > limit - to->size)
        return FIRN_ETOOBIG;
    if (room / 32 > size) /* no block packs that well: memory is not taken for a mere claim */
        return FIRN_EDAMAGED;
    if (buffer_reserve(to, room + 1) < 0)
        return FIRN_ENOMEM;
    if (snappy_uncompress((const char *)bytes, size, (char *)to->data + to->size, &room) !=
        SNAPPY_OK)
        return FIRN_EDAMAGED;
    to->size += room;
    return 0;
}

static int unpack(const uint8_t *bytes, size_t size, size_t limit, struct buffer *to)
{
    if (to->size > limit)
        return FIRN_ETOOBIG;
    if (size < FRAME_HEADER || memcmp(bytes, magic, sizeof magic) != 0)
        return unpack_block(bytes, size, limit, to);
    bytes += FRAME_HEADER;
    size -= FRAME_HEADER;
    int rc = 0;
    while (rc == 0 && size > 0) {
        if (size < BLOCK_HEADER || load_be_u32(bytes) > size - BLOCK_HEADER)
            return FIRN_EDAMAGED;
        uint32_t block = load_be_u32(bytes);
        rc = unpack_block(bytes + BLOCK_HEADER, block, limit, to);
        bytes += BLOCK_HEADER + block;
        size -= BLOCK_HEADER + block;
    }
    return rc;
}

const struct codec_ops codec_snappy = {NULL, unpack};

#else

const struct codec_ops codec_snappy = {NULL, NULL};

#endif
