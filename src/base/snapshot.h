/* SPDX-License-Identifier: MIT */
/*
 * Grace periods: memory that readers use without a lock is released when none of them can hold it
 * any more.
 *
 * A reader enters, loads the pointers that it needs, uses what they point to, and exits. A writer
 * replaces a pointer, retires what it pointed to, and reclaims: what no reader that was inside at
 * the time of the retirement can still hold is released, the rest by a later call. Readers never
 * wait, nor does reclaiming. How it works stands in snapshot.c.
 *
 * Pointers are loaded with at least memory_order_acquire and stored with at least
 * memory_order_release. Zeroed is ready for use; there is nothing to release but by grace_drain.
 */
#ifndef BASE_SNAPSHOT_H
#define BASE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "base/sanitizers.h"

/* Embedded in what is retired. */
struct grace_item {
    struct queue_item item;
    void (*release)(struct grace_item *item);
};

struct grace {
    _Atomic unsigned phase;     /* 0 or 1: where readers enter */
    _Atomic uint32_t inside[2]; /* readers, by the phase in which they entered */
    struct queue retired;
    atomic_bool reclaiming;     /* guards what follows */
    struct queue_item *waiting; /* a batch that waits for readers */
    bool gone[2];               /* `inside` was zero since the batch was taken */
};

/* The order between a change of `inside` and what follows it. */
static inline void grace_fence(void)
{
#if defined(__x86_64__) || defined(__i386__) || defined(SANITIZED_THREAD)
    atomic_signal_fence(memory_order_seq_cst); /* the atomic addition itself is a full barrier */
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Returns the phase to exit from. Any thread; may be nested. A few instructions. */
static inline int grace_enter(struct grace *grace)
{
    unsigned phase = atomic_load_explicit(&grace->phase, memory_order_relaxed);
    atomic_fetch_add_explicit(&grace->inside[phase], 1, memory_order_seq_cst);
    grace_fence();
    return (int)phase;
}

/* May be called by another thread than enter. */
static inline void grace_exit(struct grace *grace, int phase)
{
    atomic_fetch_sub_explicit(&grace->inside[phase], 1, memory_order_release);
}

/*
 * Hands over `item`, to which no shared pointer leads any more: release(item) is called in the end,
 * by whoever reclaims then. Any thread.
 */
void grace_retire(struct grace *grace, struct grace_item *item,
                  void (*release)(struct grace_item *item));

/*
 * Releases what can be released; never waits. False: nothing is left. True: something is, or
 * another thread is reclaiming right now. Any thread, also in a release function.
 */
bool grace_reclaim(struct grace *grace);

/*
 * Releases everything, waiting for readers that are inside. Nobody may enter or retire meanwhile,
 * save release functions; not from one. A reader that never exits makes it wait for ever.
 */
void grace_drain(struct grace *grace);

/*
 * Waits until all who are inside now have left; later ones are not waited for. For an owner that
 * retires nothing else, one thread at a time; not from inside.
 */
void grace_wait(struct grace *grace);

#endif
