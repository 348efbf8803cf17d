/* SPDX-License-Identifier: MIT */
/*
 * The records of a large batch that was checked and is not in memory: read one by one from the
 * file, long values passed over.
 */
#ifndef LOG_PIECES_H
#define LOG_PIECES_H

#include <firn/disk.h>

#include "base/buffer.h"
#include "log/record.h"

struct pieces {
    struct firn_file *file;
    uint64_t at, end;    /* in the file; not read yet */
    uint64_t value_most; /* bytes of a value that is read */
    struct record_iterator it;
    struct buffer bytes;     /* of the record at hand, without a value that is too long */
    uint64_t value_position; /* of such a one, in the file */
};

/* `position` is the batch's, which is not compressed. The file stays the caller's. */
void pieces_start(struct pieces *pieces, struct firn_file *file, uint64_t position,
                  const struct batch *batch, uint64_t value_most);
void pieces_done(struct pieces *pieces);

/*
 * Like record_next; what the record points to is valid until the next call. A value of more than
 * value_most bytes comes with its size, and data NULL. FIRN_EEND, FIRN_EDAMAGED, FIRN_EIO,
 * FIRN_ENOMEM: the same record is tried again by the next call.
 */
int pieces_next(struct pieces *pieces, struct firn_record *record, const uint8_t **headers_at,
                struct firn_error *err);

#endif
