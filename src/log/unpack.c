/* SPDX-License-Identifier: MIT */
/* The records of a batch, as bytes to iterate over: unpacked where they are compressed. */
#include "log/unpack.h"

#include "base/codec.h"
#include "base/error.h"

enum {
    UNPACK_MOST = 256 * 1024 * 1024,
    RECORD_LEAST = 7, /* bytes of the smallest record */
};

static int explain(const struct batch *batch, int rc, struct firn_error *err)
{
    unsigned long long base = batch->base;
    unsigned codec = batch->attributes & BATCH_COMPRESSION;
    switch (rc) {
    case FIRN_ENOTSUP:
        return firn_error_set(err, rc, 0,
                              "the batch of record %llu is compressed by %s, which this build of "
                              "firn does not read",
                              base, codec < CODECS ? codec_name(codec) : "an unknown method");
    case FIRN_ETOOBIG:
        return firn_error_set(err, rc, 0, "the batch of record %llu unpacks to more than %d MiB",
                              base, UNPACK_MOST / 1024 / 1024);
    case FIRN_ENOMEM:
        return firn_error_set(err, rc, 0, "no memory to unpack the batch of record %llu", base);
    default:
        return firn_error_set(err, rc, 0, "the batch of record %llu can't be unpacked (%s)", base,
                              codec_name(codec));
    }
}

int unpack_batch(const uint8_t *bytes, const struct batch *batch, struct buffer *space,
                 struct unpacked *out, struct firn_error *err)
{
    unsigned codec = batch->attributes & BATCH_COMPRESSION;
    struct unpacked raw = {bytes + BATCH_HEADER, batch->bytes - BATCH_HEADER};
    *out = raw;
    if (codec == CODEC_NONE)
        return 0;
    buffer_clear(space);
    int rc = codec_unpack(codec, raw.records, raw.size, UNPACK_MOST, space);
    if (rc == 0 && batch->count > space->size / RECORD_LEAST)
        rc = FIRN_EDAMAGED;
    if (rc < 0)
        return explain(batch, rc, err);
    *out = (struct unpacked){space->data, space->size};
    return 0;
}
