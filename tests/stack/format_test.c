/* SPDX-License-Identifier: MIT */
/*
 * The file as the format has it, byte for byte; what other implementations leave; files that are no
 * stack's, or of another version; parts that are missing or exchanged. What is refused stays as it
 * is.
 */
#include "fixture.h"

#include <stdio.h>

#include "base/bytes.h"

/* ---- what the file holds ---- */

static void is_as_the_format_says(void **state)
{
    static const uint8_t empty[] = {'B', 'S', 'T', 'K', 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t some[] = {'B', 'S', 'T', 'K', 0, 1, 8, 0, 4,   1,   0, 0, 0,
                                   0,   0,   0,   0,   0, 0, 0, 0, 'a', 'b', 0, 0};
    struct fixture *f = *state;
    uint8_t wanted[HEADER + 260] = {0};
    fixture_close(f);
    expect_file(f, empty, sizeof empty);
    fixture_open(f);
    OK(firn_stack_extend(f->stack, 260, NULL, &f->err));
    OK(firn_stack_set(f->stack, 5, "ab", 2, &f->err));
    fixture_close(f);
    memcpy(wanted, some, sizeof some);
    expect_file(f, wanted, sizeof wanted);
}

/* While it is changed, and after a crash, no other implementation takes it. */
static void is_marked_while_it_is_changed(void **state)
{
    struct fixture *f = *state;
    uint64_t size;
    fixture_close(f);
    fixture_open(f);
    uint8_t *bytes = fixture_load(f, f->path, &size);
    assert_memory_equal(bytes, "BSTK", 4); /* who only reads it does not mark it */
    free(bytes);
    OK(firn_stack_push(f->stack, "x", 1, NULL, &f->err));
    fixture_kill(f);
    bytes = fixture_load(f, f->path, &size);
    assert_memory_equal(bytes, "FSTK\0\1\10\0", 8);
    assert_true(size > HEADER + 1);
    free(bytes);
    f->options.no_journal = true;
    FAILS(fixture_try_open(f), FIRN_EMISMATCH);
    f->options.no_journal = false;
    fixture_open(f);
    expect(f, "x", 1);
}

/* ---- what others left ---- */

struct file {
    const char *name;
    uint8_t header[HEADER];
    const char *content;
    size_t size;        /* of the content; with `short_by`, of the file, less */
    const char *wanted; /* NULL: refused with `code` */
    int code;
    size_t short_by; /* of the file, from the end of the header */
};

#define MAGIC 'B', 'S', 'T', 'K'

static const struct file files[] = {
    {"as it should be", {MAGIC, 0, 1, 8, 0, 3}, "abc", 3, "abc", 0, 0},
    {"an older patch", {MAGIC, 0, 1, 0, 0, 3}, "abc", 3, "abc", 0, 0},
    {"a later patch", {MAGIC, 0, 1, 99, 7, 3}, "abc", 3, "abc", 0, 0},
    {"longer than it says", {MAGIC, 0, 1, 8, 0, 2}, "abcd", 4, "ab", 0, 0},
    {"shorter than it says", {MAGIC, 0, 1, 8, 0, 9}, "abcd", 4, "abcd", 0, 0},
    {"much shorter",
     {MAGIC, 0, 1, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255},
     "a",
     1,
     "a",
     0,
     0},
    {"only a header", {MAGIC, 0, 1, 8, 0}, "", 0, "", 0, 0},
    {"nothing at all", {0}, "", 0, "", 0, HEADER},
    {"a header that was torn", {MAGIC, 0, 1, 0, 0}, "", 0, "", 0, 6},
    {"zeros for a header", {0}, "", 0, "", 0, 0},
    {"another major version", {MAGIC, 1, 1, 8, 0, 3}, "abc", 3, NULL, FIRN_EFORMAT, 0},
    {"another minor version", {MAGIC, 0, 2, 0, 0, 3}, "abc", 3, NULL, FIRN_EFORMAT, 0},
    {"another magic", {'B', 'S', 'T', 'X', 0, 1, 8, 0, 3}, "abc", 3, NULL, FIRN_EFORMAT, 0},
    {"zeros and more", {0}, "abc", 3, NULL, FIRN_EFORMAT, 0},
    {"text", {'H', 'e', 'l', 'l', 'o'}, "", 0, NULL, FIRN_EFORMAT, 11},
    {"half a header of another", {'B', 'X'}, "", 0, NULL, FIRN_EFORMAT, 14},
    {"marked",
     {'F', 'S', 'T', 'K', 0, 1, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8},
     "abc",
     3,
     NULL,
     FIRN_EMISMATCH,
     0},
};

static void store(struct fixture *f, const struct file *file)
{
    uint8_t bytes[64];
    memcpy(bytes, file->header, HEADER);
    memcpy(bytes + HEADER, file->content, file->size);
    fixture_store(f, f->path, bytes, HEADER + file->size - file->short_by);
}

/* Who only reads changes nothing; who writes leaves what the format says. */
static void taken(struct fixture *f, const struct file *file)
{
    uint8_t wanted[64] = {MAGIC, 0, 1, 8, 0};
    size_t size = strlen(file->wanted);
    uint64_t before_size;
    uint8_t *before = fixture_load(f, f->path, &before_size);
    f->options.read_only = true;
    fixture_open(f);
    expect(f, file->wanted, size);
    FAILS(firn_stack_push(f->stack, "x", 1, NULL, &f->err), FIRN_EREADONLY);
    fixture_close(f);
    expect_file(f, before, (size_t)before_size);
    free(before);
    f->options.read_only = false;
    fixture_open(f);
    expect(f, file->wanted, size);
    fixture_close(f);
    assert_int_equal(fixture_size(f, f->path), HEADER + size);
    fixture_open(f);
    OK(firn_stack_push(f->stack, "!", 1, NULL, &f->err));
    fixture_close(f);
    store_le_u64(wanted + 8, size + 1);
    memcpy(wanted + HEADER, file->wanted, size);
    wanted[HEADER + size] = '!';
    if (f->kind.no_journal && file->header[6])
        memcpy(wanted + 6, file->header + 6, 2);
    if (f->kind.no_journal && file->header[0] && !file->header[6] && !file->short_by)
        wanted[6] = 0;
    expect_file(f, wanted, HEADER + size + 1);
}

static void refused(struct fixture *f, int code)
{
    uint64_t size;
    uint8_t *before = fixture_load(f, f->path, &size);
    bool had_journal = fixture_size(f, f->journal) != UINT64_MAX;
    for (int read_only = 0; read_only < 2; read_only++) {
        f->options.read_only = read_only;
        FAILS(fixture_try_open(f), code);
        assert_non_null(strstr(f->err.message, f->path));
        assert_null(f->stack);
    }
    f->options.read_only = false;
    if (before)
        expect_file(f, before, (size_t)size);
    assert_int_equal(fixture_size(f, f->journal) != UINT64_MAX, had_journal);
    free(before);
}

static void takes_what_others_left(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        store(f, &files[i]);
        fixture_store(f, f->journal, NULL, 0);
        if (files[i].wanted)
            taken(f, &files[i]);
        else
            refused(f, files[i].code);
    }
}

/* The same, with the journal of an earlier life beside it. */
static void takes_what_others_made_of_it(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        fixture_store(f, f->path, NULL, 0);
        fixture_open(f);
        OK(firn_stack_push(f->stack, "something else", 14, NULL, &f->err));
        fixture_close(f);
        store(f, &files[i]);
        if (files[i].wanted)
            taken(f, &files[i]);
        else
            refused(f, files[i].code);
        store(f, &files[0]);
    }
}

/* ---- parts ---- */

struct copy {
    uint8_t *path, *journal;
    uint64_t path_size, journal_size;
};

static struct copy take(struct fixture *f)
{
    struct copy copy;
    copy.path = fixture_load(f, f->path, &copy.path_size);
    copy.journal = fixture_load(f, f->journal, &copy.journal_size);
    return copy;
}

static void put(struct fixture *f, const uint8_t *path, uint64_t path_size, const struct copy *copy)
{
    fixture_store(f, f->path, path, (size_t)path_size);
    fixture_store(f, f->journal, copy->journal, (size_t)copy->journal_size);
}

static void drop(struct copy *copy)
{
    free(copy->path);
    free(copy->journal);
}

static struct copy crashed(struct fixture *f, const char *text)
{
    fixture_open(f);
    OK(firn_stack_push(f->stack, text, strlen(text), NULL, &f->err));
    fixture_kill(f);
    return take(f);
}

static void file_and_journal_belong_together(void **state)
{
    struct fixture *f = *state;
    struct copy first = crashed(f, "first");
    fixture_open(f);
    fixture_close(f);
    struct copy clean = take(f), second = crashed(f, "second");
    put(f, first.path, first.path_size, &second); /* another life's mark */
    refused(f, FIRN_EMISMATCH);
    put(f, clean.path, clean.path_size, &second); /* no mark, and changes */
    refused(f, FIRN_EMISMATCH);
    put(f, second.path, second.path_size, &clean); /* a mark, and none */
    refused(f, FIRN_EMISMATCH);
    put(f, NULL, 0, &second);
    refused(f, FIRN_EMISMATCH);
    put(f, second.path, HEADER, &second); /* cut */
    FAILS(fixture_try_open(f), FIRN_EMISMATCH);
    fixture_store(f, f->path, second.path, (size_t)second.path_size);
    fixture_store(f, f->journal, NULL, 0);
    refused(f, FIRN_EMISMATCH);
    put(f, second.path, second.path_size, &second);
    fixture_open(f);
    expect(f, "firstsecond", 11);
    fixture_close(f);
    put(f, NULL, 0, &clean); /* nothing is lost with a clean one */
    fixture_open(f);
    expect(f, "", 0);
    fixture_close(f);
    drop(&first);
    drop(&second);
    drop(&clean);
}

/* Before a change was durable others may have used the file. */
static void a_journal_without_changes_claims_nothing(void **state)
{
    struct fixture *f = *state;
    struct copy copy = crashed(f, "abc");
    memset(copy.journal + 8192, 0, (size_t)copy.journal_size - 8192);
    put(f, copy.path, copy.path_size, &copy);
    fixture_open(f);
    expect(f, "", 0);
    fixture_close(f);
    store(f, &files[0]);
    fixture_store(f, f->journal, copy.journal, (size_t)copy.journal_size);
    fixture_open(f);
    expect(f, "abc", 3);
    fixture_close(f);
    drop(&copy);
}

static void the_journal_is_a_stacks(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    fixture_store(f, f->journal, "no journal", 10);
    FAILS(fixture_try_open(f), FIRN_EDAMAGED);
    fixture_store(f, f->journal, NULL, 0);
    fixture_open(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN(is_as_the_format_says, in_memory),
        TEST_IN(is_as_the_format_says, on_files),
        TEST_IN(is_as_the_format_says, single_memory),
        TEST_IN(is_marked_while_it_is_changed, in_simulator),
        CLOSED_IN(takes_what_others_left, in_memory),
        CLOSED_IN(takes_what_others_left, on_files),
        CLOSED_IN(takes_what_others_left, single_memory),
        CLOSED_IN(takes_what_others_made_of_it, in_memory),
        CLOSED_IN(file_and_journal_belong_together, in_simulator),
        CLOSED_IN(a_journal_without_changes_claims_nothing, in_simulator),
        TEST_IN(the_journal_is_a_stacks, in_memory),
    };
    return cmocka_run_group_tests_name("stack/format", tests, NULL, NULL);
}
