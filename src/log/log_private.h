/* SPDX-License-Identifier: MIT */
/*
 * The inside of a log, shared by the files of this room.
 *
 * Who may touch what:
 * - `staging` and the filling group: under the commit lock (stage.c).
 * - `active` and writes to segments: the committing role (write.c), or a freeze (truncate.c).
 * - `list`: published atomically; changed under `list_lock`; readers are inside `grace`.
 * - `checkpoint` and its file: under `checkpoint_lock`.
 * - `admin`: one change of shape (truncate, remove, settle) at a time. Order of locks: admin,
 *   freeze, then one of the others; the committing role never waits for `admin`.
 */
#ifndef LOG_PRIVATE_H
#define LOG_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include <firn/keep.h>
#include <firn/log.h>
#include <firn/spool.h>

#include "base/error.h"
#include "base/snapshot.h"
#include "commit/ahead.h"
#include "commit/commit.h"
#include "disk/disk.h"
#include "log/age.h"
#include "log/batch.h"
#include "log/checkpoint.h"
#include "log/compact.h"
#include "log/follow.h"
#include "log/handles.h"
#include "log/index.h"
#include "log/named.h"
#include "log/record.h"
#include "log/scan.h"
#include "log/stats.h"

enum {
    LOG_BATCH_TARGET = 8 * 1024,            /* bytes of a batch of single records, about */
    LOG_AGE_STORE_MS = 60 * 1000,           /* between storing marks of a segment that grows */
    LOG_CHECKPOINT_BYTES = 4 * 1024 * 1024, /* durable bytes between checkpoints */
    CACHE_DEFAULT = 64,                     /* indexes in memory */
    LOG_NAME_SIZE = 48,                     /* a file's name in the directory, with NUL */
};

/* ---- segments (segment.c) ---- */

struct segment {
    _Atomic unsigned refs;
    uint64_t base;
    struct firn_disk *disk;
    const char *dir;                   /* the log's */
    struct segment *next_pending;      /* prepare.c */
    char spare_name[LOG_NAME_SIZE];    /* while it is not named by its base */
    _Atomic(struct firn_file *) file;  /* opened when first needed */
    _Atomic(struct index *) index;     /* NULL: not in memory (cache.c) */
    atomic_bool distrusted;            /* the file of its index was wrong */
    struct segment *newer, *older;     /* in the cache's order, under its lock */
    struct index_cache *_Atomic cache; /* whose order it is in; NULL: none */
    atomic_bool singles;               /* the batch read last by way of the index has one record */
    _Atomic int64_t highest_time;      /* timestamp, once it is finished; INT64_MIN: not known */
    _Atomic uint64_t durable_end;      /* bytes; what lies before is durable */
    _Atomic uint64_t written_end;      /* bytes handed to the storage */
    _Atomic uint64_t extended_end;     /* a follower's: its index goes up to there, about */
    struct ahead_file space;           /* what may be written, and what is zeroed */
    bool writable;
    bool indexed;           /* its index is on storage (settle.c) */
    uint64_t indexed_end;   /* bytes of store that it covers there while it grows (settle's) */
    int64_t max_time;       /* highest timestamp so far (the committer's) */
    int64_t mark_due;       /* the committer's: no mark of age is made before */
    struct age_marks marks; /* under the log's age_lock */

    _Atomic(struct handles *) handles; /* handles.c; NULL: it was in no list yet */
    struct segment *file_next, *file_previous;
    struct firn_file *late_file;
    atomic_bool listed, file_used;
};

struct segment_list {
    struct grace_item item;
    size_t count;
    struct segment *at[];
};

struct segment *segment_new(struct firn_disk *disk, const char *dir, uint64_t base, bool writable);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment); /* NULL is fine */
void segment_name(uint64_t base, const char *suffix, char name[LOG_NAME_SIZE]);
/* True and the base if `name` is that of a segment's store. */
bool segment_parse_name(const char *name, uint64_t *base);
int segment_path(const struct segment *segment, char *path, size_t size, struct firn_error *err);
/* Its file, opened if needed. Any thread. */
int segment_file(struct segment *segment, struct firn_file **file, struct firn_error *err);
/* An index made from the store: never fails but for want of memory. Any thread. */
int segment_rebuild_index(struct segment *segment, struct index **index, struct firn_error *err);
/*
 * Reads batch headers of [from, to), adds their entries and raises *max_time. Ends silently at
 * damage.
 */
int segment_build_index(struct segment *segment, struct index *index, uint64_t from, uint64_t to,
                        int64_t *max_time, struct firn_error *err);
/*
 * For a segment that will grow, when nobody reads it yet: goes on from the last entry to `end`, or
 * from the start, *rebuilt, if that entry is wrong.
 */
int segment_resume_index(struct segment *segment, uint64_t end, bool *rebuilt,
                         struct firn_error *err);
/* What is stored of the index of a segment that grew, as far as it can be relied on for what lies
   before `end`; or an empty one. NULL: no memory. */
struct index *segment_load_part(struct segment *segment, uint64_t end);
/* Removes the indexes, if that can be done: a stale one would do no harm. */
void segment_discard_index(struct firn_disk *disk, const char *dir, uint64_t base);
/* Removes store and indexes; what is missing already is fine. */
int segment_remove_files(struct firn_disk *disk, const char *dir, uint64_t base,
                         struct firn_error *err);

static inline uint64_t segment_durable_end(const struct segment *segment)
{
    return atomic_load_explicit(&segment->durable_end, memory_order_acquire);
}

/* ---- the log ---- */

/* Where the next record goes. */
struct staging {
    struct segment *segment; /* NULL: none yet */
    uint64_t position;
    uint64_t next_index;
    uint8_t *batch; /* header of the batch that still takes records; NULL: none */
    struct batch open;
};

/* Space ahead of the writer (prepare.c). */
struct prepare {
    struct ahead ahead; /* its lock guards all of this */
    struct worker_task task;
    struct segment *spare;                        /* ready for the next rotation */
    struct segment *first_pending, *last_pending; /* staged to, and not named yet, in order */
    uint64_t spare_count;                         /* for names */
    const struct segment *naming; /* about to get its name: nobody opens it by one */
    struct segment *target;       /* where the committer writes */
    uint64_t target_position;     /* and how far it is */
    bool zeroing;                 /* durable writes are small: zeroing pays */
};

/* Retention in the background (retain.c). */
struct retain {
    pthread_mutex_t lock;
    struct worker_task task;
    struct firn_retention what;
    uint64_t period_ns; /* 0: none */
};

/* Indexes in memory (cache.c). */
struct index_cache {
    pthread_mutex_t lock;
    struct segment *newest, *oldest;
    size_t count, capacity;
    uint64_t evictions;
};

struct log_hole {
    struct firn_hole hole;
    char text[96];
};

struct firn_log {
    struct firn_log_options options;
    struct firn_disk *disk;
    struct firn_env *env;
    bool own_env;
    char *dir;
    struct firn_lock *lock;
    uint64_t record_limit;

    struct commit commit;
    struct staging staging;
    struct segment *active; /* what the committer writes to */
    uint64_t written_next;  /* one above the last record written */
    bool unsynced;          /* bytes written to `active` and not synced */
    _Atomic bool life_started;
    uint32_t generation;    /* of this life */
    uint64_t settled_bytes; /* durable bytes since the last checkpoint */
    struct place place;     /* behind the last durable record; under the commit lock */

    struct grace grace;
    pthread_mutex_t list_lock;
    _Atomic(struct segment_list *) list;
    _Atomic uint64_t lowest;
    _Atomic uint64_t durable_next;
    _Atomic uint64_t written_index; /* one above the last record handed to the storage */
    _Atomic uint64_t truncations;   /* odd while one is under way */
    _Atomic uint64_t now_ticks;     /* when now_ms was read; 0: never */
    _Atomic int64_t now_ms;
    atomic_flag now_noting;

    pthread_mutex_t admin;
    pthread_mutex_t checkpoint_lock;
    struct checkpoint checkpoint;
    struct firn_file *checkpoint_file;
    struct checkpoint_slots slots; /* as found at open */
    bool checkpoint_missing;
    bool leftovers;         /* of removed segments are in the directory */
    bool leftover_cut;      /* a file of a truncation is, too */
    bool has_reserve;       /* reserve.c */
    bool checkpoint_healed; /* a slot was bad, and was written anew */
    bool age_healed;        /* so was the file of append times */

    pthread_mutex_t age_lock;   /* marks of age; taken last */
    int64_t write_time;         /* of the group that is being written, ms */
    _Atomic int64_t last_write; /* of all that is written, ms; INT64_MIN: not known */
    int64_t age_stored;         /* when the active segment's marks were, ms (settle's) */
    struct index_cache cache;
    struct handles handles;
    struct stats stats;
    struct follow follow;
    struct named named;
    struct prepare prepare;
    struct retain retain;
    struct compact compact;
    _Atomic uint64_t aside_count; /* for names */
    struct worker_task settle;

    struct firn_recovery recovery;
    struct log_hole *holes; /* found by recovery */
    size_t hole_count;
};

/* Bytes that a segment may have, the overflow included. */
static inline uint64_t log_segment_most(const struct firn_log *log)
{
    return log->options.segment_bytes + log->options.segment_overflow_bytes;
}

/* ---- list.c ---- */

/* The last segment with base <= `index`, with a reference; NULL if none. Any thread. */
struct segment *list_find(struct firn_log *log, uint64_t index);
/* The segment that follows the one with `base`, with a reference; NULL if none. */
struct segment *list_after(struct firn_log *log, uint64_t base);
struct segment *list_first(struct firn_log *log);
/* Base of the segment behind the one with `base`; UINT64_MAX if it is the last. */
uint64_t list_next_base(struct firn_log *log, uint64_t base);
size_t list_count(struct firn_log *log, uint64_t *bytes);
/* Takes over the caller's reference. FIRN_ENOMEM. */
int list_append(struct firn_log *log, struct segment *segment);
/* Puts `segment` in the place of all segments with its base or a higher one. FIRN_ENOMEM. */
int list_replace_end(struct firn_log *log, struct segment *segment);
/* Replaces all; takes over the references. FIRN_ENOMEM. */
int list_set(struct firn_log *log, struct segment **segments, size_t count);
/* Keeps segments with keep_from <= base <= keep_to. FIRN_ENOMEM. */
int list_keep(struct firn_log *log, uint64_t keep_from, uint64_t keep_to);
/* Puts `segment` in the place of `old`, with a reference of its own. FIRN_ENOMEM; FIRN_ENOENT:
   `old` is not there. */
int list_exchange(struct firn_log *log, struct segment *old, struct segment *segment);
void list_free(struct firn_log *log);

/* ---- cache.c ---- */

void cache_init(struct firn_log *log);
/* A segment's index, with a reference; *rebuilt says whether it had to be made anew. */
int cache_get(struct firn_log *log, struct segment *segment, struct index **index, bool *rebuilt,
              struct firn_error *err);
/* index_floor_next by a plain read: changes no order. */
int cache_floor(struct firn_log *log, struct segment *segment, uint32_t relative,
                struct index_entry *entry, struct index_entry *next, bool *found,
                struct firn_error *err);
/* A cursor enters the segment. Costs what loading its index costs, if it is not in memory. */
void cache_touch(struct firn_log *log, struct segment *segment);
/* The index of a finished segment need not stay in memory any more. */
void cache_stored(struct firn_log *log, struct segment *segment);
/* An entry of its index was wrong: makes it anew from the store, once. */
void cache_distrust(struct firn_log *log, struct segment *segment);
/* The segment is released. */
void cache_forget(struct segment *segment);

/* ---- now.c ---- */

/* The disk's time in ms since 1970. Any thread. */
int64_t log_now(struct firn_log *log);

/* ---- info.c ---- */

/* Of the last life that wrote, as far as this handle knows. Any thread. */
uint32_t log_generation(struct firn_log *log);
/* FIRN_EPOISONED: this handle writes no more. */
int log_check_poison(struct firn_log *log, struct firn_error *err);

/* ---- write.c: the committer's side; commit_ops ---- */

void log_seal(void *owner);
int log_write(void *owner, struct commit_group *group, bool durable, struct firn_error *err);
void log_publish(void *owner, bool durable);
void log_announce(void *owner);
/* Durably raises the generation and takes the clean marker away, once in a life. */
int log_begin_life(struct firn_log *log, struct firn_error *err);
/* Cuts the prepared tail of the active segment and makes it durable: it grows no more. */
int log_finish_active(struct firn_log *log, struct firn_error *err);
/* Gives a segment its name, durably, in place of its spare one. */
int log_name_segment(struct firn_log *log, struct segment *segment, struct firn_error *err);
/* Bases and sizes of the segments, for the clean marker. */
uint32_t log_segments_crc(struct segment_list *list);

/* ---- append.c ---- */

/* Appends a whole batch that was checked: its base and generation are set, and what is left open in
   one that firn built. */
int log_append_ready(struct firn_log *log, const uint8_t *bytes, const struct batch *batch,
                     const struct firn_append_options *options, struct firn_appended *appended,
                     struct firn_error *err);

/* ---- prepare.c ---- */

int prepare_init(struct firn_log *log, struct firn_error *err);
void prepare_done(struct firn_log *log); /* removes spares */
/* Makes [.., until) of the segment writable: FIRN_ENOSPC. No lock held. */
int prepare_reserve(struct firn_log *log, struct segment *segment, uint64_t until,
                    struct firn_error *err);
/* A segment without name, with its first `bytes` reserved. */
int prepare_spare(struct firn_log *log, uint64_t bytes, struct firn_error *err);
/*
 * Takes the spare that has `bytes` reserved, or NULL; it will hold the records from `base` on. It
 * stays prepare's until it has a name.
 */
struct segment *prepare_take_spare(struct firn_log *log, uint64_t base, uint64_t bytes);
void prepare_named(struct firn_log *log, struct segment *segment);
/* Around a rename of the segment's file, which whoever zeroes opens by its name. */
void prepare_begin_naming(struct firn_log *log, struct segment *segment);
void prepare_end_naming(struct firn_log *log, struct segment *segment, bool named);
/*
 * The committer enters [from, to) of the segment: waits until nobody zeroes there, and from then on
 * nobody will.
 */
void prepare_await(struct firn_log *log, struct segment *segment, uint64_t from, uint64_t to);
/* The segment grows no more: nobody zeroes or reserves in it from then on. */
void prepare_finish(struct firn_log *log, struct segment *segment);
/* Called by the committer after a group: has the background prepare if that pays. */
void prepare_consider(struct firn_log *log, const struct commit_group *group, bool durable);
/* Forgets what it knows of the segment that is written to, which is about to be another, and spares
   that nothing was staged to. In a freeze; staging is set anew after it. */
void prepare_forget(struct firn_log *log);

/* ---- truncate.c ---- */

/* Removes files of segments below the list's, once the checkpoint that passes them is durable. */
int log_remove_leftovers(struct firn_log *log, struct firn_error *err);
/*
 * Removes segments wholly below the lowest index: one that was the last when the beginning was
 * removed stays until another follows it. With `admin`.
 */
int log_remove_below(struct firn_log *log, struct firn_error *err);

/* An empty log begins at `index`, if that is not below its next one: FIRN_EMISMATCH. Durable. */
int log_start_at(struct firn_log *log, uint64_t index, struct firn_error *err);

/* firn_log_remove_before with `admin`. */
int log_remove_locked(struct firn_log *log, uint64_t index, struct firn_error *err);

/* ---- adopt.c ---- */

/* A segment to be written aside, whose file is empty; its name is one that recovery removes. */
int log_aside_new(struct firn_log *log, struct segment **segment, struct firn_error *err);
/* Releases it, and removes the file, unless it was adopted. NULL is fine. */
void log_aside_done(struct firn_log *log, struct segment *segment);
/*
 * Makes it the end of the log: it holds one batch, durably but for base and generation. In any case
 * the caller keeps its reference. FIRN_EMISMATCH (if_next); FIRN_EPOISONED: it may be in the log.
 */
int log_adopt(struct firn_log *log, struct segment *segment, struct batch *batch,
              const struct firn_append_options *options, struct firn_appended *appended,
              struct firn_error *err);

/* ---- spool.c ---- */

/* What is in memory goes to the file, also if it is little. */
int spool_spill(struct firn_spool *spool, struct firn_error *err);

/* ---- retain.c ---- */

int retain_init(struct firn_log *log, struct firn_error *err);
void retain_done(struct firn_log *log);

/* ---- reserve.c; with `admin`, or when nobody else works on the log ---- */

#define RESERVE_NAME "reserve"

/* Has it, if there is room. */
void reserve_keep(struct firn_log *log);
/* After a failure `rc`: true if that was want of space, and there is more now: try again. */
bool reserve_release(struct firn_log *log, int rc);

/* ---- settle.c ---- */

void settle_task(void *log);
/*
 * At opening: indexes and ages of the scanned segments, from the one with base `from` to the end,
 * go to storage, as far as it lets them, and need not stay in memory. FIRN_ENOMEM, FIRN_EIO.
 */
int settle_scanned(struct firn_log *log, uint64_t from, const struct place *end,
                   struct firn_error *err);
/* Writes indexes of finished segments and a checkpoint at the durable end. */
int settle(struct firn_log *log, struct firn_error *err);
/*
 * By the committer, so that the checkpoint keeps up when the background can't: `place` is durable.
 * Moves on within the segment of the last checkpoint; to the next one only where that is overdue.
 */
int settle_here(struct firn_log *log, const struct place *place, struct firn_error *err);
/* The same, with the clean marker, both slots. Only when nobody else works on the log. */
int settle_clean(struct firn_log *log, struct firn_error *err);

/* ---- recover.c, tail.c ---- */

int log_recover(struct firn_log *log, struct firn_error *err);
/* Redoes the pending intent on storage and clears it. */
int log_finish_truncation(struct firn_log *log, struct firn_error *err);
int log_add_hole(struct firn_log *log, const struct firn_hole *hole, const char *text);

/* What of the segments is kept, found by scanning what lies behind the checkpoint (tail.c). */
struct tail {
    struct place from;    /* the checkpoint's place */
    struct place end;     /* where the log ends */
    uint64_t nonzero_end; /* of the last segment: one behind its last non-zero byte */
    uint32_t generation;  /* highest seen */
};
int tail_scan(struct firn_log *log, struct tail *tail, struct firn_error *err);
/* Rewrites what is kept, copies aside and zeroes what is not. */
int tail_repair(struct firn_log *log, const struct tail *tail, struct firn_error *err);

/* ---- locate.c ---- */

/*
 * Positions `scan` (set up for this segment's file) before the batch that holds `index`, whose base
 * is then in *base, looking no further than `end`: 0; FIRN_EDAMAGED or FIRN_EIO with *hole: a
 * damaged range holds it; FIRN_ERANGE: the segment ends before it. Reads headers only, unless
 * `checked`: a damaged header may claim records that it does not have, which shows when the batch
 * is read.
 */
int locate(struct firn_log *log, struct segment *segment, struct scan *scan, uint64_t end,
           uint64_t index, bool checked, uint64_t *base, struct firn_hole *hole,
           struct firn_error *err);
/* The extent of the damage at `position`, where `expected` should begin. */
int locate_hole(struct firn_log *log, struct segment *segment, uint64_t position, uint64_t expected,
                struct firn_hole *hole, struct firn_error *err);

/* ---- staged.c ---- */

/* Copies the staged batch that holds `index` into a malloc'ed buffer. FIRN_EEND: none. */
int staged_copy(struct firn_log *log, uint64_t index, uint8_t **bytes, size_t *capacity,
                struct batch *batch, struct firn_error *err);

#endif
