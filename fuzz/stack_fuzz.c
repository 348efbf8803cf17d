/* SPDX-License-Identifier: MIT */
/*
 * A stack's file and its journal. Input: a small program that builds both; the file is plain,
 * marked, with part of the nonce, or begins with any bytes. The stack is opened to read and to
 * write, changed, left as after a crash, closed, and opened again.
 *
 * It opens, or says why not and has changed nothing. Who writes finds what who only reads found.
 * What is written is there, after a crash too. Closed, the file is as the format has it.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/stack.h>

#include "base/bytes.h"
#include "build.h"
#include "disk/disk.h"
#include "disk/slots.h"

enum { HEADER = 16, UNIT = 200, RECORDS_MOST = 24, STEPS_MOST = 6, FLIPS_MOST = 3 };
enum { CHANGE_MOST = 5000 };

#define MAIN_FILE "stack"
#define JOURNAL_FILE "stack.journal"

/* What is built, and how. */
enum {
    DAMAGED_SLOT = 1, /* one of them */
    NO_JOURNAL = 2,
    PLAIN = 4,
    OTHER_MARK = 8,
    TORN_MARK = 16, /* some bytes are the length's */
    NO_MAIN = 32,
    RAW = 64,     /* it begins with any bytes */
    NO_USE = 128, /* of a journal */
};

struct world {
    struct build build;
    unsigned flags;
    struct firn_env *env;
    struct firn_stack *stack;
    struct bytes main;
};

/* ---- building ---- */

static void build_main(struct world *world, uint64_t length)
{
    struct input *in = &world->build.in;
    static const uint8_t plain[8] = {'B', 'S', 'T', 'K', 0, 1, 8, 0};
    size_t got, size = (size_t)length + input_u8(in) % 100u;
    build_extend(&world->main, size);
    fill_noise(world->main.data, size, 77);
    uint8_t *header = world->main.data, said[8];
    store_le_u64(said, build_number(&world->build, length - HEADER));
    memcpy(header, plain, 8);
    memcpy(header + 8, said, 8);
    if (!(world->flags & PLAIN)) {
        header[0] = 'F';
        memcpy(header + 8, world->build.nonce, 8);
        header[8] ^= world->flags & OTHER_MARK ? 1 : 0;
    }
    for (int i = 0; world->flags & TORN_MARK && i < 8; i++)
        header[8 + i] = input_u8(in) & 1 ? said[i] : header[8 + i];
    if (world->flags & RAW) {
        const uint8_t *raw = input_bytes(in, HEADER, &got);
        if (got)
            memcpy(header, raw, got);
        world->main.size = input_u8(in) & 1 ? size : input_u8(in) % (size + 1);
    }
}

static void build(struct world *world)
{
    struct build *build = &world->build;
    build->kind = "STCK";
    build->unit = UNIT;
    build->start = HEADER;
    build->any_length = true;
    world->flags = input_u8(&build->in);
    build->damaged_slot = world->flags & DAMAGED_SLOT;
    build->length = HEADER + input_u16(&build->in) % 9000u;
    memset(build->nonce, 0x5a, sizeof build->nonce);
    uint64_t length = build->length;
    build_header(build);
    unsigned records = input_u8(&build->in) % RECORDS_MOST;
    for (unsigned i = 0; i < records; i++)
        build_step(build);
    /* Space was set aside before any record that needs it. */
    length = length > build->length ? length : build->length;
    build_main(world, input_u8(&build->in) & 1 ? length : BUILD_MAIN_MOST);
    unsigned flips = input_u8(&build->in) % (FLIPS_MOST + 1);
    for (unsigned i = 0; i < flips; i++)
        build_flip(build, &world->main);
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

static int open_stack(struct world *world, struct firn_disk *disk, bool read_only)
{
    struct firn_error err = {0};
    const struct firn_stack_options options = {
        .disk = disk,
        .env = world->env,
        .read_only = read_only,
        .must_exist = true,
        .no_journal = world->flags & NO_USE,
        .journal_bytes = BUILD_JOURNAL_LIMIT,
    };
    int rc = firn_stack_open(MAIN_FILE, &options, &world->stack, &err);
    trace("open%s: %s %s", read_only ? " to read" : "", firn_error_name(rc), err.message);
    require(rc == 0 || (err.code == rc && err.message[0]), "an error is explained");
    require(rc != FIRN_EPOISONED && rc != FIRN_ENOMEM && rc != FIRN_EIO, "nothing failed");
    return rc;
}

static struct bytes read_all(struct world *world)
{
    struct bytes all = {0};
    size_t length = (size_t)firn_stack_length(world->stack);
    build_extend(&all, length);
    require(firn_stack_get(world->stack, 0, all.data, length, NULL) == 0, "a read");
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

static void expect_file(struct firn_disk *disk, const char *path, bool there,
                        const struct bytes *wanted, const char *what)
{
    bool exists = false;
    require(disk_exists(disk, path, &exists, NULL) == 0, "looking for a file");
    require(exists == there, what);
    struct bytes found = there ? get_file(disk, path) : (struct bytes){0};
    require(!there || is_same(&found, wanted), what);
    bytes_done(&found);
}

static void expect_unchanged(const struct world *world, struct firn_disk *disk, const char *what)
{
    expect_file(disk, MAIN_FILE, !(world->flags & NO_MAIN), &world->main, what);
    expect_file(disk, JOURNAL_FILE, !(world->flags & NO_JOURNAL), &world->build.journal, what);
}

/* ---- a life ---- */

static void live_append(struct world *world, struct bytes *held, uint8_t how)
{
    uint8_t bytes[CHANGE_MOST];
    size_t size = input_u16(&world->build.in) % CHANGE_MOST;
    size_t cut = how & 8 ? 0 : input_u16(&world->build.in) % (held->size + 1);
    fill_noise(bytes, size, how);
    require(firn_stack_atrunc(world->stack, cut, bytes, size, NULL) == 0, "a change of the end");
    held->size -= cut;
    bytes_append(held, bytes, size);
}

static void live_overwrite(struct world *world, struct bytes *held, uint8_t how)
{
    if (held->size == 0)
        return;
    size_t at = input_u16(&world->build.in) % held->size;
    size_t size = input_u16(&world->build.in) % (held->size - at + 1);
    size = size < CHANGE_MOST ? size : CHANGE_MOST;
    if (how & 8) {
        memset(held->data + at, 0, size);
        require(firn_stack_zero(world->stack, at, size, NULL) == 0, "zeros");
        return;
    }
    fill_noise(held->data + at, size, how);
    require(firn_stack_set(world->stack, at, held->data + at, size, NULL) == 0, "a set");
}

static void live_extend(struct world *world, struct bytes *held)
{
    size_t more = input_u16(&world->build.in) % 40000u;
    size_t before = held->size;
    require(firn_stack_extend(world->stack, more, NULL, NULL) == 0, "an extension");
    held->data = must_grow(held->data, before + more + 1);
    memset(held->data + before, 0, more);
    held->size += more;
}

static void live_step(struct world *world, struct bytes *held)
{
    uint8_t how = input_u8(&world->build.in);
    if (how % 4 == 0)
        live_append(world, held, how);
    else if (how % 4 == 1)
        live_overwrite(world, held, how);
    else if (how % 4 == 2)
        live_extend(world, held);
    else
        firn_env_run(world->env);
    expect_content(world, held, "what was written is read");
}

/* Opened from the files as they are now. */
static void check_crash(struct world *world, struct firn_disk *disk, const struct bytes *held)
{
    bool has_journal = false;
    struct firn_disk *other = memory_disk();
    struct firn_stack *stack = world->stack;
    struct bytes main = get_file(disk, MAIN_FILE);
    put_file(other, MAIN_FILE, main.data, main.size);
    bytes_done(&main);
    require(disk_exists(disk, JOURNAL_FILE, &has_journal, NULL) == 0, "looking for the journal");
    if (has_journal) {
        struct bytes journal = get_file(disk, JOURNAL_FILE);
        put_file(other, JOURNAL_FILE, journal.data, journal.size);
        bytes_done(&journal);
    }
    require(open_stack(world, other, false) == 0, "it opens after a crash");
    expect_content(world, held, "and holds what was durable");
    require(firn_stack_close(world->stack, NULL) == 0, "it closes");
    world->stack = stack;
    firn_disk_free(other);
}

static void check_closed(struct world *world, struct firn_disk *disk, const struct bytes *held)
{
    struct firn_stack_check check;
    struct bytes main = get_file(disk, MAIN_FILE);
    require(main.size == HEADER + held->size && memcmp(main.data, "BSTK\0\1", 6) == 0 &&
                load_le_u64(main.data + 8) == held->size,
            "closed, it has a plain header");
    require(held->size == 0 || memcmp(main.data + HEADER, held->data, held->size) == 0,
            "and its content");
    bytes_done(&main);
    require(open_stack(world, disk, true) == 0, "it opens again");
    expect_content(world, held, "with the same content");
    require(firn_stack_verify(world->stack, &check, NULL) == 0 || world->flags & NO_USE,
            "in which nothing is wrong");
    require(firn_stack_close(world->stack, NULL) == 0, "and closes");
}

/* ---- all of it ---- */

static int look(struct world *world, struct bytes *found)
{
    struct firn_disk *disk = make_disk(world);
    int rc = open_stack(world, disk, true);
    if (rc == 0) {
        *found = read_all(world);
        require(firn_stack_close(world->stack, NULL) == 0, "closing what was only read");
    }
    expect_unchanged(world, disk, "who only reads changes nothing");
    firn_disk_free(disk);
    return rc;
}

static void use(struct world *world, int looked, const struct bytes *found)
{
    struct firn_disk *disk = make_disk(world);
    int rc = open_stack(world, disk, false);
    require(rc == looked, "who writes opens what who reads does");
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
    check_crash(world, disk, &held);
    require(firn_stack_close(world->stack, NULL) == 0, "closing");
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
