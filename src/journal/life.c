/* SPDX-License-Identifier: MIT */
/*
 * A life: from the first change after opening until the main file is plain again. It begins with
 * the files' names, which a process that died may have left in the page cache only, then with a
 * header that says so, durably, and with the mark on the main file; nobody's change is staged
 * before all are there. It ends the other way round. What a crash leaves in between is told apart
 * by whether there are records: a pending header without any, and no mark, is as good as a clean
 * one.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "journal/journal_private.h"

/* Not to be met again: not in another life, nor on another machine. */
static void new_nonce(struct journal *journal, uint8_t nonce[JOURNAL_NONCE])
{
    struct {
        uint64_t real, monotonic;
        int64_t process;
        uint64_t path;
        uint8_t boot[16], before[JOURNAL_NONCE];
    } seed = {
        .real = disk_clock(journal->disk, FIRN_CLOCK_REAL),
        .monotonic = disk_clock(journal->disk, FIRN_CLOCK_MONOTONIC),
        .process = disk_process_id(journal->disk),
    };
    static const uint64_t key[2] = {0x6669726e6a6f7572, 0x6e616c206e6f6e63};
    seed.path = siphash(key, journal->path, strlen(journal->path)).low;
    disk_boot_id(journal->disk, seed.boot);
    memcpy(seed.before, journal->state.nonce, JOURNAL_NONCE);
    struct siphash hash = siphash(key, &seed, sizeof seed);
    memcpy(nonce, &hash.low, 8);
    memcpy(nonce + 8, &hash.high, 8);
}

static int write_header(struct journal *journal, struct firn_error *err)
{
    struct head next = journal->state;
    if (next.pending)
        return 0;
    next.pending = true;
    new_nonce(journal, next.nonce);
    journal->salt = load_be_u64(next.nonce);
    return head_store(journal, &next, err);
}

int journal_poison(struct journal *journal, int rc, const struct firn_error *cause,
                   struct firn_error *err)
{
    if (rc < 0)
        commit_poison(&journal->commit, cause);
    if (rc < 0 && err)
        *err = *cause;
    return rc;
}

static int begin(struct journal *journal, struct firn_error *err)
{
    struct firn_error cause = {0};
    uint64_t length = journal->state.from.length;
    int rc = commit_begin(&journal->commit, err);
    if (rc < 0)
        return rc;
    commit_end(&journal->commit);
    rc = journal_poison(journal, disk_sync_dir(journal->disk, journal->dir, &cause), &cause, err);
    if (rc == 0)
        rc = journal_poison(journal, write_header(journal, &cause), &cause, err);
    if (rc == 0)
        rc = journal->kind->reserve(journal->owner, journal->main, length, err);
    if (rc < 0)
        return rc;
    rc = journal->kind->mark(journal->owner, journal->main, length, journal->state.nonce, &cause);
    return journal_poison(journal, rc, &cause, err);
}

int life_begin(struct journal *journal, struct firn_error *err)
{
    if (atomic_load_explicit(&journal->life_started, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&journal->life_lock);
    int rc = atomic_load(&journal->life_started) ? 0 : begin(journal, err);
    if (rc == 0)
        atomic_store_explicit(&journal->life_started, true, memory_order_release);
    pthread_mutex_unlock(&journal->life_lock);
    return rc;
}

void life_nonce(struct journal *journal, uint8_t nonce[JOURNAL_NONCE])
{
    pthread_mutex_lock(&journal->head_lock);
    memcpy(nonce, journal->state.nonce, JOURNAL_NONCE);
    pthread_mutex_unlock(&journal->head_lock);
}

int life_shorten(struct journal *journal, struct firn_error *err)
{
    uint64_t size;
    int rc = disk_size_of(journal->file, &size, err);
    if (rc == 0 && size > JOURNAL_START)
        rc = disk_truncate(journal->file, JOURNAL_START, err);
    return rc;
}

int life_end(struct journal *journal, struct firn_error *err)
{
    struct head next = journal->state;
    if (!next.pending)
        return 0;
    int rc = journal->kind->unmark(journal->owner, journal->main, next.from.length, err);
    next.pending = false;
    if (rc == 0)
        rc = head_store(journal, &next, err);
    return rc == 0 ? life_shorten(journal, err) : rc;
}
