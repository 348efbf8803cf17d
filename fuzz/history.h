/* SPDX-License-Identifier: MIT */
/*
 * Records whose content tells what they are, a history of all that were appended, and what reading
 * a log gives. A record's value begins with its index and its serial number; all else follows from
 * these and from what the history notes of the serial number.
 */
#ifndef FUZZ_HISTORY_H
#define FUZZ_HISTORY_H

#include <firn/log.h>

#include "fuzz.h"

enum { VALUE_LEAST = 12, HISTORY_MOST = 2048, KEY_MOST = 8, HEADERS_MOST = 3, NESTED_BYTES = 6 };

/* What was ever appended, by serial number. */
struct history {
    struct {
        uint64_t index;
        uint32_t value_bytes;
        bool nested; /* its value holds a batch that could be the next one */
    } at[HISTORY_MOST];
    uint32_t count;
};

/* A record and the memory that it points to. */
struct content {
    struct firn_record record;
    struct firn_header headers[HEADERS_MOST];
    uint8_t key[KEY_MOST];
    uint8_t *value;
};

/* Notes a record that is about to be appended, and makes it. */
void history_add(struct history *history, uint64_t index, uint32_t value_bytes, bool nested,
                 struct content *content);
void history_make(const struct history *history, uint32_t serial, struct content *content);
void content_done(struct content *content);
/* The index at which this very record was appended; false if it never was. */
bool history_knows(const struct history *history, const struct firn_record *record,
                   uint64_t *index);
/* A number that another record has not. */
uint64_t record_mark(const struct firn_record *record);

/* ---- what a log holds ---- */

struct seen {
    uint64_t index;
    uint64_t mark;
};

struct reading {
    uint64_t lowest, next;
    struct seen *at; /* by index */
    size_t count;
    struct firn_hole *holes;
    size_t hole_count;
};

void reading_add(struct reading *reading, uint64_t index, uint64_t mark);
void reading_add_hole(struct reading *reading, const struct firn_hole *hole);
/* Keeps the records in [from, to). */
void reading_keep(struct reading *reading, uint64_t from, uint64_t to);
bool reading_equals(const struct reading *a, const struct reading *b);
/* No index has one record here and another one there. */
bool reading_agrees(const struct reading *a, const struct reading *b);
void reading_copy(struct reading *to, const struct reading *from);
void reading_done(struct reading *reading);
/* Whether every index in [from, to) was read or lies in a hole. */
bool reading_covers(const struct reading *reading, uint64_t from, uint64_t to);

#endif
