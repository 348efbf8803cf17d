/* SPDX-License-Identifier: MIT */
/* The file of named cursors: docs/formats.md has its layout. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "base/error.h"
#include "disk/disk.h"
#include "log/named.h"

/* Where the fields stand in a copy; all big-endian. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_SEQUENCE = 12,
    AT_COUNT = 20,
    AT_ENTRIES = 24,
    ENTRY_GENERATION = 8,
    ENTRY_LENGTH = 12,
    ENTRY_NAME = 13,
    CRC_SIZE = 4,
    VERSION = 1,
    ENTRY_MOST = ENTRY_NAME + FIRN_CURSOR_NAME_MAX,
    COPY_MOST = (AT_ENTRIES + NAMED_MOST * ENTRY_MOST + CRC_SIZE + NAMED_PAGE - 1) / NAMED_PAGE *
                NAMED_PAGE,
};

static const uint8_t magic[8] = {'F', 'I', 'R', 'N', 'C', 'U', 'R', '1'};

/* ---- names and entries ---------------------------------------------------------------------- */

bool named_is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "._-";
    if (!name)
        return false;
    size_t length = strspn(name, allowed);
    return length > 0 && length <= FIRN_CURSOR_NAME_MAX && !name[length] && name[0] != '.';
}

/* Where the name stands, or should. */
static size_t place_of(const struct named_table *table, const char *name, bool *found)
{
    size_t low = 0, high = table->count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(table->entries[middle].name, name);
        if (order == 0)
            *found = true;
        if (order >= 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

struct named_entry *named_find(const struct named_table *table, const char *name)
{
    bool found;
    size_t at = place_of(table, name, &found);
    return found ? &table->entries[at] : NULL;
}

int named_reserve(struct named_table *table, size_t more)
{
    if (more > NAMED_MOST || table->count + more > NAMED_MOST)
        return FIRN_ETOOBIG;
    size_t capacity = table->capacity ? table->capacity : 16;
    while (capacity < table->count + more)
        capacity *= 2;
    if (capacity == table->capacity)
        return 0;
    struct named_entry *entries = realloc(table->entries, capacity * sizeof *entries);
    if (!entries)
        return FIRN_ENOMEM;
    table->entries = entries;
    table->capacity = capacity;
    return 0;
}

struct named_entry *named_add(struct named_table *table, const char *name)
{
    bool found;
    struct named_entry *entry = &table->entries[place_of(table, name, &found)];
    if (!found) {
        assert(table->count < table->capacity);
        size_t behind = (size_t)(table->entries + table->count - entry);
        memmove(entry + 1, entry, behind * sizeof *entry);
        *entry = (struct named_entry){0};
        memcpy(entry->name, name, strlen(name) + 1);
        table->count++;
    }
    return entry;
}

void named_drop(struct named_table *table, struct named_entry *entry)
{
    size_t behind = table->count - (size_t)(entry - table->entries) - 1;
    memmove(entry, entry + 1, behind * sizeof *entry);
    table->count--;
}

void named_done(struct named_table *table)
{
    free(table->entries);
    *table = (struct named_table){0};
}

/* ---- a copy --------------------------------------------------------------------------------- */

size_t named_size(const struct named_table *table)
{
    size_t size = AT_ENTRIES + CRC_SIZE;
    for (size_t i = 0; i < table->count; i++)
        size += ENTRY_NAME + strlen(table->entries[i].name);
    return (size + NAMED_PAGE - 1) / NAMED_PAGE * NAMED_PAGE;
}

void named_encode(const struct named_table *table, uint8_t *bytes)
{
    size_t size = named_size(table), at = AT_ENTRIES;
    memset(bytes, 0, size);
    memcpy(bytes + AT_MAGIC, magic, sizeof magic);
    store_be_u32(bytes + AT_VERSION, VERSION);
    store_be_u64(bytes + AT_SEQUENCE, table->sequence);
    store_be_u32(bytes + AT_COUNT, (uint32_t)table->count);
    for (size_t i = 0; i < table->count; i++) {
        const struct named_entry *entry = &table->entries[i];
        size_t length = strlen(entry->name);
        store_be_u64(bytes + at, entry->index);
        store_be_u32(bytes + at + ENTRY_GENERATION, entry->generation);
        bytes[at + ENTRY_LENGTH] = (uint8_t)length;
        memcpy(bytes + at + ENTRY_NAME, entry->name, length);
        at += ENTRY_NAME + length;
    }
    store_be_u32(bytes + size - CRC_SIZE, crc32c(0, bytes, size - CRC_SIZE));
}

/* The entries, as far as they make sense: what does not shows when they are encoded again. */
static int get_entries(const uint8_t *bytes, size_t size, struct named_table *table)
{
    uint32_t count = load_be_u32(bytes + AT_COUNT);
    size_t at = AT_ENTRIES, end = size - CRC_SIZE;
    int rc = named_reserve(table, count);
    if (rc < 0)
        return rc == FIRN_ENOMEM ? rc : FIRN_EFORMAT;
    for (uint32_t i = 0; i < count; i++) {
        char name[FIRN_CURSOR_NAME_MAX + 1];
        size_t length = end - at > ENTRY_NAME ? bytes[at + ENTRY_LENGTH] : SIZE_MAX;
        if (length > FIRN_CURSOR_NAME_MAX || length > end - at - ENTRY_NAME)
            return FIRN_EFORMAT;
        memcpy(name, bytes + at + ENTRY_NAME, length);
        name[length] = '\0';
        if (!named_is_name(name))
            return FIRN_EFORMAT;
        struct named_entry *entry = named_add(table, name);
        entry->index = load_be_u64(bytes + at);
        entry->generation = load_be_u32(bytes + at + ENTRY_GENERATION);
        at += ENTRY_NAME + length;
    }
    return 0;
}

/* Whether encoding what was read gives the copy again: nothing stands where nothing is known. */
static int says_no_more(const struct named_table *table, const uint8_t *bytes, size_t size)
{
    if (named_size(table) != size)
        return FIRN_EFORMAT;
    uint8_t *again = malloc(size);
    if (!again)
        return FIRN_ENOMEM;
    named_encode(table, again);
    int rc = memcmp(again, bytes, size) == 0 ? 0 : FIRN_EFORMAT;
    free(again);
    return rc;
}

int named_decode(const uint8_t *bytes, size_t size, struct named_table *table)
{
    if (size == 0 || size % NAMED_PAGE != 0 ||
        crc32c(0, bytes, size - CRC_SIZE) != load_be_u32(bytes + size - CRC_SIZE))
        return FIRN_EDAMAGED;
    struct named_table found = {.sequence = load_be_u64(bytes + AT_SEQUENCE)};
    int rc = get_entries(bytes, size, &found);
    if (rc == 0)
        rc = says_no_more(&found, bytes, size);
    if (rc < 0)
        named_done(&found);
    else
        *table = found;
    return rc;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* One copy, alone: a bad sector in it must not cost the other one. */
static int load_copy(struct firn_file *file, unsigned which, size_t size, uint8_t *bytes,
                     struct named_table *table, struct firn_error *err)
{
    size_t got;
    int rc = disk_read_full(file, bytes, size, which * (uint64_t)size, &got, err);
    if (rc == 0)
        rc = got < size ? FIRN_EDAMAGED : named_decode(bytes, size, table);
    return rc;
}

static int explain(int rc, const char *path, struct firn_error *err)
{
    if (rc == FIRN_ENOMEM)
        return firn_error_set(err, rc, 0, "%s: no memory to read it", path);
    if (rc == FIRN_EFORMAT)
        return firn_error_set(err, rc, 0, "%s: written by a later version of firn; use that one",
                              path);
    if (rc == FIRN_EDAMAGED)
        return firn_error_set(
            err, rc, 0,
            "%s: damaged, both of its copies: the positions of this log's cursors "
            "are lost; move the file away and set them anew",
            path);
    return rc; /* of the storage: it has said so itself */
}

/* Both copies are looked at, also where the first one will do: a later version refuses. */
static int load_copies(struct firn_file *file, size_t size, const char *path,
                       struct named_table *table, struct firn_error *err)
{
    struct named_table found[2] = {{0}, {0}};
    struct firn_error why[2] = {{0}, {0}};
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return explain(FIRN_ENOMEM, path, err);
    int states[2];
    for (unsigned i = 0; i < 2; i++)
        states[i] = load_copy(file, i, size, bytes, &found[i], &why[i]);
    free(bytes);
    int rc = 0;
    unsigned chosen = states[0] == 0 ? 0 : 1;
    for (unsigned i = 0; i < 2 && rc == 0; i++)
        if (states[i] == FIRN_EFORMAT || states[i] == FIRN_ENOMEM)
            rc = states[i];
    if (rc == 0 && states[chosen] < 0)
        rc = states[0] == FIRN_EDAMAGED ? states[1] : states[0];
    if (rc == 0)
        *table = found[chosen];
    for (unsigned i = 0; i < 2; i++) {
        if (rc == 0)
            table->copies[i] = states[i];
        if (rc < 0 || i != chosen)
            named_done(&found[i]);
        if (rc < 0 && rc == why[i].code && err)
            *err = why[i];
    }
    return explain(rc, path, err);
}

int named_load(struct firn_disk *disk, const char *dir, struct named_table *table,
               struct firn_error *err)
{
    char path[DISK_PATH_SIZE];
    struct firn_file *file = NULL;
    struct firn_error why;
    uint64_t size = 0;
    int rc = disk_path_join(path, sizeof path, dir, NAMED_FILE, err);
    if (rc < 0)
        return rc;
    rc = disk_open(disk, path, FIRN_OPEN_READ, &file, &why);
    if (rc == FIRN_ENOENT) {
        *table = (struct named_table){0};
        return 0;
    }
    if (rc == 0)
        rc = disk_size_of(file, &size, &why);
    if (rc < 0 && err)
        *err = why;
    if (rc == 0 && (size == 0 || size % (2 * NAMED_PAGE) != 0 || size > 2 * COPY_MOST))
        rc = explain(FIRN_EDAMAGED, path, err);
    if (rc == 0)
        rc = load_copies(file, (size_t)size / 2, path, table, err);
    disk_close(file);
    return rc;
}

int named_store(struct firn_disk *disk, const char *dir, struct named_table *table,
                struct firn_error *err)
{
    size_t size = named_size(table);
    uint8_t *bytes = malloc(2 * size);
    if (!bytes)
        return firn_error_set(err, FIRN_ENOMEM, 0, "%s/" NAMED_FILE ": no memory to write it", dir);
    table->sequence++;
    named_encode(table, bytes);
    memcpy(bytes + size, bytes, size);
    int rc = disk_replace_file(disk, dir, NAMED_FILE, bytes, 2 * size, err);
    free(bytes);
    return rc;
}
