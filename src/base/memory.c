/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SMALL_PAGE = 4096,
    LARGE_PAGE = 2 * 1024 * 1024,
    LARGE_LEAST = 4 * LARGE_PAGE, /* of less, most would be mapped for nothing */
};

#if defined(MADV_HUGEPAGE) || defined(MADV_POPULATE_WRITE)
/* The system's business with the whole pages in it, which may come to nothing. */
static void advise(void *memory, size_t size, size_t page, int advice)
{
    uintptr_t from = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)memory + size) / page * page;
    if (from < to)
        (void)madvise((void *)from, to - from, advice);
}
#endif

void *memory_zeroed(size_t size)
{
    void *memory = calloc(1, size);
#ifdef MADV_HUGEPAGE
    if (memory && size >= LARGE_LEAST)
        advise(memory, size, LARGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void memory_populate(void *memory, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    advise(memory, size, SMALL_PAGE, MADV_POPULATE_WRITE);
#else
    (void)memory, (void)size;
#endif
}
