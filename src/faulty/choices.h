/* SPDX-License-Identifier: MIT */
/*
 * What can become of one file, and of the names of one directory, when the power goes.
 *
 * A file: first a size is chosen (the durable one, or that after any of the pending changes), then
 * for each sector below it, independently, one of the versions that its content went through. Which
 * versions there are depends on the size chosen: a shrinkage that survives takes old content away,
 * and a sector may reach beyond the end. So the number of outcomes is a sum over sizes of products
 * over sectors.
 *
 * A directory: effects that share names, directly or through others, form a group; for each group
 * one option is chosen. An option is a set of effects that contains with each effect the earlier
 * ones that share a name with it; it is kept as the nodes that the group's names have then.
 *
 * Both are computed once, from a node that does not change any more, and used by all its clones.
 */
#ifndef FAULTY_CHOICES_H
#define FAULTY_CHOICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "faulty/content.h"
#include "faulty/names.h"

struct faulty_size_choice {
    size_t effects; /* changes of size among so many first effects survive */
    uint64_t size;
    uint64_t weight; /* number of outcomes with this size */
};

struct faulty_sector_choice {
    uint64_t sector;
    size_t first;      /* of its parts */
    size_t count;      /* of its parts */
    size_t lost;       /* writes that they come from and that are lost */
    size_t pending;    /* the other writes that they come from */
    uint64_t versions; /* where no shrinkage survived and the file reaches over the sector */
    uint64_t tears;
};

struct faulty_choices {
    struct faulty_size_choice *sizes;
    size_t size_count;
    struct faulty_sector_choice *sectors;
    size_t sector_count;
    uint32_t *parts; /* numbers of effects, by sector */
    size_t part_count;
    uint32_t *shrinks; /* numbers of effects */
    size_t shrink_count;
    uint64_t total; /* number of outcomes; UINT64_MAX: or more */
    uint64_t tears;
};

/* Contents of one sector, the oldest first, the newest last. */
struct faulty_versions {
    uint8_t (*items)[FAULTY_SECTOR];
    size_t count;
    size_t capacity;
};

/* NULL without memory. */
struct faulty_choices *faulty_choices_new(const struct faulty_content *content);
void faulty_choices_free(struct faulty_choices *choices);

/* The versions of a sector with size number `size`; one that the file does not reach has one. */
int faulty_choices_versions(const struct faulty_choices *choices,
                            const struct faulty_content *content, size_t sector, size_t size,
                            struct faulty_versions *versions);
/* The content of a sector as it was at a time. */
void faulty_choices_at(const struct faulty_choices *choices, const struct faulty_content *content,
                       size_t sector, size_t size, uint64_t time, uint8_t out[FAULTY_SECTOR]);
/* Tear number `tear`, from 0: which sector, and its content. FIRN_ENOMEM. */
int faulty_choices_tear(const struct faulty_choices *choices, const struct faulty_content *content,
                        uint64_t tear, size_t *sector, uint8_t out[FAULTY_SECTOR]);
/* How many tears there are between two contents; and one of them. */
uint64_t faulty_tears_between(const uint8_t *before, const uint8_t *after);
void faulty_tear(const uint8_t *before, const uint8_t *after, uint64_t tear,
                 uint8_t out[FAULTY_SECTOR]);

struct faulty_group {
    struct faulty_name **names;
    size_t name_count;
    size_t *effects; /* numbers of its effects, in order */
    size_t effect_count;
    uint32_t *options; /* name_count nodes for each */
    size_t option_count;
};

struct faulty_groups {
    struct faulty_group *items;
    size_t count;
    uint32_t *stable; /* nodes whose names have no pending effects */
    size_t stable_count;
};

/* NULL without memory. Refers to `names`, which must stay as it is. */
struct faulty_groups *faulty_groups_new(const struct faulty_names *names);
void faulty_groups_free(struct faulty_groups *groups);

/* The option that is all effects up to a time. */
size_t faulty_group_at(const struct faulty_group *group, const struct faulty_names *names,
                       uint64_t time);

/* Products and sums that stay at UINT64_MAX. */
uint64_t faulty_times(uint64_t a, uint64_t b);
uint64_t faulty_plus(uint64_t a, uint64_t b);

#endif
