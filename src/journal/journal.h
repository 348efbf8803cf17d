/* SPDX-License-Identifier: MIT */
/*
 * All or nothing, in place: the one way in which bytes of a file are changed where they stand.
 *
 * A journal belongs to a main file. Every change of that file is first a record in the journal,
 * made durable by group commit; what is durable there is applied to the main file later. Until then
 * reads find it in memory or in the journal. Opening applies what a crash left.
 *
 * The main file itself belongs to the owner (a pipe, a stack): what its bytes mean, and how it is
 * marked while it is right only together with its journal.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include <firn/disk.h>
#include <firn/env.h>

#include "commit/commit.h"

enum { JOURNAL_ABOUT = 64, JOURNAL_NONCE = 16 };

#define JOURNAL_BYTES_LEAST (UINT64_C(64) << 10)

struct journal;

/*
 * What an owner brings. `file` is the main file, `length` how many bytes of it are the owner's
 * content. All but announce are called by one thread at a time.
 */
struct journal_kind {
    char name[5];       /* four letters, for the header */
    const char *unit;   /* what change_bytes is the size of, for messages: "chunk" */
    size_t nonce_bytes; /* of a life's nonce, so many are in the mark */
    bool lock_file;     /* other programs that use the main file lock it: so does the journal */
    /* What a main file of `length` zeros holds at first; the caller syncs. NULL: these. */
    int (*create)(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err);
    /* What a header says: checks it against what the owner expects, and learns from it. Sets how
       many bytes the largest change has that must be possible. */
    int (*accept)(void *owner, const uint8_t *about, uint64_t length, uint64_t *change_bytes,
                  struct firn_error *err);
    /* A file of `size` bytes without journal or mark: whether it may become one of the owner's. */
    int (*adopt)(void *owner, uint64_t size, uint8_t *about, struct firn_error *err);
    /* Sets space aside for a marked file with that length; what lies beyond its end so far reads as
       zero then. Every failure passes (FIRN_ENOSPC). */
    int (*reserve)(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err);
    /* Durably marks the file with the nonce. */
    int (*mark)(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                struct firn_error *err);
    /* Durably moves the mark to where it belongs with a larger length; between `from` and `to` the
       file reads as zero then. */
    int (*move_mark)(void *owner, struct firn_file *file, uint64_t from, uint64_t to,
                     const uint8_t *nonce, struct firn_error *err);
    /* After that, durably: the file as it was with `length`, its mark where it belongs then. */
    int (*move_back)(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                     struct firn_error *err);
    /* Durably takes the mark away: `length` bytes remain, as other implementations expect them. */
    int (*unmark)(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err);
    /* 0: the file is marked, with `nonce`, behind `length` bytes or more; FIRN_ENOENT: it is not.
     */
    int (*find_mark)(void *owner, struct firn_file *file, uint64_t length, uint8_t *nonce,
                     struct firn_error *err);
    /* Whether what stands behind `length` bytes is no more than a part of that mark. Not asked
       where there is `settle`. */
    bool (*is_torn_mark)(void *owner, const uint8_t *tail, size_t bytes, uint64_t length,
                         const uint8_t *nonce);
    /* Of a file without a mark, which others may have used meanwhile: how long its content is now,
       with `repair` durably. `*length` is what the journal remembers; 0: nothing. NULL: a file is
       as it is remembered, or refused. */
    int (*settle)(void *owner, struct firn_file *file, bool repair, uint64_t *length,
                  struct firn_error *err);
    /* Whether `found` is what a torn mark over `length` bytes has instead of the nonce. NULL: no.
     */
    bool (*is_torn_nonce)(void *owner, const uint8_t *found, uint64_t length, const uint8_t *nonce);
    /* Something became durable, or the journal was poisoned. May be called by several threads. */
    void (*announce)(void *owner);
};

struct journal_options {
    const char *path;
    struct firn_disk *disk;
    struct firn_env *env; /* NULL: its own, with a pool for the largest change */
    bool read_only;
    bool must_exist;
    bool refuse_when_full;
    uint64_t group_delay_ns;
    uint64_t group_bytes;
    uint64_t journal_bytes; /* 0: as the length of the main file suggests */
    uint64_t pool_bytes;    /* of an own environment; 0: for the largest change */
    uint64_t change_bytes;  /* of the largest change that must be possible, if known yet */
    uint64_t length;        /* of a main file that is created */
    bool may_create;        /* `about` and `length` are known */
    uint8_t about[JOURNAL_ABOUT];
};

/*
 * Opens the main file with its journal, or creates both; recovers. The errors are those of
 * firn_pipe_open.
 */
int journal_open(const struct journal_options *options, const struct journal_kind *kind,
                 void *owner, struct journal **journal, struct firn_error *err);

/* Makes all durable, applies it, unmarks, releases; waits for those who are inside. */
int journal_close(struct journal *journal, struct firn_error *err);
/* Closes and removes all files. */
int journal_destroy(struct journal *journal, struct firn_error *err);

/* Around every call of a program, so that close can wait for it. FIRN_ECLOSED. */
int journal_enter(struct journal *journal, struct firn_error *err);
void journal_leave(struct journal *journal);

/* For epochs: waiting, forcing. Not in a read-only one (FIRN_EREADONLY by journal_writable). */
struct commit *journal_commit(struct journal *journal);
int journal_writable(const struct journal *journal, struct firn_error *err);

/* ---- changes ---- */

struct journal_range {
    uint64_t offset; /* in the main file */
    uint64_t bytes;  /* at least 1 */
    bool zeros; /* they become zero: the content has nothing for them, and no limit counts them */
};

/*
 * The new content of the ranges, one after another, is what `iov` holds. They lie within the length
 * that the main file has with the change. What a shorter length cuts off is not zeroed: where the
 * file may have been longer before, a larger length comes with ranges that cover what is new.
 */
struct journal_change {
    const struct journal_range *ranges;
    size_t range_count;
    const struct iovec *iov;
    int iov_count;
    bool set_length;
    uint64_t length; /* with set_length: of the main file from then on */
};

/* Most bytes that the content of one change with so many ranges may have. */
uint64_t journal_most(const struct journal *journal, size_t ranges);
/* Whether the change has no more; journal_stage asks too. FIRN_ETOOBIG. */
int journal_fits(const struct journal *journal, const struct journal_change *change,
                 struct firn_error *err);

/*
 * Stages a change; later ranges of it win over earlier ones. The errors are those of
 * firn_pipe_write, save FIRN_EINVAL; FIRN_ERANGE: a range is empty, or beyond the length.
 */
int journal_stage(struct journal *journal, const struct journal_change *change, uint64_t *epoch,
                  struct firn_error *err);

/* Before a change sets a larger length. One thread at a time. FIRN_ENOSPC passes. */
int journal_extend(struct journal *journal, uint64_t length, struct firn_error *err);
/* After it, where the change could not be staged. */
void journal_retract(struct journal *journal);

/* The durable length of the main file. */
uint64_t journal_length(const struct journal *journal);
/* The same at the moment of which a read would be: never less far on than one before it. */
uint64_t journal_durable_length(struct journal *journal);
/* With all that is staged. FIRN_EPOISONED: that is lost. */
int journal_staged_length(struct journal *journal, uint64_t *length, struct firn_error *err);

/*
 * Reads into `buffer`: what is staged too, or only what is durable. Every `unit` bytes (counted
 * from `from`) are as one change left them. FIRN_EPOISONED (not for what is durable), FIRN_EIO,
 * FIRN_EDAMAGED (the main file is shorter than it should be), FIRN_ENOMEM.
 */
int journal_read(struct journal *journal, uint64_t from, uint64_t bytes, uint64_t unit,
                 bool durable, void *buffer, struct firn_error *err);

struct journal_look {
    uint64_t base;        /* offset in the main file from which the next one counts */
    uint64_t from, bytes; /* any */
    uint64_t least;       /* bytes that must be there */
    bool durable;
    uint64_t got; /* of them there were so many */
};

/*
 * Reads what there is of some bytes, all as of one moment. Needs no journal_enter. FIRN_ERANGE:
 * less than what must be there; FIRN_ECLOSED, and what journal_read has.
 */
int journal_look(struct journal *journal, struct journal_look *look, void *buffer,
                 struct firn_error *err);

/* ---- figures ---- */

struct journal_info {
    bool recovered;
    uint64_t replayed;
    uint64_t journal_bytes;
    uint64_t pending_bytes;
    uint64_t applies, applied_bytes, applied_writes;
};

void journal_get_info(struct journal *journal, struct journal_info *info);

struct journal_check {
    uint64_t records;
    unsigned damaged_slots;
};

/* Reads what is in the journal's file. FIRN_EDAMAGED (with `check` set), FIRN_EIO, FIRN_ENOMEM. */
int journal_verify(struct journal *journal, struct journal_check *check, struct firn_error *err);

#endif
