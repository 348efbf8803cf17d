/* SPDX-License-Identifier: MIT */
/* Writing to an open file, and what can go wrong with it. */
#include <string.h>

#include "faulty/sim.h"

/* One write on its way. */
struct job {
    struct firn_faulty *sim;
    struct faulty_file *file;
    struct faulty_call *call;
    struct faulty_blob *blob; /* the bytes, as the caller gave them */
    uint64_t n;               /* how many of them are written */
    bool durable;
};

static bool hit_by(const struct job *job, enum firn_faulty_what what)
{
    return job->call->hit && job->call->fault.what == what;
}

static struct faulty_blob *gather(const struct iovec *iov, int count, size_t total)
{
    struct faulty_blob *blob = faulty_blob_new(NULL, total);
    size_t done = 0;
    for (int i = 0; blob != NULL && i < count; i++) {
        if (iov[i].iov_len > 0) {
            memcpy(faulty_blob_bytes(blob) + done, iov[i].iov_base, iov[i].iov_len);
        }
        done += iov[i].iov_len;
    }
    return blob;
}

/* ---- to the cache ------------------------------------------------------------------------- */

/* Shared memory of the file has the bytes too. */
static void write_mapping(const struct job *job)
{
    struct faulty_mapping *mapping = faulty_share_find(job->sim, job->file->handle.node);
    uint64_t offset = job->call->offset;
    if (mapping != NULL && offset < FAULTY_SHARE_MOST) {
        uint64_t room = FAULTY_SHARE_MOST - offset;
        memcpy(mapping->memory + offset, faulty_blob_bytes(job->blob),
               (size_t)(job->n < room ? job->n : room));
    }
}

static int write_cache(const struct job *job, struct faulty_content *content)
{
    uint64_t offset = job->call->offset;
    int rc = faulty_content_store(content, offset, faulty_blob_bytes(job->blob), (size_t)job->n);
    if (rc == 0) {
        rc = faulty_content_grow(content, offset, offset + job->n, job->call->mutation);
    }
    if (rc == 0) {
        write_mapping(job);
    }
    return rc;
}

/* ---- to the medium ------------------------------------------------------------------------ */

/* The first `n` bytes of the blob as they go to the medium: with a bit flipped, if a fault does. */
static struct faulty_blob *medium_blob(const struct job *job, uint64_t n)
{
    bool flips = hit_by(job, FIRN_FAULTY_FLIP);
    if (!flips && n == job->call->length) {
        return faulty_blob_keep(job->blob);
    }
    struct faulty_blob *blob = faulty_blob_new(faulty_blob_bytes(job->blob), (size_t)n);
    if (blob != NULL && flips && n > 0) {
        uint8_t *byte = faulty_blob_bytes(blob) + job->call->fault.byte % n;
        *byte = (uint8_t)(*byte ^ (1U << job->call->fault.bit));
    }
    return blob;
}

static int add_effect(const struct job *job, struct faulty_content *content, uint64_t offset,
                      uint64_t n)
{
    struct faulty_blob *blob = medium_blob(job, n);
    if (blob == NULL) {
        return FIRN_ENOMEM;
    }
    int rc = faulty_pending_write(content, offset, blob, job->call->mutation);
    faulty_blob_drop(blob);
    return rc;
}

/* Where the bytes go on the medium: node and range; an empty range if nowhere. */
struct target {
    uint32_t node;
    uint64_t from;
    uint64_t to;
};

static struct target find_target(const struct job *job)
{
    struct target target = {job->file->handle.node, job->call->offset, job->call->offset + job->n};
    if (hit_by(job, FIRN_FAULTY_FORGET)) {
        target.to = target.from;
    } else if (hit_by(job, FIRN_FAULTY_MISDIRECT)) {
        if (job->call->fault.to_path != NULL) {
            target.node = job->call->fault_node;
        }
        const struct faulty_node *node = faulty_tree_get(&job->sim->tree, target.node);
        uint64_t size = node != NULL && node->kind == FIRN_ENTRY_FILE ? node->content.size : 0;
        target.from = job->call->fault.to_offset < size ? job->call->fault.to_offset : size;
        target.to = job->n < size - target.from ? target.from + job->n : size;
    }
    return target;
}

/* A durable write: the bytes are on the medium, and the size; or are lost. */
static int make_durable(const struct job *job, const struct target *target)
{
    uint32_t number = job->file->handle.node;
    uint64_t end = job->call->offset + job->n;
    if (target->from < target->to) {
        const struct faulty_node *there = faulty_tree_get(&job->sim->tree, target->node);
        if (!faulty_space_backed(job->sim, &there->content, target->from, target->to)) {
            return faulty_file_lose(job->sim, target->node, target->from, target->to, FIRN_ENOSPC);
        }
        struct faulty_node *node = faulty_tree_own(&job->sim->tree, target->node);
        if (node == NULL ||
            faulty_pending_sync_range(&node->content, target->from, target->to) != 0 ||
            faulty_space_settle(&node->content, target->from, target->to, false) != 0) {
            return FIRN_ENOMEM;
        }
    }
    struct faulty_node *node = faulty_tree_own(&job->sim->tree, number);
    return node == NULL ? FIRN_ENOMEM : faulty_pending_sync_range(&node->content, end, end);
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* The effect of a write, up to the point where the power may go. */
static int write_pending(const struct job *job, struct target *target)
{
    struct faulty_node *node = faulty_tree_own(&job->sim->tree, job->file->handle.node);
    if (node == NULL) {
        return FIRN_ENOMEM;
    }
    *target = find_target(job);
    int rc = 0;
    if (target->from < target->to) {
        struct faulty_node *there = faulty_tree_own(&job->sim->tree, target->node);
        rc = there == NULL
                 ? FIRN_ENOMEM
                 : add_effect(job, &there->content, target->from, target->to - target->from);
    }
    return rc == 0 ? write_cache(job, &node->content) : rc;
}

static int write_now(struct job *job, size_t *done, struct firn_error *err)
{
    struct faulty_call *call = job->call;
    struct target target;
    faulty_call_mutate(job->sim, call);
    int rc = write_pending(job, &target);
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    rc = faulty_call_survive(job->sim, call, err);
    if (rc != 0) {
        return rc;
    }
    if (hit_by(job, FIRN_FAULTY_LOSE)) {
        int code = call->fault.code != 0 ? call->fault.code : FIRN_EIO;
        rc = faulty_file_lose(job->sim, target.node, target.from, target.to, code);
    } else if (job->durable) {
        rc = make_durable(job, &target);
    }
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    rc = job->durable ? faulty_file_finish(job->file, call, err)
                      : faulty_call_middle(job->sim, call, err);
    if (rc == 0) {
        *done = (size_t)job->n;
    }
    return rc;
}

/* As much of `limit` bytes as ends at the end of a sector; where some must be written, the first
 * sector. */
static uint64_t whole_sectors(const struct faulty_call *call, uint64_t limit, uint64_t fit)
{
    uint64_t end = (call->offset + limit) / FAULTY_SECTOR * FAULTY_SECTOR;
    if (end > call->offset || limit == 0) {
        return limit == 0 ? 0 : end - call->offset;
    }
    end += FAULTY_SECTOR;
    return call->fault.what != FIRN_FAULTY_SHORT ? 0
           : end - call->offset < fit            ? end - call->offset
                                                 : fit;
}

/* Begins the call and finds out how much can be written. */
static int write_begin(struct job *job, struct firn_error *err)
{
    struct faulty_call *call = job->call;
    if (job->file->handle.dead) {
        return faulty_call_fail(call, FIRN_ECLOSED, err);
    }
    int rc = faulty_call_begin(job->sim, call, err);
    if (rc != 0) {
        return rc;
    }
    if (!job->file->writable) {
        return faulty_call_fail(call, FIRN_EREADONLY, err);
    }
    if (call->offset > FAULTY_FILE_MOST || call->length > FAULTY_FILE_MOST - call->offset) {
        return faulty_call_fail(call, FIRN_ETOOBIG, err);
    }
    const struct faulty_node *node = faulty_tree_get(&job->sim->tree, job->file->handle.node);
    uint64_t fit = faulty_space_fit(job->sim, &node->content, call->offset, call->length);
    job->n = faulty_file_limit(call, fit);
    if (job->sim->options.whole_sectors && job->n < fit) {
        job->n = whole_sectors(call, job->n, fit);
    }
    if (fit == 0 && call->length > 0) {
        return faulty_call_fail(call, FIRN_ENOSPC, err);
    }
    return 0;
}

static int write_job(struct job *job, size_t *done, struct firn_error *err)
{
    int rc = write_begin(job, err);
    if (rc != 0) {
        return rc;
    }
    if (job->n > 0) {
        rc = write_now(job, done, err);
    }
    if (rc == 0 && hit_by(job, FIRN_FAULTY_FAIL)) {
        rc = job->n == 0 ? faulty_call_middle(job->sim, job->call, err) : 0;
        rc = rc != 0 ? rc : faulty_call_fault(job->call, err);
    }
    return rc;
}

int faulty_writev(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                  unsigned flags, size_t *done, struct firn_error *err)
{
    struct faulty_file *file = (struct faulty_file *)(void *)base;
    bool durable = (flags & FIRN_WRITE_DURABLE) != 0;
    struct faulty_call call = {
        .op = durable ? FIRN_FAULTY_WRITE_DURABLE : FIRN_FAULTY_WRITE,
        .path = file->path,
        .offset = offset,
    };
    struct job job = {.sim = file->handle.sim, .file = file, .call = &call, .durable = durable};
    size_t total = 0;
    *done = 0;
    if (job.sim == NULL) {
        return faulty_call_fail(&call, FIRN_ECLOSED, err);
    }
    if (faulty_file_total(iov, count, &total) != 0 ||
        (flags & ~(unsigned)FIRN_WRITE_DURABLE) != 0) {
        return faulty_call_fail(&call, FIRN_EINVAL, err);
    }
    job.blob = gather(iov, count, total);
    if (job.blob == NULL) {
        return faulty_call_fail(&call, FIRN_ENOMEM, err);
    }
    call.length = total;
    faulty_enter(job.sim);
    int rc = faulty_call_end(job.sim, &call, write_job(&job, done, err));
    faulty_blob_drop(job.blob);
    return rc;
}
