/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that follows a log: a thread of the watch waits as firn_log_wait does, and signals
 * an event. While that is signalled the thread sleeps until the index is set anew; setting clears
 * it where there is no more to read. So an event loop makes one call of the system for each time
 * that it has caught up, and the writer makes none for it.
 */
#include <stdlib.h>

#include "base/thread.h"
#include "log/log_private.h"

#define END_PAUSE_NS 1000000u

struct firn_watch {
    struct firn_log *log;
    struct firn_event *event;
    pthread_t thread;
    pthread_mutex_t lock;
    uint64_t index;
    bool signalled;
    struct wait_word turn;  /* changes when the thread should look */
    struct wait_word ended; /* when it has ended */
    atomic_bool closing;
};

/* With the lock. What ends a wait by an error makes it readable too: the reader will ask. */
static void update(struct firn_watch *watch)
{
    struct firn_log *log = watch->log;
    bool ready = follow_holds(log, watch->index) || follow_check(log, NULL) < 0;
    if (ready && !watch->signalled)
        disk_event_signal(log->disk, watch->event);
    if (!ready && watch->signalled)
        disk_event_clear(log->disk, watch->event);
    watch->signalled = ready;
}

static void *run(void *arg)
{
    struct firn_watch *watch = arg;
    while (!atomic_load(&watch->closing)) {
        uint32_t seen = follow_seen(watch->log);
        pthread_mutex_lock(&watch->lock);
        if (!watch->signalled)
            update(watch);
        bool signalled = watch->signalled;
        uint32_t turn = wait_load(&watch->turn);
        pthread_mutex_unlock(&watch->lock);
        if (atomic_load(&watch->closing))
            break;
        if (signalled)
            wait_until_changed(&watch->turn, turn, WAIT_FOREVER);
        else
            follow_sleep(watch->log, seen, WAIT_FOREVER);
    }
    wait_bump_and_wake_all(&watch->ended);
    return NULL;
}

static void release(struct firn_watch *watch)
{
    disk_event_free(watch->log->disk, watch->event);
    wait_word_done(&watch->turn);
    wait_word_done(&watch->ended);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

static int no_descriptors(struct firn_log *log, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOTSUP, 0, "%s: its storage has no descriptors to wait for",
                          log->dir);
}

int firn_watch_open(struct firn_log *log, uint64_t index, struct firn_watch **out, int *fd,
                    struct firn_error *err)
{
    struct firn_watch *watch = calloc(1, sizeof *watch);
    int descriptor = -1;
    if (!watch)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a watch", log->dir);
    watch->log = log;
    watch->index = index;
    pthread_mutex_init(&watch->lock, NULL);
    wait_word_init(&watch->turn);
    wait_word_init(&watch->ended);
    int rc = disk_event_new(log->disk, &watch->event, &descriptor, err);
    if (rc == 0 && descriptor < 0)
        rc = no_descriptors(log, err);
    if (rc == 0) {
        update(watch);
        rc = thread_start(&watch->thread, run, watch);
        if (rc < 0)
            firn_error_set(err, rc, 0, "%s: no thread for a watch", log->dir);
    }
    if (rc < 0) {
        release(watch);
        return rc;
    }
    *fd = descriptor;
    *out = watch;
    return 0;
}

void firn_watch_set(struct firn_watch *watch, uint64_t index)
{
    pthread_mutex_lock(&watch->lock);
    bool before = watch->signalled;
    watch->index = index;
    update(watch);
    bool again = before && !watch->signalled;
    pthread_mutex_unlock(&watch->lock);
    if (again)
        wait_bump_and_wake_all(&watch->turn);
}

/* The thread may be about to sleep when it is woken: so it is woken until it ends. */
void firn_watch_close(struct firn_watch *watch)
{
    if (!watch)
        return;
    atomic_store(&watch->closing, true);
    wait_bump_and_wake_all(&watch->turn);
    do
        follow_wake(watch->log);
    while (wait_until_changed(&watch->ended, 0, wait_deadline(END_PAUSE_NS)) == FIRN_ETIMEDOUT);
    pthread_join(watch->thread, NULL);
    release(watch);
}
