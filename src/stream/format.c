/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "stream/format.h"

/* Bytes of a meta. The note is the reserved ones. */
enum {
    ABOUT = 0,
    PARITY = 8,
    CRC = 12,
    WAS = META_NOTE,
    WAS_CRC = 24,
    FLAGS = 28,
    CUT_TO = 32,
    CHECK = 44,
};

enum {
    TRAIL_SHIFT = 4,
    TRAIL_BITS = 28,
    SPILLED_SHIFT = 34,
    SPILLED_BITS = 30,
    ABOUT_COMPLETE = 1,
    NOTE_FLAGS = NOTE_OPEN | NOTE_WAS | NOTE_CUT,
};

static const uint64_t must_be_zero = UINT64_C(0xe) | UINT64_C(3) << 32;

static uint64_t about_of(const struct meta *meta)
{
    assert(meta->trail >> TRAIL_BITS == 0 && meta->spilled >> SPILLED_BITS == 0);
    return (meta->complete ? ABOUT_COMPLETE : 0) | (uint64_t)meta->trail << TRAIL_SHIFT |
           (uint64_t)meta->spilled << SPILLED_SHIFT;
}

static struct meta meta_of(uint64_t about, uint32_t crc)
{
    return (struct meta){
        .complete = (about & ABOUT_COMPLETE) != 0,
        .trail = (uint32_t)(about >> TRAIL_SHIFT) & ((UINT32_C(1) << TRAIL_BITS) - 1),
        .spilled = (uint32_t)(about >> SPILLED_SHIFT),
        .crc = crc,
    };
}

static uint32_t parity_of(uint64_t about)
{
    return about == 0 ? 0 : ~((uint32_t)(about >> 32) ^ (uint32_t)about);
}

void meta_encode(uint8_t bytes[META_BYTES], const struct meta *meta)
{
    uint64_t about = about_of(meta);
    assert(about != 0 || meta->crc == 0);
    store_le_u64(bytes + ABOUT, about);
    store_le_u32(bytes + PARITY, parity_of(about));
    store_le_u32(bytes + CRC, meta->crc);
}

bool meta_decode(const uint8_t bytes[META_BYTES], struct meta *meta)
{
    uint64_t about = load_le_u64(bytes + ABOUT);
    if (load_le_u32(bytes + PARITY) != parity_of(about) || (about & must_be_zero) != 0)
        return false;
    *meta = meta_of(about, load_le_u32(bytes + CRC));
    return true;
}

bool meta_is_empty(const uint8_t bytes[META_BYTES])
{
    return load_le_u64(bytes + ABOUT) == 0;
}

uint32_t meta_written(const struct meta *meta, uint32_t payload)
{
    if (meta->complete)
        return payload;
    uint32_t written = meta->trail > meta->spilled ? meta->trail : meta->spilled;
    return written < payload ? written : payload;
}

/* Of the note, and of a constant before it: zeros do not check. */
static uint32_t check_of(const uint8_t bytes[META_BYTES])
{
    static const char tag[] = "firn note";
    return crc32_ieee(crc32_ieee(0, tag, sizeof tag - 1), bytes + META_NOTE, CHECK - META_NOTE);
}

void note_encode(uint8_t bytes[META_BYTES], const struct note *note)
{
    assert((note->flags & ~(uint32_t)NOTE_FLAGS) == 0);
    memset(bytes + META_NOTE, 0, META_BYTES - META_NOTE);
    if (note->flags == 0)
        return;
    if (note->flags & NOTE_WAS) {
        store_le_u64(bytes + WAS, about_of(&note->was));
        store_le_u32(bytes + WAS_CRC, note->was.crc);
    }
    store_le_u32(bytes + FLAGS, note->flags);
    if (note->flags & NOTE_CUT)
        store_le_u64(bytes + CUT_TO, note->cut_to);
    store_le_u32(bytes + CHECK, check_of(bytes));
}

void note_decode(const uint8_t bytes[META_BYTES], struct note *note)
{
    *note = (struct note){.flags = 0};
    uint32_t flags = load_le_u32(bytes + FLAGS);
    uint64_t about = load_le_u64(bytes + WAS);
    if (load_le_u32(bytes + CHECK) != check_of(bytes) || (flags & ~(uint32_t)NOTE_FLAGS) != 0 ||
        (about & must_be_zero) != 0)
        return;
    note->flags = flags;
    note->was = meta_of(about, load_le_u32(bytes + WAS_CRC));
    note->cut_to = load_le_u64(bytes + CUT_TO);
}

bool note_is_clear(const uint8_t bytes[META_BYTES])
{
    static const uint8_t zeros[META_BYTES - META_NOTE];
    return memcmp(bytes + META_NOTE, zeros, sizeof zeros) == 0;
}
