/* SPDX-License-Identifier: MIT */
/* Whole batches: compressed groups, batches that a client built, and reading them raw. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <firn/firn.h>

#include "base/codec.h"
#include "make_batch.h"

enum { GROUP = 50, VALUE = 60 };

struct fixture {
    struct firn_disk *disk;
    struct firn_env *env;
    struct firn_log *log;
    struct firn_log_options options;
    struct firn_error err;
};

#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_rc = (call);                                                                        \
        if (ok_rc != 0)                                                                            \
            fail_msg("%s: %d %s", #call, ok_rc, f->err.message);                                   \
    } while (0)

static void reopen(struct fixture *f)
{
    if (f->log)
        OK(firn_log_close(f->log, &f->err));
    f->log = NULL;
    OK(firn_log_open("log", &f->options, &f->log, &f->err));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    const struct firn_env_options manual = {.manual = true};
    OK(firn_disk_memory_new(&f->disk, &f->err));
    OK(firn_env_new(&manual, &f->env, &f->err));
    f->options = (struct firn_log_options){.disk = f->disk, .env = f->env};
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    firn_log_close(f->log, NULL);
    assert_int_equal(firn_env_free(f->env), 0);
    firn_disk_free(f->disk);
    free(f);
    return 0;
}

/* ---- records that compress ---- */

static void make_value(uint64_t index, char value[VALUE])
{
    memset(value, 'a' + (int)(index % 26), VALUE);
    snprintf(value, VALUE, "value of record %llu", (unsigned long long)index);
}

static void append_group(struct fixture *f, uint64_t first, size_t count)
{
    static char values[GROUP][VALUE];
    struct firn_record records[GROUP] = {{0}};
    struct firn_appended where;
    for (size_t i = 0; i < count; i++) {
        make_value(first + i, values[i]);
        records[i].timestamp = 1000 + (int64_t)(first + i);
        records[i].value = (struct firn_slice){values[i], VALUE};
    }
    OK(firn_log_append(f->log, records, count, NULL, &where, &f->err));
    assert_int_equal(where.index, first);
}

static void check_record(const struct firn_record *record, uint64_t index)
{
    char value[VALUE];
    make_value(index, value);
    assert_int_equal(record->index, index);
    assert_int_equal(record->timestamp, 1000 + (int64_t)index);
    assert_int_equal(record->value.size, VALUE);
    assert_memory_equal(record->value.data, value, VALUE);
}

/* [from, to), forwards, backwards and one by one. */
static void check_all(struct fixture *f, uint64_t from, uint64_t to)
{
    struct firn_cursor *cursor;
    const struct firn_record *record;
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (uint64_t i = from; i < to; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_record(record, i);
    }
    assert_int_equal(firn_cursor_next(cursor, &record, &f->err), FIRN_EEND);
    for (uint64_t i = to; i-- > from;) {
        OK(firn_cursor_prev(cursor, &record, &f->err));
        check_record(record, i);
    }
    firn_cursor_close(cursor);
    for (uint64_t i = from; i < to; i += 7) {
        struct firn_record *single;
        OK(firn_log_read(f->log, i, &single, &f->err));
        check_record(single, i);
        firn_record_free(single);
    }
    OK(firn_log_verify(f->log, NULL, NULL, NULL, &f->err));
}

static uint64_t stored_bytes(struct fixture *f)
{
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    return info.bytes;
}

/* How the batch that holds `index` is compressed. */
static unsigned compression_at(struct fixture *f, uint64_t index)
{
    static uint8_t bytes[1 << 20];
    struct firn_batches batches;
    struct batch batch;
    OK(firn_log_read_batches(f->log, index, bytes, sizeof bytes, &batches, &f->err));
    assert_int_equal(batch_check(bytes, batches.bytes, &batch), BATCH_OK);
    return batch.attributes & BATCH_COMPRESSION;
}

static void groups_are_compressed_by(struct fixture *f, enum firn_compression compression)
{
    if (!codec_can_pack(compression))
        skip();
    reopen(f);
    append_group(f, 0, GROUP);
    uint64_t plain = stored_bytes(f);
    f->options.compression = compression;
    reopen(f);
    append_group(f, GROUP, GROUP);
    assert_true(stored_bytes(f) - plain < plain / 2);
    f->options.compression = FIRN_COMPRESSION_NONE;
    reopen(f);
    append_group(f, 2 * GROUP, GROUP);
    check_all(f, 0, 3 * GROUP);
    reopen(f);
    check_all(f, 0, 3 * GROUP);
    assert_int_equal(compression_at(f, 0), 0);
    assert_int_equal(compression_at(f, GROUP + 3), compression);
    assert_int_equal(compression_at(f, 2 * GROUP), 0);
}

static void zstd_groups(void **state)
{
    groups_are_compressed_by(*state, FIRN_COMPRESSION_ZSTD);
}

static void lz4_groups(void **state)
{
    groups_are_compressed_by(*state, FIRN_COMPRESSION_LZ4);
}

static void what_cannot_be_written_is_refused(void **state)
{
    struct fixture *f = *state;
    f->options.compression = FIRN_COMPRESSION_GZIP;
    assert_int_equal(firn_log_open("log", &f->options, &f->log, &f->err), FIRN_ENOTSUP);
    assert_non_null(strstr(f->err.message, "gzip"));
    f->options.compression = (enum firn_compression)9;
    assert_int_equal(firn_log_open("log", &f->options, &f->log, &f->err), FIRN_ENOTSUP);
}

static void staged_groups_are_read(void **state)
{
    struct fixture *f = *state;
    const struct firn_cursor_options staged = {.staged = true};
    struct firn_cursor *cursor;
    const struct firn_record *record;
    if (!codec_can_pack(FIRN_COMPRESSION_ZSTD))
        skip();
    f->options.compression = FIRN_COMPRESSION_ZSTD;
    f->options.durability = FIRN_DURABILITY_OS;
    reopen(f);
    append_group(f, 0, GROUP);
    append_group(f, GROUP, 3);
    OK(firn_cursor_open(f->log, &staged, &cursor, &f->err));
    for (uint64_t i = 0; i < GROUP + 3; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_record(record, i);
    }
    firn_cursor_close(cursor);
}

/* ---- cutting a compressed batch ---- */

static void truncation_divides_a_compressed_batch(void **state)
{
    struct fixture *f = *state;
    if (!codec_can_pack(FIRN_COMPRESSION_ZSTD))
        skip();
    f->options.compression = FIRN_COMPRESSION_ZSTD;
    reopen(f);
    append_group(f, 0, GROUP);
    append_group(f, GROUP, GROUP);
    OK(firn_log_truncate(f->log, GROUP + 20, &f->err));
    check_all(f, 0, GROUP + 20);
    assert_int_equal(compression_at(f, GROUP), FIRN_COMPRESSION_ZSTD);
    append_group(f, GROUP + 20, GROUP);
    check_all(f, 0, 2 * GROUP + 20);
    reopen(f);
    OK(firn_log_truncate(f->log, 1, &f->err));
    reopen(f);
    check_all(f, 0, 1);
    append_group(f, 1, 10);
    check_all(f, 0, 11);
}

/* ---- batches that a client built ---- */

static uint8_t *client_batch(uint32_t count, uint64_t base, struct batch *header)
{
    struct firn_record records[GROUP] = {{0}};
    static char values[GROUP][VALUE];
    for (uint32_t i = 0; i < count; i++) {
        make_value(base + i, values[i]);
        records[i].index = i;
        records[i].timestamp = 1000 + (int64_t)(base + i);
        records[i].value = (struct firn_slice){values[i], VALUE};
    }
    *header = header_for(0, records, count);
    header->producer_id = 4711;
    header->producer_epoch = 3;
    header->distance = 77;
    return make_batch_as(header, records);
}

static void a_clients_batch_is_stored_as_it_came(void **state)
{
    struct fixture *f = *state;
    struct firn_appended where;
    struct firn_batches batches;
    struct batch header, found;
    uint8_t stored[8192];
    reopen(f);
    append_group(f, 0, 3);
    uint8_t *bytes = client_batch(5, 3, &header);
    OK(firn_log_append_batch(f->log, bytes, header.bytes, NULL, &where, &f->err));
    assert_int_equal(where.index, 3);
    append_group(f, 8, 1);
    reopen(f);
    check_all(f, 0, 9);
    OK(firn_log_read_batches(f->log, 4, stored, header.bytes, &batches, &f->err));
    assert_int_equal(batches.first_index, 3);
    assert_int_equal(batches.next_index, 8);
    assert_int_equal(batches.bytes, header.bytes);
    assert_int_equal(batch_check(stored, batches.bytes, &found), BATCH_OK);
    assert_int_equal(found.generation, 1);
    assert_memory_equal(stored + BATCH_CRC_FROM - 4, bytes + BATCH_CRC_FROM - 4,
                        header.bytes - BATCH_CRC_FROM + 4);
    free(bytes);
}

static void a_bad_batch_is_refused(void **state)
{
    struct fixture *f = *state;
    struct batch header;
    uint8_t copy[8192];
    f->options.record_bytes = 200;
    reopen(f);
    uint8_t *bytes = client_batch(5, 0, &header);
    struct {
        size_t at;
        uint8_t flip;
        bool mend;
        int code;
    } const bad[] = {
        {16, 3, false, FIRN_ENOTSUP},           /* magic 1 */
        {16, 1, false, FIRN_EDAMAGED},          /* magic 3 */
        {70, 1, false, FIRN_EDAMAGED},          /* a bit of a record */
        {BATCH_HEADER, 2, true, FIRN_EDAMAGED}, /* a record's length */
        {BATCH_HEADER - 1, 1, true, FIRN_EDAMAGED} /* the count */,
        {26, 1, true, FIRN_EDAMAGED}, /* the last delta */
        {22, 5, true, FIRN_ENOTSUP},  /* compression 5 */
        {11, 1, true, FIRN_EDAMAGED}, /* the length */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(copy, bytes, header.bytes);
        copy[bad[i].at] ^= bad[i].flip;
        if (bad[i].mend)
            mend_crc(copy, header.bytes);
        f->err.message[0] = '\0';
        int rc = firn_log_append_batch(f->log, copy, header.bytes, NULL, NULL, &f->err);
        if (rc != bad[i].code || !f->err.message[0])
            fail_msg("case %zu: %s: %s", i, firn_error_name(rc), f->err.message);
    }
    for (size_t size = 0; size < header.bytes; size++)
        assert_int_equal(firn_log_append_batch(f->log, bytes, size, NULL, NULL, &f->err),
                         size == 0 && !bytes ? FIRN_EINVAL : FIRN_EDAMAGED);
    assert_int_equal(firn_log_append_batch(f->log, bytes, header.bytes + 1, NULL, NULL, &f->err),
                     FIRN_EDAMAGED);
    free(bytes);
    f->options.record_bytes = 20;
    reopen(f);
    bytes = client_batch(1, 0, &header);
    assert_int_equal(firn_log_append_batch(f->log, bytes, header.bytes, NULL, NULL, &f->err), 0);
    free(bytes);
    struct firn_log_info info;
    OK(firn_log_get_info(f->log, &info, &f->err));
    assert_int_equal(info.next_index, 1);
}

/* As others pack it: this build reads what it does not write. */
static void gzip_of_a_client_is_read(void **state)
{
    struct fixture *f = *state;
    struct batch header;
    /* Records 0 and 1, their deltas 0 and 1. */
    static const uint8_t packed[] = {
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x6b, 0x61, 0x64,
        0x60, 0x60, 0x60, 0xac, 0x28, 0x4b, 0xcc, 0x29, 0x4d, 0x55, 0xc8, 0x4f, 0x53,
        0x28, 0x4a, 0x4d, 0xce, 0x2f, 0x4a, 0x51, 0x30, 0x60, 0x48, 0x24, 0x1a, 0x30,
        0xb4, 0x30, 0x32, 0x30, 0x31, 0x61, 0x9a, 0x61, 0xc8, 0x90, 0x44, 0x34, 0x60,
        0x00, 0x00, 0x5e, 0xcd, 0x65, 0xc0, 0x88, 0x00, 0x00, 0x00,
    };
    uint8_t bytes[BATCH_HEADER + sizeof packed];
    if (!codec_can_unpack(CODEC_GZIP))
        skip();
    header = (struct batch){.attributes = CODEC_GZIP,
                            .last_delta = 1,
                            .count = 2,
                            .base_time = 1000,
                            .max_time = 1001,
                            .producer_id = -1,
                            .producer_epoch = -1,
                            .distance = -1};
    memcpy(bytes + BATCH_HEADER, packed, sizeof packed);
    batch_seal(&header, packed, sizeof packed, bytes);
    reopen(f);
    OK(firn_log_append_batch(f->log, bytes, sizeof bytes, NULL, NULL, &f->err));
    check_all(f, 0, 2);
    OK(firn_log_truncate(f->log, 1, &f->err));
    check_all(f, 0, 1);
    assert_int_equal(compression_at(f, 0), codec_can_pack(CODEC_GZIP) ? CODEC_GZIP : 0);
}

static void what_cannot_be_unpacked_is_stepped_over(void **state)
{
    struct fixture *f = *state;
    struct firn_cursor *cursor;
    const struct firn_record *record;
    struct firn_hole hole;
    struct batch header = {.attributes = CODEC_ZSTD,
                           .last_delta = 4,
                           .count = 5,
                           .producer_id = -1,
                           .producer_epoch = -1,
                           .distance = -1};
    uint8_t bytes[BATCH_HEADER + 4] = {0};
    batch_seal(&header, bytes + BATCH_HEADER, 4, bytes);
    reopen(f);
    append_group(f, 0, 2);
    OK(firn_log_append_batch(f->log, bytes, sizeof bytes, NULL, NULL, &f->err));
    append_group(f, 7, 2);
    OK(firn_cursor_open(f->log, NULL, &cursor, &f->err));
    for (uint64_t i = 0; i < 2; i++) {
        OK(firn_cursor_next(cursor, &record, &f->err));
        check_record(record, i);
    }
    int rc = firn_cursor_next(cursor, &record, &f->err);
    assert_int_equal(rc, codec_can_unpack(CODEC_ZSTD) ? FIRN_EDAMAGED : FIRN_ENOTSUP);
    OK(firn_cursor_hole(cursor, &hole));
    assert_int_equal(hole.first_index, 2);
    assert_int_equal(hole.next_index, 7);
    OK(firn_cursor_skip(cursor));
    OK(firn_cursor_next(cursor, &record, &f->err));
    check_record(record, 7);
    firn_cursor_close(cursor);
}

/* ---- raw reading ---- */

static void raw_batches_are_read_and_found(void **state)
{
    struct fixture *f = *state;
    struct firn_batches batches = {0};
    struct firn_range range;
    static uint8_t all[100000], found[100000];
    f->options.segment_bytes = 8000;
    reopen(f);
    for (uint64_t i = 0; i < 20; i++)
        append_group(f, i * 10, 10);
    uint64_t total = stored_bytes(f);
    OK(firn_log_read_batches(f->log, 0, all, sizeof all, &batches, &f->err));
    assert_int_equal(batches.bytes, total);
    assert_int_equal(batches.next_index, 200);
    size_t one = (size_t)total / 20;
    OK(firn_log_read_batches(f->log, 55, found, 2 * one + 20, &batches, &f->err));
    assert_int_equal(batches.first_index, 50);
    assert_int_equal(batches.next_index, 70);
    assert_memory_equal(found, all + 5 * one, batches.bytes);
    assert_int_equal(firn_log_read_batches(f->log, 55, found, 100, &batches, &f->err),
                     FIRN_ETOOBIG);
    assert_true(batches.bytes > 100 && batches.bytes < one + 20);
    assert_int_equal(firn_log_read_batches(f->log, 200, found, 100, &batches, &f->err), FIRN_EEND);
    OK(firn_log_find_batches(f->log, 12, 1, &range, &f->err));
    assert_int_equal(range.first_index, 10);
    assert_int_equal(range.next_index, 20);
    assert_int_equal(range.fd, -1);
    firn_range_release(&range);
    OK(firn_log_find_batches(f->log, 0, UINT64_MAX, &range, &f->err));
    assert_int_equal(range.first_index, 0);
    assert_true(range.next_index > 20 && range.next_index < 200 && range.length <= 8000);
    firn_range_release(&range);
    OK(firn_log_remove_before(f->log, 150, &f->err));
    assert_int_equal(firn_log_read_batches(f->log, 5, found, 100, &batches, &f->err), FIRN_ERANGE);
    assert_int_equal(firn_log_find_batches(f->log, 5, 100, &range, &f->err), FIRN_ERANGE);
}

static void a_found_range_can_be_copied_by_descriptor(void **state)
{
    struct fixture *f = *state;
    char template[] = "/tmp/firn-batches-XXXXXX", dir[64];
    struct firn_log_options files = {.env = f->env};
    struct firn_range range;
    struct firn_batches batches;
    static uint8_t read_ones[10000], copied[10000];
    assert_non_null(mkdtemp(template));
    snprintf(dir, sizeof dir, "%s/log", template);
    OK(firn_log_open(dir, &files, &f->log, &f->err));
    append_group(f, 0, 10);
    append_group(f, 10, 10);
    OK(firn_log_read_batches(f->log, 10, read_ones, sizeof read_ones, &batches, &f->err));
    OK(firn_log_find_batches(f->log, 15, 10000, &range, &f->err));
    OK(firn_log_remove_before(f->log, 20, &f->err)); /* the file is gone, the range is not */
    assert_int_equal(range.length, batches.bytes);
    assert_int_equal(pread(range.fd, copied, range.length, (off_t)range.offset), range.length);
    assert_memory_equal(copied, read_ones, range.length);
    firn_range_release(&range);
    OK(firn_log_destroy(f->log, &f->err));
    f->log = NULL;
    assert_int_equal(rmdir(template), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(zstd_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(lz4_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(staged_groups_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(truncation_divides_a_compressed_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clients_batch_is_stored_as_it_came, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_batch_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(gzip_of_a_client_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_unpacked_is_stepped_over, setup, teardown),
        cmocka_unit_test_setup_teardown(raw_batches_are_read_and_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_found_range_can_be_copied_by_descriptor, setup, teardown),
    };
    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
