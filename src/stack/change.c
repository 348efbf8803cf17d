/* SPDX-License-Identifier: MIT */
/*
 * A change. Under the change lock it is decided on, by what all changes before it left, and staged:
 * cut, growth and ranges are one record of the journal. Then the lock is free for the next one, and
 * the group in which both are is waited for.
 *
 * What is cut off is not touched in the file. A growth says what all its bytes are, so none of them
 * comes back.
 */
#include <stdlib.h>

#include "stack/stack_private.h"

enum { FEW = 8 }; /* ranges that need no allocation */

/* A change as the journal takes it. */
struct draft {
    struct journal_range few_ranges[FEW];
    struct iovec few_buffers[FEW];
    struct journal_range *ranges;
    struct iovec *buffers;
    struct journal_change change;
};

/* ---- what it comes to ---- */

int stack_beyond(const struct firn_stack *stack, uint64_t offset, uint64_t bytes, uint64_t length,
                 struct firn_error *err)
{
    return firn_error_set(err, FIRN_ERANGE, 0, "%s: %llu bytes from %llu on; it has %llu",
                          stack->path, (unsigned long long)bytes, (unsigned long long)offset,
                          (unsigned long long)length);
}

static int too_big(const struct firn_stack *stack, struct firn_error *err)
{
    return firn_error_set(err, FIRN_ETOOBIG, 0, "%s: more than 2^62 bytes", stack->path);
}

/* What is appended, without its zeros. FIRN_ETOOBIG. */
static int count_appended(const struct firn_stack *stack, const struct firn_stack_change *change,
                          uint64_t *bytes, struct firn_error *err)
{
    *bytes = 0;
    for (int i = 0; i < change->append_count; i++) {
        if (change->append[i].iov_len > STACK_MOST - *bytes)
            return too_big(stack, err);
        *bytes += change->append[i].iov_len;
    }
    return 0;
}

static int check_writes(const struct firn_stack *stack, const struct firn_stack_change *change,
                        uint64_t length, struct firn_error *err)
{
    for (size_t i = 0; i < change->write_count; i++) {
        const struct firn_stack_write *write = &change->writes[i];
        if (write->offset > length || write->size > length - write->offset)
            return stack_beyond(stack, write->offset, write->size, length, err);
    }
    return 0;
}

/* Whether it can be; *after is the length that it leaves, *appended what its buffers have. */
static int check(const struct firn_stack *stack, const struct firn_stack_change *change,
                 uint64_t length, uint64_t *after, uint64_t *appended, struct firn_error *err)
{
    int rc = count_appended(stack, change, appended, err);
    if (rc < 0)
        return rc;
    if (change->cut > length)
        return firn_error_set(err, FIRN_ERANGE, 0, "%s: the last %llu bytes; it has %llu",
                              stack->path, (unsigned long long)change->cut,
                              (unsigned long long)length);
    *after = length - change->cut;
    if (*appended > STACK_MOST - *after || change->append_zeros > STACK_MOST - *after - *appended)
        return too_big(stack, err);
    *after += *appended + change->append_zeros;
    return check_writes(stack, change, *after, err);
}

static bool changes_nothing(const struct firn_stack_change *change, uint64_t appended)
{
    bool nothing = change->cut == 0 && appended == 0 && change->append_zeros == 0;
    for (size_t i = 0; nothing && i < change->write_count; i++)
        nothing = change->writes[i].size == 0;
    return nothing;
}

/* ---- a record of the journal ---- */

static int draft_init(const struct firn_stack *stack, struct draft *draft,
                      const struct firn_stack_change *change, struct firn_error *err)
{
    size_t ranges = change->write_count + 2;
    size_t buffers = change->write_count + (size_t)change->append_count;
    draft->ranges = draft->few_ranges;
    draft->buffers = draft->few_buffers;
    if (ranges > FEW)
        draft->ranges = malloc(ranges * sizeof *draft->ranges);
    if (buffers > FEW)
        draft->buffers = malloc(buffers * sizeof *draft->buffers);
    if (draft->ranges && draft->buffers)
        return 0;
    return firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory for a change", stack->path);
}

static void draft_done(struct draft *draft)
{
    if (draft->ranges != draft->few_ranges)
        free(draft->ranges);
    if (draft->buffers != draft->few_buffers)
        free(draft->buffers);
}

static void add_range(struct draft *draft, uint64_t offset, uint64_t bytes, bool zeros)
{
    if (bytes > 0)
        draft->ranges[draft->change.range_count++] = (struct journal_range){STACK_HEADER + offset,
                                                                            bytes, zeros};
}

static void fill(struct draft *draft, const struct firn_stack_change *change, uint64_t length,
                 uint64_t after, uint64_t appended)
{
    uint64_t end = length - change->cut;
    draft->change = (struct journal_change){.ranges = draft->ranges, .iov = draft->buffers};
    add_range(draft, end, appended, false);
    add_range(draft, end + appended, change->append_zeros, true);
    for (int i = 0; i < change->append_count; i++)
        draft->buffers[draft->change.iov_count++] = change->append[i];
    for (size_t i = 0; i < change->write_count; i++) {
        const struct firn_stack_write *write = &change->writes[i];
        add_range(draft, write->offset, write->size, !write->bytes);
        if (write->bytes)
            draft->buffers[draft->change.iov_count++] = (struct iovec){
                (void *)(uintptr_t)write->bytes, (size_t)write->size};
    }
    draft->change.set_length = after != length;
    draft->change.length = STACK_HEADER + after;
}

static int stage(struct firn_stack *stack, const struct firn_stack_change *change, uint64_t length,
                 uint64_t after, uint64_t appended, struct firn_error *err)
{
    struct draft draft;
    int rc = draft_init(stack, &draft, change, err);
    if (rc == 0) {
        fill(&draft, change, length, after, appended);
        rc = journal_fits(stack->journal, &draft.change, err);
    }
    if (rc == 0 && after > length && STACK_HEADER + after > stack->reserved)
        rc = journal_extend(stack->journal, STACK_HEADER + after, err);
    if (rc == 0)
        rc = journal_stage(stack->journal, &draft.change, &stack->last_epoch, err);
    draft_done(&draft);
    return rc;
}

/* ---- deciding ---- */

/* The length that all changes so far left. Where they are lost, why. */
static int look(struct firn_stack *stack, uint64_t *length, struct firn_error *err)
{
    if (!stack->journal)
        return single_begin(stack, length, err);
    int rc = journal_staged_length(stack->journal, length, err);
    *length -= STACK_HEADER;
    return rc;
}

static int held(const struct firn_stack *stack, struct firn_error *err)
{
    return firn_error_set(err, FIRN_EBUSY, 0,
                          "%s: while a slab is open in it, nobody else changes "
                          "its length",
                          stack->path);
}

static int make(struct firn_stack *stack, const struct firn_stack_change *change, uint64_t length,
                const void *holder, struct firn_error *err)
{
    uint64_t after = 0, appended = 0;
    int rc = check(stack, change, length, &after, &appended, err);
    if (rc == 0 && changes_nothing(change, appended))
        return STACK_NOTHING;
    if (rc == 0 && after != length && stack->holder && stack->holder != holder)
        rc = held(stack, err);
    if (rc != 0)
        return rc;
    return stack->journal ? stage(stack, change, length, after, appended, err)
                          : single_apply(stack, change, appended, err);
}

/* With change_lock. */
static int change_locked(struct firn_stack *stack, const struct stack_step *step,
                         struct firn_error *err)
{
    struct firn_stack_change change = {0};
    uint64_t length;
    int rc = look(stack, &length, err);
    if (rc < 0)
        return rc;
    rc = step->decide(step->arg, stack, length, &change, err);
    if (rc == 0)
        rc = make(stack, &change, length, step->holder, err);
    if (step->settle)
        step->settle(step->arg, rc == 0);
    return rc;
}

/* Whether it depends on what others staged. */
static bool is_decided(int found)
{
    return found >= 0 || found == STACK_NOTHING || found == FIRN_ERANGE || found == FIRN_EINVAL ||
           found == FIRN_ENOENT;
}

int stack_step(struct firn_stack *stack, const struct stack_step *step, struct firn_error *err)
{
    struct firn_error cause = {0};
    int rc = stack_writable(stack, err);
    if (rc == 0)
        rc = stack_enter(stack, err);
    if (rc < 0)
        return rc;
    lock_take(&stack->change_lock);
    int found = change_locked(stack, step, &cause);
    uint64_t epoch = stack->last_epoch;
    lock_release(&stack->change_lock);
    if (stack->journal && epoch > 0 && is_decided(found))
        rc = commit_wait(journal_commit(stack->journal), epoch, WAIT_FOREVER, err);
    stack_leave(stack);
    if (rc < 0)
        return rc;
    if (found == STACK_NOTHING)
        return 0;
    if (found != 0 && err)
        *err = cause;
    return found;
}

int stack_change(struct firn_stack *stack, stack_decide *decide, void *arg, struct firn_error *err)
{
    const struct stack_step step = {.decide = decide, .arg = arg};
    return stack_step(stack, &step, err);
}

int stack_read_staged(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                      struct firn_error *err)
{
    struct journal_look look = {.from = offset, .bytes = size, .least = size};
    return stack_look(stack, &look, buffer, err);
}
