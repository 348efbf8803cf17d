/* SPDX-License-Identifier: MIT */
/* The inside of a cursor: cursor.c moves it, load.c fetches batches. */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include "log/log_private.h"
#include "log/unpack.h"

enum {
    CURSOR_WINDOW_LEAST = 8 * 1024, /* bytes read at a time after a jump ... */
    CURSOR_WINDOW_MOST = 256 * 1024 /* ... and when reading on */
};

struct firn_cursor {
    struct firn_log *log;
    uint64_t from, to;
    bool staged;
    bool plain;     /* a read by index: changes no order of indexes in memory */
    uint64_t place; /* index of the record behind the place */

    struct segment *segment; /* that `scan` reads; NULL: none */
    struct scan scan;

    const uint8_t *bytes; /* the batch at hand; NULL: none. In scan's window or in `copy` */
    struct batch batch;
    uint8_t *copy;
    size_t copy_capacity;
    struct buffer space;       /* for what is unpacked */
    struct unpacked unpacked;  /* the batch's records; none where they are not needed yet */
    struct record_iterator it; /* in the batch, before record `it_index` or one behind it */
    uint64_t it_index;
    const uint8_t **starts; /* of the batch's records, for going backwards; NULL: not known */
    size_t starts_capacity;
    bool starts_valid;

    struct firn_record record;
    struct firn_header *headers;
    size_t header_capacity;

    bool has_hole, backward;
    struct firn_hole hole;

    uint64_t truncations;     /* of the log, when last looked at */
    uint64_t seen_index;      /* a record that was read, */
    uint32_t seen_generation; /* and its batch's generation, to notice that the end was replaced */
    bool seen;
};

/* Fetches the batch that holds `index`. FIRN_EEND, FIRN_ERANGE, FIRN_EDAMAGED (hole set), ... */
int cursor_load(struct firn_cursor *cursor, uint64_t index, struct firn_error *err);
void cursor_drop(struct firn_cursor *cursor); /* forgets batch and segment */

#endif
