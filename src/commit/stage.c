/* SPDX-License-Identifier: MIT */
/* The staging side of group commit: the lock, buffers, and the group that fills. */
#include <assert.h>
#include <stdlib.h>

#include "base/pool.h"
#include "commit/commit_private.h"
#include "commit/env.h"

enum { AHEAD_GROUPS = 2 };

int commit_init(struct commit *commit, struct firn_env *env, const struct commit_ops *ops,
                void *owner, const struct commit_options *options, struct firn_error *err)
{
    *commit = (struct commit){.env = env, .ops = ops, .owner = owner, .options = *options};
    commit->filling.epoch = 1;
    int rc = worker_task_init(env_worker(env), &commit->task, commit_task, commit, WORKER_URGENT);
    if (rc < 0)
        return firn_error_set(err, rc, 0, "no memory for a background task");
    lock_init(&commit->lock);
    wait_word_init(&commit->role);
    for (int i = 0; i < COMMIT_SLOTS; i++)
        wait_word_init(&commit->slots[i]);
    env_add(env, commit);
    return 0;
}

void commit_done(struct commit *commit)
{
    if (!commit->env)
        return;
    env_remove(commit->env, commit);
    worker_task_done(&commit->task);
    for (int i = 0; i < COMMIT_SLOTS; i++)
        wait_word_done(&commit->slots[i]);
    wait_word_done(&commit->role);
    lock_done(&commit->lock);
    commit->env = NULL;
}

int commit_poisoned(const struct commit *commit, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EPOISONED, commit->poison.os_error,
                          "an earlier write or sync failed; close and reopen to see what is there "
                          "(%s)",
                          commit->poison.message);
}

static int refuse_closed(struct firn_error *err)
{
    return firn_error_set(err, FIRN_ECLOSED, 0, "it is being closed");
}

/* With the lock: waits out a freeze, then says whether staging is allowed; if not, unlocks. */
static int admit(struct commit *commit, struct firn_error *err)
{
    while (commit->frozen && !commit->closed)
        commit_sleep(commit, &commit->role);
    if (!commit->poisoned && !commit->closed)
        return 0;
    int rc = commit->closed ? refuse_closed(err) : commit_poisoned(commit, err);
    commit_end(commit);
    return rc;
}

int commit_begin(struct commit *commit, struct firn_error *err)
{
    lock_take(&commit->lock);
    if (!commit->frozen && !commit->poisoned && !commit->closed)
        return 0;
    return admit(commit, err);
}

static void push_spare(struct commit *commit, struct commit_buffer *buffer)
{
    buffer->next = commit->spare;
    commit->spare = buffer;
    commit->spares++;
}

static struct commit_buffer *take_spares(struct commit *commit)
{
    struct commit_buffer *list = commit->spare;
    commit->spare = NULL;
    commit->spares = 0;
    return list;
}

/* Works instead of waiting, as long as there is something to do and no buffer. */
static void help(struct commit *commit)
{
    struct commit_buffer *buffer = NULL;
    if (!commit->ops->help)
        return;
    commit_kick(commit);
    while (!(buffer = env_try_get(commit->env)) && commit->ops->help(commit->owner))
        continue;
    if (buffer)
        env_put(commit->env, buffer);
}

/* The slow way to buffers: gives back what it has, so that nobody waits in a circle. */
static int provide_slowly(struct commit *commit, size_t buffers, struct firn_error *err)
{
    struct commit_buffer *list = take_spares(commit);
    commit->stalls++;
    lock_release(&commit->lock);
    commit_give_back(commit, list);
    if (commit->options.refuse)
        return firn_error_set(err, FIRN_EAGAIN, 0,
                              "all buffers are in use; wait for an epoch and try again");
    help(commit);
    int rc = env_get_many(commit->env, commit, buffers, &list, err);
    if (rc < 0)
        return rc;
    lock_take(&commit->lock);
    while (list) {
        struct commit_buffer *next = list->next;
        push_spare(commit, list);
        list = next;
    }
    rc = admit(commit, err);
    return rc < 0 ? rc : COMMIT_AGAIN;
}

/* Whether this target's bytes are only handed to the system, and enough of them are staged. */
static bool is_ahead(const struct commit *commit)
{
    const struct commit_options *options = &commit->options;
    return options->background == COMMIT_WRITE && !options->refuse && !commit->frozen &&
           commit->filling.bytes >= AHEAD_GROUPS * options->bytes;
}

/*
 * Who stages without syncs runs side by side with the one that writes, at most two groups ahead:
 * what is staged is still in the processor's cache when it is written, and neither has to stop
 * until all of the pool is written or staged. Where nobody writes, the stager does.
 */
static int let_write(struct commit *commit, struct firn_error *err)
{
    if (commit->committing) {
        commit_sleep(commit, &commit->role);
    } else {
        lock_release(&commit->lock);
        commit_push(commit);
        lock_take(&commit->lock);
    }
    int rc = admit(commit, err);
    return rc < 0 ? rc : COMMIT_AGAIN;
}

int commit_provide(struct commit *commit, size_t buffers, struct firn_error *err)
{
    if (is_ahead(commit))
        return let_write(commit, err);
    while (commit->spares < buffers) {
        struct commit_buffer *buffer = env_try_get(commit->env);
        if (!buffer)
            return provide_slowly(commit, buffers, err);
        push_spare(commit, buffer);
    }
    return 0;
}

struct commit_buffer *commit_add(struct commit *commit, void *file, uint64_t position)
{
    struct commit_buffer *buffer = commit->spare;
    assert(buffer);
    commit->spare = buffer->next;
    commit->spares--;
    *buffer = (struct commit_buffer){.file = file, .position = position};
    if (commit->filling.last)
        commit->filling.last->next = buffer;
    else
        commit->filling.first = buffer;
    commit->filling.last = buffer;
    return buffer;
}

/* Has the background thread look at what was just staged, if it is its business now. */
static void schedule(struct commit *commit, bool first, bool crossed)
{
    struct worker *worker = env_worker(commit->env);
    if (crossed)
        worker_post(worker, &commit->task);
    else if (first)
        worker_post_at(worker, &commit->task, wait_deadline(commit->options.delay_ns));
}

uint64_t commit_staged(struct commit *commit, uint64_t bytes, uint64_t items, bool background)
{
    struct commit_group *group = &commit->filling;
    uint64_t before = group->bytes;
    group->items += items;
    group->bytes += bytes;
    if (background) {
        bool first = !commit->scheduled;
        bool crossed = before < commit->options.bytes && group->bytes >= commit->options.bytes;
        if (first || crossed)
            schedule(commit, first, crossed);
        commit->scheduled = true;
    }
    return group->epoch;
}

void commit_end(struct commit *commit)
{
    struct commit_buffer *list = commit->spare ? take_spares(commit) : NULL;
    lock_release(&commit->lock);
    commit_give_back(commit, list);
}

void commit_give_back(struct commit *commit, struct commit_buffer *list)
{
    while (list) {
        struct commit_buffer *next = list->next;
        env_put(commit->env, list);
        list = next;
    }
}

void commit_sleep(struct commit *commit, struct wait_word *word)
{
    uint32_t seen = wait_load(word);
    commit->sleepers++;
    lock_release(&commit->lock);
    wait_until_changed(word, seen, WAIT_FOREVER);
    lock_take(&commit->lock);
    commit->sleepers--;
}
