/* SPDX-License-Identifier: MIT */
/* Faults by plan: which operations they hit. */
#include <stdlib.h>
#include <string.h>

#include "faulty/random.h"
#include "faulty/sim.h"

static const unsigned writes = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE;
static const unsigned ranged = FIRN_FAULTY_READ | FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE |
                               FIRN_FAULTY_RESERVE | FIRN_FAULTY_WRITEBACK;

/* The kinds of operations to which something can happen. */
static unsigned possible(enum firn_faulty_what what)
{
    switch (what) {
    case FIRN_FAULTY_SHORT:
    case FIRN_FAULTY_FLIP:
        return writes | FIRN_FAULTY_READ;
    case FIRN_FAULTY_LOSE:
        return writes | FIRN_FAULTY_SYNC | FIRN_FAULTY_WRITEBACK;
    case FIRN_FAULTY_FORGET:
        return writes | FIRN_FAULTY_SYNC | FIRN_FAULTY_SYNC_DIR;
    case FIRN_FAULTY_MISDIRECT:
        return writes;
    case FIRN_FAULTY_FAIL:
    case FIRN_FAULTY_SLOW:
    case FIRN_FAULTY_CALL:
        return FIRN_FAULTY_ANY;
    }
    return 0;
}

/* '*' is any bytes, '?' one. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

static bool fits(const struct firn_faulty_fault *plan, const struct faulty_call *call)
{
    if ((plan->ops & (unsigned)call->op) == 0 ||
        (plan->path != NULL && !matches(plan->path, call->path))) {
        return false;
    }
    if (plan->length == 0) {
        return true;
    }
    uint64_t end = plan->offset > UINT64_MAX - plan->length ? UINT64_MAX
                                                            : plan->offset + plan->length;
    return ((unsigned)call->op & ranged) != 0 && call->offset < end &&
           plan->offset < call->offset + call->length;
}

/* Counts the operation; true if it is the fault's turn. */
static bool strikes(struct firn_faulty *sim, struct faulty_fault *fault)
{
    uint64_t at = fault->plan.at != 0 ? fault->plan.at : 1;
    uint64_t times = fault->plan.times != 0 ? fault->plan.times : 1;
    uint64_t number = ++fault->seen;
    if (number < at || number - at >= times) {
        return false;
    }
    return fault->plan.chance == 0 ||
           faulty_random_below(&sim->random, 1000000) < fault->plan.chance;
}

static void take_effect(struct firn_faulty *sim, struct faulty_call *call,
                        struct faulty_fault *fault)
{
    const struct firn_faulty_fault *plan = &fault->plan;
    if (plan->what == FIRN_FAULTY_SLOW) {
        fault->hits++;
        sim->real += plan->nanoseconds;
        sim->monotonic += plan->nanoseconds;
        call->really_ns += plan->really ? plan->nanoseconds : 0;
    } else if (plan->what == FIRN_FAULTY_CALL) {
        if (call->call_count < FAULTY_CALLS) {
            fault->hits++;
            call->calls[call->call_count] = plan->call;
            call->args[call->call_count++] = plan->arg;
        }
    } else if (!call->hit) {
        fault->hits++;
        call->hit = true;
        call->fault = *plan;
        call->fault_id = fault->id;
        call->fault_node = FAULTY_NONE;
        struct faulty_place place = {.node = FAULTY_NONE};
        if (plan->to_path != NULL && faulty_path_find(sim, plan->to_path, true, &place) == 0) {
            call->fault_node = place.node;
        }
        call->fault.path = NULL; /* may be gone when the mutex was free */
        call->fault.to_path = plan->to_path == NULL ? NULL : "";
    }
}

void faulty_plan_apply(struct firn_faulty *sim, struct faulty_call *call)
{
    for (struct faulty_fault *fault = sim->faults; fault != NULL; fault = fault->next) {
        if (fits(&fault->plan, call) && strikes(sim, fault)) {
            take_effect(sim, call, fault);
        }
    }
}

/* ---- adding and removing ----------------------------------------------------------------- */

static void fault_free(struct faulty_fault *fault)
{
    free((char *)(uintptr_t)fault->plan.path);
    free((char *)(uintptr_t)fault->plan.to_path);
    free(fault);
}

static bool copy_text(const char **text)
{
    if (*text == NULL) {
        return true;
    }
    size_t n = strlen(*text) + 1;
    char *copy = malloc(n);
    if (copy != NULL) {
        memcpy(copy, *text, n);
    }
    *text = copy;
    return copy != NULL;
}

static struct faulty_fault *fault_new(const struct firn_faulty_fault *plan)
{
    struct faulty_fault *fault = calloc(1, sizeof(*fault));
    if (fault == NULL) {
        return NULL;
    }
    fault->plan = *plan;
    bool first = copy_text(&fault->plan.path);
    bool second = copy_text(&fault->plan.to_path);
    if (!first || !second) {
        fault_free(fault);
        return NULL;
    }
    fault->plan.ops = plan->ops == 0 ? possible(plan->what) : plan->ops & possible(plan->what);
    return fault;
}

static int check(const struct firn_faulty_fault *plan)
{
    bool good = (unsigned)plan->what <= FIRN_FAULTY_CALL &&
                (plan->ops | FIRN_FAULTY_ANY) == FIRN_FAULTY_ANY &&
                (plan->ops == 0 || (plan->ops & possible(plan->what)) != 0) && plan->code <= 0 &&
                plan->chance <= 1000000 && plan->bit < 8 &&
                (plan->what != FIRN_FAULTY_SHORT || plan->bytes > 0) &&
                (plan->what != FIRN_FAULTY_CALL || plan->call != NULL);
    return good ? 0 : FIRN_EINVAL;
}

int firn_faulty_fail(struct firn_faulty *sim, const struct firn_faulty_fault *plan, int *id,
                     struct firn_error *err)
{
    if (check(plan) != 0) {
        return firn_error_set(err, FIRN_EINVAL, 0, "a fault that cannot be");
    }
    struct faulty_fault *fault = fault_new(plan);
    if (fault == NULL) {
        return firn_error_set(err, FIRN_ENOMEM, 0, "adding a fault: out of memory");
    }
    faulty_enter(sim);
    fault->id = ++sim->last_fault;
    struct faulty_fault **last = &sim->faults;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = fault;
    if (id != NULL) {
        *id = fault->id;
    }
    faulty_leave(sim);
    return 0;
}

void faulty_plan_clear(struct firn_faulty *sim, int id)
{
    struct faulty_fault **at = &sim->faults;
    while (*at != NULL) {
        struct faulty_fault *fault = *at;
        if (id == 0 || fault->id == id) {
            *at = fault->next;
            fault_free(fault);
        } else {
            at = &fault->next;
        }
    }
}

void firn_faulty_clear(struct firn_faulty *sim, int id)
{
    faulty_enter(sim);
    faulty_plan_clear(sim, id);
    faulty_leave(sim);
}

uint64_t firn_faulty_hits(struct firn_faulty *sim, int id)
{
    uint64_t hits = 0;
    faulty_enter(sim);
    for (const struct faulty_fault *fault = sim->faults; fault != NULL; fault = fault->next) {
        hits = fault->id == id ? fault->hits : hits;
    }
    faulty_leave(sim);
    return hits;
}
