/* SPDX-License-Identifier: MIT */
/*
 * The position: a page of memory, in the file `position` beside the segments, in which the writer
 * says how far the log is durable, for readers of this and of other processes. It is never relied
 * on across a restart of the machine, and nothing is lost with it.
 */
#ifndef LOG_FOLLOW_H
#define LOG_FOLLOW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <firn/disk.h>

struct firn_log;
struct place;

#define POSITION_NAME "position"

/*
 * What lies in the memory. The writer makes `sequence` odd, changes fields, and makes it even;
 * readers take what they read if it was the same even number before and after. Fields are stored
 * with release and loaded with acquire, so no fences are needed.
 */
struct position {
    char magic[8];
    uint8_t boot[16]; /* of the machine when the writer opened the log */
    _Atomic uint32_t sequence;
    _Atomic uint32_t wake;               /* changes when there is more; who waits sleeps on it */
    _Atomic int64_t writer;              /* process; 0: none */
    _Atomic uint64_t segment, end, next; /* the durable place */
    _Atomic uint64_t lowest;
    _Atomic uint64_t truncations; /* odd while one is under way */
    _Atomic uint32_t generation;
};

struct follow {
    pthread_mutex_t lock; /* one change or refresh at a time */
    struct firn_share *share;
    struct position *position;   /* NULL: none */
    _Atomic uint32_t seen;       /* sequence of the last refresh */
    _Atomic uint32_t generation; /* of who only reads: the one last taken over */
    uint64_t truncations;        /* the writer's: of the lives before, even */
    atomic_bool followed;        /* a writer's position was taken over */
    atomic_bool interrupted;
};

void follow_init(struct firn_log *log);
void follow_done(struct firn_log *log);

/* ---- the writer ---- */

/* At opening, with the log's lock held, before anything in the log is changed. */
int follow_create(struct firn_log *log, struct firn_error *err);
/* Says how far the log is durable. With commit's lock, or when nobody else commits. */
void follow_publish(struct firn_log *log, const struct place *place);
/* Wakes who waits for that. */
void follow_wake(struct firn_log *log);
/* Both, without a lock: at the end of opening, when the lowest index has changed, at truncations.
 */
void follow_announce(struct firn_log *log);
/* At close. */
void follow_leave(struct firn_log *log);

/* ---- waiting ---- */

/* Whether the record is durable, and held or removed. */
bool follow_holds(struct firn_log *log, uint64_t index);
/* Why this handle waits for nothing any more. */
int follow_check(struct firn_log *log, struct firn_error *err);
/* Sleeps until something may have changed since this gave `seen`. */
uint32_t follow_seen(struct firn_log *log);
void follow_sleep(struct firn_log *log, uint32_t seen, uint64_t deadline);

/* ---- who only reads ---- */

/* True: a living writer has the log, and the handle shows what that one has published. */
bool follow_attach(struct firn_log *log);
/* Takes over what was published since; a load and a comparison if nothing was. Any thread. */
void follow_refresh(struct firn_log *log);

#endif
