/* SPDX-License-Identifier: MIT */
/*
 * What a pipe must hold. The content of a chunk follows from its index and a stamp (0: zeros), so
 * the model of a pipe is a stamp for each chunk.
 *
 * A chain of states says what may be found after a crash: the first is acknowledged, each further
 * one is what the next write, transaction or growth made of it, and any one of them may be what the
 * disk kept: all of a change or nothing, and never a change without those before it.
 */
#ifndef TESTS_CRASH_PIPE_MODEL_H
#define TESTS_CRASH_PIPE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pipe_state {
    uint64_t count;   /* chunks */
    uint64_t epoch;   /* durable when this is; UINT64_MAX: not known */
    uint32_t *stamps; /* of each chunk */
};

struct pipe_model {
    uint64_t chunk_bytes;
    struct pipe_state *chain;
    size_t count;
    uint32_t counter; /* stamps ever made */
};

void pipe_model_init(struct pipe_model *model, uint64_t chunk_bytes, uint64_t chunks);
void pipe_model_done(struct pipe_model *model);
void pipe_model_copy(const struct pipe_model *from, struct pipe_model *to);

/* The content of a chunk. */
void pipe_model_make(const struct pipe_model *model, uint64_t index, uint32_t stamp,
                     uint8_t *chunk);
uint32_t pipe_model_stamp(struct pipe_model *model);

struct pipe_state *pipe_model_last(const struct pipe_model *model);
/* A further state, so far the same as the last. */
struct pipe_state *pipe_model_push(struct pipe_model *model);
void pipe_model_pop(struct pipe_model *model);
void pipe_model_grow(struct pipe_state *state, uint64_t chunks);
/* All states whose epoch is at most `epoch` are durable: what came before the last of them goes. */
void pipe_model_acknowledge(struct pipe_model *model, uint64_t epoch);
/* State `at` is what is there. */
void pipe_model_collapse(struct pipe_model *model, size_t at);
/* Whether `chunks` are what the state has. */
bool pipe_model_equals(const struct pipe_model *model, const struct pipe_state *state,
                       const uint8_t *chunks);
/* The newest state with so many chunks, and these; SIZE_MAX: none. */
size_t pipe_model_find(const struct pipe_model *model, uint64_t count, const uint8_t *chunks);
/* A number for all that may be found. */
uint64_t pipe_model_digest(const struct pipe_model *model);

#endif
