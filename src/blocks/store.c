/* SPDX-License-Identifier: MIT */
/*
 * Storing blocks in a file.
 *
 * What fits in one chunk (8 MiB, or a block, or as much as one call takes) is one durable write. A
 * larger store writes chunk after chunk, and while one is written the disk has the one before: its
 * writeback is started at once, and awaited after the next chunk is in the page cache. Writeback
 * alone makes nothing durable (the device has a cache, the file system metadata), so a large store
 * ends with a sync. Whole chunks that are on the device leave the page cache: who stores blocks has
 * them in memory. What lies in a chunk that is not full yet stays, since the next store goes on in
 * the middle of a page, perhaps.
 *
 * All of the file's space is set aside when it is created, and again before the first store of a
 * file that was there already (it may be a copy with holes): only that may find the disk full and
 * pass. Any other failure poisons the handle. Nobody knows what is on the disk then; the page cache
 * may pretend otherwise, and so may the next sync.
 *
 * Space that is only set aside costs a durable write a transaction of the file system, so it is
 * zeroed ahead of the writer (commit/ahead.h): in the background where there is an environment, or
 * by prepare. What a store has touched is behind the writer; what lies ahead is zeroed only where
 * it is zero already, which is read first. So nobody has to know what the blocks mean. Writers of
 * stores of 128 KiB and more outrun it and would only be held up: who stores so much prepares
 * beforehand, when the blocks are allocated, say. (Compared with space that was zeroed before, a
 * row of durable stores of 4 KiB takes 1.0 x, of 72 KiB 1.3 x, of 128 KiB 2.2 x; with space that is
 * only set aside it is 1.6, 1.8 and 1.8 x.)
 */
#include <string.h>

#include "blocks/blocks_private.h"
#include "commit/env.h"

enum {
    SMALL_STORE = 96 * 1024, /* bytes; zeroing in the background pays for stores up to this */
    ZERO_AHEAD = 8 * 1024 * 1024,
    IOVEC_PAIRS = BLOCK_BATCH / 2,
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

unsigned block_chunk_shift(unsigned shift)
{
    unsigned pairs_shift = 0;
    while (2 << pairs_shift <= IOVEC_PAIRS)
        pairs_shift++;
    unsigned chunk = shift + pairs_shift;
    if (chunk > BLOCK_CHUNK_SHIFT)
        chunk = BLOCK_CHUNK_SHIFT;
    return chunk > shift ? chunk : shift;
}

void block_file_drop_cached(struct block_file *file, uint64_t from, uint64_t to)
{
    uint64_t chunk = UINT64_C(1) << block_chunk_shift(file->base.shift);
    from -= from % chunk;
    to -= to % chunk;
    if (from < to)
        disk_advise(file->file, from, to - from, FIRN_ADVICE_DONT_NEED);
}

/* ---- zeroing ahead ---- */

/* With ahead.lock: how far zeroing goes now. */
static uint64_t zero_goal(const struct block_file *file, uint64_t ahead)
{
    return least(file->space.entered_end + ahead, block_bytes(&file->base));
}

/* With ahead.lock, which it lets go. */
static int zero_claim(struct block_file *file, uint64_t goal, struct firn_error *err)
{
    return ahead_zero_claim(&file->ahead, &file->space, file->disk, file->path, file->file, goal,
                            block_bytes(&file->base), err);
}

static void zero_task(void *arg)
{
    struct block_file *file = arg;
    pthread_mutex_lock(&file->ahead.lock);
    bool more = zero_claim(file, zero_goal(file, ZERO_AHEAD), NULL) == 0;
    pthread_mutex_unlock(&file->ahead.lock);
    if (more)
        worker_post_at(env_worker(file->env), &file->zero_task, wait_now_ns() + AHEAD_PAUSE_NS);
}

/* With store_lock. Without memory for a task nothing is zeroed, which only costs time. */
static void consider_zeroing(struct block_file *file, uint64_t bytes)
{
    if (!file->env || bytes > SMALL_STORE || atomic_load(&file->space.finished))
        return;
    pthread_mutex_lock(&file->ahead.lock);
    uint64_t ready = file->space.zeroed_end > file->space.entered_end ? file->space.zeroed_end
                                                                      : file->space.entered_end;
    bool due = ready < zero_goal(file, ZERO_AHEAD / 2);
    pthread_mutex_unlock(&file->ahead.lock);
    struct worker *worker = env_worker(file->env);
    if (due && (file->zero_task.worker ||
                worker_task_init(worker, &file->zero_task, zero_task, file, WORKER_NORMAL) == 0))
        worker_post(worker, &file->zero_task);
}

void block_file_begin_zeroing(struct block_file *file)
{
    pthread_mutex_lock(&file->store_lock);
    consider_zeroing(file, 0);
    pthread_mutex_unlock(&file->store_lock);
}

void block_file_end_zeroing(struct block_file *file)
{
    ahead_finish(&file->ahead, &file->space, block_bytes(&file->base));
    pthread_mutex_lock(&file->store_lock);
    worker_task_done(&file->zero_task);
    memset(&file->zero_task, 0, sizeof file->zero_task);
    pthread_mutex_unlock(&file->store_lock);
}

/* ---- storing ---- */

/* With store_lock: poison, and space. */
static int make_ready(struct block_file *file, struct firn_error *err)
{
    if (file->read_only)
        return firn_error_set(err, FIRN_EREADONLY, 0, "%s: opened read-only", file->path);
    if (atomic_load(&file->poisoned))
        return block_poisoned(&file->cause, err);
    if (file->has_space)
        return 0;
    uint64_t bytes = block_bytes(&file->base);
    int rc = disk_reserve(file->file, 0, bytes, err);
    if (rc < 0)
        return rc;
    file->has_space = true;
    atomic_store(&file->space.reserved_end, bytes);
    return 0;
}

static int write_all(struct block_file *file, const struct iovec *iov, int count, uint64_t offset,
                     unsigned flags, struct firn_error *err)
{
    struct iovec batch[BLOCK_BATCH];
    int rc = 0;
    while (count > 0 && rc == 0) {
        int n = count < BLOCK_BATCH ? count : BLOCK_BATCH;
        memcpy(batch, iov, (size_t)n * sizeof *iov);
        rc = disk_writev_full(file->file, batch, n, offset, flags, err);
        for (int i = 0; i < n; i++)
            offset += iov[i].iov_len;
        iov += n;
        count -= n;
    }
    return rc;
}

static int write_large(struct block_file *file, const struct iovec *iov, int count, uint64_t from,
                       uint64_t to, struct firn_error *err)
{
    uint64_t chunk = UINT64_C(1) << block_chunk_shift(file->base.shift);
    int most = (int)(2 * (chunk >> file->base.shift));
    int rc = 0;
    for (uint64_t at = from; at < to && rc == 0; at += chunk) {
        int n = count < most ? count : most;
        rc = write_all(file, iov, n, at, 0, err);
        if (rc == 0)
            rc = disk_writeback_start(file->file, at, least(chunk, to - at), err);
        if (rc == 0 && at > from)
            rc = disk_writeback_await(file->file, at - chunk, chunk, err);
        if (rc == 0 && at > from)
            block_file_drop_cached(file, at - chunk, at);
        iov += n;
        count -= n;
    }
    return rc == 0 ? disk_sync(file->file, err) : rc;
}

/* With store_lock. */
static int store(struct block_file *file, const struct iovec *iov, int count, uint64_t from,
                 uint64_t bytes)
{
    uint64_t to = from + bytes;
    struct firn_error cause = {0};
    int rc;
    ahead_enter(&file->ahead, &file->space, from, to, block_bytes(&file->base));
    if (bytes >> block_chunk_shift(file->base.shift) == 0 ||
        bytes == UINT64_C(1) << block_chunk_shift(file->base.shift))
        rc = write_all(file, iov, count, from, FIRN_WRITE_DURABLE, &cause);
    else
        rc = write_large(file, iov, count, from, to, &cause);
    if (rc < 0) {
        file->cause = cause;
        atomic_store(&file->poisoned, true);
        return rc;
    }
    block_file_drop_cached(file, from, to);
    consider_zeroing(file, bytes);
    return 0;
}

int block_file_store(struct firn_block *block, uint64_t first, const struct iovec *iov, int count,
                     struct firn_error *err)
{
    struct block_file *file = block_file_of(block);
    uint64_t bytes;
    int rc = block_check_store(block, file->path, first, iov, count, &bytes, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&file->store_lock);
    rc = make_ready(file, err);
    if (rc == 0 && bytes > 0 && store(file, iov, count, first << block->shift, bytes) < 0)
        rc = block_poisoned(&file->cause, err);
    pthread_mutex_unlock(&file->store_lock);
    return rc;
}

int block_file_prepare(struct firn_block *block, uint64_t first, uint64_t number,
                       struct firn_error *err)
{
    struct block_file *file = block_file_of(block);
    if (first > block->count || number > block->count - first)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: blocks %llu to %llu; it has %llu",
                              file->path, (unsigned long long)first,
                              (unsigned long long)(first + number - 1),
                              (unsigned long long)block->count);
    pthread_mutex_lock(&file->store_lock);
    int rc = make_ready(file, err);
    pthread_mutex_unlock(&file->store_lock);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&file->ahead.lock);
    if (file->space.entered_end < first << block->shift)
        file->space.entered_end = first << block->shift;
    do {
        rc = zero_claim(file, (first + number) << block->shift, err);
    } while (rc == 0);
    pthread_mutex_unlock(&file->ahead.lock);
    return rc == FIRN_EEND ? 0 : rc;
}
