/* SPDX-License-Identifier: MIT */
/* What files take: of the file system's capacity, and of a thin volume's backing. */
#include "faulty/sim.h"

static uint64_t first_page(uint64_t offset)
{
    return offset / FAULTY_PAGE;
}

static uint64_t end_page(const struct faulty_content *content, uint64_t end)
{
    uint64_t most = (uint64_t)content->touched.count * 64;
    uint64_t page = end / FAULTY_PAGE + (end % FAULTY_PAGE != 0 ? 1 : 0);
    return page < most ? page : most;
}

static bool counts(const struct firn_faulty *sim, uint32_t number)
{
    const struct faulty_node *node = faulty_tree_get(&sim->tree, number);
    return node != NULL && node->kind == FIRN_ENTRY_FILE &&
           (node->named || faulty_handle_has(sim, number));
}

uint64_t faulty_space_used(const struct firn_faulty *sim)
{
    uint64_t pages = 0;
    for (uint32_t i = 0; i < sim->tree.count; i++) {
        if (counts(sim, i)) {
            pages += faulty_bits_size(&faulty_tree_get(&sim->tree, i)->content.allocated);
        }
    }
    return pages * FAULTY_PAGE;
}

uint64_t faulty_space_fit(const struct firn_faulty *sim, const struct faulty_content *content,
                          uint64_t offset, uint64_t n)
{
    if (sim->capacity == UINT64_MAX || n == 0) {
        return n;
    }
    uint64_t used = faulty_space_used(sim);
    uint64_t room = used < sim->capacity ? (sim->capacity - used) / FAULTY_PAGE : 0;
    uint64_t end = first_page(offset + n - 1) + 1;
    for (uint64_t page = first_page(offset); page < end; page++) {
        if (faulty_bits_has(&content->allocated, page)) {
            continue;
        }
        if (room == 0) {
            return page * FAULTY_PAGE > offset ? page * FAULTY_PAGE - offset : 0;
        }
        room--;
    }
    return n;
}

bool faulty_space_backed(const struct firn_faulty *sim, const struct faulty_content *content,
                         uint64_t from, uint64_t to)
{
    if (sim->backing == UINT64_MAX) {
        return true;
    }
    uint64_t used = 0;
    for (uint32_t i = 0; i < sim->tree.count; i++) {
        if (counts(sim, i)) {
            used += faulty_bits_size(&faulty_tree_get(&sim->tree, i)->content.backed);
        }
    }
    uint64_t more = 0;
    for (uint64_t page = first_page(from); page < end_page(content, to); page++) {
        bool new = faulty_bits_has(&content->touched, page) &&
                   !faulty_bits_has(&content->backed, page);
        more += new ? 1 : 0;
    }
    return more == 0 || used + more <= sim->backing / FAULTY_PAGE;
}

int faulty_space_settle(struct faulty_content *content, uint64_t from, uint64_t to, bool lost)
{
    uint64_t end = end_page(content, to);
    for (uint64_t page = first_page(from); !lost && page < end; page++) {
        if (faulty_bits_has(&content->touched, page) &&
            faulty_bits_add(&content->backed, page, page + 1) != 0) {
            return FIRN_ENOMEM;
        }
    }
    faulty_bits_remove(&content->touched, first_page(from), end);
    return 0;
}
