/* SPDX-License-Identifier: MIT */
/*
 * The segments of a log, for readers without locks: an immutable array that is replaced as a whole.
 * A reader enters the grace period, takes the current array and a reference to the segment that it
 * wants, and leaves; an array that was replaced is released once nobody inside can still see it.
 */
#include <stdlib.h>
#include <string.h>

#include "log/log_private.h"

static void release_list(struct grace_item *item)
{
    struct segment_list *list = (struct segment_list *)item;
    for (size_t i = 0; i < list->count; i++)
        segment_unref(list->at[i]);
    free(list);
}

static struct segment_list *current(struct firn_log *log)
{
    return atomic_load_explicit(&log->list, memory_order_acquire);
}

/* Position of the last segment with base <= index; count if there is none. */
static size_t floor_of(const struct segment_list *list, uint64_t index)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->at[middle]->base <= index)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? low - 1 : list->count;
}

/* A reference to the segment `offset` places behind the floor of `index`. */
static struct segment *find(struct firn_log *log, uint64_t index, size_t offset)
{
    int phase = grace_enter(&log->grace);
    struct segment_list *list = current(log);
    struct segment *found = NULL;
    if (list) {
        size_t i = floor_of(list, index);
        if (i < list->count && i + offset < list->count)
            found = segment_ref(list->at[i + offset]);
    }
    grace_exit(&log->grace, phase);
    return found;
}

struct segment *list_find(struct firn_log *log, uint64_t index)
{
    return find(log, index, 0);
}

struct segment *list_after(struct firn_log *log, uint64_t base)
{
    return find(log, base, 1);
}

struct segment *list_first(struct firn_log *log)
{
    int phase = grace_enter(&log->grace);
    struct segment_list *list = current(log);
    struct segment *first = list && list->count ? segment_ref(list->at[0]) : NULL;
    grace_exit(&log->grace, phase);
    return first;
}

uint64_t list_next_base(struct firn_log *log, uint64_t base)
{
    struct segment *next = list_after(log, base);
    uint64_t result = next ? next->base : UINT64_MAX;
    segment_unref(next);
    return result;
}

size_t list_count(struct firn_log *log, uint64_t *bytes)
{
    int phase = grace_enter(&log->grace);
    struct segment_list *list = current(log);
    size_t count = list ? list->count : 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += segment_durable_end(list->at[i]);
    grace_exit(&log->grace, phase);
    if (bytes)
        *bytes = sum;
    return count;
}

/* With list_lock: a copy of at[from..to) with room for one more, references taken. */
static struct segment_list *copy_range(const struct segment_list *old, size_t from, size_t to)
{
    struct segment_list *list = malloc(sizeof *list + (to - from + 1) * sizeof(struct segment *));
    if (!list)
        return NULL;
    list->count = to - from;
    for (size_t i = from; i < to; i++)
        list->at[i - from] = segment_ref(old->at[i]);
    return list;
}

/* at[from..to) leave the list. */
static void unlist(const struct segment_list *list, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        handles_unlist(list->at[i]);
}

static void replace(struct firn_log *log, struct segment_list *list)
{
    struct segment_list *old = current(log);
    atomic_store_explicit(&log->list, list, memory_order_release);
    if (old)
        grace_retire(&log->grace, &old->item, release_list);
    grace_reclaim(&log->grace);
}

int list_append(struct firn_log *log, struct segment *segment)
{
    pthread_mutex_lock(&log->list_lock);
    struct segment_list *old = current(log);
    struct segment_list *list = copy_range(old, 0, old ? old->count : 0);
    if (list) {
        handles_list(log, segment);
        list->at[list->count++] = segment;
        replace(log, list);
    }
    pthread_mutex_unlock(&log->list_lock);
    return list ? 0 : FIRN_ENOMEM;
}

int list_keep(struct firn_log *log, uint64_t keep_from, uint64_t keep_to)
{
    pthread_mutex_lock(&log->list_lock);
    struct segment_list *old = current(log);
    size_t count = old ? old->count : 0, from = 0, to = count;
    while (from < count && old->at[from]->base < keep_from)
        from++;
    while (to > from && old->at[to - 1]->base > keep_to)
        to--;
    struct segment_list *list = copy_range(old, from, to);
    if (list) {
        unlist(old, 0, from);
        unlist(old, to, count);
        replace(log, list);
    }
    pthread_mutex_unlock(&log->list_lock);
    return list ? 0 : FIRN_ENOMEM;
}

int list_set(struct firn_log *log, struct segment **segments, size_t count)
{
    struct segment_list *list = malloc(sizeof *list + (count + 1) * sizeof(struct segment *));
    if (!list)
        return FIRN_ENOMEM;
    list->count = count;
    pthread_mutex_lock(&log->list_lock);
    struct segment_list *old = current(log);
    unlist(old, 0, old ? old->count : 0);
    for (size_t i = 0; i < count; i++) {
        list->at[i] = segments[i];
        handles_list(log, segments[i]);
    }
    replace(log, list);
    pthread_mutex_unlock(&log->list_lock);
    return 0;
}

int list_replace_end(struct firn_log *log, struct segment *segment)
{
    pthread_mutex_lock(&log->list_lock);
    struct segment_list *old = current(log);
    size_t to = old ? old->count : 0;
    while (to > 0 && old->at[to - 1]->base >= segment->base)
        to--;
    struct segment_list *list = copy_range(old, 0, to);
    if (list) {
        unlist(old, to, old ? old->count : 0);
        handles_list(log, segment);
        list->at[list->count++] = segment;
        replace(log, list);
    }
    pthread_mutex_unlock(&log->list_lock);
    return list ? 0 : FIRN_ENOMEM;
}

int list_exchange(struct firn_log *log, struct segment *old, struct segment *segment)
{
    int rc = FIRN_ENOENT;
    pthread_mutex_lock(&log->list_lock);
    struct segment_list *was = current(log);
    struct segment_list *list = copy_range(was, 0, was->count);
    for (size_t i = 0; list && i < list->count && rc < 0; i++) {
        if (list->at[i] != old)
            continue;
        handles_unlist(old);
        handles_list(log, segment);
        list->at[i] = segment_ref(segment);
        segment_unref(old);
        rc = 0;
    }
    if (list)
        replace(log, list);
    pthread_mutex_unlock(&log->list_lock);
    return list ? rc : FIRN_ENOMEM;
}

void list_free(struct firn_log *log)
{
    struct segment_list *old = atomic_exchange(&log->list, NULL);
    if (old)
        release_list(&old->item);
    grace_drain(&log->grace);
}
