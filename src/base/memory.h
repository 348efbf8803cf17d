/* SPDX-License-Identifier: MIT */
/* Large pieces of memory that are filled from one end to the other. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Maps what was not touched yet, where the system can, so that the first write to it meets no
 * fault. The bytes stay as they are; others may write there meanwhile. */
void memory_populate(void *memory, size_t size);

#endif
