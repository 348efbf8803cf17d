/* SPDX-License-Identifier: MIT */
/* A journal's handle: its files, opening, closing. */
#include <stdlib.h>
#include <string.h>

#include "commit/env.h"
#include "journal/journal_private.h"

enum {
    PAGE = 4096,
    GROUP_BYTES = 1024 * 1024,
    CHANGE_MARGIN = 256 * 1024,
    LAP_FIRST = 16 * 1024 * 1024,
    RING_USUAL = 64 * 1024 * 1024,
    RING_MOST = 256 * 1024 * 1024,
};
#define GROUP_DELAY_NS 10000000u

/* ---- the handle ---- */

static char *with_suffix(const char *path, const char *suffix)
{
    size_t length = strlen(path), more = strlen(suffix) + 1;
    char *name = malloc(length + more);
    if (name) {
        memcpy(name, path, length);
        memcpy(name + length, suffix, more);
    }
    return name;
}

static void init_locks(struct journal *journal)
{
    pthread_mutex_init(&journal->map_lock, NULL);
    pthread_mutex_init(&journal->apply.lock, NULL);
    pthread_mutex_init(&journal->life_lock, NULL);
    pthread_mutex_init(&journal->head_lock, NULL);
    gate_init(&journal->gate);
    ahead_init(&journal->ahead);
}

static void release(struct journal *journal)
{
    free(journal->apply.buffer);
    free(journal->path);
    free(journal->journal_path);
    free(journal->lock_path);
    free(journal->dir);
    free(journal);
}

/* `path` is the main file's, links followed. */
static struct journal *new_journal(const struct journal_options *options, const char *path,
                                   const struct journal_kind *kind, void *owner)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return NULL;
    journal->kind = kind;
    journal->owner = owner;
    journal->apply.fresh = UINT64_MAX; /* unknown: recovery writes all */
    atomic_init(&journal->plain_length, NOT_PLAIN);
    journal->options = *options;
    journal->disk = options->disk ? options->disk : firn_disk_posix();
    journal->path = with_suffix(path, "");
    journal->journal_path = with_suffix(path, ".journal");
    journal->lock_path = with_suffix(path, ".lock");
    journal->dir = malloc(DISK_PATH_SIZE);
    if (!journal->path || !journal->journal_path || !journal->lock_path || !journal->dir) {
        release(journal);
        return NULL;
    }
    init_locks(journal);
    return journal;
}

void journal_stop_tasks(struct journal *journal)
{
    if (!journal->apply_task.worker)
        return;
    worker_cancel(env_worker(journal->env), &journal->apply_task);
    worker_cancel(env_worker(journal->env), &journal->ahead_task);
}

/* What has no journal is no file of ours: nothing stays beside it. */
static void release_lock(struct journal *journal, bool ours)
{
    if (journal->lock && !ours)
        disk_remove(journal->disk, journal->lock_path, NULL);
    disk_unlock(journal->disk, journal->lock);
}

void journal_free(struct journal *journal)
{
    bool ours = journal->header != NULL;
    journal_stop_tasks(journal);
    worker_task_done(&journal->apply_task);
    worker_task_done(&journal->ahead_task);
    commit_done(&journal->commit);
    extents_clear(&journal->durable, &journal->pool);
    extents_clear(&journal->applying, &journal->pool);
    extents_clear(&journal->filling.extents, &journal->staged_pool);
    extents_clear(&journal->in_flight.extents, &journal->staged_pool);
    extent_pool_done(&journal->pool);
    extent_pool_done(&journal->staged_pool);
    disk_close(journal->main);
    disk_close(journal->file);
    disk_close(journal->header);
    release_lock(journal, ours);
    if (journal->own_env)
        firn_env_free(journal->env);
    ahead_done(&journal->ahead);
    gate_done(&journal->gate);
    pthread_mutex_destroy(&journal->map_lock);
    pthread_mutex_destroy(&journal->apply.lock);
    pthread_mutex_destroy(&journal->life_lock);
    pthread_mutex_destroy(&journal->head_lock);
    release(journal);
}

/* ---- the environment ---- */

static int connect_env(struct journal *journal, struct firn_error *err)
{
    const struct journal_options *options = &journal->options;
    struct firn_env_options own = {0};
    journal->env = options->env;
    if (journal->env)
        return 0;
    if (options->change_bytes > 8 * 1024 * 1024)
        own.pool_bytes = 2 * options->change_bytes;
    if (options->pool_bytes)
        own.pool_bytes = options->pool_bytes;
    int rc = firn_env_new(&own, &journal->env, err);
    journal->own_env = rc == 0;
    return rc;
}

static int start_commit(struct journal *journal, struct firn_error *err)
{
    const struct journal_options *options = &journal->options;
    struct commit_options own = {
        .background = COMMIT_DURABLE,
        .delay_ns = options->group_delay_ns ? options->group_delay_ns : GROUP_DELAY_NS,
        .bytes = options->group_bytes ? options->group_bytes : GROUP_BYTES,
        .refuse = options->refuse_when_full,
    };
    int rc = commit_init(&journal->commit, journal->env, &journal_commit_ops, journal, &own, err);
    if (rc < 0)
        return rc;
    struct worker *worker = env_worker(journal->env);
    rc = worker_task_init(worker, &journal->apply_task, apply_task, journal, WORKER_NORMAL);
    if (rc == 0)
        rc = worker_task_init(worker, &journal->ahead_task, space_task, journal, WORKER_NORMAL);
    return rc < 0 ? firn_error_set(err, rc, 0, "no memory for a background task") : 0;
}

/*
 * The ring that is wished for; one with pending records stays as it is. Changes that are smaller
 * than a page want it as large as the main file, within bounds: the more of them are applied at
 * once, the less often each page is written.
 */
static uint64_t ring_bytes(const struct journal *journal, uint64_t length)
{
    uint64_t bytes = journal->options.journal_bytes;
    uint64_t change = journal->options.change_bytes;
    if (!bytes) {
        bytes = change < PAGE && length > RING_USUAL ? length : RING_USUAL;
        bytes = bytes < RING_MOST ? bytes : RING_MOST;
        bytes = bytes > 4 * change + CHANGE_MARGIN ? bytes : 4 * change + CHANGE_MARGIN;
    }
    return (bytes - JOURNAL_START) / PAGE * PAGE;
}

/* ---- files ---- */

static int name_directory(struct journal *journal, struct firn_error *err)
{
    return disk_path_parent(journal->dir, DISK_PATH_SIZE, journal->path, err);
}

static int no_file(struct journal *journal, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOENT, 0, "%s: there is no such file", journal->path);
}

static int take_lock(struct journal *journal, struct firn_error *err)
{
    int64_t holder = 0;
    struct firn_error cause = {0};
    int rc = disk_lock(journal->disk, journal->lock_path, &journal->lock, &holder, &cause);
    if (journal->options.read_only && (rc == FIRN_EACCES || rc == FIRN_EREADONLY))
        return 0; /* nobody can write here, or at least not this user */
    if (rc == FIRN_ELOCKED)
        return firn_error_set(err, rc, 0, "%s: in use by process %lld", journal->path,
                              (long long)holder);
    if (rc < 0 && err)
        *err = cause;
    return rc;
}

int journal_remove_lock(struct journal *journal, struct firn_error *err)
{
    int rc = disk_remove(journal->disk, journal->lock_path, err);
    disk_unlock(journal->disk, journal->lock);
    journal->lock = NULL;
    return rc == 0 ? disk_sync_dir(journal->disk, journal->dir, err) : rc;
}

static int check_is_file(struct journal *journal, bool *exists, struct firn_error *err)
{
    struct firn_entry entry;
    int rc = disk_stat(journal->disk, journal->path, &entry, err);
    *exists = rc == 0;
    if (rc == 0 && entry.kind == FIRN_ENTRY_DIR)
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: a directory", journal->path);
    return rc == FIRN_ENOENT ? 0 : rc;
}

static unsigned open_flags(const struct journal *journal)
{
    return journal->options.read_only ? FIRN_OPEN_READ : FIRN_OPEN_WRITE;
}

static int open_header(struct journal *journal, struct firn_error *err)
{
    int rc = disk_open(journal->disk, journal->journal_path, open_flags(journal), &journal->header,
                       err);
    if (rc == 0)
        rc = disk_open(journal->disk, journal->journal_path, open_flags(journal), &journal->file,
                       err);
    return rc;
}

static int open_main(struct journal *journal, struct firn_error *err)
{
    int rc = disk_open(journal->disk, journal->path, open_flags(journal), &journal->main, err);
    if (rc == 0 && journal->kind->lock_file)
        rc = disk_claim_file(journal->main, journal->options.read_only, err);
    return rc;
}

/* ---- creating ---- */

/* The first state of a main file of `length` bytes. */
static void set_first_state(struct journal *journal, const uint8_t *about, uint64_t length)
{
    journal->state = (struct head){
        .ring = ring_bytes(journal, length),
        .from = {.sequence = 1, .length = length},
    };
    memcpy(journal->state.about, about, JOURNAL_ABOUT);
}

static int write_main(struct journal *journal, const char *path, struct firn_error *err)
{
    struct firn_file *file;
    uint64_t length = journal->options.length;
    int rc = disk_open(journal->disk, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &file, err);
    if (rc < 0)
        return rc;
    rc = disk_truncate(file, 0, err);
    if (rc == 0 && length)
        rc = disk_reserve(file, 0, length, err);
    if (rc == 0 && journal->kind->create)
        rc = journal->kind->create(journal->owner, file, length, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    disk_close(file);
    return rc;
}

/* The main file gets its name last: it is there only when all is. */
static int create(struct journal *journal, struct firn_error *err)
{
    char *path = with_suffix(journal->path, ".tmp");
    if (!path)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to create it", journal->path);
    set_first_state(journal, journal->options.about, journal->options.length);
    int rc = write_main(journal, path, err);
    if (rc == 0)
        rc = head_create(journal, err);
    if (rc == 0)
        rc = disk_rename(journal->disk, path, journal->path, err);
    if (rc == 0)
        rc = disk_sync_dir(journal->disk, journal->dir, err);
    else
        disk_remove(journal->disk, path, NULL);
    free(path);
    if (rc == 0)
        rc = open_header(journal, err);
    return rc == 0 ? open_main(journal, err) : rc;
}

/* A plain file without a journal. */
static int adopt(struct journal *journal, struct firn_error *err)
{
    uint8_t nonce[JOURNAL_NONCE], about[JOURNAL_ABOUT] = {0};
    uint64_t size;
    int rc = open_main(journal, err);
    if (rc == 0)
        rc = disk_size_of(journal->main, &size, err);
    if (rc < 0)
        return rc;
    rc = journal->kind->find_mark(journal->owner, journal->main, 0, nonce, err);
    if (rc == 0)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: was not closed, and its journal, %s, is missing: restore both "
                              "from the same copy",
                              journal->path, journal->journal_path);
    if (rc == FIRN_ENOENT)
        rc = journal->kind->adopt(journal->owner, size, about, err);
    if (rc == 0 && journal->kind->settle) {
        size = 0;
        rc = journal->kind->settle(journal->owner, journal->main, !journal->options.read_only,
                                   &size, err);
    }
    if (rc < 0)
        return rc;
    set_first_state(journal, about, size);
    if (journal->options.read_only)
        return 0;
    rc = head_create(journal, err);
    return rc == 0 ? open_header(journal, err) : rc;
}

/* ---- opening ---- */

static int check_orphan(struct journal *journal, struct firn_error *err)
{
    if (!journal->state.pending)
        return 0;
    return firn_error_set(err, FIRN_EMISMATCH, 0,
                          "%s: is missing, and %s has changes of it; restore both from the same "
                          "copy, or remove the journal",
                          journal->path, journal->journal_path);
}

static int find_files(struct journal *journal, bool *has_main, bool *has_journal,
                      struct firn_error *err)
{
    int rc = check_is_file(journal, has_main, err);
    if (rc == 0)
        rc = disk_exists(journal->disk, journal->journal_path, has_journal, err);
    if (rc < 0)
        return rc;
    if (*has_journal && (rc = open_header(journal, err)) == 0)
        rc = head_load(journal, err);
    return rc == 0 && *has_journal && !*has_main ? check_orphan(journal, err) : rc;
}

static void forget_header(struct journal *journal)
{
    disk_close(journal->header);
    disk_close(journal->file);
    journal->header = journal->file = NULL;
    journal->damaged_slots = 0;
    journal->slots_differ = false;
}

static bool must_exist(const struct journal *journal)
{
    return journal->options.read_only || journal->options.must_exist;
}

static int no_unit(struct journal *journal, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EINVAL, 0,
                          "%s: there is no such file, and to create it takes a %s size",
                          journal->path, journal->kind->unit);
}

/* Before there is a lock, so that none stays behind where there is nothing, and will be nothing. */
static int check_absent(struct journal *journal, struct firn_error *err)
{
    bool has_journal;
    int rc = disk_exists(journal->disk, journal->journal_path, &has_journal, err);
    if (rc < 0 || has_journal)
        return rc;
    if (must_exist(journal))
        return no_file(journal, err);
    return journal->options.may_create ? 0 : no_unit(journal, err);
}

static int open_files(struct journal *journal, struct firn_error *err)
{
    bool has_main, has_journal;
    int rc = find_files(journal, &has_main, &has_journal, err);
    if (rc < 0)
        return rc;
    if (has_main && has_journal)
        return open_main(journal, err);
    if (has_main)
        return adopt(journal, err);
    if (must_exist(journal))
        return no_file(journal, err);
    if (!journal->options.may_create)
        return no_unit(journal, err);
    forget_header(journal);
    return create(journal, err);
}

/* From here on changes are staged behind what recovery left. */
static void begin_ring(struct journal *journal)
{
    struct point *from = &journal->state.from;
    from->position = from->bytes = 0;
    journal->state.ring = ring_bytes(journal, from->length);
    journal->ring = journal->state.ring;
    atomic_store(&journal->lap, journal->ring < LAP_FIRST ? journal->ring : LAP_FIRST);
    journal->indexed = *from;
    journal->published = *from;
    journal->tail = journal->head = journal->written = 0;
    journal->staged_bytes = journal->applied_bytes = 0;
    journal->sequence = journal->next_claim = from->sequence;
    journal->staged_length = from->length;
    atomic_store(&journal->space.reserved_end, JOURNAL_START);
    journal->space.zeroed_end = journal->space.entered_end = JOURNAL_START;
    journal->apply.fresh = from->length;
    atomic_store(&journal->plain_length, from->length);
    journal->apply.applies = journal->apply.bytes = journal->apply.writes = 0;
}

/* Whether the largest change that must be possible is. */
static int check_limit(struct journal *journal, uint64_t length, struct firn_error *err)
{
    uint64_t most = change_most(journal->options.env, ring_bytes(journal, length), 1);
    if (journal->options.read_only || journal->options.change_bytes <= most)
        return 0;
    return firn_error_set(
        err, FIRN_ETOOBIG, 0, "%s: a %s of %llu bytes; pool_bytes and journal_bytes allow %llu",
        journal->path, journal->kind->unit, (unsigned long long)journal->options.change_bytes,
        (unsigned long long)most);
}

static int open_parts(struct journal *journal, struct firn_error *err)
{
    bool exists = true;
    int rc = check_limit(journal, journal->options.length, err);
    if (rc == 0)
        rc = name_directory(journal, err);
    if (rc == 0)
        rc = check_is_file(journal, &exists, err);
    if (rc == 0 && !exists)
        rc = check_absent(journal, err);
    if (rc == 0)
        rc = take_lock(journal, err);
    if (rc == 0)
        rc = open_files(journal, err);
    if (rc == 0)
        rc = journal->kind->accept(journal->owner, journal->state.about, journal->state.from.length,
                                   &journal->options.change_bytes, err);
    if (rc == 0)
        rc = check_limit(journal, journal->state.from.length, err);
    if (rc == 0 && !journal->options.read_only)
        rc = connect_env(journal, err);
    if (rc == 0 && !journal->options.read_only)
        rc = start_commit(journal, err);
    if (rc == 0)
        rc = journal_recover(journal, err);
    if (rc == 0 && !journal->options.read_only)
        begin_ring(journal);
    return rc;
}

int journal_open(const struct journal_options *options, const struct journal_kind *kind,
                 void *owner, struct journal **out, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_disk *disk = options->disk ? options->disk : firn_disk_posix();
    int rc = links_follow(disk, options->path, path, err);
    if (rc < 0)
        return rc;
    struct journal *journal = new_journal(options, path, kind, owner);
    if (!journal)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to open it", options->path);
    rc = open_parts(journal, err);
    if (rc < 0) {
        journal_free(journal);
        return rc;
    }
    *out = journal;
    return 0;
}
