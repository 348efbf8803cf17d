/* SPDX-License-Identifier: MIT */
/*
 * The sparse index of a segment: for about every 2 KiB of store, a batch's relative base index,
 * its position, and the highest timestamp up to and including it. Derived from the store, never
 * trusted: whoever uses an entry checks that the batch there has that base.
 *
 * One thread appends (the committer); any number look up at the same time without locks: entries
 * live in chunks that never move, and the count is published after the entry.
 */
#ifndef LOG_INDEX_H
#define LOG_INDEX_H

#include <stdatomic.h>

#include <firn/disk.h>

#include "base/snapshot.h"

enum { INDEX_INTERVAL = 2048 }; /* bytes of store between entries, at least */

struct index_entry {
    uint32_t relative; /* base index of the batch, less the segment's */
    uint32_t position; /* of the batch in the store */
    int64_t max_time;  /* highest timestamp in the segment up to the end of this batch, ms */
};

struct index;

struct index *index_new(void); /* with one reference; NULL: out of memory */
struct index *index_ref(struct index *index);
void index_unref(struct index *index); /* NULL is fine */
/* Gives up a reference that readers in `grace` may still be using. NULL is fine. */
void index_retire(struct index *index, struct grace *grace);

/*
 * Adds an entry if none is there yet or the last lies INDEX_INTERVAL or more before `position`, and
 * has a lower index (damaged headers may say otherwise). A time below the last entry's counts as
 * that. FIRN_ENOMEM leaves a gap, which is harmless.
 */
int index_add(struct index *index, uint32_t relative, uint32_t position, int64_t max_time);

size_t index_count(const struct index *index);
void index_get(const struct index *index, size_t i, struct index_entry *entry);
size_t index_memory(const struct index *index); /* bytes */

/* The last entry with relative <= `relative`, or false. */
bool index_floor(const struct index *index, uint32_t relative, struct index_entry *entry);
/* The same without times, and the entry behind it: *next; zeros: there is none. */
bool index_floor_next(const struct index *index, uint32_t relative, struct index_entry *entry,
                      struct index_entry *next);
/* The last entry with position <= `position`, or false. */
bool index_floor_position(const struct index *index, uint32_t position, struct index_entry *entry);
/* The first entry with max_time >= `time`, or false. The first record of that time or later lies
   behind the start of the entry before it. */
bool index_ceil_time(const struct index *index, int64_t time, struct index_entry *entry);

/* Drops the entries whose position is >= `position`. Nobody may look up at the same time. */
void index_cut(struct index *index, uint32_t position);

/* Drops the entries behind the one that has raised the time last. As above. */
void index_cut_untimed(struct index *index);

/*
 * Writes <base>.index (relative, position) and <base>.timeindex (max_time, relative; only entries
 * that raise the time) in Kafka's format and syncs both; not the directory.
 */
int index_store(const struct index *index, struct firn_disk *disk, const char *dir, uint64_t base,
                struct firn_error *err);

/*
 * The same for the entries below `position` of a segment that grows, over what was stored of it
 * before; nothing is synced. The end of this process leaves what is right or is refused; after a
 * loss of power entries may be there without their times.
 */
int index_store_part(const struct index *index, struct firn_disk *disk, const char *dir,
                     uint64_t base, uint32_t position, struct firn_error *err);

/*
 * The same for a segment that the checkpoint has passed: each file is there whole or not at all,
 * whenever the power fails.
 */
int index_replace(const struct index *index, struct firn_disk *disk, const char *dir, uint64_t base,
                  struct firn_error *err);

/*
 * Reads them back. FIRN_ENOENT, FIRN_EDAMAGED (odd size, not ascending, position not below
 * `store_bytes`, the two disagree): the caller rebuilds. FIRN_EIO, FIRN_ENOMEM.
 */
int index_load(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
               struct index **index, struct firn_error *err);

/*
 * index_floor_next in the file <base>.index, a page at a time and as suspiciously; entry->max_time
 * is not known, nor is *next at a page's end. *found false: no entry is low enough. FIRN_ENOENT,
 * FIRN_EDAMAGED, FIRN_EIO.
 */
int index_file_floor(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
                     uint32_t relative, struct index_entry *entry, struct index_entry *next,
                     bool *found, struct firn_error *err);

/*
 * The last entry, from the files. FIRN_ENOENT, FIRN_EDAMAGED (as far as the last entries tell;
 * also if there is none), FIRN_EIO.
 */
int index_file_last(struct firn_disk *disk, const char *dir, uint64_t base, uint64_t store_bytes,
                    struct index_entry *entry, struct firn_error *err);

#endif
