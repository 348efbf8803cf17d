/* SPDX-License-Identifier: MIT */
/* The functions of the storage, save names and shared memory. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "faulty/random.h"
#include "faulty/sim.h"

struct firn_faulty *faulty_of(struct firn_disk *disk)
{
    return (struct firn_faulty *)(void *)disk;
}

/* ---- open -------------------------------------------------------------------------------- */

static int open_file(struct firn_faulty *sim, struct faulty_call *call, const char *path,
                     unsigned flags, struct faulty_file *file, struct firn_error *err)
{
    uint32_t node = FAULTY_NONE;
    int rc = faulty_open_node(sim, call, path, flags, &node, err);
    if (rc != 0) {
        return rc;
    }
    file->base.ops = &faulty_file_ops;
    file->writable = (flags & FIRN_OPEN_WRITE) != 0;
    faulty_handle_add(sim, &file->handle, FAULTY_FILE, node);
    rc = faulty_call_middle(sim, call, err);
    if (rc != 0) {
        faulty_handle_drop(&file->handle);
    }
    return rc;
}

static bool good_flags(unsigned flags)
{
    const unsigned known = FIRN_OPEN_READ | FIRN_OPEN_WRITE | FIRN_OPEN_CREATE |
                           FIRN_OPEN_EXCLUSIVE;
    const unsigned modes = FIRN_OPEN_READ | FIRN_OPEN_WRITE;
    return (flags & ~known) == 0 && (flags & modes) != 0 &&
           (flags & (FIRN_OPEN_CREATE | FIRN_OPEN_EXCLUSIVE)) != FIRN_OPEN_EXCLUSIVE;
}

static int faulty_open(struct firn_disk *disk, const char *path, unsigned flags,
                       struct firn_file **file, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_OPEN, .path = clean};
    faulty_path_clean(path, clean);
    if (!good_flags(flags)) {
        return faulty_call_fail(&call, FIRN_EINVAL, err);
    }
    size_t n = strlen(clean) + 1;
    struct faulty_file *new = calloc(1, sizeof(*new) + n);
    if (new == NULL) {
        return faulty_call_fail(&call, FIRN_ENOMEM, err);
    }
    memcpy(new->path, clean, n);
    faulty_enter(sim);
    int rc = faulty_call_end(sim, &call, open_file(sim, &call, path, flags, new, err));
    if (rc != 0) {
        free(new);
        return rc;
    }
    *file = &new->base;
    return 0;
}

/* ---- locks ------------------------------------------------------------------------------- */

static const struct faulty_handle *find_lock(const struct firn_faulty *sim, uint32_t node)
{
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (handle->kind == FAULTY_LOCK_HANDLE && !handle->dead && handle->node == node) {
            return handle;
        }
    }
    return NULL;
}

static int take_lock(struct firn_faulty *sim, struct faulty_call *call, const char *path,
                     struct firn_lock *lock, int64_t *holder, struct firn_error *err)
{
    uint32_t node = FAULTY_NONE;
    int rc = faulty_open_node(sim, call, path, FIRN_OPEN_WRITE | FIRN_OPEN_CREATE, &node, err);
    if (rc != 0) {
        return rc;
    }
    const struct faulty_handle *other = find_lock(sim, node);
    if (other != NULL) {
        if (holder != NULL) {
            *holder = other->process;
        }
        return firn_error_set(err, FIRN_ELOCKED, 0, "%s: locked by process %lld", call->path,
                              (long long)other->process);
    }
    faulty_handle_add(sim, &lock->handle, FAULTY_LOCK_HANDLE, node);
    rc = faulty_call_middle(sim, call, err);
    if (rc != 0) {
        faulty_handle_drop(&lock->handle);
    }
    return rc;
}

static int faulty_lock(struct firn_disk *disk, const char *path, struct firn_lock **lock,
                       int64_t *holder, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_LOCK, .path = clean};
    faulty_path_clean(path, clean);
    struct firn_lock *new = calloc(1, sizeof(*new));
    if (new == NULL) {
        return faulty_call_fail(&call, FIRN_ENOMEM, err);
    }
    faulty_enter(sim);
    int rc = faulty_call_end(sim, &call, take_lock(sim, &call, path, new, holder, err));
    if (rc != 0) {
        free(new);
        return rc;
    }
    *lock = new;
    return 0;
}

static void faulty_unlock(struct firn_lock *lock)
{
    if (lock != NULL) {
        faulty_handle_remove(&lock->handle);
        free(lock);
    }
}

/* ---- wake-ups ---------------------------------------------------------------------------- */

static int add_event(struct firn_faulty *sim, struct faulty_call *call, struct firn_event *event,
                     struct firn_error *err)
{
    int rc = faulty_call_begin(sim, call, err);
    if (rc == 0) {
        rc = faulty_call_middle(sim, call, err);
    }
    if (rc != 0) {
        return rc;
    }
    struct firn_disk *machine = firn_disk_posix();
    rc = machine->ops->event_new(machine, &event->real, &event->fd, err);
    if (rc != 0) {
        return rc;
    }
    faulty_handle_add(sim, &event->handle, FAULTY_WAKE, FAULTY_NONE);
    return 0;
}

static int faulty_event_new(struct firn_disk *disk, struct firn_event **event, int *fd,
                            struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    struct faulty_call call = {.op = FIRN_FAULTY_EVENT, .path = "wake-up"};
    struct firn_event *new = calloc(1, sizeof(*new));
    if (new == NULL) {
        return faulty_call_fail(&call, FIRN_ENOMEM, err);
    }
    faulty_enter(sim);
    int rc = faulty_call_end(sim, &call, add_event(sim, &call, new, err));
    if (rc != 0) {
        free(new);
        return rc;
    }
    *event = new;
    *fd = new->fd;
    return 0;
}

static void faulty_event_signal(struct firn_event *event)
{
    firn_disk_posix()->ops->event_signal(event->real);
}

static void faulty_event_clear(struct firn_event *event)
{
    firn_disk_posix()->ops->event_clear(event->real);
}

static void faulty_event_free(struct firn_event *event)
{
    if (event != NULL) {
        faulty_handle_remove(&event->handle);
        firn_disk_posix()->ops->event_free(event->real);
        free(event);
    }
}

/* ---- space, time, processes -------------------------------------------------------------- */

static uint64_t find_space(const struct firn_faulty *sim)
{
    const uint64_t plenty = UINT64_C(1) << 50;
    uint64_t capacity = sim->capacity < plenty ? sim->capacity : plenty;
    uint64_t used = faulty_space_used(sim);
    return used < capacity ? capacity - used : 0;
}

static int faulty_free_space(struct firn_disk *disk, const char *path, uint64_t *bytes,
                             struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_FREE_SPACE, .path = clean};
    struct faulty_place place = {.node = FAULTY_NONE};
    faulty_path_clean(path, clean);
    faulty_enter(sim);
    int rc = faulty_call_begin(sim, &call, err);
    if (rc == 0) {
        int found = faulty_path_find(sim, path, true, &place);
        found = found == 0 && place.node == FAULTY_NONE ? FIRN_ENOENT : found;
        rc = found != 0 ? faulty_call_fail(&call, found, err) : faulty_call_middle(sim, &call, err);
    }
    if (rc == 0) {
        *bytes = find_space(sim);
    }
    return faulty_call_end(sim, &call, rc);
}

static int64_t faulty_process_id(struct firn_disk *disk)
{
    struct firn_faulty *sim = faulty_of(disk);
    faulty_enter(sim);
    int64_t id = sim->processes.current;
    faulty_leave(sim);
    return id;
}

static bool faulty_process_alive(struct firn_disk *disk, int64_t process_id)
{
    struct firn_faulty *sim = faulty_of(disk);
    faulty_enter(sim);
    bool alive = faulty_process_is(&sim->processes, process_id);
    faulty_leave(sim);
    return alive;
}

static void faulty_boot_id(struct firn_disk *disk, uint8_t id[16])
{
    struct firn_faulty *sim = faulty_of(disk);
    faulty_enter(sim);
    uint64_t state = sim->options.seed ^ (sim->restarts * UINT64_C(0xd1342543de82ef95));
    faulty_leave(sim);
    uint64_t words[2] = {faulty_random(&state), faulty_random(&state) | 1};
    memcpy(id, words, sizeof(words));
}

static uint64_t faulty_clock(struct firn_disk *disk, enum firn_clock clock)
{
    struct firn_faulty *sim = faulty_of(disk);
    faulty_enter(sim);
    sim->real += sim->options.operation_ns;
    sim->monotonic += sim->options.operation_ns;
    uint64_t now = clock == FIRN_CLOCK_REAL ? sim->real : sim->monotonic;
    faulty_leave(sim);
    return now;
}

static void faulty_sleep(struct firn_disk *disk, uint64_t nanoseconds)
{
    firn_faulty_advance(faulty_of(disk), nanoseconds);
    (void)sched_yield();
}

static void faulty_free(struct firn_disk *disk)
{
    firn_faulty_free(faulty_of(disk));
}

const struct firn_disk_ops faulty_disk_ops = {
    .size = sizeof(struct firn_disk_ops),
    .open = faulty_open,
    .stat = faulty_stat,
    .make_dir = faulty_make_dir,
    .remove = faulty_remove,
    .remove_dir = faulty_remove_dir,
    .rename = faulty_rename,
    .list = faulty_list,
    .sync_dir = faulty_sync_dir,
    .make_link = faulty_make_link,
    .read_link = faulty_read_link,
    .lock = faulty_lock,
    .unlock = faulty_unlock,
    .share = faulty_share,
    .unshare = faulty_unshare,
    .event_new = faulty_event_new,
    .event_signal = faulty_event_signal,
    .event_clear = faulty_event_clear,
    .event_free = faulty_event_free,
    .free_space = faulty_free_space,
    .process_id = faulty_process_id,
    .process_alive = faulty_process_alive,
    .boot_id = faulty_boot_id,
    .clock = faulty_clock,
    .sleep = faulty_sleep,
    .free = faulty_free,
};
