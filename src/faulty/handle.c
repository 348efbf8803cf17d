/* SPDX-License-Identifier: MIT */
/* Handles (files, locks, mappings, wake-ups) and the simulated processes that own them. */
#include <stdlib.h>
#include <string.h>

#include "faulty/sim.h"

void faulty_handle_add(struct firn_faulty *sim, struct faulty_handle *handle,
                       enum faulty_handle_kind kind, uint32_t node)
{
    *handle = (struct faulty_handle){
        .kind = kind,
        .sim = sim,
        .next = sim->handles,
        .process = sim->processes.current,
        .node = node,
    };
    if (sim->handles != NULL) {
        sim->handles->prev = handle;
    }
    sim->handles = handle;
}

bool faulty_handle_has(const struct firn_faulty *sim, uint32_t node)
{
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (!handle->dead && handle->node == node) {
            return true;
        }
    }
    return false;
}

void faulty_handle_collect(struct firn_faulty *sim)
{
    size_t count = 0;
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        count++;
    }
    uint32_t *kept = malloc((count + 1) * sizeof(*kept));
    if (kept == NULL) {
        return; /* next time */
    }
    count = 0;
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (!handle->dead && handle->node != FAULTY_NONE) {
            kept[count++] = handle->node;
        }
    }
    (void)faulty_tree_collect(&sim->tree, kept, count);
    free(kept);
}

void faulty_handle_drop(struct faulty_handle *handle)
{
    struct firn_faulty *sim = handle->sim;
    if (handle->prev != NULL) {
        handle->prev->next = handle->next;
    } else {
        sim->handles = handle->next;
    }
    if (handle->next != NULL) {
        handle->next->prev = handle->prev;
    }
    if (!handle->dead && handle->node != FAULTY_NONE &&
        !faulty_tree_get(&sim->tree, handle->node)->named &&
        !faulty_handle_has(sim, handle->node)) {
        faulty_handle_collect(sim);
    }
}

void faulty_handle_remove(struct faulty_handle *handle)
{
    struct firn_faulty *sim = handle->sim;
    if (sim != NULL) {
        faulty_enter(sim);
        faulty_handle_drop(handle);
        faulty_leave(sim);
    }
}

void faulty_handle_kill(struct firn_faulty *sim, int64_t process)
{
    (void)faulty_share_store(sim);
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (process == 0 || handle->process == process) {
            handle->dead = true;
        }
    }
}

/* ---- processes -------------------------------------------------------------------------- */

bool faulty_process_is(const struct faulty_processes *processes, int64_t id)
{
    for (size_t i = 0; i < processes->count; i++) {
        if (processes->alive[i] == id) {
            return true;
        }
    }
    return false;
}

static void add(struct faulty_processes *processes, int64_t id)
{
    processes->alive[processes->count++] = id;
    processes->last = id > processes->last ? id : processes->last;
    processes->current = id;
}

int faulty_process_add(struct faulty_processes *processes, int64_t id)
{
    if (faulty_process_is(processes, id)) {
        processes->current = id;
        return 0;
    }
    int64_t *alive = realloc(processes->alive, (processes->count + 1) * sizeof(int64_t));
    if (alive == NULL) {
        return FIRN_ENOMEM;
    }
    processes->alive = alive;
    add(processes, id);
    return 0;
}

void faulty_process_next(struct faulty_processes *processes)
{
    for (size_t i = 0; i < processes->count; i++) {
        if (processes->alive[i] == processes->current) {
            processes->alive[i] = processes->alive[--processes->count];
            break;
        }
    }
    add(processes, processes->last + 1);
}

void faulty_process_restart(struct faulty_processes *processes)
{
    processes->count = 0;
    processes->last = 0;
    add(processes, FAULTY_FIRST_PROCESS);
}

int faulty_process_copy(struct faulty_processes *to, const struct faulty_processes *from)
{
    size_t bytes = from->count * sizeof(int64_t);
    int64_t *alive = malloc(bytes);
    if (alive == NULL) {
        return FIRN_ENOMEM;
    }
    memcpy(alive, from->alive, bytes);
    *to = *from;
    to->alive = alive;
    return 0;
}
