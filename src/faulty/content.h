/* SPDX-License-Identifier: MIT */
/*
 * The content of one file: what is current, what is durable, and the pending effects between them.
 *
 * The list of effects is in the order in which they were issued. A write is bytes at an offset; a
 * growth or shrinkage is a new size. A write is never larger than what it changes: sectors that
 * are durable with the same bytes, and that no other effect touches, are left out.
 *
 * A lost effect (of a failed sync) stays in the list: it may have reached the medium in part, so it
 * can survive a power loss, but no sync makes it durable. Where effects overlap, the lost ones are
 * always older than those that are still pending, because bytes that are made durable, or lost, are
 * cut out of whatever was pending or lost there before.
 */
#ifndef FAULTY_CONTENT_H
#define FAULTY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faulty/page.h"

enum faulty_effect_kind { FAULTY_EFFECT_NONE, FAULTY_WROTE, FAULTY_GREW, FAULTY_SHRANK };

/* Bytes that effects share. */
struct faulty_blob;

struct faulty_effect {
    enum faulty_effect_kind kind;
    bool lost;
    uint64_t offset; /* of the bytes; the new size for the other kinds */
    uint64_t length;
    struct faulty_blob *blob;
    size_t start;  /* of the bytes in the blob */
    uint64_t time; /* number of the mutating operation */
};

struct faulty_effects {
    struct faulty_effect *items;
    size_t count;
    size_t capacity;
};

struct faulty_content {
    uint64_t size;
    uint64_t durable_size;
    struct faulty_table current;
    struct faulty_table durable;
    struct faulty_bits allocated; /* pages that count against the capacity */
    struct faulty_bits touched;   /* pages written and not synced */
    struct faulty_bits backed;    /* pages that a thin volume holds */
    struct faulty_effects effects;
    uint64_t mapped; /* bytes of shared memory at its beginning; changed without effects */
};

/* `bytes` NULL: to be filled. NULL without memory. */
struct faulty_blob *faulty_blob_new(const void *bytes, size_t n);
/* One more reference; NULL is fine, for both. */
struct faulty_blob *faulty_blob_keep(struct faulty_blob *blob);
void faulty_blob_drop(struct faulty_blob *blob);
uint8_t *faulty_blob_bytes(struct faulty_blob *blob);
const uint8_t *faulty_effect_bytes(const struct faulty_effect *effect);

void faulty_content_done(struct faulty_content *content);
/* `to` is filled; it holds nothing before. FIRN_ENOMEM. */
int faulty_content_copy(struct faulty_content *to, const struct faulty_content *from);

/* Writes to the current image only. FIRN_ENOMEM. */
int faulty_content_store(struct faulty_content *content, uint64_t offset, const void *bytes,
                         size_t n);
/* The current size becomes `size`, with its effects: steps of a page from `from` on, for a growth
 * by writing there. */
int faulty_content_grow(struct faulty_content *content, uint64_t from, uint64_t size,
                        uint64_t time);
int faulty_content_shrink(struct faulty_content *content, uint64_t size, uint64_t time);
/* Sets current and durable image to the bytes; nothing is pending then. FIRN_ENOMEM. */
int faulty_content_replace(struct faulty_content *content, const void *bytes, size_t n);

/* The current image becomes what is durable or pending. FIRN_ENOMEM. */
int faulty_content_reload(struct faulty_content *content);

/* Adds a write of the blob's bytes; where nothing would change, nothing. FIRN_ENOMEM. */
int faulty_pending_write(struct faulty_content *content, uint64_t offset, struct faulty_blob *blob,
                         uint64_t time);
int faulty_pending_size(struct faulty_content *content, enum faulty_effect_kind kind, uint64_t size,
                        uint64_t time);
/* All that is pending and not lost becomes durable. FIRN_ENOMEM: some of it may be. */
int faulty_pending_sync(struct faulty_content *content);
/* The bytes [from, to) that are pending become durable, and the size as far as they need it. */
int faulty_pending_sync_range(struct faulty_content *content, uint64_t from, uint64_t to);
/* What is pending in [from, to) is lost. FIRN_ENOMEM. */
int faulty_pending_lose(struct faulty_content *content, uint64_t from, uint64_t to);
/* Lost effects are ordinary again (all of them, in order). */
void faulty_pending_find(struct faulty_content *content);
void faulty_pending_clear(struct faulty_content *content);

#endif
