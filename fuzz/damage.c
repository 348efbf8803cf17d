/* SPDX-License-Identifier: MIT */
#include "damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "log/checkpoint.h"

/* ---- a directory ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static int note_name(void *arg, const char *name, const struct firn_entry *entry)
{
    struct files *files = arg;
    require(files->count < FILES_MOST && strlen(name) < FILE_NAME_SIZE, "few and short names");
    if (entry->kind == FIRN_ENTRY_FILE && strncmp(name, "lock", 4) != 0)
        strcpy(files->at[files->count++].name, name);
    return 0;
}

static void path_of(const char *name, char path[FILE_NAME_SIZE + 8])
{
    (void)snprintf(path, FILE_NAME_SIZE + 8, "%s/%s", LOG_DIR, name);
}

void files_take(struct files *files, struct firn_disk *disk)
{
    char path[FILE_NAME_SIZE + 8];
    files_done(files);
    require(disk_list(disk, LOG_DIR, note_name, files, NULL) == 0, "listing the log's directory");
    for (size_t i = 0; i < files->count; i++) {
        path_of(files->at[i].name, path);
        files->at[i].bytes = get_file(disk, path);
    }
    qsort(files->at, files->count, sizeof *files->at, by_name);
}

static void copy_file(struct file *to, const struct file *from)
{
    *to = *from;
    to->bytes = (struct bytes){must_alloc(from->bytes.size), 0};
    bytes_append(&to->bytes, from->bytes.data, from->bytes.size);
}

void files_copy(struct files *to, const struct files *from)
{
    files_done(to);
    to->count = from->count;
    for (size_t i = 0; i < from->count; i++)
        copy_file(&to->at[i], &from->at[i]);
}

struct firn_disk *files_disk(const struct files *files)
{
    char path[FILE_NAME_SIZE + 8];
    struct firn_disk *disk = memory_disk();
    require(disk_make_dir(disk, LOG_DIR, NULL) == 0, "making the log's directory");
    for (size_t i = 0; i < files->count; i++) {
        path_of(files->at[i].name, path);
        put_file(disk, path, files->at[i].bytes.data, files->at[i].bytes.size);
    }
    return disk;
}

static bool same_file(const struct file *a, const struct file *b)
{
    return strcmp(a->name, b->name) == 0 && a->bytes.size == b->bytes.size &&
           memcmp(a->bytes.data, b->bytes.data, a->bytes.size) == 0;
}

bool files_equal(const struct files *a, const struct files *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++)
        equal = same_file(&a->at[i], &b->at[i]);
    return equal;
}

void files_done(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        bytes_done(&files->at[i].bytes);
    files->count = 0;
}

static struct file *find_file(const struct files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->at[i].name, name) == 0)
            return (struct file *)(uintptr_t)&files->at[i];
    }
    return NULL;
}

static void remove_file(struct files *files, struct file *file)
{
    size_t behind = files->count - (size_t)(file - files->at) - 1;
    bytes_done(&file->bytes);
    memmove(file, file + 1, behind * sizeof *file);
    files->count--;
}

/* Gives the file `name` the content of `from`, which may be one of `files`. */
static void replace_file(struct files *files, const char *name, const struct file *from)
{
    struct file copy;
    trace("%s takes the place of %s", from->name, name);
    copy_file(&copy, from);
    (void)snprintf(copy.name, sizeof copy.name, "%s", name);
    struct file *file = find_file(files, name);
    if (file == NULL && files->count < FILES_MOST / 2)
        file = &files->at[files->count++];
    else if (file != NULL)
        bytes_done(&file->bytes);
    if (file != NULL)
        *file = copy;
    else
        bytes_done(&copy.bytes);
    qsort(files->at, files->count, sizeof *files->at, by_name);
}

/* ---- comparing ------------------------------------------------------------------------------ */

static bool is_store(const struct file *file)
{
    const char *dot = strrchr(file->name, '.');
    return dot != NULL && strcmp(dot, ".log") == 0;
}

bool has_segment(const struct files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (is_store(&files->at[i]))
            return true;
    }
    return false;
}

static bool has_same_stores(const struct files *files, const struct files *others)
{
    for (size_t i = 0; i < files->count; i++) {
        const struct file *other = find_file(others, files->at[i].name);
        if (is_store(&files->at[i]) && (other == NULL || !same_file(&files->at[i], other)))
            return false;
    }
    return true;
}

bool same_store(const struct files *before, const struct files *now)
{
    return has_same_stores(before, now) && has_same_stores(now, before);
}

static bool is_valid_slot(const struct file *file, size_t at)
{
    struct checkpoint checkpoint;
    return file != NULL && file->bytes.size >= at + CHECKPOINT_SLOT &&
           checkpoint_decode(file->bytes.data + at, &checkpoint) != FIRN_EDAMAGED;
}

enum checkpoint_state checkpoint_now(const struct files *before, const struct files *now)
{
    const struct file *was = find_file(before, CHECKPOINT_NAME);
    const struct file *is = find_file(now, CHECKPOINT_NAME);
    enum checkpoint_state state = CHECKPOINT_LOST;
    for (size_t at = 0; at < CHECKPOINT_BYTES; at += CHECKPOINT_SLOT) {
        if (!is_valid_slot(is, at))
            continue;
        if (was == NULL || was->bytes.size < CHECKPOINT_BYTES ||
            memcmp(was->bytes.data + at, is->bytes.data + at, CHECKPOINT_SLOT) != 0)
            return CHECKPOINT_OTHER;
        state = CHECKPOINT_KEPT;
    }
    return state;
}

/* ---- damage --------------------------------------------------------------------------------- */

static void overwrite(struct bytes *bytes, size_t at, const void *data, size_t size)
{
    if (at + size > bytes->size) {
        size_t had = bytes->size;
        bytes->data = must_grow(bytes->data, at + size);
        bytes->size = at + size;
        memset(bytes->data + had, 0, bytes->size - had);
    }
    if (size > 0)
        memcpy(bytes->data + at, data, size);
}

/* A place in the file, more often near its end than elsewhere. */
static size_t pick_place(const struct bytes *bytes, struct input *in)
{
    uint8_t how = input_u8(in);
    size_t at = (size_t)input_below(in, bytes->size + 1);
    return how & 1 ? bytes->size - (at > 300 ? at % 300 : at) % (bytes->size + 1) : at;
}

static void flip(struct bytes *bytes, struct input *in)
{
    size_t at = pick_place(bytes, in);
    uint8_t mask = input_u8(in);
    trace("flip at %zu, mask %#x", at, mask);
    if (at < bytes->size)
        bytes->data[at] ^= mask ? mask : 1;
}

/* Noise, or zeros: no input is written as it is, lest it finds a checksum. */
static void scribble(struct bytes *bytes, struct input *in, size_t at)
{
    uint8_t noise[512] = {0};
    uint8_t seed = input_u8(in);
    size_t size = input_below(in, sizeof noise);
    if (seed != 0)
        fill_noise(noise, size, seed);
    overwrite(bytes, at, noise, size);
}

static void copy_range(const struct file *from, struct bytes *to, struct input *in)
{
    size_t at = pick_place(&from->bytes, in), place = pick_place(to, in);
    size_t size = input_below(in, 512);
    if (size > from->bytes.size - at)
        size = from->bytes.size - at;
    uint8_t *copy = must_alloc(size);
    if (size > 0)
        memcpy(copy, from->bytes.data + at, size);
    trace("range of %zu bytes from %zu to %zu", size, at, place);
    overwrite(to, place, copy, size);
    free(copy);
}

static void copy_to_new_name(struct files *files, const struct file *from, struct input *in)
{
    static const char *const suffixes[] = {"log", "index", "timeindex", "appendtime"};
    char name[FILE_NAME_SIZE];
    uint64_t base = input_u8(in);
    uint8_t how = input_u8(in);
    if (how & 4)
        base = UINT64_MAX >> (1 + (how >> 3 & 3));
    (void)snprintf(name, sizeof name, "%020" PRIu64 ".%s", base, suffixes[how & 3]);
    trace("also named %s", name);
    replace_file(files, name, from);
}

/* One slot onto the other, with its sequence made to fit (a checksum made right) or not. */
static void copy_slot(struct files *files, struct input *in)
{
    struct file *file = find_file(files, CHECKPOINT_NAME);
    uint8_t how = input_u8(in);
    if (file == NULL || file->bytes.size < CHECKPOINT_BYTES)
        return;
    uint8_t *from = file->bytes.data + (how & 1) * CHECKPOINT_SLOT;
    uint8_t *to = file->bytes.data + (~how & 1) * CHECKPOINT_SLOT;
    memcpy(to, from, CHECKPOINT_SLOT);
}

/* ---- damage with a good checksum ------------------------------------------------------------ */

/* Changes a byte of one of the store's batches and makes its checksum right. */
static void forge_batch(struct bytes *bytes, struct input *in)
{
    size_t at = 0;
    uint64_t size = 0;
    for (unsigned left = input_u8(in) % 8; bytes->size - at >= BATCH_HEADER; left--) {
        size = (uint64_t)load_be_u32(bytes->data + at + 8) + BATCH_LENGTH_FROM;
        if (left == 0 || size < BATCH_HEADER || size >= bytes->size - at)
            break;
        at += (size_t)size;
    }
    if (size < BATCH_HEADER || size > bytes->size - at)
        return;
    uint8_t changes = 1 + input_u8(in) % 4;
    for (uint8_t i = 0; i < changes; i++) {
        uint8_t where = input_u8(in);
        size_t place = where < BATCH_HEADER ? where : input_below(in, size);
        bytes->data[at + place] = input_u8(in);
    }
    mend_batch(bytes->data + at, bytes->size - at);
}

/* Where fields stand in a slot; places stay small, so that files do. */
static void forge_field(uint8_t *slot, struct input *in)
{
    static const uint8_t fields[] = {28, 36, 52, 60, 76, 84, 96, 112};
    static const uint8_t places[] = {44, 68, 104, 120};
    uint8_t which = input_u8(in);
    uint64_t value = input_u16(in);
    switch (which & 3) {
    case 0:
        if (which & 0x80)
            value = UINT64_MAX >> (value & 3);
        store_be_u64(slot + fields[which / 4 % sizeof fields], value);
        break;
    case 1:
        store_be_u64(slot + places[which / 4 % sizeof places], value);
        break;
    case 2:
        slot[23] = (uint8_t)value & 3;
        break;
    default:
        slot[24 + value % 166] = (uint8_t)(value >> 8);
        memset(slot + 44, 0, 4); /* the upper halves of places */
        memset(slot + 68, 0, 4);
        memset(slot + 104, 0, 4);
        memset(slot + 120, 0, 4);
        break;
    }
}

static void forge_checkpoint(struct files *files, struct input *in)
{
    struct file *file = find_file(files, CHECKPOINT_NAME);
    if (file == NULL || file->bytes.size < CHECKPOINT_BYTES)
        return;
    unsigned changes = 1 + input_u8(in) % 4;
    uint8_t *slot = file->bytes.data;
    for (unsigned i = 0; i < changes; i++)
        forge_field(slot, in);
    /* Both slots say it, the second one later. */
    slot[19] &= 0xfe;
    memcpy(slot + CHECKPOINT_SLOT, slot, CHECKPOINT_SLOT);
    slot[CHECKPOINT_SLOT + 19] |= 1;
    for (int i = 0; i < 2; i++, slot += CHECKPOINT_SLOT)
        store_be_u32(slot + CHECKPOINT_SLOT - 4, crc32c(0, slot, CHECKPOINT_SLOT - 4));
}

/* ---- which ---------------------------------------------------------------------------------- */

enum kind {
    FLIP,
    SCRIBBLE,
    APPEND,
    TRUNCATE,
    REMOVE,
    OVER,
    NEW_NAME,
    OLDER,
    SLOT,
    RANGE,
    BATCH,
    CHECKPOINT,
    KINDS
};

static void damage_file(struct files *files, struct file *file, enum kind kind, struct input *in)
{
    struct bytes *bytes = &file->bytes;
    trace("damage %s (%zu bytes)", file->name, bytes->size);
    switch (kind) {
    case FLIP:
        flip(bytes, in);
        break;
    case SCRIBBLE:
        scribble(bytes, in, pick_place(bytes, in));
        break;
    case APPEND:
        scribble(bytes, in, bytes->size);
        break;
    case TRUNCATE:
        bytes->size = pick_place(bytes, in);
        break;
    case REMOVE:
        remove_file(files, file);
        break;
    case OVER:
        replace_file(files, files->at[input_below(in, files->count)].name, file);
        break;
    case NEW_NAME:
        copy_to_new_name(files, file, in);
        break;
    case RANGE:
        copy_range(file, &files->at[input_below(in, files->count)].bytes, in);
        break;
    default:
        forge_batch(bytes, in);
        break;
    }
}

void damage_files(struct files *files, const struct files *old, struct input *in,
                  struct damage *damage)
{
    enum kind kind = (enum kind)(input_u8(in) % KINDS);
    if (files->count == 0)
        return;
    trace("damage of kind %d", (int)kind);
    damage->count++;
    damage->bytes_changed |= kind == FLIP || kind == SCRIBBLE || kind == RANGE || kind == APPEND;
    damage->flipped |= kind == FLIP;
    damage->blurred |= damage->bytes_changed && kind != FLIP;
    damage->strayed |= kind == OVER || kind == NEW_NAME;
    damage->moved |= kind == RANGE;
    damage->forged |= kind == BATCH || kind == CHECKPOINT;
    if (kind == OLDER && old->count > 0) {
        const struct file *file = &old->at[input_below(in, old->count)];
        replace_file(files, file->name, file);
    } else if (kind == CHECKPOINT) {
        forge_checkpoint(files, in);
    } else if (kind == SLOT) {
        copy_slot(files, in);
    } else if (kind != OLDER) {
        damage_file(files, &files->at[input_below(in, files->count)], kind, in);
    }
}
