/* SPDX-License-Identifier: MIT */
/* The timers of a worker: a heap of tasks, the one that is due first on top. */
#ifndef BASE_WORKER_PRIVATE_H
#define BASE_WORKER_PRIVATE_H

#include "base/worker.h"

struct worker_timers {
    struct worker_task **heap;
    size_t count;
    size_t capacity;
};

/* Room for `count` tasks, so that worker_timers_add can't fail. FIRN_ENOMEM. */
int worker_timers_reserve(struct worker_timers *timers, size_t count);
/* By due_ns and order, which stay as they are while the task is in the heap. */
void worker_timers_add(struct worker_timers *timers, struct worker_task *task);
void worker_timers_remove(struct worker_timers *timers, struct worker_task *task);
/* The one that is due first; NULL if there is none. */
struct worker_task *worker_timers_first(const struct worker_timers *timers);

#endif
