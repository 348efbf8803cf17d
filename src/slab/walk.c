/* SPDX-License-Identifier: MIT */
/* From free block to free block. Neighbours are read together: links often lead to near places. */
#include "base/bytes.h"
#include "slab/slab_private.h"

enum { WINDOW = 4096 };

struct window {
    uint64_t from, to;
    uint8_t bytes[WINDOW];
};

static int read_link(struct firn_stack *stack, struct window *window, uint64_t end, uint64_t at,
                     uint64_t *link, struct firn_error *err)
{
    if (at < window->from || at + SLAB_LINK > window->to) {
        uint64_t from = at / WINDOW * WINDOW;
        from = at + SLAB_LINK > from + WINDOW ? at : from;
        uint64_t to = from + WINDOW < end ? from + WINDOW : end;
        window->to = 0;
        int rc = stack_read_staged(stack, from, window->bytes, (size_t)(to - from), err);
        if (rc < 0)
            return rc;
        window->from = from;
        window->to = to;
    }
    *link = load_le_u64(window->bytes + (at - window->from));
    return 0;
}

static int found(struct firn_stack *stack, struct walk *walk, uint64_t at, uint64_t link,
                 struct firn_error *err)
{
    walk->bad_at = at;
    return firn_error_set(err, FIRN_EDAMAGED, 0,
                          "%s: damaged: the slab's list of free blocks: at byte %llu it %s %llu",
                          stack_path(stack), (unsigned long long)at,
                          walk->cycle ? "comes back to the block at byte"
                                      : "leads to where no block begins: byte",
                          (unsigned long long)link);
}

int slab_walk(struct firn_stack *stack, struct walk *walk, uint64_t head, struct firn_error *err)
{
    struct window window = {0};
    uint64_t at = SLAB_AT_HEAD, link = head, first;
    int rc = 0;
    while (rc == 0 && link != 0) {
        uint64_t block = (link - SLAB_ARENA) / walk->block_size;
        walk->bad_link = !slab_is_block(walk->block_size, walk->end, link);
        walk->cycle = !walk->bad_link && free_map_finds(walk->map, block, 1, &first);
        if (walk->bad_link || walk->cycle)
            return found(stack, walk, at, link, err);
        if (free_map_reserve(walk->map, block, 1) < 0)
            return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory to look at a slab",
                                  stack_path(stack));
        free_map_add(walk->map, block, 1);
        at = link;
        rc = read_link(stack, &window, walk->end, at, &link, err);
    }
    return rc;
}
