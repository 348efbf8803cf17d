/* SPDX-License-Identifier: MIT */
/*
 * A pipe's file and its journal. Input: a small program that builds both, with checksums made right
 * again where it says so, and numbers that are what a journal writes or any others. The pipe is
 * opened to read and to write, changed, left as after a crash, closed, and opened again.
 *
 * It opens, or says why not and has changed nothing. Who writes finds what who only reads found.
 * What is written is there, after a crash too. Closed, the file has whole chunks and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/pipe.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "disk/slots.h"
#include "fuzz.h"
#include "journal/journal_private.h"

enum { AT_PENDING = 4, AT_NONCE = 8, AT_RING = 24, AT_POSITION = 32 };
enum { AT_SEQUENCE = 40, AT_LENGTH = 48, AT_ABOUT = 56 };
enum { PAGE = 4096, MARK = 64, RECORDS_MOST = 24, STEPS_MOST = 6, FLIPS_MOST = 3 };
enum { MAIN_MOST = 24 * 1024, JOURNAL_LIMIT = 64 * 1024, WRITE_MOST = 9000, GROW_BYTES = 9000 };

#define MAIN_FILE "pipe"
#define JOURNAL_FILE "pipe.journal"

/* What is built, and how. */
enum {
    DAMAGED_SLOT = 1, /* one of them */
    NO_JOURNAL = 2,
    NO_MARK = 4,
    OTHER_MARK = 8,
    LEAVE_CHUNK = 16, /* the options name no size of a chunk */
    NO_MAIN = 32,
    ONLY_SHORT = 64, /* no tail behind the chunks */
};

struct world {
    struct input in;
    unsigned flags;
    struct firn_env *env;
    struct firn_pipe *pipe;
    struct bytes main, journal;
    uint64_t chunk, length, ring, sequence, next; /* next: offset of the next record */
    uint8_t nonce[JOURNAL_NONCE];
};

/* ---- building ---- */

/* Mostly what it should be. */
static uint64_t number(struct world *world, uint64_t usual)
{
    uint8_t how = input_u8(&world->in);
    if (how < 0xe0)
        return usual;
    if (how < 0xe8)
        return usual + (how & 7) - 3;
    return how < 0xf0 ? input_u16(&world->in) : input_u64(&world->in);
}

static void extend(struct bytes *bytes, size_t size)
{
    if (size <= bytes->size)
        return;
    bytes->data = must_grow(bytes->data, size);
    memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void build_header(struct world *world)
{
    static const struct slot_kind kind = {.magic = {'F', 'I', 'R', 'N', 'J', 'R', 'N', '1'},
                                          .version = 1};
    uint8_t body[SLOT_ROOM] = {0};
    uint64_t pages = 1 + input_u8(&world->in) % 6;
    world->ring = number(world, pages * PAGE);
    uint64_t position = number(world, world->ring ? input_u16(&world->in) % world->ring : 0);
    memcpy(body, "PIPE", 4);
    store_be_u32(body + AT_PENDING, (uint32_t)number(world, 1));
    memcpy(body + AT_NONCE, world->nonce, JOURNAL_NONCE);
    store_be_u64(body + AT_RING, world->ring);
    store_be_u64(body + AT_POSITION, position);
    world->sequence = number(world, 5);
    store_be_u64(body + AT_SEQUENCE, world->sequence);
    store_be_u64(body + AT_LENGTH, number(world, world->length));
    store_be_u64(body + AT_ABOUT, number(world, world->chunk));
    extend(&world->journal, SLOTS_BYTES);
    slot_encode(&kind, 4, body, world->journal.data);
    slot_encode(&kind, 3, body, world->journal.data + SLOT_BYTES);
    if (world->flags & DAMAGED_SLOT)
        world->journal.data[input_u16(&world->in) % SLOTS_BYTES] ^= 1;
    world->next = world->ring ? position % world->ring : 0;
    world->next = JOURNAL_START + (world->next < JOURNAL_LIMIT ? world->next : 0);
}

static uint32_t put_ranges(struct world *world, uint8_t *table, uint32_t ranges, uint64_t length)
{
    uint32_t content = 0;
    for (uint32_t i = 0; i < ranges; i++) {
        uint8_t how = input_u8(&world->in);
        uint64_t unit = how & 0x40 ? 1 : world->chunk;
        uint32_t bytes = (uint32_t)unit * (1 + how % 4);
        uint64_t at = length > bytes ? input_u16(&world->in) % (length - bytes + 1) / unit * unit
                                     : 0;
        store_be_u64(table + (size_t)i * REDO_RANGE, number(world, at));
        bool zeros = how >= 0x80;
        store_be_u64(table + (size_t)i * REDO_RANGE + 8,
                     number(world, bytes) | (zeros ? UINT64_C(1) << 63 : 0));
        content += zeros ? 0 : bytes;
    }
    return content;
}

/* Room for the largest record: its table and what the ranges have. */
enum { RANGES_MOST = 100, RECORD_MOST = REDO_HEADER + RANGES_MOST * (REDO_RANGE + 4 * PAGE) };

static void build_record(struct world *world, uint8_t how)
{
    uint8_t *bytes = must_alloc(RECORD_MOST);
    uint32_t ranges = how & 1 ? how / 2 % RANGES_MOST : how / 2 % 4;
    uint64_t length = number(world, world->length);
    uint32_t content = put_ranges(world, bytes + REDO_HEADER, ranges, length);
    uint32_t size = REDO_HEADER + ranges * REDO_RANGE + content;
    fill_noise(bytes + size - content, content, world->sequence);
    struct redo record = {
        .sequence = number(world, world->sequence),
        .salt = number(world, load_be_u64(world->nonce)),
        .bytes = (uint32_t)number(world, size),
        .ranges = (uint32_t)number(world, ranges),
        .claim = number(world, world->sequence),
        .length = length,
    };
    redo_encode(&record, bytes);
    uint32_t covered = record.bytes < size && record.bytes >= REDO_HEADER ? record.bytes : size;
    redo_set_crc(bytes, crc32c(0, bytes + REDO_CRC_FROM, covered - REDO_CRC_FROM));
    if (world->next + size - JOURNAL_START > world->ring)
        world->next = JOURNAL_START;
    if (world->next + size <= JOURNAL_START + JOURNAL_LIMIT) {
        extend(&world->journal, (size_t)world->next + size);
        memcpy(world->journal.data + world->next, bytes, size);
        world->next += size;
    }
    world->sequence++;
    world->length = length < MAIN_MOST ? length : world->length;
    free(bytes);
}

/* A record; or bytes; or a gap; or back to the ring's start. */
static void build_step(struct world *world)
{
    uint8_t how = input_u8(&world->in);
    size_t size;
    if (how < 0xe0) {
        build_record(world, how);
    } else if (how < 0xe8) {
        const uint8_t *raw = input_bytes(&world->in, how & 7, &size);
        if (world->next + size <= JOURNAL_START + JOURNAL_LIMIT) {
            extend(&world->journal, (size_t)world->next + size);
            if (size)
                memcpy(world->journal.data + world->next, raw, size);
            world->next += size;
        }
    } else if (how < 0xf0) {
        world->next += (how & 7u) * 16u;
        world->sequence += how & 1;
    } else {
        world->next = JOURNAL_START;
    }
}

static void build_main(struct world *world, uint64_t length)
{
    uint8_t mark[MARK] = {'F', 'I', 'R', 'N', 'P', 'I', 'P', 'E'};
    uint64_t place = (length + PAGE - 1) / PAGE * PAGE;
    extend(&world->main, (size_t)length);
    fill_noise(world->main.data, world->main.size, 77);
    if (world->flags & ONLY_SHORT)
        return;
    extend(&world->main, (size_t)place + MARK);
    store_be_u64(mark + 8, world->chunk);
    store_be_u64(mark + 16, number(world, place));
    memcpy(mark + 24, world->nonce, JOURNAL_NONCE);
    mark[24] ^= world->flags & OTHER_MARK ? 1 : 0;
    store_be_u32(mark + 60, crc32c(0, mark, 60));
    if (!(world->flags & NO_MARK))
        memcpy(world->main.data + place, mark, MARK);
}

static void flip(struct world *world)
{
    uint16_t where = input_u16(&world->in);
    struct bytes *file = where & 1 ? &world->journal : &world->main;
    if (file->size)
        file->data[where / 2 % file->size] ^= (uint8_t)(1 << (where & 7));
}

static void build(struct world *world)
{
    static const uint64_t chunks[] = {1, 3, 16, 100, 512, 4096, 5000, 64};
    world->flags = input_u8(&world->in);
    world->chunk = chunks[input_u8(&world->in) % 8];
    world->length = (1 + input_u8(&world->in) % 40u) * world->chunk;
    if (world->length > MAIN_MOST)
        world->length = MAIN_MOST / world->chunk * world->chunk;
    memset(world->nonce, 0x5a, sizeof world->nonce);
    uint64_t length = world->length;
    build_header(world);
    unsigned records = input_u8(&world->in) % RECORDS_MOST;
    for (unsigned i = 0; i < records; i++)
        build_step(world);
    build_main(world, input_u8(&world->in) & 1 ? world->length : length);
    unsigned flips = input_u8(&world->in) % (FLIPS_MOST + 1);
    for (unsigned i = 0; i < flips; i++)
        flip(world);
}

static struct firn_disk *make_disk(const struct world *world)
{
    struct firn_disk *disk = memory_disk();
    if (!(world->flags & NO_MAIN))
        put_file(disk, MAIN_FILE, world->main.data, world->main.size);
    if (!(world->flags & NO_JOURNAL))
        put_file(disk, JOURNAL_FILE, world->journal.data, world->journal.size);
    return disk;
}

/* ---- opening ---- */

static int open_pipe(struct world *world, struct firn_disk *disk, bool read_only)
{
    struct firn_error err = {0};
    const struct firn_pipe_options options = {
        .disk = disk,
        .env = world->env,
        .chunk_bytes = world->flags & LEAVE_CHUNK ? 0 : world->chunk,
        .read_only = read_only,
        .must_exist = true,
        .journal_bytes = JOURNAL_LIMIT,
    };
    int rc = firn_pipe_open(MAIN_FILE, &options, &world->pipe, &err);
    trace("open%s: %s %s", read_only ? " to read" : "", firn_error_name(rc), err.message);
    require(rc == 0 || (err.code == rc && err.message[0]), "an error is explained");
    require(rc != FIRN_EPOISONED && rc != FIRN_ENOMEM && rc != FIRN_EIO, "nothing failed");
    return rc;
}

static struct bytes read_all(struct world *world)
{
    uint64_t chunk = firn_pipe_chunk_bytes(world->pipe), count = firn_pipe_count(world->pipe);
    struct bytes all = {0};
    extend(&all, (size_t)(chunk * count));
    require(count == 0 || firn_pipe_read(world->pipe, 0, count, all.data, 0, NULL) == 0, "a read");
    return all;
}

static bool is_same(const struct bytes *a, const struct bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void expect_content(struct world *world, const struct bytes *wanted, const char *what)
{
    struct bytes found = read_all(world);
    require(is_same(&found, wanted), what);
    bytes_done(&found);
}

static void expect_unchanged(const struct world *world, struct firn_disk *disk, const char *what)
{
    bool has_main = false, has_journal = false;
    require(disk_exists(disk, MAIN_FILE, &has_main, NULL) == 0 &&
                disk_exists(disk, JOURNAL_FILE, &has_journal, NULL) == 0,
            "looking for the files");
    require(has_main == !(world->flags & NO_MAIN), what);
    require(has_journal == !(world->flags & NO_JOURNAL), what);
    struct bytes main = has_main ? get_file(disk, MAIN_FILE) : (struct bytes){0};
    struct bytes journal = has_journal ? get_file(disk, JOURNAL_FILE) : (struct bytes){0};
    require(!has_main || is_same(&main, &world->main), what);
    require(!has_journal || is_same(&journal, &world->journal), what);
    bytes_done(&main);
    bytes_done(&journal);
}

/* ---- a life ---- */

static void live_write(struct world *world, struct bytes *held, uint8_t how)
{
    uint64_t chunk = firn_pipe_chunk_bytes(world->pipe), count = firn_pipe_count(world->pipe);
    if (count == 0)
        return;
    uint64_t index = input_u16(&world->in) % count, chunks = 1 + how / 4;
    chunks = chunks < count - index ? chunks : count - index;
    chunks = chunks * chunk < WRITE_MOST ? chunks : 1;
    size_t at = (size_t)(index * chunk), size = (size_t)(chunks * chunk);
    if (size > 28 * 1024)
        return; /* more than half of the journal */
    fill_noise(held->data + at, size, how + index);
    const struct iovec iov = {held->data + at, size};
    require(firn_pipe_write(world->pipe, index, &iov, 1, NULL, NULL) == 0, "a write");
}

static void live_step(struct world *world, struct bytes *held)
{
    uint8_t how = input_u8(&world->in);
    uint64_t chunk = firn_pipe_chunk_bytes(world->pipe);
    if (how % 4 == 0 && chunk < GROW_BYTES) {
        uint64_t more = 1 + how / 4 % (GROW_BYTES / chunk);
        require(firn_pipe_grow(world->pipe, more, NULL) == 0, "a growth");
        extend(held, held->size + (size_t)(more * chunk));
    } else if (how % 4 == 1) {
        firn_env_run(world->env);
    } else {
        live_write(world, held, how);
    }
    expect_content(world, held, "what was written is read");
}

/* Opened from the files as they are now. */
static void check_crash(struct world *world, struct firn_disk *disk, const struct bytes *held)
{
    struct bytes main = get_file(disk, MAIN_FILE), journal = get_file(disk, JOURNAL_FILE);
    struct firn_disk *other = memory_disk();
    struct firn_pipe *pipe = world->pipe;
    put_file(other, MAIN_FILE, main.data, main.size);
    put_file(other, JOURNAL_FILE, journal.data, journal.size);
    require(open_pipe(world, other, false) == 0, "it opens after a crash");
    expect_content(world, held, "and holds what was durable");
    require(firn_pipe_close(world->pipe, NULL) == 0, "it closes");
    world->pipe = pipe;
    firn_disk_free(other);
    bytes_done(&main);
    bytes_done(&journal);
}

static void check_closed(struct world *world, struct firn_disk *disk, const struct bytes *held)
{
    struct firn_pipe_check check;
    struct bytes main = get_file(disk, MAIN_FILE), journal = get_file(disk, JOURNAL_FILE);
    require(is_same(&main, held), "closed, it is a plain file");
    require(journal.size == SLOTS_BYTES, "and the journal is short");
    bytes_done(&main);
    bytes_done(&journal);
    require(open_pipe(world, disk, true) == 0, "it opens again");
    expect_content(world, held, "with the same content");
    require(firn_pipe_verify(world->pipe, &check, NULL) == 0, "in which nothing is wrong");
    require(firn_pipe_close(world->pipe, NULL) == 0, "and closes");
}

/* ---- all of it ---- */

static int look(struct world *world, struct bytes *found)
{
    struct firn_disk *disk = make_disk(world);
    int rc = open_pipe(world, disk, true);
    if (rc == 0) {
        *found = read_all(world);
        require(firn_pipe_close(world->pipe, NULL) == 0, "closing what was only read");
    }
    expect_unchanged(world, disk, "who only reads changes nothing");
    firn_disk_free(disk);
    return rc;
}

static void use(struct world *world, int looked, const struct bytes *found)
{
    struct firn_disk *disk = make_disk(world);
    int rc = open_pipe(world, disk, false);
    /* A chunk may be larger than the journal that is to be, which only who writes has. */
    require(rc == looked || rc == FIRN_ETOOBIG, "who writes opens what who reads does");
    if (rc < 0) {
        expect_unchanged(world, disk, "what is refused is not changed");
        firn_disk_free(disk);
        return;
    }
    struct bytes held = read_all(world);
    require(is_same(&held, found), "who writes finds what who reads found");
    unsigned steps = input_u8(&world->in) % (STEPS_MOST + 1);
    for (unsigned i = 0; i < steps; i++)
        live_step(world, &held);
    require(firn_pipe_flush(world->pipe, NULL) == 0, "flushing");
    check_crash(world, disk, &held);
    require(firn_pipe_close(world->pipe, NULL) == 0, "closing");
    check_closed(world, disk, &held);
    bytes_done(&held);
    firn_disk_free(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct firn_env_options manual = {.manual = true};
    struct world *world = must_alloc(sizeof *world);
    struct bytes found = {0};
    world->in = (struct input){data, size};
    require(firn_env_new(&manual, &world->env, NULL) == 0, "an environment");
    build(world);
    int rc = look(world, &found);
    use(world, rc, &found);
    require(firn_env_free(world->env) == 0, "nothing is left in the environment");
    bytes_done(&found);
    bytes_done(&world->main);
    bytes_done(&world->journal);
    free(world);
    return 0;
}
