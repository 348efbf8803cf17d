/* SPDX-License-Identifier: MIT */
/* Looking for damage, and for blocks that got lost: what the file has is read anew. */
#include "slab/slab_private.h"

struct look {
    struct free_map free, live;
    uint64_t block_size, end;
    struct firn_slab_findings *check;
};

static int look_at_list(void *arg, struct firn_stack *stack, uint64_t length,
                        struct firn_stack_change *change, struct firn_error *err)
{
    struct look *look = arg;
    struct slab_header header;
    (void)change;
    int rc = slab_decode(stack, length, &header, err);
    if (rc < 0)
        return rc;
    struct walk walk = {.block_size = header.block_size, .end = length, .map = &look->free};
    look->block_size = header.block_size;
    look->end = length;
    rc = slab_walk(stack, &walk, header.head, err);
    look->check->block_size = header.block_size;
    look->check->blocks = (length - SLAB_ARENA) / header.block_size;
    look->check->free_blocks = look->free.free;
    look->check->cycle = walk.cycle;
    look->check->bad_link = walk.bad_link;
    look->check->bad_at = walk.bad_at;
    return rc == 0 ? STACK_NOTHING : rc;
}

/* ---- what the program has ---- */

/* NULL: the slice can be, and has blocks `first` and so on. */
static const char *find_fault(const struct look *look, struct firn_slab_slice slice,
                              uint64_t *first, uint64_t *blocks)
{
    uint64_t found;
    *blocks = slab_blocks(look->block_size, slice.length);
    if (slice.length == 0)
        return slice.offset == 0 ? NULL : "has no bytes";
    if (slice.offset < SLAB_ARENA || slice.offset > look->end ||
        slice.length > look->end - slice.offset)
        return "is not within the slab";
    if ((slice.offset - SLAB_ARENA) % look->block_size != 0)
        return "does not begin where a block does";
    *first = (slice.offset - SLAB_ARENA) / look->block_size;
    if (free_map_finds(&look->free, *first, *blocks, &found))
        return "has blocks that are free";
    if (free_map_finds(&look->live, *first, *blocks, &found))
        return "has blocks that another one has";
    return NULL;
}

static int enter_slices(const struct firn_stack *stack, struct look *look,
                        const struct firn_slab_live *live, struct firn_error *err)
{
    for (size_t i = 0; i < live->count; i++) {
        uint64_t first = 0, blocks;
        const char *fault = find_fault(look, live->slices[i], &first, &blocks);
        if (!fault && free_map_reserve(&look->live, first, blocks) < 0)
            return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to check a slab",
                                  stack_path(stack));
        if (!fault)
            free_map_add(&look->live, first, blocks);
        else if (look->check->bad_slices++ == 0) {
            look->check->first_bad = i;
            firn_error_set(err, FIRN_EDAMAGED, 0, "%s: the slice of %llu bytes at byte %llu %s",
                           stack_path(stack), (unsigned long long)live->slices[i].length,
                           (unsigned long long)live->slices[i].offset, fault);
        }
    }
    look->check->live_blocks = look->live.free;
    return look->check->bad_slices ? FIRN_EDAMAGED : 0;
}

static bool is_leaked(const struct look *look, uint64_t block)
{
    uint64_t found;
    return block < look->check->blocks && !free_map_finds(&look->free, block, 1, &found) &&
           !free_map_finds(&look->live, block, 1, &found);
}

static void find_leaks(const struct look *look, const struct firn_slab_live *live)
{
    for (uint64_t block = 0; block < look->check->blocks; block++) {
        uint64_t first = block;
        while (is_leaked(look, block))
            block++;
        look->check->leaked_blocks += block - first;
        if (block > first && live->leaked)
            live->leaked(live->arg, (struct firn_slab_slice){SLAB_ARENA + first * look->block_size,
                                                             (block - first) * look->block_size});
    }
}

int firn_slab_check(struct firn_stack *stack, const struct firn_slab_live *live,
                    struct firn_slab_findings *check, struct firn_error *err)
{
    struct look look = {.check = check};
    *check = (struct firn_slab_findings){0};
    int rc = stack_observe(stack, look_at_list, &look, err);
    if (rc == 0 && live) {
        rc = enter_slices(stack, &look, live, err);
        if (rc == 0 || rc == FIRN_EDAMAGED)
            find_leaks(&look, live);
    }
    free_map_done(&look.free);
    free_map_done(&look.live);
    return rc;
}
