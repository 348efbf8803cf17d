/* SPDX-License-Identifier: MIT */
/* The simulator as a whole: its life, power, processes, clocks and limits. */
#include <stdlib.h>
#include <string.h>

#include "faulty/crash.h"
#include "faulty/sim.h"

/* ---- life -------------------------------------------------------------------------------- */

static void destroy(struct firn_faulty *sim)
{
    faulty_plan_clear(sim, 0);
    faulty_tree_done(&sim->tree);
    free(sim->trace.entries);
    free(sim->processes.alive);
    free(sim);
}

/* Without a tree and without processes. */
static struct firn_faulty *sim_new(const struct firn_faulty_options *options)
{
    struct firn_faulty *sim = calloc(1, sizeof(*sim));
    if (sim == NULL) {
        return NULL;
    }
    sim->disk.ops = &faulty_disk_ops;
    sim->options = *options;
    sim->capacity = UINT64_MAX;
    sim->backing = UINT64_MAX;
    sim->random = options->seed;
    sim->real = UINT64_C(1700000000) * 1000000000;
    sim->monotonic = 1000000000;
    if (faulty_trace_init(&sim->trace, options->trace) != 0) {
        free(sim);
        return NULL;
    }
    return sim;
}

int firn_faulty_new(const struct firn_faulty_options *options, struct firn_faulty **faulty,
                    struct firn_error *err)
{
    struct firn_faulty_options used = {.seed = 0};
    if (options != NULL) {
        used = *options;
    }
    used.operation_ns = used.operation_ns != 0 ? used.operation_ns : 1000;
    used.trace = used.trace != 0 ? used.trace : 64;
    struct firn_faulty *sim = sim_new(&used);
    if (sim == NULL) {
        return firn_error_set(err, FIRN_ENOMEM, 0, "simulator: out of memory");
    }
    if (faulty_tree_init(&sim->tree) != 0 ||
        faulty_process_add(&sim->processes, FAULTY_FIRST_PROCESS) != 0 ||
        pthread_mutex_init(&sim->mutex, NULL) != 0) {
        destroy(sim);
        return firn_error_set(err, FIRN_ENOMEM, 0, "simulator: out of memory");
    }
    *faulty = sim;
    return 0;
}

void firn_faulty_free(struct firn_faulty *sim)
{
    if (sim == NULL) {
        return;
    }
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        handle->sim = NULL;
    }
    (void)pthread_mutex_destroy(&sim->mutex);
    destroy(sim);
}

struct firn_disk *firn_faulty_disk(struct firn_faulty *sim)
{
    return &sim->disk;
}

static int fill_copy(struct firn_faulty *copy, struct firn_faulty *sim)
{
    copy->operations = sim->operations;
    copy->mutations = sim->mutations;
    copy->restarts = sim->restarts;
    copy->off = sim->off;
    copy->capacity = sim->capacity;
    copy->backing = sim->backing;
    copy->real = sim->real;
    copy->monotonic = sim->monotonic;
    copy->random = sim->random;
    if (faulty_share_store(sim) != 0 || faulty_tree_settle(&sim->tree) != 0 ||
        faulty_process_copy(&copy->processes, &sim->processes) != 0) {
        return FIRN_ENOMEM;
    }
    return faulty_tree_copy(&copy->tree, &sim->tree);
}

int firn_faulty_clone(struct firn_faulty *sim, struct firn_faulty **copy, struct firn_error *err)
{
    struct firn_faulty *new = sim_new(&sim->options);
    if (new == NULL) {
        return firn_error_set(err, FIRN_ENOMEM, 0, "clone of a simulator: out of memory");
    }
    faulty_enter(sim);
    int rc = fill_copy(new, sim);
    faulty_leave(sim);
    if (rc != 0 || pthread_mutex_init(&new->mutex, NULL) != 0) {
        destroy(new);
        return firn_error_set(err, FIRN_ENOMEM, 0, "clone of a simulator: out of memory");
    }
    *copy = new;
    return 0;
}

/* ---- counting ---------------------------------------------------------------------------- */

void firn_faulty_get_counts(struct firn_faulty *sim, struct firn_faulty_counts *counts)
{
    faulty_enter(sim);
    struct firn_faulty_counts now = {
        .operations = sim->operations,
        .mutations = sim->mutations,
        .used = faulty_space_used(sim),
        .restarts = sim->restarts,
    };
    for (uint32_t i = 0; i < sim->tree.count; i++) {
        const struct faulty_node *node = faulty_tree_get(&sim->tree, i);
        if (node != NULL) {
            now.effects += node->content.effects.count + node->names.effect_count;
        }
    }
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        now.files += handle->kind == FAULTY_FILE ? 1 : 0;
        now.locks += handle->kind == FAULTY_LOCK_HANDLE ? 1 : 0;
        now.shares += handle->kind == FAULTY_SHARE_HANDLE ? 1 : 0;
        now.events += handle->kind == FAULTY_WAKE ? 1 : 0;
    }
    faulty_leave(sim);
    *counts = now;
}

/* ---- power ------------------------------------------------------------------------------- */

void faulty_power_off(struct firn_faulty *sim)
{
    if (sim->off) {
        return;
    }
    (void)faulty_share_store(sim);
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        /* what is stored to the memory from now on is stored nowhere */
        handle->dead = handle->dead || handle->kind == FAULTY_SHARE_HANDLE;
    }
    sim->off = true;
    sim->crash_at = 0;
}

void firn_faulty_crash_at(struct firn_faulty *sim, uint64_t n)
{
    faulty_enter(sim);
    sim->crash_at = n;
    faulty_leave(sim);
}

void firn_faulty_power_off(struct firn_faulty *sim)
{
    faulty_enter(sim);
    faulty_power_off(sim);
    faulty_leave(sim);
}

bool firn_faulty_is_off(struct firn_faulty *sim)
{
    faulty_enter(sim);
    bool off = sim->off;
    faulty_leave(sim);
    return off;
}

static int count_outcomes(struct firn_faulty *sim, uint64_t *outcomes)
{
    int rc = faulty_share_store(sim);
    if (rc == 0) {
        rc = faulty_tree_settle(&sim->tree);
    }
    return rc == 0 ? faulty_crash_outcomes(&sim->tree, sim->options.shared_outcomes, outcomes) : rc;
}

uint64_t firn_faulty_outcomes(struct firn_faulty *sim)
{
    uint64_t outcomes = 0;
    faulty_enter(sim);
    (void)count_outcomes(sim, &outcomes);
    faulty_leave(sim);
    return outcomes;
}

/* Of a settled tree. */
static uint64_t count_tears(const struct firn_faulty *sim)
{
    return sim->options.whole_sectors ? 0 : faulty_crash_tears(&sim->tree);
}

uint64_t firn_faulty_tears(struct firn_faulty *sim)
{
    uint64_t tears = 0;
    faulty_enter(sim);
    if (faulty_share_store(sim) == 0 && faulty_tree_settle(&sim->tree) == 0) {
        tears = count_tears(sim);
    }
    faulty_leave(sim);
    return tears;
}

/* The draw that stands for a number. */
static int number_draw(struct firn_faulty *sim, uint64_t which, uint64_t tear,
                       struct faulty_draw *draw)
{
    uint64_t outcomes = 0;
    int rc = count_outcomes(sim, &outcomes);
    if (rc != 0) {
        return rc;
    }
    if ((which >= outcomes && which != FIRN_FAULTY_ALL) || tear > count_tears(sim)) {
        return FIRN_EINVAL;
    }
    bool all = which == FIRN_FAULTY_ALL || which == outcomes - 1;
    *draw = (struct faulty_draw){
        .kind = all ? FAULTY_DRAW_ALL : FAULTY_DRAW_NUMBER,
        .number = which,
        .tear = tear,
        .target = UINT64_MAX,
        .keep_shared = which != 0,
        .shared_outcomes = sim->options.shared_outcomes,
    };
    return 0;
}

static int start_anew(struct firn_faulty *sim, const struct faulty_draw *draw)
{
    int rc = faulty_crash_apply(&sim->tree, draw);
    if (rc != 0) {
        return rc;
    }
    faulty_handle_kill(sim, 0);
    faulty_process_restart(&sim->processes);
    sim->real += UINT64_C(10) * 1000000000;
    sim->monotonic = 1000000000;
    sim->crash_at = 0;
    sim->restarts++;
    sim->off = false;
    return 0;
}

static int restart_failed(int rc, struct firn_error *err)
{
    return firn_error_set(err, rc, 0,
                          rc == FIRN_EINVAL ? "restart: there is no such outcome"
                                            : "restart: out of memory");
}

int firn_faulty_restart_torn(struct firn_faulty *sim, uint64_t which, uint64_t tear,
                             struct firn_error *err)
{
    struct faulty_draw draw;
    faulty_enter(sim);
    faulty_power_off(sim);
    int rc = number_draw(sim, which, tear, &draw);
    if (rc == 0) {
        rc = start_anew(sim, &draw);
    }
    faulty_leave(sim);
    return rc != 0 ? restart_failed(rc, err) : 0;
}

int firn_faulty_restart(struct firn_faulty *sim, uint64_t which, struct firn_error *err)
{
    return firn_faulty_restart_torn(sim, which, 0, err);
}

int firn_faulty_restart_random(struct firn_faulty *sim, uint64_t seed, struct firn_error *err)
{
    struct faulty_draw draw;
    faulty_enter(sim);
    faulty_power_off(sim);
    int rc = faulty_tree_settle(&sim->tree);
    if (rc == 0) {
        rc = faulty_crash_draw(&sim->tree, seed, sim->options.shared_outcomes, &draw);
    }
    if (rc == 0) {
        draw.tears = draw.tears && !sim->options.whole_sectors;
        rc = start_anew(sim, &draw);
    }
    faulty_leave(sim);
    return rc != 0 ? restart_failed(rc, err) : 0;
}

void firn_faulty_describe(struct firn_faulty *sim, uint64_t which, firn_faulty_line_fn *each,
                          void *arg)
{
    struct faulty_draw draw;
    faulty_enter(sim);
    if (number_draw(sim, which, 0, &draw) != 0 ||
        faulty_crash_describe(&sim->tree, &draw, each, arg) != 0) {
        each(arg, "there is no such outcome");
    }
    faulty_leave(sim);
}

/* ---- processes, time, limits -------------------------------------------------------------- */

void firn_faulty_kill(struct firn_faulty *sim)
{
    faulty_enter(sim);
    faulty_handle_kill(sim, sim->processes.current);
    faulty_process_next(&sim->processes);
    faulty_handle_collect(sim);
    faulty_leave(sim);
}

void firn_faulty_set_process(struct firn_faulty *sim, int64_t id)
{
    faulty_enter(sim);
    (void)faulty_process_add(&sim->processes, id);
    faulty_leave(sim);
}

void firn_faulty_set_capacity(struct firn_faulty *sim, uint64_t bytes)
{
    faulty_enter(sim);
    sim->capacity = bytes;
    faulty_leave(sim);
}

void firn_faulty_set_backing(struct firn_faulty *sim, uint64_t bytes)
{
    faulty_enter(sim);
    sim->backing = bytes;
    faulty_leave(sim);
}

void firn_faulty_set_clock(struct firn_faulty *sim, enum firn_clock clock, uint64_t ns)
{
    faulty_enter(sim);
    if (clock == FIRN_CLOCK_REAL) {
        sim->real = ns;
    } else {
        sim->monotonic = ns;
    }
    faulty_leave(sim);
}

void firn_faulty_advance(struct firn_faulty *sim, uint64_t nanoseconds)
{
    faulty_enter(sim);
    sim->real += nanoseconds;
    sim->monotonic += nanoseconds;
    faulty_leave(sim);
}
