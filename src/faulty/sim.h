/* SPDX-License-Identifier: MIT */
/*
 * The simulator: its state, its handles, and the course of an operation.
 *
 * An operation takes the mutex and goes through faulty_call_begin (its number, the clock, the
 * faults that hit it), for one that changes something faulty_call_mutate (its number among those;
 * is it the one at which the power goes?), its effect, faulty_call_middle (the mutex is free
 * meanwhile: slowness, callbacks, other threads) and faulty_call_end (the trace).
 */
#ifndef FAULTY_SIM_H
#define FAULTY_SIM_H

#include <pthread.h>

#include <firn/faulty.h>

#include "faulty/tree.h"

enum {
    FAULTY_PATH_SIZE = 1024,
    FAULTY_CALLS = 8, /* most callbacks in one operation */
    FAULTY_SHARE_MOST = 64 * 1024,
    FAULTY_FIRST_PROCESS = 1000,
};

/* No file is larger. */
#define FAULTY_FILE_MOST (UINT64_C(1) << 40)

/* A part of a path in the trace: its end, where it is longer. */
enum { FAULTY_TRACE_PATH = 72 };

struct faulty_trace_entry {
    enum firn_faulty_op op;
    int rc;
    uint64_t mutation;
    uint64_t offset;
    uint64_t length;
    char path[FAULTY_TRACE_PATH];
    char other[FAULTY_TRACE_PATH]; /* the old name, for rename */
};

struct faulty_trace {
    struct faulty_trace_entry *entries;
    size_t capacity;
    uint64_t count; /* of all that ever were added */
};

enum faulty_handle_kind { FAULTY_FILE, FAULTY_LOCK_HANDLE, FAULTY_SHARE_HANDLE, FAULTY_WAKE };

/* What all handles have; the first member, or behind the public part. */
struct faulty_handle {
    enum faulty_handle_kind kind;
    struct firn_faulty *sim; /* NULL: was freed */
    struct faulty_handle *prev;
    struct faulty_handle *next;
    bool dead; /* its process or its machine is */
    int64_t process;
    uint32_t node;
};

struct faulty_file {
    struct firn_file base;
    struct faulty_handle handle;
    bool writable;
    bool locked;
    int error; /* of writing back, noted and not reported yet; 0: none */
    char path[];
};

struct firn_lock {
    struct faulty_handle handle;
};

/* Memory that handles of one node share. */
struct faulty_mapping {
    size_t refs;
    size_t bytes;
    uint8_t *memory; /* FAULTY_SHARE_MOST bytes, and as many that are a copy */
};

struct firn_share {
    struct faulty_handle handle;
    struct faulty_mapping *mapping;
};

struct firn_event {
    struct faulty_handle handle;
    struct firn_event *real; /* of this machine, so that its descriptor works */
    int fd;
};

/* A fault that was added. */
struct faulty_fault {
    struct firn_faulty_fault plan; /* its texts are ours */
    int id;
    uint64_t seen; /* operations that fit */
    uint64_t hits;
    struct faulty_fault *next;
};

struct faulty_processes {
    int64_t *alive;
    size_t count;
    int64_t current;
    int64_t last; /* highest id so far */
};

struct firn_faulty {
    struct firn_disk disk;
    pthread_mutex_t mutex;
    struct firn_faulty_options options;
    struct faulty_tree tree;
    struct faulty_handle *handles;
    struct faulty_fault *faults; /* in the order in which they were added */
    int last_fault;
    struct faulty_trace trace;
    struct faulty_processes processes;
    uint64_t operations;
    uint64_t mutations;
    uint64_t restarts;
    uint64_t crash_at; /* 0: never */
    bool off;
    uint64_t capacity;
    uint64_t backing;
    uint64_t real;
    uint64_t monotonic;
    uint64_t random;
};

/* One operation. The caller fills the first part. */
struct faulty_call {
    enum firn_faulty_op op;
    const char *path;  /* clean */
    const char *other; /* rename's old path */
    uint64_t offset;
    uint64_t length;

    uint64_t operation;
    uint64_t mutation;
    bool dying; /* the power goes in it */
    bool hit;   /* by `fault`, which is neither slowness nor a callback */
    struct firn_faulty_fault fault;
    int fault_id;
    uint32_t fault_node; /* where a misdirected write goes */
    uint64_t really_ns;
    firn_faulty_call_fn *calls[FAULTY_CALLS];
    void *args[FAULTY_CALLS];
    size_t call_count;
};

/* ---- call.c: the course of an operation --------------------------------------------------- */

void faulty_enter(struct firn_faulty *sim);
void faulty_leave(struct firn_faulty *sim);
/* FIRN_EIO without power, or the code of a fault that makes the whole operation fail. */
int faulty_call_begin(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err);
void faulty_call_mutate(struct firn_faulty *sim, struct faulty_call *call);
/* To be called when the effect has been left pending: FIRN_EIO if the power goes. */
int faulty_call_survive(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err);
/* FIRN_EIO if the power went meanwhile. */
int faulty_call_middle(struct firn_faulty *sim, struct faulty_call *call, struct firn_error *err);
/* Adds to the trace, leaves the mutex and returns `rc`. */
int faulty_call_end(struct firn_faulty *sim, const struct faulty_call *call, int rc);
/* Reports the fault that hit the operation. */
int faulty_call_fault(const struct faulty_call *call, struct firn_error *err);
/* Reports anything else: "<path>: <operation> failed: <text of the code>". */
int faulty_call_fail(const struct faulty_call *call, int code, struct firn_error *err);
/* The errno that goes with a code; 0 if none does. */
int faulty_os_error(int code);

/* ---- plan.c: faults ------------------------------------------------------------------------ */

/* Finds what hits the operation, and fills that part of `call`. */
void faulty_plan_apply(struct firn_faulty *sim, struct faulty_call *call);
void faulty_plan_clear(struct firn_faulty *sim, int id);

/* ---- trace.c ------------------------------------------------------------------------------- */

int faulty_trace_init(struct faulty_trace *trace, size_t capacity);
void faulty_trace_add(struct faulty_trace *trace, const struct faulty_call *call, int rc);

/* ---- path.c -------------------------------------------------------------------------------- */

/* Where a path leads. */
struct faulty_place {
    uint32_t dir;  /* FAULTY_NONE for the root itself */
    uint32_t node; /* FAULTY_NONE: there is none of that name */
    char name[FAULTY_NAME_MAX + 1];
};

/* FIRN_ENOENT, FIRN_ENOTDIR (on the way), FIRN_EINVAL (too many links), FIRN_ETOOBIG. */
int faulty_path_find(const struct firn_faulty *sim, const char *path, bool follow,
                     struct faulty_place *place);
/* The same among the durable names, following links. */
int faulty_path_find_durable(const struct firn_faulty *sim, const char *path,
                             struct faulty_place *place);
/* The path without what has no meaning, cut where it is too long. */
void faulty_path_clean(const char *path, char clean[FAULTY_PATH_SIZE]);

/* ---- handle.c: handles, processes ---------------------------------------------------------- */

void faulty_handle_add(struct firn_faulty *sim, struct faulty_handle *handle,
                       enum faulty_handle_kind kind, uint32_t node);
/* Takes the handle off the list. */
void faulty_handle_drop(struct faulty_handle *handle);
/* The same; takes the mutex itself, where there still is a simulator. */
void faulty_handle_remove(struct faulty_handle *handle);
/* The handles of a process, or with 0 all, are dead. */
void faulty_handle_kill(struct firn_faulty *sim, int64_t process);
/* True if a living handle has the node open. */
bool faulty_handle_has(const struct firn_faulty *sim, uint32_t node);
/* Removes nodes that neither names nor handles need. */
void faulty_handle_collect(struct firn_faulty *sim);
/* The process is the current one, alive from now on if it was not. FIRN_ENOMEM. */
int faulty_process_add(struct faulty_processes *processes, int64_t id);
/* The current process ends, and the next one begins. */
void faulty_process_next(struct faulty_processes *processes);
/* The first process is the only one. */
void faulty_process_restart(struct faulty_processes *processes);
int faulty_process_copy(struct faulty_processes *to, const struct faulty_processes *from);
bool faulty_process_is(const struct faulty_processes *processes, int64_t id);

/* ---- space.c ------------------------------------------------------------------------------- */

uint64_t faulty_space_used(const struct firn_faulty *sim);
/* How many of the `n` bytes at `offset` there is room for. */
uint64_t faulty_space_fit(const struct firn_faulty *sim, const struct faulty_content *content,
                          uint64_t offset, uint64_t n);
/* True if a thin volume has room for what was written in [from, to). */
bool faulty_space_backed(const struct firn_faulty *sim, const struct faulty_content *content,
                         uint64_t from, uint64_t to);
/* What was written in [from, to) is on the medium, or not wanted any more (`lost`). */
int faulty_space_settle(struct faulty_content *content, uint64_t from, uint64_t to, bool lost);

/* ---- share.c ------------------------------------------------------------------------------- */

/* The contents of shared memory become those of its files. */
int faulty_share_store(struct firn_faulty *sim);
/* The living mapping of a node, NULL if there is none. */
struct faulty_mapping *faulty_share_find(const struct firn_faulty *sim, uint32_t node);
int faulty_share(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                 struct firn_share **share, void **memory, struct firn_error *err);
void faulty_unshare(struct firn_share *share);

/* ---- faulty.c ------------------------------------------------------------------------------ */

struct firn_faulty *faulty_of(struct firn_disk *disk);
void faulty_power_off(struct firn_faulty *sim);

/* ---- file.c -------------------------------------------------------------------------------- */

extern const struct firn_file_ops faulty_file_ops;
/* Notes an error of writing back with all that have the node open. */
void faulty_file_note(struct firn_faulty *sim, uint32_t node, int code);
/* What is pending in [from, to) is lost, and the error noted. FIRN_ENOMEM. */
int faulty_file_lose(struct firn_faulty *sim, uint32_t node, uint64_t from, uint64_t to, int code);
/* The end of a sync or durable write: the middle, then the error noted with the handle, if any. */
int faulty_file_finish(struct faulty_file *file, struct faulty_call *call, struct firn_error *err);
/* How many of `n` bytes a fault lets through. */
uint64_t faulty_file_limit(const struct faulty_call *call, uint64_t n);
int faulty_file_total(const struct iovec *iov, int count, size_t *total);

/* ---- write.c ------------------------------------------------------------------------------- */

int faulty_writev(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                  unsigned flags, size_t *done, struct firn_error *err);

/* ---- disk.c, name.c: the functions of the storage ------------------------------------------ */

extern const struct firn_disk_ops faulty_disk_ops;
/* Finds or creates the file of an open, lock or share; decides the call's kind and begins it. The
 * caller adds its handle and then calls faulty_call_middle. */
int faulty_open_node(struct firn_faulty *sim, struct faulty_call *call, const char *path,
                     unsigned flags, uint32_t *node, struct firn_error *err);
int faulty_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
                struct firn_error *err);
int faulty_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int faulty_remove(struct firn_disk *disk, const char *path, struct firn_error *err);
int faulty_remove_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int faulty_rename(struct firn_disk *disk, const char *from, const char *to, struct firn_error *err);
int faulty_list(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
                struct firn_error *err);
int faulty_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err);
int faulty_make_link(struct firn_disk *disk, const char *target, const char *path,
                     struct firn_error *err);
int faulty_read_link(struct firn_disk *disk, const char *path, char *target, size_t size,
                     struct firn_error *err);

#endif
