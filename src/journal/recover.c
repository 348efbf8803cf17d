/* SPDX-License-Identifier: MIT */
/*
 * Recovery. What is read may stand in the page cache only, where the last write of an earlier life
 * failed: were it applied as it is, and the power lost half-way, the main file would hold part of a
 * change that no journal can complete. So header and records are made durable anew before the first
 * byte is applied. And before anything is written, it is made sure that the two files belong
 * together, and that the journal has all that was acknowledged.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "journal/chain.h"

enum { REWRITE_BYTES = 256 * 1024, TAIL_MOST = 8192, ZEROS_LEAST = 1024 * 1024 };

/* ---- reading ---- */

/* Enters a record in the map of what is durable. */
static int enter(struct chain *chain, const struct redo *record, uint64_t start,
                 struct firn_error *err)
{
    struct journal *journal = chain->journal;
    const struct entry entry = {&journal->durable, &journal->pool, false};
    uint64_t image = start + REDO_HEADER + (uint64_t)record->ranges * REDO_RANGE;
    uint32_t count = 0;
    for (uint32_t first = 0; first < record->ranges; first += count) {
        const uint8_t *table;
        int rc = chain_table(chain, record, start, first, &table, &count, err);
        if (rc < 0)
            return rc;
        if (extents_reserve(&journal->durable, &journal->pool, (size_t)count * EXTENT_PLACES) < 0)
            return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for what it has",
                                  journal->journal_path);
        layers_put(&entry, table, count, &image, NULL);
    }
    return 0;
}

static int read_chain(struct journal *journal, struct firn_error *err)
{
    struct chain chain;
    struct redo record;
    uint64_t start;
    int rc = chain_init(&chain, journal, &journal->state.from, err);
    while (rc == 0 && (rc = chain_next(&chain, &record, &start, err)) == 0) {
        rc = enter(&chain, &record, start, err);
        journal->replayed++;
    }
    if (rc == FIRN_EEND)
        rc = chain_check_end(&chain, err);
    journal->indexed = chain.at;
    chain_done(&chain);
    return rc;
}

int recover_count(struct journal *journal, uint64_t *records, struct firn_error *err)
{
    struct chain chain;
    struct redo record;
    uint64_t start;
    *records = 0;
    pthread_mutex_lock(&journal->head_lock);
    struct head head = journal->state;
    pthread_mutex_unlock(&journal->head_lock);
    pthread_mutex_lock(&journal->map_lock);
    uint64_t end = journal->indexed.sequence;
    pthread_mutex_unlock(&journal->map_lock);
    if (!head.pending)
        return 0;
    int rc = chain_init(&chain, journal, &head.from, err);
    while (rc == 0 && chain.at.sequence < end)
        rc = chain_next(&chain, &record, &start, err);
    *records = chain.at.sequence - head.from.sequence;
    chain_done(&chain);
    if (rc != FIRN_EEND)
        return rc;
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s: change %llu, which was durable, can't be read",
                          journal->journal_path, (unsigned long long)chain.at.sequence);
}

/* ---- whether the files belong together ---- */

static int mismatch(struct journal *journal, const char *what, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EMISMATCH, 0,
                          "%s: %s: the file and %s don't belong together; restore both from the "
                          "same copy",
                          journal->path, what, journal->journal_path);
}

static int check_size(struct journal *journal, uint64_t size, struct firn_error *err)
{
    uint64_t length = journal->state.from.length;
    if (size == length)
        return 0;
    return firn_error_set(err, FIRN_EMISMATCH, 0,
                          "%s: has %llu bytes, and had %llu when it was last in use; if that is "
                          "meant to be, remove %s and open it with its %s size",
                          journal->path, (unsigned long long)size, (unsigned long long)length,
                          journal->journal_path, journal->kind->unit);
}

/* Without a mark and without changes there may be space that was set aside, and part of a mark. */
static int check_tail(struct journal *journal, uint64_t length, uint64_t size,
                      struct firn_error *err)
{
    uint8_t tail[TAIL_MOST];
    size_t got = 0;
    if (size < length || size - length > TAIL_MOST)
        return check_size(journal, size, err);
    int rc = disk_read_full(journal->main, tail, (size_t)(size - length), length, &got, err);
    if (rc == 0 &&
        !journal->kind->is_torn_mark(journal->owner, tail, got, length, journal->state.nonce))
        rc = check_size(journal, size, err);
    return rc;
}

/* Whoever used the file meanwhile: it is what it is. */
static int settle(struct journal *journal, struct firn_error *err)
{
    uint64_t length = journal->state.pending ? 0 : journal->state.from.length;
    int rc = journal->kind->settle(journal->owner, journal->main, !journal->options.read_only,
                                   &length, err);
    if (rc == 0)
        journal->state.from.length = journal->indexed.length = length;
    return rc;
}

/* No change was ever durable. */
static int check_unmarked(struct journal *journal, uint64_t size, struct firn_error *err)
{
    return journal->kind->settle ? settle(journal, err)
                                 : check_tail(journal, journal->indexed.length, size, err);
}

static bool is_our_mark(const struct journal *journal, const uint8_t *nonce)
{
    const struct journal_kind *kind = journal->kind;
    if (memcmp(nonce, journal->state.nonce, kind->nonce_bytes) == 0)
        return true;
    return journal->replayed == 0 && kind->is_torn_nonce &&
           kind->is_torn_nonce(journal->owner, nonce, journal->indexed.length,
                               journal->state.nonce);
}

/* What the records say of the bytes that the file did not have before the first of them. */
struct tail {
    uint64_t needed; /* behind the last one that no record has: so long must the file be */
    uint64_t zeros;  /* from there on all are zeros */
};

static struct tail look_at_tail(const struct journal *journal)
{
    uint64_t at = journal->state.from.length, length = journal->indexed.length;
    struct tail tail = {at, at};
    struct extent_cursor cursor;
    bool more = extents_find(&journal->durable, at, &cursor);
    for (; more && at < length; more = extents_next(&cursor)) {
        struct extent extent = extents_get(&cursor);
        if (extent.from > at)
            tail.needed = tail.zeros = extent.from;
        if (extent.position < ZEROS_FROM)
            tail.zeros = extent.to;
        at = extent.to;
    }
    if (at < length)
        tail.needed = tail.zeros = length;
    return tail;
}

/* Others, which make a growth before its record, have the file as long as that says. */
static uint64_t least_size(const struct journal *journal)
{
    return journal->kind->settle ? look_at_tail(journal).needed : journal->indexed.length;
}

static int check_pending(struct journal *journal, uint64_t size, struct firn_error *err)
{
    uint8_t nonce[JOURNAL_NONCE];
    uint64_t length = journal->indexed.length;
    int rc = journal->kind->accept(journal->owner, journal->state.about, length,
                                   &journal->options.change_bytes, err);
    if (rc < 0)
        return rc;
    rc = journal->kind->find_mark(journal->owner, journal->main, length, nonce, err);
    if (rc == FIRN_ENOENT)
        return journal->replayed == 0
                   ? check_unmarked(journal, size, err)
                   : mismatch(journal, "not marked, though changes of it are pending", err);
    if (rc == 0 && !is_our_mark(journal, nonce))
        return mismatch(journal, "marked by another journal", err);
    if (rc == 0 && size < least_size(journal))
        return mismatch(journal, "too short", err);
    return rc;
}

static int check_clean(struct journal *journal, uint64_t size, struct firn_error *err)
{
    uint8_t nonce[JOURNAL_NONCE];
    int rc = journal->kind->find_mark(journal->owner, journal->main, journal->state.from.length,
                                      nonce, err);
    if (rc == 0)
        return mismatch(journal, "in use or not closed, and its journal says that it was", err);
    if (rc != FIRN_ENOENT)
        return rc;
    return journal->kind->settle ? settle(journal, err) : check_size(journal, size, err);
}

/* ---- making it durable anew, and applying it ---- */

static int rewrite_run(struct journal *journal, uint64_t from, uint64_t end, struct firn_error *err)
{
    static const size_t most = REWRITE_BYTES;
    uint8_t *buffer = malloc(most);
    int rc = buffer ? 0 : firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory", journal->path);
    while (rc == 0 && from < end) {
        size_t got, part = end - from < most ? (size_t)(end - from) : most;
        rc = disk_read_full(journal->file, buffer, part, from, &got, err);
        if (rc < 0 || got == 0)
            break;
        rc = disk_write_full(journal->file, buffer, got, from, FIRN_WRITE_DURABLE, err);
        from += got;
    }
    free(buffer);
    return rc;
}

static int rewrite(struct journal *journal, struct firn_error *err)
{
    uint64_t from = journal->state.from.position, end = journal->indexed.position;
    uint64_t lap = from + (journal->ring - from % journal->ring);
    uint64_t first_end = end < lap ? end : lap;
    int rc = 0;
    if (from < first_end) {
        uint64_t offset = ring_offset(journal, from);
        rc = rewrite_run(journal, offset, offset + (first_end - from), err);
    }
    if (rc == 0 && end > lap)
        rc = rewrite_run(journal, JOURNAL_START, JOURNAL_START + (end - lap), err);
    return rc;
}

/* ---- zeros ---- */

/*
 * Many zeros at the end are there at once where the file is cut before them, and has its space set
 * aside again. A crash in between leaves it short, and the next recovery goes on.
 */
static int make_zeros(struct journal *journal, struct firn_error *err)
{
    uint64_t size, from = look_at_tail(journal).zeros, length = journal->indexed.length;
    if (!journal->kind->settle)
        return 0;
    int rc = disk_size_of(journal->main, &size, err);
    if (rc == 0 && from < length && length - from >= ZEROS_LEAST) {
        rc = size > from ? disk_truncate(journal->main, from, err) : 0;
        journal->apply.fresh = size = from;
    }
    if (rc < 0 || size >= length)
        return rc;
    rc = journal->kind->reserve(journal->owner, journal->main, length, err);
    return rc == 0 ? disk_sync(journal->main, err) : rc;
}

/* A crash while it was closed may have left one slot torn, or the records, which count no more. */
static int leave_clean(struct journal *journal, struct firn_error *err)
{
    const struct head same = journal->state;
    int rc = journal->slots_differ ? head_store(journal, &same, err) : 0;
    return rc == 0 && journal->file ? life_shorten(journal, err) : rc;
}

/*
 * The mark too: taking it away may have failed on storage, and succeeded in the page cache. And the
 * records are checked once more: what was written anew was read anew, and the system may have
 * dropped the page, of which storage has something else, in between.
 */
static int finish(struct journal *journal, struct firn_error *err)
{
    struct head same = journal->state;
    uint64_t records;
    if (!same.pending)
        return leave_clean(journal, err);
    journal->head = same.from.position;
    int rc = head_store(journal, &same, err);
    if (rc == 0)
        rc = rewrite(journal, err);
    if (rc == 0)
        rc = recover_count(journal, &records, err);
    if (rc == 0)
        rc = journal->kind->mark(journal->owner, journal->main, journal->indexed.length, same.nonce,
                                 err);
    if (rc == 0)
        rc = make_zeros(journal, err);
    if (rc == 0)
        rc = apply_all(journal, err);
    return rc == 0 ? life_end(journal, err) : rc;
}

int journal_recover(struct journal *journal, struct firn_error *err)
{
    uint64_t size;
    journal->ring = journal->state.ring;
    journal->indexed = journal->state.from;
    int rc = disk_size_of(journal->main, &size, err);
    if (rc == 0 && journal->state.pending)
        rc = read_chain(journal, err);
    if (rc == 0)
        rc = journal->state.pending ? check_pending(journal, size, err)
                                    : check_clean(journal, size, err);
    if (rc < 0)
        return rc;
    journal->recovered = journal->state.pending;
    journal->published = journal->indexed;
    atomic_store(&journal->length, journal->indexed.length);
    return journal->options.read_only ? 0 : finish(journal, err);
}
