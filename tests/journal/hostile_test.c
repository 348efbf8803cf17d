/* SPDX-License-Identifier: MIT */
/*
 * Journals that no journal has written: every checksum is right, and the numbers are not. They are
 * refused, and nothing is changed; or what they say is done, and no more.
 */
#include "owner.h"

#include "base/bytes.h"
#include "base/crc.h"
#include "disk/disk.h"
#include "disk/slots.h"
#include "journal/redo.h"

enum { AT_KIND = 0, AT_PENDING = 4, AT_NONCE = 8, AT_RING = 24, AT_POSITION = 32 };
enum { AT_SEQUENCE = 40, AT_LENGTH = 48, AT_ABOUT = 56, RING = 64 * 1024, FIRST = 7 };

static const struct slot_kind slot_kind = {.magic = "FIRNJRN1", .version = 1};

struct files {
    uint8_t body[SLOT_ROOM];
    uint8_t journal[SLOTS_BYTES + 2 * RING];
    size_t size;
    uint8_t main[OWNER_LENGTH];
};

/* A pending journal without records, at position 0, and its marked file. */
static struct files *make_files(void)
{
    struct files *files = calloc(1, sizeof *files);
    assert_non_null(files);
    memcpy(files->body, "TEST", 4);
    store_be_u32(files->body + AT_PENDING, 1);
    memset(files->body + AT_NONCE, 0x5a, JOURNAL_NONCE);
    store_be_u64(files->body + AT_RING, RING);
    store_be_u64(files->body + AT_SEQUENCE, FIRST);
    store_be_u64(files->body + AT_LENGTH, OWNER_LENGTH);
    files->body[AT_ABOUT] = 'T';
    files->size = SLOTS_BYTES;
    memcpy(files->main, "in use by firn!", 16);
    memset(files->main + 16, 0x5a, JOURNAL_NONCE);
    return files;
}

/* Appends a record of that one range; its content is `byte`. Returns where it stands. */
static size_t add(struct files *files, uint64_t sequence, uint64_t offset, uint64_t bytes,
                  size_t content, uint64_t length)
{
    uint8_t *at = files->journal + files->size;
    struct redo record = {
        .sequence = sequence,
        .salt = UINT64_C(0x5a5a5a5a5a5a5a5a),
        .bytes = (uint32_t)(REDO_HEADER + REDO_RANGE + content),
        .ranges = 1,
        .claim = sequence,
        .length = length,
    };
    redo_encode(&record, at);
    store_be_u64(at + REDO_HEADER, offset);
    store_be_u64(at + REDO_HEADER + 8, bytes);
    memset(at + REDO_HEADER + REDO_RANGE, (int)sequence, content);
    redo_set_crc(at, crc32c(0, at + REDO_CRC_FROM, record.bytes - REDO_CRC_FROM));
    files->size += record.bytes;
    return (size_t)(at - files->journal);
}

static void put(struct owner *owner, struct files *files)
{
    slot_encode(&slot_kind, 2, files->body, files->journal);
    slot_encode(&slot_kind, 1, files->body, files->journal + SLOT_BYTES);
    if (owner->journal)
        owner_close(owner);
    OK(firn_faulty_put(owner->faulty, MAIN, files->main, sizeof files->main, &owner->err));
    OK(firn_faulty_put(owner->faulty, JOURNAL, files->journal, files->size, &owner->err));
}

/* Refused, to write and to read, and no file was changed. */
static void refuses(struct owner *owner, struct files *files, int code)
{
    put(owner, files);
    uint64_t hash = firn_faulty_hash(owner->faulty);
    for (int i = 0; i < 2; i++) {
        owner->options.read_only = i == 1;
        owner->err = (struct firn_error){0};
        int rc = owner_try_open(owner);
        if (rc != code)
            fail_msg("%s: %s", firn_error_name(rc), owner->err.message);
        assert_int_not_equal(owner->err.message[0], 0);
    }
    owner->options.read_only = false;
    size_t size;
    uint8_t *now = owner_load(owner, JOURNAL, &size);
    assert_int_equal(size, files->size);
    assert_memory_equal(now, files->journal, size);
    free(now);
    now = owner_load(owner, MAIN, &size);
    assert_int_equal(size, sizeof files->main);
    assert_memory_equal(now, files->main, size);
    free(now);
    assert_int_equal(firn_faulty_hash(owner->faulty), hash);
    free(files);
}

/* ---- the header ---- */

static void header_numbers(void **state)
{
    static const struct {
        int at;
        uint64_t number;
    } cases[] = {
        {AT_RING, 0},
        {AT_RING, 1},
        {AT_RING, RING + 512},
        {AT_RING, UINT64_MAX},
        {AT_RING, UINT64_MAX - 4095},
        {AT_POSITION, UINT64_MAX},
        {AT_POSITION, UINT64_MAX - RING / 2},
        {AT_SEQUENCE, UINT64_MAX},
        {AT_LENGTH, UINT64_MAX},
        {AT_LENGTH, UINT64_C(1) << 63},
    };
    struct owner *owner = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct files *files = make_files();
        store_be_u64(files->body + cases[i].at, cases[i].number);
        refuses(owner, files, FIRN_EDAMAGED);
    }
}

/* Possible, and larger than anything that is there. */
static void large_header_numbers(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    store_be_u64(files->body + AT_RING, UINT64_C(1) << 62);
    store_be_u64(files->body + AT_POSITION, (UINT64_C(1) << 62) - 8192);
    put(owner, files);
    owner_open(owner);
    owner_close(owner);
    store_be_u64(files->body + AT_LENGTH, UINT64_C(1) << 62);
    refuses(owner, files, FIRN_EMISMATCH);
}

static void other_kinds(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    memcpy(files->body, "PIPE", 4);
    refuses(owner, files, FIRN_EFORMAT);
    files = make_files();
    files->body[AT_ABOUT] = 'X';
    refuses(owner, files, FIRN_EFORMAT);
    files = make_files();
    files->body[SLOT_ROOM - 1] = 1; /* more than this version knows */
    refuses(owner, files, FIRN_EFORMAT);
}

/* ---- records ---- */

static void range_numbers(void **state)
{
    static const struct {
        uint64_t offset, bytes, length;
    } cases[] = {
        {0, UINT64_MAX, OWNER_LENGTH},
        {100, 0, OWNER_LENGTH},
        {100, 9, OWNER_LENGTH},
        {100, 11, OWNER_LENGTH},
        {UINT64_MAX - 5, 10, OWNER_LENGTH},
        {UINT64_MAX - 10, 10, UINT64_MAX},
        {OWNER_LENGTH - 9, 10, OWNER_LENGTH},
        {UINT64_C(1) << 40, 10, OWNER_LENGTH},
        {100, 10, (UINT64_C(1) << 62) + 1},
    };
    struct owner *owner = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct files *files = make_files();
        add(files, FIRST, 200, 20, 20, OWNER_LENGTH);
        add(files, FIRST + 1, cases[i].offset, cases[i].bytes, 10, cases[i].length);
        refuses(owner, files, FIRN_EDAMAGED);
    }
}

static void lengths_beyond_the_file(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    add(files, FIRST, 200, 20, 20, UINT64_C(1) << 40);
    refuses(owner, files, FIRN_EMISMATCH);
    files = make_files();
    add(files, FIRST, 2, 4, 4, 10); /* shorter than the owner's file can be */
    refuses(owner, files, FIRN_EFORMAT);
}

/* A terabyte away, before the length became small again: nothing is written there. */
static void ranges_beyond_the_length(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    const struct firn_faulty_fault watch = {
        .what = FIRN_FAULTY_SLOW,
        .ops = FIRN_FAULTY_WRITE | FIRN_FAULTY_WRITE_DURABLE,
        .path = MAIN,
        .offset = 1000,
        .length = UINT64_C(1) << 50,
        .times = FIRN_FAULTY_ALWAYS,
        .nanoseconds = 1,
    };
    int id;
    add(files, FIRST, UINT64_C(1) << 40, 100, 100, UINT64_C(1) << 41);
    add(files, FIRST + 1, 950, 100, 100, 2000);
    add(files, FIRST + 2, 100, 10, 10, 1000);
    put(owner, files);
    OK(firn_faulty_fail(owner->faulty, &watch, &id, &owner->err));
    owner_open(owner);
    assert_int_equal(journal_length(owner->journal), 1000);
    owner_expect(owner, 950, FIRST + 1, 50, false);
    owner_expect(owner, 100, FIRST + 2, 10, false);
    assert_int_equal(firn_faulty_hits(owner->faulty, id), 0);
    owner_close(owner);
    size_t size;
    free(owner_load(owner, MAIN, &size));
    assert_int_equal(size, 1000);
    free(files);
}

/* Thousands of records, one in another, none of them whole: it is not tried what each may be. */
static void records_inside_of_records(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    struct redo record = {.salt = UINT64_C(0x5a5a5a5a5a5a5a5a), .claim = FIRST + 1};
    while (files->size + REDO_HEADER <= SLOTS_BYTES + RING) {
        record.sequence = files->size;
        record.bytes = (uint32_t)(SLOTS_BYTES + RING - files->size);
        redo_encode(&record, files->journal + files->size);
        files->size += REDO_HEADER;
    }
    files->size = SLOTS_BYTES + RING;
    refuses(owner, files, FIRN_EDAMAGED);
}

/* The chain goes round, and round again over what it came from. */
static void more_than_a_round(void **state)
{
    struct owner *owner = *state;
    struct files *files = make_files();
    const size_t half = RING / 2 - REDO_HEADER - REDO_RANGE;
    uint8_t *first = files->journal + SLOTS_BYTES;
    store_be_u64(files->body + AT_POSITION, RING / 2);
    files->size += RING / 2;
    add(files, FIRST, 100, half, half, 2 * RING);
    files->size = SLOTS_BYTES;
    add(files, FIRST + 1, 100, half + 500, half + 500, 2 * RING); /* over the first one */
    files->size = SLOTS_BYTES + RING;
    put(owner, files);
    assert_int_equal(load_be_u64(first + 8), FIRST + 1);
    int rc = owner_try_open(owner);
    assert_true(rc == FIRN_EDAMAGED || rc == FIRN_EMISMATCH);
    free(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(header_numbers, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(large_header_numbers, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(other_kinds, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(range_numbers, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(lengths_beyond_the_file, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(ranges_beyond_the_length, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(records_inside_of_records, owner_setup, owner_teardown),
        cmocka_unit_test_setup_teardown(more_than_a_round, owner_setup, owner_teardown),
    };
    return cmocka_run_group_tests_name("journal/hostile", tests, NULL, NULL);
}
