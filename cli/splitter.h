/* SPDX-License-Identifier: MIT */
/* Cuts a stream of bytes into records. It does not read: its caller fills the room it offers. */
#ifndef CLI_SPLITTER_H
#define CLI_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/log.h>

#include "delimiter.h"

struct splitter {
    enum delimiter delimiter;
    size_t limit; /* most bytes of a record */
    char *buffer; /* owned */
    size_t capacity;
    size_t begin;    /* of the bytes that are not cut yet */
    size_t end;      /* of the bytes that are there */
    size_t searched; /* so many from `begin` hold no delimiter */
    uint64_t offset; /* of buffer[begin] in the input */
    bool ended;      /* nothing more will come */
};

enum split {
    SPLIT_RECORD,
    SPLIT_MORE,      /* more input is needed */
    SPLIT_END,       /* all is cut, and the input has ended */
    SPLIT_TOO_LONG,  /* the record at `offset` is longer than the limit */
    SPLIT_CUT_SHORT, /* the input ended within the record at `offset` */
};

/* `splitter_done` releases it, also after an error. FIRN_ENOMEM. */
int splitter_init(struct splitter *splitter, enum delimiter delimiter, size_t limit);
void splitter_done(struct splitter *splitter);

/* The next record; `*record` points into the buffer and is valid until splitter_room. */
enum split splitter_next(struct splitter *splitter, struct firn_slice *record);

/* After SPLIT_MORE: where more input goes, at least one byte. FIRN_ENOMEM. */
int splitter_room(struct splitter *splitter, char **room, size_t *size);

/* So many bytes were put there; 0: the input has ended. */
void splitter_fill(struct splitter *splitter, size_t size);

#endif
