/* SPDX-License-Identifier: MIT */
/* Records as users have them: checked, measured, copied. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "log/record.h"

uint64_t record_data_bytes(const struct firn_record *record)
{
    uint64_t bytes = (uint64_t)record->key.size + record->value.size;
    for (size_t i = 0; i < record->header_count; i++)
        bytes += (uint64_t)record->headers[i].key.size + record->headers[i].value.size;
    return bytes;
}

static bool lacks_bytes(const struct firn_slice *slice)
{
    return slice->size && !slice->data;
}

int record_check(const struct firn_record *record, uint64_t most, struct firn_error *err)
{
    if (lacks_bytes(&record->key) || lacks_bytes(&record->value) ||
        (record->header_count && !record->headers))
        return firn_error_set(err, FIRN_EINVAL, 0, "a record has a size but no bytes");
    if (record->header_count > INT32_MAX / 8)
        return firn_error_set(err, FIRN_ETOOBIG, 0, "a record has too many headers");
    for (size_t i = 0; i < record->header_count; i++)
        if (!record->headers[i].key.data || lacks_bytes(&record->headers[i].value))
            return firn_error_set(err, FIRN_EINVAL, 0, "header %zu of a record has no key", i);
    uint64_t bytes = record_data_bytes(record);
    if (bytes > most)
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "a record has %llu bytes; the limit of this log is %llu",
                              (unsigned long long)bytes, (unsigned long long)most);
    return 0;
}

static struct firn_slice copy_slice(uint8_t **at, struct firn_slice slice)
{
    struct firn_slice copy = {slice.data ? *at : NULL, slice.size};
    if (slice.data && slice.size)
        memcpy(*at, slice.data, slice.size);
    *at += slice.size;
    return copy;
}

/* One block: the record, its headers, all bytes (and one more, so that empty is not none). */
struct firn_record *record_copy(const struct firn_record *from)
{
    size_t heads = sizeof *from + from->header_count * sizeof(struct firn_header);
    struct firn_record *record = malloc(heads + record_data_bytes(from) + 1);
    if (!record)
        return NULL;
    struct firn_header *headers = (struct firn_header *)(record + 1);
    uint8_t *at = (uint8_t *)record + heads;
    *record = *from;
    record->key = copy_slice(&at, from->key);
    record->value = copy_slice(&at, from->value);
    record->headers = from->header_count ? headers : NULL;
    for (size_t i = 0; i < from->header_count; i++) {
        headers[i].key = copy_slice(&at, from->headers[i].key);
        headers[i].value = copy_slice(&at, from->headers[i].value);
    }
    return record;
}

void firn_record_free(struct firn_record *record)
{
    free(record);
}
