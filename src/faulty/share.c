/* SPDX-License-Identifier: MIT */
/*
 * Memory shared through files. While a mapping lives, its memory is what is current of the file;
 * it is copied there when somebody looks, and when the mapping or the power goes.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "faulty/sim.h"

struct faulty_mapping *faulty_share_find(const struct firn_faulty *sim, uint32_t node)
{
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (handle->kind == FAULTY_SHARE_HANDLE && !handle->dead && handle->node == node) {
            return ((struct firn_share *)handle)->mapping;
        }
    }
    return NULL;
}

/* Whole words at a time, since the program's other threads go on writing to it. */
static const uint8_t *copy_of(const struct faulty_mapping *mapping)
{
    const _Atomic uint64_t *from = (const _Atomic uint64_t *)(const void *)mapping->memory;
    uint8_t *to = mapping->memory + FAULTY_SHARE_MOST;
    for (size_t i = 0; i < (mapping->bytes + 7) / 8; i++) {
        uint64_t word = atomic_load_explicit(&from[i], memory_order_relaxed);
        memcpy(to + 8 * i, &word, sizeof word);
    }
    return to;
}

static int store(struct firn_faulty *sim, uint32_t number, const struct faulty_mapping *mapping)
{
    const struct faulty_content *content = &faulty_tree_get(&sim->tree, number)->content;
    const uint8_t *bytes = copy_of(mapping);
    if (content->mapped >= mapping->bytes &&
        faulty_table_equals(&content->current, 0, bytes, mapping->bytes)) {
        return 0;
    }
    struct faulty_node *node = faulty_tree_own(&sim->tree, number);
    if (node == NULL || faulty_table_write(&node->content.current, 0, bytes, mapping->bytes) != 0) {
        return FIRN_ENOMEM;
    }
    if (node->content.mapped < mapping->bytes) {
        node->content.mapped = mapping->bytes;
    }
    return 0;
}

int faulty_share_store(struct firn_faulty *sim)
{
    int rc = 0;
    for (struct faulty_handle *handle = sim->handles; handle != NULL; handle = handle->next) {
        if (handle->kind == FAULTY_SHARE_HANDLE && !handle->dead) {
            int result = store(sim, handle->node, ((struct firn_share *)handle)->mapping);
            rc = rc != 0 ? rc : result;
        }
    }
    return rc;
}

static struct faulty_mapping *mapping_new(const struct faulty_content *content)
{
    struct faulty_mapping *mapping = calloc(1, sizeof(*mapping));
    if (mapping == NULL) {
        return NULL;
    }
    mapping->memory = malloc(2 * FAULTY_SHARE_MOST);
    if (mapping->memory == NULL) {
        free(mapping);
        return NULL;
    }
    faulty_table_read(&content->current, 0, mapping->memory, FAULTY_SHARE_MOST);
    return mapping;
}

static void mapping_drop(struct faulty_mapping *mapping)
{
    if (mapping != NULL && --mapping->refs == 0) {
        free(mapping->memory);
        free(mapping);
    }
}

/* Makes the file as long as asked, or sees that it is. */
static int make_room(struct firn_faulty *sim, struct faulty_call *call, uint32_t number,
                     size_t bytes, bool create)
{
    const struct faulty_content *content = &faulty_tree_get(&sim->tree, number)->content;
    if (content->size >= bytes) {
        return 0;
    }
    if (!create) {
        return FIRN_ERANGE;
    }
    if (faulty_space_fit(sim, content, 0, bytes) < bytes) {
        return FIRN_ENOSPC;
    }
    struct faulty_node *node = faulty_tree_own(&sim->tree, number);
    if (node == NULL ||
        faulty_bits_add(&node->content.allocated, 0, (bytes - 1) / FAULTY_PAGE + 1) != 0) {
        return FIRN_ENOMEM;
    }
    if (call->mutation == 0) {
        faulty_call_mutate(sim, call);
    }
    return faulty_content_grow(&node->content, bytes, bytes, call->mutation);
}

/* Gives the handle the mapping of its node, which has one already or gets it now. */
static int attach(struct firn_faulty *sim, struct firn_share *share, uint32_t number, size_t bytes)
{
    struct faulty_mapping *mapping = faulty_share_find(sim, number);
    if (mapping == NULL) {
        mapping = mapping_new(&faulty_tree_get(&sim->tree, number)->content);
        if (mapping == NULL) {
            return FIRN_ENOMEM;
        }
    }
    mapping->refs++;
    mapping->bytes = bytes > mapping->bytes ? bytes : mapping->bytes;
    share->mapping = mapping;
    faulty_handle_add(sim, &share->handle, FAULTY_SHARE_HANDLE, number);
    return 0;
}

static int map(struct firn_faulty *sim, struct faulty_call *call, const char *path,
               struct firn_share *share, bool create, void **memory, struct firn_error *err)
{
    unsigned flags = FIRN_OPEN_READ | FIRN_OPEN_WRITE | (create ? FIRN_OPEN_CREATE : 0U);
    uint32_t node = FAULTY_NONE;
    size_t bytes = (size_t)call->length;
    int rc = faulty_open_node(sim, call, path, flags, &node, err);
    if (rc != 0) {
        return rc;
    }
    rc = make_room(sim, call, node, bytes, create);
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    rc = faulty_call_survive(sim, call, err);
    if (rc != 0) {
        return rc;
    }
    rc = attach(sim, share, node, bytes);
    if (rc != 0) {
        return faulty_call_fail(call, rc, err);
    }
    *memory = share->mapping->memory;
    rc = faulty_call_middle(sim, call, err);
    if (rc != 0) {
        faulty_handle_drop(&share->handle);
        mapping_drop(share->mapping);
    }
    return rc;
}

int faulty_share(struct firn_disk *disk, const char *path, size_t bytes, bool create,
                 struct firn_share **share, void **memory, struct firn_error *err)
{
    struct firn_faulty *sim = faulty_of(disk);
    char clean[FAULTY_PATH_SIZE];
    faulty_path_clean(path, clean);
    if (bytes == 0 || bytes > FAULTY_SHARE_MOST) {
        return firn_error_set(err, FIRN_EINVAL, 0, "%s: mapping of %zu bytes", clean, bytes);
    }
    struct firn_share *new = calloc(1, sizeof(*new));
    if (new == NULL) {
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s: mapping: out of memory", clean);
    }
    struct faulty_call call = {.op = FIRN_FAULTY_SHARE, .path = clean, .length = bytes};
    faulty_enter(sim);
    void *mapped = NULL;
    int rc = map(sim, &call, path, new, create, &mapped, err);
    (void)faulty_call_end(sim, &call, rc);
    if (rc != 0) {
        free(new);
        return rc;
    }
    *share = new;
    *memory = mapped;
    return 0;
}

void faulty_unshare(struct firn_share *share)
{
    if (share == NULL) {
        return;
    }
    struct firn_faulty *sim = share->handle.sim;
    if (sim == NULL) {
        mapping_drop(share->mapping);
        free(share);
        return;
    }
    faulty_enter(sim);
    if (!share->handle.dead) {
        (void)store(sim, share->handle.node, share->mapping);
    }
    faulty_leave(sim);
    faulty_handle_remove(&share->handle);
    faulty_enter(sim);
    mapping_drop(share->mapping);
    faulty_leave(sim);
    free(share);
}
