/* SPDX-License-Identifier: MIT */
/* From a path to a node. */
#include <string.h>

#include "faulty/sim.h"

enum { DEEPEST = 64, MOST_LINKS = 16 };

/* The directories on the way down, for "..". */
struct descent {
    const struct faulty_tree *tree;
    bool durable;
    uint32_t dirs[DEEPEST];
    size_t depth;
    int links;
};

static int descend(struct descent *descent, const char *path, bool follow,
                   struct faulty_place *place);

static int enter_dir(struct descent *descent, uint32_t node)
{
    if (node == FAULTY_NONE) {
        return FIRN_ENOENT;
    }
    if (faulty_tree_get(descent->tree, node)->kind != FIRN_ENTRY_DIR) {
        return FIRN_ENOTDIR;
    }
    if (descent->depth == DEEPEST) {
        return FIRN_ETOOBIG;
    }
    descent->dirs[descent->depth++] = node;
    return 0;
}

static void stay(struct descent *descent, struct faulty_place *place)
{
    place->dir = FAULTY_NONE;
    place->node = descent->dirs[descent->depth - 1];
    place->name[0] = '\0';
}

/* One name, of `n` bytes. */
static int step(struct descent *descent, const char *name, size_t n, bool follow,
                struct faulty_place *place)
{
    if (n > FAULTY_NAME_MAX) {
        return FIRN_ETOOBIG;
    }
    if (n == 1 && name[0] == '.') {
        stay(descent, place);
        return 0;
    }
    if (n == 2 && name[0] == '.' && name[1] == '.') {
        descent->depth -= descent->depth > 1 ? 1 : 0;
        stay(descent, place);
        return 0;
    }
    place->dir = descent->dirs[descent->depth - 1];
    memcpy(place->name, name, n);
    place->name[n] = '\0';
    const struct faulty_names *names = &faulty_tree_get(descent->tree, place->dir)->names;
    place->node = faulty_links_find(descent->durable ? &names->durable : &names->current,
                                    place->name);
    if (place->node == FAULTY_NONE || !follow) {
        return 0;
    }
    const struct faulty_node *node = faulty_tree_get(descent->tree, place->node);
    if (node->kind != FIRN_ENTRY_SYMLINK) {
        return 0;
    }
    if (++descent->links > MOST_LINKS) {
        return FIRN_EINVAL;
    }
    return descend(descent, faulty_name_text(node->target), true, place);
}

static int descend(struct descent *descent, const char *path, bool follow,
                   struct faulty_place *place)
{
    descent->depth = path[0] == '/' ? 1 : descent->depth;
    stay(descent, place);
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        const char *rest = path + n + strspn(path + n, "/");
        bool last = *rest == '\0';
        int rc = n == 0 ? 0 : step(descent, path, n, !last || follow || path[n] == '/', place);
        if (rc != 0) {
            return rc;
        }
        if (!last && n > 0 && place->dir != FAULTY_NONE) {
            rc = enter_dir(descent, place->node);
        } else if (last && path[n] == '/' && place->node != FAULTY_NONE &&
                   faulty_tree_get(descent->tree, place->node)->kind != FIRN_ENTRY_DIR) {
            rc = FIRN_ENOTDIR;
        }
        if (rc != 0) {
            return rc;
        }
        path = rest;
    }
    return 0;
}

int faulty_path_find(const struct firn_faulty *sim, const char *path, bool follow,
                     struct faulty_place *place)
{
    struct descent descent = {.tree = &sim->tree, .depth = 1};
    return descend(&descent, path, follow, place);
}

int faulty_path_find_durable(const struct firn_faulty *sim, const char *path,
                             struct faulty_place *place)
{
    struct descent descent = {.tree = &sim->tree, .durable = true, .depth = 1};
    return descend(&descent, path, true, place);
}

void faulty_path_clean(const char *path, char clean[FAULTY_PATH_SIZE])
{
    size_t length = 0;
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        bool meaningless = n == 0 || (n == 1 && path[0] == '.');
        if (!meaningless && length + n + 2 < FAULTY_PATH_SIZE) {
            if (length > 0) {
                clean[length++] = '/';
            }
            memcpy(clean + length, path, n);
            length += n;
        }
        path += n;
        path += *path == '/' ? 1 : 0;
    }
    clean[length] = '\0';
}
