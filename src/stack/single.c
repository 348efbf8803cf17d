/* SPDX-License-Identifier: MIT */
/*
 * A stack without a journal: one file. New bytes are durable before the length covers them, and the
 * length is shorter before the file is. What is changed in place may be torn by a crash. A failed
 * write or sync poisons; that there is no space is found out before.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "stack/stack_private.h"

enum { AT_LENGTH = 8 };

/* ---- opening and closing ---- */

static int sync_parent(struct firn_stack *stack, struct firn_error *err)
{
    char dir[DISK_PATH_SIZE];
    int rc = disk_path_parent(dir, sizeof dir, stack->path, err);
    return rc == 0 ? disk_sync_dir(stack->disk, dir, err) : rc;
}

static int open_file(struct firn_stack *stack, const struct firn_stack_options *options,
                     struct firn_error *err)
{
    unsigned flags = options->read_only ? FIRN_OPEN_READ : FIRN_OPEN_WRITE;
    if (!options->read_only && !options->must_exist)
        flags |= FIRN_OPEN_CREATE;
    uint64_t length = 0;
    int rc = disk_open(stack->disk, stack->path, flags, &stack->single.file, err);
    if (rc == 0)
        rc = disk_claim_file(stack->single.file, options->read_only, err);
    if (rc == 0)
        rc = stack_settle(stack->path, stack->single.file, !options->read_only, &length, err);
    if (rc == 0 && flags & FIRN_OPEN_CREATE) /* whoever created it may not have lived to do so */
        rc = sync_parent(stack, err);
    stack->single.length = rc == 0 ? length - STACK_HEADER : 0;
    return rc;
}

static void release(struct firn_stack *stack)
{
    disk_close(stack->single.file);
    gate_done(&stack->single.gate);
    pthread_rwlock_destroy(&stack->single.content);
}

int single_open(struct firn_stack *stack, const struct firn_stack_options *options,
                struct firn_error *err)
{
    gate_init(&stack->single.gate);
    pthread_rwlock_init(&stack->single.content, NULL);
    int rc = open_file(stack, options, err);
    if (rc < 0)
        release(stack);
    return rc;
}

static int poisoned(const struct firn_stack *stack, struct firn_error *err)
{
    if (!stack->single.poisoned)
        return 0;
    if (err)
        *err = stack->single.poison;
    if (err)
        err->code = FIRN_EPOISONED;
    return FIRN_EPOISONED;
}

int single_close(struct firn_stack *stack, struct firn_error *err)
{
    gate_close(&stack->single.gate);
    gate_await(&stack->single.gate);
    int rc = poisoned(stack, err);
    release(stack);
    return rc;
}

int single_destroy(struct firn_stack *stack, struct firn_error *err)
{
    gate_close(&stack->single.gate);
    gate_await(&stack->single.gate);
    int rc = disk_remove(stack->disk, stack->path, err);
    if (rc == 0)
        rc = sync_parent(stack, err);
    release(stack);
    return rc;
}

/* ---- reading ---- */

uint64_t single_length(struct firn_stack *stack)
{
    pthread_rwlock_rdlock(&stack->single.content);
    uint64_t length = stack->single.length;
    pthread_rwlock_unlock(&stack->single.content);
    return length;
}

static int read_some(struct firn_stack *stack, struct journal_look *look, void *buffer,
                     struct firn_error *err)
{
    uint64_t length = stack->single.length;
    if (look->from > length || length - look->from < look->least)
        return stack_beyond(stack, look->from, look->least, length, err);
    uint64_t left = length - look->from;
    size_t got = 0, bytes = (size_t)(look->bytes < left ? look->bytes : left);
    int rc = bytes ? disk_read_full(stack->single.file, buffer, bytes, STACK_HEADER + look->from,
                                    &got, err)
                   : 0;
    look->got = bytes;
    if (rc == 0 && got < bytes)
        return firn_error_set(err, FIRN_EDAMAGED, 0,
                              "%s: ends at byte %llu, before it should: somebody has cut it",
                              stack->path, (unsigned long long)(STACK_HEADER + look->from + got));
    return rc;
}

int single_look(struct firn_stack *stack, struct journal_look *look, void *buffer,
                struct firn_error *err)
{
    int rc = stack_enter(stack, err);
    if (rc < 0)
        return rc;
    pthread_rwlock_rdlock(&stack->single.content);
    rc = read_some(stack, look, buffer, err);
    pthread_rwlock_unlock(&stack->single.content);
    stack_leave(stack);
    return rc;
}

/* ---- changes ---- */

int single_begin(const struct firn_stack *stack, uint64_t *length, struct firn_error *err)
{
    *length = stack->single.length;
    return poisoned(stack, err);
}

/* Durably. */
static int write_length(struct firn_stack *stack, uint64_t length, struct firn_error *err)
{
    uint8_t bytes[8];
    store_le_u64(bytes, length);
    return disk_write_full(stack->single.file, bytes, sizeof bytes, AT_LENGTH, FIRN_WRITE_DURABLE,
                           err);
}

static int write_buffers(struct firn_stack *stack, const struct firn_stack_change *change,
                         uint64_t offset, struct firn_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < change->append_count; i++) {
        const struct iovec *from = &change->append[i];
        rc = disk_write_full(stack->single.file, from->iov_base, from->iov_len,
                             STACK_HEADER + offset, 0, err);
        offset += from->iov_len;
    }
    return rc;
}

/* Space for what is new, which reads as zero. Every failure passes. */
static int make_space(struct firn_stack *stack, uint64_t length, uint64_t after,
                      struct firn_error *err)
{
    uint64_t size;
    int rc = disk_size_of(stack->single.file, &size, err);
    if (rc == 0 && size > STACK_HEADER + length)
        rc = disk_truncate(stack->single.file, STACK_HEADER + length, err);
    if (rc == 0 && after > length)
        rc = disk_reserve(stack->single.file, STACK_HEADER + length, after - length, err);
    return rc;
}

/* What is appended, over what is cut off. */
static int write_end(struct firn_stack *stack, const struct firn_stack_change *change, uint64_t end,
                     uint64_t appended, uint64_t length, struct firn_error *err)
{
    uint64_t zeros = end + appended;
    uint64_t until = zeros + change->append_zeros < length ? zeros + change->append_zeros : length;
    int rc = write_buffers(stack, change, end, err);
    if (rc == 0 && zeros < until)
        rc = disk_write_zeros(stack->single.file, STACK_HEADER + zeros, until - zeros, 0, err);
    return rc == 0 ? disk_sync(stack->single.file, err) : rc;
}

/* The length is `after` from now on, for readers too; what lies behind it goes. */
static int publish(struct firn_stack *stack, uint64_t after, struct firn_error *err)
{
    bool shrinks = after < stack->single.length;
    stack->single.length = after;
    return shrinks ? disk_truncate(stack->single.file, STACK_HEADER + after, err) : 0;
}

static int replace_end(struct firn_stack *stack, const struct firn_stack_change *change,
                       uint64_t appended, struct firn_error *err)
{
    uint64_t length = stack->single.length, end = length - change->cut;
    uint64_t after = end + appended + change->append_zeros;
    bool writes = after > end, overwrites = writes && change->cut > 0;
    int rc = 0;
    if (overwrites)
        pthread_rwlock_wrlock(&stack->single.content);
    if (writes)
        rc = write_end(stack, change, end, appended, length, err);
    if (rc == 0 && after != length)
        rc = write_length(stack, after, err);
    if (!overwrites)
        pthread_rwlock_wrlock(&stack->single.content);
    if (rc == 0)
        rc = publish(stack, after, err);
    pthread_rwlock_unlock(&stack->single.content);
    return rc;
}

static int overwrite(struct firn_stack *stack, const struct firn_stack_write *write,
                     struct firn_error *err)
{
    uint64_t at = STACK_HEADER + write->offset;
    pthread_rwlock_wrlock(&stack->single.content);
    int rc = write->bytes
                 ? disk_write_full(stack->single.file, write->bytes, (size_t)write->size, at,
                                   FIRN_WRITE_DURABLE, err)
                 : disk_write_zeros(stack->single.file, at, write->size, FIRN_WRITE_DURABLE, err);
    pthread_rwlock_unlock(&stack->single.content);
    return rc;
}

static int too_much(const struct firn_stack *stack, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ENOTSUP, 0,
                          "%s: a change in several places at once takes a journal", stack->path);
}

int single_apply(struct firn_stack *stack, const struct firn_stack_change *change,
                 uint64_t appended, struct firn_error *err)
{
    struct firn_error cause = {0};
    bool end = change->cut > 0 || appended > 0 || change->append_zeros > 0;
    uint64_t length = stack->single.length;
    if (change->write_count > 1 || (end && change->write_count > 0))
        return too_much(stack, err);
    int rc = end ? make_space(stack, length, length - change->cut + appended + change->append_zeros,
                              err)
                 : 0;
    if (rc < 0)
        return rc;
    rc = end ? replace_end(stack, change, appended, &cause)
             : overwrite(stack, change->writes, &cause);
    if (rc < 0) {
        stack->single.poisoned = true;
        stack->single.poison = cause;
        if (err)
            *err = cause;
    }
    return rc;
}
