/* SPDX-License-Identifier: MIT */
/*
 * What a slab must hold, and every change that can be made of it, by letter: done to a slab, and to
 * bytes in memory. What a call gives back is compared at once.
 *
 * n alloc within a block; N alloc of more; m alloc_many; f dealloc; l dealloc of the last in the
 * stack; F dealloc_many; e realloc to as many blocks; g realloc to more, G of the last in the
 * stack; s realloc to fewer, S of the last; o realloc to none, and from none; w write; z zero; R
 * the reserved bytes; x what is refused. Where there is no such slice, nothing happens.
 */
#ifndef TESTS_CRASH_SLAB_MODEL_H
#define TESTS_CRASH_SLAB_MODEL_H

#include <firn/slab.h>

#include "stack_model.h"

#define SLAB_OPERATIONS "nNmflFegGsSowzRx"

struct slab_model {
    struct content content; /* of the stack, all of it; none: it is not created */
    uint64_t block_size;
    struct firn_slab_slice *live;
    size_t count;
};

/* It becomes one without any slice. */
void slab_model_create(struct slab_model *model, uint64_t block_size);
void slab_model_done(struct slab_model *model);
void slab_model_copy(const struct slab_model *from, struct slab_model *to);

/*
 * Does the operation to the slab, which holds `before`; `number` decides on slices, lengths and
 * bytes. `after` becomes, also where the call fails, what it holds if it succeeds. 0, or what the
 * call returned; *why says what else was wrong, or is NULL.
 */
int slab_operate(struct firn_slab *slab, char operation, uint64_t number,
                 const struct slab_model *before, struct slab_model *after, const char **why,
                 struct firn_error *err);

#endif
