/* SPDX-License-Identifier: MIT */
/*
 * Named cursors. A change reads the file, changes what it read and replaces it, under the lock of
 * the file. Calls that come while one is under way wait, and the next one of them does the work of
 * all of them: so they share its sync.
 *
 * A truncation leaves positions alone: who reads one finds out. A position comes with a generation
 * that none of the records below it exceeds. A truncation raises the generation, and what is
 * appended behind the cut has the new one: so a position is as it was where the record before it
 * has no higher generation, and else the cut is the first batch that has one.
 */
#include <stdlib.h>
#include <string.h>

#include "log/cursor.h"

#define LOCK_PAUSE_LEAST_NS 50000u
#define LOCK_PAUSE_MOST_NS 2000000u

void named_init(struct firn_log *log)
{
    pthread_mutex_init(&log->named.lock, NULL);
    wait_word_init(&log->named.turn);
}

void named_free(struct firn_log *log)
{
    disk_unlock(log->disk, log->named.held);
    wait_word_done(&log->named.turn);
    pthread_mutex_destroy(&log->named.lock);
}

bool named_is_file(const char *name)
{
    return strcmp(name, NAMED_FILE) == 0 || strcmp(name, NAMED_FILE ".tmp") == 0;
}

/* ---- one at a time -------------------------------------------------------------------------- */

/* With `lock`: until nobody is busy, or `done`. False: somebody still is. */
static bool await_turn(struct named *named, const bool *done, uint64_t deadline)
{
    while (named->busy && !(done && *done)) {
        uint32_t seen = wait_load(&named->turn);
        pthread_mutex_unlock(&named->lock);
        int rc = wait_until_changed(&named->turn, seen, deadline);
        pthread_mutex_lock(&named->lock);
        if (rc == FIRN_ETIMEDOUT)
            break;
    }
    return !named->busy;
}

/* With `lock`. */
static void end_turn(struct named *named)
{
    named->busy = false;
    wait_bump_and_wake_all(&named->turn);
}

/* Others hold it for a few milliseconds. */
static int lock_file(struct firn_log *log, uint64_t patience_ns, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_disk *disk = log->disk;
    uint64_t since = disk_clock(disk, FIRN_CLOCK_MONOTONIC), pause = LOCK_PAUSE_LEAST_NS;
    int rc = disk_path_join(path, sizeof path, log->dir, NAMED_LOCK, err);
    if (rc < 0)
        return rc;
    for (;;) {
        struct firn_error why;
        rc = disk_lock(disk, path, &log->named.held, NULL, &why);
        if (rc == 0)
            return 0;
        bool over = disk_clock(disk, FIRN_CLOCK_MONOTONIC) - since > patience_ns;
        if (rc != FIRN_ELOCKED || over) {
            if (err)
                *err = why;
            return rc;
        }
        disk_sleep(disk, pause);
        pause = pause < LOCK_PAUSE_MOST_NS ? pause * 2 : LOCK_PAUSE_MOST_NS;
    }
}

static void unlock_file(struct firn_log *log)
{
    disk_unlock(log->disk, log->named.held);
    log->named.held = NULL;
}

/* Somebody may have destroyed the log while this handle read it. */
static int check_log(struct firn_log *log, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    bool exists = false;
    int rc = disk_path_join(path, sizeof path, log->dir, CHECKPOINT_NAME, err);
    if (rc == 0)
        rc = disk_exists(log->disk, path, &exists, err);
    if (rc == 0 && !exists)
        rc = firn_error_set(err, FIRN_ENOENT, 0, "%s: there is no log in it any more", log->dir);
    return rc;
}

/* ---- changing ------------------------------------------------------------------------------- */

static void put(struct named_table *table, const struct named_request *request,
                const struct firn_position *position)
{
    struct named_entry *entry = named_add(table, position->name);
    uint32_t generation = position->generation;
    entry->index = position->index;
    entry->generation = generation && generation < request->generation ? generation
                                                                       : request->generation;
}

static int refuse(struct firn_log *log, int rc, struct firn_error *err)
{
    if (rc == FIRN_ETOOBIG)
        return firn_error_set(err, rc, 0, "%s: it has %d cursors, which is the most", log->dir,
                              NAMED_MOST);
    return firn_error_set(err, rc, 0, "%s: no memory for a cursor", log->dir);
}

static int no_cursor(struct firn_log *log, const char *name, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOENT, 0, "%s: it has no cursor '%s'", log->dir, name);
}

static int put_all(struct firn_log *log, struct named_table *table, struct named_request *request)
{
    size_t more = 0;
    for (size_t i = 0; i < request->count; i++)
        more += named_find(table, request->positions[i].name) == NULL;
    int rc = named_reserve(table, more);
    if (rc < 0)
        return refuse(log, rc, &request->err);
    for (size_t i = 0; i < request->count; i++)
        put(table, request, &request->positions[i]);
    return 0;
}

static int drop(struct firn_log *log, struct named_table *table, struct named_request *request)
{
    struct named_entry *entry = named_find(table, request->remove);
    if (!entry)
        return no_cursor(log, request->remove, &request->err);
    named_drop(table, entry);
    return 0;
}

static int store(struct firn_log *log, struct named_table *table, struct firn_error *err)
{
    log->named.durable = 0;
    int rc = named_store(log->disk, log->dir, table, err);
    if (rc == 0)
        log->named.durable = table->sequence;
    stats_add(&log->stats, EVENT_POSITION_STORE, rc == 0);
    return rc;
}

/* With the file's lock. */
static int change(struct firn_log *log, struct named_request *first, struct firn_error *err)
{
    struct named_table table;
    bool changed = false;
    int rc = check_log(log, err);
    if (rc == 0)
        rc = named_load(log->disk, log->dir, &table, err);
    if (rc < 0)
        return rc;
    for (struct named_request *request = first; request; request = request->next) {
        request->rc = request->remove ? drop(log, &table, request) : put_all(log, &table, request);
        changed |= request->rc == 0;
    }
    rc = changed ? store(log, &table, err) : 0;
    named_done(&table);
    return rc;
}

/* What fails for all fails for each of them. */
static void carry_out(struct firn_log *log, struct named_request *first)
{
    struct firn_error err = {0};
    int rc = lock_file(log, NAMED_PATIENCE_NS, &err);
    if (rc == 0) {
        rc = change(log, first, &err);
        unlock_file(log);
    }
    for (struct named_request *request = first; rc < 0 && request; request = request->next) {
        request->rc = rc;
        request->err = err;
    }
}

static int submit(struct firn_log *log, struct named_request *request, struct firn_error *err)
{
    struct named *named = &log->named;
    pthread_mutex_lock(&named->lock);
    request->next = named->first;
    named->first = request;
    await_turn(named, &request->done, WAIT_FOREVER);
    if (!request->done) {
        struct named_request *first = named->first;
        named->first = NULL;
        named->busy = true;
        pthread_mutex_unlock(&named->lock);
        carry_out(log, first);
        pthread_mutex_lock(&named->lock);
        for (struct named_request *next; first; first = next) {
            next = first->next;
            first->done = true;
        }
        end_turn(named);
    }
    pthread_mutex_unlock(&named->lock);
    stats_add(&log->stats, EVENT_POSITION_COMMIT, request->rc == 0);
    if (request->rc < 0 && err)
        *err = request->err;
    return request->rc;
}

static int check_name(const char *name, struct firn_error *err)
{
    if (named_is_name(name))
        return 0;
    return firn_error_set(err, FIRN_EINVAL, 0,
                          "'%.120s' is no name of a cursor: 1 to %d letters, digits, '.', '_' and "
                          "'-', and no '.' at the beginning",
                          name ? name : "", FIRN_CURSOR_NAME_MAX);
}

static int check_position(struct firn_log *log, const struct firn_position *position,
                          struct firn_error *err)
{
    int rc = check_name(position->name, err);
    uint64_t next = atomic_load_explicit(&log->durable_next, memory_order_acquire);
    if (rc < 0 || position->index <= next)
        return rc;
    return firn_error_set(
        err, FIRN_ERANGE, 0, "%s: cursor '%s' can't be at %llu: next index is %llu", log->dir,
        position->name, (unsigned long long)position->index, (unsigned long long)next);
}

int firn_log_commit_positions(struct firn_log *log, const struct firn_position *positions,
                              size_t count, struct firn_error *err)
{
    /* Before it looks again: a truncation that the caller can't know of yet must show later. */
    uint32_t generation = log_generation(log);
    struct named_request request = {
        .positions = positions, .count = count, .generation = generation};
    follow_refresh(log);
    int rc = log_check_poison(log, err); /* a truncation may be half done */
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = check_position(log, &positions[i], err);
    if (rc < 0)
        return rc;
    return count ? submit(log, &request, err) : 0;
}

int firn_log_remove_position(struct firn_log *log, const char *name, struct firn_error *err)
{
    struct named_request request = {.remove = name};
    int rc = check_name(name, err);
    return rc == 0 ? submit(log, &request, err) : rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Where the position is now: a truncation may have taken it back. */
static int find_place(struct firn_log *log, const struct named_entry *entry, uint64_t *index,
                      struct firn_error *err)
{
    uint64_t next = atomic_load_explicit(&log->durable_next, memory_order_acquire);
    struct firn_cursor *cursor;
    *index = entry->index < next ? entry->index : next;
    if (entry->generation >= log_generation(log) || *index <= atomic_load(&log->lowest))
        return 0;
    int rc = firn_cursor_open(log, NULL, &cursor, err);
    if (rc < 0)
        return rc;
    cursor->plain = true;
    rc = cursor_find_cut(cursor, entry->generation, *index, index, err);
    firn_cursor_close(cursor);
    return rc;
}

static int get(struct firn_log *log, const struct named_entry *entry,
               struct firn_position *position, struct firn_error *err)
{
    struct firn_position found = {.name = entry->name};
    int rc = find_place(log, entry, &found.index, err);
    found.clamped = found.index < entry->index;
    if (rc == 0)
        *position = found;
    return rc;
}

int firn_log_get_position(struct firn_log *log, const char *name, struct firn_position *position,
                          struct firn_error *err)
{
    struct named_table table;
    int rc = check_name(name, err);
    follow_refresh(log);
    if (rc == 0)
        rc = named_load(log->disk, log->dir, &table, err);
    if (rc < 0)
        return rc;
    const struct named_entry *entry = named_find(&table, name);
    rc = entry ? get(log, entry, position, err) : no_cursor(log, name, err);
    if (rc == 0)
        position->name = name;
    named_done(&table);
    return rc;
}

int firn_log_list_positions(struct firn_log *log, firn_position_fn *each, void *arg,
                            struct firn_error *err)
{
    struct named_table table;
    follow_refresh(log);
    int rc = named_load(log->disk, log->dir, &table, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < table.count; i++) {
        struct firn_position position;
        rc = get(log, &table.entries[i], &position, err);
        if (rc == 0)
            rc = each(arg, &position);
    }
    named_done(&table);
    return rc;
}

/* ---- for retention, and others --------------------------------------------------------------- */

int named_lowest(struct firn_log *log, uint64_t *lowest, char name[FIRN_CURSOR_NAME_MAX + 1],
                 struct firn_error *err)
{
    struct named_table table;
    int rc = named_load(log->disk, log->dir, &table, err);
    if (rc < 0)
        return rc;
    *lowest = UINT64_MAX;
    for (size_t i = 0; rc == 0 && i < table.count; i++) {
        uint64_t index;
        rc = find_place(log, &table.entries[i], &index, err);
        if (rc == 0 && index < *lowest) {
            *lowest = index;
            memcpy(name, table.entries[i].name, sizeof table.entries[i].name);
        }
    }
    named_done(&table);
    return rc;
}

int named_hold(struct firn_log *log, uint64_t patience_ns, struct firn_error *err)
{
    struct named *named = &log->named;
    pthread_mutex_lock(&named->lock);
    bool ours = await_turn(named, NULL, wait_deadline(patience_ns));
    named->busy = true; /* if it was not */
    pthread_mutex_unlock(&named->lock);
    if (!ours)
        return firn_error_set(err, FIRN_ELOCKED, 0, "%s: positions of its cursors are being stored",
                              log->dir);
    int rc = lock_file(log, patience_ns, err);
    if (rc < 0)
        named_release(log);
    return rc;
}

int named_confirm(struct firn_log *log, struct firn_error *err)
{
    struct named_table table;
    int rc = named_load(log->disk, log->dir, &table, err);
    if (rc < 0)
        return rc;
    if (table.count && table.sequence != log->named.durable)
        rc = store(log, &table, err);
    named_done(&table);
    return rc;
}

void named_release(struct firn_log *log)
{
    struct named *named = &log->named;
    unlock_file(log);
    pthread_mutex_lock(&named->lock);
    end_turn(named);
    pthread_mutex_unlock(&named->lock);
}

int named_discard(struct firn_log *log, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, log->dir, NAMED_FILE, err);
    if (rc == 0)
        rc = disk_remove(log->disk, path, err);
    return rc == 0 || rc == FIRN_ENOENT ? disk_sync_dir(log->disk, log->dir, err) : rc;
}
