/* SPDX-License-Identifier: MIT */
/*
 * The file of a pipe while it is in use: the chunks, zeros up to the next page, and there, within
 * one sector, the mark: 64 bytes (numbers big-endian)
 *
 *     "FIRNPIPE" | chunk bytes u64 | place u64 | nonce[16] | zeros | CRC-32C u32
 *
 * and one byte more where the file would have a whole number of chunks. So others see that it is no
 * plain file of chunks, and no byte of a chunk is touched.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "pipe/pipe_private.h"

enum { PAGE = 4096, MARK = 64, AT_CHUNK = 8, AT_PLACE = 16, AT_NONCE = 24, AT_CRC = 60 };

static const uint8_t magic[8] = {'F', 'I', 'R', 'N', 'P', 'I', 'P', 'E'};

static uint64_t mark_place(uint64_t length)
{
    return (length + PAGE - 1) / PAGE * PAGE;
}

/* Bytes of the mark at `place`. */
static size_t mark_bytes(const struct firn_pipe *pipe, uint64_t place)
{
    return (place + MARK) % pipe->chunk_bytes == 0 ? MARK + 1 : MARK;
}

static int reserve(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    uint64_t place = mark_place(length);
    uint64_t end = place + mark_bytes(pipe, place);
    if (end <= pipe->reserved)
        return 0;
    int rc = disk_reserve(file, pipe->reserved, end - pipe->reserved, err);
    if (rc == 0)
        pipe->reserved = end;
    return rc;
}

/* Of one place, life and pipe there is one mark: written again, it can't be torn. */
static void make_mark(const struct firn_pipe *pipe, uint64_t place, const uint8_t *nonce,
                      uint8_t bytes[MARK + 1])
{
    memset(bytes, 0, MARK + 1);
    memcpy(bytes, magic, sizeof magic);
    store_be_u64(bytes + AT_CHUNK, pipe->chunk_bytes);
    store_be_u64(bytes + AT_PLACE, place);
    memcpy(bytes + AT_NONCE, nonce, JOURNAL_NONCE);
    store_be_u32(bytes + AT_CRC, crc32c(0, bytes, AT_CRC));
}

static int mark(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    uint8_t bytes[MARK + 1];
    uint64_t place = mark_place(length);
    make_mark(pipe, place, nonce, bytes);
    return disk_write_full(file, bytes, mark_bytes(pipe, place), place, FIRN_WRITE_DURABLE, err);
}

/* The new mark is durable before the old one goes: one of them is always there. */
static int move_mark(void *owner, struct firn_file *file, uint64_t from, uint64_t to,
                     const uint8_t *nonce, struct firn_error *err)
{
    static const uint8_t zeros[MARK + 1];
    uint64_t old = mark_place(from);
    if (old == mark_place(to))
        return 0;
    int rc = mark(owner, file, to, nonce, err);
    if (rc == 0)
        rc = disk_write_full(file, zeros, sizeof zeros, old, FIRN_WRITE_DURABLE, err);
    return rc;
}

/* What is cut off held the other mark, and nothing else. */
static int move_back(void *owner, struct firn_file *file, uint64_t length, const uint8_t *nonce,
                     struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    uint64_t place = mark_place(length);
    int rc = mark(owner, file, length, nonce, err);
    if (rc == 0)
        rc = disk_truncate(file, place + mark_bytes(pipe, place), err);
    if (rc == 0)
        rc = disk_sync(file, err);
    pipe->reserved = place + mark_bytes(pipe, place);
    return rc;
}

static int unmark(void *owner, struct firn_file *file, uint64_t length, struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    int rc = disk_truncate(file, length, err);
    if (rc == 0)
        rc = disk_sync(file, err);
    pipe->reserved = 0;
    return rc;
}

/* A chunk that holds the copy of a mark is none: that names the place where it stood. */
static int find_at(struct firn_file *file, uint64_t place, uint8_t *nonce, struct firn_error *err)
{
    uint8_t bytes[MARK];
    size_t got;
    int rc = disk_read_full(file, bytes, sizeof bytes, place, &got, err);
    if (rc < 0)
        return rc;
    if (got < MARK || memcmp(bytes, magic, sizeof magic) != 0 ||
        load_be_u32(bytes + AT_CRC) != crc32c(0, bytes, AT_CRC) ||
        load_be_u64(bytes + AT_PLACE) != place)
        return FIRN_ENOENT;
    memcpy(nonce, bytes + AT_NONCE, JOURNAL_NONCE);
    return 0;
}

/* Where the length says, or, if a growth was cut short, at the end of the file. */
static int find_mark(void *owner, struct firn_file *file, uint64_t length, uint8_t *nonce,
                     struct firn_error *err)
{
    (void)owner;
    uint64_t size;
    int rc = disk_size_of(file, &size, err);
    if (rc == 0)
        rc = find_at(file, mark_place(length), nonce, err);
    uint64_t last = rc == FIRN_ENOENT && size >= MARK ? (size - MARK) / PAGE * PAGE : 0;
    if (last > length)
        rc = find_at(file, last, nonce, err);
    return rc;
}

static bool is_torn_mark(void *owner, const uint8_t *tail, size_t bytes, uint64_t length,
                         const uint8_t *nonce)
{
    uint8_t whole[MARK + 1];
    size_t from = (size_t)(mark_place(length) - length);
    make_mark(owner, mark_place(length), nonce, whole);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t there = i >= from && i < from + MARK ? whole[i - from] : 0;
        if (tail[i] != 0 && tail[i] != there)
            return false;
    }
    return true;
}

/* ---- what the journal's header says ---- */

void pipe_set_about(uint8_t about[JOURNAL_ABOUT], uint64_t chunk_bytes)
{
    memset(about, 0, JOURNAL_ABOUT);
    store_be_u64(about, chunk_bytes);
}

static int accept(void *owner, const uint8_t *about, uint64_t length, uint64_t *change_bytes,
                  struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    uint64_t chunk_bytes = load_be_u64(about);
    if (chunk_bytes == 0 || chunk_bytes > FIRN_CHUNK_BYTES_MAX || length % chunk_bytes != 0)
        return firn_error_set(err, FIRN_EFORMAT, 0, "%s.journal: chunks of %llu bytes in %llu",
                              pipe->path, (unsigned long long)chunk_bytes,
                              (unsigned long long)length);
    if (pipe->wanted_bytes && pipe->wanted_bytes != chunk_bytes)
        return firn_error_set(err, FIRN_EMISMATCH, 0, "%s: its chunks have %llu bytes, not %llu",
                              pipe->path, (unsigned long long)chunk_bytes,
                              (unsigned long long)pipe->wanted_bytes);
    pipe->chunk_bytes = chunk_bytes;
    *change_bytes = chunk_bytes;
    return 0;
}

static int adopt(void *owner, uint64_t size, uint8_t *about, struct firn_error *err)
{
    struct firn_pipe *pipe = owner;
    if (!pipe->wanted_bytes)
        return firn_error_set(err, FIRN_EINVAL, 0,
                              "%s: has no journal; to make a pipe of a plain file takes its chunk "
                              "size",
                              pipe->path);
    if (size % pipe->wanted_bytes != 0)
        return firn_error_set(err, FIRN_EMISMATCH, 0,
                              "%s: has %llu bytes, which is no whole number of chunks of %llu",
                              pipe->path, (unsigned long long)size,
                              (unsigned long long)pipe->wanted_bytes);
    pipe_set_about(about, pipe->wanted_bytes);
    return 0;
}

const struct journal_kind pipe_kind = {
    .name = "PIPE",
    .unit = "chunk",
    .nonce_bytes = JOURNAL_NONCE,
    .accept = accept,
    .adopt = adopt,
    .reserve = reserve,
    .mark = mark,
    .move_mark = move_mark,
    .move_back = move_back,
    .unmark = unmark,
    .find_mark = find_mark,
    .is_torn_mark = is_torn_mark,
    .announce = pipe_announce,
};
