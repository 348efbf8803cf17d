/* SPDX-License-Identifier: MIT */
/*
 * Named cursors: durable positions of readers, in the file `cursors` beside the segments.
 *
 * All positions of a log stand in one small file, which is replaced whole by each commit: so a
 * crash leaves the state before or after it, and nothing is ever overwritten that was acknowledged.
 * It has two copies of everything, so that a sector that goes bad costs nothing. What changes it
 * holds the lock `cursors.lock`, in whatever process; who only reads needs none.
 */
#ifndef LOG_NAMED_H
#define LOG_NAMED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <firn/disk.h>
#include <firn/follow.h>

#include "base/wait.h"

struct firn_log;

#define NAMED_FILE "cursors"
#define NAMED_LOCK "cursors.lock"

enum {
    NAMED_MOST = 10000, /* cursors of one log */
    NAMED_PAGE = 4096,  /* a copy's size is a multiple of it */
};

/* ---- the file (named_table.c) ---- */

struct named_entry {
    char name[FIRN_CURSOR_NAME_MAX + 1];
    uint64_t index;
    uint32_t generation; /* none of the records that were read has a higher one */
};

struct named_table {
    uint64_t sequence; /* raised by each change; 0: there is no file */
    size_t count, capacity;
    struct named_entry *entries; /* in the order of their names */
    int copies[2];               /* what loading found: 0, FIRN_EDAMAGED, or why it can't be read */
};

bool named_is_name(const char *name);
/* The entry of that name; NULL: none. */
struct named_entry *named_find(const struct named_table *table, const char *name);
/* Room for so many more. FIRN_ENOMEM; FIRN_ETOOBIG: more than NAMED_MOST. */
int named_reserve(struct named_table *table, size_t more);
/* The entry of that name; where there was none it is made, in the room that was reserved. */
struct named_entry *named_add(struct named_table *table, const char *name);
void named_drop(struct named_table *table, struct named_entry *entry);
void named_done(struct named_table *table);

/* Bytes of one copy. */
size_t named_size(const struct named_table *table);
void named_encode(const struct named_table *table, uint8_t *bytes);
/* 0; FIRN_EDAMAGED: the checksum is wrong; FIRN_EFORMAT: it is right, and this version does not
   know the content; FIRN_ENOMEM. On success the caller calls named_done. */
int named_decode(const uint8_t *bytes, size_t size, struct named_table *table);

/*
 * What the file says; a table without entries if there is none. FIRN_EDAMAGED: neither copy is
 * whole; FIRN_EFORMAT, FIRN_EIO, FIRN_ENOMEM. On success the caller calls named_done.
 */
int named_load(struct firn_disk *disk, const char *dir, struct named_table *table,
               struct firn_error *err);
/* Raises the sequence and replaces the file, durably. After an error either state may be there. */
int named_store(struct firn_disk *disk, const char *dir, struct named_table *table,
                struct firn_error *err);

/* ---- of a log (named.c) ---- */

/* A call that waits for its turn. */
struct named_request {
    struct named_request *next;
    const struct firn_position *positions; /* to store; */
    size_t count;
    const char *remove;  /* or the name that goes */
    uint32_t generation; /* of positions that come without one, and the highest there is */
    bool done;
    int rc;
    struct firn_error err;
};

struct named {
    pthread_mutex_t lock;
    struct wait_word turn;       /* changes when `busy` ends */
    bool busy;                   /* somebody changes the file, or keeps it as it is */
    struct named_request *first; /* wait for the next one who does */
    struct firn_lock *held;      /* with `busy` */
    uint64_t durable;            /* sequence of the table that this handle stored last */
};

void named_init(struct firn_log *log);
void named_free(struct firn_log *log);
/* True if a file of that name is ours, but for the lock. */
bool named_is_file(const char *name);

/* How long others are waited for: calls, and the background, which has other work. */
#define NAMED_PATIENCE_NS UINT64_C(10000000000)
#define NAMED_BACKGROUND_NS UINT64_C(100000000)

/*
 * Retention: until named_release nobody changes a position. FIRN_ELOCKED: others were at it for so
 * long.
 */
int named_hold(struct firn_log *log, uint64_t patience_ns, struct firn_error *err);
/* The lowest position, and whose it is; UINT64_MAX if there is no cursor. */
int named_lowest(struct firn_log *log, uint64_t *lowest, char name[FIRN_CURSOR_NAME_MAX + 1],
                 struct firn_error *err);
/* Before anything is removed that the positions held allow to go: what was read of them may stand
   in the page cache only. */
int named_confirm(struct firn_log *log, struct firn_error *err);
void named_release(struct firn_log *log);

/* Where no log was: positions of one that is gone, durably removed. */
int named_discard(struct firn_log *log, struct firn_error *err);

#endif
