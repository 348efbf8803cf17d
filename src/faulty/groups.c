/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "faulty/choices.h"

/* More options than this in one group: only those that are "all effects up to one of them". */
enum { MOST_OPTIONS = 4096 };

static size_t find_name(const struct faulty_group *group, const struct faulty_name *name)
{
    size_t i = 0;
    while (i < group->name_count &&
           strcmp(faulty_name_text(group->names[i]), faulty_name_text(name)) != 0) {
        i++;
    }
    return i;
}

static bool shares_name(const struct faulty_renaming *a, const struct faulty_renaming *b)
{
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < b->count; k++) {
            if (strcmp(faulty_name_text(a->links[i].name), faulty_name_text(b->links[k].name)) ==
                0) {
                return true;
            }
        }
    }
    return false;
}

/* Gives each effect the number of its group: that of its first effect. */
static void find_groups(const struct faulty_names *names, size_t *group_of)
{
    for (size_t i = 0; i < names->effect_count; i++) {
        group_of[i] = i;
        for (size_t k = 0; k < i; k++) {
            if (group_of[k] == group_of[i] ||
                !shares_name(&names->effects[i], &names->effects[k])) {
                continue;
            }
            size_t low = group_of[k] < group_of[i] ? group_of[k] : group_of[i];
            size_t high = group_of[k] < group_of[i] ? group_of[i] : group_of[k];
            for (size_t m = 0; m <= i; m++) {
                group_of[m] = group_of[m] == high ? low : group_of[m];
            }
        }
    }
}

/* ---- options ---------------------------------------------------------------------------- */

/* The enumeration of one group's options. */
struct search {
    const struct faulty_names *names;
    struct faulty_group *group;
    bool *chosen; /* by effect of the group */
    size_t room;
    bool failed;
};

static uint32_t *option(const struct faulty_group *group, size_t number)
{
    return group->options + number * group->name_count;
}

static void option_of(const struct search *search, uint32_t *nodes)
{
    struct faulty_group *group = search->group;
    for (size_t i = 0; i < group->name_count; i++) {
        nodes[i] = faulty_links_find(&search->names->durable, faulty_name_text(group->names[i]));
    }
    for (size_t i = 0; i < group->effect_count; i++) {
        const struct faulty_renaming *effect = &search->names->effects[group->effects[i]];
        for (size_t k = 0; search->chosen[i] && k < effect->count; k++) {
            nodes[find_name(group, effect->links[k].name)] = effect->links[k].node;
        }
    }
}

/* Adds the chosen option; all but the first and the last one only if it is new. */
static void add_option(struct search *search, bool last)
{
    struct faulty_group *group = search->group;
    if (group->option_count == search->room) {
        size_t room = search->room == 0 ? 8 : 2 * search->room;
        uint32_t *options = realloc(group->options, room * group->name_count * sizeof(*options));
        if (options == NULL) {
            search->failed = true;
            return;
        }
        group->options = options;
        search->room = room;
    }
    uint32_t *nodes = option(group, group->option_count);
    size_t bytes = group->name_count * sizeof(*nodes);
    option_of(search, nodes);
    for (size_t i = 0; !last && i < group->option_count; i++) {
        if (memcmp(option(group, i), nodes, bytes) == 0) {
            return;
        }
    }
    group->option_count++;
}

/* The last one is all effects. Takes out an earlier one that is the same, but for the first. */
static void finish_options(struct search *search)
{
    struct faulty_group *group = search->group;
    if (search->failed) {
        return;
    }
    size_t last = group->option_count - 1;
    size_t bytes = group->name_count * sizeof(uint32_t);
    for (size_t i = 1; i < last; i++) {
        if (memcmp(option(group, i), option(group, last), bytes) == 0) {
            memmove(option(group, i), option(group, i + 1), (last - i) * bytes);
            group->option_count--;
            break;
        }
    }
    if (group->option_count == 2 && memcmp(option(group, 0), option(group, 1), bytes) == 0) {
        group->option_count = 1;
    }
}

static bool allowed(const struct search *search, size_t at)
{
    const struct faulty_group *group = search->group;
    const struct faulty_renaming *effect = &search->names->effects[group->effects[at]];
    for (size_t i = 0; i < at; i++) {
        if (!search->chosen[i] && shares_name(effect, &search->names->effects[group->effects[i]])) {
            return false;
        }
    }
    return true;
}

/* Tries the effects from `at` on, without and with each; false when there are too many options. */
static bool search_from(struct search *search, size_t at, size_t *leaves)
{
    if (at == search->group->effect_count) {
        bool last = true;
        for (size_t i = 0; i < at; i++) {
            last = last && search->chosen[i];
        }
        add_option(search, last);
        return ++*leaves <= MOST_OPTIONS && !search->failed;
    }
    search->chosen[at] = false;
    if (!search_from(search, at + 1, leaves)) {
        return false;
    }
    if (!allowed(search, at)) {
        return true;
    }
    search->chosen[at] = true;
    bool more = search_from(search, at + 1, leaves);
    search->chosen[at] = false;
    return more;
}

/* All effects up to each of them. */
static void search_prefixes(struct search *search)
{
    struct faulty_group *group = search->group;
    group->option_count = 0;
    memset(search->chosen, 0, group->effect_count);
    for (size_t i = 0; i <= group->effect_count && !search->failed; i++) {
        if (i > 0) {
            search->chosen[i - 1] = true;
        }
        add_option(search, i == group->effect_count);
    }
}

static bool find_options(struct faulty_group *group, const struct faulty_names *names)
{
    struct search search = {.names = names, .group = group};
    search.chosen = calloc(group->effect_count, sizeof(bool));
    if (search.chosen == NULL) {
        return false;
    }
    size_t leaves = 0;
    if (group->effect_count > 64 || !search_from(&search, 0, &leaves)) {
        search_prefixes(&search);
    }
    finish_options(&search);
    free(search.chosen);
    return !search.failed;
}

/* ---- groups ----------------------------------------------------------------------------- */

static bool fill_group(struct faulty_group *group, const struct faulty_names *names,
                       const size_t *group_of, size_t number)
{
    group->names = calloc(2 * names->effect_count, sizeof(struct faulty_name *));
    group->effects = calloc(names->effect_count, sizeof(size_t));
    if (group->names == NULL || group->effects == NULL) {
        return false;
    }
    for (size_t i = number; i < names->effect_count; i++) {
        const struct faulty_renaming *effect = &names->effects[i];
        if (group_of[i] != number) {
            continue;
        }
        group->effects[group->effect_count++] = i;
        for (size_t k = 0; k < effect->count; k++) {
            if (find_name(group, effect->links[k].name) == group->name_count) {
                group->names[group->name_count++] = effect->links[k].name;
            }
        }
    }
    return find_options(group, names);
}

/* The nodes of names that no effect touches. */
static bool find_stable(struct faulty_groups *groups, const struct faulty_names *names)
{
    groups->stable = calloc(names->durable.count + 1, sizeof(uint32_t));
    if (groups->stable == NULL) {
        return false;
    }
    for (size_t i = 0; i < names->durable.count; i++) {
        const struct faulty_link *link = &names->durable.items[i];
        bool stable = true;
        for (size_t g = 0; stable && g < groups->count; g++) {
            stable = find_name(&groups->items[g], link->name) == groups->items[g].name_count;
        }
        if (stable) {
            groups->stable[groups->stable_count++] = link->node;
        }
    }
    return true;
}

struct faulty_groups *faulty_groups_new(const struct faulty_names *names)
{
    struct faulty_groups *groups = calloc(1, sizeof(*groups));
    size_t *group_of = calloc(names->effect_count + 1, sizeof(size_t));
    bool fine = groups != NULL && group_of != NULL;
    if (fine) {
        groups->items = calloc(names->effect_count + 1, sizeof(*groups->items));
        fine = groups->items != NULL;
    }
    if (fine) {
        find_groups(names, group_of);
    }
    for (size_t i = 0; fine && i < names->effect_count; i++) {
        if (group_of[i] == i) {
            fine = fill_group(&groups->items[groups->count++], names, group_of, i);
        }
    }
    fine = fine && find_stable(groups, names);
    free(group_of);
    if (!fine) {
        faulty_groups_free(groups);
        return NULL;
    }
    return groups;
}

void faulty_groups_free(struct faulty_groups *groups)
{
    if (groups == NULL) {
        return;
    }
    for (size_t i = 0; groups->items != NULL && i < groups->count; i++) {
        free(groups->items[i].names);
        free(groups->items[i].effects);
        free(groups->items[i].options);
    }
    free(groups->items);
    free(groups->stable);
    free(groups);
}

size_t faulty_group_at(const struct faulty_group *group, const struct faulty_names *names,
                       uint64_t time)
{
    size_t bytes = group->name_count * sizeof(uint32_t);
    uint32_t *nodes = malloc(bytes);
    if (nodes == NULL) {
        return 0;
    }
    bool *chosen = malloc(group->effect_count * sizeof(bool));
    size_t found = 0;
    if (chosen != NULL) {
        for (size_t i = 0; i < group->effect_count; i++) {
            chosen[i] = names->effects[group->effects[i]].time <= time;
        }
        struct faulty_group copy = *group;
        struct search search = {.names = names, .group = &copy, .chosen = chosen};
        option_of(&search, nodes);
        for (size_t i = 0; i < group->option_count; i++) {
            found = memcmp(option(group, i), nodes, bytes) == 0 ? i : found;
        }
    }
    free(chosen);
    free(nodes);
    return found;
}
