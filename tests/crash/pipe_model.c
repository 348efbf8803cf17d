/* SPDX-License-Identifier: MIT */
#include "pipe_model.h"

#include <stdlib.h>
#include <string.h>

#include "lib/prng.h"

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void pipe_model_init(struct pipe_model *model, uint64_t chunk_bytes, uint64_t chunks)
{
    *model = (struct pipe_model){.chunk_bytes = chunk_bytes, .count = 1};
    model->chain = must(calloc(1, sizeof *model->chain));
    model->chain->count = chunks;
    model->chain->stamps = must(calloc((size_t)chunks + 1, sizeof *model->chain->stamps));
}

void pipe_model_done(struct pipe_model *model)
{
    for (size_t i = 0; i < model->count; i++)
        free(model->chain[i].stamps);
    free(model->chain);
    *model = (struct pipe_model){0};
}

static uint32_t *copy_stamps(const struct pipe_state *state)
{
    uint32_t *stamps = must(malloc((size_t)(state->count + 1) * sizeof *stamps));
    memcpy(stamps, state->stamps, (size_t)state->count * sizeof *stamps);
    return stamps;
}

void pipe_model_copy(const struct pipe_model *from, struct pipe_model *to)
{
    *to = *from;
    to->chain = must(calloc(from->count, sizeof *to->chain));
    for (size_t i = 0; i < from->count; i++) {
        to->chain[i] = from->chain[i];
        to->chain[i].stamps = copy_stamps(&from->chain[i]);
    }
}

void pipe_model_make(const struct pipe_model *model, uint64_t index, uint32_t stamp, uint8_t *chunk)
{
    struct prng prng = prng_new((uint64_t)stamp << 32 | index);
    memset(chunk, 0, (size_t)model->chunk_bytes);
    for (uint64_t at = 0; stamp && at < model->chunk_bytes; at += 8) {
        uint64_t left = model->chunk_bytes - at, number = prng_next(&prng);
        memcpy(chunk + at, &number, left < 8 ? (size_t)left : 8);
    }
}

uint32_t pipe_model_stamp(struct pipe_model *model)
{
    return ++model->counter;
}

struct pipe_state *pipe_model_last(const struct pipe_model *model)
{
    return &model->chain[model->count - 1];
}

struct pipe_state *pipe_model_push(struct pipe_model *model)
{
    model->chain = must(realloc(model->chain, (model->count + 1) * sizeof *model->chain));
    struct pipe_state *state = &model->chain[model->count];
    *state = model->chain[model->count - 1];
    state->stamps = copy_stamps(state);
    state->epoch = UINT64_MAX;
    model->count++;
    return state;
}

void pipe_model_pop(struct pipe_model *model)
{
    free(model->chain[--model->count].stamps);
}

void pipe_model_grow(struct pipe_state *state, uint64_t chunks)
{
    size_t count = (size_t)(state->count + chunks);
    state->stamps = must(realloc(state->stamps, (count + 1) * sizeof *state->stamps));
    memset(state->stamps + state->count, 0, (size_t)chunks * sizeof *state->stamps);
    state->count = count;
}

void pipe_model_acknowledge(struct pipe_model *model, uint64_t epoch)
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

void pipe_model_collapse(struct pipe_model *model, size_t at)
{
    struct pipe_state kept = model->chain[at];
    for (size_t i = 0; i < model->count; i++)
        if (i != at)
            free(model->chain[i].stamps);
    kept.epoch = 0;
    model->chain[0] = kept;
    model->count = 1;
}

bool pipe_model_equals(const struct pipe_model *model, const struct pipe_state *state,
                       const uint8_t *chunks)
{
    uint8_t *made = must(malloc((size_t)model->chunk_bytes));
    uint64_t index = 0;
    for (; index < state->count; index++, chunks += model->chunk_bytes) {
        pipe_model_make(model, index, state->stamps[index], made);
        if (memcmp(made, chunks, (size_t)model->chunk_bytes) != 0)
            break;
    }
    free(made);
    return index == state->count;
}

size_t pipe_model_find(const struct pipe_model *model, uint64_t count, const uint8_t *chunks)
{
    for (size_t at = model->count; at-- > 0;)
        if (model->chain[at].count == count && pipe_model_equals(model, &model->chain[at], chunks))
            return at;
    return SIZE_MAX;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xbf58476d1ce4e5b9u;
    return hash ^ hash >> 29;
}

uint64_t pipe_model_digest(const struct pipe_model *model)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < model->count; i++) {
        hash = mix(hash, model->chain[i].count);
        for (uint64_t at = 0; at < model->chain[i].count; at++)
            hash = mix(hash, model->chain[i].stamps[at]);
    }
    return hash;
}
