/* SPDX-License-Identifier: MIT */
/* Functions of an open file, save writing. */
#include <stdlib.h>

#include "faulty/sim.h"

static struct faulty_file *file_of(struct firn_file *base)
{
    return (struct faulty_file *)(void *)base;
}

/* Takes the mutex. FIRN_ECLOSED for a file whose process or machine is gone. */
static int begin(struct faulty_file *file, struct faulty_call *call, struct firn_error *err)
{
    struct firn_faulty *sim = file->handle.sim;
    call->path = file->path;
    faulty_enter(sim);
    if (file->handle.dead) {
        return faulty_call_fail(call, FIRN_ECLOSED, err);
    }
    return faulty_call_begin(sim, call, err);
}

/* FIRN_ECLOSED where the simulator is gone, so that there is nothing to lock. */
static int check(const struct faulty_file *file, struct firn_error *err)
{
    if (file->handle.sim != NULL) {
        return 0;
    }
    return firn_error_set(err, FIRN_ECLOSED, 0, "%s: its storage is gone", file->path);
}

static void faulty_close(struct firn_file *base)
{
    if (base != NULL) {
        struct faulty_file *file = file_of(base);
        faulty_handle_remove(&file->handle);
        free(file);
    }
}

void faulty_file_note(struct firn_faulty *sim, uint32_t node, int code)
{
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (handle->kind == FAULTY_FILE && !handle->dead && handle->node == node) {
            char *start = (char *)handle - offsetof(struct faulty_file, handle);
            ((struct faulty_file *)(void *)start)->error = code;
        }
    }
}

/* Reports an error of writing back that is noted with the handle, once. */
static int report(struct faulty_file *file, const struct faulty_call *call, struct firn_error *err)
{
    int code = file->error;
    file->error = 0;
    if (code == 0) {
        return 0;
    }
    return firn_error_set(err, code, faulty_os_error(code),
                          "%s: %s failed: %s, when data was written back", call->path,
                          firn_faulty_op_name(call->op), firn_strerror(code));
}

int faulty_file_finish(struct faulty_file *file, struct faulty_call *call, struct firn_error *err)
{
    int rc = faulty_call_middle(file->handle.sim, call, err);
    if (rc == 0 && file->handle.dead) {
        rc = faulty_call_fail(call, FIRN_ECLOSED, err);
    }
    return rc != 0 ? rc : report(file, call, err);
}

/* ---- size and reading --------------------------------------------------------------------- */

static const struct faulty_content *content_of(const struct faulty_file *file)
{
    return &faulty_tree_get(&file->handle.sim->tree, file->handle.node)->content;
}

static int faulty_size_of(struct firn_file *base, uint64_t *bytes, struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_SIZE_OF};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    rc = begin(file, &call, err);
    if (rc == 0) {
        uint64_t size = content_of(file)->size;
        rc = faulty_call_middle(file->handle.sim, &call, err);
        *bytes = rc == 0 ? size : *bytes;
    }
    return faulty_call_end(file->handle.sim, &call, rc);
}

/* How many of `n` bytes a fault lets through. */
uint64_t faulty_file_limit(const struct faulty_call *call, uint64_t n)
{
    if (!call->hit ||
        (call->fault.what != FIRN_FAULTY_SHORT && call->fault.what != FIRN_FAULTY_FAIL)) {
        return n;
    }
    uint64_t limit = call->fault.bytes;
    if (limit == FIRN_FAULTY_HALF) {
        limit = n / 2;
    }
    if (limit == 0 && call->fault.what == FIRN_FAULTY_SHORT) {
        limit = 1;
    }
    return limit < n ? limit : n;
}

/* Copies `n` bytes at `offset`; bit `flip` of byte `at` is flipped, unless `flip` is 0. */
static void copy_out(const struct faulty_table *table, uint64_t offset, uint64_t n,
                     const struct iovec *iov, uint64_t at, uint8_t flip)
{
    uint64_t done = 0;
    for (size_t i = 0; done < n; i++) {
        uint64_t left = n - done;
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;
        faulty_table_read(table, offset + done, iov[i].iov_base, part);
        if (flip != 0 && at >= done && at - done < part) {
            uint8_t *byte = (uint8_t *)iov[i].iov_base + (at - done);
            *byte = (uint8_t)(*byte ^ flip);
        }
        done += part;
    }
}

static int read_now(struct faulty_file *file, struct faulty_call *call, const struct iovec *iov,
                    size_t *done, struct firn_error *err)
{
    struct firn_faulty *sim = file->handle.sim;
    if (content_of(file)->mapped > 0 || faulty_share_find(sim, file->handle.node) != NULL) {
        if (faulty_share_store(sim) != 0) {
            return faulty_call_fail(call, FIRN_ENOMEM, err);
        }
    }
    const struct faulty_content *content = content_of(file);
    uint64_t left = content->size > call->offset ? content->size - call->offset : 0;
    uint64_t n = faulty_file_limit(call, call->length < left ? call->length : left);
    bool flips = call->hit && call->fault.what == FIRN_FAULTY_FLIP && n > 0;
    copy_out(&content->current, call->offset, n, iov, flips ? call->fault.byte % n : 0,
             (uint8_t)(flips ? 1U << call->fault.bit : 0U));
    *done = (size_t)n;
    int rc = faulty_call_middle(sim, call, err);
    if (rc == 0 && call->hit && call->fault.what == FIRN_FAULTY_FAIL) {
        rc = faulty_call_fault(call, err);
    }
    return rc;
}

/* The bytes of all the pieces. FIRN_EINVAL if that is not a number of bytes. */
int faulty_file_total(const struct iovec *iov, int count, size_t *total)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > SIZE_MAX / 2 - sum) {
            return FIRN_EINVAL;
        }
        sum += iov[i].iov_len;
    }
    *total = sum;
    return count < 0 ? FIRN_EINVAL : 0;
}

static int faulty_readv(struct firn_file *base, const struct iovec *iov, int count, uint64_t offset,
                        size_t *done, struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_READ, .path = file->path, .offset = offset};
    size_t total = 0;
    *done = 0;
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    rc = faulty_file_total(iov, count, &total);
    if (rc != 0) {
        return faulty_call_fail(&call, rc, err);
    }
    call.length = total;
    rc = begin(file, &call, err);
    if (rc == 0) {
        rc = read_now(file, &call, iov, done, err);
    }
    return faulty_call_end(file->handle.sim, &call, rc);
}

/* ---- sync and writeback ------------------------------------------------------------------- */

int faulty_file_lose(struct firn_faulty *sim, uint32_t number, uint64_t from, uint64_t to, int code)
{
    struct faulty_node *node = faulty_tree_own(&sim->tree, number);
    if (node == NULL || faulty_pending_lose(&node->content, from, to) != 0 ||
        faulty_space_settle(&node->content, from, to, true) != 0) {
        return FIRN_ENOMEM;
    }
    faulty_file_note(sim, number, code);
    return 0;
}

static int fault_code(const struct faulty_call *call)
{
    return call->fault.code != 0 ? call->fault.code : FIRN_EIO;
}

/* Writes back all that is pending; errors are noted, not returned. */
static int sync_now(struct faulty_file *file, struct faulty_call *call)
{
    struct firn_faulty *sim = file->handle.sim;
    uint32_t number = file->handle.node;
    if (call->hit && call->fault.what == FIRN_FAULTY_LOSE) {
        return faulty_file_lose(sim, number, 0, UINT64_MAX, fault_code(call));
    }
    if (call->hit && call->fault.what == FIRN_FAULTY_FORGET) {
        return 0;
    }
    const struct faulty_content *content = content_of(file);
    if (!faulty_space_backed(sim, content, 0, UINT64_MAX)) {
        return faulty_file_lose(sim, number, 0, UINT64_MAX, FIRN_ENOSPC);
    }
    if (content->effects.count == 0 && content->touched.count == 0) {
        return 0;
    }
    struct faulty_node *node = faulty_tree_own(&sim->tree, number);
    if (node == NULL || faulty_pending_sync(&node->content) != 0) {
        return FIRN_ENOMEM;
    }
    return faulty_space_settle(&node->content, 0, UINT64_MAX, false);
}

static int faulty_sync(struct firn_file *base, struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_SYNC};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    struct firn_faulty *sim = file->handle.sim;
    rc = begin(file, &call, err);
    if (rc == 0) {
        faulty_call_mutate(sim, &call);
        rc = faulty_call_survive(sim, &call, err);
    }
    if (rc == 0) {
        int result = sync_now(file, &call);
        rc = result != 0 ? faulty_call_fail(&call, result, err)
                         : faulty_file_finish(file, &call, err);
    }
    return faulty_call_end(sim, &call, rc);
}

static int writeback(struct firn_file *base, uint64_t offset, uint64_t length, bool await,
                     struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_WRITEBACK, .offset = offset, .length = length};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    struct firn_faulty *sim = file->handle.sim;
    rc = begin(file, &call, err);
    if (rc == 0 && call.hit && call.fault.what == FIRN_FAULTY_LOSE) {
        uint64_t end = offset + length < offset ? UINT64_MAX : offset + length;
        if (faulty_file_lose(sim, file->handle.node, offset, end, fault_code(&call)) != 0) {
            rc = faulty_call_fail(&call, FIRN_ENOMEM, err);
        }
    }
    if (rc == 0) {
        rc = await ? faulty_file_finish(file, &call, err) : faulty_call_middle(sim, &call, err);
    }
    return faulty_call_end(sim, &call, rc);
}

static int faulty_writeback_start(struct firn_file *base, uint64_t offset, uint64_t length,
                                  struct firn_error *err)
{
    return writeback(base, offset, length, false, err);
}

static int faulty_writeback_await(struct firn_file *base, uint64_t offset, uint64_t length,
                                  struct firn_error *err)
{
    return writeback(base, offset, length, true, err);
}

static void faulty_advise(struct firn_file *base, uint64_t offset, uint64_t length,
                          enum firn_advice advice)
{
    (void)base, (void)offset, (void)length, (void)advice;
}

/* ---- changes of size ---------------------------------------------------------------------- */

/* FIRN_EREADONLY, FIRN_ETOOBIG; the mutex is held on any return but that of check. */
static int begin_change(struct faulty_file *file, struct faulty_call *call, uint64_t end,
                        struct firn_error *err)
{
    int rc = begin(file, call, err);
    if (rc == 0 && !file->writable) {
        rc = faulty_call_fail(call, FIRN_EREADONLY, err);
    }
    if (rc == 0 && end > FAULTY_FILE_MOST) {
        rc = faulty_call_fail(call, FIRN_ETOOBIG, err);
    }
    return rc;
}

static int reserve_now(struct faulty_file *file, struct faulty_call *call, struct firn_error *err)
{
    struct firn_faulty *sim = file->handle.sim;
    uint64_t end = call->offset + call->length;
    if (faulty_space_fit(sim, content_of(file), call->offset, call->length) < call->length) {
        return faulty_call_fail(call, FIRN_ENOSPC, err);
    }
    faulty_call_mutate(sim, call);
    struct faulty_node *node = faulty_tree_own(&sim->tree, file->handle.node);
    if (node == NULL ||
        faulty_bits_add(&node->content.allocated, call->offset / FAULTY_PAGE,
                        (end - 1) / FAULTY_PAGE + 1) != 0 ||
        faulty_content_grow(&node->content, end, end, call->mutation) != 0) {
        return faulty_call_fail(call, FIRN_ENOMEM, err);
    }
    int rc = faulty_call_survive(sim, call, err);
    return rc != 0 ? rc : faulty_call_middle(sim, call, err);
}

static int faulty_reserve(struct firn_file *base, uint64_t offset, uint64_t length,
                          struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_RESERVE, .offset = offset, .length = length};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    uint64_t end = offset + length < offset ? UINT64_MAX : offset + length;
    rc = begin_change(file, &call, end, err);
    if (rc == 0 && length > 0) {
        rc = reserve_now(file, &call, err);
    }
    return faulty_call_end(file->handle.sim, &call, rc);
}

static int truncate_now(struct faulty_file *file, struct faulty_call *call, struct firn_error *err)
{
    struct firn_faulty *sim = file->handle.sim;
    uint64_t size = call->offset;
    faulty_call_mutate(sim, call);
    struct faulty_node *node = faulty_tree_own(&sim->tree, file->handle.node);
    int rc = FIRN_ENOMEM;
    if (node != NULL && size < node->content.size) {
        rc = faulty_content_shrink(&node->content, size, call->mutation);
    } else if (node != NULL) {
        rc = faulty_content_grow(&node->content, size, size, call->mutation);
    }
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    rc = faulty_call_survive(sim, call, err);
    return rc != 0 ? rc : faulty_call_middle(sim, call, err);
}

static int faulty_truncate(struct firn_file *base, uint64_t size, struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_TRUNCATE, .offset = size};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    rc = begin_change(file, &call, size, err);
    if (rc == 0) {
        rc = truncate_now(file, &call, err);
    }
    return faulty_call_end(file->handle.sim, &call, rc);
}

/* ---- locks ------------------------------------------------------------------------------- */

static const struct faulty_handle *find_locked(const struct firn_faulty *sim, uint32_t node)
{
    for (const struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (handle->kind == FAULTY_FILE && !handle->dead && handle->node == node) {
            const char *start = (const char *)handle - offsetof(struct faulty_file, handle);
            if (((const struct faulty_file *)(const void *)start)->locked) {
                return handle;
            }
        }
    }
    return NULL;
}

static int lock_now(struct faulty_file *file, struct faulty_call *call, struct firn_error *err)
{
    struct firn_faulty *sim = file->handle.sim;
    const struct faulty_handle *other = find_locked(sim, file->handle.node);
    if (other != NULL && other != &file->handle) {
        return firn_error_set(err, FIRN_ELOCKED, 0,
                              "%s: an open file of process %lld has locked it", call->path,
                              (long long)other->process);
    }
    bool was = file->locked;
    file->locked = true;
    int rc = faulty_call_middle(sim, call, err);
    file->locked = rc == 0 || was;
    return rc;
}

static int faulty_lock_file(struct firn_file *base, struct firn_error *err)
{
    struct faulty_file *file = file_of(base);
    struct faulty_call call = {.op = FIRN_FAULTY_LOCK};
    int rc = check(file, err);
    if (rc != 0) {
        return rc;
    }
    rc = begin(file, &call, err);
    if (rc == 0) {
        rc = lock_now(file, &call, err);
    }
    return faulty_call_end(file->handle.sim, &call, rc);
}

const struct firn_file_ops faulty_file_ops = {
    .size = sizeof(struct firn_file_ops),
    .close = faulty_close,
    .size_of = faulty_size_of,
    .readv = faulty_readv,
    .writev = faulty_writev,
    .sync = faulty_sync,
    .reserve = faulty_reserve,
    .truncate = faulty_truncate,
    .writeback_start = faulty_writeback_start,
    .writeback_await = faulty_writeback_await,
    .advise = faulty_advise,
    .lock = faulty_lock_file,
};
