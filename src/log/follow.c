/* SPDX-License-Identifier: MIT */
/* The position, as the writer sees to it, and waiting for it. */
#include "log/follow.h"

#include <stdlib.h>
#include <string.h>

#include <firn/follow.h>

#include "log/log_private.h"

/* How long a waiter that was about to sleep when it was interrupted may sleep on. */
#define INTERRUPT_SLICE_NS 100000000u
/* How often a waiter looks for a position where there never was a writer that had one. */
#define ATTACH_PAUSE_NS 10000000u

static const char magic[8] = "FIRNPOS1";

void follow_init(struct firn_log *log)
{
    pthread_mutex_init(&log->follow.lock, NULL);
}

void follow_done(struct firn_log *log)
{
    struct follow *follow = &log->follow;
    if (follow->share)
        disk_unshare(log->disk, follow->share);
    else
        free(follow->position);
    pthread_mutex_destroy(&follow->lock);
}

/* ---- the writer ----------------------------------------------------------------------------- */

static void begin_change(struct position *position)
{
    uint32_t sequence = atomic_load_explicit(&position->sequence, memory_order_relaxed);
    atomic_store_explicit(&position->sequence, sequence | 1, memory_order_relaxed);
}

static void end_change(struct position *position)
{
    uint32_t sequence = atomic_load_explicit(&position->sequence, memory_order_relaxed);
    atomic_store_explicit(&position->sequence, (sequence | 1) + 1, memory_order_release);
}

int follow_create(struct firn_log *log, struct firn_error *err)
{
    struct follow *follow = &log->follow;
    char path[DISK_PATH_SIZE];
    void *memory = NULL;
    int rc = disk_path_join(path, sizeof path, log->dir, POSITION_NAME, err);
    if (rc == 0)
        rc = disk_share(log->disk, path, sizeof *follow->position, true, &follow->share, &memory,
                        NULL);
    if (rc < 0) /* on a full disk, say: then only this handle can be followed */
        memory = calloc(1, sizeof *follow->position);
    if (!memory)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory", log->dir);
    struct position *position = follow->position = memory;
    begin_change(position);
    if (memcmp(position->magic, magic, sizeof magic) != 0) {
        memset((char *)memory + sizeof magic, 0, sizeof *position - sizeof magic);
        memcpy(position->magic, magic, sizeof magic);
        begin_change(position);
    }
    disk_boot_id(log->disk, position->boot);
    uint64_t truncations = atomic_load(&position->truncations) | 1;
    atomic_store_explicit(&position->truncations, truncations, memory_order_release);
    atomic_store_explicit(&position->writer, disk_process_id(log->disk), memory_order_release);
    end_change(position);
    follow->truncations = truncations + 1;
    return 0;
}

void follow_publish(struct firn_log *log, const struct place *place)
{
    struct follow *follow = &log->follow;
    struct position *position = follow->position;
    uint64_t lowest = atomic_load(&log->lowest);
    uint64_t truncations = follow->truncations + atomic_load(&log->truncations);
    pthread_mutex_lock(&follow->lock);
    begin_change(position);
    atomic_store_explicit(&position->segment, place->segment, memory_order_release);
    atomic_store_explicit(&position->end, place->position, memory_order_release);
    atomic_store_explicit(&position->next, place->index, memory_order_release);
    atomic_store_explicit(&position->lowest, lowest, memory_order_release);
    atomic_store_explicit(&position->truncations, truncations, memory_order_release);
    atomic_store_explicit(&position->generation, log->generation, memory_order_release);
    end_change(position);
    pthread_mutex_unlock(&follow->lock);
    atomic_fetch_add_explicit(&position->wake, 1, memory_order_release);
}

void follow_wake(struct firn_log *log)
{
    if (log->follow.position)
        wait_shared_wake_all(&log->follow.position->wake);
}

void follow_announce(struct firn_log *log)
{
    lock_take(&log->commit.lock);
    follow_publish(log, &log->place);
    lock_release(&log->commit.lock);
    follow_wake(log);
}

void follow_leave(struct firn_log *log)
{
    struct position *position = log->follow.position;
    if (!position || log->options.read_only)
        return;
    uint64_t truncations = atomic_load(&position->truncations);
    begin_change(position);
    atomic_store_explicit(&position->writer, 0, memory_order_release);
    atomic_store_explicit(&position->truncations, truncations + truncations % 2,
                          memory_order_release);
    end_change(position);
}

/* ---- waiting -------------------------------------------------------------------------------- */

bool follow_holds(struct firn_log *log, uint64_t index)
{
    follow_refresh(log);
    return index < atomic_load_explicit(&log->durable_next, memory_order_acquire);
}

int follow_check(struct firn_log *log, struct firn_error *err)
{
    if (atomic_load(&log->follow.interrupted))
        return firn_error_set(err, FIRN_ECLOSED, 0, "%s: the wait was interrupted", log->dir);
    return log_check_poison(log, err);
}

uint32_t follow_seen(struct firn_log *log)
{
    struct position *position = log->follow.position;
    return position ? atomic_load(&position->wake) : 0;
}

void follow_sleep(struct firn_log *log, uint32_t seen, uint64_t deadline)
{
    uint64_t now = wait_now_ns();
    struct position *position = log->follow.position;
    stats_add(&log->stats, EVENT_SLEEP, 1);
    uint64_t slice = now + (position ? INTERRUPT_SLICE_NS : ATTACH_PAUSE_NS);
    if (deadline < slice)
        slice = deadline;
    if (position)
        (void)wait_shared_until_changed(&position->wake, seen, slice);
    else if (slice > now)
        disk_sleep(log->disk, slice - now);
}

int firn_log_wait(struct firn_log *log, uint64_t index, uint64_t timeout_us, struct firn_error *err)
{
    uint64_t ns = wait_ns_of_us(timeout_us);
    uint64_t deadline = ns == WAIT_FOREVER ? WAIT_FOREVER : wait_deadline(ns);
    uint64_t truncations = atomic_load(&log->truncations);
    for (;;) {
        uint32_t seen = follow_seen(log);
        if (follow_holds(log, index) || atomic_load(&log->truncations) != truncations)
            return 0;
        int rc = follow_check(log, err);
        if (rc < 0)
            return rc;
        if (deadline != WAIT_FOREVER && wait_now_ns() >= deadline)
            return firn_error_set(err, FIRN_ETIMEDOUT, 0, "%s: record %llu is not durable yet",
                                  log->dir, (unsigned long long)index);
        follow_sleep(log, seen, deadline);
    }
}

void firn_log_interrupt(struct firn_log *log)
{
    atomic_store(&log->follow.interrupted, true);
    follow_wake(log);
}

void firn_log_get_writer(struct firn_log *log, struct firn_writer_info *info)
{
    const struct position *position = log->follow.position;
    *info = (struct firn_writer_info){.generation = log->generation};
    if (!position)
        return;
    info->process_id = atomic_load(&position->writer);
    info->alive = info->process_id > 0 && disk_process_alive(log->disk, info->process_id);
    info->generation = atomic_load(&position->generation);
}
