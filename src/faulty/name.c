/* SPDX-License-Identifier: MIT */
/* Names: making, removing, renaming and listing them, and making them durable. */
#include <stdlib.h>
#include <string.h>

#include "faulty/sim.h"

/* A name's change, with both of its links if it is a rename. */
static int change(struct firn_faulty *sim, uint32_t dir, const struct faulty_renaming *effect)
{
    struct faulty_node *node = faulty_tree_own(&sim->tree, dir);
    return node == NULL ? FIRN_ENOMEM : faulty_names_change(&node->names, effect);
}

static int set_named(struct firn_faulty *sim, uint32_t number, bool named)
{
    if (number == FAULTY_NONE) {
        return 0;
    }
    struct faulty_node *node = faulty_tree_own(&sim->tree, number);
    if (node == NULL) {
        return FIRN_ENOMEM;
    }
    node->named = named;
    return 0;
}

static int change_one(struct firn_faulty *sim, const struct faulty_place *place, uint32_t node,
                      uint64_t time)
{
    struct faulty_renaming effect = {.count = 1, .time = time};
    effect.links[0].name = faulty_name_new(place->name);
    effect.links[0].node = node;
    if (effect.links[0].name == NULL) {
        return FIRN_ENOMEM;
    }
    int rc = change(sim, place->dir, &effect);
    faulty_name_drop(effect.links[0].name);
    return rc;
}

/* A new node under the name of `place`. */
static int create(struct firn_faulty *sim, const struct faulty_place *place,
                  enum firn_entry_kind kind, const char *target, uint64_t time, uint32_t *node)
{
    uint32_t new = FAULTY_NONE;
    int rc = faulty_tree_add(&sim->tree, kind, target, &new);
    if (rc != 0) {
        return rc;
    }
    rc = set_named(sim, new, true);
    if (rc == 0) {
        rc = change_one(sim, place, new, time);
    }
    if (rc != 0) {
        faulty_tree_remove(&sim->tree, new);
        return rc;
    }
    *node = new;
    return 0;
}

/* ---- files ------------------------------------------------------------------------------- */

/* Whether an open, lock or share can go on with what the path leads to. */
static int check_open(const struct firn_faulty *sim, const struct faulty_place *place,
                      unsigned flags)
{
    if (place->node == FAULTY_NONE) {
        return (flags & FIRN_OPEN_CREATE) != 0 ? 0 : FIRN_ENOENT;
    }
    if ((flags & FIRN_OPEN_EXCLUSIVE) != 0) {
        return FIRN_EEXIST;
    }
    return faulty_tree_get(&sim->tree, place->node)->kind == FIRN_ENTRY_FILE ? 0 : FIRN_EINVAL;
}

int faulty_open_node(struct firn_faulty *sim, struct faulty_call *call, const char *path,
                     unsigned flags, uint32_t *node, struct firn_error *err)
{
    struct faulty_place place = {.node = FAULTY_NONE};
    int found = faulty_path_find(sim, path, (flags & FIRN_OPEN_EXCLUSIVE) == 0, &place);
    if (found == 0) {
        found = check_open(sim, &place, flags);
    }
    bool creates = found == 0 && place.node == FAULTY_NONE;
    call->op = creates ? FIRN_FAULTY_CREATE : call->op;
    int rc = faulty_call_begin(sim, call, err);
    if (rc != 0) {
        return rc;
    }
    if (found == 0 && creates) {
        faulty_call_mutate(sim, call);
        found = create(sim, &place, FIRN_ENTRY_FILE, NULL, call->mutation, &place.node);
        rc = found == 0 ? faulty_call_survive(sim, call, err) : 0;
    }
    if (found != 0) {
        return faulty_call_fail(call, found, err);
    }
    *node = place.node;
    return rc;
}

/* ---- one name ---------------------------------------------------------------------------- */

/* The course of an operation on one name: finds it, begins the call, and refuses with `refusal`. */
static int begin(struct firn_faulty *sim, struct faulty_call *call, const char *path, bool follow,
                 struct faulty_place *place, struct firn_error *err)
{
    faulty_enter(sim);
    int rc = faulty_call_begin(sim, call, err);
    if (rc != 0) {
        return rc;
    }
    rc = faulty_path_find(sim, path, follow, place);
    return rc != 0 ? faulty_call_fail(call, rc, err) : 0;
}

/* The end of one that has changed something, with result `rc` so far. */
static int finish(struct firn_faulty *sim, struct faulty_call *call, int rc, struct firn_error *err)
{
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    rc = faulty_call_survive(sim, call, err);
    return rc != 0 ? rc : faulty_call_middle(sim, call, err);
}

static enum firn_entry_kind kind_of(const struct firn_faulty *sim, const struct faulty_place *place)
{
    return faulty_tree_get(&sim->tree, place->node)->kind;
}

int faulty_stat(struct firn_disk *disk, const char *path, struct firn_entry *entry,
                struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_STAT, .path = clean};
    struct faulty_place place;
    faulty_path_clean(path, clean);
    int rc = begin(sim, &call, path, false, &place, err);
    if (rc == 0 && place.node == FAULTY_NONE) {
        rc = faulty_call_fail(&call, FIRN_ENOENT, err);
    }
    if (rc == 0) {
        const struct faulty_node *node = faulty_tree_get(&sim->tree, place.node);
        *entry = (struct firn_entry){
            .kind = node->kind,
            .size = node->content.size,
            .allocated = faulty_bits_size(&node->content.allocated) * FAULTY_PAGE,
        };
        rc = faulty_call_middle(sim, &call, err);
    }
    return faulty_call_end(sim, &call, rc);
}

static int make(struct firn_disk *disk, struct faulty_call *call, const char *path,
                enum firn_entry_kind kind, const char *target, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    struct faulty_place place;
    uint32_t node = FAULTY_NONE;
    int rc = begin(sim, call, path, false, &place, err);
    if (rc == 0 && (place.node != FAULTY_NONE || place.dir == FAULTY_NONE)) {
        rc = faulty_call_fail(call, FIRN_EEXIST, err);
    } else if (rc == 0) {
        faulty_call_mutate(sim, call);
        rc = create(sim, &place, kind, target, call->mutation, &node);
        rc = finish(sim, call, rc, err);
    }
    return faulty_call_end(sim, call, rc);
}

int faulty_make_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_MAKE_DIR, .path = clean};
    faulty_path_clean(path, clean);
    return make(disk, &call, path, FIRN_ENTRY_DIR, NULL, err);
}

int faulty_make_link(struct firn_disk *disk, const char *target, const char *path,
                     struct firn_error *err)
{
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_MAKE_LINK, .path = clean};
    faulty_path_clean(path, clean);
    if (target[0] == '\0') {
        return faulty_call_fail(&call, FIRN_ENOENT, err);
    }
    return make(disk, &call, path, FIRN_ENTRY_SYMLINK, target, err);
}

int faulty_read_link(struct firn_disk *disk, const char *path, char *target, size_t size,
                     struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_READ_LINK, .path = clean};
    struct faulty_place place;
    faulty_path_clean(path, clean);
    int rc = begin(sim, &call, path, false, &place, err);
    if (rc == 0 && place.node == FAULTY_NONE) {
        rc = faulty_call_fail(&call, FIRN_ENOENT, err);
    } else if (rc == 0 && kind_of(sim, &place) != FIRN_ENTRY_SYMLINK) {
        rc = faulty_call_fail(&call, FIRN_EINVAL, err);
    } else if (rc == 0) {
        const char *text = faulty_name_text(faulty_tree_get(&sim->tree, place.node)->target);
        size_t n = strlen(text) + 1;
        if (n > size) {
            rc = faulty_call_fail(&call, FIRN_ERANGE, err);
        } else {
            memcpy(target, text, n);
            rc = faulty_call_middle(sim, &call, err);
        }
    }
    return faulty_call_end(sim, &call, rc);
}

/* ---- removing ---------------------------------------------------------------------------- */

static int check_remove(const struct firn_faulty *sim, const struct faulty_place *place, bool dir)
{
    if (place->node == FAULTY_NONE) {
        return FIRN_ENOENT;
    }
    if (!dir) {
        return kind_of(sim, place) == FIRN_ENTRY_DIR ? FIRN_EINVAL : 0;
    }
    if (kind_of(sim, place) != FIRN_ENTRY_DIR) {
        return FIRN_ENOTDIR;
    }
    if (place->dir == FAULTY_NONE) {
        return FIRN_EINVAL;
    }
    bool empty = faulty_tree_get(&sim->tree, place->node)->names.current.count == 0;
    return empty ? 0 : FIRN_EBUSY;
}

static int take_away(struct firn_disk *disk, struct faulty_call *call, const char *path,
                     struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    struct faulty_place place;
    int rc = begin(sim, call, path, false, &place, err);
    if (rc == 0) {
        rc = check_remove(sim, &place, call->op == FIRN_FAULTY_REMOVE_DIR);
        if (rc == 0) {
            faulty_call_mutate(sim, call);
            rc = set_named(sim, place.node, false);
        }
        if (rc == 0) {
            rc = change_one(sim, &place, FAULTY_NONE, call->mutation);
        }
        rc = finish(sim, call, rc, err);
    }
    return faulty_call_end(sim, call, rc);
}

int faulty_remove(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_REMOVE, .path = clean};
    faulty_path_clean(path, clean);
    return take_away(disk, &call, path, err);
}

int faulty_remove_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_REMOVE_DIR, .path = clean};
    faulty_path_clean(path, clean);
    return take_away(disk, &call, path, err);
}

/* ---- renaming ---------------------------------------------------------------------------- */

static int check_rename(const struct firn_faulty *sim, const struct faulty_place *from,
                        const struct faulty_place *to)
{
    if (from->node == FAULTY_NONE) {
        return FIRN_ENOENT;
    }
    if (from->dir == FAULTY_NONE || from->dir != to->dir) {
        return FIRN_EINVAL;
    }
    if (to->node == FAULTY_NONE || to->node == from->node) {
        return 0;
    }
    bool dir = kind_of(sim, from) == FIRN_ENTRY_DIR;
    if (kind_of(sim, to) != FIRN_ENTRY_DIR) {
        return dir ? FIRN_ENOTDIR : 0;
    }
    if (!dir) {
        return FIRN_EINVAL;
    }
    bool empty = faulty_tree_get(&sim->tree, to->node)->names.current.count == 0;
    return empty ? 0 : FIRN_EBUSY;
}

static int rename_now(struct firn_faulty *sim, const struct faulty_place *from,
                      const struct faulty_place *to, uint64_t time)
{
    struct faulty_renaming effect = {.count = 2, .time = time};
    effect.links[0] = (struct faulty_link){faulty_name_new(from->name), FAULTY_NONE};
    effect.links[1] = (struct faulty_link){faulty_name_new(to->name), from->node};
    int rc = FIRN_ENOMEM;
    if (effect.links[0].name != NULL && effect.links[1].name != NULL) {
        rc = set_named(sim, to->node, false);
        if (rc == 0) {
            rc = change(sim, from->dir, &effect);
        }
    }
    faulty_name_drop(effect.links[0].name);
    faulty_name_drop(effect.links[1].name);
    return rc;
}

int faulty_rename(struct firn_disk *disk, const char *from, const char *to, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char old[FAULTY_PATH_SIZE];
    char new[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_RENAME, .path = new, .other = old};
    struct faulty_place source;
    struct faulty_place target;
    faulty_path_clean(from, old);
    faulty_path_clean(to, new);
    int rc = begin(sim, &call, from, false, &source, err);
    if (rc == 0) {
        rc = faulty_path_find(sim, to, false, &target);
        rc = rc != 0 ? rc : check_rename(sim, &source, &target);
        if (rc == 0 && source.node != target.node) {
            faulty_call_mutate(sim, &call);
            rc = rename_now(sim, &source, &target, call.mutation);
        }
        rc = finish(sim, &call, rc, err);
    }
    return faulty_call_end(sim, &call, rc);
}

/* ---- directories ------------------------------------------------------------------------- */

/* The names of a directory at one moment. */
struct listing {
    struct faulty_links links;
    enum firn_entry_kind *kinds;
};

static int copy_listing(const struct firn_faulty *sim, const struct faulty_place *place,
                        struct listing *listing)
{
    if (place->node == FAULTY_NONE) {
        return FIRN_ENOENT;
    }
    if (kind_of(sim, place) != FIRN_ENTRY_DIR) {
        return FIRN_ENOTDIR;
    }
    const struct faulty_names *names = &faulty_tree_get(&sim->tree, place->node)->names;
    listing->kinds = malloc((names->current.count + 1) * sizeof(*listing->kinds));
    if (listing->kinds == NULL || faulty_links_copy(&listing->links, &names->current) != 0) {
        return FIRN_ENOMEM;
    }
    for (size_t i = 0; i < names->current.count; i++) {
        listing->kinds[i] = faulty_tree_get(&sim->tree, names->current.items[i].node)->kind;
    }
    return 0;
}

int faulty_list(struct firn_disk *disk, const char *path, firn_list_fn *each, void *arg,
                struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_LIST, .path = clean};
    struct faulty_place place;
    struct listing listing = {.kinds = NULL};
    faulty_path_clean(path, clean);
    int rc = begin(sim, &call, path, true, &place, err);
    if (rc == 0) {
        rc = copy_listing(sim, &place, &listing);
        rc = rc != 0 ? faulty_call_fail(&call, rc, err) : faulty_call_middle(sim, &call, err);
    }
    rc = faulty_call_end(sim, &call, rc);
    for (size_t i = 0; rc == 0 && i < listing.links.count; i++) {
        struct firn_entry entry = {.kind = listing.kinds[i]};
        rc = each(arg, faulty_name_text(listing.links.items[i].name), &entry);
    }
    faulty_links_done(&listing.links);
    free(listing.kinds);
    return rc;
}

static int sync_names(struct firn_faulty *sim, const struct faulty_call *call, uint32_t dir)
{
    bool lies = call->hit && call->fault.what == FIRN_FAULTY_FORGET;
    if (lies || faulty_tree_get(&sim->tree, dir)->names.effect_count == 0) {
        return 0;
    }
    struct faulty_node *node = faulty_tree_own(&sim->tree, dir);
    int rc = node == NULL ? FIRN_ENOMEM : faulty_names_sync(&node->names);
    if (rc == 0) {
        faulty_handle_collect(sim);
    }
    return rc;
}

int faulty_sync_dir(struct firn_disk *disk, const char *path, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    struct faulty_call call = {.op = FIRN_FAULTY_SYNC_DIR, .path = clean};
    struct faulty_place place;
    faulty_path_clean(path, clean);
    int rc = begin(sim, &call, path, true, &place, err);
    if (rc == 0 && place.node == FAULTY_NONE) {
        rc = faulty_call_fail(&call, FIRN_ENOENT, err);
    } else if (rc == 0 && kind_of(sim, &place) != FIRN_ENTRY_DIR) {
        rc = faulty_call_fail(&call, FIRN_ENOTDIR, err);
    } else if (rc == 0) {
        faulty_call_mutate(sim, &call);
        rc = faulty_call_survive(sim, &call, err);
        if (rc == 0) {
            rc = finish(sim, &call, sync_names(sim, &call, place.node), err);
        }
    }
    return faulty_call_end(sim, &call, rc);
}
