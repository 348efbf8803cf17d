/* SPDX-License-Identifier: MIT */
/*
 * A queue that any number of threads push to without a lock, and one thread empties.
 *
 * Items are embedded in what is queued; the queue owns nothing. What a producer wrote before it
 * pushed is seen by who takes the item. Zeroed is empty.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_item {
    struct queue_item *next;
};

struct queue {
    /* A struct queue_item *, the others by `next`, newest first. (clang 14 takes {0} for no atomic
     * pointer.) */
    _Atomic uintptr_t last;
};

/* The item must not be in a queue. True: the queue was empty, so its consumer may have to be told.
 */
bool queue_push(struct queue *queue, struct queue_item *item);

/*
 * Takes everything: a list by `next`, in the order of pushing, NULL if there is nothing. By one
 * thread at a time.
 */
struct queue_item *queue_take_all(struct queue *queue);

static inline bool queue_empty(const struct queue *queue)
{
    return atomic_load_explicit(&queue->last, memory_order_relaxed) == 0;
}

#endif
