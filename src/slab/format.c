/* SPDX-License-Identifier: MIT */
/*
 * A slab's bytes in the stack: 24 that are the program's; "ALSL", its version (four bytes), the
 * size of a block and the offset of the first free one (u64, little-endian; 0: none); then the
 * arena.
 */
#include <string.h>

#include "base/bytes.h"
#include "slab/slab_private.h"

enum { KNOWN = 6, AT_BLOCK_SIZE = 8, AT_HEAD = 16 };

static const uint8_t magic[8] = {'A', 'L', 'S', 'L', 0, 1, 1, 0};

_Static_assert(FIRN_SLAB_RESERVED + AT_HEAD == SLAB_AT_HEAD, "of the stack, and of the header");

void slab_encode(uint64_t block_size, uint8_t bytes[SLAB_ARENA])
{
    uint8_t *header = bytes + FIRN_SLAB_RESERVED;
    memset(bytes, 0, SLAB_ARENA);
    memcpy(header, magic, sizeof magic);
    store_le_u64(header + AT_BLOCK_SIZE, block_size);
}

bool slab_is_block(uint64_t block_size, uint64_t end, uint64_t offset)
{
    return offset >= SLAB_ARENA && offset < end && (offset - SLAB_ARENA) % block_size == 0;
}

static int wrong(const struct firn_stack *stack, int rc, struct firn_error *err, const char *what,
                 uint64_t number)
{
    return firn_error_set(err, rc, 0, "%s: %s%llu", stack_path(stack), what,
                          (unsigned long long)number);
}

static int check_header(const struct firn_stack *stack, uint64_t length,
                        const struct slab_header *header, struct firn_error *err)
{
    uint64_t size = header->block_size;
    if (size < FIRN_SLAB_BLOCK_LEAST)
        return wrong(stack, FIRN_EDAMAGED, err,
                     "damaged: the slab's header has blocks of fewer bytes than 8: ", size);
    if (size > INT64_MAX)
        return wrong(stack, FIRN_EDAMAGED, err,
                     "damaged: the slab's header has blocks that no stack can hold: ", size);
    if ((length - SLAB_ARENA) % size != 0)
        return wrong(stack, FIRN_EDAMAGED, err,
                     "damaged: its end does not lie between two blocks of the slab: byte ", length);
    if (header->head != 0 && !slab_is_block(size, length, header->head))
        return wrong(stack, FIRN_EDAMAGED, err,
                     "damaged: the slab's list of free blocks begins where no block is: byte ",
                     header->head);
    return 0;
}

int slab_decode(struct firn_stack *stack, uint64_t length, struct slab_header *header,
                struct firn_error *err)
{
    uint8_t bytes[SLAB_HEADER];
    if (length == 0)
        return firn_error_set(err, FIRN_ENOENT, 0, "%s: empty: there is no slab in it",
                              stack_path(stack));
    if (length < SLAB_ARENA)
        return wrong(stack, FIRN_EFORMAT, err, "too short for a slab; bytes: ", length);
    int rc = stack_read_staged(stack, FIRN_SLAB_RESERVED, bytes, sizeof bytes, err);
    if (rc < 0)
        return rc;
    if (memcmp(bytes, magic, KNOWN) != 0)
        return firn_error_set(err, FIRN_EFORMAT, 0, "%s: not a slab, or of another version",
                              stack_path(stack));
    *header = (struct slab_header){load_le_u64(bytes + AT_BLOCK_SIZE),
                                   load_le_u64(bytes + AT_HEAD)};
    return check_header(stack, length, header, err);
}
