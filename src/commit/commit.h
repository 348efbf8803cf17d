/* SPDX-License-Identifier: MIT */
/*
 * Group commit: the one way by which bytes become durable.
 *
 * A target (a log, a journal) stages bytes into buffers of a shared pool, under the target's lock,
 * and gets an epoch: the number of the group that is filling. When an epoch is durable, so is all
 * that was staged up to it. Whoever waits first takes the committing role for everybody: it closes
 * the group, writes and syncs it without the lock, publishes, and releases the role; meanwhile the
 * next group fills. The background thread does the same for what nobody waits for.
 *
 * A failed write or sync poisons the target: no later epoch is ever reported durable, every waiter
 * gets the first cause.
 */
#ifndef COMMIT_COMMIT_H
#define COMMIT_COMMIT_H

#include <firn/env.h>
#include <firn/stats.h>

#include "base/histogram.h"
#include "base/lock.h"
#include "base/wait.h"
#include "base/worker.h"

enum {
    COMMIT_BUFFER = 64 * 1024, /* bytes of a pool's buffer */
    COMMIT_BUFFER_HEAD = 64,
    COMMIT_ALIGNMENT = 64, /* a line of the processor's cache */
    COMMIT_BUFFER_ROOM = COMMIT_BUFFER - COMMIT_BUFFER_HEAD - COMMIT_ALIGNMENT,
    COMMIT_SLOTS = 8, /* waiters of epoch e sleep at slot e % 8 */
    COMMIT_AGAIN = 1, /* commit_provide let the lock go: plan anew */
};

/* The head of a pool buffer; its bytes follow. The owner says where they go. */
struct commit_buffer {
    struct commit_buffer *next;
    void *file;        /* owner's */
    uint64_t position; /* owner's: in the file */
    uint32_t used;     /* bytes staged, at most COMMIT_BUFFER_ROOM */
};

/* Aligned as they will be in the page cache: the system copies them faster then (half again). */
static inline uint8_t *commit_bytes(struct commit_buffer *buffer)
{
    return (uint8_t *)buffer + COMMIT_BUFFER_HEAD + buffer->position % COMMIT_ALIGNMENT;
}

struct commit_group {
    uint64_t epoch;
    struct commit_buffer *first;
    struct commit_buffer *last;
    uint64_t bytes;
    uint64_t items;
};

struct commit_ops {
    /* Under the lock, before a group is taken: finish what is open in its last buffer. */
    void (*seal)(void *owner);
    /*
     * In the committing role, without the lock: writes the group (it may be empty) and, with
     * `durable`, makes it and everything written before durable.
     */
    int (*write)(void *owner, struct commit_group *group, bool durable, struct firn_error *err);
    /* Under the lock, after write has succeeded and before waiters learn of it. */
    void (*publish)(void *owner, bool durable);
    /* Without the lock, soon after something became durable, or the target was poisoned: wakes
     * those outside. NULL is fine. */
    void (*announce)(void *owner);
    /*
     * Without the lock, by a stager that is about to wait for buffers while others commit: does a
     * part of other work that is due. False: there is none. NULL is fine.
     */
    bool (*help)(void *owner);
};

/* What the background thread does, delay_ns after the first bytes or at `bytes`. */
enum commit_background {
    COMMIT_DURABLE, /* makes durable */
    COMMIT_WRITE,   /* writes without sync */
};

struct commit_options {
    enum commit_background background;
    uint64_t delay_ns; /* WAIT_FOREVER: never by itself */
    uint64_t bytes;
    bool refuse; /* no free buffer: FIRN_EAGAIN instead of waiting */
};

/* Who is to be woken when the lock is let go. */
struct commit_wakes {
    unsigned all;          /* bit i: everybody at slots[i] */
    bool role;             /* everybody at `role` */
    bool announce;         /* those outside */
    struct wait_word *one; /* one of those here */
};

struct commit {
    struct firn_env *env;
    const struct commit_ops *ops;
    void *owner;
    struct commit_options options;
    struct commit *next_target, *previous_target; /* the environment's list */

    struct lock lock; /* staging; guards all below */
    struct commit_group filling;
    struct commit_group in_flight;
    struct commit_buffer *spare;
    size_t spares;
    bool committing; /* somebody has the role */
    bool frozen;
    bool closed;
    bool rerun;     /* the background task found the role taken */
    bool scheduled; /* the background thread knows of the filling group */
    bool poisoned;
    struct firn_error poison;
    _Atomic uint64_t durable; /* epoch */
    uint64_t written;         /* epoch */
    uint64_t goal;            /* epoch that the background thread was asked to make durable */
    struct wait_word slots[COMMIT_SLOTS];
    unsigned waiting[COMMIT_SLOTS];
    struct wait_word role; /* changes when the role or the freeze ends */
    unsigned sleepers;     /* on `role` */
    struct commit_wakes wakes;
    struct worker_task task;

    uint64_t last_items; /* in the last durable group */
    uint64_t groups, items, bytes, syncs, stalls;
    struct histogram group_items, sync_ns;
};

/* ops and owner stay the caller's. FIRN_ENOMEM. */
int commit_init(struct commit *commit, struct firn_env *env, const struct commit_ops *ops,
                void *owner, const struct commit_options *options, struct firn_error *err);
/* After commit_close, or when nothing was ever staged. */
void commit_done(struct commit *commit);

/* ---- staging ---- */

/*
 * Takes the lock to stage; waits while the target is frozen. FIRN_EPOISONED, FIRN_ECLOSED: the lock
 * is not held then.
 */
int commit_begin(struct commit *commit, struct firn_error *err);
/*
 * Sees to it that `buffers` spare ones are there. 0; COMMIT_AGAIN: the lock was let go in between,
 * plan anew and ask again; negative (FIRN_EAGAIN, FIRN_ENOMEM, FIRN_EPOISONED, FIRN_ECLOSED): the
 * lock is not held any more.
 */
int commit_provide(struct commit *commit, size_t buffers, struct firn_error *err);
/* Adds a spare buffer to the group; there must be one. */
struct commit_buffer *commit_add(struct commit *commit, void *file, uint64_t position);
/* Counts what was staged; with `background`, the background thread sees to it if nobody waits. */
uint64_t commit_staged(struct commit *commit, uint64_t bytes, uint64_t items, bool background);
/* Lets the lock go, and gives unused buffers back. */
void commit_end(struct commit *commit);

/* ---- durability ---- */

/* Until `epoch` is durable or `timeout_ns` is over (WAIT_FOREVER: none; 0: only looks).
 * FIRN_EINVAL, FIRN_ETIMEDOUT, FIRN_EPOISONED. */
int commit_wait(struct commit *commit, uint64_t epoch, uint64_t timeout_ns, struct firn_error *err);
/* Makes all that is staged durable. FIRN_EPOISONED. */
int commit_force(struct commit *commit, struct firn_error *err);
uint64_t commit_durable(const struct commit *commit);

/* Commits what is staged if the role is free: to get buffers back. */
void commit_push(struct commit *commit);
/* Asks the background thread to do so. */
void commit_kick(struct commit *commit);

/*
 * Makes all durable, then keeps everybody else from staging and committing until commit_thaw.
 * FIRN_EPOISONED, FIRN_ECLOSED: not frozen.
 */
int commit_freeze(struct commit *commit, struct firn_error *err);
void commit_thaw(struct commit *commit);

/* Poisons from outside a commit: a change of the store that failed half-way. */
void commit_poison(struct commit *commit, const struct firn_error *cause);
/* The result for callers of a poisoned target, with its cause. Takes no lock: call under it. */
int commit_poisoned(const struct commit *commit, struct firn_error *err);

/* Refuses further staging, makes all durable, wakes everybody. FIRN_EPOISONED. */
int commit_close(struct commit *commit, struct firn_error *err);

void commit_get_stats(struct commit *commit, struct firn_commit_stats *stats);

#endif
