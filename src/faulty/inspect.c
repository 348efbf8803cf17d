/* SPDX-License-Identifier: MIT */
/* Direct access for tests: not operations, and never hit by faults. */
#include <stdlib.h>
#include <string.h>

#include "faulty/random.h"
#include "faulty/sim.h"

static int fail(struct firn_error *err, int code, const char *path)
{
    return code == 0 ? 0 : firn_error_set(err, code, 0, "%s: %s", path, firn_strerror(code));
}

/* The number of a file. FIRN_ENOENT for what is none. */
static int find_file(const struct firn_faulty *sim, const char *path, enum firn_faulty_image image,
                     uint32_t *number)
{
    struct faulty_place place = {.node = FAULTY_NONE};
    int rc = image == FIRN_FAULTY_CURRENT ? faulty_path_find(sim, path, true, &place)
                                          : faulty_path_find_durable(sim, path, &place);
    if (rc == 0 && (place.node == FAULTY_NONE ||
                    faulty_tree_get(&sim->tree, place.node)->kind != FIRN_ENTRY_FILE)) {
        rc = FIRN_ENOENT;
    }
    if (rc == 0) {
        *number = place.node;
    }
    return rc;
}

int firn_faulty_get(struct firn_faulty *sim, const char *path, enum firn_faulty_image image,
                    void **bytes, size_t *size, struct firn_error *err)
{
    uint32_t number = 0;
    faulty_enter(sim);
    int rc = faulty_share_store(sim);
    if (rc == 0) {
        rc = find_file(sim, path, image, &number);
    }
    if (rc == 0) {
        const struct faulty_content *content = &faulty_tree_get(&sim->tree, number)->content;
        bool current = image == FIRN_FAULTY_CURRENT;
        size_t n = (size_t)(current ? content->size : content->durable_size);
        void *copy = malloc(n + 1);
        if (copy != NULL) {
            faulty_table_read(current ? &content->current : &content->durable, 0, copy, n);
            *bytes = copy;
            *size = n;
        } else {
            rc = FIRN_ENOMEM;
        }
    }
    faulty_leave(sim);
    return fail(err, rc, path);
}

/* Both images of the directory get the name. */
static int add_durable(struct firn_faulty *sim, const struct faulty_place *place, uint32_t number)
{
    struct faulty_node *dir = faulty_tree_own(&sim->tree, place->dir);
    struct faulty_name *name = faulty_name_new(place->name);
    int rc = FIRN_ENOMEM;
    if (dir != NULL && name != NULL) {
        rc = faulty_links_set(&dir->names.durable, name, number);
        if (rc == 0) {
            rc = faulty_links_set(&dir->names.current, name, number);
        }
    }
    faulty_name_drop(name);
    return rc;
}

/* The number of the file at `path`, made if there is none. */
static int find_or_make(struct firn_faulty *sim, const char *path, uint32_t *number)
{
    struct faulty_place place;
    int rc = faulty_path_find(sim, path, true, &place);
    if (rc != 0) {
        return rc;
    }
    if (place.node != FAULTY_NONE) {
        *number = place.node;
        return faulty_tree_get(&sim->tree, place.node)->kind == FIRN_ENTRY_FILE ? 0 : FIRN_ENOENT;
    }
    rc = faulty_tree_add(&sim->tree, FIRN_ENTRY_FILE, NULL, number);
    if (rc == 0) {
        faulty_tree_own(&sim->tree, *number)->named = true;
        rc = add_durable(sim, &place, *number);
    }
    return rc;
}

int firn_faulty_put(struct firn_faulty *sim, const char *path, const void *bytes, size_t size,
                    struct firn_error *err)
{
    uint32_t number = 0;
    faulty_enter(sim);
    int rc = find_or_make(sim, path, &number);
    if (rc == 0) {
        struct faulty_node *node = faulty_tree_own(&sim->tree, number);
        rc = node == NULL ? FIRN_ENOMEM : faulty_content_replace(&node->content, bytes, size);
    }
    faulty_leave(sim);
    return fail(err, rc, path);
}

static int flip(struct faulty_table *table, uint64_t byte, unsigned bit)
{
    uint8_t value = 0;
    faulty_table_read(table, byte, &value, 1);
    value = (uint8_t)(value ^ (1U << bit));
    return faulty_table_write(table, byte, &value, 1);
}

int firn_faulty_flip_bit(struct firn_faulty *sim, const char *path, uint64_t byte, unsigned bit,
                         struct firn_error *err)
{
    uint32_t number = 0;
    faulty_enter(sim);
    int rc = find_file(sim, path, FIRN_FAULTY_CURRENT, &number);
    if (rc == 0 && (byte >= faulty_tree_get(&sim->tree, number)->content.size || bit > 7)) {
        rc = FIRN_ERANGE;
    }
    if (rc == 0) {
        struct faulty_node *node = faulty_tree_own(&sim->tree, number);
        rc = node == NULL ? FIRN_ENOMEM : flip(&node->content.current, byte, bit);
        if (rc == 0 && byte < node->content.durable_size) {
            rc = flip(&node->content.durable, byte, bit);
            if (rc != 0) {
                (void)flip(&node->content.current, byte, bit); /* needs no memory now */
            }
        }
    }
    faulty_leave(sim);
    return fail(err, rc, path);
}

int firn_faulty_lose(struct firn_faulty *sim, const char *path, int code, struct firn_error *err)
{
    uint32_t number = 0;
    faulty_enter(sim);
    int rc = find_file(sim, path, FIRN_FAULTY_CURRENT, &number);
    if (rc == 0) {
        rc = faulty_file_lose(sim, number, 0, UINT64_MAX, code != 0 ? code : FIRN_EIO);
    }
    faulty_leave(sim);
    return fail(err, rc, path);
}

/* ---- all files ---------------------------------------------------------------------------- */

/* Calls for each node, to be changed, until one fails. */
static int for_all(struct firn_faulty *sim, int (*each)(struct faulty_node *node))
{
    int rc = faulty_share_store(sim);
    for (uint32_t i = 0; rc == 0 && i < sim->tree.count; i++) {
        if (faulty_tree_get(&sim->tree, i) != NULL) {
            struct faulty_node *node = faulty_tree_own(&sim->tree, i);
            rc = node == NULL ? FIRN_ENOMEM : each(node);
        }
    }
    return rc;
}

static int reload_node(struct faulty_node *node)
{
    return node->kind == FIRN_ENTRY_FILE ? faulty_content_reload(&node->content) : 0;
}

int firn_faulty_drop_caches(struct firn_faulty *sim, struct firn_error *err)
{
    faulty_enter(sim);
    int rc = for_all(sim, reload_node);
    faulty_leave(sim);
    return fail(err, rc, "drop of caches");
}

static int settle_node(struct faulty_node *node)
{
    struct faulty_content *content = &node->content;
    if (node->kind == FIRN_ENTRY_DIR) {
        return faulty_names_sync(&node->names);
    }
    struct faulty_table durable = {NULL, 0};
    int rc = faulty_table_copy(&durable, &content->current);
    if (rc == 0) {
        rc = faulty_space_settle(content, 0, UINT64_MAX, false);
    }
    if (rc != 0) {
        faulty_table_done(&durable);
        return rc;
    }
    faulty_table_done(&content->durable);
    content->durable = durable;
    content->durable_size = content->size;
    faulty_pending_clear(content);
    return 0;
}

int firn_faulty_settle(struct firn_faulty *sim, struct firn_error *err)
{
    faulty_enter(sim);
    int rc = for_all(sim, settle_node);
    if (rc == 0) {
        faulty_handle_collect(sim);
    }
    faulty_leave(sim);
    return fail(err, rc, "settling");
}

/* ---- walking ------------------------------------------------------------------------------ */

/* A walk over all names of an image. */
struct tour {
    const struct firn_faulty *sim;
    enum firn_faulty_image image;
    firn_faulty_walk_fn *each;
    void *arg;
    char path[FAULTY_PATH_SIZE];
};

static int tour_dir(struct tour *tour, uint32_t number);

static int tour_link(struct tour *tour, const struct faulty_link *link)
{
    const struct faulty_node *node = faulty_tree_get(&tour->sim->tree, link->node);
    const char *name = faulty_name_text(link->name);
    size_t length = strlen(tour->path);
    size_t n = strlen(name);
    if (length + n + 2 > sizeof(tour->path)) {
        return FIRN_ETOOBIG;
    }
    size_t at = length;
    if (length > 0) {
        tour->path[at++] = '/';
    }
    memcpy(tour->path + at, name, n + 1);
    struct firn_entry entry = {
        .kind = node->kind,
        .size = tour->image == FIRN_FAULTY_CURRENT ? node->content.size
                                                   : node->content.durable_size,
        .allocated = faulty_bits_size(&node->content.allocated) * FAULTY_PAGE,
    };
    int rc = tour->each(tour->arg, tour->path, &entry);
    if (rc == 0 && node->kind == FIRN_ENTRY_DIR) {
        rc = tour_dir(tour, link->node);
    }
    tour->path[length] = '\0';
    return rc;
}

static int tour_dir(struct tour *tour, uint32_t number)
{
    const struct faulty_names *names = &faulty_tree_get(&tour->sim->tree, number)->names;
    const struct faulty_links *links = tour->image == FIRN_FAULTY_CURRENT ? &names->current
                                                                          : &names->durable;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < links->count; i++) {
        rc = tour_link(tour, &links->items[i]);
    }
    return rc;
}

int firn_faulty_walk(struct firn_faulty *sim, enum firn_faulty_image image,
                     firn_faulty_walk_fn *each, void *arg)
{
    struct tour tour = {.sim = sim, .image = image, .each = each, .arg = arg};
    faulty_enter(sim);
    int rc = tour_dir(&tour, 0);
    faulty_leave(sim);
    return rc;
}

/* ---- hash --------------------------------------------------------------------------------- */

static uint64_t hash_text(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return faulty_mix(hash);
}

static uint64_t hash_node(const struct faulty_tree *tree, uint32_t number)
{
    const struct faulty_node *node = faulty_tree_get(tree, number);
    uint64_t hash = (uint64_t)node->kind + 1;
    if (node->kind == FIRN_ENTRY_FILE) {
        hash = faulty_mix(hash + node->content.durable_size * 4) +
               faulty_table_hash(&node->content.durable);
    } else if (node->kind == FIRN_ENTRY_SYMLINK) {
        hash += hash_text(faulty_name_text(node->target));
    } else {
        const struct faulty_links *links = &node->names.durable;
        for (size_t i = 0; i < links->count; i++) {
            hash = faulty_mix(hash ^ hash_text(faulty_name_text(links->items[i].name)));
            hash = faulty_mix(hash + hash_node(tree, links->items[i].node));
        }
    }
    return faulty_mix(hash);
}

uint64_t firn_faulty_hash(struct firn_faulty *sim)
{
    faulty_enter(sim);
    uint64_t hash = hash_node(&sim->tree, 0);
    faulty_leave(sim);
    return hash;
}
