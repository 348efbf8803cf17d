/* SPDX-License-Identifier: MIT */
/*
 * What a log must hold. Every record that is ever appended has a stamp, from which all of it can be
 * made again: so the model of a log is a list of stamps.
 *
 * A chain of states says what may be found after a crash: the first is acknowledged, each further
 * one is what the next operation made of it, and any of them may be what the disk kept.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <firn/firn.h>

enum {
    MODEL_VALUE_BITS = 13,
    MODEL_VALUE_MOST = (1 << MODEL_VALUE_BITS) - 1,
    MODEL_COMPRESSIBLE = 128, /* values of so many bytes, and a few more, compress well */
};

/* Of a stamp: compaction took the record; or may have. */
#define MODEL_GONE (UINT64_C(1) << 63)
#define MODEL_MAYBE_GONE (UINT64_C(1) << 62)

struct made_record {
    struct firn_record record;
    struct firn_header header;
    char key[24];
    char header_value[24];
    unsigned char value[MODEL_VALUE_MOST];
};

struct model_state {
    uint64_t next;    /* one above the last record */
    uint64_t epoch;   /* durable when this is; UINT64_MAX: not known yet */
    uint64_t *stamps; /* of the records from `first` on */
};

/* A named cursor: what may be found, the acknowledged one first. */
enum { MODEL_CURSORS = 2, MODEL_MAYBE = 64 };
#define MODEL_NO_CURSOR UINT64_MAX
struct model_cursor {
    uint64_t maybe[MODEL_MAYBE];
    size_t count;
};

struct model {
    uint64_t first; /* index of stamps[0] */
    uint64_t lowest_acknowledged, lowest;
    struct model_state *chain;
    size_t count;
    uint64_t counter; /* records ever made */
    struct model_cursor cursors[MODEL_CURSORS];
};

int model_init(struct model *model, uint64_t first);
void model_done(struct model *model);
int model_copy(const struct model *from, struct model *to);

uint64_t model_stamp(struct model *model, size_t value_bytes);
void model_make(uint64_t stamp, struct made_record *made);
bool model_equals(uint64_t stamp, const struct firn_record *record);

struct model_state *model_last(const struct model *model);
/* Records below `end` with a key that a later one below it has are gone, or may be. */
void model_compact(struct model *model, uint64_t end, bool acknowledged);
/* A further state, so far the same as the last. */
struct model_state *model_push(struct model *model);
void model_pop(struct model *model);
void model_append(struct model *model, struct model_state *state, uint64_t stamp);
/* All states whose epoch is at most `epoch` are durable: what came before the last of them goes. */
void model_acknowledge(struct model *model, uint64_t epoch);
/* State `at` is what is there. */
void model_collapse(struct model *model, size_t at);
/* The cursor may be at `index` too; or, acknowledged, is. */
void model_move(struct model_cursor *cursor, uint64_t index, bool acknowledged);
bool model_may_be(const struct model_cursor *cursor, uint64_t index);
/* A truncation takes all cursors back; or may have done so. */
void model_take_back(struct model *model, uint64_t index, bool acknowledged);
/* A number for all that may be found. */
uint64_t model_digest(const struct model *model);

#endif
