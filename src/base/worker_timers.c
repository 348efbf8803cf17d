/* SPDX-License-Identifier: MIT */
#include "base/worker_private.h"

#include <assert.h>
#include <stdlib.h>

enum { SMALLEST = 16 };

int worker_timers_reserve(struct worker_timers *timers, size_t count)
{
    if (count <= timers->capacity)
        return 0;
    size_t capacity = timers->capacity ? timers->capacity * 2 : SMALLEST;
    struct worker_task **heap = realloc(timers->heap, capacity * sizeof(struct worker_task *));
    if (heap == NULL)
        return FIRN_ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    assert(count <= capacity);
    return 0;
}

static bool before(const struct worker_task *a, const struct worker_task *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(struct worker_timers *timers, size_t place, struct worker_task *task)
{
    timers->heap[place] = task;
    task->place = place;
}

/* `place` is free: finds the one for `task` from there towards the top. */
static void sift_up(struct worker_timers *timers, size_t place, struct worker_task *task)
{
    while (place > 0 && before(task, timers->heap[(place - 1) / 2])) {
        put(timers, place, timers->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(timers, place, task);
}

/* The same away from the top. */
static void sift_down(struct worker_timers *timers, size_t place, struct worker_task *task)
{
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && before(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!before(timers->heap[child], task))
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, task);
}

void worker_timers_add(struct worker_timers *timers, struct worker_task *task)
{
    assert(timers->count < timers->capacity);
    sift_up(timers, timers->count++, task);
}

void worker_timers_remove(struct worker_timers *timers, struct worker_task *task)
{
    size_t place = task->place;
    assert(place < timers->count && timers->heap[place] == task);
    struct worker_task *last = timers->heap[--timers->count];
    if (last == task)
        return;
    if (before(last, task))
        sift_up(timers, place, last);
    else
        sift_down(timers, place, last);
}

struct worker_task *worker_timers_first(const struct worker_timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}
