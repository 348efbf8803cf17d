/* SPDX-License-Identifier: MIT */
/*
 * A slab's header and its list of free blocks. Input: blocks, some of which are in the list, bytes
 * of all that replaced, or any bytes; then calls. The slab is opened, used, and opened again.
 *
 * It opens, or says why not, as a check does, and nothing has changed. What it hands out is zero,
 * is within the stack and nobody else's; what it refuses changes nothing; the list stays whole.
 */
#include <stdlib.h>
#include <string.h>

#include <firn/slab.h>

#include "base/bytes.h"
#include "fuzz.h"

enum { ARENA = 48, AT_HEAD = 40, BLOCKS_MOST = 60, POKES_MOST = 4, RAW_MOST = 300 };
enum { STEPS_MOST = 20, HELD_MOST = 20, LENGTH_MOST = 500 };

struct world {
    struct input in;
    struct bytes content;
    uint64_t block_size;
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_stack *stack;
    struct firn_slab *slab;
    struct firn_slab_slice held[HELD_MOST]; /* that were handed out; those of length 0 are none */
};

/* ---- building ---- */

static void build_list(struct world *world, unsigned blocks)
{
    unsigned count = input_u8(&world->in) % (blocks + 3);
    for (unsigned i = 0; blocks && i < count; i++) {
        uint64_t at = ARENA + input_u8(&world->in) % blocks * world->block_size;
        memcpy(world->content.data + at, world->content.data + AT_HEAD, 8);
        store_le_u64(world->content.data + AT_HEAD, at);
    }
}

static void build(struct world *world)
{
    uint8_t header[ARENA] = {0}, block[256];
    size_t got;
    if (input_u8(&world->in) % 8 == 7) {
        const uint8_t *raw = input_bytes(&world->in, RAW_MOST, &got);
        bytes_append(&world->content, raw, got);
        return;
    }
    world->block_size = 8 + input_u8(&world->in) % 200u;
    memcpy(header + 24, "ALSL\0\1\1", 8);
    store_le_u64(header + 32, world->block_size);
    bytes_append(&world->content, header, sizeof header);
    fill_noise(block, sizeof block, 5);
    unsigned blocks = input_u8(&world->in) % BLOCKS_MOST;
    for (unsigned i = 0; i < blocks; i++)
        bytes_append(&world->content, block, (size_t)world->block_size);
    build_list(world, blocks);
    unsigned pokes = input_u8(&world->in) % (POKES_MOST + 1);
    for (unsigned i = 0; i < pokes; i++) {
        uint64_t at = input_u16(&world->in) % world->content.size;
        world->content.data[at] = input_u8(&world->in);
    }
    bytes_append(&world->content, block, input_u8(&world->in) % 8 == 7 ? 3 : 0);
}

/* ---- life ---- */

static void open_stack(struct world *world)
{
    const struct firn_stack_options options = {
        .disk = world->disk, .env = world->env, .journal_bytes = 64 * 1024};
    require(firn_stack_open("stack", &options, &world->stack, NULL) == 0, "the stack opens");
}

static void expect_unchanged(struct world *world)
{
    size_t size = world->content.size;
    uint8_t *found = must_alloc(size + 1);
    require(firn_stack_length(world->stack) == size, "what is refused has its length");
    require(firn_stack_get(world->stack, 0, found, size, NULL) == 0, "a read");
    require(size == 0 || memcmp(found, world->content.data, size) == 0, "and its bytes");
    free(found);
}

static int open_slab(struct world *world)
{
    struct firn_error err = {0};
    struct firn_slab_findings check;
    int checked = firn_slab_check(world->stack, NULL, &check, &err);
    require(checked == 0 || (err.code == checked && err.message[0]), "a finding is explained");
    require((checked == FIRN_EDAMAGED && check.block_size > 0) == (check.cycle || check.bad_link),
            "damage of the list is one of two kinds");
    int rc = firn_slab_open(world->stack, &world->slab, &err);
    trace("open: %s %s", firn_error_name(rc), err.message);
    require(rc == checked, "opening finds what a check does");
    require(rc == 0 || rc == FIRN_EDAMAGED || rc == FIRN_EFORMAT || rc == FIRN_ENOENT,
            "it says that it is no slab, or a damaged one");
    return rc;
}

/* ---- use ---- */

static void expect_whole(struct world *world)
{
    struct firn_error err = {0};
    const struct firn_slab_live live = {.slices = world->held, .count = HELD_MOST};
    struct firn_slab_findings check;
    struct firn_slab_info info;
    int rc = firn_slab_check(world->stack, &live, &check, &err);
    if (rc < 0)
        trace("check: %s", err.message);
    require(rc == 0, "the list is whole, and nothing handed out is free, or somebody else's");
    firn_slab_get_info(world->slab, &info);
    require(info.blocks == check.blocks && info.free_blocks == check.free_blocks,
            "the slab knows what is free");
}

static struct firn_slab_slice *some(struct world *world)
{
    return &world->held[input_u8(&world->in) % HELD_MOST];
}

static void expect_zeros(struct world *world, struct firn_slab_slice slice, uint64_t from)
{
    uint8_t bytes[LENGTH_MOST];
    require(firn_slab_read(world->slab, slice, from, bytes, (size_t)(slice.length - from), NULL) ==
                0,
            "a slice is read");
    for (uint64_t i = 0; i < slice.length - from; i++)
        require(bytes[i] == 0, "new bytes are zero");
}

static void scribble(struct world *world, struct firn_slab_slice slice)
{
    uint8_t bytes[LENGTH_MOST];
    memset(bytes, 0xee, sizeof bytes);
    require(firn_slab_write(world->slab, slice, 0, bytes, (size_t)slice.length, NULL) == 0,
            "a slice is written");
}

static void reallocate(struct world *world)
{
    struct firn_slab_slice *slice = some(world);
    uint64_t before = slice->length, length = input_u16(&world->in) % LENGTH_MOST;
    require(firn_slab_realloc(world->slab, *slice, length, slice, NULL) == 0, "a realloc");
    require(slice->length == length, "as long as asked for");
    if (length > before)
        expect_zeros(world, *slice, before);
    scribble(world, *slice);
}

/* Whatever it says, what is handed out stays so, or is this. */
static void free_any(struct world *world)
{
    struct firn_slab_slice slice = {input_u16(&world->in), input_u8(&world->in)};
    int rc = firn_slab_dealloc(world->slab, slice, NULL);
    trace("dealloc of %llu at %llu: %s", (unsigned long long)slice.length,
          (unsigned long long)slice.offset, firn_error_name(rc));
    require(rc == 0 || rc == FIRN_EINVAL || rc == FIRN_ERANGE || rc == FIRN_ENOENT,
            "what can't be is refused");
    uint64_t size = world->block_size;
    uint64_t end = slice.offset + (slice.length + size - 1) / size * size;
    for (int i = 0; rc == 0 && i < HELD_MOST; i++) {
        struct firn_slab_slice *held = &world->held[i];
        if (held->offset < end &&
            held->offset + (held->length + size - 1) / size * size > slice.offset)
            *held = (struct firn_slab_slice){0, 0};
    }
}

static void step(struct world *world)
{
    struct firn_slab_slice all[HELD_MOST];
    switch (input_u8(&world->in) % 4) {
    case 0:
        free_any(world);
        break;
    case 1:
        memcpy(all, world->held, sizeof all);
        memset(all, 0, input_u8(&world->in) % HELD_MOST * sizeof *all);
        require(firn_slab_dealloc_many(world->slab, all, HELD_MOST, NULL) == 0, "several at once");
        for (int i = 0; i < HELD_MOST; i++)
            if (all[i].length)
                world->held[i] = (struct firn_slab_slice){0, 0};
        break;
    default:
        reallocate(world);
    }
    expect_whole(world);
}

static void use(struct world *world)
{
    struct firn_slab_info before, after;
    firn_slab_get_info(world->slab, &before);
    world->block_size = before.block_size;
    if (before.block_size > LENGTH_MOST) /* of other bytes */
        return;
    expect_whole(world);
    unsigned steps = input_u8(&world->in) % (STEPS_MOST + 1);
    for (unsigned i = 0; i < steps; i++)
        step(world);
    firn_slab_get_info(world->slab, &before);
    firn_slab_close(world->slab);
    world->slab = NULL;
    require(firn_stack_close(world->stack, NULL) == 0, "closing");
    open_stack(world);
    require(open_slab(world) == 0, "it opens again");
    expect_whole(world);
    firn_slab_get_info(world->slab, &after);
    require(memcmp(&before, &after, sizeof before) == 0, "as it was");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct firn_env_options manual = {.manual = true};
    struct world *world = must_alloc(sizeof *world);
    *world = (struct world){.in = {data, size}, .disk = memory_disk()};
    require(firn_env_new(&manual, &world->env, NULL) == 0, "an environment");
    build(world);
    open_stack(world);
    require(firn_stack_push(world->stack, world->content.data, world->content.size, NULL, NULL) ==
                0,
            "the content");
    if (open_slab(world) == 0)
        use(world);
    else
        expect_unchanged(world);
    firn_slab_close(world->slab);
    require(firn_stack_close(world->stack, NULL) == 0, "closing");
    require(firn_env_free(world->env) == 0, "nothing is left in the environment");
    firn_disk_free(world->disk);
    bytes_done(&world->content);
    free(world);
    return 0;
}
