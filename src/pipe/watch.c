/* SPDX-License-Identifier: MIT */
/* Descriptors that tell of epochs: the committer signals those whose epoch became durable. */
#include <stdlib.h>

#include "pipe/pipe_private.h"

/* With watch_lock. What ends a wait by an error makes it readable too: the waiter will ask. */
static void update(struct firn_pipe_watch *watch)
{
    struct firn_pipe *pipe = watch->pipe;
    int rc = commit_wait(journal_commit(pipe->journal), watch->epoch, 0, NULL);
    bool ready = rc != FIRN_ETIMEDOUT;
    if (ready && !watch->signalled)
        disk_event_signal(pipe->disk, watch->event);
    if (!ready && watch->signalled)
        disk_event_clear(pipe->disk, watch->event);
    watch->signalled = ready;
}

void pipe_announce(void *owner)
{
    struct firn_pipe *pipe = owner;
    pthread_mutex_lock(&pipe->watch_lock);
    for (struct firn_pipe_watch *watch = pipe->watches; watch; watch = watch->next)
        if (!watch->signalled)
            update(watch);
    pthread_mutex_unlock(&pipe->watch_lock);
}

int firn_pipe_watch_open(struct firn_pipe *pipe, uint64_t epoch, struct firn_pipe_watch **out,
                         int *fd, struct firn_error *err)
{
    int descriptor = -1;
    int rc = journal_writable(pipe->journal, err);
    if (rc < 0)
        return rc;
    struct firn_pipe_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a watch", pipe->path);
    watch->pipe = pipe;
    watch->epoch = epoch;
    rc = disk_event_new(pipe->disk, &watch->event, &descriptor, err);
    if (rc == 0 && descriptor < 0) {
        disk_event_free(pipe->disk, watch->event);
        rc = firn_error_set(err, FIRN_ENOTSUP, 0, "%s: its storage has no descriptors to wait for",
                            pipe->path);
    }
    if (rc < 0) {
        free(watch);
        return rc;
    }
    pthread_mutex_lock(&pipe->watch_lock);
    watch->next = pipe->watches;
    if (watch->next)
        watch->next->previous = watch;
    pipe->watches = watch;
    update(watch);
    pthread_mutex_unlock(&pipe->watch_lock);
    *fd = descriptor;
    *out = watch;
    return 0;
}

void firn_pipe_watch_set(struct firn_pipe_watch *watch, uint64_t epoch)
{
    pthread_mutex_lock(&watch->pipe->watch_lock);
    watch->epoch = epoch;
    update(watch);
    pthread_mutex_unlock(&watch->pipe->watch_lock);
}

void firn_pipe_watch_close(struct firn_pipe_watch *watch)
{
    if (!watch)
        return;
    struct firn_pipe *pipe = watch->pipe;
    pthread_mutex_lock(&pipe->watch_lock);
    if (watch->next)
        watch->next->previous = watch->previous;
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        pipe->watches = watch->next;
    pthread_mutex_unlock(&pipe->watch_lock);
    disk_event_free(pipe->disk, watch->event);
    free(watch);
}
