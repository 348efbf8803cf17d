/* SPDX-License-Identifier: MIT */
/* What stands in the file, byte by byte; and files that others wrote. */
#include "slab_fixture.h"

#include <stdio.h>
#include <unistd.h>

/* ---- what stands in the file ---- */

/* Eight bytes each: the stack's magic and length; the program's bytes; the slab's magic, block size
 * and first free block; then the blocks. */
static void a_new_slab_is_a_header(void **state)
{
    static const uint8_t expected[][8] = {"BSTK\0\1\10", {48},         {0},  {0},
                                          {0},           "ALSL\0\1\1", {16}, {0}};
    struct fixture *f = *state;
    firn_slab_close(slab_create(f, 16));
    fixture_close(f);
    expect_file(f, expected, sizeof expected);
}

/* Of a block that is free the first bytes are a link, and the others what they were. */
static void the_list_is_as_the_format_has_it(void **state)
{
    static const uint8_t expected[][8] = {
        "BSTK\0\1\10", {128},            /* */
        "root",        {0},        {0},  /* */
        "ALSL\0\1\1",  {16},       {80}, /* */
        "aaaaaaaa",    "aaaaaaaa",       /* 48 */
        "ccccc",       {0},              /* 64 */
        {96},          {0},              /* 80: free, and the next one is */
        {112},         "bbbbbbbb",       /* 96 */
        {0},           {0},              /* 112: the last one that is free */
    };
    static const char reserved[FIRN_SLAB_RESERVED] = "root";
    struct fixture *f = *state;
    struct firn_slab *slab = slab_create(f, 16);
    struct firn_slab_slice a = slab_alloc(f, slab, 16), c, b, last;
    OK(firn_slab_write(slab, a, 0, "aaaaaaaaaaaaaaaa", 16, &f->err));
    c = slab_alloc(f, slab, 16);
    b = slab_alloc(f, slab, 32); /* 80 to 112 */
    OK(firn_slab_write(slab, b, 24, "bbbbbbbb", 8, &f->err));
    last = slab_alloc(f, slab, 16);
    slab_dealloc(f, slab, c);
    slab_dealloc(f, slab, last);
    c = slab_alloc(f, slab, 1); /* where the last was */
    slab_dealloc(f, slab, c);
    OK(firn_slab_alloc_many(slab, (const uint64_t[]){1, 5}, 2, (struct firn_slab_slice[2]){{0}},
                            &f->err));
    OK(firn_slab_write(slab, SLICE(64, 5), 0, "ccccc", 5, &f->err));
    slab_dealloc(f, slab, SLICE(112, 1));
    slab_dealloc(f, slab, b);
    OK(firn_slab_set_reserved(slab, reserved, &f->err));
    firn_slab_close(slab);
    fixture_close(f);
    expect_file(f, expected, sizeof expected);
}

/* ---- what others wrote ---- */

/* With another patch version, bytes of its own in the reserved ones, and what it leaves in blocks
 * that are free. */
static void a_file_by_others_opens(void **state)
{
    static const uint8_t file[][8] = {
        "BSTK\0\1\2",
        {80}, /* */
        {1},
        {2},
        {3}, /* */
        "ALSL\0\1\11\11",
        {8},
        {56}, /* */
        {5},
        {72},
        {7},
        {0}, /* */
    };
    struct fixture *f = *state;
    fixture_store(f, f->path, file, sizeof file);
    fixture_open(f);
    struct firn_slab *slab = slab_open(f);
    struct firn_slab_info info;
    uint64_t value = 0;
    firn_slab_get_info(slab, &info);
    assert_int_equal(info.blocks, 4);
    assert_int_equal(info.free_blocks, 2);
    OK(firn_slab_read(slab, SLICE(64, 8), 0, &value, 8, &f->err));
    assert_int_equal(((uint8_t *)&value)[0], 7);
    assert_int_equal(slab_alloc(f, slab, 8).offset, 56);
    assert_int_equal(slab_alloc(f, slab, 8).offset, 72);
    assert_int_equal(slab_alloc(f, slab, 8).offset, 80);
    firn_slab_close(slab);
}

/* ---- the reference's ---- */

struct reference {
    struct firn_slab_slice slices[256];
    char hex[256][2048];
    size_t count;
};

static bool reference_dir(char *dir, size_t size)
{
    const char *data = getenv("FIRN_REFERENCE_DATA");
    if (!data)
        return false;
    snprintf(dir, size, "%s/slab", data);
    return access(dir, R_OK) == 0;
}

static void load_list(const char *dir, struct reference *reference)
{
    char path[500];
    unsigned long long offset, length;
    snprintf(path, sizeof path, "%s/slab.live", dir);
    FILE *list = fopen(path, "r");
    assert_non_null(list);
    while (reference->count < 256 && fscanf(list, "%llu %llu %2047s", &offset, &length,
                                            reference->hex[reference->count]) == 3)
        reference->slices[reference->count++] = SLICE(offset, length);
    fclose(list);
    assert_true(reference->count > 10);
}

static void store_copy(struct fixture *f, const char *dir)
{
    char path[500];
    uint8_t *bytes = malloc(1 << 20);
    snprintf(path, sizeof path, "%s/slab.bstk", dir);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    fixture_store(f, f->path, bytes, size);
    free(bytes);
}

static void expect_hex(struct fixture *f, struct firn_slab *slab, struct firn_slab_slice slice,
                       const char *hex)
{
    uint8_t bytes[1024];
    char found[2049] = "";
    OK(firn_slab_read(slab, slice, 0, bytes, (size_t)slice.length, &f->err));
    for (uint64_t i = 0; i < slice.length; i++)
        snprintf(found + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(found, hex);
}

static void the_references_file_reads_as_listed(void **state)
{
    struct fixture *f = *state;
    char dir[400];
    if (!reference_dir(dir, sizeof dir))
        skip();
    struct reference *reference = calloc(1, sizeof *reference);
    load_list(dir, reference);
    store_copy(f, dir);
    fixture_open(f);
    struct firn_slab *slab = slab_open(f);
    const struct firn_slab_live live = {.slices = reference->slices, .count = reference->count};
    struct firn_slab_findings check;
    OK(firn_slab_check(f->stack, &live, &check, &f->err));
    assert_int_equal(check.block_size, 32);
    assert_int_equal(check.leaked_blocks, 0);
    assert_true(check.free_blocks > 0);
    for (size_t i = 0; i < reference->count; i++)
        expect_hex(f, slab, reference->slices[i], reference->hex[i]);
    OK(firn_slab_dealloc_many(slab, reference->slices, reference->count, &f->err));
    slab_reopen(f, &slab);
    OK(firn_slab_check(f->stack, NULL, &check, &f->err));
    assert_int_equal(check.free_blocks, check.blocks);
    firn_slab_close(slab);
    free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(a_new_slab_is_a_header, in_memory),
        TEST_IN(a_new_slab_is_a_header, on_files),
        TEST_IN(the_list_is_as_the_format_has_it, in_memory),
        TEST_IN(the_list_is_as_the_format_has_it, on_files),
        CLOSED_IN(a_file_by_others_opens, in_memory),
        CLOSED_IN(the_references_file_reads_as_listed, in_memory),
    };
    return cmocka_run_group_tests_name("slab/format", tests, NULL, NULL);
}
