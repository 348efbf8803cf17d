/* SPDX-License-Identifier: MIT */
/*
 * The window. buffer[0 .. buffered) is the file from buffer_at on; nothing at or behind `end` is
 * ever in it, since that may still change. When it runs out, what is left of it moves to the
 * buffer's start and a read of `window` bytes follows, which ends at a page's border: so the next
 * one begins there. A batch larger than the window makes it grow, but only after its checksum has
 * been found right piece by piece: a length that is damaged must not cost memory.
 */
#include "log/scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "disk/disk.h"

enum {
    WINDOW = 128 * 1024,
    PAGE = 4096,
    BLOCK = 512 * 1024,
    PIECE = 256 * 1024, /* fits in a processor's cache */
    NEAR = 2 * PAGE,
    FEW_PEEKS = 8,
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t page_up(uint64_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

void scan_init(struct scan *scan, struct firn_file *file, uint64_t position, uint64_t end,
               size_t window)
{
    *scan = (struct scan){
        .file = file,
        .position = position,
        .end = end,
        .window = window > 0 ? window : WINDOW,
    };
}

void scan_lend(struct scan *scan, uint8_t *buffer, size_t capacity)
{
    scan->buffer = buffer;
    scan->capacity = capacity;
    scan->lent = true;
}

static void release_buffer(struct scan *scan)
{
    if (!scan->lent)
        free(scan->buffer);
    scan->lent = false;
    scan->buffer = NULL;
}

void scan_done(struct scan *scan)
{
    release_buffer(scan);
    scan->capacity = scan->buffered = 0;
}

void scan_seek(struct scan *scan, uint64_t position, uint64_t end)
{
    scan->position = position;
    scan->end = end;
    if (end < scan->buffer_at)
        scan->buffered = 0;
    else if (end - scan->buffer_at < scan->buffered)
        scan->buffered = (size_t)(end - scan->buffer_at);
}

/* ---- the window ----------------------------------------------------------------------------- */

static uint64_t buffered_end(const struct scan *scan)
{
    return scan->buffer_at + scan->buffered;
}

static const uint8_t *at_position(const struct scan *scan)
{
    return scan->buffer + (scan->position - scan->buffer_at);
}

/* Bytes from the position on that are there. */
static size_t available(const struct scan *scan)
{
    if (scan->position < scan->buffer_at || scan->position > buffered_end(scan))
        return 0;
    return (size_t)(buffered_end(scan) - scan->position);
}

/* Has buffer[0] stand at the position, or room for `size` bytes behind it. */
static int make_room(struct scan *scan, size_t size, struct firn_error *err)
{
    size_t kept = available(scan);
    if (kept == 0) {
        scan->buffer_at = scan->position;
        scan->buffered = 0;
    }
    if (scan->position - scan->buffer_at + size <= scan->capacity)
        return 0;
    if (size <= scan->capacity) {
        memmove(scan->buffer, at_position(scan), kept);
    } else {
        size_t capacity = (size_t)page_up(size);
        uint8_t *buffer = malloc(capacity);
        if (buffer == NULL)
            return firn_error_set(err, FIRN_ENOMEM, 0, "no memory for a window of %zu bytes",
                                  capacity);
        if (kept > 0)
            memcpy(buffer, at_position(scan), kept);
        release_buffer(scan);
        scan->buffer = buffer;
        scan->capacity = capacity;
    }
    scan->buffer_at = scan->position;
    scan->buffered = kept;
    return 0;
}

static int read_until(struct scan *scan, uint64_t to, struct firn_error *err)
{
    uint64_t from = buffered_end(scan);
    size_t got;
    int rc = disk_read_full(scan->file, scan->buffer + scan->buffered, (size_t)(to - from), from,
                            &got, err);
    if (rc == 0)
        scan->buffered += got;
    return rc;
}

/*
 * Has `need` bytes (not beyond the end) from the position on in the window, unless the file ends
 * before; and of `ahead` bytes as many as can be had.
 */
static int fill(struct scan *scan, size_t need, size_t ahead, struct firn_error *err)
{
    if (available(scan) >= need)
        return 0;
    uint64_t left = scan->end - scan->position;
    assert(need <= left);
    uint64_t want = scan->position + least(ahead > need ? ahead : need, left);
    uint64_t must = least(page_up(scan->position + need), scan->end);
    if (want < must)
        want = must;
    else if (want < scan->end && want / PAGE * PAGE >= must)
        want = want / PAGE * PAGE;
    int rc = make_room(scan, (size_t)(want - scan->position), err);
    if (rc != 0)
        return rc;
    /* What can't be read far ahead must not cost what is here. */
    if (want > must && read_until(scan, want, NULL) == 0)
        return 0;
    return read_until(scan, must, err);
}

void scan_fetch(struct scan *scan, size_t size)
{
    if (scan->position >= scan->end)
        return;
    size = (size_t)least(size, scan->end - scan->position);
    if (available(scan) < size && make_room(scan, size, NULL) == 0)
        (void)read_until(scan, scan->position + size, NULL);
}

/* ---- batches -------------------------------------------------------------------------------- */

static int damaged(const struct scan *scan, enum batch_fault why, enum batch_fault *fault,
                   struct firn_error *err)
{
    *fault = why;
    return firn_error_set(err, FIRN_EDAMAGED, 0, "batch at byte %llu: %s",
                          (unsigned long long)scan->position, batch_fault_text(why));
}

/* Less than a header is left: zeros say that nothing was written there. */
static enum batch_fault rest_fault(const struct scan *scan)
{
    size_t size = available(scan);
    const uint8_t *bytes = at_position(scan);
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return BATCH_SHORT;
    }
    return size > 0 ? BATCH_ZERO : BATCH_SHORT;
}

static int read_header(struct scan *scan, size_t ahead, struct batch *batch,
                       enum batch_fault *fault, struct firn_error *err)
{
    if (scan->position >= scan->end)
        return FIRN_EEND;
    size_t need = (size_t)least(BATCH_HEADER, scan->end - scan->position);
    int rc = fill(scan, need, ahead, err);
    if (rc != 0)
        return rc;
    if (available(scan) < BATCH_HEADER)
        return damaged(scan, rest_fault(scan), fault, err);
    enum batch_fault found = batch_parse(at_position(scan), available(scan), batch);
    if (found == BATCH_OK && batch->bytes > scan->end - scan->position)
        found = BATCH_SHORT;
    return found == BATCH_OK ? 0 : damaged(scan, found, fault, err);
}

/* The checksum of a batch that does not fit in the window. */
static int check_in_pieces(struct scan *scan, const struct batch *batch, enum batch_fault *fault,
                           struct firn_error *err)
{
    uint64_t start = scan->position, end = start + batch->bytes;
    size_t piece = scan->window > PIECE ? scan->window : PIECE;
    uint32_t crc = 0;
    int rc = 0;
    scan->position = start + BATCH_CRC_FROM;
    while (rc == 0 && scan->position < end) {
        size_t size = (size_t)least(piece, end - scan->position);
        rc = fill(scan, size, size, err);
        if (rc == 0 && available(scan) < size)
            break;
        if (rc == 0)
            crc = crc32c(crc, at_position(scan), size);
        scan->position += size;
    }
    bool whole = scan->position >= end;
    scan->position = start;
    if (rc == 0 && !whole)
        rc = damaged(scan, BATCH_SHORT, fault, err);
    else if (rc == 0 && crc != batch->crc)
        rc = damaged(scan, BATCH_BAD_CRC, fault, err);
    return rc;
}

static bool is_large(const struct scan *scan, const struct batch *batch)
{
    return batch->bytes > scan->window && batch->bytes > scan->capacity;
}

/* Has the batch in the window, checked. */
static int load_whole(struct scan *scan, const struct batch *batch, const uint8_t **bytes,
                      enum batch_fault *fault, struct firn_error *err)
{
    int rc = fill(scan, batch->bytes, scan->window, err);
    if (rc != 0)
        return rc;
    if (available(scan) < batch->bytes)
        return damaged(scan, BATCH_SHORT, fault, err);
    *bytes = at_position(scan);
    return batch_crc(*bytes, batch->bytes) == batch->crc ? 0
                                                         : damaged(scan, BATCH_BAD_CRC, fault, err);
}

int scan_next_within(struct scan *scan, size_t most, struct batch *batch, const uint8_t **bytes,
                     enum batch_fault *fault, struct firn_error *err)
{
    struct batch found;
    const uint8_t *start = NULL;
    int rc = read_header(scan, scan->window, &found, fault, err);
    bool large = rc == 0 && is_large(scan, &found);
    if (large)
        rc = check_in_pieces(scan, &found, fault, err);
    if (rc == 0 && (!large || found.bytes <= most))
        rc = load_whole(scan, &found, &start, fault, err);
    if (rc != 0)
        return rc;
    *batch = found;
    *bytes = start;
    scan->position += found.bytes;
    return 0;
}

int scan_next(struct scan *scan, struct batch *batch, const uint8_t **bytes,
              enum batch_fault *fault, struct firn_error *err)
{
    return scan_next_within(scan, BATCH_MAX, batch, bytes, fault, err);
}

/*
 * How far ahead to read for a header. One or a few are read alone; who goes on from one to the
 * next, where hardly a page lies between them, is better served by large reads.
 */
static size_t ahead_of_peek(struct scan *scan)
{
    if (available(scan) >= BATCH_HEADER)
        return 0;
    uint64_t end = buffered_end(scan);
    bool near = scan->buffered > 0 && scan->position >= scan->buffer_at &&
                scan->position < end + NEAR;
    scan->near_peeks = near ? scan->near_peeks + 1 : 0;
    return scan->near_peeks > FEW_PEEKS ? scan->window : 0;
}

int scan_peek(struct scan *scan, struct batch *batch, enum batch_fault *fault,
              struct firn_error *err)
{
    struct batch found;
    int rc = read_header(scan, ahead_of_peek(scan), &found, fault, err);
    if (rc == 0)
        *batch = found;
    return rc;
}

void scan_skip(struct scan *scan, const struct batch *batch)
{
    scan->position += batch->bytes;
}

/* ---- the last byte that is not zero --------------------------------------------------------- */

/* Bytes up to the last that is not zero. */
static size_t nonzero_size(const uint8_t *bytes, size_t size)
{
    uint64_t word;
    while (size >= sizeof word) {
        memcpy(&word, bytes + size - sizeof word, sizeof word);
        if (word != 0)
            break;
        size -= sizeof word;
    }
    while (size > 0 && bytes[size - 1] == 0)
        size--;
    return size;
}

/* From the end backwards, in large blocks: what was only reserved is slow to read in small ones. */
static int find_last_nonzero(struct firn_file *file, uint8_t *block, uint64_t from, uint64_t to,
                             uint64_t *end, struct firn_error *err)
{
    while (to > from) {
        uint64_t start = (to - 1) / BLOCK * BLOCK;
        if (start < from)
            start = from;
        size_t got;
        int rc = disk_read_full(file, block, (size_t)(to - start), start, &got, err);
        if (rc != 0)
            return rc;
        size_t used = nonzero_size(block, got);
        if (used > 0) {
            *end = start + used;
            return 0;
        }
        to = start;
    }
    *end = from;
    return 0;
}

int scan_last_nonzero(struct firn_file *file, uint64_t from, uint64_t to, uint64_t *end,
                      struct firn_error *err)
{
    uint64_t size;
    int rc = disk_size_of(file, &size, err);
    if (rc != 0)
        return rc;
    uint8_t *block = malloc(BLOCK);
    if (block == NULL)
        return firn_error_set(err, FIRN_ENOMEM, 0, "no memory to look for a torn tail");
    rc = find_last_nonzero(file, block, from, least(to, size), end, err);
    free(block);
    return rc;
}
