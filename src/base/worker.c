/* SPDX-License-Identifier: MIT */
/*
 * One lock guards everything. Ready tasks stand in two lists (urgent, normal), timers in a heap; a
 * task is in at most one of them. The one that runs is in none, unless it was posted anew, and
 * `running` names it: a task is picked only when none runs, and who cancels waits until it is not
 * the one. A task that ends its own use while it runs clears `running`; it is not looked at again.
 *
 * The thread sleeps on `work`, with `sleeping` set and `alarm_ns` telling until when; whoever
 * brings something earlier clears `sleeping` and changes `work`.
 */
#include "base/worker.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/thread.h"
#include "base/wait.h"
#include "base/worker_private.h"

struct list {
    struct worker_task *first, *last;
};

struct worker {
    struct lock lock;
    struct list ready[2]; /* by priority */
    struct worker_timers timers;
    size_t registered; /* tasks */
    uint64_t next_order;
    uint64_t tasks_run;
    unsigned urgent_row; /* urgent tasks since the last normal one */

    struct worker_task *running;
    bool has_runner; /* somebody picks and runs tasks: the thread, or in worker_run_all */
    pthread_t runner;
    struct wait_word ran; /* changes when a task or a runner ends and `ran_waiters` is not 0 */
    unsigned ran_waiters;

    bool manual;
    pthread_t thread; /* if not manual */
    bool stop;
    bool sleeping;
    uint64_t alarm_ns;
    struct wait_word work;
};

/* ---- lists ---- */

static void push(struct list *list, struct worker_task *task)
{
    task->next = NULL;
    task->previous = list->last;
    if (list->last != NULL)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
}

static void unlink_task(struct list *list, struct worker_task *task)
{
    if (task->previous != NULL)
        task->previous->next = task->next;
    else
        list->first = task->next;
    if (task->next != NULL)
        task->next->previous = task->previous;
    else
        list->last = task->previous;
}

static void make_ready(struct worker *worker, struct worker_task *task)
{
    task->state = WORKER_READY;
    push(&worker->ready[task->priority], task);
}

static void take_out(struct worker *worker, struct worker_task *task)
{
    if (task->state == WORKER_READY)
        unlink_task(&worker->ready[task->priority], task);
    else if (task->state == WORKER_TIMED)
        worker_timers_remove(&worker->timers, task);
    task->state = WORKER_IDLE;
}

/* ---- running ---- */

static bool is_runner(const struct worker *worker)
{
    return worker->has_runner && pthread_equal(worker->runner, pthread_self());
}

/* With the lock, which it lets go: until a task or a runner ends. */
static void wait_for_end(struct worker *worker)
{
    worker->ran_waiters++;
    uint32_t seen = wait_load(&worker->ran);
    lock_release(&worker->lock);
    (void)wait_until_changed(&worker->ran, seen, WAIT_FOREVER);
    lock_take(&worker->lock);
    worker->ran_waiters--;
}

static void tell_end(struct worker *worker)
{
    if (worker->ran_waiters > 0)
        wait_bump_and_wake_all(&worker->ran);
}

static struct worker_task *pick_ready(struct worker *worker)
{
    struct worker_task *urgent = worker->ready[WORKER_URGENT].first;
    struct worker_task *normal = worker->ready[WORKER_NORMAL].first;
    if (urgent != NULL && (normal == NULL || worker->urgent_row < WORKER_URGENT_ROW)) {
        worker->urgent_row++;
        return urgent;
    }
    worker->urgent_row = 0;
    return normal;
}

/* With the lock, which it lets go while the task runs. */
static void run_task(struct worker *worker, struct worker_task *task)
{
    assert(worker->running == NULL);
    take_out(worker, task);
    worker->running = task;
    worker->tasks_run++;
    worker_fn *run = task->run;
    void *arg = task->arg;
    lock_release(&worker->lock);
    run(arg);
    lock_take(&worker->lock);
    worker->running = NULL;
    tell_end(worker);
}

/* ---- the thread ---- */

static void ready_due_timers(struct worker *worker)
{
    struct worker_task *first = worker_timers_first(&worker->timers);
    if (first == NULL)
        return;
    uint64_t now = wait_now_ns();
    while (first != NULL && first->due_ns <= now) {
        take_out(worker, first);
        make_ready(worker, first);
        first = worker_timers_first(&worker->timers);
    }
}

/* With the lock, which it lets go: until there may be something to do. */
static void sleep_until_work(struct worker *worker)
{
    const struct worker_task *first = worker_timers_first(&worker->timers);
    uint64_t alarm_ns = first != NULL ? first->due_ns : WAIT_FOREVER;
    worker->alarm_ns = alarm_ns;
    worker->sleeping = true;
    uint32_t seen = wait_load(&worker->work);
    lock_release(&worker->lock);
    (void)wait_until_changed(&worker->work, seen, alarm_ns);
    lock_take(&worker->lock);
    worker->sleeping = false;
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
#if defined(__linux__) && !defined(FIRN_POSIX_ONLY)
    (void)pthread_setname_np(pthread_self(), "firn");
#endif
    lock_take(&worker->lock);
    worker->runner = pthread_self();
    worker->has_runner = true;
    while (!worker->stop) {
        ready_due_timers(worker);
        struct worker_task *task = pick_ready(worker);
        if (task != NULL)
            run_task(worker, task);
        else
            sleep_until_work(worker);
    }
    lock_release(&worker->lock);
    return NULL;
}

static void release(struct worker *worker)
{
    lock_done(&worker->lock);
    wait_word_done(&worker->ran);
    wait_word_done(&worker->work);
    free(worker->timers.heap);
    free(worker);
}

int worker_new(bool manual, struct worker **out)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return FIRN_ENOMEM;
    lock_init(&worker->lock);
    wait_word_init(&worker->ran);
    wait_word_init(&worker->work);
    worker->manual = manual;
    int rc = manual ? 0 : thread_start(&worker->thread, thread_main, worker);
    if (rc != 0) {
        release(worker);
        return rc;
    }
    *out = worker;
    return 0;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL)
        return;
    lock_take(&worker->lock);
    worker->stop = true;
    lock_release(&worker->lock);
    if (!worker->manual) {
        wait_bump_and_wake(&worker->work, 1);
        pthread_join(worker->thread, NULL);
    }
    assert(worker->registered == 0);
    release(worker);
}

/* ---- tasks ---- */

int worker_task_init(struct worker *worker, struct worker_task *task, worker_fn *run, void *arg,
                     enum worker_priority priority)
{
    lock_take(&worker->lock);
    int rc = worker_timers_reserve(&worker->timers, worker->registered + 1);
    if (rc == 0) {
        worker->registered++;
        *task = (struct worker_task){
            .worker = worker, .run = run, .arg = arg, .priority = priority};
    }
    lock_release(&worker->lock);
    return rc;
}

/*
 * With the lock, which it lets go while it waits. Posts are refused meanwhile: a task that posts
 * itself each time it runs could run for ever otherwise.
 */
static void cancel(struct worker *worker, struct worker_task *task)
{
    take_out(worker, task);
    task->cancels++;
    while (worker->running == task && !is_runner(worker))
        wait_for_end(worker);
    task->cancels--;
    assert(task->state == WORKER_IDLE);
}

void worker_cancel(struct worker *worker, struct worker_task *task)
{
    assert(task->worker == worker);
    lock_take(&worker->lock);
    cancel(worker, task);
    lock_release(&worker->lock);
}

void worker_task_done(struct worker_task *task)
{
    struct worker *worker = task->worker;
    if (worker == NULL)
        return;
    lock_take(&worker->lock);
    cancel(worker, task);
    if (worker->running == task)
        worker->running = NULL;
    worker->registered--;
    task->worker = NULL;
    lock_release(&worker->lock);
}

/* With the lock, which it lets go: has the thread look, if it sleeps past `due_ns`. */
static void release_and_wake(struct worker *worker, uint64_t due_ns)
{
    bool wake = worker->sleeping && due_ns < worker->alarm_ns;
    if (wake)
        worker->sleeping = false;
    lock_release(&worker->lock);
    if (wake)
        wait_bump_and_wake(&worker->work, 1);
}

void worker_post(struct worker *worker, struct worker_task *task)
{
    assert(task->worker == worker);
    lock_take(&worker->lock);
    if (task->state != WORKER_READY && task->cancels == 0) {
        take_out(worker, task);
        make_ready(worker, task);
    }
    release_and_wake(worker, 0);
}

void worker_post_at(struct worker *worker, struct worker_task *task, uint64_t due_ns)
{
    assert(task->worker == worker);
    lock_take(&worker->lock);
    bool sooner = task->state == WORKER_TIMED && due_ns < task->due_ns;
    if ((task->state == WORKER_IDLE && task->cancels == 0) || sooner) {
        take_out(worker, task);
        task->state = WORKER_TIMED;
        task->due_ns = due_ns;
        task->order = worker->next_order++;
        worker_timers_add(&worker->timers, task);
    }
    release_and_wake(worker, due_ns);
}

/* ---- without a thread ---- */

static void ready_all_timers(struct worker *worker)
{
    struct worker_task *first;
    while ((first = worker_timers_first(&worker->timers)) != NULL) {
        take_out(worker, first);
        make_ready(worker, first);
    }
}

size_t worker_run_all(struct worker *worker)
{
    size_t count = 0;
    lock_take(&worker->lock);
    if (!worker->manual || is_runner(worker)) {
        lock_release(&worker->lock);
        return 0;
    }
    while (worker->has_runner)
        wait_for_end(worker);
    worker->has_runner = true;
    worker->runner = pthread_self();
    ready_all_timers(worker);
    struct worker_task *task;
    while ((task = pick_ready(worker)) != NULL) {
        run_task(worker, task);
        count++;
    }
    worker->has_runner = false;
    tell_end(worker);
    lock_release(&worker->lock);
    return count;
}

uint64_t worker_tasks_run(struct worker *worker)
{
    lock_take(&worker->lock);
    uint64_t count = worker->tasks_run;
    lock_release(&worker->lock);
    return count;
}
