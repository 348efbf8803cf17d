/* SPDX-License-Identifier: MIT */
/* Bytes that grow at their end. Zeroed is empty. Not for several threads at a time. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

struct buffer {
    uint8_t *data; /* moves when the buffer grows */
    size_t size;
    size_t capacity;
};

/* Makes room for `more` bytes behind the end. FIRN_ENOMEM: the buffer is as it was. */
int buffer_reserve(struct buffer *buffer, size_t more);

/* Copies `size` bytes, which must not lie in the buffer, to the end. FIRN_ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Empties it and keeps its memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

/* Releases the memory; it is empty then and can be used again. NULL is fine. */
void buffer_free(struct buffer *buffer);

#endif
