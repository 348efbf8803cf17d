/* SPDX-License-Identifier: MIT */
/* What blocks say of themselves, checked one after another; and what is found. */
#ifndef STREAM_CHECK_H
#define STREAM_CHECK_H

#include "stream/part.h"

/* What is still to come, at the beginning of a block, of the append that goes on there. */
enum chain_due {
    DUE_FIRST, /* the part's first block: whatever spilled over */
    DUE_NONE,
    DUE_SOME,  /* of unknown size */
    DUE_EXACT, /* `due_size` */
    DUE_ANY,   /* the block before does not tell */
};

struct chain {
    const struct part *part;
    enum chain_due due;
    uint64_t due_size;
    uint32_t before; /* with DUE_SOME: how many bytes of it lie in the block before */
    bool incomplete, empty;
};

/* A set of faults, one bit each. */
typedef uint32_t fault_set;

void part_check_init(struct chain *chain, const struct part *part);
/* What is wrong with the next block, without its data. `*meta` is empty where it can't be told. */
fault_set part_check_next(struct chain *chain, const uint8_t bytes[META_BYTES], struct meta *meta);
/* FIRN_FAULT_DATA, if the checksum is wrong. */
fault_set part_check_data(const struct part *part, uint64_t block, const struct meta *meta);

/* ---- findings ---- */

struct findings {
    const struct part_look *look; /* may be NULL */
    uint64_t count;
    uint64_t block; /* the first one */
    enum firn_stream_fault fault;
};

void findings_add(struct findings *findings, uint64_t block, fault_set faults);
/* 0 without findings. FIRN_EDAMAGED. */
int findings_result(const struct findings *findings, struct firn_error *err);

#endif
