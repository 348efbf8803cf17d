/* SPDX-License-Identifier: MIT */
#include "faulty/walk.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faulty/random.h"

/* ---- counting --------------------------------------------------------------------------- */

static bool mapping_differs(const struct faulty_content *content)
{
    return content->mapped > 0 && !faulty_table_same(&content->current, &content->durable);
}

static uint64_t count_option(struct faulty_walk *walk, const struct faulty_group *group,
                             size_t option)
{
    uint64_t count = 1;
    for (size_t i = 0; i < group->name_count; i++) {
        uint32_t node = group->options[option * group->name_count + i];
        count = node == FAULTY_NONE ? count : faulty_times(count, faulty_walk_count(walk, node));
    }
    return count;
}

static uint64_t count_group(struct faulty_walk *walk, const struct faulty_group *group)
{
    uint64_t count = 0;
    for (size_t i = 0; i < group->option_count; i++) {
        count = faulty_plus(count, count_option(walk, group, i));
    }
    return count;
}

static uint64_t count_names(struct faulty_walk *walk, const struct faulty_node *node)
{
    uint64_t count = 1;
    if (node->groups == NULL) {
        for (size_t i = 0; i < node->names.durable.count; i++) {
            count = faulty_times(count, faulty_walk_count(walk, node->names.durable.items[i].node));
        }
        return count;
    }
    for (size_t i = 0; i < node->groups->stable_count; i++) {
        count = faulty_times(count, faulty_walk_count(walk, node->groups->stable[i]));
    }
    for (size_t i = 0; i < node->groups->count; i++) {
        count = faulty_times(count, count_group(walk, &node->groups->items[i]));
    }
    return count;
}

uint64_t faulty_walk_count(struct faulty_walk *walk, uint32_t number)
{
    if (walk->counts[number] == 0) {
        const struct faulty_node *node = faulty_tree_get(walk->from, number);
        uint64_t count = node->choices != NULL ? node->choices->total : 1;
        if (node->kind == FIRN_ENTRY_DIR) {
            count = count_names(walk, node);
        } else if (walk->draw.shared_outcomes && mapping_differs(&node->content)) {
            count = faulty_times(count, 2);
        }
        walk->counts[number] = count;
    }
    return walk->counts[number];
}

/* ---- deciding --------------------------------------------------------------------------- */

/* Takes the remainder of a division of `*value` by `count`, and leaves the quotient. */
static uint64_t take(uint64_t *value, uint64_t count)
{
    assert(count > 0);
    uint64_t part = *value % count;
    *value /= count;
    return part;
}

/* One of `count` choices, by the kinds of draw that are not a number. */
static size_t draw_one(struct faulty_walk *walk, size_t count)
{
    struct faulty_draw *draw = &walk->draw;
    size_t newest = count - 1;
    if (newest == 0) {
        return 0;
    }
    bool hit = walk->visited++ == draw->target;
    switch (draw->kind) {
    case FAULTY_DRAW_ALL:
        return newest;
    case FAULTY_DRAW_ALL_BUT:
        return hit ? (size_t)faulty_random_below(&draw->random, newest) : newest;
    case FAULTY_DRAW_ONLY:
        return hit ? 1 + (size_t)faulty_random_below(&draw->random, newest) : 0;
    case FAULTY_DRAW_EVEN:
        return (size_t)faulty_random_below(&draw->random, count);
    case FAULTY_DRAW_COIN:
        if (faulty_random_below(&draw->random, 100) < draw->chance) {
            return newest;
        }
        return faulty_random_below(&draw->random, 2) == 0
                   ? 0
                   : (size_t)faulty_random_below(&draw->random, count);
    case FAULTY_DRAW_NUMBER:
    case FAULTY_DRAW_NONE:
    case FAULTY_DRAW_TIME:
        break;
    }
    return 0;
}

/* A factor of a product. */
static size_t choose(struct faulty_walk *walk, uint64_t *value, size_t count)
{
    if (walk->draw.kind == FAULTY_DRAW_NUMBER) {
        return (size_t)take(value, count);
    }
    return draw_one(walk, count);
}

static void tell(struct faulty_walk *walk, const char *format, ...) FIRN_PRINTF(2, 3);

static void tell(struct faulty_walk *walk, const char *format, ...)
{
    if (walk->line == NULL) {
        return;
    }
    char text[1200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    walk->line(walk->arg, text);
}

/* ---- files ------------------------------------------------------------------------------ */

static size_t choose_size(struct faulty_walk *walk, const struct faulty_node *node, uint64_t *value)
{
    const struct faulty_choices *choices = node->choices;
    size_t size = 0;
    if (walk->draw.kind == FAULTY_DRAW_TIME) {
        for (size_t i = 1; i < choices->size_count; i++) {
            size_t effect = choices->sizes[i].effects - 1;
            size = node->content.effects.items[effect].time <= walk->draw.time ? i : size;
        }
    } else if (walk->draw.kind == FAULTY_DRAW_NUMBER) {
        while (size + 1 < choices->size_count && *value >= choices->sizes[size].weight) {
            *value -= choices->sizes[size++].weight;
        }
    } else {
        size = draw_one(walk, choices->size_count);
    }
    if (choices->size_count > 1) {
        tell(walk, "%s: size %llu, number %zu of 0 to %zu", walk->path,
             (unsigned long long)choices->sizes[size].size, size, choices->size_count - 1);
    }
    return size;
}

/* In a random draw: puts a tear into place 0 of the versions, by chance. */
static bool tear_by_chance(struct faulty_walk *walk)
{
    struct faulty_draw *draw = &walk->draw;
    if (!draw->tears || walk->versions.count < 2 || faulty_random_below(&draw->random, 4) != 0) {
        return false;
    }
    size_t at = 1 + (size_t)faulty_random_below(&draw->random, walk->versions.count - 1);
    const uint8_t *before = walk->versions.items[at - 1];
    const uint8_t *after = walk->versions.items[at];
    uint64_t tears = faulty_tears_between(before, after);
    if (tears == 0) {
        return false;
    }
    uint8_t torn[FAULTY_SECTOR];
    faulty_tear(before, after, faulty_random_below(&draw->random, tears), torn);
    memcpy(walk->versions.items[0], torn, FAULTY_SECTOR);
    return true;
}

/* Decides on one sector and writes it. */
static int do_sector(struct faulty_walk *walk, const struct faulty_node *node, size_t sector,
                     size_t size, uint64_t *value, struct faulty_table *table)
{
    const struct faulty_choices *choices = node->choices;
    int rc = faulty_choices_versions(choices, &node->content, sector, size, &walk->versions);
    if (rc != 0) {
        return rc;
    }
    uint64_t start = choices->sectors[sector].sector * FAULTY_SECTOR;
    size_t last = walk->versions.count - 1;
    size_t chosen = 0;
    bool torn = walk->draw.kind != FAULTY_DRAW_NUMBER && tear_by_chance(walk);
    if (!torn && walk->draw.kind == FAULTY_DRAW_TIME) {
        faulty_choices_at(choices, &node->content, sector, size, walk->draw.time,
                          walk->versions.items[0]);
    } else if (!torn) {
        chosen = choose(walk, value, walk->versions.count);
    }
    if (last > 0) {
        tell(walk, "%s: bytes %llu to %llu, version %zu of 0 to %zu", walk->path,
             (unsigned long long)start, (unsigned long long)start + FAULTY_SECTOR, chosen, last);
    }
    if (table == NULL) {
        return 0;
    }
    return faulty_table_write(table, start, walk->versions.items[chosen], FAULTY_SECTOR);
}

/* The durable image, less what surviving shrinkages took away. */
static int start_table(const struct faulty_node *node, size_t size, struct faulty_table *table)
{
    const struct faulty_choices *choices = node->choices;
    int rc = faulty_table_copy(table, &node->content.durable);
    for (size_t i = 0; rc == 0 && i < choices->shrink_count; i++) {
        if (choices->shrinks[i] < choices->sizes[size].effects) {
            rc = faulty_table_cut(table, node->content.effects.items[choices->shrinks[i]].offset);
        }
    }
    return rc;
}

/* Decides on size and sectors; `table` gets the content, unless it is NULL. */
static int do_choices(struct faulty_walk *walk, const struct faulty_node *node, uint64_t value,
                      struct faulty_table *table, uint64_t *bytes)
{
    const struct faulty_choices *choices = node->choices;
    size_t size = choose_size(walk, node, &value);
    *bytes = choices->sizes[size].size;
    int rc = table == NULL ? 0 : start_table(node, size, table);
    for (size_t i = 0; rc == 0 && i < choices->sector_count; i++) {
        if (choices->sectors[i].sector * FAULTY_SECTOR < *bytes) {
            rc = do_sector(walk, node, i, size, &value, table);
        }
    }
    return rc;
}

/* What is in memory that was shared through the file is there now. */
static int keep_mapping(const struct faulty_content *content, struct faulty_table *table)
{
    uint8_t page[FAULTY_PAGE];
    int rc = 0;
    for (uint64_t at = 0; rc == 0 && at < content->mapped; at += sizeof(page)) {
        uint64_t left = content->mapped - at;
        size_t n = (size_t)(left < sizeof(page) ? left : sizeof(page));
        faulty_table_read(&content->current, at, page, n);
        rc = faulty_table_write(table, at, page, n);
    }
    return rc;
}

static bool decide_mapping(struct faulty_walk *walk, const struct faulty_node *node,
                           uint64_t *value)
{
    if (!mapping_differs(&node->content)) {
        return false;
    }
    bool keep = walk->draw.keep_shared;
    if (walk->draw.shared_outcomes) {
        keep = walk->draw.kind == FAULTY_DRAW_TIME || choose(walk, value, 2) == 1;
    }
    tell(walk, "%s: shared memory %s", walk->path, keep ? "kept" : "lost");
    return keep;
}

/* The node as it is with a content; takes over the table. */
static int put_file(struct faulty_walk *walk, uint32_t number, struct faulty_table *table,
                    uint64_t size)
{
    struct faulty_node *node = faulty_tree_own(walk->to, number);
    struct faulty_table current = {NULL, 0};
    if (node == NULL || faulty_table_cut(table, size) != 0 ||
        faulty_table_copy(&current, table) != 0) {
        return FIRN_ENOMEM;
    }
    struct faulty_content *content = &node->content;
    uint64_t pages = (size + FAULTY_PAGE - 1) / FAULTY_PAGE;
    faulty_table_done(&content->current);
    faulty_table_done(&content->durable);
    faulty_pending_clear(content);
    content->current = current;
    content->durable = *table;
    *table = (struct faulty_table){NULL, 0};
    content->size = size;
    content->durable_size = size;
    content->mapped = 0;
    faulty_bits_remove_from(&content->allocated, pages);
    faulty_bits_remove_from(&content->backed, pages);
    faulty_bits_remove_from(&content->touched, 0);
    return 0;
}

static int tear_file(struct faulty_walk *walk, uint32_t number, struct faulty_table *table)
{
    if (!walk->torn || walk->torn_node != number) {
        return 0;
    }
    return faulty_table_write(table, walk->torn_sector * FAULTY_SECTOR, walk->torn_bytes,
                              FAULTY_SECTOR);
}

static int walk_file(struct faulty_walk *walk, uint32_t number, uint64_t value)
{
    const struct faulty_node *node = faulty_tree_get(walk->from, number);
    const struct faulty_content *content = &node->content;
    if (node->choices == NULL && faulty_table_same(&content->current, &content->durable)) {
        return 0;
    }
    bool keep = decide_mapping(walk, node, &value);
    struct faulty_table table = {NULL, 0};
    uint64_t size = content->durable_size;
    int rc = 0;
    if (node->choices != NULL) {
        rc = do_choices(walk, node, value, walk->to == NULL ? NULL : &table, &size);
    } else if (walk->to != NULL) {
        rc = faulty_table_copy(&table, &content->durable);
    }
    if (rc == 0 && walk->to != NULL) {
        rc = keep ? keep_mapping(content, &table) : 0;
        rc = rc == 0 ? tear_file(walk, number, &table) : rc;
        rc = rc == 0 ? put_file(walk, number, &table, size) : rc;
    }
    faulty_table_done(&table);
    return rc;
}

/* ---- directories ------------------------------------------------------------------------ */

static int walk_child(struct faulty_walk *walk, uint32_t number, const char *name, uint64_t value)
{
    size_t length = strlen(walk->path);
    size_t room = sizeof(walk->path) - length;
    (void)snprintf(walk->path + length, room, "%s%s", length > 0 ? "/" : "", name);
    int rc = faulty_walk_node(walk, number, value);
    walk->path[length] = '\0';
    return rc;
}

static size_t choose_option(struct faulty_walk *walk, const struct faulty_node *node,
                            const struct faulty_group *group, uint64_t *value)
{
    if (walk->draw.kind == FAULTY_DRAW_TIME) {
        return faulty_group_at(group, &node->names, walk->draw.time);
    }
    if (walk->draw.kind != FAULTY_DRAW_NUMBER) {
        return draw_one(walk, group->option_count);
    }
    size_t option = 0;
    while (option + 1 < group->option_count && *value >= count_option(walk, group, option)) {
        *value -= count_option(walk, group, option++);
    }
    return option;
}

static int walk_group(struct faulty_walk *walk, const struct faulty_node *node,
                      const struct faulty_group *group, uint64_t value, struct faulty_links *links)
{
    size_t option = choose_option(walk, node, group, &value);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < group->name_count; i++) {
        uint32_t child = group->options[option * group->name_count + i];
        const char *name = faulty_name_text(group->names[i]);
        if (group->option_count > 1) {
            tell(walk, "%s/%s: %s, option %zu of 0 to %zu", walk->path, name,
                 child == FAULTY_NONE ? "no such name" : "a name", option, group->option_count - 1);
        }
        if (walk->to != NULL) {
            rc = faulty_links_set(links, group->names[i], child);
        }
        if (rc == 0 && child != FAULTY_NONE) {
            rc = walk_child(walk, child, name, take(&value, faulty_walk_count(walk, child)));
        }
    }
    return rc;
}

static int walk_names(struct faulty_walk *walk, const struct faulty_node *node, uint64_t value,
                      struct faulty_links *links)
{
    const struct faulty_groups *groups = node->groups;
    size_t stable = 0; /* the stable names are in the order of the durable ones */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < node->names.durable.count; i++) {
        const struct faulty_link *link = &node->names.durable.items[i];
        bool here = groups == NULL ||
                    (stable < groups->stable_count && groups->stable[stable] == link->node);
        if (here) {
            stable++;
            rc = walk_child(walk, link->node, faulty_name_text(link->name),
                            take(&value, faulty_walk_count(walk, link->node)));
        }
    }
    for (size_t i = 0; rc == 0 && groups != NULL && i < groups->count; i++) {
        const struct faulty_group *group = &groups->items[i];
        rc = walk_group(walk, node, group, take(&value, count_group(walk, group)), links);
    }
    return rc;
}

static int walk_dir(struct faulty_walk *walk, uint32_t number, uint64_t value)
{
    const struct faulty_node *node = faulty_tree_get(walk->from, number);
    struct faulty_links links = {NULL, 0, 0};
    bool changes = walk->to != NULL && node->groups != NULL;
    int rc = changes ? faulty_links_copy(&links, &node->names.durable) : 0;
    if (rc == 0) {
        rc = walk_names(walk, node, value, &links);
    }
    if (rc == 0 && changes) {
        struct faulty_node *own = faulty_tree_own(walk->to, number);
        rc = own == NULL ? FIRN_ENOMEM : faulty_names_replace(&own->names, &links);
    }
    faulty_links_done(&links);
    return rc;
}

int faulty_walk_node(struct faulty_walk *walk, uint32_t number, uint64_t value)
{
    switch (faulty_tree_get(walk->from, number)->kind) {
    case FIRN_ENTRY_DIR:
        return walk_dir(walk, number, value);
    case FIRN_ENTRY_FILE:
        return walk_file(walk, number, value);
    case FIRN_ENTRY_SYMLINK:
    case FIRN_ENTRY_OTHER:
        break;
    }
    return 0;
}
