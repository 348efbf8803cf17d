/* SPDX-License-Identifier: MIT */
/*
 * A directory: its current names, its durable ones, and the pending effects between them.
 *
 * An effect gives one name a new node (or none), or two names at once: a rename.
 */
#ifndef FAULTY_NAMES_H
#define FAULTY_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAULTY_NAME_MAX = 255 };

/* In place of a node's number: none. */
#define FAULTY_NONE UINT32_MAX

/* A text that many refer to. */
struct faulty_name;

struct faulty_name *faulty_name_new(const char *text);
struct faulty_name *faulty_name_keep(struct faulty_name *name);
void faulty_name_drop(struct faulty_name *name);
const char *faulty_name_text(const struct faulty_name *name);

/* One name and its node. */
struct faulty_link {
    struct faulty_name *name;
    uint32_t node;
};

/* Links in the order of their names; or, in a list of effects, in any order. */
struct faulty_links {
    struct faulty_link *items;
    size_t count;
    size_t capacity;
};

struct faulty_renaming {
    struct faulty_link links[2];
    size_t count; /* of links: 1 or 2 */
    uint64_t time;
};

struct faulty_names {
    struct faulty_links current;
    struct faulty_links durable;
    struct faulty_renaming *effects;
    size_t effect_count;
    size_t effect_capacity;
};

void faulty_links_done(struct faulty_links *links);
int faulty_links_copy(struct faulty_links *to, const struct faulty_links *from);
/* The node that has the name, or FAULTY_NONE. */
uint32_t faulty_links_find(const struct faulty_links *links, const char *text);
/* Gives the name to a node, or takes it away (FAULTY_NONE). FIRN_ENOMEM. */
int faulty_links_set(struct faulty_links *links, struct faulty_name *name, uint32_t node);

void faulty_names_done(struct faulty_names *names);
int faulty_names_copy(struct faulty_names *to, const struct faulty_names *from);
/* Changes the current names and adds the effect; keeps the names it needs. FIRN_ENOMEM. */
int faulty_names_change(struct faulty_names *names, const struct faulty_renaming *effect);
/* The current names become durable. FIRN_ENOMEM: nothing has changed. */
int faulty_names_sync(struct faulty_names *names);
/* Both become `links` (taken over, on success); nothing is pending. FIRN_ENOMEM. */
int faulty_names_replace(struct faulty_names *names, struct faulty_links *links);

#endif
