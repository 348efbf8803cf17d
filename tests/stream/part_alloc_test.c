/* SPDX-License-Identifier: MIT */
/* Every allocation of a part's life made to fail once: the call says so, or does without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/alloc.h"
#include "prng.h"
#include "stream/image.h"

enum { LARGE = 400 * 1000 }; /* more than what is stored without memory */

static uint8_t input[LARGE];

/* Allocations count during the call only. */
#define COUNTED(rc, call)                                                                          \
    do {                                                                                           \
        alloc_paused = false;                                                                      \
        (rc) = (call);                                                                             \
        alloc_paused = true;                                                                       \
    } while (0)

static int new_part(struct image *image, struct part **part)
{
    struct firn_block *block = image_open(image);
    int rc;
    COUNTED(rc, part_new(block, part, NULL));
    if (rc == 0)
        return 0;
    assert_int_equal(rc, FIRN_ENOMEM);
    return part_new(block, part, NULL); /* the block was not taken */
}

static void append(struct part *part, size_t size)
{
    int rc;
    part_append(part, input, size, false);
    COUNTED(rc, part_sync(part, NULL));
    if (rc < 0) {
        assert_int_equal(rc, FIRN_ENOMEM);
        assert_true(part->pending);
        assert_int_equal(part_sync(part, NULL), 0);
    }
}

static struct part *load(struct image *image, size_t size)
{
    struct part *part;
    int rc;
    assert_int_equal(new_part(image, &part), 0);
    COUNTED(rc, part_load(part, NULL, NULL));
    if (rc < 0) {
        assert_int_equal(rc, FIRN_ENOMEM);
        part_free(part);
        return load(image, size);
    }
    assert_int_equal(part->state.used, size);
    assert_memory_equal(part->data + 100, input, size - 100);
    return part;
}

static void live(struct image *image)
{
    struct part *part;
    int rc;
    assert_int_equal(new_part(image, &part), 0);
    append(part, 100);
    append(part, LARGE);
    part_free(part);
    part = load(image, 100 + LARGE);
    COUNTED(rc, part_settle(part, NULL));
    assert_int_equal(rc, 0);
    COUNTED(rc, part_verify(part, NULL, NULL));
    assert_int_equal(rc, 0);
    COUNTED(rc, part_close(part, NULL));
    assert_int_equal(rc, 0);
    part_free(part);
    part = load(image, 100 + LARGE);
    assert_false(part->unclean);
    part_free(part);
}

static void each_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    struct prng prng = prng_new(1);
    alloc_paused = true;
    prng_fill(&prng, input, sizeof input);
    int which = 1;
    for (; failed; which++) {
        struct image image;
        image_init(&image, 128, 12);
        alloc_fail_in = which;
        live(&image);
        failed = alloc_fail_in == 0;
        alloc_fail_in = 0;
        image_done(&image);
    }
    assert_true(which > 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
