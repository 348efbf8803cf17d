/* SPDX-License-Identifier: MIT */
/*
 * Bringing the main file up to date, in steps, so that the background thread has turns for others:
 *
 * 1. What is durable so far becomes what is being applied; whoever read the main file because there
 *    was nothing newer is waited for, since it changes now.
 * 2. The content of the ranges is copied from the journal, in the order of the main file,
 *    neighbours in one write.
 * 3. The main file is synced; readers go there from now on; the header's slots name the new
 *    beginning, durably; and when nobody reads from there any more, the journal's space is free.
 *
 * A failure poisons: the journal still has everything, and opening anew applies it.
 */
#include <stdlib.h>
#include <string.h>

#include "commit/env.h"
#include "journal/journal_private.h"

enum { APPLY_BYTES = 256 * 1024, GAP_BYTES = 4096 };

/* ---- the beginning ---- */

static int no_memory(struct journal *journal, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to apply what its journal has",
                          journal->path);
}

/*
 * With both locks: an empty map takes the place of `durable`, with places for all that is staged.
 * The committer may be about to publish what it has entered there: that is applied too, and yet
 * pending until a later round, for what readers find staged is counted from what is published.
 */
static int exchange(struct journal *journal)
{
    struct extents fresh = {0};
    if (extents_reserve(&fresh, &journal->pool, atomic_load(&journal->owed)) < 0) {
        extents_clear(&fresh, &journal->pool);
        return FIRN_ENOMEM;
    }
    journal->applying = journal->durable;
    journal->durable = fresh;
    journal->apply.target = journal->published;
    /* Until what is indexed is published, either length may be that of the file. */
    journal->apply.length = journal->indexed.length > journal->published.length
                                ? journal->indexed.length
                                : journal->published.length;
    layers_note_places(journal);
    return 0;
}

static int start(struct journal *journal, struct firn_error *err)
{
    struct apply *apply = &journal->apply;
    uint8_t *buffer = malloc(APPLY_BYTES);
    if (!buffer)
        return no_memory(journal, err);
    lock_take(&journal->commit.lock);
    pthread_mutex_lock(&journal->map_lock);
    int rc = exchange(journal);
    pthread_mutex_unlock(&journal->map_lock);
    lock_release(&journal->commit.lock);
    if (rc < 0) {
        free(buffer);
        return no_memory(journal, err);
    }
    grace_wait(&journal->grace);
    apply->buffer = buffer;
    apply->next = 0;
    apply->running = true;
    return 0;
}

/* ---- the middle ---- */

/*
 * How far one write goes that begins with `extent`: ranges that touch, or nearly so. Writing what
 * lies between them anew dirties no page that would stay clean otherwise, and spares calls.
 */
static uint64_t run_end(struct extent_cursor cursor, uint64_t from, uint64_t limit, bool *gaps)
{
    limit = limit - from < APPLY_BYTES ? limit : from + APPLY_BYTES;
    uint64_t end = extents_get(&cursor).to;
    *gaps = false;
    while (end < limit && extents_next(&cursor)) {
        struct extent extent = extents_get(&cursor);
        if (extent.from >= limit || extent.from - end >= GAP_BYTES)
            break;
        *gaps |= extent.from > end;
        end = extent.to;
    }
    return end < limit ? end : limit;
}

static int read_fully(struct journal *journal, struct firn_file *file, uint8_t *to, size_t bytes,
                      uint64_t offset, struct firn_error *err)
{
    size_t got;
    int rc = disk_read_full(file, to, bytes, offset, &got, err);
    if (rc == 0 && got < bytes)
        return firn_error_set(err, FIRN_EDAMAGED, 0,
                              "%s: ends before byte %llu: somebody has cut it",
                              file == journal->main ? journal->path : journal->journal_path,
                              (unsigned long long)(offset + bytes));
    return rc;
}

static int fill(struct journal *journal, uint64_t position, uint8_t *to, size_t bytes,
                struct firn_error *err)
{
    if (position < ZEROS_FROM)
        return read_fully(journal, journal->file, to, bytes, ring_offset(journal, position), err);
    memset(to, 0, bytes);
    return 0;
}

/* Fills the buffer with what [from, end) of the main file becomes. */
static int gather(struct journal *journal, struct extent_cursor cursor, uint64_t from, uint64_t end,
                  bool gaps, struct firn_error *err)
{
    uint8_t *buffer = journal->apply.buffer;
    int rc = gaps ? read_fully(journal, journal->main, buffer, (size_t)(end - from), from, err) : 0;
    bool more = true;
    while (rc == 0 && more) {
        struct extent extent = extents_get(&cursor);
        if (extent.from >= end)
            break;
        uint64_t start = extent.from > from ? extent.from : from;
        uint64_t stop = extent.to < end ? extent.to : end;
        uint64_t position = extent.position + (start - extent.from);
        rc = fill(journal, position, buffer + (start - from), (size_t)(stop - start), err);
        if (extent.position < ZEROS_FROM && stop > journal->apply.fresh)
            journal->apply.fresh = stop;
        more = extents_next(&cursor);
    }
    return rc;
}

/* Zeros where nothing was written are there: a growth by many of them costs nothing. */
static bool is_there(const struct apply *apply, const struct extent *extent, uint64_t from)
{
    return extent->position >= ZEROS_FROM && from >= apply->fresh;
}

static int write_some(struct journal *journal, bool *done, struct firn_error *err)
{
    struct apply *apply = &journal->apply;
    struct extent_cursor cursor;
    struct extent first = {.from = UINT64_MAX};
    bool gaps;
    if (extents_find(&journal->applying, apply->next, &cursor))
        first = extents_get(&cursor);
    uint64_t from = first.from > apply->next ? first.from : apply->next;
    *done = from >= apply->length;
    if (!*done && is_there(apply, &first, from))
        apply->next = first.to;
    if (*done || apply->next > from)
        return 0;
    uint64_t end = run_end(cursor, from, apply->length, &gaps);
    int rc = gather(journal, cursor, from, end, gaps, err);
    if (rc == 0)
        rc = disk_write_full(journal->main, apply->buffer, (size_t)(end - from), from, 0, err);
    if (rc < 0)
        return rc;
    apply->next = end;
    apply->bytes += end - from;
    apply->writes++;
    return 0;
}

/* Several short runs make a step too. */
static int write_step(struct journal *journal, bool *done, struct firn_error *err)
{
    const struct apply *apply = &journal->apply;
    uint64_t bytes = apply->bytes, from = apply->next;
    int rc = 0;
    *done = false;
    while (rc == 0 && !*done && apply->bytes - bytes < APPLY_BYTES)
        rc = write_some(journal, done, err);
    if (rc == 0 && apply->next > from) /* the sync at the end is short then, and tells of errors */
        disk_writeback_start(journal->main, from, apply->next - from, NULL);
    return rc;
}

/* ---- the end ---- */

static void free_space(struct journal *journal, const struct point *target)
{
    lock_take(&journal->commit.lock);
    journal->head = target->position;
    journal->applied_bytes = target->bytes;
    lock_release(&journal->commit.lock);
}

static int finish(struct journal *journal, struct firn_error *err)
{
    struct apply *apply = &journal->apply;
    int rc = disk_sync(journal->main, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&journal->map_lock);
    extents_clear(&journal->applying, &journal->pool);
    layers_note_places(journal);
    if (journal->durable.count == 0)
        atomic_store_explicit(&journal->plain_length, journal->indexed.length,
                              memory_order_release);
    pthread_mutex_unlock(&journal->map_lock);
    struct head next = journal->state;
    next.from = apply->target;
    rc = head_store(journal, &next, err);
    if (rc < 0)
        return rc;
    grace_wait(&journal->grace);
    free_space(journal, &apply->target);
    free(apply->buffer);
    apply->buffer = NULL;
    apply->running = false;
    apply->applies++;
    return 0;
}

/* ---- steps ---- */

static bool is_poisoned(struct journal *journal, struct firn_error *err)
{
    struct commit *commit = &journal->commit;
    lock_take(&commit->lock);
    bool poisoned = commit->poisoned && commit_poisoned(commit, err) < 0;
    lock_release(&commit->lock);
    return poisoned;
}

static bool is_behind(struct journal *journal)
{
    lock_take(&journal->commit.lock);
    bool behind = journal->published.sequence != journal->state.from.sequence;
    lock_release(&journal->commit.lock);
    return behind;
}

/* With apply.lock. */
static int step(struct journal *journal, struct firn_error *err)
{
    struct firn_error cause = {0};
    bool done;
    if (is_poisoned(journal, err))
        return FIRN_EPOISONED;
    if (!journal->apply.running)
        return is_behind(journal) ? start(journal, err) : FIRN_EEND;
    int rc = write_step(journal, &done, &cause);
    if (rc == 0 && done)
        rc = finish(journal, &cause);
    return journal_poison(journal, rc, &cause, err);
}

int apply_step(struct journal *journal, struct firn_error *err)
{
    pthread_mutex_lock(&journal->apply.lock);
    int rc = step(journal, err);
    pthread_mutex_unlock(&journal->apply.lock);
    return rc;
}

int apply_all(struct journal *journal, struct firn_error *err)
{
    int rc;
    do
        rc = apply_step(journal, err);
    while (rc == 0);
    return rc == FIRN_EEND ? 0 : rc;
}

static bool is_due(struct journal *journal)
{
    lock_take(&journal->commit.lock);
    bool due = space_is_used(journal);
    lock_release(&journal->commit.lock);
    return atomic_exchange(&journal->apply_wanted, false) || due;
}

/* With apply.lock. */
static bool step_if_due(struct journal *journal)
{
    return (journal->apply.running || is_due(journal)) && step(journal, NULL) == 0;
}

bool apply_help(struct journal *journal)
{
    if (pthread_mutex_trylock(&journal->apply.lock) != 0)
        return false;
    bool helped = step_if_due(journal);
    pthread_mutex_unlock(&journal->apply.lock);
    return helped;
}

/* Goes on until a round is done; the next one begins when enough is pending again. */
void apply_task(void *arg)
{
    struct journal *journal = arg;
    pthread_mutex_lock(&journal->apply.lock);
    bool more = step_if_due(journal) && journal->apply.running;
    pthread_mutex_unlock(&journal->apply.lock);
    if (more)
        worker_post(env_worker(journal->env), &journal->apply_task);
}
