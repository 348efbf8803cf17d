/* SPDX-License-Identifier: MIT */
/*
 * How grace periods work.
 *
 * Readers count themselves in one of two counters, inside[phase]. Retired items are gathered into a
 * batch; the batch is released when each of the two counters has been seen at zero after the batch
 * was taken - not both at the same moment, and not only the one of the old phase.
 *
 * Why that is enough. Take a reader that may hold an item X: it loaded a pointer to X before the
 * pointer was replaced, hence before X was retired and the batch taken. It had added itself to some
 * counter i before that load. The batch saw inside[i] at zero later. Had the reader still been
 * inside then, the counter would have been at least one; so it had left. A reader whose addition
 * comes after that zero loads its pointers after the replacement and finds no X. For "before" and
 * "after" to hold on every machine, there is a full fence on both sides: the reader's between
 * addition and loads, the reclaimer's between taking the batch and looking at the counters. Either
 * the reclaimer sees the addition, or the reader sees the replacement.
 *
 * Why one counter is not enough. A reader may load phase 0, be held up, and add itself only after
 * the phase has become 1. Were "flip the phase, wait for the counter of the old one" the whole
 * rule, the next grace period would flip to 0, wait for inside[1] only, and release under the hands
 * of that reader, who counts in inside[0]. With the rule above it does not matter to safety when
 * the phase flips, or whether it does, or that a reader counts in a stale one.
 *
 * The phase is for progress: a counter that readers keep entering may never be zero. So the one
 * that they do not enter is looked at first; save for those who were held up, it can only fall.
 * When it has been zero, the phase flips to it, and the other one falls. A batch thus needs the
 * readers of its time to leave, and waits for no later ones.
 *
 * On x86 an atomic addition is a full fence by itself. The thread sanitizer does not know fences;
 * it sees the order of what was read and what is released by the counter alone: exits release it,
 * the look at it acquires.
 */
#include "base/snapshot.h"

#include <time.h>

static void full_fence(void)
{
#ifndef SANITIZED_THREAD
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

void grace_retire(struct grace *grace, struct grace_item *item,
                  void (*release)(struct grace_item *item))
{
    item->release = release;
    (void)queue_push(&grace->retired, &item->item);
}

static bool look(struct grace *grace, unsigned phase)
{
    if (!grace->gone[phase])
        grace->gone[phase] = atomic_load_explicit(&grace->inside[phase], memory_order_acquire) == 0;
    return grace->gone[phase];
}

/* Whether all readers of the batch's time have left. */
static bool batch_is_free(struct grace *grace)
{
    unsigned phase = atomic_load_explicit(&grace->phase, memory_order_relaxed);
    if (look(grace, 1 - phase) && !look(grace, phase))
        atomic_store_explicit(&grace->phase, 1 - phase, memory_order_relaxed);
    return grace->gone[0] && grace->gone[1];
}

static void release_batch(struct grace *grace)
{
    struct queue_item *next = grace->waiting;
    grace->waiting = NULL;
    while (next != NULL) {
        struct grace_item *item = (struct grace_item *)(void *)next;
        next = next->next;
        item->release(item);
    }
}

/* By the one who is reclaiming. False: nothing is left. */
static bool reclaim(struct grace *grace)
{
    for (;;) {
        if (grace->waiting == NULL) {
            grace->waiting = queue_take_all(&grace->retired);
            if (grace->waiting == NULL)
                return false;
            grace->gone[0] = grace->gone[1] = false;
            full_fence();
        }
        if (!batch_is_free(grace))
            return true;
        release_batch(grace);
    }
}

bool grace_reclaim(struct grace *grace)
{
    if (atomic_exchange_explicit(&grace->reclaiming, true, memory_order_acquire))
        return true;
    bool left = reclaim(grace);
    atomic_store_explicit(&grace->reclaiming, false, memory_order_release);
    return left;
}

static void release_nothing(struct grace_item *item)
{
    (void)item;
}

void grace_wait(struct grace *grace)
{
    struct grace_item marker;
    grace_retire(grace, &marker, release_nothing);
    grace_drain(grace);
}

void grace_drain(struct grace *grace)
{
    const struct timespec pause = {.tv_nsec = 100000};
    while (grace_reclaim(grace))
        nanosleep(&pause, NULL);
}
