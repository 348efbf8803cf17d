/* SPDX-License-Identifier: MIT */
#include "faulty/content.h"

#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

void faulty_content_done(struct faulty_content *content)
{
    faulty_pending_clear(content);
    free(content->effects.items);
    content->effects = (struct faulty_effects){NULL, 0, 0};
    faulty_table_done(&content->current);
    faulty_table_done(&content->durable);
    faulty_bits_done(&content->allocated);
    faulty_bits_done(&content->touched);
    faulty_bits_done(&content->backed);
}

static int copy_effects(struct faulty_effects *to, const struct faulty_effects *from)
{
    if (from->count == 0) {
        return 0;
    }
    to->items = malloc(from->count * sizeof(*to->items));
    if (to->items == NULL) {
        return FIRN_ENOMEM;
    }
    to->capacity = from->count;
    to->count = from->count;
    memcpy(to->items, from->items, from->count * sizeof(*to->items));
    for (size_t i = 0; i < to->count; i++) {
        faulty_blob_keep(to->items[i].blob);
    }
    return 0;
}

int faulty_content_copy(struct faulty_content *to, const struct faulty_content *from)
{
    struct faulty_content copy = {
        .size = from->size,
        .durable_size = from->durable_size,
        .mapped = from->mapped,
    };
    if (faulty_table_copy(&copy.current, &from->current) != 0 ||
        faulty_table_copy(&copy.durable, &from->durable) != 0 ||
        faulty_bits_copy(&copy.allocated, &from->allocated) != 0 ||
        faulty_bits_copy(&copy.touched, &from->touched) != 0 ||
        faulty_bits_copy(&copy.backed, &from->backed) != 0 ||
        copy_effects(&copy.effects, &from->effects) != 0) {
        faulty_content_done(&copy);
        return FIRN_ENOMEM;
    }
    *to = copy;
    return 0;
}

int faulty_content_store(struct faulty_content *content, uint64_t offset, const void *bytes,
                         size_t n)
{
    if (n == 0) {
        return 0;
    }
    uint64_t first = offset / FAULTY_PAGE;
    uint64_t end = (offset + n - 1) / FAULTY_PAGE + 1;
    if (faulty_bits_add(&content->allocated, first, end) != 0 ||
        faulty_bits_add(&content->touched, first, end) != 0) {
        return FIRN_ENOMEM;
    }
    return faulty_table_write(&content->current, offset, bytes, n);
}

int faulty_content_grow(struct faulty_content *content, uint64_t from, uint64_t size, uint64_t time)
{
    if (size <= content->size) {
        return 0;
    }
    uint64_t step = (from > content->size ? from : content->size) / FAULTY_PAGE + 1;
    for (; step < UINT64_MAX / FAULTY_PAGE && step * FAULTY_PAGE < size; step++) {
        int rc = faulty_pending_size(content, FAULTY_GREW, step * FAULTY_PAGE, time);
        if (rc != 0) {
            return rc;
        }
        content->size = step * FAULTY_PAGE;
    }
    int rc = faulty_pending_size(content, FAULTY_GREW, size, time);
    if (rc == 0) {
        content->size = size;
    }
    return rc;
}

/* The kernel zeroes what is behind the new end in its last block, as a write of its own. */
static int zero_tail(struct faulty_content *content, uint64_t size, uint64_t time)
{
    uint64_t end = (size + FAULTY_SECTOR - 1) / FAULTY_SECTOR * FAULTY_SECTOR;
    if (end > content->size) {
        end = content->size;
    }
    if (size >= end) {
        return 0;
    }
    static const uint8_t zeros[FAULTY_SECTOR];
    struct faulty_blob *blob = faulty_blob_new(zeros, (size_t)(end - size));
    if (blob == NULL) {
        return FIRN_ENOMEM;
    }
    int rc = faulty_pending_write(content, size, blob, time);
    faulty_blob_drop(blob);
    return rc;
}

int faulty_content_shrink(struct faulty_content *content, uint64_t size, uint64_t time)
{
    if (size >= content->size) {
        return 0;
    }
    int rc = zero_tail(content, size, time);
    if (rc == 0) {
        rc = faulty_pending_size(content, FAULTY_SHRANK, size, time);
    }
    if (rc == 0) {
        rc = faulty_table_cut(&content->current, size);
    }
    if (rc == 0) {
        uint64_t pages = (size + FAULTY_PAGE - 1) / FAULTY_PAGE;
        faulty_bits_remove_from(&content->allocated, pages);
        faulty_bits_remove_from(&content->touched, pages);
        faulty_bits_remove_from(&content->backed, pages);
        content->size = size;
    }
    return rc;
}

int faulty_content_replace(struct faulty_content *content, const void *bytes, size_t n)
{
    struct faulty_content fresh = {.size = n, .durable_size = n};
    uint64_t pages = ((uint64_t)n + FAULTY_PAGE - 1) / FAULTY_PAGE;
    if (faulty_table_write(&fresh.current, 0, bytes, n) != 0 ||
        faulty_table_copy(&fresh.durable, &fresh.current) != 0 ||
        faulty_bits_add(&fresh.allocated, 0, pages) != 0 ||
        faulty_bits_add(&fresh.backed, 0, pages) != 0) {
        faulty_content_done(&fresh);
        return FIRN_ENOMEM;
    }
    faulty_content_done(content);
    *content = fresh;
    return 0;
}

/*
 * Applies to `table` what is pending in the current image; lost data is not. Shrinkages take part,
 * so that what they took away stays away.
 */
static int overlay(const struct faulty_content *content, struct faulty_table *table)
{
    for (size_t i = 0; i < content->effects.count; i++) {
        const struct faulty_effect *effect = &content->effects.items[i];
        int rc = 0;
        if (effect->kind == FAULTY_WROTE && !effect->lost) {
            rc = faulty_table_write(table, effect->offset, faulty_effect_bytes(effect),
                                    (size_t)effect->length);
        } else if (effect->kind == FAULTY_SHRANK) {
            rc = faulty_table_cut(table, effect->offset);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int faulty_content_reload(struct faulty_content *content)
{
    if (content->mapped > 0) {
        return 0; /* a mapping keeps its pages in memory */
    }
    struct faulty_table table = {NULL, 0};
    int rc = faulty_table_copy(&table, &content->durable);
    if (rc == 0) {
        rc = overlay(content, &table);
    }
    if (rc == 0) {
        rc = faulty_table_cut(&table, content->size);
    }
    if (rc != 0) {
        faulty_table_done(&table);
        return rc;
    }
    faulty_table_done(&content->current);
    content->current = table;
    return 0;
}
