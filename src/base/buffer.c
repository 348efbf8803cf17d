/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 64 };

int buffer_reserve(struct buffer *buffer, size_t more)
{
    if (more <= buffer->capacity - buffer->size)
        return 0;
    if (more > PTRDIFF_MAX - buffer->size)
        return FIRN_ENOMEM;
    size_t capacity = buffer->size + more;
    size_t half_more = buffer->capacity + buffer->capacity / 2; /* both are below PTRDIFF_MAX */
    if (capacity < half_more && half_more <= PTRDIFF_MAX)
        capacity = half_more;
    if (capacity < SMALLEST)
        capacity = SMALLEST;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return FIRN_ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    int rc = buffer_reserve(buffer, size);
    if (rc != 0)
        return rc;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

void buffer_free(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->data);
    *buffer = (struct buffer){0};
}
