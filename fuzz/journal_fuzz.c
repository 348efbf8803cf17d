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
#include "build.h"
#include "disk/disk.h"
#include "disk/slots.h"

enum { PAGE = 4096, MARK = 64, RECORDS_MOST = 24, STEPS_MOST = 6, FLIPS_MOST = 3 };
enum { WRITE_MOST = 9000, GROW_BYTES = 9000 };

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
    struct build build;
    unsigned flags;
    struct firn_env *env;
    struct firn_pipe *pipe;
    struct bytes main;
    uint64_t chunk;
};

/* ---- building ---- */

static void build_main(struct world *world, uint64_t length)
{
    uint8_t mark[MARK] = {'F', 'I', 'R', 'N', 'P', 'I', 'P', 'E'};
    uint64_t place = (length + PAGE - 1) / PAGE * PAGE;
    build_extend(&world->main, (size_t)length);
    fill_noise(world->main.data, world->main.size, 77);
    if (world->flags & ONLY_SHORT)
        return;
    build_extend(&world->main, (size_t)place + MARK);
    store_be_u64(mark + 8, world->chunk);
    store_be_u64(mark + 16, build_number(&world->build, place));
    memcpy(mark + 24, world->build.nonce, JOURNAL_NONCE);
    mark[24] ^= world->flags & OTHER_MARK ? 1 : 0;
    store_be_u32(mark + 60, crc32c(0, mark, 60));
    if (!(world->flags & NO_MARK))
        memcpy(world->main.data + place, mark, MARK);
}

static void build(struct world *world)
{
    static const uint64_t chunks[] = {1, 3, 16, 100, 512, 4096, 5000, 64};
    world->build.kind = "PIPE";
    world->flags = input_u8(&world->build.in);
    world->chunk = chunks[input_u8(&world->build.in) % 8];
    world->build.length = (1 + input_u8(&world->build.in) % 40u) * world->chunk;
    if (world->build.length > BUILD_MAIN_MOST)
        world->build.length = BUILD_MAIN_MOST / world->chunk * world->chunk;
    memset(world->build.nonce, 0x5a, sizeof world->build.nonce);
    uint64_t length = world->build.length;
    world->build.unit = world->build.about = world->chunk;
    world->build.damaged_slot = world->flags & DAMAGED_SLOT;
    build_header(&world->build);
    unsigned records = input_u8(&world->build.in) % RECORDS_MOST;
    for (unsigned i = 0; i < records; i++)
        build_step(&world->build);
    build_main(world, input_u8(&world->build.in) & 1 ? world->build.length : length);
    unsigned flips = input_u8(&world->build.in) % (FLIPS_MOST + 1);
    for (unsigned i = 0; i < flips; i++)
        build_flip(&world->build, &world->main);
}

static struct firn_disk *make_disk(const struct world *world)
{
    struct firn_disk *disk = memory_disk();
    if (!(world->flags & NO_MAIN))
        put_file(disk, MAIN_FILE, world->main.data, world->main.size);
    if (!(world->flags & NO_JOURNAL))
        put_file(disk, JOURNAL_FILE, world->build.journal.data, world->build.journal.size);
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
        .journal_bytes = BUILD_JOURNAL_LIMIT,
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
    build_extend(&all, (size_t)(chunk * count));
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
    require(!has_journal || is_same(&journal, &world->build.journal), what);
    bytes_done(&main);
    bytes_done(&journal);
}

/* ---- a life ---- */

static void live_write(struct world *world, struct bytes *held, uint8_t how)
{
    uint64_t chunk = firn_pipe_chunk_bytes(world->pipe), count = firn_pipe_count(world->pipe);
    if (count == 0)
        return;
    uint64_t index = input_u16(&world->build.in) % count, chunks = 1 + how / 4;
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
    uint8_t how = input_u8(&world->build.in);
    uint64_t chunk = firn_pipe_chunk_bytes(world->pipe);
    if (how % 4 == 0 && chunk < GROW_BYTES) {
        uint64_t more = 1 + how / 4 % (GROW_BYTES / chunk);
        require(firn_pipe_grow(world->pipe, more, NULL) == 0, "a growth");
        build_extend(held, held->size + (size_t)(more * chunk));
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
    unsigned steps = input_u8(&world->build.in) % (STEPS_MOST + 1);
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
    world->build.in = (struct input){data, size};
    require(firn_env_new(&manual, &world->env, NULL) == 0, "an environment");
    build(world);
    int rc = look(world, &found);
    use(world, rc, &found);
    require(firn_env_free(world->env) == 0, "nothing is left in the environment");
    bytes_done(&found);
    bytes_done(&world->main);
    bytes_done(&world->build.journal);
    free(world);
    return 0;
}
