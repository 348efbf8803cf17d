/* SPDX-License-Identifier: MIT */
/* The value of the record that a cursor gave, in pieces. */
#include <string.h>

#include "log/cursor.h"

/* Whether the batch, which was checked, still stands where it stood. */
static bool is_there(const struct firn_cursor *cursor)
{
    uint8_t header[BATCH_HEADER];
    struct batch found;
    size_t got;
    uint64_t position = cursor->scan.position - cursor->batch.bytes;
    return disk_read_full(cursor->scan.file, header, sizeof header, position, &got, NULL) == 0 &&
           batch_parse(header, got, &found) == BATCH_OK && found.crc == cursor->batch.crc &&
           found.bytes == cursor->batch.bytes;
}

static bool was_truncated(const struct firn_cursor *cursor)
{
    follow_refresh(cursor->log);
    uint64_t now = atomic_load_explicit(&cursor->log->truncations, memory_order_acquire);
    return now != cursor->truncations && !is_there(cursor);
}

static int read_file(struct firn_cursor *cursor, uint64_t offset, void *buffer, size_t size,
                     struct firn_error *err)
{
    size_t done;
    int rc = disk_read_full(cursor->scan.file, buffer, size, cursor->value.position + offset, &done,
                            err);
    if (rc == 0 && (done < size || was_truncated(cursor)))
        rc = firn_error_set(err, FIRN_ERANGE, 0, "%s: record %llu was truncated while it was read",
                            cursor->log->dir, (unsigned long long)cursor->record.index);
    return rc;
}

int firn_cursor_read_value(struct firn_cursor *cursor, uint64_t offset, void *buffer, size_t size,
                           size_t *got, struct firn_error *err)
{
    if (!cursor->value.known)
        return firn_error_set(err, FIRN_EINVAL, 0, "the cursor has not just given a record");
    if (offset > cursor->value.size)
        return firn_error_set(err, FIRN_ERANGE, 0, "the value has %zu bytes", cursor->value.size);
    size_t left = cursor->value.size - (size_t)offset;
    int rc = 0;
    if (size > left)
        size = left;
    if (size > 0 && cursor->value.memory)
        memcpy(buffer, cursor->value.memory + offset, size);
    else if (size > 0)
        rc = read_file(cursor, offset, buffer, size, err);
    if (rc == 0)
        *got = size;
    return rc;
}
