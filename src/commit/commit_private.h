/* SPDX-License-Identifier: MIT */
/* What the files of the room commit share. */
#ifndef COMMIT_PRIVATE_H
#define COMMIT_PRIVATE_H

#include "commit/commit.h"

/* The background thread's visit to a target. */
void commit_task(void *target);

/* Gives a list of buffers back to the pool. No lock needed. */
void commit_give_back(struct commit *commit, struct commit_buffer *list);

/* With the lock: lets it go until `word` changes. */
void commit_sleep(struct commit *commit, struct wait_word *word);

#endif
