/* SPDX-License-Identifier: MIT */
#ifndef LOG_UNPACK_H
#define LOG_UNPACK_H

#include "base/buffer.h"
#include "log/batch.h"

/* Records one after another, as record_iterate_bytes takes them. */
struct unpacked {
    const uint8_t *records;
    size_t size;
};

/*
 * The records of a whole batch that was checked: in `bytes` themselves, or unpacked into `space`,
 * which is cleared before. FIRN_EDAMAGED, FIRN_ENOTSUP (a method that this build does not have),
 * FIRN_ETOOBIG (256 MiB), FIRN_ENOMEM.
 */
int unpack_batch(const uint8_t *bytes, const struct batch *batch, struct buffer *space,
                 struct unpacked *out, struct firn_error *err);

#endif
