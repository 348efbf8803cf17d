/* SPDX-License-Identifier: MIT */
/*
 * The inside of the stack. With a journal, `reserved` and `last_epoch` are under change_lock, as is
 * all that changes the file. Without one, what `single` has is.
 */
#ifndef STACK_STACK_PRIVATE_H
#define STACK_STACK_PRIVATE_H

#include "base/gate.h"
#include "base/lock.h"
#include "disk/disk.h"
#include "journal/journal.h"
#include "stack/stack.h"

enum { STACK_HEADER = 16 }; /* bytes of the file before the content */

/* Of the content; what files have, and sums of them never overflow. */
#define STACK_MOST ((UINT64_C(1) << 62) - STACK_HEADER)

/* A stack without a journal. */
struct single {
    struct firn_file *file;
    struct gate gate;
    pthread_rwlock_t content; /* held to write while anything changes that readers may see */
    uint64_t length;          /* under it */
    bool poisoned;            /* under change_lock, as is the next */
    struct firn_error poison;
};

struct firn_stack {
    struct journal *journal; /* NULL: there is none */
    struct single single;
    struct firn_disk *disk;
    char *path;
    bool read_only;
    struct lock change_lock;
    uint64_t last_epoch; /* of the newest change; 0: none */
    uint64_t reserved;   /* bytes of the file that are known to have space */
    const void *holder;  /* under change_lock: who alone changes the length; NULL: everybody */
};

/* ---- the header (mark.c) ---- */

extern const struct journal_kind stack_kind;

/* The header of a plain file. */
void stack_encode(uint64_t content, uint8_t bytes[STACK_HEADER]);
/*
 * How long a file without a mark is, header and content; with `repair` it is as its header says
 * from then on, durably. That it already was where `*length` is its length. FIRN_EFORMAT;
 * FIRN_EMISMATCH: it has a mark.
 */
int stack_settle(const char *path, struct firn_file *file, bool repair, uint64_t *length,
                 struct firn_error *err);

/* ---- either kind ---- */

int stack_enter(struct firn_stack *stack, struct firn_error *err);
void stack_leave(struct firn_stack *stack);
int stack_writable(const struct firn_stack *stack, struct firn_error *err);

/* See journal_look; offsets are those of the content. */
int stack_look(struct firn_stack *stack, struct journal_look *look, void *buffer,
               struct firn_error *err);
int stack_beyond(const struct firn_stack *stack, uint64_t offset, uint64_t bytes, uint64_t length,
                 struct firn_error *err);

/* ---- without a journal (single.c) ---- */

int single_open(struct firn_stack *stack, const struct firn_stack_options *options,
                struct firn_error *err);
int single_close(struct firn_stack *stack, struct firn_error *err);
int single_destroy(struct firn_stack *stack, struct firn_error *err);
uint64_t single_length(struct firn_stack *stack);
int single_look(struct firn_stack *stack, struct journal_look *look, void *buffer,
                struct firn_error *err);
/* With change_lock: the length. FIRN_EPOISONED. */
int single_begin(const struct firn_stack *stack, uint64_t *length, struct firn_error *err);
/* With change_lock: a change that can be, whose buffers have `appended` bytes. */
int single_apply(struct firn_stack *stack, const struct firn_stack_change *change,
                 uint64_t appended, struct firn_error *err);

#endif
