/* SPDX-License-Identifier: MIT */
/*
 * The journal's inside.
 *
 * Positions are virtual: they count bytes from the life's first record on and never go back; the
 * ring in the file is JOURNAL_START plus the position modulo the ring's size. A record that does
 * not follow the one before stands at the ring's start: what is left of the ring there is skipped.
 *
 * Who may touch what:
 * - commit.lock: tail, head, lap, sequence, staged_length, published, the counts of bytes, and the
 *   maps of what is in memory.
 * - map_lock (inside commit.lock, where both are needed): the pools, the maps of what is durable
 *   (the one being applied is only read meanwhile), indexed.
 * - the committing role: written, next_claim.
 * - apply.lock: apply. life_lock: beginning and ending a life. head_lock: the header's slots.
 * - Readers are inside `grace` while they use what they found: places in the journal that may be
 *   used again, and the main file, which must not change under them.
 */
#ifndef JOURNAL_JOURNAL_PRIVATE_H
#define JOURNAL_JOURNAL_PRIVATE_H

#include "base/extents.h"
#include "base/gate.h"
#include "base/lock.h"
#include "base/snapshot.h"
#include "base/wait.h"
#include "base/worker.h"
#include "commit/ahead.h"
#include "commit/run.h"
#include "disk/disk.h"
#include "disk/slots.h"
#include "journal/journal.h"
#include "journal/redo.h"

enum { JOURNAL_START = SLOTS_BYTES };

/* What files have, and positions and sequence numbers reach: sums of them never overflow. */
#define JOURNAL_MOST (UINT64_C(1) << 62)

/* An extent whose position is this or more is zeros, which no record holds. */
#define ZEROS_FROM (UINT64_C(1) << 63)

#define NOT_PLAIN UINT64_MAX

/* A point between two records. */
struct point {
    uint64_t position;
    uint64_t sequence; /* of the record behind it */
    uint64_t length;   /* of the main file there */
    uint64_t bytes;    /* of all records before it since the journal was opened; not stored */
};

/* The header. */
struct head {
    bool pending; /* the main file is right only together with the records from `from` on */
    uint8_t nonce[JOURNAL_NONCE];
    uint64_t ring; /* bytes */
    struct point from;
    uint8_t about[JOURNAL_ABOUT];
};

/* What a group that is still in memory changes; filled when a reader needs it. */
struct staged_map {
    struct extents extents;
    struct commit_walk next; /* the first record that is not in it; no buffer: from the group's */
};

struct apply {
    pthread_mutex_t lock;
    bool running;
    struct point target;
    uint64_t length; /* of the main file: what lies beyond is not applied */
    uint64_t next;   /* offset in the main file up to which it is done */
    uint64_t fresh;  /* from there on the main file is zeros that nobody has written */
    uint8_t *buffer; /* while it runs */
    uint64_t applies, bytes, writes;
};

struct journal {
    const struct journal_kind *kind;
    void *owner;
    struct journal_options options;
    char *path;         /* of the main file */
    char *journal_path; /* .journal */
    char *lock_path;    /* .lock */
    char *dir;
    struct firn_disk *disk;
    struct firn_env *env;
    bool own_env;
    struct firn_lock *lock;
    struct firn_file *main;
    struct firn_file *file;   /* the journal: records */
    struct firn_file *header; /* the journal: its slots, with a descriptor for themselves */

    uint64_t ring;        /* bytes; stays while it is open */
    _Atomic uint64_t lap; /* of it that is used, so far; changes under commit.lock */
    uint64_t salt;        /* of this life's records */

    struct commit commit;
    uint64_t tail, head, sequence, staged_length;
    struct point published;               /* behind the last group whose epoch is durable */
    uint64_t staged_bytes, applied_bytes; /* of records */
    struct staged_map filling, in_flight;

    pthread_mutex_t map_lock;
    struct extent_pool pool;        /* of durable, applying */
    struct extent_pool staged_pool; /* of the others */
    _Atomic size_t owed;            /* places in `durable` that staged changes will take */
    _Atomic size_t places;          /* that can be taken */
    struct extents durable, applying;
    struct point indexed; /* behind the last record in `durable` */
    /* Of the main file, where it has all that is durable; else NOT_PLAIN. Changes with map_lock. */
    _Atomic uint64_t plain_length;

    uint64_t written;    /* position */
    uint64_t next_claim; /* all records below that sequence are durable */
    _Atomic uint64_t length;

    struct apply apply;
    struct worker_task apply_task;
    atomic_bool apply_wanted; /* a writer was refused for want of room */
    struct grace grace;

    struct ahead ahead;
    struct ahead_file space;
    struct worker_task ahead_task;
    uint64_t ahead_position; /* under the lock of `ahead` */
    bool zeroing;

    pthread_mutex_t life_lock;
    atomic_bool life_started;
    pthread_mutex_t head_lock;
    struct head state;
    uint64_t head_sequence; /* of the slots */
    bool head_confirmed;    /* written since it was read */

    bool recovered;
    uint64_t replayed;
    unsigned damaged_slots; /* when it was opened */
    bool slots_differ;      /* likewise: one is damaged, or older */
    struct gate gate;
};

/* ---- the handle (open.c) ---- */

void journal_stop_tasks(struct journal *journal);
/* Releases everything, in whatever state. */
void journal_free(struct journal *journal);
/* Removes the lock's file, and lets the lock go. */
int journal_remove_lock(struct journal *journal, struct firn_error *err);

/* ---- its names (links.c) ---- */

/* `path`, or, if that is a symbolic link, where it leads. FIRN_ETOOBIG, FIRN_EINVAL. */
int links_follow(struct firn_disk *disk, const char *path, char found[DISK_PATH_SIZE],
                 struct firn_error *err);

/* ---- the header (head.c) ---- */

/* Reads the slots: FIRN_ENOENT (no file), FIRN_EDAMAGED, FIRN_EFORMAT. */
int head_load(struct journal *journal, struct firn_error *err);
/* How many slots are damaged, as they are now. What head_load has, if none is whole. */
int head_check(struct journal *journal, unsigned *damaged, struct firn_error *err);
/* Creates the file, durably, whole or not at all. */
int head_create(struct journal *journal, struct firn_error *err);
/* Writes both slots durably; `next` becomes journal->state. */
int head_store(struct journal *journal, const struct head *next, struct firn_error *err);

/* ---- the ring (space.c) ---- */

static inline uint64_t ring_offset(const struct journal *journal, uint64_t position)
{
    return JOURNAL_START + position % journal->ring;
}

/* The position at or behind `from` whose offset in the file is `offset`. */
uint64_t ring_position(const struct journal *journal, uint64_t from, uint64_t offset);
/* With commit.lock: where a record of `bytes` bytes goes that is staged now. */
uint64_t ring_place(struct journal *journal, uint64_t bytes);
/* With commit.lock: whether it has room, and space in the file. 0, FIRN_EAGAIN, FIRN_ENOSPC (not
   reserved yet). */
int space_look(const struct journal *journal, uint64_t start, uint64_t bytes);
/* With commit.lock: whether so much is durable and not applied that it is time to. */
bool space_is_used(const struct journal *journal);
/* Without: sees to it. */
int space_make(struct journal *journal, uint64_t start, uint64_t bytes, int reason,
               struct firn_error *err);
/* In the committing role, before and after a run of bytes is written. */
void space_enter(struct journal *journal, uint64_t offset, uint64_t bytes);
void space_consider(struct journal *journal, uint64_t group_bytes);
void space_task(void *journal);

/* ---- a life (life.c) ---- */

/*
 * `rc`, and where it is a failure: poisons, and `*err` is the cause. What a failed write leaves of
 * header, mark or main file is not known, so nothing more is written then.
 */
int journal_poison(struct journal *journal, int rc, const struct firn_error *cause,
                   struct firn_error *err);

/* Before the first change: header pending, main file marked. */
int life_begin(struct journal *journal, struct firn_error *err);
/* The nonce of this life. */
void life_nonce(struct journal *journal, uint8_t nonce[JOURNAL_NONCE]);
/* Nothing is pending any more: mark off, header clean, journal short. */
int life_end(struct journal *journal, struct firn_error *err);
/* The file has its header, and no records. */
int life_shorten(struct journal *journal, struct firn_error *err);

/* ---- staging (stage.c) ---- */

/* Most bytes of a change's content with this pool (NULL: any) and ring. */
uint64_t change_most(const struct firn_env *env, uint64_t ring, size_t ranges);

/* ---- commit (write.c) ---- */

extern const struct commit_ops journal_commit_ops;

/* ---- what changed where (layers.c) ---- */

/* Where the ranges of records are entered. */
struct entry {
    struct extents *map;
    struct extent_pool *pool;
    bool in_memory; /* the content is found by its buffer */
};

/*
 * With map_lock: enters ranges of a record, whose content begins at `*image`; moves `image` and
 * `walk` (NULL: not in memory) on. The places are reserved.
 */
void layers_put(const struct entry *entry, const uint8_t *table, size_t ranges, uint64_t *image,
                struct commit_walk *walk);
/* Enters the record that `walk` stands at, at `position`, and moves it behind it. */
void layers_put_record(const struct entry *entry, struct commit_walk *walk, uint64_t position);
/* With map_lock, after `durable` or its pool changed: how many places it has left. */
void layers_note_places(struct journal *journal);

/* ---- applying (apply.c) ---- */

/* One step. 0: there may be more; FIRN_EEND: the main file has all that was durable. Poisons. */
int apply_step(struct journal *journal, struct firn_error *err);
/* All of it. */
int apply_all(struct journal *journal, struct firn_error *err);
void apply_task(void *journal);
/* One step, if it is due and nobody is at it. */
bool apply_help(struct journal *journal);

/* ---- recovery (recover.c) ---- */

/*
 * Finds out what a life left, and ends it; read-only: in memory. FIRN_EMISMATCH: file and journal
 * don't belong together; FIRN_EDAMAGED: more was durable than can be read. Nothing is changed then.
 */
int journal_recover(struct journal *journal, struct firn_error *err);
/* Walks over the records that are durable and not applied, as the file has them. FIRN_EDAMAGED. */
int recover_count(struct journal *journal, uint64_t *records, struct firn_error *err);

#endif
