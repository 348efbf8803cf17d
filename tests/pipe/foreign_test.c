/* SPDX-License-Identifier: MIT */
/*
 * Files that this pipe did not leave behind, or not together: plain files that become pipes, parts
 * that are missing, exchanged, cut off or of another version. What is refused stays as it is.
 */
#include "fixture.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "disk/slots.h"

struct copy {
    uint8_t *path, *journal;
    uint64_t path_size, journal_size; /* UINT64_MAX: not there */
};

static struct copy take(struct fixture *f)
{
    struct copy copy;
    copy.path = fixture_load(f, f->path, &copy.path_size);
    copy.journal = fixture_load(f, f->journal, &copy.journal_size);
    return copy;
}

static void put(struct fixture *f, const struct copy *copy)
{
    fixture_store(f, f->path, copy->path, (size_t)copy->path_size);
    fixture_store(f, f->journal, copy->journal, (size_t)copy->journal_size);
}

static void drop(struct copy *copy)
{
    free(copy->path);
    free(copy->journal);
}

static void assert_same(const struct copy *a, const struct copy *b)
{
    assert_int_equal(a->path_size, b->path_size);
    assert_int_equal(a->journal_size, b->journal_size);
    if (a->path)
        assert_memory_equal(a->path, b->path, a->path_size);
    if (a->journal)
        assert_memory_equal(a->journal, b->journal, a->journal_size);
}

/* It does not open, with any way to open it, and nothing changes. */
static void refused(struct fixture *f, int expected, int or_this)
{
    struct copy before = take(f);
    for (int read_only = 0; read_only < 2; read_only++) {
        f->options.read_only = read_only;
        int rc = fixture_try_open(f);
        f->options.read_only = false;
        if (rc != expected && rc != or_this)
            fail_msg("%s, not %s: %s", firn_error_name(rc), firn_error_name(expected),
                     f->err.message);
        assert_non_null(strstr(f->err.message, f->path));
        assert_null(f->pipe);
    }
    struct copy after = take(f);
    assert_same(&before, &after);
    drop(&before);
    drop(&after);
}

/* A pipe that was in use when its process died: chunks of `byte`, not yet in the file. */
static struct copy crashed(struct fixture *f, uint8_t byte)
{
    fixture_open(f);
    fill_and_wait(f, 0, CHUNKS, byte);
    fixture_kill(f);
    return take(f);
}

static struct copy clean(struct fixture *f, uint8_t byte)
{
    fixture_open(f);
    fill_and_wait(f, 0, CHUNKS, byte);
    fixture_close(f);
    return take(f);
}

/* ---- plain files ---- */

static void takes_a_plain_file(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[10 * CHUNK];
    memset(bytes, 0x33, sizeof bytes);
    fixture_store(f, f->path, bytes, sizeof bytes);
    f->options.chunk_bytes = 0;
    refused(f, FIRN_EINVAL, FIRN_EINVAL);
    f->options.chunk_bytes = 7; /* not a multiple */
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    assert_non_null(strstr(f->err.message, "160"));
    assert_non_null(strstr(f->err.message, "7"));
    assert_int_equal(fixture_size(f, f->journal), UINT64_MAX);
    f->options.chunk_bytes = CHUNK;
    f->options.must_exist = true;
    fixture_open(f);
    assert_int_equal(firn_pipe_count(f->pipe), 10);
    expect(f, 0, 10, 0x33);
    fill_and_wait(f, 5, 1, 0x34);
    expect(f, 4, 1, 0x33);
    fixture_close(f);
    expect_file(f, 10, 5, 0x34);
    expect_file(f, 10, 9, 0x33);
    f->options.chunk_bytes = 0; /* it is a pipe now */
    fixture_open(f);
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), CHUNK);
}

static void reads_a_plain_file(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[10 * CHUNK];
    memset(bytes, 0x33, sizeof bytes);
    fixture_store(f, f->path, bytes, sizeof bytes);
    f->options.read_only = true;
    fixture_open(f);
    assert_int_equal(firn_pipe_count(f->pipe), 10);
    expect(f, 0, 10, 0x33);
    fixture_close(f);
    assert_int_equal(fixture_size(f, f->journal), UINT64_MAX);
}

static void takes_an_empty_file(void **state)
{
    struct fixture *f = *state;
    fixture_store(f, f->path, "", 0);
    fixture_open(f);
    assert_int_equal(firn_pipe_count(f->pipe), 0);
    OK(firn_pipe_grow(f->pipe, 2, &f->err));
    fill(f, 1, 1, 1);
    fixture_close(f);
    expect_file(f, 2, 1, 1);
}

/* Closed, another implementation may write it, as long as its size stays; the journal knows. */
static void others_may_write_a_closed_file(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[CHUNKS * CHUNK + CHUNK];
    struct copy copy = clean(f, 1);
    memset(bytes, 0x44, sizeof bytes);
    fixture_store(f, f->path, bytes, CHUNKS * CHUNK);
    fixture_open(f);
    expect(f, 0, CHUNKS, 0x44);
    fixture_close(f);
    fixture_store(f, f->path, bytes, CHUNKS * CHUNK + 1);
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    fixture_store(f, f->path, bytes, CHUNKS * CHUNK + CHUNK);
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    fixture_store(f, f->path, bytes, CHUNKS * CHUNK - CHUNK);
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
}

/* ---- one without the other ---- */

static void file_without_its_journal(void **state)
{
    struct fixture *f = *state;
    struct copy copy = crashed(f, 1);
    fixture_store(f, f->journal, NULL, 0);
    refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    f->options.chunk_bytes = 1; /* of which every size is a multiple */
    refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    f->options.chunk_bytes = 0;
    refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    f->options.chunk_bytes = CHUNK;
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
    fixture_close(f);
    /* Closed, it needs none. */
    fixture_store(f, f->journal, NULL, 0);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
    fixture_close(f);
    expect_file(f, CHUNKS, 0, 1);
}

static void journal_without_its_file(void **state)
{
    struct fixture *f = *state;
    struct copy copy = crashed(f, 1);
    fixture_store(f, f->path, NULL, 0);
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    f->options.must_exist = true;
    refused(f, FIRN_EMISMATCH, FIRN_EMISMATCH);
    f->options.must_exist = false;
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
    fixture_close(f);
    /* A clean one says nothing that is worth a refusal. */
    fixture_store(f, f->path, NULL, 0);
    f->options.must_exist = true;
    refused(f, FIRN_ENOENT, FIRN_ENOENT);
    f->options.must_exist = false;
    f->options.chunk_bytes = 8;
    f->options.initial_chunks = 3;
    fixture_open(f);
    assert_int_equal(firn_pipe_chunk_bytes(f->pipe), 8);
    assert_int_equal(firn_pipe_count(f->pipe), 3);
    expect(f, 0, 3, 0);
}

/* What a crash while it was created may leave. */
static void remains_of_a_creation(void **state)
{
    struct fixture *f = *state;
    char path[96];
    snprintf(path, sizeof path, "%s.tmp", f->path);
    fixture_store(f, path, "some text", 9);
    snprintf(path, sizeof path, "%s.journal.tmp", f->path);
    fixture_store(f, path, "more text", 9);
    fixture_open(f);
    expect(f, 0, CHUNKS, 0);
    fill(f, 0, CHUNKS, 1);
    fixture_reopen(f);
    expect(f, 0, CHUNKS, 1);
}

/* ---- exchanged ---- */

static void journals_exchanged(void **state)
{
    struct fixture *f = *state;
    struct copy copies[3];
    for (int i = 0; i < 2; i++) {
        copies[i] = crashed(f, (uint8_t)(i + 1));
        fixture_store(f, f->path, NULL, 0);
        fixture_store(f, f->journal, NULL, 0);
    }
    copies[2] = clean(f, 3);
    for (int file = 0; file < 3; file++) {
        for (int journal = 0; journal < 3; journal++) {
            fixture_store(f, f->path, copies[file].path, (size_t)copies[file].path_size);
            fixture_store(f, f->journal, copies[journal].journal,
                          (size_t)copies[journal].journal_size);
            if (file != journal) {
                refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
                continue;
            }
            fixture_open(f);
            expect(f, 0, CHUNKS, (uint8_t)(file + 1));
            fixture_close(f);
        }
    }
    for (int i = 0; i < 3; i++)
        drop(&copies[i]);
}

/* The journal of an earlier life, restored from a copy, is not this life's. */
static void journal_of_an_earlier_life(void **state)
{
    struct fixture *f = *state;
    struct copy earlier = crashed(f, 1);
    fixture_open(f); /* recovers */
    fixture_close(f);
    struct copy later = crashed(f, 2);
    fixture_store(f, f->journal, earlier.journal, (size_t)earlier.journal_size);
    refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    put(f, &later);
    fixture_open(f);
    expect(f, 0, CHUNKS, 2);
    fixture_close(f);
    fixture_store(f, f->journal, earlier.journal, (size_t)earlier.journal_size);
    refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    drop(&earlier);
    drop(&later);
}

/* A copy of both, taken while nobody had it open, is as good as the original. */
static void copied_together(void **state)
{
    struct fixture *f = *state;
    struct copy copy = crashed(f, 1);
    fixture_open(f);
    fill_and_wait(f, 0, CHUNKS, 2);
    fixture_close(f);
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
    fill_and_wait(f, 1, 1, 3);
    fixture_reopen(f);
    expect(f, 0, 1, 1);
    expect(f, 1, 1, 3);
}

/* ---- not a journal, or not this version's ---- */

static void something_else_as_journal(void **state)
{
    struct fixture *f = *state;
    struct copy copy = clean(f, 1);
    static uint8_t other[20000];
    static const size_t sizes[] = {0, 1, 4096, 8191, 8192, 20000};
    for (int kind = 0; kind < 2; kind++) {
        memset(other, kind ? 'x' : 0, sizeof other);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            fixture_store(f, f->journal, other, sizes[i]);
            refused(f, FIRN_EFORMAT, FIRN_EDAMAGED);
        }
    }
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
}

/* Both slots with another number where the version stands, or another magic, and a checksum that is
 * right. */
static void change_slots(uint8_t *journal, size_t at, uint8_t byte, int slots)
{
    for (int i = 0; i < slots; i++, journal += SLOT_BYTES) {
        journal[at] = byte;
        store_be_u32(journal + SLOT_BYTES - 4, crc32c(0, journal, SLOT_BYTES - 4));
    }
}

static void another_version(void **state)
{
    struct fixture *f = *state;
    for (int pending = 0; pending < 2; pending++) {
        struct copy copy = pending ? crashed(f, 1) : clean(f, 1);
        for (int slots = 1; slots <= 2; slots++) {
            struct copy changed = take(f);
            change_slots(changed.journal, 11, 200, slots); /* the version's lowest byte */
            put(f, &changed);
            refused(f, FIRN_EFORMAT, FIRN_EFORMAT);
            drop(&changed);
            put(f, &copy);
        }
        struct copy changed = take(f);
        change_slots(changed.journal, 0, 'X', 2);
        put(f, &changed);
        refused(f, FIRN_EFORMAT, FIRN_EFORMAT);
        drop(&changed);
        put(f, &copy);
        drop(&copy);
        fixture_open(f);
        expect(f, 0, CHUNKS, 1);
        fixture_close(f);
    }
}

/* ---- cut off ---- */

/*
 * A pending journal that ends too early: an error, or, since the end of what is acknowledged is
 * told from a torn tail by what was written later only, no more than some of the last changes gone.
 */
static void journal_cut_off(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    for (uint8_t i = 1; i <= 3; i++)
        fill_and_wait(f, i, 1, i);
    fixture_kill(f);
    struct copy copy = take(f);
    uint8_t most = 0;
    bool refused_once = false;
    for (uint64_t size = 0; size <= copy.journal_size; size += size < 9000 ? 61 : 509) {
        put(f, &copy);
        fixture_store(f, f->journal, copy.journal, (size_t)size);
        if (fixture_try_open(f) != 0) {
            f->pipe = NULL;
            assert_true(f->err.code == FIRN_EDAMAGED || f->err.code == FIRN_EMISMATCH ||
                        f->err.code == FIRN_EFORMAT);
            refused(f, f->err.code, f->err.code);
            refused_once = true;
            continue;
        }
        uint8_t found[CHUNKS * CHUNK], there = 0;
        OK(firn_pipe_read(f->pipe, 0, CHUNKS, found, 0, &f->err));
        for (int i = 1; i < CHUNKS; i++)
            there = found[i * CHUNK] == i ? (uint8_t)i : there;
        for (int i = 1; i < CHUNKS; i++)
            expect(f, (uint64_t)i, 1, i <= there ? (uint8_t)i : 0);
        assert_true(there >= most); /* the longer, the more */
        most = there;
        fixture_close(f);
    }
    assert_true(refused_once);
    assert_int_equal(most, 3);
    put(f, &copy);
    fixture_open(f);
    expect(f, 3, 1, 3);
    drop(&copy);
}

/* The file itself is shorter than the journal knows. */
static void file_cut_off(void **state)
{
    struct fixture *f = *state;
    struct copy copy = crashed(f, 1);
    uint64_t filler = 1; /* the last byte says nothing: it makes the size no multiple */
    for (uint64_t size = 0; size < copy.path_size - filler; size++) {
        put(f, &copy);
        fixture_store(f, f->path, copy.path, (size_t)size);
        refused(f, FIRN_EMISMATCH, FIRN_EDAMAGED);
    }
    put(f, &copy);
    drop(&copy);
    fixture_open(f);
    expect(f, 0, CHUNKS, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOSED_IN(takes_a_plain_file, manual_memory),
        CLOSED_IN(takes_a_plain_file, on_files),
        CLOSED_IN(reads_a_plain_file, manual_memory),
        CLOSED_IN(reads_a_plain_file, on_files),
        CLOSED_IN(takes_an_empty_file, manual_memory),
        CLOSED_IN(takes_an_empty_file, on_files),
        CLOSED_IN(others_may_write_a_closed_file, manual_memory),
        CLOSED_IN(others_may_write_a_closed_file, on_files),
        CLOSED_IN(file_without_its_journal, manual_simulator),
        CLOSED_IN(journal_without_its_file, manual_simulator),
        CLOSED_IN(remains_of_a_creation, manual_memory),
        CLOSED_IN(remains_of_a_creation, on_files),
        CLOSED_IN(journals_exchanged, manual_simulator),
        CLOSED_IN(journal_of_an_earlier_life, manual_simulator),
        CLOSED_IN(copied_together, manual_simulator),
        CLOSED_IN(something_else_as_journal, manual_memory),
        CLOSED_IN(something_else_as_journal, on_files),
        CLOSED_IN(another_version, manual_simulator),
        CLOSED_IN(journal_cut_off, manual_simulator),
        CLOSED_IN(file_cut_off, manual_simulator),
    };
    return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
