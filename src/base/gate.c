/* SPDX-License-Identifier: MIT */
#include "base/gate.h"

#define PAUSE_NS 100000u

void gate_init(struct gate *gate)
{
    wait_word_init(&gate->never);
}

void gate_done(struct gate *gate)
{
    wait_word_done(&gate->never);
}

void gate_close(struct gate *gate)
{
    atomic_store(&gate->closing, true);
}

void gate_await(struct gate *gate)
{
    while (atomic_load(&gate->inside))
        wait_until_changed(&gate->never, 0, wait_deadline(PAUSE_NS));
}
