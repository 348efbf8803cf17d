/* SPDX-License-Identifier: MIT */
/* Closing, who is inside, and what an owner asks of its journal. */
#include "commit/env.h"
#include "journal/chain.h"

/* ---- who is inside ---- */

void journal_leave(struct journal *journal)
{
    gate_leave(&journal->gate);
}

int journal_enter(struct journal *journal, struct firn_error *err)
{
    if (gate_enter(&journal->gate))
        return 0;
    int rc = firn_error_set(err, FIRN_ECLOSED, 0, "%s: it is being closed", journal->path);
    journal_leave(journal);
    return rc;
}

/* ---- closing ---- */

static int finish(struct journal *journal, struct firn_error *err)
{
    gate_close(&journal->gate);
    int rc = journal->options.read_only ? 0 : commit_close(&journal->commit, err);
    gate_await(&journal->gate);
    journal_stop_tasks(journal);
    grace_wait(&journal->grace);
    return rc;
}

static int make_plain(struct journal *journal, struct firn_error *err)
{
    int rc = finish(journal, err);
    if (rc == 0 && !journal->options.read_only)
        rc = apply_all(journal, err);
    if (rc == 0 && !journal->options.read_only)
        rc = life_end(journal, err);
    return rc;
}

int journal_close(struct journal *journal, struct firn_error *err)
{
    int rc = make_plain(journal, err);
    journal_free(journal);
    return rc;
}

/*
 * The main file goes first, and is plain by then: a crash leaves all of it, or nothing that is in
 * the way.
 */
int journal_destroy(struct journal *journal, struct firn_error *err)
{
    if (journal->options.read_only) {
        journal_close(journal, NULL);
        return firn_error_set(err, FIRN_EREADONLY, 0, "opened read-only: not destroyed");
    }
    make_plain(journal, NULL);
    int rc = disk_remove(journal->disk, journal->path, err);
    if (rc == 0)
        rc = disk_sync_dir(journal->disk, journal->dir, err);
    if (rc == 0)
        rc = disk_remove(journal->disk, journal->journal_path, err);
    if (rc == 0)
        rc = journal_remove_lock(journal, err);
    journal_free(journal);
    return rc;
}

/* ---- what an owner asks ---- */

struct commit *journal_commit(struct journal *journal)
{
    return &journal->commit;
}

int journal_writable(const struct journal *journal, struct firn_error *err)
{
    if (!journal->options.read_only)
        return 0;
    return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", journal->path);
}

uint64_t journal_length(const struct journal *journal)
{
    return atomic_load_explicit(&journal->length, memory_order_acquire);
}

/* With a descriptor for itself: the other one syncs what is applied. */
static int open_again(struct journal *journal, struct firn_file **file, struct firn_error *err)
{
    return disk_open(journal->disk, journal->path, FIRN_OPEN_WRITE, file, err);
}

static int move_mark(struct journal *journal, uint64_t length, struct firn_error *err)
{
    uint8_t nonce[JOURNAL_NONCE];
    struct firn_error cause = {0};
    struct firn_file *file;
    int rc = open_again(journal, &file, err);
    if (rc < 0)
        return rc;
    rc = journal->kind->reserve(journal->owner, file, length, err);
    if (rc == 0) {
        life_nonce(journal, nonce);
        rc = journal->kind->move_mark(journal->owner, file, journal_length(journal), length, nonce,
                                      &cause);
        rc = journal_poison(journal, rc, &cause, err);
    }
    disk_close(file);
    return rc;
}

int journal_extend(struct journal *journal, uint64_t length, struct firn_error *err)
{
    int rc = life_begin(journal, err);
    return rc == 0 ? move_mark(journal, length, err) : rc;
}

void journal_retract(struct journal *journal)
{
    uint8_t nonce[JOURNAL_NONCE];
    struct firn_error cause = {0};
    struct firn_file *file = NULL;
    life_nonce(journal, nonce);
    int rc = open_again(journal, &file, &cause);
    if (rc == 0)
        rc = journal->kind->move_back(journal->owner, file, journal_length(journal), nonce, &cause);
    journal_poison(journal, rc, &cause, NULL);
    disk_close(file);
}

void journal_get_info(struct journal *journal, struct journal_info *info)
{
    *info = (struct journal_info){
        .recovered = journal->recovered,
        .replayed = journal->replayed,
        .journal_bytes = JOURNAL_START + journal->ring,
    };
    if (journal->options.read_only) {
        info->pending_bytes = journal->indexed.bytes;
        return;
    }
    lock_take(&journal->commit.lock);
    info->pending_bytes = journal->staged_bytes - journal->applied_bytes;
    lock_release(&journal->commit.lock);
    pthread_mutex_lock(&journal->apply.lock);
    info->applies = journal->apply.applies;
    info->applied_bytes = journal->apply.bytes;
    info->applied_writes = journal->apply.writes;
    pthread_mutex_unlock(&journal->apply.lock);
}

/* While the records are read, nothing is applied: they stay where they begin. */
int journal_verify(struct journal *journal, struct journal_check *check, struct firn_error *err)
{
    *check = (struct journal_check){0};
    if (!journal->file)
        return 0;
    int rc = journal->options.read_only ? 0 : commit_force(&journal->commit, err);
    if (rc == 0)
        rc = head_check(journal, &check->damaged_slots, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&journal->apply.lock);
    rc = recover_count(journal, &check->records, err);
    pthread_mutex_unlock(&journal->apply.lock);
    if (rc == 0 && check->damaged_slots)
        rc = firn_error_set(err, FIRN_EDAMAGED, 0,
                            "%s: one of the two slots of its header is damaged; the other one has "
                            "all that is needed, and the next change writes both",
                            journal->journal_path);
    return rc;
}
