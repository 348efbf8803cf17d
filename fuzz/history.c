/* SPDX-License-Identifier: MIT */
#include "history.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* ---- content -------------------------------------------------------------------------------- */

static void nest_batch(uint8_t *bytes, size_t size, uint64_t index)
{
    struct batch header = {
        .base = index + 1,
        .generation = 1,
        .producer_id = -1,
        .producer_epoch = -1,
    };
    struct bytes batch = make_batch(&header, 1, "nested", NESTED_BYTES);
    if (batch.size <= size)
        memcpy(bytes, batch.data, batch.size);
    bytes_done(&batch);
}

static void make_headers(struct content *content, uint32_t serial)
{
    content->record.header_count = serial % (HEADERS_MOST + 1);
    content->record.headers = content->headers;
    for (size_t i = 0; i < HEADERS_MOST; i++) {
        content->headers[i].key = (struct firn_slice){content->key, i};
        content->headers[i].value = (struct firn_slice){i == 1 ? NULL : content->key,
                                                        i == 1 ? 0 : KEY_MOST};
    }
}

void history_make(const struct history *history, uint32_t serial, struct content *content)
{
    uint64_t index = history->at[serial].index;
    size_t size = history->at[serial].value_bytes;
    *content = (struct content){.value = must_alloc(size)};
    fill_noise(content->key, KEY_MOST, serial + 1);
    fill_noise(content->value, size, index << 32 | serial);
    store_be_u64(content->value, index);
    store_be_u32(content->value + 8, serial);
    if (history->at[serial].nested)
        nest_batch(content->value + VALUE_LEAST, size - VALUE_LEAST, index);
    content->record.timestamp = 1700000000000 + serial % 5 * 10 - serial % 3;
    content->record.value = (struct firn_slice){content->value, size};
    if (serial % 3 > 0)
        content->record.key = (struct firn_slice){content->key, serial % KEY_MOST};
    make_headers(content, serial);
}

void history_add(struct history *history, uint64_t index, uint32_t value_bytes, bool nested,
                 struct content *content)
{
    require(history->count < HISTORY_MOST, "the history is long enough");
    uint32_t serial = history->count++;
    history->at[serial].index = index;
    history->at[serial].value_bytes = value_bytes < VALUE_LEAST ? VALUE_LEAST : value_bytes;
    history->at[serial].nested = nested;
    history_make(history, serial, content);
}

void content_done(struct content *content)
{
    free(content->value);
}

static uint64_t mix(uint64_t mark, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        mark = (mark ^ bytes[i]) * 0x100000001b3u;
    return mark;
}

static uint64_t mix_slice(uint64_t mark, const struct firn_slice *slice)
{
    uint64_t size = slice->data == NULL ? UINT64_MAX : slice->size;
    return mix(mix(mark, &size, sizeof size), slice->data, slice->size);
}

uint64_t record_mark(const struct firn_record *record)
{
    uint64_t mark = mix(0xcbf29ce484222325u, &record->timestamp, sizeof record->timestamp);
    mark = mix_slice(mix_slice(mark, &record->key), &record->value);
    for (size_t i = 0; i < record->header_count; i++)
        mark = mix_slice(mix_slice(mark, &record->headers[i].key), &record->headers[i].value);
    return mark;
}

bool history_knows(const struct history *history, const struct firn_record *record, uint64_t *index)
{
    struct content content;
    if (record->value.data == NULL || record->value.size < VALUE_LEAST)
        return false;
    uint32_t serial = load_be_u32((const uint8_t *)record->value.data + 8);
    if (serial >= history->count || history->at[serial].value_bytes != record->value.size)
        return false;
    history_make(history, serial, &content);
    bool same = record_mark(&content.record) == record_mark(record);
    content_done(&content);
    *index = history->at[serial].index;
    return same;
}

/* ---- readings ------------------------------------------------------------------------------- */

void reading_add(struct reading *reading, uint64_t index, uint64_t mark)
{
    reading->at = must_grow(reading->at, (reading->count + 1) * sizeof *reading->at);
    reading->at[reading->count++] = (struct seen){index, mark};
}

void reading_add_hole(struct reading *reading, const struct firn_hole *hole)
{
    size_t size = (reading->hole_count + 1) * sizeof *reading->holes;
    reading->holes = must_grow(reading->holes, size);
    reading->holes[reading->hole_count++] = *hole;
}

void reading_keep(struct reading *reading, uint64_t from, uint64_t to)
{
    size_t kept = 0;
    for (size_t i = 0; i < reading->count; i++) {
        if (reading->at[i].index >= from && reading->at[i].index < to)
            reading->at[kept++] = reading->at[i];
    }
    reading->count = kept;
    if (reading->lowest < from)
        reading->lowest = from;
    if (reading->next > to)
        reading->next = to;
}

bool reading_equals(const struct reading *a, const struct reading *b)
{
    /* A hole at the beginning may count as removed: there is nothing in it. */
    bool whole = a->hole_count + b->hole_count == 0;
    if ((whole && a->lowest != b->lowest) || a->next != b->next || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->at[i].index != b->at[i].index || a->at[i].mark != b->at[i].mark)
            return false;
    }
    return true;
}

bool reading_agrees(const struct reading *a, const struct reading *b)
{
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        const struct seen *x = &a->at[i], *y = &b->at[j];
        if (x->index == y->index && x->mark != y->mark)
            return false;
        i += x->index <= y->index;
        j += y->index <= x->index;
    }
    return true;
}

void reading_copy(struct reading *to, const struct reading *from)
{
    *to = (struct reading){.lowest = from->lowest, .next = from->next};
    for (size_t i = 0; i < from->count; i++)
        reading_add(to, from->at[i].index, from->at[i].mark);
    for (size_t i = 0; i < from->hole_count; i++)
        reading_add_hole(to, &from->holes[i]);
}

void reading_done(struct reading *reading)
{
    free(reading->at);
    free(reading->holes);
    *reading = (struct reading){0};
}

static bool in_hole(const struct reading *reading, uint64_t index)
{
    for (size_t i = 0; i < reading->hole_count; i++) {
        if (index >= reading->holes[i].first_index && index < reading->holes[i].next_index)
            return true;
    }
    return false;
}

bool reading_covers(const struct reading *reading, uint64_t from, uint64_t to)
{
    size_t at = 0;
    for (uint64_t index = from; index < to; index++) {
        while (at < reading->count && reading->at[at].index < index)
            at++;
        bool read = at < reading->count && reading->at[at].index == index;
        if (!read && !in_hole(reading, index))
            return false;
    }
    return true;
}
