/* SPDX-License-Identifier: MIT */
#include "stream_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "lib/prng.h"

enum { PAYLOAD = STREAM_MODEL_PAYLOAD };

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

void stream_model_init(struct stream_model *model, uint32_t blocks, size_t span_bytes)
{
    memset(model, 0, sizeof *model);
    model->blocks = blocks;
    model->span_bytes = span_bytes;
    model->name_from = 1;
}

void stream_model_copy(const struct stream_model *from, struct stream_model *to)
{
    size_t rest = offsetof(struct stream_model, count);
    to->blocks = from->blocks;
    to->span_bytes = from->span_bytes;
    memcpy(to->blocks_of, from->blocks_of, sizeof to->blocks_of);
    memcpy(to->appends, from->appends, from->count * sizeof *from->appends);
    memcpy((char *)to + rest, (const char *)from + rest, sizeof *to - rest);
}

/* ---- where appends go ---- */

static uint32_t blocks_of(const struct stream_model *model, uint32_t part)
{
    return model->blocks_of[part % STREAM_MODEL_PARTS];
}

uint32_t stream_model_capacity(const struct stream_model *model, uint32_t part)
{
    return blocks_of(model, part) * PAYLOAD;
}

void stream_model_grow(struct stream_model *model, uint32_t part)
{
    model->blocks_of[part % STREAM_MODEL_PARTS] = (uint16_t)model->blocks;
}

/* Where an append ends, in the data of the part where it begins, and of the next one. */
static uint32_t end_of(const struct stream_append *append)
{
    return append->offset + append->size;
}

uint32_t stream_model_used(const struct stream_model *model, uint32_t part)
{
    uint32_t used = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct stream_append *append = &model->appends[i];
        uint32_t capacity = stream_model_capacity(model, append->part);
        if (append->part == part)
            used = least(end_of(append), capacity);
        else if (append->part + 1 == part && end_of(append) > capacity)
            used = end_of(append) - capacity;
    }
    return used;
}

static bool is_full(const struct stream_model *model, uint32_t part)
{
    return stream_model_used(model, part) == stream_model_capacity(model, part);
}

uint32_t stream_model_ending(const struct stream_model *model)
{
    for (uint32_t part = model->list_end; part-- > model->list_first;) {
        if (is_full(model, part))
            return UINT32_MAX;
        if (stream_model_used(model, part) > 0 || part == model->list_first ||
            is_full(model, part - 1))
            return part;
    }
    return UINT32_MAX;
}

uint32_t stream_model_fit(const struct stream_model *model, uint32_t size)
{
    uint32_t part = stream_model_ending(model), grown = model->blocks * PAYLOAD;
    if (part == UINT32_MAX)
        return least(size, grown);
    uint32_t used = stream_model_used(model, part),
             room = stream_model_capacity(model, part) - used;
    if (used == 0 || size <= room)
        return least(size, room);
    return least(size, part + 1 < model->list_end ? stream_model_capacity(model, part + 1) : grown);
}

const struct stream_append *stream_model_push(struct stream_model *model, uint32_t size)
{
    uint32_t part = stream_model_ending(model);
    if (part == UINT32_MAX)
        return NULL;
    uint32_t offset = stream_model_used(model, part);
    if (size > stream_model_capacity(model, part) - offset) {
        if (part + 1 == model->list_end)
            return NULL;
        if (model->span_bytes == 0 || size >= model->span_bytes) {
            part++;
            offset = 0;
        }
    }
    if (model->count == STREAM_MODEL_APPENDS)
        abort();
    struct stream_append *append = &model->appends[model->count];
    *append = (struct stream_append){
        .stamp = ++model->stamps,
        .size = size,
        .part = part,
        .offset = offset,
        .position = stream_model_end(model, true),
    };
    model->count++;
    model->maybe_append = true;
    return append;
}

void stream_model_pop(struct stream_model *model)
{
    assert(model->maybe_append);
    model->count--;
    model->maybe_append = false;
}

void stream_model_acknowledge(struct stream_model *model)
{
    model->maybe_append = false;
}

/* ---- what is there ---- */

size_t stream_model_possible(const struct stream_model *model)
{
    return (1 + model->maybe_append) * (size_t)(1 + model->maybe_first - model->first) *
           (1 + model->maybe_end - model->end);
}

/* Nothing of it is in a file any more. */
static bool is_gone(const struct stream_model *model, const struct stream_append *append)
{
    uint32_t last = append->part +
                    (end_of(append) > stream_model_capacity(model, append->part) ? 1 : 0);
    return last < model->first;
}

void stream_model_open(struct stream_model *model, uint32_t first, uint32_t end)
{
    size_t kept = 0;
    uint64_t position = 0;
    model->first = model->maybe_first = model->list_first = first;
    model->end = model->maybe_end = model->list_end = end;
    for (size_t i = 0; i < model->count; i++) {
        struct stream_append *append = &model->appends[i];
        if (is_gone(model, append) && !(model->maybe_append && i + 1 == model->count))
            continue;
        append->position = append->part < first ? UINT64_MAX : position;
        position += append->part < first ? 0 : append->size;
        model->appends[kept++] = *append;
    }
    model->count = kept;
}

void stream_model_cut_first(struct stream_model *model)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++)
        if (model->appends[i].part >= model->first)
            model->appends[kept++] = model->appends[i];
    model->count = kept;
}

uint64_t stream_model_end(const struct stream_model *model, bool all)
{
    size_t count = model->count - (model->maybe_append && !all ? 1 : 0);
    for (size_t i = count; i-- > 0;)
        if (model->appends[i].position != UINT64_MAX)
            return model->appends[i].position + model->appends[i].size;
    return 0;
}

void stream_model_make(const struct stream_append *append, uint8_t *bytes)
{
    struct prng prng = prng_new(append->stamp);
    for (uint32_t at = 0; at < append->size; at += 8) {
        uint64_t number = prng_next(&prng);
        memcpy(bytes + at, &number, least(append->size - at, 8));
    }
}

bool stream_model_equals(const struct stream_model *model, uint64_t position, const void *bytes,
                         size_t size)
{
    static uint8_t made[STREAM_MODEL_PART_MOST];
    uint64_t end = position + size;
    for (size_t i = 0; i < model->count; i++) {
        const struct stream_append *append = &model->appends[i];
        uint64_t from = append->position, to = from + append->size;
        if (from == UINT64_MAX || to <= position || from >= end)
            continue;
        from = from > position ? from : position;
        to = to < end ? to : end;
        stream_model_make(append, made);
        if (memcmp(made + (from - append->position), (const char *)bytes + (from - position),
                   (size_t)(to - from)) != 0)
            return false;
    }
    return end <= stream_model_end(model, true);
}

/* ---- the file, from what formats.md says of it ---- */

/* An append from `from` to `to`, in the data of a part: what a block says of it. */
static void tell_block(uint32_t block, int64_t from, int64_t to, uint64_t *trail, uint64_t *spilled)
{
    int64_t begin = (int64_t)block * PAYLOAD, end = begin + PAYLOAD;
    if (to <= begin || from >= end)
        return;
    if (from < begin)
        *spilled = (uint64_t)(to - begin);
    else if (to > end)
        *trail = (uint64_t)(end - from);
}

static void put_append(const struct stream_append *append, int64_t from, uint32_t capacity,
                       uint8_t *image)
{
    static uint8_t made[STREAM_MODEL_PART_MOST];
    stream_model_make(append, made);
    for (uint32_t i = 0; i < append->size; i++) {
        int64_t at = from + i;
        if (at >= 0 && at < capacity)
            image[at / PAYLOAD * STREAM_MODEL_BLOCK + STREAM_MODEL_META + at % PAYLOAD] = made[i];
    }
}

static void put_meta(uint8_t *meta, uint32_t written, uint64_t trail, uint64_t spilled)
{
    bool complete = written == PAYLOAD;
    if (!complete)
        trail = written > spilled ? written : 0;
    uint64_t about = spilled << 34 | trail << 4 | (complete ? 1 : 0);
    store_le_u64(meta, about);
    store_le_u32(meta + 8, ~((uint32_t)(about >> 32) ^ (uint32_t)about));
    store_le_u32(meta + 12, crc32_ieee(0, meta + STREAM_MODEL_META, written));
}

void stream_model_image(const struct stream_model *model, uint32_t part, uint8_t *image)
{
    uint64_t trail[STREAM_MODEL_PART_MOST / STREAM_MODEL_BLOCK] = {0};
    uint64_t spilled[STREAM_MODEL_PART_MOST / STREAM_MODEL_BLOCK] = {0};
    uint32_t capacity = stream_model_capacity(model, part), used = stream_model_used(model, part);
    uint32_t blocks = blocks_of(model, part);
    memset(image, 0, (size_t)blocks * STREAM_MODEL_BLOCK);
    for (size_t i = 0; i < model->count; i++) {
        const struct stream_append *append = &model->appends[i];
        uint32_t begins_in = stream_model_capacity(model, append->part);
        bool before = append->part + 1 == part && end_of(append) > begins_in;
        if (append->part != part && !before)
            continue;
        int64_t from = before ? (int64_t)append->offset - begins_in : append->offset;
        put_append(append, from, capacity, image);
        for (uint32_t block = 0; block < blocks; block++)
            tell_block(block, from, from + append->size, &trail[block], &spilled[block]);
    }
    for (uint32_t block = 0; block * PAYLOAD < used; block++)
        put_meta(image + (size_t)block * STREAM_MODEL_BLOCK, least(used - block * PAYLOAD, PAYLOAD),
                 trail[block], spilled[block]);
}

/* ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 29;
}

uint64_t stream_model_digest(const struct stream_model *model)
{
    uint64_t hash = mix(model->maybe_append, model->count);
    hash = mix(hash, (uint64_t)model->first << 32 | model->maybe_first);
    hash = mix(hash, (uint64_t)model->end << 32 | model->maybe_end);
    for (size_t i = 0; i < model->count; i++) {
        hash = mix(hash, model->appends[i].stamp);
        hash = mix(hash, (uint64_t)model->appends[i].part << 32 | model->appends[i].offset);
    }
    return hash;
}
