/* SPDX-License-Identifier: MIT */
#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/slots.h"

enum { AT_PENDING = 4, AT_NONCE = 8, AT_RING = 24, AT_POSITION = 32 };
enum { AT_SEQUENCE = 40, AT_LENGTH = 48, AT_ABOUT = 56, PAGE = 4096 };

/* Mostly what it should be. */
uint64_t build_number(struct build *build, uint64_t usual)
{
    uint8_t how = input_u8(&build->in);
    if (how < 0xe0)
        return usual;
    if (how < 0xe8)
        return usual + (how & 7) - 3;
    return how < 0xf0 ? input_u16(&build->in) : input_u64(&build->in);
}

void build_extend(struct bytes *bytes, size_t size)
{
    if (size <= bytes->size)
        return;
    bytes->data = must_grow(bytes->data, size);
    memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

void build_header(struct build *build)
{
    static const struct slot_kind kind = {.magic = {'F', 'I', 'R', 'N', 'J', 'R', 'N', '1'},
                                          .version = 1};
    uint8_t body[SLOT_ROOM] = {0};
    uint64_t pages = 1 + input_u8(&build->in) % 6;
    build->ring = build_number(build, pages * PAGE);
    uint64_t position = build_number(build, build->ring ? input_u16(&build->in) % build->ring : 0);
    memcpy(body, build->kind, 4);
    store_be_u32(body + AT_PENDING, (uint32_t)build_number(build, 1));
    memcpy(body + AT_NONCE, build->nonce, JOURNAL_NONCE);
    store_be_u64(body + AT_RING, build->ring);
    store_be_u64(body + AT_POSITION, position);
    build->sequence = build_number(build, 5);
    store_be_u64(body + AT_SEQUENCE, build->sequence);
    store_be_u64(body + AT_LENGTH, build_number(build, build->length));
    store_be_u64(body + AT_ABOUT, build_number(build, build->about));
    build_extend(&build->journal, SLOTS_BYTES);
    slot_encode(&kind, 4, body, build->journal.data);
    slot_encode(&kind, 3, body, build->journal.data + SLOT_BYTES);
    if (build->damaged_slot)
        build->journal.data[input_u16(&build->in) % SLOTS_BYTES] ^= 1;
    build->next = build->ring ? position % build->ring : 0;
    build->next = JOURNAL_START + (build->next < BUILD_JOURNAL_LIMIT ? build->next : 0);
}

static uint32_t put_ranges(struct build *build, uint8_t *table, uint32_t ranges, uint64_t length)
{
    uint32_t content = 0;
    for (uint32_t i = 0; i < ranges; i++) {
        uint8_t how = input_u8(&build->in);
        uint64_t unit = how & 0x40 ? 1 : build->unit;
        uint32_t bytes = (uint32_t)unit * (1 + how % 4);
        uint64_t room = length > build->start + bytes ? length - build->start - bytes : 0;
        uint64_t at = room ? input_u16(&build->in) % (room + 1) / unit * unit : 0;
        at += build->start;
        store_be_u64(table + (size_t)i * REDO_RANGE, build_number(build, at));
        bool zeros = how >= 0x80;
        store_be_u64(table + (size_t)i * REDO_RANGE + 8,
                     build_number(build, bytes) | (zeros ? UINT64_C(1) << 63 : 0));
        content += zeros ? 0 : bytes;
    }
    return content;
}

/* Room for the largest record: its table and what the ranges have. */
enum { RANGES_MOST = 100, RECORD_MOST = REDO_HEADER + RANGES_MOST * (REDO_RANGE + 4 * PAGE) };

static void build_record(struct build *build, uint8_t how)
{
    uint8_t *bytes = must_alloc(RECORD_MOST);
    uint32_t ranges = how & 1 ? how / 2 % RANGES_MOST : how / 2 % 4;
    uint64_t length = build_number(build, build->length);
    if (build->any_length && how & 0x20)
        length = build->start + input_u16(&build->in) % (BUILD_MAIN_MOST - build->start);
    uint32_t content = put_ranges(build, bytes + REDO_HEADER, ranges, length);
    uint32_t size = REDO_HEADER + ranges * REDO_RANGE + content;
    fill_noise(bytes + size - content, content, build->sequence);
    struct redo record = {
        .sequence = build_number(build, build->sequence),
        .salt = build_number(build, load_be_u64(build->nonce)),
        .bytes = (uint32_t)build_number(build, size),
        .ranges = (uint32_t)build_number(build, ranges),
        .claim = build_number(build, build->sequence),
        .length = length,
    };
    redo_encode(&record, bytes);
    uint32_t covered = record.bytes < size && record.bytes >= REDO_HEADER ? record.bytes : size;
    redo_set_crc(bytes, crc32c(0, bytes + REDO_CRC_FROM, covered - REDO_CRC_FROM));
    if (build->next + size - JOURNAL_START > build->ring)
        build->next = JOURNAL_START;
    if (build->next + size <= JOURNAL_START + BUILD_JOURNAL_LIMIT) {
        build_extend(&build->journal, (size_t)build->next + size);
        memcpy(build->journal.data + build->next, bytes, size);
        build->next += size;
    }
    build->sequence++;
    build->length = length < BUILD_MAIN_MOST ? length : build->length;
    free(bytes);
}

/* A record; or bytes; or a gap; or back to the ring's start. */
void build_step(struct build *build)
{
    uint8_t how = input_u8(&build->in);
    size_t size;
    if (how < 0xe0) {
        build_record(build, how);
    } else if (how < 0xe8) {
        const uint8_t *raw = input_bytes(&build->in, how & 7, &size);
        if (build->next + size <= JOURNAL_START + BUILD_JOURNAL_LIMIT) {
            build_extend(&build->journal, (size_t)build->next + size);
            if (size)
                memcpy(build->journal.data + build->next, raw, size);
            build->next += size;
        }
    } else if (how < 0xf0) {
        build->next += (how & 7u) * 16u;
        build->sequence += how & 1;
    } else {
        build->next = JOURNAL_START;
    }
}

void build_flip(struct build *build, struct bytes *main)
{
    uint16_t where = input_u16(&build->in);
    struct bytes *file = where & 1 ? &build->journal : main;
    if (file->size)
        file->data[where / 2 % file->size] ^= (uint8_t)(1 << (where & 7));
}
