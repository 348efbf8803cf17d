/* SPDX-License-Identifier: MIT */
/* Appends: where they go, what is refused, and what a failed sync leaves. */
#include "stream/kinds.h"

static struct firn_stream_appending *append(struct kinds *k, size_t size)
{
    struct firn_stream_appending *handle = NULL;
    OK(firn_stream_append(k->stream, shared_bytes, size, &handle, &k->err));
    assert_int_equal(firn_stream_append_position(handle), firn_stream_end(k->stream));
    return handle;
}

static void refused(struct kinds *k, size_t size, int code, const char *message)
{
    struct firn_stream_appending *handle = NULL;
    uint64_t end = firn_stream_end(k->stream), open = k->stream->open;
    FAILS(firn_stream_append(k->stream, shared_bytes, size, &handle, &k->err), code);
    assert_null(handle);
    assert_non_null(strstr(k->err.message, message));
    assert_int_equal(firn_stream_end(k->stream), end);
    assert_int_equal(k->stream->open, open);
}

static void expect_end(struct firn_stream_reader *reader)
{
    struct firn_chunk chunk;
    assert_int_equal(firn_stream_reader_next(reader, &chunk), FIRN_EEND);
}

/* Nobody sees it before it is synced. */
static void append_and_read(struct kinds *k, struct firn_stream_reader *reader, size_t size)
{
    struct firn_stream_appending *handle = append(k, size);
    assert_false(firn_stream_append_is_synced(handle));
    expect_end(reader);
    OK(firn_stream_append_sync(handle, &k->err));
    assert_true(firn_stream_append_is_synced(handle));
    OK(firn_stream_append_sync(handle, &k->err));
    expect_chunk(reader, size);
    OK(firn_stream_append_end(handle, &k->err));
}

static struct firn_stream_reader *reader_at_end(struct kinds *k)
{
    struct firn_stream_reader *reader;
    OK(firn_stream_reader_open(k->stream, &reader, &k->err));
    (void)drain(reader);
    return reader;
}

/* Opens a stream where appends below `span_bytes` span. */
static void open_spanning(struct kinds *k, const char *kinds, size_t span_bytes)
{
    kinds_make(k, kinds);
    k->options.span_bytes = span_bytes;
    kinds_reopen(k);
}

/* ---- where they go ---- */

static void appends_find_their_part(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fp fe fe");
    struct firn_stream_reader *reader = reader_at_end(k);
    refused(k, 1282, FIRN_ETOOBIG, "capacity of 1280 bytes");
    struct firn_stream_appending *nothing = append(k, 0);
    assert_true(firn_stream_append_is_synced(nothing));
    expect_end(reader);
    OK(firn_stream_append_sync(nothing, &k->err));
    OK(firn_stream_append_end(nothing, &k->err));

    append_and_read(k, reader, 128); /* to the end of the part */
    assert_true(part_is_full(kinds_part(k, 0)));
    refused(k, 1282, FIRN_ETOOBIG, "capacity of 1280 bytes");
    append_and_read(k, reader, 1000); /* to an empty one */
    append_and_read(k, reader, 500);  /* to the next one, since this one has no room for it */
    assert_int_equal(kinds_part(k, 1)->used, 1000);
    assert_int_equal(kinds_part(k, 2)->used, 500);
    append_and_read(k, reader, 250);
    append_and_read(k, reader, 250);
    refused(k, 1000, FIRN_EAGAIN, "grow");
    append_and_read(k, reader, 280);
    refused(k, 8, FIRN_EAGAIN, "grow");
    refused(k, 0, FIRN_EAGAIN, "grow");
    OK(firn_stream_grow(k->stream, &k->err));
    append_and_read(k, reader, 1280);
    firn_stream_reader_close(reader);
    kinds_close(k);
}

static void appends_span_below_a_size(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    open_spanning(k, "fp fe fe", 130);
    struct firn_stream_reader *reader = reader_at_end(k);
    append_and_read(k, reader, 132); /* 128 are left, but it is no less than 130 */
    assert_null(kinds_part(k, 0)->span);
    assert_int_equal(kinds_part(k, 1)->used, 132);
    append_and_read(k, reader, 1086);
    append_and_read(k, reader, 128); /* 62 are left */
    assert_non_null(kinds_part(k, 1)->span);
    assert_int_equal(kinds_part(k, 2)->used, 66);
    append_and_read(k, reader, 64);
    kinds_append(k, 1100);
    expect_chunk(reader, 1100);
    refused(k, 100, FIRN_EAGAIN, "grow");
    firn_stream_reader_close(reader);
    kinds_reopen(k);
    reader = reader_at_end(k);
    assert_int_equal(firn_stream_reader_position(reader), FP + 132 + 1086 + 128 + 64 + 1100);
    assert_int_equal(kinds_part(k, 1)->span->size, 128);
    firn_stream_reader_close(reader);
    kinds_close(k);
}

/* As many bytes as the limit do not span, one less do. */
static void the_limit_itself_does_not_span(void **state)
{
    (void)state;
    for (size_t size = 129; size <= 130; size++) {
        struct kinds world, *k = &world;
        open_spanning(k, "fp fe", 130);
        kinds_append(k, size);
        assert_int_equal(kinds_part(k, 0)->span != NULL, size < 130);
        kinds_close(k);
    }
}

static void one_appends_at_a_time(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    open_spanning(k, "ff fp fe", 130);
    struct firn_stream_appending *first = append(k, 64);
    refused(k, 64, FIRN_EBUSY, "another append");
    OK(firn_stream_append_end(append(k, 0), &k->err));
    OK(firn_stream_append_sync(first, &k->err));
    struct firn_stream_appending *second = append(k, 100); /* the first one has not ended */
    refused(k, 64, FIRN_EBUSY, "another append");
    OK(firn_stream_append_end(first, &k->err));
    refused(k, 64, FIRN_EBUSY, "another append");
    OK(firn_stream_append_end(second, &k->err));
    assert_non_null(kinds_part(k, 1)->span);
    kinds_append(k, 64);
    assert_int_equal(firn_stream_end(k->stream), FF + FP + 64 + 100 + 64);
    OK(firn_stream_append_end(NULL, &k->err));
    kinds_close(k);
}

static void too_large_appends_are_refused(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    open_spanning(k, "", 2000);
    refused(k, (size_t)FIRN_STREAM_APPEND_MAX + 1, FIRN_ETOOBIG, "1073741823");
    refused(k, 8, FIRN_EAGAIN, "grow");
    OK(firn_stream_grow(k->stream, &k->err));
    refused(k, 1281, FIRN_ETOOBIG, "1280");
    kinds_append(k, 1280);
    kinds_close(k);
    open_spanning(k, "fp fe", 2000);
    refused(k, 1281, FIRN_ETOOBIG, "1280"); /* though 1408 are left in both */
    kinds_append(k, 1280);
    kinds_close(k);
}

/* ---- failing ---- */

/* `in` stores from now on, one fails. */
static void fail_store(struct kinds *k, unsigned in, int code)
{
    k->store = (struct failing){in, code};
}

static void a_full_disk_is_tried_again(void **state)
{
    (void)state;
    static const int codes[] = {FIRN_ENOSPC, FIRN_ENOMEM};
    for (size_t i = 0; i < 2; i++) {
        struct kinds world, *k = &world;
        kinds_open(k, "fp fe");
        kinds_append(k, 8); /* marks the part */
        struct firn_stream_appending *handle = append(k, 80);
        fail_store(k, 1, codes[i]);
        FAILS(firn_stream_append_sync(handle, &k->err), codes[i]);
        assert_non_null(strstr(k->err.message, "part 0"));
        refused(k, 8, FIRN_EBUSY, "another append");
        expect_all(k, FP + 8);
        OK(firn_stream_append_sync(handle, &k->err));
        expect_all(k, FP + 88);
        OK(firn_stream_append_end(handle, &k->err));
        kinds_reopen(k);
        expect_all(k, FP + 88);
        kinds_close(k);
    }
}

static void appends_are_taken_back(void **state)
{
    (void)state;
    static const char *const kinds[] = {"fp fe", "ff fe", "fp fe"};
    static const size_t sizes[] = {100, 1280, 144};
    for (size_t i = 0; i < 3; i++) {
        struct kinds world, *k = &world;
        open_spanning(k, kinds[i], 200);
        uint64_t end = firn_stream_end(k->stream);
        struct firn_stream_appending *handle = append(k, sizes[i]);
        fail_store(k, 1, FIRN_ENOSPC);
        FAILS(firn_stream_append_end(handle, &k->err), FIRN_ENOSPC);
        expect_all(k, end);
        assert_null(kinds_part(k, 0)->span);
        assert_int_equal(kinds_part(k, 1)->used, 0);
        assert_int_equal(kinds_part(k, 1)->base, UINT64_MAX);
        kinds_append(k, sizes[i] - 1);
        expect_all(k, end + sizes[i] - 1);
        kinds_reopen(k);
        expect_all(k, end + sizes[i] - 1);
        kinds_close(k);
    }
}

static void expect_poisoned(struct kinds *k, uint64_t end)
{
    refused(k, 8, FIRN_EPOISONED, "as the test says");
    refused(k, 0, FIRN_EPOISONED, "as the test says");
    FAILS(firn_stream_grow(k->stream, &k->err), FIRN_EPOISONED);
    expect_all(k, end); /* what was durable can be read */
}

static void failures_poison(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_open(k, "fp fe");
    kinds_append(k, 8);
    struct firn_stream_appending *handle = append(k, 80);
    fail_store(k, 1, FIRN_EIO);
    FAILS(firn_stream_append_sync(handle, &k->err), FIRN_EPOISONED);
    assert_non_null(strstr(k->err.message, "part 0"));
    FAILS(firn_stream_append_sync(handle, &k->err), FIRN_EPOISONED);
    assert_false(firn_stream_append_is_synced(handle));
    FAILS(firn_stream_load(k->stream, &k->err), FIRN_EBUSY);
    FAILS(firn_stream_append_end(handle, &k->err), FIRN_EPOISONED);
    expect_poisoned(k, FP + 8);
    OK(firn_stream_load(k->stream, &k->err)); /* the test's blocks are not torn */
    expect_all(k, FP + 8);
    kinds_append(k, 80);
    expect_all(k, FP + 88);
    handle = append(k, 8);
    fail_store(k, 1, FIRN_EIO);
    FAILS(firn_stream_append_end(handle, &k->err), FIRN_EPOISONED);
    FAILS(firn_stream_close(k->stream, &k->err), FIRN_EPOISONED);
    k->stream = NULL;
    kinds_reopen(k);
    expect_all(k, FP + 88);
    kinds_close(k);
}

/* Which store of a spanned append fails: the parts' marks, the second one's bytes, the first's. */
enum { SPAN_LEFT_MARK = 1, SPAN_MARK, SPAN_RIGHT, SPAN_LEFT, SPAN_STORES = SPAN_LEFT };

static void spanned_appends_are_tried_again(void **state)
{
    (void)state;
    for (unsigned in = 1; in <= SPAN_STORES; in++) {
        struct kinds world, *k = &world;
        open_spanning(k, "fp fe", 200);
        struct firn_stream_appending *handle = append(k, 160);
        fail_store(k, in, FIRN_ENOSPC);
        FAILS(firn_stream_append_sync(handle, &k->err), FIRN_ENOSPC);
        assert_non_null(
            strstr(k->err.message, in == SPAN_MARK || in == SPAN_RIGHT ? "part 1" : "part 0"));
        expect_all(k, FP);
        OK(firn_stream_append_sync(handle, &k->err));
        OK(firn_stream_append_end(handle, &k->err));
        assert_int_equal(k->stores, SPAN_STORES + 1);
        expect_all(k, FP + 160);
        kinds_reopen(k);
        expect_all(k, FP + 160);
        kinds_close(k);
    }
}

static void half_an_append_poisons(void **state)
{
    (void)state;
    for (unsigned in = 1; in <= SPAN_STORES; in++) {
        struct kinds world, *k = &world;
        struct firn_stream_recovery recovery;
        bool half = in > SPAN_RIGHT;
        open_spanning(k, "fp fe", 200);
        struct firn_stream_appending *handle = append(k, 160);
        fail_store(k, in, FIRN_ENOSPC);
        FAILS(firn_stream_append_end(handle, &k->err), half ? FIRN_EPOISONED : FIRN_ENOSPC);
        expect_all(k, FP);
        if (half) {
            expect_poisoned(k, FP);
            assert_non_null(strstr(k->err.message, "half"));
        }
        OK(firn_stream_load(k->stream, &k->err));
        firn_stream_get_recovery(k->stream, &recovery);
        assert_int_equal(recovery.recovered, half);
        assert_int_equal(recovery.cut_bytes, half ? 32 : 0);
        expect_all(k, FP);
        kinds_append(k, 160);
        kinds_reopen(k);
        expect_all(k, FP + 160);
        kinds_close(k);
    }
}

static void either_half_may_fail_for_good(void **state)
{
    (void)state;
    for (unsigned in = 1; in <= SPAN_STORES; in++) {
        struct kinds world, *k = &world;
        open_spanning(k, "fp fe", 200);
        struct firn_stream_appending *handle = append(k, 160);
        fail_store(k, in, FIRN_EIO);
        FAILS(firn_stream_append_end(handle, &k->err), FIRN_EPOISONED);
        expect_poisoned(k, FP);
        OK(firn_stream_load(k->stream, &k->err));
        expect_all(k, FP);
        kinds_append(k, 160);
        expect_all(k, FP + 160);
        kinds_close(k);
    }
}

static void read_only_streams_take_none(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    kinds_make(k, "fp fe");
    k->options.read_only = true;
    kinds_reopen(k);
    refused(k, 8, FIRN_EREADONLY, "read-only");
    refused(k, 0, FIRN_EREADONLY, "read-only");
    FAILS(firn_stream_write(k->stream, "x", 1, NULL, &k->err), FIRN_EREADONLY);
    expect_all(k, FP);
    kinds_close(k);
}

static void writing_is_all_in_one(void **state)
{
    (void)state;
    struct kinds world, *k = &world;
    uint64_t position = 7;
    kinds_open(k, "fp");
    OK(firn_stream_write(k->stream, "x", 1, &position, &k->err));
    assert_int_equal(position, FP);
    OK(firn_stream_write(k->stream, "", 0, &position, &k->err));
    assert_int_equal(position, FP + 1);
    FAILS(firn_stream_write(k->stream, shared_bytes, 200, &position, &k->err), FIRN_EAGAIN);
    assert_int_equal(position, FP + 1);
    expect_all(k, FP + 1);
    kinds_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_find_their_part),
        cmocka_unit_test(appends_span_below_a_size),
        cmocka_unit_test(the_limit_itself_does_not_span),
        cmocka_unit_test(one_appends_at_a_time),
        cmocka_unit_test(too_large_appends_are_refused),
        cmocka_unit_test(a_full_disk_is_tried_again),
        cmocka_unit_test(appends_are_taken_back),
        cmocka_unit_test(failures_poison),
        cmocka_unit_test(spanned_appends_are_tried_again),
        cmocka_unit_test(half_an_append_poisons),
        cmocka_unit_test(either_half_may_fail_for_good),
        cmocka_unit_test(read_only_streams_take_none),
        cmocka_unit_test(writing_is_all_in_one),
    };
    return cmocka_run_group_tests_name("append", tests, NULL, NULL);
}
