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

/*
 * The first record behind the cut: a truncation raises the generation, and what was before the cut
 * was there when the cursor's last record was, with its generation or a lower one.
 */
static int find_cut(struct firn_cursor *cursor, uint64_t *index, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    uint64_t at = atomic_load(&log->durable_next), lowest = atomic_load(&log->lowest);
    while (at > lowest) {
        int rc = cursor_load(cursor, at - 1, err);
        if (rc == FIRN_EDAMAGED)
            at = cursor->hole.first_index;
        else if (rc < 0)
            return rc;
        else if (cursor->batch.generation <= cursor->seen_generation)
            break;
        else
            at = cursor->batch.base;
    }
    *index = at > lowest ? at : lowest;
    return 0;
}

int firn_cursor_rejoin(struct firn_cursor *cursor, struct firn_error *err)
{
    struct firn_log *log = cursor->log;
    follow_refresh(log);
    uint64_t place = cursor->place, lowest = atomic_load(&log->lowest);
    cursor->truncations = atomic_load(&log->truncations);
    cursor_drop(cursor);
    int rc = was_cut(cursor) ? find_cut(cursor, &place, err) : 0;
    if (rc < 0)
        return rc;
    cursor->place = place > lowest ? place : lowest;
    cursor->seen = false;
    cursor->has_hole = false;
    return 0;
}
