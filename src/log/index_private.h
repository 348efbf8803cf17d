/* SPDX-License-Identifier: MIT */
/* What the two halves of the index share: index.c (memory) and index_file.c. */
#ifndef LOG_INDEX_PRIVATE_H
#define LOG_INDEX_PRIVATE_H

#include "log/index.h"

/* Adds an entry as it is. FIRN_ENOMEM. */
int index_push(struct index *index, const struct index_entry *entry);

#endif
