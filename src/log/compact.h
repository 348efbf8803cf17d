/* SPDX-License-Identifier: MIT */
/* Compaction in the background. */
#ifndef LOG_COMPACT_H
#define LOG_COMPACT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <firn/keep.h>

#include "base/worker.h"

struct compact_run;

struct compact {
    pthread_mutex_t lock; /* of what follows; taken first */
    struct worker_task task;
    struct firn_compaction what;
    uint64_t period_ns;      /* 0: none */
    uint64_t started_ns;     /* when the run that is under way began */
    struct compact_run *run; /* NULL: none is under way */
    uint64_t done_end;       /* the last run looked at all segments below it, */
    uint64_t done_changes;   /* at this count of changes of shape, */
    bool done;               /* and nothing is left to do until there are more */
    pthread_mutex_t turn;    /* one at a time writes segments anew; taken first of all */
};

int compact_init(struct firn_log *log, struct firn_error *err);
void compact_done(struct firn_log *log);

#endif
