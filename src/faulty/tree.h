/* SPDX-License-Identifier: MIT */
/*
 * All nodes (files, directories, symbolic links) of a simulator, by number; 0 is the root.
 *
 * Copies of a tree share the nodes. A node is changed only through faulty_tree_own, which makes a
 * copy of one that another tree holds too. What can become of a node when the power goes
 * (faulty/choices.h) is kept with it while it does not change; faulty_tree_settle computes that for
 * all nodes, and must be called before a tree is copied: a shared node is never written to.
 */
#ifndef FAULTY_TREE_H
#define FAULTY_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <firn/disk.h>

#include "faulty/choices.h"
#include "faulty/content.h"
#include "faulty/names.h"

struct faulty_node {
    atomic_uint refs;
    enum firn_entry_kind kind;
    bool named;                    /* has a name in the current image */
    struct faulty_content content; /* of a file */
    struct faulty_names names;     /* of a directory */
    struct faulty_name *target;    /* of a link */
    struct faulty_choices *choices;
    struct faulty_groups *groups;
};

struct faulty_tree {
    struct faulty_node **nodes; /* NULL: number not in use */
    uint32_t count;
    uint32_t capacity;
};

/* With the root. FIRN_ENOMEM. */
int faulty_tree_init(struct faulty_tree *tree);
void faulty_tree_done(struct faulty_tree *tree);
int faulty_tree_copy(struct faulty_tree *to, const struct faulty_tree *from);

const struct faulty_node *faulty_tree_get(const struct faulty_tree *tree, uint32_t number);
/* To be changed. NULL without memory. */
struct faulty_node *faulty_tree_own(struct faulty_tree *tree, uint32_t number);
/* A new node; `target` for a link, NULL otherwise. FIRN_ENOMEM. */
int faulty_tree_add(struct faulty_tree *tree, enum firn_entry_kind kind, const char *target,
                    uint32_t *number);
void faulty_tree_remove(struct faulty_tree *tree, uint32_t number);

/* Computes what can become of each node. FIRN_ENOMEM. */
int faulty_tree_settle(struct faulty_tree *tree);
/* True if the node has pending effects, or differs between its images. */
bool faulty_node_pending(const struct faulty_node *node);

/* Removes nodes that have no name, pending or durable or current, and are not `kept`. */
int faulty_tree_collect(struct faulty_tree *tree, const uint32_t *kept, size_t kept_count);

#endif
