/* SPDX-License-Identifier: MIT */
/* Reading, figures, and looking for damage. */
#include <stdlib.h>

#include "stack/stack_private.h"

enum { VERIFY_BYTES = 256 * 1024, PIECE = 4096 };

/* ---- reading ---- */

int stack_look(struct firn_stack *stack, struct journal_look *look, void *buffer,
               struct firn_error *err)
{
    look->base = STACK_HEADER;
    return stack->journal ? journal_look(stack->journal, look, buffer, err)
                          : single_look(stack, look, buffer, err);
}

uint64_t firn_stack_length(struct firn_stack *stack)
{
    return stack->journal ? journal_durable_length(stack->journal) - STACK_HEADER
                          : single_length(stack);
}

static int read_durable(struct firn_stack *stack, struct journal_look *look, void *buffer,
                        struct firn_error *err)
{
    look->durable = true;
    return stack_look(stack, look, buffer, err);
}

int firn_stack_get(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                   struct firn_error *err)
{
    struct journal_look look = {.from = offset, .bytes = size, .least = size};
    return read_durable(stack, &look, buffer, err);
}

int firn_stack_peek(struct firn_stack *stack, uint64_t offset, void *buffer, size_t size,
                    size_t *got, struct firn_error *err)
{
    struct journal_look look = {.from = offset, .bytes = size};
    int rc = read_durable(stack, &look, buffer, err);
    if (rc == 0)
        *got = (size_t)look.got;
    return rc;
}

/* ---- figures ---- */

void firn_stack_get_info(struct firn_stack *stack, struct firn_stack_info *info)
{
    struct journal_info journal = {0};
    if (stack->journal)
        journal_get_info(stack->journal, &journal);
    *info = (struct firn_stack_info){
        .length = firn_stack_length(stack),
        .recovered = journal.recovered,
        .replayed = journal.replayed,
        .journal_bytes = journal.journal_bytes,
        .journal_pending = journal.pending_bytes,
        .applies = journal.applies,
        .applied_bytes = journal.applied_bytes,
        .applied_writes = journal.applied_writes,
    };
    if (stack->journal && !stack->read_only)
        commit_get_stats(journal_commit(stack->journal), &info->commit);
}

/* ---- verify ---- */

static int read_part(struct firn_stack *stack, uint64_t offset, uint8_t *buffer, size_t bytes,
                     uint64_t *got, struct firn_error *err)
{
    struct journal_look look = {.from = offset, .bytes = bytes};
    int rc = read_durable(stack, &look, buffer, err);
    *got = rc == 0 ? look.got : 0;
    return rc == FIRN_ERANGE ? 0 : rc; /* it is shorter by now */
}

/* Piece by piece, where all of them together can't be read. */
static int read_singly(struct firn_stack *stack, uint64_t offset, uint64_t end, uint8_t *buffer,
                       struct firn_stack_check *check, struct firn_error *err)
{
    for (uint64_t at = offset; at < end; at += PIECE) {
        struct firn_error cause;
        uint64_t got, bytes = end - at < PIECE ? end - at : PIECE;
        int rc = read_part(stack, at, buffer, (size_t)bytes, &got, &cause);
        if (rc == FIRN_ECLOSED)
            return firn_error_set(err, rc, 0, "%s", cause.message);
        check->bytes += rc < 0 ? bytes : got;
        if (rc < 0 && check->unreadable == 0)
            firn_error_set(err, FIRN_EDAMAGED, cause.os_error, "byte %llu: %s",
                           (unsigned long long)at, cause.message);
        check->unreadable += rc < 0 ? bytes : 0;
    }
    return 0;
}

static int read_all(struct firn_stack *stack, struct firn_stack_check *check,
                    struct firn_error *err)
{
    uint64_t length = firn_stack_length(stack), got = VERIFY_BYTES;
    uint8_t *buffer = malloc(VERIFY_BYTES);
    int rc = buffer ? 0 : firn_error_set(err, FIRN_ENOMEM, 0, "%s: no memory", stack->path);
    for (uint64_t at = 0; rc == 0 && at < length; at += VERIFY_BYTES) {
        uint64_t end = length - at < VERIFY_BYTES ? length : at + VERIFY_BYTES;
        if (read_part(stack, at, buffer, (size_t)(end - at), &got, NULL) == 0)
            check->bytes += got;
        else
            rc = read_singly(stack, at, end, buffer, check, err);
    }
    free(buffer);
    return rc < 0 || check->unreadable == 0 ? rc : FIRN_EDAMAGED;
}

static int verify_journal(struct firn_stack *stack, struct firn_stack_check *check,
                          struct firn_error *err)
{
    struct journal_check journal = {0};
    int rc = stack_enter(stack, err);
    if (rc < 0)
        return rc;
    if (stack->journal)
        rc = journal_verify(stack->journal, &journal, err);
    check->records = journal.records;
    check->damaged_slots = journal.damaged_slots;
    stack_leave(stack);
    return rc;
}

int firn_stack_verify(struct firn_stack *stack, struct firn_stack_check *check,
                      struct firn_error *err)
{
    *check = (struct firn_stack_check){0};
    int found = verify_journal(stack, check, err);
    if (found < 0 && found != FIRN_EDAMAGED)
        return found;
    int rc = read_all(stack, check, found < 0 ? NULL : err);
    return rc < 0 ? rc : found;
}
