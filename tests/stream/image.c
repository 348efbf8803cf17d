/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream/image.h"

struct handle {
    struct firn_block base;
    struct image *image;
};

static struct image *image_of(struct firn_block *block)
{
    return ((struct handle *)block)->image;
}

static size_t sum_of(const struct iovec *iov, int count)
{
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return sum;
}

static int image_load_blocks(struct firn_block *block, uint64_t first, const struct iovec *iov,
                             int count, struct firn_error *err)
{
    struct image *image = image_of(block);
    size_t at = (size_t)(first << image->shift);
    (void)err;
    assert_true(at + sum_of(iov, count) <= image->size);
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0)
            memcpy(iov[i].iov_base, image->bytes + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return 0;
}

static void check_pairs(const struct image *image, const struct iovec *iov, int count)
{
    assert_true(count > 0 && count % 2 == 0);
    for (int i = 0; i + 2 < count; i += 2)
        assert_int_equal(iov[i].iov_len + iov[i + 1].iov_len, (size_t)1 << image->shift);
    assert_true(iov[count - 2].iov_len + iov[count - 1].iov_len <= (size_t)1 << image->shift);
}

static void write_all(struct image *image, size_t at, const struct iovec *iov, int count)
{
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len > 0)
            memcpy(image->bytes + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
}

/* ---- the medium ---- */

static void reach_medium(struct image *image, size_t from, size_t to, bool all)
{
    size_t unit = prng_below(&image->prng, 2) ? IMAGE_SECTOR : IMAGE_PAGE;
    uint64_t chance = prng_below(&image->prng, 5);
    from -= from % unit;
    for (size_t at = from; at < to || at % unit != 0; at += IMAGE_SECTOR) {
        if (at >= image->size)
            break;
        size_t size = image->size - at < IMAGE_SECTOR ? image->size - at : IMAGE_SECTOR;
        if (all || prng_below(&image->prng, 4) < chance)
            memcpy(image->medium + at, image->bytes + at, size);
    }
}

void image_add_medium(struct image *image, uint64_t seed)
{
    image->prng = prng_new(seed);
    image->medium = malloc(image->size);
    assert_non_null(image->medium);
    memcpy(image->medium, image->bytes, image->size);
}

void image_drop(struct image *image)
{
    uint64_t chance = prng_below(&image->prng, 5);
    for (size_t at = 0; at < image->size; at += IMAGE_SECTOR) {
        size_t size = image->size - at < IMAGE_SECTOR ? image->size - at : IMAGE_SECTOR;
        if (prng_below(&image->prng, 4) < chance)
            memcpy(image->bytes + at, image->medium + at, size);
    }
}

void image_power_cut(struct image *image)
{
    memcpy(image->bytes, image->medium, image->size);
}

/* ---- stores ---- */

static int image_fail(struct image *image, size_t at, size_t size, const struct iovec *iov,
                      int count, struct firn_error *err)
{
    int code = image->fail;
    image->fail = image->fail_in = 0;
    if (code == FIRN_EIO) {
        assert_non_null(image->medium);
        write_all(image, at, iov, count);
        reach_medium(image, at, at + size, false);
        image->poisoned = true;
        code = FIRN_EPOISONED;
    }
    return firn_error_set(err, code, 0, "the test says so");
}

static int image_store_blocks(struct firn_block *block, uint64_t first, const struct iovec *iov,
                              int count, struct firn_error *err)
{
    struct image *image = image_of(block);
    size_t at = (size_t)(first << image->shift), size = sum_of(iov, count);
    assert_true(size > 0 && at + size <= image->size);
    check_pairs(image, iov, count);
    if (image->poisoned)
        return firn_error_set(err, FIRN_EPOISONED, 0, "a store failed before");
    if (image->fail != 0 && image->fail_in-- == 0)
        return image_fail(image, at, size, iov, count, err);
    write_all(image, at, iov, count);
    if (image->medium)
        reach_medium(image, at, at + size, true);
    if (image->during)
        image->during(image->arg);
    if (image->record) {
        assert_true(image->stored < IMAGE_STORES);
        struct image_store *store = &image->stores[image->stored++];
        *store = (struct image_store){at, size, malloc(size + 1)};
        assert_non_null(store->bytes);
        memcpy(store->bytes, image->bytes + at, size);
    }
    return 0;
}

static void image_close(struct firn_block *block)
{
    free(block);
}

static const struct firn_block_ops image_ops = {
    .size = sizeof(struct firn_block_ops),
    .close = image_close,
    .load = image_load_blocks,
    .store = image_store_blocks,
};

void image_init(struct image *image, uint64_t count, unsigned shift)
{
    *image = (struct image){.count = count, .shift = shift, .size = (size_t)count << shift};
    image->bytes = calloc(1, image->size);
    assert_non_null(image->bytes);
}

void image_forget(struct image *image)
{
    while (image->stored > 0)
        free(image->stores[--image->stored].bytes);
}

void image_done(struct image *image)
{
    image_forget(image);
    free(image->bytes);
    free(image->medium);
}

struct firn_block *image_open(struct image *image)
{
    struct handle *handle = malloc(sizeof *handle);
    assert_non_null(handle);
    image->poisoned = false;
    *handle = (struct handle){{&image_ops, image->count, image->shift}, image};
    return &handle->base;
}

struct part *image_part(struct image *image)
{
    struct part *part;
    assert_int_equal(part_new(image_open(image), &part, NULL), 0);
    return part;
}

struct part *image_load(struct image *image, const struct part_look *look, int *rc)
{
    struct part *part = image_part(image);
    struct firn_error err = {.code = 0};
    *rc = part_load(part, look, &err);
    if (*rc == 0)
        return part;
    assert_int_equal(err.code, *rc);
    assert_true(err.message[0] != '\0');
    part_free(part);
    return NULL;
}

void found_add(void *arg, uint64_t block, enum firn_stream_fault fault)
{
    struct found *found = arg;
    assert_true(found->count < sizeof found->all / sizeof found->all[0]);
    found->all[found->count].block = block;
    found->all[found->count++].fault = fault;
}

size_t found_times(const struct found *found, uint64_t block, enum firn_stream_fault fault)
{
    size_t times = 0;
    for (size_t i = 0; i < found->count; i++)
        times += found->all[i].block == block && found->all[i].fault == fault;
    return times;
}
