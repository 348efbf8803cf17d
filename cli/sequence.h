/* SPDX-License-Identifier: MIT */
/* The files of a sequence of blocks, as their directory has them: to name them, and to make new
 * ones like the last one. What is wrong with them is the library's to tell. */
#ifndef CLI_SEQUENCE_H
#define CLI_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

enum { SEQUENCE_INDEXES = 1 << 16 };

struct sequence {
    const char *name;
    uint8_t shifts[SEQUENCE_INDEXES]; /* of the file with this index; 0: there is none */
    uint64_t count;                   /* files; 0: none, or they have gaps */
    uint16_t first;                   /* index */
    uint64_t blocks;                  /* of the last one */
};

void sequence_look(struct sequence *sequence, const char *dir, const char *name);

/* Of the last file, where there is one. */
unsigned sequence_shift(const struct sequence *sequence);

/* "name.0001-12"; `number` counts from 0 on. */
void sequence_put_file(const struct sequence *sequence, uint64_t number, char *text, size_t size);

#endif
