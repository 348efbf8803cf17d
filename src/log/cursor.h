/* SPDX-License-Identifier: MIT */
/* The inside of a cursor: cursor.c moves it, load.c fetches batches. */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include "log/log_private.h"
#include "log/pieces.h"
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

    bool loaded;          /* a batch is at hand: */
    bool in_copy;         /* ... from what is staged, in `copy` */
    const uint8_t *bytes; /* in scan's window or in `copy`; NULL: it is large, and in the file */
    struct batch batch;
    uint8_t *copy;
    size_t copy_capacity;
    struct buffer space;       /* for what is unpacked */
    struct unpacked unpacked;  /* its records; none where they are not needed yet, or large */
    struct pieces pieces;      /* of a large one */
    bool ready;                /* one of these two is */
    struct record_iterator it; /* in the batch, before record `it_index` or one behind it */
    uint64_t it_index;
    uint64_t *starts; /* of the batch's records, for going backwards */
    size_t starts_capacity;
    bool starts_valid;

    uint64_t value_most; /* bytes of a value that comes with its record */
    struct {
        bool known;            /* a record was given, and its value is */
        size_t size;           /* bytes, */
        const uint8_t *memory; /* here, */
        uint64_t position;     /* or there in the file */
    } value;
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
/* The first record below `limit` (above 0) that was appended behind a cut, since the generation was
   `generation`; `limit` if there is none. FIRN_EIO, FIRN_ENOMEM. */
int cursor_find_cut(struct firn_cursor *cursor, uint32_t generation, uint64_t limit,
                    uint64_t *index, struct firn_error *err);
void cursor_drop(struct firn_cursor *cursor); /* forgets batch and segment */

#endif
