/* SPDX-License-Identifier: MIT */
/* Which segments have their file open (handles.c). */
#ifndef LOG_HANDLES_H
#define LOG_HANDLES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct firn_log;
struct firn_log_stats;
struct grace;
struct segment;

struct handles {
    pthread_mutex_t lock;
    struct grace *grace;
    struct segment *hand; /* of the ring of those whose file is open; NULL: none */
    _Atomic size_t count;
    size_t most;
    uint64_t opened, closed; /* so far; closed to keep to the bound */
};

void handles_init(struct firn_log *log);
void handles_done(struct firn_log *log);
/* The segment is about to be in the log's list: from now on its file may be closed when unused. */
void handles_list(struct firn_log *log, struct segment *segment);
/* It will not be there any more, and may be removed: its file stays open for who has it. Before the
   list's reference is given up. */
void handles_unlist(struct segment *segment);
/* Its file was opened just now: closes others, if they are too many. */
void handles_opened(struct segment *segment);
/* Closes all that can be closed, but for this segment's. False: none could be. */
bool handles_relieve(struct segment *segment);
void handles_get_stats(struct handles *handles, struct firn_log_stats *stats);
/* Nobody holds it any more. */
void handles_forget(struct segment *segment);

#endif
