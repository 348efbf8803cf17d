/* SPDX-License-Identifier: MIT */
/*
 * The committing role.
 *
 * At most one thread per target has it (`committing`). It takes the filling group, and from then on
 * stagers fill the next one; it writes without the lock, so neither stagers nor readers wait for
 * storage. When it lets the role go it wakes the waiters of what became durable, and one of those
 * that still wait, who becomes the next committer unless somebody else was quicker. A committer
 * stops after the group of its own epoch: the work of others is not its own.
 *
 * Waiters sleep per epoch (slot e % 8), so that a group's end wakes its own waiters only. A waiter
 * with a time-out must not get stuck in a sync, so it asks the background thread instead.
 */
#include "commit/commit.h"

#include <assert.h>
#include <sched.h>

#include "commit/commit_private.h"
#include "commit/env.h"

enum { ENOUGH_ITEMS = 32 }; /* a group of that many is not waited for to grow */

static struct wait_word *slot_of(struct commit *commit, uint64_t epoch)
{
    return &commit->slots[epoch % COMMIT_SLOTS];
}

static uint64_t durable_of(const struct commit *commit)
{
    return atomic_load_explicit(&commit->durable, memory_order_acquire);
}

/*
 * Lets the lock go and wakes those that were noted meanwhile: woken under the lock, they would run
 * into it. Every path that may have noted somebody leaves by this.
 */
static void unlock(struct commit *commit)
{
    struct commit_wakes wakes = commit->wakes;
    commit->wakes = (struct commit_wakes){0};
    lock_release(&commit->lock);
    if (wakes.announce)
        commit->ops->announce(commit->owner);
    for (unsigned i = 0; wakes.all >> i; i++)
        if (wakes.all >> i & 1)
            wait_bump_and_wake_all(&commit->slots[i]);
    if (wakes.role)
        wait_bump_and_wake_all(&commit->role);
    if (wakes.one)
        wait_bump_and_wake(wakes.one, 1);
}

/* Waiters of epochs (from, to]. */
static void wake_durable(struct commit *commit, uint64_t from, uint64_t to)
{
    if (to - from >= COMMIT_SLOTS)
        from = to - COMMIT_SLOTS;
    for (uint64_t epoch = from + 1; epoch <= to; epoch++)
        if (commit->waiting[epoch % COMMIT_SLOTS]) {
            commit->waiting[epoch % COMMIT_SLOTS] = 0;
            commit->wakes.all |= 1u << epoch % COMMIT_SLOTS;
        }
}

/* Wakes one waiter of the oldest epoch that is not durable: the next committer. */
static void wake_successor(struct commit *commit)
{
    uint64_t epoch = durable_of(commit) + 1;
    if (commit->filling.epoch - epoch >= COMMIT_SLOTS)
        epoch = commit->filling.epoch - COMMIT_SLOTS + 1;
    for (; epoch <= commit->filling.epoch; epoch++) {
        if (!commit->waiting[epoch % COMMIT_SLOTS])
            continue;
        commit->waiting[epoch % COMMIT_SLOTS]--;
        commit->wakes.one = slot_of(commit, epoch);
        return;
    }
}

static void poison(struct commit *commit, const struct firn_error *cause)
{
    if (!commit->poisoned)
        commit->poison = *cause;
    commit->poisoned = true;
    commit->wakes.announce = commit->ops->announce != NULL;
    commit->wakes.all = (1u << COMMIT_SLOTS) - 1;
}

/* With the lock: takes the filling group; an empty one does not use up its epoch. */
static struct commit_group take_group(struct commit *commit)
{
    commit->ops->seal(commit->owner);
    struct commit_group group = commit->filling;
    if (group.items == 0) {
        assert(!group.first);
        group.epoch--;
        return group;
    }
    commit->filling = (struct commit_group){.epoch = group.epoch + 1};
    commit->scheduled = false;
    return group;
}

static void count_group(struct commit *commit, const struct commit_group *group, bool durable,
                        uint64_t nanoseconds)
{
    if (group->items) {
        commit->groups++;
        commit->items += group->items;
        commit->bytes += group->bytes;
        histogram_add(&commit->group_items, group->items);
    }
    if (durable) {
        commit->last_items = group->items;
        commit->syncs++;
        histogram_add(&commit->sync_ns, nanoseconds);
    }
}

static void finish_group(struct commit *commit, const struct commit_group *group, bool durable)
{
    commit->written = group->epoch;
    commit->ops->publish(commit->owner, durable);
    if (!durable)
        return;
    uint64_t before = durable_of(commit);
    atomic_store_explicit(&commit->durable, group->epoch, memory_order_release);
    commit->wakes.announce = commit->ops->announce != NULL;
    wake_durable(commit, before, group->epoch);
}

/* With the lock and the role: one group through to storage. Lets the lock go meanwhile. */
static void run_group(struct commit *commit, bool durable)
{
    struct commit_group group = take_group(commit);
    commit->in_flight = group;
    unlock(commit);

    struct firn_error cause = {0};
    uint64_t start = wait_now_ns();
    int rc = commit->ops->write(commit->owner, &group, durable, &cause);
    uint64_t end = wait_now_ns();

    lock_take(&commit->lock);
    commit->in_flight = (struct commit_group){0};
    if (rc < 0) {
        poison(commit, &cause);
    } else {
        count_group(commit, &group, durable, end - start);
        finish_group(commit, &group, durable);
    }
    commit_give_back(commit, group.first);
}

/* With the lock: lets the role go; others see to the rest. */
static void release_role(struct commit *commit)
{
    commit->committing = false;
    commit->wakes.role = commit->sleepers > 0;
    wake_successor(commit);
    if (commit->rerun) {
        commit->rerun = false;
        worker_post(env_worker(commit->env), &commit->task);
    }
}

/*
 * With the lock, which it lets go: writers whom the end of the last group has just woken are about
 * to stage again. One turn of the processor for them, and they join those who came during the sync,
 * instead of forming a group of their own that takes turns with theirs.
 */
static void gather(struct commit *commit)
{
    uint64_t items = commit->filling.items;
    if (items >= commit->last_items || items >= ENOUGH_ITEMS)
        return;
    unlock(commit);
    sched_yield();
    lock_take(&commit->lock);
}

/* With the lock, role free: one group. */
static void commit_one(struct commit *commit, bool durable)
{
    commit->committing = true;
    if (durable)
        gather(commit);
    if (!commit->poisoned)
        run_group(commit, durable);
    release_role(commit);
}

static bool anything_staged(const struct commit *commit)
{
    return commit->filling.items > 0;
}

void commit_task(void *target)
{
    struct commit *commit = target;
    lock_take(&commit->lock);
    bool asked = commit->goal > durable_of(commit);
    bool durable = commit->options.background == COMMIT_DURABLE || asked;
    bool unsynced = durable && commit->written > durable_of(commit);
    if (commit->poisoned || commit->frozen || (!anything_staged(commit) && !unsynced)) {
        unlock(commit);
        return;
    }
    if (commit->committing)
        commit->rerun = true;
    else
        commit_one(commit, durable);
    unlock(commit);
}

/*
 * Sleeps until the epoch may be durable, at most until `deadline`; comes with the lock and returns
 * without. Whoever wakes takes the waiter off the count, so that one whose epoch is durable need
 * not touch the lock again; a count that is too high costs a needless wake-up and nothing else.
 */
static int sleep_for(struct commit *commit, uint64_t epoch, uint64_t deadline)
{
    struct wait_word *slot = slot_of(commit, epoch);
    uint32_t seen = wait_load(slot);
    commit->waiting[epoch % COMMIT_SLOTS]++;
    unlock(commit);
    return wait_until_changed(slot, seen, deadline);
}

static void ask_background(struct commit *commit, uint64_t epoch)
{
    if (commit->goal < epoch)
        commit->goal = epoch;
    worker_post(env_worker(commit->env), &commit->task);
}

/* A waiter that leaves early passes on the wake-up that it may have had for another one. */
static int leave_early(struct commit *commit, uint64_t epoch)
{
    if (commit->waiting[epoch % COMMIT_SLOTS])
        commit->waiting[epoch % COMMIT_SLOTS]--;
    if (!commit->committing && !commit->poisoned)
        wake_successor(commit);
    return FIRN_ETIMEDOUT;
}

/* With the lock, returns without. */
static int wait_locked(struct commit *commit, uint64_t epoch, uint64_t deadline)
{
    bool own = deadline == WAIT_FOREVER || env_manual(commit->env);
    int rc = 0;
    while (durable_of(commit) < epoch && !commit->poisoned) {
        if (own && !commit->committing && !commit->frozen) {
            commit_one(commit, true);
            continue;
        }
        if (rc == FIRN_ETIMEDOUT) {
            rc = leave_early(commit, epoch);
            break;
        }
        if (!own)
            ask_background(commit, epoch);
        rc = sleep_for(commit, epoch, deadline);
        if (durable_of(commit) >= epoch)
            return 0;
        lock_take(&commit->lock);
    }
    if (durable_of(commit) >= epoch)
        rc = 0;
    else if (commit->poisoned)
        rc = FIRN_EPOISONED;
    unlock(commit);
    return rc;
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
    uint64_t now = timeout_ns == WAIT_FOREVER ? 0 : wait_now_ns();
    return timeout_ns >= WAIT_FOREVER - now ? WAIT_FOREVER : now + timeout_ns;
}

static uint64_t handed_out(const struct commit *commit)
{
    return commit->filling.epoch - (commit->filling.items ? 0 : 1);
}

static int explain(struct commit *commit, int rc, uint64_t epoch, struct firn_error *err)
{
    if (rc == FIRN_EPOISONED) {
        lock_take(&commit->lock);
        commit_poisoned(commit, err);
        unlock(commit);
    }
    if (rc == FIRN_ETIMEDOUT)
        firn_error_set(err, rc, 0, "epoch %llu is not durable yet", (unsigned long long)epoch);
    return rc;
}

int commit_wait(struct commit *commit, uint64_t epoch, uint64_t timeout_ns, struct firn_error *err)
{
    if (durable_of(commit) >= epoch)
        return 0;
    uint64_t deadline = timeout_ns ? deadline_of(timeout_ns) : 0;
    lock_take(&commit->lock);
    uint64_t handed = handed_out(commit);
    if (epoch <= handed && timeout_ns)
        return explain(commit, wait_locked(commit, epoch, deadline), epoch, err);
    bool poisoned = commit->poisoned;
    unlock(commit);
    if (epoch <= handed)
        return explain(commit, poisoned ? FIRN_EPOISONED : FIRN_ETIMEDOUT, epoch, err);
    return firn_error_set(err, FIRN_EINVAL, 0, "epoch %llu was never given out; the last is %llu",
                          (unsigned long long)epoch, (unsigned long long)handed);
}

int commit_force(struct commit *commit, struct firn_error *err)
{
    lock_take(&commit->lock);
    if (commit->poisoned) {
        int rc = commit_poisoned(commit, err);
        unlock(commit);
        return rc;
    }
    uint64_t epoch = handed_out(commit);
    return explain(commit, wait_locked(commit, epoch, WAIT_FOREVER), epoch, err);
}

uint64_t commit_durable(const struct commit *commit)
{
    return durable_of(commit);
}

void commit_push(struct commit *commit)
{
    lock_take(&commit->lock);
    if (!commit->committing && !commit->frozen && !commit->poisoned && anything_staged(commit))
        commit_one(commit, commit->options.background == COMMIT_DURABLE);
    unlock(commit);
}

void commit_kick(struct commit *commit)
{
    worker_post(env_worker(commit->env), &commit->task);
}

int commit_freeze(struct commit *commit, struct firn_error *err)
{
    lock_take(&commit->lock);
    while (commit->frozen)
        commit_sleep(commit, &commit->role);
    commit->frozen = true;
    while (commit->committing)
        commit_sleep(commit, &commit->role);
    commit->committing = true;
    if (!commit->poisoned && (anything_staged(commit) || commit->written > durable_of(commit)))
        run_group(commit, true);
    int rc = commit->poisoned ? commit_poisoned(commit, err) : 0;
    unlock(commit);
    if (rc < 0)
        commit_thaw(commit);
    return rc;
}

void commit_thaw(struct commit *commit)
{
    lock_take(&commit->lock);
    commit->frozen = false;
    release_role(commit);
    unlock(commit);
}

void commit_poison(struct commit *commit, const struct firn_error *cause)
{
    lock_take(&commit->lock);
    poison(commit, cause);
    unlock(commit);
}

int commit_close(struct commit *commit, struct firn_error *err)
{
    lock_take(&commit->lock);
    commit->closed = true;
    wait_bump_and_wake_all(&commit->role);
    (void)wait_locked(commit, handed_out(commit), WAIT_FOREVER);
    lock_take(&commit->lock);
    while (commit->committing)
        commit_sleep(commit, &commit->role);
    commit_give_back(commit, commit->filling.first); /* only if poisoned */
    commit->filling.first = commit->filling.last = NULL;
    int rc = commit->poisoned ? commit_poisoned(commit, err) : 0;
    unlock(commit);
    worker_cancel(env_worker(commit->env), &commit->task);
    return rc;
}

void commit_get_stats(struct commit *commit, struct firn_commit_stats *stats)
{
    lock_take(&commit->lock);
    *stats = (struct firn_commit_stats){
        .epoch_durable = durable_of(commit),
        .epoch_staged = handed_out(commit),
        .groups = commit->groups,
        .items = commit->items,
        .bytes = commit->bytes,
        .syncs = commit->syncs,
        .stalls = commit->stalls,
    };
    histogram_summary(&commit->group_items, &stats->group_items);
    histogram_summary(&commit->sync_ns, &stats->sync_ns);
    unlock(commit);
}
