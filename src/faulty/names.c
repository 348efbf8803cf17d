/* SPDX-License-Identifier: MIT */
#include "faulty/names.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <firn/error.h>

struct faulty_name {
    atomic_uint refs;
    char text[];
};

struct faulty_name *faulty_name_new(const char *text)
{
    size_t n = strlen(text) + 1;
    struct faulty_name *name = malloc(sizeof(*name) + n);
    if (name != NULL) {
        atomic_init(&name->refs, 1);
        memcpy(name->text, text, n);
    }
    return name;
}

struct faulty_name *faulty_name_keep(struct faulty_name *name)
{
    atomic_fetch_add_explicit(&name->refs, 1, memory_order_relaxed);
    return name;
}

void faulty_name_drop(struct faulty_name *name)
{
    if (name != NULL && atomic_fetch_sub_explicit(&name->refs, 1, memory_order_acq_rel) == 1) {
        free(name);
    }
}

const char *faulty_name_text(const struct faulty_name *name)
{
    return name->text;
}

/* ---- links ------------------------------------------------------------------------------ */

void faulty_links_done(struct faulty_links *links)
{
    for (size_t i = 0; i < links->count; i++) {
        faulty_name_drop(links->items[i].name);
    }
    free(links->items);
    *links = (struct faulty_links){NULL, 0, 0};
}

int faulty_links_copy(struct faulty_links *to, const struct faulty_links *from)
{
    struct faulty_links copy = {NULL, 0, 0};
    if (from->count > 0) {
        copy.items = malloc(from->count * sizeof(*copy.items));
        if (copy.items == NULL) {
            return FIRN_ENOMEM;
        }
        memcpy(copy.items, from->items, from->count * sizeof(*copy.items));
    }
    copy.count = from->count;
    copy.capacity = from->count;
    for (size_t i = 0; i < copy.count; i++) {
        faulty_name_keep(copy.items[i].name);
    }
    *to = copy;
    return 0;
}

/* Where the name is, or would be. */
static size_t position(const struct faulty_links *links, const char *text, bool *found)
{
    size_t low = 0;
    size_t high = links->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(links->items[middle].name->text, text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t faulty_links_find(const struct faulty_links *links, const char *text)
{
    bool found = false;
    size_t at = position(links, text, &found);
    return found ? links->items[at].node : FAULTY_NONE;
}

/* Room for one more. */
static int links_widen(struct faulty_links *links)
{
    if (links->count < links->capacity) {
        return 0;
    }
    size_t capacity = links->capacity == 0 ? 4 : 2 * links->capacity;
    struct faulty_link *items = realloc(links->items, capacity * sizeof(*items));
    if (items == NULL) {
        return FIRN_ENOMEM;
    }
    links->items = items;
    links->capacity = capacity;
    return 0;
}

int faulty_links_set(struct faulty_links *links, struct faulty_name *name, uint32_t node)
{
    bool found = false;
    size_t at = position(links, name->text, &found);
    if (found && node != FAULTY_NONE) {
        links->items[at].node = node;
        return 0;
    }
    size_t behind = (links->count - at) * sizeof(*links->items);
    if (found) {
        faulty_name_drop(links->items[at].name);
        memmove(links->items + at, links->items + at + 1, behind - sizeof(*links->items));
        links->count--;
        return 0;
    }
    if (node == FAULTY_NONE) {
        return 0;
    }
    if (links_widen(links) != 0) {
        return FIRN_ENOMEM;
    }
    memmove(links->items + at + 1, links->items + at, behind);
    links->items[at] = (struct faulty_link){.name = faulty_name_keep(name), .node = node};
    links->count++;
    return 0;
}

/* ---- directories ------------------------------------------------------------------------ */

static void forget_effects(struct faulty_names *names)
{
    for (size_t i = 0; i < names->effect_count; i++) {
        for (size_t k = 0; k < names->effects[i].count; k++) {
            faulty_name_drop(names->effects[i].links[k].name);
        }
    }
    names->effect_count = 0;
}

void faulty_names_done(struct faulty_names *names)
{
    forget_effects(names);
    free(names->effects);
    names->effects = NULL;
    names->effect_capacity = 0;
    faulty_links_done(&names->current);
    faulty_links_done(&names->durable);
}

static void keep_names(const struct faulty_renaming *effect)
{
    for (size_t k = 0; k < effect->count; k++) {
        faulty_name_keep(effect->links[k].name);
    }
}

int faulty_names_copy(struct faulty_names *to, const struct faulty_names *from)
{
    struct faulty_names copy = {.effects = NULL};
    if (faulty_links_copy(&copy.current, &from->current) != 0 ||
        faulty_links_copy(&copy.durable, &from->durable) != 0) {
        faulty_names_done(&copy);
        return FIRN_ENOMEM;
    }
    if (from->effect_count > 0) {
        copy.effects = malloc(from->effect_count * sizeof(*copy.effects));
        if (copy.effects == NULL) {
            faulty_names_done(&copy);
            return FIRN_ENOMEM;
        }
        copy.effect_capacity = from->effect_count;
    }
    for (; copy.effect_count < from->effect_count; copy.effect_count++) {
        copy.effects[copy.effect_count] = from->effects[copy.effect_count];
        keep_names(&copy.effects[copy.effect_count]);
    }
    *to = copy;
    return 0;
}

int faulty_names_change(struct faulty_names *names, const struct faulty_renaming *effect)
{
    if (names->effect_count == names->effect_capacity) {
        size_t capacity = names->effect_capacity == 0 ? 4 : 2 * names->effect_capacity;
        struct faulty_renaming *effects = realloc(names->effects, capacity * sizeof(*effects));
        if (effects == NULL) {
            return FIRN_ENOMEM;
        }
        names->effects = effects;
        names->effect_capacity = capacity;
    }
    if (links_widen(&names->current) != 0) {
        return FIRN_ENOMEM;
    }
    for (size_t k = 0; k < effect->count; k++) {
        /* can't fail: a rename first takes a name away, and there is room for one more */
        (void)faulty_links_set(&names->current, effect->links[k].name, effect->links[k].node);
    }
    names->effects[names->effect_count++] = *effect;
    keep_names(effect);
    return 0;
}

int faulty_names_sync(struct faulty_names *names)
{
    struct faulty_links links = {NULL, 0, 0};
    if (faulty_links_copy(&links, &names->current) != 0) {
        return FIRN_ENOMEM;
    }
    faulty_links_done(&names->durable);
    names->durable = links;
    forget_effects(names);
    return 0;
}

int faulty_names_replace(struct faulty_names *names, struct faulty_links *links)
{
    struct faulty_links copy = {NULL, 0, 0};
    if (faulty_links_copy(&copy, links) != 0) {
        return FIRN_ENOMEM;
    }
    faulty_names_done(names);
    names->current = *links;
    names->durable = copy;
    *links = (struct faulty_links){NULL, 0, 0};
    return 0;
}
