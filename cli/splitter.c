/* SPDX-License-Identifier: MIT */
/*
 * The buffer holds what was read and not cut yet, from `begin` to `end`. A record that is not whole
 * is moved to the front when room is made, and the buffer doubles only when one record fills it: so
 * memory is bounded by the limit, and every byte is searched once (`searched`).
 */
#include "splitter.h"

#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAPACITY = 256 * 1024,
    LENGTH_SIZE = 4,
};

int splitter_init(struct splitter *splitter, enum delimiter delimiter, size_t limit)
{
    *splitter = (struct splitter){
        .delimiter = delimiter,
        .limit = limit,
        .capacity = FIRST_CAPACITY,
        .buffer = malloc(FIRST_CAPACITY),
    };
    return splitter->buffer ? 0 : FIRN_ENOMEM;
}

void splitter_done(struct splitter *splitter)
{
    free(splitter->buffer);
    splitter->buffer = NULL;
}

static size_t bytes_left(const struct splitter *splitter)
{
    return splitter->end - splitter->begin;
}

static void consume(struct splitter *splitter, size_t size)
{
    splitter->begin += size;
    splitter->offset += size;
    splitter->searched = 0;
}

/* Gives out `size` bytes behind `before`, and passes over `behind` more. */
static enum split cut(struct splitter *splitter, size_t before, size_t size, size_t behind,
                      struct firn_slice *record)
{
    if (size > splitter->limit)
        return SPLIT_TOO_LONG;
    *record = (struct firn_slice){splitter->buffer + splitter->begin + before, size};
    consume(splitter, before + size + behind);
    return SPLIT_RECORD;
}

/* What is left without a delimiter: the last record, the beginning of one, or nothing. `behind` of
 * its last bytes are not part of it. */
static enum split cut_rest(struct splitter *splitter, size_t behind, struct firn_slice *record)
{
    size_t left = bytes_left(splitter);
    if (left - behind > splitter->limit)
        return SPLIT_TOO_LONG;
    if (!splitter->ended)
        return SPLIT_MORE;
    return left ? cut(splitter, 0, left - behind, behind, record) : SPLIT_END;
}

static enum split next_by_byte(struct splitter *splitter, char byte, struct firn_slice *record)
{
    const char *begin = splitter->buffer + splitter->begin;
    size_t left = bytes_left(splitter);
    const char *found = memchr(begin + splitter->searched, byte, left - splitter->searched);
    if (found)
        return cut(splitter, 0, (size_t)(found - begin), 1, record);
    splitter->searched = left;
    return cut_rest(splitter, 0, record);
}

static enum split next_paragraph(struct splitter *splitter, struct firn_slice *record)
{
    while (bytes_left(splitter) && splitter->buffer[splitter->begin] == '\n')
        consume(splitter, 1);
    const char *begin = splitter->buffer + splitter->begin;
    size_t left = bytes_left(splitter);
    while (splitter->searched < left) {
        const char *from = begin + splitter->searched;
        const char *found = memchr(from, '\n', left - splitter->searched);
        size_t size = found ? (size_t)(found - begin) : left;
        if (size + 1 < left && begin[size + 1] == '\n')
            return cut(splitter, 0, size, 2, record);
        if (size + 1 == left) { /* an empty line may follow: look at this byte again */
            splitter->searched = size;
            return cut_rest(splitter, 1, record);
        }
        splitter->searched = found ? size + 1 : left;
    }
    return cut_rest(splitter, 0, record);
}

static enum split next_by_length(struct splitter *splitter, struct firn_slice *record)
{
    const unsigned char *at = (const unsigned char *)splitter->buffer + splitter->begin;
    size_t left = bytes_left(splitter);
    if (left < LENGTH_SIZE) {
        if (!splitter->ended)
            return SPLIT_MORE;
        return left ? SPLIT_CUT_SHORT : SPLIT_END;
    }
    size_t size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (size > splitter->limit)
        return SPLIT_TOO_LONG;
    if (left - LENGTH_SIZE < size)
        return splitter->ended ? SPLIT_CUT_SHORT : SPLIT_MORE;
    return cut(splitter, LENGTH_SIZE, size, 0, record);
}

enum split splitter_next(struct splitter *splitter, struct firn_slice *record)
{
    switch (splitter->delimiter) {
    case DELIMITER_NUL:
        return next_by_byte(splitter, '\0', record);
    case DELIMITER_PARAGRAPH:
        return next_paragraph(splitter, record);
    case DELIMITER_LENGTH32:
        return next_by_length(splitter, record);
    case DELIMITER_NEWLINE:
    default:
        return next_by_byte(splitter, '\n', record);
    }
}

int splitter_room(struct splitter *splitter, char **room, size_t *size)
{
    size_t left = bytes_left(splitter);
    if (splitter->begin > 0) {
        memmove(splitter->buffer, splitter->buffer + splitter->begin, left);
        splitter->begin = 0;
        splitter->end = left;
    }
    if (splitter->end == splitter->capacity) {
        char *larger = realloc(splitter->buffer, splitter->capacity * 2);
        if (!larger)
            return FIRN_ENOMEM;
        splitter->buffer = larger;
        splitter->capacity *= 2;
    }
    *room = splitter->buffer + splitter->end;
    *size = splitter->capacity - splitter->end;
    return 0;
}

void splitter_fill(struct splitter *splitter, size_t size)
{
    splitter->end += size;
    splitter->ended = size == 0;
}
