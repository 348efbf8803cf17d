/* SPDX-License-Identifier: MIT */
/*
 * Space ahead of a writer.
 *
 * Reserving: a writer writes only into reserved space, so that a full disk is noticed before
 * anything is promised. Steps grow with the file, from 64 KiB to 32 MiB.
 *
 * Zeroing: a durable write into zeroed space is an overwrite that needs no journal of the file
 * system. It goes in claims of at most 256 KiB, each synced through a descriptor of its own, so
 * that no error of the writer's syncs is taken by it; between claims whoever zeroes pauses
 * (AHEAD_PAUSE_NS): longer bursts hold up the writer's syncs. A claim lies ahead of the writer; one
 * that catches up waits until the claim is released. Writers of large groups
 * (AHEAD_SMALL_GROUP) and those that never sync gain nothing by it.
 *
 * Where not only the writer knows what lies ahead of it (a file that was there already), a claim is
 * read first: bytes that are not zero are nobody's to overwrite, and end the zeroing of that file.
 *
 * The lock may guard what else its owner knows of the space. All but init and done may be called
 * from any thread.
 */
#ifndef COMMIT_AHEAD_H
#define COMMIT_AHEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <firn/disk.h>

#include "base/wait.h"

enum {
    AHEAD_STEP = 64 * 1024,        /* least step of preparing */
    AHEAD_MOST = 32 * 1024 * 1024, /* most */
    AHEAD_CLAIM = 256 * 1024,
    AHEAD_SMALL_GROUP = 64 * 1024, /* bytes; zeroing pays for groups up to this */
    AHEAD_PAUSE_NS = 2000000,      /* between claims */
};

/* One per file, in its owner; all zero: nothing is known of it. */
struct ahead_file {
    _Atomic uint64_t reserved_end; /* bytes that may be written */
    atomic_bool finished;          /* it grows no more: nobody reserves or zeroes */
    bool only_zeros;               /* set before its use: what is not zero stays */
    /* Under the lock: */
    uint64_t zeroed_end;  /* zeros ahead of the writer are durable up to here */
    uint64_t entered_end; /* no claim begins before it: a writer was there */
};

/* One per target: one claim at a time. */
struct ahead {
    pthread_mutex_t lock;
    struct ahead_file *claimed; /* somebody zeroes [claim_from, claim_to) of it; NULL: nobody */
    uint64_t claim_from, claim_to;
    struct wait_word released;
};

void ahead_init(struct ahead *ahead);
void ahead_done(struct ahead *ahead); /* nobody zeroes any more */

/* How far ahead of `position` space is prepared. */
uint64_t ahead_of(uint64_t position);

/*
 * Reserves [.., until) of `file`, and more ahead of it, up to `limit` (which `until` may exceed).
 * 0 if the file is finished meanwhile too: its caller looks anew. FIRN_ENOSPC if not even `until`
 * is to be had.
 */
int ahead_reserve(struct ahead *ahead, struct ahead_file *space, struct firn_file *file,
                  uint64_t until, uint64_t limit, struct firn_error *err);
/* The same with the lock. */
int ahead_reserve_locked(struct ahead *ahead, struct ahead_file *space, struct firn_file *file,
                         uint64_t until, uint64_t limit, struct firn_error *err);

/* With the lock, which it lets go: until there is no claim. */
void ahead_await_release(struct ahead *ahead);

/*
 * With the lock, which it lets go: reserves the next claim on the way to `goal` (`limit` at most),
 * then zeroes and syncs it by way of `path`. Waits for another claim first. 0: there may be more to
 * do; FIRN_EEND: the goal is reached, or the file finished (now, maybe: see only_zeros). The caller
 * holds what `space`, `file` and `path` belong to.
 */
int ahead_zero_claim(struct ahead *ahead, struct ahead_file *space, struct firn_disk *disk,
                     const char *path, struct firn_file *file, uint64_t goal, uint64_t limit,
                     struct firn_error *err);

/*
 * A writer is about to write [from, to): waits until nobody zeroes there, and from then on nobody
 * will (before `limit`).
 */
void ahead_enter(struct ahead *ahead, struct ahead_file *space, uint64_t from, uint64_t to,
                 uint64_t limit);

/* The file grows no more: waits for a claim; nobody zeroes or reserves from then on. */
void ahead_finish(struct ahead *ahead, struct ahead_file *space, uint64_t limit);

#endif
