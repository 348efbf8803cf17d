/* SPDX-License-Identifier: MIT */
#include "commit/ahead.h"

#include "disk/disk.h"

enum { PAGE = 4096, READ_BYTES = 16 * 1024 };

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t page_up(uint64_t position)
{
    return (position + PAGE - 1) / PAGE * PAGE;
}

uint64_t ahead_of(uint64_t position)
{
    if (position < AHEAD_STEP)
        return AHEAD_STEP;
    return least(position, AHEAD_MOST);
}

void ahead_init(struct ahead *ahead)
{
    pthread_mutex_init(&ahead->lock, NULL);
    ahead->claimed = NULL;
    ahead->claim_from = ahead->claim_to = 0;
    wait_word_init(&ahead->released);
}

void ahead_done(struct ahead *ahead)
{
    wait_word_done(&ahead->released);
    pthread_mutex_destroy(&ahead->lock);
}

/* ---- reserving ---- */

int ahead_reserve_locked(struct ahead *ahead, struct ahead_file *space, struct firn_file *file,
                         uint64_t until, uint64_t limit, struct firn_error *err)
{
    (void)ahead; /* its lock is what counts */
    uint64_t end = atomic_load(&space->reserved_end);
    if (until <= end || atomic_load(&space->finished))
        return 0;
    uint64_t wanted = least(page_up(until + ahead_of(end)), limit);
    int rc = FIRN_ENOSPC;
    if (wanted > until)
        rc = disk_reserve(file, end, wanted - end, err);
    if (rc == FIRN_ENOSPC) {
        wanted = until;
        rc = disk_reserve(file, end, wanted - end, err);
    }
    if (rc == 0)
        atomic_store_explicit(&space->reserved_end, wanted, memory_order_release);
    return rc;
}

int ahead_reserve(struct ahead *ahead, struct ahead_file *space, struct firn_file *file,
                  uint64_t until, uint64_t limit, struct firn_error *err)
{
    pthread_mutex_lock(&ahead->lock);
    int rc = ahead_reserve_locked(ahead, space, file, until, limit, err);
    pthread_mutex_unlock(&ahead->lock);
    return rc;
}

/* ---- zeroing ---- */

static void await_change(struct ahead *ahead)
{
    uint32_t seen = wait_load(&ahead->released);
    pthread_mutex_unlock(&ahead->lock);
    wait_until_changed(&ahead->released, seen, WAIT_FOREVER);
    pthread_mutex_lock(&ahead->lock);
}

void ahead_await_release(struct ahead *ahead)
{
    while (ahead->claimed)
        await_change(ahead);
}

/*
 * With the lock: the next claim on the way to `goal`; false: that is reached. It lies ahead of all
 * that a writer has entered.
 */
static bool next_claim(const struct ahead_file *space, uint64_t goal, uint64_t *from, uint64_t *to)
{
    uint64_t entered = space->entered_end;
    uint64_t gap = entered < AHEAD_STEP ? PAGE : AHEAD_CLAIM / 4;
    *from = space->zeroed_end;
    if (*from < entered)
        *from = page_up(entered + gap);
    if (*from >= goal || atomic_load(&space->finished))
        return false;
    *to = least(*from + AHEAD_CLAIM, goal);
    return true;
}

/* FIRN_EEND: there is something else than zeros. */
static int look_for_zeros(struct firn_file *file, uint64_t from, uint64_t to,
                          struct firn_error *err)
{
    uint8_t bytes[READ_BYTES];
    for (size_t got = 0; from < to; from += got) {
        int rc = disk_read_full(file, bytes, least(to - from, READ_BYTES), from, &got, err);
        if (rc < 0)
            return rc;
        if (got == 0)
            return FIRN_EEND; /* shorter than it was: not the file that it was */
        for (size_t i = 0; i < got; i++)
            if (bytes[i] != 0)
                return FIRN_EEND;
    }
    return 0;
}

static int zero(struct firn_disk *disk, const char *path, uint64_t from, uint64_t to,
                bool only_zeros, struct firn_error *err)
{
    struct firn_file *file;
    int rc = disk_open(disk, path, FIRN_OPEN_WRITE, &file, err);
    if (rc < 0)
        return rc;
    if (only_zeros)
        rc = look_for_zeros(file, from, to, err);
    if (rc == 0)
        rc = disk_write_zeros(file, from, to - from, 0, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    return rc;
}

int ahead_zero_claim(struct ahead *ahead, struct ahead_file *space, struct firn_disk *disk,
                     const char *path, struct firn_file *file, uint64_t goal, uint64_t limit,
                     struct firn_error *err)
{
    uint64_t from, to;
    ahead_await_release(ahead);
    if (!next_claim(space, least(goal, limit), &from, &to))
        return FIRN_EEND;
    int rc = ahead_reserve_locked(ahead, space, file, to, limit, err);
    if (rc < 0)
        return rc;
    ahead->claimed = space;
    ahead->claim_from = from;
    ahead->claim_to = to;
    pthread_mutex_unlock(&ahead->lock);
    rc = zero(disk, path, from, to, space->only_zeros, err);
    pthread_mutex_lock(&ahead->lock);
    if (rc == 0)
        space->zeroed_end = to;
    else if (rc == FIRN_EEND)
        atomic_store(&space->finished, true);
    ahead->claimed = NULL;
    wait_bump_and_wake_all(&ahead->released);
    return rc;
}

/* ---- writers ---- */

/* With the lock. */
static void enter_locked(struct ahead *ahead, struct ahead_file *space, uint64_t from, uint64_t to,
                         uint64_t limit)
{
    while (ahead->claimed == space && ahead->claim_from < to && from < ahead->claim_to)
        await_change(ahead);
    to = least(to, limit);
    if (space->entered_end < to)
        space->entered_end = to;
}

void ahead_enter(struct ahead *ahead, struct ahead_file *space, uint64_t from, uint64_t to,
                 uint64_t limit)
{
    pthread_mutex_lock(&ahead->lock);
    enter_locked(ahead, space, from, to, limit);
    pthread_mutex_unlock(&ahead->lock);
}

void ahead_finish(struct ahead *ahead, struct ahead_file *space, uint64_t limit)
{
    pthread_mutex_lock(&ahead->lock);
    enter_locked(ahead, space, 0, UINT64_MAX, limit);
    atomic_store(&space->finished, true);
    pthread_mutex_unlock(&ahead->lock);
}
