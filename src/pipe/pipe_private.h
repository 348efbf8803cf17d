/* SPDX-License-Identifier: MIT */
/*
 * The inside of the pipe. `reserved` and what belongs to growing are under grow_lock; the list of
 * watches is under watch_lock, inside which the commit lock may be taken.
 */
#ifndef PIPE_PIPE_PRIVATE_H
#define PIPE_PIPE_PRIVATE_H

#include <firn/pipe.h>

#include "disk/disk.h"
#include "journal/journal.h"

struct firn_pipe_watch {
    struct firn_pipe *pipe;
    struct firn_pipe_watch *next, *previous;
    struct firn_event *event;
    uint64_t epoch;
    bool signalled;
};

struct firn_pipe {
    struct journal *journal;
    struct firn_disk *disk;
    char *path;
    uint64_t wanted_bytes; /* of a chunk, by the options; 0: any */
    uint64_t chunk_bytes;
    _Atomic uint64_t count;
    uint64_t reserved; /* bytes of the file that are known to have space */
    pthread_mutex_t grow_lock;
    pthread_mutex_t watch_lock;
    struct firn_pipe_watch *watches;
};

extern const struct journal_kind pipe_kind; /* mark.c */

/* What stands in the journal's header of a pipe with that chunk size. */
void pipe_set_about(uint8_t about[JOURNAL_ABOUT], uint64_t chunk_bytes);
int pipe_check_chunk_bytes(const char *path, uint64_t chunk_bytes, struct firn_error *err);

/* The bytes of the buffers: whole chunks from `index` on, which are there. Sets the range. */
int pipe_check_write(const struct firn_pipe *pipe, uint64_t index, const struct iovec *buffers,
                     int count, struct journal_range *range, struct firn_error *err);
int pipe_check_range(const struct firn_pipe *pipe, uint64_t index, uint64_t count,
                     struct firn_error *err);

/* Something became durable, or nothing will any more. */
void pipe_announce(void *pipe);

/* Around calls that write; FIRN_EREADONLY, FIRN_ECLOSED. */
int pipe_enter_to_write(struct firn_pipe *pipe, struct firn_error *err);

#endif
