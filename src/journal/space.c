/* SPDX-License-Identifier: MIT */
/*
 * Room in the ring: what is applied may be overwritten. A lap is short at first, and the writer
 * goes back to the ring's start when there is room: space that was written before takes a durable
 * write in a third of the time that new space does. Where there is no room, since applying does not
 * keep up, laps become longer instead, up to all of the ring.
 *
 * And space in the file: it is reserved before a change is staged, so that a full disk is noticed
 * then, and zeroed ahead of those who wait for each write.
 */
#include "journal/journal_private.h"

#include "commit/env.h"

/* The space is used again and again, so zeroing it once pays for larger groups too. */
enum { PAGE = 4096, ZEROING_MOST = 1024 * 1024 };

uint64_t ring_position(const struct journal *journal, uint64_t from, uint64_t offset)
{
    uint64_t ring = journal->ring;
    uint64_t wanted = offset - JOURNAL_START;
    return from + (wanted + ring - from % ring) % ring;
}

/* As much of the ring as is used so far. */
static uint64_t lap_of(const struct journal *journal)
{
    return atomic_load_explicit(&journal->lap, memory_order_relaxed);
}

uint64_t ring_place(struct journal *journal, uint64_t bytes)
{
    uint64_t offset = journal->tail % journal->ring;
    uint64_t next = journal->tail + (journal->ring - offset);
    uint64_t lap = lap_of(journal);
    if (offset + bytes <= lap)
        return journal->tail;
    uint64_t room = bytes > lap / 2 ? bytes : lap / 2;
    if (next + room - journal->head <= journal->ring || offset + bytes > journal->ring)
        return next;
    lap = 2 * lap > offset + bytes ? 2 * lap : offset + bytes;
    atomic_store_explicit(&journal->lap, lap < journal->ring ? lap : journal->ring,
                          memory_order_relaxed);
    return journal->tail;
}

bool space_is_used(const struct journal *journal)
{
    return journal->published.bytes - journal->applied_bytes >= lap_of(journal) / 2;
}

static uint64_t file_limit(const struct journal *journal)
{
    return JOURNAL_START + lap_of(journal);
}

int space_look(const struct journal *journal, uint64_t start, uint64_t bytes)
{
    if (start + bytes - journal->head > journal->ring)
        return FIRN_EAGAIN;
    uint64_t reserved = atomic_load_explicit(&journal->space.reserved_end, memory_order_acquire);
    return ring_offset(journal, start) + bytes <= reserved ? 0 : FIRN_ENOSPC;
}

static int make_room(struct journal *journal, struct firn_error *err)
{
    if (journal->options.refuse_when_full) {
        commit_kick(&journal->commit);
        atomic_store(&journal->apply_wanted, true);
        worker_post(env_worker(journal->env), &journal->apply_task);
        return firn_error_set(err, FIRN_EAGAIN, 0,
                              "%s: the journal is full; wait for an epoch and try again",
                              journal->journal_path);
    }
    int rc = apply_step(journal, err);
    return rc == FIRN_EEND ? commit_force(&journal->commit, err) : rc;
}

int space_make(struct journal *journal, uint64_t start, uint64_t bytes, int reason,
               struct firn_error *err)
{
    if (reason == FIRN_EAGAIN)
        return make_room(journal, err);
    return ahead_reserve(&journal->ahead, &journal->space, journal->file,
                         ring_offset(journal, start) + bytes, file_limit(journal), err);
}

void space_enter(struct journal *journal, uint64_t offset, uint64_t bytes)
{
    ahead_enter(&journal->ahead, &journal->space, offset, offset + bytes, file_limit(journal));
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void space_consider(struct journal *journal, uint64_t group_bytes)
{
    uint64_t position = ring_offset(journal, journal->written);
    uint64_t enough = least(position + ahead_of(position) / 2, file_limit(journal));
    pthread_mutex_lock(&journal->ahead.lock);
    uint64_t ready = journal->space.zeroed_end > journal->space.entered_end
                         ? journal->space.zeroed_end
                         : journal->space.entered_end;
    journal->ahead_position = position;
    journal->zeroing = group_bytes <= ZEROING_MOST;
    bool due = journal->zeroing && ready < enough;
    pthread_mutex_unlock(&journal->ahead.lock);
    if (due)
        worker_post(env_worker(journal->env), &journal->ahead_task);
}

void space_task(void *arg)
{
    struct journal *journal = arg;
    pthread_mutex_lock(&journal->ahead.lock);
    uint64_t goal = journal->ahead_position + ahead_of(journal->ahead_position);
    goal -= goal % PAGE;
    bool more = journal->zeroing &&
                ahead_zero_claim(&journal->ahead, &journal->space, journal->disk,
                                 journal->journal_path, journal->file, goal, file_limit(journal),
                                 NULL) == 0;
    pthread_mutex_unlock(&journal->ahead.lock);
    if (more)
        worker_post_at(env_worker(journal->env), &journal->ahead_task,
                       wait_now_ns() + AHEAD_PAUSE_NS);
}
