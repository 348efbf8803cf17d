/* SPDX-License-Identifier: MIT */
/*
 * The pages of a file in RAM: a tree of tables of 512 children, like the page tables of a
 * processor. It is as high as the highest page number needs: a file of one page has no table at
 * all, and one with a page at 8 EiB has six. Holes take nothing.
 */
#include <stdlib.h>

#include "disk/memory_private.h"

enum { FANOUT_BITS = 9, FANOUT = 1 << FANOUT_BITS, FANOUT_MASK = FANOUT - 1 };

struct table {
    void *children[FANOUT];
};

/* Which child of a table at `height` leads to page `number`. */
static size_t child_of(uint64_t number, int height)
{
    return (size_t)(number >> (FANOUT_BITS * (height - 1))) & FANOUT_MASK;
}

static bool covers(int height, uint64_t number)
{
    return number >> (FANOUT_BITS * height) == 0;
}

unsigned char *memory_pages_find(const struct memory_pages *pages, uint64_t number)
{
    void *at = pages->root;
    if (!covers(pages->height, number))
        return NULL;
    for (int height = pages->height; height > 0 && at != NULL; height--)
        at = ((struct table *)at)->children[child_of(number, height)];
    return at;
}

static bool raise_root(struct memory_pages *pages)
{
    if (pages->root != NULL) {
        struct table *table = calloc(1, sizeof *table);
        if (table == NULL)
            return false;
        table->children[0] = pages->root;
        pages->root = table;
    }
    pages->height++;
    return true;
}

unsigned char *memory_pages_make(struct memory_pages *pages, uint64_t number)
{
    while (!covers(pages->height, number)) {
        if (!raise_root(pages))
            return NULL;
    }
    void **at = &pages->root;
    for (int height = pages->height; height > 0; height--) {
        if (*at == NULL)
            *at = calloc(1, sizeof(struct table));
        if (*at == NULL)
            return NULL;
        at = &((struct table *)*at)->children[child_of(number, height)];
    }
    if (*at == NULL) {
        *at = calloc(1, MEMORY_PAGE);
        pages->count += *at != NULL;
    }
    return *at;
}

/* Frees the pages from `first` on (counted from the first one below `*at`). */
static void cut(void **at, int height, uint64_t first, uint64_t *count)
{
    struct table *table = *at;
    if (table == NULL || !covers(height, first))
        return;
    if (height == 0) {
        --*count; /* first is 0 here */
    } else {
        uint64_t below = UINT64_C(1) << (FANOUT_BITS * (height - 1)); /* pages below a child */
        size_t child = child_of(first, height);
        cut(&table->children[child], height - 1, first & (below - 1), count);
        while (++child < FANOUT)
            cut(&table->children[child], height - 1, 0, count);
    }
    if (first == 0) {
        free(table);
        *at = NULL;
    }
}

void memory_pages_cut(struct memory_pages *pages, uint64_t first)
{
    cut(&pages->root, pages->height, first, &pages->count);
    if (pages->root == NULL)
        pages->height = 0;
}
