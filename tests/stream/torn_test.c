/* SPDX-License-Identifier: MIT */
/*
 * Stores that a crash tears: of the sectors that one wrote, any subset is there. Every subset is
 * tried, or many by chance where there are too many. Loading finds exactly what was there before
 * the last append, or with it; settling, interrupted or not, leaves blocks that are whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prng.h"
#include "stream/image.h"

enum { STEPS = 12, MOST_BYTES = 1 << 19 };

/* What is done to a part: the last step is torn. */
struct shape {
    unsigned shift;
    uint64_t count;
    int steps[STEPS]; /* bytes appended and synced; below 0: spilled; CLOSE; 0: the end */
};

enum { CLOSE = 1 << 30 };

static const struct shape sync_shapes[] = {
    {12, 4, {1}},                         /* the first append */
    {12, 4, {100, 50}},                   /* within a sector */
    {12, 4, {100, 2000}},                 /* within a block */
    {12, 4, {100, 3948}},                 /* completes a block */
    {12, 4, {4048}},                      /* a block at once */
    {12, 4, {4048, 300}},                 /* from an empty block; the note before is cleared */
    {12, 4, {2000, 2048, 700}},           /* the same, from one that two appends made */
    {12, 4, {100, 3948, 4048}},           /* and ends with one */
    {12, 4, {3000, 6000}},                /* goes on in the next */
    {12, 4, {3000, 5096}},                /* completes the next */
    {12, 6, {3000, 9000, 100, 6000}},     /* a note is left behind */
    {12, 2, {3000, 5000, 96}},            /* up to the capacity */
    {12, 2, {3000, 2000, 9000}},          /* and beyond */
    {12, 2, {8000, 97}},                  /* the same within a block */
    {12, 2, {20000}},                     /* all of it is a trail */
    {12, 4, {-100}},                      /* spilled */
    {12, 4, {-4048}},                     /* a block of it */
    {12, 4, {-9000}},                     /* several */
    {12, 2, {-8096}},                     /* all */
    {12, 4, {-5000, 10, 2000}},           /* behind it */
    {12, 2, {-5000, 9000}},               /* the whole part in the middle of appends */
    {12, 4, {100, CLOSE, 2000}},          /* closed before */
    {12, 4, {4048, CLOSE, 5000}},         /* closed at the end of a block */
    {12, 4, {2000, 3000, CLOSE, 10, 10}}, /* notes come anew */
    {9, 9, {300, 1000}},                  /* a block is a sector */
    {9, 9, {464, 464, 464 * 3}},
    {9, 9, {464, 10, 454, 464 * 7}},
    {9, 5, {-464 * 2, 464, 5000}},
    {10, 6, {976, 976 * 2, 976 * 3}},
    {10, 6, {500, 976 * 4, 200}},
    {7, 32, {79, 1, 80, 500}}, /* a sector holds blocks */
    {7, 32, {80, 80, 80, 81, 900}},
    {7, 24, {-1000, 79, 5000}},
    {6, 64, {10, 6, 16, 17, 300}},
    {6, 64, {-256, 16, 700}},
    {13, 3, {8144, 9000, 10000}},
};

static uint8_t input[MOST_BYTES + 8];

struct content {
    struct part_state state;
    uint8_t bytes[MOST_BYTES];
};

static void content_of(const struct part *part, struct content *content)
{
    content->state = part->state;
    memcpy(content->bytes, part->data, part->state.used);
}

static bool is_content(const struct part *part, const struct content *content)
{
    return part->state.used == content->state.used && part->state.ended == content->state.ended &&
           part->state.spilled == content->state.spilled &&
           memcmp(part->data, content->bytes, content->state.used) == 0;
}

static void expect_zeros(const uint8_t *bytes, size_t size)
{
    assert_true(size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0));
}

/* ---- one step ---- */

static void fill(struct prng *prng, size_t size)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = prng_next(prng);
        memcpy(input + i, &word, 8);
    }
}

static void begin(struct part *part, struct prng *prng, int step, bool zeros)
{
    size_t size = (size_t)abs(step);
    if (zeros)
        memset(input, 0, size);
    else
        fill(prng, size);
    part_append(part, input, size, step < 0);
}

static void take(struct part *part, struct prng *prng, int step, bool zeros)
{
    if (step == CLOSE) {
        assert_int_equal(part_close(part, NULL), 0);
        return;
    }
    begin(part, prng, step, zeros);
    assert_int_equal(part_sync(part, NULL), 0);
}

static size_t step_count(const struct shape *shape)
{
    size_t count = 0;
    while (count < STEPS && shape->steps[count] != 0)
        count++;
    return count;
}

/* ---- one torn store ---- */

/* Blocks as they were, and what a store did to them; which sectors of it are there. */
struct tear {
    const struct image *before;
    const struct image_store *store;
    const struct content *old, *new;
    uint64_t seed;
    bool settle_too; /* tear what settles it as well */
};

static size_t sectors_of(const struct image_store *store)
{
    return (store->from + store->size - 1) / IMAGE_SECTOR - store->from / IMAGE_SECTOR + 1;
}

static void apply(struct image *image, const struct image_store *store, size_t sector)
{
    size_t from = (store->from / IMAGE_SECTOR + sector) * IMAGE_SECTOR, to = from + IMAGE_SECTOR;
    if (from < store->from)
        from = store->from;
    if (to > store->from + store->size)
        to = store->from + store->size;
    memcpy(image->bytes + from, store->bytes + (from - store->from), to - from);
}

static bool in_mask(const uint64_t *mask, size_t bit)
{
    return mask[bit / 64] >> bit % 64 & 1;
}

static void torn_image(struct image *image, const struct tear *tear, const uint64_t *mask)
{
    image_init(image, tear->before->count, tear->before->shift);
    memcpy(image->bytes, tear->before->bytes, image->size);
    for (size_t i = 0; i < sectors_of(tear->store); i++)
        if (in_mask(mask, i))
            apply(image, tear->store, i);
}

/* Zero behind the end, but for notes. */
static void expect_clean(const struct image *image, const struct part *part)
{
    for (uint64_t block = 0; block < image->count; block++) {
        const uint8_t *bytes = image_block(image, block);
        uint64_t left = block * part->payload;
        size_t from = 0;
        if (part->state.used > left) {
            uint64_t size = part->state.used - left;
            from = META_BYTES + (size_t)(size < part->payload ? size : part->payload);
        } else if (block == 0) {
            from = META_BYTES;
        }
        expect_zeros(bytes + from, ((size_t)1 << image->shift) - from);
    }
}

/* Settled: whole, goes on, and can be closed. */
static void expect_usable(struct image *image, struct part *part, struct prng *prng,
                          struct content *content)
{
    int rc;
    struct part *again = image_load(image, NULL, &rc);
    assert_int_equal(rc, 0);
    assert_int_equal(again->cut, 0);
    assert_true(is_content(again, content));
    part_free(again);
    expect_clean(image, part);
    if (part->state.used < part->capacity) {
        take(part, prng, (int)prng_below(prng, part->capacity) + 1, false);
        content_of(part, content);
    }
    assert_int_equal(part_close(part, NULL), 0);
    struct part_look look = {.verify = true};
    again = image_load(image, &look, &rc);
    assert_int_equal(rc, 0);
    assert_false(again->unclean);
    assert_true(is_content(again, content));
    assert_int_equal(part_verify(again, NULL, NULL), 0);
    part_free(again);
}

static void tear_settling(struct image *image, struct part *part, const struct content *kept,
                          uint64_t seed);

/* Any one of the subsets. */
static void try_subset(const struct tear *tear, const uint64_t *mask, bool all, struct prng *prng)
{
    static struct content kept;
    struct image image;
    int rc;
    torn_image(&image, tear, mask);
    struct part *part = image_load(&image, NULL, &rc);
    assert_int_equal(rc, 0);
    bool is_new = is_content(part, tear->new);
    assert_true(is_new || (!all && is_content(part, tear->old)));
    expect_zeros(part->data + part->state.used, part->capacity - part->state.used);
    content_of(part, &kept);
    if (tear->settle_too && !part->settled) {
        tear_settling(&image, part, &kept, tear->seed);
    } else {
        if (part->settled)
            expect_clean(&image, part);
        assert_int_equal(part_settle(part, NULL), 0);
        assert_true(is_content(part, &kept));
        expect_usable(&image, part, prng, &kept);
    }
    part_free(part);
    image_done(&image);
}

static void try_subsets(const struct tear *tear, uint64_t most)
{
    size_t sectors = sectors_of(tear->store);
    uint64_t masks = sectors < 32 ? UINT64_C(1) << sectors : UINT64_MAX;
    struct prng prng = prng_new(tear->seed);
    assert_true(sectors <= 128);
    for (uint64_t i = 0; i < masks && i < most; i++) {
        uint64_t mask[2] = {i, 0};
        bool all = i == masks - 1;
        if (masks > most && i > 0) {
            /* Few, many, or a run of them are missing. */
            uint64_t more = prng_next(&prng), few = more & prng_next(&prng);
            all = i == 1;
            mask[0] = all ? UINT64_MAX : i % 3 == 0 ? few : i % 3 == 1 ? ~few : more;
            mask[1] = all ? UINT64_MAX : prng_next(&prng);
        }
        try_subset(tear, mask, all, &prng);
    }
}

/* Each store that settling made, torn; settled again, it is whole. */
static void tear_settling(struct image *image, struct part *part, const struct content *kept,
                          uint64_t seed)
{
    static struct content both;
    struct image before;
    both = *kept;
    image_init(&before, image->count, image->shift);
    memcpy(before.bytes, image->bytes, image->size);
    image->record = true;
    assert_int_equal(part_settle(part, NULL), 0);
    for (size_t i = 0; i < image->stored; i++) {
        struct tear tear = {&before, &image->stores[i], &both, &both, seed + i, false};
        try_subsets(&tear, 24);
        for (size_t sector = 0; sector < sectors_of(tear.store); sector++)
            apply(&before, tear.store, sector);
    }
    image_done(&before);
}

/* ---- shapes ---- */

/* Tears each store of the last step. */
static void tear_step(const struct shape *shape, bool zeros, uint64_t most, bool settle_too)
{
    static struct content old, new;
    struct image image, before;
    struct prng prng = prng_new(shape->shift);
    size_t count = step_count(shape);
    image_init(&image, shape->count, shape->shift);
    image_init(&before, shape->count, shape->shift);
    struct part *part = image_part(&image);
    assert_int_equal(part_mark(part, NULL), 0);
    for (size_t i = 0; i + 1 < count; i++)
        take(part, &prng, shape->steps[i], zeros);
    content_of(part, &old);
    memcpy(before.bytes, image.bytes, image.size);
    image.record = true;
    take(part, &prng, shape->steps[count - 1], zeros);
    content_of(part, &new);
    for (size_t i = 0; i < image.stored; i++) {
        bool last = i == image.stored - 1;
        struct tear tear = {&before, &image.stores[i], &old, last ? &new : &old, i, settle_too};
        try_subsets(&tear, most);
        for (size_t sector = 0; sector < sectors_of(tear.store); sector++)
            apply(&before, tear.store, sector);
    }
    part_free(part);
    image_done(&image);
    image_done(&before);
}

static bool has_effort(void)
{
    const char *effort = getenv("FIRN_TEST_EFFORT");
    return !effort || strcmp(effort, "full") == 0;
}

static void tear_shapes(uint64_t most, bool settle_too)
{
    for (size_t i = 0; i < sizeof sync_shapes / sizeof sync_shapes[0]; i++) {
        for (int zeros = 0; zeros < 2; zeros++) {
            print_message("tear_step(&sync_shapes[%zu], %d, %d, %d)\n", i, zeros, (int)most,
                          settle_too);
            tear_step(&sync_shapes[i], zeros, zeros ? most / 8 : most, settle_too);
        }
    }
}

static uint64_t most_subsets;

static void torn_syncs(void **state)
{
    (void)state;
    tear_shapes(most_subsets, false);
}

static void torn_settling(void **state)
{
    (void)state;
    tear_shapes(has_effort() ? 64 : 8, true);
}

/* With notes near each other, and far from each other. */
static void torn_closing(void **state)
{
    (void)state;
    static const struct shape shapes[] = {
        {12, 4, {100, CLOSE}},
        {12, 4, {100, 5000, 5000, CLOSE}},
        {12, 4, {-100, 5000, 50000, CLOSE}},
        {9, 60, {1000, 1000, 464, 10000, 10, 5000, CLOSE}},
        {12, 128, {100, 300 * 1000, 100, CLOSE}},
        {7, 24, {79, 1, 300, 80, CLOSE}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        print_message("shape %zu\n", i);
        tear_step(&shapes[i], false, has_effort() ? 1 << 8 : 1 << 6, false);
        tear_step(&shapes[i], false, 8, true);
    }
}

/* How many subsets of each store; as an argument, for more than what is tried always. */
int main(int argc, char **argv)
{
    most_subsets = argc > 1 ? strtoull(argv[1], NULL, 0) : has_effort() ? 1 << 12 : 1 << 8;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_syncs),
        cmocka_unit_test(torn_settling),
        cmocka_unit_test(torn_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
