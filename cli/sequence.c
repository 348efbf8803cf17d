/* SPDX-License-Identifier: MIT */
#include "sequence.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "name.0001-12" */
static void take(struct sequence *sequence, const char *file)
{
    size_t length = strlen(sequence->name);
    if (strncmp(file, sequence->name, length) != 0 || file[length] != '.')
        return;
    const char *digits = file + length + 1;
    char *end;
    unsigned long index = strtoul(digits, &end, 16);
    if (end != digits + 4 || *end != '-')
        return;
    unsigned long shift = strtoul(end + 1, &end, 10);
    if (*end || shift == 0 || shift >= 32)
        return;
    sequence->shifts[index] = (uint8_t)shift;
    sequence->count++;
}

static uint16_t last_index(const struct sequence *sequence)
{
    return (uint16_t)(sequence->first + sequence->count - 1);
}

/* The indexes count up, and wrap. */
static void find_first(struct sequence *sequence)
{
    unsigned firsts = 0;
    for (unsigned i = 0; i < SEQUENCE_INDEXES; i++) {
        if (sequence->shifts[i] && !sequence->shifts[(i - 1) % SEQUENCE_INDEXES]) {
            sequence->first = (uint16_t)i;
            firsts++;
        }
    }
    if (firsts != 1)
        sequence->count = 0;
}

static void find_size(struct sequence *sequence, const char *dir)
{
    char file[NAME_MAX + 1], path[PATH_MAX + NAME_MAX + 2];
    struct stat last;
    if (!sequence->count)
        return;
    sequence_put_file(sequence, sequence->count - 1, file, sizeof file);
    snprintf(path, sizeof path, "%s/%s", dir, file);
    if (stat(path, &last) == 0 && last.st_size > 0)
        sequence->blocks = (uint64_t)last.st_size >> sequence_shift(sequence);
}

void sequence_look(struct sequence *sequence, const char *dir, const char *name)
{
    *sequence = (struct sequence){.name = name};
    DIR *entries = opendir(dir);
    if (!entries)
        return;
    for (struct dirent *entry; (entry = readdir(entries));)
        take(sequence, entry->d_name);
    closedir(entries);
    find_first(sequence);
    find_size(sequence, dir);
}

unsigned sequence_shift(const struct sequence *sequence)
{
    return sequence->shifts[last_index(sequence)];
}

void sequence_put_file(const struct sequence *sequence, uint64_t number, char *text, size_t size)
{
    uint16_t index = (uint16_t)(sequence->first + number);
    snprintf(text, size, "%s.%04x-%u", sequence->name, index, sequence->shifts[index]);
}
