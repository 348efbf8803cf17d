/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

int model_init(struct model *model, uint64_t first)
{
    *model = (struct model){.first = first, .lowest_acknowledged = first, .lowest = first};
    model->chain = must(calloc(1, sizeof *model->chain));
    model->chain[0].next = first;
    model->count = 1;
    for (int i = 0; i < MODEL_CURSORS; i++)
        model_move(&model->cursors[i], MODEL_NO_CURSOR, true);
    return 0;
}

void model_done(struct model *model)
{
    for (size_t i = 0; i < model->count; i++)
        free(model->chain[i].stamps);
    free(model->chain);
    *model = (struct model){0};
}

static uint64_t *copy_stamps(const struct model *model, const struct model_state *state)
{
    size_t count = (size_t)(state->next - model->first);
    uint64_t *stamps = must(malloc((count + 1) * sizeof *stamps));
    if (count)
        memcpy(stamps, state->stamps, count * sizeof *stamps);
    return stamps;
}

int model_copy(const struct model *from, struct model *to)
{
    *to = *from;
    to->chain = must(calloc(from->count, sizeof *to->chain));
    for (size_t i = 0; i < from->count; i++) {
        to->chain[i] = from->chain[i];
        to->chain[i].stamps = copy_stamps(from, &from->chain[i]);
    }
    return 0;
}

uint64_t model_stamp(struct model *model, size_t value_bytes)
{
    return ++model->counter << MODEL_VALUE_BITS | (value_bytes & MODEL_VALUE_MOST);
}

/* Keys: none, some, empty. Values: none where there are no bytes and the number is odd. */
void model_make(uint64_t stamp, struct made_record *made)
{
    uint64_t number = (stamp & ~(MODEL_GONE | MODEL_MAYBE_GONE)) >> MODEL_VALUE_BITS;
    size_t bytes = stamp & MODEL_VALUE_MOST;
    int key = snprintf(made->key, sizeof made->key, "k%llu", (unsigned long long)number);
    made->record = (struct firn_record){.timestamp = 1600000000000 + (int64_t)number};
    if (number % 3 != 0)
        made->record.key = (struct firn_slice){made->key, number % 3 == 1 ? (size_t)key : 0};
    bool compressible = bytes >= MODEL_COMPRESSIBLE && bytes < MODEL_COMPRESSIBLE + 16;
    for (size_t i = 0; i < bytes; i++)
        made->value[i] = (unsigned char)(number * 31 + (compressible ? 0 : i * 7 + (i >> 8)));
    if (bytes || number % 2 == 0)
        made->record.value = (struct firn_slice){made->value, bytes};
    if (number % 4 == 3) {
        int size = snprintf(made->header_value, sizeof made->header_value, "%llu",
                            (unsigned long long)number * 7);
        made->header.key = (struct firn_slice){"header", 6};
        made->header.value = (struct firn_slice){made->header_value, (size_t)size};
        made->record.headers = &made->header;
        made->record.header_count = 1;
    }
}

static bool same(const struct firn_slice *a, const struct firn_slice *b)
{
    return !a->data == !b->data && a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

bool model_equals(uint64_t stamp, const struct firn_record *record)
{
    struct made_record made;
    model_make(stamp, &made);
    const struct firn_record *should = &made.record;
    return record->timestamp == should->timestamp && same(&record->key, &should->key) &&
           same(&record->value, &should->value) && record->header_count == should->header_count &&
           (record->header_count == 0 || (same(&record->headers[0].key, &made.header.key) &&
                                          same(&record->headers[0].value, &made.header.value)));
}

struct model_state *model_last(const struct model *model)
{
    return &model->chain[model->count - 1];
}

/* Only the empty key is that of several records. */
static bool has_empty_key(uint64_t stamp)
{
    struct made_record made;
    model_make(stamp, &made);
    return made.record.key.data && made.record.key.size == 0;
}

void model_compact(struct model *model, uint64_t end, bool acknowledged)
{
    for (size_t i = 0; i < model->count; i++) {
        struct model_state *state = &model->chain[i];
        uint64_t at = end < state->next ? end : state->next;
        for (bool later = false; at > model->first; at--) {
            uint64_t *stamp = &state->stamps[at - 1 - model->first];
            if (!has_empty_key(*stamp))
                continue;
            if (later && acknowledged)
                *stamp = (*stamp | MODEL_GONE) & ~MODEL_MAYBE_GONE;
            else if (later && !(*stamp & MODEL_GONE))
                *stamp |= MODEL_MAYBE_GONE;
            later = true;
        }
    }
}

struct model_state *model_push(struct model *model)
{
    model->chain = must(realloc(model->chain, (model->count + 1) * sizeof *model->chain));
    struct model_state *state = &model->chain[model->count];
    *state = model->chain[model->count - 1];
    state->stamps = copy_stamps(model, state);
    state->epoch = UINT64_MAX;
    model->count++;
    return state;
}

void model_pop(struct model *model)
{
    free(model->chain[--model->count].stamps);
}

void model_append(struct model *model, struct model_state *state, uint64_t stamp)
{
    size_t count = (size_t)(state->next - model->first);
    state->stamps = must(realloc(state->stamps, (count + 1) * sizeof *state->stamps));
    state->stamps[count] = stamp;
    state->next++;
}

void model_collapse(struct model *model, size_t at)
{
    struct model_state kept = model->chain[at];
    for (size_t i = 0; i < model->count; i++)
        if (i != at)
            free(model->chain[i].stamps);
    kept.epoch = 0;
    model->chain[0] = kept;
    model->count = 1;
}

void model_acknowledge(struct model *model, uint64_t epoch)
{
    size_t at = 0;
    for (size_t i = 1; i < model->count; i++)
        if (model->chain[i].epoch <= epoch)
            at = i;
    for (size_t i = 0; i < at; i++)
        free(model->chain[i].stamps);
    memmove(model->chain, model->chain + at, (model->count - at) * sizeof *model->chain);
    model->count -= at;
}

void model_move(struct model_cursor *cursor, uint64_t index, bool acknowledged)
{
    if (acknowledged)
        cursor->count = 0;
    if (cursor->count == MODEL_MAYBE)
        abort();
    if (!model_may_be(cursor, index))
        cursor->maybe[cursor->count++] = index;
}

bool model_may_be(const struct model_cursor *cursor, uint64_t index)
{
    for (size_t i = 0; i < cursor->count; i++)
        if (cursor->maybe[i] == index)
            return true;
    return false;
}

void model_take_back(struct model *model, uint64_t index, bool acknowledged)
{
    for (int i = 0; i < MODEL_CURSORS; i++) {
        struct model_cursor was = model->cursors[i], *cursor = &model->cursors[i];
        cursor->count = acknowledged ? 0 : cursor->count;
        for (size_t k = 0; k < was.count; k++) {
            bool above = was.maybe[k] != MODEL_NO_CURSOR && was.maybe[k] > index;
            model_move(cursor, above ? index : was.maybe[k], false);
        }
    }
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 29;
}

uint64_t model_digest(const struct model *model)
{
    uint64_t hash = mix(mix(1, model->lowest), model->lowest_acknowledged);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_state *state = &model->chain[i];
        hash = mix(hash, state->next);
        for (uint64_t at = model->lowest_acknowledged; at < state->next; at++)
            hash = mix(hash, state->stamps[at - model->first]);
    }
    for (int i = 0; i < MODEL_CURSORS; i++)
        for (size_t k = 0; k < model->cursors[i].count; k++)
            hash = mix(hash, model->cursors[i].maybe[k] + 3 * (uint64_t)i);
    return hash;
}
