/* SPDX-License-Identifier: MIT */
/*
 * A finished segment written anew, and put in the place of the old one: what compaction and repair
 * share. Indexes stay what they are; where records go, an empty batch takes their indexes.
 */
#ifndef LOG_REWRITE_H
#define LOG_REWRITE_H

#include "base/buffer.h"
#include "log/log_private.h"

struct rewrite {
    struct firn_log *log;
    struct segment *old;    /* with a reference */
    struct segment *fresh;  /* under a name that recovery removes */
    struct firn_file *from; /* the old one's */
    struct firn_file *to;
    struct index *index;
    struct buffer out; /* not written yet */
    uint64_t written;  /* bytes of the new store before `out` */
    int64_t max_time;
    struct batch gap; /* that is not in `out` yet */
    bool has_gap;
};

/* FIRN_ENOMEM, FIRN_EIO, ...: nothing is left of it, as after all errors below and an abandon. */
int rewrite_begin(struct rewrite *rewrite, struct firn_log *log, struct segment *old,
                  struct firn_error *err);
/* The batch as it stands at `position` of the old store; `bytes` NULL: it is copied from there. */
int rewrite_keep(struct rewrite *rewrite, const struct batch *batch, const uint8_t *bytes,
                 uint64_t position, struct firn_error *err);
/* A batch of these records; length and checksum of `batch` are found out. */
int rewrite_records(struct rewrite *rewrite, const struct batch *batch, const uint8_t *records,
                    size_t size, struct firn_error *err);
/* No records: `gap` has base, last_delta, base_time and generation. */
int rewrite_gap(struct rewrite *rewrite, const struct batch *gap, struct firn_error *err);
/* All of it is durable, under its temporary name. */
int rewrite_finish(struct rewrite *rewrite, struct firn_error *err);
/*
 * Puts it in the old one's place, durably. With `admin`; the old one is below the checkpoint's
 * place in both slots. Whatever happens, it is done with: after an error the log has the old one,
 * or is poisoned.
 */
int rewrite_swap(struct rewrite *rewrite, struct firn_error *err);
void rewrite_abandon(struct rewrite *rewrite);

/* Has both slots of the checkpoint lie behind all finished segments. With `admin`, not frozen. */
int rewrite_prepare(struct firn_log *log, struct firn_error *err);

#endif
