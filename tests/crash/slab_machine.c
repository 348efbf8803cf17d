/* SPDX-License-Identifier: MIT */
#include "slab_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

enum { JOURNAL_LEAST = 64 * 1024 };

static bool wrong(struct slab_machine *machine, const char *format, ...) FIRN_PRINTF(2, 3);

static bool wrong(struct slab_machine *machine, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(machine->why, sizeof machine->why, format, args);
    va_end(args);
    return false;
}

/* ---- life ---- */

void slab_machine_init(struct slab_machine *machine, const struct slab_shape *shape)
{
    *machine = (struct slab_machine){.shape = *shape};
    if (firn_faulty_new(NULL, &machine->faulty, NULL) < 0)
        abort();
}

static void slab_machine_take_model(struct slab_machine *to, const struct slab_machine *from)
{
    slab_model_done(&to->held);
    slab_model_done(&to->after);
    slab_model_copy(&from->held, &to->held);
    slab_model_copy(&from->after, &to->after);
    to->unknown = from->unknown;
    to->used = from->used;
    to->counter = from->counter;
}

static void slab_machine_copy(const struct slab_machine *from, struct slab_machine *to)
{
    *to = (struct slab_machine){.shape = from->shape};
    if (firn_faulty_clone(from->faulty, &to->faulty, NULL) < 0)
        abort();
    slab_machine_take_model(to, from);
}

void slab_machine_done(struct slab_machine *machine)
{
    slab_machine_close(machine);
    firn_faulty_free(machine->faulty);
    slab_model_done(&machine->held);
    slab_model_done(&machine->after);
}

static void become(struct slab_machine *machine)
{
    slab_model_done(&machine->held);
    machine->held = machine->after;
    machine->after = (struct slab_model){0};
    machine->unknown = false;
}

static int open_stack(struct slab_machine *machine, bool read_only)
{
    const struct firn_env_options env_options = {.manual = true};
    int rc = firn_env_new(&env_options, &machine->env, &machine->err);
    if (rc < 0)
        return rc;
    uint64_t bytes = machine->shape.journal_bytes;
    const struct firn_stack_options options = {
        .disk = firn_faulty_disk(machine->faulty),
        .env = machine->env,
        .read_only = read_only,
        .journal_bytes = bytes ? bytes : JOURNAL_LEAST,
    };
    rc = firn_stack_open(SLAB_MACHINE_PATH, &options, &machine->stack, &machine->err);
    if (rc < 0) {
        firn_env_free(machine->env);
        machine->env = NULL;
        machine->stack = NULL;
    }
    return rc;
}

static int create(struct slab_machine *machine)
{
    if (machine->used)
        return firn_error_set(&machine->err, FIRN_EDAMAGED, 0, "all that was there is lost");
    slab_model_done(&machine->after);
    slab_model_create(&machine->after, machine->shape.block_size);
    machine->unknown = true;
    int rc = firn_slab_create(machine->stack, machine->shape.block_size, &machine->slab,
                              &machine->err);
    if (rc == 0)
        become(machine);
    return rc;
}

int slab_machine_open(struct slab_machine *machine)
{
    int rc = open_stack(machine, false);
    if (rc < 0)
        return rc;
    rc = firn_stack_length(machine->stack) == 0
             ? create(machine)
             : firn_slab_open(machine->stack, &machine->slab, &machine->err);
    if (rc < 0) {
        struct firn_error first = machine->err;
        slab_machine_close(machine);
        machine->err = first;
    }
    return rc;
}

int slab_machine_close(struct slab_machine *machine)
{
    if (!machine->stack)
        return 0;
    firn_slab_close(machine->slab);
    machine->slab = NULL;
    int rc = firn_stack_close(machine->stack, &machine->err);
    machine->stack = NULL;
    if (firn_env_free(machine->env) < 0)
        abort(); /* something is still open in it */
    machine->env = NULL;
    return rc;
}

/* ---- operations ---- */

/* A change of nothing changes nothing, and is refused all the same. */
bool slab_machine_is_poisoned(struct slab_machine *machine)
{
    return firn_stack_push(machine->stack, NULL, 0, NULL, NULL) == FIRN_EPOISONED;
}

static int change(struct slab_machine *machine, char operation)
{
    const char *why;
    struct slab_model after;
    bool poisoned = slab_machine_is_poisoned(machine);
    int rc = slab_operate(machine->slab, operation, ++machine->counter, &machine->held, &after,
                          &why, &machine->err);
    if (why) {
        fprintf(stderr, "operation %c: %s\n", operation, why);
        abort();
    }
    if (poisoned) { /* what may be there stays what it was */
        slab_model_done(&after);
        return rc;
    }
    slab_model_done(&machine->after);
    machine->after = after;
    if (rc == 0)
        become(machine);
    else
        machine->unknown = slab_machine_is_poisoned(machine);
    return rc;
}

static int reopen(struct slab_machine *machine)
{
    int rc = slab_machine_close(machine);
    return rc == 0 ? slab_machine_open(machine) : rc;
}

int slab_machine_do(struct slab_machine *machine, char operation)
{
    machine->used = true;
    if (operation == 'k')
        return reopen(machine);
    if (operation != 'b')
        return change(machine, operation);
    rig_background(machine->env);
    return 0;
}

/* ---- checks ---- */

static bool find_state(struct slab_machine *machine)
{
    uint64_t length = firn_stack_length(machine->stack);
    uint8_t *bytes = malloc((size_t)length + 1);
    if (!bytes)
        abort();
    int rc = firn_stack_get(machine->stack, 0, bytes, (size_t)length, &machine->err);
    bool before = rc == 0 && content_equals(&machine->held.content, bytes, length);
    bool after = rc == 0 && machine->unknown &&
                 content_equals(&machine->after.content, bytes, length);
    free(bytes);
    if (rc < 0)
        return wrong(machine, "reading: %s", machine->err.message);
    if (!before && !after)
        return wrong(machine, "no state that may be: %llu bytes, where %llu were acknowledged",
                     (unsigned long long)length, (unsigned long long)machine->held.content.length);
    if (after && !before)
        become(machine);
    machine->unknown = false;
    return true;
}

static bool check_blocks(struct slab_machine *machine)
{
    const struct firn_slab_live live = {.slices = machine->held.live, .count = machine->held.count};
    struct firn_slab_findings check;
    struct firn_slab_info info;
    if (firn_slab_check(machine->stack, &live, &check, &machine->err) < 0)
        return wrong(machine, "check: %s", machine->err.message);
    if (check.leaked_blocks)
        return wrong(machine, "%llu blocks are leaked", (unsigned long long)check.leaked_blocks);
    firn_slab_get_info(machine->slab, &info);
    if (info.block_size != machine->shape.block_size || info.blocks != check.blocks ||
        info.free_blocks != check.free_blocks ||
        check.free_blocks + check.live_blocks != check.blocks)
        return wrong(machine, "%llu blocks: %llu free, %llu by the map, and %llu live",
                     (unsigned long long)check.blocks, (unsigned long long)check.free_blocks,
                     (unsigned long long)info.free_blocks, (unsigned long long)check.live_blocks);
    return true;
}

static bool check_slices(struct slab_machine *machine)
{
    for (size_t i = 0; i < machine->held.count; i++) {
        struct firn_slab_slice slice = machine->held.live[i];
        uint8_t *bytes = malloc((size_t)slice.length);
        if (!bytes)
            abort();
        int rc = firn_slab_read(machine->slab, slice, 0, bytes, (size_t)slice.length,
                                &machine->err);
        bool good = rc == 0 && memcmp(bytes, machine->held.content.bytes + slice.offset,
                                      (size_t)slice.length) == 0;
        free(bytes);
        if (!good)
            return wrong(machine, "the slice at %llu reads otherwise: %s",
                         (unsigned long long)slice.offset, rc < 0 ? machine->err.message : "");
    }
    return true;
}

bool slab_machine_check(struct slab_machine *machine)
{
    return find_state(machine) && check_blocks(machine) && check_slices(machine);
}

static bool look_only(struct slab_machine *machine)
{
    if (firn_stack_length(machine->stack) == 0)
        return !machine->used || find_state(machine);
    if (firn_slab_open(machine->stack, &machine->slab, &machine->err) < 0)
        return wrong(machine, "opening for reading: %s", machine->err.message);
    struct firn_slab_slice slice;
    if (firn_slab_alloc(machine->slab, 1, &slice, NULL) != FIRN_EREADONLY)
        return wrong(machine, "an allocation where it is opened for reading");
    return slab_machine_check(machine);
}

bool slab_machine_check_read_only(struct slab_machine *machine)
{
    int rc = open_stack(machine, true);
    if (rc == FIRN_ENOENT)
        return true; /* a crash before it was created */
    if (rc < 0)
        return wrong(machine, "opening for reading: %s", machine->err.message);
    bool good = look_only(machine);
    return slab_machine_close(machine) == 0 && good;
}

static bool changes_again(struct slab_machine *machine)
{
    for (const char *at = "nwmFgx"; *at; at++)
        if (slab_machine_do(machine, *at) < 0)
            return wrong(machine, "changing it again: %s", machine->err.message);
    if (!slab_machine_check(machine))
        return false;
    return slab_machine_close(machine) == 0 || wrong(machine, "closing: %s", machine->err.message);
}

bool slab_machine_check_life(struct slab_machine *machine)
{
    if (slab_machine_open(machine) < 0)
        return wrong(machine, "opening: %s", machine->err.message);
    bool good = slab_machine_check(machine) && changes_again(machine);
    if (good && slab_machine_open(machine) < 0)
        good = wrong(machine, "opening again: %s", machine->err.message);
    good = good && slab_machine_check(machine);
    slab_machine_close(machine);
    return good && rig_check_leaks(machine->faulty, machine->why, sizeof machine->why);
}

/* ---- as campaigns see it ---- */

static size_t slab_machine_possible(const struct slab_machine *machine)
{
    return machine->unknown ? 2 : 1;
}

static uint64_t slab_machine_digest(const struct slab_machine *machine)
{
    uint64_t hash = content_digest(&machine->held.content);
    return machine->unknown ? hash ^ content_digest(&machine->after.content) << 1 : hash;
}

static bool check_read_only(void *machine)
{
    return slab_machine_check_read_only(machine);
}

EXPLORE_MACHINE(slab_machine, slab_machine_init, slab_machine_open, check_read_only, stack);
