/* SPDX-License-Identifier: MIT */
/*
 * Opening: what is in the directory, what the checkpoint says of it, and what is left to find out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/cut.h"
#include "log/log_private.h"

struct listing {
    struct firn_log *log;
    uint64_t *bases;
    size_t count, capacity;
    bool foreign; /* something that is not ours */
    bool checkpoint;
    bool named;
};

static bool is_ours(const char *name)
{
    static const char *const starts[] = {"lock",     "spare-",        "torn-",       "damaged-",
                                         "spool-",   CHECKPOINT_NAME, POSITION_NAME, CUT_NAME,
                                         NAMED_FILE, RESERVE_NAME};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(name, starts[i], strlen(starts[i])) == 0)
            return true;
    const char *dot = strrchr(name, '.');
    return dot && (strcmp(dot, ".index") == 0 || strcmp(dot, ".timeindex") == 0 ||
                   strcmp(dot, ".appendtime") == 0);
}

static int note_entry(void *arg, const char *name, const struct firn_entry *entry)
{
    struct listing *listing = arg;
    uint64_t base;
    (void)entry;
    if (strcmp(name, CHECKPOINT_NAME) == 0)
        listing->checkpoint = true;
    if (strcmp(name, NAMED_FILE) == 0)
        listing->named = true;
    if (strcmp(name, CUT_NAME) == 0)
        listing->log->leftover_cut = true;
    if (!segment_parse_name(name, &base)) {
        listing->foreign |= !is_ours(name);
        return 0;
    }
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 16;
        uint64_t *bases = realloc(listing->bases, capacity * sizeof *bases);
        if (!bases)
            return FIRN_ENOMEM;
        listing->bases = bases;
        listing->capacity = capacity;
    }
    listing->bases[listing->count++] = base;
    return 0;
}

static int compare_bases(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_directory(struct firn_log *log, struct listing *listing, struct firn_error *err)
{
    free(listing->bases);
    *listing = (struct listing){.log = log};
    int rc = disk_list(log->disk, log->dir, note_entry, listing, err);
    if (rc == FIRN_ENOMEM)
        firn_error_set(err, rc, 0, "%s: no memory to list it", log->dir);
    if (rc == 0 && listing->count)
        qsort(listing->bases, listing->count, sizeof *listing->bases, compare_bases);
    return rc;
}

/* ---- spares and spools of an earlier life ---- */

struct spare_names {
    char (*names)[LOG_NAME_SIZE];
    size_t count;
};

static int note_spare(void *arg, const char *name, const struct firn_entry *entry)
{
    struct spare_names *spares = arg;
    (void)entry;
    bool spare = strncmp(name, "spare-", 6) == 0 || strncmp(name, "spool-", 6) == 0;
    if (!spare || strlen(name) >= LOG_NAME_SIZE)
        return 0;
    void *names = realloc(spares->names, (spares->count + 1) * sizeof *spares->names);
    if (!names)
        return FIRN_ENOMEM;
    spares->names = names;
    strcpy(spares->names[spares->count++], name);
    return 0;
}

static int remove_spares(struct firn_log *log, struct firn_error *err)
{
    struct spare_names spares = {0};
    int rc = disk_list(log->disk, log->dir, note_spare, &spares, err);
    for (size_t i = 0; rc == 0 && i < spares.count; i++) {
        char path[DISK_PATH_SIZE];
        rc = disk_path_join(path, sizeof path, log->dir, spares.names[i], err);
        if (rc == 0)
            rc = disk_remove(log->disk, path, err);
    }
    free(spares.names);
    return rc;
}

/* ---- the checkpoint ---- */

static int create_log(struct firn_log *log, const struct listing *listing, struct firn_error *err)
{
    if (listing->foreign)
        return firn_error_set(err, FIRN_EFORMAT, 0,
                              "%s: not a log: it holds other files; choose an empty directory",
                              log->dir);
    if (log->options.must_exist || log->options.read_only)
        return firn_error_set(err, FIRN_ENOENT, 0, "%s: there is no log in it", log->dir);
    /* The directory may be there because an earlier attempt failed before its name was durable. */
    int rc = disk_make_dirs(log->disk, log->dir, err);
    if (rc == 0 && listing->named)
        rc = named_discard(log, err);
    if (rc < 0)
        return rc;
    uint64_t first = log->options.first_index;
    log->checkpoint = (struct checkpoint){.first_index = first, .durable = {first, 0, first}};
    log->recovery.created = true;
    return checkpoint_create(log->disk, log->dir, &log->checkpoint, err);
}

/* Without a checkpoint, everything has to be looked at. */
static void assume_nothing(struct firn_log *log, const struct listing *listing)
{
    uint64_t first = listing->bases[0];
    log->checkpoint_missing = true;
    log->checkpoint = (struct checkpoint){.first_index = first, .durable = {first, 0, first}};
}

static int load_checkpoint(struct firn_log *log, const struct listing *listing,
                           struct firn_error *err)
{
    int rc = checkpoint_load(log->disk, log->dir, &log->checkpoint, &log->slots, err);
    if (rc == FIRN_ENOENT && listing->count == 0)
        return create_log(log, listing, err);
    if ((rc == FIRN_ENOENT || rc == FIRN_EDAMAGED) && listing->count > 0) {
        assume_nothing(log, listing);
        return 0;
    }
    return rc;
}

/* ---- segments ---- */

static int add_segment(struct firn_log *log, uint64_t base, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_entry entry;
    struct segment *segment = segment_new(log->disk, log->dir, base, !log->options.read_only);
    if (!segment)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a segment", log->dir);
    int rc = segment_path(segment, path, sizeof path, err);
    if (rc == 0)
        rc = disk_stat(log->disk, path, &entry, err);
    if (rc == 0) {
        atomic_store(&segment->durable_end, entry.size);
        atomic_store(&segment->written_end, entry.size);
        atomic_store(&segment->space.reserved_end, entry.size);
        rc = list_append(log, segment);
        if (rc < 0)
            firn_error_set(err, rc, 0, "%s: no memory for a segment", log->dir);
    }
    if (rc < 0)
        segment_unref(segment);
    return rc;
}

/*
 * Segments wholly below the first index were removed, even if their names survived. They go when
 * the checkpoint that says so is written anew: so far it may stand in the page cache only.
 */
static int add_segments(struct firn_log *log, const struct listing *listing, struct firn_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < listing->count; i++) {
        bool removed = i + 1 < listing->count &&
                       listing->bases[i + 1] <= log->checkpoint.first_index;
        log->leftovers |= removed;
        if (!removed)
            rc = add_segment(log, listing->bases[i], err);
    }
    return rc;
}

static bool closed_cleanly(const struct firn_log *log)
{
    const struct checkpoint *checkpoint = &log->checkpoint;
    struct segment_list *list = atomic_load(&log->list);
    size_t count = list ? list->count : 0;
    if (log->checkpoint_missing || !checkpoint->clean || checkpoint->segments != count ||
        checkpoint->segments_crc != log_segments_crc(list))
        return false;
    if (count == 0)
        return checkpoint->end.index <= checkpoint->first_index;
    const struct segment *last = list->at[count - 1];
    const struct place *end = &checkpoint->end;
    if (end->segment > last->base) /* the next segment was not begun */
        return end->position == 0;
    return end->segment == last->base && end->position == atomic_load(&last->durable_end);
}

int log_add_hole(struct firn_log *log, const struct firn_hole *hole, const char *text)
{
    struct log_hole *holes = realloc(log->holes, (log->hole_count + 1) * sizeof *holes);
    if (!holes)
        return FIRN_ENOMEM;
    log->holes = holes;
    holes[log->hole_count].hole = *hole;
    snprintf(holes[log->hole_count].text, sizeof holes->text, "%s", text);
    log->hole_count++;
    log->recovery.damaged_ranges++;
    log->recovery.damaged_bytes += hole->length;
    return 0;
}

/* ---- the whole of it ---- */

static int store_recovered(struct firn_log *log, const struct tail *tail, struct firn_error *err)
{
    struct checkpoint *checkpoint = &log->checkpoint;
    checkpoint->durable = tail->end;
    checkpoint->clean = false;
    if (tail->generation > checkpoint->generation)
        checkpoint->generation = tail->generation; /* it was missing */
    if (log->checkpoint_missing)
        return checkpoint_create(log->disk, log->dir, checkpoint, err);
    int rc = checkpoint_confirm(log->checkpoint_file, checkpoint, &log->slots, err);
    if (rc == 0)
        log->slots = (struct checkpoint_slots){.equal = true, .alike = true};
    return rc;
}

/*
 * Records up to the checkpoint's place were there, and those below the first index before they were
 * removed. Where the segments end earlier, the last ones are missing: the log goes on behind what
 * they held, in a segment of its own.
 */
static int note_missing_end(struct firn_log *log, struct place *end, struct firn_error *err)
{
    const struct checkpoint *checkpoint = &log->checkpoint;
    uint64_t next = checkpoint->clean ? checkpoint->end.index : checkpoint->durable.index;
    uint64_t from = end->index > checkpoint->first_index ? end->index : checkpoint->first_index;
    int rc = 0;
    if (next > from) {
        struct firn_hole hole = {.first_index = from, .next_index = next, .segment = end->segment};
        rc = log_add_hole(log, &hole, "the last segments are missing");
    }
    if (rc == 0 && end->index < checkpoint->first_index) { /* what is left was removed */
        log->leftovers = true;
        rc = list_keep(log, UINT64_MAX, UINT64_MAX);
    }
    if (next < checkpoint->first_index)
        next = checkpoint->first_index;
    if (next > end->index)
        *end = (struct place){next, 0, next};
    return rc == FIRN_ENOMEM ? firn_error_set(err, rc, 0, "%s: no memory", log->dir) : 0;
}

/*
 * Behind damage at its end a segment does not grow: the damaged batch may claim the bytes that
 * would be appended, and hide them.
 */
static void leave_damaged_end(struct firn_log *log, struct place *end)
{
    if (log->hole_count == 0)
        return;
    const struct firn_hole *last = &log->holes[log->hole_count - 1].hole;
    if (last->segment == end->segment && last->next_index == end->index)
        *end = (struct place){end->index, 0, end->index};
}

static int recover_tail(struct firn_log *log, struct place *end, struct firn_error *err)
{
    struct tail tail;
    int rc = tail_scan(log, &tail, err);
    if (rc == 0 && !log->options.read_only)
        rc = tail_repair(log, &tail, err);
    if (rc == 0)
        rc = note_missing_end(log, &tail.end, err);
    if (rc < 0)
        return rc;
    leave_damaged_end(log, &tail.end);
    *end = tail.end;
    rc = settle_scanned(log, tail.from.segment, &tail.end, err);
    if (rc < 0 || log->options.read_only)
        return rc;
    rc = store_recovered(log, &tail, err);
    return rc == 0 ? log_remove_leftovers(log, err) : rc;
}

static int open_checkpoint_file(struct firn_log *log, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, log->dir, CHECKPOINT_NAME, err);
    disk_close(log->checkpoint_file);
    log->checkpoint_file = NULL;
    return rc < 0 ? rc : disk_open(log->disk, path, FIRN_OPEN_WRITE, &log->checkpoint_file, err);
}

/* Records at the beginning that should be there and are not. */
static int note_missing_start(struct firn_log *log, uint64_t first_base)
{
    uint64_t first = log->checkpoint.first_index;
    if (first_base <= first)
        return 0;
    struct firn_hole hole = {.first_index = first, .next_index = first_base, .segment = first};
    return log_add_hole(log, &hole, "the first segments are missing");
}

static int set_end(struct firn_log *log, const struct place *end)
{
    struct segment_list *list = atomic_load(&log->list);
    uint64_t lowest = log->checkpoint.first_index;
    if (list && list->count && note_missing_start(log, list->at[0]->base) < 0)
        return FIRN_ENOMEM;
    if (lowest > end->index)
        lowest = end->index;
    atomic_store(&log->lowest, lowest);
    atomic_store(&log->durable_next, end->index);
    atomic_store(&log->written_index, end->index);
    log->place = *end;
    log->written_next = end->index;
    log->staging = (struct staging){.position = end->position, .next_index = end->index};
    if (list && list->count) {
        log->active = segment_ref(list->at[list->count - 1]);
        if (end->segment == log->active->base)
            log->staging.segment = log->active;
    }
    return 0;
}

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void describe_repair(struct firn_recovery *r)
{
    snprintf(r->text, sizeof r->text,
             "not closed cleanly: %" PRIu64 " record%s kept behind the last checkpoint, %" PRIu64
             " byte%s of a torn tail cut, %" PRIu64 " damaged range%s%s",
             r->kept_records, plural(r->kept_records), r->cut_bytes, plural(r->cut_bytes),
             r->damaged_ranges, plural(r->damaged_ranges),
             r->truncation_finished ? "; an interrupted truncation was finished" : "");
}

static void describe_clean(struct firn_log *log)
{
    const char *what = "nothing to recover";
    if (log->checkpoint_healed)
        what = "one slot of the checkpoint was torn or damaged, and is written anew";
    else if (log->age_healed)
        what = "the file of append times was torn or damaged, and is written anew";
    snprintf(log->recovery.text, sizeof log->recovery.text, "closed cleanly; %s", what);
}

static void describe(struct firn_log *log)
{
    struct firn_recovery *r = &log->recovery;
    if (r->created)
        snprintf(r->text, sizeof r->text, "created");
    else if (r->clean)
        describe_clean(log);
    else
        describe_repair(r);
}

/*
 * Whether a bad slot beside a clean one was torn by the first write of a life or damaged can't be
 * told. The other one says all that it said: written anew, it is whole again.
 */
static int heal_checkpoint(struct firn_log *log, struct firn_error *err)
{
    if (!log->recovery.clean || log->options.read_only)
        return 0;
    if (log->slots.state[0] == 0 && log->slots.state[1] == 0)
        return 0;
    log->slots = (struct checkpoint_slots){.equal = true, .alike = true};
    log->checkpoint_healed = true;
    return checkpoint_store(log->checkpoint_file, &log->checkpoint, true, err);
}

/* The segment that goes on growing needs its index in memory. */
static int load_active_index(struct firn_log *log, struct firn_error *err)
{
    struct segment *active = log->active;
    struct index *index;
    bool rebuilt = false;
    if (!active || log->options.read_only)
        return 0;
    int rc = cache_get(log, active, &index, &rebuilt, err);
    if (rc < 0)
        return rc;
    cache_forget(active);
    if (!atomic_load(&active->index))
        atomic_store(&active->index, index_ref(index));
    index_unref(index);
    rc = segment_resume_index(active, segment_durable_end(active), &rebuilt, err);
    log->recovery.indexes_rebuilt += rebuilt && segment_durable_end(active) > 0;
    if (rc == 0 && log->recovery.clean)
        rc = age_resume(log, active, atomic_load(&log->durable_next), false, err);
    return rc;
}

static int recover_listed(struct firn_log *log, struct listing *listing, struct firn_error *err)
{
    int rc = load_checkpoint(log, listing, err);
    if (rc == 0 && !log->options.read_only && !log->checkpoint_missing)
        rc = open_checkpoint_file(log, err);
    if (rc == 0 && log->checkpoint.intent.pending && !log->options.read_only) {
        /* Durably anew before it is acted upon. Where that had begun, this slot is whole. */
        rc = checkpoint_store(log->checkpoint_file, &log->checkpoint, true, err);
        if (rc == 0)
            rc = log_finish_truncation(log, err);
        log->recovery.truncation_finished = true;
        if (rc == 0)
            rc = list_directory(log, listing, err);
    }
    if (rc == 0)
        rc = add_segments(log, listing, err);
    if (rc < 0)
        return rc;
    struct place end = log->checkpoint.end;
    log->recovery.clean = !log->recovery.created && closed_cleanly(log);
    if (log->recovery.created)
        end = log->checkpoint.durable;
    else if (!log->recovery.clean)
        rc = recover_tail(log, &end, err);
    if (rc == 0 && log->checkpoint_missing && !log->options.read_only)
        rc = open_checkpoint_file(log, err);
    if (rc == 0)
        rc = heal_checkpoint(log, err);
    if (rc < 0)
        return rc;
    if (log->checkpoint.intent.pending && end.index > log->checkpoint.intent.cut.index)
        end.index = log->checkpoint.intent.cut.index; /* read-only */
    log->generation = log->checkpoint.generation;
    if (set_end(log, &end) < 0)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory", log->dir);
    return load_active_index(log, err);
}

int log_recover(struct firn_log *log, struct firn_error *err)
{
    struct listing listing = {0};
    if (log->options.read_only && follow_attach(log))
        return 0;
    int rc = list_directory(log, &listing, err);
    if (rc == 0 && listing.foreign && listing.count == 0 && !listing.checkpoint) {
        rc = create_log(log, &listing, err); /* refuses, before anything is written */
        free(listing.bases);
        return rc;
    }
    if (rc == 0 && !log->options.read_only) {
        char path[DISK_PATH_SIZE];
        rc = disk_path_join(path, sizeof path, log->dir, "lock", err);
        if (rc == 0)
            rc = disk_lock(log->disk, path, &log->lock, NULL, err);
        if (rc == 0)
            rc = follow_create(log, err);
        if (rc == 0)
            rc = remove_spares(log, err);
        if (rc == 0)
            rc = list_directory(log, &listing, err);
    }
    if (rc == 0)
        rc = recover_listed(log, &listing, err);
    free(listing.bases);
    if (rc == 0)
        describe(log);
    return rc;
}
