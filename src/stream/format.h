/* SPDX-License-Identifier: MIT */
/*
 * What a block of a stream says of itself: 48 bytes before its data. See docs/formats.md.
 *
 * Of these the first 16 are everybody's, the others are reserved. While a stream is open, firn
 * keeps a *note* there: what the block said before the sync that is under way or was the last
 * (`was`), and in block 0 of a part that the part is open. A closed part has no notes.
 */
#ifndef STREAM_FORMAT_H
#define STREAM_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

enum { META_BYTES = 48, META_NOTE = 16 };

/* The first 16 bytes, without the parity. Zeroed: an empty block. */
struct meta {
    bool complete;
    uint32_t trail;   /* below 2^28 */
    uint32_t spilled; /* below 2^30 */
    uint32_t crc;     /* of the bytes that are written to the data section */
};

void meta_encode(uint8_t bytes[META_BYTES], const struct meta *meta); /* leaves the note alone */
/* False: parity, or bits that must be zero. Of an empty block about and parity are zero. */
bool meta_decode(const uint8_t bytes[META_BYTES], struct meta *meta);
/* Whether `about` is zero, whatever the parity. */
bool meta_is_empty(const uint8_t bytes[META_BYTES]);

/* Bytes that are written to the data section, of `payload`. */
uint32_t meta_written(const struct meta *meta, uint32_t payload);

enum {
    NOTE_OPEN = 1, /* in block 0: the part was not closed */
    NOTE_WAS = 2,  /* a sync began at this block; `was` is what it said before */
    NOTE_CUT = 4,  /* in block 0: those behind the end, below `cut_to`, are being zeroed */
};

struct note {
    uint32_t flags;  /* 0: none */
    struct meta was; /* with NOTE_WAS */
    uint64_t cut_to; /* with NOTE_CUT */
};

/* Writes the 32 reserved bytes; flags 0 clears them. */
void note_encode(uint8_t bytes[META_BYTES], const struct note *note);
/* flags 0 where there is none that checks. */
void note_decode(const uint8_t bytes[META_BYTES], struct note *note);
/* Whether the reserved bytes are all zero. */
bool note_is_clear(const uint8_t bytes[META_BYTES]);

#endif
