/* SPDX-License-Identifier: MIT */
/*
 * What a sequence's directory holds. Opening finds the range of indexes only, as the smallest part
 * of the circle of 2^16 that has them all; whether each one is there, once, retrieving finds out.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "blocks/blocks_private.h"

enum { INDEXES = 1 << 16 };
static const char unfinished[] = ".tmp";

/* Links may lead to a file; what is none then, opening finds out. */
static bool may_be_file(const struct firn_entry *entry, const char *options)
{
    if (entry->kind == FIRN_ENTRY_SYMLINK)
        return strcmp(options, "lock") != 0;
    return entry->kind == FIRN_ENTRY_FILE;
}

/* 1: the file is one of the sequence; 0: it is none. */
static int look_at(const struct block_sequence *sequence, const char *text,
                   const struct firn_entry *entry, uint16_t *index, unsigned *shift,
                   struct firn_error *err)
{
    const char *options = block_name_options(text, sequence->name);
    if (!options || !may_be_file(entry, options))
        return 0;
    enum block_name_fault fault = block_name_parse(options, index, shift);
    if (fault != BLOCK_NAME_GOOD)
        return firn_error_set(err, FIRN_EFORMAT, 0, "%s/%s: not a file of the sequence: %s",
                              sequence->dir, text, block_name_fault_text(fault));
    return 1;
}

/* ---- the range ---- */

struct scan {
    struct block_sequence *sequence;
    struct firn_error *err;
    uint8_t there[INDEXES];
};

/* "<name>.<index>-<shift>.tmp": an allocation that did not come to its end. */
static bool is_unfinished(const struct block_sequence *sequence, const char *text,
                          const struct firn_entry *entry)
{
    char stem[DISK_PATH_SIZE];
    uint16_t index;
    unsigned shift;
    size_t length = strlen(text), suffix = sizeof unfinished - 1;
    if (entry->kind != FIRN_ENTRY_FILE || length < suffix || length - suffix >= sizeof stem ||
        strcmp(text + length - suffix, unfinished) != 0)
        return false;
    memcpy(stem, text, length - suffix);
    stem[length - suffix] = '\0';
    const char *options = block_name_options(stem, sequence->name);
    return options && block_name_parse(options, &index, &shift) == BLOCK_NAME_GOOD;
}

static int discard(const struct block_sequence *sequence, const char *text, struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, sequence->dir, text, err);
    return rc == 0 ? disk_remove(sequence->options.disk, path, err) : rc;
}

static int scan_entry(void *arg, const char *text, const struct firn_entry *entry)
{
    struct scan *scan = arg;
    uint16_t index;
    unsigned shift;
    if (!scan->sequence->options.read_only && is_unfinished(scan->sequence, text, entry))
        return discard(scan->sequence, text, scan->err);
    int rc = look_at(scan->sequence, text, entry, &index, &shift, scan->err);
    if (rc == 1)
        scan->there[index] = 1;
    return rc < 0 ? rc : 0;
}

/* The next index that is there, from `from` on; INDEXES: none. */
static unsigned next_there(const uint8_t *there, unsigned from)
{
    while (from < INDEXES && !there[from])
        from++;
    return from;
}

/* [start, end) is all but the largest gap. The first index behind another large gap, if any. */
static bool find_range(const uint8_t *there, uint16_t *start, uint16_t *end, unsigned *stray)
{
    unsigned first = next_there(there, 0), largest = 0;
    *stray = INDEXES;
    if (first == INDEXES)
        return false;
    for (unsigned at = first, next; at < INDEXES; at = next) {
        next = next_there(there, at + 1);
        unsigned gap = next < INDEXES ? next - at : INDEXES - at + first;
        unsigned behind = next < INDEXES ? next : first;
        if (gap > largest) {
            if (largest > FIRN_BLOCK_SEQUENCE_MAX)
                *stray = *start;
            *start = (uint16_t)behind;
            *end = (uint16_t)(at + 1);
            largest = gap;
        } else if (gap > FIRN_BLOCK_SEQUENCE_MAX) {
            *stray = behind;
        }
    }
    return true;
}

static int set_range(struct block_sequence *sequence, const uint8_t *there, struct firn_error *err)
{
    uint16_t start = 1, end = 1;
    unsigned stray;
    if (find_range(there, &start, &end, &stray) && stray < INDEXES)
        return firn_error_set(err, FIRN_ERANGE, 0,
                              "%s/%s: the file with index 0x%04x is too far from the others",
                              sequence->dir, sequence->name, stray);
    if ((uint16_t)(end - start) > FIRN_BLOCK_SEQUENCE_MAX)
        return firn_error_set(err, FIRN_ETOOBIG, 0,
                              "%s/%s: from 0x%04x up to 0x%04x are more than %d files",
                              sequence->dir, sequence->name, start, end, FIRN_BLOCK_SEQUENCE_MAX);
    sequence->start = start;
    sequence->end = end;
    return 0;
}

int block_sequence_scan(struct block_sequence *sequence, struct firn_error *err)
{
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s/%s: no memory to open it", sequence->dir,
                              sequence->name);
    scan->sequence = sequence;
    scan->err = err;
    int rc = disk_list(sequence->options.disk, sequence->dir, scan_entry, scan, err);
    if (rc == 0)
        rc = set_range(sequence, scan->there, err);
    free(scan);
    return rc;
}

/* ---- retrieving ---- */

struct found {
    char *text; /* the file's name; NULL: not there */
    unsigned shift;
};

struct retrieval {
    struct block_sequence *sequence;
    struct firn_error *err;
    struct found *files; /* by their distance from the start */
    uint16_t count;
};

static int retrieve_entry(void *arg, const char *text, const struct firn_entry *entry)
{
    struct retrieval *retrieval = arg;
    struct block_sequence *sequence = retrieval->sequence;
    uint16_t index;
    unsigned shift;
    int rc = look_at(sequence, text, entry, &index, &shift, retrieval->err);
    if (rc <= 0)
        return rc;
    uint16_t place = (uint16_t)(index - sequence->start);
    if (place >= retrieval->count)
        return firn_error_set(retrieval->err, FIRN_ERANGE, 0,
                              "%s/%s: the index is not one of 0x%04x up to 0x%04x", sequence->dir,
                              text, sequence->start, sequence->end);
    struct found *file = &retrieval->files[place];
    if (file->text)
        return firn_error_set(retrieval->err, FIRN_EDAMAGED, 0, "%s: %s and %s have the same index",
                              sequence->dir, file->text, text);
    file->text = strdup(text);
    file->shift = shift;
    return file->text ? 0
                      : firn_error_set(retrieval->err, FIRN_ENOMEM, 0, "%s/%s: no memory",
                                       sequence->dir, text);
}

static int check_complete(const struct retrieval *retrieval)
{
    const struct block_sequence *sequence = retrieval->sequence;
    for (uint16_t i = 0; i < retrieval->count; i++)
        if (!retrieval->files[i].text)
            return firn_error_set(retrieval->err, FIRN_EDAMAGED, 0,
                                  "%s/%s: of the files 0x%04x up to 0x%04x, 0x%04x is missing",
                                  sequence->dir, sequence->name, sequence->start, sequence->end,
                                  (uint16_t)(sequence->start + i));
    return 0;
}

static int open_one(const struct retrieval *retrieval, uint16_t place, struct block_file **file)
{
    struct block_sequence *sequence = retrieval->sequence;
    const struct found *found = &retrieval->files[place];
    char path[DISK_PATH_SIZE];
    int rc = disk_path_join(path, sizeof path, sequence->dir, found->text, retrieval->err);
    if (rc < 0)
        return rc;
    if (found->shift < block_file_limits.shift_min || found->shift > block_file_limits.shift_max)
        return firn_error_set(retrieval->err, FIRN_EFORMAT, 0,
                              "%s: not a file of the sequence: the block shift is not %u to %u",
                              path, block_file_limits.shift_min, block_file_limits.shift_max);
    rc = block_file_open(&sequence->options, path, found->shift, file, retrieval->err);
    if (rc < 0)
        return rc;
    (*file)->sequence = sequence;
    (*file)->index = (uint16_t)(sequence->start + place);
    atomic_fetch_add(&sequence->open, 1);
    return 0;
}

static int retrieve_all(struct retrieval *retrieval, firn_block_retrieve_fn *each, void *arg)
{
    struct block_sequence *sequence = retrieval->sequence;
    int rc = disk_list(sequence->options.disk, sequence->dir, retrieve_entry, retrieval,
                       retrieval->err);
    if (rc == 0)
        rc = check_complete(retrieval);
    for (uint16_t i = 0; i < retrieval->count && rc == 0; i++) {
        struct block_file *file;
        rc = open_one(retrieval, i, &file);
        if (rc == 0)
            rc = each(arg, &file->base);
    }
    return rc;
}

int block_sequence_retrieve(struct block_sequence *sequence, firn_block_retrieve_fn *each,
                            void *arg, struct firn_error *err)
{
    struct retrieval retrieval = {
        .sequence = sequence,
        .err = err,
        .count = (uint16_t)(sequence->end - sequence->start),
    };
    if (retrieval.count == 0)
        return 0;
    retrieval.files = calloc(retrieval.count, sizeof *retrieval.files);
    if (!retrieval.files)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s/%s: no memory to retrieve its files",
                              sequence->dir, sequence->name);
    int rc = retrieve_all(&retrieval, each, arg);
    for (uint16_t i = 0; i < retrieval.count; i++)
        free(retrieval.files[i].text);
    free(retrieval.files);
    return rc;
}
