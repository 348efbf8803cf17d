/* SPDX-License-Identifier: MIT */
/*
 * Staging: a change becomes a record in the buffers of the filling group, under the commit lock.
 * Nothing is given out before all is at hand: room in the ring, space in the file, buffers, and the
 * places in the map that it will take when it is durable.
 */
#include <assert.h>
#include <string.h>

#include "commit/env.h"
#include "journal/journal_private.h"

/* Where the next bytes of a record go. */
struct sink {
    struct journal *journal;
    struct commit_buffer *buffer;
    uint64_t offset; /* in the file */
};

static void put(struct sink *sink, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    while (size > 0) {
        if (!sink->buffer || sink->buffer->used == COMMIT_BUFFER_ROOM)
            sink->buffer = commit_add(&sink->journal->commit, NULL, sink->offset);
        size_t room = COMMIT_BUFFER_ROOM - sink->buffer->used;
        size_t part = room < size ? room : size;
        memcpy(commit_bytes(sink->buffer) + sink->buffer->used, from, part);
        sink->buffer->used += (uint32_t)part;
        sink->offset += part;
        from += part;
        size -= part;
    }
}

/*
 * The buffer that the record can go on in, if there is one: its header has to lie in one piece.
 * Sets how many more are needed.
 */
static struct commit_buffer *last_buffer(struct journal *journal, uint64_t start, uint64_t bytes,
                                         size_t *more)
{
    struct commit_buffer *last = journal->commit.filling.last;
    if (last && (last->position + last->used != ring_offset(journal, start) ||
                 COMMIT_BUFFER_ROOM - last->used < REDO_HEADER))
        last = NULL;
    uint64_t room = last ? COMMIT_BUFFER_ROOM - last->used : 0;
    *more = bytes > room ? (size_t)((bytes - room + COMMIT_BUFFER_ROOM - 1) / COMMIT_BUFFER_ROOM)
                         : 0;
    return last;
}

static uint64_t length_after(const struct journal *journal, const struct journal_change *change)
{
    return change->set_length ? change->length : journal->staged_length;
}

/* With commit.lock: what recovery would not believe is not staged. */
static int check_ranges(const struct journal *journal, const struct journal_change *change,
                        struct firn_error *err)
{
    uint64_t length = length_after(journal, change);
    bool good = length <= JOURNAL_MOST;
    for (size_t i = 0; good && i < change->range_count; i++) {
        const struct journal_range *range = &change->ranges[i];
        good = range->bytes > 0 && range->bytes <= length && range->offset <= length - range->bytes;
    }
    return good ? 0
                : firn_error_set(err, FIRN_ERANGE, 0, "%s: a change beyond its %llu bytes",
                                 journal->path, (unsigned long long)length);
}

static void put_record(struct journal *journal, const struct journal_change *change, uint64_t start,
                       uint64_t bytes)
{
    size_t more;
    struct sink sink = {journal, last_buffer(journal, start, bytes, &more),
                        ring_offset(journal, start)};
    struct redo record = {
        .sequence = journal->sequence++,
        .salt = journal->salt,
        .bytes = (uint32_t)bytes,
        .ranges = (uint32_t)change->range_count,
        .length = length_after(journal, change),
    };
    uint8_t header[REDO_HEADER];
    redo_encode(&record, header);
    put(&sink, header, sizeof header);
    for (size_t i = 0; i < change->range_count; i++) {
        const struct journal_range *from = &change->ranges[i];
        const struct redo_range range = {from->offset, from->bytes, from->zeros};
        uint8_t bytes_of[REDO_RANGE];
        redo_encode_range(&range, bytes_of);
        put(&sink, bytes_of, sizeof bytes_of);
    }
    for (int i = 0; i < change->iov_count; i++)
        put(&sink, change->iov[i].iov_base, change->iov[i].iov_len);
    assert(sink.offset == ring_offset(journal, start) + bytes);
    journal->tail = start + bytes;
    journal->staged_bytes += bytes;
    journal->staged_length = record.length;
}

/* With commit.lock: the places that entering the change will take; they must be there by then. */
static int owe_places(struct journal *journal, size_t ranges, struct firn_error *err)
{
    size_t places = ranges * EXTENT_PLACES;
    size_t owed = atomic_fetch_add(&journal->owed, places) + places;
    if (atomic_load_explicit(&journal->places, memory_order_relaxed) >= owed)
        return 0;
    pthread_mutex_lock(&journal->map_lock);
    int rc = extents_reserve(&journal->durable, &journal->pool, atomic_load(&journal->owed));
    layers_note_places(journal);
    pthread_mutex_unlock(&journal->map_lock);
    if (rc == 0)
        return 0;
    atomic_fetch_sub(&journal->owed, places);
    return firn_error_set(err, rc, 0, "%s: no memory to stage a change", journal->path);
}

/*
 * With commit.lock: everything that staging takes. 0; COMMIT_AGAIN: plan anew; negative: the lock
 * is not held any more.
 */
static int provide(struct journal *journal, uint64_t bytes, uint64_t *start, struct firn_error *err)
{
    size_t more;
    *start = ring_place(journal, bytes);
    int reason = space_look(journal, *start, bytes);
    if (reason < 0) {
        commit_end(&journal->commit);
        int rc = space_make(journal, *start, bytes, reason, err);
        if (rc == 0)
            rc = commit_begin(&journal->commit, err);
        return rc < 0 ? rc : COMMIT_AGAIN;
    }
    last_buffer(journal, *start, bytes, &more);
    return more ? commit_provide(&journal->commit, more, err) : 0;
}

static int stage(struct journal *journal, const struct journal_change *change, uint64_t bytes,
                 uint64_t *epoch, struct firn_error *err)
{
    uint64_t start;
    int rc = commit_begin(&journal->commit, err);
    if (rc < 0)
        return rc;
    do
        rc = provide(journal, bytes, &start, err);
    while (rc == COMMIT_AGAIN);
    if (rc < 0)
        return rc;
    rc = check_ranges(journal, change, err);
    if (rc == 0)
        rc = owe_places(journal, change->range_count, err);
    if (rc == 0) {
        put_record(journal, change, start, bytes);
        uint64_t given = commit_staged(&journal->commit, bytes, 1, true);
        if (epoch)
            *epoch = given;
    }
    commit_end(&journal->commit);
    return rc;
}

uint64_t change_most(const struct firn_env *env, uint64_t ring, size_t ranges)
{
    uint64_t most = ring / 2 < UINT32_MAX ? ring / 2 : UINT32_MAX;
    uint64_t pool = env ? (uint64_t)env_pool_buffers(env) * COMMIT_BUFFER_ROOM : most;
    uint64_t around = REDO_HEADER + (uint64_t)ranges * REDO_RANGE;
    most = pool < most ? pool : most;
    return most > around ? most - around : 0;
}

uint64_t journal_most(const struct journal *journal, size_t ranges)
{
    return change_most(journal->env, journal->ring, ranges);
}

static uint64_t content_bytes(const struct journal_change *change)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < change->range_count; i++)
        bytes += change->ranges[i].zeros ? 0 : change->ranges[i].bytes;
    return bytes;
}

int journal_fits(const struct journal *journal, const struct journal_change *change,
                 struct firn_error *err)
{
    uint64_t bytes = content_bytes(change);
    uint64_t most = journal_most(journal, change->range_count);
    if (bytes <= most && (most > 0 || change->range_count == 0))
        return 0;
    return firn_error_set(err, FIRN_ETOOBIG, 0,
                          "%s: a change of %llu bytes in %zu places; pool_bytes and journal_bytes "
                          "allow %llu",
                          journal->path, (unsigned long long)bytes, change->range_count,
                          (unsigned long long)most);
}

int journal_stage(struct journal *journal, const struct journal_change *change, uint64_t *epoch,
                  struct firn_error *err)
{
    int rc = journal_fits(journal, change, err);
    if (rc == 0)
        rc = life_begin(journal, err);
    uint64_t bytes = content_bytes(change) + REDO_HEADER +
                     (uint64_t)change->range_count * REDO_RANGE;
    return rc == 0 ? stage(journal, change, bytes, epoch, err) : rc;
}
