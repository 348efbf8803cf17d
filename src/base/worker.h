/* SPDX-License-Identifier: MIT */
/*
 * The background worker: one thread that runs tasks one after another, for all objects that share
 * it. A manual one has no thread; worker_run_all does its work in the caller.
 *
 * A task is embedded in its owner. It waits in the queue at most once; posting it again while it
 * waits changes nothing, save that it may come sooner. Posted while it runs, it runs again. A
 * task never runs twice at a time. Posting never fails and never waits for a task.
 *
 * Order: urgent tasks before normal ones, each in order of posting; a timer joins its kind when it
 * is due. One normal task has its turn after WORKER_URGENT_ROW urgent ones, so that it starts in
 * the end.
 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/error.h>

enum { WORKER_URGENT_ROW = 4 };

struct worker;

enum worker_priority { WORKER_NORMAL, WORKER_URGENT };

typedef void worker_fn(void *arg);

/* Its fields are the worker's business, guarded by its lock. */
struct worker_task {
    struct worker *worker;
    worker_fn *run;
    void *arg;
    enum worker_priority priority;
    enum worker_task_state { WORKER_IDLE, WORKER_READY, WORKER_TIMED } state;
    unsigned cancels;                    /* that wait for it to end */
    struct worker_task *next, *previous; /* ready */
    size_t place;                        /* timed: in the heap */
    uint64_t due_ns;
    uint64_t order; /* of timers that are due at the same time */
};

/* FIRN_ENOMEM; FIRN_EAGAIN: no thread to be had. The caller frees it. */
int worker_new(bool manual, struct worker **worker);

/*
 * Waits for the task that runs, and releases the worker. Its tasks must be done. Not from a task.
 * NULL is fine.
 */
void worker_free(struct worker *worker);

/*
 * Makes `task` one of the worker's, which must outlive it: run(arg) is its work. FIRN_ENOMEM: the
 * task is not to be used then.
 */
int worker_task_init(struct worker *worker, struct worker_task *task, worker_fn *run, void *arg,
                     enum worker_priority priority);

/*
 * Cancels the task and ends its use; its memory is the owner's again. May be called by the task
 * itself, which may then free itself. A zeroed task, and one that is done already, are fine.
 */
void worker_task_done(struct worker_task *task);

/* Runs the task soon. Any thread. */
void worker_post(struct worker *worker, struct worker_task *task);

/*
 * Runs the task when wait_now_ns() has reached `due_ns`. If it waits already, what comes first
 * counts. Any thread.
 */
void worker_post_at(struct worker *worker, struct worker_task *task, uint64_t due_ns);

/*
 * On return the task neither waits nor runs, unless the caller is the task itself: then it only
 * does not wait. The task may post itself meanwhile, without effect; who else may post it must have
 * been stopped before. The caller must hold no lock that the task takes.
 */
void worker_cancel(struct worker *worker, struct worker_task *task);

/*
 * Manual worker: makes all timers ready, due or not, in the order of their due times and behind
 * what is ready already; then runs tasks until none is ready. Timers that are set meanwhile wait
 * for the next call. Waits while another thread does this; does nothing in a task. Returns how many
 * tasks it ran. A worker with a thread: does nothing.
 */
size_t worker_run_all(struct worker *worker);

/* How many tasks have run. */
uint64_t worker_tasks_run(struct worker *worker);

#endif
