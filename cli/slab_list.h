/* SPDX-License-Identifier: MIT */
/* A list of slices in a text file: offset, length, and anything else, a line each. */
#ifndef CLI_SLAB_LIST_H
#define CLI_SLAB_LIST_H

#include <stddef.h>

#include <firn/slab.h>

struct slab_list {
    struct firn_slab_slice *slices;
    size_t count, capacity;
};

/* STATUS_... (report.h), all being said. slab_list_free in any case. */
int slab_list_load(const char *path, struct slab_list *list);
void slab_list_free(struct slab_list *list);

#endif
