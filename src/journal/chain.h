/* SPDX-License-Identifier: MIT */
/* Reading the journal's file: the chain of records, and what lies behind its end. */
#ifndef JOURNAL_CHAIN_H
#define JOURNAL_CHAIN_H

#include "journal/journal_private.h"

struct chain {
    struct journal *journal;
    struct point at; /* behind the last record */
    uint64_t salt;
    uint64_t file_size;
    uint64_t searched; /* bytes of records behind the end */
    uint8_t *window;   /* CHAIN_WINDOW bytes of the file, from window_from on */
    uint64_t window_from;
    size_t window_bytes;
};

/* From `from` on. FIRN_ENOMEM, FIRN_EIO. chain_done in any case. */
int chain_init(struct chain *chain, struct journal *journal, const struct point *from,
               struct firn_error *err);
void chain_done(struct chain *chain);

/*
 * Goes over the next record, which is whole: *start is its position. FIRN_EEND: there is none;
 * FIRN_EDAMAGED: whole, but nothing that a journal writes; FIRN_EIO.
 */
int chain_next(struct chain *chain, struct redo *record, uint64_t *start, struct firn_error *err);

/* Part of the last record's table of ranges: from range `first` on; *ranges of them. */
int chain_table(struct chain *chain, const struct redo *record, uint64_t start, uint32_t first,
                const uint8_t **table, uint32_t *ranges, struct firn_error *err);

/*
 * Behind the end: whether any whole record claims that what is missing there was durable.
 * FIRN_EDAMAGED: one does.
 */
int chain_check_end(struct chain *chain, struct firn_error *err);

#endif
