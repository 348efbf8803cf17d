/* SPDX-License-Identifier: MIT */
/* From a path to a node of the storage `memory`. All of it under the mutex. */
#ifndef FIRN_DISK_MEMORY_WALK_H
#define FIRN_DISK_MEMORY_WALK_H

#include "disk/memory_private.h"

/* Where a path leads. */
struct memory_place {
    struct memory_node
        *dir;         /* the directory of the last name; NULL: it ends with "." and the like */
    const char *name; /* that name, in the path or in a link's target; not terminated */
    size_t len;       /* of it */
    size_t at;        /* its place in the directory, where node is there */
    struct memory_node *node; /* NULL: there is nothing of that name */
    bool slash;               /* the path ends with '/': only a directory will do */
};

/* Follows the path, its last component (if that is a link) with `follow`. FIRN_ENOENT only where a
 * directory on the way is missing. */
int memory_walk(struct memory_disk *disk, const char *path, bool follow,
                struct memory_place *place);

/* The same; FIRN_ENOENT also where nothing has the last name. */
int memory_walk_to(struct memory_disk *disk, const char *path, bool follow,
                   struct memory_place *place);

/* The same for a name that is to be given: FIRN_EEXIST where anything has it. */
int memory_walk_to_new(struct memory_disk *disk, const char *path, struct memory_place *place);

/* Where the name is, or where it would be. */
bool memory_dir_find(const struct memory_dir *dir, const char *name, size_t len, size_t *at);

/* Adds a name that is not there yet; takes over the reference. False: out of memory. */
bool memory_dir_add(struct memory_node *in, const char *name, size_t len, struct memory_node *node);

/* Takes a name away; its reference is the caller's. */
struct memory_node *memory_dir_take(struct memory_dir *dir, size_t at);

/* Takes a name away, with its reference. */
void memory_dir_drop(struct memory_disk *disk, struct memory_dir *dir, size_t at);

#endif
