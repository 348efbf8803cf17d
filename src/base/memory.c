/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <stdint.h>
#include <sys/mman.h>

/*
 * Large pages are not asked for: where memory is full of other things, as it is on a machine that
 * reads files, the system may move those for milliseconds before it has one.
 */
void memory_populate(void *memory, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    enum { PAGE = 4096 };
    uintptr_t from = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE;
    uintptr_t to = ((uintptr_t)memory + size) / PAGE * PAGE;
    if (from < to)
        (void)madvise((void *)from, to - from, MADV_POPULATE_WRITE); /* or it is done later */
#else
    (void)memory, (void)size;
#endif
}
