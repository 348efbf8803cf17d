/* SPDX-License-Identifier: MIT */
#include "base/queue.h"

bool queue_push(struct queue *queue, struct queue_item *item)
{
    uintptr_t last = atomic_load_explicit(&queue->last, memory_order_relaxed);
    do
        item->next = (struct queue_item *)last;
    while (!atomic_compare_exchange_weak_explicit(&queue->last, &last, (uintptr_t)item,
                                                  memory_order_release, memory_order_relaxed));
    return last == 0;
}

struct queue_item *queue_take_all(struct queue *queue)
{
    uintptr_t last = atomic_exchange_explicit(&queue->last, 0, memory_order_acquire);
    struct queue_item *from = (struct queue_item *)last;
    struct queue_item *list = NULL;
    while (from != NULL) {
        struct queue_item *next = from->next;
        from->next = list;
        list = from;
        from = next;
    }
    return list;
}
