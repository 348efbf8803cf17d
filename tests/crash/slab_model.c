/* SPDX-License-Identifier: MIT */
#include "slab_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "lib/prng.h"

enum { ARENA = 48, AT_BLOCK_SIZE = 32, AT_HEAD = 40, RESERVED = 24, MANY = 5, MOST_BLOCKS = 4 };

/* One operation. */
struct work {
    struct firn_slab *slab;
    const struct slab_model *before;
    struct slab_model *after;
    struct prng prng;
    const char *why;
    struct firn_error *err;
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* ---- a model ---- */

static void resize(struct slab_model *model, uint64_t length)
{
    struct content *content = &model->content;
    content->bytes = must(realloc(content->bytes, (size_t)length + 1));
    if (length > content->length)
        memset(content->bytes + content->length, 0, (size_t)(length - content->length));
    content->length = length;
}

void slab_model_create(struct slab_model *model, uint64_t block_size)
{
    slab_model_done(model);
    model->block_size = block_size;
    resize(model, ARENA);
    memcpy(model->content.bytes + RESERVED, "ALSL\0\1\1", 8);
    store_le_u64(model->content.bytes + AT_BLOCK_SIZE, block_size);
}

void slab_model_done(struct slab_model *model)
{
    content_done(&model->content);
    free(model->live);
    *model = (struct slab_model){0};
}

void slab_model_copy(const struct slab_model *from, struct slab_model *to)
{
    *to = (struct slab_model){.block_size = from->block_size, .count = from->count};
    content_copy(&from->content, &to->content);
    to->live = must(malloc((from->count + 1) * sizeof *to->live));
    if (from->count)
        memcpy(to->live, from->live, from->count * sizeof *to->live);
}

static uint64_t blocks_of(const struct slab_model *model, uint64_t length)
{
    return (length + model->block_size - 1) / model->block_size;
}

static uint64_t end_of(const struct slab_model *model, struct firn_slab_slice slice)
{
    return slice.offset + blocks_of(model, slice.length) * model->block_size;
}

static uint64_t head_of(const struct slab_model *model)
{
    return load_le_u64(model->content.bytes + AT_HEAD);
}

static void set_head(struct slab_model *model, uint64_t head)
{
    store_le_u64(model->content.bytes + AT_HEAD, head);
}

/* ---- what a call does, on bytes ---- */

static void add_live(struct slab_model *model, struct firn_slab_slice slice)
{
    model->live = must(realloc(model->live, (model->count + 1) * sizeof *model->live));
    model->live[model->count++] = slice;
}

static size_t find_live(const struct slab_model *model, struct firn_slab_slice slice)
{
    size_t i = 0;
    while (i < model->count && model->live[i].offset != slice.offset)
        i++;
    if (i == model->count)
        abort();
    return i;
}

static void remove_live(struct slab_model *model, struct firn_slab_slice slice)
{
    size_t i = find_live(model, slice);
    model->live[i] = model->live[--model->count];
}

static struct firn_slab_slice take(struct slab_model *model, uint64_t length)
{
    struct firn_slab_slice slice = {model->content.length, length};
    uint64_t head = head_of(model);
    if (length == 0)
        return (struct firn_slab_slice){0, 0};
    if (length <= model->block_size && head) {
        slice.offset = head;
        set_head(model, load_le_u64(model->content.bytes + head));
        memset(model->content.bytes + head, 0, (size_t)model->block_size);
    } else {
        resize(model, model->content.length + blocks_of(model, length) * model->block_size);
    }
    add_live(model, slice);
    return slice;
}

static void link_blocks(struct slab_model *model, uint64_t offset, uint64_t blocks)
{
    for (uint64_t i = blocks; i > 0; i--) {
        uint64_t at = offset + (blocks - i) * model->block_size;
        store_le_u64(model->content.bytes + at, i > 1 ? at + model->block_size : head_of(model));
    }
    if (blocks)
        set_head(model, offset);
}

static bool cut_tail(struct slab_model *model, const struct firn_slab_slice *slices, bool *cut,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cut[i] || slices[i].length <= model->block_size ||
            end_of(model, slices[i]) != model->content.length)
            continue;
        resize(model, slices[i].offset);
        return cut[i] = true;
    }
    return false;
}

static void give(struct slab_model *model, const struct firn_slab_slice *slices, size_t count)
{
    bool cut[MANY] = {false};
    while (cut_tail(model, slices, cut, count))
        continue;
    for (size_t i = 0; i < count; i++) {
        if (!cut[i] && slices[i].length)
            link_blocks(model, slices[i].offset, blocks_of(model, slices[i].length));
        if (slices[i].length)
            remove_live(model, slices[i]);
    }
}

static struct firn_slab_slice move(struct slab_model *model, struct firn_slab_slice slice,
                                   uint64_t length)
{
    struct firn_slab_slice to = {model->content.length, length};
    resize(model, model->content.length + blocks_of(model, length) * model->block_size);
    memcpy(model->content.bytes + to.offset, model->content.bytes + slice.offset,
           (size_t)slice.length);
    link_blocks(model, slice.offset, blocks_of(model, slice.length));
    return to;
}

static struct firn_slab_slice change_length(struct slab_model *model, struct firn_slab_slice slice,
                                            uint64_t length)
{
    uint64_t before = blocks_of(model, slice.length), after = blocks_of(model, length);
    uint64_t room = before * model->block_size;
    uint64_t end = slice.offset + after * model->block_size;
    bool last = end_of(model, slice) == model->content.length;
    struct firn_slab_slice to = {slice.offset, length};
    if (after > before && !last) {
        to = move(model, slice, length);
    } else {
        uint64_t shown = length < room ? length : room;
        if (shown > slice.length)
            memset(model->content.bytes + slice.offset + slice.length, 0,
                   (size_t)(shown - slice.length));
        if (after != before && last)
            resize(model, end);
        else if (after < before)
            link_blocks(model, end, before - after);
    }
    model->live[find_live(model, slice)] = to;
    return to;
}

/* ---- choices ---- */

static uint64_t up_to(struct work *work, uint64_t most)
{
    return prng_below(&work->prng, most + 1);
}

static uint64_t some_length(struct work *work, uint64_t least_blocks, uint64_t most_blocks)
{
    uint64_t size = work->before->block_size;
    uint64_t least = (least_blocks - 1) * size + 1;
    return least + up_to(work, most_blocks * size - least);
}

static void expect(struct work *work, bool good, const char *what)
{
    if (!good && !work->why)
        work->why = what;
}

static bool same(struct firn_slab_slice a, struct firn_slab_slice b)
{
    return a.offset == b.offset && a.length == b.length;
}

/* One of so many blocks at least, the last in the stack if need be. */
static bool choose(struct work *work, uint64_t blocks, bool last, struct firn_slab_slice *slice)
{
    const struct slab_model *model = work->before;
    size_t start = model->count ? (size_t)up_to(work, model->count - 1) : 0;
    for (size_t i = 0; i < model->count; i++) {
        *slice = model->live[(start + i) % model->count];
        if (blocks_of(model, slice->length) >= blocks &&
            (!last || end_of(model, *slice) == model->content.length))
            return true;
    }
    return false;
}

/* ---- operations ---- */

static int alloc(struct work *work, uint64_t length)
{
    struct firn_slab_slice expected = take(work->after, length), found = {77, 77};
    int rc = firn_slab_alloc(work->slab, length, &found, work->err);
    expect(work, rc < 0 ? found.offset == 77 : same(found, expected), "another slice");
    return rc;
}

static int alloc_many(struct work *work)
{
    struct firn_slab_slice expected[MANY], found[MANY];
    uint64_t lengths[MANY];
    size_t count = (size_t)up_to(work, MANY);
    for (size_t i = 0; i < count; i++) {
        lengths[i] = up_to(work, 5) ? some_length(work, 1, up_to(work, 2) ? 1 : MOST_BLOCKS) : 0;
        expected[i] = take(work->after, lengths[i]);
    }
    int rc = firn_slab_alloc_many(work->slab, lengths, count, found, work->err);
    for (size_t i = 0; rc == 0 && i < count; i++)
        expect(work, same(found[i], expected[i]), "another slice of several");
    return rc;
}

static int dealloc(struct work *work, bool last)
{
    struct firn_slab_slice slice;
    if (!choose(work, 1, last, &slice))
        return 0;
    give(work->after, &slice, 1);
    return firn_slab_dealloc(work->slab, slice, work->err);
}

static int dealloc_many(struct work *work)
{
    struct firn_slab_slice slices[MANY];
    struct slab_model left;
    size_t count = (size_t)up_to(work, MANY - 1);
    slab_model_copy(work->before, &left);
    for (size_t i = 0; i < count; i++) {
        slices[i] = (struct firn_slab_slice){0, 0};
        if (left.count == 0)
            continue;
        slices[i] = left.live[up_to(work, left.count - 1)];
        remove_live(&left, slices[i]);
    }
    slab_model_done(&left);
    give(work->after, slices, count);
    return firn_slab_dealloc_many(work->slab, slices, count, work->err);
}

static int change(struct work *work, struct firn_slab_slice slice, uint64_t length)
{
    struct firn_slab_slice expected = change_length(work->after, slice, length), found = {77, 77};
    int rc = firn_slab_realloc(work->slab, slice, length, &found, work->err);
    expect(work, rc < 0 ? found.offset == 77 : same(found, expected), "realloc: another slice");
    return rc;
}

static int reshape(struct work *work)
{
    struct firn_slab_slice slice;
    if (!choose(work, 1, false, &slice))
        return 0;
    uint64_t blocks = blocks_of(work->before, slice.length);
    return change(work, slice, some_length(work, blocks, blocks));
}

static int grow(struct work *work, bool last)
{
    struct firn_slab_slice slice;
    if (!choose(work, 1, last, &slice))
        return 0;
    uint64_t blocks = blocks_of(work->before, slice.length);
    if (blocks > MOST_BLOCKS)
        return 0; /* it would not fit in one change in the end */
    return change(work, slice, some_length(work, blocks + 1, blocks + 2));
}

static int shrink(struct work *work, bool last)
{
    struct firn_slab_slice slice;
    if (!choose(work, 2, last, &slice))
        return 0;
    return change(work, slice, some_length(work, 1, blocks_of(work->before, slice.length) - 1));
}

static int from_and_to_none(struct work *work)
{
    struct firn_slab_slice slice = {0, 0}, found = {77, 77}, expected = {0, 0};
    uint64_t length = 0;
    if (choose(work, 1, false, &slice) && up_to(work, 1)) {
        give(work->after, &slice, 1);
    } else {
        slice = (struct firn_slab_slice){0, 0};
        length = some_length(work, 1, 2);
        expected = take(work->after, length);
    }
    int rc = firn_slab_realloc(work->slab, slice, length, &found, work->err);
    expect(work, rc < 0 || same(found, expected), "realloc from or to none: another slice");
    return rc;
}

/* Of some bytes of one. */
static int overwrite(struct work *work, bool zero)
{
    struct firn_slab_slice slice;
    if (!choose(work, 1, false, &slice))
        return 0;
    uint64_t from = up_to(work, slice.length), size = up_to(work, slice.length - from);
    uint8_t *bytes = must(calloc(1, (size_t)size + 1));
    if (!zero)
        prng_fill(&work->prng, bytes, (size_t)size);
    memcpy(work->after->content.bytes + slice.offset + from, bytes, (size_t)size);
    int rc = zero ? firn_slab_zero(work->slab, slice, from, size, work->err)
                  : firn_slab_write(work->slab, slice, from, bytes, (size_t)size, work->err);
    free(bytes);
    return rc;
}

static int reserve(struct work *work)
{
    uint8_t bytes[RESERVED];
    prng_fill(&work->prng, bytes, sizeof bytes);
    memcpy(work->after->content.bytes, bytes, sizeof bytes);
    return firn_slab_set_reserved(work->slab, bytes, work->err);
}

static int refused(struct work *work, struct firn_slab_slice slice, int expected)
{
    struct firn_slab_slice both[2] = {{0, 0}, slice}, found;
    int rc = firn_slab_dealloc(work->slab, slice, work->err);
    if (rc != expected)
        return rc == 0 ? FIRN_EINVAL : rc;
    rc = firn_slab_dealloc_many(work->slab, both, 2, work->err);
    if (rc == expected)
        rc = firn_slab_realloc(work->slab, slice, 5 * slice.length, &found, work->err);
    return rc == expected ? 0 : rc;
}

static int refuse(struct work *work)
{
    const struct slab_model *model = work->before;
    uint64_t head = head_of(model), end = model->content.length;
    struct firn_slab_slice slice;
    int rc = refused(work, (struct firn_slab_slice){end, 1}, FIRN_ERANGE);
    if (rc == 0)
        rc = refused(work, (struct firn_slab_slice){8, 8}, FIRN_ERANGE);
    if (rc == 0 && head)
        rc = refused(work, (struct firn_slab_slice){head, 1}, FIRN_ENOENT);
    if (rc == 0 && choose(work, 1, false, &slice)) {
        struct firn_slab_slice twice[2] = {slice, slice};
        rc = firn_slab_dealloc_many(work->slab, twice, 2, work->err);
        rc = rc == FIRN_EINVAL ? 0 : rc == 0 ? FIRN_EINVAL : rc;
    }
    return rc;
}

static int operate(struct work *work, char operation)
{
    switch (operation) {
    case 'n':
        return alloc(work, some_length(work, 1, 1));
    case 'N':
        return alloc(work, some_length(work, 2, MOST_BLOCKS));
    case 'm':
        return alloc_many(work);
    case 'f':
    case 'l':
        return dealloc(work, operation == 'l');
    case 'F':
        return dealloc_many(work);
    case 'e':
        return reshape(work);
    case 'g':
    case 'G':
        return grow(work, operation == 'G');
    case 's':
    case 'S':
        return shrink(work, operation == 'S');
    case 'o':
        return from_and_to_none(work);
    case 'w':
    case 'z':
        return overwrite(work, operation == 'z');
    case 'R':
        return reserve(work);
    case 'x':
        return refuse(work);
    default:
        abort();
    }
}

int slab_operate(struct firn_slab *slab, char operation, uint64_t number,
                 const struct slab_model *before, struct slab_model *after, const char **why,
                 struct firn_error *err)
{
    struct work work = {.slab = slab, .before = before, .after = after, .err = err};
    work.prng = prng_new(number << 8 | (uint8_t)operation);
    slab_model_copy(before, after);
    int rc = operate(&work, operation);
    *why = work.why;
    return rc;
}
