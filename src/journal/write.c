/* SPDX-License-Identifier: MIT */
/*
 * The committer's side: completing the records of a group, writing them durably, and entering what
 * they changed in the map of what is durable.
 */
#include "commit/env.h"
#include "journal/journal_private.h"

enum {
    PUT_TOGETHER = 32, /* records that are entered without letting go of the lock */
    LARGE = 1024 * 1024,
};

/* With commit.lock. The filling group becomes the one in flight, and its map with it. */
static void seal(void *owner)
{
    struct journal *journal = owner;
    if (journal->commit.filling.items == 0)
        return;
    journal->in_flight = journal->filling;
    journal->filling = (struct staged_map){0};
}

static void complete_record(struct journal *journal, struct commit_walk *walk)
{
    uint8_t *bytes = commit_bytes(walk->buffer) + walk->offset;
    uint32_t crc = 0;
    size_t size = redo_bytes(bytes);
    redo_set_claim(bytes, journal->next_claim);
    walk->offset += REDO_CRC_FROM;
    commit_walk_on(walk, size - REDO_CRC_FROM, &crc);
    redo_set_crc(bytes, crc);
}

/* The buffers from `first` on that follow one another in the file; returns the one behind. */
static struct commit_buffer *run_end(struct commit_buffer *first, uint64_t *bytes)
{
    *bytes = 0;
    struct commit_buffer *buffer = first;
    do {
        *bytes += buffer->used;
        buffer = buffer->next;
    } while (buffer && buffer->position == first->position + *bytes);
    return buffer;
}

/*
 * A large group goes to the disk while the rest of it is copied to the page cache; a durable write
 * of all of it would do one after the other.
 */
static int write_large(struct journal *journal, struct commit_group *group, struct firn_error *err)
{
    int rc = 0;
    for (struct commit_buffer *first = group->first, *end; rc == 0 && first; first = end) {
        uint64_t bytes = 0;
        for (end = first; end && end->position == first->position + bytes && bytes < LARGE;
             end = end->next)
            bytes += end->used;
        space_enter(journal, first->position, bytes);
        rc = commit_write_run(journal->file, first, end, 0, err);
        if (rc == 0) /* an error is reported by the sync */
            disk_writeback_start(journal->file, first->position, bytes, NULL);
    }
    return rc == 0 ? disk_sync(journal->file, err) : rc;
}

static int write_runs(struct journal *journal, struct commit_group *group, struct firn_error *err)
{
    int rc = 0;
    if (group->bytes > LARGE)
        return write_large(journal, group, err);
    for (struct commit_buffer *first = group->first, *end; rc == 0 && first; first = end) {
        uint64_t bytes;
        end = run_end(first, &bytes);
        space_enter(journal, first->position, bytes);
        rc = commit_write_run(journal->file, first, end, FIRN_WRITE_DURABLE, err);
    }
    return rc;
}

/* With map_lock. */
static void enter_record(struct journal *journal, struct commit_walk *walk)
{
    const struct entry entry = {&journal->durable, &journal->pool, false};
    uint8_t *bytes = commit_bytes(walk->buffer) + walk->offset;
    struct redo record;
    redo_parse(bytes, &record);
    uint64_t start = ring_position(journal, journal->written,
                                   walk->buffer->position + walk->offset);
    atomic_store_explicit(&journal->plain_length, NOT_PLAIN, memory_order_release);
    layers_put_record(&entry, walk, start);
    journal->written = start + record.bytes;
    journal->next_claim = record.sequence + 1;
    journal->indexed = (struct point){journal->written, journal->next_claim, record.length,
                                      journal->indexed.bytes + record.bytes};
    layers_note_places(journal); /* before they are owed no more: who stages looks at both */
    atomic_fetch_sub(&journal->owed, (size_t)record.ranges * EXTENT_PLACES);
}

static void enter_group(struct journal *journal, struct commit_group *group)
{
    struct commit_walk walk = {.buffer = group->first};
    while (!commit_walk_ended(&walk)) {
        pthread_mutex_lock(&journal->map_lock);
        for (int i = 0; i < PUT_TOGETHER && !commit_walk_ended(&walk); i++)
            enter_record(journal, &walk);
        pthread_mutex_unlock(&journal->map_lock);
    }
}

static int write_group(void *owner, struct commit_group *group, bool durable,
                       struct firn_error *err)
{
    struct journal *journal = owner;
    (void)durable; /* every group is */
    if (!group->first)
        return 0;
    for (struct commit_walk walk = {.buffer = group->first}; !commit_walk_ended(&walk);)
        complete_record(journal, &walk);
    int rc = write_runs(journal, group, err);
    if (rc < 0)
        return rc;
    enter_group(journal, group);
    space_consider(journal, group->bytes);
    return 0;
}

/* With commit.lock. */
static void publish(void *owner, bool durable)
{
    struct journal *journal = owner;
    (void)durable;
    journal->published = journal->indexed;
    atomic_store_explicit(&journal->length, journal->indexed.length, memory_order_release);
    if (journal->in_flight.extents.room) {
        pthread_mutex_lock(&journal->map_lock);
        extents_clear(&journal->in_flight.extents, &journal->staged_pool);
        pthread_mutex_unlock(&journal->map_lock);
    }
    journal->in_flight = (struct staged_map){0};
    if (space_is_used(journal))
        worker_post(env_worker(journal->env), &journal->apply_task);
}

static void announce(void *owner)
{
    struct journal *journal = owner;
    if (journal->kind->announce)
        journal->kind->announce(journal->owner);
}

static bool help(void *owner)
{
    return apply_help(owner);
}

const struct commit_ops journal_commit_ops = {
    .seal = seal,
    .write = write_group,
    .publish = publish,
    .announce = announce,
    .help = help,
};
