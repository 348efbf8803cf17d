/* SPDX-License-Identifier: MIT */
/*
 * A gate: calls that are inside an object, and a close that waits for them. Who comes later is
 * turned away.
 */
#ifndef BASE_GATE_H
#define BASE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/wait.h"

struct gate {
    _Atomic uint32_t inside;
    atomic_bool closing;
    struct wait_word never; /* changes */
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate);

/* False: it is being closed. Either way the object is there until gate_leave. */
static inline bool gate_enter(struct gate *gate)
{
    atomic_fetch_add(&gate->inside, 1);
    return !atomic_load(&gate->closing);
}

static inline bool gate_is_closed(const struct gate *gate)
{
    return atomic_load(&gate->closing);
}

/* Nothing is touched after the count went down: close may be waiting for that, and free it. */
static inline void gate_leave(struct gate *gate)
{
    atomic_fetch_sub(&gate->inside, 1);
}

/* From now on nobody enters. */
void gate_close(struct gate *gate);
/* Then, until nobody is inside. */
void gate_await(struct gate *gate);

#endif
