/* SPDX-License-Identifier: MIT */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

#include "faulty/content.h"

/* ---- bytes of effects ------------------------------------------------------------------- */

struct faulty_blob {
    atomic_uint refs;
    size_t size;
    uint8_t bytes[];
};

struct faulty_blob *faulty_blob_new(const void *bytes, size_t n)
{
    struct faulty_blob *blob = malloc(sizeof(*blob) + n);
    if (blob == NULL) {
        return NULL;
    }
    atomic_init(&blob->refs, 1);
    blob->size = n;
    if (bytes != NULL) {
        memcpy(blob->bytes, bytes, n);
    }
    return blob;
}

struct faulty_blob *faulty_blob_keep(struct faulty_blob *blob)
{
    if (blob != NULL) {
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    }
    return blob;
}

void faulty_blob_drop(struct faulty_blob *blob)
{
    if (blob != NULL && atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        free(blob);
    }
}

uint8_t *faulty_blob_bytes(struct faulty_blob *blob)
{
    return blob->bytes;
}

const uint8_t *faulty_effect_bytes(const struct faulty_effect *effect)
{
    return effect->blob->bytes + effect->start;
}

/* ---- the list --------------------------------------------------------------------------- */

static void effect_remove(struct faulty_effect *effect)
{
    faulty_blob_drop(effect->blob);
    effect->blob = NULL;
    effect->kind = FAULTY_EFFECT_NONE;
}

/* Inserts at `at`; the list takes over the effect's reference to its blob only on success. */
static int list_insert(struct faulty_effects *list, size_t at, const struct faulty_effect *effect)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
        struct faulty_effect *items = realloc(list->items, capacity * sizeof(*items));
        if (items == NULL) {
            return FIRN_ENOMEM;
        }
        list->items = items;
        list->capacity = capacity;
    }
    memmove(list->items + at + 1, list->items + at, (list->count - at) * sizeof(*list->items));
    list->items[at] = *effect;
    list->count++;
    return 0;
}

/* Takes out what was removed, and growths to a size that is durable anyway. */
static void list_tidy(struct faulty_content *content)
{
    struct faulty_effects *list = &content->effects;
    bool shrank = false;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        struct faulty_effect *effect = &list->items[i];
        shrank = shrank || effect->kind == FAULTY_SHRANK;
        if (effect->kind == FAULTY_GREW && !shrank && effect->offset <= content->durable_size) {
            effect->kind = FAULTY_EFFECT_NONE;
        }
        if (effect->kind != FAULTY_EFFECT_NONE) {
            list->items[kept++] = *effect;
        }
    }
    list->count = kept;
}

void faulty_pending_clear(struct faulty_content *content)
{
    for (size_t i = 0; i < content->effects.count; i++) {
        faulty_blob_drop(content->effects.items[i].blob);
    }
    content->effects.count = 0;
}

static bool overlaps(const struct faulty_effect *effect, uint64_t from, uint64_t to)
{
    return effect->kind == FAULTY_WROTE && effect->offset < to &&
           from < effect->offset + effect->length;
}

/* The part of a write from `skip` bytes on, `length` bytes long, as a write of its own. */
static struct faulty_effect part_of(const struct faulty_effect *effect, uint64_t skip,
                                    uint64_t length)
{
    struct faulty_effect part = *effect;
    part.offset += skip;
    part.start += (size_t)skip;
    part.length = length;
    faulty_blob_keep(part.blob);
    return part;
}

/*
 * Splits the writes before `*limit` at position `at`, so that none goes across it; `*limit` moves
 * with the effect that it stood at.
 */
static int split(struct faulty_effects *list, uint64_t at, size_t *limit)
{
    for (size_t i = *limit; i-- > 0;) {
        struct faulty_effect *effect = &list->items[i];
        if (effect->kind != FAULTY_WROTE || at <= effect->offset ||
            at >= effect->offset + effect->length) {
            continue;
        }
        uint64_t head = at - effect->offset;
        struct faulty_effect tail = part_of(effect, head, effect->length - head);
        if (list_insert(list, i + 1, &tail) != 0) {
            faulty_blob_drop(tail.blob);
            return FIRN_ENOMEM;
        }
        list->items[i].length = head;
        (*limit)++;
    }
    return 0;
}

/* Cuts [from, to) out of the writes before `*limit`: out of all, or out of the lost ones. */
static int cut(struct faulty_effects *list, uint64_t from, uint64_t to, bool only_lost,
               size_t *limit)
{
    if (split(list, from, limit) != 0 || split(list, to, limit) != 0) {
        return FIRN_ENOMEM;
    }
    for (size_t i = 0; i < *limit; i++) {
        if (overlaps(&list->items[i], from, to) && (list->items[i].lost || !only_lost)) {
            effect_remove(&list->items[i]);
        }
    }
    return 0;
}

/* ---- adding ----------------------------------------------------------------------------- */

static bool touched(const struct faulty_effects *list, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct faulty_effect *effect = &list->items[i];
        if (overlaps(effect, from, to) || (effect->kind == FAULTY_SHRANK && effect->offset < to)) {
            return true;
        }
    }
    return false;
}

/* The end of the run that begins at `from` of sectors that all change, or that all do not. */
static uint64_t run_end(const struct faulty_content *content, const struct faulty_effect *all,
                        bool alone, uint64_t from, bool *changes)
{
    uint64_t end = all->offset + all->length;
    uint64_t at = from;
    while (at < end) {
        uint64_t next = (at / FAULTY_SECTOR + 1) * FAULTY_SECTOR;
        uint64_t stop = next < end ? next : end;
        uint64_t sector = at / FAULTY_SECTOR * FAULTY_SECTOR;
        const uint8_t *bytes = faulty_effect_bytes(all) + (at - all->offset);
        bool differs = !faulty_table_equals(&content->durable, at, bytes, (size_t)(stop - at)) ||
                       (!alone && touched(&content->effects, sector, next));
        if (at == from) {
            *changes = differs;
        } else if (*changes != differs) {
            break;
        }
        at = stop;
    }
    return at;
}

int faulty_pending_write(struct faulty_content *content, uint64_t offset, struct faulty_blob *blob,
                         uint64_t time)
{
    struct faulty_effect all = {
        .kind = FAULTY_WROTE,
        .offset = offset,
        .length = blob->size,
        .blob = blob,
        .time = time,
    };
    uint64_t end = offset + all.length;
    uint64_t first = offset / FAULTY_SECTOR * FAULTY_SECTOR;
    bool alone = !touched(&content->effects, first, end + FAULTY_SECTOR);
    for (uint64_t at = offset; at < end;) {
        bool changes = false;
        uint64_t stop = run_end(content, &all, alone, at, &changes);
        if (changes) {
            struct faulty_effect part = part_of(&all, at - offset, stop - at);
            if (list_insert(&content->effects, content->effects.count, &part) != 0) {
                faulty_blob_drop(part.blob);
                return FIRN_ENOMEM;
            }
        }
        at = stop;
    }
    return 0;
}

int faulty_pending_size(struct faulty_content *content, enum faulty_effect_kind kind, uint64_t size,
                        uint64_t time)
{
    struct faulty_effect effect = {.kind = kind, .offset = size, .time = time};
    return list_insert(&content->effects, content->effects.count, &effect);
}

/* ---- becoming durable ------------------------------------------------------------------- */

/*
 * The change of size at `*at` becomes durable. What a shrinkage took away can't come back: it is
 * cut out of the writes before it. `*at` moves with the effect.
 */
static int commit_size(struct faulty_content *content, size_t *at)
{
    const struct faulty_effect *effect = &content->effects.items[*at];
    uint64_t size = effect->offset;
    if (effect->kind == FAULTY_GREW) {
        if (content->durable_size < size) {
            content->durable_size = size;
        }
    } else {
        if (faulty_table_cut(&content->durable, size) != 0 ||
            cut(&content->effects, size, UINT64_MAX, false, at) != 0) {
            return FIRN_ENOMEM;
        }
        if (content->durable_size > size) {
            content->durable_size = size;
        }
    }
    content->effects.items[*at].kind = FAULTY_EFFECT_NONE;
    return 0;
}

static int commit_write(struct faulty_content *content, size_t *at)
{
    struct faulty_effect effect = content->effects.items[*at];
    uint64_t end = effect.offset + effect.length;
    if (faulty_table_write(&content->durable, effect.offset, faulty_effect_bytes(&effect),
                           (size_t)effect.length) != 0 ||
        cut(&content->effects, effect.offset, end, true, at) != 0) {
        return FIRN_ENOMEM;
    }
    effect_remove(&content->effects.items[*at]);
    faulty_table_share(&content->durable, &content->current, effect.offset, effect.length);
    return 0;
}

int faulty_pending_sync(struct faulty_content *content)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < content->effects.count; i++) {
        const struct faulty_effect *effect = &content->effects.items[i];
        if (effect->kind == FAULTY_GREW || effect->kind == FAULTY_SHRANK) {
            rc = commit_size(content, &i);
        } else if (effect->kind == FAULTY_WROTE && !effect->lost) {
            rc = commit_write(content, &i);
        }
    }
    list_tidy(content);
    return rc;
}

/*
 * Makes the size durable as far as bytes below `to` need it: if one of the sizes that could survive
 * is smaller, all changes up to the last shrinkage below it, and then a growth of our own.
 */
static int sync_size(struct faulty_content *content, uint64_t to)
{
    struct faulty_effects *list = &content->effects;
    uint64_t size = content->durable_size;
    size_t commits = 0; /* how many effects, from the first */
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].kind == FAULTY_GREW && size < list->items[i].offset) {
            size = list->items[i].offset;
        } else if (list->items[i].kind == FAULTY_SHRANK && size > list->items[i].offset) {
            size = list->items[i].offset;
            commits = size < to ? i + 1 : commits;
        }
    }
    for (size_t i = 0; i < commits; i++) {
        if (list->items[i].kind == FAULTY_GREW || list->items[i].kind == FAULTY_SHRANK) {
            size_t at = i;
            int rc = commit_size(content, &at);
            if (rc != 0) {
                return rc;
            }
            commits += at - i;
            i = at;
        }
    }
    if (content->durable_size < to) {
        content->durable_size = to;
    }
    return 0;
}

int faulty_pending_sync_range(struct faulty_content *content, uint64_t from, uint64_t to)
{
    struct faulty_effects *list = &content->effects;
    int rc = sync_size(content, to);
    size_t all = list->count;
    if (rc == 0) {
        rc = split(list, from, &all);
    }
    if (rc == 0) {
        rc = split(list, to, &all);
    }
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        if (overlaps(&list->items[i], from, to) && !list->items[i].lost) {
            rc = commit_write(content, &i);
        }
    }
    list_tidy(content);
    return rc;
}

/* ---- being lost ------------------------------------------------------------------------- */

int faulty_pending_lose(struct faulty_content *content, uint64_t from, uint64_t to)
{
    struct faulty_effects *list = &content->effects;
    size_t all = list->count;
    if (split(list, from, &all) != 0 || split(list, to, &all) != 0) {
        return FIRN_ENOMEM;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (overlaps(&list->items[i], from, to)) {
            list->items[i].lost = true;
        }
    }
    return 0;
}

void faulty_pending_find(struct faulty_content *content)
{
    for (size_t i = 0; i < content->effects.count; i++) {
        content->effects.items[i].lost = false;
    }
}
