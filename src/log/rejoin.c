/* SPDX-License-Identifier: MIT */
/* Where a cursor goes on when what it stood on is gone. */
#include "log/cursor.h"

/* Whether the record read last is not the log's any more. */
static bool was_cut(struct firn_cursor *cursor)
{
    if (!cursor->seen)
        return false;
    int rc = cursor_load(cursor, cursor->seen_index, NULL);
    return rc == FIRN_EEND || (rc == 0 && cursor->batch.generation != cursor->seen_generation);
}

/* Looks at the record `at`: *behind is false if it is known to have been there before the cut. */
static int look(struct firn_cursor *cursor, uint32_t generation, uint64_t at, bool *behind,
                struct firn_error *err)
{
    int rc = cursor_load(cursor, at, err);
    *behind = rc != 0 || cursor->batch.generation > generation;
    return rc;
}

/*
 * A truncation raises the generation, and generations never fall along a log: so this halves. What
 * a hole holds can't be told, and counts as cut, unless something behind it was there before.
 */
int cursor_find_cut(struct firn_cursor *cursor, uint32_t generation, uint64_t limit,
                    uint64_t *index, struct firn_error *err)
{
    uint64_t low = atomic_load(&cursor->log->lowest), high = limit, at = limit - 1;
    bool behind;
    while (low < high) {
        int rc = look(cursor, generation, at, &behind, err);
        if (rc == FIRN_EDAMAGED) {
            uint64_t before = cursor->hole.first_index, next = cursor->hole.next_index;
            before = before < at ? before : at;
            if (next <= at || next >= high || look(cursor, generation, next, &behind, NULL) != 0 ||
                behind)
                high = before;
        } else if (rc == FIRN_ERANGE || rc == FIRN_EEND) {
            high = rc == FIRN_EEND ? at : high; /* truncated, or the beginning removed, just now */
            low = rc == FIRN_ERANGE ? at + 1 : low;
        } else if (rc < 0) {
            return rc;
        } else if (behind) {
            high = cursor->batch.base;
        }
        if (!behind)
            low = cursor->batch.base + cursor->batch.last_delta + 1;
        at = low + (high - low) / 2;
    }
    *index = low < limit ? low : limit;
    return 0;
}

int firn_cursor_rejoin(struct firn_cursor *cursor, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    follow_refresh(log);
    uint64_t place = cursor->place, lowest = atomic_load(&log->lowest);
    cursor->truncations = atomic_load(&log->truncations);
    cursor_drop(cursor);
    int rc = was_cut(cursor) ? cursor_find_cut(cursor, cursor->seen_generation,
                                               atomic_load(&log->durable_next), &place, err)
                             : 0;
    if (rc < 0)
        return rc;
    cursor->place = place > lowest ? place : lowest;
    cursor->seen = false;
    cursor->has_hole = false;
    return 0;
}
