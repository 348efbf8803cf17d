/* SPDX-License-Identifier: MIT */
/*
 * The file of named cursors. Input: what to mend, and what stands at the beginning of each of the
 * two copies; the rest is zero. What is accepted is written as it was read; a good copy is used
 * whatever the other one is, unless that one is of a later version; what is changed and stored is
 * what the next one reads.
 */
#include <string.h>

#include <firn/error.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "fuzz.h"
#include "log/named.h"

enum { MEND_FIRST = 1, MEND_SECOND = 2, MEND_START = 4, TWO_PAGES = 8, CUT = 16, COPIES = 2 };

#define DIR ""

/* ---- making the file ------------------------------------------------------------------------ */

static void make_copy(struct input *in, unsigned i, unsigned what, struct bytes *file)
{
    static const uint8_t start[12] = {'F', 'I', 'R', 'N', 'C', 'U', 'R', '1', 0, 0, 0, 1};
    static uint8_t copy[2 * NAMED_PAGE];
    size_t size = what & TWO_PAGES ? sizeof copy : NAMED_PAGE, given;
    uint16_t length = input_u16(in);
    memset(copy, 0, sizeof copy);
    const uint8_t *fields = input_bytes(in, length % (size + 1), &given);
    if (given > 0)
        memcpy(copy, fields, given);
    if (what & MEND_START)
        memcpy(copy, start, sizeof start);
    if (what & (i == 0 ? MEND_FIRST : MEND_SECOND))
        store_be_u32(copy + size - 4, crc32c(0, copy, size - 4));
    bytes_append(file, copy, i == 1 && (what & CUT) ? size / 2 : size);
}

/* ---- checks --------------------------------------------------------------------------------- */

static void check_sense(const struct named_table *table)
{
    require(table->count <= NAMED_MOST, "not too many cursors");
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->entries[i].name;
        require(named_is_name(name), "each has a name");
        require(i == 0 || strcmp(table->entries[i - 1].name, name) < 0, "in order");
        require(named_find(table, name) == &table->entries[i], "each is found");
    }
}

static int check_copy(const uint8_t *bytes, size_t size)
{
    struct named_table table;
    int rc = named_decode(bytes, size, &table);
    bool good = size % NAMED_PAGE == 0 &&
                crc32c(0, bytes, size - 4) == load_be_u32(bytes + size - 4);
    require(rc == 0 || rc == (good ? FIRN_EFORMAT : FIRN_EDAMAGED), "why a copy is refused");
    require(rc != 0 || good, "the checksum is looked at");
    if (rc == 0) {
        uint8_t *again = must_alloc(size);
        check_sense(&table);
        require(named_size(&table) == size, "its size is that of what it says");
        named_encode(&table, again);
        require(memcmp(bytes, again, size) == 0, "a copy is written as it was read");
        struct bytes made = {again, size};
        bytes_done(&made);
        named_done(&table);
    }
    return rc;
}

/* What loading must say. */
static int expect(const struct bytes *file)
{
    size_t size = file->size / 2;
    if (file->size == 0 || file->size % (2 * NAMED_PAGE) != 0)
        return FIRN_EDAMAGED;
    int first = check_copy(file->data, size), second = check_copy(file->data + size, size);
    if (first == FIRN_EFORMAT || second == FIRN_EFORMAT)
        return FIRN_EFORMAT;
    return first == 0 || second == 0 ? 0 : FIRN_EDAMAGED;
}

static void check_stored(struct firn_disk *disk, struct named_table *table)
{
    struct named_table found;
    size_t count = table->count;
    uint64_t sequence = table->sequence;
    bool fresh = named_find(table, "new") == NULL;
    int rc = named_reserve(table, fresh);
    require(rc == 0 || (rc == FIRN_ETOOBIG && count == NAMED_MOST), "there is room");
    if (rc != 0)
        return;
    named_add(table, "new")->index = 7;
    require(named_store(disk, DIR, table, NULL) == 0, "a table is stored");
    require(named_load(disk, DIR, &found, NULL) == 0, "and loaded again");
    require(found.count == count + fresh && found.sequence == sequence + 1,
            "with what was changed");
    require(found.copies[0] == 0 && found.copies[1] == 0, "both copies are good");
    struct named_entry *entry = named_find(&found, "new");
    require(entry != NULL && entry->index == 7, "with the new one");
    named_drop(&found, entry);
    require(named_find(&found, "new") == NULL && found.count == count + fresh - 1, "dropped");
    check_sense(&found);
    named_done(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    uint8_t what = input_u8(&in);
    struct bytes file = {0};
    struct firn_error err = {0};
    struct named_table table;
    struct firn_disk *disk = memory_disk();
    for (unsigned i = 0; i < COPIES; i++)
        make_copy(&in, i, what, &file);
    put_file(disk, NAMED_FILE, file.data, file.size);
    int want = expect(&file), rc = named_load(disk, DIR, &table, &err);
    require(rc == want, "loading finds what is there");
    require(rc == 0 || (err.code == rc && err.message[0] != '\0'), "an error is explained");
    if (rc == 0) {
        check_sense(&table);
        check_stored(disk, &table);
        named_done(&table);
    }
    bytes_done(&file);
    firn_disk_free(disk);
    return 0;
}
