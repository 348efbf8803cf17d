/* SPDX-License-Identifier: MIT */
#include "faulty/tree.h"

#include <stdlib.h>
#include <string.h>

static void forget_choices(struct faulty_node *node)
{
    faulty_choices_free(node->choices);
    faulty_groups_free(node->groups);
    node->choices = NULL;
    node->groups = NULL;
}

static void node_drop(struct faulty_node *node)
{
    if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    forget_choices(node);
    faulty_content_done(&node->content);
    faulty_names_done(&node->names);
    faulty_name_drop(node->target);
    free(node);
}

static struct faulty_node *node_new(enum firn_entry_kind kind)
{
    struct faulty_node *node = calloc(1, sizeof(*node));
    if (node != NULL) {
        atomic_init(&node->refs, 1);
        node->kind = kind;
    }
    return node;
}

static struct faulty_node *node_copy(const struct faulty_node *node)
{
    struct faulty_node *copy = node_new(node->kind);
    if (copy == NULL) {
        return NULL;
    }
    copy->named = node->named;
    copy->target = node->target == NULL ? NULL : faulty_name_keep(node->target);
    if (faulty_content_copy(&copy->content, &node->content) != 0 ||
        faulty_names_copy(&copy->names, &node->names) != 0) {
        node_drop(copy);
        return NULL;
    }
    return copy;
}

int faulty_tree_init(struct faulty_tree *tree)
{
    *tree = (struct faulty_tree){NULL, 0, 0};
    uint32_t root = 0;
    int rc = faulty_tree_add(tree, FIRN_ENTRY_DIR, NULL, &root);
    if (rc == 0) {
        tree->nodes[root]->named = true;
    }
    return rc;
}

void faulty_tree_done(struct faulty_tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        node_drop(tree->nodes[i]);
    }
    free(tree->nodes);
    *tree = (struct faulty_tree){NULL, 0, 0};
}

int faulty_tree_copy(struct faulty_tree *to, const struct faulty_tree *from)
{
    struct faulty_node **nodes = malloc(from->count * sizeof(struct faulty_node *));
    if (nodes == NULL) {
        return FIRN_ENOMEM;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        nodes[i] = from->nodes[i];
        if (nodes[i] != NULL) {
            atomic_fetch_add_explicit(&nodes[i]->refs, 1, memory_order_relaxed);
        }
    }
    *to = (struct faulty_tree){.nodes = nodes, .count = from->count, .capacity = from->count};
    return 0;
}

const struct faulty_node *faulty_tree_get(const struct faulty_tree *tree, uint32_t number)
{
    return number < tree->count ? tree->nodes[number] : NULL;
}

struct faulty_node *faulty_tree_own(struct faulty_tree *tree, uint32_t number)
{
    struct faulty_node *node = tree->nodes[number];
    if (atomic_load_explicit(&node->refs, memory_order_acquire) == 1) {
        forget_choices(node);
        return node;
    }
    struct faulty_node *copy = node_copy(node);
    if (copy != NULL) {
        tree->nodes[number] = copy;
        node_drop(node);
    }
    return copy;
}

/* A number that is not in use. */
static int free_number(struct faulty_tree *tree, uint32_t *number)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        if (tree->nodes[i] == NULL) {
            *number = i;
            return 0;
        }
    }
    if (tree->count == tree->capacity) {
        uint32_t capacity = tree->capacity < 16 ? 16 : 2 * tree->capacity;
        struct faulty_node **nodes = realloc(tree->nodes, capacity * sizeof(struct faulty_node *));
        if (nodes == NULL) {
            return FIRN_ENOMEM;
        }
        tree->nodes = nodes;
        tree->capacity = capacity;
    }
    tree->nodes[tree->count] = NULL;
    *number = tree->count++;
    return 0;
}

int faulty_tree_add(struct faulty_tree *tree, enum firn_entry_kind kind, const char *target,
                    uint32_t *number)
{
    struct faulty_node *node = node_new(kind);
    if (node != NULL && target != NULL) {
        node->target = faulty_name_new(target);
    }
    if (node == NULL || (target != NULL && node->target == NULL)) {
        node_drop(node);
        return FIRN_ENOMEM;
    }
    uint32_t at = 0;
    int rc = free_number(tree, &at);
    if (rc != 0) {
        node_drop(node);
        return rc;
    }
    tree->nodes[at] = node;
    *number = at;
    return 0;
}

void faulty_tree_remove(struct faulty_tree *tree, uint32_t number)
{
    node_drop(tree->nodes[number]);
    tree->nodes[number] = NULL;
}

bool faulty_node_pending(const struct faulty_node *node)
{
    return node->names.effect_count > 0 || node->content.effects.count > 0;
}

int faulty_tree_settle(struct faulty_tree *tree)
{
    for (uint32_t i = 0; i < tree->count; i++) {
        struct faulty_node *node = tree->nodes[i];
        if (node == NULL || !faulty_node_pending(node)) {
            continue;
        }
        if (node->kind == FIRN_ENTRY_FILE && node->choices == NULL) {
            node->choices = faulty_choices_new(&node->content);
        }
        if (node->kind == FIRN_ENTRY_DIR && node->groups == NULL) {
            node->groups = faulty_groups_new(&node->names);
        }
        if (node->choices == NULL && node->groups == NULL) {
            return FIRN_ENOMEM;
        }
    }
    return 0;
}

/* ---- finding what is in use ------------------------------------------------------------- */

static void mark(const struct faulty_tree *tree, uint32_t number, bool *marked);

static void mark_links(const struct faulty_tree *tree, const struct faulty_link *links,
                       size_t count, bool *marked)
{
    for (size_t i = 0; i < count; i++) {
        mark(tree, links[i].node, marked);
    }
}

static void mark(const struct faulty_tree *tree, uint32_t number, bool *marked)
{
    if (number == FAULTY_NONE || marked[number]) {
        return;
    }
    marked[number] = true;
    const struct faulty_names *names = &tree->nodes[number]->names;
    mark_links(tree, names->current.items, names->current.count, marked);
    mark_links(tree, names->durable.items, names->durable.count, marked);
    for (size_t i = 0; i < names->effect_count; i++) {
        mark_links(tree, names->effects[i].links, names->effects[i].count, marked);
    }
}

int faulty_tree_collect(struct faulty_tree *tree, const uint32_t *kept, size_t kept_count)
{
    bool *marked = calloc(tree->count, sizeof(*marked));
    if (marked == NULL) {
        return FIRN_ENOMEM;
    }
    mark(tree, 0, marked);
    for (size_t i = 0; i < kept_count; i++) {
        mark(tree, kept[i], marked);
    }
    for (uint32_t i = 0; i < tree->count; i++) {
        if (!marked[i] && tree->nodes[i] != NULL) {
            faulty_tree_remove(tree, i);
        }
    }
    free(marked);
    return 0;
}
